"""Extended attributes, as tmpfs has them: user.*, trusted.* and security.* names.

An inode holds its own, a host directory's what the host lets us see; file systems without them
refuse with EOPNOTSUPP.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import FIRST
from pkern.kernel.vfs import filecaps
from pkern.kernel.vfs.inode import (
    DEV_SHMEM,
    FILE_CAPS,
    MAY_READ,
    MAY_WRITE,
    S_ISVTX,
    XATTR_PREFIXES,
    Inode,
)
from pkern.kernel.vfs.names import IN_ATTRIB, prepare_change, told_of

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller

XATTR_CREATE, XATTR_REPLACE = 1, 2
NAME_MAX, SIZE_MAX, LIST_MAX = 255, 65536, 65536
SOCKET_PROTOCOL = "system.sockprotoname"
HAVE_THEM = ("tmpfs", "devtmpfs", "overlay", "hostfs")


def _need_right(task: Caller, inode: Inode, name: str, wanted: int) -> None:
    """Refuse who may not read or change an attribute. Errors: EPERM, ENODATA, EACCES."""
    if wanted == MAY_WRITE:
        inode.need_mutable()
    missing = errno.EPERM if wanted == MAY_WRITE else errno.ENODATA
    if name.startswith("trusted."):
        if not task.capable("CAP_SYS_ADMIN"):
            raise SyscallError(missing)
        return
    if name == FILE_CAPS:
        return  # who may give it is looked at with its value
    if name.startswith("security."):
        fs = inode.kernel.vfs.file_system(inode)
        own = getattr(fs, "user", FIRST)
        if wanted == MAY_WRITE and not task.capable_in(own, "CAP_SYS_ADMIN"):
            raise SyscallError(errno.EPERM)
        return
    if name.startswith("user."):
        if inode.kind not in ("file", "dir"):
            raise SyscallError(missing)
        if inode.kind == "dir" and inode.mode & S_ISVTX and wanted == MAY_WRITE:
            inode.need_owner(task)
    inode.open_check(task, wanted)


def _need_supported(task: Caller, inode: Inode, name: str) -> None:
    """Errors: EOPNOTSUPP, EINVAL: nothing stands behind the dot."""
    fs = inode.kernel.vfs.file_system(inode)
    unnamed = inode.dev == DEV_SHMEM and inode.kind == "file"  # a memfd
    name_of_fs = "tmpfs" if unnamed else getattr(fs, "name", "")
    if name_of_fs not in HAVE_THEM or not name.startswith(XATTR_PREFIXES):
        raise SyscallError(errno.EOPNOTSUPP)
    if name in XATTR_PREFIXES:
        raise SyscallError(errno.EINVAL)


def set_value(task: Caller, inode: Inode, name: str, value: bytes, flags: int) -> None:
    """Set an attribute. Errors: EEXIST, ENODATA, EPERM, EACCES, EOPNOTSUPP. Source: setxattr(2)."""
    inode.check_writable()
    _need_right(task, inode, name, MAY_WRITE)
    _need_supported(task, inode, name)
    if name == FILE_CAPS and value:
        value = filecaps.to_store(task, inode, value)
    if flags & XATTR_CREATE and name in inode.xattrs:
        raise SyscallError(errno.EEXIST)
    if flags & XATTR_REPLACE and name not in inode.xattrs:
        raise SyscallError(errno.ENODATA)
    prepare_change(task, inode)
    inode.set_xattr(name, value)
    inode.changed()
    told_of(inode, IN_ATTRIB)


def get_value(task: Caller, inode: Inode, name: str) -> bytes:
    """Return an attribute. Errors: ENODATA, EACCES, EOPNOTSUPP. Source: getxattr(2)."""
    if name == SOCKET_PROTOCOL and inode.protocol_name:
        return f"{inode.protocol_name}\0".encode()
    _need_right(task, inode, name, MAY_READ)
    _need_supported(task, inode, name)
    if name not in inode.xattrs:
        raise SyscallError(errno.ENODATA)
    value = inode.xattrs[name]
    return filecaps.shown(task, value) if name == FILE_CAPS else value


def remove(task: Caller, inode: Inode, name: str) -> None:
    """Remove an attribute. Errors: ENODATA, EPERM, EACCES, EOPNOTSUPP. Source: removexattr(2)."""
    inode.check_writable()
    _need_right(task, inode, name, MAY_WRITE)
    _need_supported(task, inode, name)
    if name == FILE_CAPS and not task.capable_over(inode, "CAP_SETFCAP"):
        raise SyscallError(errno.EPERM)
    if name not in inode.xattrs:
        raise SyscallError(errno.ENODATA)
    prepare_change(task, inode)
    inode.remove_xattr(name)
    inode.changed()
    told_of(inode, IN_ATTRIB)


def names_of(task: Caller, inode: Inode) -> list[str]:
    """Return the names that the task may see. Source: listxattr(2)."""
    if inode.protocol_name:
        return [SOCKET_PROTOCOL]
    admin = task.capable("CAP_SYS_ADMIN")
    return [name for name in inode.xattrs if admin or not name.startswith("trusted.")]
