"""Pairs of sockets and counters: every step has the host's result."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

Worlds = tuple[Any, Any]  # the host and this kernel: see conftest.py
STREAM, DGRAM, SEQPACKET = 1, 2, 5
ONE, OTHER = "one", "other"  # stand for the two descriptors
WAIT_NOT, PEEK, TRUNC, OOB, QUIET = 0x40, 2, 0x20, 1, 0x4000
SEND, RECV, SENDMSG, RECVMSG, SHUTDOWN, SETSOCKOPT, GETSOCKOPT = 44, 45, 46, 47, 48, 54, 55
CLOSE, WRITE, READ, LSEEK, PREAD, FTRUNCATE, FSYNC, FSTAT = 3, 1, 0, 8, 17, 77, 74, 5
NONBLOCK = 0o4000
NO_SIGNAL = WAIT_NOT | QUIET

Step = tuple[Any, ...]
STEPS: list[Step] = [
    (RECV, OTHER, "64", 10, WAIT_NOT, 0, 0), (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0),
    (SEND, ONE, "0", 3, NO_SIGNAL, 0, 0), (SEND, ONE, "0", 0, NO_SIGNAL, 0, 0),
    (RECV, OTHER, "64", 100, WAIT_NOT | PEEK, 0, 0), (RECV, OTHER, "64", 2, WAIT_NOT, 0, 0),
    (RECV, OTHER, "64", 1, WAIT_NOT | TRUNC, 0, 0), (RECV, OTHER, "64", 100, WAIT_NOT, 0, 0),
    (RECV, OTHER, "64", 100, WAIT_NOT, 0, 0), (SEND, ONE, "0", 5, NO_SIGNAL, "0", 2),
    (RECV, OTHER, "64", 0, WAIT_NOT, 0, 0), (READ, OTHER, "64", 0),
    (SENDMSG, ONE, "256", NO_SIGNAL), (RECVMSG, OTHER, "320", WAIT_NOT),
    (SENDMSG, ONE, "256", NO_SIGNAL), (RECV, OTHER, "64", 100, WAIT_NOT, 0, 0),
    (GETSOCKOPT, ONE, 1, 3, "64", "128"), (GETSOCKOPT, ONE, 1, 4, "64", "128"),
    (GETSOCKOPT, ONE, 1, 39, "64", "128"), (GETSOCKOPT, ONE, 1, 38, "64", "128"),
    (GETSOCKOPT, ONE, 1, 30, "64", "128"), (GETSOCKOPT, ONE, 6, 1, "64", "128"),
    (GETSOCKOPT, ONE, 1, 999, "64", "128"), (SETSOCKOPT, ONE, 1, 2, "192", 4),
    (GETSOCKOPT, ONE, 1, 2, "64", "128"), (SETSOCKOPT, ONE, 1, 2, "192", 3),
    (SETSOCKOPT, ONE, 1, 999, "192", 4), (51, ONE, "64", "128"), (52, ONE, "64", "128"),
    (50, ONE, 5), (43, ONE, 0, 0), (288, ONE, 0, 0, 1), (LSEEK, ONE, 0, 0),
    (PREAD, ONE, "64", 1, 0), (FTRUNCATE, ONE, 0), (FSYNC, ONE), (SHUTDOWN, ONE, 9),
    (WRITE, ONE, "0", 4), (READ, OTHER, "64", 2), (READ, OTHER, "64", 9),
    (SHUTDOWN, ONE, 1), (SEND, ONE, "0", 1, NO_SIGNAL, 0, 0),
    (RECV, OTHER, "64", 9, WAIT_NOT, 0, 0), (SEND, OTHER, "0", 2, NO_SIGNAL, 0, 0),
    (RECV, ONE, "64", 9, WAIT_NOT, 0, 0), (SHUTDOWN, ONE, 0),
    (RECV, ONE, "64", 9, WAIT_NOT, 0, 0), (SEND, OTHER, "0", 2, NO_SIGNAL, 0, 0),
]  # fmt: skip
ALONE: list[Step] = [
    (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0), (CLOSE, ONE), (RECV, OTHER, "64", 3, WAIT_NOT, 0, 0),
    (RECV, OTHER, "64", 9, WAIT_NOT, 0, 0), (RECV, OTHER, "64", 9, WAIT_NOT, 0, 0),
    (SEND, OTHER, "0", 5, NO_SIGNAL, 0, 0), (SEND, OTHER, "0", 5, NO_SIGNAL, 0, 0),
    (52, OTHER, "64", "128"),
]  # fmt: skip


def prepare(world: Any) -> None:
    """Lay out data, a length, an option, and two struct msghdr with two buffers each."""
    at = world.raw_address()
    iov = struct.pack("<4Q", at, 3, at + 8, 4), struct.pack("<4Q", at + 64, 2, at + 80, 9)
    headers = [struct.pack("<QI4xQQQQi4x", 0, 0, at + n, 2, 0, 0, 0) for n in (448, 512)]
    page = b"abcdefghijklmnop".ljust(128, b"\0") + struct.pack("<i", 4).ljust(64, b"\0")
    page += struct.pack("<i", 7).ljust(64, b"\0") + headers[0].ljust(64, b"\0")
    page = (page + headers[1]).ljust(448, b"\0") + iov[0].ljust(64, b"\0") + iov[1]
    world.put(page)


def run(world: Any, kind: int, steps: list[Step]) -> list[Any]:
    assert world.raw(53, 1, kind | NONBLOCK, 0, "0") == 0
    ends = dict(zip((ONE, OTHER), struct.unpack("<ii", world.get(8)), strict=True))
    found = []
    for nr, *registers in steps:
        prepare(world)
        result = world.raw(nr, *(ends.get(r, r) if isinstance(r, str) else r for r in registers))
        flags = world.get(384)[368:376]  # msg_controllen and msg_flags of the second header
        found.append((result, world.get(132)[64:], flags))
    return found


@pytest.mark.parametrize("steps", [STEPS, ALONE], ids=["together", "alone"])
@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_steps_have_the_hosts_results(worlds: Worlds, kind: int, steps: list[Step]) -> None:
    host, here = (run(world, kind, steps) for world in worlds)
    for step, theirs, ours in zip(steps, host, here, strict=True):
        assert ours == theirs, step


# The other end goes while something it was sent is unread.
UNREAD: list[Step] = [
    (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0), (SEND, OTHER, "0", 3, NO_SIGNAL, 0, 0), (CLOSE, OTHER),
    (GETSOCKOPT, ONE, 1, 39, "64", "128"), (RECV, ONE, "64", 9, WAIT_NOT, 0, 0),
    (RECV, ONE, "64", 9, WAIT_NOT, 0, 0), (RECV, ONE, "64", 9, WAIT_NOT, 0, 0),
    (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0), (GETSOCKOPT, ONE, 1, 4, "64", "128"),
]  # fmt: skip
NOTED: list[Step] = [
    (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0), (CLOSE, OTHER), (GETSOCKOPT, ONE, 1, 4, "64", "128"),
    (GETSOCKOPT, ONE, 1, 4, "64", "128"), (SHUTDOWN, ONE, 2), (SEND, ONE, "0", 1, NO_SIGNAL, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize("steps", [UNREAD, NOTED], ids=["unread", "noted"])
@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_what_is_lost_is_told(worlds: Worlds, kind: int, steps: list[Step]) -> None:
    host, here = (run(world, kind, steps) for world in worlds)
    assert here == host


# A socket of its own, that looks for a name.
LONE: list[Step] = [
    (SEND, "0", 5, NO_SIGNAL, 0, 0), (RECV, "64", 5, WAIT_NOT, 0, 0), (SHUTDOWN, 9),
    (51, "64", "128"), (52, "64", "128"), (GETSOCKOPT, 1, 17, "64", "128"),
    (43, 0, 0), (50, 1), (READ, "64", 0), (SENDMSG, "256", NO_SIGNAL),
    (SHUTDOWN, 1), (SEND, "0", 5, NO_SIGNAL, 0, 0), (RECV, "64", 5, WAIT_NOT, 0, 0),
    (SHUTDOWN, 0), (RECV, "64", 5, WAIT_NOT, 0, 0), (WRITE, "0", 5),
]  # fmt: skip


@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_a_socket_alone_has_the_hosts_results(worlds: Worlds, kind: int) -> None:
    found = []
    for world in worlds:
        fd, results = world.raw(41, 1, kind | NONBLOCK, 0), []
        for nr, *registers in LONE:
            prepare(world)
            results.append((nr, world.raw(nr, fd, *registers), world.get(132)[64:]))
        found.append(results)
    assert found[1] == found[0]


NAMES = [
    b"", b"\0", b"\0nobody", b"/nowhere/at all", b"/nowhere", b"file", b"file/below", b"folder",
    b"/var/run/nscd/socket", b"n" * 109,
]  # fmt: skip


@pytest.mark.parametrize("family", [0, 1, 2])
@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_who_looks_for_a_name_finds_what_the_host_finds(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, kind: int, family: int
) -> None:
    monkeypatch.chdir("/")  # and back again
    results: list[list[int]] = []
    for world in worlds:
        world.close(world.open(world.path("file"), 0o101, 0o666))
        world.mkdir(world.path("folder"), 0o777)
        world.chdir(world.path("folder"))
        world.chdir("..")
        fd, found = world.raw(41, 1, kind, 0), []
        for name in NAMES:
            address = struct.pack("<H", family) + name
            world.put(address.ljust(300, b"\0"))
            lengths = (len(address), 1, 2, 200, -1)
            found += [world.raw(42, fd, "0", length) for length in lengths]
            found.append(world.raw(SEND, fd, "0", 4, NO_SIGNAL, "0", len(address)))
        found += [world.raw(42, fd, 8, 10), world.raw(42, 99, "0", 10)]
        results.append(found)
    assert results[1] == results[0]


@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_out_of_band_data_goes_as_on_the_host(worlds: Worlds, kind: int) -> None:
    steps = [
        (SEND, ONE, "0", 5, NO_SIGNAL | OOB, 0, 0),
        (RECV, ONE, "64", 5, WAIT_NOT | OOB, 0, 0),
        (SEND, ONE, "0", 3, NO_SIGNAL, 0, 0),
        (RECV, OTHER, "64", 9, WAIT_NOT, 0, 0),
        (RECV, OTHER, "64", 1, WAIT_NOT | OOB, 0, 0),
        (RECV, OTHER, "64", 9, WAIT_NOT, 0, 0),
    ]
    host, here = (run(world, kind, steps) for world in worlds)
    assert here == host


MADE = [(1, 1), (99, 1), (1, 9), (1, 12), (1, 3), (1, 0o2004001), (1, 0o101), (1, 5), (0, 1)]


@pytest.mark.parametrize("protocol", [0, 1, 5])
@pytest.mark.parametrize(("family", "kind"), MADE)
def test_making_sockets_is_refused_alike(
    worlds: Worlds, family: int, kind: int, protocol: int
) -> None:
    pairs = [world.raw(53, family, kind, protocol, "0") for world in worlds]
    alone = [min(0, world.raw(41, family, kind, protocol)) for world in worlds]
    assert (pairs[1], alone[1]) == (pairs[0], alone[0])
    assert {world.raw(53, 1, 1, 0, 8) for world in worlds} == {-errno.EFAULT}


def test_other_files_are_no_sockets(worlds: Worlds) -> None:
    for nr in (42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 54, 55):
        assert {world.raw(nr, 0, "0", 4, 0, 0, 0) for world in worlds} == {-errno.ENOTSOCK}
    assert {world.raw(44, 99, "0", 4, 0, 0, 0) for world in worlds} == {-errno.EBADF}


def test_other_families_are_not_there_and_nothing_leaves_the_machine() -> None:
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        for family, expected in (
            (3, errno.EAFNOSUPPORT),
            (17, errno.EPERM),
            (40, errno.EAFNOSUPPORT),
        ):
            for call in (sys.socket, sys.socketpair):
                with pytest.raises(SyscallError) as caught:
                    call(family, 1, 0)
                assert caught.value.errno == expected
        at = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        for kind in (STREAM, DGRAM):
            fd = sys.socket(2, kind, 0)
            for ip in (b"\x08\x08\x08\x08", b"\xc0\xa8\0\1", b"\xe0\0\0\1"):
                sys.store(at, struct.pack("<H", 2) + b"\0\x50" + ip + bytes(8))
                assert sys.syscall(42, fd, at, 16) == -errno.ENETUNREACH


def test_pairs_carry_bytes_between_tasks_and_leave_nothing() -> None:
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        one, other = sys.socketpair(1, STREAM)
        child = sys.fork()
        child.close(one)
        sys.close(other)
        sys.send(one, b"question")
        assert child.recv(other, 100) == b"question"
        child.write(other, b"answer")
        child.exit(0)
        assert sys.read(one, 100) == b"answer"
        assert sys.read(one, 100) == b""
        assert sys.readlink(f"/proc/self/fd/{one}").startswith("socket:[")
        assert sys.fstat(one).st_mode & 0o170000 == 0o140000
        kernel.check()


EVENTS: list[Step] = [
    (READ, "0", 8), (WRITE, "5", 8), (WRITE, "7", 8), (READ, "0", 4), (READ, "0", 8),
    (READ, "0", 8), (WRITE, "-1", 8), (WRITE, "-2", 8), (WRITE, "1", 8), (READ, "0", 16),
    (WRITE, "1", 3),
    (WRITE, "1", 16), (WRITE, "0", 8), (LSEEK, 5, 0), (PREAD, "0", 8, 0), (18, "1", 8, 0),
    (FTRUNCATE, 0), (FSYNC,), (16, 0x541B, "8"), (READ, 8, 8), (WRITE, 8, 8),
]  # fmt: skip


@pytest.mark.parametrize("semaphore", [0, 1])
@pytest.mark.parametrize("count", [0, 3])
def test_counters_count_as_the_hosts(worlds: Worlds, count: int, semaphore: int) -> None:
    seen = []
    for world in worlds:
        fd = world.raw(290, count, NONBLOCK | semaphore)
        steps = []
        for nr, *registers in EVENTS:
            number = next((int(r) for r in registers if isinstance(r, str)), 0)
            world.put(struct.pack("<qq", number, 0))
            where = ["0" if isinstance(r, str) else r for r in registers]
            steps.append((nr, registers, world.raw(nr, fd, *where), world.get(8)))
        seen.append(steps)
    assert seen[1] == seen[0]
    assert {world.raw(290, 0, 2) for world in worlds} == {-errno.EINVAL}
