"""What every socket has: its options, its error, what is shut down, and who waits for it.

A Socket is the inode of its open file. A family's kinds say what each call does; what they do not
say is refused with Linux's errno. A call that cannot go on raises MustWait before it has changed
anything: who made the call knows whether it sleeps.
"""

from __future__ import annotations

import errno
import stat
from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, ClassVar

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.net.packet import NOBODY, Creds, Packet, Received
from pkern.kernel.vfs.file import O_RDWR, File
from pkern.kernel.vfs.inode import (
    MAY_READ,
    MAY_WRITE,
    POLLIN,
    POLLOUT,
    POLLRDNORM,
    POLLWRNORM,
    Inode,
)
from pkern.kernel.vfs.readiness import ANYTHING, POLLERR, POLLHUP, Wait, sleep, waits, wake

if TYPE_CHECKING:
    from pkern.kernel.namespaces.base import Namespace
    from pkern.kernel.net.net import Net
    from pkern.kernel.vfs.machine import Caller, Holder

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 0, 1, 2, 10, 16
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET = 1, 2, 3, 5
MSG_OOB, MSG_PEEK, MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL = 1, 2, 0x20, 0x40, 0x100
MSG_MORE = 0x8000
POLLPRI, POLLWRBAND, POLLRDHUP = 2, 0x200, 0x2000
DEV_SOCKET = 8
NO_READS, NO_WRITES = 1, 2
BOTH = NO_READS | NO_WRITES


Owner = tuple[int, int]  # a user and a group


class MustWait(SyscallError):
    """The call cannot go on before one of keys is woken. As an error: EAGAIN."""

    def __init__(self, *keys: Hashable) -> None:
        super().__init__(errno.EAGAIN)
        self.keys = keys


