"""Open, close, read, write, seek: bytes through descriptors. Content lives in the core.

Raw forms look at the descriptor before they touch the program's buffer, as Linux does, and write
what can be read of a buffer that ends too early.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import partial, suppress
from pkern.kernel.tasks import kept_files
from pkern.kernel.tasks.signal.sending import send_to_thread
from pkern.kernel.tasks.signal.signals import SI_USER, SIGXFSZ, SigInfo
from pkern.kernel.tasks.thread import INT80, SYSCALL, entry_of
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, NoReturn
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_TRUNC, Found, names, open_flags
from pkern.kernel.vfs.file import O_APPEND, O_PATH, File
from pkern.kernel.vfs.inode import (
    MAY_READ,
    MAY_WRITE,
    SEEK_CUR,
    SEEK_DATA,
    SEEK_END,
    SEEK_HOLE,
    SEEK_SET,
    MappedInode,
)
from pkern.kernel.vfs.walk import FREELY, Rules, need_read
from pkern.syscalls.abi import MAX_COUNT
from pkern.syscalls.extensible import extensible
from pkern.syscalls.files.at import AT_FDCWD, O_CLOEXEC, cloexec_of, signed64, start_of
from pkern.syscalls.files.rwf import called
from pkern.syscalls.files.streams import GONE, PARTS, READERS, STORERS, WRITERS, rest_of
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm
    from pkern.kernel.tasks.task import Task

O_NOATIME = 0o1000000
O_CREAT_WRONLY_TRUNC = 0o1101
O_TMPFILE_BIT, OPEN_FLAGS = 0o20000000, 0o37777703
PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
HOW, MODE_BITS, RESOLVE_CACHED = extensible("<3Q"), 0o7777, 0x20
RESOLVE = {1: "one_mount", 2: "no_magic", 4: "no_links", 8: "beneath", 16: "in_root"}
IN_ACCESS, IN_MODIFY = 1, 2  # of inotify(7)
UNSEEKABLE = ("fifo", "sock", "anon", "pidfd", "secret")
MAX_OFFSET = (1 << 63) - 1
IOV_MAX, ADDRESS_BITS = 1024, 47
IOVEC = {SYSCALL.mark: struct.Struct("<QQ"), INT80.mark: struct.Struct("<II")}
Buffers = list[tuple[int, int]]  # address, bytes
CURRENT = (1 << 64) - 1  # preadv2's offset for the file's own position


# ---- open and close ----


@syscall(2, "open", PATH, INT, INT)
def open_file(task: Task, path: str, flags: int = 0, mode: int = 0o666) -> int:
    """Open a path and return the lowest free descriptor.

    Errors: ENOENT, EACCES, EEXIST, EISDIR, ENOTDIR, ELOOP, EMFILE, EROFS, EINVAL.
    Source: open(2).
    """
    return openat(task, AT_FDCWD, path, flags, mode)


@syscall(257, "openat", SINT, PATH, INT, INT)
def openat(task: Task, dirfd: int, path: str, flags: int = 0, mode: int = 0o666) -> int:
    """Open a path relative to a directory's descriptor. Errors: as open. Source: openat(2)."""
    return _open(task, dirfd, path, How(flags, mode, FREELY))


class How(NamedTuple):
    """How a path is opened: O_* flags, the mode of a new file, and which paths are refused."""

    flags: int
    mode: int
    rules: Rules


def _open(task: Task, dirfd: int, path: str, how: How) -> int:
    open_flags(how.flags)
    need_read(path)
    make = partial(opened, task, dirfd, path, how)
    return kept_files.install(task, make, cloexec_of(how.flags))


def opened(task: Task, dirfd: int, path: str, how: How) -> File:
    """Return an open file that has no descriptor yet. Errors: as open."""
    flags, mode, rules = how
    memory = task.kernel.memory
    before = memory.stand_for(task)
    try:
        if isinstance(task.thread.progress, Found):
            return task.kernel.vfs.open_found(task, task.thread.progress, flags)
        start = start_of(task, dirfd, f"./{path}" if rules.in_root and path else path)
        return task.kernel.vfs.open(task, path, flags, mode, start, rules)
    finally:
        memory.current = before


def how_at(task: Task, addr: int, nbytes: int) -> How:
    """Return what a struct open_how says. Errors: EINVAL, E2BIG, EAGAIN, EFAULT."""
    return how_of(*HOW.fields_at(task, addr, nbytes))


