"""ioctl of sockets: what waits in them, and what the loopback device is like."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import MAPPED
from pkern.kernel.net.loopback import INDEX, NAME, Address, Loopback
from pkern.kernel.net.socket import AF_INET, AF_NETLINK, AF_UNIX, Socket
from pkern.kernel.net.tcp import TcpSocket
from pkern.kernel.net.unix_stream import UnixStream
from pkern.kernel.vfs.fs.nsfs import open_namespace

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller

FIONREAD, SIOCOUTQ, SIOCATMARK, SIOCGSTAMP, SIOCGSTAMPNS = 0x541B, 0x5411, 0x8905, 0x8906, 0x8907
SIOCGIFNAME, SIOCGIFCONF, SIOCOUTQNSD, SIOCGSKNS = 0x8910, 0x8912, 0x894B, 0x894C
ARPHRD_LOOPBACK = 772
NAME_BYTES, IFREQ_BYTES, VALUE_BYTES = 16, 40, 24
CLASSES = ((0x80, 8), (0xC0, 16), (0xE0, 24))  # an address's first byte is below: its prefix
INT = struct.Struct("<i")
GIFADDR, SIFADDR = 0x8915, 0x8916
_NAME = NAME.ljust(NAME_BYTES, b"\0")


def _sockaddr(raw: bytes) -> bytes:
    return struct.pack("<HH", AF_INET, 0) + raw + bytes(8)


def _first(lo: Loopback) -> Address:
    """Return what is asked for as its address of AF_INET. Errors: EADDRNOTAVAIL."""
    found = lo.of_v4()
    if not found:
        raise SyscallError(errno.EADDRNOTAVAIL)
    return found[0]


def _mask(lo: Loopback) -> bytes:
    return _first(lo).mask.to_bytes(4, "big")


# What each request for the device stores in its struct ifreq, after the name.
OF_DEVICE: dict[int, Callable[[Loopback], bytes]] = {
    0x8913: lambda lo: struct.pack("<H", lo.flags),  # SIOCGIFFLAGS
    GIFADDR: lambda lo: _sockaddr(_first(lo).raw),
    0x8917: lambda lo: _sockaddr(_first(lo).raw),  # SIOCGIFDSTADDR
    0x8919: lambda lo: _sockaddr(_first(lo).raw and bytes(4)),  # SIOCGIFBRDADDR
    0x891B: lambda lo: _sockaddr(_mask(lo)),  # SIOCGIFNETMASK
    0x891D: lambda lo: INT.pack(0),  # SIOCGIFMETRIC
    0x8921: lambda lo: INT.pack(lo.mtu),  # SIOCGIFMTU
    0x8927: lambda lo: struct.pack("<H14x", ARPHRD_LOOPBACK),  # SIOCGIFHWADDR
    0x8933: lambda lo: INT.pack(INDEX),  # SIOCGIFINDEX
    0x8942: lambda lo: INT.pack(lo.queue_length),  # SIOCGIFTXQLEN
    0x8970: lambda lo: bytes(VALUE_BYTES),  # SIOCGIFMAP
}
ADDRESSES = {GIFADDR, 0x8917, 0x8919, 0x891B}  # what only sockets of AF_INET are asked
PRIVATE = range(0x89F0, 0x8A00)  # a device's own


def _set_address(lo: Loopback, value: bytes) -> None:
    """Let an address be the only one of version 4. Errors: EINVAL."""
    family, raw = int.from_bytes(value[:2], "little"), value[4:8]
    prefix = next((bits for below, bits in CLASSES if raw[0] < below), 0)
    if family != AF_INET or not prefix:
        raise SyscallError(errno.EINVAL)
    for old in lo.of_v4()[:1]:
        lo.remove(old)
    lo.add(Address(MAPPED + raw, prefix))


def _set_mtu(lo: Loopback, value: bytes) -> None:
    lo.mtu = _not_negative(value)


def _set_queue_length(lo: Loopback, value: bytes) -> None:
    lo.queue_length = _not_negative(value)


def _not_negative(value: bytes) -> int:
    number: int = INT.unpack_from(value)[0]
    if number < 0:
        raise SyscallError(errno.EINVAL)
    return number


def _refuse(lo: Loopback, value: bytes) -> None:
    raise SyscallError(errno.EOPNOTSUPP)


# What a change does with the value in its struct ifreq.
CHANGES: dict[int, Callable[[Loopback, bytes], None]] = {
    0x8914: lambda lo, value: lo.set_flags(int.from_bytes(value[:2], "little")),  # SIOCSIFFLAGS
    SIFADDR: _set_address,
    0x8922: _set_mtu,
    0x8943: _set_queue_length,
    **dict.fromkeys((0x8918, 0x891A, 0x891C, 0x891E, 0x8923, 0x8924), _refuse),
}


def _unread(socket: Socket) -> int:
    if socket.family == AF_NETLINK:
        raise SyscallError(errno.ENOTTY)
    return socket.available


def _unsent(socket: Socket) -> int:
    if socket.family == AF_NETLINK:
        raise SyscallError(errno.ENOTTY)
    if isinstance(socket, TcpSocket) and socket.listens:
        raise SyscallError(errno.EINVAL)
    return socket.unsent


def _not_yet_sent(socket: Socket) -> int:
    if not isinstance(socket, TcpSocket):
        raise SyscallError(errno.ENOTTY)
    return _unsent(socket)


def _at_mark(socket: Socket) -> int:
    if isinstance(socket, TcpSocket):
        return int(socket.at_mark)
    if socket.family == AF_UNIX:
        if not isinstance(socket, UnixStream):
            raise SyscallError(errno.EOPNOTSUPP)
        return int(socket.at_mark)
    raise SyscallError(errno.ENOTTY)


COUNTS: dict[int, Callable[[Socket], int]] = {
    FIONREAD: _unread,
    SIOCOUTQ: _unsent,
    SIOCOUTQNSD: _not_yet_sent,
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
        _devices(socket.net.lo, mm, arg)
    elif request == SIOCGIFNAME:
        _name_of(mm, arg)
    elif request in OF_DEVICE:
        _device(socket, mm, request, arg)
    elif request in CHANGES:
        _change(task, socket, mm, request, arg)
    elif request == SIOCGSKNS:
        return _open_namespace(task, socket)
    elif request in PRIVATE and socket.family != AF_UNIX:
        _need_device(mm, arg)
        raise SyscallError(errno.EOPNOTSUPP)
    else:
        raise SyscallError(errno.ENOTTY)
    return 0


def _open_namespace(task: Caller, socket: Socket) -> int:
    """Return a descriptor of a socket's network namespace. Errors: EPERM, EMFILE."""
    if not task.capable_in(socket.net.owner, "CAP_NET_ADMIN"):
        raise SyscallError(errno.EPERM)
    return open_namespace(task, socket.net.namespace)