class Socket(Inode):
    """A socket: the base of all kinds.

    shut: NO_READS, NO_WRITES. error: an errno that the next call reports, once. listen_creds: who
    listens here, or who made the other end: what SO_PEERCRED shows is peer_creds, peer_process what
    SO_PEERPIDFD does. backlog: how many connections, or messages from those it is not connected to,
    wait here at most, less one; -1: it does not listen. receive_ns, send_ns: how long a call waits;
    None: as long as it takes. peek_off: bytes from the first in the queue to where MSG_PEEK looks;
    -1: it looks at the first.
    """

    kind = "sock"
    can_nowait = MAY_READ | MAY_WRITE
    no_mmap = lib.FILE_NO_MMAP | lib.FILE_LATE_ENODEV
    noexec = True
    can_epoll = True
    type_bits = stat.S_IFSOCK
    also_ready: ClassVar[dict[int, int]] = {POLLIN: POLLRDNORM, POLLOUT: POLLWRNORM | POLLWRBAND}
    family = AF_UNSPEC
    protocol = 0
    has_error_queue = False  # MSG_ERRQUEUE asks for something: of IP
    has_peek_off = True  # SO_PEEK_OFF may be set
    throws_away = False  # MSG_TRUNC: what is received is not stored

    def __init__(self, net: Net, socket_type: int, owner: Owner) -> None:
        super().__init__(net.kernel, 0o777, *owner)
        self.net = net
        self.dev = DEV_SOCKET
        self.nlink = 0  # it has no name of its own
        self.socket_type = socket_type
        self.queue: deque[Packet] = deque()
        self.embryos: deque[Socket] = deque()  # the ends of those that wait to be accepted
        self.shut = 0
        self.closed = False
        self.error = 0
        self.backlog = -1
        self.peer_creds = NOBODY
        self.peer_process: Holder | None = None
        self.options: dict[tuple[int, int], int] = {}  # (level, name): what setsockopt has set
        self.sndbuf, self.rcvbuf = net.common.wmem_default, net.common.rmem_default
        self.receive_ns: int | None = None
        self.send_ns: int | None = None
        self.peek_off = -1
        self.linger = (0, 0)
        self.device = b""  # SO_BINDTODEVICE
        self.file: File | None = None  # once it is open

    @property
    def namespaces(self) -> list[Namespace]:
        return [one.net.namespace for one in (self, *self.embryos)]

    @property
    def st_nlink(self) -> int:
        return 1

    @property
    def is_stream(self) -> bool:
        """Whether bytes are joined; else a message keeps its bounds."""
        return self.socket_type == SOCK_STREAM

    @property
    def is_datagram(self) -> bool:
        """Whether it needs no connection."""
        return self.socket_type == SOCK_DGRAM

    @property
    def listens(self) -> bool:
        """Whether connections are accepted here."""
        return False

    @property
    def available(self) -> int:
        """Bytes that FIONREAD counts: of messages, the first one's. Errors: EINVAL (it listens)."""
        if self.listens:
            raise SyscallError(errno.EINVAL)
        if self.is_datagram:
            return len(self.queue[0].data) if self.queue else 0
        return sum(len(packet.data) for packet in self.queue)

    @property
    def has_more(self) -> bool:
        """Whether a stream is known to have something for the next call: bytes, or its end."""
        return False

    @property
    def unsent(self) -> int:
        """Bytes that SIOCOUTQ counts: what was sent and not yet read."""
        return 0

    def option(self, level: int, name: int, default: int = 0) -> int:
        """Return an option as it was set."""
        return self.options.get((level, name), default)

    # ---- errors ----

    def take_error(self) -> int:
        """Return the errno that was noted, or 0, and forget it."""
        found, self.error = self.error, 0
        return found

    def raise_error(self) -> None:
        """Report the errno that was noted. Errors: that one."""
        if self.error:
            raise SyscallError(self.take_error())

    # ---- calls ----

    def bind(self, task: Caller, address: bytes) -> None:
        """Give the socket a name. Errors: EOPNOTSUPP."""
        raise SyscallError(errno.EOPNOTSUPP)

    def listen(self, task: Caller, backlog: int) -> None:
        """Let others connect. Errors: EOPNOTSUPP."""
        raise SyscallError(errno.EOPNOTSUPP)

    def connect(self, task: Caller, address: bytes) -> None:
        """Find the other end. Errors: EOPNOTSUPP, MustWait."""
        raise SyscallError(errno.EOPNOTSUPP)

    def connect_later(self, task: Caller, address: bytes) -> None:
        """As connect, of a file that does not wait: EINPROGRESS where Linux says so."""
        self.connect(task, address)

    def accept(self) -> Socket:
        """Return the first of those that connected. Errors: EOPNOTSUPP, MustWait."""
        raise SyscallError(errno.EOPNOTSUPP)

    @property
    def own_name(self) -> bytes:
        """Its struct sockaddr."""
        return self.family.to_bytes(2, "little")

    @property
    def peer_name(self) -> bytes:
        """The struct sockaddr of the other end. Errors: ENOTCONN."""
        raise SyscallError(errno.ENOTCONN)

    def shutdown(self, ways: int) -> None:
        """End reading (NO_READS), writing (NO_WRITES) or both. Errors: EOPNOTSUPP, ENOTCONN."""
        raise SyscallError(errno.EOPNOTSUPP)

    def send(self, task: Caller, packet: Packet, to: bytes | None, flags: int) -> int:
        """Send a packet, to an address or the other end; return how many bytes of it went.

        Errors: EOPNOTSUPP, MustWait.
        """
        raise SyscallError(errno.EOPNOTSUPP)

    def look(self, nbytes: int, flags: int) -> Received:
        """Return what would be received; it stays. Errors: EOPNOTSUPP, MustWait."""
        raise SyscallError(errno.EOPNOTSUPP)

    def take(self, nbytes: int, flags: int) -> None:
        """Drop nbytes of what look() has found, or its message."""

    def peeks_from(self, flags: int) -> int:
        """Return how many bytes in front a call with these flags does not look at."""
        return max(self.peek_off, 0) if flags & MSG_PEEK else 0

    def peeked(self, found: Received, flags: int) -> None:
        """Note that a call with MSG_PEEK has shown what it found."""
        self.move_peek(len(found.data))

    def move_peek(self, nbytes: int) -> None:
        """Let the next call with MSG_PEEK look nbytes further on, or (below 0) nearer."""
        if self.peek_off >= 0:
            self.peek_off = max(self.peek_off + nbytes, 0)

    # ---- as a file ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        if not nbytes:
            return b""
        try:
            found = self.look(nbytes, MSG_DONTWAIT if waits(file) is Wait.NEVER else 0)
        except MustWait:
            sleep(self, waits(file))
        self.take(len(found.data), 0)
        return found.data

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        try:
            return self.send(task, Packet(data), None, 0)
        except MustWait:
            sleep(self, waits(file))

    def ioctl(self, task: Caller, file: File, request: int, arg: int) -> int:
        answer: int = load("pkern.kernel.net.ioctl").ioctl(self, task, request, arg)
        return answer

    def wake(self, bits: int = ANYTHING) -> None:
        """Let those who wait for this socket look again: POLL* bits may have become true."""
        wake(self, bits)

    def urgent(self) -> None:
        """Tell who has it open that urgent data has come."""
        self.wake(POLLPRI)
        if self.file is not None:
            self.kernel.tell_urgent(self.file)

    def file_closed(self, file: File) -> None:
        self.file = None
        self.discard()

    def discard(self) -> None:
        """Be gone: nobody has it open, or ever will."""
        self.closed = True
        self.release()
        self.net.closed(self)

    def leave_peer(self, error: int) -> None:
        """Let the other end know that there is none any more. error: if something was lost."""

    def release(self) -> None:
        """Let go of the other end, of names and of what was not read."""
        self.drop_queue()

    def settle(self, packet: Packet) -> None:
        """Note that a packet is in the queue no more: its files and its sender hear of it."""
        self.land_files(packet)

    def land_files(self, packet: Packet) -> None:
        """Take the files out of a packet: they were received, or nobody will."""
        files, packet.files = packet.files, ()
        for file in files:
            self.net.common.landed(file, packet.uid)

    def drop_queue(self) -> None:
        """Drop what nobody will read."""
        while self.queue:
            self.settle(self.queue.popleft())

    def poll_ends(self) -> int:
        """Return the POLL* bits of error and of what is shut down."""
        ready = POLLERR if self.error else 0
        ready |= POLLHUP if self.shut == BOTH else 0
        return ready | (POLLRDHUP | POLLIN if self.shut & NO_READS else 0)

    def meet(self, task: Caller) -> None:
        """Have a task's process at the other end, as it is now."""
        self.peer_creds = self.creds_of(task)
        self.peer_process = self.kernel.tasks.get(task.tgid)

    def creds_of(self, task: Caller) -> Creds:
        """Return who a task is to who asks for SO_PEERCRED."""
        return Creds(task.tgid, task.cred.euid, task.cred.egid)


def open_socket(socket: Socket, task: Caller, flags: int) -> File:
    """Return an open file of a socket. flags: O_NONBLOCK. Errors: ENFILE."""
    kernel = socket.kernel
    path = f"socket:[{socket.ino}]"
    try:
        socket.file = kernel.vfs.register(File(kernel, socket, path, O_RDWR | flags, task))
        return socket.file
    except BaseException:
        socket.discard()
        raise
