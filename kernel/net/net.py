"""One network: its sockets, their names and ports, its loopback.

What all networks of a machine share is in common.py.
"""

from __future__ import annotations

import errno
from functools import cached_property
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.net.loopback import Loopback

if TYPE_CHECKING:
    from pkern.kernel.namespaces.base import Namespace
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.net.common import Common
    from pkern.kernel.net.ports import Ports
    from pkern.kernel.net.socket import Socket
    from pkern.kernel.net.unix import UnixSocket
    from pkern.kernel.vfs.machine import Machine

AUTOBIND_NAMES = 1 << 20


class Net:
    """What is in one network namespace. Fields of sysctls: somaxconn to port_range."""

    def __init__(self, kernel: Machine, namespace: Namespace, common: Common) -> None:
        self.kernel = kernel
        self.namespace = namespace
        self.common = common
        self.lo = Loopback()
        self.sockets: dict[Socket, None] = {}  # in the order they were made
        self.abstract: dict[tuple[int, bytes], UnixSocket] = {}  # (type, name)
        self.somaxconn = 4096
        self.max_dgram_qlen = 10
        self.first_user_port = 1024
        self.port_range = "32768\t60999"
        self._last_autobind = 0
        common.nets.append(self)

    @property
    def owner(self) -> UserNamespace:
        """Who has power over it."""
        return self.namespace.user

    @cached_property
    def tcp(self) -> Ports:
        """The ports of TCP."""
        ports: Ports = load("pkern.kernel.net.ports").Ports(self)
        return ports

    @cached_property
    def udp(self) -> Ports:
        """The ports of UDP."""
        ports: Ports = load("pkern.kernel.net.ports").Ports(self)
        return ports

    @cached_property
    def udplite(self) -> Ports:
        """The ports of UDP-Lite."""
        ports: Ports = load("pkern.kernel.net.ports").Ports(self)
        return ports

    def entered(self, socket: Socket) -> None:
        """Note a new socket."""
        self.sockets[socket] = None

    def closed(self, socket: Socket) -> None:
        """Forget a socket that was closed; what only lost messages hold goes with it."""
        self.sockets.pop(socket, None)
        if self.common.in_flight:
            load("pkern.kernel.net.garbage").collect(self.common)
        if self is not self.common.nets[0]:  # which lives as long as the machine
            self.kernel.namespaces.sweep()

    def auto_name(self, socket_type: int) -> bytes:
        """Return an abstract name that no one has. Errors: ENOSPC."""
        for _ in range(AUTOBIND_NAMES):
            self._last_autobind = (self._last_autobind + 1) % AUTOBIND_NAMES
            name = b"\0%05x" % self._last_autobind
            if (socket_type, name) not in self.abstract:
                return name
        raise SyscallError(errno.ENOSPC)

    def close(self) -> None:
        """Drop everything that is on its way: the network, or the machine, has gone."""
        for socket in list(self.sockets):
            socket.drop_queue()
        self.common.nets.remove(self)
