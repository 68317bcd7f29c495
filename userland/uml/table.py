"""The table of the guest's system calls, and how a handler enters it.

A handler takes the guest kernel, the calling process and the registers it wants; it returns the
result or raises GuestError. Block puts the process aside: its call is made again later, so a
handler that may block changes nothing before it is sure. The handlers stand in memory_calls.py,
file_calls.py, process_calls.py and misc_calls.py.
"""

from __future__ import annotations

from collections.abc import Callable

Handler = Callable[..., int]
TABLE: dict[int, tuple[str, int, Handler]] = {}  # number -> name, arguments, handler


def call(nr: int, name: str, arguments: int = 0) -> Callable[[Handler], Handler]:
    """Enter a handler under Linux's number; it gets the first `arguments` registers."""

    def enter(handler: Handler) -> Handler:
        TABLE[nr] = name, arguments, handler
        return handler

    return enter


def int32(value: int) -> int:
    """Return a register's low half as a C int."""
    value &= 0xFFFF_FFFF
    return value - (1 << 32) if value >> 31 else value
