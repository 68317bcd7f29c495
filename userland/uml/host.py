"""What the guest kernel asks of its host: system calls, counted, and the layout of their data.

Owns the numbers of ptrace(2), the layout of registers and of the commands that a descriptor of
/proc/mm takes. Nothing here reaches below the system-call interface.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from pkern.userland.program import Sys

PTRACE_TRACEME, PTRACE_GETREGS, PTRACE_SETREGS = 0, 12, 13
PTRACE_GETFPREGS, PTRACE_SETFPREGS, PTRACE_SYSEMU = 14, 15, 31
PTRACE_FAULTINFO, PTRACE_SWITCH_MM = 52, 55
PTRACE_SETOPTIONS, PTRACE_GETSIGINFO = 0x4200, 0x4202
O_TRACESYSGOOD, O_EXITKILL = 1, 0x100000
CALL_STOP = 0x85  # SIGTRAP of a stop at a system call, with O_TRACESYSGOOD

MM_MMAP, MM_MUNMAP, MM_REMAP, MM_MADVISE = 54, 55, 58, 59
COMMAND = struct.Struct("<7Q")  # operation, address, length, protection, flags, fd, offset or page
MAX_COMMANDS = 4096  # in one write

REGISTERS = (
    "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi",
    "rdi", "orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs",
    "gs",
)  # fmt: skip
USER_REGS = struct.Struct(f"<{len(REGISTERS)}Q")
PLACE = {name: place for place, name in enumerate(REGISTERS)}
FAULT_INFO = struct.Struct("<iIQ")  # error code, vector, address
PAGE_FAULT = 14  # its vector
SIGINFO = struct.Struct("<iii4xQ")  # signal, errno, code, address

SIGSTOP, SIGSEGV, SIGBUS = 19, 11, 7
PRESENT_FAULT, WRITE_FAULT, FETCH_FAULT = 1, 2, 16  # bits of the processor's error code


class Host:
    """The host's system calls; `calls` counts them by name."""

    def __init__(self, sys: Sys) -> None:
        self.sys = sys
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.sys, name)
        if not callable(value):
            return value
        bound = self._counted(name, value)
        setattr(self, name, bound)
        return bound

    def _counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any) -> Any:
            self.calls[name] += 1
            return function(*args)

        return counted

    # ---- memory that is mapped here: no system call ----

    def load(self, addr: int, nbytes: int) -> bytes:
        """Return nbytes of this program's own memory."""
        return self.sys.load(addr, nbytes)

    def store(self, addr: int, data: bytes) -> None:
        """Write to this program's own memory."""
        self.sys.store(addr, data)

    # ---- address spaces ----

    def new_mm(self) -> int:
        """Return a descriptor of a new, empty address space."""
        fd: int = self.open("/proc/mm", self.sys.O_WRONLY, 0)
        return fd

    def command(self, mm_fd: int, commands: Iterable[tuple[int, ...]]) -> None:
        """Do the commands in order, many in one write. Errors: those of the first that fails."""
        packed = [COMMAND.pack(*command) for command in commands]
        while packed:
            data = b"".join(packed[:MAX_COMMANDS])
            done = self.write(mm_fd, data) // COMMAND.size
            del packed[:done]
