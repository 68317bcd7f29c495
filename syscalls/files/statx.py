"""statx: what a file is, and which of its fields and attributes its file system knows.

Owns which file system knows what. Source: statx(2); masks as Linux 6.18 answers them.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import Inode
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_NO_AUTOMOUNT,
    AT_SYMLINK_NOFOLLOW,
    path_at,
    refuse_flags,
)
from pkern.syscalls.table import INT, PATH, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.mounts import Path

STAT_FLAGS = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH
SYNC_TYPE, RESERVED = 0x6000, 0x8000_0000
BASIC, MTIME, CTIME, BTIME, MNT_ID, MNT_ID_UNIQUE = 0x7FF, 0x40, 0x80, 0x800, 0x1000, 0x4000
IMMUTABLE, APPEND, NODUMP, AUTOMOUNT, MOUNT_ROOT, DAX = 0x10, 0x20, 0x40, 0x1000, 0x2000, 0x200000
FIRST_UNIQUE = 1 << 31  # ids of mounts that are not used again are above those that are


class Knows(NamedTuple):
    """What a file system tells only who asks (bits of the mask), and attributes that it may set."""

    asked: int = 0
    attributes: int = 0


# By name. The fine times of change are looked at only for who wants to know them.
FINE_TIMES = MTIME | CTIME
TMPFS = Knows(FINE_TIMES | BTIME, IMMUTABLE | APPEND | NODUMP)
KNOWS = {
    "tmpfs": TMPFS,
    "devtmpfs": Knows(BTIME, TMPFS.attributes),
    "hostfs": Knows(FINE_TIMES),
    "overlay": Knows(FINE_TIMES, TMPFS.attributes),
}
NOTHING = Knows()


def _knows(inode: Inode) -> Knows:
    fs = inode.kernel.vfs.file_system(inode)
    if fs is None:  # on no mount that is seen: a memfd's is a tmpfs
        return TMPFS if inode.kind == "file" else NOTHING
    return KNOWS.get(fs.name, NOTHING)


def _time(ns: int) -> bytes:
    return struct.pack("<qI4x", *divmod(ns, SECOND))


def _device(dev: int) -> tuple[int, int]:
    """Return major and minor of a device number. Source: makedev(3)."""
    return dev >> 8 & 0xFFF | dev >> 32 & ~0xFFF, dev & 0xFF | dev >> 12 & ~0xFF


def _pack(path: Path, asked: int, user_ns: UserNamespace) -> bytes:
    """Return the 256 bytes of struct statx for who asked for these fields, in a user namespace."""
    inode, mounted = path.inode, path.mount
    knows, fields = _knows(inode), BASIC & ~FINE_TIMES
    if not knows.asked & FINE_TIMES or asked & FINE_TIMES:
        fields |= FINE_TIMES
    fields |= asked & knows.asked & BTIME
    unique = asked & MNT_ID_UNIQUE
    fields |= unique or MNT_ID
    number = mounted.number if mounted is not None else inode.dev
    mount = number + (FIRST_UNIQUE if unique else 0)
    attributes = MOUNT_ROOT if mounted is not None and mounted.root is inode else 0
    attributes |= inode.file_flags & knows.attributes
    supported = knows.attributes | AUTOMOUNT | MOUNT_ROOT | DAX
    ids = user_ns.uid_of(inode.uid), user_ns.gid_of(inode.gid)
    owner = (inode.st_nlink, *ids, inode.st_mode)
    born = inode.btime if fields & BTIME else 0
    return b"".join(
        (
            struct.pack("<IIQIIIH2x", fields, inode.block_size, attributes, *owner),
            struct.pack("<QQQQ", inode.ino, inode.st_size, inode.blocks, supported),
            *map(_time, (inode.atime, born, inode.ctime, inode.mtime)),
            struct.pack("<IIII", *_device(inode.rdev), *_device(inode.dev)),
            struct.pack("<Q104x", mount),
        )
    )


@syscall(332, "statx", SINT, PATH, INT, INT, STRUCT)
def statx(task: Task, dirfd: int, path: str, flags: int = 0, mask: int = 0) -> bytes:
    """Store struct statx of a path below dirfd. Errors: as stat, EINVAL. Source: statx(2)."""
    refuse_flags(flags, STAT_FLAGS | SYNC_TYPE)
    if mask & RESERVED or flags & SYNC_TYPE == SYNC_TYPE:
        raise SyscallError(errno.EINVAL)
    return _pack(path_at(task, dirfd, path, flags), mask, task.cred.user_ns)
