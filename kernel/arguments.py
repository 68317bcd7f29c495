"""What a caller of the Python face passes: of the right type and size, or an error that names it.

A wrong type is a TypeError, a value that cannot be a ValueError; both begin with the call's name.
"""

from __future__ import annotations

from typing import Any

WORD_MAX = (1 << 64) - 1


def of_type(where: str, value: Any, wanted: type | tuple[type, ...]) -> Any:
    """Return value, which is of a wanted type; NoneType among them stands for None.

    where: "run() argument 'cwd'". Errors: TypeError.
    """
    if isinstance(value, wanted):
        return value
    kinds = wanted if isinstance(wanted, tuple) else (wanted,)
    names = ["None" if kind is type(None) else kind.__name__ for kind in kinds]
    article = "an" if names[0][0] in "aeiou" else "a"
    raise TypeError(f"{where} must be {article} {' or '.join(names)}, not {type(value).__name__}")


def number(where: str, value: Any, least: int = 0, most: int = WORD_MAX) -> int:
    """Return value, a number from least to most. Errors: TypeError, ValueError."""
    found: int = of_type(where, value, int)
    if not least <= found <= most:
        raise ValueError(f"{where} is a number from {least} to {most}, not {found}")
    return found
