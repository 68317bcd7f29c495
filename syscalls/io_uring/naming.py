"""Opcodes that take names: opening, closing, and what is done to paths.

Names, and what is to be set, are read when an entry is taken.

Source: io_uring_enter(2), Linux 6.18 io_uring/openclose.c, fs.c, statx.c.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.kernel.vfs.walk import FREELY
from pkern.syscalls.abi import path_in, signed32
from pkern.syscalls.files import paths, read_write, xattr
from pkern.syscalls.files.at import AT_EMPTY_PATH
from pkern.syscalls.files.statx import statx as look
from pkern.syscalls.io_uring.requests import HELD, Entry, Request
from pkern.syscalls.io_uring.resources import close_slot, need_number, no_cloexec, place


def _name(request: Request, addr: int) -> str:
    """Return a path, which is not empty. Errors: EFAULT, ENAMETOOLONG, ENOENT."""
    path = request.task.mm.string_in(addr)
    if not path:
        raise SyscallError(errno.ENOENT)
    return path


def take_path(request: Request) -> str:
    return _name(request, request.entry.addr)


def take_paths(request: Request) -> tuple[str, str]:
    return _name(request, request.entry.addr), _name(request, request.entry.off)


class Opening(NamedTuple):
    """What is to be opened, and the fields that say how; whether they make sense shows later."""

    path: str
    how: tuple[int, ...]


def _opening(request: Request, *how: int) -> Opening:
    path = take_path(request)
    no_cloexec(how[0], request.entry.file_index)
    return Opening(path, how)


def take_openat(request: Request) -> Opening:
    return _opening(request, request.entry.op_flags, request.entry.length)


def take_openat2(request: Request) -> Opening:
    entry = request.entry
    fields = read_write.HOW.fields_at(request.task, entry.off, entry.length)
    return _opening(request, *fields)


def openat(request: Request) -> int:
    path, (flags, mode) = request.prepared
    return _open(request, path, read_write.How(flags, mode, FREELY))


def openat2(request: Request) -> int:
    path, how = request.prepared
    return _open(request, path, read_write.how_of(*how))


def _open(request: Request, path: str, how: read_write.How) -> int:
    need_number(request)
    return place(request, read_write.opened(request.task, request.entry.fd, path, how), how.flags)


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


def take_looked_at(request: Request) -> str:
    """Return the path to look at, which AT_EMPTY_PATH lets be empty."""
    entry = request.entry
    if entry.op_flags & AT_EMPTY_PATH:
        return request.task.mm.string_in(entry.addr)
    return take_path(request)


def statx(request: Request) -> int:
    entry, task = request.entry, request.task
    found = look(task, entry.fd, request.prepared, entry.op_flags, entry.length)
    task.mm.copy_out(entry.off, found)
    return 0


# ---- attributes ----


def take_wish(request: Request) -> xattr.Wish:
    """Return what an attribute is to be. Errors: EINVAL, ERANGE, EFAULT, E2BIG."""
    entry, task = request.entry, request.task
    name = path_in(task, entry.addr)
    return xattr.wish_at(task, name, entry.off, entry.length, entry.op_flags)


def take_wish_of_path(request: Request) -> tuple[xattr.Wish, str]:
    return take_wish(request), _name(request, request.entry.addr3)


def setxattr(request: Request) -> int:
    wish, path = request.prepared
    return xattr.set_as(request.task, xattr.followed, path, wish)


def fsetxattr(request: Request) -> int:
    return xattr.set_as(request.task, xattr.opened_or_here, HELD, request.prepared)


def take_attribute(request: Request) -> str:
    """Return an attribute's name. Errors: ERANGE, EFAULT."""
    name = path_in(request.task, request.entry.addr)
    xattr.check_name(name)
    return name


def take_attribute_of_path(request: Request) -> tuple[str, str]:
    return take_attribute(request), _name(request, request.entry.addr3)


def getxattr(request: Request) -> int:
    entry, (name, path) = request.entry, request.prepared
    return xattr.getxattr_raw(request.task, path, name, entry.off, entry.length)


def fgetxattr(request: Request) -> int:
    entry = request.entry
    return xattr.fgetxattr(request.task, HELD, request.prepared, entry.off, entry.length)


# ---- what is done to paths ----


def renameat(request: Request) -> int:
    entry, (old, new) = request.entry, request.prepared
    to = signed32(entry.length)
    return paths.renameat2(request.task, entry.fd, old, to, new, entry.op_flags)


def unlinkat(request: Request) -> int:
    entry = request.entry
    return paths.unlinkat(request.task, entry.fd, request.prepared, entry.op_flags)


def mkdirat(request: Request) -> int:
    entry = request.entry
    return paths.mkdirat(request.task, entry.fd, request.prepared, entry.length)


def symlinkat(request: Request) -> int:
    target, path = request.prepared
    return paths.symlinkat(request.task, target, request.entry.fd, path)


def linkat(request: Request) -> int:
    entry, (old, new) = request.entry, request.prepared
    to = signed32(entry.length)
    return paths.linkat(request.task, entry.fd, old, to, new, entry.op_flags)
