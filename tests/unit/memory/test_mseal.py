"""mseal(2), where the host cannot be asked: smaps, fork, exec's end of an mm, nonlinear mappings.

What a seal refuses in ordinary memory: tests/property/test_odd_arguments_host.py.
"""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
BASE = 0x10000000
RW, SHARED, PRIVATE, FIXED, ANONYMOUS, NONLINEAR = 3, 1, 2, 0x10, 0x20, 0x800000
MUNMAP, REMAP_FILE_PAGES, MSEAL = 11, 216, 462


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    return Sys(kernel.spawn("sealer"))


def flags_of(sys: Sys) -> list[str]:
    """Return the VmFlags lines of what lies at BASE and behind it, up to the stack."""
    fd = sys.open("/proc/self/smaps", 0, 0)
    text = sys.read(fd, 1 << 20).decode()
    sys.close(fd)
    blocks = text.split("VmFlags:")
    heads = [block for block in blocks[:-1] if f"{BASE >> 16:x}" in block.split("-")[0]]
    return [blocks[blocks.index(head) + 1].splitlines()[0] for head in heads]


def test_smaps_shows_it_and_a_child_has_it(sys: Sys, kernel: Kernel) -> None:
    sys.mmap(BASE, 4 * PAGE, RW, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    assert sys.mseal(BASE + PAGE, 2 * PAGE, 0) == 0
    assert [" sl" in line for line in flags_of(sys)] == [False, True, False]
    child = sys.fork()
    assert child.syscall(MUNMAP, BASE, 4 * PAGE) == -errno.EPERM
    assert child.load(BASE, 1) == b"\0"
    child.exit(0)  # a seal ends with its mm
    kernel.check()
    assert sys.mseal(BASE, 4 * PAGE, 0) == 0
    assert [" sl" in line for line in flags_of(sys)] == [True]  # one VMA again


@pytest.mark.sysctl({"vm.nonlinear": 1})
@pytest.mark.parametrize("emulated", [0, 1])
def test_no_other_page_is_put_into_a_sealed_vma(sys: Sys, kernel: Kernel, emulated: int) -> None:
    kernel.sysctl["vm.nonlinear_emulated"] = emulated
    fd = sys.memfd_create("file", 0)
    sys.pwrite64(fd, b"a" * PAGE + b"b" * PAGE, 0)
    sys.mmap(BASE, 2 * PAGE, RW, SHARED | FIXED, fd, 0)
    special = sys.mmap(0, 2 * PAGE, RW, SHARED | NONLINEAR, -1, 0)
    sys.remap_file_pages(special, 2 * PAGE, 0, 0, 0, fd)
    for addr in (BASE, special):
        assert sys.mseal(addr, 2 * PAGE, 0) == 0
        assert sys.syscall(REMAP_FILE_PAGES, addr, PAGE, 0, 1, 0, fd) == -errno.EPERM
        assert sys.syscall(MUNMAP, addr, PAGE) == -errno.EPERM
        assert sys.load(addr, 1) + sys.load(addr + PAGE, 1) == b"ab"


def test_a_seal_over_a_hole_changes_nothing(sys: Sys) -> None:
    sys.mmap(BASE, 3 * PAGE, RW, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    sys.munmap(BASE + PAGE, PAGE)
    assert sys.syscall(MSEAL, BASE, 3 * PAGE, 0) == -errno.ENOMEM
    assert sys.munmap(BASE, 3 * PAGE) == 0


@pytest.mark.sysctl({"vm.max_map_count": 12})
def test_a_split_that_may_not_be(sys: Sys, kernel: Kernel) -> None:
    sys.mmap(BASE, 3 * PAGE, RW, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    kernel.sysctl["vm.max_map_count"] = len(sys.task.mm.vmas()) + 1
    assert sys.syscall(MSEAL, BASE + PAGE, PAGE, 0) == -errno.ENOMEM
    assert sys.mseal(BASE + PAGE, 2 * PAGE, 0) == 0
