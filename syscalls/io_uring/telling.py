"""Opcodes that only make completions: of their own, and in other rings, which may be sent files.

Source: io_uring_enter(2), Linux 6.18 io_uring/nop.c, msg_ring.c.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.io_uring import CQE32, CQE_MIXED, RingInode
from pkern.syscalls.abi import signed32
from pkern.syscalls.io_uring.slots import ANY_SLOT

if TYPE_CHECKING:
    from pkern.syscalls.io_uring.requests import Entry, Request
    from pkern.syscalls.io_uring.ring import Ring

NOP_RESULT, NOP_FILE, NOP_FIXED_FILE, NOP_FIXED_BUFFER, NOP_LATER, NOP_LARGE = (
    1 << bit for bit in range(6)
)
NOP_FLAGS = NOP_RESULT | NOP_FILE | NOP_FIXED_FILE | NOP_FIXED_BUFFER | NOP_LATER | NOP_LARGE
NUMBERS = struct.Struct("<QQ")
SEND_DATA, SEND_FILE = 0, 1
SKIP, PASS_FLAGS = 1, 2  # of MSG_RING: do not tell the target; give it completion flags
MSG_FLAGS = SKIP | PASS_FLAGS


def take_numbers(request: Request) -> None:
    """Let a completion have two numbers of the entry. Errors: EINVAL: none is so large here."""
    entry = request.entry
    if not entry.op_flags & NOP_LARGE:
        return
    if not request.ring.inode.flags & (CQE32 | CQE_MIXED):
        raise SyscallError(errno.EINVAL)
    request.more = NUMBERS.pack(entry.off, entry.addr)


def nop(request: Request) -> int:
    """Do nothing, with the result and by the file and buffer that the flags name. Errors: EBADF."""
    entry, ring = request.entry, request.ring
    if entry.op_flags & NOP_LATER and request.progress is None:
        raise request.later()
    if entry.op_flags & NOP_FILE:
        if entry.op_flags & NOP_FIXED_FILE:
            ring.files.get(entry.fd).put()
        else:
            request.task.fds.get(entry.fd)
    if entry.op_flags & NOP_FIXED_BUFFER:
        ring.buffers.get(entry.buf_index).put()
    return signed32(entry.length) if entry.op_flags & NOP_RESULT else 0


def tell_ring(request: Request) -> int:
    """Make a completion in another ring, or give it a file from a slot.

    Errors: EBADFD (no ring, or one that is not enabled), EINVAL, EBADF, those of Ring.install.
    """
    assert request.file is not None
    inode = request.file.inode
    if not isinstance(inode, RingInode):
        raise SyscallError(errno.EBADFD)
    command = request.entry.addr & ANY_SLOT
    if command == SEND_DATA:
        return send_data(request.entry, inode.owner)
    if command == SEND_FILE:
        return _send_file(request, inode.owner)
    raise SyscallError(errno.EINVAL)


def _need_enabled(target: Ring) -> None:
    if not target.enabled:
        raise SyscallError(errno.EBADFD)


def send_data(entry: Entry, target: Ring) -> int:
    """Make a completion as the entry says. Errors: EINVAL, EBADFD."""
    flags = entry.file_index & ANY_SLOT
    if entry.addr3 & ANY_SLOT or entry.op_flags & ~PASS_FLAGS:
        raise SyscallError(errno.EINVAL)
    if flags and not entry.op_flags & PASS_FLAGS:
        raise SyscallError(errno.EINVAL)
    _need_enabled(target)
    target.tell(entry.off, signed32(entry.length), flags)
    return 0


def _send_file(request: Request, target: Ring) -> int:
    entry = request.entry
    if entry.length or target is request.ring:
        raise SyscallError(errno.EINVAL)
    _need_enabled(target)
    source = request.ring.files.get(entry.addr3 & ANY_SLOT)
    try:
        slot = target.install(source.value, entry.file_index & ANY_SLOT)
    finally:
        source.put()
    if not entry.op_flags & SKIP:
        target.tell(entry.off, slot)
    return slot


def check_tell(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.op_flags & ~MSG_FLAGS:
        raise SyscallError(errno.EINVAL)
