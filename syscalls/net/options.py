"""Options of sockets: one table, by level and name, of how each is read and set.

Most are kept and shown, for a machine whose only network is its loopback has no use for them; those
that mean something here are fields of the socket, or are asked for by Socket.option().
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.net.inet import (
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
    IPV6_V6ONLY,
    InetSocket,
)
from pkern.kernel.net.packet import NOBODY
from pkern.kernel.net.socket import AF_INET, AF_INET6, AF_UNIX, Socket
from pkern.kernel.net.tcp import TcpSocket
from pkern.kernel.net.tcp_info import tcp_info
from pkern.kernel.net.udp import UDP_CORK, UdpLiteSocket, UdpSocket
from pkern.kernel.net.unix import UnixSocket
from pkern.syscalls.files.pidfd import open_process
from pkern.syscalls.net.control import shown
from pkern.syscalls.net.transfer import socket_of
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SOL_SOCKET = 1
INT_MAX = (1 << 31) - 1
LEAST_SNDBUF, LEAST_RCVBUF = 4608, 2304
SO_PEERCRED, SO_PEERPIDFD = 17, 77
HZ_NS = SECOND // 250  # in whole ticks of which Linux keeps a timeout
USEC = 1_000_000
Get = Callable[[Socket], bytes]
Put = Callable[["Task", Socket, bytes], None]


class Option(NamedTuple):
    """How an option is read and set; None: it cannot be (ENOPROTOOPT)."""

    get: Get | None
    put: Put | None


def _int(value: int) -> bytes:
    return struct.pack("<i", value)


def _int_in(data: bytes) -> int:
    """Return an int. Errors: EINVAL (too short)."""
    if len(data) < 4:
        raise SyscallError(errno.EINVAL)
    return int(struct.unpack_from("<i", data)[0])


# ---- kinds of options ----


def _flag(level: int, name: int, default: int = 0, capability: str = "") -> Option:
    """Return an option that is 0 or 1. capability: who may set it."""

    def put(task: Task, socket: Socket, data: bytes) -> None:
        value = int(_int_in(data) != 0)
        if capability and value and not task.capable(capability):
            raise SyscallError(errno.EACCES)
        socket.options[level, name] = value

    return Option(lambda socket: _int(socket.option(level, name, default)), put)


def _mark_put(task: Task, socket: Socket, data: bytes) -> None:
    """Set SO_MARK. Errors: EPERM: one has no right to raw packets in its network namespace."""
    value, owner = _int_in(data), socket.net.owner
    if not any(task.capable_in(owner, right) for right in ("CAP_NET_RAW", "CAP_NET_ADMIN")):
        raise SyscallError(errno.EPERM)
    socket.options[SOL_SOCKET, 36] = value


def _number(
    level: int, name: int, default: int, low: int, high: int, *, least_bytes: int = 4
) -> Option:
    """Return an option that is a number of a range (EINVAL); of fewer than 4 bytes the first."""

    def put(task: Task, socket: Socket, data: bytes) -> None:
        value = data[0] if least_bytes <= len(data) < 4 else _int_in(data)
        if not low <= value <= high:
            raise SyscallError(errno.EINVAL)
        socket.options[level, name] = default if value == -1 else value

    return Option(lambda socket: _int(socket.option(level, name, default)), put)


def _fixed(get: Get) -> Option:
    """Return an option that can only be read."""
    return Option(get, None)


def _buffer(field: str, most: str, least: int, capability: str = "") -> Option:
    """Return the size of a buffer, twice what is asked for; capability: no limit for who has it."""

    def put(task: Task, socket: Socket, data: bytes) -> None:
        value = _int_in(data)
        if capability and not task.capable(capability):
            raise SyscallError(errno.EPERM)
        limit = INT_MAX // 2 if capability else getattr(task.nsproxy.net.common, most)
        setattr(socket, field, max(2 * min(value & 0xFFFF_FFFF, limit), least))
        socket.wake()

    return Option(lambda socket: _int(getattr(socket, field)), put)


def _timeout(field: str) -> Option:
    """Return a time that calls wait at most, as struct timeval; 0: for ever."""

    def get(socket: Socket) -> bytes:
        ns = getattr(socket, field) or 0
        return struct.pack("<qq", ns // SECOND, ns % SECOND // 1000)

    def put(task: Task, socket: Socket, data: bytes) -> None:
        if len(data) < 16:
            raise SyscallError(errno.EINVAL)
        seconds, micros = struct.unpack_from("<qq", data)
        if not 0 <= micros < USEC:
            raise SyscallError(errno.EDOM)
        ticks = -(-(seconds * SECOND + micros * 1000) // HZ_NS)
        forever = not seconds and not micros
        setattr(socket, field, None if forever else max(0, ticks) * HZ_NS)

    return Option(get, put)


# ---- single ones ----


def _linger_put(task: Task, socket: Socket, data: bytes) -> None:
    if len(data) < 8:
        raise SyscallError(errno.EINVAL)
    on, seconds = struct.unpack_from("<ii", data)
    socket.linger = (int(on != 0), seconds if on else socket.linger[1])


def _reuseport_put(task: Task, socket: Socket, data: bytes) -> None:
    value = _int_in(data)
    if value and socket.family not in (AF_INET, AF_INET6):
        raise SyscallError(errno.EOPNOTSUPP)
    socket.options[SOL_SOCKET, 15] = int(value != 0)


def _passcred(name: int) -> Option:
    flag = _flag(SOL_SOCKET, name)

    def need_unix(socket: Socket) -> None:
        if socket.family != AF_UNIX:
            raise SyscallError(errno.EOPNOTSUPP)

    def get(socket: Socket) -> bytes:
        need_unix(socket)
        assert flag.get is not None
        return flag.get(socket)

    def put(task: Task, socket: Socket, data: bytes) -> None:
        _int_in(data)
        need_unix(socket)
        assert flag.put is not None
        flag.put(task, socket, data)

    return Option(get, put)


def _peek_off() -> Option:
    """Return where MSG_PEEK looks: of the kinds of sockets that keep it."""

    def need(socket: Socket) -> None:
        if not socket.has_peek_off:
            raise SyscallError(errno.EOPNOTSUPP)

    def get(socket: Socket) -> bytes:
        need(socket)
        return _int(socket.peek_off)

    def put(task: Task, socket: Socket, data: bytes) -> None:
        need(socket)
        socket.peek_off = _int_in(data)

    return Option(get, put)


def _lowat_put(task: Task, socket: Socket, data: bytes) -> None:
    value = _int_in(data)
    socket.options[SOL_SOCKET, 18] = INT_MAX if value < 0 else value or 1


def _device_put(task: Task, socket: Socket, data: bytes) -> None:
    name = data.split(b"\0")[0][:15]
    if name not in (b"", b"lo"):
        raise SyscallError(errno.ENODEV)
    socket.device = name


def _priority_put(task: Task, socket: Socket, data: bytes) -> None:
    value = _int_in(data)
    if not 0 <= value <= 6 and not task.capable_in(socket.net.owner, "CAP_NET_ADMIN"):
        raise SyscallError(errno.EPERM)
    socket.options[SOL_SOCKET, 12] = value


def _v6only_put(task: Task, socket: Socket, data: bytes) -> None:
    value = _int_in(data)
    if isinstance(socket, InetSocket) and socket.local.port:
        raise SyscallError(errno.EINVAL)
    socket.options[IPPROTO_IPV6, IPV6_V6ONLY] = int(value != 0)


def _congestion_put(task: Task, socket: Socket, data: bytes) -> None:
    if data.split(b"\0")[0] not in (b"cubic", b"reno"):
        raise SyscallError(errno.ENOENT)
    socket.options[IPPROTO_TCP, 13] = int(data.startswith(b"reno"))


def _congestion(socket: Socket) -> bytes:
    return (b"reno" if socket.option(IPPROTO_TCP, 13) else b"cubic").ljust(16, b"\0")


def _mtu(socket: Socket) -> bytes:
    if not isinstance(socket, InetSocket) or socket.remote is None:
        raise SyscallError(errno.ENOTCONN)
    return _int(65536)


def _maxseg(socket: Socket) -> bytes:
    connected = isinstance(socket, TcpSocket) and socket.is_connected
    return _int(32741 if connected else socket.option(IPPROTO_TCP, 2, 536))


def _quickack_put(task: Task, socket: Socket, data: bytes) -> None:
    socket.options[IPPROTO_TCP, 12] = int(_int_in(data) & 1)


def _info(socket: Socket) -> bytes:
    assert isinstance(socket, TcpSocket)
    return tcp_info(socket)


def _multicast_ttl() -> Option:
    number = _number(IPPROTO_IP, 33, 1, -1, 255, least_bytes=1)

    def put(task: Task, socket: Socket, data: bytes) -> None:
        if socket.is_stream:
            raise SyscallError(errno.EINVAL)
        assert number.put is not None
        number.put(task, socket, data)

    return Option(number.get, put)


def _keep(level: int, name: int, least: int = 4) -> Option:
    """Return an option that is taken, and of which nothing is shown: groups of multicast."""

    def put(task: Task, socket: Socket, data: bytes) -> None:
        if len(data) < least:
            raise SyscallError(errno.EINVAL)

    return Option(None, put)


def _memory(socket: Socket) -> bytes:
    """Return SO_MEMINFO: what waits here and what was sent, each with its limit; the rest is 0.

    What a packet takes counts for its sender. Errors: ENOPROTOOPT: not counted for this family.
    """
    if not isinstance(socket, UnixSocket):
        raise SyscallError(errno.ENOPROTOOPT)
    return struct.pack("<4I20x", 0, socket.rcvbuf, socket.charged, socket.sndbuf)


# ---- the table ----

SOCKET_OPTIONS: dict[int, Option] = {
    1: _flag(SOL_SOCKET, 1, capability="CAP_NET_ADMIN"),  # SO_DEBUG
    2: _flag(SOL_SOCKET, 2),  # SO_REUSEADDR
    3: _fixed(lambda socket: _int(socket.socket_type)),  # SO_TYPE
    4: _fixed(lambda socket: _int(socket.take_error())),  # SO_ERROR
    5: _flag(SOL_SOCKET, 5),  # SO_DONTROUTE
    6: _flag(SOL_SOCKET, 6),  # SO_BROADCAST
    7: _buffer("sndbuf", "wmem_max", LEAST_SNDBUF),
    8: _buffer("rcvbuf", "rmem_max", LEAST_RCVBUF),
    9: _flag(SOL_SOCKET, 9),  # SO_KEEPALIVE
    10: _flag(SOL_SOCKET, 10),  # SO_OOBINLINE
    11: _flag(SOL_SOCKET, 11),  # SO_NO_CHECK
    12: Option(lambda socket: _int(socket.option(SOL_SOCKET, 12)), _priority_put),
    13: Option(lambda socket: struct.pack("<ii", *socket.linger), _linger_put),
    15: Option(lambda socket: _int(socket.option(SOL_SOCKET, 15)), _reuseport_put),
    16: _passcred(16),
    **dict.fromkeys((SO_PEERCRED, SO_PEERPIDFD), _fixed(lambda socket: b"")),  # see OF_PEERS
    18: Option(lambda socket: _int(socket.option(SOL_SOCKET, 18, 1)), _lowat_put),
    19: _fixed(lambda socket: _int(1)),  # SO_SNDLOWAT
    20: _timeout("receive_ns"),
    21: _timeout("send_ns"),
    25: Option(lambda s: s.device + b"\0" if s.device else b"", _device_put),  # SO_BINDTODEVICE
    29: _flag(SOL_SOCKET, 29),  # SO_TIMESTAMP
    30: _fixed(lambda socket: _int(int(socket.listens))),  # SO_ACCEPTCONN
    32: _buffer("sndbuf", "", LEAST_SNDBUF, "CAP_NET_ADMIN"),
    33: _buffer("rcvbuf", "", LEAST_RCVBUF, "CAP_NET_ADMIN"),
    35: _flag(SOL_SOCKET, 35),  # SO_TIMESTAMPNS
    36: Option(lambda socket: _int(socket.option(SOL_SOCKET, 36)), _mark_put),  # SO_MARK
    38: _fixed(lambda socket: _int(socket.protocol)),
    39: _fixed(lambda socket: _int(socket.family)),
    42: _peek_off(),  # SO_PEEK_OFF
    46: _number(SOL_SOCKET, 46, 0, 0, INT_MAX),  # SO_BUSY_POLL
    55: _fixed(_memory),  # SO_MEMINFO
    57: _fixed(lambda socket: struct.pack("<Q", socket.ino)),  # SO_COOKIE
    66: _timeout("receive_ns"),
    67: _timeout("send_ns"),
    76: _passcred(76),  # SO_PASSPIDFD
}
IP_OPTIONS: dict[int, Option] = {
    1: _number(IPPROTO_IP, 1, 0, 0, 255, least_bytes=1),  # IP_TOS
    2: _number(IPPROTO_IP, 2, 64, -1, 255, least_bytes=1),  # IP_TTL
    6: _flag(IPPROTO_IP, 6),  # IP_RECVOPTS
    8: _flag(IPPROTO_IP, 8),  # IP_PKTINFO
    10: _number(IPPROTO_IP, 10, 1, 0, 5),  # IP_MTU_DISCOVER
    11: _flag(IPPROTO_IP, 11),  # IP_RECVERR
    12: _flag(IPPROTO_IP, 12),  # IP_RECVTTL
    13: _flag(IPPROTO_IP, 13),  # IP_RECVTOS
    14: _fixed(_mtu),
    15: _flag(IPPROTO_IP, 15),  # IP_FREEBIND
    24: _flag(IPPROTO_IP, 24),  # IP_BIND_ADDRESS_NO_PORT
    32: _keep(IPPROTO_IP, 32),  # IP_MULTICAST_IF
    33: _multicast_ttl(),
    34: _number(IPPROTO_IP, 34, 1, 0, 1, least_bytes=1),  # IP_MULTICAST_LOOP
    35: _keep(IPPROTO_IP, 35, 8),  # IP_ADD_MEMBERSHIP
    36: _keep(IPPROTO_IP, 36, 8),  # IP_DROP_MEMBERSHIP
}
IPV6_OPTIONS: dict[int, Option] = {
    16: _number(IPPROTO_IPV6, 16, 64, -1, 255),  # IPV6_UNICAST_HOPS
    17: _keep(IPPROTO_IPV6, 17),  # IPV6_MULTICAST_IF
    18: _number(IPPROTO_IPV6, 18, 1, -1, 255),  # IPV6_MULTICAST_HOPS
    19: _number(IPPROTO_IPV6, 19, 1, 0, 1),  # IPV6_MULTICAST_LOOP
    20: _keep(IPPROTO_IPV6, 20, 20),  # IPV6_ADD_MEMBERSHIP
    21: _keep(IPPROTO_IPV6, 21, 20),  # IPV6_DROP_MEMBERSHIP
    23: _number(IPPROTO_IPV6, 23, 1, 0, 5),  # IPV6_MTU_DISCOVER
    24: _fixed(_mtu),
    25: _flag(IPPROTO_IPV6, 25),  # IPV6_RECVERR
    IPV6_V6ONLY: Option(lambda s: _int(s.option(IPPROTO_IPV6, IPV6_V6ONLY)), _v6only_put),
    49: _flag(IPPROTO_IPV6, 49),  # IPV6_RECVPKTINFO
    51: _flag(IPPROTO_IPV6, 51),  # IPV6_RECVHOPLIMIT
    66: _flag(IPPROTO_IPV6, 66),  # IPV6_RECVTCLASS
    67: _number(IPPROTO_IPV6, 67, 0, -1, 255),  # IPV6_TCLASS
}
TCP_OPTIONS: dict[int, Option] = {
    1: _flag(IPPROTO_TCP, 1),  # TCP_NODELAY
    2: Option(_maxseg, _number(IPPROTO_TCP, 2, 536, 88, 32767).put),
    3: _flag(IPPROTO_TCP, 3),  # TCP_CORK
    4: _number(IPPROTO_TCP, 4, 7200, 1, 32767),  # TCP_KEEPIDLE
    5: _number(IPPROTO_TCP, 5, 75, 1, 32767),  # TCP_KEEPINTVL
    6: _number(IPPROTO_TCP, 6, 9, 1, 127),  # TCP_KEEPCNT
    7: _number(IPPROTO_TCP, 7, 6, 1, 127),  # TCP_SYNCNT
    8: _number(IPPROTO_TCP, 8, 60, -1, INT_MAX),  # TCP_LINGER2
    9: _number(IPPROTO_TCP, 9, 0, 0, INT_MAX),  # TCP_DEFER_ACCEPT
    10: _number(IPPROTO_TCP, 10, 65536, 0, INT_MAX),  # TCP_WINDOW_CLAMP
    11: _fixed(_info),
    12: Option(lambda socket: _int(socket.option(IPPROTO_TCP, 12, 1)), _quickack_put),
    13: Option(_congestion, _congestion_put),
    18: _number(IPPROTO_TCP, 18, 0, 0, INT_MAX),  # TCP_USER_TIMEOUT
    23: _number(IPPROTO_TCP, 23, 0, 0, INT_MAX),  # TCP_FASTOPEN
    25: _number(IPPROTO_TCP, 25, 0, 0, INT_MAX),  # TCP_NOTSENT_LOWAT
}


def _coverage(name: int) -> Option:
    """Return how many bytes of a datagram a checksum of UDP-Lite covers; 0: all."""

    def put(task: Task, socket: Socket, data: bytes) -> None:
        if not isinstance(socket, UdpLiteSocket):
            raise SyscallError(errno.ENOPROTOOPT)
        value = _int_in(data)
        socket.options[IPPROTO_UDPLITE, name] = min(max(value, 8), 0xFFFF) if value else 0

    return Option(lambda socket: _int(socket.option(IPPROTO_UDPLITE, name)), put)


def _cork() -> Option:
    """Return whether what is sent is collected in one datagram."""

    def put(task: Task, socket: Socket, data: bytes) -> None:
        assert isinstance(socket, UdpSocket)
        socket.cork(int(bool(_int_in(data))))

    return Option(lambda socket: _int(socket.option(IPPROTO_UDP, UDP_CORK)), put)


UDP_OPTIONS: dict[int, Option] = {
    UDP_CORK: _cork(),
    10: _coverage(10),  # UDPLITE_SEND_CSCOV
    11: _coverage(11),  # UDPLITE_RECV_CSCOV
}


def _options(socket: Socket, level: int, others: dict[int, int]) -> dict[int, Option]:
    """Return the options of a level. Errors: where there is no such, by family: others."""
    if level == SOL_SOCKET:
        return SOCKET_OPTIONS
    levels: dict[int, dict[int, Option]] = {}
    if socket.family in (AF_INET, AF_INET6):
        levels[IPPROTO_IP] = IP_OPTIONS
    if socket.family == AF_INET6:
        levels[IPPROTO_IPV6] = IPV6_OPTIONS
    if isinstance(socket, TcpSocket):
        levels[IPPROTO_TCP] = TCP_OPTIONS
    if isinstance(socket, UdpSocket):
        levels[IPPROTO_UDP] = levels[IPPROTO_UDPLITE] = UDP_OPTIONS
    if level not in levels:
        raise SyscallError(others.get(socket.family, errno.EOPNOTSUPP))
    return levels[level]


def _shortened(level: int, name: int, value: bytes, room: int) -> bytes:
    """Return as much of a value as there is room for; a small number of IP may be one byte."""
    if level == IPPROTO_IP and 0 < room < 4 and len(value) == 4 and 0 <= value[0] <= 255:
        return value[:1]
    return value[:room]


@syscall(55, "getsockopt", SINT, SINT, SINT, INT, INT)
def getsockopt(task: Task, fd: int, level: int, option: int, addr: int, length_addr: int) -> int:
    """Store an option and its length. Errors: EBADF, ENOTSOCK, ENOPROTOOPT, EOPNOTSUPP, EFAULT.

    Source: getsockopt(2), socket(7), ip(7), ipv6(7), tcp(7).
    """
    inode = socket_of(task, fd)[1]
    table = _options(inode, level, {AF_INET6: errno.ENOPROTOOPT})
    room = struct.unpack("<i", task.mm.copy_in(length_addr, 4))[0]
    if room < 0:
        raise SyscallError(errno.EINVAL)
    told = _told(task, inode, table, level, option)
    value = _shortened(level, option, told, room)
    try:
        if value:
            task.mm.copy_out(addr, value)
        task.mm.copy_out(length_addr, struct.pack("<i", len(value)))
    except SyscallError:
        if (level, option) == (SOL_SOCKET, SO_PEERPIDFD):
            task.fds.close(_int_in(told))
        raise
    return 0


def _told(task: Task, inode: Socket, table: dict[int, Option], level: int, option: int) -> bytes:
    """Return an option's whole value. Errors: ENOPROTOOPT."""
    found = table.get(option)
    if found is None or found.get is None:
        raise SyscallError(errno.ENOPROTOOPT)
    if level == SOL_SOCKET and option in OF_PEERS:
        return OF_PEERS[option](task, inode)
    return found.get(inode)


