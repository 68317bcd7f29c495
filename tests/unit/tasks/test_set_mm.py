"""PR_SET_MM with the right to it, which the host's root may lack: Linux 6.18, kernel/sys.c."""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE, BASE, RW = 4096, 0x10000000, 3
START_CODE, END_CODE, START_STACK, START_BRK, BRK = 1, 2, 5, 6, 7
ARG_START, ARG_END, AUXV, EXE_FILE = 8, 9, 12, 13
PLACES = (26, 27, 28, *range(45, 52))  # fields of /proc/PID/stat


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    """Root, with one page at BASE and all places in it."""
    sys = Sys(kernel.spawn("restorer", uid=0))
    sys.mmap(BASE, PAGE, RW, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED)
    words = [BASE, BASE + 1, *(BASE,) * 2, *(BASE + PAGE,) * 2, *(BASE,) * 5, 0, 0xFFFFFFFF << 32]
    sys.store(BASE, b"".join(word.to_bytes(8, "little") for word in words))
    sys.prctl(sys.PR_SET_MM, 14, BASE, 8 * len(words))
    return sys


def read(sys: Sys, name: str) -> bytes:
    fd = sys.open(f"/proc/self/{name}", sys.O_RDONLY)
    data = sys.read(fd, 1 << 12)
    sys.close(fd)
    return data


def stat(sys: Sys, field: int) -> int:
    return int(read(sys, "stat").rpartition(b") ")[2].split()[field - 3])


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        (START_CODE, 26, BASE - PAGE),
        (END_CODE, 27, BASE + 2 * PAGE),
        (START_STACK, 28, BASE + 8),
        (START_BRK, 47, BASE),
        (ARG_START, 48, BASE - 1),
        (ARG_END, 49, BASE + 9),
    ],
)
def test_one_place_shows_in_stat(sys: Sys, option: int, field: int, value: int) -> None:
    assert sys.prctl(sys.PR_SET_MM, option, value) == 0
    assert stat(sys, field) == value


def test_the_heap_goes_on_from_its_new_end(sys: Sys) -> None:
    sys.prctl(sys.PR_SET_MM, BRK, BASE + 3 * PAGE)
    assert sys.brk() == BASE + 3 * PAGE
    assert sys.brk(BASE + 4 * PAGE) == BASE + 4 * PAGE
    sys.store(BASE + 3 * PAGE, b"heap")


def test_arguments_are_what_lies_between_their_places(sys: Sys) -> None:
    sys.store(BASE, b"one\0two\0")
    sys.prctl(sys.PR_SET_MM, ARG_END, BASE + 8)
    assert read(sys, "cmdline") == b"one\0two\0"


def test_the_vector_ends_where_its_words_do(sys: Sys) -> None:
    sys.store(BASE, b"".join(word.to_bytes(8, "little") for word in (6, PAGE, 0, 7, 9, 9)))
    sys.prctl(sys.PR_SET_MM, AUXV, BASE, 48)
    assert len(read(sys, "auxv")) == 32
    with pytest.raises(SyscallError) as caught:
        sys.prctl(sys.PR_SET_MM, AUXV, BASE, 424)
    assert caught.value.number == errno.EINVAL


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        (ARG_END, BASE - 1, errno.EINVAL),
        (END_CODE, BASE, errno.EINVAL),
        (START_CODE, 8, errno.EINVAL),
        (START_CODE, 1 << 47, errno.EINVAL),
        (0, BASE, errno.EINVAL),
        (16, BASE, errno.EINVAL),
    ],
)
def test_what_is_refused_changes_nothing(sys: Sys, option: int, value: int, error: int) -> None:
    before = [stat(sys, field) for field in PLACES]
    with pytest.raises(SyscallError) as caught:
        sys.prctl(sys.PR_SET_MM, option, value)
    assert caught.value.number == error
    assert [stat(sys, field) for field in PLACES] == before


def test_another_file_is_what_runs(sys: Sys) -> None:
    fd = sys.open("/tmp/program", sys.O_RDWR | sys.O_CREAT, 0o644)
    sys.close(fd)
    fd = sys.open("/tmp/program", sys.O_RDONLY)
    with pytest.raises(SyscallError) as caught:
        sys.prctl(sys.PR_SET_MM, EXE_FILE, fd)
    assert caught.value.number == errno.EACCES
    sys.chmod("/tmp/program", 0o755)
    sys.prctl(sys.PR_SET_MM, EXE_FILE, fd)
    assert sys.readlink("/proc/self/exe") == "/tmp/program"
    with pytest.raises(SyscallError) as caught:
        sys.open("/tmp/program", sys.O_WRONLY)
    assert caught.value.number == errno.ETXTBSY
