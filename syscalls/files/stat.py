"""What a file is: stat and its kin, access, rights, owners, times."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import FIRST, NO_ID, UserNamespace
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import names
from pkern.kernel.vfs.inode import IMMUTABLE, MAY_EXEC, MAY_READ, MAY_WRITE, ON_DISK, Inode
from pkern.syscalls.abi import path_in
from pkern.syscalls.files.at import (
    AT_EACCESS,
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_NO_AUTOMOUNT,
    AT_SYMLINK_NOFOLLOW,
    changeable_at,
    changeable_file,
    inode_at,
    need_writable,
    path_at,
    refuse_flags,
)
from pkern.syscalls.table import INT, PATH, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SYNC_TYPE = 0x6000  # AT_STATX_SYNC_TYPE: said, and not heard
STAT_FLAGS = SYNC_TYPE | SYNC_TYPE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


class Stat(NamedTuple):
    """struct stat; sizes in bytes, st_blocks in 512-byte units, times in ns since 1970."""

    st_dev: int
    st_ino: int
    st_nlink: int
    st_mode: int
    st_uid: int
    st_gid: int
    st_rdev: int
    st_size: int
    st_blksize: int
    st_blocks: int
    st_atime_ns: int
    st_mtime_ns: int
    st_ctime_ns: int
    btime_ns: int

    def pack(self) -> bytes:
        """Return the 144 bytes of x86-64's struct stat."""
        head = (self.st_dev, self.st_ino, self.st_nlink, self.st_mode, self.st_uid, self.st_gid)
        tail = (self.st_rdev, self.st_size, self.st_blksize, self.st_blocks)
        times = [
            part
            for ns in (self.st_atime_ns, self.st_mtime_ns, self.st_ctime_ns)
            for part in divmod(ns, SECOND)
        ]
        return struct.pack("<3Q4IQ3q6q24x", *head, 0, *tail, *times)


def stat_of(inode: Inode, user_ns: UserNamespace = FIRST) -> Stat:
    """Return what is known of an inode, its owner as a user namespace has it."""
    return Stat(
        inode.dev,
        inode.ino,
        inode.st_nlink,
        inode.st_mode,
        user_ns.uid_of(inode.uid),
        user_ns.gid_of(inode.gid),
        inode.rdev,
        inode.st_size,
        inode.block_size,
        inode.blocks,
        inode.atime,
        inode.mtime,
        inode.ctime,
        inode.btime,
    )


# ---- stat ----


def stat(task: Task, path: str) -> Stat:
    """Return what a path leads to. Errors: ENOENT, ENOTDIR, EACCES, ELOOP. Source: stat(2)."""
    return stat_of(inode_at(task, AT_FDCWD, path), task.cred.user_ns)


def lstat(task: Task, path: str) -> Stat:
    """Return what a path names: the link itself. Errors: as stat. Source: lstat(2)."""
    return stat_of(inode_at(task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), task.cred.user_ns)


def fstat(task: Task, fd: int) -> Stat:
    """Return what a descriptor names. Errors: EBADF. Source: fstat(2)."""
    return stat_of(task.fds.get_raw(fd).inode, task.cred.user_ns)


@syscall(4, "stat", PATH, STRUCT)
def stat_raw(task: Task, path: str) -> bytes:
    """Store struct stat of a path. Errors: as stat, EFAULT. Source: stat(2)."""
    return stat(task, path).pack()


@syscall(6, "lstat", PATH, STRUCT)
def lstat_raw(task: Task, path: str) -> bytes:
    """Store struct stat of a path or link. Errors: as stat, EFAULT. Source: lstat(2)."""
    return lstat(task, path).pack()


@syscall(5, "fstat", SINT, STRUCT)
def fstat_raw(task: Task, fd: int) -> bytes:
    """Store struct stat of a descriptor. Errors: EBADF, EFAULT. Source: fstat(2)."""
    return fstat(task, fd).pack()


@syscall(262, "newfstatat", SINT, PATH, STRUCT, INT)
def newfstatat(task: Task, dirfd: int, path: str, flags: int = 0) -> bytes:
    """Store struct stat of a path below dirfd. Errors: as stat, EINVAL. Source: fstatat(2)."""
    refuse_flags(flags, STAT_FLAGS)
    return stat_of(inode_at(task, dirfd, path, flags), task.cred.user_ns).pack()


# ---- access ----


@syscall(21, "access", PATH, SINT)
def access(task: Task, path: str, mode: int = 0) -> int:
    """Tell whether the task may do mode (R_OK 4, W_OK 2, X_OK 1) to a path.

    Errors: EACCES, ENOENT, EINVAL, EROFS. Source: access(2).
    """
    return faccessat2(task, AT_FDCWD, path, mode)


