"""The parser of command lines, and how its help and its complaints look.

Owns what differs from argparse. Imported for command lines that are not plain (plain.py): argparse
and what it brings take a tenth of a start.
"""

import argparse
import os
import sys
from functools import cache
from math import isfinite, nan

from pkern.kernel.arguments import did_you_mean, nearest
from pkern.kernel.typed import Any, NoReturn

# argparse would look for translations of its own few words, in files, for each parser. Not str():
# a description that is not there is None here too.
vars(argparse)["_"] = lambda text: text

WIDTH, LEAST_WIDTH = 100, 40  # of help: the texts are laid out for the first


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the texts in it, whose lines are laid out already, or as a narrower terminal.

    What argparse does to learn the width would import shutil, and zlib, bz2 and lzma with it.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_help_width())

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        """Lay out paragraphs anew where their lines are too long; examples and tables stay."""
        if width >= WIDTH:
            return text
        import textwrap  # for narrow terminals only

        paragraphs = text.split("\n\n")
        return "\n\n".join(
            part if "\n " in f"\n{part}" else textwrap.fill(part, width) for part in paragraphs
        )


@cache
def _help_width() -> int:
    """Return how wide help may be (columns): argparse asks for each declared argument."""
    try:
        columns = os.get_terminal_size(1).columns or WIDTH
    except OSError:  # no terminal
        return WIDTH
    return max(LEAST_WIDTH, min(WIDTH, columns))


class HelpfulParser(argparse.ArgumentParser):
    """An argument parser whose complaint about a wrong flag names the flag that was meant."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(formatter_class=_HelpFormatter, **settings)
        # argparse's own complaints about numbers name types of Python.
        self.register("type", int, _whole)
        self.register("type", float, _finite)

    def error(self, message: str) -> NoReturn:
        """Print the complaint, the nearest known flag and where help is; exit with 2."""
        known = self.flags()
        words = message.rpartition(":")[2].split()
        unknown = [word for word in words if word[:1] == "-" != word and word not in known]
        guesses = [guess for word in unknown for guess in nearest(word, known)]
        hint = f" Did you mean {guesses[0]}?" if guesses else ""
        end = "" if message.endswith("?") else "."
        self.exit(2, f"{self.prog}: {message}{end}{hint} '{self.prog} --help' shows examples.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a word that is none of an argument's choices, and name the one that was meant."""
        if action.choices is None or value in action.choices:
            return
        known = list(map(str, action.choices))
        hint = did_you_mean(str(value), known)
        raise argparse.ArgumentError(action, f"'{value}' is none of {', '.join(known)}{hint}")

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        """Return the flag that an abbreviation means: none where several begin so.

        Python 3.11 would refuse such a word behind the program too, where it is the program's.
        """
        found = super()._get_option_tuples(option_string)
        return found if len(found) == 1 else []

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """Return an argument's value, which may be -- as in --root=--: 3.11 would drop it."""
        if action.option_strings and arg_strings == ["--"]:
            value = self._get_value(action, "--")
            self._check_value(action, value)
            return value
        return super()._get_values(action, arg_strings)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help, without the base class's silence where it cannot be written."""
        if message:
            (file or sys.stderr).write(message)

    def flags(self) -> list[str]:
        """Return every flag that this parser or one of its commands knows."""
        flags: list[str] = []
        for action in self._actions:
            flags += action.option_strings
            if isinstance(action.choices, dict):
                flags += [flag for command in action.choices.values() for flag in command.flags()]
        return flags


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a whole number, not '{text}'") from None


def _finite(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = nan
    if not isfinite(found):
        raise argparse.ArgumentTypeError(f"a number, not '{text}'")
    return found
