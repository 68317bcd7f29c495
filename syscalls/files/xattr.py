"""Extended attributes: set, get, list, remove, of a path, a link or a descriptor."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import xattr
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.walk import length, need_read
from pkern.syscalls.extensible import extensible
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    need_writable,
    path_at,
    refuse_flags,
)
from pkern.syscalls.files.fileattr import path_or_file
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def followed(task: Task, path: str) -> Path:
    """Return what a path leads to. Errors: as stat."""
    return path_at(task, AT_FDCWD, path)


def _kept(task: Task, path: str) -> Path:
    return path_at(task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)


def _opened(task: Task, fd: int) -> Path:
    file = task.fds.get(fd)
    return Path(file.mount, file.seen())


def opened_or_here(task: Task, fd: int) -> Path:
    """Return what is open; AT_FDCWD: the directory where the task stands, as Linux since 6.13."""
    return task.fs.pwd if fd == AT_FDCWD else _opened(task, fd)


Find = Callable[[Any, Any], Path]
XATTR_ARGS = extensible("<Q2I")  # address of the value, its size, flags


def check_name(name: str) -> None:
    """Refuse what cannot be an attribute's name. Errors: ERANGE, EFAULT."""
    need_read(name, too_long=errno.ERANGE)
    if not 0 < length(name) <= xattr.NAME_MAX:
        raise SyscallError(errno.ERANGE)


def _check_wish(name: str, size: int, flags: int) -> None:
    """Look at what is to be set, before the file. Errors: EINVAL, ERANGE, EFAULT, E2BIG."""
    refuse_flags(flags, xattr.XATTR_CREATE | xattr.XATTR_REPLACE)
    check_name(name)
    if size > xattr.SIZE_MAX:
        raise SyscallError(errno.E2BIG)


class Wish(NamedTuple):
    """What an attribute is to be."""

    name: str
    value: bytes
    flags: int


def wish_at(task: Task, name: str, addr: int, size: int, flags: int) -> Wish:
    """Return what is to be set, with its value at addr. Errors: EINVAL, ERANGE, EFAULT, E2BIG."""
    _check_wish(name, size, flags)
    return Wish(name, task.mm.copy_in(addr, size), flags)


def set_as(task: Task, find: Find, what: str | int, wish: Wish) -> int:
    """Set an attribute of what is found. Errors: as setxattr."""
    xattr.set_value(task, need_writable(find(task, what)), *wish)
    return 0


def _set(
    task: Task, find: Find, what: str | int, name: str, addr: int, size: int, flags: int
) -> int:
    return set_as(task, find, what, wish_at(task, name, addr, size, flags))


def _store(task: Task, addr: int, size: int, data: bytes) -> int:
    """Store data where there is room; size 0 only asks how much there is. Errors: ERANGE."""
    if size:
        if len(data) > size:
            raise SyscallError(errno.ERANGE)
        if data:
            task.mm.copy_out(addr, data)
    return len(data)


def _get(task: Task, find: Find, what: str | int, name: str) -> bytes:
    check_name(name)
    inode = find(task, what).inode
    return xattr.get_value(task, inode, name)


def _list(task: Task, path: Path, addr: int, size: int) -> int:
    names = xattr.names_of(task, path.inode)
    raw = b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in names)
    if len(raw) > xattr.LIST_MAX <= size:
        raise SyscallError(errno.E2BIG)
    return _store(task, addr, size, raw)


def _remove(task: Task, find: Find, what: str | int, name: str) -> int:
    check_name(name)
    xattr.remove(task, need_writable(find(task, what)), name)
    return 0


# ---- set ----


def setxattr(task: Task, path: str, name: str, value: bytes, flags: int = 0) -> int:
    """Set an attribute (XATTR_CREATE 1, XATTR_REPLACE 2).

    Errors: EEXIST, ENODATA, EPERM, EACCES, EOPNOTSUPP, ERANGE, E2BIG. Source: setxattr(2).
    """
    _check_wish(name, len(value), flags)
    xattr.set_value(task, need_writable(followed(task, path)), name, value, flags)
    return 0


@syscall(188, "setxattr", PATH, PATH, INT, INT, INT)
def setxattr_raw(task: Task, path: str, name: str, addr: int, size: int, flags: int) -> int:
    """Set an attribute to size bytes at addr. Errors: as setxattr, EFAULT. Source: setxattr(2)."""
    return _set(task, followed, path, name, addr, size, flags)


@syscall(189, "lsetxattr", PATH, PATH, INT, INT, INT)
def lsetxattr(task: Task, path: str, name: str, addr: int, size: int, flags: int) -> int:
    """As setxattr, of a link itself. Errors: as setxattr. Source: lsetxattr(2)."""
    return _set(task, _kept, path, name, addr, size, flags)


@syscall(190, "fsetxattr", SINT, PATH, INT, INT, INT)
def fsetxattr(task: Task, fd: int, name: str, addr: int, size: int, flags: int) -> int:
    """As setxattr, of an open file. Errors: as setxattr, EBADF. Source: fsetxattr(2)."""
    return _set(task, opened_or_here, fd, name, addr, size, flags)


# ---- get ----


def getxattr(task: Task, path: str, name: str) -> bytes:
    """Return an attribute. Errors: ENODATA, EACCES, EOPNOTSUPP, ERANGE. Source: getxattr(2)."""
    return _get(task, followed, path, name)


