"""POSIX message queues: files without a directory, messages by priority, one notification.

Who waits to send waits with his message: the receiver that makes room puts it in. Source:
ipc/mqueue.c of Linux 6.18.
"""

from __future__ import annotations

import errno
from bisect import insort
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import FROM_START, POLLIN, POLLOUT, UNWRITTEN, Inode
from pkern.kernel.vfs.readiness import wake

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller, Machine

HARD_MSGMAX, HARD_MSGSIZEMAX = 65536, 16 << 20
MQ_PRIO_MAX = 32768
NODE_BYTES = 48  # of struct msg_msg, and of struct posix_msg_tree_node
NAME_MAX = 255
FILE_BYTES = 80  # st_size
SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD = 0, 1, 2
ULONG_MAX = (1 << 64) - 1


class Sort(NamedTuple):
    """How messages stand in a queue, and calls at it: the higher first, then the older."""

    rank: int
    number: int


class Message(NamedTuple):
    """One message of a queue."""

    order: Sort
    priority: int
    text: bytes


class Call:
    """A call that waits: a sender has a message, a receiver gets one. done: it need not wait."""

    def __init__(self, pid: int, nice: int, deadline: int | None, message: Message | None) -> None:
        self.pid = pid
        self.nice = nice
        self.deadline = deadline
        self.message = message
        self.done = False
        self.queues: Queues | None = None  # where it waits


class Notification(NamedTuple):
    """Who is told of a message that comes into an empty queue, and how."""

    pid: int
    kind: int
    signo: int
    value: int


class QueueInode(Inode):
    """One queue. charge: bytes that its maker's RLIMIT_MSGQUEUE is charged with."""

    lacks = UNWRITTEN
    can_epoll = True
    whences = FROM_START

    kind = "mqueue"
    noexec = True

    def __init__(self, queues: Queues, task: Caller, mode: int, most: int, size: int) -> None:
        super().__init__(queues.kernel, mode, task.uid, task.gid)
        self.queues = queues
        self.most = most
        self.message_bytes = size
        self.charge = charge(most, size)
        self.charged = task.uid
        self.messages: list[Message] = []
        self.senders: list[Call] = []
        self.receivers: list[Call] = []
        self.notification: Notification | None = None
        self._number = 0

    @property
    def size(self) -> int:
        return FILE_BYTES

    def new_message(self, priority: int, text: bytes) -> Message:
        """Return a message that stands behind those of its priority."""
        self._number += 1
        return Message(Sort(-priority, self._number), priority, text)

    # ---- messages ----

    def send(self, message: Message, told: Callable[[Notification], None]) -> None:
        """Hand a message to who waits longest for one, or keep it and tell who asked for that."""
        if self.receivers:
            receiver = self._first(self.receivers)
            receiver.message, receiver.done = message, True
            self.kernel.wake(receiver)
        else:
            insort(self.messages, message)
            self._notify(told)
        self.modified()
        self.accessed()

    def _notify(self, told: Callable[[Notification], None]) -> None:
        found = self.notification
        if found is not None and len(self.messages) == 1:
            self.notification = None
            told(found)
        wake(self, POLLIN)

    def receive(self) -> Message:
        """Take the first message; a sender that waits puts his into the room."""
        message = self.messages.pop(0)
        if self.senders:
            sender = self._first(self.senders)
            assert sender.message is not None
            late = self.new_message(sender.message.priority, sender.message.text)
            insort(self.messages, late)
            sender.done = True
            self.kernel.wake(sender)
        else:
            wake(self, POLLOUT)
        self.modified()
        self.accessed()
        return message

    def _first(self, queue: list[Call]) -> Call:
        """Take who comes first: by nice, then by age."""
        first = min(queue, key=lambda call: call.nice)
        queue.remove(first)
        return first

    def leave(self, call: Call) -> None:
        """Let a call wait no more."""
        for queue in (self.senders, self.receivers):
            if call in queue:
                queue.remove(call)

    # ---- as a file ----

    def descriptor_closed(self, pid: int) -> None:
        """Forget the notification of a process that closes a descriptor, any one."""
        if self.notification is not None and self.notification.pid == pid:
            self.notification = None

    def released(self) -> None:
        super().released()
        if self.nlink <= 0 and self.open_count <= 0:
            self.queues.forget(self)

    def poll(self, file: File) -> int:
        ready = POLLIN if self.messages else 0
        return ready | (POLLOUT if len(self.messages) < self.most else 0)

    def read(self, pos: int, nbytes: int) -> bytes:
        """Return what the file of a queue says."""
        held = sum(len(one.text) for one in self.messages)
        found = self.notification
        is_signal = found is not None and found.kind == SIGEV_SIGNAL
        kind, signo = (found.kind if found else 0), (found.signo if found and is_signal else 0)
        pid = found.pid if found else 0
        text = f"QSIZE:{held:<10d} NOTIFY:{kind:<5d} SIGNO:{signo:<5d} NOTIFY_PID:{pid:<6d}\n"
        return text.encode()[pos : pos + nbytes]


