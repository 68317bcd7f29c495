"""fork, vfork, clone and clone3: which flags go together, and what a new task is told.

kernel/tasks/clone.py makes the task. Rules and their order: copy_process() and clone3_args_valid()
of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import suppress
from pkern.kernel.namespaces.base import (
    ALL_FLAGS,
    CLONE_NEWIPC,
    CLONE_NEWPID,
    CLONE_NEWTIME,
    CLONE_NEWUSER,
)
from pkern.kernel.tasks.clone import (
    CLONE_CHILD_CLEARTID,
    CLONE_CHILD_SETTID,
    CLONE_CLEAR_SIGHAND,
    CLONE_DETACHED,
    CLONE_FS,
    CLONE_INTO_CGROUP,
    CLONE_NEWNS,
    CLONE_PARENT,
    CLONE_PARENT_SETTID,
    CLONE_PIDFD,
    CLONE_PTRACE,
    CLONE_SETTLS,
    CLONE_SIGHAND,
    CLONE_SYSVSEM,
    CLONE_THREAD,
    CLONE_UNTRACED,
    CLONE_VFORK,
    CLONE_VM,
)
from pkern.kernel.tasks.clone import clone as make_task
from pkern.kernel.tasks.clone import (
    fork as make_process,
)
from pkern.kernel.tasks.signal.signals import NSIG, SI_USER, SIGCHLD, SIGSTOP, SigInfo
from pkern.kernel.tasks.thread import WORD
from pkern.kernel.tasks.trace import Event, Trace
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.extensible import extensible
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.task import Task

CSIGNAL = 0xFF
LEGACY_FLAGS = 0xFFFF_FFFF
# A Python program's child is told of, and has a copy of what else it would share.
OF_PYTHON = (
    CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID
    | CLONE_CHILD_CLEARTID | CLONE_CLEAR_SIGHAND
)  # fmt: skip
REFUSED = "no folders of control groups: EBADF"
# A flag that only makes sense with another one.
NEEDS = ((CLONE_THREAD, CLONE_SIGHAND), (CLONE_SIGHAND, CLONE_VM))
CLONE_ARGS = extensible("<11Q", least=64)
INT_MAX = (1 << 31) - 1
MOST_LEVELS = 32  # of pid name spaces


class Wish(NamedTuple):
    """What clone was asked for; addresses are 0 where nothing is wanted."""

    flags: int
    exit_signal: int = SIGCHLD
    stack: int = 0
    parent_tid: int = 0
    child_tid: int = 0
    tls: int = 0
    pidfd: int = 0
    numbers: tuple[int, ...] = ()  # from set_tid


# What a fork asks for: there are no rules between these.
PLAIN = CLONE_VM | CLONE_VFORK | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
FORK, VFORK = Wish(0), Wish(CLONE_VM | CLONE_VFORK)


def _check(task: Task, wish: Wish) -> None:
    """Refuse flags that do not go together. Errors: EINVAL, EPERM (a base outside user space)."""
    flags = wish.flags
    if not flags & ~PLAIN:
        return
    alone = any(flags & one and not flags & needed for one, needed in NEEDS)
    orphan = flags & CLONE_PARENT and _is_first(task)
    one_place = wish.pidfd == wish.parent_tid and flags & CLONE_PARENT_SETTID
    bad_pidfd = flags & CLONE_PIDFD and (flags & CLONE_DETACHED or one_place)
    of_all = flags & (CLONE_NEWNS | CLONE_NEWUSER) and flags & CLONE_FS
    of_process = flags & CLONE_THREAD and (
        flags & (CLONE_NEWUSER | CLONE_NEWPID) or task.nsproxy.pid is not task.pid_ns
    )
    if alone or orphan or bad_pidfd or of_all or of_process:
        raise SyscallError(errno.EINVAL)
    if flags & CLONE_NEWIPC and flags & CLONE_SYSVSEM and _may_make(task, flags):
        raise SyscallError(errno.EINVAL)
    if flags & CLONE_SETTLS and wish.tls >= int(task.mm.counters.task_size):
        raise SyscallError(errno.EPERM)
    if flags & CLONE_INTO_CGROUP:  # no descriptor is of a folder of such
        raise SyscallError(errno.EBADF)


def _is_first(task: Task) -> bool:
    """Tell whether a task is of the machine's first process, or of its pid namespace's."""
    return task.group.leader is task.kernel.tasks.init or task.pid_ns.reaper is task.group


def _may_make(task: Task, flags: int) -> bool:
    """Tell whether a task may make namespaces: in a new one of users anybody may."""
    return bool(flags & CLONE_NEWUSER) or task.cred.has("CAP_SYS_ADMIN", task.cred.user_ns)


def _clone(task: Task, wish: Wish) -> int:
    """Make a task that runs from here; a vfork's parent sleeps until it has let go."""
    if task.thread.progress is not None:
        return _wait_for_vfork(task, task.thread.progress)
    if wish is not FORK:
        _check(task, wish)
    if task.context is None:
        return _clone_python(task, wish)
    assert task.kernel.scheduler is not None
    task.context.set_result(0)  # what the child starts with; the parent's follows
    child = make_process(task) if wish is FORK else _made(task, wish, wish.flags)
    event = 0
    if task.trace is not None:
        event = _event(task, wish)
        _let_be_traced(task, child, wish.flags & CLONE_PTRACE or event)
    task.kernel.scheduler.queue.add(child)
    if event and task.trace is not None:
        task.trace.hold_at_event(event, task.trace.tracer.number_of(child.pid))
    if wish.flags & CLONE_VFORK:
        child.thread.vfork_parent = task
        return _wait_for_vfork(task, child)
    return task.pid_ns.number_of(child.pid)


