"""Sockets of AF_UNIX: pairs, and sockets that look for a name and find no one.

A program that merely probes (syslog, a name service's cache) sees what it sees where nothing
listens: connect() fails with ENOENT or ECONNREFUSED. No socket takes a name, so none can listen.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.eventfd import EFD_SEMAPHORE, make_event
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.kernel.vfs.inode import MAY_WRITE, Inode
from pkern.kernel.vfs.pipe import Wait, waits
from pkern.kernel.vfs.socket import (
    BOTH,
    CAPACITY,
    NO_READS,
    NO_WRITES,
    SOCK_DGRAM,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SocketInode,
    make_pair,
    make_socket,
)
from pkern.syscalls.files.at import O_CLOEXEC, install, install_pair
from pkern.syscalls.files.read_write import readable_part, vectors
from pkern.syscalls.files.streams import MSG_DONTWAIT, send_socket
from pkern.syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

AF_UNSPEC, AF_UNIX = 0, 1
SOCK_RAW, TYPE_MASK, SOCK_MAX = 3, 0xF, 11
TYPES = {SOCK_STREAM: SOCK_STREAM, SOCK_DGRAM: SOCK_DGRAM, SOCK_RAW: SOCK_DGRAM, 5: SOCK_SEQPACKET}
MSG_OOB, MSG_PEEK, MSG_TRUNC = 1, 2, 0x20
SHUTDOWN = {0: NO_READS, 1: NO_WRITES, 2: BOTH}
SOL_SOCKET = 1
SO_DEBUG, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE = 1, 2, 3, 4, 7, 8, 9
SO_PASSCRED, SO_PEERCRED, SO_ACCEPTCONN, SO_PROTOCOL, SO_DOMAIN = 16, 17, 30, 38, 39
# What can be set, and what it is before.
SETTABLE = {
    SO_REUSEADDR: 0,
    SO_KEEPALIVE: 0,
    SO_PASSCRED: 0,
    SO_SNDBUF: CAPACITY,
    SO_RCVBUF: CAPACITY,
}
FAMILY_BYTES, ADDRESS_MAX, STORAGE_MAX = 2, 110, 128  # of sockaddr, sockaddr_un, _storage
UNNAMED = struct.pack("<H", AF_UNIX)
MSGHDR = struct.Struct("<QI4xQQQQi4x")


def _socket(task: Task, fd: int) -> tuple[File, SocketInode]:
    """Return a socket's open file and inode. Errors: EBADF, ENOTSOCK."""
    file = task.fds.get(fd)
    if not isinstance(file.inode, SocketInode):
        raise SyscallError(errno.ENOTSOCK)
    return file, file.inode


# ---- making ----


