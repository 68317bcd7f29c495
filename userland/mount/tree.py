"""The operations of FUSE: each is one visit of the machine, with the rights of who asks.

Who only looks goes through the guests' own sight; whatever changes something is a system call of
the machine's, made as a task with the caller's rights. Nothing is kept here but what the host's
programs have open. The host follows links before it asks, so no path here holds one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any, Concatenate, ParamSpec, TypeVar

import mfusepy

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.visitor import Visitor
from pkern.kernel.vfs import xattr
from pkern.kernel.vfs.file import O_ACCMODE, O_RDONLY, File
from pkern.kernel.vfs.fs.hostsight import HostSight
from pkern.kernel.vfs.inode import MAY_READ, Inode, MappedInode
from pkern.kernel.vfs.proc.mmfile import MmFile
from pkern.kernel.vfs.walk import NAME_MAX, Last
from pkern.syscalls.files import mounts, paths, read_write, sizes, stat
from pkern.syscalls.files.at import AT_FDCWD, AT_SYMLINK_NOFOLLOW
from pkern.userland.mount.guests import Guests, is_own

P = ParamSpec("P")
R = TypeVar("R")

UNKNOWN = 0xFFFF_FFFF  # d_ino of an entry that nobody has looked at
O_CREAT, O_NOFOLLOW = os.O_CREAT, os.O_NOFOLLOW


class Look:
    """A file or directory that is open for reading: what it shows is read as it is then.

    Of the host's that the machine has not met none is kept: a descriptor would be missing to a
    program that comes to its limit. They are found anew by the path.
    """

    def __init__(self, inode: Inode, path: str) -> None:
        self._kept = None if isinstance(inode, HostSight) else inode
        self._path, self._ino = path, inode.ino

    def found(self, guests: Guests, guest: Visitor) -> Inode:
        """Return the inode. Errors: ESTALE: it is another one by now, or its content has gone."""
        inode = self._kept or guests.see(guest, self._path)
        removed = isinstance(inode, MappedInode) and inode.mapping is None
        if removed or inode.ino != self._ino:
            raise SyscallError(errno.ESTALE)
        return inode


class Opened:
    """A file that is open for writing, too: a descriptor of who has opened it."""

    def __init__(self, guest: Visitor, fd: int) -> None:
        self.guest = guest
        self.fd = fd

    @property
    def file(self) -> File:
        """The open file of the machine."""
        return self.guest.fds.get(self.fd)


Inside = Callable[Concatenate["Tree", Visitor, P], R]
Asked = Callable[Concatenate["Tree", P], R]


def looking(operation: Inside[P, R]) -> Asked[P, R]:
    """Return an operation as FUSE calls it: inside the machine, leaving no trace."""

    def visit(self: Tree, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.guests.looking(*asker()) as guest:
            return operation(self, guest, *args, **kwargs)

    return visit


def changing(operation: Inside[P, R]) -> Asked[P, R]:
    """Return an operation as FUSE calls it: inside the machine, as a task of its."""

    def visit(self: Tree, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.guests.changing(*asker()) as guest:
            return operation(self, guest, *args, **kwargs)

    return visit


def asker() -> tuple[int, int, int]:
    """Return uid, gid and thread of who asks. Errors: EDEADLK: it is the machine itself."""
    uid, gid, pid = mfusepy.fuse_get_context()
    if is_own(pid):
        raise SyscallError(errno.EDEADLK)
    return uid, gid, pid


def need_no_space(inode: Inode | None) -> None:
    """Refuse /proc/mm: an address space is made like the opener's, and no guest has one."""
    if isinstance(inode, MmFile):
        raise SyscallError(errno.EPERM)


def still(path: str | None) -> str:
    """Return the path of what was named by one. Errors: ESTALE: an open file has lost its last."""
    if path is None:
        raise SyscallError(errno.ESTALE)
    return path


def attributes(inode: Inode) -> dict[str, int]:
    """Return struct stat of an inode, as mfusepy takes it; times in nanoseconds."""
    found = stat.stat_of(inode)
    shown = {name: getattr(found, name) for name in found._fields if name.endswith(PLAIN)}
    times = {f"st_{t}": getattr(found, f"st_{t}_ns") for t in ("atime", "mtime", "ctime")}
    return {**shown, **times}


PLAIN = ("_ino", "_nlink", "_mode", "_uid", "_gid", "_rdev", "_size", "_blksize", "_blocks")


