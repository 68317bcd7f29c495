"""The grammar of a line of the console: `;`, `|`, `<` in the first command of a pipeline, and `>`
or `>>` at its end; `*`, `?` and `[` in words.

Owns the splitting, and what of a shell there is not. What is quoted, or follows a backslash, is
text; the words of a command are split by shlex afterwards. The statement behind `python` is
Python's: of these it knows `;`, `|` and `>` only.
"""

import glob
import re
import shlex
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from pkern.kernel.values import NamedTuple

ARROWS = (">>", ">")
OPERATORS = (*ARROWS, "|", ";")
SHELLS = ("<", "&")  # operators that Python has, too
QUOTED = r"""(\\.|'[^']*'|"(?:\\.|[^"\\])*")"""
WORD = re.compile(rf"""(?:{QUOTED}|[^\s\\'"])+""")
WILD = re.compile(r"[*?[]")
VARIABLE = re.compile(r"\$[\w{(?$!@*#]")
NUMBER = re.compile(r"(?:^|\s)\d$")  # of a descriptor, before an arrow


class Pipeline(NamedTuple):
    """Commands whose output is the next one's input. arrow: of ARROWS or "", with its path."""

    commands: list[str]
    arrow: str = ""
    path: str = ""


def pipelines(line: str) -> list[Pipeline]:
    """Return the pipelines of a line. Errors: ValueError, a sentence."""
    if "\0" in line:
        raise ValueError("a line holds no NUL")
    found, parts = [], list(_parts(line))
    while parts:
        end = parts.index(";") if ";" in parts else len(parts)
        if any(part.strip() for part in parts[:end]):
            found.append(_pipeline(parts[:end]))
        parts = parts[end + 1 :]
    return found


def _pipeline(parts: list[str]) -> Pipeline:
    """Return what texts and operators, which alternate, make."""
    arrow = path = ""
    arrows = [place for place, part in enumerate(parts) if part in ARROWS]
    if arrows:
        words = shlex.split("".join(parts[arrows[0] + 1 :]))
        if len(arrows) > 1 or len(words) != 1:
            name = parts[0].split()[0] + ": " if parts[0].strip() else ""
            raise ValueError(f"{name}one path stands behind >")
        arrow, path = parts[arrows[0]], words[0]
        parts = parts[: arrows[0]]
    parts = _with_source(parts)
    commands = [part.strip() for part in parts if part != "|"]
    if not any(commands):
        raise ValueError(f"a command stands before {arrow or '|'}")
    if not all(commands):
        raise ValueError("a command stands on both sides of |")
    return Pipeline(commands, arrow, path)


def _with_source(parts: list[str]) -> list[str]:
    """Return the parts with `cat FILE |` before the first command, where it has `< FILE`."""
    if "<" not in parts:
        return parts
    place = parts.index("<")
    words = shlex.split(parts[place + 1])
    if place > 1 or "<" in parts[place + 1 :] or len(words) != 1:
        raise ValueError("one path stands behind <, in the first command of a pipeline")
    return [f"cat {shlex.quote(words[0])}", "|", parts[0], *parts[place + 2 :]]


def is_python(text: str) -> bool:
    """Tell whether a command is one of Python."""
    return text.split(None, 1)[:1] == ["python"]


def expanded(command: str, names: Callable[[str], list[str]]) -> str:
    """Return a command with the paths that its unquoted patterns name, as they are if none.

    names: what a directory holds, nothing of what is none. Errors: ValueError for a variable.
    """

    def of_word(found: re.Match[str]) -> str:
        plain = re.sub(QUOTED, "", found[0])
        if VARIABLE.search(plain):
            raise ValueError(f"the console has no variables; in quotes {found[0]} is text")
        if not WILD.search(plain):
            return found[0]
        pieces = re.split(QUOTED, found[0])  # those that are quoted have odd places
        pieces[1::2] = [glob.escape(shlex.split(piece)[0]) for piece in pieces[1::2]]
        return shlex.join(_matching("".join(pieces), names)) or found[0]

    return command if is_python(command) else WORD.sub(of_word, command)


def _matching(pattern: str, names: Callable[[str], list[str]]) -> list[str]:
    """Return the paths that a pattern names, in order."""
    found = ["/" * pattern.startswith("/")]
    for part in filter(None, pattern.split("/")):
        found = [
            f"{head.rstrip('/')}/{name}" if head else name
            for head in found
            for name in (".", "..", *sorted(names(head or ".")))
            if fnmatchcase(name, part) and (name[0] != "." or part[0] == ".")
        ]
    return found


def _parts(line: str) -> Iterator[str]:
    """Yield the texts between unquoted operators, and the operators."""
    text, quote, place = "", "", 0
    while place < len(line):
        known = OPERATORS if is_python(text) else OPERATORS + SHELLS
        operator = "" if quote else next((o for o in known if line.startswith(o, place)), "")
        if operator == "&":
            raise ValueError("the console has no &: what is to run side by side stands between |")
        if operator in ARROWS and NUMBER.search(text):
            raise ValueError(f"the console has no {text[-1]}{operator}: only standard output has >")
        if operator:
            yield text
            yield operator
            text, place = "", place + len(operator)
            continue
        letter = line[place]
        if letter == "#" and not quote and (not text or text[-1].isspace()):
            break
        if letter == "\\" and quote != "'":
            letter = line[place : place + 2]
        elif letter == quote:
            quote = ""
        elif not quote and letter in "'\"":
            quote = letter
        text += letter
        place += len(letter)
    yield text
