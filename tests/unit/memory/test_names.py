"""prctl(PR_SET_VMA): names of anonymous memory. The host's kernel may be built without them."""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
BASE = 0x10000000
RW = 3


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    sys = Sys(kernel.spawn("namer"))
    anonymous = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED
    sys.mmap(BASE, 8 * PAGE, RW, anonymous)
    sys.mmap(BASE + 16 * PAGE, PAGE, RW, anonymous)
    return sys


def name(sys: Sys, first: int, pages: int, text: bytes | None) -> int:
    where = BASE + 16 * PAGE
    if text is not None:
        sys.store(where, text + b"\0")
    at = where if text is not None else 0
    return sys.prctl(
        sys.PR_SET_VMA, sys.PR_SET_VMA_ANON_NAME, BASE + first * PAGE, pages * PAGE, at
    )


def maps(sys: Sys) -> list[str]:
    fd = sys.open("/proc/self/maps", sys.O_RDONLY)
    rows = sys.read(fd, 1 << 16).decode().splitlines()
    sys.close(fd)
    found = [row.split(None, 5) for row in rows]
    low, high = BASE, BASE + 16 * PAGE
    return [
        f"{(int(row[0].split('-')[0], 16) - BASE) // PAGE} {row[5] if len(row) > 5 else ''}"
        for row in found
        if low <= int(row[0].split("-")[0], 16) < high
    ]


def test_a_name_splits_and_joins(sys: Sys, kernel: Kernel) -> None:
    assert name(sys, 2, 3, b"stack of calls") == 0
    assert maps(sys) == ["0 ", "2 [anon:stack of calls]", "5 "]
    child = sys.fork()
    assert maps(child) == maps(sys)
    child.exit(0)
    assert name(sys, 0, 2, b"stack of calls") == 0
    assert maps(sys) == ["0 [anon:stack of calls]", "5 "]
    assert name(sys, 0, 8, b"") == 0
    assert maps(sys) == ["0 [anon:]"]
    assert name(sys, 1, 1, None) == 0
    assert maps(sys) == ["0 [anon:]", "1 ", "2 [anon:]"]
    kernel.check()


def test_a_name_moves_and_new_memory_has_none(sys: Sys) -> None:
    name(sys, 0, 8, b"x")
    anonymous = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED
    sys.mmap(BASE + 8 * PAGE, PAGE, RW, anonymous)
    assert maps(sys) == ["0 [anon:x]", "8 "]
    sys.mremap(BASE, PAGE, PAGE, sys.MREMAP_MAYMOVE | sys.MREMAP_FIXED, BASE + 10 * PAGE)
    assert maps(sys) == ["1 [anon:x]", "8 ", "10 [anon:x]"]


def test_shared_memory_has_names_and_files_have_theirs(sys: Sys) -> None:
    shared = sys.MAP_SHARED | sys.MAP_ANONYMOUS | sys.MAP_FIXED
    sys.mmap(BASE + 9 * PAGE, PAGE, RW, shared)
    assert name(sys, 9, 1, b"heap") == 0
    assert maps(sys)[-1] == "9 [anon_shmem:heap]"
    fd = sys.memfd_create("file", 0)
    sys.ftruncate(fd, PAGE)
    sys.mmap(BASE + 11 * PAGE, PAGE, RW, sys.MAP_SHARED | sys.MAP_FIXED, fd)
    with pytest.raises(SyscallError) as refused:
        name(sys, 11, 1, b"heap")
    assert refused.value.errno == errno.EBADF


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a" * 79, 0),
        (b"a" * 80, errno.EINVAL),
        (b"tab\t", errno.EINVAL),
        (b"\x7f", errno.EINVAL),
        (b"\xe4", errno.EINVAL),
        *((bytes([letter]), errno.EINVAL) for letter in b"\\`$[]"),
        (b" ~!\"'", 0),
    ],
)
def test_what_a_name_may_be(sys: Sys, text: bytes, expected: int) -> None:
    assert -sys.syscall(157, 0x53564D41, 0, BASE, PAGE, _stored(sys, text)) == expected


def _stored(sys: Sys, text: bytes) -> int:
    sys.store(BASE + 16 * PAGE, text + b"\0")
    return BASE + 16 * PAGE


def test_odd_ranges(sys: Sys) -> None:
    at = _stored(sys, b"n")

    def call(addr: int, length: int, what: int = 0, text: int = at) -> int:
        return -sys.syscall(157, 0x53564D41, what, addr, length, text)

    assert call(BASE + 1, PAGE) == errno.EINVAL
    assert call(BASE, PAGE, 1) == errno.EINVAL
    assert call(BASE, (1 << 64) - 1) == errno.EINVAL
    assert call(BASE, 0) == 0
    assert call(BASE, 10 * PAGE) == errno.ENOMEM
    assert maps(sys) == ["0 [anon:n]"], "what there was has been named"
    assert call(BASE, PAGE, 0, 8) == errno.EFAULT


def test_names_that_no_one_has_are_forgotten(sys: Sys, kernel: Kernel) -> None:
    name(sys, 0, 1, b"kept")
    for number in range(3000):
        name(sys, 4, 1, str(number).encode())
    assert len(kernel.memory.names) < 2048
    assert maps(sys)[0] == "0 [anon:kept]"
