"""Races that were bugs once, under memory pressure, with every reverse map.

Each test is named after what went wrong. Where a fault or call waits for a page or for memory, the
kernel runs `sleep_hook`, and the test lets another task act exactly there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.errors import BusError
from pkern.kernel.machine import Kernel
from pkern.kernel.mm.memory import Sleep
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys

PAGE = 4096
RW = 3
SHARED, PRIVATE, ANONYMOUS, FIXED, NONBLOCK = 1, 2, 0x20, 0x10, 0x10000
EVERYTHING = 1 << 20

pytestmark = [pytest.mark.all_rmaps, pytest.mark.boot(ram="1M", swap="4M", nrpte=3)]


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    kernel.sysctl["vm.nonlinear"] = 1
    kernel.sysctl["vm.overcommit_memory"] = 1
    return Sys(kernel.spawn())


def memory_file(sys: Sys, nr_pages: int) -> int:
    """Return a memfd whose page i begins with the byte i + 1."""
    fd: int = sys.memfd_create("file", 0)
    sys.ftruncate(fd, nr_pages * PAGE)
    for index in range(nr_pages):
        sys.pwrite64(fd, bytes([index + 1]), index * PAGE)
    return fd


def host_file(kernel: Kernel, sys: Sys, directory: Path, nr_pages: int) -> int:
    """Return a file of the host with the same content, whose pages must be fetched."""
    pages = [bytes([index + 1]).ljust(PAGE, b"\0") for index in range(nr_pages)]
    (directory / "file").write_bytes(b"".join(pages))
    (directory / "file").chmod(0o666)
    directory.chmod(0o777)
    kernel.vfs.mount("/mnt", HostFs(directory, Access.READ_WRITE))
    fd: int = sys.open("/mnt/file", sys.O_RDWR, 0)
    return fd


def evict(kernel: Kernel) -> None:
    """Reclaim all that can be."""
    while kernel.memory.reclaim(EVERYTHING):
        pass


def in_the_gap(kernel: Kernel, act: Callable[[], Any]) -> None:
    """Let act run where the next fault sleeps, once."""

    def hook(why: Sleep, index: int) -> None:
        kernel.memory.sleep_hook = None
        act()

    kernel.memory.sleep_hook = hook


def first(sys: Sys, addr: int) -> int:
    return int(sys.load(addr, 1)[0])


def window(sys: Sys, fd: int, nr_pages: int, sharing: int = SHARED) -> int:
    addr: int = sys.mmap(0, nr_pages * PAGE, RW, sharing, fd, 0)
    return addr


# ---- faults that sleep ----


def test_a_fault_that_raced_truncate_leaves_no_stray_page(
    kernel: Kernel, sys: Sys, tmp_path: Path
) -> None:
    fd = host_file(kernel, sys, tmp_path, 4)
    addr = window(sys, fd, 4)
    in_the_gap(kernel, lambda: sys.ftruncate(fd, PAGE))
    with pytest.raises(BusError):
        first(sys, addr + 2 * PAGE)
    sys.ftruncate(fd, 4 * PAGE)
    assert first(sys, addr + 2 * PAGE) == 0
    sys.store(addr + 2 * PAGE, b"\x77")
    assert sys.pread64(fd, 1, 2 * PAGE) == b"\x77"


def test_a_page_that_was_evicted_and_truncated_while_a_fault_slept(
    kernel: Kernel, sys: Sys, tmp_path: Path
) -> None:
    fd = host_file(kernel, sys, tmp_path, 4)
    addr = window(sys, fd, 4)
    assert first(sys, addr + PAGE) == 2

    def act() -> None:
        evict(kernel)
        sys.ftruncate(fd, PAGE)
        sys.ftruncate(fd, 4 * PAGE)

    in_the_gap(kernel, act)
    assert first(sys, addr + 2 * PAGE) == 0
    assert first(sys, addr + PAGE) == 0


def test_the_mapping_is_looked_at_again_after_the_sleep(
    kernel: Kernel, sys: Sys, tmp_path: Path
) -> None:
    """The page was fetched for a VMA that now shows anonymous memory."""
    fd = host_file(kernel, sys, tmp_path, 4)
    addr = window(sys, fd, 4)
    flags = PRIVATE | ANONYMOUS | FIXED
    in_the_gap(kernel, lambda: sys.mmap(addr, 4 * PAGE, RW, flags, -1, 0))
    assert first(sys, addr + PAGE) == 0


def test_private_copies_made_between_the_two_unmaps_go_too(kernel: Kernel, sys: Sys) -> None:
    fd = memory_file(sys, 4)
    addr = window(sys, fd, 4, PRIVATE)
    sys.store(addr + 2 * PAGE, b"\x55")
    evict(kernel)
    assert sys.task.mm.counters.nr_swap == 1
    sys.ftruncate(fd, PAGE)
    assert sys.task.mm.counters.nr_swap == 0
    sys.ftruncate(fd, 4 * PAGE)
    assert first(sys, addr + 2 * PAGE) == 0


# ---- remap_file_pages ----


def test_nonblock_never_leaves_the_old_page(kernel: Kernel, sys: Sys) -> None:
    fd = memory_file(sys, 8)
    addr = window(sys, fd, 4)
    assert first(sys, addr) == 1
    evict(kernel)
    sys.remap_file_pages(addr, PAGE, 0, 6, NONBLOCK)
    assert first(sys, addr) == 7
    evict(kernel)
    sys.remap_file_pages(addr, PAGE, 0, 5, NONBLOCK)
    assert first(sys, addr) == 6


def test_memory_pressure_is_no_einval(kernel: Kernel, sys: Sys) -> None:
    """Each remap wants a page that is in swap, on a machine that is full."""
    fd = memory_file(sys, 100)
    hog = sys.mmap(0, 300 * PAGE, RW, PRIVATE | ANONYMOUS, -1, 0)
    addr = window(sys, fd, 100)
    for index in range(100):
        sys.touch(hog, 300 * PAGE) if index % 10 == 0 else None
        assert sys.remap_file_pages(addr + index * PAGE, PAGE, 0, 99 - index, 0) == 0
    assert [first(sys, addr + i * PAGE) for i in range(100)] == list(range(100, 0, -1))


def test_pages_shown_elsewhere_survive_a_truncate_of_their_place(kernel: Kernel, sys: Sys) -> None:
    fd = memory_file(sys, 8)
    addr = window(sys, fd, 8)
    sys.remap_file_pages(addr + 7 * PAGE, PAGE, 0, 0, 0)  # page 0 in the last place
    sys.remap_file_pages(addr, PAGE, 0, 7, 0)  # the last page in the first place
    evict(kernel)
    sys.ftruncate(fd, 4 * PAGE)
    assert first(sys, addr + 7 * PAGE) == 1
    with pytest.raises(BusError):
        first(sys, addr)
    sys.ftruncate(fd, 8 * PAGE)
    assert first(sys, addr) == 0


def test_a_nonlinear_page_returns_to_its_place_from_swap(kernel: Kernel, sys: Sys) -> None:
    fd = memory_file(sys, 40)
    addr = window(sys, fd, 40)
    for index in range(40):
        sys.remap_file_pages(addr + index * PAGE, PAGE, 0, 39 - index, 0)
    sys.store(addr + 5 * PAGE, b"\x99")
    for _ in range(3):  # a cluster ages first
        evict(kernel)
    hog = sys.mmap(0, 300 * PAGE, RW, PRIVATE | ANONYMOUS, -1, 0)
    sys.touch(hog, 300 * PAGE)
    seen = [first(sys, addr + i * PAGE) for i in range(40)]
    assert seen == [0x99 if i == 5 else 40 - i for i in range(40)]
    assert sys.pread64(fd, 1, 34 * PAGE) == b"\x99"


def test_mincore_follows_the_remapped_page(kernel: Kernel, sys: Sys) -> None:
    fd = memory_file(sys, 4)
    addr = window(sys, fd, 4)
    sys.remap_file_pages(addr, PAGE, 0, 3, 0)
    sys.madvise(addr, 4 * PAGE, 21)  # PAGEOUT
    evict(kernel)
    assert sys.mincore(addr, 4 * PAGE) == b"\0" * 4
    assert first(sys, addr) == 4
    assert sys.mincore(addr, 4 * PAGE)[0] == 1


def test_fork_while_a_remap_is_half_done(kernel: Kernel, sys: Sys, tmp_path: Path) -> None:
    fd = host_file(kernel, sys, tmp_path, 8)
    addr = window(sys, fd, 4)
    sys.remap_file_pages(addr, 2 * PAGE, 0, 4, NONBLOCK)  # file ptes: nothing is in the cache
    children: list[Sys] = []
    in_the_gap(kernel, lambda: children.append(sys.fork()))
    assert first(sys, addr) == 5
    child = children[0]
    evict(kernel)
    assert [first(s, addr + PAGE) for s in (sys, child)] == [6, 6]
    assert first(child, addr) == 5
    child.exit(0)


def test_an_unaligned_start_in_the_last_page(kernel: Kernel, sys: Sys) -> None:
    fd = memory_file(sys, 4)
    addr = window(sys, fd, 4)
    evict(kernel)
    sys.remap_file_pages(addr + 3 * PAGE + 100, PAGE, 0, 1, 0)
    assert [first(sys, addr + i * PAGE) for i in range(4)] == [1, 2, 3, 2]


def test_two_vmas_of_one_task_one_remapped_to_page_0(kernel: Kernel, sys: Sys) -> None:
    """The BUG of 2014: the other VMA is closed first, then the file."""
    fd = memory_file(sys, 4)
    one, other = window(sys, fd, 4), window(sys, fd, 4)
    sys.remap_file_pages(one + 2 * PAGE, PAGE, 0, 0, 0)
    assert first(sys, other) == 1
    evict(kernel)
    sys.munmap(other, 4 * PAGE)
    assert first(sys, one + 2 * PAGE) == 1
    sys.munmap(one, 4 * PAGE)
    sys.close(fd)
    kernel.check()


# ---- swap ----


def test_a_copy_is_made_of_a_page_in_the_swap_cache(kernel: Kernel, sys: Sys) -> None:
    addr = sys.mmap(0, PAGE, RW, PRIVATE | ANONYMOUS, -1, 0)
    sys.store(addr, b"parent")
    evict(kernel)
    child = sys.fork()
    assert child.load(addr, 6) == b"parent"  # now in the swap cache, shared
    sys.store(addr, b"PARENT")
    assert child.load(addr, 6) == b"parent"
    evict(kernel)
    assert (sys.load(addr, 6), child.load(addr, 6)) == (b"PARENT", b"parent")


def test_munmap_and_exit_free_swapped_pages(kernel: Kernel, sys: Sys) -> None:
    addr = sys.mmap(0, 64 * PAGE, RW, PRIVATE | ANONYMOUS, -1, 0)
    sys.touch(addr, 64 * PAGE)
    evict(kernel)
    child = sys.fork()
    assert kernel.counters.nr_swap_used >= 64
    sys.munmap(addr, 64 * PAGE)
    assert child.task.mm.counters.nr_swap >= 64
    child.exit(0)
    assert kernel.counters.nr_swap_used <= 2  # the stack


def test_truncate_and_growth_of_swapped_pages_show_zeroes(kernel: Kernel, sys: Sys) -> None:
    fd = memory_file(sys, 4)
    addr = window(sys, fd, 4)
    sys.store(addr + PAGE + 10, b"tail")
    evict(kernel)
    sys.ftruncate(fd, PAGE + 12)
    sys.ftruncate(fd, 4 * PAGE)
    assert sys.load(addr + PAGE + 8, 8) == b"\0\0ta\0\0\0\0"
    assert first(sys, addr + 2 * PAGE) == 0


def test_locked_pages_stay_until_they_are_unlocked(kernel: Kernel, sys: Sys) -> None:
    addr = sys.mmap(0, 4 * PAGE, RW, PRIVATE | ANONYMOUS, -1, 0)
    sys.touch(addr, 4 * PAGE)
    sys.mlock(addr, 4 * PAGE)
    evict(kernel)
    assert sys.mincore(addr, 4 * PAGE) == b"\1" * 4
    sys.munlock(addr, 4 * PAGE)
    evict(kernel)
    assert sys.mincore(addr, 4 * PAGE) == b"\0" * 4


def test_every_byte_is_the_same_in_all_designs(kernel: Kernel, sys: Sys) -> None:
    """One scenario; the parametrisation compares the designs with one another."""
    fd = memory_file(sys, 64)
    shared = window(sys, fd, 64)
    private = window(sys, fd, 64, PRIVATE)
    for index in range(0, 64, 3):
        sys.store(private + index * PAGE, bytes([200]))
    child = sys.fork()
    for index in range(0, 64, 5):
        child.store(private + index * PAGE, bytes([100]))
    hog = sys.mmap(0, 300 * PAGE, RW, PRIVATE | ANONYMOUS, -1, 0)
    sys.touch(hog, 300 * PAGE)
    for number in range(64):
        mine = 200 if number % 3 == 0 else number + 1
        assert first(sys, shared + number * PAGE) == number + 1
        assert first(sys, private + number * PAGE) == mine
        assert first(child, private + number * PAGE) == (100 if number % 5 == 0 else mine)
    child.exit(0)
