"""Making sockets, naming and connecting them."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.net import families
from pkern.kernel.net.socket import BOTH, NO_READS, NO_WRITES, Socket, open_socket
from pkern.kernel.tasks import kept_files
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.syscalls.files.at import O_CLOEXEC, cloexec_of, drop, install, install_pair, store_pair
from pkern.syscalls.net.transfer import socket_of, until_done
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

TYPE_MASK = 0xF
STORAGE_MAX = 128  # bytes of sockaddr_storage
ACCEPT_FLAGS = O_NONBLOCK | O_CLOEXEC
SHUTDOWN = {0: NO_READS, 1: NO_WRITES, 2: BOTH}

# ---- making ----


def _type_of(kind: int) -> int:
    """Return the type of a socket without its flags. Errors: EINVAL."""
    if kind & ~(TYPE_MASK | O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    return kind & TYPE_MASK


@syscall(41, "socket", SINT, SINT, SINT, partly="AF_UNIX, AF_INET, AF_INET6; none are raw")
def socket(task: Task, family: int, kind: int, protocol: int = 0) -> int:
    """Return the descriptor of a socket. kind: SOCK_* and flags.

    Errors: EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EPERM, EACCES,
    EMFILE.
    Source: socket(2).
    """
    return install(task, made_socket(task, family, kind, protocol), kind)


def made_socket(task: Task, family: int, kind: int, protocol: int) -> File:
    """Return the open file of a socket, which has no descriptor yet. Errors: as socket."""
    made = families.make_socket(task.nsproxy.net.stack, task, family, _type_of(kind), protocol)
    return open_socket(made, task, kind & O_NONBLOCK)


def socketpair(task: Task, family: int, kind: int, protocol: int = 0) -> tuple[int, int]:
    """Return descriptors of two connected sockets of AF_UNIX.

    Errors: as socket, EOPNOTSUPP (another family). Source: socketpair(2).
    """
    ends = families.make_pair(task.nsproxy.net.stack, task, family, _type_of(kind), protocol)
    one = open_socket(ends[0], task, kind & O_NONBLOCK)
    try:
        other = open_socket(ends[1], task, kind & O_NONBLOCK)
    except SyscallError:
        drop(one)
        raise
    return install_pair(task, one, other, kind)


@syscall(53, "socketpair", SINT, SINT, SINT, INT)
def socketpair_raw(task: Task, family: int, kind: int, protocol: int, addr: int) -> int:
    """Store the descriptors of two connected sockets. Errors: as socketpair, EFAULT.

    Source: socketpair(2).
    """
    _type_of(kind)
    task.mm.copy_out(addr, task.mm.copy_in(addr, 8))  # Linux has numbers before it has sockets
    return store_pair(task, addr, socketpair(task, family, kind, protocol))


# ---- addresses ----


def address_in(task: Task, addr: int, nbytes: int) -> bytes:
    """Return a struct sockaddr. Errors: EINVAL (its length), EFAULT."""
    if not 0 <= nbytes <= STORAGE_MAX:
        raise SyscallError(errno.EINVAL)
    return task.mm.copy_in(addr, nbytes)


def store_address(task: Task, name: bytes, addr: int, length_addr: int) -> None:
    """Store an address, as much as there is room for, and its length. Errors: EINVAL, EFAULT."""
    room = struct.unpack("<i", task.mm.copy_in(length_addr, 4))[0]
    if room < 0:
        raise SyscallError(errno.EINVAL)
    if name[:room]:
        task.mm.copy_out(addr, name[:room])
    task.mm.copy_out(length_addr, struct.pack("<i", len(name)))


@syscall(51, "getsockname", SINT, INT, INT)
def getsockname(task: Task, fd: int, addr: int, length_addr: int) -> int:
    """Store the socket's own address. Errors: EBADF, ENOTSOCK, EINVAL, EFAULT.

    Source: getsockname(2).
    """
    store_address(task, socket_of(task, fd)[1].own_name, addr, length_addr)
    return 0


@syscall(52, "getpeername", SINT, INT, INT)
def getpeername(task: Task, fd: int, addr: int, length_addr: int) -> int:
    """Store the other end's address. Errors: as getsockname, ENOTCONN. Source: getpeername(2)."""
    store_address(task, socket_of(task, fd)[1].peer_name, addr, length_addr)
    return 0


# ---- connecting ----


