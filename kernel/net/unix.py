"""AF_UNIX: what its three kinds share - names, the other end, what a packet costs its sender.

A connected socket knows the other one's end; sending puts a packet into its queue, and the packet's
cost counts for the sender until it is read (charged), as Linux counts sk_wmem_alloc. Names are of
three kinds: a path, whose inode stands in Common.paths; an abstract name, which begins with a NUL;
or none. Source: unix(7), Linux 6.18 net/unix/af_unix.c for the order of the checks.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.packet import NOTHING, Creds, Packet, Received
from pkern.kernel.net.socket import (
    AF_UNIX,
    BOTH,
    NO_READS,
    NO_WRITES,
    MustWait,
    Owner,
    Socket,
)
from pkern.kernel.vfs import names
from pkern.kernel.vfs.inode import MAY_WRITE, POLLIN, POLLOUT, Inode
from pkern.kernel.vfs.walk import Last, walk

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.net.net import Net
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller

FAMILY = AF_UNIX.to_bytes(2, "little")
ADDRESS_MAX = 110  # bytes of struct sockaddr_un
SOL_SOCKET, SO_PASSCRED, SO_PASSPIDFD, SO_OOBINLINE = 1, 16, 76, 10


def name_of(address: bytes) -> bytes:
    """Return the name in a struct sockaddr_un. Errors: EINVAL."""
    if not 2 < len(address) <= ADDRESS_MAX or address[:2] != FAMILY:
        raise SyscallError(errno.EINVAL)
    name = address[2:]
    return name.split(b"\0")[0] if name[0] else name


def path_of(name: bytes) -> str:
    """Return the path that a name is."""
    return name.decode("utf-8", "surrogateescape")


class UnixSocket(Socket):
    """One end. peer: the other one, even when it is closed; bound: its own name, b"" for none.

    charged: bytes that its packets take which are not read. senders: those who wait until there is
    room here, although they are not this one's peer.
    """

    family, protocol_name = AF_UNIX, "UNIX"

    def __init__(self, net: Net, socket_type: int, owner: Owner) -> None:
        super().__init__(net, socket_type, owner)
        self.peer: UnixSocket | None = None
        self.connected = False  # Linux's TCP_ESTABLISHED
        self.bound = b""
        self.path_inode: Inode | None = None
        self.charged = 0
        self.backlog = net.max_dgram_qlen
        self.senders: dict[UnixSocket, None] = {}
        net.entered(self)

    @property
    def unsent(self) -> int:
        return self.charged

    # ---- names ----

    @property
    def own_name(self) -> bytes:
        if not self.bound:
            return FAMILY
        return FAMILY + self.bound + (b"\0" if self.bound[0] else b"")

    @property
    def peer_name(self) -> bytes:
        if self.peer is None:
            raise SyscallError(errno.ENOTCONN)
        return self.peer.own_name

    def bind(self, task: Caller, address: bytes) -> None:
        """Take a name. Errors: EINVAL (it has one), EADDRINUSE, those of mknod."""
        if address == FAMILY:
            self.bind_somehow()
            return
        name = name_of(address)
        if name[0]:
            self._bind_path(task, name)
            return
        self._need_no_name()
        if (self.socket_type, name) in self.net.abstract:
            raise SyscallError(errno.EADDRINUSE)
        self._take_abstract(name)

    def bind_somehow(self) -> None:
        """Take some abstract name, if it has none. Errors: ENOSPC."""
        if not self.bound:
            self._take_abstract(self.net.auto_name(self.socket_type))

    def _take_abstract(self, name: bytes) -> None:
        self.bound = name
        self.net.abstract[self.socket_type, name] = self

    def _need_no_name(self) -> None:
        if self.bound:
            raise SyscallError(errno.EINVAL)

    def _bind_path(self, task: Caller, name: bytes) -> None:
        place = walk(task, path_of(name), Last.ENTRY)
        if place.entry() is not None:
            raise SyscallError(errno.EADDRINUSE)
        names.need_creatable(task, place)
        self._need_no_name()
        self.path_inode = names.mknod(task, place, "sock", self.mode, 0)
        self.path_inode.open_count += 1  # by the socket itself
        self.bound = name
        self.net.common.paths[self.path_inode] = self

    def find(self, task: Caller, address: bytes) -> UnixSocket:
        """Return who has a name. Errors: ECONNREFUSED, EPROTOTYPE, EINVAL, those of a path."""
        name = name_of(address)
        if not name[0]:
            found = self.net.abstract.get((self.socket_type, name))
        else:
            inode = walk(task, path_of(name), Last.FOLLOW).existing()
            inode.open_check(task, MAY_WRITE)
            found = self.net.common.paths.get(inode)
        if found is None:
            raise SyscallError(errno.ECONNREFUSED)
        if found.socket_type != self.socket_type:
            raise SyscallError(errno.EPROTOTYPE)
        return found

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        return f"scm_fds: {sum(len(packet.files) for packet in self.queue)}\n"

    # ---- what travels ----

    @property
    def passes_creds(self) -> bool:
        """Whether it wants to know who sends."""
        return bool(self.option(SOL_SOCKET, SO_PASSCRED) or self.option(SOL_SOCKET, SO_PASSPIDFD))

    def deliver(self, task: Caller, packet: Packet, other: UnixSocket) -> None:
        """Put a packet into another one's queue, with the sender's name.

        Where one of both wants to know who it is, with that, too.
        """
        packet.name, packet.sender = self.own_name if self.bound else b"", self
        if packet.creds is None and (self.passes_creds or other.passes_creds):
            packet.creds = Creds(task.tgid, task.cred.uid, task.cred.gid)
        packet.process = self.kernel.tasks.get(packet.creds.pid) if packet.creds else None
        packet.uid = task.cred.uid
        for file in packet.files:
            self.net.common.sent(file, packet.uid)
        self.charged += packet.cost
        other.queue.append(packet)
        other.wake(POLLIN)

    def need_buffer(self) -> None:
        """Wait for room in the buffer. Errors: the one noted, EPIPE, MustWait."""
        self.raise_error()
        if self.shut & NO_WRITES:
            raise SyscallError(errno.EPIPE)
        if self.charged >= self.sndbuf:
            raise MustWait(self)

    def nothing(self) -> Received:
        """Return the end of what comes. Errors: the one noted, MustWait."""
        self.raise_error()
        if self.shut & NO_READS:
            return NOTHING
        raise MustWait(self)

    def settle(self, packet: Packet) -> None:
        """Give the sender back what a packet took of its buffer; it hears of it when much is."""
        super().settle(packet)
        sender = packet.sender
        if not isinstance(sender, UnixSocket):
            return
        sender.charged -= packet.cost
        if not sender.closed and sender.has_room:
            sender.wake(POLLOUT)

    @property
    def has_room(self) -> bool:
        """Whether poll says that the buffer has room: three quarters of it."""
        return 4 * (self.charged + 1) <= self.sndbuf

    def room_for_senders(self) -> None:
        """Let those who wait for room here try again."""
        waiting, self.senders = self.senders, {}
        for sender in waiting:
            if not sender.closed:
                sender.wake(POLLOUT)

    # ---- ends ----

    @property
    def is_read(self) -> bool:
        """Whether nothing is left to read."""
        return not self.queue

    def release(self) -> None:
        if self.path_inode is not None:
            self.net.common.paths.pop(self.path_inode, None)
            self.path_inode.open_count -= 1
            self.path_inode.released()
        if self.net.abstract.get((self.socket_type, self.bound)) is self:
            del self.net.abstract[self.socket_type, self.bound]
        self.shut = BOTH
        self.leave_peer(0 if self.is_read else errno.ECONNRESET)
        self.drop_queue()
        self.room_for_senders()

    def poll(self, file: File) -> int:
        ready = self.poll_ends() | (POLLIN if self.queue or self.embryos else 0)
        return ready | (POLLOUT if self.is_writable() else 0)

    def is_writable(self) -> bool:
        """Tell whether poll says that something can be sent."""
        return self.has_room


def join(one: UnixSocket, other: UnixSocket) -> None:
    """Make two sockets each other's end."""
    one.peer, other.peer = other, one
    one.connected = other.connected = True
