"""Who asks by a ring, and for what: identities that are registered, restrictions of a ring.

Source: io_uring_register(2), Linux 6.18 io_uring/register.c.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.tasks.credentials import Credentials
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.io_uring.requests import Entry
    from pkern.syscalls.io_uring.ring import Ring

MOST_PERSONALITIES = (1 << 16) - 1
RESTRICTION = struct.Struct("<HBx12x")
REGISTER_OP, SQE_OP, SQE_FLAGS_ALLOWED, SQE_FLAGS_REQUIRED = range(4)
LAST_REGISTRATION, LAST_OPCODE = 36, 63
MOST_RESTRICTIONS = 4 + LAST_REGISTRATION + LAST_OPCODE


class Personalities:
    """Identities by a number, which an entry names to act with one of them."""

    def __init__(self) -> None:
        self._known: dict[int, Credentials] = {}
        self._next = 1

    def add(self, cred: Credentials) -> int:
        """Return a number that nobody has, of those that follow the last one. Errors: EBUSY."""
        for step in range(MOST_PERSONALITIES):
            number = (self._next - 1 + step) % MOST_PERSONALITIES + 1
            if number not in self._known:
                self._known[number], self._next = cred, number + 1
                return number
        raise SyscallError(errno.EBUSY)

    def get(self, number: int) -> Credentials:
        """Return an identity. Errors: EINVAL."""
        if number not in self._known:
            raise SyscallError(errno.EINVAL)
        return self._known[number]

    def remove(self, number: int) -> None:
        """Forget one. Errors: EINVAL."""
        self.get(number)
        del self._known[number]


class Restrictions:
    """What may be asked of a ring: registrations, opcodes, flags of entries."""

    def __init__(self) -> None:
        self.registrations: set[int] = set()
        self.opcodes: set[int] = set()
        self.allowed = self.required = 0

    def add(self, kind: int, value: int) -> None:
        """Allow or require one more thing. Errors: EINVAL."""
        if kind == REGISTER_OP and value < LAST_REGISTRATION:
            self.registrations.add(value)
        elif kind == SQE_OP and value < LAST_OPCODE:
            self.opcodes.add(value)
        elif kind == SQE_FLAGS_ALLOWED:
            self.allowed = value
        elif kind == SQE_FLAGS_REQUIRED:
            self.required = value
        else:
            raise SyscallError(errno.EINVAL)

    def check(self, entry: Entry) -> None:
        """Errors: EACCES."""
        wrong = entry.flags & ~(self.allowed | self.required) or self.required & ~entry.flags
        if wrong or entry.opcode not in self.opcodes:
            raise SyscallError(errno.EACCES)


def add_personality(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Register who the caller is, and return its number. Errors: EINVAL."""
    if addr or count:
        raise SyscallError(errno.EINVAL)
    return ring.personalities.add(task.cred)


def remove_personality(task: Task, ring: Ring, addr: int, number: int) -> int:
    """Forget an identity. Errors: EINVAL."""
    if addr:
        raise SyscallError(errno.EINVAL)
    ring.personalities.remove(number)
    return 0


def restrict(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Allow only what struct io_uring_restrictions say, once the ring is enabled.

    Errors: EBADFD (it is enabled), EBUSY (that was said before), EINVAL, EFAULT.
    """
    if ring.enabled:
        raise SyscallError(errno.EBADFD)
    if ring.restrictions is not None:
        raise SyscallError(errno.EBUSY)
    if not addr or count > MOST_RESTRICTIONS:
        raise SyscallError(errno.EINVAL)
    found = Restrictions()
    raw = task.mm.copy_in(addr, count * RESTRICTION.size)
    for kind, value in RESTRICTION.iter_unpack(raw):
        found.add(kind, value)
    ring.restrictions = found
    return 0