def charge(most: int, size: int) -> int:
    """Return what a queue counts for, bytes. Errors: EOVERFLOW."""
    total = most * size + (most + min(most, MQ_PRIO_MAX)) * NODE_BYTES
    if total > ULONG_MAX:
        raise SyscallError(errno.EOVERFLOW)
    return total


class Queues:
    """The queues of one machine by name, and what bounds them (fs.mqueue.*)."""

    def __init__(self, kernel: Machine) -> None:
        self.kernel = kernel
        self._by_name: dict[str, QueueInode] = {}
        self._alive: list[QueueInode] = []  # also those without a name that are open
        self.most_queues, self.most_messages, self.most_bytes = 256, 10, 8192
        self.default_messages, self.default_bytes = 10, 8192
        self._waiting: dict[int, tuple[QueueInode, Call]] = {}  # by pid

    def lookup(self, name: str) -> QueueInode | None:
        """Return the queue of a name. Errors: EACCES (what cannot be one), ENAMETOOLONG."""
        if "/" in name or name in (".", ".."):
            raise SyscallError(errno.EACCES)
        if len(name.encode("utf-8", "surrogateescape")) > NAME_MAX:
            raise SyscallError(errno.ENAMETOOLONG)
        return self._by_name.get(name)

    def make(self, task: Caller, name: str, mode: int, wish: tuple[int, int] | None) -> QueueInode:
        """Make a queue. wish: messages and bytes of one, None: fs.mqueue's defaults.

        Errors: ENOSPC (too many queues), EINVAL (a wish out of range), EOVERFLOW.
        """
        rich = task.capable("CAP_SYS_RESOURCE")
        if len(self._alive) >= self.most_queues and not rich:
            raise SyscallError(errno.ENOSPC)
        most, size = wish or (
            min(self.most_messages, self.default_messages),
            min(self.most_bytes, self.default_bytes),
        )
        bounds = (HARD_MSGMAX, HARD_MSGSIZEMAX) if rich else (self.most_messages, self.most_bytes)
        if not (0 < most <= bounds[0] and 0 < size <= bounds[1]):
            raise SyscallError(errno.EINVAL)
        made = QueueInode(self, task, mode & ~task.umask, most, size)
        self._by_name[name] = made
        self._alive.append(made)
        made.name = name
        return made

    def charged(self, uid: int) -> int:
        """Return the bytes that a user's queues count for."""
        return sum(queue.charge for queue in self._alive if queue.charged == uid)

    def unlink(self, queue: QueueInode) -> None:
        """Take the name away; the queue goes with its last descriptor."""
        del self._by_name[queue.name]
        queue.nlink = 0
        queue.released()

    def forget(self, queue: QueueInode) -> None:
        """Note that a queue is gone."""
        self._alive.remove(queue)

    def wait(self, queue: QueueInode, call: Call) -> None:
        """Let a call wait at a queue."""
        self._waiting[call.pid] = queue, call
        call.queues = self
        (queue.receivers if call.message is None else queue.senders).append(call)

    def leave(self, pid: int) -> None:
        """Note that a process does not wait any more, whatever the reason."""
        queue, call = self._waiting.pop(pid, (None, None))
        if queue is not None and call is not None:
            queue.leave(call)
