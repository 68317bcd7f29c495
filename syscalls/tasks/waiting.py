"""Waiting for children, and for what is traced: wait4 and waitid."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.lean import partial, suppress
from pkern.kernel.tasks.signal.signals import SIGCHLD
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterable
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Trace

WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT = 1, 2, 4, 8, 0x0100_0000
WNOTHREAD, WALL, WCLONE = 0x2000_0000, 0x4000_0000, 0x8000_0000
WAIT4_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE
WAITID_OPTIONS = WAIT4_OPTIONS | WEXITED | WNOWAIT
P_ALL, P_PID, P_PGID, P_PIDFD = 0, 1, 2, 3
KINDS = (P_ALL, P_PID, P_PGID, P_PIDFD)
ANY_CHILD = P_ALL, 0  # a choice: kind and number
LEAST_INT = -(1 << 31)  # has no opposite
RUSAGE_BYTES, SIGINFO_BYTES = 144, 128
NO_NEWS = bytes(SIGINFO_BYTES)  # stored where a wait fails, too


class Event(NamedTuple):
    """What a child did: pid, the status as wait4 gives it, the child, and who leads it."""

    pid: int
    status: int
    child: Group
    leader: Task  # whom nobody else may know when it has been waited for
    tracee: Task | None = None  # of whom a tracer is told


def _eligible(task: Task, child: Group, options: int) -> bool:
    """Tell whether a wait is for this kind of child: one that tells of its end by SIGCHLD.

    With __WNOTHREAD it is the thread's own child; else that of any thread of the process. A zombie
    is only for who asks for ends.
    """
    if options & WNOTHREAD and child.parent is not task:
        return False
    if not options & WEXITED and child.is_zombie and child.leader.trace is None:
        return False
    if options & WALL:
        return True
    return (child.exit_signal != SIGCHLD) == bool(options & WCLONE)


def _children(task: Task, choice: tuple[int, int], options: int) -> list[Group]:
    """Return the children that a waitid kind and number choose. Errors: ECHILD."""
    kind, number = choice
    candidates: Iterable[Group | None] = task.children
    if kind == P_PID:
        candidates = [task.children.get(task.pid_of(number))]
    chosen = [child for child in candidates if child and _eligible(task, child, options)]
    if kind == P_PGID:
        group = task.pid_of(number) if number else task.pgid
        chosen = [child for child in chosen if child.pgid == group]
    if not chosen:
        raise SyscallError(errno.ECHILD)
    return chosen


def _choice(pid: int) -> tuple[int, int]:
    """Return kind and number of wait4's pid, but for -1."""
    return (P_PID, pid) if pid > 0 else (P_PGID, -pid)


def _event(child: Group, options: int) -> Event | None:
    """Return what a child did, if it has news of a kind that is waited for."""
    leader = child.leader
    if leader.trace is not None and not leader.alive:
        return None  # its tracer is told first
    if not child.live:
        ended = options & WEXITED and child.is_zombie
        return Event(child.pid, child.exit_code or 0, child, leader) if ended else None
    stopped = leader.thread.stopped
    if stopped and not child.stop_seen and options & WUNTRACED and not leader.is_held:
        return Event(child.pid, stopped << 8 | 0x7F, child, leader)
    if child.continued and options & WCONTINUED:
        return Event(child.pid, 0xFFFF, child, leader)
    return None


def _event_of_eligible(task: Task, options: int, child: Group) -> Event | None:
    return _event(child, options) if _eligible(task, child, options) else None


def _news(task: Task, choice: tuple[int, int], options: int) -> Event | None:
    """Return what the first of the chosen children with news did, or None. Errors: ECHILD."""
    traced = _tracees(task, choice, options) if task.group.tracees else []
    for trace in traced:
        if event := _event_of(trace, options):
            return event
    if choice[0] == P_ALL:
        found = task.group.children.first(partial(_event_of_eligible, task, options))
        if found is None and not traced:
            _need_child(task, options)
        return found
    for child in _children(task, choice, options) if not traced else ():
        if event := _event(child, options):
            return event
    return None


def _need_child(task: Task, options: int) -> None:
    """Refuse to wait where there is no child of the kind that is waited for. Errors: ECHILD."""
    for child in task.group.children:
        if _eligible(task, child, options):
            return
    raise SyscallError(errno.ECHILD)


def _tracees(task: Task, choice: tuple[int, int], options: int) -> list[Trace]:
    """Return the traces of the tasks that a waitid kind and number choose, threads too."""
    kind, number = choice
    chosen = [
        trace
        for trace in task.group.tracees.values()
        if not options & WNOTHREAD or trace.tracer is task
    ]
    if kind == P_PID:
        return [trace for trace in chosen if trace.task.pid == task.pid_of(number)]
    if kind == P_PGID:
        group = task.pid_of(number) if number else task.pgid
        return [trace for trace in chosen if trace.task.pgid == group]
    return chosen


