"""ioctl of sockets: what waits in them, and what the loopback device is like."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.socket import AF_INET, AF_UNIX, SOCK_STREAM, Socket
from pkern.kernel.net.tcp import TcpSocket

if TYPE_CHECKING:
    from pkern.kernel.net.net import Net
    from pkern.kernel.vfs.machine import Caller

FIONREAD, SIOCOUTQ, SIOCATMARK, SIOCGSTAMP, SIOCGSTAMPNS = 0x541B, 0x5411, 0x8905, 0x8906, 0x8907
SIOCGIFNAME, SIOCGIFCONF = 0x8910, 0x8912
LO, LO_INDEX, LO_MTU, QUEUE_LENGTH = b"lo", 1, 65536, 1000
LO_FLAGS = 0x49  # IFF_UP, IFF_LOOPBACK, IFF_RUNNING
ARPHRD_LOOPBACK = 772
NAME_BYTES, IFREQ_BYTES, VALUE_BYTES = 16, 40, 24


def _ip(*parts: int) -> bytes:
    return struct.pack("<HH", AF_INET, 0) + bytes(parts) + bytes(8)


# What each request for one device stores in its struct ifreq, after the name.
OF_DEVICE: dict[int, bytes] = {
    0x8913: struct.pack("<h", LO_FLAGS),  # SIOCGIFFLAGS
    0x8915: _ip(127, 0, 0, 1),  # SIOCGIFADDR
    0x8917: _ip(127, 0, 0, 1),  # SIOCGIFDSTADDR
    0x8919: _ip(0, 0, 0, 0),  # SIOCGIFBRDADDR
    0x891B: _ip(255, 0, 0, 0),  # SIOCGIFNETMASK
    0x891D: struct.pack("<i", 0),  # SIOCGIFMETRIC
    0x8921: struct.pack("<i", LO_MTU),  # SIOCGIFMTU
    0x8927: struct.pack("<H14x", ARPHRD_LOOPBACK),  # SIOCGIFHWADDR
    0x8933: struct.pack("<i", LO_INDEX),  # SIOCGIFINDEX
    0x8942: struct.pack("<i", QUEUE_LENGTH),  # SIOCGIFTXQLEN
    0x8970: bytes(VALUE_BYTES),  # SIOCGIFMAP
}
ADDRESSES = {0x8915, 0x8917, 0x8919, 0x891B}  # what only sockets of AF_INET are asked
CHANGES = {0x8914, 0x8916, 0x8918, 0x891A, 0x891C, 0x891E, 0x8922, 0x8923, 0x8924, 0x8943}
PRIVATE = range(0x89F0, 0x8A00)  # a device's own


def _unread(socket: Socket) -> int:
    return socket.available


def _unsent(socket: Socket) -> int:
    if socket.listens:
        raise SyscallError(errno.EINVAL)
    return socket.unsent


def _at_mark(socket: Socket) -> int:
    if isinstance(socket, TcpSocket):
        return int(socket.at_mark)
    if socket.family == AF_UNIX and socket.socket_type == SOCK_STREAM:
        return int(bool(socket.queue) and bool(socket.queue[0].oob))
    raise SyscallError(errno.ENOTTY)


COUNTS: dict[int, Callable[[Socket], int]] = {
    FIONREAD: _unread,
    SIOCOUTQ: _unsent,
    SIOCATMARK: _at_mark,
}


def ioctl(socket: Socket, task: Caller, request: int, arg: int) -> int:
    """Do an ioctl of a socket. Errors: EINVAL, ENODEV, ENOENT, EPERM, ENOTTY, EFAULT.

    Source: netdevice(7), tcp(7), unix(7).
    """
    mm: Any = task.mm
    if request in COUNTS:
        mm.copy_out(arg, struct.pack("<i", COUNTS[request](socket)))
    elif request in (SIOCGSTAMP, SIOCGSTAMPNS) and socket.family != AF_UNIX:
        raise SyscallError(errno.ENOENT)  # nothing is stamped
    elif request == SIOCGIFCONF:
        _devices(mm, arg)
    elif request == SIOCGIFNAME:
        _name_of(mm, arg)
    elif request in OF_DEVICE:
        _device(socket, mm, request, arg)
    elif request in CHANGES:
        _change(task, socket.net, mm, arg)
    elif request in PRIVATE and socket.family != AF_UNIX:
        _need_device(mm, arg)
        raise SyscallError(errno.EOPNOTSUPP)
    else:
        raise SyscallError(errno.ENOTTY)
    return 0


def _devices(mm: Any, arg: int) -> None:
    """Store a struct ifreq for each device with an address of AF_INET: there is one."""
    room, at = struct.unpack("<i4xQ", mm.copy_in(arg, 16))
    entry = LO.ljust(NAME_BYTES, b"\0") + OF_DEVICE[0x8915].ljust(VALUE_BYTES, b"\0")
    stored = IFREQ_BYTES if not at or room >= IFREQ_BYTES else 0
    if at and stored:
        mm.copy_out(at, entry)
    mm.copy_out(arg, struct.pack("<i", stored))


def _name_of(mm: Any, arg: int) -> None:
    index = struct.unpack("<i", mm.copy_in(arg + NAME_BYTES, 4))[0]
    if index != LO_INDEX:
        raise SyscallError(errno.ENODEV)
    mm.copy_out(arg, LO.ljust(NAME_BYTES, b"\0"))


def _need_device(mm: Any, arg: int) -> None:
    name = mm.copy_in(arg, IFREQ_BYTES)[:NAME_BYTES].split(b"\0")[0]
    if name != LO:
        raise SyscallError(errno.ENODEV)


def _device(socket: Socket, mm: Any, request: int, arg: int) -> None:
    if request in ADDRESSES and socket.family != AF_INET:
        raise SyscallError(errno.ENOTTY if socket.family == AF_UNIX else errno.EINVAL)
    _need_device(mm, arg)
    mm.copy_out(arg + NAME_BYTES, OF_DEVICE[request])


def _change(task: Caller, net: Net, mm: Any, arg: int) -> None:
    mm.copy_in(arg, IFREQ_BYTES)
    if not task.capable_in(net.owner, "CAP_NET_ADMIN"):
        raise SyscallError(errno.EPERM)
    _need_device(mm, arg)
    raise SyscallError(errno.EOPNOTSUPP)
