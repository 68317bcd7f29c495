"""The debug registers of a task: up to four places that it is watched at.

There are none in the engine. While one is on, the task runs one instruction at a time, and behind
each the scheduler looks whether a watched place has changed, or is next: so a store of what stood
there already, and a load, are not seen. Source: Intel SDM 3, chapter 17; ptrace_set_debugreg() of
Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple

PLACES = range(4)
STATUS, CONTROL = 6, 7
EXECUTE, WRITE, ACCESS = 0, 1, 3
LENGTHS = {0: 1, 1: 2, 2: 8, 3: 4}
TASK_SIZE = 0x7FFF_FFFF_F000


class Watch(NamedTuple):
    """One place: number, address, EXECUTE, WRITE or ACCESS, bytes."""

    number: int
    addr: int
    kind: int
    nbytes: int


class DebugRegisters(NamedTuple):
    """DR0 to DR3, DR6 and DR7."""

    addrs: tuple[int, int, int, int] = (0, 0, 0, 0)
    status: int = 0
    control: int = 0

    def get(self, number: int) -> int:
        """Return one of the eight; DR4 and DR5 are 0."""
        if number in PLACES:
            return self.addrs[number]
        return {STATUS: self.status, CONTROL: self.control}.get(number, 0)

    def with_(self, number: int, value: int) -> DebugRegisters:
        """Return these with another value of one. Errors: EIO (DR4, DR5), EINVAL."""
        if number == STATUS:
            return self._replace(status=value)
        if number == CONTROL:
            new = self._replace(control=value)
        elif number in PLACES:
            addrs = list(self.addrs)
            addrs[number] = value
            new = self._replace(addrs=(addrs[0], addrs[1], addrs[2], addrs[3]))
        else:
            raise SyscallError(errno.EIO)
        new.watches()
        return new

    def watches(self) -> list[Watch]:
        """Return the places that are on. Errors: EINVAL: one that cannot be watched."""
        found = [self._watch(number) for number in PLACES if self.control >> 2 * number & 3]
        for watch in found:
            bad = watch.kind == 2 or (watch.kind == EXECUTE and watch.nbytes != 1)
            if bad or watch.addr % watch.nbytes or watch.addr + watch.nbytes > TASK_SIZE:
                raise SyscallError(errno.EINVAL)
        return found

    def _watch(self, number: int) -> Watch:
        bits = self.control >> 16 + 4 * number
        return Watch(number, self.addrs[number], bits & 3, LENGTHS[bits >> 2 & 3])


NO_DEBUG = DebugRegisters()
