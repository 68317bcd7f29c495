"""`pkern.run`: a program in machine code from its start to its end, and all that it showed.

Owns what a caller from Python gets of a run. machine_code.py fills the machine and starts the task;
a witness beside strace sees the signals, and the maps in the moment before they are given up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pkern.kernel.arguments import did_you_mean, keywords, number, of_type, to_call
from pkern.kernel.clock import TimeIsUp
from pkern.kernel.cpu.vsyscall import AREA as VSYSCALLS
from pkern.kernel.errors import KernelBug, KernelPanic, SyscallError
from pkern.kernel.machine import MOST_ID, Kernel
from pkern.kernel.tasks.credentials import named_caps
from pkern.kernel.tasks.signal.signals import SIGINT, SIGKILL, SigInfo
from pkern.kernel.tasks.signal.signames import Signal
from pkern.kernel.vfs.proc.maps import maps_of
from pkern.syscalls.strace.tracer import Tracer
from pkern.userland.given import Given, Layer, Limit, nanoseconds_of
from pkern.userland.machine_code import (
    Stdio,
    boot_scheduler,
    bring_program,
    captured,
    run_in_time,
    start_program,
)
from pkern.userland.shown import bind, read_bind, show_root
from pkern.userland.wall import wall_limit

if TYPE_CHECKING:
    from pkern.kernel.cpu.observer import Observer
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.wait import WouldBlock
    from pkern.userland.failing import Failing

NOTHING = type(None)
TYPES: dict[str, tuple[type, ...]] = {
    "argv": (tuple,),
    "env": (Mapping, NOTHING),
    "stdin": (bytes, str, bytearray, memoryview),
    "cwd": (str, NOTHING),
    "limits": (Mapping, NOTHING),
    "root": (str, os.PathLike, NOTHING),
    "overlay": (str, os.PathLike, NOTHING),
    "binds": (list, tuple),
    "strace": (object,),
    "kernel": (Kernel, NOTHING),
}
SIGNALLED, TIME_IS_UP = 128, 124  # exit statuses, as a shell and timeout(1) give them


# What subprocess calls the same in its CompletedProcess.
AS_SUBPROCESS = {"args": "argv", "returncode": "status", "stdout": "out", "stderr": "err"}


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program in machine code did.

    argv, pid: as it was started. status: as a shell gives it, 0-255; 128+n where signal n ended
    it, 124 where its time was up. signal: the one that ended it, or None. out, err: what went to
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

    if not TYPE_CHECKING:  # a checker knows what there is

        def __getattr__(self, name: str) -> Any:
            """Say which attribute is meant. Errors: AttributeError."""
            hint = did_you_mean(AS_SUBPROCESS.get(name, name), self.__slots__)
            raise AttributeError(f"Completed has no attribute '{name}'{hint}", name=name)


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
            self.maps = maps_of(task, (*task.mm.vmas(), VSYSCALLS))
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
    overlay: str | os.PathLike[str] | None = None,
    binds: Sequence[str] = (),
    timeout: float | None = None,
    wall: float | None = None,
    fail_nth: int = 0,
    strace: Callable[[str], object] | None = None,
    kernel: Kernel | None = None,
    **boot: Any,
) -> Completed:
    """Run a program in machine code (x86-64 ELF, or a script) to its end and return what it did.

    program: a file of the host, found at its own path in a machine that holds nothing else, or,
    with root or overlay, a path in it. root: a directory of the host, shown read only as /.
    overlay: the same, but it may be written: what changes is kept in the machine's memory. binds:
    more directories of the host, each as "HOST[:INSIDE][:rw]", at its own path or at INSIDE, read
    only unless rw. A machine that shows one already goes on showing it, changes included. argv: the
    arguments after its name. env: the whole environment, by default PATH, HOME and TERM. cwd: a
    directory of the machine, made if need be; None: /, wherever the caller is, as a result does not
    depend on that. limits: soft, or (soft, hard), by setrlimit(2)'s names ({"NOFILE": 64,
    "AS": 1 << 30}). timeout: virtual seconds; wall: seconds of the host's clock, in its main thread
    only, the one argument that lets two runs differ. After either comes SIGKILL, and the status is
    124. fail_nth: let that allocation of memory in the kernel fail, counted from the program's
    start. strace: gets each line that strace would print. kernel: a machine to use; without one a
    new one is booted with **boot (Kernel's parameters; RAM is 1 GiB unless ram says otherwise) and
    closed.
    Errors: OSError where the host or execve refuses the program; ValueError for what it cannot be
    given; CpuUnavailable without the extra `emulators`; Deadlock, KernelPanic.
    """
    keywords("run()", boot, (*(run.__kwdefaults__ or ()), *Kernel.__init__.__annotations__))
    source = os.fsdecode(program)
    _check_types(argv=argv, env=env, stdin=stdin, cwd=cwd, limits=limits, strace=strace)
    _check_types(root=root, overlay=overlay, binds=binds, kernel=kernel)
    if strace is not None:
        to_call("run() argument 'strace'", strace)
    _check_texts("run(): an argument of the program, or a variable,", argv, *(env or {}).items())
    _check_texts("run(): the name of a limit, or a bind,", limits or (), binds)
    _check_strings(argv, env or {})
    number("run() argument 'uid'", uid, most=MOST_ID)
    number("run() argument 'fail_nth'", fail_nth)
    data = stdin.encode() if isinstance(stdin, str) else bytes(stdin)
    given = Given(
        (source, *argv),
        uid=uid,
        caps=None if caps is None else named_caps(caps),
        env=env,
        cwd=cwd,
        limits=limits or {},
        timeout_ns=None if timeout is None else nanoseconds_of("timeout", timeout),
        failing=_failing(fail_nth),
    )
    wall_ns = None if wall is None else nanoseconds_of("wall", wall)
    with _machine(kernel, boot) as machine, _ending(machine), _scheduling(machine) as scheduler:
        path = _place(machine, source, root, overlay)
        for text in binds:
            bind(machine, read_bind(text))
        shown = _Shown(machine.log.written)
        stdio = captured(machine, data, shown.out.extend, shown.err.extend)
        with _explained(path, root or overlay):
            task = _start(machine, scheduler, path, given, stdio, strace)
        _ = machine.core  # closed by who has seen the first line: MachineClosed
        return _to_end(machine, scheduler, task, given, wall_ns, shown)


class _Shown:
    """What a run writes. first: the number of the log's first line of it."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.out, self.err = bytearray(), bytearray()


def _start(
    machine: Kernel,
    scheduler: Scheduler,
    path: str,
    given: Given,
    stdio: Stdio,
    strace: Callable[[str], object] | None,
) -> Task:
    """Return the task that is about to run. Errors: OSError of execve, NotGiven."""
    if strace is None:
        return start_program(machine, path, given, stdio)
    tracer = Tracer(strace)
    tracer.attach(scheduler)
    task = start_program(machine, path, given, stdio)
    tracer.started(task, path)
    return task


def _failing(fail_nth: int) -> tuple[Failing, ...]:
    if not fail_nth:
        return ()
    from pkern.userland.failing import ALLOCATION, Failing

    return (Failing(ALLOCATION, fail_nth),)


def _to_end(
    machine: Kernel,
    scheduler: Scheduler,
    task: Task,
    given: Given,
    wall_ns: int | None,
    shown: _Shown,
) -> Completed:
    """Run a task to its end, which may be the end of its time, and return what it did."""
    scheduler.observer = witness = _Witness(task, scheduler.observer)
    started = machine.clock.now_ns
    for failing in given.failing:
        failing.arm(machine)
    in_time = _run_in_time(machine, scheduler, task, given.timeout_ns, wall_ns)
    alloc_failed = bool(given.failing) and not machine.fail_pending
    for failing in given.failing:
        failing.disarm(machine)
    wait_status = task.group.exit_status or 0
    signo = wait_status & 0x7F
    return Completed(
        argv=given.argv,
        pid=task.pid,
        status=_shell_status(wait_status) if in_time else TIME_IS_UP,
        signal=Signal(signo) if signo else None,
        out=bytes(shown.out),
        err=bytes(shown.err),
        log=tuple(record.line() for record in machine.log.records(shown.first)),
        maps=witness.maps,
        signals=tuple(witness.signals),
        time_ns=machine.clock.now_ns - started,
        alloc_failed=alloc_failed,
    )


def _check_types(**given: Any) -> None:
    """Look at what a program is given, by argument. Errors: TypeError."""
    for name, value in given.items():
        of_type(f"run() argument '{name}'", value, TYPES[name])


def _check_texts(what: str, *texts: Iterable[object]) -> None:
    """Look at what is to be a str. Errors: TypeError."""
    for text in chain.from_iterable(texts):
        of_type(what, text, str)


def _check_strings(argv: Iterable[str], env: Mapping[str, str]) -> None:
    """Look at the strings that execve takes. Errors: ValueError."""
    for name in env:
        if not name or "=" in name:
            raise ValueError(f"run(): {name!r} cannot be the name of a variable")
    for text in (*argv, *chain.from_iterable(env.items())):
        if "\0" in text:
            raise ValueError(f"run(): a string of a program holds no NUL: {text!r}")


@contextmanager
def _machine(kernel: Kernel | None, boot: Mapping[str, Any]) -> Iterator[Kernel]:
    """Give the machine that was asked for, or a new one that is closed in the end."""
    if kernel is not None and boot:
        keywords("run(): a machine that runs already", boot, ())
    if kernel is not None:
        yield kernel
        return
    with Kernel(**boot) as new:
        yield new


@contextmanager
def _ending(kernel: Kernel) -> Iterator[None]:
    """End what a run has started that an exception leaves, after the machine's own nothing."""
    before = set(kernel.tasks.values())
    try:
        yield
    except (KernelBug, KernelPanic):
        raise
    except BaseException as error:
        signo = SIGINT if isinstance(error, KeyboardInterrupt) else SIGKILL
        for task in list(kernel.tasks.values()):
            if task not in before and task.context is not None:
                task.die_of(signo)
        raise


@contextmanager
def _scheduling(kernel: Kernel) -> Iterator[Scheduler]:
    """Give the machine's scheduler; who watched it before watches it again afterwards."""
    scheduler = kernel.scheduler or boot_scheduler(kernel)
    calls, observer = scheduler.calls, scheduler.observer
    table, missing = calls.table, calls.missing
    try:
        yield scheduler
    finally:
        calls.use(table)
        calls.missing, scheduler.observer = missing, observer


def _run_in_time(
    kernel: Kernel, scheduler: Scheduler, task: Task, timeout_ns: int | None, wall_ns: int | None
) -> bool:
    """Run to a task's end, which may be the end of its time; tell whether it was not."""
    try:
        with wall_limit(kernel, wall_ns):
            return run_in_time(scheduler, task, timeout_ns)
    except TimeIsUp:
        task.die_of(SIGKILL)
        return False


def _place(
    kernel: Kernel,
    program: str,
    root: str | os.PathLike[str] | None,
    overlay: str | os.PathLike[str] | None,
) -> str:
    """Show the root or bring the program; return its path there. Errors: OSError, NotGiven."""
    if root is not None and overlay is not None:
        raise TypeError("root and overlay: a machine has one /, which may be written or may not")
    if root is not None:
        show_root(kernel, root, Layer.READ_ONLY)
        return program
    if overlay is not None:
        show_root(kernel, overlay, Layer.OVERLAY)
        return program
    source = Path(program).absolute()
    bring_program(kernel, source)
    return str(source)


@contextmanager
def _explained(path: str, host_root: object) -> Iterator[None]:
    """Say in a note why a program that is there cannot be found: its loader is not."""
    try:
        yield
    except SyscallError as error:
        error.filename = error.filename or path
        if host_root is None and isinstance(error, FileNotFoundError):
            error.add_note("its loader is not on the machine: root='/' shows the host's files")
        raise


def _shell_status(wait_status: int) -> int:
    signo = wait_status & 0x7F
    return SIGNALLED + signo if signo else wait_status >> 8
