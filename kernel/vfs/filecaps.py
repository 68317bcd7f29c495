"""Capabilities of files: the value of security.capability, and what it is in which user namespace.

Stored is version 2 of who has power over the machine, else version 3, which names the machine's id
of the root for whom it counts. Source: capabilities(7), cap_convert_nscap(),
cap_inode_getsecurity() and get_vfs_caps_from_disk() of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import FILE_CAPS

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.vfs.inode import Inode
    from pkern.kernel.vfs.machine import Caller

MAGIC, SETS, ROOT = struct.Struct("<I"), struct.Struct("<4I"), struct.Struct("<I")
VERSION, EFFECTIVE = 0xFF000000, 1
SIZES = {0x01000000: 12, 0x02000000: 20, 0x03000000: 24}  # of versions
V2, V3 = 0x02000000, 0x03000000


class FileCaps(NamedTuple):
    """Masks of capabilities. effective: 1: what is permitted is effective at once."""

    permitted: int
    inheritable: int
    effective: int


def _version(value: bytes) -> int:
    """Return the version of a value that has its size, or 0."""
    version = int.from_bytes(value[:4], "little") & VERSION
    return version if SIZES.get(version) == len(value) else 0


def to_store(task: Caller, inode: Inode, value: bytes) -> bytes:
    """Return what is stored of a value that a task gives a file. Errors: EINVAL, EPERM."""
    version = _version(value)
    if version not in (V2, V3) or MAGIC.unpack_from(value)[0] & ~version > 1:
        raise SyscallError(errno.EINVAL)  # besides the version there is one flag: effective
    if not task.capable_over(inode, "CAP_SETFCAP"):
        raise SyscallError(errno.EPERM)
    if version == V2 and task.capable("CAP_SETFCAP"):
        return value
    own = task.cred.user_ns
    number = ROOT.unpack_from(value, SIZES[V2])[0] if version == V3 else 0
    root = own.kuid(number)
    flags = MAGIC.unpack_from(value)[0] & ~VERSION
    return MAGIC.pack(V3 | flags) + value[4 : SIZES[V2]] + ROOT.pack(root)


def shown(task: Caller, value: bytes) -> bytes:
    """Return what a task is told of a stored value.

    Errors: EOVERFLOW: it has no such root; EINVAL: it is none.
    """
    own = task.cred.user_ns
    if not _version(value):
        raise SyscallError(errno.EINVAL)
    if _version(value) != V3:
        if _version(value) == V2 and own.level and not _counts(own, 0):
            raise SyscallError(errno.EOVERFLOW)
        return value
    root = ROOT.unpack_from(value, SIZES[V2])[0]
    if _counts(own, root):
        flags = MAGIC.unpack_from(value)[0] & ~VERSION
        return MAGIC.pack(V2 | flags) + value[4 : SIZES[V2]]
    if not own.has_user(root):
        raise SyscallError(errno.EOVERFLOW)
    return value[: SIZES[V2]] + ROOT.pack(own.uid_of(root))


def _counts(user_ns: UserNamespace, root: int) -> bool:
    """Tell whether an id of the machine's is the root of a namespace, or of one above it."""
    here: UserNamespace | None = user_ns
    while here is not None and here.root != root:
        here = here.above
    return here is not None


def caps_of_file(inode: Inode, user_ns: UserNamespace) -> FileCaps | None:
    """Return the capabilities of a file that count in a user namespace; None: it has none.

    Errors: EINVAL: what it has is no such value.
    """
    value = inode.xattrs.get(FILE_CAPS)
    if value is None:
        return None
    version = _version(value)
    if not version:
        raise SyscallError(errno.EINVAL)
    root = ROOT.unpack_from(value, SIZES[V2])[0] if version == V3 else 0
    if not _counts(user_ns, root):
        return None
    sets = SETS.unpack(value[4 : SIZES[V2]].ljust(SETS.size, b"\0"))
    effective = MAGIC.unpack_from(value)[0] & EFFECTIVE
    return FileCaps(sets[0] | sets[2] << 32, sets[1] | sets[3] << 32, effective)
