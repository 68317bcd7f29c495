"""Ports of one protocol: who is bound to which, who may be too, and which are free.

Invariant: a socket stands in `bound` under the port of its local end, exactly while that is not 0.
A connection that this side ended first keeps its port for a minute (lingering), as Linux's
TIME_WAIT. Free ports are given out in turn: the same on every run.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import ANY4, ANY6, Endpoint, is_v4

if TYPE_CHECKING:
    from pkern.kernel.net.inet import InetSocket
    from pkern.kernel.net.net import Net

LINGER_NS = 60 * SECOND
SOL_SOCKET, SO_REUSEADDR, SO_REUSEPORT = 1, 2, 15


class Lingering(NamedTuple):
    """What is left of a connection: its ends, who had it, until when (virtual nanoseconds)."""

    family: int
    local: Endpoint
    remote: Endpoint
    state: int
    uid: int
    reuse: int
    until: int


def overlap(one: bytes, one_v6only: int, other: bytes, other_v6only: int) -> bool:
    """Tell whether two local addresses would get the same packets."""
    for any_end, v6only, end in ((one, one_v6only, other), (other, other_v6only, one)):
        if any_end == ANY6 and (not is_v4(end) or not v6only):
            return True
        if any_end == ANY4 and is_v4(end):
            return True
    return one == other


class Ports:
    """The ports of a protocol."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.bound: dict[int, list[InetSocket]] = {}
        self.lingering: dict[int, list[Lingering]] = {}
        self._next = 0

    def sockets(self, port: int) -> list[InetSocket]:
        """Return who is bound to a port, in order."""
        return self.bound.get(port, [])

    def take(self, socket: InetSocket, local: Endpoint) -> None:
        """Let a socket have a local end."""
        self.drop(socket)
        socket.local = local
        if local.port:
            self.bound.setdefault(local.port, []).append(socket)

    def drop(self, socket: InetSocket) -> None:
        """Let a socket's port go."""
        port = socket.local.port
        there = self.bound.get(port)
        if there is None or socket not in there:
            return
        there.remove(socket)
        if not there:
            del self.bound[port]

    # ---- who may share one ----

    def need_free(self, socket: InetSocket, ip: bytes, port: int) -> None:
        """Refuse a port that another socket has and will not share. Errors: EADDRINUSE."""
        if any(self._conflict(socket, ip, other) for other in self.sockets(port)):
            raise SyscallError(errno.EADDRINUSE)
        reuse = socket.option(SOL_SOCKET, SO_REUSEADDR)
        for left in self.left(port):
            if not (reuse and left.reuse) and overlap(ip, socket.v6only, left.local.ip, 0):
                raise SyscallError(errno.EADDRINUSE)

    def _conflict(self, socket: InetSocket, ip: bytes, other: InetSocket) -> bool:
        if other is socket or not overlap(ip, socket.v6only, other.local.ip, other.v6only):
            return False
        both = [
            socket.option(SOL_SOCKET, option) and other.option(SOL_SOCKET, option)
            for option in (SO_REUSEADDR, SO_REUSEPORT)
        ]
        return not ((both[0] and not other.listens) or (both[1] and socket.uid == other.uid))

    def left(self, port: int) -> list[Lingering]:
        """Return the connections that still linger at a port."""
        now = self.net.kernel.clock.now_ns
        alive = [one for one in self.lingering.get(port, []) if one.until > now]
        if alive:
            self.lingering[port] = alive
        else:
            self.lingering.pop(port, None)
        return alive

    def linger(self, socket: InetSocket, remote: Endpoint, state: int) -> None:
        """Keep a connection's port for a while after its socket has let go of it."""
        until = self.net.kernel.clock.now_ns + LINGER_NS
        reuse = socket.option(SOL_SOCKET, SO_REUSEADDR)
        entry = Lingering(socket.family, socket.local, remote, state, socket.uid, reuse, until)
        others = [one for one in self.left(socket.local.port) if one.remote != remote]
        self.lingering[socket.local.port] = [*others, entry]

    # ---- free ones ----

    def free(self) -> int:
        """Return a port that nobody has. Errors: EADDRINUSE: there is none."""
        first, last = map(int, self.net.port_range.split())
        for _ in range(last - first + 1):
            port = self._next if first <= self._next <= last else first
            self._next = port + 1
            if port not in self.bound and not self.left(port):
                return port
        raise SyscallError(errno.EADDRINUSE)