def _devices(lo: Loopback, mm: Any, arg: int) -> None:
    """Store a struct ifreq for each of its addresses of AF_INET, as many as there is room for."""
    room, at = struct.unpack("<i4xQ", mm.copy_in(arg, 16))
    found = lo.of_v4()
    if at:
        found = found[: max(0, room) // IFREQ_BYTES]
        values = [_sockaddr(one.raw).ljust(VALUE_BYTES, b"\0") for one in found]
        mm.copy_out(at, b"".join(_NAME + value for value in values))
    mm.copy_out(arg, INT.pack(IFREQ_BYTES * len(found)))


def _name_of(mm: Any, arg: int) -> None:
    index = INT.unpack(mm.copy_in(arg + NAME_BYTES, 4))[0]
    if index != INDEX:
        raise SyscallError(errno.ENODEV)
    mm.copy_out(arg, _NAME)


def _need_device(mm: Any, arg: int) -> bytes:
    """Return the value in a struct ifreq of the device. Errors: ENODEV."""
    request: bytes = mm.copy_in(arg, IFREQ_BYTES)
    if request[:NAME_BYTES].split(b"\0")[0] != NAME:
        raise SyscallError(errno.ENODEV)
    return request[NAME_BYTES:]


def _device(socket: Socket, mm: Any, request: int, arg: int) -> None:
    if request in ADDRESSES and socket.family != AF_INET:
        raise SyscallError(errno.ENOTTY if socket.family == AF_UNIX else errno.EINVAL)
    _need_device(mm, arg)
    mm.copy_out(arg + NAME_BYTES, OF_DEVICE[request](socket.net.lo))


def _change(task: Caller, socket: Socket, mm: Any, request: int, arg: int) -> None:
    mm.copy_in(arg, IFREQ_BYTES)
    if not task.capable_in(socket.net.owner, "CAP_NET_ADMIN"):
        raise SyscallError(errno.EPERM)
    CHANGES[request](socket.net.lo, _need_device(mm, arg))
