"""What ptrace shows of a stopped task: registers, the user area, the system call that it is in.

Layouts are those of Linux 6.18 for x86-64: struct user, the sets of registers of a core file,
struct ptrace_syscall_info.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.cpu.processor import Context
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.program.elf import TASK_SIZE
from pkern.kernel.tasks.registers import xstate
from pkern.kernel.tasks.registers.debugregs import NO_DEBUG
from pkern.kernel.tasks.registers.userregs import (
    CONSTANT_REGS,
    REGS,
    USER_REGS,
    pack_regs,
    unpack_regs,
    user_regs,
)
from pkern.kernel.tasks.thread import entry_of
from pkern.kernel.tasks.trace import ENTERED, LEFT, SYSGOOD
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

WORD = struct.Struct("<Q")
MASK = (1 << 64) - 1
FPREGS_BYTES = 512
USER_BYTES = 928  # struct user
DEBUG_AT, NR_DEBUG = 848, 8  # u_debugreg in it
NT_PRSTATUS, NT_FPREGSET, NT_386_IOPERM, NT_X86_XSTATE = 1, 2, 0x201, 0x202
IOPERM_BYTES = 8192  # a bit for each port
SEGMENTS = ("cs", "ss", "ds", "es", "fs", "gs")
ALWAYS = ("cs", "ss")
MAX_ERRNO = 4095
SIGTRAP = 5
CALL_NONE, CALL_ENTRY, CALL_EXIT = 0, 1, 2
CALL_HEAD = struct.Struct("<BBHIQQ")  # op, reserved, flags, architecture, rip, rsp
CALL_INFO_BYTES = 88
RSEQ = struct.Struct("<QIII4x")
ARCH_SET_GS, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS = range(0x1001, 0x1005)


def context_of(task: Task) -> Context:
    """Return a tracee's registers; a Python program's child gets them here. Errors: EIO, ENOMEM."""
    if task.context is None:
        if task.kernel.processor is None:
            raise SyscallError(errno.EIO)
        task.context = Context.new(task.kernel.processor, task)
        task.context.enter(task.mm.handle)
    return task.context


# ---- registers ----


def registers(task: Task) -> dict[str, int]:
    """Return all of struct user_regs_struct by name."""
    return user_regs(context_of(task), task.thread.orig_rax)


def _check_register(name: str, value: int) -> None:
    """Refuse what a register cannot hold. Errors: EIO."""
    selector = name in SEGMENTS and (value & 3 != 3 and value & 0xFFFF)
    empty = name in ALWAYS and not value & 0xFFFF
    base = name in ("fs_base", "gs_base") and value >= TASK_SIZE
    if selector or empty or base:
        raise SyscallError(errno.EIO)


def set_registers(task: Task, values: dict[str, int]) -> None:
    """Set registers by name; segments keep what they have. Errors: EIO."""
    context = context_of(task)
    for name, value in values.items():
        _check_register(name, value)
    if "orig_rax" in values:
        task.thread.orig_rax = values["orig_rax"]
        task.thread.may_restart = 1
    fixed = {*CONSTANT_REGS, "orig_rax"}
    context.set_registers({name: v for name, v in values.items() if name not in fixed})


def _user_name(addr: int) -> str | int | None:
    """Return the register at an offset of struct user: a name, a debug register, None for others.

    Errors: EIO: no word of it is there.
    """
    if addr % WORD.size or not 0 <= addr < USER_BYTES:
        raise SyscallError(errno.EIO)
    if addr < REGS.size:
        return USER_REGS[addr // WORD.size]
    if DEBUG_AT <= addr < DEBUG_AT + NR_DEBUG * WORD.size:
        return (addr - DEBUG_AT) // WORD.size
    return None


def peek_user(task: Task, addr: int) -> int:
    """Return a word of struct user. Errors: EIO."""
    name = _user_name(addr)
    if isinstance(name, int):
        return (task.thread.debug or NO_DEBUG).get(name)
    return registers(task)[name] if name is not None else 0


def poke_user(task: Task, addr: int, value: int) -> None:
    """Set a word of struct user. Errors: EIO, EINVAL (a debug register's value)."""
    name = _user_name(addr)
    if name is None:
        raise SyscallError(errno.EIO)
    if isinstance(name, int):
        task.thread.debug = (task.thread.debug or NO_DEBUG).with_(name, value)
    else:
        set_registers(task, {name: value})


# ---- sets of registers ----


class Regset(NamedTuple):
    """One set: its bytes, and those of a unit of it."""

    nbytes: int
    unit: int


REGSETS = {
    NT_PRSTATUS: Regset(REGS.size, WORD.size),
    NT_FPREGSET: Regset(FPREGS_BYTES, WORD.size),
    NT_386_IOPERM: Regset(IOPERM_BYTES, WORD.size),
    NT_X86_XSTATE: Regset(xstate.XSTATE_BYTES, WORD.size),
}


def regset_bytes(task: Task, kind: int, wanted: int) -> int:
    """Return how much of a set is exchanged. Errors: EINVAL, ENODEV (no such state)."""
    found = REGSETS.get(kind)
    if found is None or wanted % found.unit:
        raise SyscallError(errno.EINVAL)
    if kind == NT_X86_XSTATE and not task.kernel.has_cpu("pku"):
        raise SyscallError(errno.ENODEV)
    return min(wanted, found.nbytes)


def get_regset(task: Task, kind: int, wanted: int) -> bytes:
    """Return the first bytes of a set. Errors: as regset_bytes, ENXIO (it has none)."""
    nbytes, context = regset_bytes(task, kind, wanted), context_of(task)
    if kind == NT_PRSTATUS:
        return pack_regs(registers(task))[:nbytes]
    if kind == NT_386_IOPERM:
        raise SyscallError(errno.ENXIO)  # no ports are allowed to anybody
    return (context.fpu() if kind == NT_FPREGSET else xstate.regset(task))[:nbytes]


def set_regset(task: Task, kind: int, data: bytes) -> None:
    """Set the first bytes of a set. Errors: as regset_bytes, EIO, EINVAL, EOPNOTSUPP."""
    nbytes = regset_bytes(task, kind, len(data))
    if kind == NT_PRSTATUS:
        all_of_it = pack_regs(registers(task))
        values = unpack_regs(data[:nbytes] + all_of_it[nbytes:])
        names = USER_REGS[: nbytes // WORD.size]
        set_registers(task, {name: values[name] for name in names})
    elif kind == NT_386_IOPERM:
        raise SyscallError(errno.EOPNOTSUPP)
    elif kind == NT_FPREGSET:
        if nbytes < FPREGS_BYTES:
            raise SyscallError(errno.EINVAL)
        xstate.set_fxsave(context_of(task), data[:nbytes])
    elif nbytes < REGSETS[kind].nbytes:
        raise SyscallError(errno.EFAULT)
    else:
        xstate.set_regset(task, data)


# ---- the system call that it is in ----


def _call_stop(task: Task) -> int:
    """Return at what kind of stop for a call a task is, if its tracer can tell it from others."""
    trace = task.trace
    assert trace is not None
    if trace.siginfo is None or trace.siginfo.si_code != SIGTRAP | SYSGOOD:
        return CALL_NONE
    return {ENTERED: CALL_ENTRY, LEFT: CALL_EXIT}.get(trace.message, CALL_NONE)


def call_info(task: Task) -> bytes:
    """Return struct ptrace_syscall_info, as much of it as is meant."""
    regs, kind, entry = registers(task), _call_stop(task), entry_of(task)
    head = CALL_HEAD.pack(kind, 0, 0, entry.audit_arch, regs["rip"], regs["rsp"])
    if kind == CALL_ENTRY:
        arguments = (regs[name] for name in entry.arguments)
        return head + struct.pack("<7Q", regs["orig_rax"], *arguments)
    if kind == CALL_EXIT:
        failed = regs["rax"] > MASK - MAX_ERRNO
        return head + struct.pack("<QB", regs["rax"], failed)
    return head


def set_call_info(task: Task, nbytes: int, data: bytes) -> None:
    """Change the call that a task is in, or what it returns. Errors: EINVAL, ERANGE."""
    kind, reserved, flags, *_ = CALL_HEAD.unpack_from(data)
    if reserved or flags or kind != _call_stop(task) or kind == CALL_NONE:
        raise SyscallError(errno.EINVAL)
    if kind == CALL_EXIT:
        value, failed = struct.unpack_from("<qB", data, CALL_HEAD.size)
        _set_result(task, value, failed)
        return
    nr, *arguments = struct.unpack_from("<q6Q", data, CALL_HEAD.size)
    if not -(1 << 31) <= nr < 1 << 31:
        raise SyscallError(errno.ERANGE)
    values = {} if nr == -1 else dict(zip(entry_of(task).arguments, arguments, strict=True))
    set_registers(task, values | {"orig_rax": nr & MASK})


def _set_result(task: Task, value: int, failed: int) -> None:
    if failed and not -(1 << 31) <= value < 1 << 31:
        raise SyscallError(errno.ERANGE)
    set_registers(task, {"rax": value & MASK})


# ---- more of its state ----


def rseq_configuration(task: Task) -> bytes:
    """Return struct ptrace_rseq_configuration."""
    area = task.thread.rseq
    return RSEQ.pack(area.addr, area.nbytes, area.signature, 0) if area else bytes(RSEQ.size)


def arch_prctl(task: Task, option: int, addr: int) -> bytes | int:
    """Return or set the base of a segment. Errors: EINVAL, EPERM (outside user space)."""
    names = {ARCH_SET_FS: "fs_base", ARCH_GET_FS: "fs_base"}
    names |= {ARCH_SET_GS: "gs_base", ARCH_GET_GS: "gs_base"}
    if option not in names:
        raise SyscallError(errno.EINVAL)
    if option in (ARCH_GET_FS, ARCH_GET_GS):
        return WORD.pack(registers(task)[names[option]])
    if addr >= TASK_SIZE:
        raise SyscallError(errno.EPERM)
    set_registers(task, {names[option]: addr})
    return 0