@syscall(269, "faccessat", SINT, PATH, SINT)
def faccessat(task: Task, dirfd: int, path: str, mode: int = 0) -> int:
    """As access, below dirfd. Errors: as access, EBADF, ENOTDIR. Source: faccessat(2)."""
    return faccessat2(task, dirfd, path, mode)


@syscall(439, "faccessat2", SINT, PATH, SINT, SINT)
def faccessat2(task: Task, dirfd: int, path: str, mode: int = 0, flags: int = 0) -> int:
    """As faccessat, with AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH.

    Errors: as faccessat, EINVAL. Source: faccessat2(2).
    """
    refuse_flags(mode, MAY_READ | MAY_WRITE | MAY_EXEC)
    refuse_flags(flags, AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    with task.acting(task.cred if flags & AT_EACCESS else task.cred.real()):
        found = path_at(task, dirfd, path, flags)
        if mode:
            found.inode.open_check(task, mode)
        if mode & MAY_WRITE and found.inode.kind in ON_DISK:
            need_writable(found)
    return 0


# ---- rights and owners ----


@syscall(90, "chmod", PATH, INT)
def chmod(task: Task, path: str, mode: int) -> int:
    """Set a file's permission bits. Errors: EPERM, ENOENT, EROFS. Source: chmod(2)."""
    names.chmod(task, changeable_at(task, AT_FDCWD, path), mode)
    return 0


@syscall(91, "fchmod", SINT, INT)
def fchmod(task: Task, fd: int, mode: int) -> int:
    """Set an open file's permission bits. Errors: EBADF, EPERM. Source: fchmod(2)."""
    names.chmod(task, changeable_file(task, fd), mode)
    return 0


@syscall(268, "fchmodat", SINT, PATH, INT)
def fchmodat(task: Task, dirfd: int, path: str, mode: int) -> int:
    """Set the bits of a path below dirfd. Errors: as chmod. Source: fchmodat(2)."""
    return fchmodat2(task, dirfd, path, mode)


@syscall(452, "fchmodat2", SINT, PATH, INT, INT)
def fchmodat2(task: Task, dirfd: int, path: str, mode: int, flags: int = 0) -> int:
    """As fchmodat, with flags. Errors: as chmod, EOPNOTSUPP (a link). Source: fchmodat2(2)."""
    refuse_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    inode = changeable_at(task, dirfd, path, flags)
    if inode.kind == "link":
        raise SyscallError(errno.EOPNOTSUPP)
    names.chmod(task, inode, mode)
    return 0


def _owners(task: Task, uid: int, gid: int) -> tuple[int, int]:
    """Return the machine's ids of a user and a group, -1 for "leave it". Errors: EINVAL."""
    own, uid, gid = task.cred.user_ns, uid & NO_ID, gid & NO_ID
    return -1 if uid == NO_ID else own.kuid(uid), -1 if gid == NO_ID else own.kgid(gid)


@syscall(92, "chown", PATH, INT, INT)
def chown(task: Task, path: str, uid: int, gid: int) -> int:
    """Set owner and group; -1 leaves one. Errors: EPERM, ENOENT, EROFS. Source: chown(2)."""
    return fchownat(task, AT_FDCWD, path, uid, gid)


@syscall(94, "lchown", PATH, INT, INT)
def lchown(task: Task, path: str, uid: int, gid: int) -> int:
    """As chown, of the link itself. Errors: as chown. Source: lchown(2)."""
    return fchownat(task, AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW)


@syscall(93, "fchown", SINT, INT, INT)
def fchown(task: Task, fd: int, uid: int, gid: int) -> int:
    """As chown, of an open file. Errors: EBADF, EPERM. Source: fchown(2)."""
    names.chown(task, changeable_file(task, fd), *_owners(task, uid, gid))
    return 0


@syscall(260, "fchownat", SINT, PATH, INT, INT, INT)
def fchownat(task: Task, dirfd: int, path: str, uid: int, gid: int, flags: int = 0) -> int:
    """As chown, below dirfd. Errors: as chown, EINVAL. Source: fchownat(2)."""
    refuse_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    names.chown(task, changeable_at(task, dirfd, path, flags), *_owners(task, uid, gid))
    return 0


# ---- times ----

Time = tuple[int, int]  # seconds, nanoseconds
# What inotify tells of, by whether atime and mtime were set: as on Linux, one alone is an access
# or a change of what is in the file.
TOLD = {
    (True, True): names.IN_ATTRIB, (True, False): names.IN_ACCESS,
    (False, True): names.IN_MODIFY, (False, False): 0,
}  # fmt: skip


def _set_times(task: Task, inode: Inode, times: tuple[Time, Time]) -> int:
    """Set atime and mtime; nanoseconds may be UTIME_NOW or UTIME_OMIT. Errors: EACCES, EPERM."""
    for _, ns in times:
        if not 0 <= ns < SECOND and ns not in (UTIME_NOW, UTIME_OMIT):
            raise SyscallError(errno.EINVAL)
    inode.check_writable()
    inode.need_settable()
    if all(ns == UTIME_NOW for _, ns in times):
        owner = inode.owned_by(task)
        if not owner or inode.file_flags & IMMUTABLE:
            inode.open_check(task, MAY_WRITE)
    else:
        inode.need_mutable()
        inode.need_owner(task)
    now = task.kernel.clock.realtime_ns
    special = {UTIME_NOW: (now, now), UTIME_OMIT: (inode.atime, inode.mtime)}
    atime, mtime = (
        special[ns][i] if ns in special else seconds * SECOND + ns
        for i, (seconds, ns) in enumerate(times)
    )
    names.prepare_change(task, inode)
    inode.set_times(atime, mtime)
    (_, of_atime), (_, of_mtime) = times
    names.told_of(inode, TOLD[of_atime != UTIME_OMIT, of_mtime != UTIME_OMIT])
    return 0


NOW = ((0, UTIME_NOW), (0, UTIME_NOW))


def utimensat(
    task: Task, dirfd: int, path: str | None, times: tuple[Time, Time] = NOW, flags: int = 0
) -> int:
    """Set a file's times: ((seconds, ns), (seconds, ns)); path None: of dirfd itself.

    Errors: EINVAL, EACCES, EPERM, ENOENT, EFAULT (no path and no descriptor). Source: utimensat(2).
    """
    if all(ns == UTIME_OMIT for _, ns in times):
        return 0
    refuse_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)
    if path is not None:
        return _set_times(task, changeable_at(task, dirfd, path, flags), times)
    if dirfd == AT_FDCWD:
        raise SyscallError(errno.EFAULT)
    if flags:
        raise SyscallError(errno.EINVAL)
    return _set_times(task, changeable_file(task, dirfd), times)


