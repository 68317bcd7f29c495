"""Booting: what a machine takes of the host before it is used."""

from __future__ import annotations

import resource
from pathlib import Path

import psutil
import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import KernelBug
from pkern.kernel.machine import Kernel
from pkern.userland.cli import boot
from pkern.userland.cli.main import main

MIB = 1 << 20


def test_an_interrupt_between_an_object_and_its_table_is_no_leak_of_the_kernel_s():
    with pytest.raises(KeyboardInterrupt), Kernel(ram="16M") as kernel:
        made = kernel.memory.create(lib.mapping_create, kernel.core, 0, 1 << 40)
        assert made
        raise KeyboardInterrupt
    with pytest.raises(KernelBug), Kernel(ram="16M") as kernel:
        kernel.memory.create(lib.mapping_create, kernel.core, 0, 1 << 40)


def test_a_large_machine_boots_at_once_and_takes_nothing() -> None:
    """It touches so few of the host's pages that neither memory nor time is worth a word."""
    touched, taken, own = [], [], psutil.Process()
    for _ in range(5):
        before, faults = own.memory_info().rss, resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        with Kernel(ram="1G") as kernel:
            touched.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults)
            taken.append(own.memory_info().rss - before)
            assert kernel.ram == 1 << 30
    assert min(touched) < 200
    assert max(taken) < 64 * MIB


def test_many_machines_in_one_process() -> None:
    kernels = [Kernel(ram="64M", seed=seed) for seed in range(20)]
    tasks = [kernel.spawn() for kernel in kernels]
    for number, task in enumerate(tasks):
        task.mm.write(task.mm.vmas()[0].start, bytes([number]))
    assert [t.mm.read(t.mm.vmas()[0].start, 1)[0] for t in tasks] == list(range(20))
    for kernel in kernels:
        kernel.check()
        kernel.close()


def test_a_machine_larger_than_the_host_is_said_to_be(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "prog.py"
    program.write_text("def main(sys): pass\n")
    assert main(["run", "--ram", "16M", str(program)]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(boot, "host_available", lambda: 8 * MIB)
    assert main(["run", "--ram", "16M", str(program)]) == 0
    assert "16 MiB of RAM and the host 8 MiB free" in capsys.readouterr().err


def test_what_the_host_has_free_is_what_it_says() -> None:
    seen = psutil.virtual_memory()
    assert 0 < boot.host_available() <= seen.total
    assert abs(boot.host_available() - psutil.virtual_memory().available) < seen.total // 2