class Tree:
    """The files of one machine. Each operation's errors are those of the call of its name."""

    use_ns = True
    flag_nopath = flag_nullpath_ok = True  # what is open has no path: its name may have gone

    def __init__(self, guests: Guests, ready: Callable[[], object]) -> None:
        """ready: called once the host shows the files."""
        self.guests = guests
        self._ready = ready
        self._open: dict[int, Look | Opened] = {}
        self._handles = count(1)
        self.leaves = False

    def init(self, path: str) -> None:
        self._ready()

    # ---- looking ----

    @looking
    def getattr(self, guest: Visitor, path: str | None, fh: int | None = None) -> dict[str, int]:
        if fh is not None:
            return attributes(self._inode(guest, fh))
        return attributes(self.guests.see(guest, still(path)))

    @looking
    def access(self, guest: Visitor, path: str, mode: int) -> int:
        if mode:
            self.guests.see(guest, path).open_check(guest, mode)
        return 0

    @looking
    def readlink(self, guest: Visitor, path: str) -> str:
        inode: Any = self.guests.see(guest, path)
        if inode.kind != "link":
            raise SyscallError(errno.EINVAL)
        text: str = inode.readlink(guest)
        return text

    def opendir(self, path: str) -> int:
        return self._enter(self._open_directory(path))

    @looking
    def _open_directory(self, guest: Visitor, path: str) -> Look:
        directory = self.guests.see(guest, path)
        directory.open_check(guest, MAY_READ)
        return Look(directory, path)

    @looking
    def readdir(
        self, guest: Visitor, path: None, fh: int
    ) -> Iterable[tuple[str, dict[str, int], int]]:
        names = self._inode(guest, fh).names(guest)
        return [(name, {"st_ino": UNKNOWN}, 0) for name in (".", "..", *names)]

    def releasedir(self, path: None, fh: int) -> int:
        del self._open[fh]
        return 0

    @looking
    def getxattr(self, guest: Visitor, path: str, name: str, position: int = 0) -> bytes:
        return xattr.get_value(guest, self.guests.see(guest, path), name)

    @looking
    def listxattr(self, guest: Visitor, path: str) -> list[str]:
        return xattr.names_of(guest, self.guests.see(guest, path))

    def statfs(self, path: str) -> dict[str, int]:
        if self.leaves:
            mfusepy.fuse_exit()
            return {}
        return self._statfs(path)

    @looking
    def _statfs(self, guest: Visitor, path: str) -> dict[str, int]:
        full = mounts.room_of(self.guests.kernel.vfs, self.guests.see(guest, path))
        room = full.room
        blocks = {"f_blocks": room.blocks, "f_bfree": room.free, "f_bavail": room.free}
        files = {"f_files": room.files, "f_ffree": room.free_files, "f_favail": room.free_files}
        return {
            "f_bsize": full.size,
            "f_frsize": full.size,
            **blocks,
            **files,
            "f_namemax": NAME_MAX,
        }

    # ---- open files ----

    def open(self, path: str, flags: int) -> int:
        way = self._look_open if flags & O_ACCMODE == O_RDONLY else self._change_open
        return self._enter(way(path, flags))

    @looking
    def _look_open(self, guest: Visitor, path: str, flags: int) -> Look:
        inode = self.guests.see(guest, path)
        inode.open_check(guest, MAY_READ)
        need_no_space(inode)
        return Look(inode.opened(guest), path)

    @changing
    def _change_open(self, guest: Visitor, path: str, flags: int, mode: int = 0) -> Opened:
        need_no_space(self.guests.kernel.vfs.walk(guest, path, Last.KEEP).inode)
        return Opened(guest, read_write.open_file(guest, path, flags | O_NOFOLLOW, mode))

    def create(self, path: str, mode: int, flags: int) -> int:
        return self._enter(self._change_open(path, flags | O_CREAT, mode))

    def _enter(self, opened: Look | Opened) -> int:
        handle = next(self._handles)
        self._open[handle] = opened
        return handle

    def _inode(self, guest: Visitor, fh: int) -> Inode:
        opened = self._open[fh]
        if isinstance(opened, Look):
            return opened.found(self.guests, guest)
        return opened.file.inode

    def read(self, path: None, size: int, offset: int, fh: int) -> bytes:
        opened = self._open[fh]
        if isinstance(opened, Look):
            return self._look_read(opened, size, offset)
        return self._change_read(opened, size, offset)

    @looking
    def _look_read(self, guest: Visitor, look: Look, size: int, offset: int) -> bytes:
        return look.found(self.guests, guest).sight_at(offset, size)

    @changing
    def _change_read(self, guest: Visitor, opened: Opened, size: int, offset: int) -> bytes:
        return read_write.pread64(opened.guest, opened.fd, size, offset)

    def write(self, path: None, data: bytes, offset: int, fh: int) -> int:
        opened = self._open[fh]
        if not isinstance(opened, Opened):
            raise SyscallError(errno.EBADF)
        return self._write(opened, data, offset)

    @changing
    def _write(self, guest: Visitor, opened: Opened, data: bytes, offset: int) -> int:
        return read_write.pwrite64(opened.guest, opened.fd, data, offset)

    def flush(self, path: None, fh: int) -> int:
        return 0

    def fsync(self, path: None, datasync: int, fh: int) -> int:
        opened = self._open[fh]
        return self._sync(opened) if isinstance(opened, Opened) else 0

    @changing
    def _sync(self, guest: Visitor, opened: Opened) -> int:
        return sizes.fsync(opened.guest, opened.fd)

    def release(self, path: None, fh: int) -> int:
        opened = self._open.pop(fh)
        if isinstance(opened, Opened):
            self._close(opened)
        return 0

    @changing
    def _close(self, guest: Visitor, opened: Opened) -> None:
        opened.guest.fds.close(opened.fd)

    # ---- changing names ----

    @changing
    def mkdir(self, guest: Visitor, path: str, mode: int) -> int:
        return paths.mkdir(guest, path, mode)

    @changing
    def mknod(self, guest: Visitor, path: str, mode: int, dev: int) -> int:
        return paths.mknod(guest, path, mode, dev)

    @changing
    def symlink(self, guest: Visitor, path: str, target: str) -> int:
        return paths.symlink(guest, target, path)

    @changing
    def link(self, guest: Visitor, path: str, source: str) -> int:
        return paths.link(guest, source, path)

    @changing
    def unlink(self, guest: Visitor, path: str) -> int:
        return paths.unlink(guest, path)

    @changing
    def rmdir(self, guest: Visitor, path: str) -> int:
        return paths.rmdir(guest, path)

    @changing
    def rename(self, guest: Visitor, old: str, new: str, flags: int = 0) -> int:
        return paths.renameat2(guest, AT_FDCWD, old, AT_FDCWD, new, flags)

    # ---- changing files ----

    @changing
    def truncate(self, guest: Visitor, path: str | None, length: int, fh: int | None = None) -> int:
        opened = None if fh is None else self._open[fh]
        if isinstance(opened, Opened):
            return sizes.ftruncate(opened.guest, opened.fd, length)
        return sizes.truncate(guest, still(path), length)

    @changing
    def fallocate(
        self, guest: Visitor, path: None, mode: int, offset: int, length: int, fh: int
    ) -> int:
        opened = self._open[fh]
        if not isinstance(opened, Opened):
            raise SyscallError(errno.EBADF)
        return sizes.fallocate(opened.guest, opened.fd, mode, offset, length)

    @changing
    def chmod(self, guest: Visitor, path: str | None, mode: int) -> int:
        return stat.fchmodat2(guest, AT_FDCWD, still(path), mode, AT_SYMLINK_NOFOLLOW)

    @changing
    def chown(self, guest: Visitor, path: str | None, uid: int, gid: int) -> int:
        return stat.fchownat(guest, AT_FDCWD, still(path), uid, gid, AT_SYMLINK_NOFOLLOW)

    @changing
    def utimens(self, guest: Visitor, path: str | None, times: tuple[stat.Time, stat.Time]) -> int:
        return stat.utimensat(guest, AT_FDCWD, still(path), times, AT_SYMLINK_NOFOLLOW)

    @changing
    def setxattr(
        self, guest: Visitor, path: str, name: str, value: bytes, flags: int, position: int = 0
    ) -> int:
        xattr.set_value(guest, self._named(guest, path), name, value, flags)
        return 0

    @changing
    def removexattr(self, guest: Visitor, path: str, name: str) -> int:
        xattr.remove(guest, self._named(guest, path), name)
        return 0

    def _named(self, guest: Visitor, path: str) -> Inode:
        return self.guests.kernel.vfs.resolve(guest, path, Last.KEEP)


class Fuse(mfusepy.FUSE):  # type: ignore[misc]
    """mfusepy's FUSE, which hands on what it would leave out.

    A rename's flags, which of two times stay as they are or become now, the open file that is cut:
    mfusepy 3.1 gives its operations none of these. An exchange of two files would destroy one.
    """

    def _name(self, path: bytes | None) -> str | None:
        return None if path is None else path.decode(self.encoding, self.errors)

    def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
        """Rename, as flags say (renameat2(2))."""
        return int(self.operations.rename(self._name(old), self._name(new), flags))

    def truncate_fuse_3(self, path: bytes | None, length: int, fip: Any) -> int:
        """Set the size of a path, or of an open file."""
        fh = fip.contents.fh if fip else None
        return int(self.operations.truncate(self._name(path), length, fh))

    def utimens_fuse_2(self, path: bytes | None, buf: Any) -> int:
        """Set two times: (seconds, nanoseconds) each, or UTIME_NOW, or UTIME_OMIT."""
        both = buf.contents.actime, buf.contents.modtime
        times = tuple((time.tv_sec, time.tv_nsec) for time in both)
        return int(self.operations.utimens(self._name(path), times))
