"""epoll: sequences of calls on sets of pipes, sockets, counters and sets, here and on the host."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import signal
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from pkern import Kernel, Sys
from pkern.kernel.vfs.console import HostInput
from pkern.userland.cli.program import twice

Worlds = tuple[Any, Any]  # the host and this kernel: see conftest.py
READ, WRITE, CREATE, CREATE1, CTL, WAIT, PWAIT, PWAIT2 = 0, 1, 213, 291, 233, 232, 281, 441
ADD, DEL, MOD = 1, 2, 3
ONESHOT, EDGE, EXCLUSIVE = 1 << 30, 1 << 31, 1 << 28
IN, OUT, RDHUP = 1, 4, 0x2000
BAD = (1 << 64) - 64
EVENT = struct.Struct("<IQ")


class Sets:
    """What a sequence has open, by name; "set" and "outer" are sets."""

    def __init__(self, world: Any) -> None:
        self.world = world
        world.put(struct.pack("<4Q", int(signal.SIG_IGN), 0, 0, 0))
        world.raw(13, signal.SIGPIPE, "0", 0, 8)
        self.fds: dict[str, int] = {"set": world.raw(CREATE1, 0), "outer": world.raw(CREATE1, 0)}
        for name in ("a", "b"):
            self.fds[f"<{name}"], self.fds[f">{name}"] = world.pipe2(os.O_NONBLOCK)
        self.fds["event"] = world.raw(290, 0, os.O_NONBLOCK)
        world.raw(53, 1, 1 | os.O_NONBLOCK, 0, "0")
        self.fds["one"], self.fds["other"] = struct.unpack("<ii", world.get(8))

    def run(self, step: tuple[Any, ...]) -> tuple[int, bytes]:
        """Make a call; names stand for descriptors."""
        what, *args = step
        fds = [self.fds[arg] if isinstance(arg, str) else arg for arg in args]
        if what == "ctl":
            return self.control(*fds), b""
        if what == "wait":
            self.world.put(bytes(2048))
            got = self.world.raw(WAIT, fds[0], "0", fds[1], 0)
            return got, self.world.get(max(0, got) * EVENT.size)
        if what == "close":
            result = self.world.raw(3, fds[0])
            return result, b""
        self.world.put(struct.pack("<Q", 1) + b"x" * 2040)
        return self.world.raw(READ if what == "read" else WRITE, fds[0], "0", fds[1]), b""

    def control(self, epoll: int, operation: int, fd: int, events: int, data: int) -> int:
        self.world.put(EVENT.pack(events, data))
        result: int = self.world.raw(CTL, epoll, operation, fd, "0")
        return result


NAMES = ("<a", ">a", "<b", ">b", "event", "one", "other")
MASKS = (IN, OUT, IN | OUT, IN | EDGE, IN | OUT | EDGE, IN | ONESHOT, IN | OUT | EDGE | ONESHOT,
         IN | RDHUP, 0, EDGE)  # fmt: skip


def steps(seed: int) -> list[tuple[Any, ...]]:
    """Return calls on two sets, one within the other: changes, transfers, waits."""
    choose = random.Random(seed)
    made: list[tuple[Any, ...]] = [("ctl", "outer", ADD, "set", choose.choice(MASKS), 99)]
    for number, name in enumerate(NAMES):
        if choose.random() < 0.6:
            made.append(("ctl", "set", ADD, name, choose.choice(MASKS), number))
    for _ in range(400):
        name, number = choose.choice(NAMES), choose.randrange(100)
        made.append(
            choose.choice(
                [
                    (
                        "ctl",
                        "set",
                        choose.choice([ADD, MOD, DEL]),
                        name,
                        choose.choice(MASKS),
                        number,
                    ),
                    ("read", name, choose.choice([1, 8, 2000])),
                    ("read", name, 8),
                    ("write", name, 8),
                    ("write", name, choose.choice([1, 8])),
                    ("wait", "set", choose.choice([1, 2, 10])),
                    ("wait", "set", 10),
                    ("wait", "outer", 10),
                ]
            )
        )
        if choose.random() < 0.02:
            made.append(("close", name))
    return made


@pytest.mark.parametrize("seed", range(30))
def test_the_host_reports_the_same(worlds: Worlds, seed: int) -> None:
    host, here = (Sets(world) for world in worlds)
    for number, step in enumerate(steps(seed)):
        assert here.run(step) == host.run(step), (seed, number, step)


CALLS = [
    (CREATE, 0), (CREATE, -1), (CREATE1, 1), (CREATE1, os.O_CLOEXEC), (CREATE1, 1 << 32),
    (CTL, "set", ADD, "set", "0"), (CTL, "set", ADD, 99, "0"), (CTL, 99, ADD, "<a", "0"),
    (CTL, "<a", ADD, "<b", "0"), (CTL, "set", ADD, "file", "0"), (CTL, "set", ADD, "dir", "0"),
    (CTL, "set", ADD, "path", "0"), (CTL, "set", ADD, "null", "0"), (CTL, "set", ADD, "<a", BAD),
    (CTL, "set", DEL, "<a", BAD), (CTL, "set", 0, "<a", "0"), (CTL, "set", 4, "<a", "0"),
    (CTL, "set", MOD, "<a", "0"), (CTL, "set", DEL, "file", "0"), (CTL, 99, 9, 99, BAD),
    (WAIT, "set", "0", 0, 0), (WAIT, "set", "0", -1, 0), (WAIT, "set", BAD, 1, 0),
    (WAIT, "set", "0", 1 << 28, 0), (WAIT, "<a", "0", 1, 0), (WAIT, 99, "0", 1, 0),
    (WAIT, "set", "0", 1, 0), (WAIT, "set", "0", 1, 1), (WAIT, "file", BAD, 1, 0),
    (PWAIT, "set", "0", 1, 0, "64", 4), (PWAIT, "set", "0", 1, 0, "64", 8),
    (PWAIT, "set", "0", 1, 0, BAD, 8), (PWAIT, "set", "0", 1, 0, 0, 4),
    (PWAIT2, "set", "0", 1, "64", "64", 8), (PWAIT2, "set", "0", 1, BAD, 0, 8),
    (PWAIT2, "set", "0", 1, "128", 0, 8),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_what_is_refused_is_refused_alike(worlds: Worlds, call: Any) -> None:
    results = []
    for world in worlds:
        sets = Sets(world)
        sets.fds["file"] = world.open(world.path("f"), os.O_RDWR | os.O_CREAT, 0o600)
        sets.fds["dir"] = world.open("/", os.O_RDONLY, 0)
        sets.fds["path"] = world.open("/", os.O_PATH, 0)
        sets.fds["null"] = world.open("/dev/null", os.O_RDWR, 0)
        world.put(bytes(128) + struct.pack("<qq", 0, 10**9))
        found = world.raw(*[sets.fds.get(r, r) for r in call])
        results.append(min(found, 0))
    assert results[1] == results[0]


@pytest.mark.parametrize("events", [IN, OUT | EDGE, IN | ONESHOT, IN | RDHUP, 8 | 16, 1 << 29])
def test_only_one_is_woken_by_exclusive_items(worlds: Worlds, events: int) -> None:
    results = []
    for world in worlds:
        sets = Sets(world)
        steps = [(ADD, "<a", EXCLUSIVE), (MOD, "<a", 0), (DEL, "<a", 0), (ADD, "outer", EXCLUSIVE),
                 (ADD, "<b", 0), (MOD, "<b", EXCLUSIVE)]  # fmt: skip
        results.append([sets.run(("ctl", "set", op, n, events | x, 1))[0] for op, n, x in steps])
    assert results[1] == results[0]


def test_a_timer_in_a_set_within_a_set(worlds: Worlds) -> None:
    results = []
    for world in worlds:
        outer, inner, timer = world.raw(CREATE1, 0), world.raw(CREATE1, 0), world.raw(283, 1, 0)
        world.put(EVENT.pack(IN | EDGE, 7))
        found = [world.raw(CTL, outer, ADD, inner, "0"), world.raw(CTL, inner, ADD, timer, "0")]
        found.append(world.raw(WAIT, outer, "0", 4, 0))
        for _ in range(2):
            world.put(struct.pack("<6q", 0, 0, 0, 1_000_000, 0, 5_000_000))
            found += [world.raw(286, timer, 0, "0", 0), world.raw(35, "32", 0)]
            found += [world.raw(WAIT, fd, "0", 4, 0) for fd in (outer, inner, inner)]
            found.append(world.raw(READ, timer, "0", 8))
        results.append(found)
    assert results[1] == results[0]


def test_sets_do_not_stand_within_themselves(worlds: Worlds) -> None:
    results = []
    for world in worlds:
        fds = [world.raw(CREATE1, 0) for _ in range(8)]
        world.put(EVENT.pack(IN, 0))
        inner = [world.raw(CTL, a, ADD, b, "0") for a, b in itertools.pairwise(fds)]
        results.append((inner, world.raw(CTL, fds[2], ADD, fds[0], "0")))
    assert results[1] == results[0]


def test_the_host_s_input_stands_in_a_set_if_it_may_there(tmp_path: Path) -> None:
    """User Mode Linux closes its console at the end of an input that it can wait for."""
    (tmp_path / "file").write_text("text")
    plain, null = (os.open(path, os.O_RDONLY) for path in (tmp_path / "file", os.devnull))
    pipe, other = os.pipe()
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        event, watched = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS), []
        for fd in (plain, null, pipe):
            opened = kernel.vfs.open_inode(sys.task, HostInput(kernel, fd), "pipe:[1]", 0)
            try:
                sys.epoll_ctl(sys.epoll_create1(), ADD, sys.task.fds.install(opened), event)
                watched.append(fd)
            except PermissionError:
                pass
            # Who asks is told to read, in every run: the read waits for what the host will bring.
            assert sys.poll([(sys.task.fds.install(opened), sys.POLLIN)], 0) == [sys.POLLIN]
        assert watched == [pipe]
    for fd in (plain, null, pipe, other):
        os.close(fd)


@pytest.mark.parametrize(("made", "can_wait"), [("plain", False), ("pipe", True)])
def test_input_that_was_read_before_the_run_polls_as_what_it_was_read_from(
    made: str, can_wait: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--twice reads it first: User Mode Linux takes an end of what it may wait for as a hang-up."""
    if made == "pipe":
        fd, other = os.pipe()
        os.write(other, b"typed")
        os.close(other)
    else:
        (tmp_path / made).write_bytes(b"typed")
        fd = os.open(tmp_path / made, os.O_RDONLY)
    with Kernel(ram="2M") as kernel, open(fd) as stdin:
        monkeypatch.setattr(twice, "STDIN", fd)
        monkeypatch.setattr(sys, "stdin", stdin)
        sources = [twice.read_before(argparse.Namespace(stdin=None))]
        if made == "plain":
            sources.append(twice.read_before(argparse.Namespace(stdin=str(tmp_path / made))))
        for source in sources:
            inode = source(kernel)
            assert (inode.can_epoll, inode.read(0, 9), inode.read(5, 9)) == (
                can_wait,
                b"typed",
                b"",
            )
