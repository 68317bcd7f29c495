"""AF_NETLINK, as far as a C library asks it which devices and addresses there are.

NETLINK_ROUTE answers RTM_GETLINK, RTM_GETADDR and RTM_GETROUTE: of links and addresses there is the
loopback's, of routes none. It changes the loopback's flags and addresses (RTM_NEWLINK, RTM_SETLINK,
RTM_NEWADDR, RTM_DELADDR), and nothing else. Source: netlink(7), rtnetlink(7).
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import MAPPED
from pkern.kernel.net.ioctl import ARPHRD_LOOPBACK
from pkern.kernel.net.loopback import (
    IFF_LOWER_UP,
    INDEX,
    NAME,
    V4_BITS,
    V6_BITS,
    Address,
    Loopback,
)
from pkern.kernel.net.packet import Packet, Received, message_cost
from pkern.kernel.net.socket import (
    AF_INET,
    AF_INET6,
    AF_NETLINK,
    AF_UNSPEC,
    MSG_OOB,
    MustWait,
    Owner,
    Socket,
)
from pkern.kernel.vfs.inode import POLLIN, POLLOUT

if TYPE_CHECKING:
    from pkern.kernel.net.net import Net
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller

ADDRESS = struct.Struct("<HHII")  # struct sockaddr_nl
HEADER = struct.Struct("<IHHII")  # struct nlmsghdr
NLMSG_ERROR, NLMSG_DONE, NLM_F_REQUEST, NLM_F_MULTI, NLM_F_ACK, NLM_F_DUMP = 2, 3, 1, 2, 4, 0x300
NLM_F_REPLACE, NLM_F_EXCL = 0x100, 0x200
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, RTM_GETROUTE = 20, 21, 22, 26
LINK, OF_ADDRESS = struct.Struct("<BxHiII"), struct.Struct("<BBBBi")
ATTRIBUTE = struct.Struct("<HH")
IFA_ADDRESS, IFA_LOCAL, IFLA_IFNAME = 1, 2, 3
RTM_BASE, RTM_MAX, KINDS_OF_REQUEST, GET = 16, 123, 4, 2
SCOPE_HOST, PERMANENT, ALL_FLAGS = 254, 0x80, 0xFFFF_FFFF
STATE_UNKNOWN, STATE_DOWN = 0, 2
LONGEST_HEAD = 32


def _attribute(kind: int, data: bytes) -> bytes:
    raw = struct.pack("<HH", 4 + len(data), kind) + data
    return raw.ljust(-(-len(raw) // 4) * 4, b"\0")


def _link(lo: Loopback) -> bytes:
    """Return a struct ifinfomsg of the loopback and its attributes."""
    flags = lo.flags | (IFF_LOWER_UP if lo.up else 0)
    head = LINK.pack(AF_UNSPEC, ARPHRD_LOOPBACK, INDEX, flags, 0)
    attributes = [
        (IFLA_IFNAME, NAME + b"\0"),
        (13, struct.pack("<I", lo.queue_length)),
        (16, bytes([STATE_UNKNOWN if lo.up else STATE_DOWN])),  # IFLA_OPERSTATE
        (4, struct.pack("<I", lo.mtu)),
        (6, b"noqueue\0" if lo.was_up else b"noop\0"),  # IFLA_QDISC
        (1, bytes(6)),  # IFLA_ADDRESS
        (2, bytes(6)),  # IFLA_BROADCAST
        (7, bytes(96)),  # IFLA_STATS
    ]
    return head + b"".join(_attribute(kind, data) for kind, data in attributes)


def _address(one: Address) -> bytes:
    """Return a struct ifaddrmsg of an address of the loopback and its attributes."""
    family = AF_INET if one.is_v4 else AF_INET6
    head = OF_ADDRESS.pack(family, one.prefix, PERMANENT, SCOPE_HOST, INDEX)
    attributes = [(IFA_ADDRESS, one.raw)]
    attributes += [(IFA_LOCAL, one.raw), (3, NAME + b"\0")] if one.is_v4 else []  # IFA_LABEL
    attributes += [(8, struct.pack("<I", PERMANENT))]
    return head + b"".join(_attribute(kind, data) for kind, data in attributes)


def _links(lo: Loopback, family: int) -> list[tuple[int, bytes]]:
    return [(RTM_NEWLINK, _link(lo))]


def _addresses(lo: Loopback, family: int) -> list[tuple[int, bytes]]:
    of_family = {AF_UNSPEC: lo.addresses, AF_INET: lo.of_v4(), AF_INET6: lo.of_v6()}
    return [(RTM_NEWADDR, _address(one)) for one in of_family.get(family, [])]


def _routes(lo: Loopback, family: int) -> list[tuple[int, bytes]]:
    return []


ANSWERS = {RTM_GETLINK: _links, RTM_GETADDR: _addresses, RTM_GETROUTE: _routes}


# ---- changes ----


def _attributes(raw: bytes) -> dict[int, bytes]:
    """Return the attributes that stand in a request's rest, by kind."""
    found, at = {}, 0
    while len(raw) - at >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(raw, at)
        if not ATTRIBUTE.size <= length <= len(raw) - at:
            break
        found[kind] = raw[at + ATTRIBUTE.size : at + length]
        at += -(-length // 4) * 4
    return found


def _set_link(lo: Loopback, flags: int, raw: bytes) -> None:
    """Set flags of the device. Errors: EINVAL, ENODEV, EEXIST."""
    if len(raw) < LINK.size:
        raise SyscallError(errno.EINVAL)
    _, _, index, wanted, change = LINK.unpack_from(raw)
    name = _attributes(raw[LINK.size :]).get(IFLA_IFNAME, b"").split(b"\0")[0]
    if index not in (0, INDEX) or (not index and name != NAME):
        raise SyscallError(errno.ENODEV)
    if flags & NLM_F_EXCL:
        raise SyscallError(errno.EEXIST)
    if wanted or change:
        change = change or ALL_FLAGS
        lo.set_flags(lo.flags & ~change | wanted & change)


def _refuse_link(lo: Loopback, flags: int, raw: bytes) -> None:
    """Refuse to take the device away."""
    raise SyscallError(errno.EOPNOTSUPP)


def _address_in(raw: bytes) -> Address:
    """Return the address that a request names. Errors: EINVAL, ENODEV."""
    if len(raw) < OF_ADDRESS.size:
        raise SyscallError(errno.EINVAL)
    family, prefix, _, _, index = OF_ADDRESS.unpack_from(raw)
    attributes = _attributes(raw[OF_ADDRESS.size :])
    ip = attributes.get(IFA_LOCAL, attributes.get(IFA_ADDRESS, b""))
    bits = {AF_INET: V4_BITS, AF_INET6: V6_BITS}.get(family)
    if bits is None:
        raise SyscallError(errno.EOPNOTSUPP)
    if prefix > bits or 8 * len(ip) != bits:
        raise SyscallError(errno.EINVAL)
    if index != INDEX:
        raise SyscallError(errno.ENODEV)
    return Address(MAPPED + ip if family == AF_INET else ip, prefix)


def _add_address(lo: Loopback, flags: int, raw: bytes) -> None:
    address = _address_in(raw)
    if not (flags & NLM_F_REPLACE and address in lo.addresses):
        lo.add(address)


def _remove_address(lo: Loopback, flags: int, raw: bytes) -> None:
    lo.remove(_address_in(raw))


CHANGES = {
    RTM_NEWLINK: _set_link,
    RTM_DELLINK: _refuse_link,
    RTM_SETLINK: _set_link,
    RTM_NEWADDR: _add_address,
    RTM_DELADDR: _remove_address,
}


class NetlinkSocket(Socket):
    """A socket of NETLINK_ROUTE. port: its number among those of AF_NETLINK; 0: none yet."""

    family, protocol_name = AF_NETLINK, "NETLINK"
    has_peek_off = False

    def __init__(self, net: Net, socket_type: int, owner: Owner) -> None:
        super().__init__(net, socket_type, owner)
        self.port = self.groups = 0
        net.entered(self)

    @property
    def is_stream(self) -> bool:
        return False

    @property
    def own_name(self) -> bytes:
        return ADDRESS.pack(AF_NETLINK, 0, self.port, self.groups)

    @property
    def peer_name(self) -> bytes:
        return ADDRESS.pack(AF_NETLINK, 0, 0, 0)

    # ---- ports ----

    def bind(self, task: Caller, address: bytes) -> None:
        """Take a port: of one's own choice, or (0) a free one. Errors: EINVAL, EADDRINUSE."""
        if len(address) < ADDRESS.size:
            raise SyscallError(errno.EINVAL)
        family, _, port, groups = ADDRESS.unpack_from(address)
        if family != AF_NETLINK or (self.port and port != self.port):
            raise SyscallError(errno.EINVAL)
        if groups and not task.capable_in(self.net.owner, "CAP_NET_ADMIN"):
            raise SyscallError(errno.EPERM)
        self.groups = groups
        if port and port != self.port and port in self._taken():
            raise SyscallError(errno.EADDRINUSE)
        self.port = port or self.port
        self._bind_somehow(task)

    def _taken(self) -> set[int]:
        return {one.port for one in self.net.sockets if isinstance(one, NetlinkSocket)}

    def _bind_somehow(self, task: Caller) -> None:
        """Take the task's pid as port, or if that is taken one of the highest numbers."""
        taken = self._taken()
        candidate = task.tgid
        while not self.port:
            self.port = candidate if candidate not in taken else 0
            candidate = (0xFFFF_F000 if candidate == task.tgid else candidate) - 1

    def connect(self, task: Caller, address: bytes) -> None:
        if len(address) < 2:
            raise SyscallError(errno.EINVAL)
        if any(address[:2]):
            self._need_kernel(task, address)
            self._bind_somehow(task)

    def _need_kernel(self, task: Caller, address: bytes) -> None:
        """Refuse to talk to anyone but the kernel. Errors: EINVAL, EPERM, ECONNREFUSED."""
        if len(address) < ADDRESS.size:
            raise SyscallError(errno.EINVAL)
        family, _, port, groups = ADDRESS.unpack_from(address)
        if family != AF_NETLINK:
            raise SyscallError(errno.EINVAL)
        if port or groups:
            allowed = task.capable_in(self.net.owner, "CAP_NET_ADMIN")
            raise SyscallError(errno.ECONNREFUSED if allowed else errno.EPERM)

    # ---- requests ----

    def send(self, task: Caller, packet: Packet, to: bytes | None, flags: int) -> int:
        if flags & MSG_OOB:
            raise SyscallError(errno.EOPNOTSUPP)
        if to is not None:
            self._need_kernel(task, to)
        self._bind_somehow(task)
        if len(packet.data) > self.sndbuf - LONGEST_HEAD:
            raise SyscallError(errno.EMSGSIZE)
        at = 0
        while len(packet.data) - at >= HEADER.size:
            length = HEADER.unpack_from(packet.data, at)[0]
            if not HEADER.size <= length <= len(packet.data) - at:
                break
            self._request(task, packet.data[at : at + length])
            at += -(-length // 4) * 4
        return len(packet.data)

    def _request(self, task: Caller, raw: bytes) -> None:
        _, kind, flags, number, _ = HEADER.unpack_from(raw)
        if not flags & NLM_F_REQUEST or kind < RTM_BASE:
            return
        error = self._refusal(task, kind, raw) or self._change(kind, flags, raw)
        if error or (kind in CHANGES and flags & NLM_F_ACK):
            told = raw if error else raw[: HEADER.size]
            self._reply(NLMSG_ERROR, 0, number, struct.pack("<i", -error) + told)
        if error or kind in CHANGES:
            return
        family = raw[HEADER.size]
        multi = NLM_F_MULTI if flags & NLM_F_DUMP else 0
        found = ANSWERS[kind](self.net.lo, family)
        messages = [self._message(answer, multi, number, data) for answer, data in found]
        if messages:
            self._queue(b"".join(messages))
        if multi:
            self._reply(NLMSG_DONE, NLM_F_MULTI, number, bytes(4))
        elif flags & NLM_F_ACK:
            self._reply(NLMSG_ERROR, 0, number, bytes(4) + raw[: HEADER.size])

    def _refusal(self, task: Caller, kind: int, raw: bytes) -> int:
        """Return the errno of a request that is not answered, or 0."""
        if kind > RTM_MAX:
            return errno.EOPNOTSUPP
        if kind % KINDS_OF_REQUEST != GET and not task.capable_in(self.net.owner, "CAP_NET_ADMIN"):
            return errno.EPERM
        if kind not in ANSWERS and kind not in CHANGES:
            return errno.EOPNOTSUPP
        return errno.EINVAL if len(raw) <= HEADER.size else 0

    def _change(self, kind: int, flags: int, raw: bytes) -> int:
        """Make a change, if it is one; return its errno, or 0."""
        if kind not in CHANGES:
            return 0
        try:
            CHANGES[kind](self.net.lo, flags, raw[HEADER.size :])
        except SyscallError as refused:
            return refused.errno or errno.EINVAL
        return 0

    def _message(self, kind: int, flags: int, number: int, data: bytes) -> bytes:
        return HEADER.pack(HEADER.size + len(data), kind, flags, number, self.port) + data

    def _reply(self, kind: int, flags: int, number: int, data: bytes) -> None:
        self._queue(self._message(kind, flags, number, data))

    def _queue(self, data: bytes) -> None:
        packet = Packet(data, self.peer_name, cost=message_cost(len(data)))
        if sum(one.cost for one in self.queue) > self.rcvbuf:
            self.error = errno.ENOBUFS
            return
        self.queue.append(packet)
        self.wake(POLLIN)

    # ---- answers ----

    def look(self, nbytes: int, flags: int) -> Received:
        if flags & MSG_OOB:
            raise SyscallError(errno.EOPNOTSUPP)
        self.raise_error()
        if not self.queue:
            raise MustWait(self)
        first = self.queue[0]
        return Received(first.data[:nbytes], len(first.data), first.name, last=1)

    def take(self, nbytes: int, flags: int) -> None:
        if self.queue:
            self.queue.popleft()

    def poll(self, file: File) -> int:
        return self.poll_ends() | (POLLIN if self.queue else 0) | POLLOUT