def _event(task: Task, wish: Wish) -> int:
    """Return what the tracer is to be told of, if it asked for that."""
    if task.trace is None or wish.flags & CLONE_UNTRACED:
        return Event.NONE
    event = Event.FORK if wish.exit_signal == SIGCHLD else Event.CLONE
    event = Event.VFORK if wish.flags & CLONE_VFORK else event
    return event if task.trace.wants(event) else Event.NONE


def _let_be_traced(task: Task, child: Task, asked: int) -> None:
    """Let a traced task's child be traced by the same tracer, stopped before it runs."""
    trace = task.trace
    if trace is None or not asked:
        return
    child.trace = Trace(child, trace.tracer, trace.options, trace.seized)
    child.trace.cred = trace.cred
    child.attention = True
    assert task.kernel.scheduler is not None
    child.thread.orig_rax = task.kernel.scheduler.calls.number(task) & WORD
    if trace.seized:
        child.trace.trap = 1
    else:
        child.signals.own.add(SigInfo(SIGSTOP, SI_USER), child.cred.uid)


def _clone_python(task: Task, wish: Wish) -> int:
    """Make a child that its program drives. Errors: EINVAL (registers, or sharing)."""
    if wish.flags & ~(OF_PYTHON | ALL_FLAGS) or wish.stack:
        raise SyscallError(errno.EINVAL)
    return task.number_of(_made(task, wish, wish.flags & (CLONE_CLEAR_SIGHAND | ALL_FLAGS)).pid)


def _made(task: Task, wish: Wish, flags: int) -> Task:
    child = make_task(task, flags, exit_signal=wish.exit_signal, numbers=wish.numbers)
    try:
        _set_up(task, child, wish)
    except SyscallError:
        _take_back(child)
        raise
    return child


def _set_up(task: Task, child: Task, wish: Wish) -> None:
    """Give a child its registers, and tell of it. Errors: EFAULT, EMFILE (its descriptor)."""
    registers = {}
    if wish.stack:
        registers["rsp"] = wish.stack
    if wish.flags & CLONE_SETTLS:
        registers["fs_base"] = wish.tls
    if registers:
        child.cpu.set_registers(registers)
    if wish.flags & CLONE_PIDFD:
        _tell_pidfd(task, child, wish)
    if wish.flags & CLONE_CHILD_CLEARTID:
        child.thread.clear_child_tid = wish.child_tid
    if wish.flags & CLONE_CHILD_SETTID:
        _tell_tid(child, child, wish.child_tid)
    if wish.flags & CLONE_PARENT_SETTID:
        _tell_tid(task, child, wish.parent_tid)


def _tell_tid(whose: Task, child: Task, addr: int) -> None:
    """Store a new task's number in someone's memory; where that cannot be, nobody is told."""
    with suppress(SyscallError):
        whose.mm.copy_out(addr, struct.pack("<i", whose.number_of(child.pid)))


def _tell_pidfd(task: Task, child: Task, wish: Wish) -> None:
    """Store a new child's descriptor, or close it again. Errors: EFAULT, EMFILE."""
    from pkern.kernel.vfs.anon.pidfd import PIDFD_THREAD  # few ask for that
    from pkern.syscalls.files.pidfd import open_process

    fd = open_process(task, child, PIDFD_THREAD if wish.flags & CLONE_THREAD else 0)
    try:
        task.mm.copy_out(wish.pidfd, struct.pack("<i", fd))
    except SyscallError:
        task.fds.close(fd)
        raise


def _take_back(child: Task) -> None:
    """Let nobody hear of a task that could not be set up."""
    if child is child.group.leader and child.group.parent is not None:
        child.group.parent.children.remove(child.group)
        child.group.parent = None
    child.end_thread(0)


