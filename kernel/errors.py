"""What can go wrong, and who is to blame.

SyscallError: the program erred (Linux's errno).  MemoryFault: it touched wrong
memory.  TaskKilled: the kernel ended the task.  KernelBug: we erred; never caught.
"""

from __future__ import annotations

import os

SI_KERNEL = 0x80
SEGV_MAPERR, SEGV_ACCERR = 1, 2
BUS_ADRERR = 2
SIGBUS, SIGKILL, SIGSEGV = 7, 9, 11
FAULTS = {
    (SIGSEGV, SEGV_MAPERR): "SEGV_MAPERR: nothing is mapped there",
    (SIGSEGV, SEGV_ACCERR): "SEGV_ACCERR: its protection forbids it",
    (SIGSEGV, SI_KERNEL): "SI_KERNEL: no address of user space",
    (SIGBUS, BUS_ADRERR): "BUS_ADRERR: no page of a file is there",
}
ACCESSES = {0: "load from", 2: "store to", 16: "execution at"}


class SyscallError(OSError):
    """A system call failed with Linux's errno: `SyscallError(errno.EPERM)`.

    subject: what the message names, for a caller who has no path of it in hand.
    """

    def __init__(self, number: int, subject: str | None = None) -> None:
        super().__init__(number, os.strerror(number), subject)
        self.number = number


class MemoryFault(Exception):
    """An access that Linux answers with a signal.

    addr: bytes, as si_addr.  code: si_code.  access: enum access of the core.
    """

    signo = 0
    name = ""

    def __init__(self, addr: int, code: int, access: int) -> None:
        why = FAULTS.get((self.signo, code), f"si_code {code}")
        super().__init__(f"{self.name}, {ACCESSES.get(access, 'access to')} {addr:#x} ({why})")
        self.addr = addr
        self.code = code
        self.access = access


class SegmentationFault(MemoryFault):
    """SIGSEGV: nothing mapped (SEGV_MAPERR) or not allowed (SEGV_ACCERR)."""

    signo, name = SIGSEGV, "SIGSEGV"


class BusError(MemoryFault):
    """SIGBUS: beyond the end of the file, or a hole of a special VMA (BUS_ADRERR)."""

    signo, name = SIGBUS, "SIGBUS"


class TaskKilled(Exception):
    """The kernel ended the task with a signal, for example the OOM killer's SIGKILL."""

    def __init__(self, pid: int, signo: int) -> None:
        end = f"was killed by signal {signo}" if signo else "has ended"
        super().__init__(f"task {pid} {end}")
        self.pid = pid
        self.signo = signo


class KernelPanic(Exception):
    """The machine stopped: no memory and no one to kill, or vm.panic_on_oom."""


class KernelBug(Exception):
    """An invariant does not hold: a bug of this kernel, not of its program."""
