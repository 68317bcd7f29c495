"""Faults and exceptions of programs in machine code: what is brought, or which signal follows.

Owns the tables from faults and exceptions to Linux's signals, the error code that a handler and a
tracer see, and the lines that dmesg has for a signal that nobody handles.
"""

from __future__ import annotations

from pkern.kernel.core import lib
from pkern.kernel.errors import MemoryFault, SyscallError
from pkern.kernel.log import KERN_INFO
from pkern.kernel.tasks.program.elf import TASK_SIZE
from pkern.kernel.tasks.signal import sending
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SIG_DFL, SIG_IGN, SigInfo
from pkern.kernel.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV = 4, 5, 7, 8, 11
FPE_FLTINV = 7
BREAKPOINT, PROTECTION, PAGE_FAULT = 3, 13, 14  # vectors
TRAP_BRKPT = 1
# Of a page fault's error code; enum access is its other bits.
PF_PRESENT, PF_USER, PF_PK = 1, 4, 0x20
FAULTS = {
    lib.SEGV_MAPERR: (SIGSEGV, 1),
    lib.SEGV_ACCERR: (SIGSEGV, 2),
    lib.BUS_ADRERR: (SIGBUS, 2),
    lib.SEGV_PKUERR: (SIGSEGV, 4),
}
ACCERR, PKUERR = FAULTS[lib.SEGV_ACCERR], FAULTS[lib.SEGV_PKUERR]
# vector -> signal, si_code; si_addr is the instruction where the code is not SI_KERNEL.
EXCEPTIONS = {
    0: (SIGFPE, 1),
    1: (SIGTRAP, 2),
    BREAKPOINT: (SIGTRAP, SI_KERNEL),
    6: (SIGILL, 2),
    12: (SIGBUS, SI_KERNEL),
    16: (SIGFPE, FPE_FLTINV),
    17: (SIGBUS, 1),
    19: (SIGFPE, FPE_FLTINV),
}
GENERAL_PROTECTION = (SIGSEGV, SI_KERNEL)
# What Linux's log says of a vector; the others are not logged.
LOGGED = {
    0: "trap divide error",
    BREAKPOINT: "trap int3",
    6: "trap invalid opcode",
    12: "trap stack segment",
    13: "general protection fault",
    17: "trap alignment check",
}
CODE_BEFORE, CODE_BYTES = 42, 64  # of the instructions that the log shows


# ---- faults ----


def serve_need(task: Task, exit_: Any) -> None:
    """Bring what an access needs, or send its signal; exit_ is the processor's (struct run_exit *).

    Errors: WouldBlock: somebody else is to bring it.
    """
    memory, status = task.kernel.memory, int(exit_.status)
    if status == lib.NEED_USER:  # its monitor may want the very byte
        memory.need.addr = exit_.addr
    access, asked = int(exit_.access), int(exit_.asked)
    try:
        memory.serve_fault(task, status, asked)
    except MemoryFault as fault:
        page_fault(task, fault.signo, fault.code, fault.addr, access)


def memory_fault(task: Task, exit_: Any) -> None:
    """Send the signal of an access that the core refuses; exit_ is the processor's."""
    signo, code = FAULTS[exit_.status]
    page_fault(task, signo, code, int(exit_.addr), int(exit_.access))


def page_fault(task: Task, signo: int, code: int, addr: int, access: int) -> None:
    """Send the signal of an access (enum access) at addr that cannot be made possible."""
    error = access | PF_USER
    if addr >= TASK_SIZE or ((signo, code) == ACCERR and _was_present(task, addr, access)):
        error |= PF_PRESENT
    vma = task.mm.vma_at(addr) if (signo, code) == PKUERR else None
    if vma is not None and lib.mm_is_present(task.mm.handle, addr):
        error |= PF_PRESENT | PF_PK
    task.thread.fault = (addr, error, PAGE_FAULT)
    if signo == SIGSEGV and _is_unhandled(task, signo):
        _log_segfault(task, addr, error)
    sending.force(task, SigInfo(signo, code, si_addr=addr, si_pkey=vma.pkey if vma else 0))


def _was_present(task: Task, addr: int, access: int) -> bool:
    """Tell whether hardware found a page that refuses the access.

    An instruction fetch brings in the page first, as a read; a page of PROT_NONE is never present.
    """
    vma = task.mm.vma_at(addr)
    if vma is None or not vma.flags & (lib.VM_READ | lib.VM_WRITE | lib.VM_EXEC):
        return False
    if access == lib.ACCESS_EXEC:
        return True
    return bool(lib.mm_is_present(task.mm.handle, addr))


def exception(task: Task, exit_: Any) -> None:
    """Send the signal of an exception; exit_ is the processor's (struct run_exit *)."""
    vector, rip, error = int(exit_.vector), int(exit_.rip), int(exit_.error)
    signo, code = EXCEPTIONS.get(vector, GENERAL_PROTECTION)
    if exit_.asked_for:
        code = TRAP_BRKPT
    task.thread.fault = (task.thread.fault[0], error, vector)  # CR2 stays
    if _is_unhandled(task, signo):
        _log_trap(task, PROTECTION if (signo, code) == GENERAL_PROTECTION else vector)
    sending.force(task, SigInfo(signo, code, si_addr=0 if code == SI_KERNEL else rip))


# ---- the log ----


def _is_unhandled(task: Task, signo: int) -> bool:
    if task.trace is not None or task.signals.sigaction(signo).handler not in (SIG_DFL, SIG_IGN):
        return False
    return bool(task.kernel.sysctl["debug.exception-trace"])


def _log_segfault(task: Task, addr: int, error: int) -> None:
    regs = task.cpu.registers()
    where = f"ip {regs['rip']:016x} sp {regs['rsp']:016x} error {error:x}"
    line = f"{task.name}[{task.pid}]: segfault at {addr:x} {where}{_place(task, regs['rip'])}"
    task.kernel.log.write(KERN_INFO, f"{line} likely on CPU 0 (core 0, socket 0)")
    task.kernel.log.write(KERN_INFO, _code(task, regs["rip"]))


def _log_trap(task: Task, vector: int) -> None:
    if vector not in LOGGED:
        return
    regs = task.cpu.registers()
    error, place = task.thread.fault[1], _place(task, regs["rip"])
    where = f"ip:{regs['rip']:x} sp:{regs['rsp']:x} error:{error:x}{place}"
    task.kernel.log.write(KERN_INFO, f"traps: {task.name}[{task.pid}] {LOGGED[vector]} {where}")


def _place(task: Task, rip: int) -> str:
    """Return ' in FILE[offset,start+length]' of the mapped file that holds an instruction."""
    vma = task.mm.vma_at(rip)
    file = task.kernel.vfs.file_of(vma.file_cookie) if vma and vma.file_cookie else None
    if vma is None or file is None:
        return ""
    offset = rip - vma.start + vma.pgoff * PAGE_SIZE
    name = file.path.rpartition("/")[2]
    return f" in {name}[{offset:x},{vma.start:x}+{vma.end - vma.start:x}]"


def _code(task: Task, rip: int) -> str:
    start = max(rip - CODE_BEFORE, 0)
    try:
        code = task.mm.copy_in(start, CODE_BYTES)
    except SyscallError:
        return f"Code: Unable to access opcode bytes at {start:#x}."
    shown = [f"{byte:02x}" for byte in code]
    shown[rip - start] = f"<{shown[rip - start]}>"
    return "Code: " + " ".join(shown)