def _wait_for_vfork(task: Task, child: Task) -> int:
    if child.thread.vfork_parent is not None:
        raise WouldBlock(("vfork", child), progress=child, restart=Restart.NEVER)
    if task.trace is not None and task.trace.wants(Event.VFORK_DONE):
        told = task.trace.tracer.number_of(child.pid)
        task.trace.hold_at_event(Event.VFORK_DONE, told)
    return task.number_of(child.pid)


@syscall(57, "fork")
def fork(task: Task) -> int:
    """Return the pid of a child with a copy-on-write copy of everything.

    A Python program's child is driven by the test. Errors: ENOMEM. Source: fork(2).
    """
    if task.context is None:
        return task.number_of(make_process(task).pid)
    return _clone(task, FORK)


@syscall(58, "vfork")
def vfork(task: Task) -> int:
    """Return the pid of a child that borrows the address space until it ends or executes.

    A Python program's child gets a copy, as with fork. Errors: ENOMEM. Source: vfork(2).
    """
    if task.context is None:
        return task.number_of(make_process(task).pid)
    return _clone(task, VFORK)


@syscall(56, "clone", INT, INT, INT, INT, INT)
def clone(
    task: Task, flags: int, stack: int = 0, parent_tid: int = 0, child_tid: int = 0, tls: int = 0
) -> int:
    """Return the number of a new task: a thread, or a child that shares what the flags say.

    A Python program has no threads; its child has a copy of all that vfork shares.
    Errors: EINVAL (flags that do not go together), EPERM (a base outside user space), EAGAIN,
    ENOMEM, EFAULT. Source: clone(2).
    """
    flags &= LEGACY_FLAGS
    signo = flags & CSIGNAL
    wish = Wish(flags & ~CSIGNAL, signo, stack, parent_tid, child_tid, tls, parent_tid)
    return _clone(task, wish)


@syscall(435, "clone3", INT, INT, partly=REFUSED)
def clone3(task: Task, addr: int, nbytes: int) -> int:
    """Return the number of a new task, as clone, from a struct clone_args.

    Errors: as clone, E2BIG, EEXIST (set_tid: it is in use), EPERM (set_tid without
    CAP_CHECKPOINT_RESTORE). Source: clone3(2).
    """
    fields = CLONE_ARGS.fields_at(task, addr, nbytes)
    flags, pidfd, child_tid, parent_tid, signo, stack, stack_size, tls, *set_tid, cgroup = fields
    if flags & CLONE_INTO_CGROUP and (nbytes < CLONE_ARGS.layout.size or cgroup > INT_MAX):
        raise SyscallError(errno.EINVAL)
    pids = _wanted_pids(task, *set_tid)
    if signo > NSIG or not _are_valid(flags, signo) or bool(stack) != bool(stack_size):
        raise SyscallError(errno.EINVAL)
    if stack + stack_size > int(task.mm.counters.task_size):
        raise SyscallError(errno.EINVAL)
    wish = Wish(flags, signo, stack + stack_size, parent_tid, child_tid, tls, pidfd)
    _need_settable(task, flags, pids)
    return _clone(task, wish._replace(numbers=pids))


def _are_valid(flags: int, signo: int) -> bool:
    """Tell whether clone3 takes flags and exit signal."""
    known = LEGACY_FLAGS | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP
    old = CLONE_DETACHED | CSIGNAL & ~CLONE_NEWTIME
    both = CLONE_SIGHAND | CLONE_CLEAR_SIGHAND
    if flags & ~known or flags & old or flags & both == both:
        return False
    return not (flags & (CLONE_THREAD | CLONE_PARENT) and signo)


def _wanted_pids(task: Task, addr: int, count: int) -> tuple[int, ...]:
    """Return the pids that set_tid names. Errors: EINVAL, EFAULT."""
    if count > MOST_LEVELS or bool(addr) != bool(count):
        raise SyscallError(errno.EINVAL)
    return struct.unpack(f"<{count}i", task.mm.copy_in(addr, 4 * count)) if count else ()


def _need_settable(task: Task, flags: int, numbers: tuple[int, ...]) -> None:
    """Refuse numbers that a caller may not choose, or too many. Errors: EINVAL, EPERM.

    Source: alloc_pid() of Linux 6.18.
    """
    spaces: list[PidNamespace | None] = [*task.nsproxy.pid.upwards(), task.kernel.nsproxy.pid]
    if flags & CLONE_NEWPID:
        spaces.insert(0, None)  # the one that is to be made
    if len(numbers) > len(spaces):
        raise SyscallError(errno.EINVAL)
    for number, space in zip(numbers, spaces, strict=False):
        if not 0 < number < (space.pid_max if space and space.level else task.kernel.tasks.pid_max):
            raise SyscallError(errno.EINVAL)
        if space is None:
            continue
        able = ("CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN")
        if not any(task.capable_in(space.user, right) for right in able):
            raise SyscallError(errno.EPERM)
