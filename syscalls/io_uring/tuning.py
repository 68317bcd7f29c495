"""How a ring's work is to be spread and waited for: told, kept and answered, and of no effect here.

There are no workers and no devices that could be polled: limits of workers, their processors and
busy polling (NAPI) are what a program sets and reads again. Linux keeps the first for a task, here
each ring does. Source: io_uring_register(2), Linux 6.18 io_uring/register.c, io-wq.c, napi.c.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.io_uring.ring import Ring

COUNTS, INT_MAX = struct.Struct("<II"), (1 << 31) - 1
CPU_MASK_BYTES = 8
MOST_BOUNDED = 4  # workers for each processor
NAPI = struct.Struct("<IBBHII")  # microseconds, preference, what is asked, 0, how or whom, 0
NAPI_REGISTER, NAPI_DYNAMIC, NAPI_STATIC, NAPI_INACTIVE = 0, 0, 1, 255


class Polling(NamedTuple):
    """Busy polling: for how long (microseconds), whether it is preferred, of what."""

    microseconds: int = 0
    preferred: int = 0
    of: int = NAPI_INACTIVE

    def store(self, task: Task, addr: int) -> None:
        task.mm.copy_out(addr, NAPI.pack(self.microseconds, self.preferred, 0, 0, self.of, 0))


class Tuning:
    """What a ring was told. workers: at most so many that end, and that may not."""

    def __init__(self, entries: int, most_processes: int) -> None:
        self.workers = min(entries, MOST_BOUNDED), min(most_processes, INT_MAX)
        self.polling = Polling()


def choose_processors(task: Task, ring: Ring, addr: int, nbytes: int) -> int:
    """Choose workers' processors by a bit mask; there is one. Errors: EINVAL, EFAULT."""
    if not addr or not nbytes:
        raise SyscallError(errno.EINVAL)
    task.mm.copy_in(addr, min(nbytes, CPU_MASK_BYTES))
    return 0


def any_processors(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Let workers run anywhere. Errors: EINVAL."""
    if addr or count:
        raise SyscallError(errno.EINVAL)
    return 0


def limit_workers(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Choose how many workers there are at most; 0: as it is. Store what it was.

    Errors: EINVAL, EFAULT.
    """
    if not addr or count != 2:
        raise SyscallError(errno.EINVAL)
    wanted = COUNTS.unpack(task.mm.copy_in(addr, COUNTS.size))
    if max(wanted) > INT_MAX:
        raise SyscallError(errno.EINVAL)
    before, most = ring.tuning.workers, task.rlimits["nproc"][0]
    new = [min(number, most) or old for number, old in zip(wanted, before, strict=True)]
    ring.tuning.workers = new[0], new[1]
    task.mm.copy_out(addr, COUNTS.pack(*before))
    return 0


def poll_busily(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Choose busy polling (struct io_uring_napi); store what it was. Errors: EINVAL, EFAULT."""
    if not addr or count != 1:
        raise SyscallError(errno.EINVAL)
    time, preferred, asked, pad, of, reserved = NAPI.unpack(task.mm.copy_in(addr, NAPI.size))
    if pad or reserved:
        raise SyscallError(errno.EINVAL)
    ring.tuning.polling.store(task, addr)
    if asked != NAPI_REGISTER or of not in (NAPI_DYNAMIC, NAPI_STATIC):
        raise SyscallError(errno.EINVAL)  # no device has a queue to name
    ring.tuning.polling = Polling(time, int(bool(preferred)), of)
    return 0


def poll_quietly(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have no busy polling; store what it was, if addr is not 0. Errors: EINVAL, EFAULT."""
    if count != 1:
        raise SyscallError(errno.EINVAL)
    if addr:
        ring.tuning.polling._replace(of=NAPI_DYNAMIC).store(task, addr)  # it does not tell of what
    ring.tuning.polling = Polling()
    return 0
