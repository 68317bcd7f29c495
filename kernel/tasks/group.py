"""A thread group: what Linux's programs call a process.

    Group            tgid, threads, signals for any of them, limits, timers, times, children,
      |              parent, process group, session and terminal, how it ended
    Task, Task, ...  a thread: pid, registers, mask, signals for it alone, credentials, name
      |
    mm  fds  fs  handlers  undo   shared by whoever was cloned so; each counts its users

Who leads a group is a task like the others, with the group's number for its own. It stays, dead,
until the last thread has ended: only then is the group's end told to the parent, and the leader is
what the parent waits for and reaps. Any other thread is forgotten when it ends.

Invariants (T1 to T4 of docs/invariants.md, recounted by check.py): threads holds each task of the
group that is in the table, and those only; live is how many of them have not ended; a shared
object's users are the live tasks that have it.
"""

from __future__ import annotations

from _weakref import ref

from pkern.kernel.core import ffi
from pkern.kernel.tasks import news
from pkern.kernel.tasks.attributes import IoCounters
from pkern.kernel.tasks.children import Children
from pkern.kernel.tasks.groups import release_orphans
from pkern.kernel.tasks.rlimits import LIMITS, Rlimits
from pkern.kernel.tasks.signal.signals import (
    SI_KERNEL,
    SI_USER,
    SIGCHLD,
    SIGKILL,
    Pending,
    SigInfo,
    send,
)
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.thread import Interval
    from pkern.kernel.tasks.times.cpu_clocks import CpuSleep
    from pkern.kernel.tasks.times.posix_timers import PosixTimer, PosixTimers
    from pkern.kernel.tasks.trace import Trace


class Times(NamedTuple):
    """Processor time (nanoseconds), minor and major faults, and the most resident pages."""

    cpu_ns: int = 0
    minor: int = 0
    major: int = 0
    max_rss: int = 0

    def with_(self, other: Times) -> Times:
        """Return both together."""
        if self is NOTHING:
            return other
        if other is NOTHING:
            return self
        return Times(
            self.cpu_ns + other.cpu_ns,
            self.minor + other.minor,
            self.major + other.major,
            max(self.max_rss, other.max_rss),
        )


NOTHING = Times()


