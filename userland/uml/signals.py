"""Signals of guest processes: who gets one, what it does, and the frame of a handler.

The frame is Linux's, as kernel/tasks/signal/sigframe.py lays it out.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.registers.xstate import FXSAVE_BYTES
from pkern.kernel.tasks.signal import sigframe
from pkern.kernel.tasks.signal.altstack import NO_ALT_STACK, SS_AUTODISARM, AltStack
from pkern.kernel.tasks.signal.sigframe import (
    FLAGS_CLEARED,
    SAVED,
    SEGMENTS,
    UC_FLAGS,
    UCONTEXT,
    UCONTEXT_BYTES,
    pack_siginfo,
)
from pkern.kernel.tasks.signal.signals import (
    FIRST_QUEUED,
    IGNORED_BY_DEFAULT,
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SIG_DFL,
    SIG_IGN,
    SIGCONT,
    SIGKILL,
    STOPPING,
    UNBLOCKABLE_MASK,
    Fate,
    SigInfo,
)
from pkern.kernel.wait import Restart
from pkern.userland.uml.files import Block
from pkern.userland.uml.host import PLACE
from pkern.userland.uml.memory import GuestError
from pkern.userland.uml.process import NEW_FPU, Process, State

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

ACTION = struct.Struct("<4Q")
SYSCALL_BYTES = 2
RSP, RIP, RAX, EFLAGS = (PLACE[name] for name in ("rsp", "rip", "rax", "eflags"))


@dataclass(frozen=True, slots=True)
class Action:
    """What a process has asked for: struct sigaction as the kernel sees it."""

    handler: int = SIG_DFL
    flags: int = 0
    restorer: int = 0
    mask: int = 0


def action_of(process: Process, signo: int) -> Action:
    """Return what a process has asked for about a signal."""
    raw = process.actions.get(signo)
    return Action(*ACTION.unpack(raw)) if raw else Action()


def fate(process: Process, signo: int) -> Fate:
    """Return what a signal does to a process."""
    handler = action_of(process, signo).handler
    if handler == SIG_IGN or (handler == SIG_DFL and signo in IGNORED_BY_DEFAULT):
        return Fate.IGNORE
    if handler != SIG_DFL:
        return Fate.HANDLE
    return Fate.STOP if signo in STOPPING else Fate.DIE


def _bit(signo: int) -> int:
    return 1 << (signo - 1)


def _drop(process: Process, signals: frozenset[int]) -> None:
    process.pending = [info for info in process.pending if info.si_signo not in signals]


def _queue(process: Process, info: SigInfo) -> None:
    """Keep a signal for a process; of the first 31 one is enough."""
    waiting = any(other.si_signo == info.si_signo for other in process.pending)
    if info.si_signo >= FIRST_QUEUED or not waiting:
        process.pending.append(info)


def take(process: Process, signo: int) -> SigInfo:
    """Return the first of a signal that waits, which then waits no more."""
    info = next(info for info in process.pending if info.si_signo == signo)
    process.pending.remove(info)
    return info


def send(kernel: GuestKernel, target: Process, info: SigInfo) -> None:
    """Send a signal; one that is not blocked acts before the process's next instruction."""
    signo = info.si_signo
    if target.state is State.ZOMBIE:
        return
    if signo == SIGCONT:
        _drop(target, STOPPING)
    elif signo in STOPPING:
        _drop(target, frozenset({SIGCONT}))
    if signo in (SIGCONT, SIGKILL):
        kernel.resume(target)
    blocked = target.blocked_signals & _bit(signo)
    if fate(target, signo) is Fate.IGNORE and not blocked:
        return
    _queue(target, info)
    wanted = target.waits_for & _bit(signo)
    if (wanted or not blocked) and target.state is State.BLOCKED:
        kernel.wake(target)


def fault(kernel: GuestKernel, process: Process, info: SigInfo, why: str) -> None:
    """Send what an instruction raised: a handler that is blocked or ignored does not help."""
    signo = info.si_signo
    if process.blocked_signals & _bit(signo) or action_of(process, signo).handler == SIG_IGN:
        process.actions.pop(signo, None)
        process.blocked_signals &= ~_bit(signo)
    if action_of(process, signo).handler == SIG_DFL:
        kernel.kill(process, signo, why)
    else:
        _queue(process, info)


def next_pending(process: Process) -> int:
    """Return the lowest signal that waits and is not blocked, 0 if there is none."""
    return lowest(process, ~process.blocked_signals)


def lowest(process: Process, among: int) -> int:
    """Return the lowest signal of a set that waits, 0 if there is none."""
    found = (info.si_signo for info in process.pending if among & _bit(info.si_signo))
    return min(found, default=0)