def how_of(flags: int, mode: int, resolve: int) -> How:
    """Return what the fields of a struct open_how mean. Errors: EINVAL, EAGAIN."""
    making = flags & (O_CREAT | O_TMPFILE_BIT)
    path_only = flags & O_PATH and flags & ~PATH_FLAGS
    unnamed = flags & O_TMPFILE_BIT and not flags & O_DIRECTORY
    if flags & ~OPEN_FLAGS or resolve >> 6 or path_only or unnamed:
        raise SyscallError(errno.EINVAL)
    rules = Rules(**{name: True for bit, name in RESOLVE.items() if resolve & bit})
    if rules.beneath and rules.in_root:
        raise SyscallError(errno.EINVAL)
    if mode & ~(MODE_BITS if making else 0):
        raise SyscallError(errno.EINVAL)
    if resolve & RESOLVE_CACHED and (making or flags & O_TRUNC):
        raise SyscallError(errno.EAGAIN)
    return How(flags, mode, rules)


@syscall(437, "openat2", SINT, PATH, INT, INT)
def openat2(task: Task, dirfd: int, path: str, how: int, nbytes: int) -> int:
    """Open a path as a struct open_how says. Errors: as open, E2BIG, EAGAIN, EXDEV, ELOOP.

    Source: openat2(2).
    """
    return _open(task, dirfd, path, how_at(task, how, nbytes))


@syscall(85, "creat", PATH, INT)
def creat(task: Task, path: str, mode: int = 0o666) -> int:
    """Create or empty a file and open it for writing. Errors: as open. Source: creat(2)."""
    return open_file(task, path, O_CREAT_WRONLY_TRUNC, mode)


@syscall(3, "close", SINT)
def close(task: Task, fd: int) -> int:
    """Close a descriptor; mappings of the file stay. Errors: EBADF. Source: close(2)."""
    task.fds.close(fd)
    return 0


# ---- read ----


def _need(file: File, wanted: int) -> None:
    """Refuse what the file was not opened for (EBADF), and what its kind never has."""
    file.need(wanted)
    lacks = file.inode.lacks
    if wanted in lacks:
        raise SyscallError(lacks[wanted])


def _readable(task: Task, fd: int) -> File:
    file = task.fds.get(fd)
    _need(file, MAY_READ)
    if file.inode.kind == "dir":
        raise SyscallError(errno.EISDIR)
    return file


def _writable(task: Task, fd: int) -> File:
    file = task.fds.get(fd)
    _need(file, MAY_WRITE)
    return file


def _read_at(task: Task, file: File, pos: int, count: int) -> bytes:
    inode, kernel = file.inode, task.kernel
    memory, io = kernel.memory, task.io
    count = min(count, MAX_COUNT, memory.ram)
    if inode.kind in READERS.modules:
        return READERS[inode.kind](task, file, count)
    before = memory.stand_for(task)
    try:
        data = inode.file_read(file, pos, count)
    finally:
        memory.current = before
    io.syscr += 1
    io.rchar += len(data)
    if data and not file.flags & O_NOATIME:
        mount = file.mount
        if mount is not None and mount.flags:  # most mounts have none
            file.accessed()
        else:
            inode.accessed()
    if data and kernel.vfs.notify is not None:
        kernel.vfs.notify.used(file, IN_ACCESS)
    return data


def read(task: Task, fd: int, count: int) -> bytes:
    """Return up to count bytes at the file's position, and move it.

    Errors: EBADF, EISDIR, EAGAIN (a pipe with nothing in it), EFAULT (more than a program's memory
    can be, as a negative count is). Source: read(2).
    """
    file = _readable(task, fd)
    _need_room(count)
    data = _read_at(task, file, file.pos, count)
    file.pos += len(data)
    return data


def pread64(task: Task, fd: int, count: int, pos: int) -> bytes:
    """Return up to count bytes at pos; the file's position stays.

    Errors: EBADF, EINVAL (a negative pos), ESPIPE, EFAULT (as read). Source: pread(2).
    """
    pos = _offset(pos)
    seekable(task.fds.get(fd))
    file = _readable(task, fd)
    _need_room(count)
    return _read_at(task, file, pos, count)


def _need_room(count: int) -> None:
    """Refuse more bytes than an address space has. Errors: EFAULT."""
    if count >> ADDRESS_BITS:
        raise SyscallError(errno.EFAULT)


def _offset(value: int) -> int:
    if value >> 63:  # below 0, as 64 bits go
        raise SyscallError(errno.EINVAL)
    return value


