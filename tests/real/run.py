"""Runs the table natively and in machines, and says how they compare.

Owns the folder of what is compiled and the measure of each run. Everything a program reads of the
host is the host's own; what it writes lies in a fresh folder natively and in memory in a machine.
Nothing that a program has started outlives its run, and a native run ends even if who measures it
has been killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from tests.real.table import Program

HERE = Path(__file__).resolve().parent
FILES = HERE / "files"
ROOT = HERE.parents[1]
PKERN = Path(sys.executable).with_name("pkern")
INSIDE = "/tmp/here"  # the working directory in a machine
BUSY = 10  # times its processor time that a run may last on a busy host
MARGIN = 5  # host seconds that it takes to kill what has not ended
KILLED = 128 + signal.SIGKILL
PR_SET_CHILD_SUBREAPER = 36
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "SHELL": "/bin/sh",
}


# What differs on purpose: what the host has no large pages for, what its processor is too new for,
# and a tmpfs that only a machine's root may mount.
NATIVE = {"HUGE": "off", "XSTATE": "{built}/xstate.so", "ROOM": ":"}
MACHINE = {"HUGE": "on", "XSTATE": "", "ROOM": "mount -t tmpfs -o size=160M tmpfs"}


Stage = Callable[[str], object]
"""Gets the words for what begins now."""


class Run(NamedTuple):
    """One run. seconds: of processor time, children's too. facts: --json's page, in a machine."""

    status: int
    out: str
    err: str
    seconds: float
    facts: dict[str, Any]


class Result(NamedTuple):
    """A program's line: what its version is, and how it ran here and there. None: not run."""

    program: Program
    version: str
    missing: str
    native: Run | None
    machine: Run | None

    @property
    def works(self) -> bool:
        """Whether the machine's run printed and returned what the host's did; it counted enough."""
        here, there = self.native, self.machine
        ran = bool(here and there and here.out.strip())
        return ran and not self.differs and not self.too_few

    @property
    def differs(self) -> bool:
        """Whether the two runs do; of tests that are counted: does one fail in a machine only?"""
        here, there = self.native, self.machine
        if here is None or there is None or here.status != there.status:
            return True
        if self.program.counts_tests:
            return not ended(there) or bool(failed(there).keys() - failed(here).keys())
        return here.out != there.out

    @property
    def too_few(self) -> list[str]:
        """What the machine has counted less of than the line is there for."""
        counted = self.machine.facts.get("machine", {}) if self.machine else {}
        return [name for name, least in self.program.least if counted.get(name, 0) < least]


def ended(run: Run) -> str:
    """Return how many of CPython's tests passed, in words; nothing: there was no end."""
    found = re.search(r"^\w+: (.* passed)$", run.out, re.MULTILINE)
    return found[1] if found else ""


def failed(run: Run) -> dict[str, None]:
    """Return the tests of CPython's that failed, in their order."""
    pairs = (line.split(" ", 1) for line in run.out.splitlines())
    return {pair[1]: None for pair in pairs if pair[0] == "failed"}


