"""What a caller of the Python face passes: of the right type and size, or an error that names it.

A wrong type is a TypeError, a value that cannot be a ValueError; both begin with the call's name.
A name that is not known ends with the one that was meant. Imports nothing that costs time.
"""

from __future__ import annotations

from pkern.kernel.typed import Any, Iterable

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


def to_call(where: str, value: Any) -> Any:
    """Return value, which can be called. Errors: TypeError."""
    if not callable(value):
        raise TypeError(f"{where} must be callable, not {value!r}")
    return value


def keywords(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Look whether all the names that were given are known ones. Errors: TypeError."""
    names = list(known)
    for name in given:
        if name not in names:
            raise TypeError(f"{where} takes no '{name}'{did_you_mean(name, names)}")


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words most like word, best first."""
    from difflib import get_close_matches  # for complaints only

    return get_close_matches(word.split("=")[0], list(known), n=3, cutoff=0.6)


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a complaint: the known word that was meant, or another hint."""
    guesses = nearest(word, known)
    return f"; did you mean {guesses[0]}?" if guesses else otherwise
