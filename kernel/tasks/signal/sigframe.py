"""Signal frames on the user stack, byte for byte as x86-64 Linux lays them out.

    high   [ x87, SSE and PKRU, 64-aligned: xstate.py ]
           [ siginfo 128 ][ ucontext 304 ][ return address ]   <- rsp in the handler
    low

setup() writes a frame and points the registers at the handler; restore() undoes it. Source:
arch/x86/kernel/signal_64.c of Linux 6.x, as a processor without xsave has it.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import itemgetter
from pkern.kernel.tasks.registers import xstate
from pkern.kernel.tasks.signal.altstack import NO_ALT_STACK, SS_AUTODISARM, AltStack
from pkern.kernel.tasks.signal.signals import (
    SA_NODEFER,
    SA_ONSTACK,
    SA_RESETHAND,
    SA_RESTORER,
    SI_KERNEL,
    SIG_DFL,
    SIGCHLD,
    SYNCHRONOUS,
    Sigaction,
    SigInfo,
    set_blocked,
)
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

RED_ZONE = 128
UC_FLAGS = 6  # UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS
UC_FP_XSTATE = 1  # more than fxsave's image follows
SEGMENTS = 0x33 | 0x2B << 48  # cs, gs, fs, ss
SAVED = (
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rdi", "rsi", "rbp", "rbx", "rdx", "rax", "rcx", "rsp", "rip", "eflags",
)  # fmt: skip
_SAVED_OF = itemgetter(*SAVED)
UCONTEXT = struct.Struct("<QQ QIIQ 18Q Q 3QQ Q 64x Q")
UCONTEXT_BYTES, SIGINFO_BYTES = 304, 128
FRAME_BYTES = 8 + UCONTEXT_BYTES + SIGINFO_BYTES
FLAGS_RESTORED = 0x50DD5  # carry to overflow, trap, direction, resume, alignment check
FLAGS_CLEARED = 1 << 10 | 1 << 16 | 1 << 8  # direction, resume, trap


def pack_siginfo(info: SigInfo) -> bytes:
    """Return the 128 bytes of siginfo_t."""
    head = struct.pack("<iii4x", info.si_signo, info.si_errno, info.si_code)
    if info.si_signo == SIGCHLD and info.si_code > 0:
        body = struct.pack("<iIi4xqq", info.si_pid, info.si_uid, info.si_status, 0, 0)
    elif info.si_syscall >= 0:
        body = struct.pack("<QII", info.si_addr, info.si_syscall, info.si_arch)
    elif info.si_signo in SYNCHRONOUS and 0 < info.si_code <= SI_KERNEL and not info.si_pid:
        body = struct.pack("<Q8xI", info.si_addr, info.si_pkey)
    elif info.si_band:
        body = struct.pack("<qi", info.si_band, info.si_fd)
    else:
        body = struct.pack("<iIQ", info.si_pid, info.si_uid, info.si_value)
    return (head + body).ljust(SIGINFO_BYTES, b"\0")


def unpack_siginfo(data: bytes) -> SigInfo:
    """Return what the 128 bytes of siginfo_t say."""
    signo, _, code = struct.unpack_from("<iii", data)
    info = SigInfo(signo, code)
    if signo == SIGCHLD and code > 0:
        pid, uid, status = struct.unpack_from("<iIi", data, 16)
        return info._replace(si_pid=pid, si_uid=uid, si_status=status)
    if signo in SYNCHRONOUS and code > 0:
        addr, pkey = struct.unpack_from("<Q8xI", data, 16)
        return info._replace(si_addr=addr, si_pkey=pkey)
    pid, uid, value = struct.unpack_from("<iIQ", data, 16)
    return info._replace(si_pid=pid, si_uid=uid, si_value=value)


def place(stack: AltStack, rsp: int, flags: int, nbytes: int) -> tuple[int, int]:
    """Return the addresses of the frame and of the nbytes of extended state; flags: SA_*.

    Errors: EFAULT: the alternate stack overflows.
    """
    entering = flags & SA_ONSTACK and stack.nbytes and not stack.in_use(rsp - RED_ZONE)
    top = stack.base + stack.nbytes if entering else rsp - RED_ZONE
    fpu = top - nbytes & ~63
    frame = (fpu - FRAME_BYTES & ~15) - 8
    if frame <= stack.base and (entering or stack.in_use(rsp)):
        raise SyscallError(errno.EFAULT)
    return frame, fpu


def _ucontext(task: Task, regs: dict[str, int], fpu: int, nbytes: int) -> bytes:
    """Return struct ucontext. fpu, nbytes: where the extended state lies, and how much it is."""
    thread, stack = task.thread, task.thread.alt_stack
    uc_flags = UC_FLAGS | (UC_FP_XSTATE if nbytes > xstate.FXSAVE_BYTES else 0)
    cr2, code, vector = thread.fault
    mask = task.signals.blocked if thread.saved_mask is None else thread.saved_mask
    return UCONTEXT.pack(
        uc_flags, 0, stack.base, stack.flags, 0, stack.nbytes,
        *_SAVED_OF(regs), SEGMENTS, code, vector, 0, cr2, fpu, mask,
    )  # fmt: skip


def _mask_in_handler(task: Task, signo: int, action: Sigaction) -> int:
    mask = task.signals.blocked | action.mask
    if not action.flags & SA_NODEFER:
        mask |= 1 << (signo - 1)
    return mask


def setup(task: Task, info: SigInfo, action: Sigaction) -> None:
    """Let the task enter its handler. Errors: EFAULT: the frame cannot be written."""
    context, thread, signo = task.cpu, task.thread, info.si_signo
    if not action.flags & SA_RESTORER:
        raise SyscallError(errno.EFAULT)
    regs = context.registers()
    stack = thread.alt_stack
    state = xstate.image(task)
    frame, fpu = place(stack, regs["rsp"], action.flags, len(state))
    below = struct.pack("<Q", action.restorer) + _ucontext(task, regs, fpu, len(state))
    pkru, task.mm.pkru = task.mm.pkru, 0  # the kernel may write any stack that the task could
    try:
        task.mm.copy_out(frame, below + pack_siginfo(info))
        task.mm.copy_out(fpu, state)
    except SyscallError:
        task.mm.pkru = pkru
        raise
    thread.saved_mask = None
    set_blocked(task, _mask_in_handler(task, signo, action))
    if action.flags & SA_RESETHAND:
        task.signals.set_action(signo, action._replace(handler=SIG_DFL))
    if stack.flags & SS_AUTODISARM:
        thread.alt_stack = NO_ALT_STACK
    context.set_registers(
        {
            "rdi": signo,
            "rsi": frame + 8 + UCONTEXT_BYTES,
            "rdx": frame + 8,
            "rax": 0,
            "rsp": frame,
            "rip": action.handler,
            "eflags": regs["eflags"] & ~FLAGS_CLEARED,
        }
    )
    xstate.begin_handler(task)


def restore(task: Task) -> None:
    """Set registers, mask and alternate stack from the frame below rsp. Errors: EFAULT, EINVAL."""
    context = task.cpu
    at = context.registers()["rsp"]
    words = UCONTEXT.unpack(task.mm.copy_in(at, UCONTEXT_BYTES))
    fpu, mask = words[29], words[30]
    xstate.restore(task, fpu)
    _, _, base, flags, _, nbytes = words[:6]
    regs = dict(zip(SAVED, words[6:24], strict=True))
    kept = context.registers()["eflags"] & ~FLAGS_RESTORED
    context.set_registers(regs | {"eflags": regs["eflags"] & FLAGS_RESTORED | kept})
    set_blocked(task, mask)
    task.thread.alt_stack = task.thread.alt_stack.restored(regs["rsp"], base, flags, nbytes)
