"""System calls that a tracer or a filter sees first: a task holds still before and behind them.

Owns nothing: what is left to do behind a stop is Thread.then (trace.py), what a filter says
instead of the call filtered.py does. A call that may be made is put into Thread.call.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.late import load
from pkern.kernel.lean import partial
from pkern.kernel.tasks.signal import sending
from pkern.kernel.tasks.thread import WORD, entry_of
from pkern.kernel.tasks.trace import At, Calls, trap

if TYPE_CHECKING:
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.thread import Made
    from pkern.kernel.tasks.trace import Trace

EAX = (1 << 32) - 1
TRAP_BRKPT = 1
# Answers of seccomp's filters by which a call is made: SECCOMP_RET_ALLOW, _LOG; once the tracer has
# been asked, _TRACE too.
ACTION_BITS, UNASKED = 0xFFFF_0000, frozenset({0x7FFF_0000, 0x7FFC_0000})
ASKED = UNASKED | {0x7FF0_0000}


def enter(task: Task, call: Made) -> None:
    """Hold the task before a call if its tracer asked for that, or make it if it may be."""
    trace = task.trace
    if task.dispatch is not None:
        dispatch = load("pkern.kernel.tasks.filter.dispatch")
        if dispatch.catch(task, task.dispatch, call[0]):
            return
    if trace is not None and trace.calls is not Calls.RUN:
        hold_before(task, trace, call[0])
    elif _may_make(task, call, UNASKED):
        task.thread.call = call


def hold_before(task: Task, trace: Trace, nr: int) -> None:
    """Let the tracer look at a call, and change it, before it is made."""
    task.thread.orig_rax = nr & WORD
    task.cpu.set_result(-errno.ENOSYS)
    trace.hold_at_call(At.ENTRY, _skip if trace.calls is Calls.EMULATE else make)


def make(task: Task, info: SigInfo | None, passing: frozenset[int] = UNASKED) -> None:
    """Make the call that a task was held before, as its registers say by now.

    info: sent then. passing: answers of the task's filters by which the call is made.
    """
    _send(task, info)
    thread, regs = task.thread, task.cpu.registers()
    if thread.orig_rax & EAX == EAX:  # -1, as Linux reads it: no call
        leave(task)
        return
    entry = entry_of(task)
    arguments = tuple(regs[name] for name in entry.arguments)
    call = thread.orig_rax & entry.mask | entry.mark, arguments
    if _may_make(task, call, passing):
        thread.call = call


def _may_make(task: Task, call: Made, passing: frozenset[int]) -> bool:
    """Tell whether a task's filters let it make a call; if not, do what they say instead."""
    if task.seccomp is None or (task.trace is not None and task.trace.suspends_seccomp):
        return True
    rip = task.cpu.registers()["rip"]
    answer = task.seccomp.answer(call[0], rip, call[1])
    if answer & ACTION_BITS in passing:
        return True
    ask = partial(make, passing=ASKED)
    load("pkern.kernel.cpu.filtered").obey(task, answer, call[0], rip, ask)
    if task.thread.call is None:  # else a listener answers it
        leave(task)
    return False


def leave(task: Task, info: SigInfo | None = None) -> None:
    """Stop behind a call if the tracer wants that, also behind an event of the call."""
    trace, thread = task.trace, task.thread
    if trace is None:
        return
    if trace.held:
        thread.then = thread.then or leave
    elif trace.calls is Calls.STOP:
        trace.hold_at_call(At.EXIT, _send)
    elif trace.is_stepping:
        sending.force(task, trap(TRAP_BRKPT, task.cpu.registers()["rip"]))


def _skip(task: Task, info: SigInfo | None) -> None:
    """Go on behind a call that the tracer has made."""
    _send(task, info)
    leave(task)


def _send(task: Task, info: SigInfo | None) -> None:
    """Send what the tracer wants sent at a stop for a call."""
    if info is not None:
        sending.send_to_thread(task, info)
