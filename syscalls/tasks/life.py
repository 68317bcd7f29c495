"""The life of a process: birth, another program, death, and waiting for it."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.clock import SECOND
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_INFO
from pkern.kernel.tasks import exec as execution
from pkern.kernel.tasks.signals import NSIG, SIGCHLD
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.kernel.wait import RegistersSet, Restart, WouldBlock
from pkern.syscalls.files.at import AT_EMPTY_PATH, AT_FDCWD, start_of
from pkern.syscalls.files.pidfd import open_process, process_of
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.inode import Inode

WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT = 1, 2, 4, 8, 0x0100_0000
WNOTHREAD, WALL, WCLONE = 0x2000_0000, 0x4000_0000, 0x8000_0000
WAIT4_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE
WAITID_OPTIONS = WAIT4_OPTIONS | WEXITED | WNOWAIT
P_ALL, P_PID, P_PGID, P_PIDFD = 0, 1, 2, 3
KINDS = (P_ALL, P_PID, P_PGID, P_PIDFD)
RUSAGE_BYTES, SIGINFO_BYTES = 144, 128

CSIGNAL = 0xFF
CLONE_VM, CLONE_PIDFD, CLONE_VFORK, CLONE_THREAD = 0x100, 0x1000, 0x4000, 0x10000
CLONE_SETTLS, CLONE_PARENT_SETTID = 0x80000, 0x100000
CLONE_CHILD_CLEARTID, CLONE_DETACHED, CLONE_CHILD_SETTID = 0x200000, 0x400000, 0x1000000
CLONE_CLEAR_SIGHAND = 1 << 32
CLONE_DONE = (
    CLONE_VM
    | CLONE_PIDFD
    | CLONE_VFORK
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID
    | CLONE_CHILD_SETTID
    | CLONE_DETACHED
    | CLONE_CLEAR_SIGHAND
)
CLONE_ARGS_MIN, CLONE_ARGS_MAX = 64, 4096
MAX_STRING = 131072
STACK_SHARE = 4  # arguments may fill a quarter of the stack's limit
MIN_STRINGS, MAX_STRINGS = 131072, 6 << 20


# ---- birth ----


class Clone(NamedTuple):
    """What clone was asked for; addresses are 0 where nothing is wanted."""

    flags: int
    exit_signal: int = SIGCHLD
    stack: int = 0
    parent_tid: int = 0
    child_tid: int = 0
    tls: int = 0
    pidfd: int = 0


FORK, VFORK = Clone(0), Clone(CLONE_VM | CLONE_VFORK)


def _check_clone(task: Task, flags: int) -> None:
    """Refuse what is not a process of its own. Errors: ENOSYS (threads), EINVAL."""
    sharing = flags & ~(CLONE_DONE | CSIGNAL)
    if flags & CLONE_THREAD:
        task.kernel.log.write(KERN_INFO, f"{task.name}[{task.pid}]: threads are not supported")
        raise SyscallError(errno.ENOSYS)
    if sharing or (flags & CLONE_VM and not flags & CLONE_VFORK):
        raise SyscallError(errno.EINVAL)


def _set_up_child(task: Task, child: Task, wish: Clone) -> None:
    registers = {}
    if wish.stack:
        registers["rsp"] = wish.stack
    if wish.flags & CLONE_SETTLS:
        registers["fs_base"] = wish.tls
    if registers:
        child.cpu.set_registers(registers)
    child.exit_signal = wish.exit_signal
    if wish.flags & CLONE_CLEAR_SIGHAND:
        child.signals.reset_for_exec()
    if wish.flags & CLONE_CHILD_CLEARTID:
        child.thread.clear_child_tid = wish.child_tid
    if wish.flags & CLONE_CHILD_SETTID:
        child.mm.copy_out(wish.child_tid, struct.pack("<i", child.pid))
    if wish.flags & CLONE_PIDFD:
        _tell_pidfd(task, open_process(task, child, 0), wish.pidfd)
    if wish.flags & CLONE_PARENT_SETTID:
        task.mm.copy_out(wish.parent_tid, struct.pack("<i", child.pid))


def _tell_pidfd(task: Task, fd: int, addr: int) -> None:
    """Store a new child's descriptor, or close it again. Errors: EFAULT."""
    try:
        task.mm.copy_out(addr, struct.pack("<i", fd))
    except SyscallError:
        task.fds.close(fd)
        raise


