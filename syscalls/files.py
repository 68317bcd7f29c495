"""File calls: descriptors and names here, content in the core."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from kernel.core import ffi, lib
from kernel.errors import SyscallError
from kernel.signals import SI_USER, SigInfo, Signal, send
from kernel.vfs.file import CLOEXEC, NO_CLOEXEC, O_APPEND, O_NONBLOCK, File
from kernel.vfs.inode import (
    ALL_SEALS,
    F_SEAL_SEAL,
    F_SEAL_WRITE,
    LAST_PAGE,
    MAY_READ,
    MAY_WRITE,
    PAGE_SIZE,
    Inode,
    MappedInode,
)
from kernel.vfs.pipe import make_pipe
from kernel.wait import WouldBlock
from syscalls.table import IN, INT, OUT, PATH, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

O_CLOEXEC = 0o2000000
O_CREAT_WRONLY_TRUNC = 0o1101
AT_FDCWD, AT_REMOVEDIR, AT_EMPTY_PATH = -100, 0x200, 0x1000
SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE = range(5)
F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
SETTABLE_FLAGS = O_APPEND | O_NONBLOCK
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
MAX_OFFSET = (1 << 63) - 1
IOV_MAX = 1024
MFD_CLOEXEC, MFD_ALLOW_SEALING = 1, 2
MFD_NAME_MAX = 249
DT = {"file": 8, "dir": 4, "chr": 2, "fifo": 1}


def signed64(value: int) -> int:
    """Return a register as a signed 64-bit number."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


@dataclass(frozen=True, slots=True)
class Stat:
    """struct stat; sizes in bytes, st_blocks in 512-byte units, times are boot time."""

    st_dev: int
    st_ino: int
    st_nlink: int
    st_mode: int
    st_uid: int
    st_gid: int
    st_rdev: int
    st_size: int
    st_blksize: int
    st_blocks: int

    def pack(self) -> bytes:
        """Return the 144 bytes of x86-64's struct stat."""
        dev, ino, nlink, mode, uid, gid, rdev, size, blksize, blocks = astuple(self)
        numbers = (dev, ino, nlink, mode, uid, gid, 0, rdev, size, blksize, blocks)
        return struct.pack("<3Q4IQ3q", *numbers).ljust(144, b"\0")


