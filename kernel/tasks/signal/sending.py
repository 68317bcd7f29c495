"""How a signal is sent: whether it is kept, who is told, what a Python program does at once.

signals.py owns where signals wait. This room is imported when the first one is sent.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.signals import (
    FIRST_QUEUED,
    IGNORED_BY_DEFAULT,
    SA_NODEFER,
    SA_RESETHAND,
    SI_USER,
    SIG_DFL,
    SIG_IGN,
    SIGALRM,
    SIGCONT,
    SIGKILL,
    STOPPING,
    UNCATCHABLE,
    Fate,
    Function,
    SigInfo,
    set_blocked,
)
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.signal.signals import Handler
    from pkern.kernel.tasks.task import Task

ALONE, IN_GROUP = 0, 1  # whom a signal is for: one thread, or the process
DELIVERED, IGNORED = 0, 1  # Linux's TRACE_SIGNAL_*


def within_limit(task: Task, info: SigInfo) -> SigInfo:
    """Return what a signal can tell its receiver: by RLIMIT_SIGPENDING perhaps only its number.

    Errors: EAGAIN: it is one that is queued, and not kill's. Source: __send_signal_locked() of
    Linux 6.18.
    """
    queued = info.si_signo >= FIRST_QUEUED
    if not queued and info.si_code >= 0:
        return info
    if task.kernel.tasks.queued.of(task) < task.rlimits["sigpending"][0]:
        return info
    if queued and info.si_code != SI_USER:
        raise SyscallError(errno.EAGAIN)
    return SigInfo(info.si_signo, SI_USER)


def send(task: Task, info: SigInfo) -> None:
    """Send a signal to the process of a task: any thread that does not block it acts on it."""
    if not task.group.live:
        return
    info = _as_seen(task, info)
    if _is_python(task):
        _send_to_python(task, info)
    elif _keeps(task, info, IN_GROUP):
        task.group.pending.add(info, task.cred.uid)
        task.kernel.wake(("signal", task.group))  # who reads signals reads blocked ones, too
        _tell_one(task, info.si_signo)


def send_to_thread(task: Task, info: SigInfo) -> None:
    """Send a signal to one thread."""
    if not task.alive:
        return
    info = _as_seen(task, info)
    if _is_python(task):
        _send_to_python(task, info)
    elif _keeps(task, info, ALONE):
        task.signals.own.add(info, task.cred.uid)
        task.kernel.wake(("signal", task.group))
        _signalled(task)


def queue_for_process(task: Task, info: SigInfo) -> int:
    """Queue a timer's signal beside those that wait; 0: it is ignored."""
    if not _keeps(task, info, IN_GROUP):
        return 0
    task.group.pending.queue(info, task.cred.uid)
    task.kernel.wake(("signal", task.group))
    _tell_one(task, info.si_signo)
    return 1


def queue_for_thread(task: Task, info: SigInfo) -> int:
    """As queue_for_process, for one thread."""
    if not task.alive or not _keeps(task, info, ALONE):
        return 0
    task.signals.own.queue(info, task.cred.uid)
    task.kernel.wake(("signal", task.group))
    _signalled(task)
    return 1


def _as_seen(task: Task, info: SigInfo) -> SigInfo:
    """Return a signal with its sender as the receiver sees him: pid 0, if from outside."""
    user_ns, pid_ns = task.cred.user_ns, task.pid_ns
    if not (user_ns.level or pid_ns.level) or not info.si_pid or info.timer is not None:
        return info
    return info._replace(si_pid=pid_ns.number_of(info.si_pid), si_uid=user_ns.uid_of(info.si_uid))


def _is_python(task: Task) -> bool:
    return task.context is None or task.kernel.scheduler is None


def _keeps(task: Task, info: SigInfo, group: int) -> bool:
    """Do what sending does before anyone acts on it; tell whether the signal is to be kept."""
    signo = info.si_signo
    if task.group.exit_code is not None:  # it is ending
        return False
    if signo == SIGCONT or signo in STOPPING:
        _resume_or_stop(task.group, signo)
    kept = task.signals.fate(signo) is not Fate.IGNORE or task.trace is not None
    if not kept or is_spared(task, info):
        kept = task.signals.is_blocked(signo)
    task.kernel.watch.generated(task, info, group, DELIVERED if kept else IGNORED)
    return kept


def is_spared(task: Task, info: SigInfo) -> bool:
    """Tell whether a signal passes by: no default action ends the first process of a pid namespace.

    From outside, or from the kernel, SIGKILL and SIGSTOP are obeyed; and so is what its own
    instructions raise. Source: sig_task_ignored() and get_signal() of Linux 6.18.
    """
    space = task.pid_ns
    if space.reaper is not task.group or space.exposed:
        return False
    if info.si_signo in UNCATCHABLE:
        return bool(info.si_pid)
    default = task.signals.sigaction(info.si_signo).handler == SIG_DFL
    return default and not callable(task.signals.action(info.si_signo))


