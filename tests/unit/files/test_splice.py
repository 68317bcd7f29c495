"""splice, tee, vmsplice and openat2: sequences of calls have the host's results, and its bytes."""

from __future__ import annotations

import errno
import itertools
import os
import random
import signal
import struct
from collections.abc import Iterator
from typing import Any

import pytest

Worlds = tuple[Any, Any]  # the host and this kernel: see conftest.py
READ, WRITE, LSEEK, OPENAT2 = 0, 1, 8, 437
SPLICE, TEE, VMSPLICE, SENDFILE, COPY = 275, 276, 278, 40, 326
PIPE2, SOCKETPAIR = 293, 53
NOW, NONBLOCK = 2, 0o4000  # SPLICE_F_NONBLOCK, O_NONBLOCK
# A world's memory: bytes to write, offsets, iovecs, and room to read to.
TEXT, OFFSETS, VECTORS, ROOM = 0, 1024, 1280, 2048
# "file" is never written again: a pipe of Linux that it was spliced to would show it.
STEPS = 14


class Files:
    """What a sequence has open, by name."""

    def __init__(self, world: Any) -> None:
        self.world = world
        world.put(struct.pack("<4Q", int(signal.SIG_IGN), 0, 0, 0))
        world.raw(13, signal.SIGPIPE, "0", 0, 8)
        self.fds: dict[str, int] = {}
        for name in ("a", "b"):
            reader, writer = world.pipe2(NONBLOCK)
            self.fds |= {f"<{name}": reader, f">{name}": writer}
        reader, self.fds["broken"] = world.pipe2(NONBLOCK)
        world.close(reader)
        self.fds["file"] = world.open(world.path("file"), os.O_RDWR | os.O_CREAT, 0o600)
        self.fds["other"] = world.open(world.path("other"), os.O_RDWR | os.O_CREAT, 0o600)
        self.fds["log"] = world.open(
            world.path("log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        self.fds["read only"] = world.open(world.path("file"), os.O_RDONLY, 0)
        self.fds["dir"] = world.open(world.path(""), os.O_RDONLY, 0)
        self.fds["zero"] = world.open("/dev/zero", os.O_RDWR, 0)
        self.fds["event"] = world.raw(290, 1, NONBLOCK)
        world.raw(53, 1, 1 | NONBLOCK, 0, "0")
        self.fds["socket"], self.fds["end"] = struct.unpack("<ii", world.get(8))
        self.fds["closed"] = 99

    def lay_out(self) -> None:
        """Put what the calls read: 1 KiB of text, two offsets, three iovecs."""
        at = self.world.raw_address()
        iovecs = struct.pack("<6Q", at + 3, 5, at + 90, 0, at + 100, 30)
        into = struct.pack("<6Q", at + ROOM, 7, at + ROOM + 20, 0, at + ROOM + 30, 12)
        page = bytes(range(256)) * 4 + struct.pack("<2q", 2, -1).ljust(256, b"\0")
        self.world.put((page + iovecs + into).ljust(ROOM, b"\0") + bytes(1024))

    def run(self, step: tuple[Any, ...]) -> tuple[int, bytes]:
        """Make a call; names of files stand for descriptors, ("at", n) for addresses."""
        self.lay_out()
        nr, *arguments = step
        words = [self.fds.get(a, a) if isinstance(a, str) else a for a in arguments]
        words = [str(w[1]) if isinstance(w, tuple) else w for w in words]
        result, page = self.world.raw(nr, *words), self.world.get(ROOM + 1024)
        return result, page[OFFSETS:VECTORS] + page[ROOM:]


SOURCES = ("<a", "<a", "<b", "file", "file", "zero", "end", "dir", "event", ">a", "log", "closed")
TARGETS = (">a", ">a", ">b", "other", "socket", "log", "event", "broken", "<b", "read only")
# Of vmsplice: what is given to a pipe stays as it is, for Linux gives the page itself.
FROM, INTO = ("at", VECTORS), ("at", VECTORS + 48)
GIVEN = (
    (">a", FROM),
    ("<a", INTO),
    ("<b", INTO),
    ("broken", FROM),
    ("file", FROM),
    ("closed", FROM),
)
LENGTHS = (0, 1, 3, 10, 100, 1 << 63)


def steps(seed: int) -> list[tuple[Any, ...]]:
    chance = random.Random(seed)

    def offset() -> Any:
        return chance.choice((0, 0, 0, ("at", OFFSETS), ("at", OFFSETS + 8), 8))

    def flags() -> int:
        return chance.choice((0, NOW, NOW, 15, 16))

    makers = (
        lambda: (SPLICE, chance.choice(SOURCES), offset(), chance.choice(TARGETS), offset(),
                 chance.choice(LENGTHS), flags()),
        lambda: (TEE, chance.choice(("<a", "<b", "file")), chance.choice((">a", ">b", "broken")),
                 chance.choice(LENGTHS), flags()),
        lambda: (VMSPLICE, *chance.choice(GIVEN), chance.choice((0, 1, 3, -1)),
                 chance.choice((NOW, 16 | NOW))),
        lambda: (WRITE, chance.choice((">a", ">b", "other", "socket")), ("at", TEXT + 7), 20),
        lambda: (READ, chance.choice(("<a", "<b", "end", "file")), ("at", ROOM), 15),
        lambda: (LSEEK, chance.choice(("file", "other")), chance.choice((0, 5)), 0),
        lambda: (SENDFILE, chance.choice(TARGETS), chance.choice(("file", "read only")), offset(),
                 chance.choice((0, 4, 50))),
        lambda: (COPY, chance.choice(("file", "read only", "<a")), offset(),
                 chance.choice(("other", "log", ">a")), offset(), chance.choice((0, 4, 50)), 0),
    )  # fmt: skip
    fill = [
        (WRITE, ">a", ("at", TEXT), 40),
        (WRITE, "file", ("at", TEXT), 60),
        (LSEEK, "file", 0, 0),
    ]
    return fill + [chance.choice(makers)() for _ in range(STEPS)]


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_sequences_have_the_hosts_results(worlds: Worlds, first: int) -> None:
    for seed in range(first, first + 50):
        host, here = (Files(world) for world in worlds)
        for number, step in enumerate(steps(seed)):
            assert here.run(step) == host.run(step), (seed, number, step)
        for files in (host, here):
            for fd in files.fds.values():
                files.world.raw(3, fd)


LAST = (1 << 63) - 1
RANGES = [(0, LAST + 1), (0, (1 << 64) - 1), (LAST, 1), (LAST - 3, 9), (1, LAST)]


@pytest.mark.parametrize(("start", "nbytes"), RANGES)
def test_no_byte_is_beyond_the_last(worlds: Worlds, start: int, nbytes: int) -> None:
    found = []
    for world in worlds:
        files = Files(world)
        files.lay_out()
        files.run((WRITE, ">a", ("at", TEXT), 40))
        offset = world.raw_address() + OFFSETS
        calls: tuple[tuple[Any, ...], ...] = (
            (SENDFILE, ">b", "read only", offset, nbytes),
            (SENDFILE, "other", "read only", offset, nbytes),
            (SPLICE, "read only", offset, ">b", 0, nbytes, NOW),
            (SPLICE, "<a", 0, "other", offset, nbytes, NOW),
        )
        answers = []
        for nr, *given in calls:
            page = bytes(OFFSETS) + struct.pack("<q", start)
            world.put(page.ljust(4096, b"\0"))
            answers.append(world.raw(nr, *(files.fds.get(one, one) for one in given)))
        found.append(answers)
    assert found[1] == found[0] == [-errno.EINVAL] * 4


UNLIKE = ("/dev/null", "/dev/full", "/dev/zero", "/dev/urandom", "/proc/self/comm",
          "/proc/self/mem", "/proc/self/oom_score_adj")  # fmt: skip
READ_ONLY = ("/proc/self/status", "/proc/self/maps", "/proc/self/fdinfo/0", "/proc/self/mounts",
             "/proc/self/mountinfo", "/proc/self/pagemap", "/proc/version", "/proc/meminfo",
             "/proc/sys/fs/pipe-max-size", "/proc/self/cmdline")  # fmt: skip


@pytest.mark.parametrize("path", UNLIKE + READ_ONLY)
def test_what_is_not_moved_by_splice_is_refused(worlds: Worlds, path: str) -> None:
    found = []
    for world in worlds:
        files = Files(world)
        files.lay_out()
        fd = world.open(path, os.O_RDWR if path in UNLIKE else os.O_RDONLY, 0)
        answers = [world.raw(SPLICE, fd, 0, files.fds[">a"], 0, 1, NOW)]
        answers.append(world.raw(SENDFILE, files.fds[">a"], fd, 0, 1))
        if path in UNLIKE:
            files.run((WRITE, ">b", ("at", TEXT), 1))
            answers.append(world.raw(SPLICE, files.fds["<b"], 0, fd, 0, 1, NOW))
        found.append(answers)
    assert found[1] == found[0]


def test_sendfile_reads_a_socket_to_a_pipe(worlds: Worlds) -> None:
    for world in worlds:
        files = Files(world)
        files.run((WRITE, "socket", ("at", TEXT), 20))
        assert files.run((SENDFILE, ">a", "end", 0, 3))[0] == 3
        assert files.run((READ, "<a", ("at", ROOM), 9))[1].endswith(bytes((0, 1, 2)) + bytes(1021))
        assert files.run((SENDFILE, "other", "end", 0, 3))[0] == -errno.EINVAL


def test_a_pair_that_cannot_be_stored_has_no_descriptors(worlds: Worlds) -> None:
    for world in worlds:
        assert world.raw(PIPE2, 8, 0) == world.raw(SOCKETPAIR, 1, 1, 0, 8) == -errno.EFAULT
        free = world.open("/dev/null", os.O_RDONLY, 0)
        world.close(free)
        assert world.raw(PIPE2, 8, 0) == -errno.EFAULT
        assert world.open("/dev/null", os.O_RDONLY, 0) == free


# flags, mode, resolve, bytes of struct open_how, what follows its three numbers
HOWS = [
    (0, 0, 0, 24, 0), (0, 0, 0, 23, 0), (0, 0, 0, 32, 0), (0, 0, 0, 32, 1), (0, 0, 0, 4097, 0),
    (0, 0o600, 0, 24, 0), (0o102, 0o600, 0, 24, 0), (0o302, 0o600, 0, 24, 0),
    (0o102, 0o10600, 0, 24, 0), (0o102, 0o600, 0x20, 24, 0),
    (0o1001, 0, 0x20, 24, 0), (0, 0, 0x40, 24, 0), (1 << 32, 0, 0, 24, 0), (1 << 31, 0, 0, 24, 0),
    (0o10000000, 0, 0, 24, 0), (0o10000001, 0, 0, 24, 0), (0o20000002, 0o600, 0, 24, 0),
    (0o20200002, 0o600, 0, 24, 0), (0o20200000, 0o600, 0, 24, 0), (0o200000, 0, 0, 24, 0),
    (0o37777703, 0, 0, 24, 0), (0o200102, 0o600, 0, 24, 0), (0o2000000, 0, 0, 24, 0),
]  # fmt: skip


AT_FDCWD = -100


def opened(world: Any, how: tuple[int, ...], path: str, folder: int = AT_FDCWD) -> list[int]:
    """Return 0 or the error, and the open file's flags and mode."""
    flags, mode, resolve, nbytes, more = how
    how_bytes = struct.pack("<4Q", flags, mode, resolve, more)
    world.put(path.encode().ljust(512, b"\0") + how_bytes.ljust(3584, b"\0"))
    fd = world.raw(OPENAT2, folder % (1 << 64), "0", "512", nbytes)
    if fd < 0:
        return [fd]
    found = [world.raw(72, fd, 1), world.raw(72, fd, 3), world.fstat(fd).st_mode & 0o777]
    world.close(fd)
    return found


@pytest.mark.parametrize("how", HOWS)
def test_openat2_opens_as_the_host_does(worlds: Worlds, how: tuple[int, ...]) -> None:
    results = []
    for world in worlds:
        world.close(world.open(world.path("there"), os.O_WRONLY | os.O_CREAT, 0o640))
        world.mkdir(world.path("folder"), 0o750)
        paths = [world.path(name) for name in ("there", "new", "folder", "there/below")]
        results.append([opened(world, how, path) for path in paths])
    assert results[1] == results[0]


def test_openat2_finds_what_is_cached(worlds: Worlds) -> None:
    """Below a folder that is open: above it may be file systems that are asked about each name."""
    found = []
    for world in worlds:
        world.close(world.open(world.path("there"), os.O_WRONLY | os.O_CREAT, 0o640))
        folder = world.open(world.path(""), os.O_RDONLY, 0)
        found.append(opened(world, (0, 0, 0x20, 24, 0), "there", folder))
        world.close(folder)
    assert found[1] == found[0]


RESOLVE = {"xdev": 1, "magic": 2, "links": 4, "beneath": 8, "root": 16}
WAYS = (
    "file", "/file", "folder/deep/../../file", "..", "../file", "folder/..", "folder/../..", ".",
    "/", "", "/..", "/../folder", "to-file", "folder/up", "folder/out", "absolute", "folder/rooted",
    "to-folder/deep", "to-folder", "loop", "nowhere", "folder/new/x", "/folder/deep/", "file/x",
    "magic", "magic-folder/deep", "magic-folder/..", "/proc/self/status", "/proc/self/cwd",
    "/proc/self/root", "/proc", "/dev/null", "/proc/..", "/proc/self/../uptime", "into-proc",
)  # fmt: skip


def lay_out_links(world: Any) -> int:
    """Make a folder with links of every kind, and return its descriptor."""
    world.mkdir(world.path("top"), 0o755)
    world.mkdir(world.path("top/folder"), 0o755)
    world.mkdir(world.path("top/folder/deep"), 0o755)
    world.close(world.open(world.path("top/file"), os.O_WRONLY | os.O_CREAT, 0o640))
    world.close(world.open(world.path("file"), os.O_WRONLY | os.O_CREAT, 0o640))
    opened = world.open(world.path("top/file"), os.O_RDONLY, 0)
    folder = world.open(world.path("top/folder"), os.O_RDONLY, 0)
    links = {
        "to-file": "file", "folder/up": "../file", "folder/out": "../../file",
        "absolute": world.path("top/file"), "folder/rooted": "/file", "to-folder": "folder",
        "loop": "loop", "nowhere": "missing", "magic": f"/proc/self/fd/{opened}",
        "magic-folder": f"/proc/self/fd/{folder}", "into-proc": "/proc/self/status",
    }  # fmt: skip
    for name, target in links.items():
        world.symlink(target, world.path(f"top/{name}"))
    fd: int = world.open(world.path("top"), os.O_RDONLY | os.O_DIRECTORY, 0)
    return fd


def resolved(world: Any, fd: int, path: str, flags: int, resolve: int) -> tuple[int, int]:
    """Return 0 or the error, and what kind of file was opened.

    A rename anywhere on the host makes it answer EAGAIN where a path has "..": it is asked again.
    """
    how = struct.pack("<3Q", flags, 0o600 if flags & os.O_CREAT else 0, resolve)
    world.put(path.encode().ljust(512, b"\0") + how)
    answers = (world.raw(OPENAT2, fd % (1 << 64), "0", "512", 24) for _ in range(100))
    found = next((answer for answer in answers if answer != -errno.EAGAIN), -errno.EAGAIN)
    if found < 0:
        return found, 0
    mode = world.fstat(found).st_mode
    world.close(found)
    return 0, mode & 0o170000


def rules(resolve: int) -> str:
    return "+".join(name for name, bit in RESOLVE.items() if resolve & bit) or "none"


def ways(resolve: int) -> Iterator[tuple[str, int, str]]:
    """Yield paths, flags of open and what a path begins at; files are made in the folder only."""
    flags = [0, os.O_NOFOLLOW, os.O_NOFOLLOW | os.O_PATH]
    if resolve & (RESOLVE["beneath"] | RESOLVE["root"]):
        flags.append(os.O_CREAT | os.O_RDWR)
    yield from itertools.product(WAYS, flags, ("folder", "cwd", "closed"))


@pytest.mark.parametrize("resolve", range(32), ids=rules)
def test_openat2_resolves_by_the_hosts_rules(
    worlds: Worlds, resolve: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, here = worlds
    folders = [lay_out_links(host), lay_out_links(here)]
    monkeypatch.chdir(host.path("top"))
    here.chdir(here.path("top"))
    for path, flags, begin in ways(resolve):
        found = []
        for world, folder in zip(worlds, folders, strict=True):
            fd = {"folder": folder, "cwd": -100, "closed": 99}[begin]
            found.append(resolved(world, fd, path, flags, resolve))
        assert found[1] == found[0], (path, flags, begin)
