"""The programs of userland/programs: the same output on the host and on this kernel."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.machine_code import captured, put_program, run_machine_code, start_init
from tests.commands import SECONDS
from tests.rounds import ROUNDS
from tests.system.conftest import ROOT

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
    "storm": ["200", "1"],
    "trace": [],
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
    "switch": 100,
    "compute": 10000,
    "random-1m": 1000,
    "random-64m": 1000,
}


def on_host(programs: Path, argv: list[str]) -> tuple[int, str]:
    """Run a program on the host; return its exit code and its standard output."""
    done = subprocess.run(
        [programs / argv[0], *argv[1:]],
        stdout=subprocess.PIPE,
        timeout=SECONDS,
        check=False,
        start_new_session=True,
    )
    return done.returncode, done.stdout.decode()


def on_pkern(
    programs: Path, argv: list[str], ram: str = "96M", **sysctl: int | str
) -> tuple[int, str]:
    """Run a program on a fresh machine; return what the host's run would, checked and closed."""
    output: list[bytes] = []
    settings = {name.replace("__", "."): value for name, value in sysctl.items()}
    with Kernel(ram=ram, sysctl=settings) as kernel:
        start_init(kernel)
        path = f"/bin/{argv[0]}"
        put_program(kernel, programs / argv[0], path)
        stdio = captured(kernel, b"", output.append, lambda data: None)
        status = run_machine_code(kernel, path, [path, *argv[1:]], stdio=stdio)
        kernel.check()
    code = status >> 8 if not status & 0x7F else -(status & 0x7F)
    return code, b"".join(output).decode()


@pytest.mark.parametrize("name", SAME_ON_BOTH)
def test_pkern_prints_what_linux_prints(programs: Path, name: str) -> None:
    argv = [name, *SAME_ON_BOTH[name]]
    assert on_pkern(programs, argv) == on_host(programs, argv)


@pytest.mark.parametrize("seed", range(2, 2 + 3 * ROUNDS))
def test_random_walks_agree(programs: Path, seed: int) -> None:
    argv = ["storm", "300", str(seed)]
    assert on_pkern(programs, argv) == on_host(programs, argv)


@pytest.mark.parametrize("rmap", ["pte_chain", "objrmap", "virtual_scan", "compare"])
@pytest.mark.parametrize("name", ["cow", "storm", "truncate"])
def test_the_reverse_map_changes_nothing(programs: Path, name: str, rmap: str) -> None:
    argv = [name, *SAME_ON_BOTH[name]]
    assert on_pkern(programs, argv, vm__rmap=rmap) == on_host(programs, argv)


@pytest.mark.parametrize("name", BENCH_LOOPS)
def test_pkern_runs_the_bench_loops(programs: Path, name: str) -> None:
    argv = ["bench", name, str(BENCH_LOOPS[name])]
    assert on_pkern(programs, argv, ram="160M") == on_host(programs, argv)


def test_one_special_area_shows_two_files(programs: Path) -> None:
    """The letter's API in machine code: open gate, one VMA, truncate leaves the page mapped."""
    status, output = on_pkern(programs, ["nonlinear"], vm__nonlinear=1)
    assert status == 0
    assert output.splitlines() == [
        "two files, backwards: hGfEdCbA",
        "areas: 1",
        "a store is in the file: !",
        "three pages in a row: !cdedCbA",
        f"beyond the end: -{errno.EINVAL}",
        f"no such descriptor: -{errno.EBADF}",
        "after truncate: !cdedCbA",
        "the file has grown again and reads 0 there",
    ]


def test_the_closed_gate_is_eperm(programs: Path) -> None:
    assert on_pkern(programs, ["nonlinear"]) == (2, f"mmap(MAP_NONLINEAR): errno {errno.EPERM}\n")


@pytest.mark.parametrize("gate", [0, 1])
def test_a_window_is_the_same_on_both_sides_of_the_gate(programs: Path, gate: int) -> None:
    assert on_pkern(programs, ["window"], vm__nonlinear=gate) == on_host(programs, ["window"])


@pytest.mark.parametrize("fast", [0, 1])
def test_vsyscalls_agree_with_calls_in_both_forms(programs: Path, fast: int) -> None:
    _, output = on_pkern(programs, ["clock", "2"], kernel__vsyscall64=fast)
    microseconds = [int(line.split()[2].replace(".", "")) for line in output.splitlines()]
    seconds = [int(line.split()[4]) for line in output.splitlines()]
    assert seconds == [value // 1_000_000 for value in microseconds]
    for called, fixed in zip(microseconds[0::2], microseconds[1::2], strict=True):
        assert 0 <= fixed - called <= 5


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
    assert names == set(SAME_ON_BOTH) | {"bench", "clock", "nonlinear", "swept", "true"}
    for name in names:
        assert os.access(programs / name, os.X_OK)
        assert b"/ld-" not in (programs / name).read_bytes()[:4096]
