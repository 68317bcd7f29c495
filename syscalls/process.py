"""Who a process is and what it may use: ids, limits, prctl."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.task import ALL_CAPS, DEFAULT_RLIMITS, RLIM_INFINITY
from syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

RLIMIT_NAMES = tuple(DEFAULT_RLIMITS)
PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_NAME, PR_GET_NAME = 3, 4, 15, 16
PR_SET_VSYSCALL, PR_GET_VSYSCALL = 0x56535953, 0x56535954  # "VSYS"; Linux has no such option


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


@syscall(102, "getuid")
def getuid(task: Task) -> int:
    """Return the user id. Source: getuid(2)."""
    return task.uid


@syscall(107, "geteuid")
def geteuid(task: Task) -> int:
    """Return the effective user id, the same one here. Source: geteuid(2)."""
    return task.uid


@syscall(104, "getgid")
def getgid(task: Task) -> int:
    """Return the group id. Source: getgid(2)."""
    return task.gid


@syscall(108, "getegid")
def getegid(task: Task) -> int:
    """Return the effective group id, the same one here. Source: getegid(2)."""
    return task.gid


@syscall(105, "setuid", INT, partly="real, effective and saved ids are one")
def setuid(task: Task, uid: int) -> int:
    """Become uid; leaving 0 drops every capability. Errors: EPERM. Source: setuid(2)."""
    if uid != task.uid and not task.capable("CAP_SETUID"):
        raise SyscallError(errno.EPERM)
    caps = task.caps if uid == 0 or uid == task.uid else frozenset[str]()
    task.set_credentials(uid, task.gid, caps & ALL_CAPS)
    return 0


@syscall(106, "setgid", INT, partly="real, effective and saved ids are one")
def setgid(task: Task, gid: int) -> int:
    """Become a member of gid. Errors: EPERM. Source: setgid(2)."""
    if gid != task.gid and not task.capable("CAP_SETGID"):
        raise SyscallError(errno.EPERM)
    task.set_credentials(task.uid, gid, task.caps)
    return 0


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
    if target.uid != task.uid and not task.capable("CAP_SYS_RESOURCE"):
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


PRCTL_OPTIONS = "all but PR_{GET,SET}_DUMPABLE, PR_{GET,SET}_NAME, PR_{GET,SET}_VSYSCALL"


@syscall(157, "prctl", SINT, INT, INT, INT, INT, partly=PRCTL_OPTIONS)
def prctl(
    task: Task, option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0
) -> int:
    """Read or set an attribute of the task. Errors: EINVAL, EFAULT. Source: prctl(2)."""
    if option == PR_GET_DUMPABLE:
        return task.dumpable
    if option == PR_SET_DUMPABLE and arg2 in (0, 1):
        task.dumpable = arg2
        return 0
    if option == PR_GET_VSYSCALL:
        return 1 - task.revirt_vsyscalls
    if option == PR_SET_VSYSCALL and arg2 in (0, 1):
        task.revirt_vsyscalls = 1 - arg2
        task.kernel.vsyscalls.enter(task)
        return 0
    if option == PR_SET_NAME:
        task.name = task.mm.string_in(arg2)[:15]
        return 0
    if option == PR_GET_NAME:
        task.mm.copy_out(arg2, task.name.encode("utf-8", "surrogateescape").ljust(16, b"\0"))
        return 0
    raise SyscallError(errno.EINVAL)
