"""Random bytes for programs: from the machine's seed, so that each run gets the same ones."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.syscalls.table import INT, OUT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE = 1, 2, 4
MOST = (1 << 25) - 1  # bytes a call gives at most


@syscall(318, "getrandom", OUT, INT)
def getrandom(task: Task, count: int, flags: int = 0) -> bytes:
    """Return count bytes of the machine's stream. Errors: EINVAL, EFAULT. Source: getrandom(2)."""
    if flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) or flags & 6 == 6:
        raise SyscallError(errno.EINVAL)
    return task.kernel.random.take(min(count, MOST))
