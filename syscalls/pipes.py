"""Pipes, memory files, and bytes from one descriptor to another."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kernel import hugetlb
from kernel.errors import SyscallError
from kernel.vfs.file import O_APPEND, O_NONBLOCK, File
from kernel.vfs.inode import MAY_READ, MAY_WRITE
from kernel.vfs.pipe import PipeInode, make_pipe
from syscalls.abi import MAX_COUNT
from syscalls.at import O_CLOEXEC, install, install_pair
from syscalls.files import signal_broken_pipe, write_at
from syscalls.table import INT, PATH, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB = 1, 2, 4
MFD_NAME_MAX = 249
CHUNK = 65536


# ---- pipes and memfd ----


def pipe2(task: Task, flags: int = 0) -> tuple[int, int]:
    """Return the reading and the writing descriptor of a new pipe.

    Errors: EMFILE, EINVAL. Source: pipe2(2).
    """
    if flags & ~(O_CLOEXEC | O_NONBLOCK):
        raise SyscallError(errno.EINVAL)
    reader, writer = make_pipe(task.kernel, task, flags & O_NONBLOCK)
    return install_pair(task, reader, writer, flags)


def pipe(task: Task) -> tuple[int, int]:
    """Return the two ends of a new pipe. Errors: EMFILE. Source: pipe(2)."""
    return pipe2(task)


@syscall(22, "pipe", STRUCT)
def pipe_raw(task: Task) -> bytes:
    """Store two descriptors. Errors: EMFILE, EFAULT. Source: pipe(2)."""
    return struct.pack("<ii", *pipe2(task))


@syscall(293, "pipe2", STRUCT, INT)
def pipe2_raw(task: Task, flags: int) -> bytes:
    """Store two descriptors. Errors: EMFILE, EFAULT, EINVAL. Source: pipe2(2)."""
    return struct.pack("<ii", *pipe2(task, flags))


@syscall(319, "memfd_create", PATH, INT)
def memfd_create(task: Task, name: str, flags: int = 0) -> int:
    """Return a descriptor of a new file without a name, in memory.

    Errors: EINVAL (flags, name over 249 bytes), EMFILE, ENOMEM. Source: memfd_create(2).
    """
    known = MFD_CLOEXEC | MFD_ALLOW_SEALING
    if flags & MFD_HUGETLB:
        known |= MFD_HUGETLB | hugetlb.SIZE_MASK
        hugetlb.check_size(flags)
    if flags & ~known or len(name.encode("utf-8", "surrogateescape")) > MFD_NAME_MAX:
        raise SyscallError(errno.EINVAL)
    with task.kernel.on_behalf_of(task):
        file = task.kernel.vfs.memfd(task, name, flags)
    return install(task, file, O_CLOEXEC if flags & MFD_CLOEXEC else 0)


# ---- from one to another ----


def _offset_in(task: Task, addr: int, file: File) -> int:
    """Return the offset stored at addr, or the file's position where addr is NULL."""
    if not addr:
        return file.pos
    offset: int = struct.unpack("<q", task.mm.copy_in(addr, 8))[0]
    if offset < 0:
        raise SyscallError(errno.EINVAL)
    return offset


def _offset_out(task: Task, addr: int, file: File, pos: int) -> None:
    if addr:
        task.mm.copy_out(addr, struct.pack("<q", pos))
    else:
        file.pos = pos


def _need_room(task: Task, pipe: PipeInode, target: File) -> None:
    try:
        pipe.need_room(target, 1)
    except SyscallError as error:
        signal_broken_pipe(task, error)
        raise


def _move(task: Task, source: File, start: int, target: File, to: int, count: int) -> int:
    """Copy up to count bytes from start of source to position to of target; return how many."""
    done = 0
    while done < count:
        data = source.inode.file_read(source, start + done, min(CHUNK, count - done))
        if not data:
            break
        try:
            written = write_at(task, target, to + done, data)
        except SyscallError:
            if not done:
                raise
            break
        done += written
        if written < len(data):
            break
    return done


