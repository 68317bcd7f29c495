"""Names: make, remove, move and read entries of directories, and where the task stands."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterator
from pkern.kernel.vfs import moves, names
from pkern.kernel.vfs.file import File
from pkern.kernel.vfs.inode import MAY_EXEC, Inode
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.moves import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT
from pkern.kernel.vfs.walk import Last, need_read, path_of, up
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_REMOVEDIR,
    AT_SYMLINK_FOLLOW,
    AT_SYMLINK_NOFOLLOW,
    path_at,
    place_at,
    refuse_flags,
)
from pkern.syscalls.table import INT, OUT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

DT = {"file": 8, "dir": 4, "chr": 2, "fifo": 1, "blk": 6, "link": 10, "sock": 12}
S_IFMT = 0o170000
NODE_KINDS = {
    0: "file",
    0o100000: "file",
    0o010000: "fifo",
    0o020000: "chr",
    0o060000: "blk",
    0o140000: "sock",
}
S_IFDIR = 0o040000
DIRENT, DIRENT64 = 18, 19  # bytes before the name


# ---- make ----


@syscall(83, "mkdir", PATH, INT)
def mkdir(task: Task, path: str, mode: int = 0o777) -> int:
    """Make a directory. Errors: EEXIST, ENOENT, EACCES, EROFS. Source: mkdir(2)."""
    return mkdirat(task, AT_FDCWD, path, mode)


@syscall(258, "mkdirat", SINT, PATH, INT)
def mkdirat(task: Task, dirfd: int, path: str, mode: int = 0o777) -> int:
    """Make a directory below dirfd. Errors: as mkdir. Source: mkdirat(2)."""
    names.mkdir(task, place_at(task, dirfd, path, Last.ENTRY), mode)
    return 0


@syscall(133, "mknod", PATH, INT, INT)
def mknod(task: Task, path: str, mode: int, dev: int = 0) -> int:
    """Make a file, fifo or device. Errors: EEXIST, EPERM, EINVAL. Source: mknod(2)."""
    return mknodat(task, AT_FDCWD, path, mode, dev)


@syscall(259, "mknodat", SINT, PATH, INT, INT)
def mknodat(task: Task, dirfd: int, path: str, mode: int, dev: int = 0) -> int:
    """As mknod, below dirfd. Errors: as mknod. Source: mknodat(2)."""
    kind = NODE_KINDS.get(mode & S_IFMT)
    if kind is None:
        raise SyscallError(errno.EPERM if mode & S_IFMT == S_IFDIR else errno.EINVAL)
    place = place_at(task, dirfd, path, Last.ENTRY)
    names.mknod(task, place, kind, mode, dev & 0xFFFF_FFFF)
    return 0


@syscall(88, "symlink", PATH, PATH)
def symlink(task: Task, target: str, path: str) -> int:
    """Make a symbolic link. Errors: EEXIST, ENOENT, EACCES. Source: symlink(2)."""
    return symlinkat(task, target, AT_FDCWD, path)


@syscall(266, "symlinkat", PATH, SINT, PATH)
def symlinkat(task: Task, target: str, dirfd: int, path: str) -> int:
    """As symlink, below dirfd. Errors: as symlink. Source: symlinkat(2)."""
    need_read(target)
    if not target:
        raise SyscallError(errno.ENOENT)
    names.symlink(task, target, place_at(task, dirfd, path, Last.ENTRY))
    return 0


@syscall(86, "link", PATH, PATH)
def link(task: Task, old: str, new: str) -> int:
    """Give a file one more name. Errors: EEXIST, EXDEV, EPERM, ENOENT. Source: link(2)."""
    return linkat(task, AT_FDCWD, old, AT_FDCWD, new)


@syscall(265, "linkat", SINT, PATH, SINT, PATH, INT)
def linkat(task: Task, old_dirfd: int, old: str, new_dirfd: int, new: str, flags: int = 0) -> int:
    """As link, with AT_SYMLINK_FOLLOW and AT_EMPTY_PATH. Errors: as link. Source: linkat(2)."""
    refuse_flags(flags, AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)
    follow = 0 if flags & AT_SYMLINK_FOLLOW else AT_SYMLINK_NOFOLLOW
    found = path_at(task, old_dirfd, old, flags & AT_EMPTY_PATH | follow)
    moves.link(task, found, place_at(task, new_dirfd, new, Last.ENTRY))
    return 0


# ---- remove and move ----


@syscall(87, "unlink", PATH)
def unlink(task: Task, path: str) -> int:
    """Remove a name; the file lives while it is open or mapped.

    Errors: ENOENT, EISDIR, EACCES, EPERM, EROFS. Source: unlink(2).
    """
    moves.unlink(task, place_at(task, AT_FDCWD, path, Last.ENTRY))
    return 0


@syscall(84, "rmdir", PATH)
def rmdir(task: Task, path: str) -> int:
    """Remove an empty directory. Errors: ENOTEMPTY, ENOTDIR, EBUSY, EACCES. Source: rmdir(2)."""
    moves.rmdir(task, place_at(task, AT_FDCWD, path, Last.ENTRY))
    return 0


@syscall(263, "unlinkat", SINT, PATH, INT)
def unlinkat(task: Task, dirfd: int, path: str, flags: int = 0) -> int:
    """Remove a name, or a directory with AT_REMOVEDIR. Errors: as unlink. Source: unlinkat(2)."""
    refuse_flags(flags, AT_REMOVEDIR)
    remove = moves.rmdir if flags & AT_REMOVEDIR else moves.unlink
    remove(task, place_at(task, dirfd, path, Last.ENTRY))
    return 0


@syscall(82, "rename", PATH, PATH)
def rename(task: Task, old: str, new: str) -> int:
    """Move a name, replacing what stood there.

    Errors: ENOENT, EXDEV, EISDIR, ENOTDIR, ENOTEMPTY, EINVAL, EACCES. Source: rename(2).
    """
    return renameat2(task, AT_FDCWD, old, AT_FDCWD, new)


@syscall(264, "renameat", SINT, PATH, SINT, PATH)
def renameat(task: Task, old_dirfd: int, old: str, new_dirfd: int, new: str) -> int:
    """Move a name, each seen from a directory's descriptor. Errors: as rename.

    Source: renameat(2).
    """
    return renameat2(task, old_dirfd, old, new_dirfd, new)


@syscall(316, "renameat2", SINT, PATH, SINT, PATH, INT)
def renameat2(
    task: Task, old_dirfd: int, old: str, new_dirfd: int, new: str, flags: int = 0
) -> int:
    """As renameat, with RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4 (on tmpfs).

    Errors: as rename, EEXIST, EINVAL (flags that exclude each other). Source: renameat2(2).
    """
    refuse_flags(flags, RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)
    if flags & RENAME_EXCHANGE and flags != RENAME_EXCHANGE:
        raise SyscallError(errno.EINVAL)
    source = place_at(task, old_dirfd, old, Last.ENTRY)
    target = place_at(task, new_dirfd, new, Last.ENTRY)
    moves.rename(task, source, target, flags)
    return 0


# ---- directories ----


def listdir(task: Task, path: str) -> list[str]:
    """Return a directory's names in order, without . and .. Errors: ENOENT, ENOTDIR, EACCES."""
    return task.kernel.vfs.listdir(task, path)


