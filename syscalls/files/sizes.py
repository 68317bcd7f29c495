"""How large a file is, and when its pages go to the backing store."""

from __future__ import annotations

import errno
import stat
import struct

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import suppress
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs import O_WRONLY, names
from pkern.kernel.vfs.fs.hugetlbfs import HugeInode
from pkern.kernel.vfs.inode import (
    IMMUTABLE,
    KEEP_SIZE,
    LAST_PAGE,
    MAY_WRITE,
    PAGE_SIZE,
    PUNCH_HOLE,
    ZERO_RANGE,
    Inode,
    MappedInode,
)
from pkern.syscalls.abi import INT_BITS
from pkern.syscalls.files.at import AT_FDCWD, changeable_at, signed64
from pkern.syscalls.files.read_write import refuse_size
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

COLLAPSE, INSERT, UNSHARE, WRITE_ZEROES = 8, 32, 64, 128
FALLOCATE_MODES = frozenset(
    {
        *(0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE, COLLAPSE, INSERT, WRITE_ZEROES),
        *(ZERO_RANGE, ZERO_RANGE | KEEP_SIZE, UNSHARE, UNSHARE | KEEP_SIZE),
    }
)
NOT_ALLOCATED = {"fifo": errno.ESPIPE, "dir": errno.EISDIR}  # by kind; others: ENODEV
MAX_OFFSET = (1 << 63) - 1
ADVICE = range(6)  # POSIX_FADV_NORMAL .. NOREUSE
FADV_WILLNEED, FADV_DONTNEED = 3, 4
MOST_AHEAD = 1 << 20  # bytes that one call brings
SYNC_RANGE_FLAGS = 7


def _need_size(task: Task, inode: Inode, size: int) -> None:
    """Refuse what RLIMIT_FSIZE does not let the file become. Errors: EFBIG."""
    if size > max(task.rlimits["fsize"][0], inode.size):
        refuse_size(task)


def _set_size(task: Task, inode: Inode, size: int) -> int:
    if inode.kind == "dir":
        raise SyscallError(errno.EISDIR)
    if signed64(size) < 0:
        raise SyscallError(errno.EINVAL)
    inode.need_shrinkable()
    _need_size(task, inode, size)
    names.truncate(task, inode, size)
    return 0


@syscall(76, "truncate", PATH, INT)
def truncate(task: Task, path: str, size: int) -> int:
    """Set a file's size in bytes; pages beyond it go, also where they are mapped.

    A special VMA alone keeps showing those that it has (docs/nonlinear.md).
    Errors: EACCES, EISDIR, EINVAL, ENOENT, EFBIG, EPERM (sealed). Source: truncate(2).
    """
    if signed64(size) < 0:
        raise SyscallError(errno.EINVAL)
    inode = changeable_at(task, AT_FDCWD, path)
    if inode.kind not in ("dir", "file"):
        raise SyscallError(errno.EINVAL)
    if inode.kind == "file":
        inode.open_check(task, MAY_WRITE)
        inode.need_shrinkable()
        inode.need_not_running()
        if task.kernel.vfs.leased:
            task.kernel.vfs.leases.give_way(inode, MAY_WRITE, O_WRONLY)
    return _set_size(task, inode, size)


@syscall(77, "ftruncate", SINT, INT)
def ftruncate(task: Task, fd: int, size: int) -> int:
    """Set an open file's size in bytes; what becomes of its pages: as of truncate.

    Errors: EINVAL (negative, or not open for writing), EBADF, EPERM (sealed). Source: ftruncate(2).
    """
    if signed64(size) < 0:
        raise SyscallError(errno.EINVAL)
    file = task.fds.get(fd)
    if not file.access & MAY_WRITE or not stat.S_ISREG(file.inode.type_bits):
        raise SyscallError(errno.EINVAL)
    return _set_size(task, file.seen(), size)


