"""What is typed at the terminal before anybody reads it.

A terminal in its ordinary mode makes control-D an end of input, which is lost when a line editor
then sets its own mode. In here it stays a letter, and the line editor finds it.
"""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CC = 6  # where tcgetattr() has the control characters


class TypeAhead:
    """The terminal on standard input, if it is one, between two lines that are read from it."""

    def __init__(self) -> None:
        self._ordinary: list[Any] | None = None

    def __enter__(self) -> TypeAhead:
        if sys.stdin.isatty():
            self._ordinary = termios.tcgetattr(sys.stdin)
            self._keep()
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _keep(self) -> None:
        if self._ordinary is not None:
            settings = termios.tcgetattr(sys.stdin)
            settings[CC][termios.VEOF] = bytes([os.fpathconf(sys.stdin.fileno(), "PC_VDISABLE")])
            termios.tcsetattr(sys.stdin, termios.TCSANOW, settings)

    def _restore(self) -> None:
        if self._ordinary is not None:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._ordinary)

    @contextmanager
    def for_a_program(self) -> Iterator[None]:
        """Give a program the terminal as it was."""
        self._restore()
        try:
            yield
        finally:
            self._keep()