def _stat(inode: Inode) -> Stat:
    pages = int(lib.mapping_nr_pages(inode.mapping)) if inode.mapping is not None else 0
    return Stat(
        1,
        inode.ino,
        inode.nlink,
        inode.st_mode,
        inode.uid,
        inode.gid,
        0,
        inode.size,
        PAGE_SIZE,
        pages * (PAGE_SIZE // 512),
    )


# ---- open and close ----


def _install(task: Task, file: File, flags: int) -> int:
    try:
        return task.fds.install(file, 0, CLOEXEC if flags & O_CLOEXEC else NO_CLOEXEC)
    except SyscallError:
        file.descriptors = 1
        file.put()
        raise


@syscall(2, "open", PATH, INT, INT)
def open_file(task: Task, path: str, flags: int = 0, mode: int = 0o666) -> int:
    """Open a path and return the lowest free descriptor.

    Errors: ENOENT, EACCES, EEXIST, EISDIR, ENOTDIR, EMFILE, EROFS, EINVAL. Source: open(2).
    """
    return _install(task, task.kernel.vfs.open(task, path, flags, mode), flags)


def _at(task: Task, dirfd: int, path: str) -> str:
    """Return path as seen from dirfd. Errors: EBADF, ENOTDIR."""
    if dirfd == AT_FDCWD or path.startswith("/"):
        return path
    directory = task.fds.get(dirfd)
    if directory.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    return f"{directory.path}/{path}" if path else directory.path


@syscall(257, "openat", SINT, PATH, INT, INT)
def openat(task: Task, dirfd: int, path: str, flags: int = 0, mode: int = 0o666) -> int:
    """Open a path relative to a directory's descriptor. Errors: as open. Source: openat(2)."""
    return open_file(task, _at(task, dirfd, path), flags, mode)


@syscall(85, "creat", PATH, INT)
def creat(task: Task, path: str, mode: int = 0o666) -> int:
    """Create or empty a file and open it for writing. Errors: as open. Source: creat(2)."""
    return open_file(task, path, O_CREAT_WRONLY_TRUNC, mode)


@syscall(3, "close", SINT)
def close(task: Task, fd: int) -> int:
    """Close a descriptor; mappings of the file stay. Errors: EBADF. Source: close(2)."""
    task.fds.close(fd)
    return 0


# ---- read and write ----


@syscall(0, "read", SINT, OUT)
def read(task: Task, fd: int, count: int) -> bytes:
    """Return up to count bytes at the file's position, and move it.

    Errors: EBADF, EISDIR, EAGAIN (a pipe with nothing in it). Source: read(2).
    """
    file = task.fds.get(fd)
    file.need(MAY_READ)
    try:
        data = file.inode.read(file.pos, count)
    except WouldBlock:
        _check_patience(file)
        raise
    file.pos += len(data)
    return data


def _check_patience(file: File) -> None:
    """Refuse to sleep for a file that was opened with O_NONBLOCK. Errors: EAGAIN."""
    if file.flags & O_NONBLOCK:
        raise SyscallError(errno.EAGAIN) from None


@syscall(1, "write", SINT, IN)
def write(task: Task, fd: int, data: bytes) -> int:
    """Write data at the file's position, or at the end with O_APPEND; return how much.

    Errors: EBADF, EPERM (sealed), EFBIG, ENOSPC, EPIPE, EINVAL. Source: write(2).
    """
    file = task.fds.get(fd)
    file.need(MAY_WRITE)
    if file.flags & O_APPEND:
        file.pos = file.inode.size
    if file.inode.kind == "fifo":
        return _write_all(task, file, data)
    written = _write_at(task, file, file.pos, data)
    file.pos += written
    return written


def _write_all(task: Task, file: File, data: bytes) -> int:
    """Write to a pipe, sleeping while it is full; a pipe that no one reads is SIGPIPE."""
    done: int = task.thread.progress or 0
    try:
        while True:
            done += file.inode.write(0, data[done:], task)
            if done == len(data):
                return done
    except WouldBlock as wait:
        if task.context is None or file.flags & O_NONBLOCK:
            if done:
                return done
            raise SyscallError(errno.EAGAIN) from None
        task.thread.progress, wait.partial = done, done
        raise
    except SyscallError as error:
        if error.errno == errno.EPIPE:
            send(task, SigInfo(Signal.SIGPIPE, SI_USER, si_pid=task.pid, si_uid=task.uid))
            if done:
                return done
        raise


def _write_at(task: Task, file: File, pos: int, data: bytes) -> int:
    limit = task.rlimits["fsize"][0]
    if data and isinstance(file.inode, MappedInode) and pos + len(data) > limit:
        if pos >= limit:
            raise SyscallError(errno.EFBIG)
        data = data[: limit - pos]
    return file.inode.write(pos, data, task)


def _offset(value: int) -> int:
    if signed64(value) < 0:
        raise SyscallError(errno.EINVAL)
    return value


def _seekable(file: File) -> File:
    if file.inode.kind == "fifo":
        raise SyscallError(errno.ESPIPE)
    return file


@syscall(17, "pread64", SINT, OUT, INT)
def pread64(task: Task, fd: int, count: int, pos: int) -> bytes:
    """Return up to count bytes at pos; the file's position stays.

    Errors: EBADF, EINVAL (negative), ESPIPE. Source: pread(2).
    """
    pos = _offset(pos)
    file = _seekable(task.fds.get(fd))
    file.need(MAY_READ)
    return file.inode.read(pos, count)


@syscall(18, "pwrite64", SINT, IN, INT)
def pwrite64(task: Task, fd: int, data: bytes, pos: int) -> int:
    """Write data at pos; the file's position stays. Errors: as pread64. Source: pwrite(2)."""
    pos = _offset(pos)
    file = _seekable(task.fds.get(fd))
    file.need(MAY_WRITE)
    return _write_at(task, file, pos, data)


def vectors(task: Task, addr: int, count: int) -> list[tuple[int, int]]:
    """Return (address, length) of each struct iovec. Errors: EINVAL, EFAULT."""
    if not 0 <= count <= IOV_MAX:
        raise SyscallError(errno.EINVAL)
    return list(struct.iter_unpack("<QQ", task.mm.copy_in(addr, 16 * count)))


@syscall(19, "readv", SINT, INT, SINT)
def readv(task: Task, fd: int, addr: int, count: int) -> int:
    """Read into count buffers that the iovecs at addr name; return how many bytes.

    Errors: as read, EINVAL, EFAULT. Source: readv(2).
    """
    places = vectors(task, addr, count)
    for base, length in places:
        task.mm.check_user(base, length)
    data = read(task, fd, sum(length for _, length in places))
    done = 0
    for base, length in places:
        task.mm.copy_out(base, data[done : done + length])
        done += length
    return len(data)


@syscall(20, "writev", SINT, INT, SINT)
def writev(task: Task, fd: int, addr: int, count: int) -> int:
    """Write the buffers that count iovecs at addr name, as one; return how many bytes.

    Errors: as write, EINVAL, EFAULT. Source: writev(2).
    """
    parts = [task.mm.copy_in(base, length) for base, length in vectors(task, addr, count)]
    return write(task, fd, b"".join(parts))


@syscall(8, "lseek", SINT, INT, INT)
def lseek(task: Task, fd: int, offset: int, whence: int = SEEK_SET) -> int:
    """Move the file's position and return it (bytes).

    Errors: EBADF, ESPIPE, EINVAL, ENXIO (SEEK_DATA, SEEK_HOLE beyond the end). Source: lseek(2).
    """
    file = _seekable(task.fds.get(fd))
    offset = signed64(offset)
    if whence in (SEEK_DATA, SEEK_HOLE):
        pos = _seek_data(file, offset, whence)
    else:
        base = {SEEK_SET: 0, SEEK_CUR: file.pos, SEEK_END: file.inode.size}.get(whence)
        if base is None:
            raise SyscallError(errno.EINVAL)
        pos = base + offset
    if not 0 <= pos <= MAX_OFFSET:
        raise SyscallError(errno.EINVAL)
    file.pos = pos
    return pos


def _seek_data(file: File, offset: int, whence: int) -> int:
    inode = file.inode
    if not isinstance(inode, MappedInode) or not 0 <= offset < inode.size:
        raise SyscallError(errno.ENXIO)
    pos = inode.next_data(offset) if whence == SEEK_DATA else inode.next_hole(offset)
    if pos is None:
        raise SyscallError(errno.ENXIO)
    return pos


# ---- what a file is ----


def stat(task: Task, path: str) -> Stat:
    """Return what a path names. Errors: ENOENT, ENOTDIR, EACCES. Source: stat(2)."""
    return _stat(task.kernel.vfs.resolve(task, path))


def fstat(task: Task, fd: int) -> Stat:
    """Return what a descriptor names. Errors: EBADF. Source: fstat(2)."""
    return _stat(task.fds.get(fd).inode)


@syscall(4, "stat", PATH, STRUCT, partly="times are 0")
def stat_raw(task: Task, path: str) -> bytes:
    """Store struct stat of a path. Errors: as stat, EFAULT. Source: stat(2)."""
    return stat(task, path).pack()


@syscall(6, "lstat", PATH, STRUCT, partly="as stat: there are no symbolic links")
def lstat_raw(task: Task, path: str) -> bytes:
    """Store struct stat of a path. Errors: as stat, EFAULT. Source: lstat(2)."""
    return stat(task, path).pack()


@syscall(5, "fstat", SINT, STRUCT, partly="times are 0")
def fstat_raw(task: Task, fd: int) -> bytes:
    """Store struct stat of a descriptor. Errors: EBADF, EFAULT. Source: fstat(2)."""
    return fstat(task, fd).pack()


@syscall(262, "newfstatat", SINT, PATH, STRUCT, INT, partly="times are 0")
def newfstatat(task: Task, dirfd: int, path: str, flags: int = 0) -> bytes:
    """Store struct stat of a path below dirfd. Errors: as stat. Source: fstatat(2)."""
    if not path and flags & AT_EMPTY_PATH:
        return fstat(task, dirfd).pack()
    return stat(task, _at(task, dirfd, path)).pack()


@syscall(21, "access", PATH, INT)
def access(task: Task, path: str, mode: int = 0) -> int:
    """Tell whether the task may do mode (R_OK 4, W_OK 2, X_OK 1) to a path.

    Errors: EACCES, ENOENT, EINVAL. Source: access(2).
    """
    if mode & ~7:
        raise SyscallError(errno.EINVAL)
    inode = task.kernel.vfs.resolve(task, path)
    if mode:
        inode.open_check(task, mode)
    return 0


@syscall(90, "chmod", PATH, INT)
def chmod(task: Task, path: str, mode: int) -> int:
    """Set a file's permission bits. Errors: EPERM, ENOENT. Source: chmod(2)."""
    inode = task.kernel.vfs.resolve(task, path)
    if task.uid != inode.uid and not task.capable("CAP_FOWNER"):
        raise SyscallError(errno.EPERM)
    inode.mode = mode & 0o7777
    return 0


@syscall(95, "umask", INT)
def umask(task: Task, mask: int) -> int:
    """Set the file mode creation mask and return the old one. Source: umask(2)."""
    old, task.umask = task.umask, mask & 0o777
    return old


# ---- descriptors ----


@syscall(32, "dup", SINT)
def dup(task: Task, fd: int) -> int:
    """Return another descriptor of the same open file. Errors: EBADF, EMFILE. Source: dup(2)."""
    return task.fds.install(task.fds.get(fd))


def _dup_to(task: Task, old: int, new: int, cloexec: int) -> int:
    file = task.fds.get(old)
    if not 0 <= new < task.rlimits["nofile"][0]:
        raise SyscallError(errno.EBADF)
    task.fds.put_at(new, file, cloexec)
    return new


@syscall(33, "dup2", SINT, SINT)
def dup2(task: Task, old: int, new: int) -> int:
    """Make new a descriptor of old's open file. Errors: EBADF. Source: dup2(2)."""
    if old == new:
        task.fds.get(old)
        return new
    return _dup_to(task, old, new, NO_CLOEXEC)


@syscall(292, "dup3", SINT, SINT, INT)
def dup3(task: Task, old: int, new: int, flags: int = 0) -> int:
    """As dup2, with O_CLOEXEC. Errors: EBADF, EINVAL (old == new). Source: dup3(2)."""
    if old == new or flags & ~O_CLOEXEC:
        raise SyscallError(errno.EINVAL)
    return _dup_to(task, old, new, CLOEXEC if flags else NO_CLOEXEC)


def _dupfd(task: Task, fd: int, lowest: int, cloexec: int) -> int:
    file = task.fds.get(fd)
    if not 0 <= lowest < task.rlimits["nofile"][0]:
        raise SyscallError(errno.EINVAL)
    return task.fds.install(file, lowest, cloexec)


def _setfd(task: Task, fd: int, arg: int) -> int:
    task.fds.get(fd)
    change = task.fds.cloexec.add if arg & 1 else task.fds.cloexec.discard
    change(fd)
    return 0


def _setfl(task: Task, fd: int, arg: int) -> int:
    file = task.fds.get(fd)
    file.flags = (file.flags & ~SETTABLE_FLAGS) | (arg & SETTABLE_FLAGS)
    return 0


def _sealable(file: File) -> MappedInode:
    if not isinstance(file.inode, MappedInode) or not file.path.startswith("/memfd:"):
        raise SyscallError(errno.EINVAL)
    return file.inode


def _add_seals(task: Task, fd: int, seals: int) -> int:
    file = task.fds.get(fd)
    inode = _sealable(file)
    if not file.access & MAY_WRITE or inode.seals & F_SEAL_SEAL:
        raise SyscallError(errno.EPERM)
    if seals & ~ALL_SEALS:
        raise SyscallError(errno.EINVAL)
    mapping = inode.mapping
    if seals & F_SEAL_WRITE and (
        lib.mapping_nr_writable(mapping) or lib.mapping_nr_pinned(mapping)
    ):
        raise SyscallError(errno.EBUSY)
    inode.seals |= seals
    for other, _ in task.kernel.vfs.files.values():
        if other.inode is inode and other.handle != ffi.NULL:
            lib.file_set_mode(other.handle, other.core_mode() | _sealed_bit(inode))
    return 0


def _sealed_bit(inode: MappedInode) -> int:
    return int(lib.FILE_SEALED) if inode.seals & (F_SEAL_WRITE | 16) else 0


FCNTL: dict[int, Callable[[Any, int, int], int]] = {
    F_DUPFD: lambda task, fd, arg: _dupfd(task, fd, arg, NO_CLOEXEC),
    F_DUPFD_CLOEXEC: lambda task, fd, arg: _dupfd(task, fd, arg, CLOEXEC),
    F_GETFD: lambda task, fd, arg: int(fd in task.fds.cloexec),
    F_SETFD: _setfd,
    F_GETFL: lambda task, fd, arg: int(task.fds.get(fd).flags & ~0o1300),
    F_SETFL: _setfl,
    F_ADD_SEALS: _add_seals,
    F_GET_SEALS: lambda task, fd, arg: _sealable(task.fds.get(fd)).seals,
}


@syscall(72, "fcntl", SINT, INT, INT, partly="descriptors, status flags and seals; no locks")
def fcntl(task: Task, fd: int, command: int, arg: int = 0) -> int:
    """Read or change a descriptor. Errors: EBADF, EINVAL, EPERM, EBUSY (seals).

    Source: fcntl(2).
    """
    task.fds.get(fd)
    if command not in FCNTL:
        raise SyscallError(errno.EINVAL)
    return FCNTL[command](task, fd, arg)


# ---- sizes ----


def _set_size(task: Task, inode: Inode, size: int) -> int:
    if inode.kind == "dir":
        raise SyscallError(errno.EISDIR)
    if signed64(size) < 0:
        raise SyscallError(errno.EINVAL)
    if size > task.rlimits["fsize"][0]:
        raise SyscallError(errno.EFBIG)
    inode.truncate(size)
    return 0


@syscall(76, "truncate", PATH, INT)
def truncate(task: Task, path: str, size: int) -> int:
    """Set a file's size in bytes; pages beyond it go, also where they are mapped.

    Errors: EACCES, EISDIR, EINVAL, ENOENT, EFBIG, EPERM (sealed). Source: truncate(2).
    """
    inode = task.kernel.vfs.resolve(task, path)
    if inode.kind != "dir":
        inode.open_check(task, MAY_WRITE)
    return _set_size(task, inode, size)


@syscall(77, "ftruncate", SINT, INT)
def ftruncate(task: Task, fd: int, size: int) -> int:
    """Set an open file's size in bytes.

    Errors: EINVAL (negative, or not open for writing), EBADF, EPERM (sealed). Source: ftruncate(2).
    """
    if signed64(size) < 0:
        raise SyscallError(errno.EINVAL)
    file = task.fds.get(fd)
    if not file.access & MAY_WRITE or not isinstance(file.inode, MappedInode):
        raise SyscallError(errno.EINVAL)
    return _set_size(task, file.inode, size)


@syscall(285, "fallocate", SINT, INT, INT, INT, partly="no COLLAPSE_RANGE, INSERT_RANGE")
def fallocate(task: Task, fd: int, mode: int, offset: int, length: int) -> int:
    """Allocate, punch or zero [offset, offset+length) bytes of a file.

    Errors: EBADF, EINVAL, EOPNOTSUPP, ENODEV, EFBIG, ENOSPC, EPERM (sealed).
    Source: fallocate(2).
    """
    offset, length = signed64(offset), signed64(length)
    file = task.fds.get(fd)
    if offset < 0 or length <= 0:
        raise SyscallError(errno.EINVAL)
    if mode & ~(KEEP_SIZE | PUNCH_HOLE | ZERO_RANGE):
        raise SyscallError(errno.EOPNOTSUPP)
    if mode & PUNCH_HOLE and mode != PUNCH_HOLE | KEEP_SIZE:
        raise SyscallError(errno.EOPNOTSUPP)
    file.need(MAY_WRITE)
    if offset + length > MAX_OFFSET:
        raise SyscallError(errno.EFBIG)
    inode = file.inode
    if not isinstance(inode, MappedInode):
        raise SyscallError(errno.ESPIPE if inode.kind == "fifo" else errno.ENODEV)
    if mode & (PUNCH_HOLE | ZERO_RANGE):
        inode.punch(offset, offset + length)
    if not mode & PUNCH_HOLE:
        inode.allocate(offset, length)
        if not mode & KEEP_SIZE:
            inode.extend(offset + length)
    return 0


def _write_back(task: Task, fd: int) -> int:
    task.fds.get(fd).inode.writeback(0, LAST_PAGE)
    return 0


@syscall(74, "fsync", SINT)
def fsync(task: Task, fd: int) -> int:
    """Write an open file's dirty pages to its backing store. Errors: EBADF. Source: fsync(2)."""
    return _write_back(task, fd)


@syscall(75, "fdatasync", SINT)
def fdatasync(task: Task, fd: int) -> int:
    """Write an open file's dirty pages, as fsync. Errors: EBADF. Source: fdatasync(2)."""
    return _write_back(task, fd)


@syscall(162, "sync")
def sync(task: Task) -> int:
    """Write every dirty page back. Source: sync(2)."""
    task.kernel.vfs.sync()
    return 0


# ---- names ----


@syscall(87, "unlink", PATH)
def unlink(task: Task, path: str) -> int:
    """Remove a name; the file lives while it is open or mapped.

    Errors: ENOENT, EISDIR, EACCES, EPERM, EROFS. Source: unlink(2).
    """
    task.kernel.vfs.unlink(task, path)
    return 0


@syscall(263, "unlinkat", SINT, PATH, INT)
def unlinkat(task: Task, dirfd: int, path: str, flags: int = 0) -> int:
    """Remove a name, or a directory with AT_REMOVEDIR. Errors: as unlink. Source: unlinkat(2)."""
    remove = rmdir if flags & AT_REMOVEDIR else unlink
    return remove(task, _at(task, dirfd, path))


@syscall(82, "rename", PATH, PATH)
def rename(task: Task, old: str, new: str) -> int:
    """Move a name, replacing what stood there.

    Errors: ENOENT, EXDEV, EISDIR, ENOTDIR, ENOTEMPTY, EACCES. Source: rename(2).
    """
    task.kernel.vfs.rename(task, old, new)
    return 0


@syscall(264, "renameat", SINT, PATH, SINT, PATH)
def renameat(task: Task, old_dirfd: int, old: str, new_dirfd: int, new: str) -> int:
    """Move a name, each seen from a directory's descriptor. Errors: as rename.

    Source: renameat(2).
    """
    return rename(task, _at(task, old_dirfd, old), _at(task, new_dirfd, new))


@syscall(83, "mkdir", PATH, INT)
def mkdir(task: Task, path: str, mode: int = 0o777) -> int:
    """Make a directory. Errors: EEXIST, ENOENT, EACCES, EROFS. Source: mkdir(2)."""
    task.kernel.vfs.mkdir(task, path, mode)
    return 0


@syscall(84, "rmdir", PATH)
def rmdir(task: Task, path: str) -> int:
    """Remove an empty directory. Errors: ENOTEMPTY, ENOTDIR, EBUSY, EACCES. Source: rmdir(2)."""
    task.kernel.vfs.rmdir(task, path)
    return 0


def _entries(task: Task, fd: int) -> list[tuple[str, Inode]]:
    file = task.fds.get(fd)
    if file.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    here = [(".", file.inode), ("..", file.inode)]
    return here + [(name, file.inode.lookup(name, task)) for name in file.inode.names(task)]


def listdir(task: Task, path: str) -> list[str]:
    """Return a directory's names in order, without . and .. Errors: ENOENT, ENOTDIR, EACCES."""
    return task.kernel.vfs.listdir(task, path)


def _dirent(name: str, inode: Inode, position: int) -> bytes:
    raw = name.encode("utf-8", "surrogateescape") + b"\0"
    length = (19 + len(raw) + 7) & ~7
    head = struct.pack("<QqHB", inode.ino, position, length, DT.get(inode.kind, 0))
    return (head + raw).ljust(length, b"\0")


@syscall(217, "getdents64", SINT, OUT)
def getdents64(task: Task, fd: int, count: int) -> bytes:
    """Return directory entries (struct linux_dirent64) from the file's position, moving it.

    Errors: EBADF, ENOTDIR, EINVAL (count too small for one). Source: getdents64(2).
    """
    entries = _entries(task, fd)
    file = task.fds.get(fd)
    packed = b""
    for position, (name, inode) in enumerate(entries[file.pos :], file.pos + 1):
        entry = _dirent(name, inode, position)
        if len(packed) + len(entry) > count:
            if not packed:
                raise SyscallError(errno.EINVAL)
            break
        packed += entry
        file.pos = position
    return packed


@syscall(80, "chdir", PATH)
def chdir(task: Task, path: str) -> int:
    """Change the working directory. Errors: ENOENT, ENOTDIR, EACCES. Source: chdir(2)."""
    inode = task.kernel.vfs.resolve(task, path)
    if inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    inode.open_check(task, 1)
    task.cwd = task.kernel.vfs.absolute(task, path)
    return 0


def getcwd(task: Task) -> str:
    """Return the working directory. Source: getcwd(2)."""
    return task.cwd


@syscall(79, "getcwd", OUT)
def getcwd_raw(task: Task, count: int) -> bytes:
    """Store the working directory with its NUL. Errors: ERANGE, EFAULT. Source: getcwd(2)."""
    raw = task.cwd.encode("utf-8", "surrogateescape") + b"\0"
    if len(raw) > count:
        raise SyscallError(errno.ERANGE)
    return raw


# ---- pipes and memfd ----


def pipe2(task: Task, flags: int = 0) -> tuple[int, int]:
    """Return the reading and the writing descriptor of a new pipe.

    Errors: EMFILE, EINVAL. Source: pipe2(2).
    """
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        raise SyscallError(errno.EINVAL)
    reader, writer = make_pipe(task.kernel, task, flags & O_NONBLOCK)
    first = _install(task, reader, flags)
    try:
        return first, _install(task, writer, flags)
    except SyscallError:
        task.fds.close(first)
        raise


def pipe(task: Task) -> tuple[int, int]:
    """Return the two ends of a new pipe. Errors: EMFILE. Source: pipe(2)."""
    return pipe2(task)


@syscall(22, "pipe", STRUCT, partly="EAGAIN where a Python program would sleep")
def pipe_raw(task: Task) -> bytes:
    """Store two descriptors. Errors: EMFILE, EFAULT. Source: pipe(2)."""
    return struct.pack("<ii", *pipe2(task))


@syscall(293, "pipe2", STRUCT, INT, partly="EAGAIN where a Python program would sleep")
def pipe2_raw(task: Task, flags: int) -> bytes:
    """Store two descriptors. Errors: EMFILE, EFAULT, EINVAL. Source: pipe2(2)."""
    return struct.pack("<ii", *pipe2(task, flags))


@syscall(319, "memfd_create", PATH, INT)
def memfd_create(task: Task, name: str, flags: int = 0) -> int:
    """Return a descriptor of a new file without a name, in memory.

    Errors: EINVAL (flags, name over 249 bytes), EMFILE, ENOMEM. Source: memfd_create(2).
    """
    if flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING) or len(name.encode()) > MFD_NAME_MAX:
        raise SyscallError(errno.EINVAL)
    file = task.kernel.vfs.memfd(task, name, flags)
    return _install(task, file, O_CLOEXEC if flags & MFD_CLOEXEC else 0)


# Calls whose Python form takes and returns Python values instead of addresses.
PYTHON_FORMS: dict[str, Callable[..., Any]] = {
    "stat": stat,
    "lstat": stat,
    "fstat": fstat,
    "getcwd": getcwd,
    "pipe": pipe,
    "pipe2": pipe2,
    "listdir": listdir,
}
