"""Pid namespaces: which number a task, a process group or a session has where.

Inside the kernel a pid is the machine's: the number in the first namespace, where every task has
one. A namespace further down gives what is in it, or below it, a number of its own. Invariants: a
number is one pid's as long as a task, a process group or a session has that pid; number 1 is the
first process, with which all others end. Source: pid_namespaces(7), kernel/pid.c of Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import PID, Namespace
from pkern.kernel.namespaces.user import UserNamespace
from pkern.kernel.typed import Container, Sequence

PID_MAX = 4194304
RESERVED_PIDS = 300  # where numbers begin again behind pid_max
FIRST_NUMBER = 1


class PidNamespace(Namespace):
    """One pid namespace. level: how many it lies in; pid_max: numbers are below this.

    reaper: its first process, a thread group (None: of the first namespace). ended: 1 once that
    has ended. exposed: 1 once its own fault may end it.
    """

    kind = PID
    lies_in_another = 1

    def __init__(self, within: PidNamespace | None, owner: UserNamespace, charged: int = 0) -> None:
        super().__init__(owner, charged)
        self._within = within
        self.level: int = within.level + 1 if within is not None else 0
        self.pid_max = PID_MAX
        self.reaper: object = None
        self.ended = self.exposed = 0
        self._memfd_noexec = within.memfd_noexec if within is not None else 0
        self._last = 0
        self._numbers: dict[int, int] = {}  # by pid
        self._pids: dict[int, int] = {}  # by number

    @property
    def above(self) -> PidNamespace | None:
        return self._within

    @property
    def memfd_noexec(self) -> int:
        """vm.memfd_noexec: no less than it is in those that this one lies in."""
        above = self._within
        return max(self._memfd_noexec, above.memfd_noexec if above is not None else 0)

    @memfd_noexec.setter
    def memfd_noexec(self, value: int) -> None:
        if self._within is not None and value < self._within.memfd_noexec:
            raise SyscallError(errno.EINVAL)
        self._memfd_noexec = value

    def number_of(self, pid: int) -> int:
        """Return the number that a pid has here, 0 if it has none."""
        return pid if not self.level else self._numbers.get(pid, 0)

    def pid_of(self, number: int) -> int:
        """Return the pid that has a number here, 0 if there is none."""
        return number if not self.level else self._pids.get(number, 0)

    def numbers_down(self, pid: int, lowest: PidNamespace) -> list[int]:
        """Return the numbers of a pid here and in the namespaces below, down to the lowest."""
        below = [one for one in reversed(lowest.upwards()) if one.level > self.level]
        return [space.number_of(pid) for space in (self, *below)]

    @property
    def last(self) -> int:
        """The number that was given last; not of the first namespace, whose numbers are pids."""
        return self._last

    def upwards(self) -> list[PidNamespace]:
        """Return this namespace and those that it lies in, but for the first."""
        found, here = [], self
        while here._within is not None:
            found.append(here)
            here = here._within
        return found

    def wishes(self, wanted: Sequence[int]) -> list[tuple[PidNamespace, int]]:
        """Return the number that is wanted in each of them, upwards; 0: any."""
        spaces = self.upwards()
        return list(zip(spaces, [*wanted, *[0] * len(spaces)], strict=False))

    def need_number(self, wanted: int) -> None:
        """Refuse a number that nobody may have now; 0 stands for any.

        Errors: ENOMEM (it has ended), EEXIST, EINVAL, EAGAIN (there is none left).
        """
        if self.ended:
            raise SyscallError(errno.ENOMEM)
        if wanted:
            if wanted != FIRST_NUMBER and self.reaper is None:
                raise SyscallError(errno.EINVAL)
            if wanted in self._pids:
                raise SyscallError(errno.EEXIST)
        elif len(self._pids) >= self.pid_max - 1:
            raise SyscallError(errno.EAGAIN)

    def enter(self, pid: int, wanted: int) -> int:
        """Give a pid its number: the one that is wanted, or (0) the next."""
        number = wanted or self._next()
        self._numbers[pid], self._pids[number] = number, pid
        return number

    def _next(self) -> int:
        while True:
            self._last += 1
            if self._last >= self.pid_max:
                self._last = RESERVED_PIDS
            if self._last not in self._pids:
                return self._last

    def forget(self, used: Container[int]) -> None:
        """Let the numbers of pids go that nothing has any more."""
        for pid in [pid for pid in self._numbers if pid not in used]:
            del self._pids[self._numbers.pop(pid)]
