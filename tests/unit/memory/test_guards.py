"""Guards where the host is not asked step by step: fork, swap, nonlinear memory, what /proc says.

tests/property/test_odd_arguments_host.py compares the calls over them with the host's.
"""

from __future__ import annotations

import errno
import struct

import pytest

from pkern.kernel.errors import SegmentationFault, SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
GUARD_WORD = 0x4400_0000_0000_009F  # of Linux 6.18's pagemap


def anonymous(sys: Sys, nr: int = 4) -> int:
    at: int = sys.mmap(0, nr * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    return at


def is_guard(sys: Sys, addr: int) -> bool:
    try:
        sys.load(addr, 1)
    except SegmentationFault as fault:
        assert fault.code == 1, "as if nothing were mapped"
        return True
    return False


def install(sys: Sys, addr: int, nr: int = 1) -> None:
    sys.madvise(addr, nr * PAGE, sys.MADV_GUARD_INSTALL)


@pytest.mark.all_rmaps
def test_fork_copies_guards_and_wipeonfork_does_not(kernel: Kernel, task) -> None:
    sys = Sys(task)
    at, wiped = anonymous(sys), anonymous(sys)
    install(sys, at + PAGE)
    install(sys, wiped)
    sys.madvise(wiped, PAGE, sys.MADV_WIPEONFORK)
    child = sys.fork()
    assert [is_guard(child, at + n * PAGE) for n in range(3)] == [False, True, False]
    assert is_guard(sys, wiped) and not is_guard(child, wiped)
    child.madvise(at, 2 * PAGE, child.MADV_GUARD_REMOVE)
    assert is_guard(sys, at + PAGE) and not is_guard(child, at + PAGE)


def test_a_swapped_page_gives_its_slot_back(kernel: Kernel) -> None:
    with Kernel(ram="16M", swap="1M") as machine:
        sys = Sys(machine.spawn())
        at = anonymous(sys)
        sys.store(at, b"x" * 2 * PAGE)
        sys.madvise(at, 2 * PAGE, sys.MADV_PAGEOUT)
        assert machine.counters.nr_swap_used == 2
        install(sys, at)
        assert machine.counters.nr_swap_used == 1
        machine.check()
        sys.madvise(at, 2 * PAGE, sys.MADV_GUARD_REMOVE)
        assert sys.load(at, 1) + sys.load(at + PAGE, 1) == b"\0x"


def test_pagemap_and_smaps(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    at = anonymous(sys)
    sys.store(at, b"x" * 2 * PAGE)
    install(sys, at)
    fd = sys.open("/proc/self/pagemap", sys.O_RDONLY, 0)
    words = struct.unpack("<3Q", sys.pread64(fd, 24, at // PAGE * 8))
    assert words[0] == GUARD_WORD and words[1] >> 63 == 1 and words[2] == 0
    smaps = sys.open("/proc/self/smaps", sys.O_RDONLY, 0)
    text = b"".join(iter(lambda: sys.read(smaps, 65536), b"")).decode()
    rows = text[text.index(f"{at:x}-") :].splitlines()
    assert "Rss:                   4 kB" in rows[1:6] and "Swap:                  0 kB" in rows


def test_special_and_large_memory_has_none(kernel: Kernel) -> None:
    with Kernel(ram="16M", sysctl={"vm.nonlinear": 1, "vm.nr_hugepages": 1}) as machine:
        sys = Sys(machine.spawn(uid=0))
        special = sys.mmap(0, PAGE, 3, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
        flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_HUGETLB
        large = sys.mmap(0, 2 << 20, 3, flags)
        for at in (special, large):
            with pytest.raises(SyscallError) as error:
                install(sys, at)
            assert error.value.errno == errno.EINVAL


def test_a_program_that_handles_the_signal_may_take_the_guard_away(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    at = anonymous(sys)
    install(sys, at)
    sys.rt_sigaction(sys.SIGSEGV, lambda signo, info: sys.madvise(at, PAGE, sys.MADV_GUARD_REMOVE))
    sys.store(at, b"grown")
    assert sys.load(at, 5) == b"grown"
