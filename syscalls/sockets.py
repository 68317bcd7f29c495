"""Sockets: connected pairs, and sockets of AF_UNIX that find nobody to talk to.

A program that asks for a server of the machine (a name cache, a log) hears what Linux says where
none runs. There are no addresses to bind, and no networks.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kernel.errors import SyscallError
from kernel.vfs.eventfd import EFD_SEMAPHORE, make_event
from kernel.vfs.file import O_NONBLOCK
from kernel.vfs.inode import MAY_WRITE
from kernel.vfs.socket import (
    CAPACITY,
    SHUT_RDWR,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    Keep,
    SocketInode,
    Wait,
    make_pair,
    make_socket,
    waits,
)
from syscalls.at import O_CLOEXEC, install, install_pair
from syscalls.files import readable_part, signal_broken_pipe, vectors, write_stream
from syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task
    from kernel.vfs.file import File

AF_UNIX, AF_INET, AF_INET6, AF_MAX = 1, 2, 10, 46
SOCK_RAW, TYPE_MASK = 3, 0xF
TYPES = {SOCK_STREAM: SOCK_STREAM, SOCK_DGRAM: SOCK_DGRAM, SOCK_RAW: SOCK_DGRAM, 5: SOCK_SEQPACKET}
MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_NOSIGNAL = 1, 2, 0x20, 0x40, 0x4000
SOL_SOCKET = 1
SO_DEBUG, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_SNDBUF, SO_RCVBUF = 1, 2, 3, 4, 7, 8
SO_KEEPALIVE, SO_PASSCRED, SO_PEERCRED, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN = (
    9,
    16,
    17,
    30,
    38,
    39,
)
SETTABLE = {
    SO_REUSEADDR: 0,
    SO_KEEPALIVE: 0,
    SO_PASSCRED: 0,
    SO_SNDBUF: CAPACITY,
    SO_RCVBUF: CAPACITY,
}
SOCKADDR_UN = 110  # bytes
AF_UNSPEC = bytes(2)  # of a struct sockaddr
UNNAMED = struct.pack("<H", AF_UNIX)
MSGHDR = struct.Struct("<QI4xQQQQi4x")


def _socket(task: Task, fd: int) -> tuple[File, SocketInode]:
    """Return a socket's open file and inode. Errors: EBADF, ENOTSOCK."""
    file = task.fds.get(fd)
    if not isinstance(file.inode, SocketInode):
        raise SyscallError(errno.ENOTSOCK)
    return file, file.inode


# ---- making ----


