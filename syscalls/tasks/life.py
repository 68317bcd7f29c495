"""The life of a process: another program, death, and waiting for it. clone.py has its birth."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.clock import SECOND
from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.processor import Context
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.lean import partial
from pkern.kernel.tasks.dying import end_process, end_thread, is_awaited
from pkern.kernel.tasks.program import exec as execution
from pkern.kernel.tasks.program.exec import Wanted
from pkern.kernel.tasks.signal.signals import (
    SI_USER,
    SIGCHLD,
    SIGSEGV,
    SIGTRAP,
    SigInfo,
    send_to_thread,
)
from pkern.kernel.tasks.thread import INT80, SYSCALL, entry_of
from pkern.kernel.tasks.trace import Event as TraceEvent
from pkern.kernel.tasks.trace import is_held
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterable
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.kernel.vfs.walk import Last, need_read
from pkern.kernel.wait import RegistersSet, WouldBlock
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    refuse_flags,
    start_of,
)
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.program.exec import Strings
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Trace

WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT = 1, 2, 4, 8, 0x0100_0000
WNOTHREAD, WALL, WCLONE = 0x2000_0000, 0x4000_0000, 0x8000_0000
WAIT4_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE
WAITID_OPTIONS = WAIT4_OPTIONS | WEXITED | WNOWAIT
P_ALL, P_PID, P_PGID, P_PIDFD = 0, 1, 2, 3
KINDS = (P_ALL, P_PID, P_PGID, P_PIDFD)
ANY_CHILD = P_ALL, 0  # a choice: kind and number
RUSAGE_BYTES, SIGINFO_BYTES = 144, 128
NO_NEWS = bytes(SIGINFO_BYTES)  # stored where a wait fails, too

MAX_STRING = 131072
LEAST_INT = -(1 << 31)  # has no opposite
STACK_SHARE = 4  # arguments may fill a quarter of the stack's limit
MIN_STRINGS, MAX_STRINGS = 131072, 6 << 20


# ---- another program ----

NO_STRINGS: list[str] = []
AT_EXECVE_CHECK = 0x10000
POINTERS = {SYSCALL.mark: struct.Struct("<Q"), INT80.mark: struct.Struct("<I")}


def _strings(task: Task, addr: int, room: int) -> list[bytes]:
    """Return the strings that an array of pointers names, up to NULL. Errors: EFAULT, E2BIG."""
    if not addr:
        return []
    texts: list[bytes] = []
    buffer, pointers = ffi.new("char[]", MAX_STRING), POINTERS[entry_of(task).mark]
    while True:
        size = pointers.size
        words = task.mm.copy_in(addr, 4096 - addr % 4096 if not addr % size else size)
        for (pointer,) in pointers.iter_unpack(words):
            if not pointer:
                return texts
            task.mm.check_user(pointer, 1)
            text = _string(task, pointer, buffer)
            room -= len(text) + 9
            if room < 0:
                raise SyscallError(errno.E2BIG)
            texts.append(text)
        addr += len(words)


def _string(task: Task, addr: int, buffer: object) -> bytes:
    try:
        length = task.mm.call(lib.user_string, addr, buffer, MAX_STRING)
    except SyscallError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SyscallError(errno.E2BIG) from None
        raise
    return bytes(ffi.buffer(buffer, length))


def _all_strings(task: Task, argv: int, envp: int) -> tuple[list[bytes], list[bytes]]:
    """Return arguments and environment. Errors: EFAULT, E2BIG."""
    limit = _room_for_strings(task)
    arguments = _strings(task, argv, limit)
    return arguments, _strings(task, envp, limit - sum(len(text) + 9 for text in arguments))


def _room_for_strings(task: Task) -> int:
    """Return how many bytes arguments and environment may take, with their pointers."""
    return min(max(task.rlimits["stack"][0] // STACK_SHARE, MIN_STRINGS), MAX_STRINGS)


def _texts(task: Task, argv: list[str], envp: list[str]) -> tuple[list[bytes], list[bytes]]:
    """Return a Python program's arguments and environment. Errors: E2BIG."""
    both = [execution.encode(text) for text in argv], [execution.encode(text) for text in envp]
    lengths = [len(text) + 9 for texts in both for text in texts]
    if sum(lengths) > _room_for_strings(task) or max(lengths, default=0) > MAX_STRING + 8:
        raise SyscallError(errno.E2BIG)
    return both


def _execute(task: Task, wanted: Wanted, strings: Strings) -> int:
    task.need_room_to_execute()
    if task.context is None:
        return _leave_python(task, wanted, strings)
    try:
        program = execution.load(task, wanted, strings)
    except execution.Lost:
        _end(task, end_process, SIGSEGV)
        return 0
    old_pid = task.trace.tracer.number_of(task.pid) if task.trace else 0
    task.become(program)
    if task.trace is not None:
        _tell_of_exec(task, task.trace, old_pid)
    raise RegistersSet


def _check(task: Task, wanted: Wanted, strings: Strings) -> int:
    """Look whether a file may be executed, whatever is in it. Errors: as execve, but ENOEXEC."""
    task.need_room_to_execute()
    file = execution.open_program(task, wanted)
    try:
        strings()
    finally:
        file.put()
    return 0


