"""TCP between two sockets of this machine: nothing is lost, late or out of order.

So a connection is two sockets that know each other, and each segment has arrived when the call that
sent it returns. What is left of the protocol is what programs see: its states, who may still send,
what a reset does to the other end, and the minute for which a port lingers. Source: tcp(7), Linux
6.18 net/ipv4/tcp.c, tcp_input.c.
"""

from __future__ import annotations

import errno
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.net.address import Endpoint, is_v4, unpack
from pkern.kernel.net.inet import IPPROTO_TCP, InetSocket
from pkern.kernel.net.packet import NOTHING, Packet, Received
from pkern.kernel.net.socket import (
    BOTH,
    MSG_OOB,
    NO_READS,
    NO_WRITES,
    POLLPRI,
    SOCK_STREAM,
    MustWait,
    Owner,
    Socket,
)
from pkern.kernel.vfs.inode import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM
from pkern.kernel.vfs.readiness import POLLERR, POLLHUP

if TYPE_CHECKING:
    from pkern.kernel.net.net import Net
    from pkern.kernel.net.ports import Ports
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller

ESTABLISHED, SYN_SENT, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LISTEN = 1, 2, 5, 6, 7, 8, 10
UNCONNECTED, CONNECTING, CONNECTED = range(3)  # what connect() knows: Linux's socket_state
SOL_SOCKET, SO_OOBINLINE, SO_RCVLOWAT = 1, 10, 18
WMEM_START, RMEM_START = 16_384, 131_072  # net.ipv4.tcp_wmem, tcp_rmem
WMEM_CONNECTED = 2_626_560  # what Linux makes of the first over a loopback
CONNECT_NS = 131 * SECOND  # all SYNs of net.ipv4.tcp_syn_retries
NO_MARK = -1
HEADS4, HEADS6, SYN_OPTIONS = 66, 86, 8  # bytes of a segment's headers, of what a SYN has more