def seekable(file: File) -> File:
    """Return a file that can be read or written anywhere. Errors: ESPIPE, EINVAL."""
    inode = file.inode
    if inode.kind in UNSEEKABLE or not inode.can_seek:
        if inode.kind == "pidfd":
            raise SyscallError(errno.EINVAL)  # it could be, if it could be read
        raise SyscallError(errno.ESPIPE)
    return file


def _refuse_directory(task: Task, file: File, buffers: Buffers) -> NoReturn:
    raise SyscallError(errno.EISDIR)


# By Inode.kind: what is not read as bytes that are stored then.
NO_BYTES: dict[str, Callable[[Task, File, Buffers], int]] = {
    "dir": _refuse_directory,
    "sock": lambda task, file, buffers: STORERS["sock"](task, file, buffers),
}


def _read_into(task: Task, file: File, buffers: Buffers, pos: int | None) -> int:
    """Read into the program's buffers at pos, or at the file's position (None), and move it.

    Errors: EINVAL: beyond the last offset there is.
    """
    inode, where = file.inode, file.pos if pos is None else pos
    total = min(bytes_of(buffers), MAX_COUNT)
    if total > inode.top_offset - where:
        raise SyscallError(errno.EINVAL)
    if inode.kind in NO_BYTES:
        return NO_BYTES[inode.kind](task, file, buffers)
    data = _read_at(task, file, where, total)
    try:
        done = scatter(task.mm, buffers, data)
    except SyscallError:
        inode.unread(data, 0)
        raise
    if done < len(data):
        done = inode.unread(data, done)
        if not done:
            raise SyscallError(errno.EFAULT)
    if pos is None:
        file.pos += done
    return done


@syscall(0, "read", SINT, INT, INT)
def read_raw(task: Task, fd: int, addr: int, count: int) -> int:
    """Read up to count bytes to addr. Errors: as read, EFAULT. Source: read(2)."""
    file = task.fds.get(fd)
    _need(file, MAY_READ)
    task.mm.check_user(addr, count)
    return _read_into(task, file, [(addr, count)], None)


@syscall(17, "pread64", SINT, INT, INT, INT)
def pread64_raw(task: Task, fd: int, addr: int, count: int, pos: int) -> int:
    """Read up to count bytes at pos to addr. Errors: as pread64, EFAULT. Source: pread(2)."""
    pos = _offset(pos)
    file = seekable(task.fds.get(fd))
    _need(file, MAY_READ)
    task.mm.check_user(addr, count)
    return _read_into(task, file, [(addr, count)], pos)


# ---- write ----


def write_at(task: Task, file: File, pos: int, data: bytes) -> int:
    """Write at pos within RLIMIT_FSIZE; return how many bytes. Errors: EFBIG and the inode's."""
    limit = task.rlimits["fsize"][0]
    if data and isinstance(file.inode, MappedInode) and pos + len(data) > limit:
        if pos >= limit:
            refuse_size(task)
        data = data[: limit - pos]
    memory = task.kernel.memory
    before = memory.stand_for(task)
    try:
        written = file.inode.file_write(file, pos, data, task)
    finally:
        memory.current = before
    task.io.syscw += 1
    task.io.wchar += written
    if written and file.inode.kind == "file":
        names.drop_privileges(task, file.inode)
        file.inode.modified()
    if written and task.kernel.vfs.notify is not None:
        task.kernel.vfs.notify.used(file, IN_MODIFY)
    return written


def write(task: Task, fd: int, data: bytes) -> int:
    """Write data at the file's position, or at the end with O_APPEND; return how much.

    Errors: EBADF, EPERM (sealed), EFBIG, ENOSPC, EPIPE, EINVAL. Source: write(2).
    """
    return _write(task, _writable(task, fd), data)


def _write(task: Task, file: File, data: bytes) -> int:
    if file.inode.kind in WRITERS.modules:
        return WRITERS[file.inode.kind](task, file, data)
    if file.flags & O_APPEND and data:
        file.pos = file.inode.size
    written = write_at(task, file, file.pos, data)
    if file.inode.write_moves:
        file.pos += written
    return written


def tell_of_limit(task: Task, file: File, pos: int) -> None:
    """Have a caller that was stopped at pos, with more to write, hear of RLIMIT_FSIZE: SIGXFSZ."""
    if isinstance(file.inode, MappedInode) and pos >= task.rlimits["fsize"][0]:
        with suppress(SyscallError):
            refuse_size(task)


