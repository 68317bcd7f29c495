"""What only machine code sees of a processor and of the kernel's entry, beside the host's own."""

from __future__ import annotations

import pytest

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