class TcpSocket(InetSocket):
    """One end of a connection, or one who listens.

    peer: the other end, also when it is closed. data: what came and was not read. mark: where in
    data the urgent byte stands. knocking: those whose SYN found too many waiting here.
    ended: whether the other end's FIN has come.
    """

    also_ready: ClassVar[dict[int, int]] = {POLLIN: POLLRDNORM, POLLOUT: POLLWRNORM}
    protocol = IPPROTO_TCP
    protocol_names = ("TCP", "TCPv6")
    throws_away = True

    def __init__(self, net: Net, family: int, owner: Owner) -> None:
        super().__init__(net, family, SOCK_STREAM, owner)
        self.sndbuf, self.rcvbuf = WMEM_START, RMEM_START
        self.state = CLOSE
        self.phase = UNCONNECTED
        self.peer: TcpSocket | None = None
        self.data = bytearray()
        self.mark, self.mark_read = NO_MARK, 0
        self.ended = 0
        self.knocking: deque[TcpSocket] = deque()

    @property
    def ports(self) -> Ports:
        return self.net.tcp

    @property
    def _heads(self) -> int:
        """Bytes of all headers of a segment."""
        return HEADS4 if is_v4(self.local.ip) else HEADS6

    @property
    def listens(self) -> bool:
        return self.state == LISTEN

    @property
    def is_connected(self) -> bool:
        return self.remote is not None and self.state not in (CLOSE, SYN_SENT)

    @property
    def can_bind(self) -> bool:
        return self.state == CLOSE and not self.local.port

    # ---- listening ----

    def listen(self, task: Caller, backlog: int) -> None:
        """Let others connect. Errors: EINVAL (it is connected), EADDRINUSE."""
        if self.phase != UNCONNECTED or self.state not in (CLOSE, LISTEN):
            raise SyscallError(errno.EINVAL)
        self.backlog = backlog
        if self.state == LISTEN:
            return
        if self.local.port:
            self.ports.need_free(self, self.local.ip, self.local.port)
        self.bind_somehow()
        self.state = LISTEN

    def accept(self) -> Socket:
        if self.state != LISTEN:
            raise SyscallError(errno.EINVAL)
        if not self.embryos:
            raise MustWait(self)
        end = self.embryos.popleft()
        if self.knocking:
            self.knocking.popleft().knock(self)
        return end

    def _stop_listening(self) -> None:
        self.state = CLOSE
        knocking, self.knocking = self.knocking, deque()
        for one in knocking:
            one.refused(errno.ECONNREFUSED)
        while self.embryos:
            end = self.embryos.popleft()
            assert isinstance(end, TcpSocket)
            end.reset_peer()
            end.discard()
        self.wake()

    # ---- connecting ----

    def connect(self, task: Caller, address: bytes) -> None:
        """Connect, and wait for it. Errors: EISCONN, ECONNREFUSED, ENETUNREACH, MustWait."""
        if address[:2] == b"\0\0" and len(address) >= 2:
            self._disconnect()
            return
        if self.phase != CONNECTING:
            self._begin(address)
        if self.state == SYN_SENT:
            raise MustWait(self)
        self._outcome()

    def connect_later(self, task: Caller, address: bytes) -> None:
        """Connect, without waiting. Errors: EINPROGRESS, EALREADY; as connect."""
        if address[:2] == b"\0\0" or self.phase == CONNECTING:
            if self.state == SYN_SENT:
                raise SyscallError(errno.EALREADY)
            self.connect(task, address)
            return
        self._begin(address)
        raise SyscallError(errno.EINPROGRESS)

    def _begin(self, address: bytes) -> None:
        if len(address) < 2:
            raise SyscallError(errno.EINVAL)
        if self.phase == CONNECTED or self.state != CLOSE:
            raise SyscallError(errno.EISCONN)
        remote, source = self.destination(unpack(self.family, address))
        self.bind_somehow(source)
        self.phase, self.state, self.remote = CONNECTING, SYN_SENT, remote
        self.shut, self.error = 0, 0
        listener = self._listener(remote)
        if not self.net.lo.up:
            self.net.lo.carried(self._heads + SYN_OPTIONS)
            self._give_up_later()
        elif listener is None:
            self.refused(errno.ECONNREFUSED)
        elif len(listener.embryos) > listener.backlog:
            listener.knocking.append(self)
            self._give_up_later()
        else:
            self.knock(listener)

    def _listener(self, remote: Endpoint) -> TcpSocket | None:
        """Return who listens there: the one bound most exactly, of several by the port."""
        found: list[TcpSocket] = []
        best = 0
        for one in self.ports.sockets(remote.port):
            fits = one.hears(remote.ip) if one.listens else 0
            if fits > best:
                best, found = fits, []
            if fits and fits == best and isinstance(one, TcpSocket):
                found.append(one)
        return found[self.local.port % len(found)] if found else None

    def _give_up_later(self) -> None:
        scheduler, clock = self.kernel.scheduler, self.kernel.clock
        if scheduler is not None:
            scheduler.at(clock.now_ns + CONNECT_NS, self._give_up)

    def _give_up(self) -> None:
        if self.state == SYN_SENT:
            self.refused(errno.ETIMEDOUT)

    def knock(self, listener: TcpSocket) -> None:
        """Be connected to a new end at who listens."""
        if self.state != SYN_SENT or self.remote is None:
            return
        end = listener.child(self.remote, self.local)
        self.peer, end.peer = end, self
        for one in (self, end):
            one.state = ESTABLISHED
            one.sndbuf = WMEM_CONNECTED if one.sndbuf == WMEM_START else one.sndbuf
        listener.embryos.append(end)
        self.net.lo.carried(2 * (self._heads + SYN_OPTIONS), 2)
        listener.wake(POLLIN)
        self.wake()

    def child(self, local: Endpoint, remote: Endpoint) -> TcpSocket:
        """Return a new end of this listener's, with its options."""
        end = TcpSocket(self.net, self.family, (self.uid, self.gid))
        end.options = dict(self.options)
        end.sndbuf, end.rcvbuf, end.linger = self.sndbuf, self.rcvbuf, self.linger
        end.receive_ns, end.send_ns = self.receive_ns, self.send_ns
        end.remote, end.phase = remote, CONNECTED
        self.ports.take(end, local)
        return end

    def refused(self, error: int) -> None:
        """Note that there will be no connection."""
        self.state, self.error, self.shut = CLOSE, error, BOTH
        self.unbind()
        self.wake()

    def _outcome(self) -> None:
        if self.state == CLOSE:
            self.phase, self.remote, self.shut = UNCONNECTED, None, 0
            raise SyscallError(self.take_error() or errno.ECONNABORTED)
        self.phase = CONNECTED

    def _disconnect(self) -> None:
        if self.state == LISTEN:
            self._stop_listening()
        elif self.state != CLOSE:
            self.reset_peer()
        self.state, self.phase, self.remote, self.peer = CLOSE, UNCONNECTED, None, None
        self.shut, self.error, self.ended = 0, 0, 0
        self.data.clear()
        self.unbind()

    # ---- the other end's doings ----

    def got_fin(self) -> None:
        """Note that nothing more will come."""
        self.shut |= NO_READS
        self.ended = 1
        if self.state == FIN_WAIT2:
            self._linger(TIME_WAIT)
            self._done()
        elif self.state == ESTABLISHED:
            self.state = CLOSE_WAIT
        self.wake()

    def got_reset(self) -> None:
        """Note that the other end knows nothing of this connection any more."""
        if self.state == CLOSE:
            return
        self.error = errno.EPIPE if self.state == CLOSE_WAIT else errno.ECONNRESET
        self._done()
        self.wake()

    def _done(self) -> None:
        """Be closed, as far as the protocol goes."""
        self.state, self.shut = CLOSE, BOTH
        if not self.chosen:
            self.ports.drop(self)

    def _linger(self, state: int) -> None:
        if self.remote is not None:
            self.ports.linger(self, self.remote, state)

    def _send_fin(self) -> None:
        peer = self.peer
        if self.state == ESTABLISHED:
            self.state = FIN_WAIT2
        elif self.state == CLOSE_WAIT:
            self._done()
        else:
            return
        self.net.lo.carried(self._heads)
        if peer is not None:
            peer.got_fin()

    def reset_peer(self) -> None:
        """End the connection at once, and tell the other end."""
        peer = self.peer
        self._done()
        if peer is not None and peer.peer is self:
            peer.got_reset()

    # ---- sending ----

    def send(self, task: Caller, packet: Packet, to: bytes | None, flags: int) -> int:
        if self.state not in (ESTABLISHED, CLOSE_WAIT):
            self.raise_error()
            if self.state == SYN_SENT:
                raise MustWait(self)
            raise SyscallError(errno.EPIPE)
        if self.error or self.shut & NO_WRITES:
            raise SyscallError(self.take_error() or errno.EPIPE)
        peer = self.peer
        assert peer is not None
        if not packet.data:
            return 0
        if peer.closed:
            self.got_reset()
            return len(packet.data)
        room = self._room(peer)
        if room <= 0:
            raise MustWait(self)
        sent = packet.data[:room]
        peer.data += sent
        self.net.lo.carried(len(sent) + self._heads)
        if flags & MSG_OOB and len(sent) == len(packet.data):
            peer.mark, peer.mark_read = len(peer.data) - 1, 0
            peer.urgent()
        peer.wake(POLLIN)
        return len(sent)

    def _room(self, peer: TcpSocket) -> int:
        return self.sndbuf + peer.rcvbuf - len(peer.data)

    @property
    def unsent(self) -> int:
        """Bytes: what the other end's buffer did not take."""
        peer = self.peer
        return 0 if peer is None else max(0, len(peer.data) - peer.rcvbuf)

    @property
    def is_writable(self) -> bool:
        """Whether poll says that something can be sent: a third of the buffers is free."""
        peer = self.peer
        if self.shut & NO_WRITES or peer is None or peer.closed:
            return True
        return 3 * self._room(peer) >= self.sndbuf + peer.rcvbuf

    # ---- receiving ----

    @property
    def available(self) -> int:
        if self.state == LISTEN:
            raise SyscallError(errno.EINVAL)
        if self.mark != NO_MARK and not self._inline:
            return self.mark  # up to the urgent byte
        return min(len(self.data), self.rcvbuf)  # the rest is the other end's still: unsent

    @property
    def has_more(self) -> bool:
        return bool(self.data or self.ended)

    @property
    def at_mark(self) -> bool:
        """Whether the urgent byte is the next one."""
        return self.mark == 0

    def _window(self, nbytes: int) -> tuple[int, int]:
        """Return which part of data a call reads: never beyond the mark, nor the byte there."""
        if self.mark == NO_MARK:
            return 0, nbytes
        if self.mark > 0:
            return 0, min(nbytes, self.mark)
        skip = 0 if self.option(SOL_SOCKET, SO_OOBINLINE) else 1
        return skip, skip + nbytes

    def look(self, nbytes: int, flags: int) -> Received:
        if self.state == LISTEN:
            raise SyscallError(errno.ENOTCONN)
        if flags & MSG_OOB:
            return self._look_urgent()
        start, end = self._window(nbytes)
        skip = self.peeks_from(flags)
        if skip:
            start, end = start + skip, end + skip if self.mark == NO_MARK else end
        found = bytes(self.data[start:end])
        if found or (len(self.data) > start and not nbytes):
            return Received(found, len(found), last=int(end < len(self.data)))
        if self.ended:
            return NOTHING
        self.raise_error()
        if self.shut & NO_READS:
            return NOTHING
        if self.state == CLOSE:
            raise SyscallError(errno.ENOTCONN)
        raise MustWait(self)

    def _look_urgent(self) -> Received:
        inline = self.option(SOL_SOCKET, SO_OOBINLINE)
        if inline or self.mark == NO_MARK or self.mark_read:
            raise SyscallError(errno.EINVAL)
        return Received(bytes(self.data[self.mark : self.mark + 1]), 1, last=1, oob=1)

    def take(self, nbytes: int, flags: int) -> None:
        if flags & MSG_OOB:
            self.mark_read = 1
            return
        start, _ = self._window(nbytes)
        self.move_peek(-nbytes)
        peer = self.peer
        waited = peer is not None and not peer.is_writable
        gone = start + nbytes
        del self.data[:gone]
        if self.mark != NO_MARK and gone:
            self.mark = self.mark - gone if self.mark >= gone else NO_MARK
        if waited and peer is not None and peer.is_writable:
            peer.wake(POLLOUT)

    # ---- ends ----

    def shutdown(self, ways: int) -> None:
        if self.state == LISTEN:
            if ways & NO_READS:
                self._stop_listening()
            return
        state = self.state
        self.shut |= ways
        if state == SYN_SENT:
            self._disconnect()
        elif ways & NO_WRITES:
            self._send_fin()
        self.wake()
        if state == CLOSE:
            raise SyscallError(errno.ENOTCONN)

    def release(self) -> None:
        if self.state == LISTEN:
            self._stop_listening()
        elif self.data or self.linger == (1, 0):
            self.reset_peer()
        else:
            self._send_fin()
        if self.state == FIN_WAIT2:
            self._linger(FIN_WAIT2)
        self.shut = BOTH
        self.ports.drop(self)
        self.data.clear()

    def poll(self, file: File) -> int:
        if self.state == LISTEN:
            return POLLIN if self.embryos else 0
        ready = POLLERR if self.error else 0
        ready |= POLLHUP if self.state == CLOSE else 0
        ready |= self.poll_ends()
        if self.state == SYN_SENT:
            return ready
        wanted = min(max(1, self.option(SOL_SOCKET, SO_RCVLOWAT)), self.rcvbuf)
        ready |= POLLIN if len(self.data) - int(self.at_mark and not self._inline) >= wanted else 0
        ready |= POLLPRI if self.mark != NO_MARK and not self.mark_read else 0
        return ready | (POLLOUT if self.is_writable else 0)

    @property
    def _inline(self) -> bool:
        return bool(self.option(SOL_SOCKET, SO_OOBINLINE))
