"""The grammar of a line of the console: `;`, `|`, and `>` or `>>` at the end of a pipeline.

Owns the splitting only. What is quoted, or follows a backslash, is text; the words of a command are
split by shlex afterwards.
"""

import shlex
from collections.abc import Iterator

from pkern.kernel.values import NamedTuple

OPERATORS = (">>", ">", "|", ";")


class Pipeline(NamedTuple):
    """Commands whose output is the next one's input. arrow: ">", ">>" or "", with its path."""

    commands: list[str]
    arrow: str = ""
    path: str = ""


def pipelines(line: str) -> list[Pipeline]:
    """Return the pipelines of a line. Errors: ValueError, a sentence."""
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
    arrows = [place for place, part in enumerate(parts) if part in (">", ">>")]
    if arrows:
        words = shlex.split("".join(parts[arrows[0] + 1 :]))
        if len(arrows) > 1 or len(words) != 1:
            name = parts[0].split()[0] + ": " if parts[0].strip() else ""
            raise ValueError(f"{name}one path stands behind >")
        arrow, path = parts[arrows[0]], words[0]
        parts = parts[: arrows[0]]
    commands = [part.strip() for part in parts if part != "|"]
    if not any(commands):
        raise ValueError(f"a command stands before {arrow or '|'}")
    if not all(commands):
        raise ValueError("a command stands on both sides of |")
    return Pipeline(commands, arrow, path)


def _parts(line: str) -> Iterator[str]:
    """Yield the texts between unquoted operators, and the operators."""
    text, quote, place = "", "", 0
    while place < len(line):
        operator = "" if quote else next((o for o in OPERATORS if line.startswith(o, place)), "")
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
