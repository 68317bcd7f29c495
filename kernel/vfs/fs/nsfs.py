"""Namespaces as open files: what /proc/PID/ns leads to, and what a descriptor of one is asked.

Source: ioctl_nsfs(2), fs/nsfs.c of Linux 6.18.
"""

from __future__ import annotations

import errno
import stat
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import MNT, USER, Namespace
from pkern.kernel.namespaces.user import UserNamespace
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.vfs.file import CLOEXEC, O_RDONLY, File
from pkern.kernel.vfs.inode import MAY_WRITE, NEITHER, Inode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

NS_GET_USERNS, NS_GET_PARENT, NS_GET_NSTYPE, NS_GET_OWNER_UID = range(0xB701, 0xB705)
NS_GET_MNTNS_ID = 0x8008B705
DEV_NSFS = 4  # st_dev


class NsInode(Inode):
    """A namespace, in use as long as it is open."""

    lacks = NEITHER
    kind = "ns"
    type_bits = stat.S_IFREG
    noexec = True
    can_seek = False
    namespace: Namespace

    def __init__(self, kernel: Machine, namespace: Namespace) -> None:
        super().__init__(kernel, 0o444)
        self.namespace = namespace
        self.ino, self.dev = namespace.number, DEV_NSFS

    def open_check(self, task: Caller, wanted: int) -> None:
        """Refuse to open it for writing. Errors: EPERM."""
        if wanted & MAY_WRITE:
            raise SyscallError(errno.EPERM)

    def file_closed(self, file: File) -> None:
        self.kernel.namespaces.sweep()

    def ioctl(self, task: Any, file: File, request: int, arg: int) -> int:
        """Return a descriptor of the owner or of what it lies in, its kind; store the owner's uid,
        or the number of a namespace of mounts.

        Errors: ENOTTY; EINVAL: its kind has no such thing; EPERM: that lies outside the caller's.
        """
        one = self.namespace
        if request == NS_GET_NSTYPE:
            return one.kind.flag
        if request == NS_GET_USERNS:
            return open_namespace(task, _within(task, one.owner))
        if request == NS_GET_PARENT:
            if not one.lies_in_another:
                raise SyscallError(errno.EINVAL)
            return open_namespace(task, _parent(task, one))
        if request == NS_GET_MNTNS_ID:
            if one.kind != MNT:
                raise SyscallError(errno.EINVAL)
            task.mm.copy_out(arg, struct.pack("<Q", one.number))
            return 0
        if request != NS_GET_OWNER_UID:
            raise SyscallError(errno.ENOTTY)
        if not isinstance(one, UserNamespace):
            raise SyscallError(errno.EINVAL)
        task.mm.copy_out(arg, struct.pack("<I", task.cred.user_ns.uid_of(one.uid)))
        return 0


def _within(task: Caller, owner: UserNamespace | None) -> UserNamespace:
    """Return a user namespace that is the caller's or below it. Errors: EPERM."""
    if owner is None or not owner.is_seen_from(task.cred.user_ns):
        raise SyscallError(errno.EPERM)
    return owner


def _parent(task: Any, one: Namespace) -> Namespace:
    if one.kind == USER:
        return _within(task, one.owner)
    if one.above is None or not one.above.is_seen_from(task.pid_ns):
        raise SyscallError(errno.EPERM)
    return one.above


def open_namespace(task: Any, namespace: Namespace) -> int:
    """Return a descriptor of a namespace, closed at execve. Errors: EMFILE."""
    kernel = task.kernel
    file = File(kernel, NsInode(kernel, namespace), namespace.name, O_RDONLY, task)
    try:
        fd: int = task.fds.install(kernel.vfs.register(file), 0, CLOEXEC)
    except SyscallError:
        file.descriptors = 1
        file.put()
        raise
    return fd
