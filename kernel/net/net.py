"""The tables of all sockets of a machine: who is open, who has which name, what is on its way.

Invariant: a file that is on its way in a message counts as one descriptor more for each message
(File.descriptors), and stands in in_flight with the user who sent each.
"""

from __future__ import annotations

import errno
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.net.ports import Ports
    from pkern.kernel.net.socket import Socket
    from pkern.kernel.net.unix import UnixSocket
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Inode
    from pkern.kernel.vfs.machine import Machine

AUTOBIND_NAMES = 1 << 20


class Net:
    """One network: its loopback, and the names of AF_UNIX.

    Fields of sysctls: somaxconn to port_range. carried_packets, carried_bytes: what went over the
    loopback, acknowledgements not counted.
    """

    def __init__(self, kernel: Machine, owner: UserNamespace) -> None:
        self.kernel = kernel
        self.owner = owner  # who has power over it
        self.sockets: dict[Socket, None] = {}  # in the order they were made
        self.paths: dict[Inode, UnixSocket] = {}
        self.abstract: dict[tuple[int, bytes], UnixSocket] = {}  # (type, name)
        self.in_flight: dict[File, list[int]] = {}
        self.somaxconn = 4096
        self.max_dgram_qlen = 10
        self.wmem_default = self.rmem_default = 212_992
        self.wmem_max = self.rmem_max = 4 << 20
        self.first_user_port = 1024
        self.port_range = "32768\t60999"
        self.carried_packets = self.carried_bytes = 0
        self._last_autobind = 0
        self._landing: deque[File] | None = None

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
        if self.in_flight:
            load("pkern.kernel.net.garbage").collect(self)

    def carried(self, nbytes: int, packets: int = 1) -> None:
        """Note packets of so many bytes in all that went over the loopback."""
        self.carried_packets += packets
        self.carried_bytes += nbytes

    def auto_name(self, socket_type: int) -> bytes:
        """Return an abstract name that no one has. Errors: ENOSPC."""
        for _ in range(AUTOBIND_NAMES):
            self._last_autobind = (self._last_autobind + 1) % AUTOBIND_NAMES
            name = b"\0%05x" % self._last_autobind
            if (socket_type, name) not in self.abstract:
                return name
        raise SyscallError(errno.ENOSPC)

    # ---- files in messages ----

    def need_flight(self, uid: int, nr_files: int, limit: int) -> None:
        """Refuse a user more files on their way than it may have open. Errors: ETOOMANYREFS."""
        flying = sum(users.count(uid) for users in self.in_flight.values())
        if nr_files and flying > limit:
            raise SyscallError(errno.ETOOMANYREFS)

    def sent(self, file: File, uid: int) -> None:
        """Note that a message of a user holds a file."""
        file.descriptors += 1
        self.in_flight.setdefault(file, []).append(uid)

    def landed(self, file: File) -> None:
        """Note that a message holds a file no more; the last one that did closes it.

        A closed socket lets go of what was sent to it: one after the other, however long the chain.
        """
        users = self.in_flight[file]
        users.pop()
        if not users:
            del self.in_flight[file]
        if self._landing is not None:
            self._landing.append(file)
            return
        self._landing = deque([file])
        try:
            while self._landing:
                self._landing.popleft().put()
        finally:
            self._landing = None

    def close(self) -> None:
        """Drop everything that is on its way, at shutdown."""
        for socket in list(self.sockets):
            socket.drop_queue()