def _entry(task: Task, file: File, position: int) -> tuple[str, Inode] | None:
    """Return the entry at a position of an open directory, None where it is gone."""
    if position < 2 and not file.inode.lists_dots:
        return None
    if position < 2:
        return (
            (".", file.inode)
            if position == 0
            else ("..", up(task.fs.root, (file.mount, file.inode))[1])
        )
    assert file.listing is not None
    name = file.listing[position - 2]
    try:
        return name, file.inode.lookup(name, task)
    except SyscallError:
        return None


def _dirent64(name: bytes, inode: Inode, position: int) -> bytes:
    length = (DIRENT64 + len(name) + 1 + 7) & ~7
    head = struct.pack("<QqHB", inode.ino, position, length, DT.get(inode.kind, 0))
    return (head + name).ljust(length, b"\0")


def _dirent(name: bytes, inode: Inode, position: int) -> bytes:
    length = (DIRENT + len(name) + 2 + 7) & ~7
    head = struct.pack("<QqH", inode.ino, position, length) + name
    return head.ljust(length - 1, b"\0") + bytes([DT.get(inode.kind, 0)])


Pack = Callable[[bytes, Inode, int], bytes]


def _entries(task: Task, fd: int, count: int, pack: Pack) -> Iterator[tuple[int, bytes]]:
    """Yield (position behind it, struct) of each entry that fits in count bytes.

    Errors: EBADF, ENOTDIR, ENOENT (removed), EINVAL (count too small for one).
    """
    file = task.fds.get(fd)
    if file.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    if file.inode.nlink == 0:
        raise SyscallError(errno.ENOENT)
    if file.pos == 0 or file.listing is None:
        file.listing = file.inode.names(task)
    file.accessed()
    if task.kernel.vfs.notify is not None:
        task.kernel.vfs.notify.used(file, 1)  # IN_ACCESS
    first = room = count
    for position in range(file.pos, len(file.listing) + 2):
        found = _entry(task, file, position)
        raw = found[0].encode("utf-8", "surrogateescape") if found else b""
        entry = pack(raw, found[1], position + 1) if found else b""
        if len(entry) > room:
            if room == first:
                raise SyscallError(errno.EINVAL)
            return
        room -= len(entry)
        yield position + 1, entry