def interrupt(kernel: GuestKernel, process: Process, block: Block) -> None:
    """Let signals act on a process whose call would wait; a handler ends the call."""
    if block.restart is Restart.NEVER:
        if lowest(process, _bit(SIGKILL)):
            _act(kernel, process, SIGKILL)
        return
    while process.state is State.READY and (signo := next_pending(process)):
        if fate(process, signo) is Fate.HANDLE:
            _end_call(process, signo, block)
            return
        _act(kernel, process, signo)


def _end_call(process: Process, signo: int, block: Block) -> None:
    """Leave a call: it is made again after a handler that asked for that, or returns EINTR."""
    process.call_is_over()
    again = action_of(process, signo).flags & SA_RESTART
    if again and block.restart is Restart.IF_ASKED:
        process.regs[RIP] -= SYSCALL_BYTES
        process.regs[RAX] = process.regs[PLACE["orig_rax"]]
        return
    try:
        block.interrupted()
        process.result(-errno.EINTR)
    except GuestError as error:
        process.result(-error.errno)


def act(kernel: GuestKernel, process: Process) -> None:
    """Let the signals that wait act on a process that is about to run."""
    while process.state is State.READY and (signo := next_pending(process)):
        _act(kernel, process, signo)
    if process.saved_mask is not None:
        process.blocked_signals, process.saved_mask = process.saved_mask, None


def _act(kernel: GuestKernel, process: Process, signo: int) -> None:
    info, what = take(process, signo), fate(process, signo)
    if what is Fate.DIE:
        kernel.kill(process, signo, "sent to it")
    elif what is Fate.STOP:
        kernel.stop(process, signo)
    elif what is Fate.HANDLE:
        _enter(kernel, process, info, action_of(process, signo))


def _enter(kernel: GuestKernel, process: Process, info: SigInfo, action: Action) -> None:
    regs, signo, stack = kernel.registers_of(process), info.si_signo, process.alt_stack
    mask = process.blocked_signals if process.saved_mask is None else process.saved_mask
    addr, error, vector = process.fault
    try:
        frame, fpu = sigframe.place(stack, regs[RSP], action.flags, FXSAVE_BYTES)
        ucontext = UCONTEXT.pack(
            UC_FLAGS, 0, stack.base, stack.shown_flags(regs[RSP]), 0, stack.nbytes,
            *[regs[PLACE[name]] for name in SAVED], SEGMENTS, error, vector, 0, addr, fpu, mask,
        )  # fmt: skip
        content = struct.pack("<Q", action.restorer) + ucontext + pack_siginfo(info)
        process.space.write(frame, content)
        process.space.write(fpu, kernel.fpu_of(process))
    except (GuestError, SyscallError):
        kernel.kill(process, 11, "no room for a signal's frame")
        return
    process.saved_mask = None
    process.blocked_signals |= action.mask & ~UNBLOCKABLE_MASK
    if not action.flags & SA_NODEFER:
        process.blocked_signals |= _bit(signo)
    if action.flags & SA_RESETHAND:
        del process.actions[signo]
    if stack.flags & SS_AUTODISARM:
        process.alt_stack = NO_ALT_STACK
    entry = {"rdi": signo, "rsi": frame + 8 + UCONTEXT_BYTES, "rdx": frame + 8, "rax": 0,
             "rsp": frame, "rip": action.handler}  # fmt: skip
    for name, value in entry.items():
        regs[PLACE[name]] = value
    regs[EFLAGS] &= ~FLAGS_CLEARED
    process.regs_changed = True
    kernel.set_fpu(process, NEW_FPU)


def go_back(kernel: GuestKernel, process: Process) -> int:
    """Undo a handler's frame, which lies at rsp; return the rax that it interrupted."""
    words = UCONTEXT.unpack(process.space.read(process.regs[RSP], UCONTEXT_BYTES))
    fpu = process.space.read(words[29], FXSAVE_BYTES)
    for name, value in zip(SAVED, words[6:24], strict=True):
        process.regs[PLACE[name]] = value
    process.blocked_signals = words[30] & ~UNBLOCKABLE_MASK
    _, _, base, flags, _, nbytes = words[:6]
    process.alt_stack = process.alt_stack.restored(process.regs[RSP], base, flags, nbytes)
    kernel.set_fpu(process, fpu)
    return process.regs[RAX]


def replace_stack(process: Process, base: int, flags: int, nbytes: int) -> AltStack:
    """Give a process another alternate stack; return the old one. Errors: GuestError."""
    before = process.alt_stack
    try:
        process.alt_stack = before.replaced(process.regs[RSP], base, flags, nbytes)
    except SyscallError as error:
        raise GuestError(error.number) from None
    return before