@syscall(40, "sendfile", SINT, SINT, INT, INT)
def sendfile(task: Task, out_fd: int, in_fd: int, offset: int, count: int) -> int:
    """Copy count bytes of a file to another descriptor; return how many.

    offset: address of the position to read at, or 0 for the file's own.
    Errors: EBADF, EINVAL, ESPIPE, EFAULT and those of write. Source: sendfile(2).
    """
    source = task.fds.get(in_fd)
    source.need(MAY_READ)
    if offset and source.inode.kind == "fifo":
        raise SyscallError(errno.ESPIPE)
    start = _offset_in(task, offset, source)
    target = task.fds.get(out_fd)
    target.need(MAY_WRITE)
    if isinstance(target.inode, PipeInode):
        _need_room(task, target.inode, target)
        if not count:
            return 0
    elif target.flags & O_APPEND or source.inode.kind == "fifo":
        raise SyscallError(errno.EINVAL)
    if count and source.inode.kind not in ("file", "chr"):
        raise SyscallError(errno.EINVAL)
    done = _move(task, source, start, target, target.pos, min(count, MAX_COUNT))
    target.pos += done
    _offset_out(task, offset, source, start + done)
    return done


@syscall(326, "copy_file_range", SINT, INT, SINT, INT, INT, INT)
def copy_file_range(
    task: Task, in_fd: int, in_offset: int, out_fd: int, out_offset: int, count: int, flags: int
) -> int:
    """Copy bytes between regular files; offsets are addresses, 0 for a file's own position.

    Errors: EBADF, EINVAL, EISDIR, EFAULT. Source: copy_file_range(2).
    """
    source, target = task.fds.get(in_fd), task.fds.get(out_fd)
    start = _offset_in(task, in_offset, source)
    to = _offset_in(task, out_offset, target)
    if flags:
        raise SyscallError(errno.EINVAL)
    for file in (source, target):
        if file.inode.kind == "dir":
            raise SyscallError(errno.EISDIR)
    if source.inode.kind != "file" or target.inode.kind != "file":
        raise SyscallError(errno.EINVAL)
    source.need(MAY_READ)
    target.need(MAY_WRITE)
    if target.flags & O_APPEND:
        raise SyscallError(errno.EBADF)
    count = min(count, MAX_COUNT, max(0, source.inode.size - start))
    if source.inode is target.inode and start < to + count and to < start + count:
        raise SyscallError(errno.EINVAL)
    done = _move(task, source, start, target, to, count)
    _offset_out(task, in_offset, source, start + done)
    _offset_out(task, out_offset, target, to + done)
    return done


@syscall(275, "splice", SINT, INT, SINT, INT, INT, INT, partly="EINVAL: no pages are moved")
def splice(
    task: Task, in_fd: int, in_offset: int, out_fd: int, out_offset: int, count: int, flags: int
) -> int:
    """Refuse to move pages through a pipe; read and write do it. Source: splice(2)."""
    return _no_splice(task, in_fd, out_fd)


@syscall(276, "tee", SINT, SINT, INT, INT, partly="EINVAL: no pages are moved")
def tee(task: Task, in_fd: int, out_fd: int, count: int, flags: int) -> int:
    """Refuse to share pages between pipes. Source: tee(2)."""
    return _no_splice(task, in_fd, out_fd)


@syscall(278, "vmsplice", SINT, INT, INT, INT, partly="EINVAL: no pages are moved")
def vmsplice(task: Task, fd: int, iov: int, count: int, flags: int) -> int:
    """Refuse to give memory's pages to a pipe. Source: vmsplice(2)."""
    return _no_splice(task, fd)


def _no_splice(task: Task, *fds: int) -> int:
    for fd in fds:
        task.fds.get(fd)
    raise SyscallError(errno.EINVAL)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"pipe": pipe, "pipe2": pipe2}
