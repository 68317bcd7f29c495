"""Opcodes that take names: opening, closing, and what is done to paths.

Source: io_uring_enter(2), Linux 6.18 io_uring/openclose.c, fs.c, statx.c.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.syscalls.files import paths, read_write
from pkern.syscalls.files.statx import statx as look
from pkern.syscalls.io_uring.requests import Request


def _path(request: Request, addr: int) -> str:
    return request.task.mm.string_in(addr)


def openat(request: Request) -> int:
    entry = request.entry
    path = _path(request, entry.addr)
    return read_write.openat(request.task, entry.fd, path, entry.op_flags, entry.length)


def openat2(request: Request) -> int:
    entry = request.entry
    path = _path(request, entry.addr)
    return read_write.openat2(request.task, entry.fd, path, entry.off, entry.length)


def close(request: Request) -> int:
    """Close a descriptor. Errors: EBADF: also of a ring, which could not tell of its own end."""
    file = request.task.fds.files.get(request.entry.fd)
    if file is not None and isinstance(file.inode, RingInode):
        raise SyscallError(errno.EBADF)
    return read_write.close(request.task, request.entry.fd)


def statx(request: Request) -> int:
    entry, task = request.entry, request.task
    path = _path(request, entry.addr)
    task.mm.copy_out(entry.off, look(task, entry.fd, path, entry.op_flags, entry.length))
    return 0


def renameat(request: Request) -> int:
    entry = request.entry
    old, new = _path(request, entry.addr), _path(request, entry.off)
    to = (entry.length ^ 1 << 31) - (1 << 31)
    return paths.renameat2(request.task, entry.fd, old, to, new, entry.op_flags)


def unlinkat(request: Request) -> int:
    entry = request.entry
    return paths.unlinkat(request.task, entry.fd, _path(request, entry.addr), entry.op_flags)


def mkdirat(request: Request) -> int:
    entry = request.entry
    return paths.mkdirat(request.task, entry.fd, _path(request, entry.addr), entry.length)


def symlinkat(request: Request) -> int:
    entry = request.entry
    target, path = _path(request, entry.addr), _path(request, entry.off)
    return paths.symlinkat(request.task, target, entry.fd, path)


def linkat(request: Request) -> int:
    entry = request.entry
    old, new = _path(request, entry.addr), _path(request, entry.off)
    to = (entry.length ^ 1 << 31) - (1 << 31)
    return paths.linkat(request.task, entry.fd, old, to, new, entry.op_flags)