def _clone_machine_code(task: Task, wish: Clone) -> int:
    """Make a child that runs from here; a vfork's parent sleeps until it has let go."""
    if task.thread.progress is not None:
        return _wait_for_vfork(task, task.thread.progress)
    _check_clone(task, wish.flags)
    assert task.kernel.scheduler is not None
    task.cpu.set_result(0)  # what the child starts with; the parent's follows
    child = task.fork_sharing() if wish.flags & CLONE_VM else task.fork()
    try:
        _set_up_child(task, child, wish)
    except SyscallError:
        child.parent = None
        task.children.remove(child)
        child.exit(0)
        raise
    task.kernel.scheduler.add(child)
    if wish.flags & CLONE_VFORK:
        child.thread.vfork_parent = task
        return _wait_for_vfork(task, child)
    return child.pid


def _wait_for_vfork(task: Task, child: Task) -> int:
    if child.thread.vfork_parent is not None:
        raise WouldBlock(("vfork", child.pid), progress=child, restart=Restart.NEVER)
    return child.pid


@syscall(57, "fork")
def fork(task: Task) -> int:
    """Return the pid of a child with a copy-on-write copy of everything.

    A Python program's child is driven by the test. Errors: ENOMEM. Source: fork(2).
    """
    if task.context is None:
        return task.fork().pid
    return _clone_machine_code(task, FORK)


@syscall(58, "vfork")
def vfork(task: Task) -> int:
    """Return the pid of a child that borrows the address space until it ends or executes.

    A Python program's child gets a copy, as with fork. Errors: ENOMEM. Source: vfork(2).
    """
    if task.context is None:
        return task.fork().pid
    return _clone_machine_code(task, VFORK)


@syscall(56, "clone", INT, INT, INT, INT, INT, partly="processes only: threads are ENOSYS")
def clone(
    task: Task, flags: int, stack: int = 0, parent_tid: int = 0, child_tid: int = 0, tls: int = 0
) -> int:
    """Return the pid of a child, as fork or (CLONE_VM|CLONE_VFORK) as vfork.

    Errors: EINVAL (flags that share anything else), ENOSYS (CLONE_THREAD), ENOMEM, EFAULT.
    Source: clone(2).
    """
    if task.context is None:
        if flags & ~CSIGNAL:
            raise SyscallError(errno.EINVAL)
        return task.fork().pid
    flags &= (1 << 32) - 1
    if flags & CLONE_PIDFD and flags & (CLONE_PARENT_SETTID | CLONE_DETACHED):
        raise SyscallError(errno.EINVAL)  # one place for both, or a flag of old
    signo = flags & CSIGNAL
    wish = Clone(flags & ~CSIGNAL, signo, stack, parent_tid, child_tid, tls, parent_tid)
    return _clone_machine_code(task, wish)


@syscall(435, "clone3", INT, INT, partly="processes only: threads are ENOSYS")
def clone3(task: Task, addr: int, nbytes: int) -> int:
    """Return the pid of a child, as clone, from a struct clone_args.

    Errors: EINVAL, E2BIG, EFAULT, ENOSYS (threads), ENOMEM. Source: clone3(2).
    """
    if nbytes > CLONE_ARGS_MAX:
        raise SyscallError(errno.E2BIG)
    if nbytes < CLONE_ARGS_MIN:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(addr, nbytes)
    flags, pidfd, child_tid, parent_tid, signo, stack, stack_size, tls = struct.unpack_from(
        "<8Q", raw
    )
    rest = raw[CLONE_ARGS_MIN:]
    if any(rest[24:]):
        raise SyscallError(errno.E2BIG)
    if any(rest) or flags & CSIGNAL or signo > NSIG or bool(stack) != bool(stack_size):
        raise SyscallError(errno.EINVAL)
    if task.context is None:
        raise SyscallError(errno.ENOSYS)
    wish = Clone(flags, signo, stack + stack_size, parent_tid, child_tid, tls, pidfd)
    return _clone_machine_code(task, wish)


