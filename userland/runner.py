"""`pkern.run`: a program in machine code from its start to its end, and all that it showed.

Owns what a caller from Python gets of a run. machine_code.py fills the machine and starts the task;
a witness beside strace sees the signals, and the maps in the moment before they are given up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkern.kernel.cpu.vsyscall import AREA as VSYSCALLS
from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.signals import SigInfo, Signal
from pkern.kernel.vfs.hostfs import HostFs
from pkern.kernel.vfs.proc.maps import maps_line
from pkern.syscalls.strace.tracer import Tracer
from pkern.userland.given import Given, Limit
from pkern.userland.machine_code import (
    boot_scheduler,
    bring_program,
    captured,
    run_in_time,
    start_program,
)

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Observer, Scheduler
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.wait import WouldBlock

SIGNALLED, TIME_IS_UP = 128, 124  # exit statuses, as a shell and timeout(1) give them
NS_PER_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program in machine code did.

    argv: as it was started. status: as a shell gives it, 0-255; 128+n where signal n ended it, 124
    where its time was up. signal: the one that ended it, or None. out, err: what went to
    descriptors 1 and 2. log: the kernel's lines meanwhile, as dmesg shows them. maps: its
    /proc/PID/maps in the moment before it ended. signals: those that were delivered to it and to
    its children, in order. time_ns: virtual nanoseconds from start to end. alloc_failed: whether it
    came to the allocation that fail_nth named.
    """

    argv: tuple[str, ...]
    pid: int
    status: int
    signal: Signal | None
    out: bytes
    err: bytes
    log: tuple[str, ...]
    maps: str
    signals: tuple[SigInfo, ...]
    time_ns: int
    alloc_failed: bool


@dataclass(slots=True)
class _Witness:
    """Notes the signals of a run and the first task's last maps; whoever watched is told too."""

    task: Task
    before: Observer | None
    signals: list[SigInfo] = field(default_factory=list)
    maps: str = ""

    def signal(self, task: Task, info: SigInfo) -> None:
        self.signals.append(info)
        if self.before is not None:
            self.before.signal(task, info)

    def interrupted(self, task: Task, wait: WouldBlock) -> None:
        if self.before is not None:
            self.before.interrupted(task, wait)

    def ended(self, task: Task) -> None:
        if task is self.task:
            areas = (*task.mm.vmas(), VSYSCALLS)
            self.maps = "".join(maps_line(task, vma) + "\n" for vma in areas)
        if self.before is not None:
            self.before.ended(task)


def run(
    program: str | os.PathLike[str],
    *argv: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes | str = b"",
    cwd: str | None = None,
    uid: int = 1000,
    caps: frozenset[str] | None = None,
    limits: Mapping[str, Limit] | None = None,
    root: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    fail_nth: int = 0,
    strace: Callable[[str], object] | None = None,
    kernel: Kernel | None = None,
    **boot: Any,
) -> Completed:
    """Run a program in machine code (x86-64 ELF, or a script) to its end and return what it did.

    program: a file of the host, found at its own path in a machine that holds nothing else, or,
    with root (a directory of the host, shown read only as /), a path in it. argv: the arguments
    after its name. env: the whole environment, by default PATH, HOME and TERM. cwd: a directory of
    the machine, made if need be. limits: soft, or (soft, hard), by setrlimit(2)'s names
    ({"NOFILE": 64, "AS": 1 << 30}). timeout: virtual seconds; then SIGKILL and status 124.
    fail_nth: let that allocation of memory in the kernel fail, counted from the program's start.
    strace: gets each line that strace would print. kernel: a machine to use; without one a new one
    is booted with **boot (Kernel's parameters; RAM is 1 GiB unless ram says otherwise) and closed.
    Errors: OSError where the host or execve refuses the program; CpuUnavailable without the extra
    `emulators`; Deadlock, KernelPanic.
    """
    if kernel is not None and boot:
        raise TypeError(f"a machine that runs already takes no boot parameter: {', '.join(boot)}")
    source = os.fspath(program)
    data = stdin.encode() if isinstance(stdin, str) else bytes(stdin)
    given = Given(
        (source, *argv),
        uid=uid,
        caps=caps,
        env=env,
        cwd=cwd,
        limits=limits or {},
        timeout_ns=None if timeout is None else int(timeout * NS_PER_SECOND),
        fail_nth=fail_nth,
    )
    with _machine(kernel, boot) as machine, _scheduling(machine) as scheduler:
        path = _place(machine, source, root)
        out, err = bytearray(), bytearray()
        first = machine.log.written
        tracer = Tracer(strace) if strace is not None else None
        if tracer is not None:
            tracer.attach(scheduler)
        with _explained(machine, path, root):
            stdio = captured(machine, data, out.extend, err.extend)
            task = start_program(machine, path, given, stdio)
        if tracer is not None:
            tracer.started(task, path)
        witness = _Witness(task, scheduler.observer)
        scheduler.observer = witness
        started = machine.clock.now_ns
        machine.fail_nth(given.fail_nth)
        in_time = run_in_time(scheduler, task, given.timeout_ns)
        alloc_failed = bool(given.fail_nth) and not machine.fail_pending
        machine.fail_nth(0)
        wait_status = task.exit_status or 0
        signo = wait_status & 0x7F
        return Completed(
            argv=(source, *argv),
            pid=task.pid,
            status=_shell_status(wait_status) if in_time else TIME_IS_UP,
            signal=Signal(signo) if signo else None,
            out=bytes(out),
            err=bytes(err),
            log=tuple(record.line() for record in machine.log.records(first)),
            maps=witness.maps,
            signals=tuple(witness.signals),
            time_ns=machine.clock.now_ns - started,
            alloc_failed=alloc_failed,
        )


@contextmanager
def _machine(kernel: Kernel | None, boot: Mapping[str, Any]) -> Iterator[Kernel]:
    """Give the machine that was asked for, or a new one that is closed in the end."""
    if kernel is not None:
        yield kernel
        return
    with Kernel(**boot) as new:
        yield new


@contextmanager
def _scheduling(kernel: Kernel) -> Iterator[Scheduler]:
    """Give the machine's scheduler; who watched it before watches it again afterwards."""
    scheduler = kernel.scheduler or boot_scheduler(kernel)
    before = scheduler.calls, scheduler.missing, scheduler.observer
    try:
        yield scheduler
    finally:
        scheduler.calls, scheduler.missing, scheduler.observer = before


def _place(kernel: Kernel, program: str, root: str | os.PathLike[str] | None) -> str:
    """Bring the program into the machine and return its path there. Errors: OSError."""
    if root is not None:
        kernel.vfs.set_root(HostFs(os.fspath(root)))
        return program
    source = Path(program).absolute()
    bring_program(kernel, source)
    return str(source)


@contextmanager
def _explained(kernel: Kernel, path: str, root: object) -> Iterator[None]:
    """Say in a note why a program that is there cannot be found: its loader is not."""
    try:
        yield
    except SyscallError as error:
        error.filename = error.filename or path
        if root is None and isinstance(error, FileNotFoundError):
            error.add_note("its loader is not on the machine: root='/' shows the host's files")
        raise


def _shell_status(wait_status: int) -> int:
    signo = wait_status & 0x7F
    return SIGNALLED + signo if signo else wait_status >> 8
