"""UDP between sockets of this machine: a datagram arrives at once, or nobody gets it.

It is lost where the receiver's buffer is full; where nobody has the port, a connected sender hears
ECONNREFUSED with its next call. Source: udp(7), Linux 6.18 net/ipv4/udp.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import BROADCAST, Endpoint, is_multicast, is_v4, pack, unpack
from pkern.kernel.net.inet import (
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
    InetSocket,
)
from pkern.kernel.net.packet import NOTHING, IpHead, Packet, Received, message_at, message_cost
from pkern.kernel.net.socket import (
    AF_INET,
    AF_INET6,
    BOTH,
    MSG_DONTWAIT,
    MSG_MORE,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    NO_READS,
    NO_WRITES,
    SOCK_DGRAM,
    MustWait,
    Owner,
)
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import POLLIN, POLLOUT

if TYPE_CHECKING:
    from pkern.kernel.net.net import Net
    from pkern.kernel.net.ports import Ports
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller

LONGEST4, LONGEST6, LONGEST = 65507, 65527, 0xFFFF  # bytes of a datagram
HEADS4, HEADS6 = 42, 62  # bytes of all headers of a datagram
SOL_SOCKET, SO_BROADCAST = 1, 6
HEAD4 = (IPPROTO_IP, 2, 1)  # IP_TTL, IP_TOS
HEAD6 = (IPPROTO_IPV6, 16, 67)  # IPV6_UNICAST_HOPS, IPV6_TCLASS
USUAL_HOPS = 64
UDP_CORK = 1
UNSPECIFIED = b"\0\0"


class Corked(NamedTuple):
    """A datagram that grows until a part of it comes without MSG_MORE."""

    packet: Packet
    source: Endpoint
    remote: Endpoint


class UdpSocket(InetSocket):
    """SOCK_DGRAM of AF_INET and AF_INET6. charged: bytes that what waits here takes.

    dropped: datagrams for which there was no room.
    """

    protocol = IPPROTO_UDP
    protocol_names = ("UDP", "UDPv6")

    def __init__(self, net: Net, family: int, owner: Owner) -> None:
        super().__init__(net, family, SOCK_DGRAM, owner)
        self.charged = self.dropped = 0
        self.corked: Corked | None = None

    @property
    def ports(self) -> Ports:
        return self.net.udp

    # ---- ends ----

    def _end_of(self, address: bytes) -> Endpoint:
        """Return where to send. Errors: EINVAL, EAFNOSUPPORT."""
        family = self.family
        if len(address) >= 2 and self.family == AF_INET6:
            family = AF_INET if address[:2] == AF_INET.to_bytes(2, "little") else AF_INET6
        if self.family == AF_INET and address[:2] == UNSPECIFIED:
            address = AF_INET.to_bytes(2, "little") + address[2:]
        return unpack(family, address)

    def _way_to(self, end: Endpoint) -> tuple[Endpoint, bytes]:
        if end.ip == BROADCAST and not self.option(SOL_SOCKET, SO_BROADCAST):
            raise SyscallError(errno.EACCES)
        if is_multicast(end.ip):
            raise SyscallError(errno.ENETUNREACH)
        return self.destination(end)

    def connect(self, task: Caller, address: bytes) -> None:
        """Choose the other end; AF_UNSPEC: none. Errors: EINVAL, EAFNOSUPPORT, ENETUNREACH."""
        if len(address) < 2:
            raise SyscallError(errno.EINVAL)
        if address[:2] == UNSPECIFIED:
            self.remote = None
            self.unbind()
            return
        remote, source = self._way_to(unpack(self.family, address))
        self.bind_somehow(source)
        self.remote = remote

    # ---- sending ----

    def send(self, task: Caller, packet: Packet, to: bytes | None, flags: int) -> int:
        if len(packet.data) > LONGEST:
            raise SyscallError(errno.EMSGSIZE)
        if flags & MSG_OOB and self.family == AF_INET:
            raise SyscallError(errno.EOPNOTSUPP)
        if self.corked is not None:
            return self._append(self.corked, packet.data, flags)
        end = self._target(to)
        remote, source = self._way_to(end)
        if len(packet.data) > (LONGEST4 if is_v4(remote.ip) else LONGEST6):
            raise SyscallError(errno.EMSGSIZE)
        if not self.local.port:
            self.bind_somehow()
        self.raise_error()
        if self.shut & NO_WRITES:
            raise SyscallError(errno.EPIPE)
        source = packet.head.source or source
        packet.head = self._head(packet.head, remote.ip)
        nbytes = len(packet.data)
        corked = Corked(packet, Endpoint(source, self.local.port), remote)
        if flags & MSG_MORE or self.option(IPPROTO_UDP, UDP_CORK):
            self.corked = corked
        else:
            self._deliver(*corked)
        return nbytes

    def _append(self, corked: Corked, data: bytes, flags: int) -> int:
        """Add to a datagram that is not sent yet; the last part sends it. Errors: EMSGSIZE."""
        most = LONGEST4 if is_v4(corked.remote.ip) else LONGEST6
        self.corked = None
        if len(corked.packet.data) + len(data) > most:
            raise SyscallError(errno.EMSGSIZE)
        corked.packet.data += data
        if flags & MSG_MORE or self.option(IPPROTO_UDP, UDP_CORK):
            self.corked = corked
        else:
            self._deliver(*corked)
        return len(data)

    def cork(self, value: int) -> None:
        """Collect what is sent in one datagram (1), or send what was collected (0): UDP_CORK."""
        self.options[IPPROTO_UDP, UDP_CORK] = value
        if not value and self.corked is not None:
            corked, self.corked = self.corked, None
            self._deliver(*corked)

    def _head(self, chosen: IpHead, to: bytes) -> IpHead:
        """Return what IP says of a datagram that is sent: what is chosen, else the options."""
        level, hops, traffic = HEAD4 if is_v4(to) else HEAD6
        usual = self.option(level, hops, USUAL_HOPS), self.option(level, traffic)
        return IpHead(
            chosen.hops if chosen.hops is not None else usual[0] if usual[0] >= 0 else USUAL_HOPS,
            chosen.traffic if chosen.traffic is not None else max(0, usual[1]),
            to=to,
        )

    def _target(self, to: bytes | None) -> Endpoint:
        if to is not None:
            end = self._end_of(to)
            if not end.port:
                raise SyscallError(errno.EINVAL)
            return end
        if self.remote is None:
            raise SyscallError(errno.EDESTADDRREQ)
        return self.remote

    def _deliver(self, packet: Packet, source: Endpoint, remote: Endpoint) -> None:
        heads = HEADS4 if is_v4(remote.ip) else HEADS6
        if not self.net.lo.carried(len(packet.data) + heads):
            return
        receiver = self._receiver(source, remote)
        if receiver is not None:
            receiver.got(packet, source)
        elif self.remote is not None:
            self.error = errno.ECONNREFUSED
            self.wake()

    def _receiver(self, source: Endpoint, remote: Endpoint) -> UdpSocket | None:
        """Return who is bound there: the most exactly; the last of those that fit alike."""
        best, found = 0, None
        for one in self.ports.sockets(remote.port):
            fits = one.hears(remote.ip)
            if one.remote is not None:
                fits = fits + 4 if one.remote == source and fits else 0
            if fits and fits >= best and isinstance(one, UdpSocket):
                best, found = fits, one
        return found

    def got(self, packet: Packet, source: Endpoint) -> None:
        """Queue what came, if there is room."""
        if self.charged > self.rcvbuf:
            self.dropped += 1
            return
        packet.cost = message_cost(len(packet.data))
        packet.name = pack(self.family, source)
        self.charged += packet.cost
        self.queue.append(packet)
        self.wake(POLLIN)

    def settle(self, packet: Packet) -> None:
        super().settle(packet)
        self.charged -= packet.cost

    # ---- receiving ----

    def look(self, nbytes: int, flags: int) -> Received:
        self.raise_error()
        found = message_at(self.queue, self.peek_off if flags & MSG_PEEK else -1)
        if found is not None:
            first, start = found
            data, whole = first.data[start : start + nbytes], len(first.data)
            return Received(data, whole, first.name, last=1, head=first.head, passed=start)
        if self.shut & NO_READS and not flags & MSG_DONTWAIT:
            return NOTHING
        raise MustWait(self)

    def peeked(self, found: Received, flags: int) -> None:
        self.move_peek(found.length if flags & MSG_TRUNC else len(found.data))

    def take(self, nbytes: int, flags: int) -> None:
        if self.queue:
            self.move_peek(-len(self.queue[0].data) if flags & MSG_TRUNC else -nbytes)
            self.settle(self.queue.popleft())

    # ---- the end ----

    def shutdown(self, ways: int) -> None:
        self.shut |= ways
        self.wake()
        if self.remote is None:
            raise SyscallError(errno.ENOTCONN)

    def release(self) -> None:
        self.ports.drop(self)
        self.shut = BOTH
        self.drop_queue()

    def poll(self, file: File) -> int:
        return self.poll_ends() | (POLLIN if self.queue else 0) | POLLOUT


class UdpLiteSocket(UdpSocket):
    """UDP-Lite: ports of its own; how much its checksum covers shows in its options only.

    Source: udplite(7).
    """

    protocol = IPPROTO_UDPLITE
    protocol_names = ("UDP-Lite", "UDPLITEv6")

    @property
    def ports(self) -> Ports:
        return self.net.udplite
