"""Messages of AF_UNIX: datagrams to a name or to the other end, and sequenced ones of a connection.

Who is not the receiver's other end waits when there are more than its backlog of messages.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.packet import NOTHING, Packet, Received, message_at, message_cost
from pkern.kernel.net.socket import MSG_DONTWAIT, MSG_OOB, MSG_PEEK, NO_READS, MustWait
from pkern.kernel.net.unix import UnixSocket, name_of
from pkern.kernel.net.unix_connection import UnixConnection
from pkern.kernel.vfs.inode import POLLOUT

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller

MESSAGE_HEAD = 32  # bytes of the buffer that a message may not take


class UnixMessages(UnixSocket):
    """What both kinds of messages share."""

    def send(self, task: Caller, packet: Packet, to: bytes | None, flags: int) -> int:
        if flags & MSG_OOB:
            raise SyscallError(errno.EOPNOTSUPP)
        if to is not None:
            name_of(to)
        if self.passes_creds:
            self.bind_somehow()
        if len(packet.data) > self.sndbuf - MESSAGE_HEAD:
            raise SyscallError(errno.EMSGSIZE)
        self.need_buffer()
        other = self._receiver(task, to)
        if self._is_full(other):
            other.senders[self] = None
            raise MustWait(self)
        packet.cost = message_cost(len(packet.data))
        self.deliver(task, packet, other)
        return len(packet.data)

    def _receiver(self, task: Caller, to: bytes | None) -> UnixSocket:
        """Return who shall get it. Errors: as find, ENOTCONN, EPERM, EPIPE, ECONNREFUSED."""
        other = self.find(task, to) if to is not None else self.peer
        if other is None:
            raise SyscallError(errno.ENOTCONN)
        self.need_accepted(other)
        if other.closed:
            raise SyscallError(self.lost_peer(other))
        if other.shut & NO_READS:
            raise SyscallError(errno.EPIPE)
        return other

    def need_accepted(self, other: UnixSocket) -> None:
        """Refuse who hears nobody but its own other end. Errors: EPERM."""
        if other.peer not in (None, self):
            raise SyscallError(errno.EPERM)

    def lost_peer(self, old: UnixSocket) -> int:
        """Note that the other end has been closed; return the errno of who sends to it."""
        return errno.EPIPE

    def _is_full(self, other: UnixSocket) -> bool:
        if other is self or other.peer is self:
            return False
        return len(other.queue) > other.backlog

    def look(self, nbytes: int, flags: int) -> Received:
        if flags & MSG_OOB:
            raise SyscallError(errno.EOPNOTSUPP)
        self.raise_error()
        found = message_at(self.queue, self.peek_off if flags & MSG_PEEK else -1)
        if found is None:
            return self.nothing_for(flags)
        first, data = found[0], found[0].data[found[1] :]
        whole = Received(data[:nbytes], len(data), first.name, first.creds, first.files, 1)
        return whole._replace(process=first.process)

    def nothing_for(self, flags: int) -> Received:
        """Return what a call with these flags gets from an empty queue. Errors: MustWait."""
        return self.nothing()

    def take(self, nbytes: int, flags: int) -> None:
        if self.queue:
            self.move_peek(-len(self.queue[0].data))
            self.settle(self.queue.popleft())
            self.room_for_senders()

    def is_writable(self) -> bool:
        peer = self.peer
        if not super().is_writable() or peer is None or peer.closed or not self._is_full(peer):
            return super().is_writable()
        peer.senders[self] = None
        return False


class UnixDatagram(UnixMessages):
    """SOCK_DGRAM."""

    def connect(self, task: Caller, address: bytes) -> None:
        """Choose the other end; AF_UNSPEC: none. Errors: as find, EPERM."""
        if len(address) < 2:
            raise SyscallError(errno.EINVAL)
        other = self._chosen(task, address) if any(address[:2]) else None
        old, self.peer, self.connected = self.peer, other, other is not None
        if old is not None and old is not other:
            self._part_from(old)
        self.wake(POLLOUT)

    def _chosen(self, task: Caller, address: bytes) -> UnixSocket:
        name_of(address)
        if self.passes_creds:
            self.bind_somehow()
        other = self.find(task, address)
        self.need_accepted(other)
        other.connected = True
        return other

    def _part_from(self, old: UnixSocket) -> None:
        """Drop what an old peer had sent; it is told if it was connected to this one."""
        if not self.queue:
            return
        self.drop_queue()
        if not old.closed and old.peer is self:
            old.error = errno.ECONNRESET
            old.wake()

    def lost_peer(self, old: UnixSocket) -> int:
        if self.peer is old:
            self.peer, self.connected = None, False
            self._part_from(old)
        return errno.ECONNREFUSED

    def nothing_for(self, flags: int) -> Received:
        if self.shut & NO_READS and not flags & MSG_DONTWAIT:
            return NOTHING
        raise MustWait(self)

    def shutdown(self, ways: int) -> None:
        self.shut |= ways
        self.wake()
        if self.peer is not None:
            self.peer.wake()

    def leave_peer(self, error: int) -> None:
        peer, self.peer = self.peer, None
        if peer is not None and not peer.closed:
            peer.wake(POLLOUT)


class UnixSeqpacket(UnixMessages, UnixConnection):
    """SOCK_SEQPACKET."""

    def send(self, task: Caller, packet: Packet, to: bytes | None, flags: int) -> int:
        self.raise_error()
        self._need_connection()
        return super().send(task, packet, None, flags)

    def look(self, nbytes: int, flags: int) -> Received:
        self._need_connection()
        return super().look(nbytes, flags)

    def _need_connection(self) -> None:
        if not self.connected:
            raise SyscallError(errno.ENOTCONN)
