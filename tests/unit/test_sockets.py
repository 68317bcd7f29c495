"""Pairs of sockets and counters: every step has the host's result."""

from __future__ import annotations

import errno
import struct
from typing import Any

import pytest

from kernel.errors import SyscallError
from kernel.machine import Kernel
from userland.program import Sys

Worlds = tuple[Any, Any]  # the host and this kernel: see conftest.py
STREAM, DGRAM, SEQPACKET = 1, 2, 5
ONE, OTHER = "one", "other"  # stand for the two descriptors
WAIT_NOT, PEEK, TRUNC, OOB, QUIET = 0x40, 2, 0x20, 1, 0x4000
SEND, RECV, SENDMSG, RECVMSG, SHUTDOWN, SETSOCKOPT, GETSOCKOPT = 44, 45, 46, 47, 48, 54, 55
CLOSE, WRITE, READ, LSEEK, PREAD, FTRUNCATE, FSYNC, FSTAT = 3, 1, 0, 8, 17, 77, 74, 5
NO_SIGNAL = WAIT_NOT | QUIET

Step = tuple[Any, ...]
STEPS: list[Step] = [
    (RECV, OTHER, "64", 10, WAIT_NOT, 0, 0), (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0),
    (SEND, ONE, "0", 3, NO_SIGNAL, 0, 0), (SEND, ONE, "0", 0, NO_SIGNAL, 0, 0),
    (RECV, OTHER, "64", 100, WAIT_NOT | PEEK, 0, 0), (RECV, OTHER, "64", 2, WAIT_NOT, 0, 0),
    (RECV, OTHER, "64", 1, WAIT_NOT | TRUNC, 0, 0), (RECV, OTHER, "64", 100, WAIT_NOT, 0, 0),
    (RECV, OTHER, "64", 100, WAIT_NOT, 0, 0), (SEND, ONE, "0", 5, NO_SIGNAL, "0", 2),
    (RECV, OTHER, "64", 0, WAIT_NOT, 0, 0),
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
    (WRITE, ONE, "0", 4), (READ, OTHER, "64", 0), (READ, OTHER, "64", 2),
    (RECV, OTHER, "64", 9, WAIT_NOT, 0, 0),
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
    assert world.raw(53, 1, kind, 0, "0") == 0
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


MADE = [
    (1, 1), (2, 1), (99, 1), (1, 9), (1, 3), (1, 0o2004001), (1, 0o101), (1, 5), (16, 1), (0, 1),
]  # fmt: skip


@pytest.mark.parametrize(("family", "kind"), MADE)
def test_making_pairs_is_refused_alike(worlds: Worlds, family: int, kind: int) -> None:
    known = {16: -errno.EOPNOTSUPP}
    results = [world.raw(53, family, kind, 0, "0") for world in worlds]
    assert results[1] == results[0] or family in known
    assert {world.raw(53, 1, 1, 5, "0") for world in worlds} == {-errno.EPROTONOSUPPORT}
    assert {world.raw(53, 1, 1, 0, 8) for world in worlds} == {-errno.EFAULT}


def test_other_files_are_no_sockets(worlds: Worlds) -> None:
    for nr in (42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 54, 55):
        assert {world.raw(nr, 0, "0", 4, 0, 0, 0) for world in worlds} == {-errno.ENOTSOCK}
    assert {world.raw(44, 99, "0", 4, 0, 0, 0) for world in worlds} == {-errno.EBADF}


LONELY: list[Step] = [
    (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0), (RECV, ONE, "64", 9, WAIT_NOT, 0, 0),
    (READ, ONE, "64", 0), (51, ONE, "64", "128"), (52, ONE, "64", "128"), (50, ONE, 0),
    (43, ONE, 0, 0), (GETSOCKOPT, ONE, 1, 3, "64", "128"), (GETSOCKOPT, ONE, 1, 4, "64", "128"),
    (42, ONE, "256", 110), (42, ONE, "256", 2), (42, ONE, "256", 111), (42, ONE, "320", 110),
    (42, ONE, "384", 110), (42, ONE, "448", 110), (42, ONE, "0", 110), (42, ONE, 8, 110),
    (SHUTDOWN, ONE, 1), (SEND, ONE, "0", 5, NO_SIGNAL, 0, 0), (FSTAT, ONE, "1024"),
]  # fmt: skip
# A path that is not there, one below a file, a file, an abstract name.
SERVERS = (b"/nope/socket", b"/dev/null/socket", b"/dev/null", b"\0name")


@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_a_program_that_asks_for_a_server_hears_what_the_host_says(
    worlds: Worlds, kind: int
) -> None:
    found = []
    for world in worlds:
        fd, answers = world.raw(41, 1, kind, 0), []
        for nr, *registers in LONELY:
            world.put(b"\0" * 128 + struct.pack("<i", 4).ljust(128, b"\0"))
            names = (struct.pack("<H", 1) + path for path in SERVERS)
            for place, name in zip((256, 320, 384, 448), names, strict=True):
                world.put(world.get(place) + name.ljust(64, b"\0"))
            words = (fd if register == ONE else register for register in registers)
            answers.append((world.raw(nr, *words), world.get(132)[64:]))
        found.append(answers)
    for step, theirs, ours in zip(LONELY, *found, strict=True):
        assert ours == theirs, step


def test_there_are_no_networks_and_no_names() -> None:
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        for family in (2, 10):
            with pytest.raises(SyscallError) as caught:
                sys.socket(family, 1, 0)
            assert caught.value.errno == errno.EAFNOSUPPORT
        assert sys.syscall(49, sys.socket(1, 1, 0), 0, 0) == -errno.EADDRNOTAVAIL


def test_nothing_is_urgent() -> None:
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        one, other = sys.socketpair(1, STREAM)
        for call in (lambda: sys.send(one, b"x", OOB), lambda: sys.recv(other, 1, OOB)):
            with pytest.raises(SyscallError) as caught:
                call()
            assert caught.value.errno == errno.EOPNOTSUPP


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


EVENTS = [
    ("read", 8), ("write", 5), ("write", 7), ("read", 4), ("read", 8), ("read", 8), ("write", -1),
    ("write", -2), ("write", 1), ("read", 16), ("short", 3),
]  # fmt: skip


@pytest.mark.parametrize("semaphore", [0, 1])
@pytest.mark.parametrize("count", [0, 3])
def test_counters_count_as_the_hosts(worlds: Worlds, count: int, semaphore: int) -> None:
    seen = []
    for world in worlds:
        fd = world.raw(290, count, 0o4000 | semaphore)
        steps = []
        for what, number in EVENTS:
            world.put(struct.pack("<qq", number, 0))
            nr, nbytes = (READ, number) if what == "read" else (WRITE, 8 if what == "write" else 3)
            steps.append((world.raw(nr, fd, "0", nbytes), world.get(8)))
        seen.append(steps)
    assert seen[1] == seen[0]
    assert {world.raw(290, 0, 2) for world in worlds} == {-errno.EINVAL}
