"""Boots a guest kernel on a machine and hands back what happened.

Owns the harness for the command line, the lab and tests: the guest kernel itself is the program.
"""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pkern.kernel.clock import SECOND
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.signal.signames import Signal
from pkern.userland.machine_code import boot_scheduler
from pkern.userland.program import Sys
from pkern.userland.uml.files import Emit, Source
from pkern.userland.uml.host import Host
from pkern.userland.uml.kernel import Config, GuestKernel, GuestPanic, Stats
from pkern.userland.uml.memory import GuestError

ENVIRONMENT = [b"PATH=/bin", b"HOME=/", b"TERM=dumb"]


class CannotBoot(ValueError):
    """The guest did not come to its first instruction; the text says why."""


@dataclass(frozen=True, slots=True)
class UmlResult:
    """One guest's run: its first process's status as wait4 reports it, and what it took.

    mode: nonlinear or mmap. host_calls: system calls of the guest kernel, by name.
    vsyscall_traps: made from the page of vsyscalls. vsyscall_selects: times the host changed that
    page for its other form.
    """

    status: int
    mode: str
    stats: Stats
    host_calls: dict[str, int]
    vsyscall_traps: int
    vsyscall_selects: int
    log: list[str]
    frames_used: int

    @property
    def exit_status(self) -> int:
        """As a shell gives it: the exit code, or 128 and the signal's number."""
        return self.status >> 8 if not self.status & 0x7F else 128 + (self.status & 0x7F)


def discard(data: bytes) -> None:
    """Drop what a guest prints."""


class NoInput:
    """Input that is at its end."""

    def read(self, nbytes: int) -> bytes:
        return b""

    def wait(self, nanoseconds: int | None) -> bool:
        return True


class HostInput:
    """A descriptor of the host's: the guest goes on while nothing is there."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def read(self, nbytes: int) -> bytes | None:
        return os.read(self._fd, nbytes) if self.wait(0) else None

    def wait(self, nanoseconds: int | None) -> bool:
        seconds = None if nanoseconds is None else nanoseconds / SECOND
        return bool(select.select([self._fd], [], [], seconds)[0])


NO_INPUT = NoInput()


def guest_path(program: Path) -> str:
    """Return the name that a program of the host has in the guest."""
    return f"/bin/{program.name}"


def prepare(kernel: Kernel) -> None:
    """Give a machine what runs machine code. Errors: CpuUnavailable."""
    if kernel.scheduler is None:
        boot_scheduler(kernel)


def run_uml(
    kernel: Kernel,
    program: Path,
    arguments: Sequence[str] = (),
    config: Config | None = None,
    out: Emit = discard,
    err: Emit = discard,
    source: Source = NO_INPUT,
) -> UmlResult:
    """Run a static program of the host's in a guest; out and err get what it prints.

    source: gives what it reads.

    Errors: CannotBoot, GuestPanic, OSError of the guest kernel's own system calls.
    """
    prepare(kernel)
    page = kernel.vsyscalls
    traps, selects = page.traps, page.selects
    task = kernel.spawn("uml")
    host = Host(Sys(task))
    guest = None
    try:
        guest = GuestKernel(host, config or Config(), out, err, source)
        status = _run_program(guest, program, arguments)
    except KeyboardInterrupt:  # the traced task may be in no queue, in which SIGKILL would find it
        for child in list(task.group.children):
            child.exit(Signal.SIGINT)
        raise
    finally:
        if guest is not None:
            guest.shut_down()
        task.exit(0)
    return UmlResult(
        status,
        guest.mode,
        guest.stats,
        dict(host.calls),
        page.traps - traps,
        page.selects - selects,
        guest.log,
        guest.physical.nr_used,
    )


def _run_program(guest: GuestKernel, program: Path, arguments: Sequence[str]) -> int:
    path = guest_path(program)
    argv = [path.encode(), *(argument.encode() for argument in arguments)]
    try:
        guest.files.add(path, program.read_bytes())
        guest.start(path, argv, ENVIRONMENT)
    except GuestError as error:
        if error.errno == errno.ENOMEM:
            raise CannotBoot(f"{program} does not fit into the guest's RAM") from None
        raise CannotBoot(
            f"{program} is no static x86-64 program ({os.strerror(error.errno)})"
        ) from None
    return guest.run()


__all__ = ["CannotBoot", "GuestPanic", "UmlResult", "run_uml"]
