"""Which sockets there are, by family, type and protocol.

Raw sockets and other families are not made: nothing here has packets of its own to read.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.net.inet import IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE
from pkern.kernel.net.socket import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNIX,
    SOCK_DGRAM,
    SOCK_RAW,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    Owner,
    Socket,
)
from pkern.kernel.net.tcp import TcpSocket
from pkern.kernel.net.udp import UdpLiteSocket, UdpSocket
from pkern.kernel.net.unix import UnixSocket, join
from pkern.kernel.net.unix_messages import UnixDatagram, UnixSeqpacket
from pkern.kernel.net.unix_stream import UnixStream

if TYPE_CHECKING:
    from pkern.kernel.net.net import Net
    from pkern.kernel.vfs.machine import Caller

AF_PACKET, AF_MAX = 17, 46
SOCK_PACKET, SOCK_MAX, IPPROTO_MAX = 10, 11, 263
IPPROTO_ICMP = {AF_INET: 1, AF_INET6: 58}
UNIX: dict[int, tuple[int, type[UnixSocket]]] = {
    SOCK_STREAM: (SOCK_STREAM, UnixStream),
    SOCK_DGRAM: (SOCK_DGRAM, UnixDatagram),
    SOCK_RAW: (SOCK_DGRAM, UnixDatagram),
    SOCK_SEQPACKET: (SOCK_SEQPACKET, UnixSeqpacket),
}


def make_socket(net: Net, task: Caller, family: int, kind: int, protocol: int) -> Socket:
    """Return a new socket. Errors: EAFNOSUPPORT, EINVAL, E(PROTO|SOCKT)NOSUPPORT, EPERM, EACCES.

    Source: socket(2).
    """
    if 0 <= family < AF_MAX and kind >= SOCK_MAX:
        raise SyscallError(errno.EINVAL)
    if family == AF_PACKET or (family == AF_INET and kind == SOCK_PACKET):
        if not task.capable_in(net.owner, "CAP_NET_RAW"):
            raise SyscallError(errno.EPERM)
        raise SyscallError(errno.EAFNOSUPPORT)
    if family not in (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK):
        raise SyscallError(errno.EAFNOSUPPORT)
    owner = (task.uid, task.gid)
    if family == AF_NETLINK:
        return _make_netlink(net, owner, kind, protocol)
    if family == AF_UNIX:
        return _make_unix(net, owner, kind, protocol)
    return _make_inet(net, task, family, kind, protocol)


def _make_unix(net: Net, owner: Owner, kind: int, protocol: int) -> UnixSocket:
    if protocol not in (0, AF_UNIX):
        raise SyscallError(errno.EPROTONOSUPPORT)
    if kind not in UNIX:
        raise SyscallError(errno.ESOCKTNOSUPPORT)
    socket_type, sort = UNIX[kind]
    return sort(net, socket_type, owner)


def _make_netlink(net: Net, owner: Owner, kind: int, protocol: int) -> Socket:
    if kind not in (SOCK_RAW, SOCK_DGRAM):
        raise SyscallError(errno.ESOCKTNOSUPPORT)
    if protocol:
        raise SyscallError(errno.EPROTONOSUPPORT)
    netlink: type[Socket] = load("pkern.kernel.net.netlink").NetlinkSocket
    return netlink(net, kind, owner)


def _make_inet(net: Net, task: Caller, family: int, kind: int, protocol: int) -> Socket:
    owner = (task.uid, task.gid)
    if not 0 <= protocol < IPPROTO_MAX:
        raise SyscallError(errno.EINVAL)
    if kind == SOCK_STREAM and protocol in (0, IPPROTO_TCP):
        return TcpSocket(net, family, owner)
    if kind == SOCK_DGRAM and protocol in (0, IPPROTO_UDP):
        return UdpSocket(net, family, owner)
    if kind == SOCK_DGRAM and protocol == IPPROTO_UDPLITE:
        return UdpLiteSocket(net, family, owner)
    if kind == SOCK_RAW and protocol and not task.capable_in(net.owner, "CAP_NET_RAW"):
        raise SyscallError(errno.EPERM)
    if kind == SOCK_DGRAM and protocol == IPPROTO_ICMP[family]:
        raise SyscallError(errno.EACCES)  # net.ipv4.ping_group_range has no group
    known = kind in (SOCK_STREAM, SOCK_DGRAM, SOCK_RAW)
    raise SyscallError(errno.EPROTONOSUPPORT if known else errno.ESOCKTNOSUPPORT)


def make_pair(
    net: Net, task: Caller, family: int, kind: int, protocol: int
) -> tuple[Socket, Socket]:
    """Return two connected sockets. Errors: as make_socket, EOPNOTSUPP (not of AF_UNIX)."""
    one = make_socket(net, task, family, kind, protocol)
    other = make_socket(net, task, family, kind, protocol)
    if not isinstance(one, UnixSocket) or not isinstance(other, UnixSocket):
        one.discard()
        other.discard()
        raise SyscallError(errno.EOPNOTSUPP)
    join(one, other)
    one.meet(task)
    other.meet(task)
    return one, other
