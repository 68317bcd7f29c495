"""ptrace: one task sees and answers what another one asks of the kernel.

Numbers and layouts are Linux's for x86-64; PTRACE_FAULTINFO and PTRACE_SWITCH_MM are those of the
patch that User Mode Linux brought along (skas mode). Registers and state that a request shows are
made in syscalls/tasks/tracee.py.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.credentials import Ids
from pkern.kernel.tasks.filter.dispatch import EXCLUSIVE, asked_for
from pkern.kernel.tasks.registers.userregs import REGS, pack_regs, unpack_regs
from pkern.kernel.tasks.registers.xstate import set_fxsave
from pkern.kernel.tasks.signal import sending, signals
from pkern.kernel.tasks.signal.sigframe import pack_siginfo, unpack_siginfo
from pkern.kernel.tasks.signal.signals import (
    NSIG,
    SI_KERNEL,
    SIGKILL,
    SIGSTOP,
    SIGTRAP,
    UNBLOCKABLE_MASK,
    SigInfo,
)
from pkern.kernel.tasks.trace import (
    ALL_OPTIONS,
    At,
    Calls,
    Option,
    Steps,
    Trace,
)
from pkern.kernel.vfs.proc.mmfile import space_of
from pkern.syscalls.table import INT, SINT, syscall
from pkern.syscalls.tasks import tracee as view
from pkern.syscalls.tasks.tracee import FPREGS_BYTES, WORD, context_of

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

TRACEME, PEEKTEXT, PEEKDATA, PEEKUSR, POKETEXT, POKEDATA, POKEUSR = range(7)
CONT, KILL, SINGLESTEP, GETREGS, SETREGS, GETFPREGS, SETFPREGS = 7, 8, 9, 12, 13, 14, 15
ATTACH, DETACH, OLDSETOPTIONS, SYSCALL, ARCH_PRCTL, SYSEMU, SYSEMU_SINGLESTEP, SINGLEBLOCK = (
    16, 17, 21, 24, 30, 31, 32, 33,
)  # fmt: skip
SETOPTIONS, GETEVENTMSG, GETSIGINFO, SETSIGINFO, GETREGSET, SETREGSET, SEIZE, INTERRUPT = range(
    0x4200, 0x4208
)
LISTEN, PEEKSIGINFO, GETSIGMASK, SETSIGMASK = range(0x4208, 0x420C)
GET_SYSCALL_INFO, GET_RSEQ_CONFIGURATION, SET_SYSCALL_INFO = 0x420E, 0x420F, 0x4212
SET_DISPATCH, GET_DISPATCH = 0x4210, 0x4211  # _SYSCALL_USER_DISPATCH_CONFIG
FAULTINFO, SWITCH_MM = 52, 55
O_TRACESYSGOOD = Option.SYSGOOD

FAULT = struct.Struct("<iIQ")
IOVEC = struct.Struct("<QQ")
DISPATCH = struct.Struct("<4Q")  # mode, the byte's address, where calls are made
PEEK_ARGUMENTS = struct.Struct("<QIi")
PEEK_SHARED = 1
SIGINFO_BYTES = 128
MASK = (1 << 64) - 1
ANYBODY = -1  # whom PR_SET_PTRACER names
SCOPE_CLASSIC, SCOPE_RELATIONS, SCOPE_ADMIN, SCOPE_NOBODY = range(4)
Request = Callable[[Any, int, int, Any], Any]


def tracee(task: Task, pid: int) -> Task:
    """Return the stopped task that the caller traces. Errors: ESRCH."""
    found = traced(task, pid)
    if not found.is_held or trace_of(found).listens:
        raise SyscallError(errno.ESRCH)
    return found


def traced(task: Task, pid: int) -> Task:
    """Return the task that the caller traces, stopped or not. Errors: ESRCH."""
    found = task.find(pid)
    if found is None or found.trace is None or found.trace.tracer is not task or not found.alive:
        raise SyscallError(errno.ESRCH)
    return found


def trace_of(task: Task) -> Trace:
    """Return the trace of a task that is traced."""
    assert task.trace is not None
    return task.trace


# ---- becoming traced ----


def _traceme(task: Task, pid: int, addr: int, data: Any) -> int:
    if task.trace is not None or task.parent is None:
        raise SyscallError(errno.EPERM)
    scope = task.kernel.tasks.ptrace_scope
    if scope == SCOPE_NOBODY or (
        scope == SCOPE_ADMIN and not task.parent.capable_in(task.cred.user_ns, PTRACE_RIGHT)
    ):
        raise SyscallError(errno.EPERM)
    task.trace = Trace(task, task.parent)
    task.trace.cred = task.cred
    task.attention = True  # its calls are made another way from now on
    return 0


PTRACE_RIGHT = "CAP_SYS_PTRACE"


def _need_relation(task: Task, found: Task) -> None:
    """Refuse what kernel.yama.ptrace_scope does not allow. Errors: EPERM."""
    scope = task.kernel.tasks.ptrace_scope
    able = task.capable_in(found.cred.user_ns, PTRACE_RIGHT)
    allowed = scope == SCOPE_CLASSIC or (scope != SCOPE_NOBODY and able)
    if not allowed and scope == SCOPE_RELATIONS:
        allowed = _descends(found, task) or found.group.ptracer in (ANYBODY, task.tgid)
    if not allowed:
        raise SyscallError(errno.EPERM)


def _descends(found: Task, task: Task) -> bool:
    above: Task | None = found
    while above is not None and above.group is not task.group:
        above = above.parent
    return above is not None


def _traceable(task: Task, pid: int) -> Task:
    """Return a task that another one may begin to trace. Errors: ESRCH, EPERM."""
    found = task.find(pid)
    if found is None:
        raise SyscallError(errno.ESRCH)
    if found.group is task.group or not task.may_trace(found, Ids.REAL):
        raise SyscallError(errno.EPERM)
    _need_relation(task, found)
    if not found.alive or found.trace is not None or found is task.kernel.tasks.init:
        raise SyscallError(errno.EPERM)
    return found


def _begin(found: Task, trace: Trace) -> None:
    """Let a task be traced from now on."""
    found.trace = trace
    found.attention = True
    found.group.part()


def _attach(task: Task, pid: int, addr: int, data: Any) -> int:
    found = _traceable(task, pid)
    _begin(found, Trace(found, task))
    stopped = found.thread.stopped
    if stopped:  # it stands there already: for its tracer from now on
        trace_of(found).hold_with_group(stopped)
    else:
        sending.send_to_thread(found, SigInfo(SIGSTOP, SI_KERNEL))
    return 0


def _need_free_of_seccomp(task: Task, options: int) -> None:
    """Refuse to suspend filters to who may not, or has some himself. Errors: EPERM.

    Source: check_ptrace_options() of Linux 6.18.
    """
    if not options & Option.SUSPEND_SECCOMP:
        return
    suspended = task.trace is not None and task.trace.suspends_seccomp
    if not task.capable("CAP_SYS_ADMIN") or task.seccomp is not None or suspended:
        raise SyscallError(errno.EPERM)


def _seize(task: Task, pid: int, addr: int, data: int) -> int:
    if addr or data & ~ALL_OPTIONS & MASK:
        raise SyscallError(errno.EIO)
    _need_free_of_seccomp(task, data)
    found = _traceable(task, pid)
    _begin(found, Trace(found, task, data, seized=1))
    if found.thread.stopped:
        trace_of(found).hold_with_group(found.thread.stopped)
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


def _peek_user(task: Task, pid: int, addr: int, data: Any) -> int:
    return view.peek_user(tracee(task, pid), addr)


def _poke_user(task: Task, pid: int, addr: int, data: int) -> int:
    view.poke_user(tracee(task, pid), addr, data & MASK)
    return 0


def _getregs(task: Task, pid: int, addr: int, data: Any) -> bytes:
    return pack_regs(view.registers(tracee(task, pid)))


def _setregs(task: Task, pid: int, addr: int, data: bytes) -> int:
    view.set_registers(tracee(task, pid), unpack_regs(data))
    return 0


def _getfpregs(task: Task, pid: int, addr: int, data: Any) -> bytes:
    return context_of(tracee(task, pid)).fpu()


def _setfpregs(task: Task, pid: int, addr: int, data: bytes) -> int:
    set_fxsave(context_of(tracee(task, pid)), data)
    return 0


def _getregset(task: Task, pid: int, addr: int, data: int) -> bytes:
    """Return what a note of a core file holds; addr: its kind, data: bytes that are wanted."""
    return view.get_regset(tracee(task, pid), addr, data)


def _setregset(task: Task, pid: int, addr: int, data: bytes) -> int:
    view.set_regset(tracee(task, pid), addr, data)
    return 0


def _getsiginfo(task: Task, pid: int, addr: int, data: Any) -> bytes:
    info = trace_of(tracee(task, pid)).siginfo
    if info is None:
        raise SyscallError(errno.EINVAL)
    return pack_siginfo(info)


def _setsiginfo(task: Task, pid: int, addr: int, data: bytes) -> int:
    trace = trace_of(tracee(task, pid))
    if trace.siginfo is None:
        raise SyscallError(errno.EINVAL)
    trace.siginfo = unpack_siginfo(data)
    return 0


def _peeksiginfo(task: Task, pid: int, addr: Any, data: Any) -> bytes:
    """Return signals that wait; addr: struct ptrace_peeksiginfo_args."""
    first, flags, most = PEEK_ARGUMENTS.unpack(addr)
    found = tracee(task, pid).signals
    if flags & ~PEEK_SHARED or most < 0:
        raise SyscallError(errno.EINVAL)
    waiting = (found.shared if flags & PEEK_SHARED else found.own).infos
    return b"".join(pack_siginfo(info) for info in waiting[first : first + most])


def _getsigmask(task: Task, pid: int, addr: int, data: Any) -> bytes:
    found = tracee(task, pid)
    if addr != WORD.size:
        raise SyscallError(errno.EINVAL)
    mask = found.thread.saved_mask
    return WORD.pack(found.signals.blocked if mask is None else mask)


def _setsigmask(task: Task, pid: int, addr: int, data: bytes) -> int:
    found = tracee(task, pid)
    if addr != WORD.size:
        raise SyscallError(errno.EINVAL)
    found.thread.saved_mask = None
    signals.set_blocked(found, WORD.unpack(data)[0] & ~UNBLOCKABLE_MASK)
    return 0


def _faultinfo(task: Task, pid: int, addr: int, data: Any) -> bytes:
    addr, code, vector = tracee(task, pid).thread.fault
    return FAULT.pack(code, vector, addr)


def _setoptions(task: Task, pid: int, addr: int, data: int) -> int:
    trace = trace_of(tracee(task, pid))
    if data & ~ALL_OPTIONS & MASK:
        raise SyscallError(errno.EINVAL)
    _need_free_of_seccomp(task, data)
    trace.options = data
    return 0


def _geteventmsg(task: Task, pid: int, addr: int, data: Any) -> bytes:
    return WORD.pack(trace_of(tracee(task, pid)).message & MASK)


def _get_call(task: Task, pid: int, addr: int, data: Any) -> bytes:
    return view.call_info(tracee(task, pid))


def _set_call(task: Task, pid: int, addr: int, data: bytes) -> int:
    view.set_call_info(tracee(task, pid), addr, data)
    return 0


def _get_rseq(task: Task, pid: int, addr: int, data: Any) -> bytes:
    return view.rseq_configuration(tracee(task, pid))


def _arch_prctl(task: Task, pid: int, addr: int, data: int) -> bytes | int:
    return view.arch_prctl(tracee(task, pid), data, addr)


def _switch_mm(task: Task, pid: int, addr: int, data: int) -> int:
    tracee(task, pid).use_mm(space_of(task, data).get())
    return 0


# ---- going on ----


def _go_on(found: Task) -> None:
    """Let a task that was let go do what is left: in its turn, or now if it has none."""
    scheduler, thread = found.kernel.scheduler, found.thread
    if found.context is not None and scheduler is not None:
        scheduler.sleepers.go_on(found)
        return
    then, info = thread.then, thread.let_through
    thread.then = thread.let_through = None
    if then is not None:
        then(found, info)


def _set_dispatch(task: Task, pid: int, addr: int, data: bytes) -> int:
    found = tracee(task, pid)
    mode, selector, first, nbytes = DISPATCH.unpack(data)
    top = int(found.mm.counters.task_size)
    found.dispatch_calls(asked_for(mode, first, nbytes, selector, top))
    return 0


def _get_dispatch(task: Task, pid: int, addr: int, data: Any) -> bytes:
    found = tracee(task, pid).dispatch
    if addr != DISPATCH.size:
        raise SyscallError(errno.EINVAL)
    if found is None:
        return bytes(DISPATCH.size)
    return DISPATCH.pack(EXCLUSIVE, found.selector, found.first, found.nbytes)


def _resume(calls: Calls, steps: Steps) -> Request:
    def resume(task: Task, pid: int, addr: int, data: int) -> int:
        found = tracee(task, pid)
        if not 0 <= data <= NSIG:
            raise SyscallError(errno.EIO)
        trace_of(found).let_go(calls, steps, data)
        _go_on(found)
        return 0

    return resume


def _detach(task: Task, pid: int, addr: int, data: int) -> int:
    found = tracee(task, pid)
    if not 0 <= data <= NSIG:
        raise SyscallError(errno.EIO)
    trace = trace_of(found)
    trace.let_go(Calls.RUN, Steps.FREELY, data)
    trace.end()
    _go_on(found)
    return 0


def _kill(task: Task, pid: int, addr: int, data: Any) -> int:
    traced(task, pid).die_of(SIGKILL)
    return 0


def _interrupt(task: Task, pid: int, addr: int, data: Any) -> int:
    found = traced(task, pid)
    trace, scheduler = trace_of(found), task.kernel.scheduler
    if not trace.seized:
        raise SyscallError(errno.EIO)
    if trace.listens:
        trace.hold_with_group(SIGTRAP)
    elif trace.told or not trace.held:
        trace.trap, found.attention = 1, True
        if scheduler is not None and found.waiting is not None:
            scheduler.sleepers.wake_task(found)
    return 0


def _listen(task: Task, pid: int, addr: int, data: Any) -> int:
    trace = trace_of(tracee(task, pid))
    if not trace.seized or trace.at is not At.GROUP:
        raise SyscallError(errno.EIO)
    trace.listens = 1
    if trace.notify:
        trace.hold_with_group(SIGTRAP)
    return 0


REQUESTS: dict[int, Request] = {
    TRACEME: _traceme,
    PEEKTEXT: _peek,
    PEEKDATA: _peek,
    PEEKUSR: _peek_user,
    POKETEXT: _poke,
    POKEDATA: _poke,
    POKEUSR: _poke_user,
    CONT: _resume(Calls.RUN, Steps.FREELY),
    SYSCALL: _resume(Calls.STOP, Steps.FREELY),
    SYSEMU: _resume(Calls.EMULATE, Steps.FREELY),
    SINGLESTEP: _resume(Calls.RUN, Steps.ONE),
    SINGLEBLOCK: _resume(Calls.RUN, Steps.ONE),  # a processor that stops at no branches
    SYSEMU_SINGLESTEP: _resume(Calls.EMULATE, Steps.ONE),
    KILL: _kill,
    GETREGS: _getregs,
    SETREGS: _setregs,
    GETFPREGS: _getfpregs,
    SETFPREGS: _setfpregs,
    GETREGSET: _getregset,
    SETREGSET: _setregset,
    ATTACH: _attach,
    SEIZE: _seize,
    DETACH: _detach,
    INTERRUPT: _interrupt,
    LISTEN: _listen,
    OLDSETOPTIONS: _setoptions,
    SETOPTIONS: _setoptions,
    GETEVENTMSG: _geteventmsg,
    GETSIGINFO: _getsiginfo,
    SETSIGINFO: _setsiginfo,
    PEEKSIGINFO: _peeksiginfo,
    GETSIGMASK: _getsigmask,
    SETSIGMASK: _setsigmask,
    SET_DISPATCH: _set_dispatch,
    GET_DISPATCH: _get_dispatch,
    GET_SYSCALL_INFO: _get_call,
    SET_SYSCALL_INFO: _set_call,
    GET_RSEQ_CONFIGURATION: _get_rseq,
    ARCH_PRCTL: _arch_prctl,
    FAULTINFO: _faultinfo,
    SWITCH_MM: _switch_mm,
}
DATA_IN = {
    SETREGS: REGS.size,
    SETFPREGS: FPREGS_BYTES,
    SETSIGINFO: SIGINFO_BYTES,
    SETSIGMASK: WORD.size,
    SET_DISPATCH: DISPATCH.size,
    SET_SYSCALL_INFO: view.CALL_INFO_BYTES,
}
WORDS = (PEEKTEXT, PEEKDATA, PEEKUSR)  # what they return is stored
CUT = (GET_SYSCALL_INFO, GET_RSEQ_CONFIGURATION)  # addr says how much of it


def ptrace(task: Task, request: int, pid: int, addr: Any = 0, data: Any = 0) -> int | bytes:
    """Trace another task; what Linux stores at `data` is returned as bytes.

    data: bytes for SETREGS, SETFPREGS, SETREGSET, SETSIGINFO, SETSIGMASK, SET_SYSCALL_INFO and
    SET_SYSCALL_USER_DISPATCH_CONFIG, for GETREGSET how many are wanted; else a number. addr: bytes
    for PEEKSIGINFO. Errors: ESRCH (not a stopped task that the caller traces), EPERM, EIO (a bad
    address, signal or request), EINVAL.
    Source: ptrace(2); skas mode's patch for FAULTINFO and SWITCH_MM.
    """
    if request not in REQUESTS:
        tracee(task, pid)
        raise SyscallError(errno.EIO)
    result: int | bytes = REQUESTS[request](task, pid, addr, data)
    return result


PARTLY = "no GET_THREAD_AREA, seccomp's requests"


@syscall(101, "ptrace", SINT, SINT, INT, INT, partly=PARTLY)
def ptrace_raw(task: Task, request: int, pid: int, addr: int, data: int) -> int:
    """Trace another task; results are stored at data. Errors: as ptrace, and EFAULT."""
    if request in (GETREGSET, SETREGSET):
        return _regset_raw(task, request, pid, addr, data)
    if request == PEEKSIGINFO:
        return _peeksiginfo_raw(task, pid, addr, data)
    if request in DATA_IN:
        traced(task, pid)
    if request == SET_SYSCALL_INFO and addr < view.CALL_INFO_BYTES:
        raise SyscallError(errno.EINVAL)
    if request == SET_DISPATCH and addr != DISPATCH.size:
        raise SyscallError(errno.EINVAL)
    given: Any = task.mm.copy_in(data, DATA_IN[request]) if request in DATA_IN else data
    result = ptrace(task, request, pid, addr, given)
    if request in WORDS:
        result = WORD.pack(int(result))
    if not isinstance(result, bytes):
        return result
    if request in CUT:
        task.mm.copy_out(data, result[:addr])
        return len(result)
    task.mm.copy_out(addr if request == ARCH_PRCTL else data, result)
    return 0


def _regset_raw(task: Task, request: int, pid: int, kind: int, at: int) -> int:
    """Exchange a set of registers by the struct iovec at an address, which is told how much."""
    found = tracee(task, pid)
    base, nbytes = IOVEC.unpack(task.mm.copy_in(at, IOVEC.size))
    if request == GETREGSET:
        data = view.get_regset(found, kind, nbytes)
        task.mm.copy_out(base, data)
        nbytes = len(data)
    else:
        nbytes = view.regset_bytes(found, kind, nbytes)
        view.set_regset(found, kind, task.mm.copy_in(base, nbytes))
    task.mm.copy_out(at + WORD.size, WORD.pack(nbytes))
    return 0


def _peeksiginfo_raw(task: Task, pid: int, addr: int, data: int) -> int:
    tracee(task, pid)
    infos = _peeksiginfo(task, pid, task.mm.copy_in(addr, PEEK_ARGUMENTS.size), 0)
    task.mm.copy_out(data, infos)
    return len(infos) // SIGINFO_BYTES
