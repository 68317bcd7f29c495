"""A listener of a filter: a file by which one task answers the system calls of others.

Owns the notices: calls that a filter has given away, each of a task that waits for its answer. A
notice is new, then received, then answered; it goes with the wait of its task.
Source: seccomp_unotify(2), Linux 6.18 kernel/seccomp.c.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import Enum
from pkern.kernel.vfs.file import O_RDWR, File
from pkern.kernel.vfs.inode import NEITHER, POLLIN, POLLOUT, AnonInode
from pkern.kernel.vfs.readiness import POLLHUP, wake
from pkern.kernel.wait import Restart, WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE


class State(Enum):
    """How far a notice is."""

    NEW = "nobody has received it"
    SENT = "its answer is awaited"
    ANSWERED = "its task may go on"


class Notice:
    """One call that waits. data: struct seccomp_data. value, error, flags: the answer."""

    def __init__(self, number: int, task: Task, data: bytes) -> None:
        self.id, self.task, self.data = number, task, data
        self.state = State.NEW
        self.value = self.error = self.flags = 0

    def answer(self, value: int, error: int, flags: int) -> None:
        """Let the task go on with an answer."""
        self.value, self.error, self.flags = value, error, flags
        self.state = State.ANSWERED
        self.task.kernel.wake(self)


class Listener(AnonInode):
    """The notices of one filter. killable: 1: a received one can be interrupted by SIGKILL only."""

    lacks = NEITHER
    can_seek = False

    def __init__(self, kernel: Machine, killable: int) -> None:
        super().__init__(kernel, 0o600)
        self.killable = killable
        self._table = kernel.tasks
        self.closed = False
        self.notices: dict[int, Notice] = {}  # by id, in the order in which they came
        self._ids = int.from_bytes(kernel.random.take(8), "little")

    # ---- whose calls they are ----

    def ask(self, task: Task, data: bytes) -> Notice:
        """Return the answer to a task's call. Errors: ENOSYS: nobody listens; WouldBlock."""
        notice = task.thread.progress
        if not isinstance(notice, Notice):
            if self.closed:
                raise SyscallError(errno.ENOSYS)
            notice = self._new(task, data)
        if notice.state is not State.ANSWERED:
            sent = notice.state is State.SENT and self.killable
            raise WouldBlock(
                notice,
                progress=notice,
                restart=Restart.NEVER if sent else Restart.ANEW,
                interrupted=lambda: self._forget(notice),
            )
        self._forget(notice)
        return notice

    def _new(self, task: Task, data: bytes) -> Notice:
        self._ids = (self._ids + 1) % (1 << 64)
        notice = self.notices[self._ids] = Notice(self._ids, task, data)
        wake(self, POLLIN)
        return notice

    def _forget(self, notice: Notice) -> None:
        self.notices.pop(notice.id, None)

    def _of(self, state: State) -> Notice | None:
        """Return the first notice in a state whose task still waits."""
        for number, notice in list(self.notices.items()):
            if not notice.task.alive:
                del self.notices[number]
            elif notice.state is state:
                return notice
        return None

    @property
    def is_used(self) -> bool:
        """Whether a task has the filter."""
        filtered = (task.seccomp for task in self._tasks() if task.seccomp is not None)
        return any(self in seccomp.listeners for seccomp in filtered)

    def _tasks(self) -> list[Task]:
        return [task for task in self._table.values() if task.alive]

    # ---- who answers ----

    def receive(self) -> Notice:
        """Return the first new notice. Errors: ENOENT (its filter is nobody's), WouldBlock."""
        notice = self._of(State.NEW)
        if notice is None:
            if not self.is_used:
                raise SyscallError(errno.ENOENT)
            raise WouldBlock(self)
        notice.state = State.SENT
        notice.task.kernel.wake(notice)  # whose wait may be another one now
        wake(self, POLLOUT)
        return notice

    def take_back(self, notice: Notice) -> None:
        """Let a notice be received again: it could not be stored."""
        notice.state = State.NEW
        wake(self, POLLIN)

    def sent(self, number: int, none: int, early: int) -> Notice:
        """Return a notice whose answer is awaited. none, early: errnos for none, and a new one."""
        notice = self.notices.get(number)
        if notice is None or not notice.task.alive:
            raise SyscallError(none)
        if notice.state is not State.SENT:
            raise SyscallError(early)
        return notice

    # ---- as a file ----

    def poll(self, file: File) -> int:
        ready = POLLIN if self._of(State.NEW) else 0
        ready |= POLLOUT if self._of(State.SENT) else 0
        return ready | (0 if self.is_used else POLLHUP)

    def file_closed(self, file: File) -> None:
        """Nobody listens any more: ENOSYS for whoever waits, and from now on."""
        self.closed = True
        for notice in list(self.notices.values()):
            if notice.state is not State.ANSWERED:
                notice.answer(0, -errno.ENOSYS, 0)


def open_listener(kernel: Machine, task: Caller, killable: int) -> tuple[Listener, File]:
    """Return a listener and its open file. Errors: ENFILE."""
    inode = Listener(kernel, killable)
    return inode, kernel.vfs.register(
        File(kernel, inode, "anon_inode:seccomp notify", O_RDWR, task)
    )
