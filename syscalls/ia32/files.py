"""Calls of the i386 table about files: locks, directories, file systems, times, names of old.

Owns the layouts that those calls point to: see forms.py.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.syscalls.abi import path_in
from pkern.syscalls.files import fcntl, mounts, paths, stat
from pkern.syscalls.files.at import AT_FDCWD
from pkern.syscalls.ia32.forms import HALF, MOST_INT, form
from pkern.syscalls.info import uname
from pkern.syscalls.table import INT, PATH, SINT, STRUCT

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.inode import Inode

# ---- locks ----

LOCK, LOCK64 = struct.Struct("<hhiii"), struct.Struct("<hhqqi")  # struct flock, flock64
NATIVE_LOCK = struct.Struct(fcntl.FLOCK)
F_GETLK64, F_SETLK64, F_SETLKW64 = 12, 13, 14
AS_NATIVE = {F_GETLK64: fcntl.F_GETLK, F_SETLK64: fcntl.F_SETLK, F_SETLKW64: fcntl.F_SETLKW}
SHORT = frozenset({fcntl.F_GETLK, fcntl.F_SETLK, fcntl.F_SETLKW})
LONG = frozenset({*AS_NATIVE, *fcntl.OPEN_FILE_LOCKS})


def _lock_back(layout: struct.Struct, raw: bytes) -> bytes:
    """Return a native struct flock in another layout. Errors: EOVERFLOW: it does not fit."""
    kind, whence, start, length, pid = NATIVE_LOCK.unpack(raw)
    if layout is LOCK and start > MOST_INT:
        raise SyscallError(errno.EOVERFLOW)
    if layout is LOCK and length > MOST_INT:
        length = 0  # to the end, as far as this layout goes
    return layout.pack(kind, whence, start, length, pid)


def _lock(task: Task, fd: int, command: int, addr: int, layout: struct.Struct) -> int:
    raw = NATIVE_LOCK.pack(*layout.unpack(task.mm.copy_in(addr, layout.size)))
    native = AS_NATIVE.get(command, command)
    owner = fcntl.owner_of(task, fd, native)
    if native in fcntl.WAITS:
        return fcntl.set_lock(task, fd, raw, owner, fcntl.WAITS[native])
    found = _lock_back(layout, fcntl.get_lock(task, fd, raw, owner))
    task.mm.copy_out(addr, found)
    return 0


@form("fcntl64", SINT, INT, INT)
def _fcntl64(task: Task, fd: int, command: int, arg: int) -> int:
    if command not in SHORT | LONG:
        return fcntl.fcntl(task, fd, command, arg)
    task.fds.get(fd)
    return _lock(task, fd, command, arg, LOCK if command in SHORT else LOCK64)


form("fcntl", SINT, INT, INT)(_fcntl64)


# ---- directories ----


def _dirent(name: bytes, inode: Inode, position: int) -> bytes:
    length = 10 + len(name) + 2 + 3 & ~3
    head = struct.pack("<IIH", inode.ino & HALF, position, length) + name
    return head.ljust(length - 1, b"\0") + bytes([paths.DT.get(inode.kind, 0)])


@form("getdents", SINT, INT, INT)
def _getdents(task: Task, fd: int, addr: int, count: int) -> int:
    return paths.store_entries(task, fd, addr, count, _dirent)


# ---- file systems ----

NATIVE_STATFS = struct.Struct("<7q2i3q")
STATFS64_BYTES = 84


def _statfs(raw: bytes) -> bytes:
    """Return struct statfs of 32-bit words. Errors: EOVERFLOW: a number of blocks or files."""
    words = NATIVE_STATFS.unpack_from(raw)
    kind, size, *counts, id0, id1, name, fragment, flags = words
    if any(count > HALF for count in counts):
        raise SyscallError(errno.EOVERFLOW)
    return struct.pack("<7I2i3I16x", kind & HALF, size, *counts, id0, id1, name, fragment, flags)


def _statfs64(raw: bytes) -> bytes:
    kind, size, *counts, id0, id1, name, fragment, flags = NATIVE_STATFS.unpack_from(raw)
    return struct.pack("<II5q2i3I16x", kind & HALF, size, *counts, id0, id1, name, fragment, flags)


def _with_size(find: Callable[..., bytes]) -> Callable[..., int]:
    def call(task: Task, which: str | int, nbytes: int, addr: int) -> int:
        if nbytes != STATFS64_BYTES:
            raise SyscallError(errno.EINVAL)
        task.mm.copy_out(addr, _statfs64(find(task, which)))
        return 0

    return call


form("statfs", PATH, STRUCT)(lambda task, path: _statfs(mounts.statfs(task, path)))
form("fstatfs", SINT, STRUCT)(lambda task, fd: _statfs(mounts.fstatfs(task, fd)))
form("statfs64", PATH, INT, INT)(_with_size(mounts.statfs))
form("fstatfs64", SINT, INT, INT)(_with_size(mounts.fstatfs))


# ---- times ----


def _times_in(task: Task, addr: int, unit_ns: int) -> tuple[stat.Time, stat.Time]:
    """Read two pairs of 32-bit numbers; NULL is now. Errors: EINVAL, EFAULT."""
    if not addr:
        return stat.NOW
    a, b, c, d = struct.unpack("<4i", task.mm.copy_in(addr, 16))
    if unit_ns > 1 and not (0 <= b < 1_000_000 and 0 <= d < 1_000_000):
        raise SyscallError(errno.EINVAL)
    return (a, b * unit_ns), (c, d * unit_ns)


def _path_in(task: Task, addr: int) -> str | None:
    return path_in(task, addr) if addr else None


@form("utime", PATH, INT)
def _utime(task: Task, path: str, addr: int) -> int:
    if not addr:
        return stat.utimensat(task, AT_FDCWD, path)
    atime, mtime = struct.unpack("<2i", task.mm.copy_in(addr, 8))
    return stat.utimensat(task, AT_FDCWD, path, ((atime, 0), (mtime, 0)))


@form("utimes", PATH, INT)
def _utimes(task: Task, path: str, addr: int) -> int:
    return stat.utimensat(task, AT_FDCWD, path, _times_in(task, addr, 1000))


@form("futimesat", SINT, INT, INT)
def _futimesat(task: Task, dirfd: int, path: int, addr: int) -> int:
    times = _times_in(task, addr, 1000)
    return stat.utimensat(task, dirfd, _path_in(task, path), times)


@form("utimensat", SINT, INT, INT, INT)
def _utimensat(task: Task, dirfd: int, path: int, addr: int, flags: int) -> int:
    times = _times_in(task, addr, 1)
    if all(ns == stat.UTIME_OMIT for _, ns in times):
        return 0
    return stat.utimensat(task, dirfd, _path_in(task, path), times, flags)


# ---- names of the system, as they were ----

OLD_NAMES, OLDEST_NAMES = 65, 9  # bytes of each of five names


def _names(width: int) -> Callable[[Task], bytes]:
    def call(task: Task) -> bytes:
        five = list(uname(task))[:5]
        return b"".join(name.encode()[: width - 1].ljust(width, b"\0") for name in five)

    return call


form("olduname", STRUCT)(_names(OLD_NAMES))
form("oldolduname", STRUCT)(_names(OLDEST_NAMES))