# ---- another program ----


def _strings(task: Task, addr: int, room: int) -> list[bytes]:
    """Return the strings that an array of pointers names, up to NULL. Errors: EFAULT, E2BIG."""
    if not addr:
        return []
    texts: list[bytes] = []
    buffer = ffi.new("char[]", MAX_STRING)
    while True:
        words = task.mm.copy_in(addr, 4096 - addr % 4096 if not addr % 8 else 8)
        for (pointer,) in struct.iter_unpack("<Q", words):
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
    limit = min(max(task.rlimits["stack"][0] // STACK_SHARE, MIN_STRINGS), MAX_STRINGS)
    arguments = _strings(task, argv, limit)
    return arguments, _strings(task, envp, limit - sum(len(text) + 9 for text in arguments))


def _execute(task: Task, path: str, argv: int, envp: int, start: Inode | None = None) -> int:
    if task.context is None:
        raise SyscallError(errno.ENOSYS)
    program = execution.load(task, path, lambda: _all_strings(task, argv, envp), start)
    task.become(program)
    raise RegistersSet


@syscall(59, "execve", PATH, INT, INT, partly="no set-user-ID; ENOSYS from a Python program")
def execve(task: Task, path: str, argv: int, envp: int) -> int:
    """Run another program in this process; returns only on an error.

    Errors: ENOENT, EACCES, ENOEXEC, E2BIG, EFAULT, ELOOP, ENOMEM. Source: execve(2).
    """
    return _execute(task, path, argv, envp)


@syscall(322, "execveat", SINT, PATH, INT, INT, INT, partly="as execve")
def execveat(task: Task, dirfd: int, path: str, argv: int, envp: int, flags: int) -> int:
    """Run a program below a directory, or (AT_EMPTY_PATH) an open file.

    Errors: as execve, EBADF, EINVAL. Source: execveat(2).
    """
    if flags & ~(AT_EMPTY_PATH | 0x100):
        raise SyscallError(errno.EINVAL)
    if not path and flags & AT_EMPTY_PATH and dirfd != AT_FDCWD:
        return _execute(task, f"/proc/self/fd/{dirfd}", argv, envp)
    return _execute(task, path, argv, envp, start_of(task, dirfd, path))


# ---- death ----


@syscall(60, "exit", SINT)
def exit_task(task: Task, status: int = 0) -> int:
    """End the task with status (its low 8 bits). Source: _exit(2)."""
    task.exit(status)
    return 0


@syscall(231, "exit_group", SINT)
def exit_group(task: Task, status: int = 0) -> int:
    """End the task, which has one thread. Source: exit_group(2)."""
    task.exit(status)
    return 0


# ---- waiting ----


class Event(NamedTuple):
    """What a child did: pid, the status as wait4 gives it, and the child."""

    pid: int
    status: int
    child: Task


def _eligible(child: Task, options: int) -> bool:
    """Tell whether a wait is for this kind of child: one that tells of its end by SIGCHLD."""
    if options & WALL:
        return True
    return (child.exit_signal != SIGCHLD) == bool(options & WCLONE)


def _children(task: Task, kind: int, number: int, options: int) -> list[Task]:
    """Return the children that a waitid kind and number choose. Errors: ECHILD."""
    candidates: Iterable[Task | None] = task.children
    if kind == P_PID:
        candidates = [task.children.get(number)]
    chosen = [child for child in candidates if child is not None and _eligible(child, options)]
    if kind == P_PGID:
        group = number or task.pgid
        chosen = [child for child in chosen if child.pgid == group]
    if not chosen:
        raise SyscallError(errno.ECHILD)
    return chosen


def _choice(pid: int) -> tuple[int, int]:
    """Return kind and number of wait4's pid."""
    if pid == -1:
        return P_ALL, 0
    return (P_PID, pid) if pid > 0 else (P_PGID, -pid)


def _event(child: Task, options: int) -> Event | None:
    """Return what a child did, if it has news of a kind that is waited for."""
    if not child.alive:
        return Event(child.pid, child.exit_status or 0, child) if options & WEXITED else None
    if child.thread.stopped and not child.stop_seen and _shows_stop(child, options):
        return Event(child.pid, child.thread.stopped << 8 | 0x7F, child)
    if child.continued and options & WCONTINUED:
        return Event(child.pid, 0xFFFF, child)
    return None


def _news(task: Task, kind: int, number: int, options: int) -> Event | None:
    """Return what the first of the chosen children with news did, or None. Errors: ECHILD."""
    if kind == P_ALL:
        if not any(_eligible(child, options) for child in task.children):
            raise SyscallError(errno.ECHILD)
        return task.children.first(
            lambda child: _event(child, options) if _eligible(child, options) else None
        )
    events = (_event(child, options) for child in _children(task, kind, number, options))
    return next((event for event in events if event is not None), None)


def _shows_stop(child: Task, options: int) -> bool:
    """Tell whether the parent is told that a child is stopped: a tracer always is."""
    held = child.trace is not None and child.trace.held
    return held or bool(options & WUNTRACED)


def _consume(task: Task, event: Event) -> None:
    """Report news only once; a dead child is forgotten."""
    child = event.child
    if not child.alive:
        task.children.remove(child)
        task.kernel.tasks.reap(child)
        task.take_usage(child)
    elif event.status == 0xFFFF:
        child.continued = False
    else:
        child.stop_seen = True


def _wait(task: Task, choice: tuple[int, int], options: int) -> Event | None:
    """Return news of a child, None with WNOHANG if there is none; else sleep for some."""
    event = _news(task, *choice, options)
    if event is not None:
        if not options & WNOWAIT:
            _consume(task, event)
        return event
    if options & WNOHANG:
        return None
    raise WouldBlock(("child", task.pid), error=errno.EDEADLK)


def wait4(task: Task, pid: int = -1, options: int = 0) -> tuple[int, int]:
    """Return (pid, status) of a child, or (0, 0) with WNOHANG if none has news.

    A Python program's wait lets its children in machine code run; a live child that is a Python
    program too cannot be waited for: nothing would run it. Errors: ECHILD, EINVAL; EDEADLK where
    a Python program would sleep for ever. Source: wait4(2).
    """
    event = _wait4(task, pid, options)
    return (event.pid, event.status) if event else (0, 0)


def _wait4(task: Task, pid: int, options: int) -> Event | None:
    if options & 0xFFFF_FFFF & ~WAIT4_OPTIONS or pid == -(1 << 31):
        raise SyscallError(errno.EINVAL)
    wait = _wait if task.context is not None else _wait_in_python
    return wait(task, _choice(pid), options | WEXITED)


def _wait_in_python(task: Task, choice: tuple[int, int], options: int) -> Event | None:
    """Wait as a program that no scheduler runs: its children run meanwhile."""
    try:
        return _wait(task, choice, options)
    except WouldBlock:
        if not _can_run(task, choice, options):
            raise
    _run_children(task, choice, options)
    return _wait(task, choice, options)


def _can_run(task: Task, choice: tuple[int, int], options: int) -> bool:
    """Tell whether a Python program waits for a child that the scheduler runs."""
    return any(c.alive and c.context is not None for c in _children(task, *choice, options))


def _run_children(task: Task, choice: tuple[int, int], options: int) -> None:
    """Let others run until a child of a Python program has news, then come back to it."""
    scheduler = task.kernel.scheduler
    assert scheduler is not None
    scheduler.run_until(lambda: _news(task, *choice, options) is not None)
    task.kernel.vsyscalls.enter(task)


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
    thread = task.thread
    return Rusage(thread.child_cpu_ns, thread.child_max_rss * KB_PER_PAGE, *thread.child_faults)


def usage_of(child: Task) -> Rusage:
    """Return what a child has used, with the children that it waited for."""
    its, own, theirs = child.thread, child.faults, child.thread.child_faults
    return Rusage(
        its.cpu_ns + its.child_cpu_ns,
        max(child.max_rss, its.child_max_rss) * KB_PER_PAGE,
        own[0] + theirs[0],
        own[1] + theirs[1],
    )


@syscall(61, "wait4", SINT, INT, SINT, INT)
def wait4_raw(task: Task, pid: int, status_addr: int, options: int, usage: int) -> int:
    """Wait as wait4, and store the status (int) and struct rusage. Source: wait4(2)."""
    event = _wait4(task, pid, options)
    if event is None:
        return 0
    if status_addr:
        task.mm.copy_out(status_addr, struct.pack("<i", event.status))
    if usage:
        task.mm.copy_out(usage, usage_of(event.child).pack())
    return event.pid


def _waitid_info(event: Event) -> bytes:
    """Return siginfo_t for a child's news."""
    status, child = event.status, event.child
    if status == 0xFFFF:
        code, value = 6, 18
    elif status & 0xFF == 0x7F:
        code, value = 5, status >> 8
    elif status & 0x7F:
        code, value = 3 if status & 0x80 else 2, status & 0x7F
    else:
        code, value = 1, status >> 8
    head = struct.pack("<iii4xiIi", SIGCHLD, 0, code, event.pid, child.cred.uid, value)
    return head.ljust(128, b"\0")


def _wait_by_pidfd(task: Task, fd: int, options: int) -> Event | None:
    """Wait for the child that a descriptor stands for. Errors: EBADF, ECHILD, EAGAIN."""
    never = task.fds.get(fd).flags & O_NONBLOCK and not options & WNOHANG
    try:
        pid = process_of(task, fd).pid
    except SyscallError as error:
        raise SyscallError(errno.ECHILD if error.number == errno.ESRCH else error.number) from None
    event = _wait(task, (P_PID, pid), options | (WNOHANG if never else 0))
    if event is None and never:
        raise SyscallError(errno.EAGAIN)
    return event


@syscall(247, "waitid", INT, SINT, INT, SINT, INT)
def waitid(task: Task, kind: int, number: int, info: int, options: int, usage: int) -> int:
    """Wait for a child's end, stop or continuation, and store siginfo_t at info.

    Errors: ECHILD, EINVAL, EFAULT. Source: waitid(2).
    """
    wanted = options & (WEXITED | WUNTRACED | WCONTINUED)
    if options & 0xFFFF_FFFF & ~WAITID_OPTIONS or not wanted or kind not in KINDS:
        raise SyscallError(errno.EINVAL)
    if number < 0 or (kind == P_PID and number == 0):
        raise SyscallError(errno.EINVAL)
    try:
        event = (
            _wait_by_pidfd(task, number, options)
            if kind == P_PIDFD
            else (_wait(task, (kind, number), options))
        )
    except SyscallError as error:
        if info and error.number == errno.ECHILD:
            task.mm.copy_out(info, bytes(SIGINFO_BYTES))
        raise
    if info:
        task.mm.copy_out(info, _waitid_info(event) if event else bytes(SIGINFO_BYTES))
    if usage and event:
        task.mm.copy_out(usage, usage_of(event.child).pack())
    return 0
