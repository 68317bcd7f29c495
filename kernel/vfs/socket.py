"""Sockets within the machine: two connected ends, each with a queue of what was sent to it.

Stream sockets join what was written; the others keep each message whole. No socket takes a name,
so only a pair is ever connected; one made alone can ask for a name and finds no one.
"""

from __future__ import annotations

import errno
import stat
from collections import deque
from typing import TYPE_CHECKING, ClassVar

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.file import O_RDWR, File
from pkern.kernel.vfs.inode import PAGE_SIZE, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, Inode
from pkern.kernel.vfs.pipe import POLLERR, POLLHUP, Wait, sleep, waits, wake

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET = 1, 2, 5
CAPACITY = 212_992  # bytes that one queue holds: net.core.wmem_default
MAX_MESSAGE = CAPACITY - 32
# What Linux's buffers are made of: sk_buff, the data's block, pages behind a long head.
CACHE_LINE, BUFFER_HEAD, SHARED_INFO, SMALLEST_BLOCK = 64, 256, 320, 512
LONGEST_HEAD = 4 * PAGE_SIZE - SHARED_INFO
POLLWRBAND, POLLRDHUP = 0x200, 0x2000
DEV_SOCKET = 8
NO_READS, NO_WRITES = 1, 2
BOTH = NO_READS | NO_WRITES
NOBODY = (0, -1, -1)