class Group:
    """The threads of one process, and what they have in common.

    origin: the group whose thread it is cloned from; None: it starts afresh. gone: what threads
    that were forgotten had used. waited_for: what children did that were, with their own.
    exit_code: as wait4 reports it, once the whole process was told to end or its last thread has.
    """

    __slots__ = (
        "_leader", "autogroup_nice", "children", "clocked", "continued", "cpu_ns", "ended",
        "executes", "exit_code", "exit_signal", "gone", "gone_io", "kernel", "last_told", "limits",
        "live", "max_rss", "oom_score_adj", "oom_score_adj_min", "parent", "pending", "pgid", "pid",
        "posix_timers", "ptracer", "restores_timer_ids", "rlimits", "sid", "stop_seen",
        "subreaper", "threads", "timers", "tracees", "tty", "waited_for",
    )  # fmt: skip

    def __init__(self, kernel: Machine, leader: Task, origin: Group | None) -> None:
        self.kernel = kernel
        self._leader: Callable[[], Any] = ref(leader)  # threads has it, until it is reaped
        self.pid = leader.pid  # its number, which whoever leads it has
        self.threads: dict[int, Task] = {}  # by pid, in the order in which they came
        self.live = 0
        self.tracees: dict[Task, Trace] = {}  # of its threads, in the order in which they came
        self.last_told: Task | None = None  # which thread the last signal of the process went to
        self.pending = Pending(kernel.tasks.queued)
        self.parent: Task | None = None  # the thread that made it, or who adopted it
        self.children = Children()
        self.executes: Task | None = None  # who takes the lead with another program, meanwhile
        self.exit_signal = SIGCHLD
        self.exit_code: int | None = None
        self.ended = 0  # 1: its last thread has gone
        self.stop_seen = self.continued = False  # what wait4 has still to report
        self.timers: dict[int, Interval] = {}  # by ITIMER_*, once one was asked for
        self.posix_timers: PosixTimers | None = None  # once one was made
        self.clocked: list[CpuSleep | PosixTimer] = []  # what waits for its processor time
        self.restores_timer_ids = 0  # 1: timer_create is told which number to give
        self.cpu_ns = 0  # of all its threads, ended ones too, but for the turn they are in
        self.gone = self.waited_for = NOTHING
        self.gone_io: IoCounters | None = None  # until a thread was forgotten
        self.max_rss = 0  # pages, of address spaces that it has left
        self.ptracer = 0  # PR_SET_PTRACER: who may trace it, too; -1: anybody
        self.subreaper = 0  # 1 while it adopts its descendants' orphans
        self.tty: Any
        self.limits: Any = ffi.new(LIMITS)
        if origin is None:
            self.rlimits = Rlimits.at_boot(self.limits)
            self.pgid = self.sid = leader.pid
            self.tty = None  # the controlling terminal's inode
            self.oom_score_adj = 0
            self.oom_score_adj_min = 0  # how low the unprivileged may set it
            self.autogroup_nice = 0  # the same in all of a session
        else:
            self.rlimits = origin.rlimits.copy(self.limits)  # and what the core knows of cred
            self.pgid, self.sid, self.tty = origin.pgid, origin.sid, origin.tty
            self.oom_score_adj = origin.oom_score_adj
            self.oom_score_adj_min = origin.oom_score_adj_min
            self.autogroup_nice = origin.autogroup_nice

    @property
    def leader(self) -> Task:
        """Who leads it; not to be asked for once it is reaped, unless one knows that thread."""
        return self._leader()  # type: ignore[no-any-return]

    def part(self) -> None:
        """Let Python begin the next turn of each thread: what its turns follow from changes.

        What that is: Scheduler.kin_of().
        """
        self.limits.kin = 0

    def move_to(self, parent: Task | None) -> None:
        """Have another parent than the one that threads may have asked for."""
        self.parent = parent
        for task in self.threads.values():
            task.forget_answers()

    @property
    def alive(self) -> bool:
        """Tell whether any thread has not ended."""
        return self.live > 0

    @property
    def exit_status(self) -> int | None:
        """How the process ended, as wait4 reports it; None while it lives."""
        return None if self.live else self.exit_code

    @property
    def has_news(self) -> bool:
        """Tell whether there may be something that the parent has not been told of yet."""
        if not self.live:
            return len(self.threads) <= 1  # is_zombie
        return self.continued or bool(self.leader.thread.stopped and not self.stop_seen)

    @property
    def is_zombie(self) -> bool:
        """Tell whether nothing is left but to wait for it: no tracer has a thread of it to reap."""
        return not self.live and len(self.threads) <= 1

    def living(self) -> list[Task]:
        """Return the threads that have not ended, in the order in which they came."""
        return [task for task in self.threads.values() if task.alive]

    def face(self) -> Task:
        """Return the leader, or who lives on behind a leader that has ended."""
        others = [] if self.leader.alive else self.living()
        return others[0] if others else self.leader  # the last one may be about to end

    # ---- threads come and go ----

    def join(self, task: Task) -> None:
        """Take a new thread in."""
        self.threads[task.pid] = task
        self.live += 1

    def thread_ends(self, wait_status: int) -> None:
        """Note how a thread ends; the last one to do so says how the process has."""
        if self.live == 1 and self.exit_code is None:
            self.exit_code = wait_status

    def thread_ended(self, task: Task) -> None:
        """Let go of a thread that has given everything back; with the last one the group ends."""
        self.live -= 1
        if self.executes is not None:
            self.kernel.wake(("executes", self))
        if self.tracees:
            self._let_tracees_go(task)
        if self.live and self.children:
            self._hand_on_children(task)
        if task.pid != self.pid:
            leave = self.forget if task.trace is None else self._tell_tracer
            leave(task)
        if not self.live:
            self._end()

    def _tell_tracer(self, task: Task) -> None:
        if task.trace is not None:
            status = self.exit_status if task is self.leader else task.exit_status
            news.tell_tracer_of_end(task.trace, status or 0)

    def _let_tracees_go(self, task: Task) -> None:
        """Trace no more what a thread that ends has traced. Source: exit_ptrace() of Linux."""
        for tracee, trace in list(self.tracees.items()):
            if trace.tracer is not task:
                continue
            kills = trace.kills
            self.release_tracee(tracee)
            if kills and tracee.alive:
                send(tracee, SigInfo(SIGKILL, SI_KERNEL))

    def release_tracee(self, tracee: Task) -> None:
        """Trace a task no more: it goes on, or its end is told to whom it concerns."""
        trace, group = tracee.trace, tracee.group
        assert trace is not None
        trace.end()
        if tracee.alive:
            if self.kernel.scheduler is not None and tracee.context is not None:
                self.kernel.scheduler.sleepers.go_on(tracee)
        elif tracee is not group.leader:
            group.forget(tracee)
        elif group.is_zombie and group.parent is not None and group.parent.group is not self:
            group.tell_parent()

    def forget(self, task: Task) -> None:
        """Forget a thread that has ended: nobody waits for it."""
        self._count_gone(task)
        del self.threads[task.pid]
        self.kernel.tasks.release(task)
        if self.executes is not None:
            self.kernel.wake(("executes", self))
        if self.is_zombie and self.kernel.tasks.get(self.pid) is self.leader and self.ended:
            self._tell_of_end(self.leader)

    def _count_gone(self, task: Task) -> None:
        self.gone = self.gone.with_(task.times)
        self.gone_io = (self.gone_io or IoCounters()).add(task.io)

    def take_lead(self, task: Task) -> None:
        """Let a thread, by now the only one that lives, lead and have the leader's number."""
        old = self.leader
        if task is old:
            return
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.show_end(old)
        self._count_gone(old)
        self.kernel.tasks.replace(old, task)
        task.take_pidfds(old)
        self._leader = ref(task)
        self.threads = {task.pid: task}

    # ---- the end ----

    def exit(self, status: int) -> None:
        """End every thread, the leader last; a no-op on a process that has ended or is at it."""
        if not self.live:
            return
        if self.exit_code is None:
            self.exit_code = status
        self.executes = None
        leader = self.leader
        for task in self.living() if len(self.threads) > 1 else ():
            if task is not leader:
                task.end_thread(self.exit_code)
        leader.end_thread(self.exit_code)

    def drop_posix_timers(self) -> None:
        """Forget the timers of POSIX: the process ends, or runs another program."""
        if self.posix_timers is not None:
            self.posix_timers.delete_all()
            for pending in (self.pending, *(one.signals.own for one in self.threads.values())):
                pending.discard_timers()

    def _end(self) -> None:
        leader = self.leader
        if self.posix_timers is not None:
            self.drop_posix_timers()
        if self.tty is not None and self.sid == self.pid:
            self.tty.leader_left()
        if leader.pid_ns.reaper is self:
            self._end_namespace(leader.pid_ns)
        children = self.children
        if children:
            self._orphan_children()
        release_orphans(self, children)
        self.ended = 1
        if self.is_zombie:
            self._tell_of_end(leader)
        if leader.pid_inode is not None:
            leader.tell_pidfds()

    def _end_namespace(self, space: PidNamespace) -> None:
        """End all processes of the pid namespace whose first one this is, and those below it.

        Source: zap_pid_ns_processes() of Linux 6.18.
        """
        space.ended = 1
        for task in list(self.kernel.tasks.values()):
            if task.alive and task.pid_ns.is_seen_from(space):
                task.die_of(SIGKILL)

    def _tell_of_end(self, leader: Task) -> None:
        """Tell the tracer of the leader, who tells on when it has heard of it, or the parent."""
        trace = leader.trace
        family = self.parent.group if self.parent is not None else None
        if trace is not None and trace.tracer.group is not family:
            self._tell_tracer(leader)
        else:
            self.tell_parent()

    def reap(self) -> None:
        """Forget a process that has ended."""
        leader, self.last_told = self.leader, None
        if leader.trace is not None:
            leader.trace.end()
        self.gone = self.times
        self.threads.pop(self.pid, None)
        if self.pending.infos:
            self.pending.clear()
        self.kernel.tasks.release(leader)
        if leader.pid_inode is not None:
            leader.tell_pidfds()

    def tell_parent(self) -> None:
        """Become a zombie that a parent in machine code hears of, or nothing at all."""
        parent = self.parent
        if parent is None:
            self.reap()
            return
        family = parent.group
        family.children.tell(self)
        if self.kernel.scheduler is not None and family.live:
            ignored = self.exit_signal == SIGCHLD and not parent.signals.wants_zombies()
            news.tell_end(self)
            if parent is self.kernel.tasks.init or ignored:
                family.children.remove(self)
                self.reap()

    # ---- the family ----

    def _hand_on_children(self, task: Task) -> None:
        """Make another thread the parent of a thread's children."""
        heir = self.living()[0]
        for child in [child for child in self.children if child.parent is task]:
            child.move_to(heir)
            child.tell_of_death(task)

    def tell_of_death(self, parent: Task) -> None:
        """Send the threads the signals that they want when their parent ends (prctl)."""
        for task in self.living():
            if task.attributes.pdeath_signal:
                send(task, SigInfo(task.attributes.pdeath_signal, SI_USER, si_pid=parent.tgid))

    def _orphan_children(self) -> None:
        """Hand the children over to a subreaper, to init, or to nobody where there is none.

        Nobody, and init, wait for no zombies. Source: reparent_leader() of Linux 6.18.
        """
        heir = self._heir()
        waits = heir is not None and heir is not self.kernel.tasks.init
        for child in list(self.children):
            child.move_to(heir)
            child.exit_signal = SIGCHLD
            child.tell_of_death(self.leader)
            is_over = child.is_zombie and (child.leader.trace is None or heir is None)
            if is_over and not waits:
                child.reap()
            elif heir is not None:
                heir.group.children.append(child)
                heir.group.children.tell(child)
                if is_over:
                    child.tell_parent()
        self.children = Children()

    def _heir(self) -> Task | None:
        """Return who adopts the orphans: the nearest subreaper above, init, or nobody.

        Of its pid namespace: there the first process is init.
        """
        space, above = self.leader.pid_ns, self.parent
        while above is not None and above.pid_ns is space:
            if above.group.alive and above.group.subreaper:
                return above.group.face()
            above = above.group.parent
        if space.level:
            first: Any = space.reaper
            return first.face() if first.alive else None
        init = self.kernel.tasks.init
        return init if init is not self.leader else None

    # ---- what was used ----

    @property
    def times(self) -> Times:
        """What its threads have used, those that have ended too."""
        gone = self.gone
        minor, major, max_rss = gone.minor, gone.major, max(self.max_rss, gone.max_rss)
        for task in self.threads.values():
            runner = task.runner
            minor, major = minor + runner.min_flt, major + runner.maj_flt
            if task.exit_status is None:
                max_rss = max(max_rss, task.max_rss)
        return Times(self.time_ns, minor, major, max_rss)

    @property
    def io(self) -> IoCounters:
        """What its threads have read and written, those that have ended too."""
        total = IoCounters()
        if self.gone_io is not None:
            total.add(self.gone_io)
        for task in self.threads.values():
            total.add(task.io)
        return total

    @property
    def time_ns(self) -> int:
        """The processor time of all its threads up to now, in nanoseconds."""
        scheduler = self.kernel.scheduler
        runs = scheduler.running if scheduler is not None else None
        if scheduler is None or runs is None or runs.group is not self:
            return self.cpu_ns
        return self.cpu_ns + scheduler.turns.time_of(runs)

    def take_times(self, child: Group) -> None:
        """Add what a child that was waited for, and so reaped, has used, with its own children."""
        used = child.gone if child.waited_for is NOTHING else child.gone.with_(child.waited_for)
        self.waited_for = self.waited_for.with_(used)
