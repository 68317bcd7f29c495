"""Bytes from one descriptor to another, without passing through the program.

A pipe that is filled from a file or from memory holds the pages; sendfile and copy_file_range to
files copy.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterator
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import O_APPEND, File
from pkern.kernel.vfs.inode import IMMUTABLE, MAY_READ, MAY_WRITE, POLLIN, POLLOUT
from pkern.kernel.vfs.pipe import PipeInode
from pkern.kernel.vfs.readiness import Wait, waits
from pkern.kernel.vfs.slots import FIXED, PAGE_SIZE, Slot
from pkern.syscalls.abi import INT_BITS, MAX_COUNT
from pkern.syscalls.files.at import refuse_flags, signed64
from pkern.syscalls.files.read_write import (
    IN_ACCESS,
    IN_MODIFY,
    O_NOATIME,
    UNSEEKABLE,
    Buffers,
    bytes_of,
    readable_part,
    scatter,
    seekable,
    tell_of_limit,
    vectors,
    write_at,
)
from pkern.syscalls.files.rwf import NOWAIT, called
from pkern.syscalls.files.streams import signal_broken_pipe
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

CHUNK = 65536
WRAP = 1 << 64
DRAINED = ("fifo", "sock", "pidfd")  # what is read there is gone: sendfile cannot go back
UNSPLICED = ("anon", "pidfd", "secret")
SENT = ("file", "chr", "sock")
SPLICE_NONBLOCK, SPLICE_FLAGS = 2, 15


def _offset_in(task: Task, addr: int, file: File) -> int:
    """Return the offset stored at addr, or the file's position where addr is NULL."""
    if not addr:
        return file.pos
    offset: int = struct.unpack("<q", task.mm.copy_in(addr, 8))[0]
    return offset


def _refuse_range(file: File, pos: int, count: int) -> None:
    """Refuse bytes of which there are none: below 0, or beyond a file's last. Errors: EINVAL."""
    _refuse_negative(signed64(count))
    if count > file.inode.top_offset - pos:
        raise SyscallError(errno.EINVAL)


def _refuse_negative(*numbers: int) -> None:
    """Refuse an offset or a length below 0. Errors: EINVAL."""
    if min(numbers) < 0:
        raise SyscallError(errno.EINVAL)


def _offset_out(task: Task, addr: int, file: File, pos: int) -> None:
    """Note the new position: a device and a stream have none."""
    if file.inode.kind != "file":
        return
    if addr:
        task.mm.copy_out(addr, struct.pack("<q", pos))
    else:
        file.pos = pos


def _need_slot(task: Task, pipe: PipeInode, wait: Wait) -> None:
    """Wait for a free slot of a pipe. Errors: EPIPE (and SIGPIPE), EAGAIN."""
    try:
        pipe.need_slot(wait)
    except SyscallError as error:
        signal_broken_pipe(task, error)
        raise


def _slots(data: bytes, start: int, hold: Callable[[int], int]) -> Iterator[Slot]:
    """Yield a slot for each page of data, which stands at start.

    It holds what hold(its position) says, or has the bytes where that is below 0: there is no page.
    """
    at = 0
    while at < len(data):
        offset = (start + at) % PAGE_SIZE
        part = data[at : at + PAGE_SIZE - offset]
        frame = hold(start + at)
        page, begin = (part, 0) if frame < 0 else (frame, offset)
        yield Slot(page, begin, len(part), FIXED)
        at += len(part)


def _was_read(file: File) -> None:
    """Note that a file's content was read."""
    if not file.flags & O_NOATIME:
        file.accessed()


def _tell(done: int, *news: tuple[File, int]) -> int:
    """Tell who watches what happened to files (IN_*) as done bytes went by; return these."""
    for file, mask in news if done else ():
        if file.kernel.vfs.notify is not None:
            file.kernel.vfs.notify.used(file, mask)
    return done


