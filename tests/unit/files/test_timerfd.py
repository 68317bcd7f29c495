"""Timers that are open files: what is refused and what is read is as on the host."""

from __future__ import annotations

import os
import struct
import time
from typing import Any

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

Worlds = tuple[Any, Any]  # the host and this kernel: see conftest.py
READ, WRITE, POLL, NANOSLEEP, CREATE, SETTIME, GETTIME = 0, 1, 7, 35, 283, 286, 287
MS = 1_000_000
BAD = (1 << 64) - 64


@pytest.mark.parametrize("clock", [*range(-1, 8), 10, 11, 12])
@pytest.mark.parametrize("flags", [0, os.O_NONBLOCK, os.O_NONBLOCK | os.O_CLOEXEC, 1, 1 << 31])
def test_a_timer_is_made_or_refused_alike(worlds: Worlds, clock: int, flags: int) -> None:
    found = [world.raw(CREATE, clock % (1 << 64), flags) for world in worlds]
    assert min(found[1], 0) == min(found[0], 0)


# interval and value in seconds and nanoseconds
SPECS = [
    (0, 0, 0, 0), (0, 0, 100, 0), (7, 5, 100, 999_999_999), (0, 0, 1, 1_000_000_000),
    (0, 0, 1, -1), (0, 0, -1, 0), (-1, 0, 1, 0), (1, 1_000_000_000, 1, 0), (1, 0, 0, 0),
    (1 << 62, 0, 5, 0), (1, 0, 1 << 62, 0), ((1 << 63) - 1, 0, (1 << 63) - 1, 0),
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("flags", [0, 1, 2, 3, 4, 1 << 32])
def test_setting_one_is_refused_alike(worlds: Worlds, spec: Any, flags: int) -> None:
    results = []
    for world in worlds:
        fd = world.raw(CREATE, 1, os.O_NONBLOCK)
        world.put(struct.pack("<4q", *spec).ljust(32, b"\0"))
        found = [world.raw(SETTIME, at, flags, "0", "64") for at in (fd, 0, 99)]
        found += [world.raw(SETTIME, fd, flags, BAD, 0), world.raw(SETTIME, fd, flags, "0", BAD)]
        found += [world.raw(GETTIME, at, "64") for at in (fd, 0, 99)]
        found.append(world.raw(GETTIME, fd, BAD))
        interval = struct.unpack("<4q", world.get(96)[64:])[:2]
        results.append((found, interval))
    assert results[1] == results[0]


def armed(world: Any, clock: int, flags: int, interval: int, value: int) -> int:
    """Return a timer that was set."""
    fd: int = world.raw(CREATE, clock, os.O_NONBLOCK)
    began = world.clock_gettime(clock) if flags and value > MS else 0
    times = (interval, began + value if value else 0)
    world.put(struct.pack("<4q", *(part for t in times for part in divmod(t, 10**9))))
    assert world.raw(SETTIME, fd, flags, "0", "32") == 0
    return fd


def seen(world: Any, fd: int) -> list[Any]:
    """Return what poll, read and timerfd_gettime find; of the time left the seconds."""
    world.put(struct.pack("<ihh", fd, -1, 0))
    found: list[Any] = [world.raw(POLL, "0", 1, 0), world.get(8)[6:]]
    found += [world.raw(READ, fd, "64", nbytes) for nbytes in (7, 100, 8)]
    found += [world.raw(WRITE, fd, "64", 8), world.raw(GETTIME, fd, "0")]
    seconds, nanoseconds, left, _ = struct.unpack("<4q", world.get(32))
    return [*found, seconds, nanoseconds, left]


LATER = 1000 * 10**9 + 10**9 // 2


@pytest.mark.parametrize("clock", [0, 1, 7])
@pytest.mark.parametrize("flags", [0, 1])
@pytest.mark.parametrize("value", [0, 1, 2 * MS, LATER])
@pytest.mark.parametrize("interval", [0, LATER])
def test_a_timer_expires_as_the_hosts(
    worlds: Worlds, clock: int, flags: int, interval: int, value: int
) -> None:
    host, here = worlds
    here.clock_gettime = here.sys.clock_gettime
    host.clock_gettime = time.clock_gettime_ns
    results = []
    for world in worlds:
        fd = armed(world, clock, flags, interval, value)
        world.put(struct.pack("<2q", 0, 5 * MS))
        world.raw(NANOSLEEP, "0", 0)
        results.append(seen(world, fd))
    if flags and value == 1 and interval:  # years of expirations, and a time left of any length
        results = [found[:-1] for found in results]
    assert results[1] == results[0]


def test_expirations_are_counted_by_virtual_time() -> None:
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        fd = sys.timerfd_create(1)
        at = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        sys.store(at, struct.pack("<4q", 0, 10 * MS, 0, 5 * MS))
        sys.timerfd_settime(fd, 0, at, 0)
        before = kernel.clock.now_ns
        assert sys.poll([(fd, 1)], 36) == [1]  # 5, 15, 25 and 35 ms
        assert kernel.clock.now_ns - before < 37 * MS
        assert int.from_bytes(sys.read(fd, 8), "little") == 4