def refuse_size(task: Task) -> NoReturn:
    """Refuse to go beyond RLIMIT_FSIZE: SIGXFSZ, and for who survives it EFBIG."""
    send_to_thread(task, SigInfo(SIGXFSZ, SI_USER, si_pid=task.tgid, si_uid=task.cred.uid))
    raise SyscallError(errno.EFBIG)


def pwrite64(task: Task, fd: int, data: bytes, pos: int) -> int:
    """Write data at pos, or at the end with O_APPEND; the file's position stays.

    Errors: as pread64. Source: pwrite(2).
    """
    file = _rewritable(task, fd, pos)
    return _pwrite(task, file, data, pos)


def _pwrite(task: Task, file: File, data: bytes, pos: int) -> int:
    return write_at(task, file, file.inode.size if file.flags & O_APPEND else pos, data)


def readable_part(task: Task, addr: int, count: int) -> bytes:
    """Return what can be read of a buffer from its beginning. Errors: EFAULT: nothing can."""
    return task.mm.copy_in_part(addr, min(count, MAX_COUNT, task.kernel.ram))


@syscall(1, "write", SINT, INT, INT)
def write_raw(task: Task, fd: int, addr: int, count: int) -> int:
    """Write count bytes from addr. Errors: as write, EFAULT. Source: write(2)."""
    file = _writable(task, fd)
    task.mm.check_user(addr, count)
    return _write(task, file, _payload(task, file, [(addr, count)], file.pos))


@syscall(18, "pwrite64", SINT, INT, INT, INT)
def pwrite64_raw(task: Task, fd: int, addr: int, count: int, pos: int) -> int:
    """Write count bytes from addr at pos. Errors: as pwrite64, EFAULT. Source: pwrite(2)."""
    file = _rewritable(task, fd, pos)
    task.mm.check_user(addr, count)
    return _pwrite(task, file, _payload(task, file, [(addr, count)], pos), pos)


# ---- vectors ----


def vectors(task: Task, addr: int, count: int) -> Buffers:
    """Return (address, length) of each struct iovec. Errors: EINVAL, EFAULT."""
    if not 0 <= count <= IOV_MAX:
        raise SyscallError(errno.EINVAL)
    if not count:
        return []
    layout = IOVEC[entry_of(task).mark]
    found = list(layout.iter_unpack(task.mm.copy_in(addr, layout.size * count)))
    if any(length >> 4 * layout.size - 1 for _, length in found):  # below 0
        raise SyscallError(errno.EINVAL)
    return found


def buffers_at(task: Task, addr: int, count: int) -> Buffers:
    """Return the caller's own buffers from struct iovecs. Errors: EINVAL, EFAULT."""
    found = vectors(task, addr, count)
    for base, length in found:
        task.mm.check_user(base, min(length, MAX_COUNT) if count == 1 else length)
    return found


def bytes_of(buffers: Buffers) -> int:
    if len(buffers) == 1:  # as in most calls
        return buffers[0][1]
    return sum(length for _, length in buffers)


def gather(mm: Mm, buffers: Buffers, most: int) -> bytes:
    """Load the buffers in turn, up to most bytes or what cannot be read. Errors: EFAULT."""
    data = bytearray()
    for base, length in buffers:
        wanted = min(length, most - len(data))
        if not wanted:
            continue
        try:
            part = mm.copy_in_part(base, wanted)
        except SyscallError:
            if data:
                break
            raise
        data += part
        if len(part) < wanted:
            break
    return bytes(data)


def scatter(mm: Mm, buffers: Buffers, data: bytes) -> int:
    """Store data over the buffers in turn; return how much could be. Errors: EFAULT."""
    if len(buffers) == 1:  # as in most calls
        return mm.copy_out_part(buffers[0][0], data) if data else 0
    done = 0
    for base, length in buffers:
        wanted = min(length, len(data) - done)
        if not wanted:
            continue
        try:
            stored = mm.copy_out_part(base, data[done : done + wanted])
        except SyscallError:
            if done:
                break
            raise
        done += stored
        if stored < wanted:
            break
    return done


