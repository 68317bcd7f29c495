"""Every system call with values no honest program passes.

Wild pointers, lengths of 0, 2^63 and -1, misaligned addresses, unknown flags, closed files:
each gives a result or one of Linux's errors, and the kernel's recount holds.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pkern.kernel.errors import SegmentationFault, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.kernel.wait import RegistersSet, WouldBlock
from pkern.syscalls.table import TABLE
from pkern.userland.program import Sys
from tests.rounds import ROUNDS

PAGE = 4096
BASE = 0x10000000
ALL = (1 << 64) - 1
WILD = (
    0,
    1,
    BASE,
    BASE + 1,
    BASE + 63 * PAGE,
    BASE + 64 * PAGE,
    0x7FFFFFFFF000,
    1 << 47,
    0xFFFF800000000000,
    1 << 63,
    ALL - PAGE + 1,
    ALL,
)
LENGTHS = (0, 1, PAGE, PAGE + 1, 64 * PAGE, 1 << 31, (1 << 47) - PAGE, 1 << 47, 1 << 63, ALL)
FLAGS = (0, 1, 3, 0x10, 0x21, 0x22, 0x32, 0x800001, 0x100022, 1 << 27, 1 << 31, 1 << 40, ALL)
FILES = (0, 3, 4, 5, 99, 1 << 31, ALL)

# Numbers of Linux's x86-64 table; the argument kinds are a, l, f and d: address, length, flags, fd.
CALLS = {
    "read": (0, "dal"),
    "write": (1, "dal"),
    "open": (2, "aff"),
    "close": (3, "d"),
    "stat": (4, "aa"),
    "fstat": (5, "da"),
    "lseek": (8, "dlf"),
    "mmap": (9, "alffdl"),
    "mprotect": (10, "alf"),
    "munmap": (11, "al"),
    "brk": (12, "a"),
    "rt_sigaction": (13, "faal"),
    "pread64": (17, "dall"),
    "pwrite64": (18, "dall"),
    "pipe": (22, "a"),
    "mremap": (25, "allfa"),
    "msync": (26, "alf"),
    "mincore": (27, "ala"),
    "madvise": (28, "alf"),
    "dup": (32, "d"),
    "uname": (63, "a"),
    "fcntl": (72, "dfl"),
    "truncate": (76, "al"),
    "ftruncate": (77, "dl"),
    "rename": (82, "aa"),
    "mkdir": (83, "af"),
    "unlink": (87, "a"),
    "sysinfo": (99, "a"),
    "mlock": (149, "al"),
    "munlock": (150, "al"),
    "mlockall": (151, "f"),
    "munlockall": (152, ""),
    "prctl": (157, "faaaa"),
    "remap_file_pages": (216, "alflfd"),
    "getdents64": (217, "dal"),
    "clock_gettime": (228, "fa"),
    "fallocate": (285, "dfll"),
    "prlimit64": (302, "ffaa"),
    "memfd_create": (319, "af"),
    "mlock2": (325, "alf"),
}
_VALUES = {"a": WILD, "l": LENGTHS, "f": FLAGS, "d": FILES}
_NR_MOST = 462


@pytest.fixture(scope="module")
def mother() -> Iterator[Sys]:
    """A task whose children are thrown at the calls; the kernel is recounted at the end."""
    with Kernel(ram="16M", sysctl={"vm.nonlinear": 1}) as kernel:
        sys = Sys(kernel.spawn(name="mother"))
        fd = sys.memfd_create("file", 0)
        sys.ftruncate(fd, 8 * PAGE)
        sys.mmap(BASE, 64 * PAGE, 3, 0x32, -1, 0)
        sys.mmap(BASE + 64 * PAGE, 8 * PAGE, 3, 0x11, fd, 0)
        sys.store(BASE, b"/tmp/name\0")
        yield sys
        kernel.check()


def _throw(mother: Sys, number: int, registers: tuple[int, ...]) -> None:
    """Make one call in a fresh child and insist on a result or a known error."""
    child = mother.fork()
    try:
        result = child.syscall(number, *registers)
    except TaskKilled:
        _reap(mother, child)
        return
    assert isinstance(result, int)
    assert result >= 0 or -result in errno.errorcode, (number, registers, result)
    _reap(mother, child)


def _reap(mother: Sys, child: Sys) -> None:
    child.task.exit(0)
    mother.wait4(child.task.pid)


def _cases(kinds: str) -> Iterator[tuple[int, ...]]:
    """Every value at every place, the other places sane; then every pair of extremes."""
    sane = {"a": BASE, "l": PAGE, "f": 1, "d": 3}
    for place, kind in enumerate(kinds):
        for value in _VALUES[kind]:
            yield tuple(value if p == place else sane[k] for p, k in enumerate(kinds))
    yield from product((0, ALL), repeat=len(kinds))


@pytest.mark.parametrize("name", CALLS)
def test_bad_values_give_an_error_of_linux(mother: Sys, name: str) -> None:
    number, kinds = CALLS[name]
    for registers in _cases(kinds):
        _throw(mother, number, registers)
    mother.task.kernel.check()
    assert mother.load(BASE, 4) == b"/tmp"


def test_a_call_that_is_missing_gives_enosys(mother: Sys) -> None:
    assert mother.syscall(_NR_MOST + 1000) == -errno.ENOSYS
    assert mother.syscall(ALL) == -errno.ENOSYS


_registers = st.tuples(*[st.sampled_from([*WILD, *LENGTHS, *FLAGS, *FILES])] * 6)


@settings(max_examples=300 * ROUNDS)
@given(name=st.sampled_from(sorted(CALLS)), registers=_registers)
def test_any_registers_whatever(mother: Sys, name: str, registers: tuple[int, ...]) -> None:
    _throw(mother, CALLS[name][0], registers)


# Calls that end, stop or replace the caller.
ENDS = {
    *("exit", "exit_group", "execve", "execveat", "fork", "vfork", "clone", "clone3", "ptrace"),
    *("kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "reboot", "pause"),
    *("rt_sigsuspend", "rt_sigtimedwait", "uretprobe"),
}


def _wild(chance: Random, files: list[int]) -> int:
    kind = chance.random()
    if kind < 0.35:
        return chance.choice((*range(5), 7, 8, 16, 32, 64, 255, 4095, PAGE, PAGE + 1, 65536))
    if kind < 0.6:
        return BASE + chance.choice((0, 1, 8, 100, PAGE, 2 * PAGE, 64 * PAGE - 6, 90 * PAGE))
    if kind < 0.7:
        return chance.choice(files)
    if kind < 0.85:
        return chance.choice((*WILD, *LENGTHS, (1 << 63) - 1, 1 << 62))
    return chance.getrandbits(chance.choice((8, 16, 32, 48, 64)))


@pytest.mark.parametrize("seed", range(12))
def test_every_call_of_the_table_with_anything(seed: int) -> None:
    chance = Random(seed)
    calls = [nr for nr, call in sorted(TABLE.items()) if call.name not in ENDS]
    for uid in (0, 1000) * 5:
        with Kernel(ram="16M", swap="4M", sysctl={"vm.nonlinear": 1}) as kernel:
            sys = Sys(kernel.spawn(uid=uid))
            files = _furnish(sys, chance)
            with suppress(TaskKilled):
                for _ in range(150):
                    _throw_any(sys, chance.choice(calls), [_wild(chance, files) for _ in range(6)])
            kernel.check()


def _furnish(sys: Sys, chance: Random) -> list[int]:
    """Give a task memory with paths and noise in it, and files; return the descriptors."""
    sys.mmap(BASE, 64 * PAGE, 3, 0x32, -1, 0)
    sys.store(BASE, chance.randbytes(PAGE))
    sys.store(BASE + PAGE, b"/tmp/f\0")
    sys.store(BASE + 2 * PAGE, b"/proc/self/maps\0")
    memory = sys.memfd_create("m", sys.MFD_ALLOW_SEALING)
    sys.ftruncate(memory, 4 * PAGE)
    sys.mmap(BASE + 80 * PAGE, 8 * PAGE, 3, 0x11, memory, 0)
    others = (sys.open("/dev/zero", sys.O_RDWR), sys.open("/tmp"))
    return [memory, *sys.pipe(), *others, *sys.socketpair(1, 1, 0)]


def _throw_any(sys: Sys, number: int, registers: list[int]) -> None:
    try:
        result = sys.syscall(number, *registers)
    except (WouldBlock, RegistersSet):  # for the scheduler, where there is one
        return
    known = -result in errno.errorcode or -result > 4095
    assert result >= 0 or known, (TABLE[number].name, registers, result)


@pytest.mark.parametrize("address", [BASE + 80 * PAGE, 1 << 46, 1 << 47, 1 << 63, ALL])
def test_wild_accesses_are_faults(mother: Sys, address: int) -> None:
    with pytest.raises(SegmentationFault):
        mother.load(address, 1)
    with pytest.raises(SegmentationFault):
        mother.store(address, b"x")