def _read_entries(task: Task, fd: int, count: int, pack: Pack) -> bytes:
    packed = b""
    for position, entry in _entries(task, fd, count, pack):
        packed += entry
        task.fds.get(fd).pos = position
    return packed


def store_entries(task: Task, fd: int, addr: int, count: int, pack: Pack) -> int:
    """Store entries one by one; those that there is no room for are still there to be read.

    count: 32 bits of the register; Linux takes the upper half for negative.
    """
    done = 0
    for position, entry in _entries(task, fd, count if count < 1 << 31 else 0, pack):
        try:
            task.mm.copy_out(addr + done, entry)
        except SyscallError:
            if not done:
                raise
            break
        done += len(entry)
        task.fds.get(fd).pos = position
    return done


def getdents64(task: Task, fd: int, count: int) -> bytes:
    """Return directory entries (struct linux_dirent64) from the file's position, moving it.

    Errors: EBADF, ENOTDIR, ENOENT (removed), EINVAL (count too small for one).
    Source: getdents64(2).
    """
    return _read_entries(task, fd, count, _dirent64)


@syscall(217, "getdents64", SINT, INT, INT)
def getdents64_raw(task: Task, fd: int, addr: int, count: int) -> int:
    """Store directory entries from the file's position, moving it; return how many bytes.

    Errors: as getdents64, EFAULT. Source: getdents64(2).
    """
    return store_entries(task, fd, addr, count & 0xFFFF_FFFF, _dirent64)


def getdents(task: Task, fd: int, count: int) -> bytes:
    """Return struct linux_dirent entries. Errors: as getdents64. Source: getdents(2)."""
    return _read_entries(task, fd, count, _dirent)


@syscall(78, "getdents", SINT, INT, INT)
def getdents_raw(task: Task, fd: int, addr: int, count: int) -> int:
    """As getdents64, in struct linux_dirent. Errors: as getdents64. Source: getdents(2)."""
    return store_entries(task, fd, addr, count & 0xFFFF_FFFF, _dirent)


# ---- where the task stands ----


def _enter(task: Task, path: Path) -> Path:
    if path.inode.kind != "dir":
        raise SyscallError(errno.ENOTDIR)
    path.inode.open_check(task, MAY_EXEC)
    return path


def _move(task: Task, path: Path) -> None:
    """Stand somewhere else."""
    old, task.fs.pwd = task.fs.pwd, _enter(task, path)
    task.kernel.vfs.left(old.inode)


@syscall(80, "chdir", PATH)
def chdir(task: Task, path: str) -> int:
    """Change the working directory. Errors: ENOENT, ENOTDIR, EACCES. Source: chdir(2)."""
    _move(task, path_at(task, AT_FDCWD, path))
    return 0


@syscall(81, "fchdir", SINT)
def fchdir(task: Task, fd: int) -> int:
    """Change the working directory to an open one. Errors: EBADF, ENOTDIR. Source: fchdir(2)."""
    file = task.fds.get_raw(fd)
    _move(task, Path(file.mount, file.seen()))
    return 0


@syscall(161, "chroot", PATH)
def chroot(task: Task, path: str) -> int:
    """Change the root directory. Errors: EPERM, ENOENT, ENOTDIR, EACCES. Source: chroot(2)."""
    root = _enter(task, path_at(task, AT_FDCWD, path))
    if not task.capable_in(task.cred.user_ns, "CAP_SYS_CHROOT"):
        raise SyscallError(errno.EPERM)
    task.fs.root = root
    return 0


def getcwd(task: Task) -> str:
    """Return the working directory. Errors: ENOENT (removed). Source: getcwd(2)."""
    return path_of(task, task.fs.pwd)


@syscall(79, "getcwd", OUT)
def getcwd_raw(task: Task, count: int) -> bytes:
    """Store the working directory with its NUL. Errors: ENOENT, ERANGE, EFAULT.

    Source: getcwd(2).
    """
    raw = getcwd(task).encode("utf-8", "surrogateescape") + b"\0"
    if len(raw) > count:
        raise SyscallError(errno.ERANGE)
    return raw


@syscall(95, "umask", INT)
def umask(task: Task, mask: int) -> int:
    """Set the file mode creation mask and return the old one. Source: umask(2)."""
    old, task.fs.umask = task.fs.umask, mask & 0o777
    return old


PYTHON_FORMS: dict[str, Callable[..., Any]] = {
    "getcwd": getcwd,
    "getdents": getdents,
    "getdents64": getdents64,
    "listdir": listdir,
}
