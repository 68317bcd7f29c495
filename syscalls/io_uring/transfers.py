"""Opcodes that move bytes: read and write, from registered buffers too, splice, and what syncs.

Source: io_uring_enter(2), Linux 6.18 io_uring/rw.c, splice.c, sync.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE
from pkern.syscalls.files import pipes, read_write, sizes
from pkern.syscalls.files import splice as splices
from pkern.syscalls.files.at import drop, refuse_flags, signed64
from pkern.syscalls.files.rwf import HIPRI, NOWAIT, called
from pkern.syscalls.io_uring.requests import HELD, SELECT, Entry, Request
from pkern.syscalls.io_uring.resources import no_cloexec
from pkern.syscalls.io_uring.slots import ANY_SLOT
from pkern.syscalls.memory.mman import madvise as advise

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File

CURRENT = (1 << 64) - 1  # an offset: the file's own position
FDATASYNC = 1
PROTECTION, PROTECTION_BYTES, PROTECTION_RESERVED = 1, 32, slice(24, 32)  # IORING_RW_ATTR_FLAG_PI
FROM_SLOT = 1 << 31  # of a splice: SPLICE_F_FD_IN_FIXED


def _is_stream(request: Request) -> bool:
    assert request.file is not None
    inode = request.file.inode
    return inode.kind in read_write.UNSEEKABLE or not inode.can_seek


class Way(NamedTuple):
    """Which way bytes go: the right it takes, the calls where the file stands and at a place."""

    right: int
    here: Callable[..., int]
    there: Callable[..., int]


READ = Way(MAY_READ, read_write.read_raw, read_write.pread64_raw)
WRITE = Way(MAY_WRITE, read_write.write_raw, read_write.pwrite64_raw)
READV = Way(MAY_READ, read_write.scattered, read_write.scattered_from)
WRITEV = Way(MAY_WRITE, read_write.gathered, read_write.gathered_to)


def _by_place(request: Request, way: Way, *memory: Any) -> int:
    """Read or write memory: at the entry's offset, or where the file stands.

    memory: as the way's calls take it.
    """
    entry, task = request.entry, request.task
    assert request.file is not None
    if entry.op_flags & HIPRI or entry.pad:  # rings that poll devices are not done
        raise SyscallError(errno.EINVAL)
    with called(request.file, entry.op_flags, way.right):
        if entry.off != CURRENT and not _is_stream(request):
            return way.there(task, HELD, *memory, entry.off)
        if entry.op_flags & NOWAIT:
            return way.here(task, HELD, *memory)
        return request.or_wait(lambda: way.here(task, HELD, *memory))


def read(request: Request) -> int:
    return _by_place(request, READ, *request.memory)


def write(request: Request) -> int:
    return _by_place(request, WRITE, *request.memory)


def take_attributes(request: Request) -> None:
    """Read what an entry says of protection information, which no file here has.

    Errors: EINVAL (another attribute, reserved bytes), EFAULT.
    """
    entry = request.entry
    if not entry.pad:
        return
    if entry.pad != PROTECTION:
        raise SyscallError(errno.EINVAL)
    if any(request.task.mm.copy_in(entry.addr3, PROTECTION_BYTES)[PROTECTION_RESERVED]):
        raise SyscallError(errno.EINVAL)


def take_vectors(request: Request) -> read_write.Buffers:
    """Return what the iovecs say; of a provided buffer there is one. Errors: EINVAL, EFAULT."""
    take_attributes(request)
    entry, task = request.entry, request.task
    if not entry.flags & SELECT:
        return read_write.buffers_at(task, entry.addr, entry.length)
    if entry.length != 1:
        raise SyscallError(errno.EINVAL)
    return read_write.vectors(task, entry.addr, 1)


def take_parts(request: Request) -> read_write.Buffers:
    """Return what iovecs say that are parts of a registered buffer. Errors: EINVAL, EFAULT."""
    take_attributes(request)
    return read_write.vectors(request.task, request.entry.addr, request.entry.length)


def readv(request: Request) -> int:
    if request.chosen is not None:
        return read(request)
    return _by_place(request, READV, request.prepared)


def writev(request: Request) -> int:
    return _by_place(request, WRITEV, request.prepared)


def length(request: Request) -> int:
    return request.entry.length


def bytes_of_vectors(request: Request) -> int:
    return read_write.bytes_of(request.prepared)


def need_buffer(request: Request) -> None:
    """Refuse what lies not in the registered buffer. Errors: EFAULT."""
    _need_range(request, request.entry.addr, request.entry.length)


def _need_range(request: Request, addr: int, length: int) -> None:
    if request.buffer is None:
        request.buffer = request.ring.buffers.get(request.entry.buf_index)
    start, nbytes = request.buffer.value
    if addr < start or addr + length > start + nbytes:
        raise SyscallError(errno.EFAULT)


def read_fixed(request: Request) -> int:
    need_buffer(request)
    return read(request)


def write_fixed(request: Request) -> int:
    need_buffer(request)
    return write(request)


def _need_vectors(request: Request) -> None:
    """Refuse vectors that lie not in the registered buffer. Errors: EFAULT."""
    for addr, length in request.prepared:
        _need_range(request, addr, length)


def readv_fixed(request: Request) -> int:
    _need_vectors(request)
    return readv(request)


def writev_fixed(request: Request) -> int:
    _need_vectors(request)
    return writev(request)


def check_read_on(entry: Entry) -> None:
    """Errors: EINVAL: one that goes on reads into buffers that are provided."""
    if not entry.flags & SELECT:
        raise SyscallError(errno.EINVAL)


def read_on(request: Request) -> int:
    """Read as long as there is something. Errors: EBADFD: of what is always ready."""
    assert request.file is not None
    if not request.file.inode.can_epoll:
        raise SyscallError(errno.EBADFD)
    return read(request)


def reads_on(request: Request, result: int) -> bool:
    return result > 0


def fsync(request: Request) -> int:
    entry = request.entry
    if entry.op_flags & FDATASYNC:
        return sizes.fdatasync(request.task, HELD)
    return sizes.fsync(request.task, HELD)


def sync_file_range(request: Request) -> int:
    entry = request.entry
    return sizes.sync_file_range(request.task, HELD, entry.off, entry.length, entry.op_flags)


def fallocate(request: Request) -> int:
    entry = request.entry
    return sizes.fallocate(request.task, HELD, entry.length, entry.off, entry.addr)


def fadvise(request: Request) -> int:
    entry = request.entry
    return sizes.fadvise64(request.task, HELD, entry.off, entry.length, entry.op_flags)


def madvise(request: Request) -> int:
    entry = request.entry
    return advise(request.task, entry.addr, entry.length, entry.op_flags)


def ftruncate(request: Request) -> int:
    return sizes.ftruncate(request.task, HELD, request.entry.off)


# ---- pipes ----


def _source_of(request: Request) -> File:
    """Return the open file that a splice or tee reads. Errors: EBADF."""
    entry = request.entry
    if not entry.op_flags & FROM_SLOT:
        return request.task.fds.get(entry.file_index)
    found = request.ring.files.get(entry.file_index)
    found.put()  # the slot holds it for as long as this call takes
    return found.value


def splice(request: Request) -> int:
    entry, task = request.entry, request.task
    assert request.file is not None
    source = _end(_source_of(request), entry.addr)
    target = _end(request.file, entry.off)
    if not entry.length:
        return 0
    flags = entry.op_flags & ~FROM_SLOT
    done = splices.move(task, source, target, entry.length, flags)
    source.passed(done)
    target.passed(done)
    return done


def _end(file: File, offset: int) -> splices.End:
    """Return an end of a splice: at an offset, or where the file stands."""
    if offset == CURRENT:
        return splices.End(file, file.pos, 0)
    return splices.End(file, signed64(offset), 1)


def tee(request: Request) -> int:
    entry, task = request.entry, request.task
    assert request.file is not None
    source = _source_of(request)
    if not entry.length:
        return 0
    return splices.copy(task, source, request.file, entry.length, entry.op_flags & ~FROM_SLOT)


def check_splice(entry: Entry) -> None:
    """Errors: EINVAL."""
    refuse_flags(entry.op_flags, splices.SPLICE_FLAGS | FROM_SLOT)


def check_pipe(entry: Entry) -> None:
    """Errors: EINVAL."""
    no_cloexec(entry.op_flags, entry.file_index)


def pipe(request: Request) -> int:
    """Make a pipe; its descriptors or slots are stored. Errors: as pipe2, Ring.install, EFAULT."""
    entry, task, ring = request.entry, request.task, request.ring
    slot = entry.file_index & ANY_SLOT
    if not slot:
        return pipes.pipe2_raw(task, entry.addr, entry.op_flags)
    ends = pipes.made_pipe(task, entry.op_flags)
    slots: list[int] = []
    try:
        for place, end in enumerate(ends):
            wanted = slot if slot == ANY_SLOT else slot + place
            found = ring.install(end, wanted)
            slots.append(found if slot == ANY_SLOT else wanted - 1)
        task.mm.copy_out(entry.addr, struct.pack("<ii", *slots))
    except SyscallError:
        for found in slots:
            ring.files.empty(found)
        for end in ends[len(slots) :]:
            drop(end)
        raise
    return 0