def _type_of(family: int, kind: int, protocol: int) -> int:
    """Return the type of a socket without its flags. Errors: as socket."""
    if kind & ~(TYPE_MASK | O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    if family != AF_UNIX:
        raise SyscallError(errno.EAFNOSUPPORT)
    if kind & TYPE_MASK >= SOCK_MAX:
        raise SyscallError(errno.EINVAL)
    if protocol not in (0, AF_UNIX):
        raise SyscallError(errno.EPROTONOSUPPORT)
    if kind & TYPE_MASK not in TYPES:
        raise SyscallError(errno.ESOCKTNOSUPPORT)
    return TYPES[kind & TYPE_MASK]


@syscall(41, "socket", SINT, SINT, SINT, partly="AF_UNIX only")
def socket(task: Task, family: int, kind: int, protocol: int = 0) -> int:
    """Return the descriptor of a socket of AF_UNIX. kind: SOCK_* and flags.

    Errors: EINVAL, EAFNOSUPPORT, EPROTONOSUPPORT, ESOCKTNOSUPPORT, EMFILE. Source: socket(2).
    """
    socket_type = _type_of(family, kind, protocol)
    return install(task, make_socket(task.kernel, task, socket_type, kind & O_NONBLOCK), kind)


def socketpair(task: Task, family: int, kind: int, protocol: int = 0) -> tuple[int, int]:
    """Return descriptors of two connected sockets of AF_UNIX.

    Errors: as socket. Source: socketpair(2).
    """
    socket_type = _type_of(family, kind, protocol)
    one, other = make_pair(task.kernel, task, socket_type, kind & O_NONBLOCK)
    return install_pair(task, one, other, kind)


@syscall(53, "socketpair", SINT, SINT, SINT, STRUCT)
def socketpair_raw(task: Task, family: int, kind: int, protocol: int) -> bytes:
    """Store the descriptors of two connected sockets. Errors: as socketpair, EFAULT.

    Source: socketpair(2).
    """
    return struct.pack("<ii", *socketpair(task, family, kind, protocol))


# ---- sending and receiving ----


def _known_file(task: Task, fd: int, flags: int) -> File:
    """Return a socket's open file. Errors: EBADF, ENOTSOCK, EOPNOTSUPP (MSG_OOB)."""
    file = _socket(task, fd)[0]
    if flags & MSG_OOB:
        raise SyscallError(errno.EOPNOTSUPP)
    return file


def send(task: Task, fd: int, data: bytes, flags: int = 0) -> int:
    """Send data to the other end; return how many bytes went.

    Errors: EBADF, ENOTSOCK, EPIPE (and SIGPIPE), ECONNREFUSED, ENOTCONN, EMSGSIZE, EAGAIN,
    EOPNOTSUPP (MSG_OOB). Source: send(2).
    """
    return send_socket(task, _known_file(task, fd, flags), data, flags)


def recv(task: Task, fd: int, nbytes: int, flags: int = 0) -> bytes:
    """Return what was sent from the other end, at most nbytes; b"" at its end.

    Errors: EBADF, ENOTSOCK, EAGAIN, EOPNOTSUPP (MSG_OOB). Source: recv(2).
    """
    data, _ = _look(task, fd, nbytes, flags)
    _received(task, fd, data, flags)
    return data


def _look(task: Task, fd: int, nbytes: int, flags: int) -> tuple[bytes, int]:
    """Return the bytes, and how long what they are from is."""
    file = _known_file(task, fd, flags)
    wait = Wait.NEVER if flags & MSG_DONTWAIT else waits(file)
    return _socket(task, fd)[1].look(nbytes, wait)


def _received(task: Task, fd: int, data: bytes, flags: int) -> None:
    """Note that the caller has the bytes."""
    if not flags & MSG_PEEK:
        _socket(task, fd)[1].take(len(data))
    task.io.syscr += 1
    task.io.rchar += len(data)


def _result(inode: SocketInode, data: bytes, length: int, flags: int) -> int:
    """Return what recv returns: with MSG_TRUNC all of a message's length."""
    return length if flags & MSG_TRUNC and not inode.is_stream else len(data)


@syscall(44, "sendto", SINT, INT, INT, INT, INT, SINT)
def sendto(
    task: Task, fd: int, addr: int, count: int, flags: int, to: int = 0, to_bytes: int = 0
) -> int:
    """Send count bytes at addr. Errors: as send, connect, EISCONN, EOPNOTSUPP, EFAULT.

    Source: send(2).
    """
    inode = _socket(task, fd)[1]
    if to and inode.socket_type != SOCK_SEQPACKET:
        address = _address_in(task, to, to_bytes)
        if inode.is_stream:
            raise SyscallError(errno.EISCONN if inode.peer else errno.EOPNOTSUPP)
        _look_for(task, address)
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
    data, length = _look(task, fd, count, flags)
    task.mm.copy_out(addr, data)
    _received(task, fd, data, flags)
    if of:
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
    data, length = _look(task, fd, sum(n for _, n in parts), flags)
    done = 0
    for at, nbytes in parts:
        task.mm.copy_out(at, data[done : done + nbytes])
        done = min(done + nbytes, len(data))
    _received(task, fd, data, flags)
    cut = length > len(data) and not inode.is_stream
    header[1], header[5], header[6] = 0, 0, MSG_TRUNC if cut else 0
    task.mm.copy_out(addr, MSGHDR.pack(*header))
    return _result(inode, data, length, flags)


@syscall(48, "shutdown", SINT, SINT)
def shutdown(task: Task, fd: int, how: int) -> int:
    """End reading (0), writing (1) or both (2). Errors: EBADF, ENOTSOCK, EINVAL.

    Source: shutdown(2).
    """
    inode = _socket(task, fd)[1]
    if how not in SHUTDOWN:
        raise SyscallError(errno.EINVAL)
    inode.close_ways(SHUTDOWN[how])
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
    if _socket(task, fd)[1].peer is None:
        raise SyscallError(errno.ENOTCONN)
    return _store_name(task, addr, length_addr)


def _option(task: Task, inode: SocketInode, option: int) -> bytes:
    """Return the value of an SO_* option. Errors: ENOPROTOOPT."""
    if option == SO_PEERCRED:
        return struct.pack("<iii", *inode.made_by)
    if option == SO_ERROR:
        return struct.pack("<i", inode.take_error())
    fixed = {SO_TYPE: inode.socket_type, SO_DOMAIN: AF_UNIX}
    fixed |= dict.fromkeys((SO_DEBUG, SO_ACCEPTCONN, SO_PROTOCOL), 0)
    values = SETTABLE | inode.options | fixed
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

NO_NAMES = "no socket takes a name"


def _address_in(task: Task, addr: int, nbytes: int) -> bytes:
    """Return an address. Errors: EINVAL (its length), EFAULT."""
    if not 0 <= nbytes <= STORAGE_MAX:
        raise SyscallError(errno.EINVAL)
    return task.mm.copy_in(addr, nbytes)


def _look_for(task: Task, address: bytes) -> NoReturn:
    """Refuse an address: no one is there. Errors: EINVAL, ECONNREFUSED, those of a path."""
    name = address[FAMILY_BYTES:]
    if not name or len(address) > ADDRESS_MAX or address[:FAMILY_BYTES] != UNNAMED:
        raise SyscallError(errno.EINVAL)
    if name[0]:
        path = name.split(b"\0")[0].decode("utf-8", "surrogateescape")
        inode: Inode = task.kernel.vfs.resolve(task, path)
        inode.open_check(task, MAY_WRITE)
    raise SyscallError(errno.ECONNREFUSED)


@syscall(42, "connect", SINT, INT, SINT, partly=NO_NAMES)
def connect(task: Task, fd: int, addr: int, nbytes: int) -> int:
    """Look for a socket of a name; there is none. A datagram socket is parted by AF_UNSPEC.

    Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, ECONNREFUSED, those of a path. Source: connect(2).
    """
    inode = _socket(task, fd)[1]
    address = _address_in(task, addr, nbytes)
    if inode.is_datagram and address[:FAMILY_BYTES] == struct.pack("<H", AF_UNSPEC):
        inode.peer = None
        return 0
    _look_for(task, address)


@syscall(49, "bind", SINT, INT, SINT, partly=NO_NAMES)
def bind(task: Task, fd: int, addr: int, nbytes: int) -> int:
    """Refuse to take a name. Errors: EBADF, ENOTSOCK, EINVAL, EFAULT, EOPNOTSUPP.

    Source: bind(2).
    """
    _socket(task, fd)
    _address_in(task, addr, nbytes)
    raise SyscallError(errno.EOPNOTSUPP)


def _no_listening(task: Task, fd: int) -> NoReturn:
    datagram = _socket(task, fd)[1].is_datagram
    raise SyscallError(errno.EOPNOTSUPP if datagram else errno.EINVAL)


@syscall(50, "listen", SINT, SINT, partly=NO_NAMES)
def listen(task: Task, fd: int, backlog: int) -> int:
    """Refuse to listen: there is no name. Errors: EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP.

    Source: listen(2).
    """
    _no_listening(task, fd)


@syscall(43, "accept", SINT, INT, INT, partly=NO_NAMES)
def accept(task: Task, fd: int, addr: int, length_addr: int) -> int:
    """Refuse to accept: no one listens. Errors: EBADF, ENOTSOCK, EINVAL, EOPNOTSUPP.

    Source: accept(2).
    """
    _no_listening(task, fd)


@syscall(288, "accept4", SINT, INT, INT, SINT, partly=NO_NAMES)
def accept4(task: Task, fd: int, addr: int, length_addr: int, flags: int) -> int:
    """As accept. Errors: as accept, EINVAL (flags). Source: accept(2)."""
    if flags & ~(O_NONBLOCK | O_CLOEXEC):
        raise SyscallError(errno.EINVAL)
    _no_listening(task, fd)


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
    """As eventfd2 without flags. Errors: as eventfd2. Source: eventfd(2)."""
    return eventfd2(task, count)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"socketpair": socketpair, "send": send, "recv": recv}
