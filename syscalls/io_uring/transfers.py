"""Opcodes that move bytes: read and write, from registered buffers too, splice, and what syncs.

Source: io_uring_enter(2), Linux 6.18 io_uring/rw.c, splice.c, sync.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.syscalls.files import read_write, sizes, splice
from pkern.syscalls.io_uring.requests import HELD, Request
from pkern.syscalls.memory.mman import madvise as advise

if TYPE_CHECKING:
    from collections.abc import Callable

CURRENT = (1 << 64) - 1  # an offset: the file's own position
FDATASYNC = 1
RWF_FLAGS = 0x1F


def _is_stream(request: Request) -> bool:
    assert request.file is not None
    inode = request.file.inode
    return inode.kind in read_write.UNSEEKABLE or not inode.can_seek


def _by_place(request: Request, here: Callable[..., int], there: Callable[..., int]) -> int:
    """Read or write one buffer: at the entry's offset, or where the file stands."""
    entry, task = request.entry, request.task
    if entry.op_flags & ~RWF_FLAGS:
        raise SyscallError(errno.EOPNOTSUPP)
    if entry.off == CURRENT or _is_stream(request):
        return request.or_wait(lambda: here(task, HELD, entry.addr, entry.length))
    return there(task, HELD, entry.addr, entry.length, entry.off)


def read(request: Request) -> int:
    return _by_place(request, read_write.read_raw, read_write.pread64_raw)


def write(request: Request) -> int:
    return _by_place(request, read_write.write_raw, read_write.pwrite64_raw)


def readv(request: Request) -> int:
    return _by_place(request, read_write.readv, read_write.preadv)


def writev(request: Request) -> int:
    return _by_place(request, read_write.writev, read_write.pwritev)


def length(request: Request) -> int:
    return request.entry.length


def bytes_of_vectors(request: Request) -> int:
    entry = request.entry
    return read_write.bytes_of(read_write.vectors(request.task, entry.addr, entry.length))


def _need_buffer(request: Request) -> None:
    """Refuse what lies not in the registered buffer. Errors: EFAULT."""
    _need_range(request, request.entry.addr, request.entry.length)


def _need_range(request: Request, addr: int, length: int) -> None:
    if request.buffer is None:
        request.buffer = request.ring.buffers.get(request.entry.buf_index)
    start, nbytes = request.buffer.value
    if addr < start or addr + length > start + nbytes:
        raise SyscallError(errno.EFAULT)


def read_fixed(request: Request) -> int:
    _need_buffer(request)
    return read(request)


def write_fixed(request: Request) -> int:
    _need_buffer(request)
    return write(request)


def _need_vectors(request: Request) -> None:
    """Refuse vectors that lie not in the registered buffer. Errors: EFAULT, EINVAL."""
    entry = request.entry
    for addr, length in read_write.vectors(request.task, entry.addr, entry.length):
        _need_range(request, addr, length)


def readv_fixed(request: Request) -> int:
    _need_vectors(request)
    return readv(request)


def writev_fixed(request: Request) -> int:
    _need_vectors(request)
    return writev(request)


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


def tee(request: Request) -> int:
    entry = request.entry
    return splice.tee(request.task, entry.file_index, HELD, entry.length, entry.op_flags)
