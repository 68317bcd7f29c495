"""What a parent and a tracer hear of a task: SIGCHLD, and that a wait of theirs may end.

Owns the codes of such a signal. Who is told is told after the fact: what wait finds is there.
Source: sigaction(2); do_notify_parent() and do_notify_parent_cldstop() of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.tasks.signal import signals
from pkern.kernel.tasks.signal.signals import SA_NOCLDSTOP, SIGCHLD, SigInfo
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Trace

CLD_EXITED, CLD_KILLED, CLD_DUMPED, CLD_TRAPPED, CLD_STOPPED, CLD_CONTINUED = 1, 2, 3, 4, 5, 6


def tell_parent(child: Group, code: int, status: int) -> None:
    """Send SIGCHLD for a child that stopped or went on, and wake who waits for it."""
    parent = child.parent
    if parent is None:
        return
    parent.group.children.tell(child)
    _tell_of_child(parent, child, code, status)


def tell_end(child: Group) -> None:
    """Send a dead child's signal to its parent."""
    if child.parent is not None:  # who has been told that there is news
        _tell_of_child(child.parent, child, *end_code(child.exit_code or 0))


def _tell_of_child(parent: Task, child: Group, code: int, status: int) -> None:
    group = parent.group
    if parent.context is None or not group.live:
        return
    parent.kernel.wake(("child", group))
    quiet = code > CLD_DUMPED and parent.signals.sigaction(SIGCHLD).flags & SA_NOCLDSTOP
    if not quiet and 0 < child.exit_signal <= signals.NSIG:
        about = SigInfo(child.exit_signal, code, 0, child.pid, child.leader.cred.uid, status)
        signals.send(parent, about)


def tell_tracer(trace: Trace, code: int) -> None:
    """Send SIGCHLD for a stop of a traced task, and wake who waits for it."""
    task, status = trace.task, trace.code & 0x7F
    _tell(trace.tracer, SigInfo(SIGCHLD, code, 0, task.pid, task.cred.uid, status))


def tell_tracer_of_end(trace: Trace, status: int) -> None:
    """Send SIGCHLD for the end of a traced task; status: as wait4 gives it."""
    code, value = end_code(status)
    task = trace.task
    _tell(trace.tracer, SigInfo(SIGCHLD, code, 0, task.pid, task.cred.uid, value))


def _tell(tracer: Task, about: SigInfo) -> None:
    if tracer.context is None or not tracer.group.alive:
        return
    tracer.kernel.wake(("child", tracer.group))
    flags = tracer.signals.sigaction(SIGCHLD).flags
    if about.si_code < CLD_TRAPPED or not flags & SA_NOCLDSTOP:
        signals.send(tracer, about)


def end_code(status: int) -> tuple[int, int]:
    """Return si_code and si_status of a SIGCHLD for an end; status: as wait4 gives it."""
    if status & 0x7F:
        return (CLD_DUMPED if status & 0x80 else CLD_KILLED), status & 0x7F
    return CLD_EXITED, status >> 8
