"""/proc/PID/net: the sockets of a network, and its one device, in Linux's layout.

Addresses of kernel objects are not shown: %pK of a reader without rights.
"""

from __future__ import annotations

import errno

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.vfs.proc.inode import ProcDir
from pkern.kernel.vfs.proc.text import PolledText, Text

if TYPE_CHECKING:
    from pkern.kernel.net.inet import InetSocket
    from pkern.kernel.net.net import Net
    from pkern.kernel.net.ports import Ports
    from pkern.kernel.net.socket import Socket
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.inode import Inode
    from pkern.kernel.vfs.machine import Caller

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
ESTABLISHED, CLOSE, LISTEN = 1, 7, 10
NO_POINTER = "0" * 16
ACCEPTS, SS_UNCONNECTED, SS_CONNECTING, SS_CONNECTED, SS_DISCONNECTING = 1 << 16, 1, 2, 3, 4
TCP_WIDTH, UDP_WIDTH, TICKS = 149, 127, 100
REST = "st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
HEAD = f"local_address rem_address   {REST}"
HEAD6 = f"{'local_address':38}{'remote_address':38}{REST}"
DROPS = " ref pointer drops"
DEVICE_HEAD = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast\
|bytes    packets errs drop fifo colls carrier compressed
"""


def _sockets(net: Net, family: int) -> list[Socket]:
    return [socket for socket in net.sockets if socket.family == family]


# ---- AF_UNIX ----


def _unix_row(socket: Socket) -> str:
    unix = load("pkern.kernel.net.unix")
    assert isinstance(socket, unix.UnixSocket)
    waiting = socket in _waiting(socket)
    states = (SS_CONNECTING, SS_DISCONNECTING) if waiting else (SS_CONNECTED, SS_UNCONNECTED)
    state = states[0] if getattr(socket, "connected", 0) else states[1]
    flags = ACCEPTS if socket.listens else 0
    inode = 0 if waiting else socket.ino
    refs = 2 + int(getattr(socket, "peer", None) is not None)
    row = f"{NO_POINTER}: {refs:08X} 00000000 {flags:08X} {socket.socket_type:04X} {state:02X}"
    name = socket.own_name[2:]
    shown = name.removesuffix(b"\0") if name[:1] != b"\0" else name.replace(b"\0", b"@")
    text = " " + shown.decode("utf-8", "surrogateescape") if shown else ""
    return f"{row} {inode:5}{text}\n"


def _waiting(socket: Socket) -> set[Socket]:
    """Return the sockets that wait to be accepted."""
    return {end for one in socket.net.sockets for end in one.embryos}


def unix(net: Net) -> str:
    """Sockets of AF_UNIX. Source: proc_net(5), unix(7)."""
    head = "Num       RefCount Protocol Flags    Type St Inode Path\n"
    return head + "".join(map(_unix_row, _sockets(net, AF_UNIX)))


# ---- AF_INET, AF_INET6 ----


def _end(family: int, ip: bytes, port: int) -> str:
    raw = ip[12:] if family == AF_INET else ip
    words = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, len(raw), 4)]
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _ends(socket: InetSocket) -> str:
    remote = socket.remote
    other = _end(socket.family, remote.ip, remote.port) if remote else ""
    nowhere = _end(socket.family, bytes(16), 0)
    return f"{_end(socket.family, *socket.local)} {other or nowhere}"


def _tcp_rows(net: Net, family: int) -> list[str]:
    """Return the rows, without their numbers: those who listen, connections, what lingers."""
    sockets = [s for ports in net.tcp.bound.values() for s in ports if s.family == family]
    sockets.sort(key=lambda socket: (not socket.listens, socket.ino))
    return [row for row in map(_tcp_row, sockets) if row] + _lingering(net.tcp, family)


def _tcp_row(socket: Socket) -> str:
    tcp = load("pkern.kernel.net.tcp")
    assert isinstance(socket, tcp.TcpSocket)
    state: int = socket.state
    if state == CLOSE:
        return ""
    listens = socket.listens
    unread = len(socket.embryos) if listens else len(socket.data)
    inode = 0 if socket in _waiting(socket) else socket.ino
    tail = "100 0 0 10 0" if listens else "20 4 0 10 -1"
    return (
        f"{_ends(socket)} {state:02X} {socket.unsent:08X}:{unread:08X} 00:00000000 00000000"
        f" {socket.uid:5} {0:8} {inode} 1 {NO_POINTER} {tail}"
    )


def _lingering(ports: Ports, family: int) -> list[str]:
    now, rows = ports.net.kernel.clock.now_ns, []
    for port in list(ports.lingering):
        for one in ports.left(port):
            if one.family != family:
                continue
            left = (one.until - now) * TICKS // SECOND
            ends = f"{_end(family, *one.local)} {_end(family, *one.remote)}"
            rows.append(
                f"{ends} {one.state:02X} 00000000:00000000 03:{left:08X} 00000000"
                f" {0:5} {0:8} 0 3 {NO_POINTER}"
            )
    return rows


def tcp4(net: Net) -> str:
    """Connections by IPv4. Source: proc_net(5)."""
    rows = [f"  sl  {HEAD}".ljust(TCP_WIDTH)]
    rows += [f"{n:4}: {row}".ljust(TCP_WIDTH) for n, row in enumerate(_tcp_rows(net, AF_INET))]
    return "\n".join(rows) + "\n"


def tcp6(net: Net) -> str:
    """Connections of sockets of AF_INET6. Source: proc_net(5)."""
    rows = [f"  sl  {HEAD6}"]
    rows += [f"{n:4}: {row}" for n, row in enumerate(_tcp_rows(net, AF_INET6))]
    return "\n".join(rows) + "\n"


def _udp_rows(ports: Ports, family: int) -> list[str]:
    udp = load("pkern.kernel.net.udp")
    rows = []
    for port in sorted(ports.bound):
        for one in ports.bound[port]:
            assert isinstance(one, udp.UdpSocket)
            state = ESTABLISHED if one.remote else CLOSE
            row = f"{_ends(one)} {state:02X} 00000000:{one.charged:08X} 00:00000000 00000000"
            row += f" {one.uid:5} {0:8} {one.ino} 2 {NO_POINTER} {one.dropped}"
            rows += [f"{port:5}: {row}"] if one.family == family else []
    return rows


def _udp4(ports: Ports) -> str:
    rows = [f"   sl  {HEAD}{DROPS}", *_udp_rows(ports, AF_INET)]
    return "".join(row.ljust(UDP_WIDTH) + "\n" for row in rows)


def _udp6(ports: Ports) -> str:
    return "\n".join([f"  sl  {HEAD6}{DROPS}", *_udp_rows(ports, AF_INET6)]) + "\n"


def udp4(net: Net) -> str:
    """Sockets of UDP by IPv4. Source: proc_net(5)."""
    return _udp4(net.udp)


def udp6(net: Net) -> str:
    """Sockets of UDP of AF_INET6. Source: proc_net(5)."""
    return _udp6(net.udp)


def udplite4(net: Net) -> str:
    """Sockets of UDP-Lite by IPv4. Source: proc_net(5)."""
    return _udp4(net.udplite)


def udplite6(net: Net) -> str:
    """Sockets of UDP-Lite of AF_INET6. Source: proc_net(5)."""
    return _udp6(net.udplite)


# ---- what there is one of ----


def dev(net: Net) -> str:
    """The loopback and what went over it, acknowledgements not counted. Source: proc_net(5)."""
    nbytes, packets, dropped = net.lo.nbytes, net.lo.packets, net.lo.dropped
    came = f"{nbytes:8} {packets:7} {0:4} {0:4} {0:4} {0:5} {0:10} {0:9}"
    went = f"{nbytes:8} {packets:7} {0:4} {dropped:4} {0:4} {0:5} {0:7} {0:10}"
    return f"{DEVICE_HEAD}    lo:{came} {went}\n"


def netlink(net: Net) -> str:
    """Sockets of AF_NETLINK. Source: proc_net(5)."""
    head = (
        "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
    )
    module = load("pkern.kernel.net.netlink") if _sockets(net, AF_NETLINK) else None
    rows = []
    for one in _sockets(net, AF_NETLINK):
        assert module is not None and isinstance(one, module.NetlinkSocket)
        waits = sum(packet.cost for packet in one.queue)
        rows.append(
            f"{NO_POINTER} {0:<3} {one.port:<10} {one.groups:08x} {waits:<8} {0:<8} {0:<5} {2:<8}"
            f" {0:<8} {one.ino:<8}\n"
        )
    return head + "".join(rows)


def _count(net: Net, family: int, protocol: int) -> int:
    sockets = _sockets(net, family)
    return sum(socket.protocol == protocol for socket in sockets)


def sockstat(net: Net) -> str:
    """How many sockets there are. Source: proc_net(5)."""
    lingering = sum(len(net.tcp.left(port)) for port in list(net.tcp.lingering))
    tcp, tcp6 = _count(net, AF_INET, 6), _count(net, AF_INET6, 6)
    return (
        f"sockets: used {len(net.sockets)}\n"
        f"TCP: inuse {tcp} orphan 0 tw {lingering} alloc {tcp + tcp6} mem 0\n"
        f"UDP: inuse {_count(net, AF_INET, 17)} mem 0\n"
        f"UDPLITE: inuse {_count(net, AF_INET, 136)}\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n"
    )


def sockstat6(net: Net) -> str:
    """How many sockets of AF_INET6 there are. Source: proc_net(5)."""
    tcp, udp = _count(net, AF_INET6, 6), _count(net, AF_INET6, 17)
    rest = f"UDPLITE6: inuse {_count(net, AF_INET6, 136)}\nRAW6: inuse 0\nFRAG6: inuse 0 memory 0\n"
    return f"TCP6: inuse {tcp}\nUDP6: inuse {udp}\n{rest}"


def _fixed(text: str) -> Callable[[Net], Text]:
    """Return the text for a table in which nothing stands, or always the same."""
    return lambda net: text


def if_inet6(net: Net) -> str:
    """Addresses of version 6. Source: proc_net(5)."""
    rows = [f"{one.raw.hex()} 01 {one.prefix:02x} 10 80       lo\n" for one in net.lo.of_v6()]
    return "".join(rows)


def route(net: Net) -> str:
    """The head of a table of ways, once there is one. Source: proc_net(5)."""
    return ROUTE.ljust(127) + "\n" if net.lo.has_ways else ""


ROUTE = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"
ARP = "IP address       HW type     Flags       HW address            Mask     Device\n"
FILES: dict[str, Callable[[Net], Text]] = {
    "arp": _fixed(ARP),
    "dev": dev,
    "if_inet6": if_inet6,
    "netlink": netlink,
    "packet": _fixed("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"),
    "raw": _fixed(f"  sl  {HEAD}{DROPS}\n"),
    "raw6": _fixed(f"  sl  {HEAD6}{DROPS}\n"),
    "route": route,
    "sockstat": sockstat,
    "sockstat6": sockstat6,
    "tcp": tcp4,
    "tcp6": tcp6,
    "udp": udp4,
    "udp6": udp6,
    "udplite": udplite4,
    "udplite6": udplite6,
    "unix": unix,
}


class NetDir(ProcDir):
    """/proc/PID/net: the network of a task. Its files are made when looked up.

    Of a task that has ended it has none (ENOENT), and cannot be listed (EINVAL).
    """

    def __init__(self, kernel: Machine, of_task: Task) -> None:
        super().__init__(kernel, 0o555)
        self._of_task = of_task

    def lookup(self, name: str, task: Caller) -> Inode:
        if not self._of_task.alive:
            raise SyscallError(errno.ENOENT, name)
        if name in FILES and name not in self.entries:
            text = FILES[name]
            self.entries[name] = PolledText(
                self.kernel, 0o444, lambda: text(self._of_task.nsproxy.net.stack)
            )
        return super().lookup(name, task)

    def names(self, task: Caller) -> list[str]:
        if not self._of_task.alive:
            raise SyscallError(errno.EINVAL)
        return list(FILES)
