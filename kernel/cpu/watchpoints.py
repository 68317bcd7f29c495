"""Places that a task is watched at by its tracer, looked at behind each of its instructions.

Owns Thread.watched: what stood at each place before the instruction. debugregs.py says what the
debug registers mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.tasks.signal import sending
from pkern.kernel.tasks.trace import trap

if TYPE_CHECKING:
    from pkern.kernel.tasks.registers.debugregs import DebugRegisters, Watch
    from pkern.kernel.tasks.task import Task

TRAP_HWBKPT = 4
STEPPED = 1 << 14  # DR6's bit for a step
EXECUTE = 0  # a watched place: debugregs.py


def note(task: Task, debug: DebugRegisters) -> bool:
    """Note what stands at the places that a task is watched at; tell whether there are any."""
    places = [watch for watch in debug.watches() if watch.kind != EXECUTE]
    task.thread.watched = {w: task.mm.read_forced(w.addr, w.nbytes) for w in places}
    return bool(debug.watches())


def stepped(task: Task, debug: DebugRegisters) -> bool:
    """Look behind one instruction of a watched task; False: the tracer is to see the step."""
    rip = task.cpu.registers()["rip"]
    hits = sum(_is_hit(task, watch, rip) << watch.number for watch in debug.watches())
    note(task, debug)
    steps = task.trace is not None and task.trace.is_stepping
    if not hits:
        return not steps
    status = debug.status & ~0xF | hits | (STEPPED if steps else 0)
    task.thread.debug = debug._replace(status=status)
    if not steps:
        sending.force(task, trap(TRAP_HWBKPT, rip))
    return not steps


def _is_hit(task: Task, watch: Watch, rip: int) -> bool:
    """Tell whether a place is the next instruction, or has changed."""
    if watch.kind == EXECUTE:
        return watch.addr == rip
    return task.mm.read_forced(watch.addr, watch.nbytes) != task.thread.watched.get(watch)
