"""A process's numbers, its personality, and what it shares with others."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.credentials import Ids
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

QUERY = 0xFFFF_FFFF
# Command -> the registration it wants. 1: global, 2-64: expedited ones, 128, 256: of rseq.
MEMBARRIER = {0: 0, 1: 0, 2: 0, 4: 0, 8: 16, 16: 0, 32: 64, 64: 0, 128: 256, 256: 0, 512: 0}
REGISTRATIONS = (4, 16, 64, 256)
RSEQ_BARRIER, GET_REGISTRATIONS = 128, 512
KCMP_FILE, KCMP_EPOLL_TFD = 0, 7
EPOLL_SLOT = struct.Struct("<III")  # of kcmp: the set's descriptor, the file's, which of those
KCMP_OBJECTS: dict[int, Callable[[Any], object]] = {
    1: lambda task: task.mm,
    2: lambda task: task.fds,
    3: lambda task: task.fs,
    4: lambda task: task.signals.handlers,
    5: lambda task: task.io_context,
    6: lambda task: task.undo,
}


@syscall(39, "getpid")
def getpid(task: Task) -> int:
    """Return the process's number, which all its threads share. Source: getpid(2)."""
    return task.number_of(task.tgid)


@syscall(186, "gettid")
def gettid(task: Task) -> int:
    """Return the thread's own number. Source: gettid(2)."""
    return task.number


@syscall(110, "getppid")
def getppid(task: Task) -> int:
    """Return the parent's pid, 0 without one. Source: getppid(2)."""
    return task.number_of(task.ppid)


# ---- small attributes ----


@syscall(135, "personality", INT)
def personality(task: Task, persona: int = QUERY) -> int:
    """Set the execution domain and return the old one; 0xffffffff only asks.

    Obeyed: PER_LINUX32 (uname), READ_IMPLIES_EXEC, and by the next program ADDR_COMPAT_LAYOUT and
    MMAP_PAGE_ZERO. Source: personality(2).
    """
    old = task.attributes.personality
    if persona & QUERY != QUERY:
        task.set_personality(persona & QUERY)
    return old


@syscall(324, "membarrier", SINT, SINT, SINT)
def membarrier(task: Task, command: int, flags: int = 0, cpu: int = 0) -> int:
    """Order memory between processors; with one of them nothing is to be done.

    Errors: EINVAL; EPERM (an expedited command without its registration). Source: membarrier(2).
    """
    if flags & ~(command == RSEQ_BARRIER) or command not in MEMBARRIER:
        raise SyscallError(errno.EINVAL)
    if command == 0:
        return sum(MEMBARRIER)
    if command == GET_REGISTRATIONS:
        return task.mm.settings.membarriers
    registration = MEMBARRIER[command]
    if command in REGISTRATIONS:
        task.mm.set(membarriers=task.mm.settings.membarriers | command)
    elif registration & ~task.mm.settings.membarriers:
        raise SyscallError(errno.EPERM)
    return 0


def _order(one: File, other: File) -> int:
    return (one.cookie < other.cookie) + 2 * (one.cookie > other.cookie)


@syscall(312, "kcmp", SINT, SINT, SINT, INT, INT)
def kcmp(task: Task, one: int, other: int, kind: int, first: int = 0, second: int = 0) -> int:
    """Tell whether two processes share an object: 0 equal, 1 less, 2 greater.

    kind: KCMP_FILE 0 (first, second: descriptors), VM 1, FILES 2, FS 3, SIGHAND 4, IO 5, SYSVSEM 6,
    EPOLL_TFD 7 (first: a descriptor; second: where a struct kcmp_epoll_slot stands).
    Errors: ESRCH, EPERM, EBADF, EFAULT, EINVAL, ENOENT (no such file in the set). Source: kcmp(2).
    """
    left, right = task.find(one), task.find(other)
    if left is None or right is None:
        raise SyscallError(errno.ESRCH)
    if not (task.may_trace(left, Ids.REAL) and task.may_trace(right, Ids.REAL)):
        raise SyscallError(errno.EPERM)
    if kind == KCMP_FILE:
        return _order(left.fds.get_raw(first), right.fds.get_raw(second))
    if kind == KCMP_EPOLL_TFD:
        in_set, fd, nth = EPOLL_SLOT.unpack(task.mm.copy_in(second, EPOLL_SLOT.size))
        file = left.fds.get_raw(first)
        return _order(file, right.fds.get(in_set).inode.watched(fd, nth))
    if kind not in KCMP_OBJECTS:
        raise SyscallError(errno.EINVAL)
    object_of = KCMP_OBJECTS[kind]
    if object_of(left) is object_of(right):
        return 0
    return 1 if one < other else 2
