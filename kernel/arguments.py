"""What a caller of the Python face passes: of the right type and size, or an error that names it.

A wrong type is a TypeError, a value that cannot be a ValueError; both begin with the call's name.
A name that is not known ends with the one that was meant. Imports nothing that costs time.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterable, TypeVar

if TYPE_CHECKING:
    Named = TypeVar("Named", bound=Callable[..., Any])

WORD_MAX = (1 << 64) - 1
NEAR = 0.65  # by difflib's ratio: of three letters one may be another
SEPARATORS = "._-:/"
TOLD_AS = ("__module__", "__name__", "__qualname__", "__doc__", "__annotations__")


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


def named(where: str) -> Callable[[Named], Named]:
    """Have a method tell which keyword was meant, where Python would only say that there is none.

    where: "Kernel()". For what is not called in loops.
    """

    def of(method: Any) -> Any:
        code = method.__code__
        known = code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount]

        def checked(*args: Any, **given: Any) -> Any:
            keywords(where, given, known)
            return method(*args, **given)

        for name in TOLD_AS:
            setattr(checked, name, getattr(method, name))
        checked.__wrapped__ = method  # type: ignore[attr-defined]  # its signature is shown
        return checked

    return of


def nearest(word: str, known: Iterable[str]) -> list[str]:
    """Return the known words like word in whatever case, best first; none where none is near.

    What both begin with, up to a separator, makes no two words alike: CAP_FOO is not CAP_BPF.
    """
    from difflib import get_close_matches  # for complaints only

    typed = word.split("=")[0].lower()
    spelt = {one.lower(): one for one in known}
    found = get_close_matches(typed, spelt, n=10, cutoff=NEAR)
    return [
        spelt[one]
        for one in found
        if one.startswith(typed) or get_close_matches(*_behind(typed, one), cutoff=NEAR)
    ]


def _behind(typed: str, known: str) -> tuple[str, list[str]]:
    """Return what follows the separator up to which two words are the same, of each."""
    same = next(
        (at for at, (a, b) in enumerate(zip(typed, known, strict=False)) if a != b),
        min(len(typed), len(known)),
    )
    start = 1 + max(typed.rfind(separator, 0, same) for separator in SEPARATORS)
    return typed[start:], [known[start:]]


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a complaint: the known word that was meant, or another hint."""
    guesses = nearest(word, known)
    return f"; did you mean {guesses[0]}?" if guesses else otherwise
