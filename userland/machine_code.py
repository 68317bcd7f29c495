"""How an unmodified program runs on the kernel: its files, its descriptors, its processes.

Owns the harness of `pkern run PROGRAM`: what the machine's root holds, who the first task is, and
what is reported when it has ended.
"""

from __future__ import annotations

import os

from pkern.kernel.cpu.processor import Context
from pkern.kernel.cpu.scheduler import Scheduler
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import function
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.program import exec as execution
from pkern.kernel.tasks.signal.signals import SIGKILL
from pkern.kernel.tasks.task import Task
from pkern.kernel.typed import Any, Sequence
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import O_CREAT, O_TRUNC
from pkern.kernel.vfs.console import HostInput, Sink, Stream, host_sink
from pkern.kernel.vfs.file import O_RDONLY, O_WRONLY
from pkern.kernel.vfs.inode import Inode
from pkern.syscalls import abi, answers
from pkern.userland.engine import engine_library
from pkern.userland.given import Given, give, make_directory

STDIN, STDOUT, STDERR = 0, 1, 2
StrPath = str | os.PathLike[str]


class Stdio(NamedTuple):
    """The inodes that descriptors 0, 1 and 2 of the first task name."""

    stdin: Stream
    stdout: Inode
    stderr: Inode


def captured(kernel: Kernel, stdin: bytes, out: Sink, err: Sink | None = None) -> Stdio:
    """Return descriptors in memory: stdin holds bytes, output goes to out (and err)."""
    return Stdio(Stream(kernel, stdin), Stream(kernel, b"", out), Stream(kernel, b"", err or out))


def of_host(kernel: Kernel) -> Stdio:
    """Return the host's own descriptors."""
    return Stdio(
        HostInput(kernel, STDIN),
        Stream(kernel, b"", host_sink(STDOUT)),
        Stream(kernel, b"", host_sink(STDERR)),
    )


def boot_scheduler(kernel: Kernel) -> Scheduler:
    """Return a scheduler for tasks in machine code. Errors: CpuUnavailable."""
    ia32 = function("pkern.syscalls.ia32.calls", "make")
    library = os.fsencode(engine_library())
    kernel.scheduler = Scheduler(kernel, library, abi.raw_calls(), abi.missing, ia32)
    kernel.scheduler.waiting_for = _waiting_for
    kernel.scheduler.calls.descriptors = function("pkern.syscalls.descriptors", "of_call")
    answers.tell(kernel.scheduler.processor.answers)
    return kernel.scheduler


def _waiting_for(task: Task) -> str:
    """Say what a task waits for: the words are needed when a machine stands still."""
    from pkern.syscalls.waits import waiting_for

    return waiting_for(task)


def _open_descriptors(kernel: Kernel, task: Task, stdio: Stdio) -> None:
    for inode, flags in (
        (stdio.stdin, O_RDONLY),
        (stdio.stdout, O_WRONLY),
        (stdio.stderr, O_WRONLY),
    ):
        name = f"pipe:[{inode.ino}]"
        task.fds.install(kernel.vfs.open_inode(task, inode, name, flags))


def open_missing(kernel: Kernel, task: Task) -> None:
    """Let those of descriptors 0, 1 and 2 that are closed be the host's."""
    for fd, inode in enumerate(of_host(kernel)):
        if fd not in task.fds.files:
            name, flags = f"pipe:[{inode.ino}]", O_WRONLY if fd else O_RDONLY
            file = kernel.vfs.open_inode(task, inode, name, flags)
            task.fds.put_at(fd, file)


