"""What is typed at the terminal before anybody reads it.

A terminal in its ordinary mode makes control-D an end of input, which is lost when a line editor
then sets its own mode. In here it stays a letter, and the line editor finds it.

Owns the host's terminal from take() to give_back(), which the end of the process makes up for.
Imports nothing that costs time: startup.py takes the terminal before all else is imported.
"""

from __future__ import annotations

import atexit
import os
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CC = 6  # where tcgetattr() has the control characters
STDIN = 0
_ordinary: list[list[Any]] = []  # the terminal's own settings, while it is taken


def take() -> None:
    """Let control-D be a letter from now on, if standard input is a terminal that is ours."""
    if not os.isatty(STDIN) or _is_another_s():
        return
    if not _ordinary:
        _ordinary.append(termios.tcgetattr(STDIN))
        atexit.register(give_back)
    _keep()


def _is_another_s() -> bool:
    """Tell whether another process group is at the terminal: to change it would stop us."""
    try:
        return os.tcgetpgrp(STDIN) != os.getpgrp()
    except OSError:  # it does not control us
        return False


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
        """Give a program the terminal as it was."""
        return Lent()


class Lent:
    """The terminal as it was, for a program."""

    def __enter__(self) -> None:
        _restore()

    def __exit__(self, *_: object) -> None:
        _keep()
