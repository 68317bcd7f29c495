"""What is ready: every kind of file in every state, here and on the host."""

from __future__ import annotations

import errno
import os
import struct
from typing import Any

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

Worlds = tuple[Any, Any]  # the host and this kernel: see conftest.py
POLL, SELECT, PPOLL, PSELECT = 7, 23, 271, 270
POLLFD = struct.Struct("<ihh")
ASKED = (0, 1, 4, 5, 0x145, 0x7FFF, -1)
STATES = (
    "empty", "data", "full", "data, no writer", "no writer", "no reader", "file", "null", "dir",
    "path", "closed", "fifo, nobody", "fifo, both ways", "socket", "socket, data",
    "socket, no peer", "socket, shut", "socket, unread",
    "socket, both shut", "socket alone", "datagrams, no peer", "eventfd", "eventfd, set",
)  # fmt: skip


def ends(world: Any, state: str) -> list[int]:
    """Return descriptors of a file in a state."""
    if state == "file":
        return [world.open(world.path("f"), os.O_RDWR | os.O_CREAT, 0o600)]
    if state == "null":
        return [world.open("/dev/null", os.O_RDWR, 0)]
    if state == "dir":
        return [world.open("/", os.O_RDONLY, 0)]
    if state == "path":
        return [world.open("/", os.O_PATH, 0)]
    if state == "closed":
        return [61]
    if state.startswith("fifo"):
        world.mkfifo(world.path("p"))
        mode = os.O_RDWR if "both" in state else os.O_RDONLY | os.O_NONBLOCK
        return [world.open(world.path("p"), mode, 0)]
    if state.startswith("eventfd"):
        return [world.raw(290, int("set" in state), os.O_NONBLOCK)]
    if state.startswith(("socket", "datagrams")):
        return socket_ends(world, state)
    reader, writer = world.pipe2(os.O_NONBLOCK)
    if "data" in state:
        world.write(writer, b"x")
    if state == "full":
        world.write(writer, b"x" * 65536)
    if "no writer" in state:
        world.close(writer)
        return [reader]
    if state == "no reader":
        world.close(reader)
        return [writer]
    return [reader, writer]


def socket_ends(world: Any, state: str) -> list[int]:
    if state == "socket alone":
        return [world.raw(41, 1, 1, 0), world.raw(41, 1, 2, 0)]
    world.raw(53, 1, 2 if "datagrams" in state else 1, 0, "0")
    one, other = struct.unpack("<ii", world.get(8))
    if "data" in state and "datagrams" not in state:
        world.write(one, b"x")
    if "shut" in state:
        world.raw(48, one, 2 if "both" in state else 1)
    if "unread" in state:
        world.write(one, b"x")
    if "no peer" in state or "unread" in state:
        world.close(other)
        return [one]
    return [one, other]


def polled(world: Any, fds: list[int]) -> list[tuple[int, list[int]]]:
    """Return result and revents for every mask."""
    found = []
    for asked in ASKED:
        world.put(b"".join(POLLFD.pack(fd, asked, 0) for fd in fds))
        result = world.raw(POLL, "0", len(fds), 0)
        found.append((result, [r for *_, r in POLLFD.iter_unpack(world.get(8 * len(fds)))]))
    return found


@pytest.mark.parametrize("state", STATES)
def test_poll_finds_what_the_host_finds(worlds: Worlds, state: str) -> None:
    host, here = (polled(world, ends(world, state)) for world in worlds)
    assert here == host


def selected(world: Any, fds: list[int]) -> tuple[int, list[list[bool]]]:
    """Return result and the bits of fds in the three sets, all of which asked for them."""
    bits = sum(1 << fd for fd in fds).to_bytes(128, "little")
    world.put(bits * 3 + struct.pack("<qq", 0, 0))
    result = world.raw(SELECT, max(fds) + 1, "0", "128", "256", "384")
    sets = [int.from_bytes(world.get(384)[n : n + 128], "little") for n in (0, 128, 256)]
    return result, [[bool(found >> fd & 1) for fd in fds] for found in sets]


@pytest.mark.parametrize("state", STATES)
def test_select_finds_what_the_host_finds(worlds: Worlds, state: str) -> None:
    host, here = (selected(world, ends(world, state)) for world in worlds)
    assert here == host


BAD = (1 << 64) - 64
REFUSED = [
    (POLL, BAD, 1, 0), (POLL, "0", 1 << 20, 0), (POLL, "0", 0, 0), (POLL, 0, 0, 0),
    (SELECT, -1 & 0xFFFFFFFF, 0, 0, 0, "0"), (SELECT, 8, BAD, 0, 0, "0"), (SELECT, 0, 0, 0, 0, "0"),
    (SELECT, 0, 0, 0, 0, "8"), (SELECT, 0, 0, 0, 0, "16"), (SELECT, 0, 0, 0, 0, BAD),
    (PPOLL, "0", 0, "8", 0, 0), (PPOLL, "0", 0, "0", "0", 4), (PPOLL, "0", 0, "0", BAD, 8),
    (PPOLL, "0", 0, BAD, 0, 0), (PSELECT, 0, 0, 0, 0, "8", 0), (PSELECT, 0, 0, 0, 0, "0", BAD),
    (PSELECT, 0, 0, 0, 0, "0", "32"),
]  # fmt: skip


@pytest.mark.parametrize("registers", REFUSED)
def test_what_is_refused_is_refused_alike(worlds: Worlds, registers: Any) -> None:
    # zeroes; -1 s; 0 s and 5,000,000 us; an address and 4 bytes
    content = struct.pack("<6Q", 0, (1 << 64) - 1, 0, 5_000_000, 1, 4)
    results = []
    for world in worlds:
        if registers[0] == SELECT and registers[-1] == "16":
            world.put(struct.pack("<qqqq", 0, 0, -1, 0))
        else:
            world.put(content)
        results.append(world.raw(*registers))
    assert results[1] == results[0]


def test_a_python_program_s_time_passes_at_once() -> None:
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        reader, writer = sys.pipe()
        before = kernel.clock.now_ns
        assert sys.poll([(reader, 1), (writer, 4)]) == [0, 4]
        assert sys.poll([(reader, 1)], 250) == [0]
        assert kernel.clock.now_ns - before >= 250_000_000
        with pytest.raises(SyscallError) as caught:
            sys.poll([(reader, 1)])
        assert caught.value.errno == errno.EAGAIN


def test_getrandom_follows_from_the_seed() -> None:
    def taken(seed: int) -> list[bytes]:
        with Kernel(ram="16M", seed=seed) as kernel:
            sys = Sys(kernel.spawn())
            at = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
            assert sys.syscall(318, at, 40, 0) == 40
            assert sys.syscall(318, at, 40, 6) == -errno.EINVAL
            assert sys.syscall(318, (1 << 64) - 64, 40, 0) == -errno.EFAULT
            return [sys.load(at, 40), sys.getrandom(8)]

    assert taken(1) == taken(1) != taken(2)
    assert len(taken(1)[1]) == 8


def test_getrandom_gives_a_mebibyte_at_most() -> None:
    with Kernel(ram="16M") as kernel:
        assert len(Sys(kernel.spawn()).getrandom((1 << 63) - 1)) == 1 << 20