@syscall(285, "fallocate", SINT, SINT, INT, INT, partly="no COLLAPSE_RANGE, INSERT_RANGE")
def fallocate(task: Task, fd: int, mode: int, offset: int, length: int) -> int:
    """Allocate, punch or zero [offset, offset+length) bytes of a file.

    Errors: EBADF, EINVAL, EOPNOTSUPP, ENODEV, EFBIG, ENOSPC, EPERM (sealed).
    Source: fallocate(2).
    """
    offset, length = signed64(offset), signed64(length)
    file = task.fds.get(fd)
    if offset < 0 or length <= 0:
        raise SyscallError(errno.EINVAL)
    if mode not in FALLOCATE_MODES:
        raise SyscallError(errno.EOPNOTSUPP)
    file.need(MAY_WRITE)
    inode = file.inode
    if mode & ~KEEP_SIZE or inode.file_flags & IMMUTABLE:
        inode.need_mutable()
    if not stat.S_ISREG(inode.st_mode):
        raise SyscallError(NOT_ALLOCATED.get(inode.kind, errno.ENODEV))
    if offset + length > MAX_OFFSET:
        raise SyscallError(errno.EFBIG)
    if not isinstance(inode, MappedInode) or mode not in inode.fallocate_modes:
        raise SyscallError(errno.EOPNOTSUPP)
    in_memory = inode.mapping_flags != lib.MAPPING_WRITEBACK  # which heeds KEEP_SIZE for the limit
    if not mode & (PUNCH_HOLE if in_memory else PUNCH_HOLE | KEEP_SIZE):
        _need_size(task, inode, offset + length)
    with task.kernel.memory.on_behalf_of(task):
        _fallocate(inode, mode, offset, offset + length)
    names.drop_privileges(task, inode)
    inode.modified()
    names.told_of(file.seen(), names.IN_MODIFY)
    return 0


def _fallocate(inode: MappedInode, mode: int, start: int, end: int) -> None:
    if mode & (PUNCH_HOLE | ZERO_RANGE):
        inode.punch(start, end)
    if not mode & PUNCH_HOLE:
        inode.allocate(start, end - start)
        if not mode & KEEP_SIZE:
            inode.extend(end)


def _write_back(task: Task, fd: int) -> int:
    file = task.fds.get(fd)
    if not file.inode.can_sync:
        raise SyscallError(errno.EINVAL)
    file.sync(0, LAST_PAGE)
    return 0


@syscall(74, "fsync", SINT)
def fsync(task: Task, fd: int) -> int:
    """Write an open file's dirty pages to its backing store.

    Errors: EBADF, EINVAL (a pipe, a socket, a file of /proc). Source: fsync(2).
    """
    return _write_back(task, fd)


@syscall(75, "fdatasync", SINT)
def fdatasync(task: Task, fd: int) -> int:
    """Write an open file's dirty pages, as fsync. Errors: as fsync. Source: fdatasync(2)."""
    return _write_back(task, fd)


@syscall(162, "sync")
def sync(task: Task) -> int:
    """Write every dirty page back. Source: sync(2)."""
    task.kernel.vfs.sync()
    return 0


@syscall(306, "syncfs", SINT)
def syncfs(task: Task, fd: int) -> int:
    """Write the dirty pages of an open file's file system.

    Errors: EBADF, EIO (since Linux 5.8). Source: syncfs(2).
    """
    file = task.fds.get(fd)
    for inode in list(task.kernel.vfs.inodes.values()):
        if inode.dev == file.inode.dev:
            inode.writeback(0, LAST_PAGE)
    file.tell_fs_error()
    return 0


