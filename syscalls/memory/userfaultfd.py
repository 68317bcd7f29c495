"""userfaultfd(2), its ioctls and /dev/userfaultfd: the layouts and checks of linux/userfaultfd.h.

What a monitor does to memory is one core call a piece; how much was done goes back in the struct,
and less than all of it is EAGAIN, as on Linux.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.userfaultfd import (
    EVENT_FORK,
    INITIALIZED,
    USER_MODE_ONLY,
    UserfaultInode,
    open_context,
)
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.kernel.vfs.fs.devices import UserfaultDevice
from pkern.syscalls.files.at import O_CLOEXEC, install, refuse_flags
from pkern.syscalls.files.fcntl import ioctl_of
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

PAGE_SIZE = 4096
UFFD_API, ALL_FEATURES = 0xAA, 0x1FFFF
WP_UNPOPULATED, WP_ASYNC = lib.UFFD_FEATURE_WP_UNPOPULATED, lib.UFFD_FEATURE_WP_ASYNC
API_IOCTLS = 0x8000000000000003
# Of a registered range, by the number of the ioctl; those of large pages.
WAKE, COPY, ZEROPAGE, MOVE, WRITEPROTECT, CONTINUE, POISON = (1 << nr for nr in range(2, 9))
RANGE_IOCTLS = WAKE | COPY | ZEROPAGE | MOVE | WRITEPROTECT | CONTINUE | POISON
LARGE_IOCTLS = WAKE | COPY | WRITEPROTECT | CONTINUE | POISON
REGISTER_MODES = {1: lib.VM_UFFD_MISSING, 2: lib.VM_UFFD_WP, 4: lib.VM_UFFD_MINOR}
MODE_DONTWAKE, MODE_WP, MODE_HOLES = 1, 2, 2  # of COPY, CONTINUE; of MOVE
WP_MODE_WP, WP_MODE_DONTWAKE = 1, 2
CHUNK = 64 * PAGE_SIZE  # bytes that are read from the monitor at once
WORD = struct.Struct("<q")
Ioctl = Callable[["Task", UserfaultInode, int], int]


@syscall(323, "userfaultfd", INT)
def userfaultfd(task: Task, flags: int = 0) -> int:
    """Return a descriptor of a new context for the caller's address space.

    flags: O_CLOEXEC, O_NONBLOCK, UFFD_USER_MODE_ONLY 1.
    Errors: EPERM (the kernel's own accesses too, without CAP_SYS_PTRACE while
    vm.unprivileged_userfaultfd is 0), EINVAL, EMFILE. Source: userfaultfd(2).
    """
    free = flags & USER_MODE_ONLY or task.kernel.userfaults.unprivileged_userfaultfd
    if not free and not task.capable("CAP_SYS_PTRACE"):
        raise SyscallError(errno.EPERM)
    return _new(task, flags)


def _new(task: Task, flags: int) -> int:
    refuse_flags(flags, O_CLOEXEC | O_NONBLOCK | USER_MODE_ONLY)
    inode = UserfaultInode(task.kernel, task.kernel.userfaults, task.mm, flags)
    try:
        file = open_context(task.kernel, inode, task, flags)
    except SyscallError:
        inode.close()
        raise
    return install(task, file, flags)


def set_monitor(task: Task, fd: int, monitor: Callable[[bytes], object] | None) -> None:
    """Have a Python function called with each message of a context, in place of a sleep.

    It is called before the access is tried again; what it has not dealt with is left to be read.
    Errors: EBADF, EINVAL (no userfaultfd).
    """
    inode = task.fds.get(fd).inode
    if not isinstance(inode, UserfaultInode):
        raise SyscallError(errno.EINVAL)
    inode.monitor = monitor


# ---- arguments ----


def _check_range(context: UserfaultInode, start: int, length: int) -> None:
    if start % PAGE_SIZE:
        raise SyscallError(errno.EINVAL)
    _check_unaligned(context, start, length)


def _check_unaligned(context: UserfaultInode, start: int, length: int) -> None:
    top = context.task_size
    if length % PAGE_SIZE or not length or start >= top or length > top - start:
        raise SyscallError(errno.EINVAL)


def _need_mm(context: UserfaultInode) -> None:
    if not context.mm.users:
        raise SyscallError(errno.ESRCH)


def _settled(task: Task, context: UserfaultInode, result_at: int | None) -> None:
    """Refuse while an event that no one has read changes the memory. Errors: EAGAIN."""
    if not context.is_changing():
        return
    if result_at is not None:
        task.mm.copy_out(result_at, WORD.pack(-errno.EAGAIN))
    raise SyscallError(errno.EAGAIN)


def _words(task: Task, addr: int, count: int) -> tuple[int, ...]:
    return struct.unpack(f"<{count}Q", task.mm.copy_in(addr, 8 * count))


# ---- what was done ----


def _all_of(work: Callable[[int], int], length: int) -> int:
    """Go on until length bytes are done; an error counts only where nothing was."""
    done = 0
    try:
        while done < length:
            done += work(done)
    except SyscallError:
        if not done:
            raise
    return done


def _report(
    task: Task, context: UserfaultInode, at: int, where: tuple[int, int, int], work: Any
) -> int:
    """Do work, store how much of it was done at `at`, and wake who waited for it.

    where: start and length, in bytes, and the call's mode. Errors: work's, EAGAIN (not all of it).
    """
    start, length, mode = where
    _need_mm(context)
    try:
        done = _all_of(work, length)
    except SyscallError as error:
        task.mm.copy_out(at, WORD.pack(-error.number))
        raise
    task.mm.copy_out(at, WORD.pack(done))
    if not mode & MODE_DONTWAKE:
        context.wake_range(start, done)
    if done != length:
        raise SyscallError(errno.EAGAIN)
    return 0


# ---- the ioctls ----


def _api(task: Task, context: UserfaultInode, arg: int) -> int:
    api, features, _ = _words(task, arg, 3)
    try:
        _start(task, context, api, features)
    except SyscallError:
        task.mm.copy_out(arg, bytes(24))
        raise
    task.mm.copy_out(arg, struct.pack("<3Q", api, ALL_FEATURES, API_IOCTLS))
    return 0


def _start(task: Task, context: UserfaultInode, api: int, features: int) -> None:
    if api != UFFD_API:
        raise SyscallError(errno.EINVAL)
    if features & EVENT_FORK and not task.capable("CAP_SYS_PTRACE"):
        raise SyscallError(errno.EPERM)
    if features & ~ALL_FEATURES or context.features:
        raise SyscallError(errno.EINVAL)
    implied = WP_UNPOPULATED if features & WP_ASYNC else 0
    context.features = features | implied | INITIALIZED


def _register(task: Task, context: UserfaultInode, arg: int) -> int:
    start, length, mode = _words(task, arg, 3)
    if not mode or mode & ~sum(REGISTER_MODES):
        raise SyscallError(errno.EINVAL)
    _check_range(context, start, length)
    _need_mm(context)
    modes = sum(flag for bit, flag in REGISTER_MODES.items() if mode & bit)
    large = context.mm.call(lib.mm_uffd_register, context.handle, start, length, modes)
    ioctls = LARGE_IOCTLS if large else RANGE_IOCTLS
    ioctls &= ~(0 if mode & 2 else WRITEPROTECT)
    ioctls &= ~(0 if mode & 4 else CONTINUE)
    task.mm.copy_out(arg + 24, struct.pack("<Q", ioctls))
    return 0


def _unregister(task: Task, context: UserfaultInode, arg: int) -> int:
    start, length = _words(task, arg, 2)
    _check_range(context, start, length)
    _need_mm(context)
    context.mm.call(lib.mm_uffd_unregister, context.handle, start, length)
    context.wake_range(start, length)
    return 0


def _wake(task: Task, context: UserfaultInode, arg: int) -> int:
    start, length = _words(task, arg, 2)
    _check_range(context, start, length)
    context.wake_range(start, length)
    return 0


def _copy(task: Task, context: UserfaultInode, arg: int) -> int:
    _settled(task, context, arg + 32)
    dst, src, length, mode = _words(task, arg, 4)
    _check_unaligned(context, src, length)
    _check_range(context, dst, length)
    refuse_flags(mode, MODE_DONTWAKE | MODE_WP)
    mm, kind, wp = context.mm, lib.UFFD_COPY, mode & MODE_WP
    most = _most_at_once(task, context, dst, src, length)

    def work(done: int) -> int:
        if not done:
            mm.call(lib.mm_uffd_fill, kind, dst, length, wp, ffi.NULL)
        part = min(length - done, most)
        wanted = mm.call(lib.mm_uffd_fill, kind, dst + done, part, wp, ffi.NULL)
        data = _from_monitor(task, src + done, wanted, _unit(context, dst))
        return mm.call(lib.mm_uffd_fill, kind, dst + done, len(data), wp, data)

    return _report(task, context, arg + 32, (dst, length, mode), work)


def _most_at_once(task: Task, context: UserfaultInode, dst: int, src: int, length: int) -> int:
    """Tell how many bytes are read before they are stored: a page where reading brings pages.

    So it may where memory is shared, whoever reads it, and by whichever mapping.
    """
    unit, vma = _unit(context, dst), context.mm.vma_at(dst)
    shared = vma is not None and vma.flags & lib.VM_SHARED
    overlap = context.mm is task.mm and abs(dst - src) < length
    return unit if shared or overlap else max(CHUNK, unit)


def _unit(context: UserfaultInode, addr: int) -> int:
    vma = context.mm.vma_at(addr)
    return PAGE_SIZE if vma is None else vma.page_size


def _from_monitor(task: Task, addr: int, length: int, unit: int) -> bytes:
    """Return whole pages of the caller's memory, as many as there are. Errors: EFAULT."""
    data = task.mm.copy_in_part(addr, length)
    data = data[: len(data) // unit * unit]
    if not data:
        raise SyscallError(errno.EFAULT)
    return data


def _fill(
    task: Task, context: UserfaultInode, arg: int, kind: int, modes: int = MODE_DONTWAKE
) -> int:
    _settled(task, context, arg + 24)
    start, length, mode = _words(task, arg, 3)
    _check_range(context, start, length)
    refuse_flags(mode, modes)
    mm, wp = context.mm, mode & MODE_WP

    def work(done: int) -> int:
        left = length - done
        return mm.call(lib.mm_uffd_fill, kind, start + done, left, wp, ffi.NULL)

    return _report(task, context, arg + 24, (start, length, mode), work)


def _zeropage(task: Task, context: UserfaultInode, arg: int) -> int:
    return _fill(task, context, arg, lib.UFFD_ZEROPAGE)


def _continue(task: Task, context: UserfaultInode, arg: int) -> int:
    return _fill(task, context, arg, lib.UFFD_CONTINUE, MODE_DONTWAKE | MODE_WP)


def _poison(task: Task, context: UserfaultInode, arg: int) -> int:
    return _fill(task, context, arg, lib.UFFD_POISON)


def _move(task: Task, context: UserfaultInode, arg: int) -> int:
    _settled(task, context, arg + 32)
    dst, src, length, mode = _words(task, arg, 4)
    if context.mm is not task.mm:
        raise SyscallError(errno.EINVAL)
    _check_range(context, dst, length)
    _check_range(context, src, length)
    refuse_flags(mode, MODE_DONTWAKE | MODE_HOLES)

    def work(done: int) -> int:
        places = dst + done, src + done, length - done
        return context.mm.call(lib.mm_uffd_move, context.handle, *places, mode & MODE_HOLES)

    return _report(task, context, arg + 32, (dst, length, mode), work)


def _writeprotect(task: Task, context: UserfaultInode, arg: int) -> int:
    _settled(task, context, None)
    start, length, mode = _words(task, arg, 3)
    _check_range(context, start, length)
    refuse_flags(mode, WP_MODE_WP | WP_MODE_DONTWAKE)
    if mode == WP_MODE_WP | WP_MODE_DONTWAKE:
        raise SyscallError(errno.EINVAL)
    _need_mm(context)
    protect = lib.mm_uffd_protect if mode & WP_MODE_WP else lib.mm_uffd_unprotect
    context.mm.call(protect, start, length)
    if not mode:
        context.wake_range(start, length)
    return 0


IOCTLS: dict[int, Ioctl] = {
    0xC018AA3F: _api,
    0xC020AA00: _register,
    0x8010AA01: _unregister,
    0x8010AA02: _wake,
    0xC028AA03: _copy,
    0xC020AA04: _zeropage,
    0xC028AA05: _move,
    0xC018AA06: _writeprotect,
    0xC020AA07: _continue,
    0xC020AA08: _poison,
}
USERFAULTFD_IOC_NEW = 0xAA00


@ioctl_of(UserfaultInode)
def _context_ioctl(task: Task, file: File, request: int, arg: int) -> int:
    """Do one of UFFDIO_*. Errors: EINVAL (unknown, or before UFFDIO_API), and each one's own."""
    context = file.inode
    assert isinstance(context, UserfaultInode)
    call = IOCTLS.get(request)
    if call is None or (call is not _api and not context.features):
        raise SyscallError(errno.EINVAL)
    return call(task, context, arg)


@ioctl_of(UserfaultDevice)
def _device_ioctl(task: Task, file: File, request: int, arg: int) -> int:
    """Make a context, as userfaultfd does: the right to open the device is enough."""
    if request != USERFAULTFD_IOC_NEW:
        raise SyscallError(errno.EINVAL)
    return _new(task, arg & 0xFFFF_FFFF)