def _fill(source: File, start: int, pipe: PipeInode, nbytes: int) -> int:
    """Put a file's bytes into a pipe's free slots, as pages where it has some; return how many."""
    mapping = source.inode.mapping
    place = 0 if mapping is None else start  # within pages

    def hold(pos: int) -> int:
        return -1 if mapping is None else int(lib.mapping_hold(mapping, pos // PAGE_SIZE))

    room = pipe.ring.nr_free * PAGE_SIZE - place % PAGE_SIZE
    data = source.inode.file_read(source, start, min(nbytes, room))
    if data:
        _was_read(source)
    return pipe.put(_slots(data, place, hold))


def _one_by_one(data: bytes, ahead: int) -> bytes:
    """Return what a copy of a file's bytes to so many bytes further on in that file stores.

    Linux copies from the pages themselves, forwards: what was stored is what comes next. Source:
    measured on 6.18.44.
    """
    if not 0 < ahead < len(data):
        return data
    stored = bytearray(data)
    _copy_forwards(stored, ahead, len(data), ahead)
    return bytes(stored)


def _copy_forwards(stored: bytearray, start: int, end: int, ahead: int) -> None:
    """Let each byte of [start, end) be that which was stored so many bytes before it."""
    while start < end:
        nbytes = min(ahead, end - start)
        stored[start : start + nbytes] = stored[start - ahead : start - ahead + nbytes]
        start += nbytes


def _as_stored(pipe: PipeInode, target: File, to: int, data: bytes) -> bytes:
    """Return what becomes of a pipe's bytes at position to of a file, which may own their pages.

    As of a copy of a file to itself: what was stored is what comes next.
    """
    mapping = target.inode.mapping
    if mapping is None:
        return data
    stored = bytearray(data)
    for at, frame, offset, nbytes in pipe.ring.held(len(data)):
        index = int(lib.mapping_index(mapping, frame))
        ahead = to + at - (index * PAGE_SIZE + offset)
        if index >= 0 and ahead > 0:
            _copy_forwards(stored, max(at, ahead), at + nbytes, ahead)
    return bytes(stored)


def _move(task: Task, source: File, start: int, target: File, to: int, count: int) -> int:
    """Copy up to count bytes from start of source to position to of target; return how many."""
    done = 0
    while done < count:
        data = source.inode.file_read(source, start + done, min(CHUNK, count - done))
        if not data:
            break
        if not done:
            _was_read(source)
            _tell(len(data), (source, IN_ACCESS))
        if source.inode is target.inode:
            data = _one_by_one(data, to - start)
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
    if not offset:
        return _sendfile(task, out_fd, in_fd, None, count)
    (start,) = struct.unpack("<q", task.mm.copy_in(offset, 8))
    done = 0
    try:
        done = _sendfile(task, out_fd, in_fd, start, count)
    finally:  # whatever came of it; an offset that cannot be stored is the error
        task.mm.copy_out(offset, struct.pack("<q", start + done))
    return done


def _sendfile(task: Task, out_fd: int, in_fd: int, at: int | None, count: int) -> int:
    """Copy from a position of a file, or its own (None). Errors: as sendfile."""
    source = task.fds.get(in_fd)
    source.need(MAY_READ)
    if at is not None:
        seekable(source)
    start = source.pos if at is None else at
    _refuse_negative(start)
    _refuse_range(source, start, count)
    target = task.fds.get(out_fd)
    target.need(MAY_WRITE)
    if isinstance(target.inode, PipeInode):
        _need_slot(task, target.inode, waits(target))
        if not count:
            return 0
    elif target.flags & O_APPEND or source.inode.kind in DRAINED or not source.inode.can_seek:
        raise SyscallError(errno.EINVAL)
    if count and (source.inode.kind not in SENT or not source.inode.splices & MAY_READ):
        raise SyscallError(errno.EINVAL)
    if isinstance(target.inode, PipeInode):
        done = _fill(source, start, target.inode, count)
        _tell(done, (source, IN_ACCESS), (target, IN_MODIFY))
    else:
        done = _move(task, source, start, target, target.pos, min(count, MAX_COUNT))
        target.pos += done
        if done < count and start + done < source.inode.size:
            tell_of_limit(task, target, target.pos)
    if at is None:
        source.pos = start + done
    return done


@syscall(326, "copy_file_range", SINT, INT, SINT, INT, INT, INT)
def copy_file_range(
    task: Task, in_fd: int, in_offset: int, out_fd: int, out_offset: int, count: int, flags: int
) -> int:
    """Copy bytes between regular files; offsets are addresses, 0 for a file's own position.

    Errors: EBADF, EINVAL, EISDIR, EXDEV (of two file systems), EOVERFLOW, EFAULT.
    Source: copy_file_range(2).
    """
    source, target = task.fds.get(in_fd), task.fds.get(out_fd)
    start = _offset_in(task, in_offset, source)
    to = _offset_in(task, out_offset, target)
    if flags & INT_BITS:
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
    if source.inode.dev != target.inode.dev:
        raise SyscallError(errno.EXDEV)
    if target.inode.file_flags & IMMUTABLE:
        raise SyscallError(errno.EPERM)
    if max(start % WRAP, to % WRAP) + count >= WRAP:
        raise SyscallError(errno.EOVERFLOW)
    _refuse_negative(start, to)
    room = target.inode.top_offset - to
    if not room:
        raise SyscallError(errno.EFBIG)
    count = min(count, MAX_COUNT, max(0, source.inode.size - start), room)
    if source.inode is target.inode and start < to + count and to < start + count:
        raise SyscallError(errno.EINVAL)
    done = _move(task, source, start, target, to, count)
    if done:
        try:
            _offset_out(task, in_offset, source, start + done)
        finally:  # each is stored, whatever becomes of the other
            _offset_out(task, out_offset, target, to + done)
    return done


# ---- through a pipe ----


class _Splice(NamedTuple):
    """One splice or tee: from where to where, how many bytes at most, and the call's flags."""

    task: Task
    source: File
    start: int
    target: File
    to: int
    nbytes: int
    flags: int

    def wait(self, *files: File) -> Wait:
        """Return whether the call waits for files: neither it nor they may say no."""
        if self.flags & SPLICE_NONBLOCK:
            return Wait.NEVER
        return Wait.NEVER if Wait.NEVER in map(waits, files) else Wait.FOREVER


def _pipe_of(file: File) -> PipeInode | None:
    return file.inode if isinstance(file.inode, PipeInode) else None


def _two_pipes(move: _Splice) -> tuple[PipeInode, PipeInode]:
    """Return both, once the one has bytes and the other a free slot. Errors: EINVAL, as splice."""
    source, target = _pipe_of(move.source), _pipe_of(move.target)
    if source is None or target is None or source is target:
        raise SyscallError(errno.EINVAL)
    wait = move.wait(move.source, move.target)
    source.need_data(wait)
    _need_slot(move.task, target, wait)
    return source, target


def _pipe_to_pipe(move: _Splice) -> int:
    source, target = _two_pipes(move)
    done, freed = source.ring.move(target.ring, move.nbytes)
    if done:
        target.tell(POLLIN)
    if freed:
        source.tell(POLLOUT)
    return done


def _pipe_to_file(move: _Splice) -> int:
    pipe, target = move.source.inode, move.target
    assert isinstance(pipe, PipeInode)
    _refuse_range(target, move.to, move.nbytes)
    unsupported = target.inode.kind in UNSPLICED or not target.inode.splices & MAY_WRITE
    if target.flags & O_APPEND or unsupported:
        raise SyscallError(errno.EINVAL)
    pipe.need_data(move.wait(move.source))
    data = pipe.look(move.nbytes)
    try:
        stored = _as_stored(pipe, target, move.to, data)
        written = write_at(move.task, target, move.to, stored) if data else 0
    except SyscallError as error:
        signal_broken_pipe(move.task, error)
        raise
    if written < len(data):
        tell_of_limit(move.task, target, move.to + written)
    return pipe.drop(written)


def _file_to_pipe(move: _Splice) -> int:
    source, pipe = move.source, move.target.inode
    assert isinstance(pipe, PipeInode)
    _refuse_range(source, move.start, move.nbytes)
    _need_slot(move.task, pipe, move.wait(move.target))
    if source.inode.kind in ("dir", *UNSPLICED) or not source.inode.splices & MAY_READ:
        raise SyscallError(errno.EINVAL)
    heeds = move.flags & SPLICE_NONBLOCK and source.inode.splice_heeds_nonblock
    with called(source, NOWAIT if heeds else 0, MAY_READ):
        return _fill(source, move.start, pipe, move.nbytes)


def _no_pipe(move: _Splice) -> int:
    raise SyscallError(errno.EINVAL)


# Whether the source is a pipe, and whether the target is one.
WAYS: dict[tuple[bool, bool], Callable[[_Splice], int]] = {
    (True, True): _pipe_to_pipe,
    (True, False): _pipe_to_file,
    (False, True): _file_to_pipe,
    (False, False): _no_pipe,
}


def _refuse_offset(addr: int, kinds: tuple[str, ...], file: File, error: int) -> None:
    """Refuse an offset's address where a file of such a kind has none."""
    if addr and file.inode.kind in kinds:
        raise SyscallError(error)


@syscall(275, "splice", SINT, INT, SINT, INT, INT, INT)
def splice(
    task: Task, in_fd: int, in_offset: int, out_fd: int, out_offset: int, count: int, flags: int
) -> int:
    """Move up to count bytes from or to a pipe; offsets are addresses, 0 for a file's own position.

    Errors: EBADF, EINVAL, ESPIPE, EFAULT, EAGAIN, EPIPE (and SIGPIPE), those of write.
    Source: splice(2).
    """
    if not count:
        return 0
    refuse_flags(flags, SPLICE_FLAGS)
    files = ((in_offset, task.fds.get(in_fd)), (out_offset, task.fds.get(out_fd)))
    for addr, file in files:
        _refuse_offset(addr, ("fifo",), file, errno.ESPIPE)
    source, target = (End(file, _offset_in(task, addr, file), addr) for addr, file in files)
    done = move(task, source, target, count, flags)
    _offset_out(task, in_offset, source.file, source.pos + done)
    _offset_out(task, out_offset, target.file, target.pos + done)
    return done


class End(NamedTuple):
    """Where bytes come from or go to. given: not 0 where the call named the offset pos."""

    file: File
    pos: int
    given: int

    def passed(self, nbytes: int) -> None:
        """Move the file's own position, where that was used."""
        if not self.given and self.file.inode.kind == "file":
            self.file.pos = self.pos + nbytes


def move(task: Task, source: End, target: End, count: int, flags: int) -> int:
    """As splice, of open files; no position moves. Errors: as splice."""
    for end in (source, target):
        _refuse_offset(end.given, ("fifo",), end.file, errno.ESPIPE)
    source.file.need(MAY_READ)
    target.file.need(MAY_WRITE)
    for end in (source, target):
        _refuse_offset(end.given, UNSEEKABLE, end.file, errno.EINVAL)
    _refuse_negative(source.pos, target.pos)
    way = WAYS[_pipe_of(source.file) is not None, _pipe_of(target.file) is not None]
    done = way(_Splice(task, source.file, source.pos, target.file, target.pos, count, flags))
    return _tell(done, (target.file, IN_MODIFY), (source.file, IN_ACCESS))


@syscall(276, "tee", SINT, SINT, INT, INT)
def tee(task: Task, in_fd: int, out_fd: int, count: int, flags: int) -> int:
    """Copy up to count bytes from one pipe to another; they stay in the first.

    Errors: EBADF, EINVAL, EAGAIN, EPIPE (and SIGPIPE). Source: tee(2).
    """
    refuse_flags(flags, SPLICE_FLAGS)
    if not count:
        return 0
    return copy(task, task.fds.get(in_fd), task.fds.get(out_fd), count, flags)


def copy(task: Task, source: File, target: File, count: int, flags: int) -> int:
    """As tee, of open files. Errors: as tee."""
    source.need(MAY_READ)
    target.need(MAY_WRITE)
    here, there = _two_pipes(_Splice(task, source, 0, target, 0, count, flags))
    done = here.ring.share(there.ring, count)
    if done:
        there.tell(POLLIN)
    return _tell(done, (target, IN_MODIFY), (source, IN_ACCESS))


@syscall(278, "vmsplice", SINT, INT, SINT, INT)
def vmsplice(task: Task, fd: int, iov: int, count: int, flags: int) -> int:
    """Copy iovecs' bytes to a pipe, or a pipe's bytes to iovecs. Errors: EBADF, as splice.

    Source: vmsplice(2).
    """
    refuse_flags(flags, SPLICE_FLAGS)
    file = task.fds.get(fd)
    pipe = _pipe_of(file)
    buffers = [(at, nbytes) for at, nbytes in vectors(task, iov, count) if nbytes]
    wait = Wait.NEVER if flags & SPLICE_NONBLOCK else Wait.FOREVER
    if not buffers:
        return 0
    if pipe is None:
        raise SyscallError(errno.EBADF)
    if file.access & MAY_WRITE:
        _need_slot(task, pipe, wait)
        if lib.mm_has_secret(task.mm.handle, *buffers[0]):
            raise SyscallError(errno.EFAULT)
        return _tell(_fill_from_memory(task, pipe, buffers), (file, IN_MODIFY))
    pipe.need_data(wait)
    return _tell(_empty_into(task, pipe, buffers), (file, IN_ACCESS))


def _fill_from_memory(task: Task, pipe: PipeInode, buffers: Buffers) -> int:
    """Put the buffers' pages into a pipe while there are slots, up to what cannot be read.

    Return how many bytes. Errors: EFAULT: none can.
    """
    done, mm = 0, task.mm.handle
    for at, nbytes in buffers:
        room = pipe.ring.nr_free * PAGE_SIZE - at % PAGE_SIZE
        if room <= 0:
            break
        try:
            data = readable_part(task, at, min(nbytes, room))
        except SyscallError:
            if done:
                break
            raise
        done += pipe.put(_slots(data, at, lambda addr: lib.mm_hold(mm, addr)))
        if len(data) < nbytes:
            break
    return done


def _empty_into(task: Task, pipe: PipeInode, buffers: Buffers) -> int:
    """Move a pipe's bytes into the buffers; where one cannot be stored to, only whole slots go.

    Errors: EFAULT: none can.
    """
    data = pipe.look(bytes_of(buffers))
    done = scatter(task.mm, buffers, data)
    if done < len(data):
        done = pipe.ring.whole(done)
        if not done:
            raise SyscallError(errno.EFAULT)
    return pipe.drop(done)
