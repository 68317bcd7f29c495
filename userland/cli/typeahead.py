"""What is typed at the terminal before anybody reads it.

A terminal in its ordinary mode makes control-D an end of input, which is a NUL to a line editor
that then sets its own mode. In here it stays a letter, and the line editor finds it. What was typed
before take() has the NUL; who reads it knows (tty.py, console.py).

Owns the host's terminal from take() to give_back(), which the end of the process makes up for.
Imports nothing that costs time: startup.py takes the terminal before all else is imported.
"""

from __future__ import annotations

import atexit
import os
import termios

from pkern.kernel.tty.foreground import is_another_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CC = 6  # where tcgetattr() has the control characters
STDIN = 0
_ordinary: list[list[Any]] = []  # the terminal's own settings, while it is taken


def take() -> None:
    """Let control-D be a letter from now on, if standard input is a terminal that is ours."""
    if not os.isatty(STDIN) or is_another_s(STDIN):
        return
    if not _ordinary:
        _ordinary.append(termios.tcgetattr(STDIN))
        atexit.register(give_back)
    _keep()


def give_back() -> None:
    """Give the terminal its own settings again."""
    _restore()
    _ordinary.clear()


def _keep() -> None:
    if _ordinary:
        settings = termios.tcgetattr(STDIN)
        settings[CC][termios.VEOF] = bytes([os.fpathconf(STDIN, "PC_VDISABLE")])
        termios.tcsetattr(STDIN, termios.TCSANOW, settings)


def _restore() -> None:
    if _ordinary:
        termios.tcsetattr(STDIN, termios.TCSANOW, _ordinary[0])


class TypeAhead:
    """The terminal on standard input, if it is one, between two lines that are read from it."""

    def __enter__(self) -> TypeAhead:
        take()
        return self

    def __exit__(self, *_: object) -> None:
        give_back()

    def for_a_program(self) -> Lent:
        """Give a program the terminal: the end-of-input character that it owes (Terminal)."""
        return Lent()


class Lent:
    """The terminal, for a program."""

    def __enter__(self) -> bytes | None:
        return _ordinary[0][CC][termios.VEOF] if _ordinary else None

    def __exit__(self, *_: object) -> None:
        _keep()
