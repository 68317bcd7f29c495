"""A process's number and its resource limits."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.task import DEFAULT_RLIMITS, RLIM_INFINITY
from syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

RLIMIT_NAMES = tuple(DEFAULT_RLIMITS)


@syscall(39, "getpid")
def getpid(task: Task) -> int:
    """Return the task's pid. Source: getpid(2)."""
    return task.pid


@syscall(186, "gettid")
def gettid(task: Task) -> int:
    """Return the thread's id, the pid. Source: gettid(2)."""
    return task.pid


@syscall(110, "getppid")
def getppid(task: Task) -> int:
    """Return the parent's pid, 0 without one. Source: getppid(2)."""
    return task.ppid


def _limit_name(resource: int) -> str:
    if not 0 <= resource < len(RLIMIT_NAMES):
        raise SyscallError(errno.EINVAL)
    return RLIMIT_NAMES[resource]


def getrlimit(task: Task, resource: int) -> tuple[int, int]:
    """Return (soft, hard) of RLIMIT_* resource. Errors: EINVAL. Source: getrlimit(2)."""
    return task.rlimits[_limit_name(resource)]


def setrlimit(task: Task, resource: int, limits: tuple[int, int]) -> int:
    """Set (soft, hard); raising hard wants CAP_SYS_RESOURCE. Errors: EINVAL, EPERM.

    Source: setrlimit(2).
    """
    name = _limit_name(resource)
    soft, hard = limits
    if not 0 <= soft <= hard <= RLIM_INFINITY:
        raise SyscallError(errno.EINVAL)
    if hard > task.rlimits[name][1] and not task.capable("CAP_SYS_RESOURCE"):
        raise SyscallError(errno.EPERM)
    task.rlimits[name] = (soft, hard)
    return 0


@syscall(97, "getrlimit", INT, STRUCT)
def getrlimit_raw(task: Task, resource: int) -> bytes:
    """Store struct rlimit. Errors: EINVAL, EFAULT. Source: getrlimit(2)."""
    return struct.pack("<QQ", *getrlimit(task, resource))


@syscall(160, "setrlimit", INT, INT)
def setrlimit_raw(task: Task, resource: int, addr: int) -> int:
    """Set from struct rlimit at addr. Errors: EINVAL, EPERM, EFAULT. Source: setrlimit(2)."""
    soft, hard = struct.unpack("<QQ", task.mm.copy_in(addr, 16))
    return setrlimit(task, resource, (soft, hard))


def prlimit64(
    task: Task, pid: int, resource: int, limits: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Set a limit of a task if limits is given; return the old (soft, hard).

    pid 0: the caller. Errors: ESRCH, EPERM, EINVAL. Source: prlimit(2).
    """
    target = task.kernel.tasks.get(pid or task.pid)
    if target is None:
        raise SyscallError(errno.ESRCH)
    mine, its = task.cred, target.cred
    same = set(its.uids) == {mine.uid} and set(its.gids) == {mine.gid}
    if target is not task and not same and not task.capable("CAP_SYS_RESOURCE"):
        raise SyscallError(errno.EPERM)
    old = getrlimit(target, resource)
    if limits is not None:
        if limits[1] > old[1] and not task.capable("CAP_SYS_RESOURCE"):
            raise SyscallError(errno.EPERM)
        setrlimit(target, resource, limits)
    return old


@syscall(302, "prlimit64", SINT, INT, INT, INT)
def prlimit64_raw(task: Task, pid: int, resource: int, new_addr: int, old_addr: int) -> int:
    """Set from new_addr and store the old limit at old_addr, where not 0. Source: prlimit(2)."""
    limits = struct.unpack("<QQ", task.mm.copy_in(new_addr, 16)) if new_addr else None
    old = prlimit64(task, pid, resource, limits)
    if old_addr:
        task.mm.copy_out(old_addr, struct.pack("<QQ", *old))
    return 0
