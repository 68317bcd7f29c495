"""Hooks in code are at instructions only, and cost no other code its translation."""

from __future__ import annotations

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.machine_code import boot_scheduler
from tests.system.conftest import Compile, Machine

STORES = 40  # of 16 bytes, in one block of the program
ENOUGH = 64  # times that each is looked at


def _counted(compile_c: Compile, what: str) -> tuple[bytes, dict[str, int]]:
    """Return what the program prints, and what its processor has counted."""
    with Kernel(ram="64M") as kernel:
        ran = Machine(kernel).run(compile_c("hooked", "musl"), what)
        assert ran.status == 0
        counters = boot_scheduler(kernel).processor.counters
        names = ("hooks", "looks", "drops", "forgotten")
        counted = {name: int(getattr(counters, name)) for name in names}
        kernel.check()
    return ran.out, counted


@pytest.fixture(scope="module")
def of_nothing(compile_c: Compile) -> dict[str, int]:
    return _counted(compile_c, "nothing")[1]


def test_what_only_looks_like_such_an_instruction_has_no_hook(
    compile_c: Compile, of_nothing: dict[str, int]
) -> None:
    out, counted = _counted(compile_c, "alike")
    assert out == b"5\n"
    assert counted["hooks"] - of_nothing["hooks"] < STORES // 4  # printf has some


def test_a_block_full_of_them_lets_other_code_be(
    compile_c: Compile, of_nothing: dict[str, int]
) -> None:
    _, counted = _counted(compile_c, "many")
    assert counted["hooks"] - of_nothing["hooks"] == STORES
    assert counted["looks"] - of_nothing["looks"] <= STORES * ENOUGH
    assert counted["forgotten"] == 0


def test_so_it_is_in_two_processes_that_take_turns(
    compile_c: Compile, of_nothing: dict[str, int]
) -> None:
    out, counted = _counted(compile_c, "turns")
    assert out == b"3\n"
    assert counted["hooks"] - of_nothing["hooks"] >= 2 * STORES
    assert counted["looks"] - of_nothing["looks"] <= 2 * (STORES + 8) * ENOUGH
    assert counted["forgotten"] == 0
