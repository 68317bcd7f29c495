"""The events of system calls: syscalls:sys_enter_NAME and sys_exit_NAME, made from the table.

As Linux's, an event has the call's number and its registers, by the names of the handler's
parameters. A point is made when somebody asks for it: then its call's room is imported.
"""

from __future__ import annotations

from pkern.kernel.events.points import Field, Point
from pkern.syscalls.numbers import NAMES, NUMBERS
from pkern.syscalls.table import TABLE, Kind, Syscall

ENTER, EXIT = "syscalls:sys_enter_", "syscalls:sys_exit_"
NR = Field("int", "__syscall_nr")
WITH_LENGTH = (Kind.IN, Kind.OUT)


class CallPoints:
    """The points of all calls that there are."""

    def names(self) -> list[str]:
        """Return what there is, as SYSTEM:NAME."""
        return [prefix + name for name in self.calls().values() for prefix in (ENTER, EXIT)]

    def calls(self) -> dict[int, str]:
        """Return the names of all calls that there are, by number."""
        return {nr: NAMES[nr] for nr in TABLE}

    def make(self, full_name: str) -> Point:
        """Return a point. Errors: KeyError."""
        system, _, name = full_name.partition(":")
        call = full_name.removeprefix(ENTER).removeprefix(EXIT)
        if full_name.startswith(EXIT):
            return Point(system, name, (NR, Field("long", "ret")), "0x{ret:x}")
        arguments = registers_of(TABLE[NUMBERS[call]])
        fields = (NR, *(Field("unsigned long", argument) for argument in arguments))
        text = ", ".join(f"{argument}: {{{argument}:x}}" for argument in arguments)
        return Point(system, name, fields, text)


def registers_of(call: Syscall) -> list[str]:
    """Return the names of the registers that a call takes, in order."""
    code = call.handler.__code__
    given = iter(code.co_varnames[1 : code.co_argcount])
    found = []
    for kind in call.kinds:
        name = "buf" if kind is Kind.STRUCT else next(given)
        found.append("buf" if kind is Kind.OUT else name)
        if kind in WITH_LENGTH:
            found.append("count")
    return _all_different(found)


def _all_different(names: list[str]) -> list[str]:
    return [name if name not in names[:i] else f"{name}{i}" for i, name in enumerate(names)]
