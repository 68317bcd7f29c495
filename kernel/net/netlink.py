"""AF_NETLINK, as far as a C library asks it which devices and addresses there are.

NETLINK_ROUTE answers RTM_GETLINK, RTM_GETADDR and RTM_GETROUTE: of links and addresses there is the
loopback's, of routes none. Changes are refused. Source: netlink(7), rtnetlink(7).
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.ioctl import ARPHRD_LOOPBACK, LO_FLAGS, LO_INDEX, LO_MTU, QUEUE_LENGTH
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
RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_GETADDR, RTM_GETROUTE = 16, 18, 20, 22, 26
RTM_BASE, RTM_MAX, KINDS_OF_REQUEST, GET = 16, 123, 4, 2
SCOPE_HOST, PERMANENT = 254, 0x80
LONGEST_HEAD = 32


def _attribute(kind: int, data: bytes) -> bytes:
    raw = struct.pack("<HH", 4 + len(data), kind) + data
    return raw.ljust(-(-len(raw) // 4) * 4, b"\0")


def _link() -> bytes:
    """Return a struct ifinfomsg of the loopback and its attributes."""
    head = struct.pack("<BxHiII", AF_UNSPEC, ARPHRD_LOOPBACK, LO_INDEX, LO_FLAGS | 0x10000, 0)
    attributes = [
        (3, b"lo\0"),  # IFLA_IFNAME
        (13, struct.pack("<I", QUEUE_LENGTH)),
        (16, b"\0"),  # IFLA_OPERSTATE
        (4, struct.pack("<I", LO_MTU)),
        (6, b"noqueue\0"),  # IFLA_QDISC
        (1, bytes(6)),  # IFLA_ADDRESS
        (2, bytes(6)),  # IFLA_BROADCAST
        (7, bytes(96)),  # IFLA_STATS
    ]
    return head + b"".join(_attribute(kind, data) for kind, data in attributes)


def _address(family: int) -> bytes:
    """Return a struct ifaddrmsg of the loopback's address and its attributes."""
    prefix, ip = (8, bytes((127, 0, 0, 1))) if family == AF_INET else (128, bytes(15) + b"\1")
    head = struct.pack("<BBBBI", family, prefix, PERMANENT, SCOPE_HOST, LO_INDEX)
    attributes = [(1, ip)]  # IFA_ADDRESS
    attributes += [(2, ip), (3, b"lo\0")] if family == AF_INET else []  # IFA_LOCAL, IFA_LABEL
    attributes += [(8, struct.pack("<I", PERMANENT))]
    return head + b"".join(_attribute(kind, data) for kind, data in attributes)


def _links(family: int) -> list[tuple[int, bytes]]:
    return [(RTM_NEWLINK, _link())]


def _addresses(family: int) -> list[tuple[int, bytes]]:
    wanted = (AF_INET, AF_INET6) if family == AF_UNSPEC else (family,)
    known = [one for one in wanted if one in (AF_INET, AF_INET6)]
    return [(RTM_NEWADDR, _address(one)) for one in known]


def _routes(family: int) -> list[tuple[int, bytes]]:
    return []


ANSWERS = {RTM_GETLINK: _links, RTM_GETADDR: _addresses, RTM_GETROUTE: _routes}


class NetlinkSocket(Socket):
    """A socket of NETLINK_ROUTE. port: its number among those of AF_NETLINK; 0: none yet."""

    family = AF_NETLINK

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
        error = self._refusal(task, kind, raw)
        if error or kind not in ANSWERS:
            self._reply(NLMSG_ERROR, 0, number, struct.pack("<i", -error) + raw)
            return
        family = raw[HEADER.size]
        multi = NLM_F_MULTI if flags & NLM_F_DUMP else 0
        found = ANSWERS[kind](family)
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
        if kind not in ANSWERS:
            return errno.EOPNOTSUPP
        return errno.EINVAL if len(raw) <= HEADER.size else 0

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
