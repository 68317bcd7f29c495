"""Small programs that print what Linux 6.18 printed: cases/NAME.c, each beside its text.

The texts were taken on a host of that version, as root; so the test needs no such host. A line
`// needs: OPTIONS` in a program's head gives the machine's boot parameters.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from tests.system.conftest import Compile, Machine

CASES = Path(__file__).parents[1] / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.c"))


def parameters(source: str) -> dict[str, str | int]:
    """Return the boot parameters of a program's head."""
    found = re.search(r"^// needs: (.*)$", source, re.M)
    words = (word.split("=") for word in found.group(1).split()) if found else ()
    return {name: int(value) if value.isdecimal() else value for name, value in words}


@pytest.mark.parametrize("name", NAMES)
def test_a_program_prints_what_linux_printed(name: str, compile_c: Compile) -> None:
    source = (CASES / f"{name}.c").read_text()
    program = compile_c(source, "glibc")
    with Kernel(**{"ram": "512M", **parameters(source)}) as kernel:  # type: ignore[arg-type]
        ran = Machine(kernel, uid=0).run(program)
        kernel.check()
    assert ran.out.decode() == (CASES / f"{name}.txt").read_text()
    assert (ran.status, ran.err) == (0, b"")


def test_each_program_has_its_text() -> None:
    assert NAMES
    assert {path.stem for path in CASES.glob("*.txt")} == set(NAMES)