def _payload(task: Task, file: File, buffers: Buffers, pos: int) -> bytes:
    """Return what is to be written: all that can be read, for a stream in whole pages.

    Errors: EINVAL (beyond the last offset), EFAULT.
    """
    wanted = min(bytes_of(buffers), MAX_COUNT)
    if wanted > file.inode.top_offset - pos:
        raise SyscallError(errno.EINVAL)
    if file.inode.is_sink:
        return bytes(wanted)
    wanted = min(wanted, task.kernel.memory.ram)
    if file.inode.kind not in PARTS:
        data = gather(task.mm, buffers, wanted)
        if len(data) < wanted and file.inode.undivided & MAY_WRITE:
            raise SyscallError(errno.EFAULT)
        return data
    gone = GONE[file.inode.kind](task)
    if gone:
        return unsent(task, buffers, wanted, gone)
    data = _gathered_part(task.mm, buffers, wanted)
    return data if len(data) == wanted else PARTS[file.inode.kind](task, file, data, wanted)


def _gathered_part(mm: Mm, buffers: Buffers, most: int) -> bytes:
    """As gather, without an error."""
    try:
        return gather(mm, buffers, most)
    except SyscallError:
        return b""


def unsent(task: Task, buffers: Buffers, wanted: int, gone: int) -> bytes:
    """Return what is to be sent by a call that has slept, with as many bytes as are gone before."""
    left = []
    skipped = gone
    for base, length in buffers:
        part = min(length, skipped)
        skipped -= part
        left.append((base + part, length - part))
    return rest_of(_gathered_part(task.mm, left, wanted - gone), wanted, gone)


@syscall(19, "readv", SINT, INT, SINT)
def readv(task: Task, fd: int, addr: int, count: int) -> int:
    """Read into count buffers that the iovecs at addr name; return how many bytes.

    Errors: as read, EINVAL, EFAULT. Source: readv(2).
    """
    return _readv(task, task.fds.get(fd), addr, count, None, 0)


def _readv(task: Task, file: File, addr: int, count: int, pos: int | None, flags: int) -> int:
    _need(file, MAY_READ)
    return _scattered(task, file, buffers_at(task, addr, count), pos, flags)


def scattered(task: Task, fd: int, buffers: Buffers) -> int:
    """As readv, into buffers that were taken from the iovecs before. Errors: as readv."""
    file = task.fds.get(fd)
    _need(file, MAY_READ)
    return _scattered(task, file, buffers, None, 0)


def scattered_from(task: Task, fd: int, buffers: Buffers, pos: int) -> int:
    """As preadv, into buffers that were taken from the iovecs before. Errors: as preadv."""
    file = _file_at(task, fd, pos)
    _need(file, MAY_READ)
    return _scattered(task, file, buffers, pos, 0)


def _scattered(task: Task, file: File, buffers: Buffers, pos: int | None, flags: int) -> int:
    done = 0
    if bytes_of(buffers):
        with called(file, flags, MAY_READ):
            done = _read_into(task, file, buffers, pos)
    if not done and task.kernel.vfs.notify is not None:
        task.kernel.vfs.notify.used(file, IN_ACCESS)  # where read tells nothing, as on Linux
    return done


@syscall(20, "writev", SINT, INT, SINT)
def writev(task: Task, fd: int, addr: int, count: int) -> int:
    """Write the buffers that count iovecs at addr name, as one; return how many bytes.

    Errors: as write, EINVAL, EFAULT. Source: writev(2).
    """
    return _writev(task, task.fds.get(fd), addr, count, None, 0)


def _writev(task: Task, file: File, addr: int, count: int, pos: int | None, flags: int) -> int:
    _need(file, MAY_WRITE)
    return _gathered(task, file, buffers_at(task, addr, count), pos, flags)


def gathered(task: Task, fd: int, buffers: Buffers) -> int:
    """As writev, of buffers that were taken from the iovecs before. Errors: as writev."""
    file = task.fds.get(fd)
    _need(file, MAY_WRITE)
    return _gathered(task, file, buffers, None, 0)


def gathered_to(task: Task, fd: int, buffers: Buffers, pos: int) -> int:
    """As pwritev, of buffers that were taken from the iovecs before. Errors: as pwritev."""
    return _gathered(task, _rewritable(task, fd, pos), buffers, pos, 0)


def _gathered(task: Task, file: File, buffers: Buffers, pos: int | None, flags: int) -> int:
    if not bytes_of(buffers):
        return 0
    with called(file, flags, MAY_WRITE):
        if pos is None:
            return _write(task, file, _payload(task, file, buffers, file.pos))
        return _pwrite(task, file, _payload(task, file, buffers, pos), pos)


def _file_at(task: Task, fd: int, pos: int) -> File:
    """Return a file that can be read or written anywhere. Errors: EINVAL, EBADF, ESPIPE."""
    _offset(pos)
    return seekable(task.fds.get(fd))


