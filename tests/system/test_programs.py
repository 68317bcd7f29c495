"""The programs of userland/programs: the same output on the host and on this kernel."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/programs"

# Programs that need nothing beyond Linux, with their arguments; a line each.
SAME_ON_BOTH = {
    "coherence": [],
    "cow": [],
    "faults": [],
    "forks": ["6", "64", "8"],
    "heap": [],
    "mremap": [],
    "residency": [],
    "shared": [],
    "stack": [],
    "truncate": [],
    "vsyscall": [],
    "window": [],
}
BENCH_LOOPS = {
    "nothing": 1,
    "getppid": 200,
    "mmap": 20,
    "fork": 10,
    "exec": 3,
    "compute": 10000,
    "random-1m": 1000,
    "random-64m": 1000,
}


@pytest.fixture(scope="session")
def programs() -> Path:
    """Return the folder of the compiled programs."""
    subprocess.run(["make", "-s", "programs"], cwd=ROOT, check=True)
    return PROGRAMS


def on_host(programs: Path, argv: list[str]) -> tuple[int, str]:
    """Run a program on the host; return its exit code and its standard output."""
    done = subprocess.run(
        [programs / argv[0], *argv[1:]], stdout=subprocess.PIPE, timeout=60, check=False
    )
    return done.returncode, done.stdout.decode()


@pytest.mark.parametrize("name", SAME_ON_BOTH)
def test_host_runs_it_to_the_end(programs: Path, name: str) -> None:
    """Each program ends well on Linux, so what it prints there is a reference."""
    status, output = on_host(programs, [name, *SAME_ON_BOTH[name]])
    assert status == 0
    assert output.count("\n") >= 1
    assert "failed" not in output


@pytest.mark.parametrize("name", BENCH_LOOPS)
def test_bench_loops_say_what_they_did(programs: Path, name: str) -> None:
    """A loop's line names it and its count, and repeats."""
    argv = ["bench", name, str(BENCH_LOOPS[name])]
    status, output = on_host(programs, argv)
    assert status == 0
    assert output.startswith(f"{name} {BENCH_LOOPS[name]}: ")
    assert on_host(programs, argv) == (status, output)


def test_no_program_is_forgotten(programs: Path) -> None:
    """Every source is compiled, is static, and stands in a table above."""
    names = {source.stem for source in (ROOT / "userland/programs").glob("*.c")}
    assert names == set(SAME_ON_BOTH) | {"bench", "clock", "nonlinear"}
    for name in names:
        assert os.access(programs / name, os.X_OK)
        assert b"/ld-" not in (programs / name).read_bytes()[:4096]
