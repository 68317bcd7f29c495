"""The six registers of futex(2), and what each of them means to the operations that use it."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.clock import CLOCK_MONOTONIC
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.locks.futex import ALL_BITS, key_of, private_key, word_at
from pkern.kernel.typed import TYPE_CHECKING, Hashable
from pkern.kernel.values import NamedTuple
from pkern.syscalls.clocks import TIME_PAIR, duration_in, machines

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

WAIT, LOCK_PI = 0, 6
PRIVATE, CLOCK_REALTIME = 128, 256
COMMAND = ~(PRIVATE | CLOCK_REALTIME)


class Call(NamedTuple):
    """A call. timeout: an address, or a second number."""

    task: Task
    addr: int
    operation: int
    value: int
    timeout: int
    addr2: int
    value3: int
    pair: struct.Struct = TIME_PAIR  # the layout of the time

    @property
    def command(self) -> int:
        """FUTEX_WAIT and so on, without flags."""
        return self.operation & COMMAND

    @property
    def key(self) -> Hashable:
        """What stands for the word at addr. Errors: EINVAL, EFAULT."""
        known_by = private_key if self.operation & PRIVATE else key_of
        return known_by(self.task, self.addr)

    @property
    def key2(self) -> Hashable:
        """What stands for the word at addr2. Errors: EINVAL, EFAULT."""
        return self._replace(addr=self.addr2).key

    @property
    def deadline(self) -> int | None:
        """The virtual time when the wait ends, None for never. Errors: EINVAL, EFAULT."""
        if not self.timeout:
            return None
        clock, given = self.task.kernel.clock, duration_in(self.task, self.timeout, pair=self.pair)
        if self.command == WAIT:
            return clock.now_ns + given
        if self.command == LOCK_PI or self.operation & CLOCK_REALTIME:
            return given - clock.realtime_ns + clock.now_ns
        return machines(self.task, CLOCK_MONOTONIC, given)


def need_value(task: Task, call: Call) -> None:
    """Refuse a requeue if the first word is not value3. Errors: EAGAIN, EINVAL, EFAULT."""
    call.key, call.key2  # noqa: B018 - both addresses are looked at first
    if word_at(task, call.addr) != call.value3 & ALL_BITS:
        raise SyscallError(errno.EAGAIN)
