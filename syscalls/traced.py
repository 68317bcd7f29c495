"""Runs a traced task until it stops: what its tracer's wait does while it has nothing to report.

Owns the answer to each way in which the processor comes back. The task's system calls and faults
become stops if the tracer asked for them; other calls are made as any task's are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kernel import memory
from kernel.clock import FAULT_NS, SYSCALL_NS
from kernel.core import lib
from kernel.errors import (
    BUS_ADRERR,
    SEGV_ACCERR,
    SEGV_MAPERR,
    SIGBUS,
    SIGSEGV,
    KernelBug,
    MemoryFault,
    TaskKilled,
)
from kernel.processor import Context, Processor
from kernel.signals import SigInfo, Signal
from kernel.trace import VECTOR_PAGE_FAULT, FaultInfo
from syscalls import abi

if TYPE_CHECKING:
    from kernel.task import Task

SLICE_BLOCKS = 20_000
BLOCK_NS = 1
ENOSYS = 38
USER, WRITE, FETCH = 4, 2, 16  # bits of the processor's error code
PRESENT = 1
VERDICTS = {
    lib.SEGV_MAPERR: (SIGSEGV, SEGV_MAPERR),
    lib.SEGV_ACCERR: (SIGSEGV, SEGV_ACCERR),
    lib.BUS_ADRERR: (SIGBUS, BUS_ADRERR),
}
EXCEPTIONS = {0: Signal.SIGFPE, 1: Signal.SIGTRAP, 3: Signal.SIGTRAP, 6: Signal.SIGILL,
              16: Signal.SIGFPE, 17: Signal.SIGBUS, 19: Signal.SIGFPE}  # fmt: skip


def context_of(task: Task) -> Context:
    """Return the task's registers, made at the first call. Errors: KernelBug without processor."""
    if task.context is None:
        if task.kernel.processor is None:
            raise KernelBug("this machine has no processor for machine code")
        task.context = Context.new(task.kernel.processor)
        task.context.enter(task.mm.handle)
    return task.context


def stopped_child(task: Task, pid: int, no_hang: int) -> tuple[int, int] | None:
    """Return (pid, status) of a Python program's traced child that has stopped.

    Lets the child run for that, unless no_hang. pid: as wait4's, > 0 or any.
    """
    for child in task.children if task.context is None else ():
        trace = child.trace
        if trace is None or not child.alive or not (pid <= 0 or pid == child.pid):
            continue
        if not trace.stop and not no_hang:
            run_until_stop(child)
        if trace.waits_to_be_seen and child.alive:
            return child.pid, trace.wait_status()
    return None


def run_until_stop(task: Task) -> None:
    """Let a traced task run until its tracer is to be told, or it has ended."""
    context = context_of(task)
    processor = task.kernel.processor
    assert processor is not None and task.trace is not None
    task.kernel.vsyscalls.enter(task)
    tracer = task.trace.tracer
    while task.alive and not task.trace.stop:
        lib.run_slice(processor.handle, SLICE_BLOCKS)
        reason = lib.run(context.handle)
        if reason not in ANSWERS:
            raise KernelBug(processor.engine_text(int(processor.exit.status)))
        try:
            ANSWERS[reason](task, processor)
        except (MemoryFault, TaskKilled):
            continue  # a fault that the kernel cannot mend has ended the task
    if tracer.alive:
        task.kernel.vsyscalls.enter(tracer)  # the switch back


def _call(task: Task, processor: Processor) -> None:
    seen = processor.exit
    kernel = task.kernel
    kernel.clock.advance(SYSCALL_NS)
    kernel.vsyscalls.note_call(int(seen.rip))
    assert task.trace is not None
    nr = int(seen.nr)
    if task.trace.at_call(nr):
        context_of(task).set_result(-ENOSYS)
        return
    result = abi.dispatch(task, nr, tuple(int(value) for value in seen.args))
    if task.alive:
        context_of(task).set_result(result)


def _fault(task: Task, processor: Processor) -> None:
    """A page fault that ends in a signal: remember what the processor said of it."""
    seen, trace = processor.exit, task.trace
    signo, code = VERDICTS[int(seen.status)]
    access = int(seen.access)
    bits = USER | (WRITE if access == lib.ACCESS_WRITE else 0)
    bits |= FETCH if access == lib.ACCESS_EXEC else 0
    bits |= PRESENT if code == SEGV_ACCERR and signo == SIGSEGV else 0
    task.kernel.clock.advance(FAULT_NS)
    assert trace is not None
    trace.fault = FaultInfo(int(seen.addr), bits, VECTOR_PAGE_FAULT)
    trace.at_signal(SigInfo(signo, code, int(seen.addr)))


def _need(task: Task, processor: Processor) -> None:
    memory.serve_fault(task.kernel, task, int(processor.exit.status))


def _exception(task: Task, processor: Processor) -> None:
    vector = int(processor.exit.vector)
    assert task.trace is not None
    task.trace.fault = FaultInfo(0, 0, vector)
    task.trace.at_signal(SigInfo(EXCEPTIONS.get(vector, Signal.SIGSEGV), 0x80))


def _slice_over(task: Task, processor: Processor) -> None:
    task.kernel.clock.advance(SLICE_BLOCKS * BLOCK_NS)


ANSWERS: dict[int, Callable[[Any, Processor], None]] = {
    lib.RUN_CALL: _call,
    lib.RUN_BUDGET: _slice_over,
    lib.RUN_NEED: _need,
    lib.RUN_FAULT: _fault,
    lib.RUN_EXCEPTION: _exception,
}
