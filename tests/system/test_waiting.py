"""poll and select in machine code: a static program prints the same on the host and here."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from kernel.machine import Kernel
from userland.machine_code import captured, put_program, run_machine_code, start_init

SOURCE = Path(__file__).with_name("waiting.c")
COMPILER = shutil.which("musl-gcc") or shutil.which("gcc")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert COMPILER, "a C compiler is part of what pkern needs"
    path = tmp_path_factory.mktemp("waiting") / "waiting"
    subprocess.run([COMPILER, "-static", "-Wall", "-o", path, SOURCE], check=True)
    return path


def test_waiting_prints_what_linux_prints(program: Path) -> None:
    there = subprocess.run([program], stdout=subprocess.PIPE, timeout=60, check=True).stdout
    output: list[bytes] = []
    with Kernel(ram="64M") as kernel:
        start_init(kernel)
        put_program(kernel, program, "/bin/waiting")
        stdio = captured(kernel, b"", output.append, lambda data: None)
        assert run_machine_code(kernel, "/bin/waiting", ["waiting"], stdio=stdio) == 0
        kernel.check()
    assert b"".join(output).decode() == there.decode()