def put_program(kernel: Kernel, source: StrPath, path: str) -> None:
    """Copy a program of the host into the machine, at an absolute path.

    It may be executed by everyone if we may execute the host's.
    Errors: SyscallError, ENOSPC where the machine is too small; OSError of the host.
    """
    with open(source, "rb") as host_file:
        code = host_file.read()
    make_directory(kernel, path.rpartition("/")[0] or "/")
    file = kernel.vfs.open(start_init(kernel), path, O_CREAT | O_TRUNC | O_WRONLY, 0o755)
    file.descriptors = 1
    try:
        written = 0
        while written < len(code):
            written += file.inode.write(written, code[written:])
        file.inode.mode = 0o755 if os.access(source, os.X_OK) else 0o644
    finally:
        file.put()


def interpreter_of(program: StrPath) -> str | None:
    """Return the interpreter that a script of the host names, if that is what the file is."""
    with open(program, "rb") as file:
        return script_interpreter(file.read(256))


def script_interpreter(head: bytes) -> str | None:
    """Return the interpreter that a script's first bytes name, if they are a script's."""
    words = head[2:].split(b"\n")[0].split() if head.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else None


def bring_program(kernel: Kernel, program: StrPath) -> None:
    """Copy a program of the host, and a script's interpreter, to the same paths of the machine.

    Errors: SyscallError, ENOSPC where the machine is too small, with the file's name; OSError of
    the host.
    """
    for file in (program, interpreter_of(program)):
        if file is None or not os.path.isfile(file):
            continue
        try:
            put_program(kernel, file, str(file))
        except SyscallError as error:
            error.filename = str(file)
            raise


def start_init(kernel: Kernel) -> Task:
    """Return the task that the orphans go to; it runs nothing."""
    if kernel.tasks.init is None:
        kernel.tasks.init = kernel.spawn("init", uid=0, gid=0)
    return kernel.tasks.init


def start_program(kernel: Kernel, path: str, given: Given, stdio: Stdio) -> Task:
    """Return a task that is about to run a program of the machine.

    Errors: SyscallError of execve; NotGiven for an unknown limit.
    """
    init = start_init(kernel)
    scheduler = kernel.scheduler or boot_scheduler(kernel)
    argv = list(given.argv)
    task = kernel.spawn(argv[0], uid=given.uid, gid=given.uid, caps=given.caps, argv=argv)
    task.group.parent = init
    init.children.append(task.group)
    strings = (
        [execution.encode(argument) for argument in argv],
        [execution.encode(f"{name}={value}") for name, value in given.environment.items()],
    )
    try:
        give(kernel, task, given)
        task.context = Context.new(scheduler.processor, task)
        _open_descriptors(kernel, task, stdio)
        program = execution.load(task, execution.Wanted(path), lambda: strings)
    except BaseException:
        task.exit(127)
        raise
    task.become(program)
    scheduler.queue.add(task)
    return task


def run_in_time(scheduler: Scheduler, task: Task, timeout_ns: int | None) -> bool:
    """Run to a task's end; tell whether that came before its virtual time was up.

    Errors: Deadlock, EngineError, KernelPanic.
    """
    late: list[Task] = []

    def end() -> None:
        if task.alive:
            late.append(task)
            task.die_of(SIGKILL)

    if timeout_ns is not None:
        scheduler.at(scheduler.kernel.clock.now_ns + timeout_ns, end)
    scheduler.run(task)
    return not late


def spawn_program(
    kernel: Kernel, path: str, argv: Sequence[str], *, stdio: Stdio, **given: Any
) -> Task:
    """As start_program. given: the fields of Given but argv."""
    return start_program(kernel, path, Given(tuple(argv), **given), stdio)


def run_machine_code(
    kernel: Kernel, path: str, argv: Sequence[str], *, stdio: Stdio, **given: Any
) -> int:
    """Run a program until it ends and return its status as wait4 reports it.

    given: the fields of Given but argv. Errors: SyscallError of execve, Deadlock, EngineError,
    KernelPanic.
    """
    task = spawn_program(kernel, path, argv, stdio=stdio, **given)
    assert kernel.scheduler is not None
    run_in_time(kernel.scheduler, task, given.get("timeout_ns"))
    return task.group.exit_status or 0