def _tell_of_exec(task: Task, trace: Trace, old_pid: int) -> None:
    """Stop for a tracer that wants to know of a new program; others get SIGTRAP, as of old."""
    if trace.wants(TraceEvent.EXEC):
        trace.hold_at_event(TraceEvent.EXEC, old_pid)
    elif not trace.seized:
        uid = task.cred.uid
        send_to_thread(task, SigInfo(SIGTRAP, SI_USER, si_pid=task.tgid, si_uid=uid))


def _leave_python(task: Task, wanted: Wanted, strings: Strings) -> int:
    """Let a Python program's task run machine code from now on."""
    scheduler = task.kernel.need_scheduler()
    assert task.kernel.processor is not None
    task.context = Context.new(task.kernel.processor, task)
    try:
        program = execution.load(task, wanted, strings)
    except BaseException:
        task.context.close()
        task.context = None
        raise
    task.become(program)
    task.attention = task.signals.deliverable()
    if task.kernel.memory.is_counted(task):
        scheduler.count_allocations()
    scheduler.queue.add(task)
    for face in task.take_faces():
        face.replaced()
    return 0


def execve(task: Task, path: str, argv: list[str], envp: list[str] = NO_STRINGS) -> int:
    """Run a program in machine code in this task, whose Python program ends here.

    Of main's sys it does not return: the exit status is the new program's. A child that was forked
    is in its hands afterwards, and wait4 lets it run. Descriptors 0, 1 and 2 that are closed are
    the host's. envp: each NAME=VALUE.
    Errors: ENOENT, EACCES, ENOEXEC, E2BIG, ELOOP, ENOMEM. Source: execve(2).
    """
    return _execute(task, Wanted(path), lambda: _texts(task, argv, envp))


@syscall(59, "execve", PATH, INT, INT)
def execve_raw(task: Task, path: str, argv: int, envp: int) -> int:
    """Run another program in this process; returns only on an error.

    Errors: ENOENT, EACCES, ENOEXEC, E2BIG, EFAULT, ELOOP, ENOMEM. Source: execve(2).
    """
    need_read(path)
    return _execute(task, Wanted(path), lambda: _all_strings(task, argv, envp))


def _wanted_at(task: Task, dirfd: int, path: str, flags: int) -> Wanted:
    """Return what execveat's arguments mean. Errors: EBADF, EINVAL."""
    refuse_flags(flags, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_EXECVE_CHECK)
    last = Last.KEEP if flags & AT_SYMLINK_NOFOLLOW else Last.FOLLOW
    if dirfd == AT_FDCWD or path.startswith("/"):
        return Wanted(path, last=last)
    name = f"/dev/fd/{dirfd}/{path}" if path else f"/dev/fd/{dirfd}"
    hidden = "execve closes the descriptor" if dirfd in task.fds.cloexec else ""
    start, file = start_of(task, dirfd, path), None
    if not path and flags & AT_EMPTY_PATH:
        file = task.fds.get_raw(dirfd)
    return Wanted(path, start, name, last, file, hidden)


def execveat(
    task: Task,
    dirfd: int,
    path: str,
    argv: list[str],
    envp: list[str] = NO_STRINGS,
    flags: int = 0,
) -> int:
    """As execve: a program below a directory, or (AT_EMPTY_PATH) an open file.

    AT_EXECVE_CHECK only asks whether it may be executed. Errors: as execve, EBADF, EINVAL. Source:
    execveat(2).
    """
    wanted = _wanted_at(task, dirfd, path, flags)
    how = _check if flags & AT_EXECVE_CHECK else _execute
    return how(task, wanted, lambda: _texts(task, argv, envp))


@syscall(322, "execveat", SINT, PATH, INT, INT, INT, partly="as execve")
def execveat_raw(task: Task, dirfd: int, path: str, argv: int, envp: int, flags: int) -> int:
    """Run a program below a directory, or (AT_EMPTY_PATH) an open file.

    AT_EXECVE_CHECK only asks whether it may be executed. Errors: as execve, EBADF, EINVAL. Source:
    execveat(2).
    """
    need_read(path)
    if not path and not flags & AT_EMPTY_PATH:
        raise SyscallError(errno.ENOENT)
    wanted = _wanted_at(task, dirfd, path, flags)
    how = _check if flags & AT_EXECVE_CHECK else _execute
    return how(task, wanted, lambda: _all_strings(task, argv, envp))


# ---- death ----


@syscall(60, "exit", SINT)
def exit_task(task: Task, status: int = 0) -> int:
    """End the thread, and the process with its last; status: 8 bits. Source: _exit(2)."""
    _end(task, end_thread, (status & 0xFF) << 8)
    return 0


@syscall(231, "exit_group", SINT)
def exit_group(task: Task, status: int = 0) -> int:
    """End the process: each of its threads. Source: exit_group(2)."""
    _end(task, end_process, (status & 0xFF) << 8)
    return 0


def _end(task: Task, end: Callable[[Task, int], None], status: int) -> None:
    """End, once a tracer that wants to look has looked."""
    waits = task.trace is not None and is_awaited(task)
    if waits and task.context is not None:
        task.context.set_result(-errno.ENOSYS)
    end(task, status)
    if waits:
        raise RegistersSet


# ---- waiting ----


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
    if stopped and not child.stop_seen and options & WUNTRACED and not is_held(leader):
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
    except SyscallError:
        if info:
            task.mm.copy_out(info, told(None))
        raise
    if info:
        task.mm.copy_out(info, told(event))
    if usage and event:
        task.mm.copy_out(usage, pack(usage_of(event.child)))
    return 0
