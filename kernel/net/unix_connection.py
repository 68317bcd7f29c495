"""Connections of AF_UNIX: who listens, those who wait to be accepted, and what ends them."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.socket import BOTH, NO_READS, MustWait, Socket
from pkern.kernel.net.unix import UnixSocket, join, name_of
from pkern.kernel.vfs.inode import POLLIN
from pkern.kernel.vfs.readiness import POLLHUP

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller


class UnixConnection(UnixSocket):
    """A socket that is connected, listens, or does neither yet."""

    listening = 0

    @property
    def listens(self) -> bool:
        return bool(self.listening)

    def listen(self, task: Caller, backlog: int) -> None:
        if not self.bound or self.connected:
            raise SyscallError(errno.EINVAL)
        self.backlog, self.listening = backlog, 1
        self.meet(task)
        self.room_for_senders()

    def connect(self, task: Caller, address: bytes) -> None:
        """Join with a new end at who listens. Errors: as find, EISCONN, EINVAL, MustWait."""
        name_of(address)
        if self.passes_creds:
            self.bind_somehow()
        other = self.find(task, address)
        if not isinstance(other, UnixConnection) or not other.listening or other.shut & NO_READS:
            raise SyscallError(errno.ECONNREFUSED)
        if len(other.embryos) > other.backlog:
            other.senders[self] = None
            raise MustWait(self)
        if self.connected or self.listening:
            raise SyscallError(errno.EISCONN if self.connected else errno.EINVAL)
        end = type(self)(self.net, self.socket_type, (task.uid, task.gid))
        end.bound, end.options = other.bound, dict(other.options)
        join(self, end)
        end.meet(task)
        self.peer_creds, self.peer_process = other.peer_creds, other.peer_process
        other.embryos.append(end)
        other.wake(POLLIN)
        self.wake()

    def accept(self) -> Socket:
        if not self.listening:
            raise SyscallError(errno.EINVAL)
        if self.embryos:
            end = self.embryos.popleft()
            self.room_for_senders()
            return end
        if self.shut & NO_READS:
            raise SyscallError(errno.EINVAL)
        raise MustWait(self)

    def shutdown(self, ways: int) -> None:
        self.shut |= ways
        self.wake()
        if self.peer is not None:
            self.peer.shut |= (ways & NO_READS) << 1 | ways >> 1
            self.peer.wake()

    def leave_peer(self, error: int) -> None:
        peer, self.peer = self.peer, None
        if peer is not None and not peer.closed:
            peer.shut = BOTH
            peer.error = error or peer.error
            peer.wake()

    def release(self) -> None:
        while self.embryos:
            end = self.embryos.popleft()
            end.leave_peer(errno.ECONNRESET)
            end.discard()
        super().release()

    def poll(self, file: File) -> int:
        lone = not self.connected and not self.listening
        return super().poll(file) | (POLLHUP if lone else 0)

    def is_writable(self) -> bool:
        return not self.listening and super().is_writable()
