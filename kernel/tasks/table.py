"""The tasks of one machine: who there is, by pid, which pid comes next, which are processes.

And who is told of what becomes of them: nobody, unless events are looked at.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.pid import FIRST_NUMBER
from pkern.kernel.tasks.signal.signals import Queued
from pkern.kernel.typed import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Face, Scheduler
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task

RESERVED_PIDS = 300  # where pids begin again behind pid_max

THREADS_MAX = 16384  # at boot


class TaskTable(dict[int, "Task"]):
    """Every task by its pid, until it is reaped.

    init: who gets the orphans. forks: tasks ever made. dead_cpu_ns: what the reaped ones had run.
    nice_ns: what tasks ran while their nice value was above 0.
    of_user: how many tasks a real uid has, zombies too. queued: what waits for a user's processes.
    """

    def __init__(self) -> None:
        super().__init__()
        self.init: Task | None = None
        self.pid_max = 32768
        self.io_uring_disabled, self.io_uring_group = 0, -1  # kernel.io_uring_*
        self.ring_pages: dict[int, int] = {}  # by user: of their rings, against RLIMIT_MEMLOCK
        self.ptrace_scope = 0  # kernel.yama.ptrace_scope
        self.threads_max = THREADS_MAX
        self.last_pid = 0
        self.forks = 0
        self.logins = 0  # that /proc/PID/loginuid has told of
        self.autogroup_ns = 0  # until when those without rights wait with a change
        self.dead_cpu_ns = 0
        self.nice_ns = 0
        self.of_user: dict[int, int] = {}
        self.queued = Queued()

    def next_pid(self) -> int:
        """Return a pid that no task has; the first ones are not given again. Errors: EAGAIN."""
        self._need_room()
        pid = self.last_pid + 1
        for _ in range(len(self) + RESERVED_PIDS):
            if pid >= self.pid_max:
                pid = RESERVED_PIDS
            if pid not in self:
                self.last_pid = pid
                self.forks += 1
                return pid
            pid += 1
        raise SyscallError(errno.EAGAIN)

    def _need_room(self) -> None:
        """Refuse one thread more than kernel.threads-max. Errors: EAGAIN."""
        if len(self) >= self.threads_max:
            raise SyscallError(errno.EAGAIN)

    def use_pid(self, pid: int) -> int:
        """Take a pid that is asked for. Errors: EEXIST, EINVAL (beyond pid_max), EAGAIN."""
        self._need_room()
        if not 0 < pid < self.pid_max:
            raise SyscallError(errno.EINVAL)
        if pid in self:
            raise SyscallError(errno.EEXIST)
        self.forks += 1
        return pid

    def processes(self) -> list[Task]:
        """Return one task of each process: the leader, or who lives on behind it."""
        return [task.group.face() for task in self.values() if task is task.group.leader]

    def enter(self, task: Task, wanted: Sequence[int] = ()) -> None:
        """Let a task be found by its pid, and count for its user, from now on.

        wanted: the numbers that it is to have in its pid namespace and those above; else the next.
        """
        if task.pid_ns.level:
            for space, number in task.pid_ns.wishes(wanted):
                if space.enter(task.pid, number) == FIRST_NUMBER:
                    space.reaper = task.group
        self[task.pid] = task
        self.count_user(task.cred.uid, 1)

    def count_user(self, uid: int, change: int) -> None:
        """Note that a user (a real id) has one task more or fewer."""
        self.of_user[uid] = self.of_user.get(uid, 0) + change

    def _forget_user(self, task: Task) -> None:
        """Let a task, and the signals that wait for it alone, count for its user no more."""
        self.count_user(task.cred.uid, -1)
        if task.signals.own.infos:
            task.signals.own.clear()

    def replace(self, old: Task, task: Task) -> None:
        """Let a task have the number, and the place, of a dead one."""
        del self[task.pid]
        task.pid = old.pid
        task.forget_answers()
        self[task.pid] = task
        if task.pid_ns.level:
            self._forget_numbers(task)
        self._forget_user(old)
        self.dead_cpu_ns += old.thread.cpu_ns

    def release(self, task: Task) -> None:
        """Forget a dead task."""
        if self.get(task.pid) is task:
            del self[task.pid]
            if task.pid_ns.level:
                self._forget_numbers(task)
            self._forget_user(task)
            self.dead_cpu_ns += task.runner.cpu_ns

    def _forget_numbers(self, task: Task) -> None:
        """Let the numbers go, of the namespaces that a task is in, that nobody has any more."""
        groups = {number for one in self.processes() for number in (one.pgid, one.sid)}
        for space in task.pid_ns.upwards():
            space.forget(groups | self.keys())


class Watch:
    """Who is told of what has no part of the machine to itself. While nobody looks, nobody is."""

    def booted(self, scheduler: Scheduler) -> None:
        """There is a scheduler from now on."""

    def joined(self, face: Face) -> None:
        """A Python program makes its calls through this from now on."""

    def cloned(self, origin: Task, task: Task, flags: int) -> None:
        """There is a new task. flags: CLONE_*."""

    def renamed(self, task: Task, old: str) -> None:
        """A task has another name."""

    def generated(self, task: Task, info: SigInfo, group: int, result: int) -> None:
        """A signal was sent, to the process (group: 1) or the thread. result: GENERATED.*."""

    def executed(self, task: Task, old_pid: int, old_name: str) -> None:
        """A task runs another program."""

    def faulted(self) -> None:
        """Machine code has stopped behind a fault, for who wants to see the machine there."""
