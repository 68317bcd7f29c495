"""`pkern run PROGRAM`: programs in machine code from the command line; shell.py runs one too.

Owns how the machine's root is filled, what the descriptors are, and how a run is compared with
another.
"""

from __future__ import annotations

import errno
import os

from pkern.kernel.clock import TimeIsUp
from pkern.kernel.cpu.processor import ProcessorUnavailable
from pkern.kernel.cpu.scheduler import EngineError
from pkern.kernel.errors import Deadlock, KernelPanic, SyscallError
from pkern.kernel.late import load
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.program import elf
from pkern.kernel.tasks.signal.signals import SIGINT, SIGKILL
from pkern.kernel.tasks.task import Task
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.vfs.console import FileInput, HostInput, Sink, Stream, host_sink
from pkern.userland.cli import ends
from pkern.userland.cli.boot import boot
from pkern.userland.cli.ends import FAILED, NOT_EXECUTABLE, NOT_FOUND, TIME_IS_UP, Ending
from pkern.userland.cli.options import UsageError, contents, current_directory
from pkern.userland.cli.program.run import given, program_file, wall_ns
from pkern.userland.cli.program.shared import (
    injecting,
    layer_of,
    mounting,
    recording,
    show_binds,
    show_host_root,
    show_stacks,
    tracing,
    viewing_run,
    walled,
)
from pkern.userland.engine import CpuUnavailable
from pkern.userland.given import Given, HookFailed, Layer, NotGiven, kernel_task, seconds_in
from pkern.userland.machine_code import (
    STDERR,
    STDIN,
    STDOUT,
    Stdio,
    boot_scheduler,
    bring_program,
    run_in_time,
    script_interpreter,
    start_program,
)

if TYPE_CHECKING:
    import argparse
    from typing import Protocol

    from pkern.syscalls.strace.tracer import Tracer
    from pkern.userland.harness import Changer

    class Door(Protocol):
        """Where somebody comes in before a program's first instruction, and after its last."""

        def begin(self, kernel: Kernel, task: Task, stdio: Stdio) -> None: ...
        def finish(self) -> None: ...
        def tell_end(self, status: int) -> None: ...


HEAD_BYTES = 4096
ENGINE_ENDS = (Deadlock, EngineError, KernelPanic)  # what ends all programs of a machine
Emit = Callable[[str], object]


# ---- the machine's files ----


def _bring(kernel: Kernel, program: str) -> None:
    """Copy a program of the host, and a script's interpreter, to the same paths of the machine."""
    try:
        bring_program(kernel, program)
    except SyscallError as error:
        why = f"{error.filename} does not fit into the machine's RAM: {error.strerror}"
        raise UsageError(why) from error


def fill_root(kernel: Kernel, name: str, root: str | None, layer: Layer = Layer.READ_ONLY) -> str:
    """Make the machine's root and return the program's path in it.

    root: a host directory, or None for a root in memory that holds the host's program.
    """
    show_host_root(kernel, root, layer)
    if root is not None:
        return name
    program = program_file(name)
    if not os.path.isabs(program):
        program = os.path.join(current_directory(), program)
    _bring(kernel, program)
    return program


# ---- descriptors ----


def host_descriptors(kernel: Kernel, data: bytes | None, owed: bytes | None = None) -> Stdio:
    """Return the host's descriptors; its terminal stays one. data: what stdin holds instead.

    owed: of the terminal, if it is one (Terminal).
    """

    def sink(fd: int) -> Sink:
        return host_sink(fd, kernel.visits)

    if data is None and os.isatty(STDIN):
        make = load("pkern.kernel.tty.host").Terminal
        terminal: Stream = make(kernel, STDIN, sink(STDOUT), owed)
        kernel.vfs.add_device("console", terminal)
        out = terminal if os.isatty(STDOUT) else Stream(kernel, b"", sink(STDOUT))
        err = terminal if os.isatty(STDERR) else Stream(kernel, b"", sink(STDERR))
        return Stdio(terminal, out, err)
    return Stdio(
        HostInput(kernel, STDIN) if data is None else FileInput(kernel, data),
        Stream(kernel, b"", sink(STDOUT)),
        Stream(kernel, b"", sink(STDERR)),
    )


