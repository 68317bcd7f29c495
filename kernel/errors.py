"""What can go wrong, and who is to blame.

SyscallError: the program erred (Linux's errno).  MemoryFault: it touched wrong
memory.  TaskKilled: the kernel ended the task.  KernelBug: we erred; never caught.
"""

from __future__ import annotations

import errno
import os

from pkern.kernel.typed import Any

PUBLIC = "pkern"  # where programs find these, and what a traceback calls them
SI_KERNEL = 0x80
SEGV_MAPERR, SEGV_ACCERR, SEGV_PKUERR = 1, 2, 4
BUS_ADRERR = 2
SIGBUS, SIGKILL, SIGSEGV = 7, 9, 11
FAULTS = {
    (SIGSEGV, SEGV_MAPERR): "SEGV_MAPERR: nothing is mapped there",
    (SIGSEGV, SEGV_ACCERR): "SEGV_ACCERR: its protection forbids it",
    (SIGSEGV, SEGV_PKUERR): "SEGV_PKUERR: its protection key forbids it",
    (SIGSEGV, SI_KERNEL): "SI_KERNEL: no address of user space",
    (SIGBUS, BUS_ADRERR): "BUS_ADRERR: no page of a file is there",
}
ACCESSES = {0: "load from", 2: "store to", 16: "execution at"}


class _Texts(dict[int, str]):
    """What the C library says of each errno: errors are many, and it takes its time."""

    def __missing__(self, number: int) -> str:
        text = self[number] = os.strerror(number)
        return text


_TEXTS = _Texts()


class SyscallError(OSError):
    """A system call failed with Linux's errno: `SyscallError(errno.EPERM)`.

    Where Python has an exception of its own for the errno, the error is one of those too: ENOENT
    is a FileNotFoundError, EPERM and EACCES a PermissionError, EAGAIN a BlockingIOError.
    filename, filename2: the call's paths, or what else the message names; None: nothing.
    """

    __module__ = PUBLIC

    def __init__(
        self, number: int, filename: str | None = None, filename2: str | None = None
    ) -> None:
        super().__init__(number, _TEXTS[number])
        if filename is not None:
            self.filename = filename
        if filename2 is not None:
            self.filename2 = filename2
        self.number = number
        kinds = _KINDS.get(type(self))
        if kinds is not None and (kind := kinds[number]) is not None:
            self.__class__ = kind

    def __reduce__(self) -> tuple[Any, ...]:
        return SyscallError, (self.number, self.filename, self.filename2), vars(self)


class _Kinds(dict[int, type[SyscallError] | None]):
    """By errno: what an error is beside its class; None: nothing. Made at the first of each."""

    def __init__(self, error: type[SyscallError]) -> None:
        self._error = error
        self._made: dict[type[OSError], type[SyscallError] | None] = {OSError: None}

    def __missing__(self, number: int) -> type[SyscallError] | None:
        kind = type(OSError(number, ""))
        if kind not in self._made:
            body = {"__doc__": self._error.__doc__, "__module__": self._error.__module__}
            self._made[kind] = type(kind.__name__, (self._error, kind), body)
        made = self[number] = self._made[kind]
        return made


_KINDS: dict[type[SyscallError], _Kinds] = {}


def with_pythons_own(error: type[SyscallError]) -> None:
    """Let errors of a class be of Python's class for their errno too, where there is one."""
    _KINDS[error] = _Kinds(error)


class host_errors:
    """A context that turns the host's error into the program's: the same errno."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, where: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, SyscallError):
            raise SyscallError(error.errno or errno.EIO) from None


with_pythons_own(SyscallError)


class NoRoom(SyscallError):
    """ENOMEM for what a new task cannot be without: its stack."""

    def __init__(self, what: str, nbytes: int) -> None:
        super().__init__(errno.ENOMEM)
        self.sentence = (
            f"the machine has no room for {what} ({nbytes >> 10}K): give it more --ram, or see"
            " vm.overcommit_memory"
        )


class MemoryFault(Exception):
    """An access that Linux answers with a signal.

    addr: bytes, as si_addr. code: si_code. access: 0 a load, 2 a store, 16 an instruction's fetch.
    """

    __module__ = PUBLIC

    signo = 0
    name = ""

    def __init__(self, addr: int, code: int, access: int) -> None:
        why = FAULTS.get((self.signo, code), f"si_code {code}")
        super().__init__(f"{self.name}, {ACCESSES.get(access, 'access to')} {addr:#x} ({why})")
        self.addr = addr
        self.code = code
        self.access = access

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.addr, self.code, self.access), vars(self)


class SegmentationFault(MemoryFault):
    """SIGSEGV: nothing mapped (SEGV_MAPERR), or not allowed (SEGV_ACCERR, SEGV_PKUERR)."""

    __module__ = PUBLIC

    signo, name = SIGSEGV, "SIGSEGV"


class BusError(MemoryFault):
    """SIGBUS: beyond the end of the file, or a hole of a special VMA (BUS_ADRERR)."""

    __module__ = PUBLIC

    signo, name = SIGBUS, "SIGBUS"


class TaskKilled(Exception):
    """The kernel ended the task with a signal, for example the OOM killer's SIGKILL."""

    __module__ = PUBLIC

    def __init__(self, pid: int, signo: int) -> None:
        end = f"was killed by signal {signo}" if signo else "has ended"
        super().__init__(f"task {pid} {end}")
        self.pid = pid
        self.signo = signo

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.pid, self.signo), vars(self)


class MachineClosed(RuntimeError):
    """The machine has been closed: of its memory nothing is left."""

    __module__ = PUBLIC

    def __init__(self) -> None:
        super().__init__("the machine is closed")


class Deadlock(RuntimeError):
    """Every task sleeps and nothing can wake one; the text says who waits for what."""

    __module__ = PUBLIC


class KernelPanic(Exception):
    """The machine stopped: no memory and no one to kill, or vm.panic_on_oom."""

    __module__ = PUBLIC


class KernelBug(Exception):
    """An invariant does not hold: a bug of this kernel, not of its program."""

    __module__ = PUBLIC
