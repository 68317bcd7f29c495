"""What only machine code sees of a processor and of the kernel's entry, beside the host's own.

And what the engine sees of the host: whose malloc its process has.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.commands import PKERN
from tests.system.conftest import Compile, Machine, on_host

NONLINEAR = {"vm.nonlinear": 1, "vm.nonlinear_emulated": 1}
# A program of elf/: the sysctls that it wants here.
PROGRAMS: dict[str, dict[str, int]] = {
    "altstack_flags": {},
    "eflags": {},
    "call_numbers": NONLINEAR,
    "x87": {},
    "wide_memory": {},
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_sees_what_it_sees_on_the_host(
    name: str, machine: Machine, compile_c: Compile
) -> None:
    program = compile_c(name, "glibc")
    for sysctl, value in PROGRAMS[name].items():
        machine.kernel.sysctl[sysctl] = value
    here, there = machine.run(program), on_host(program)
    assert here.out.decode() == there.out.decode()
    assert here.status == there.status


def test_the_engine_is_opened_where_a_sanitiser_replaces_malloc(programs: Path) -> None:
    """It ends a process that looks for a library's symbols in that library first."""
    of_gcc = ["gcc", "-print-file-name=libasan.so"]
    asan = subprocess.run(of_gcc, capture_output=True, text=True, check=True).stdout.strip()
    ran = subprocess.run(
        [*PKERN, "run", programs / "true"],
        env=os.environ | {"LD_PRELOAD": asan, "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
