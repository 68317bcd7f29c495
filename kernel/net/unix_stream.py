"""Streams of AF_UNIX: bytes are joined, except where files or another sender's name come between.

A byte sent with MSG_OOB is urgent until another one is, or it is read: it stands at its place in
the queue, and who reads past it without SO_OOBINLINE does not get it. Read with MSG_OOB it leaves
an empty packet there, which still has its room at the sender, and goes when it is passed.
"""

from __future__ import annotations

import errno
from itertools import islice
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.packet import Packet, Received, longest_piece, piece_cost
from pkern.kernel.net.socket import MSG_OOB, MSG_PEEK, NO_READS, NO_WRITES, POLLPRI
from pkern.kernel.net.unix import SO_OOBINLINE, SOL_SOCKET, UnixSocket
from pkern.kernel.net.unix_connection import UnixConnection

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller


class UnixStream(UnixConnection):
    """SOCK_STREAM."""

    protocol_name = "UNIX-STREAM"
    splice_heeds_nonblock = True

    _passed = 0  # bytes that were urgent and never read: 6.18 counts them for ever

    @property
    def has_more(self) -> bool:
        return bool(self.queue)

    @property
    def available(self) -> int:
        return super().available + self._passed

    @property
    def urgent_one(self) -> Packet | None:
        """The packet whose byte is urgent."""
        return next((packet for packet in self.queue if packet.oob), None)

    @property
    def at_mark(self) -> bool:
        """Whether what comes next is urgent, or was, with nothing urgent behind the next."""
        first, second = (*islice(self.queue, 2), None, None)[:2]
        if first is None or first.oob:
            return first is not None
        return not first.data and self.urgent_one in (None, second)

    @property
    def is_read(self) -> bool:
        """Whether nothing is left to read, but for an empty packet."""
        return not self.queue or (len(self.queue) == 1 and not self.queue[0].data)

    # ---- sending ----

    def send(self, task: Caller, packet: Packet, to: bytes | None, flags: int) -> int:
        if flags & MSG_OOB and not packet.data:
            raise SyscallError(errno.EOPNOTSUPP)
        if to is not None:
            raise SyscallError(errno.EISCONN if self.connected else errno.EOPNOTSUPP)
        if self.peer is None:
            raise SyscallError(errno.ENOTCONN)
        if self.shut & NO_WRITES:
            raise SyscallError(errno.EPIPE)
        if not packet.data:
            return 0
        piece = packet.data[: longest_piece(self.sndbuf)]
        self.need_buffer()
        if self.peer.closed or self.peer.shut & NO_READS:
            raise SyscallError(errno.EPIPE)
        files = packet.files
        if flags & MSG_OOB and len(piece) == len(packet.data):
            self._send_urgent(task, piece, packet, files, self.peer)
        else:
            self._send_piece(task, piece, packet, files, self.peer)
        return len(piece)

    def _send_piece(
        self, task: Caller, data: bytes, of: Packet, files: tuple[File, ...], peer: UnixSocket
    ) -> Packet:
        piece = Packet(data, creds=of.creds, files=files, cost=piece_cost(len(data)))
        self.deliver(task, piece, peer)
        return piece

    def _send_urgent(
        self, task: Caller, data: bytes, of: Packet, files: tuple[File, ...], peer: UnixSocket
    ) -> None:
        """Send bytes of which the last one is urgent."""
        if len(data) > 1:
            self._send_piece(task, data[:-1], of, files, peer)
            files = ()
        for old in peer.queue:
            old.oob = 0
        self._send_piece(task, data[-1:], of, files, peer).oob = 1
        peer.urgent()

    # ---- receiving ----

    @property
    def _passes_over(self) -> bool:
        return not self.option(SOL_SOCKET, SO_OOBINLINE)

    def _run(self, nbytes: int, flags: int) -> tuple[list[Packet], int, list[Packet]]:
        """Return the packets that one look takes nbytes from, and where in the first it begins.

        And those that it passes over. With MSG_PEEK it goes on to the next one with files, as
        Linux does.
        """
        run: list[Packet] = []
        passed: list[Packet] = []
        skip, urgent = self.peeks_from(flags), self.urgent_one
        for packet in self.queue:
            if not run and packet.data and skip >= len(packet.data):
                skip -= len(packet.data)
                continue
            if run and (packet.oob or (not packet.data and not urgent)):
                break
            if not packet.data or (packet.oob and self._passes_over):
                passed.append(packet)
                continue
            if run and self.passes_creds and packet.creds != run[0].creds:
                break
            run.append(packet)
            nbytes -= len(packet.data) - (skip if len(run) == 1 else 0)
            if packet.files or (nbytes <= 0 and not flags & MSG_PEEK):
                break
        return run, skip, passed

    def look(self, nbytes: int, flags: int) -> Received:
        if not self.connected:
            raise SyscallError(errno.EINVAL)
        if flags & MSG_OOB:
            return self._look_urgent()
        run, start, passed = self._run(nbytes, flags)
        if not flags & MSG_PEEK:
            self._pass(passed)
        if not run:
            return self.nothing()
        data = b"".join(packet.data for packet in run)[start : start + nbytes]
        files, whole = run[-1].files, len(run) == len(self.queue)
        last = int(bool(files) or not whole)
        found = Received(data, len(data), run[0].name, run[0].creds, files, last)
        return found._replace(process=run[0].process)

    def _look_urgent(self) -> Received:
        urgent = self.urgent_one
        if urgent is None or not self._passes_over:
            raise SyscallError(errno.EINVAL)
        return Received(urgent.data, 1, urgent.name, urgent.creds, last=1, oob=1)

    def take(self, nbytes: int, flags: int) -> None:
        if flags & MSG_OOB:
            self._empty_urgent()
            return
        run, _, _ = self._run(nbytes, flags)
        self.move_peek(-nbytes)
        for packet in run:
            part, nbytes = packet.data[:nbytes], max(0, nbytes - len(packet.data))
            packet.data = packet.data[len(part) :]
            if packet.data:
                self.land_files(packet)
            else:
                self._drop([packet])

    def _empty_urgent(self) -> None:
        """Leave an empty packet where the urgent one stands, and none ahead of it."""
        urgent = self.urgent_one
        if urgent is None:
            return
        before = list(self.queue)[: list(self.queue).index(urgent)][-1:]
        self._drop([packet for packet in before if not packet.data])
        urgent.data, urgent.oob = b"", 0
        self.land_files(urgent)

    def _pass(self, packets: list[Packet]) -> None:
        """Drop what nobody has read, or is empty by now."""
        self._passed += sum(len(packet.data) for packet in packets)
        self._drop(packets)

    def _drop(self, packets: list[Packet]) -> None:
        for packet in packets:
            self.queue.remove(packet)
            self.settle(packet)

    def poll(self, file: File) -> int:
        return super().poll(file) | (POLLPRI if self.urgent_one is not None else 0)
