"""The resource limits of a process."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.rlimits import DEFAULT_RLIMITS, RLIM_INFINITY
from pkern.kernel.typed import TYPE_CHECKING
from pkern.syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

RLIMIT_NAMES = tuple(DEFAULT_RLIMITS)


def _limit_name(resource: int) -> str:
    if not 0 <= resource < len(RLIMIT_NAMES):
        raise SyscallError(errno.EINVAL)
    return RLIMIT_NAMES[resource]


def getrlimit(task: Task, resource: int) -> tuple[int, int]:
    """Return (soft, hard) of RLIMIT_* resource. Errors: EINVAL. Source: getrlimit(2)."""
    return task.rlimits[_limit_name(resource)]


def setrlimit(task: Task, resource: int, limits: tuple[int, int]) -> int:
    """Set (soft, hard); raising hard wants CAP_SYS_RESOURCE.

    Errors: EINVAL, EPERM (also: more descriptors than fs.nr_open). Source: setrlimit(2).
    """
    name = _limit_name(resource)
    soft, hard = limits
    if not 0 <= soft <= hard <= RLIM_INFINITY:
        raise SyscallError(errno.EINVAL)
    if name == "nofile" and hard > int(task.kernel.sysctl["fs.nr_open"]):
        raise SyscallError(errno.EPERM)
    if hard > task.rlimits[name][1] and not task.capable("CAP_SYS_RESOURCE"):
        raise SyscallError(errno.EPERM)
    task.rlimits[name] = (soft, hard)
    return 0


@syscall(97, "getrlimit", SINT, STRUCT)
def getrlimit_raw(task: Task, resource: int) -> bytes:
    """Store struct rlimit. Errors: EINVAL, EFAULT. Source: getrlimit(2)."""
    return struct.pack("<QQ", *getrlimit(task, resource))


@syscall(160, "setrlimit", SINT, INT)
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
    target = task.find(pid) if pid else task
    if target is None:
        raise SyscallError(errno.ESRCH)
    mine, its = task.cred, target.cred
    same = set(its.uids) == {mine.uid} and set(its.gids) == {mine.gid}
    able = task.capable_in(its.user_ns, "CAP_SYS_RESOURCE")
    if target.group is not task.group and not same and not able:
        raise SyscallError(errno.EPERM)
    old = getrlimit(target, resource)
    if limits is not None:
        if limits[1] > old[1] and not task.capable("CAP_SYS_RESOURCE"):
            raise SyscallError(errno.EPERM)
        setrlimit(target, resource, limits)
    return old


@syscall(302, "prlimit64", SINT, SINT, INT, INT)
def prlimit64_raw(task: Task, pid: int, resource: int, new_addr: int, old_addr: int) -> int:
    """Set from new_addr and store the old limit at old_addr, where not 0. Source: prlimit(2)."""
    limits = struct.unpack("<QQ", task.mm.copy_in(new_addr, 16)) if new_addr else None
    old = prlimit64(task, pid, resource, limits)
    if old_addr:
        task.mm.copy_out(old_addr, struct.pack("<QQ", *old))
    return 0
