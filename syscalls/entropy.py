"""Random bytes for programs: from the machine's seed, so that each run gets the same ones."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.syscalls.abi import MAX_COUNT
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE = 1, 2, 4
MOST = 1 << 20  # bytes that the Python form gives at most
PIECE = 1 << 16  # bytes made at once: no more than that is made for nothing where memory ends


@syscall(318, "getrandom", INT, INT, INT)
def getrandom_raw(task: Task, addr: int, count: int, flags: int) -> int:
    """Store up to count bytes of the machine's stream; return how many there was memory for.

    Errors: EINVAL (flags), EFAULT. Source: getrandom(2), Linux 6.18's get_random_bytes_user().
    """
    _check_flags(flags & 0xFFFF_FFFF)
    count = min(count, MAX_COUNT)
    task.mm.check_user(addr, count)
    done = 0
    while done < count:
        piece = task.kernel.random.take(min(count - done, PIECE))
        try:
            stored = task.mm.copy_out_part(addr + done, piece)
        except SyscallError:
            if not done:
                raise
            break
        done += stored
        if stored < len(piece):
            break
    return done


def getrandom(task: Task, count: int, flags: int = 0) -> bytes:
    """Return count bytes of the machine's stream, at most 1 MiB.

    Errors: EINVAL. Source: getrandom(2).
    """
    _check_flags(flags)
    return task.kernel.random.take(min(count, MOST))


def _check_flags(flags: int) -> None:
    both = GRND_RANDOM | GRND_INSECURE
    if flags & ~(GRND_NONBLOCK | both) or flags & both == both:
        raise SyscallError(errno.EINVAL)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"getrandom": getrandom}
