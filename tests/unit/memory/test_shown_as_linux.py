"""What /proc says of memory after calls that leave more behind than their result: as the host says.

`pkern conform` compares it at random; each place where the two once differed stands here.
"""

from __future__ import annotations

import errno
import re

import pytest

from pkern.kernel.errors import SyscallError
from pkern.userland.program import Sys

PAGE = 4096
BASE = 0x1000_0000


@pytest.fixture
def sys(task) -> Sys:
    return Sys(task)


def text(sys: Sys, name: str) -> str:
    fd = sys.open(f"/proc/self/{name}", sys.O_RDONLY)
    try:
        return sys.read(fd, 1 << 20).decode()
    finally:
        sys.close(fd)


def areas(sys: Sys) -> list[str]:
    return [line.split()[0] for line in text(sys, "maps").splitlines()]


def kilobytes(sys: Sys, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", text(sys, "status"), re.MULTILINE)
    assert found is not None
    return int(found[1])


def codes(sys: Sys, addr: int) -> list[str]:
    """Return VmFlags of the area that begins at addr."""
    entry = text(sys, "smaps").split(f"{addr:x}-", 1)[1]
    found = re.search(r"^VmFlags: (.*)$", entry, re.MULTILINE)
    assert found is not None
    return found[1].split()


def anonymous(sys: Sys, addr: int, nr: int, prot: int = 3) -> int:
    flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED
    at: int = sys.mmap(addr, nr * PAGE, prot, flags)
    return at


def test_the_heap_does_not_join_what_lies_below_it(sys: Sys) -> None:
    start = sys.brk(0)
    anonymous(sys, start - PAGE, 1)
    sys.brk(start + PAGE)
    sys.brk(start + 3 * PAGE)
    assert f"{start - PAGE:08x}-{start:08x}" in areas(sys)
    assert f"{start:08x}-{start + 3 * PAGE:08x}" in areas(sys)


def test_a_move_is_no_peak(sys: Sys) -> None:
    anonymous(sys, BASE, 8)
    peak = kilobytes(sys, "VmPeak")
    sys.mremap(BASE, 8 * PAGE, 8 * PAGE, 3, BASE + 64 * PAGE)
    assert kilobytes(sys, "VmPeak") == peak
    sys.mremap(BASE + 64 * PAGE, 8 * PAGE, 10 * PAGE, 3, BASE)
    assert kilobytes(sys, "VmPeak") == peak + 8


def test_a_locked_mapping_that_does_not_grow_gets_no_pages(sys: Sys) -> None:
    anonymous(sys, BASE, 4)
    with pytest.raises(SyscallError) as refused:
        sys.mlock(BASE, 5 * PAGE)  # a hole at its end: locked all the same, and not filled
    assert refused.value.errno == errno.ENOMEM
    before = kilobytes(sys, "RssAnon")
    sys.mremap(BASE, 1, PAGE, 0)
    assert kilobytes(sys, "RssAnon") == before
    sys.mremap(BASE, 4 * PAGE, 6 * PAGE, 0)
    assert kilobytes(sys, "RssAnon") == before + 8, "the two pages it gained"


def test_a_guard_marks_its_area_for_good(sys: Sys) -> None:
    anonymous(sys, BASE, 4)
    assert "gu" not in codes(sys, BASE)
    sys.madvise(BASE + PAGE, PAGE, sys.MADV_GUARD_INSTALL)
    sys.madvise(BASE + PAGE, PAGE, sys.MADV_GUARD_REMOVE)
    assert codes(sys, BASE)[-2:] == ["gu", "ac"]
    anonymous(sys, BASE + 4 * PAGE, 4)
    assert f"{BASE:08x}-{BASE + 8 * PAGE:08x}" in areas(sys), "the mark hinders no joining"
    sys.mprotect(BASE + 6 * PAGE, PAGE, 1)
    assert "gu" in codes(sys, BASE + 6 * PAGE), "its parts have it"


def test_a_file_that_is_opened_again_shows_one_name(sys: Sys) -> None:
    memfd = sys.memfd_create("f", 0)
    again = sys.open(f"/proc/self/fd/{memfd}", sys.O_RDONLY)
    assert sys.readlink(f"/proc/self/fd/{again}") == "/memfd:f (deleted)"
    fd = sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT)
    again = sys.open(f"/proc/self/fd/{fd}", sys.O_RDONLY)
    assert sys.readlink(f"/proc/self/fd/{again}") == "/tmp/f"
    sys.unlink("/tmp/f")
    assert sys.readlink(f"/proc/self/fd/{again}") == "/tmp/f (deleted)"


def test_a_moved_page_that_joins_what_is_left_moves_once(sys: Sys) -> None:
    anonymous(sys, BASE, 6, sys.PROT_READ)
    shared = sys.MAP_SHARED | sys.MAP_ANONYMOUS | sys.MAP_FIXED
    sys.mmap(BASE + 3 * PAGE, PAGE, 0, shared)
    sys.load(BASE + PAGE, 1)
    flags = sys.MREMAP_MAYMOVE | sys.MREMAP_FIXED | sys.MREMAP_DONTUNMAP
    sys.mremap(BASE, PAGE, PAGE, flags, BASE + 3 * PAGE)
    assert f"{BASE:08x}-{BASE + 6 * PAGE:08x}" in areas(sys)
    assert sys.mincore(BASE, 6 * PAGE) == bytes([0, 1, 0, 0, 0, 0])


def test_groups_are_numbers_of_32_bits(task) -> None:
    sys = Sys(task.kernel.spawn("root", uid=0, gid=0))
    sys.setgroups([1 << 40 | 7, 3])
    assert sys.getgroups() == [3, 7]
