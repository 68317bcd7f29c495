"""Signals of guest processes: who gets one, what it does, and the frame of a handler.

The frame is Linux's, as kernel/sigframe.py lays it out. There are no stopped processes and no
alternate stacks: signals that stop do nothing, and SA_ONSTACK is the stack that there is.
"""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.sigframe import (
    FLAGS_CLEARED,
    FPU_BYTES,
    FRAME_BYTES,
    RED_ZONE,
    SAVED,
    SEGMENTS,
    SS_DISABLE,
    UC_FLAGS,
    UCONTEXT,
    UCONTEXT_BYTES,
    pack_siginfo,
)
from kernel.signals import (
    SA_NODEFER,
    SA_RESETHAND,
    SA_RESTART,
    SIG_DFL,
    SIG_IGN,
    UNBLOCKABLE_MASK,
    SigInfo,
)
from userland.uml.host import PLACE
from userland.uml.memory import GuestError
from userland.uml.process import NEW_FPU, Process, State

if TYPE_CHECKING:
    from userland.uml.kernel import GuestKernel

ACTION = struct.Struct("<4Q")
HARMLESS = frozenset({17, 18, 19, 20, 21, 22, 23, 28})  # CHLD, CONT, the stops, URG, WINCH
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
    """Return what a signal does to a process."""
    raw = process.actions.get(signo)
    return Action(*ACTION.unpack(raw)) if raw else Action()


def _bit(signo: int) -> int:
    return 1 << (signo - 1)


def send(kernel: GuestKernel, target: Process, info: SigInfo) -> None:
    """Send a signal; one that is not blocked acts before the process's next instruction."""
    signo, handler = info.si_signo, action_of(target, info.si_signo).handler
    blocked = target.blocked_signals & _bit(signo)
    ignored = handler == SIG_IGN or (handler == SIG_DFL and signo in HARMLESS)
    if target.state is State.ZOMBIE or (ignored and not blocked):
        return
    target.pending[signo] = info
    if not blocked and target.state is State.BLOCKED:
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
        process.pending[signo] = info


def end_call(process: Process, signo: int) -> None:
    """Leave a system call that would wait: it is made again after a handler, or returns EINTR."""
    if action_of(process, signo).flags & SA_RESTART:
        process.regs[RIP] -= SYSCALL_BYTES
        process.regs[RAX] = process.regs[PLACE["orig_rax"]]
    else:
        process.result(-errno.EINTR)


def next_pending(process: Process) -> int:
    """Return the lowest signal that waits and is not blocked, 0 if there is none."""
    open_ones = (n for n in process.pending if not process.blocked_signals & _bit(n))
    return min(open_ones, default=0)


def act(kernel: GuestKernel, process: Process) -> None:
    """Let the signals that wait act on a process that is about to run."""
    while process.state is not State.ZOMBIE and (signo := next_pending(process)):
        info, action = process.pending.pop(signo), action_of(process, signo)
        if action.handler == SIG_DFL and signo not in HARMLESS:
            kernel.kill(process, signo, "sent to it")
        elif action.handler not in (SIG_DFL, SIG_IGN):
            _enter(kernel, process, info, action)


def _enter(kernel: GuestKernel, process: Process, info: SigInfo, action: Action) -> None:
    regs, signo = kernel.registers_of(process), info.si_signo
    fpu = regs[RSP] - RED_ZONE - FPU_BYTES & ~63
    frame = (fpu - FRAME_BYTES & ~15) - 8
    ucontext = UCONTEXT.pack(
        UC_FLAGS, 0, 0, SS_DISABLE, 0, 0,
        *[regs[PLACE[name]] for name in SAVED], SEGMENTS, 0, 0, 0, info.si_addr, fpu,
        process.blocked_signals,
    )  # fmt: skip
    content = struct.pack("<Q", action.restorer) + ucontext + pack_siginfo(info)
    try:
        process.space.write(frame, content)
        process.space.write(fpu, kernel.fpu_of(process))
    except GuestError:
        kernel.kill(process, 11, "no room for a signal's frame")
        return
    process.blocked_signals |= action.mask & ~UNBLOCKABLE_MASK
    if not action.flags & SA_NODEFER:
        process.blocked_signals |= _bit(signo)
    if action.flags & SA_RESETHAND:
        del process.actions[signo]
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
    fpu = process.space.read(words[29], FPU_BYTES)
    for name, value in zip(SAVED, words[6:24], strict=True):
        process.regs[PLACE[name]] = value
    process.blocked_signals = words[30] & ~UNBLOCKABLE_MASK
    kernel.set_fpu(process, fpu)
    return process.regs[RAX]
