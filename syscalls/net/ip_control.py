"""Control messages of IP: what a datagram is sent with beyond its bytes, and what it came with.

A sender may choose source, hop limit and traffic class of one datagram; a receiver is told of those
that its options ask for. Source: ip(7), ipv6(7), RFC 3542, Linux 6.18 net/ipv4/ip_sockglue.c,
net/ipv6/datagram.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import MAPPED, is_any, is_v4
from pkern.kernel.net.inet import IPPROTO_IP, IPPROTO_IPV6, InetSocket
from pkern.kernel.net.loopback import INDEX, Loopback
from pkern.kernel.net.packet import IpHead
from pkern.kernel.net.socket import AF_INET, AF_INET6, Socket

IP_TOS, IP_TTL, IP_PKTINFO, IP_RECVTTL, IP_RECVTOS = 1, 2, 8, 12, 13
IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 49, 50, 51, 52
IPV6_RECVTCLASS, IPV6_TCLASS = 66, 67
INT, PKTINFO4, PKTINFO6 = struct.Struct("<i"), struct.Struct("<i4s4s"), struct.Struct("<16si")

Message = tuple[int, int, bytes]  # level, type, data


# ---- sending ----


def _number(data: bytes, least: int, most: int) -> int:
    """Return the int that is a message's data. Errors: EINVAL."""
    if len(data) != INT.size:
        raise SyscallError(errno.EINVAL)
    (number,) = INT.unpack(data)
    if not least <= number <= most:
        raise SyscallError(errno.EINVAL)
    return int(number)


def _source(lo: Loopback, ip: bytes, device: int) -> IpHead:
    """Return a head with a source address. Errors: ENODEV, ENETUNREACH, EINVAL."""
    if device not in (0, INDEX):
        raise SyscallError(errno.ENODEV)
    if is_any(ip):
        return IpHead()
    if not lo.can_be_own(ip):
        raise SyscallError(errno.ENETUNREACH if is_v4(ip) else errno.EINVAL)
    return IpHead(source=ip)


def _tos(lo: Loopback, data: bytes) -> IpHead:
    return IpHead(traffic=data[0] if len(data) == 1 else _number(data, 0, 255))


def _pktinfo4(lo: Loopback, data: bytes) -> IpHead:
    if len(data) != PKTINFO4.size:
        raise SyscallError(errno.EINVAL)
    device, own, _ = PKTINFO4.unpack(data)
    return _source(lo, MAPPED + own, device)


def _pktinfo6(lo: Loopback, data: bytes) -> IpHead:
    if len(data) < PKTINFO6.size:
        raise SyscallError(errno.EINVAL)
    return _source(lo, *PKTINFO6.unpack_from(data))


def _chosen(number: int) -> int | None:
    """Return a number that is chosen; -1: what the socket's option says."""
    return None if number < 0 else number


SENT: dict[tuple[int, int], Callable[[Loopback, bytes], IpHead]] = {
    (IPPROTO_IP, IP_TOS): _tos,
    (IPPROTO_IP, IP_TTL): lambda lo, data: IpHead(hops=_number(data, 1, 255)),
    (IPPROTO_IP, IP_PKTINFO): _pktinfo4,
    (IPPROTO_IPV6, IPV6_PKTINFO): _pktinfo6,
    (IPPROTO_IPV6, IPV6_HOPLIMIT): lambda lo, data: IpHead(hops=_chosen(_number(data, -1, 255))),
    (IPPROTO_IPV6, IPV6_TCLASS): lambda lo, data: IpHead(traffic=_number(data, -1, 255) & 255),
}


def _by_v4(inode: Socket, target: bytes) -> bool:
    """Tell whether what goes to an address, or without one to the other end, goes by version 4."""
    if inode.family != AF_INET6:
        return True
    if not target and isinstance(inode, InetSocket) and inode.remote is not None:
        return is_v4(inode.remote.ip)
    return is_v4(target[8:24]) or target[:2] == AF_INET.to_bytes(2, "little")


def ip_control_in(
    inode: Socket, target: bytes, level: int, kind: int, data: bytes, head: IpHead
) -> IpHead:
    """Return a head with what one message chooses; those of other levels are passed over.

    By version 4 a socket of AF_INET6 may choose a mapped source in version 6's form, too.
    Errors: EINVAL, ENODEV, ENETUNREACH.
    """
    by_v4 = _by_v4(inode, target)
    source6 = inode.family == AF_INET6 and (level, kind) == (IPPROTO_IPV6, IPV6_PKTINFO)
    if level != (IPPROTO_IP if by_v4 else IPPROTO_IPV6) and not source6:
        return head
    if (level, kind) not in SENT or (source6 and is_v4(data[:16]) != by_v4):
        raise SyscallError(errno.EINVAL)
    chosen = SENT[level, kind](inode.net.lo, data)._asdict()
    return head._replace(**{name: value for name, value in chosen.items() if value is not None})


# ---- receiving ----


def ip_control(inode: Socket, head: IpHead) -> Iterator[Message]:
    """Give what a socket wants to be told of a datagram, in Linux's order."""
    to = head.to
    if inode.family == AF_INET6 and inode.option(IPPROTO_IPV6, IPV6_RECVPKTINFO):
        yield IPPROTO_IPV6, IPV6_PKTINFO, PKTINFO6.pack(to, INDEX)
    if not is_v4(to):
        if inode.option(IPPROTO_IPV6, IPV6_RECVHOPLIMIT):
            yield IPPROTO_IPV6, IPV6_HOPLIMIT, INT.pack(head.hops)
        if inode.option(IPPROTO_IPV6, IPV6_RECVTCLASS):
            yield IPPROTO_IPV6, IPV6_TCLASS, INT.pack(head.traffic)
        return
    if inode.option(IPPROTO_IP, IP_PKTINFO):
        yield IPPROTO_IP, IP_PKTINFO, PKTINFO4.pack(INDEX, to[12:], to[12:])
    if inode.option(IPPROTO_IP, IP_RECVTTL):
        yield IPPROTO_IP, IP_TTL, INT.pack(head.hops)
    if inode.option(IPPROTO_IP, IP_RECVTOS):
        yield IPPROTO_IP, IP_TOS, bytes([head.traffic or 0])