def _peer_creds(task: Task, inode: Socket) -> bytes:
    if inode.peer_creds == NOBODY:
        return struct.pack("<iii", *NOBODY)
    return struct.pack("<iII", *shown(task, inode.peer_creds))


def _peer_pidfd(task: Task, inode: Socket) -> bytes:
    """Return a new descriptor of the process at the other end. Errors: ENODATA, EMFILE."""
    if inode.peer_process is None:
        raise SyscallError(errno.ENODATA)
    subject: Task = inode.peer_process  # type: ignore[assignment]  # a task, to who may know it
    return struct.pack("<i", open_process(task, subject, 0))


OF_PEERS: dict[int, Callable[[Task, Socket], bytes]] = {
    SO_PEERCRED: _peer_creds,
    SO_PEERPIDFD: _peer_pidfd,
}


def socket_option(task: Task, inode: Socket, option: int, room: int) -> bytes:
    """Return an option of SOL_SOCKET, as much as there is room for. Errors: as getsockopt."""
    if room < 0:
        raise SyscallError(errno.EINVAL)
    return _told(task, inode, SOCKET_OPTIONS, SOL_SOCKET, option)[:room]


@syscall(54, "setsockopt", SINT, SINT, SINT, INT, INT)
def setsockopt(task: Task, fd: int, level: int, option: int, addr: int, nbytes: int) -> int:
    """Set an option. Errors: EBADF, ENOTSOCK, EINVAL, ENOPROTOOPT, EOPNOTSUPP, EPERM, EFAULT.

    Source: setsockopt(2), socket(7), ip(7), ipv6(7), tcp(7).
    """
    inode = socket_of(task, fd)[1]
    nbytes = nbytes & 0xFFFF_FFFF
    if nbytes > INT_MAX:
        raise SyscallError(errno.EINVAL)
    table = _options(inode, level, {AF_INET: errno.ENOPROTOOPT, AF_INET6: errno.ENOPROTOOPT})
    found = table.get(option)
    if level == SOL_SOCKET and option != 25:
        _need_int(task, addr, nbytes)
    if found is None or found.put is None:
        raise SyscallError(errno.ENOPROTOOPT)
    found.put(task, inode, task.mm.copy_in(addr, min(nbytes, 256)))
    return 0


def _need_int(task: Task, addr: int, nbytes: int) -> None:
    if nbytes < 4:
        raise SyscallError(errno.EINVAL)
    task.mm.copy_in(addr, 4)
