"""ptrace: one task sees and answers what another one asks of the kernel.

Numbers and layouts are Linux's for x86-64; PTRACE_FAULTINFO and PTRACE_SWITCH_MM are those of the
patch that User Mode Linux brought along (skas mode).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.cpu.processor import Context
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks import signals
from pkern.kernel.tasks.credentials import Ids
from pkern.kernel.tasks.sigframe import pack_siginfo
from pkern.kernel.tasks.signals import NSIG, SigInfo
from pkern.kernel.tasks.signames import Signal
from pkern.kernel.tasks.trace import SYSGOOD, Calls, Trace
from pkern.kernel.tasks.userregs import CONSTANT_REGS, REGS, pack_regs, unpack_regs, user_regs
from pkern.kernel.vfs.proc.mmfile import space_of
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

TRACEME, PEEKTEXT, PEEKDATA, POKETEXT, POKEDATA = 0, 1, 2, 4, 5
CONT, KILL, GETREGS, SETREGS, GETFPREGS, SETFPREGS = 7, 8, 12, 13, 14, 15
ATTACH, DETACH, SYSCALL, SYSEMU, SETOPTIONS, GETSIGINFO = 16, 17, 24, 31, 0x4200, 0x4202
FAULTINFO, SWITCH_MM = 52, 55
O_TRACESYSGOOD = 1

FPREGS_BYTES = 512
FAULT = struct.Struct("<iIQ")
WORD = struct.Struct("<Q")
MASK = (1 << 64) - 1


def tracee(task: Task, pid: int) -> Task:
    """Return the stopped task that the caller traces. Errors: ESRCH."""
    found = task.kernel.tasks.get(pid)
    if found is None or found.trace is None or found.trace.tracer is not task:
        raise SyscallError(errno.ESRCH)
    if not found.alive or not found.trace.held:
        raise SyscallError(errno.ESRCH)
    return found


def context_of(task: Task) -> Context:
    """Return a tracee's registers; a Python program's child gets them here. Errors: EIO, ENOMEM."""
    if task.context is None:
        if task.kernel.processor is None:
            raise SyscallError(errno.EIO)
        task.context = Context.new(task.kernel.processor)
        task.context.enter(task.mm.handle)
    return task.context


def trace_of(task: Task) -> Trace:
    """Return the trace of a task that is traced."""
    assert task.trace is not None
    return task.trace


# ---- becoming traced ----


def _traceme(task: Task, pid: int, addr: int, data: Any) -> int:
    if task.trace is not None or task.parent is None:
        raise SyscallError(errno.EPERM)
    task.trace = Trace(task, task.parent)
    return 0


def _attach(task: Task, pid: int, addr: int, data: Any) -> int:
    found = task.kernel.tasks.get(pid)
    if found is None or not found.alive:
        raise SyscallError(errno.ESRCH)
    if found.parent is not task or found.trace is not None:
        raise SyscallError(errno.EPERM)
    if not task.may_trace(found, Ids.REAL):
        raise SyscallError(errno.EPERM)
    found.trace = Trace(found, task)
    signals.send(found, SigInfo(Signal.SIGSTOP, signals.SI_USER, si_pid=task.pid))
    return 0


# ---- looking and changing ----


def _peek(task: Task, pid: int, addr: int, data: Any) -> int:
    word = tracee(task, pid).mm.read_forced(addr, WORD.size)
    if len(word) < WORD.size:
        raise SyscallError(errno.EIO)
    return int(WORD.unpack(word)[0])


def _poke(task: Task, pid: int, addr: int, data: int) -> int:
    if tracee(task, pid).mm.write_forced(addr, WORD.pack(data & MASK)) < WORD.size:
        raise SyscallError(errno.EIO)
    return 0


def _getregs(task: Task, pid: int, addr: int, data: Any) -> bytes:
    found = tracee(task, pid)
    return pack_regs(user_regs(context_of(found), trace_of(found).call))


def _setregs(task: Task, pid: int, addr: int, data: bytes) -> int:
    found = tracee(task, pid)
    values = unpack_regs(data)
    trace_of(found).call = values.pop("orig_rax")
    for name in CONSTANT_REGS:
        del values[name]
    context_of(found).set_registers(values)
    return 0


def _getfpregs(task: Task, pid: int, addr: int, data: Any) -> bytes:
    return context_of(tracee(task, pid)).fpu()


def _setfpregs(task: Task, pid: int, addr: int, data: bytes) -> int:
    context_of(tracee(task, pid)).set_fpu(data)
    return 0


def _getsiginfo(task: Task, pid: int, addr: int, data: Any) -> bytes:
    info = trace_of(tracee(task, pid)).siginfo
    if info is None:
        raise SyscallError(errno.EINVAL)
    return pack_siginfo(info)


def _faultinfo(task: Task, pid: int, addr: int, data: Any) -> bytes:
    addr, code, vector = tracee(task, pid).thread.fault
    return FAULT.pack(code, vector, addr)


def _setoptions(task: Task, pid: int, addr: int, data: int) -> int:
    trace = trace_of(tracee(task, pid))
    if data & ~O_TRACESYSGOOD:
        raise SyscallError(errno.EINVAL)
    trace.sysgood = SYSGOOD if data & O_TRACESYSGOOD else 0
    return 0


def _switch_mm(task: Task, pid: int, addr: int, data: int) -> int:
    tracee(task, pid).use_mm(space_of(task, data).get())
    return 0


# ---- going on ----


def _deliver(found: Task, info: SigInfo) -> None:
    """Act on a signal that the tracer lets through."""
    if found.context is None or found.kernel.scheduler is None:
        signals.act(found, info)
    else:
        found.kernel.scheduler.deliver(found, info)


def _resume(calls: Calls) -> Callable[[Task, int, int, Any], int]:
    def resume(task: Task, pid: int, addr: int, data: int) -> int:
        found = tracee(task, pid)
        if not 0 <= data <= NSIG:
            raise SyscallError(errno.EIO)
        trace = trace_of(found)
        info = trace.siginfo
        trace.let_go(calls)
        if data and info is None:  # held at a call: the signal is sent, and stops the task anew
            signals.send(found, SigInfo(data, signals.SI_KERNEL))
        elif data:
            same = info is not None and info.si_signo == data
            _deliver(found, info if same and info else SigInfo(data, 0, si_pid=task.pid))
        if found.alive and found.context is not None and task.kernel.scheduler is not None:
            task.kernel.scheduler.go_on(found, trace)
        return 0

    return resume


def _detach(task: Task, pid: int, addr: int, data: int) -> int:
    found = tracee(task, pid)
    _resume(Calls.RUN)(task, pid, addr, data)
    found.trace = None
    return 0


def _kill(task: Task, pid: int, addr: int, data: Any) -> int:
    tracee(task, pid).die_of(Signal.SIGKILL)
    return 0


REQUESTS: dict[int, Callable[[Any, int, int, Any], int | bytes]] = {
    TRACEME: _traceme,
    PEEKTEXT: _peek,
    PEEKDATA: _peek,
    POKETEXT: _poke,
    POKEDATA: _poke,
    CONT: _resume(Calls.RUN),
    SYSCALL: _resume(Calls.STOP),
    SYSEMU: _resume(Calls.EMULATE),
    KILL: _kill,
    GETREGS: _getregs,
    SETREGS: _setregs,
    GETFPREGS: _getfpregs,
    SETFPREGS: _setfpregs,
    ATTACH: _attach,
    DETACH: _detach,
    SETOPTIONS: _setoptions,
    GETSIGINFO: _getsiginfo,
    FAULTINFO: _faultinfo,
    SWITCH_MM: _switch_mm,
}
DATA_IN = {SETREGS: REGS.size, SETFPREGS: FPREGS_BYTES}


def ptrace(task: Task, request: int, pid: int, addr: int = 0, data: Any = 0) -> int | bytes:
    """Trace another task; what Linux stores at `data` is returned as bytes.

    data: bytes for SETREGS and SETFPREGS, a number otherwise. Errors: ESRCH (not a stopped task
    that the caller traces), EPERM, EIO (a bad address, signal or request), EINVAL.
    Source: ptrace(2); skas mode's patch for FAULTINFO and SWITCH_MM.
    """
    if request not in REQUESTS:
        raise SyscallError(errno.EIO)
    return REQUESTS[request](task, pid, addr, data)


PARTLY = "by the parent only, whose end ends the task; no SINGLESTEP, events or user area"


@syscall(101, "ptrace", SINT, SINT, INT, INT, partly=PARTLY)
def ptrace_raw(task: Task, request: int, pid: int, addr: int, data: int) -> int:
    """Trace another task; results are stored at data. Errors: as ptrace, and EFAULT."""
    given: Any = task.mm.copy_in(data, DATA_IN[request]) if request in DATA_IN else data
    result = ptrace(task, request, pid, addr, given)
    if request in (PEEKTEXT, PEEKDATA):
        result = WORD.pack(int(result))
    if isinstance(result, bytes):
        task.mm.copy_out(data, result)
        return 0
    return result