def _path_in(task: Task, addr: int) -> str | None:
    return path_in(task, addr) if addr else None


def _times_in(task: Task, addr: int, unit_ns: int) -> tuple[Time, Time]:
    """Read two struct timespec (unit_ns 1) or timeval (1000); NULL is now. Errors: EFAULT."""
    if not addr:
        return NOW
    a, b, c, d = struct.unpack("<4q", task.mm.copy_in(addr, 32))
    if unit_ns > 1 and not (0 <= b < 1_000_000 and 0 <= d < 1_000_000):
        raise SyscallError(errno.EINVAL)
    return (a, b * unit_ns), (c, d * unit_ns)


@syscall(280, "utimensat", SINT, INT, INT, INT)
def utimensat_raw(task: Task, dirfd: int, path: int, times: int, flags: int) -> int:
    """Set times from two struct timespec. Errors: as utimensat. Source: utimensat(2)."""
    pair = _times_in(task, times, 1)
    if all(ns == UTIME_OMIT for _, ns in pair):
        return 0
    return utimensat(task, dirfd, _path_in(task, path), pair, flags)


@syscall(235, "utimes", PATH, INT)
def utimes(task: Task, path: str, times: int = 0) -> int:
    """Set times from two struct timeval. Errors: as utimensat. Source: utimes(2)."""
    return utimensat(task, AT_FDCWD, path, _times_in(task, times, 1000))


@syscall(261, "futimesat", SINT, INT, INT)
def futimesat(task: Task, dirfd: int, path: int, times: int = 0) -> int:
    """As utimes, below dirfd. Errors: as utimensat. Source: futimesat(2)."""
    pair = _times_in(task, times, 1000)
    return utimensat(task, dirfd, _path_in(task, path), pair)


@syscall(132, "utime", PATH, INT)
def utime(task: Task, path: str, times: int = 0) -> int:
    """Set times from struct utimbuf: two numbers of seconds. Errors: as utimensat.

    Source: utime(2).
    """
    if not times:
        return utimensat(task, AT_FDCWD, path)
    atime, mtime = struct.unpack("<2q", task.mm.copy_in(times, 16))
    return utimensat(task, AT_FDCWD, path, ((atime, 0), (mtime, 0)))


PYTHON_FORMS: dict[str, Callable[..., Any]] = {
    "stat": stat,
    "lstat": lstat,
    "fstat": fstat,
    "utimensat": utimensat,
}
