"""Making a task from another one: what both share, and what the new one has of its own.

    shared if asked, else copied    address space (VM), descriptors (FILES), directories (FS)
                                    handlers (SIGHAND)
    shared if asked, else none      undone semaphore operations (SYSVSEM)
    one thread more (THREAD)        of the same Group; else a process of its own, a child
    copied always                   registers, mask, settings, name
    copied, or made new (NEW*)      credentials, namespaces

fork() is the clone that shares nothing. Whoever calls checks the rules between the flags. A clone
that fails has changed nothing. Source: clone(2), copy_process() of Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.mm.mm import Mm
from pkern.kernel.namespaces.base import ALL_FLAGS
from pkern.kernel.tasks.attributes import SCHED_DEADLINE
from pkern.kernel.tasks.signal.signals import SIGCHLD, SIGKILL
from pkern.kernel.tasks.task import Task
from pkern.kernel.typed import TYPE_CHECKING, Sequence
from pkern.kernel.vfs.undo import Undo

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.group import Group

CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND = 0x100, 0x200, 0x400, 0x800
CLONE_PIDFD, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT = 0x1000, 0x2000, 0x4000, 0x8000
CLONE_THREAD, CLONE_NEWNS, CLONE_SYSVSEM, CLONE_SETTLS = 0x10000, 0x20000, 0x40000, 0x80000
CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID, CLONE_DETACHED = 0x100000, 0x200000, 0x400000
CLONE_UNTRACED, CLONE_CHILD_SETTID, CLONE_IO = 0x800000, 0x1000000, 0x80000000
CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP = 1 << 32, 1 << 33
SLOTS_OF_THREADS = 16  # for futexes, where one processor is
_MADE = ffi.new("mm **")  # where a copy's handle is put, until it is read


def clone(
    origin: Task, flags: int, *, exit_signal: int = SIGCHLD, numbers: Sequence[int] = ()
) -> Task:
    """Return a new task. flags: CLONE_*.

    numbers: free ones that it is to have, in its pid namespace and those above; else the next.

    Errors: ENOMEM, EAGAIN (pids, or the user's tasks), those of made_new. TaskKilled while a
    monitor was waited for.
    """
    places = (origin.cred, origin.nsproxy)
    if flags & ALL_FLAGS:
        places = late.load("pkern.kernel.tasks.namespaces").made_new(origin, flags)
    _need_task(origin)
    cred, nsproxy = places
    if nsproxy.time is not nsproxy.time_for_children and not flags & CLONE_VM:
        nsproxy = nsproxy.in_new_time()
    pid = _new_pid(origin, nsproxy.pid, numbers)
    group = origin.group if flags & CLONE_THREAD else None
    task = Task(origin.kernel, pid, origin.name, origin.argv, group, origin.group)
    task.cred, task.nsproxy, task.pid_ns = cred, nsproxy, nsproxy.pid
    task.attributes = origin.attributes.forked()
    task.seccomp = origin.seccomp
    task.revirt_vsyscalls, task.too_many = origin.revirt_vsyscalls, origin.too_many
    origin.too_many = 0
    if not flags & CLONE_VM:
        return _with_memory_of_its_own(origin, task, flags, exit_signal, numbers)
    task.mm = origin.mm.get()
    if flags & CLONE_THREAD and task.mm.futex_slots is None:
        task.mm.futex_slots = SLOTS_OF_THREADS
    if flags & CLONE_VFORK:
        task.thread.alt_stack = origin.thread.alt_stack
    _set_up(origin, task, flags, exit_signal, numbers)
    return task


def _new_pid(origin: Task, space: PidNamespace, numbers: Sequence[int]) -> int:
    """Return a pid, of whom its namespaces will have the numbers that are wanted.

    Errors: ENOMEM (a namespace has ended), EAGAIN, EEXIST, EINVAL.
    """
    if space.level:
        for one, wanted in space.wishes(numbers):
            one.need_number(wanted)
    tasks = origin.kernel.tasks
    return tasks.use_pid(numbers[-1]) if len(numbers) > space.level else tasks.next_pid()


def fork(task: Task) -> Task:
    """Return a child process with a copy of everything. Errors: ENOMEM, EAGAIN."""
    return clone(task, 0)


def _need_task(task: Task) -> None:
    """Refuse one task more than RLIMIT_NPROC, and who has a deadline, a child. Errors: EAGAIN."""
    given, uid = task.attributes, task.cred.uid
    if given.policy == SCHED_DEADLINE and not given.reset_on_fork:
        raise SyscallError(errno.EAGAIN)
    if not uid or task.tasks_of_user(uid) < task.most_tasks:
        return
    if not (task.capable("CAP_SYS_RESOURCE") or task.capable("CAP_SYS_ADMIN")):
        raise SyscallError(errno.EAGAIN)


def _with_memory_of_its_own(
    origin: Task, task: Task, flags: int, exit_signal: int, numbers: Sequence[int]
) -> Task:
    """Give a task a copy of the memory, and tell the monitors that watch it."""
    if not task.kernel.memory.watched:
        _copy_memory(origin, task)
        _set_up(origin, task, flags, exit_signal, numbers)
        return task
    watchers = task.kernel.userfaults
    with watchers.inherited(origin) as heirs:
        _copy_memory(origin, task)
    _set_up(origin, task, flags, exit_signal, numbers)
    try:
        watchers.tell_fork(origin, task.mm, heirs)
    except TaskKilled:  # while a monitor was waited for
        task.die_of(SIGKILL)
        raise
    return task


def _copy_memory(origin: Task, task: Task) -> None:
    origin.mm.call(lib.mm_fork, task.group.limits, _MADE)
    task.mm = Mm(task.kernel.memory, task, _MADE[0])
    task.mm.areas, task.mm.settings = origin.mm.areas, origin.mm.settings
    task.thread.alt_stack, task.thread.rseq = origin.thread.alt_stack, origin.thread.rseq


def _set_up(origin: Task, task: Task, flags: int, exit_signal: int, numbers: Sequence[int]) -> None:
    """Give a task that has its memory all the rest, and enter it. Errors: ENOMEM."""
    if origin.context is not None:
        try:
            task.context = origin.context.copy(task, task.mm.handle)
        except SyscallError:
            task.mm.put()
            raise
        if task.nsproxy.time is not task.kernel.nsproxy.time:
            task.show_time()
    task.fds = origin.fds.get_table() if flags & CLONE_FILES else origin.fds.copy(task)
    task.fs = origin.fs if flags & CLONE_FS else origin.fs.copy()
    if task.nsproxy is not origin.nsproxy and task.nsproxy.mnt is not origin.nsproxy.mnt:
        late.load("pkern.kernel.tasks.namespaces").see_mounts(task)
    own = origin.signals
    pending = task.group.pending
    task.signals = own.share(pending) if flags & CLONE_SIGHAND else own.copy(pending)
    if flags & CLONE_CLEAR_SIGHAND:
        task.signals.reset()
    if flags & CLONE_SYSVSEM:
        origin.undo = origin.undo or Undo()
        task.undo = origin.undo.get()
    if origin.io_context is not None:
        shares = flags & CLONE_IO
        task.io_context = origin.io_context if shares else origin.io_context.copy()
    if origin.exe is not None:
        origin.exe.descriptors += 1
        task.exe = origin.exe
    task.group.join(task)
    if not flags & CLONE_THREAD:
        _enter_family(origin, task.group, flags, exit_signal)
    task.kernel.tasks.enter(task, numbers)
    task.kernel.watch.cloned(origin, task, flags)


def _enter_family(origin: Task, child: Group, flags: int, exit_signal: int) -> None:
    """Make a process the child of who made it, or (CLONE_PARENT) its sibling."""
    child.parent, child.exit_signal = origin, exit_signal
    if flags & CLONE_PARENT:
        child.parent, child.exit_signal = origin.parent, origin.group.exit_signal
    if child.parent is not None:
        child.parent.group.children.append(child)