def _send_to_python(task: Task, info: SigInfo) -> None:
    task.kernel.watch.generated(task, info, IN_GROUP, DELIVERED)
    _reach_python(task, info)
    deliver(task)


def _reach_python(task: Task, info: SigInfo) -> None:
    if task.trace is not None and info.si_signo != SIGKILL:
        task.trace.hold_at_signal(info, _act_or_not)
    else:
        act(task, info)


def _resume_or_stop(group: Group, signo: int) -> None:
    """Let a process go on that SIGCONT is sent to; of it and what stops only the last one waits."""
    if signo != SIGCONT:
        discard(group, frozenset({SIGCONT}))
        return
    discard(group, STOPPING)
    assert group.kernel.scheduler is not None
    group.kernel.scheduler.delivery.resume(group)


def discard(group: Group, signos: frozenset[int]) -> None:
    """Forget signals that wait for a process or any of its threads."""
    group.pending.discard(signos)
    for task in group.threads.values():
        task.signals.own.discard(signos)


def _tell_one(task: Task, signo: int) -> None:
    """Let one thread that wants a signal of the process look at it, the one it was sent to first.

    Else the threads take turns, but for those that look at signals anyway. Source:
    complete_signal() of Linux 6.18.
    """
    group = task.group
    if _is_free_for(task, signo):
        _signalled(task)
        return
    threads = group.living()
    if group.last_told in threads:
        place = threads.index(group.last_told)
        threads = threads[place:] + threads[:place]
    chosen = next((one for one in threads if _is_free_for(one, signo)), None)
    if chosen is not None:
        group.last_told = chosen
        _signalled(chosen)


def _is_free_for(task: Task, signo: int) -> bool:
    """Tell whether a thread may be told of a signal: it wants it, and was told of no other."""
    if not task.alive or not task.signals.wants(signo):
        return False
    return signo == SIGKILL or not task.attention or len(task.group.threads) == 1


def _signalled(task: Task) -> None:
    assert task.kernel.scheduler is not None
    task.kernel.scheduler.delivery.signalled(task)


def retarget(task: Task, signos: int = -1) -> None:
    """Let other threads take the signals of the process (a set) that this one will not take.

    Source: retarget_shared_pending() of Linux 6.18.
    """
    left = task.signals.shared.mask() & signos
    for other in task.group.living() if left else ():
        if other is task:
            continue
        wanted = left & ~other.signals.blocked
        if wanted:
            left &= ~wanted
            _signalled(other)


def force(task: Task, info: SigInfo) -> None:
    """Send a signal that the task's own instruction raised: it cannot be held back or ignored."""
    signals, signo = task.signals, info.si_signo
    if signals.is_blocked(signo) or signals.sigaction(signo).handler == SIG_IGN:
        signals.set_action(signo, SIG_DFL)
        signals.blocked &= ~(1 << (signo - 1))
    if task.pid_ns.reaper is task.group and signals.sigaction(signo).handler == SIG_DFL:
        task.pid_ns.exposed = 1
    if _is_python(task):
        _send_to_python(task, info)
        return
    task.kernel.watch.generated(task, info, ALONE, DELIVERED)
    signals.own.queue(info, task.cred.uid)
    _signalled(task)


def _act_or_not(task: Task, info: SigInfo | None) -> None:
    if info is not None:
        act(task, info)
        deliver(task)


def act(task: Task, info: SigInfo) -> None:
    """Do what a Python program wants done about a signal, or keep it while it is blocked."""
    signals = task.signals
    if signals.is_blocked(info.si_signo):
        keep = signals.shared.add if info.timer is None else signals.shared.queue
        keep(info, task.cred.uid)
        return
    action = signals.action(info.si_signo)
    if callable(action):
        if info.si_signo == SIGALRM and signals.shared.alarm_taken is not None:
            signals.shared.alarm_taken()
        handle(task, action, info)
    elif action != SIG_DFL or info.si_signo in IGNORED_BY_DEFAULT:
        return
    elif not is_spared(task, info):
        task.die_of(info.si_signo)


def handle(task: Task, action: Handler, info: SigInfo) -> None:
    """Run a Python program's handler, and hold back meanwhile what it wants held back.

    Source: sigaction(2), sa_mask and sa_flags.
    """
    signals, bit = task.signals, 1 << info.si_signo - 1
    flags, mask = (action.flags, action.mask) if isinstance(action, Function) else (0, 0)
    if flags & SA_RESETHAND:
        signals.set_action(info.si_signo, SIG_DFL)
    before = signals.blocked
    set_blocked(task, before | mask | (0 if flags & SA_NODEFER else bit))
    signals.handled += 1
    try:
        action(info.si_signo, info)
    finally:
        if task.alive and task.context is None:  # a program in machine code keeps the mask
            set_blocked(task, before)


def deliver(task: Task) -> None:
    """Let a Python program act on the signals that wait and are not blocked any more."""
    while task.alive and task.context is None and (info := task.signals.take()) is not None:
        _reach_python(task, info)