# ---- running ----


def _why_not(kernel: Kernel, path: str, error: SyscallError) -> Ending:
    """Return why a program of the machine does not start, with the exit status of a shell."""
    why = error.strerror
    try:
        inode = kernel.vfs.resolve(kernel_task(kernel), path)
    except SyscallError:
        return Ending(NOT_FOUND, f"cannot execute '{path}': {why}{_what_shows(kernel, path)}")
    if error.errno == errno.ENOENT:
        why = _what_lacks(bytes(inode.read(0, HEAD_BYTES)))
        return Ending(NOT_FOUND, f"cannot execute '{path}': {why}")
    if inode.kind == "dir":
        why = "it is a directory"
    elif inode.kind == "file" and error.errno != errno.EACCES:
        why = elf.complaint(inode.read(0, HEAD_BYTES), inode.size) or why
    elif inode.kind == "file" and not inode.mode & 0o111:
        what = elf.complaint(inode.read(0, HEAD_BYTES), inode.size)
        why = f"{why}; {what or 'nobody may execute it (chmod +x)'}"
    return Ending(NOT_EXECUTABLE, f"cannot execute '{path}': {why}")


def _what_shows(kernel: Kernel, path: str) -> str:
    """Return what brings a file of the host to a machine that has none of this name, if one is.

    A relative name begins at the machine's folder, not at the host's.
    """
    if not os.path.isfile(path):
        return ""
    file = os.path.abspath(path)
    try:
        kernel.vfs.resolve(kernel_task(kernel), file)
    except SyscallError:
        return f" on the machine; --bind {os.path.dirname(file)} shows it the host's {file}"
    return f"; on the machine it is {file} (relative names begin at /, or at --cwd)"


def _what_lacks(head: bytes) -> str:
    """Return why execve has not found what a program that begins with head needs."""
    interpreter = script_interpreter(head)
    if interpreter is not None and not os.path.isfile(interpreter):
        return f"its interpreter '{interpreter}' is not on the machine"
    return "its loader is not on the machine (--root / shows the host's; static needs none)"


def start(
    kernel: Kernel,
    path: str,
    asked: Given,
    stdio: Stdio,
    tracer: Tracer | None = None,
    injector: Changer | None = None,
) -> Task | Ending:
    """Return the task that is about to run, or why it cannot."""
    try:
        scheduler = kernel.scheduler or boot_scheduler(kernel)
        if injector is not None:
            injector.attach(scheduler)
        if tracer is not None:
            tracer.attach(scheduler)
        for failing in asked.failing_exec:
            failing.arm(kernel)
        task = start_program(kernel, path, asked, stdio)
    except (CpuUnavailable, NotGiven, ProcessorUnavailable) as error:
        raise UsageError(str(error)) from error
    except SyscallError as error:
        return _why_not(kernel, path, error)
    if tracer is not None:
        tracer.started(task, path)
    return task


def _run_to_end(kernel: Kernel, task: Task, asked: Given, stdio: Stdio) -> Ending:
    assert kernel.scheduler is not None
    try:
        stdio.stdin.control(task)
        for failing in asked.failing:
            failing.arm(kernel)
        if not run_in_time(kernel.scheduler, task, asked.timeout_ns):
            limit = seconds_in(asked.timeout_ns or 0)
            return Ending(TIME_IS_UP, f"time is up: {limit} s of virtual time (--timeout)")
    except KeyboardInterrupt:
        interrupt(kernel)
        raise
    except ENGINE_ENDS as error:
        return Ending(FAILED, str(error))
    finally:
        stdio.stdin.restore()
    return ends.of_task(task)


def interrupt(kernel: Kernel) -> None:
    """End the programs as the host's Ctrl-C ends those of the host."""
    for task in list(kernel.tasks.values()):
        if task.context is not None:
            task.die_of(SIGINT)


