"""System V message queues: messages by type, and who waits to send or to receive.

A message that somebody waits for goes to him at once; the queue never holds one that a receiver in
its list could take. Order and times follow ipc/msg.c of Linux 6.18.
"""

from __future__ import annotations

import errno
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.ipc.ipc import IpcObject, IpcTable

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

MSGMNI, MSGMAX, MSGMNB = 32000, 8192, 16384


class Message(NamedTuple):
    """One message: its type, from 1, and its text."""

    type: int
    text: bytes


class Search(Enum):
    """Which messages a receiver wants, of a number that it names."""

    ANY = "the first"
    TYPE = "the first of the type"
    OTHER = "the first of another type"
    LOWEST = "the first of the lowest type up to this one"
    PLACE = "the one at this place"


class Receiver:
    """A call that wants a message, and the one it got; errno: why it got none."""

    def __init__(
        self, task: Caller, queue: MessageQueue, search: Search, wanted: int, most: int
    ) -> None:
        self.pid, self.tgid = task.pid, task.tgid
        self.queue = queue
        self.search = search
        self.wanted = wanted
        self.most = most  # bytes
        self.message: Message | None = None
        self.errno = 0

    def takes(self, message: Message) -> bool:
        """Tell whether a message is of those it wants."""
        return {
            Search.TYPE: message.type == self.wanted,
            Search.OTHER: message.type != self.wanted,
            Search.LOWEST: message.type <= self.wanted,
        }.get(self.search, True)


class Sender:
    """A call that has a message to send."""

    def __init__(self, pid: int, queue: MessageQueue, message: Message) -> None:
        self.pid = pid
        self.queue = queue
        self.message = message


class MessageQueue(IpcObject):
    """One queue. most: bytes it may hold; as many messages, for the empty ones."""

    def __init__(self, kernel: Machine, task: Caller, key: int, flags: int, most: int) -> None:
        super().__init__(kernel, task, key, flags)
        self.most = most
        self.messages: deque[Message] = deque()
        self.nbytes = 0
        self.stime = self.rtime = 0  # seconds: the last message sent, and received
        self.last_sender = self.last_receiver = 0
        self.senders: list[Sender] = []
        self.receivers: list[Receiver] = []

    def fits(self, message: Message) -> bool:
        """Tell whether there is room for a message."""
        return self.nbytes + len(message.text) <= self.most and len(self.messages) < self.most

    def send(self, message: Message, pid: int) -> None:
        """Hand a message to the first who waits for it, or keep it."""
        self.last_sender, self.stime = pid, self.now()
        for receiver in [one for one in self.receivers if one.takes(message)]:
            self.receivers.remove(receiver)
            if receiver.most < len(message.text):
                receiver.errno = errno.E2BIG
                self.kernel.wake(receiver)
                continue
            self.last_receiver, self.rtime = receiver.tgid, self.now()
            receiver.message = message
            self.kernel.wake(receiver)
            return
        self.messages.append(message)
        self.nbytes += len(message.text)

    def find(self, receiver: Receiver) -> int | None:
        """Return the place of the message that a receiver wants, None if there is none."""
        if receiver.search is Search.PLACE:
            return receiver.wanted if 0 <= receiver.wanted < len(self.messages) else None
        fitting = [place for place, one in enumerate(self.messages) if receiver.takes(one)]
        if receiver.search is Search.LOWEST:
            return min(fitting, key=lambda place: self.messages[place].type, default=None)
        return fitting[0] if fitting else None

    def take(self, place: int, pid: int) -> Message:
        """Remove a message; senders whose message fits now look again."""
        message = self.messages[place]
        del self.messages[place]
        self.nbytes -= len(message.text)
        self.last_receiver, self.rtime = pid, self.now()
        self.wake_senders()
        return message

    def wake_senders(self) -> None:
        """Wake those whose message fits; the others go to the end. Source: ss_wakeup()."""
        fitting = [one for one in self.senders if self.fits(one.message)]
        stuck = [one for one in self.senders if not self.fits(one.message)]
        self.senders = fitting + stuck
        for sender in fitting:
            self.kernel.wake(sender)

    def changed(self) -> None:
        """Let all who wait look again: rights or room are others."""
        for receiver in self.receivers:
            self.kernel.wake(receiver)
        self.wake_senders()

    def end(self) -> None:
        """Let all who wait find that the queue is gone."""
        for one in [*self.receivers, *self.senders]:
            self.kernel.wake(one)


class Messages:
    """The queues of one machine, who waits at them, and what bounds them (kernel.msg*)."""

    def __init__(self, kernel: Machine) -> None:
        self._kernel = kernel
        self.table: IpcTable[MessageQueue] = IpcTable(MSGMNI)
        self.most_bytes = MSGMNB  # of a new queue
        self.most_text = MSGMAX  # bytes of a message
        self._waiting: dict[int, Sender | Receiver] = {}  # by pid

    def get(self, task: Caller, key: int, flags: int) -> int:
        """Return the id for a key, made if asked. Errors: ENOENT, EEXIST, EACCES, ENOSPC."""
        return self.table.find(
            task,
            key,
            flags,
            lambda found: True,
            lambda: MessageQueue(self._kernel, task, key, flags, self.most_bytes),
        )

    def remove(self, gone: MessageQueue) -> None:
        """Remove a queue; who waits at it gets EIDRM."""
        self.table.remove(gone)
        gone.end()

    def wait(self, call: Sender | Receiver) -> None:
        """Let a call wait at its queue."""
        self._waiting[call.pid] = call
        if isinstance(call, Sender):
            call.queue.senders.append(call)
        else:
            call.queue.receivers.append(call)

    def leave(self, pid: int) -> None:
        """Note that a process does not wait any more, whatever the reason."""
        call = self._waiting.pop(pid, None)
        if isinstance(call, Sender) and call in call.queue.senders:
            call.queue.senders.remove(call)
        elif isinstance(call, Receiver) and call in call.queue.receivers:
            call.queue.receivers.remove(call)

    def send(self, task: Caller, call: Sender) -> bool:
        """Send a message; False: there is no room. Errors: EIDRM, EACCES."""
        queue = self._ready(task, call, 0o222)
        if not queue.fits(call.message):
            return False
        queue.send(call.message, task.tgid)
        return True

    def receive(self, task: Caller, call: Receiver) -> int | None:
        """Return the place of a message that fits, None if none does. Errors: EIDRM, EACCES."""
        return self._ready(task, call, 0o444).find(call)

    def _ready(self, task: Caller, call: Sender | Receiver, rights: int) -> MessageQueue:
        if call.queue.id < 0:
            raise SyscallError(errno.EIDRM)
        call.queue.need(task, rights)
        return call.queue
