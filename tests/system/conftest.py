"""Compilers, and programs run on both kernels."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.task import Task
from pkern.userland import machine_code
from pkern.userland.machine_code import captured, put_program
from tests.commands import SECONDS
from tests.host import own_ipc, without_marks
from tests.rounds import ROUNDS

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/programs"
SOURCES = Path(__file__).parent / "elf"
COMPILERS = {
    "musl": ["musl-gcc", "-static"],
    "glibc": ["gcc", "-static"],
    "pie": ["gcc", "-static-pie"],
    "dynamic": ["gcc"],
}
# The kernel answers both C libraries alike: what both can build has its second turn with ROUNDS.
FLAVOURS = ["musl", "glibc"][:ROUNDS]
COMPILED = ROOT / "build/elf"  # by what they were made of: kept for all processes and later runs
Compile = Callable[..., Path]


@dataclass
class Ran:
    """What a program did: its status as wait4 gives it, and what it wrote."""

    status: int
    out: bytes
    err: bytes = b""


@pytest.fixture(scope="session")
def programs() -> Path:
    """Return the folder of userland/programs, compiled: by one process of a test run at a time."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build/programs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "-s", "programs"], cwd=ROOT, check=True)
    return PROGRAMS


@pytest.fixture(scope="session")
def compile_c(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Return a function that compiles a source (a name below elf/, or text) to a static program."""
    folder = tmp_path_factory.mktemp("elf")
    # What a program makes where others may too, as in /dev/shm, has a name of this test run's own.
    unique = f'-DUNIQUE="pkern-{secrets.token_hex(6)}"'
    made: dict[tuple[str, str], Path] = {}

    def compile_one(source: str, flavour: str = "musl", *flags: str) -> Path:
        key = (source, flavour + " ".join(flags))
        if key in made:
            return made[key]
        command = COMPILERS[flavour]
        if shutil.which(command[0]) is None:
            pytest.skip(f"needs {command[0]}")
        program = folder / f"program{len(made)}"
        file = kept(source) if "\n" in source else next(SOURCES.glob(f"*/{source}.c"))
        # Optimisation costs more than a program that is run twice gives back.
        command = [*command, "-O0", "-w", f"-I{SOURCES}", *flags]
        if "UNIQUE" in file.read_text():
            subprocess.run([*command, unique, "-o", program, file], check=True)
        else:
            shutil.copy(compiled(command, file), program)
        made[key] = program
        return program

    return compile_one


def kept(text: str) -> Path:
    """Return a file with this source, the same for all: with -g its path is in the program."""
    file = COMPILED / f"{hashlib.sha256(text.encode()).hexdigest()}.c"
    if not file.exists():
        COMPILED.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(f".{os.getpid()}")  # whoever else writes it sees it whole
        new.write_text(text)
        new.replace(file)
    return file


def compiled(command: Sequence[str], source: Path) -> Path:
    """Return the program of a source, compiled if this compiler has not done so before."""
    compiler = Path(shutil.which(command[0]) or command[0]).resolve()
    parts = [*map(str.encode, command), str(compiler.stat().st_mtime_ns).encode()]
    parts += [file.read_bytes() for file in (source, *sorted(SOURCES.glob("*.h")))]
    program = COMPILED / hashlib.sha256(b"\0".join(parts)).hexdigest()
    if not program.exists():
        COMPILED.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(f".{os.getpid()}")  # whoever else makes it sees it whole
        subprocess.run([*command, "-o", new, source], check=True)
        new.replace(program)
    return program


def on_host(program: Path, *arguments: str, stdin: bytes = b"") -> Ran:
    """Run a program on the host, in a session of its own, as a task here is.

    What it prints is without what only some hosts know (tests.host.without_marks).
    """
    own_ipc()
    done = subprocess.run(
        [program, *arguments],
        input=stdin,
        capture_output=True,
        timeout=SECONDS,
        check=False,
        start_new_session=True,
    )
    status = -done.returncode if done.returncode < 0 else done.returncode << 8
    return Ran(status, without_marks(done.stdout), done.stderr)


@dataclass
class Machine:
    """A kernel with programs to run on it."""

    kernel: Kernel
    env: Mapping[str, str] | None = None
    uid: int = 1000
    nice: int = 0
    out: list[bytes] = field(default_factory=list)

    def spawn(self, program: Path, *arguments: str, stdin: bytes = b"") -> Task:
        """Return a task that is about to run a host's program under its own path."""
        put_program(self.kernel, program, str(program))
        self.out.clear()
        self.err: list[bytes] = []
        stdio = captured(self.kernel, stdin, self.out.append, self.err.append)
        argv = [str(program), *arguments]
        task = machine_code.spawn_program(
            self.kernel, str(program), argv, stdio=stdio, uid=self.uid, env=self.env
        )
        task.set_attributes(nice=self.nice)
        return task

    def run(self, program: Path, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run a host's program to its end."""
        task = self.spawn(program, *arguments, stdin=stdin)
        assert self.kernel.scheduler is not None
        self.kernel.scheduler.run(task)
        return Ran(task.group.exit_status or 0, b"".join(self.out), b"".join(self.err))


def same_as_host(
    machine: Machine, program: Path, here: Sequence[str] = (), there: Sequence[str] = ()
) -> None:
    """Assert that a program prints, as this user, what it prints on the host, and ends with 0.

    The tests may be run by nice: the machine's program has the same value.
    here, there: its arguments in the machine and on the host.
    """
    machine.uid, machine.nice = os.getuid(), os.getpriority(os.PRIO_PROCESS, 0)
    ours, theirs = machine.run(program, *here), on_host(program, *there)
    assert ours.out.decode() == theirs.out.decode()
    assert ours.status == theirs.status == 0


@pytest.fixture
def machine(kernel: Kernel) -> Machine:
    """Return a machine whose invariants are recounted after the test."""
    return Machine(kernel)
