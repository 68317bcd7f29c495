"""Runs the table natively and in machines, and says how they compare.

Owns the folder of what is compiled and the measure of each run. Everything a program reads of the
host is the host's own; what it writes lies in a fresh folder natively and in memory in a machine.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.real.table import Program

HERE = Path(__file__).resolve().parent
FILES = HERE / "files"
ROOT = HERE.parents[1]
PKERN = Path(sys.executable).with_name("pkern")
INSIDE = "/tmp/here"  # the working directory in a machine
MARGIN = 30  # host seconds after --wall until pkern itself is killed
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
        same = bool(here and there and here.out.strip() and here[:2] == there[:2])
        return same and not self.too_few

    @property
    def too_few(self) -> list[str]:
        """What the machine has counted less of than the line is there for."""
        counted = self.machine.facts.get("machine", {}) if self.machine else {}
        return [name for name, least in self.program.least if counted.get(name, 0) < least]


def _measured(argv: list[str], cwd: Path, given: dict[str, str], wall: int, uid: int) -> Run:
    """Run a command in a process group of its own, which is killed when its time is up."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    child = subprocess.Popen(
        argv,
        cwd=cwd,
        env=given,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        user=uid or None,
    )
    try:
        out, err = child.communicate(timeout=wall)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
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
        if "--twice" not in program.options:  # which no host's clock may part
            argv += ["--wall", str(program.wall)]
        argv += ["--json", str(page), *program.options]
        argv += ["--", "/bin/sh", "-c", program.line]
        run = _measured(argv, Path(folder), dict(os.environ), program.wall + MARGIN, 0)
        return run._replace(facts=json.loads(page.read_text()) if page.exists() else {})


def _shell(line: str, built: Path) -> subprocess.CompletedProcess[str]:
    """Run a line natively, as who runs this."""
    own = {"PATH": f"{ENVIRONMENT['PATH']}:{os.environ['PATH']}"}
    given = dict(os.environ) | {"FILES": str(FILES), "BUILT": str(built)} | own
    argv = ["/bin/sh", "-c", line]
    return subprocess.run(argv, capture_output=True, text=True, env=given, check=False)


def installed(programs: Iterable[Program]) -> list[str]:
    """Install the packages of programs that are not found; return those that cannot be had."""
    asked = {one: None for p in programs for one in p.packages.split() if not _found(p)}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    quiet = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
    return [one for one in asked if subprocess.call([*install, one], env=quiet)]


def _found(program: Program) -> bool:
    return bool(_shell(program.version, Path("/")).stdout.strip())


def prepared(program: Program, built: Path) -> str:
    """Compile what a program needs; return why it cannot be run here, or nothing."""
    if not _found(program):
        return f"{program.packages} is not installed"
    done = _shell(program.prepare, built)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def tried(program: Program, built: Path) -> Result:
    """Run a program here and there."""
    missing = prepared(program, built)
    version = _shell(program.version, built).stdout.partition("\n")[0]
    if missing:
        return Result(program, version, missing, None, None)
    return Result(program, version, "", natively(program, built), in_a_machine(program, built))


def build_folder() -> Path:
    """Make the folder for what is compiled, with the small inputs that are the same for all."""
    from tests.real.inputs import write_inputs

    built = ROOT / "build" / "realprograms"
    shutil.rmtree(built, ignore_errors=True)
    built.mkdir(parents=True)
    write_inputs(built)
    return built
