"""Static programs about pages that the kernel shares, hides, watches or keeps for pipes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from tests.host import CPU
from tests.system.conftest import FLAVOURS, Compile, Machine, on_host, same_as_host


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("name", ["watch", "pipepages"])
def test_watches_and_pages_in_pipes_as_on_the_host(
    compile_c: Compile, machine: Machine, name: str, flavour: str
) -> None:
    program = compile_c(name, flavour)
    same_as_host(machine, program)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_pages_that_a_pipe_brings_back_to_their_file_as_on_the_host(
    compile_c: Compile, machine: Machine, flavour: str
) -> None:
    """They are copied byte by byte upwards, as Linux does where the processor is fast at that."""
    same_as_host(machine, compile_c("pipepages", flavour), ("itself",), ("itself",))


@pytest.mark.boot(cpu=CPU)
def test_secret_memory_as_on_the_host(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("secret", "glibc")
    machine.uid = os.getuid()
    here, there = machine.run(program), on_host(program)
    if there.out.startswith(b"not here"):
        pytest.skip("the host's kernel has no memfd_secret, or booted with it off")
    assert here.out.decode() == there.out.decode()
    assert here.status == there.status == 0


@pytest.mark.parametrize("rmap", ["objrmap_tree", "pte_chain", "objrmap", "virtual_scan"])
def test_merging_as_recorded_on_a_host(compile_c: Compile, rmap: str) -> None:
    """It would set the host's own scanner: what Linux 6.18 printed is kept in ksm.txt."""
    program = compile_c("ksm", "glibc")
    with Kernel(ram="64M", rmap=rmap) as kernel:
        here = Machine(kernel, uid=0).run(program)
        kernel.check()
    assert here.out.decode() == (Path(__file__).parents[1] / "elf/memory/ksm.txt").read_text()