@syscall(191, "getxattr", PATH, PATH, INT, INT)
def getxattr_raw(task: Task, path: str, name: str, addr: int, size: int) -> int:
    """Store an attribute and return its size. Errors: as getxattr. Source: getxattr(2)."""
    return _store(task, addr, size, _get(task, followed, path, name))


@syscall(192, "lgetxattr", PATH, PATH, INT, INT)
def lgetxattr(task: Task, path: str, name: str, addr: int, size: int) -> int:
    """As getxattr, of a link itself. Errors: as getxattr. Source: lgetxattr(2)."""
    return _store(task, addr, size, _get(task, _kept, path, name))


@syscall(193, "fgetxattr", SINT, PATH, INT, INT)
def fgetxattr(task: Task, fd: int, name: str, addr: int, size: int) -> int:
    """As getxattr, of an open file. Errors: as getxattr, EBADF. Source: fgetxattr(2)."""
    return _store(task, addr, size, _get(task, opened_or_here, fd, name))


# ---- list and remove ----


@syscall(194, "listxattr", PATH, INT, INT)
def listxattr(task: Task, path: str, addr: int = 0, size: int = 0) -> int:
    """Store the names, each with its NUL; return their size.

    Errors: ERANGE, E2BIG (more than 65536 bytes), EFAULT and those of stat. Source: listxattr(2).
    """
    return _list(task, followed(task, path), addr, size)


@syscall(195, "llistxattr", PATH, INT, INT)
def llistxattr(task: Task, path: str, addr: int = 0, size: int = 0) -> int:
    """As listxattr, of a link itself. Errors: as listxattr. Source: llistxattr(2)."""
    return _list(task, _kept(task, path), addr, size)


@syscall(196, "flistxattr", SINT, INT, INT)
def flistxattr(task: Task, fd: int, addr: int = 0, size: int = 0) -> int:
    """As listxattr, of an open file. Errors: as listxattr, EBADF. Source: flistxattr(2)."""
    return _list(task, _opened(task, fd), addr, size)


@syscall(197, "removexattr", PATH, PATH)
def removexattr(task: Task, path: str, name: str) -> int:
    """Remove an attribute. Errors: ENODATA, EPERM, EOPNOTSUPP. Source: removexattr(2)."""
    return _remove(task, followed, path, name)


@syscall(198, "lremovexattr", PATH, PATH)
def lremovexattr(task: Task, path: str, name: str) -> int:
    """As removexattr, of a link itself. Errors: as removexattr. Source: lremovexattr(2)."""
    return _remove(task, _kept, path, name)


@syscall(199, "fremovexattr", SINT, PATH)
def fremovexattr(task: Task, fd: int, name: str) -> int:
    """As removexattr, of an open file. Errors: as removexattr. Source: fremovexattr(2)."""
    return _remove(task, _opened, fd, name)


# ---- below a directory ----


def _found(dirfd: int, path: int, at: int) -> Find:
    """Return what finds a path (an address) below dirfd. Errors: EINVAL."""
    refuse_flags(at, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    return lambda task, what: path_or_file(task, dirfd, path, at)


@syscall(463, "setxattrat", SINT, INT, INT, PATH, INT, INT)
def setxattrat(task: Task, dirfd: int, path: int, at: int, name: str, args: int, size: int) -> int:
    """As setxattr, below dirfd, of a struct xattr_args (value, size, flags) at args.

    path: an address. at: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. Errors: as setxattr, EINVAL, E2BIG,
    EFAULT, EBADF. Source: setxattrat(2).
    """
    value, nbytes, flags = XATTR_ARGS.fields_at(task, args, size)
    return _set(task, _found(dirfd, path, at), "", name, value, nbytes, flags)


@syscall(464, "getxattrat", SINT, INT, INT, PATH, INT, INT)
def getxattrat(task: Task, dirfd: int, path: int, at: int, name: str, args: int, size: int) -> int:
    """As getxattr, below dirfd, of a struct xattr_args at args; return the attribute's size.

    path, at: as of setxattrat. Errors: as getxattr, EINVAL, E2BIG, EFAULT, EBADF. Source:
    getxattrat(2).
    """
    value, nbytes, flags = XATTR_ARGS.fields_at(task, args, size)
    refuse_flags(flags, 0)
    return _store(task, value, nbytes, _get(task, _found(dirfd, path, at), "", name))


@syscall(465, "listxattrat", SINT, INT, INT, INT, INT)
def listxattrat(task: Task, dirfd: int, path: int, at: int, addr: int = 0, size: int = 0) -> int:
    """As listxattr, below dirfd. path, at: as of setxattrat.

    Errors: as listxattr, EINVAL, EBADF. Source: listxattrat(2).
    """
    return _list(task, _found(dirfd, path, at)(task, ""), addr, size)


@syscall(466, "removexattrat", SINT, INT, INT, PATH)
def removexattrat(task: Task, dirfd: int, path: int, at: int, name: str) -> int:
    """As removexattr, below dirfd. path, at: as of setxattrat.

    Errors: as removexattr, EINVAL, EBADF. Source: removexattrat(2).
    """
    return _remove(task, _found(dirfd, path, at), "", name)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"setxattr": setxattr, "getxattr": getxattr}
