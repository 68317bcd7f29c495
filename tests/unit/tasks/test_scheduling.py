"""What is kept of scheduling, where the host's kernel may be built with more than this one is."""

from __future__ import annotations

import errno
import struct

import pytest

from pkern.kernel.machine import Kernel
from pkern.syscalls.tasks.sched import SCHED_ATTR
from pkern.userland.program import Sys

AT = 0x1000_0000
SETATTR = 314
EXT, DEADLINE = 7, 6
CLAMP, KEEP_PARAMS = 0x20, 0x10
USUAL = 1_400_000
MS = 1_000_000


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    """Return a task of root's with a page at AT."""
    sys = Sys(kernel.spawn("scheduled", uid=0, gid=0))
    sys.mmap(AT, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED)
    return sys


def set_attr(sys: Sys, policy: int = 0, flags: int = 0, slice_ns: int = 0, size: int = 56) -> int:
    sys.store(AT, SCHED_ATTR.layout.pack(size, policy, flags, 0, 0, slice_ns, 0, 0, 0, 0))
    return sys.syscall(SETATTR, 0, AT, 0)


def slice_of(sys: Sys) -> int:
    sys.sched_getattr(0, AT, SCHED_ATTR.layout.size, 0)
    return int(struct.unpack_from("<Q", sys.load(AT, SCHED_ATTR.layout.size), 24)[0])


def with_deadline(sys: Sys, runtime: int, period: int) -> int:
    times = (runtime, period, 0)
    sys.store(AT, SCHED_ATTR.layout.pack(56, DEADLINE, 0, 0, 0, *times, 0, 0))
    return sys.syscall(SETATTR, 0, AT, 0)


def test_deadlines_are_admitted_while_nine_tenths_of_the_processor_are_left(sys: Sys) -> None:
    other = sys.fork()
    assert with_deadline(sys, 91 * MS, 100 * MS) == -errno.EBUSY
    assert with_deadline(sys, 60 * MS, 100 * MS) == 0
    assert with_deadline(other, 31 * MS, 100 * MS) == -errno.EBUSY
    assert with_deadline(other, 29 * MS, 100 * MS) == 0
    assert with_deadline(sys, 62 * MS, 100 * MS) == -errno.EBUSY
    assert with_deadline(sys, 120 * MS, 200 * MS) == 0
    assert set_attr(sys) == 0
    assert with_deadline(other, 91 * MS, 100 * MS) == -errno.EBUSY
    assert with_deadline(other, 90 * MS, 100 * MS) == 0
    other.exit(0)
    sys.kernel.sysctl["kernel.sched_rt_runtime_us"] = -1
    assert with_deadline(sys, 100 * MS, 100 * MS) == 0


def test_there_is_no_scheduler_but_the_kernels_own(sys: Sys) -> None:
    assert set_attr(sys, EXT) == -errno.EINVAL
    assert sys.sched_get_priority_max(EXT) == sys.sched_get_priority_min(EXT) == 0


def test_utilisation_is_not_clamped(sys: Sys) -> None:
    assert set_attr(sys, flags=CLAMP) == -errno.EOPNOTSUPP
    assert set_attr(sys, flags=CLAMP, size=48) == -errno.EINVAL  # it has no room for them


def test_a_slice_is_kept_between_its_bounds(sys: Sys) -> None:
    seen = []
    for asked in (0, 5_000_000, 1, 10**9):
        assert set_attr(sys, slice_ns=asked) == 0
        seen.append(slice_of(sys))
    assert seen == [USUAL, 5_000_000, 100_000, 100_000_000]
    assert set_attr(sys, flags=KEEP_PARAMS) == 0 and slice_of(sys) == seen[-1]
    assert slice_of(sys.fork()) == seen[-1]