def _children() -> set[int]:
    """Return the processes that have this one for their parent."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def _kill_children(but: set[int]) -> None:
    """Kill the others, and those whose parents they were."""
    while left := _children() - but:
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(pid, 0)


@contextmanager
def _nothing_left() -> Iterator[None]:
    """Take over what is orphaned meanwhile, and kill it at the end."""
    prctl, mine = ctypes.CDLL(None).prctl, _children()
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        _kill_children(mine)
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@_nothing_left()
def _measured(argv: list[str], cwd: Path, given: dict[str, str], wall: int, uid: int) -> Run:
    """Run a command, which is killed with its process group when it has lasted so many seconds."""
    before, mine = resource.getrusage(resource.RUSAGE_CHILDREN), _children()
    child = subprocess.Popen(
        ["timeout", "-s", "KILL", str(wall), *argv],
        cwd=cwd,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        user=uid or None,
    )
    try:
        out, err = child.communicate(timeout=wall + MARGIN)
    except subprocess.TimeoutExpired:  # who left the group still holds the pipes
        _kill_children(mine | {child.pid})
        out, err = child.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(
        child.returncode, out.decode(errors="replace"), err.decode(errors="replace"), seconds, {}
    )


def environment(differing: dict[str, str], built: Path) -> dict[str, str]:
    """Return the variables that a program is given."""
    own = {name: value.format(built=built) for name, value in differing.items()}
    return ENVIRONMENT | {"FILES": str(FILES), "BUILT": str(built)} | own


def natively(program: Program, built: Path) -> Run:
    """Run a program on the host, in an empty directory that its user may write."""
    with tempfile.TemporaryDirectory(prefix="real-") as folder:
        os.chmod(folder, 0o777)
        argv, given = ["/bin/sh", "-c", program.line], environment(NATIVE, built)
        return _measured(argv, Path(folder), given, program.wall, program.user)


def in_a_machine(program: Program, built: Path) -> Run:
    """Run a program in a fresh machine on the host's files; what it writes stays in memory."""
    with tempfile.TemporaryDirectory(prefix="real-") as folder:
        page = Path(folder) / "end.json"
        inside = environment(MACHINE, built)
        given = [word for pair in inside.items() for word in ("--env", "=".join(pair))]
        argv = [str(PKERN), "run", "--root", "/", "--overlay", "--uid", str(program.user)]
        argv += ["--bind", str(FILES), "--bind", str(built), "--cwd", INSIDE, *given]
        argv += ["--json", str(page), *program.options]
        argv += ["--", "/bin/sh", "-c", program.line]
        argv = ["prlimit", f"--cpu={program.wall}", *argv]  # not of a clock that others move
        run = _measured(argv, Path(folder), dict(os.environ), BUSY * program.wall, 0)
        return run._replace(facts=json.loads(page.read_text()) if page.exists() else {})


def _shell(line: str, built: Path) -> subprocess.CompletedProcess[str]:
    """Run a line natively, as who runs this."""
    own = {"PATH": f"{ENVIRONMENT['PATH']}:{os.environ['PATH']}"}
    given = dict(os.environ) | {"FILES": str(FILES), "BUILT": str(built)} | own
    argv = ["/bin/sh", "-c", line]
    return subprocess.run(argv, capture_output=True, text=True, env=given, check=False)


def installed(programs: Iterable[Program], stage: Stage) -> list[str]:
    """Install the packages of programs that are not there; return those that cannot be had."""
    asked = {one: None for p in programs for one in _missing(p)}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    install += ["-o", "DPkg::Lock::Timeout=300"]
    quiet = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
    refused = []
    for number, one in enumerate(asked, start=1):
        stage(f"package {number} of {len(asked)}, {one}: is fetched and installed")
        if subprocess.call([*install, one], env=quiet):
            refused.append(one)
    return refused


def _missing(program: Program) -> list[str]:
    """Return the packages to install: the first is the program, which may be here without one."""
    first, *tools = program.packages.split()
    wanted = tools if _found(program) else [first, *tools]
    return [one for one in wanted if not _is_installed(one)]


def _is_installed(package: str) -> bool:
    asked = ["dpkg-query", "-W", "-f", "${db:Status-Status}", package]
    return subprocess.run(asked, capture_output=True, text=True).stdout == "installed"


def _found(program: Program) -> bool:
    return bool(_shell(program.version, Path("/")).stdout.strip())


def prepared(program: Program, built: Path) -> str:
    """Compile what a program needs; return why it cannot be run here, or nothing."""
    if not _found(program):
        return f"{program.packages} is not installed"
    done = _shell(program.prepare, built)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def tried(program: Program, built: Path, stage: Stage) -> Result:
    """Run a program here and there. stage: is told what comes next, each of which may take long."""
    stage(f"is prepared: {program.prepare or 'its version is asked'}")
    missing = prepared(program, built)
    version = _shell(program.version, built).stdout.partition("\n")[0]
    if missing:
        return Result(program, version, missing, None, None)
    stage("runs natively")
    native = natively(program, built)
    stage("runs in a machine")
    return Result(program, version, "", native, in_a_machine(program, built))


def build_folder() -> Path:
    """Make the folder for what is compiled, with the small inputs that are the same for all."""
    from tests.real.inputs import write_inputs

    built = ROOT / "build" / "realprograms"
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    write_inputs(built)
    return built
