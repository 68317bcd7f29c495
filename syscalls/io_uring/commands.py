"""IORING_OP_URING_CMD of sockets: what an ioctl or an option's call answers.

Source: Linux 6.18 io_uring/cmd_net.c.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.ioctl import COUNTS, FIONREAD, SIOCOUTQ
from pkern.kernel.net.socket import AF_UNIX, Socket
from pkern.syscalls.abi import signed32
from pkern.syscalls.io_uring.requests import HELD
from pkern.syscalls.net.options import SOL_SOCKET, setsockopt, socket_option

if TYPE_CHECKING:
    from pkern.syscalls.io_uring.requests import Entry, Request

WORD = (1 << 32) - 1
FIXED, MULTISHOT = 1, 2


def _option_of(entry: Entry) -> tuple[int, int]:
    """Return the level and the option that an entry names."""
    return entry.addr & WORD, entry.addr >> 32


def _count(request: Request, socket: Socket, command: int) -> int:
    if socket.family == AF_UNIX:
        raise SyscallError(errno.EOPNOTSUPP)
    return COUNTS[command](socket)


def _unread(request: Request, socket: Socket) -> int:
    return _count(request, socket, FIONREAD)


def _unsent(request: Request, socket: Socket) -> int:
    return _count(request, socket, SIOCOUTQ)


def _get(request: Request, socket: Socket) -> int:
    entry, task = request.entry, request.task
    level, option = _option_of(entry)
    if level != SOL_SOCKET:
        raise SyscallError(errno.EOPNOTSUPP)
    value = socket_option(task, socket, option, signed32(entry.file_index))
    if value:
        task.mm.copy_out(entry.addr3, value)
    return len(value)


def _set(request: Request, socket: Socket) -> int:
    entry = request.entry
    level, option = _option_of(entry)
    return setsockopt(request.task, HELD, level, option, entry.addr3, entry.file_index)


COMMANDS: dict[int, Callable[[Request, Socket], int]] = {
    0: _unread,  # SOCKET_URING_OP_SIOCINQ
    1: _unsent,
    2: _get,
    3: _set,
}


def command(request: Request) -> int:
    """Do a command of a file. Errors: EOPNOTSUPP: there is none, or the file has none."""
    assert request.file is not None
    socket, known = request.file.inode, COMMANDS.get(request.entry.off & WORD)
    if not isinstance(socket, Socket) or known is None:
        raise SyscallError(errno.EOPNOTSUPP)
    if request.entry.op_flags & FIXED:
        request.ring.buffers.get(request.entry.buf_index).put()
    return known(request, socket)


def check_command(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.off > WORD or entry.op_flags & ~(FIXED | MULTISHOT):
        raise SyscallError(errno.EINVAL)
    if entry.op_flags & MULTISHOT:
        raise SyscallError(errno.EINVAL)