def _event_of(trace: Trace, options: int) -> Event | None:
    """Return what a traced task did, if its tracer has not been told."""
    task, group = trace.task, trace.task.group
    if task.alive:
        status = trace.code << 8 | 0x7F
        return Event(task.pid, status, group, group.leader, task) if trace.has_news else None
    if not options & WEXITED or (task is group.leader and not group.is_zombie):
        return None
    ended = task.exit_status if group.exit_code is None else group.exit_code
    return Event(task.pid, ended or 0, group, group.leader, task)


def _consume(task: Task, event: Event) -> None:
    """Report news only once; a dead child is forgotten."""
    child, tracee = event.child, event.tracee
    if tracee is not None and tracee.alive:
        assert tracee.trace is not None
        tracee.trace.told = True
        child.stop_seen = child.stop_seen or tracee is child.leader
    elif tracee is not None and (tracee is not child.leader or not _is_ours(task, child)):
        task.group.release_tracee(tracee)
    elif not child.live:
        task.group.children.remove(child)
        child.reap()
        task.group.take_times(child)
    elif event.status == 0xFFFF:
        child.continued = False
    else:
        child.stop_seen = True


def _is_ours(task: Task, child: Group) -> bool:
    """Tell whether a process is a child of the task's process."""
    return child.parent is not None and child.parent.group is task.group


def _wait(task: Task, choice: tuple[int, int], options: int) -> Event | None:
    """Return news of a child, None with WNOHANG if there is none; else sleep for some."""
    event = _news(task, choice, options)
    if event is not None:
        if task.pid_ns.level:  # the number that it has until it is forgotten
            event = event._replace(pid=task.number_of(event.pid))
        if not options & WNOWAIT:
            _consume(task, event)
        return event
    if options & WNOHANG:
        return None
    raise WouldBlock(("child", task.group), error=errno.EDEADLK)


def wait4(task: Task, pid: int = -1, options: int = 0) -> tuple[int, int]:
    """Return (pid, status) of a child, or (0, 0) with WNOHANG if none has news.

    A Python program's wait lets its children in machine code run; a live child that is a Python
    program too cannot be waited for: nothing would run it. Errors: ECHILD, EINVAL, ESRCH (a pid
    of -2^31); EDEADLK where a Python program would sleep for ever. Source: wait4(2).
    """
    event = _wait4(task, pid, options)
    return (event.pid, event.status) if event else (0, 0)


def _wait4(task: Task, pid: int, options: int) -> Event | None:
    options &= 0xFFFF_FFFF  # an int
    if options & ~WAIT4_OPTIONS:
        raise SyscallError(errno.EINVAL)
    if pid == LEAST_INT:
        raise SyscallError(errno.ESRCH)
    wait = _wait if task.context is not None else _wait_in_python
    return wait(task, ANY_CHILD if pid == -1 else _choice(pid), options | WEXITED)


def _wait_in_python(task: Task, choice: tuple[int, int], options: int) -> Event | None:
    """Wait as a program that no scheduler runs: its children run meanwhile."""
    try:
        return _wait(task, choice, options)
    except WouldBlock:
        if not _can_run(task, choice, options):
            from pkern.syscalls.clocks import pass_time  # for programs in Python

            pass_time(task, None)
            raise
    _run_children(task, choice, options)
    return _wait(task, choice, options)


def _can_run(task: Task, choice: tuple[int, int], options: int) -> bool:
    """Tell whether a Python program waits for a child that the scheduler runs."""
    if any(t.task.alive and t.task.context for t in _tracees(task, choice, options)):
        return True
    return any(c.alive and c.leader.context is not None for c in _children(task, choice, options))


def _run_children(task: Task, choice: tuple[int, int], options: int) -> None:
    """Let others run until a child of a Python program has news, then come back to it."""
    scheduler = task.kernel.scheduler
    assert scheduler is not None
    handled = task.signals.handled
    scheduler.run_until(
        lambda: (
            _news(task, choice, options) is not None
            or task.signals.handled != handled
            or not task.alive
        )
    )
    if not task.alive:
        raise TaskKilled(task.pid, (task.exit_status or 0) & 0x7F)
    task.kernel.vsyscalls.enter(task)
    if _news(task, choice, options) is None:
        raise SyscallError(errno.EINTR)


KB_PER_PAGE = 4