@syscall(277, "sync_file_range", SINT, INT, INT, SINT)
def sync_file_range(task: Task, fd: int, offset: int, nbytes: int, flags: int) -> int:
    """Write dirty pages of [offset, offset+nbytes) bytes; nbytes 0: to the end.

    Errors: EBADF, EINVAL, ESPIPE, EIO. Source: sync_file_range(2).
    """
    file = task.fds.get(fd)
    offset, nbytes = signed64(offset), signed64(nbytes)
    if flags & ~SYNC_RANGE_FLAGS or offset < 0 or nbytes < 0 or offset + nbytes > MAX_OFFSET:
        raise SyscallError(errno.EINVAL)
    if file.inode.kind != "dir" and not stat.S_ISREG(file.inode.st_mode):
        raise SyscallError(errno.ESPIPE)
    if not file.inode.can_sync:
        return 0
    last = (offset + nbytes - 1) // PAGE_SIZE if nbytes else LAST_PAGE
    file.sync(offset // PAGE_SIZE, last)
    return 0


@syscall(
    451,
    "cachestat",
    SINT,
    INT,
    INT,
    INT,
    partly="what was evicted is known of pages in swap only; a page is never in writeback",
)
def cachestat(task: Task, fd: int, cstat_range: int, cstat: int, flags: int) -> int:
    """Store how many pages of a byte range (struct cachestat_range) are cached and dirty.

    Errors: EBADF, EFAULT, EOPNOTSUPP (large pages), EPERM (who may not write to it), EINVAL.
    Source: cachestat of Linux 6.18, mm/filemap.c.
    """
    file = task.fds.get(fd)
    inode = file.inode
    offset, length = struct.unpack("<QQ", task.mm.copy_in(cstat_range, 16))
    if isinstance(inode, HugeInode):
        raise SyscallError(errno.EOPNOTSUPP)
    if not (file.access & MAY_WRITE or inode.permits(task, MAY_WRITE)):
        inode.need_owner(task)
    if flags & INT_BITS:
        raise SyscallError(errno.EINVAL)
    counts = ffi.new("struct cachestat *")
    if isinstance(inode, MappedInode):
        end = (offset + length - 1) % (1 << 64) if length else MAX_OFFSET
        lib.mapping_cachestat(inode.mapping, offset // PAGE_SIZE, end // PAGE_SIZE, counts)
    task.mm.copy_out(cstat, bytes(ffi.buffer(counts)))
    return 0


@syscall(221, "fadvise64", SINT, INT, INT, SINT)
def fadvise64(task: Task, fd: int, offset: int, nbytes: int, advice: int) -> int:
    """Take advice on how a file will be read: WILLNEED brings it, DONTNEED lets clean pages go.

    Errors: EBADF, ESPIPE, EINVAL. Source: posix_fadvise(2); generic_fadvise() of Linux 6.x.
    """
    file = task.fds.get(fd)
    if file.inode.kind == "fifo":
        raise SyscallError(errno.ESPIPE)
    if signed64(nbytes) < 0 or advice not in ADVICE:
        raise SyscallError(errno.EINVAL)
    if signed64(offset) < 0:
        return 0  # before the file's beginning lies nothing
    end = min(offset + nbytes, MAX_OFFSET) if nbytes else MAX_OFFSET
    if advice == FADV_WILLNEED:
        _bring(file.inode, offset, end - offset)
    elif advice == FADV_DONTNEED:
        whole = end // PAGE_SIZE if end != file.inode.size else LAST_PAGE + 1
        file.inode.drop_clean(-(-offset // PAGE_SIZE), whole - 1)
    return 0


def _bring(inode: Inode, offset: int, nbytes: int) -> None:
    """Have bytes of a file in the cache. A page that cannot be read is left for who needs it."""
    if not isinstance(inode, MappedInode):
        return
    with suppress(SyscallError):
        inode.peek(offset, min(nbytes, MOST_AHEAD))


@syscall(187, "readahead", SINT, INT, INT)
def readahead(task: Task, fd: int, offset: int, nbytes: int) -> int:
    """Bring a file's pages into the cache. Errors: EBADF, EINVAL. Source: readahead(2)."""
    file = task.fds.get(fd)
    if not file.access & 4:
        raise SyscallError(errno.EBADF)
    if not stat.S_ISREG(file.inode.st_mode) or signed64(nbytes) < 0:
        raise SyscallError(errno.EINVAL)
    if signed64(offset) >= 0:  # before the file's beginning lies nothing to bring
        _bring(file.inode, offset, nbytes)
    return 0