@syscall(49, "bind", SINT, INT, SINT)
def bind(task: Task, fd: int, addr: int, nbytes: int) -> int:
    """Take an address: a path, an abstract name, or an IP address of this machine and a port.

    Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, EADDRINUSE, EADDRNOTAVAIL, EACCES, EAFNOSUPPORT, those
    of mknod. Source: bind(2), unix(7), ip(7).
    """
    inode = socket_of(task, fd)[1]
    inode.bind(task, address_in(task, addr, nbytes))
    return 0


@syscall(42, "connect", SINT, INT, SINT, partly="nothing but this machine can be reached")
def connect(task: Task, fd: int, addr: int, nbytes: int) -> int:
    """Connect to an address. A datagram socket is parted by AF_UNSPEC.

    Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, EISCONN, ECONNREFUSED, EINPROGRESS, EALREADY, EAGAIN,
    EPROTOTYPE, ENETUNREACH, those of a path. Source: connect(2).
    """
    task.fds.get(fd)
    return connect_to(task, fd, address_in(task, addr, nbytes))


def connect_to(task: Task, fd: int, address: bytes) -> int:
    """As connect, to an address that was read before."""
    file, inode = socket_of(task, fd)
    if file.flags & O_NONBLOCK:
        inode.connect_later(task, address)
        return 0
    late = errno.EAGAIN if inode.family == 1 else errno.EINPROGRESS
    until_done(task, file, inode.send_ns, late, lambda: inode.connect(task, address))
    return 0


@syscall(50, "listen", SINT, SINT)
def listen(task: Task, fd: int, backlog: int) -> int:
    """Let others connect; one more than backlog may wait. Errors: EBADF, ENOTSOCK, EINVAL,
    EOPNOTSUPP, EADDRINUSE.

    Source: listen(2).
    """
    inode = socket_of(task, fd)[1]
    inode.listen(task, min(backlog & 0xFFFF_FFFF, task.nsproxy.net.stack.somaxconn))
    return 0


def _accept(task: Task, fd: int, addr: int, length_addr: int, flags: int) -> int:
    task.fds.get(fd)
    if flags & ~ACCEPT_FLAGS:
        raise SyscallError(errno.EINVAL)
    make = partial(accepted, task, fd, addr, length_addr, flags)
    return kept_files.install(task, make, cloexec_of(flags))


def accepted(task: Task, fd: int, addr: int, length_addr: int, flags: int) -> File:
    """Return the open file of a connection, which has no descriptor yet. Errors: as accept."""
    file, inode = socket_of(task, fd)
    end: Socket = until_done(task, file, inode.receive_ns, errno.EAGAIN, inode.accept)
    end.uid, end.gid = task.uid, task.gid
    new = open_socket(end, task, flags & O_NONBLOCK)
    try:
        if addr:
            store_address(task, _name_of_peer(end), addr, length_addr)
    except SyscallError:
        drop(new)
        raise
    return new


def _name_of_peer(end: Socket) -> bytes:
    try:
        return end.peer_name
    except SyscallError:
        raise SyscallError(errno.ECONNABORTED) from None


@syscall(43, "accept", SINT, INT, INT)
def accept(task: Task, fd: int, addr: int, length_addr: int) -> int:
    """Return the descriptor of the first connection that waits; its address is stored.

    Errors: EBADF, ENOTSOCK, EINVAL (it does not listen), EOPNOTSUPP, EAGAIN, EMFILE, EFAULT.
    Source: accept(2).
    """
    return _accept(task, fd, addr, length_addr, 0)


@syscall(288, "accept4", SINT, INT, INT, SINT)
def accept4(task: Task, fd: int, addr: int, length_addr: int, flags: int) -> int:
    """As accept, with SOCK_NONBLOCK and SOCK_CLOEXEC. Errors: as accept, EINVAL (flags).

    Source: accept(2).
    """
    return _accept(task, fd, addr, length_addr, flags)


@syscall(48, "shutdown", SINT, SINT)
def shutdown(task: Task, fd: int, how: int) -> int:
    """End reading (0), writing (1) or both (2). Errors: EBADF, ENOTSOCK, EINVAL, ENOTCONN.

    Source: shutdown(2).
    """
    inode = socket_of(task, fd)[1]
    if how not in SHUTDOWN:
        raise SyscallError(errno.EINVAL)
    inode.shutdown(SHUTDOWN[how])
    return 0


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"socketpair": socketpair}