class Rusage(NamedTuple):
    """struct rusage: time used (nanoseconds, all of it user time), most KiB resident, faults."""

    user_ns: int
    ru_maxrss: int = 0
    ru_minflt: int = 0
    ru_majflt: int = 0

    @property
    def ru_utime(self) -> float:
        """The time used in seconds."""
        return self.user_ns / SECOND

    def pack(self) -> bytes:
        """Return the 144 bytes of x86-64's struct rusage."""
        seconds, microseconds = divmod(self.user_ns // 1000, 1_000_000)
        faults = (0, 0, 0, self.ru_minflt, self.ru_majflt)
        words = (seconds, microseconds, 0, 0, self.ru_maxrss, *faults)
        return struct.pack("<10q", *words).ljust(RUSAGE_BYTES, b"\0")


def usage_of_children(task: Task) -> Rusage:
    """Return what the children that were waited for have used."""
    used = task.group.waited_for
    return Rusage(used.cpu_ns, used.max_rss * KB_PER_PAGE, used.minor, used.major)


def usage_of(child: Group) -> Rusage:
    """Return what a child has used, with the children that it waited for."""
    used = child.times.with_(child.waited_for)
    return Rusage(used.cpu_ns, used.max_rss * KB_PER_PAGE, used.minor, used.major)


@syscall(61, "wait4", SINT, INT, INT, INT)
def wait4_raw(task: Task, pid: int, status_addr: int, options: int, usage: int) -> int:
    """Wait as wait4, and store the status (int) and struct rusage. Source: wait4(2)."""
    return wait_and_store(task, pid, status_addr, options, usage, Rusage.pack)


def wait_and_store(
    task: Task,
    pid: int,
    status_addr: int,
    options: int,
    usage: int,
    pack: Callable[[Rusage], bytes],
) -> int:
    """Wait as wait4; store the status, and what was used as pack() lays it out, where not 0."""
    event = _wait4(task, pid, options)
    if event is None:
        return 0
    if status_addr:
        task.mm.word_out(status_addr, event.status)
    if usage:
        task.mm.copy_out(usage, pack(usage_of(event.child)))
    return event.pid


def waitid_info(task: Task, event: Event) -> bytes:
    """Return siginfo_t for a child's news."""
    status = event.status
    if status == 0xFFFF:
        code, value = 6, 18
    elif status & 0xFF == 0x7F:
        code, value = (5 if event.tracee is None else 4), status >> 8
    elif status & 0x7F:
        code, value = 3 if status & 0x80 else 2, status & 0x7F
    else:
        code, value = 1, status >> 8
    uid = task.cred.user_ns.uid_of(event.leader.cred.uid)
    head = struct.pack("<iii4xiIi", SIGCHLD, 0, code, event.pid, uid, value)
    return head.ljust(128, b"\0")


def _wait_by_pidfd(task: Task, fd: int, options: int) -> Event | None:
    """Wait for the child that a descriptor stands for. Errors: EBADF, ECHILD, EAGAIN."""
    from pkern.syscalls.files.pidfd import process_of  # few ask for that

    never = task.fds.get(fd).flags & O_NONBLOCK and not options & WNOHANG
    try:
        pid = task.number_of(process_of(task, fd).tgid)
    except SyscallError as error:
        raise SyscallError(errno.ECHILD if error.number == errno.ESRCH else error.number) from None
    event = _wait(task, (P_PID, pid), options | (WNOHANG if never else 0))
    if event is None and never:
        raise SyscallError(errno.EAGAIN)
    return event


def _waitid(task: Task, kind: int, number: int, options: int) -> Event | None:
    """Wait as waitid. Errors: EINVAL, ECHILD, EBADF, EAGAIN."""
    wanted = options & (WEXITED | WUNTRACED | WCONTINUED)
    if options & 0xFFFF_FFFF & ~WAITID_OPTIONS or not wanted or kind not in KINDS:
        raise SyscallError(errno.EINVAL)
    if number < 0 or (kind == P_PID and number == 0):
        raise SyscallError(errno.EINVAL)
    if kind == P_PIDFD:
        return _wait_by_pidfd(task, number, options)
    return _wait(task, (kind, number), options)


@syscall(247, "waitid", SINT, SINT, INT, SINT, INT)
def waitid(task: Task, kind: int, number: int, info: int, options: int, usage: int) -> int:
    """Wait for a child's end, stop or continuation, and store siginfo_t at info.

    Errors: ECHILD, EINVAL, EFAULT. Source: waitid(2).
    """

    def told(event: Event | None) -> bytes:
        return waitid_info(task, event) if event else NO_NEWS

    return waitid_and_store(task, (kind, number, options), info, usage, told, Rusage.pack)


def waitid_and_store(
    task: Task,
    wanted: tuple[int, int, int],
    info: int,
    usage: int,
    told: Callable[[Event | None], bytes],
    pack: Callable[[Rusage], bytes],
) -> int:
    """Wait as waitid; store what told() makes of the news, and what was used by pack()'s layout."""
    try:
        event = _waitid(task, *wanted)
    except WouldBlock:  # a bad pointer is told of when there is news, which is gone then
        if info:
            with suppress(SyscallError):
                task.mm.copy_out(info, told(None))
        raise
    except SyscallError:
        if info:
            task.mm.copy_out(info, told(None))
        raise
    if usage and event:
        task.mm.copy_out(usage, pack(usage_of(event.child)))
    if info:
        task.mm.copy_out(info, told(event))
    return 0