def _type_of(kind: int) -> int:
    """Return the type of a socket without its flags. Errors: EINVAL, ESOCKTNOSUPPORT."""
    if kind & ~(TYPE_MASK | O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    if kind & TYPE_MASK not in TYPES:
        raise SyscallError(errno.ESOCKTNOSUPPORT)
    return TYPES[kind & TYPE_MASK]


@syscall(41, "socket", SINT, SINT, SINT, partly="AF_UNIX only, and nobody listens")
def socket(task: Task, family: int, kind: int, protocol: int = 0) -> int:
    """Return a descriptor of a socket that is connected to nothing.

    Errors: EINVAL, EAFNOSUPPORT, ESOCKTNOSUPPORT, EPROTONOSUPPORT, EMFILE. Source: socket(2).
    """
    if kind & ~(TYPE_MASK | O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    if family != AF_UNIX:
        raise SyscallError(errno.EAFNOSUPPORT)
    socket_type = _type_of(kind)
    _check_protocol(protocol)
    return install(task, make_socket(task.kernel, task, socket_type, kind & O_NONBLOCK), kind)


def _check_protocol(protocol: int) -> None:
    if protocol not in (0, AF_UNIX):
        raise SyscallError(errno.EPROTONOSUPPORT)


def socketpair(task: Task, family: int, kind: int, protocol: int = 0) -> tuple[int, int]:
    """Return descriptors of two connected sockets of AF_UNIX.

    Errors: EAFNOSUPPORT, EOPNOTSUPP, ESOCKTNOSUPPORT, EPROTONOSUPPORT, EINVAL, EMFILE.
    Source: socketpair(2).
    """
    socket_type = _type_of(kind)
    if family != AF_UNIX:
        known = family in (AF_INET, AF_INET6)
        raise SyscallError(errno.EOPNOTSUPP if known else errno.EAFNOSUPPORT)
    _check_protocol(protocol)
    one, other = make_pair(task.kernel, task, socket_type, kind & O_NONBLOCK)
    return install_pair(task, one, other, kind)


@syscall(53, "socketpair", SINT, SINT, SINT, STRUCT)
def socketpair_raw(task: Task, family: int, kind: int, protocol: int) -> bytes:
    """Store the descriptors of two connected sockets. Errors: as socketpair, EFAULT.

    Source: socketpair(2).
    """
    return struct.pack("<ii", *socketpair(task, family, kind, protocol))


# ---- sending and receiving ----


def _waits(file: File, flags: int) -> Wait:
    return Wait.NEVER if flags & MSG_DONTWAIT else waits(file)


def send(task: Task, fd: int, data: bytes, flags: int = 0) -> int:
    """Send data to the other end; return how many bytes went.

    Errors: EBADF, ENOTSOCK, EPIPE (and SIGPIPE), ECONNREFUSED, ENOTCONN, EMSGSIZE, EAGAIN,
    EOPNOTSUPP (MSG_OOB). Source: send(2).
    """
    file, inode = _socket(task, fd)
    if flags & MSG_OOB:
        raise SyscallError(errno.EOPNOTSUPP)
    wait = _waits(file, flags)
    if inode.streams:
        failed = _ignored if flags & MSG_NOSIGNAL else signal_broken_pipe
        sent = write_stream(task, lambda rest: inode.send(rest, wait), data, failed)
    else:
        sent = inode.send(data, wait)
    task.io.syscw += 1
    task.io.wchar += sent
    return sent


def _ignored(task: Task, error: SyscallError) -> None:
    """Send no signal: MSG_NOSIGNAL."""


def recv(task: Task, fd: int, nbytes: int, flags: int = 0) -> bytes:
    """Return what was sent from the other end, at most nbytes; b"" at its end.

    Errors: EBADF, ENOTSOCK, EAGAIN, EINVAL (MSG_OOB). Source: recv(2).
    """
    return _receive(task, fd, nbytes, flags)[0]


def _receive(task: Task, fd: int, nbytes: int, flags: int) -> tuple[bytes, int]:
    """Return the bytes, and how long the message was."""
    file, inode = _socket(task, fd)
    if flags & MSG_OOB:
        raise SyscallError(errno.EOPNOTSUPP)
    keep = Keep.ALL if flags & MSG_PEEK else Keep.NOTHING
    data, length = inode.receive(nbytes, _waits(file, flags), keep)
    task.io.syscr += 1
    task.io.rchar += len(data)
    return data, length


def _result(inode: SocketInode, data: bytes, length: int, flags: int) -> int:
    """Return what recv returns: with MSG_TRUNC all of a message's length."""
    whole = flags & MSG_TRUNC and inode.socket_type != SOCK_STREAM
    return length if whole else len(data)


@syscall(44, "sendto", SINT, INT, INT, INT, INT, INT)
def sendto(
    task: Task, fd: int, addr: int, count: int, flags: int, to: int = 0, to_bytes: int = 0
) -> int:
    """Send count bytes at addr. Errors: as send, EISCONN, EINVAL (an address), EFAULT.

    Source: send(2).
    """
    inode = _socket(task, fd)[1]
    if to and to_bytes and inode.socket_type != SOCK_SEQPACKET:
        _look_for_server(task, inode, to, to_bytes)
    return send(task, fd, readable_part(task, addr, count) if count else b"", flags)


@syscall(45, "recvfrom", SINT, INT, INT, INT, INT, INT)
def recvfrom(
    task: Task, fd: int, addr: int, count: int, flags: int, of: int = 0, of_bytes: int = 0
) -> int:
    """Receive up to count bytes to addr; the sender has no name (its length is stored as 0).

    Errors: as recv, EFAULT. Source: recv(2).
    """
    inode = _socket(task, fd)[1]
    task.mm.check_user(addr, count)
    data, length = _receive(task, fd, count, flags)
    task.mm.copy_out(addr, data)
    if of and of_bytes:
        task.mm.copy_out(of_bytes, bytes(4))
    return _result(inode, data, length, flags)


@syscall(46, "sendmsg", SINT, INT, INT, partly="no descriptors or credentials are passed")
def sendmsg(task: Task, fd: int, addr: int, flags: int) -> int:
    """Send the buffers of a struct msghdr. Errors: as sendto, EINVAL (control data), EFAULT.

    Source: send(2).
    """
    _socket(task, fd)
    name, name_bytes, iov, count, _, control, _ = MSGHDR.unpack(task.mm.copy_in(addr, MSGHDR.size))
    if control:
        raise SyscallError(errno.EINVAL)
    if name and name_bytes:
        return sendto(task, fd, 0, 0, flags, name, name_bytes)
    parts = vectors(task, iov, count)
    return send(task, fd, b"".join(readable_part(task, at, n) for at, n in parts if n), flags)


@syscall(47, "recvmsg", SINT, INT, INT, partly="no descriptors or credentials are passed")
def recvmsg(task: Task, fd: int, addr: int, flags: int) -> int:
    """Receive into the buffers of a struct msghdr, whose flags and lengths are stored.

    Errors: as recv, EFAULT. Source: recv(2).
    """
    inode = _socket(task, fd)[1]
    header = list(MSGHDR.unpack(task.mm.copy_in(addr, MSGHDR.size)))
    parts = vectors(task, header[2], header[3])
    for at, nbytes in parts:
        task.mm.check_user(at, nbytes)
    data, length = _receive(task, fd, sum(n for _, n in parts), flags)
    done = 0
    for at, nbytes in parts:
        task.mm.copy_out(at, data[done : done + nbytes])
        done = min(done + nbytes, len(data))
    cut = length > len(data) and inode.socket_type != SOCK_STREAM
    header[1], header[5], header[6] = 0, 0, MSG_TRUNC if cut else 0
    task.mm.copy_out(addr, MSGHDR.pack(*header))
    return _result(inode, data, length, flags)


@syscall(48, "shutdown", SINT, SINT)
def shutdown(task: Task, fd: int, how: int) -> int:
    """End reading (0), writing (1) or both (2). Errors: EBADF, ENOTSOCK, EINVAL.

    Source: shutdown(2).
    """
    inode = _socket(task, fd)[1]
    if not 0 <= how <= SHUT_RDWR:
        raise SyscallError(errno.EINVAL)
    inode.shut(how)
    return 0


# ---- names and options ----


def _store_name(task: Task, addr: int, length_addr: int) -> int:
    room = struct.unpack("<i", task.mm.copy_in(length_addr, 4))[0]
    if room < 0:
        raise SyscallError(errno.EINVAL)
    task.mm.copy_out(addr, UNNAMED[:room])
    task.mm.copy_out(length_addr, struct.pack("<i", len(UNNAMED)))
    return 0


@syscall(51, "getsockname", SINT, INT, INT)
def getsockname(task: Task, fd: int, addr: int, length_addr: int) -> int:
    """Store the family: a pair has no name. Errors: EBADF, ENOTSOCK, EINVAL, EFAULT.

    Source: getsockname(2).
    """
    _socket(task, fd)
    return _store_name(task, addr, length_addr)


@syscall(52, "getpeername", SINT, INT, INT)
def getpeername(task: Task, fd: int, addr: int, length_addr: int) -> int:
    """Store the other end's family. Errors: as getsockname, ENOTCONN. Source: getpeername(2)."""
    inode = _socket(task, fd)[1]
    if not inode.paired or (inode.socket_type == SOCK_DGRAM and inode.peer is None):
        raise SyscallError(errno.ENOTCONN)
    return _store_name(task, addr, length_addr)


def _option(task: Task, inode: SocketInode, option: int) -> bytes:
    """Return the value of an SO_* option. Errors: ENOPROTOOPT."""
    if option == SO_PEERCRED:
        owner = inode.made_by
        return struct.pack("<iII", *owner)
    fixed = {SO_TYPE: inode.socket_type, SO_ERROR: 0, SO_ACCEPTCONN: 0, SO_PROTOCOL: 0}
    values = {**SETTABLE, **inode.options, **fixed, SO_DOMAIN: AF_UNIX, SO_DEBUG: 0}
    if option not in values:
        raise SyscallError(errno.ENOPROTOOPT)
    return struct.pack("<i", values[option])


@syscall(55, "getsockopt", SINT, SINT, SINT, INT, INT)
def getsockopt(task: Task, fd: int, level: int, option: int, addr: int, length_addr: int) -> int:
    """Store an option and its length. Errors: EBADF, ENOTSOCK, ENOPROTOOPT, EOPNOTSUPP, EFAULT.

    Source: getsockopt(2).
    """
    inode = _socket(task, fd)[1]
    if level != SOL_SOCKET:
        raise SyscallError(errno.EOPNOTSUPP)
    room = struct.unpack("<i", task.mm.copy_in(length_addr, 4))[0]
    if room < 0:
        raise SyscallError(errno.EINVAL)
    value = _option(task, inode, option)[:room]
    task.mm.copy_out(addr, value)
    task.mm.copy_out(length_addr, struct.pack("<i", len(value)))
    return 0


@syscall(54, "setsockopt", SINT, SINT, SINT, INT, INT, partly="kept and shown; buffers stay")
def setsockopt(task: Task, fd: int, level: int, option: int, addr: int, nbytes: int) -> int:
    """Set an option (int). Errors: EBADF, ENOTSOCK, EINVAL, ENOPROTOOPT, EOPNOTSUPP, EFAULT.

    Source: setsockopt(2).
    """
    inode = _socket(task, fd)[1]
    if level != SOL_SOCKET:
        raise SyscallError(errno.EOPNOTSUPP)
    if nbytes < 4:
        raise SyscallError(errno.EINVAL)
    value = struct.unpack("<i", task.mm.copy_in(addr, 4))[0]
    if option not in SETTABLE:
        raise SyscallError(errno.ENOPROTOOPT)
    if option not in (SO_SNDBUF, SO_RCVBUF):
        inode.options[option] = int(value != 0)
    return 0


# ---- what wants an address ----


def _look_for_server(task: Task, inode: SocketInode, addr: int, nbytes: int) -> None:
    """Find nobody at a struct sockaddr_un. Errors: EINVAL, those of a path, ECONNREFUSED."""
    if inode.socket_type == SOCK_STREAM and inode.paired:
        raise SyscallError(errno.EISCONN)
    if not 2 < nbytes <= SOCKADDR_UN:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(addr, nbytes)
    if struct.unpack_from("<H", raw)[0] != AF_UNIX:
        raise SyscallError(errno.EINVAL)
    path = raw[2:].split(b"\0")[0].decode("utf-8", "surrogateescape")
    if path:  # else the abstract names, where nobody is either
        task.kernel.vfs.resolve(task, path).open_check(task, MAY_WRITE)
    raise SyscallError(errno.ECONNREFUSED)


@syscall(42, "connect", SINT, INT, SINT, partly="nobody listens")
def connect(task: Task, fd: int, addr: int, nbytes: int) -> int:
    """Find nobody to connect to; a datagram socket forgets its peer for AF_UNSPEC.

    Errors: EBADF, ENOTSOCK, EFAULT, EINVAL, ENOENT, EACCES, ECONNREFUSED, EISCONN.
    Source: connect(2), unix(7).
    """
    inode = _socket(task, fd)[1]
    if inode.socket_type == SOCK_DGRAM and nbytes >= 2 and task.mm.copy_in(addr, 2) == AF_UNSPEC:
        inode.disconnect()
        return 0
    _look_for_server(task, inode, addr, nbytes)
    return 0


@syscall(49, "bind", SINT, INT, SINT, partly="EADDRNOTAVAIL: there are no addresses")
def bind(task: Task, fd: int, addr: int, nbytes: int) -> int:
    """Refuse to take a name. Errors: EBADF, ENOTSOCK, EADDRNOTAVAIL. Source: bind(2)."""
    _socket(task, fd)
    raise SyscallError(errno.EADDRNOTAVAIL)


def _no_listening(task: Task, fd: int) -> int:
    datagram = _socket(task, fd)[1].socket_type == SOCK_DGRAM
    raise SyscallError(errno.EOPNOTSUPP if datagram else errno.EINVAL)


@syscall(50, "listen", SINT, SINT, partly="no socket has a name")
def listen(task: Task, fd: int, backlog: int) -> int:
    """Refuse to listen. Errors: EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP. Source: listen(2)."""
    return _no_listening(task, fd)


@syscall(43, "accept", SINT, INT, INT, partly="no socket has a name")
def accept(task: Task, fd: int, addr: int, length_addr: int) -> int:
    """Refuse to accept. Errors: EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP. Source: accept(2)."""
    return _no_listening(task, fd)


@syscall(288, "accept4", SINT, INT, INT, SINT, partly="no socket has a name")
def accept4(task: Task, fd: int, addr: int, length_addr: int, flags: int) -> int:
    """As accept. Errors: as accept, EINVAL (flags). Source: accept(2)."""
    if flags & ~(O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    return _no_listening(task, fd)


# ---- eventfd ----


@syscall(290, "eventfd2", INT, SINT)
def eventfd2(task: Task, count: int, flags: int = 0) -> int:
    """Return a descriptor of a counter. flags: EFD_SEMAPHORE 1, EFD_NONBLOCK, EFD_CLOEXEC.

    Errors: EINVAL, EMFILE. Source: eventfd(2).
    """
    if flags & ~(EFD_SEMAPHORE | O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    return install(task, make_event(task.kernel, task, count & 0xFFFF_FFFF, flags), flags)


@syscall(284, "eventfd", INT)
def eventfd(task: Task, count: int) -> int:
    """As eventfd2 without flags. Source: eventfd(2)."""
    return eventfd2(task, count)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"socketpair": socketpair, "send": send, "recv": recv}
