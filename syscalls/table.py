"""The table of system calls: one decorator fills it, as the rooms are imported.

Each handler takes a task and Python values, returns a Python value and raises SyscallError. The
kinds say how abi.py makes those values from registers and user memory.
"""

from __future__ import annotations

from pkern.kernel.late import LateTable
from pkern.kernel.typed import Any, Callable, Iterable, Mapping, TypeVar
from pkern.kernel.values import Enum, NamedTuple
from pkern.syscalls.numbers import NAMES, NUMBERS

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


class Kind(Enum):
    """How one argument travels."""

    INT = "an unsigned register"
    SINT = "a signed 32-bit register (descriptors, pids)"
    PATH = "the address of a string, handed over as str: where it cannot be read an Unread"
    IN = "address and length: two registers, handed over as bytes"
    OUT = "address and length: the handler gets the length; its bytes result is stored there"
    STRUCT = "an address: the handler's bytes result is stored there, the call returns 0"


INT, SINT, PATH, IN, OUT, STRUCT = Kind


class Syscall(NamedTuple):
    """One call: its number and name on x86-64, its handler, its arguments, what is missing."""

    nr: int
    name: str
    handler: Handler
    kinds: tuple[Kind, ...]
    partly: str = ""  # what is not done; empty: all of it is

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().splitlines()[0]


TABLE: LateTable[int, Syscall] = LateTable()  # by number


def declare(rooms: Mapping[str, Iterable[str]]) -> None:
    """Say which calls each room of this package holds. Errors: KeyError for no call's name."""
    for room, names in rooms.items():
        TABLE.declare(dict.fromkeys(map(NUMBERS.__getitem__, names), f"pkern.syscalls.{room}"))


def syscall(nr: int, name: str, *kinds: Kind, partly: str = "") -> Callable[[H], H]:
    """Enter the decorated handler into the table under Linux's number and name."""

    def enter(handler: H) -> H:
        if NAMES.get(nr) != name:
            raise ValueError(f"system call {nr} is {NAMES.get(nr)} on x86-64, not {name}")
        TABLE.enter(nr, Syscall(nr, name, handler, kinds, partly), handler.__module__)
        return handler

    return enter
