"""How an unmodified program runs on the kernel: its files, its descriptors, its processes.

Owns the harness of `pkern run PROGRAM`: what the machine's root holds, who the first task is, and
what is reported when it has ended.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pkern.kernel.cpu.processor import Context
from pkern.kernel.cpu.scheduler import Scheduler
from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks import exec as execution
from pkern.kernel.tasks.task import DEFAULT_RLIMITS, RLIM_INFINITY, Task
from pkern.kernel.vfs import O_CREAT, O_TRUNC, names
from pkern.kernel.vfs.console import HostInput, Sink, Stream, host_sink
from pkern.kernel.vfs.file import O_RDONLY, O_WRONLY
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.vfs.walk import Last
from pkern.syscalls import abi
from pkern.userland.engine import engine_library

ELF_MAGIC = b"\x7fELF"
DEFAULT_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "TERM": "dumb"}
STDIN, STDOUT, STDERR = 0, 1, 2


class Stdio(NamedTuple):
    """The inodes that descriptors 0, 1 and 2 of the first task name."""

    stdin: Inode
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


def is_program(path: Path) -> bool:
    """Tell whether a file of the host is an ELF program or a script."""
    with path.open("rb") as file:
        head = file.read(4)
    return head == ELF_MAGIC or head.startswith(b"#!")


def boot_scheduler(kernel: Kernel) -> Scheduler:
    """Return a scheduler for tasks in machine code. Errors: CpuUnavailable."""
    kernel.scheduler = Scheduler(kernel, bytes(engine_library()), abi.raw_calls(), abi.missing)
    return kernel.scheduler


def _open_descriptors(kernel: Kernel, task: Task, stdio: Stdio) -> None:
    for inode, flags in (
        (stdio.stdin, O_RDONLY),
        (stdio.stdout, O_WRONLY),
        (stdio.stderr, O_WRONLY),
    ):
        name = f"pipe:[{inode.ino}]"
        task.fds.install(kernel.vfs.open_inode(task, inode, name, flags))


def make_directory(kernel: Kernel, path: str) -> Inode:
    """Return the directory at an absolute path, made with all above it if need be."""
    init = start_init(kernel)
    parts = [part for part in path.split("/") if part]
    for depth in range(1, len(parts) + 1):
        place = kernel.vfs.walk(init, "/" + "/".join(parts[:depth]), Last.ENTRY)
        if place.inode is None:
            names.mkdir(init, place, 0o755)
    return kernel.vfs.resolve(init, path)


def put_program(kernel: Kernel, source: Path, path: str) -> None:
    """Copy a program of the host into the machine, executable, at an absolute path.

    Errors: SyscallError, ENOSPC where the machine is too small; OSError of the host.
    """
    code = source.read_bytes()
    make_directory(kernel, path.rpartition("/")[0] or "/")
    file = kernel.vfs.open(start_init(kernel), path, O_CREAT | O_TRUNC | O_WRONLY, 0o755)
    file.descriptors = 1
    try:
        written = 0
        while written < len(code):
            written += file.inode.write(written, code[written:])
        file.inode.mode = 0o755
    finally:
        file.put()


def interpreter_of(program: Path) -> Path | None:
    """Return the interpreter that a script of the host names, if that is what the file is."""
    with program.open("rb") as file:
        head = file.read(256)
    words = head[2:].split(b"\n")[0].split() if head.startswith(b"#!") else []
    return Path(os.fsdecode(words[0])) if words else None


def bring_program(kernel: Kernel, program: Path) -> None:
    """Copy a program of the host, and a script's interpreter, to the same paths of the machine.

    Errors: SyscallError, ENOSPC where the machine is too small, with the file's name; OSError of
    the host.
    """
    for file in (program, interpreter_of(program)):
        if file is None or not file.is_file():
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


def set_limit(task: Task, name: str, limit: int | tuple[int, int]) -> None:
    """Set a resource limit by setrlimit(2)'s name, as NOFILE or RLIMIT_NOFILE, in its units.

    limit: the soft one, which raises the hard one where it must, or (soft, hard).
    Errors: ValueError for an unknown name or a value that cannot be.
    """
    key = name.upper().removeprefix("RLIMIT_").lower()
    if key not in DEFAULT_RLIMITS:
        known = ", ".join(known.upper() for known in DEFAULT_RLIMITS)
        raise ValueError(f"there is no limit {name!r}: choose of {known}")
    soft, hard = limit if isinstance(limit, tuple) else (limit, max(limit, task.rlimits[key][1]))
    if not 0 <= soft <= hard <= RLIM_INFINITY:
        raise ValueError(f"the limit {name} cannot be {limit}: 0 <= soft <= hard < 2**64")
    task.rlimits[key] = (soft, hard)


def spawn_program(
    kernel: Kernel,
    path: str,
    argv: Sequence[str],
    *,
    stdio: Stdio,
    uid: int = 1000,
    env: Mapping[str, str] | None = None,
    caps: frozenset[str] | None = None,
    cwd: str | None = None,
    limits: Mapping[str, int | tuple[int, int]] | None = None,
) -> Task:
    """Return a task that is about to run a program of the machine.

    limits: as set_limit takes them, by name. Errors: SyscallError; ValueError for an unknown limit.
    """
    init = start_init(kernel)
    scheduler = kernel.scheduler or boot_scheduler(kernel)
    task = kernel.spawn(argv[0], uid=uid, gid=uid, caps=caps, argv=list(argv))
    task.parent = init
    init.children.append(task)
    for name, limit in (limits or {}).items():
        set_limit(task, name, limit)
    if cwd is not None:
        task.fs.pwd = make_directory(kernel, cwd)
    task.context = Context.new(scheduler.processor)
    _open_descriptors(kernel, task, stdio)
    variables = DEFAULT_ENV if env is None else env
    strings = (
        [execution.encode(argument) for argument in argv],
        [execution.encode(f"{name}={value}") for name, value in variables.items()],
    )
    try:
        program = execution.load(task, path, lambda: strings)
    except BaseException:
        task.exit(127)
        raise
    task.become(program)
    scheduler.add(task)
    return task


def run_machine_code(
    kernel: Kernel,
    path: str,
    argv: Sequence[str],
    *,
    stdio: Stdio,
    uid: int = 1000,
    env: Mapping[str, str] | None = None,
    caps: frozenset[str] | None = None,
    cwd: str | None = None,
) -> int:
    """Run a program until it ends and return its status as wait4 reports it.

    Errors: SyscallError of execve, Deadlock, EngineError, KernelPanic.
    """
    task = spawn_program(kernel, path, argv, stdio=stdio, uid=uid, env=env, caps=caps, cwd=cwd)
    assert kernel.scheduler is not None
    kernel.scheduler.run(task)
    return task.exit_status or 0
