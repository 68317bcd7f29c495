"""Opcodes that take names: opening, closing, and what is done to paths.

Source: io_uring_enter(2), Linux 6.18 io_uring/openclose.c, fs.c, statx.c.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.kernel.vfs.walk import FREELY
from pkern.syscalls.files import paths, read_write, xattr
from pkern.syscalls.files.statx import statx as look
from pkern.syscalls.io_uring.requests import HELD, Entry, Request
from pkern.syscalls.io_uring.resources import close_slot, need_number, no_cloexec, place


def _path(request: Request, addr: int) -> str:
    return request.task.mm.string_in(addr)


def openat(request: Request) -> int:
    entry = request.entry
    return _open(request, read_write.How(entry.op_flags, entry.length, FREELY))


def openat2(request: Request) -> int:
    entry = request.entry
    return _open(request, read_write.how_at(request.task, entry.off, entry.length))


def _open(request: Request, how: read_write.How) -> int:
    entry, path = request.entry, _path(request, request.entry.addr)
    no_cloexec(how.flags, entry.file_index)
    need_number(request)
    return place(request, read_write.opened(request.task, entry.fd, path, how), how.flags)


def close(request: Request) -> int:
    """Close a descriptor or empty a slot. Errors: EBADF: also of a ring, which could not tell."""
    entry, task = request.entry, request.task
    if entry.file_index:
        return close_slot(request)
    file = task.fds.files.get(entry.fd)
    if file is not None and isinstance(file.inode, RingInode):
        raise SyscallError(errno.EBADF)
    return read_write.close(task, entry.fd)


def check_close(entry: Entry) -> None:
    """Errors: EINVAL: a descriptor and a slot."""
    if entry.file_index and entry.fd:
        raise SyscallError(errno.EINVAL)


def statx(request: Request) -> int:
    entry, task = request.entry, request.task
    path = _path(request, entry.addr)
    task.mm.copy_out(entry.off, look(task, entry.fd, path, entry.op_flags, entry.length))
    return 0


def setxattr(request: Request) -> int:
    entry, path = request.entry, _path(request, request.entry.addr3)
    name = _path(request, entry.addr)
    return xattr.setxattr_raw(request.task, path, name, entry.off, entry.length, entry.op_flags)


def fsetxattr(request: Request) -> int:
    entry, name = request.entry, _path(request, request.entry.addr)
    return xattr.fsetxattr(request.task, HELD, name, entry.off, entry.length, entry.op_flags)


def getxattr(request: Request) -> int:
    entry, path = request.entry, _path(request, request.entry.addr3)
    name = _path(request, entry.addr)
    return xattr.getxattr_raw(request.task, path, name, entry.off, entry.length)


def fgetxattr(request: Request) -> int:
    entry, name = request.entry, _path(request, request.entry.addr)
    return xattr.fgetxattr(request.task, HELD, name, entry.off, entry.length)


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
