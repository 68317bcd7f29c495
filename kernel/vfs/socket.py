"""Sockets within the machine: connected pairs, two queues, each read at one end.

Stream sockets join what was written; the others keep each message whole. A socket that is not made
as one of a pair stays alone: nobody listens, so that programs can ask for a server and hear so.
"""

from __future__ import annotations

import errno
import stat
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from kernel.errors import SyscallError
from kernel.vfs.file import O_NONBLOCK, O_RDWR, File
from kernel.vfs.inode import POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, Inode
from kernel.vfs.pipe import POLLHUP, wake, would_block

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task

SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET = 1, 2, 5
CAPACITY = 212_992  # bytes that one queue holds: net.core.wmem_default
MAX_MESSAGE = CAPACITY - 32
POLLWRBAND, POLLRDHUP = 0x200, 0x2000
DEV_SOCKET = 8
# What reading a socket without a peer says, for kinds that must have one.
ALONE = {SOCK_STREAM: errno.EINVAL, SOCK_SEQPACKET: errno.ENOTCONN}
SHUT_RD, SHUT_WR, SHUT_RDWR = range(3)


class Wait(Enum):
    """What a call does that cannot be done at once."""

    FOREVER = "it waits"
    NEVER = "it fails with EAGAIN"


class Keep(Enum):
    """What a read leaves in the queue."""

    NOTHING = "what it returns is gone"
    ALL = "it only looks"


def waits(file: File) -> Wait:
    """Return what calls on an open file do."""
    return Wait.NEVER if file.flags & O_NONBLOCK else Wait.FOREVER


class SocketInode(Inode):
    """One end: what has been sent to it, and who is at the other end."""

    kind = "sock"
    type_bits = stat.S_IFSOCK
    poll_also: ClassVar[dict[int, int]] = {POLLIN: POLLRDNORM, POLLOUT: POLLWRNORM | POLLWRBAND}

    def __init__(self, kernel: Kernel, kind: int, task: Task) -> None:
        super().__init__(kernel, 0o777, task.uid, task.gid)
        self.dev = DEV_SOCKET
        self.socket_type = kind
        self.streams = kind == SOCK_STREAM
        self.made_by = (task.pid, task.cred.euid, task.cred.egid)
        self.messages: deque[bytes] = deque()
        self.paired = False  # it has had a peer from the start
        self.peer: SocketInode | None = None
        self.no_reads = self.no_writes = False  # shutdown's
        self.refused = False  # a datagram has met nobody
        self.options: dict[int, int] = {}  # SO_*: what setsockopt has set

    @property
    def queued(self) -> int:
        """Bytes that wait to be read."""
        return sum(map(len, self.messages))

    @property
    def ended(self) -> bool:
        """Tell whether nothing more can come: datagrams know of no end."""
        gone = self.paired and (self.peer is None or self.peer.no_writes)
        return self.no_reads or (gone and self.socket_type != SOCK_DGRAM)

    # ---- reading ----

    def receive(self, nbytes: int, wait: Wait, keep: Keep = Keep.NOTHING) -> tuple[bytes, int]:
        """Return up to nbytes and the length of what they are from.

        Errors: EAGAIN (nothing yet, and the caller will not wait); EINVAL, ENOTCONN (not paired).
        """
        if not self.paired and self.socket_type in ALONE:
            raise SyscallError(ALONE[self.socket_type])
        stream = self.socket_type == SOCK_STREAM
        if not self.messages:
            if self.ended and not (wait is Wait.NEVER and self.socket_type == SOCK_DGRAM):
                return b"", 0
            self._sleep(wait)
        data = b"".join(self.messages) if stream else self.messages[0]
        if keep is Keep.NOTHING and (nbytes or not stream):
            self._take(data[nbytes:] if stream else b"")
        return data[:nbytes], len(data)

    def _take(self, rest: bytes) -> None:
        """Drop what was read, all of a stream but rest."""
        if self.socket_type == SOCK_STREAM:
            self.messages = deque([rest] if rest else [])
        else:
            self.messages.popleft()
        if self.peer is not None:
            wake(self.peer)

    def _sleep(self, wait: Wait) -> None:
        if wait is Wait.NEVER:
            raise SyscallError(errno.EAGAIN)
        would_block(self)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        return self.receive(nbytes, waits(file))[0] if nbytes else b""

    # ---- writing ----

    def send(self, data: bytes, wait: Wait) -> int:
        """Queue data at the other end; return how many bytes went.

        Errors: EPIPE, ECONNREFUSED, ENOTCONN (no one there), EMSGSIZE, EAGAIN (no room, and the
        caller will not wait).
        """
        peer, stream = self._receiver(), self.socket_type == SOCK_STREAM
        if not stream and len(data) > MAX_MESSAGE:
            raise SyscallError(errno.EMSGSIZE)
        room = CAPACITY - peer.queued
        if data and room < (1 if stream else len(data)):
            self._sleep(wait)
        sent = data[:room] if stream else data
        if sent or not stream:
            peer.messages.append(sent)
        wake(peer)
        return len(sent)

    def _receiver(self) -> SocketInode:
        """Return the other end, which must be there. Errors: as send."""
        if self.peer is not None and not self.no_writes and not self.peer.no_reads:
            return self.peer
        if not self.paired and not (self.no_writes and self.socket_type == SOCK_DGRAM):
            raise SyscallError(errno.ENOTCONN)
        if self.peer is not None or self.no_writes or self.socket_type != SOCK_DGRAM:
            raise SyscallError(errno.EPIPE)
        refused, self.refused = self.refused, True
        raise SyscallError(errno.ENOTCONN if refused else errno.ECONNREFUSED)

    def file_write(self, file: File, pos: int, data: bytes, task: Task) -> int:
        return self.send(data, waits(file))

    # ---- the rest ----

    def shut(self, how: int) -> None:
        """Let nothing more be read here (SHUT_RD 0), be written from here (1), or both (2)."""
        self.no_reads = self.no_reads or how != SHUT_WR
        self.no_writes = self.no_writes or how != SHUT_RD
        for end in (self, self.peer):
            if end is not None:
                wake(end)

    def disconnect(self) -> None:
        """Forget the other end."""
        self.peer, self.paired = None, False

    def poll(self, file: File) -> int:
        peer = self.peer
        ready = POLLIN if self.messages or self.ended else 0
        both = self.no_reads and self.no_writes
        ready |= POLLHUP if both or (peer is None and self.socket_type != SOCK_DGRAM) else 0
        ready |= POLLRDHUP if self.ended else 0
        return ready | (POLLOUT if peer is None or 4 * peer.queued <= CAPACITY else 0)

    def file_closed(self, file: File) -> None:
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.peer = None
            wake(peer)


def make_pair(kernel: Kernel, task: Task, kind: int, flags: int) -> tuple[File, File]:
    """Return two connected ends. kind: SOCK_*; flags: O_NONBLOCK."""
    one, other = (SocketInode(kernel, kind, task) for _ in range(2))
    one.peer, other.peer = other, one
    one.paired = other.paired = True
    return _opened(one, task, flags), _opened(other, task, flags)


def make_socket(kernel: Kernel, task: Task, kind: int, flags: int) -> File:
    """Return a socket that is connected to nothing. kind, flags: as make_pair."""
    return _opened(SocketInode(kernel, kind, task), task, flags)


def _opened(end: SocketInode, task: Task, flags: int) -> File:
    kernel = task.kernel
    return kernel.vfs.register(File(kernel, end, f"socket:[{end.ino}]", O_RDWR | flags, task))