def _rewritable(task: Task, fd: int, pos: int) -> File:
    """Return a file that is written at a place. Errors: EINVAL, EBADF, ESPIPE."""
    _offset(pos)
    file = task.fds.get(fd)
    if not file.inode.can_pwrite:
        raise SyscallError(errno.ESPIPE)
    _need(seekable(file), MAY_WRITE)
    return file


@syscall(295, "preadv", SINT, INT, SINT, INT)
def preadv(task: Task, fd: int, addr: int, count: int, pos: int) -> int:
    """Read into iovecs at pos. Errors: as readv, pread64. Source: preadv(2)."""
    return _readv(task, _file_at(task, fd, pos), addr, count, pos, 0)


@syscall(296, "pwritev", SINT, INT, SINT, INT)
def pwritev(task: Task, fd: int, addr: int, count: int, pos: int) -> int:
    """Write iovecs at pos. Errors: as writev, pwrite64. Source: pwritev(2)."""
    return _writev(task, _rewritable(task, fd, pos), addr, count, pos, 0)


@syscall(327, "preadv2", SINT, INT, SINT, INT, INT, INT)
def preadv2(task: Task, fd: int, addr: int, count: int, pos: int, high: int, flags: int) -> int:
    """Read into iovecs at pos, or at the file's position for -1.

    flags: RWF_*. Errors: as preadv, EAGAIN (RWF_NOWAIT), EOPNOTSUPP (flags that the file has not),
    EINVAL. Source: preadv2(2).
    """
    if pos == CURRENT:
        return _readv(task, task.fds.get(fd), addr, count, None, flags)
    return _readv(task, _file_at(task, fd, pos), addr, count, pos, flags)


@syscall(328, "pwritev2", SINT, INT, SINT, INT, INT, INT)
def pwritev2(task: Task, fd: int, addr: int, count: int, pos: int, high: int, flags: int) -> int:
    """Write iovecs at pos, or at the file's position for -1.

    flags: RWF_*. Errors: as pwritev, EAGAIN (RWF_NOWAIT), EOPNOTSUPP (flags that the file has not),
    EINVAL. Source: pwritev2(2).
    """
    if pos == CURRENT:
        return _writev(task, task.fds.get(fd), addr, count, None, flags)
    return _writev(task, _rewritable(task, fd, pos), addr, count, pos, flags)


# ---- seek ----


@syscall(8, "lseek", SINT, INT, SINT)
def lseek(task: Task, fd: int, offset: int, whence: int = SEEK_SET) -> int:
    """Move the file's position and return it (bytes).

    Errors: EBADF, ESPIPE, EINVAL, ENXIO (SEEK_DATA, SEEK_HOLE beyond the end). Source: lseek(2).
    """
    file = task.fds.get(fd)
    offset = signed64(offset)
    if not SEEK_SET <= whence <= SEEK_HOLE:
        raise SyscallError(errno.EINVAL)
    special = file.inode.kind in ("chr", "anon") and file.inode.can_seek
    if special or not file.inode.whences:
        return 0
    if file.inode.kind in UNSEEKABLE or not file.inode.can_seek:
        raise SyscallError(errno.ESPIPE)
    if whence not in file.inode.whences:
        raise SyscallError(errno.EINVAL)
    if whence in (SEEK_DATA, SEEK_HOLE):
        pos = _seek_data(file, offset, whence)
    else:
        pos = offset + {SEEK_SET: 0, SEEK_CUR: file.pos, SEEK_END: file.inode.size}[whence]
    if file.inode.top_offset > MAX_OFFSET:
        pos &= file.inode.top_offset
    if not 0 <= pos <= file.inode.top_offset:
        raise SyscallError(errno.EINVAL)
    file.pos = pos
    return signed64(pos)


def _seek_data(file: File, offset: int, whence: int) -> int:
    inode = file.inode
    if not 0 <= offset < inode.size:
        raise SyscallError(errno.ENXIO)
    if not isinstance(inode, MappedInode):  # all data
        return offset if whence == SEEK_DATA else inode.size
    pos = inode.next_data(offset) if whence == SEEK_DATA else inode.next_hole(offset)
    if pos is None:
        raise SyscallError(errno.ENXIO)
    return pos


PYTHON_FORMS: dict[str, Callable[..., Any]] = {
    "read": read,
    "pread64": pread64,
    "write": write,
    "pwrite64": pwrite64,
}