def cost(message: bytes) -> int:
    """Return what a message costs its sender: Linux's skb->truesize, bytes."""
    data = -(-len(message) // CACHE_LINE) * CACHE_LINE
    head = min(data, LONGEST_HEAD)
    block = max(SMALLEST_BLOCK, 1 << (head + SHARED_INFO - 1).bit_length())
    return block + BUFFER_HEAD + -(-(data - head) // PAGE_SIZE) * PAGE_SIZE


class SocketInode(Inode):
    """One end: what has been sent to it, and who is at the other end (None: no one ever was).

    made_by: pid, user and group of whom the other end sees.
    """

    kind = "sock"
    can_epoll = True
    type_bits = stat.S_IFSOCK
    also_ready: ClassVar[dict[int, int]] = {POLLIN: POLLRDNORM, POLLOUT: POLLWRNORM | POLLWRBAND}

    def __init__(self, kernel: Machine, socket_type: int, task: Caller) -> None:
        super().__init__(kernel, 0o777, task.uid, task.gid)
        self.dev = DEV_SOCKET
        self.socket_type = socket_type
        self.made_by = NOBODY
        self.messages: deque[bytes] = deque()
        self.peer: SocketInode | None = None
        self.shut = 0  # NO_READS, NO_WRITES
        self.closed = False
        self.error = 0  # an errno that the next call reports, once
        self.options: dict[int, int] = {}  # SO_*: what setsockopt has set

    @property
    def is_stream(self) -> bool:
        """Tell whether bytes are joined: a message keeps its bounds."""
        return self.socket_type == SOCK_STREAM

    @property
    def is_datagram(self) -> bool:
        """Tell whether this end knows nothing of the other one's end."""
        return self.socket_type == SOCK_DGRAM

    @property
    def queued(self) -> int:
        """Bytes that wait to be read."""
        return sum(map(len, self.messages))

    @property
    def charged(self) -> int:
        """What waits to be read costs its sender: bytes, of messages with all that holds them."""
        return self.queued if self.is_stream else sum(map(cost, self.messages))

    @property
    def available(self) -> int:
        """Bytes that FIONREAD counts: of datagrams, the first one's."""
        return len(self.messages[0]) if self.is_datagram and self.messages else self.queued

    def take_error(self) -> int:
        """Return the errno that was noted, or 0, and forget it."""
        found, self.error = self.error, 0
        return found

    def raise_error(self) -> None:
        """Report the errno that was noted. Errors: ECONNRESET."""
        if self.error:
            raise SyscallError(self.take_error())

    # ---- reading ----

    def look(self, nbytes: int, wait: Wait) -> tuple[bytes, int]:
        """Return up to nbytes and the length of what they are from; they stay queued.

        Errors: EAGAIN (nothing yet, and the caller will not wait), ECONNRESET, EINVAL or ENOTCONN
        (there never was another end).
        """
        self._need_connection()
        if not self.is_stream:
            self.raise_error()
        if not self.messages:
            self.raise_error()
            if self.shut & NO_READS and not (self.is_datagram and wait is Wait.NEVER):
                return b"", 0
            sleep(self, wait)
        data = b"".join(self.messages) if self.is_stream else self.messages[0]
        return data[:nbytes], len(data)

    def _need_connection(self) -> None:
        if self.peer is None and not self.is_datagram:
            raise SyscallError(errno.EINVAL if self.is_stream else errno.ENOTCONN)

    def take(self, nbytes: int) -> None:
        """Drop nbytes of a stream, or the first message."""
        before = len(self.messages)
        if not self.is_stream and self.messages:
            self.messages.popleft()
        while self.is_stream and nbytes:
            head = self.messages.popleft()
            if len(head) > nbytes:
                self.messages.appendleft(head[nbytes:])
            nbytes -= min(nbytes, len(head))
        if self.peer is not None:
            wake(self.peer, POLLOUT if len(self.messages) < before else 0)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        if not nbytes:
            return b""
        data, _ = self.look(nbytes, waits(file))
        self.take(len(data))
        return data

    def unread(self, data: bytes) -> None:
        if self.is_stream:
            self.messages.appendleft(data)

    # ---- writing ----

    def send(self, data: bytes, wait: Wait) -> int:
        """Queue data at the other end; return how many bytes went.

        Errors: EPIPE, ECONNREFUSED, ECONNRESET, ENOTCONN (no one there), EMSGSIZE, EAGAIN (no
        room, and the caller will not wait).
        """
        peer = self._receiver(data)
        room = CAPACITY - peer.charged
        if (data or not self.is_stream) and room <= 0:
            sleep(self, wait)
        sent = data[:room] if self.is_stream else data
        if sent or not self.is_stream:
            peer.messages.append(sent)
        wake(peer, POLLIN)
        return len(sent)

    def _receiver(self, data: bytes) -> SocketInode:
        """Return the other end, which must be there and listen. Errors: as send."""
        if not self.is_stream:
            self.raise_error()
        if self.peer is None and not self.is_datagram:
            raise SyscallError(errno.ENOTCONN)
        if not self.is_stream and len(data) > MAX_MESSAGE:
            raise SyscallError(errno.EMSGSIZE)
        if self.shut & NO_WRITES:
            raise SyscallError(errno.EPIPE)
        if self.peer is None:
            raise SyscallError(errno.ENOTCONN)
        if self.peer.closed:  # a datagram's: it is noticed only now
            self.peer = None
            raise SyscallError(errno.ECONNREFUSED)
        if self.peer.shut & NO_READS:
            raise SyscallError(errno.EPIPE)
        return self.peer

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        return self.send(data, waits(file))

    # ---- ends ----

    def close_ways(self, ways: int) -> None:
        """End reading here (NO_READS), writing (NO_WRITES) or both; the other end is told."""
        self.shut |= ways
        wake(self)
        if self.peer is not None and not self.is_datagram:
            self.peer.shut |= (ways & NO_READS) << 1 | ways >> 1
            wake(self.peer)

    def file_closed(self, file: File) -> None:
        peer = self.peer
        self.closed = True
        self.close_ways(BOTH)
        if peer is not None and self.messages and not self.is_datagram:
            peer.error = errno.ECONNRESET  # what was sent here is lost
        self.messages.clear()
        self.peer = None

    def poll(self, file: File) -> int:
        alone = self.peer is None and not self.is_datagram
        ready = POLLIN if self.messages or self.shut & NO_READS else 0
        ready |= POLLHUP if alone or self.shut == BOTH else 0
        ready |= POLLRDHUP if self.shut & NO_READS else 0
        ready |= POLLERR if self.error else 0
        waiting = 0 if self.peer is None else self.peer.charged
        return ready | (POLLOUT if 4 * waiting <= CAPACITY else 0)


def _open(kernel: Machine, task: Caller, inode: SocketInode, flags: int) -> File:
    return kernel.vfs.register(File(kernel, inode, f"socket:[{inode.ino}]", O_RDWR | flags, task))


def make_socket(kernel: Machine, task: Caller, socket_type: int, flags: int) -> File:
    """Return a socket with no other end. socket_type: SOCK_*; flags: O_NONBLOCK."""
    return _open(kernel, task, SocketInode(kernel, socket_type, task), flags)


def make_pair(kernel: Machine, task: Caller, socket_type: int, flags: int) -> tuple[File, File]:
    """Return two connected ends. socket_type: SOCK_*; flags: O_NONBLOCK."""
    one, other = (SocketInode(kernel, socket_type, task) for _ in range(2))
    one.peer, other.peer = other, one
    one.made_by = other.made_by = (task.tgid, task.cred.euid, task.cred.egid)
    return _open(kernel, task, one, flags), _open(kernel, task, other, flags)