def run_job(
    kernel: Kernel,
    path: str,
    asked: Given,
    stdio: Stdio,
    tracer: Tracer | None = None,
    json_file: str | None = None,
    wall: int | None = None,
    injector: Changer | None = None,
    door: Door | None = None,
) -> int:
    """Run a program and return the exit status as a shell gives it.

    json_file: of the host, for how it ended. wall: nanoseconds of the host's time, then TimeIsUp.
    door: where a debugger comes in first.
    """
    started = start(kernel, path, asked, stdio, tracer, injector)
    if isinstance(started, Ending):
        return ends.tell(kernel, None, asked, started, tracer, json_file)
    return run_started(kernel, started, asked, stdio, tracer, json_file, wall, door)


def run_started(
    kernel: Kernel,
    task: Task,
    asked: Given,
    stdio: Stdio,
    tracer: Tracer | None = None,
    json_file: str | None = None,
    wall: int | None = None,
    door: Door | None = None,
) -> int:
    """Run what start() has returned: as run_job()."""
    whereabouts = ends.Whereabouts(kernel)
    if tracer is None and kernel.scheduler is not None:
        whereabouts.attach(kernel.scheduler)
    try:
        with walled(kernel, wall):
            if door is not None:
                door.begin(kernel, task, stdio)
            ending = _run_to_end(kernel, task, asked, stdio)
            if door is not None:
                door.finish()
    except TimeIsUp as error:
        task.die_of(SIGKILL)
        ending = Ending(TIME_IS_UP, str(error))
    except HookFailed as error:
        task.die_of(SIGKILL)
        return ends.show_failure(error.cause)
    return ends.tell(kernel, task, asked, ending, tracer, json_file, whereabouts)


def fill(kernel: Kernel, options: argparse.Namespace) -> tuple[str, Given]:
    """Show what the options ask for; return the program's path and what it is given."""
    path = fill_root(kernel, options.file, options.root, layer_of(options))
    show_binds(kernel, options.bind)
    # In a root of its own a program begins at /, else where relative names mean the same.
    return path, given(options, options.cwd or here(options.root))


def here(root: str | None) -> str | None:
    """Return the directory of the host in which a program begins. Errors: UsageError."""
    return None if root is not None else current_directory()


def run(options: argparse.Namespace) -> int:
    """Run a program in machine code and return its exit status, 128+n for signal n."""
    if options.twice:
        status: int = load("pkern.userland.cli.program.twice").run_twice(options)
        return status
    stdin = None if options.stdin is None else contents(options.stdin)
    with tracing(options) as tracer, boot(options) as kernel:
        show_stacks(kernel, tracer, options)
        path, asked = fill(kernel, options)
        door = _door(options)
        make = getattr(door, "descriptors", host_descriptors)  # a debugger may want them
        with (
            mounting(kernel, options),
            viewing_run(kernel, options),
            recording(kernel, options),
        ):
            status = run_job(
                kernel,
                path,
                asked,
                make(kernel, stdin),
                tracer,
                options.json,
                wall_ns(options),
                injecting(tracer, options),
                door,
            )
        if options.dmesg:
            print("\n".join(kernel.log.lines()))
        if door is not None:
            door.tell_end(status)
    return status


def _door(options: argparse.Namespace) -> Door | None:
    if options.gdb is not None:
        one_way = _one_way(options)
        gdb: Door = load("pkern.userland.cli.program.gdb_option").Door(options.gdb, one_way)
        return gdb
    if options.hook is None:
        return None
    hook: Door = load("pkern.userland.cli.program.hook_option").HookDoor(options.hook)
    return hook


def _one_way(options: argparse.Namespace) -> str:
    """Return why a debugger cannot go back, "" if it can: what no copy of the machine may have."""
    if options.output or options.events:
        return "its calls or events go to a file (-o, --events)"
    return "its files are shown on the host (--mount)" if options.mount else ""
