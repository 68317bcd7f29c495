"""The same operations on the host's kernel and on a tmpfs of this one: same results, same errno.

A sequence is made from a seed. The host runs it in a child process whose root is a temporary
directory, so that no '..' leads out of it; the kernel in a task whose root is a directory, too.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pickle
import random
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.clone import fork
from pkern.userland.program import Sys

LENGTH = 150
SEEDS = range(24)
USER = 1000
PAGE = 4096
UTIME_NOW = (1 << 30) - 1
SYS_RENAMEAT2, SYS_FACCESSAT2 = 316, 439
NAMES = ("a", "b", "c", "d", "e")
ODD = (".", "..", "a/", "b/.", "c/..", "./d", "../e", "x" * 256, "", "a//b", "d/e/a", "/", "e/")
FLAGS = (
    0, os.O_RDWR, os.O_WRONLY, os.O_CREAT | os.O_RDWR, os.O_CREAT | os.O_EXCL | os.O_WRONLY,
    os.O_CREAT | os.O_TRUNC | os.O_RDWR, os.O_DIRECTORY, os.O_NOFOLLOW, os.O_APPEND | os.O_RDWR,
    os.O_PATH, os.O_PATH | os.O_NOFOLLOW, os.O_DIRECTORY | os.O_NOFOLLOW, os.O_TRUNC,
    os.O_CREAT | os.O_NOFOLLOW | os.O_RDWR, os.O_CREAT | os.O_DIRECTORY, os.O_TMPFILE | os.O_RDWR,
)  # fmt: skip
MODES = (0o777, 0o755, 0o644, 0o600, 0o000, 0o555, 0o4755, 0o2775, 0o1777)

Step = tuple[str, tuple[Any, ...]]


# ---- sequences ----


def some_path(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.08:
        return chance.choice(ODD)
    path = "/".join(chance.choice(NAMES) for _ in range(chance.choice((1, 1, 1, 2, 2, 3))))
    if kind < 0.12:
        path += "/"
    if kind < 0.2:
        return f"/{path}"
    return path if kind < 0.95 else f"../{path}"


class Draws:
    """What arguments are drawn from: a path, a descriptor's slot, one of some values."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def path(self) -> str:
        return some_path(self.chance)

    def slot(self) -> int:
        return self.chance.randrange(4)

    def one_of(self, values: Sequence[Any]) -> Any:
        return self.chance.choice(values)

    def below(self, limit: int) -> int:
        return self.chance.randrange(limit)


# Name of a method of Side: how often it comes, and what draws its arguments.
MAKERS: dict[str, tuple[int, Callable[[Draws], tuple[Any, ...]]]] = {
    "mkdir": (8, lambda d: (d.path(), d.one_of(MODES))),
    "rmdir": (4, lambda d: (d.path(),)),
    "unlink": (5, lambda d: (d.path(),)),
    "open": (12, lambda d: (d.slot(), d.path(), d.one_of(FLAGS), d.one_of(MODES))),
    "openat": (5, lambda d: (d.slot(), d.slot(), d.path(), d.one_of(FLAGS), 0o644)),
    "close": (3, lambda d: (d.slot(),)),
    "read": (4, lambda d: (d.slot(), d.one_of((0, 1, 10)))),
    "write": (5, lambda d: (d.slot(), bytes(d.one_of((0, 1, 10))))),
    "pread": (2, lambda d: (d.slot(), 5, d.one_of((-1, 0, 3)))),
    "pwrite": (2, lambda d: (d.slot(), b"pw", d.one_of((-1, 0, 30)))),
    "lseek": (3, lambda d: (d.slot(), d.one_of((-3, 0, 5, 50)), d.below(6))),
    "stat": (5, lambda d: (d.path(),)),
    "lstat": (4, lambda d: (d.path(),)),
    "fstat": (3, lambda d: (d.slot(),)),
    "symlink": (8, lambda d: (d.path() or "a", d.path())),
    "readlink": (3, lambda d: (d.path(),)),
    "link": (6, lambda d: (d.path(), d.path())),
    "rename": (8, lambda d: (d.path(), d.path())),
    "renameat2": (5, lambda d: (d.path(), d.path(), d.one_of((0, 1, 2, 3)))),
    "unlinkat": (3, lambda d: (d.slot(), d.path(), d.one_of((0, 0x200, 1)))),
    "mkdirat": (3, lambda d: (d.slot(), d.path(), 0o755)),
    "linkat": (2, lambda d: (d.slot(), d.path(), d.slot(), d.path(), d.one_of((0, 0x400)))),
    "chdir": (3, lambda d: (d.path(),)),
    "fchdir": (2, lambda d: (d.slot(),)),
    "getcwd": (3, lambda d: ()),
    "access": (4, lambda d: (d.path(), d.one_of((0, 1, 2, 4, 7, 8)))),
    "faccessat2": (2, lambda d: (d.slot(), d.path(), 2, d.one_of((0, 0x100, 0x200, 1)))),
    "chmod": (4, lambda d: (d.path(), d.one_of(MODES))),
    "fchmod": (2, lambda d: (d.slot(), d.one_of(MODES))),
    "chown": (2, lambda d: (d.path(), d.one_of((-1, 0, USER)), d.one_of((-1, 7)))),
    "lchown": (1, lambda d: (d.path(), -1, -1)),
    "truncate": (3, lambda d: (d.path(), d.one_of((-1, 0, 5, 5000)))),
    "ftruncate": (3, lambda d: (d.slot(), d.one_of((-1, 0, 7)))),
    "utime": (2, lambda d: (d.path(), d.one_of((None, (5, 7))))),
    "mknod": (3, lambda d: (d.path(), d.one_of((0, 0o100644, 0o010600, 0o040000, 0o170000)))),
    "listdir": (4, lambda d: (d.path(),)),
    "dup": (2, lambda d: (d.slot(), d.slot())),
    "pipe": (3, lambda d: (d.slot(), d.slot())),
    "getfl": (2, lambda d: (d.slot(),)),
    "setfl": (2, lambda d: (d.slot(), d.one_of((0o4000, 0o6000, 0o4000 | 0o3)))),
    "flock": (4, lambda d: (d.slot(), d.one_of((1, 2, 8, 3)))),
    "lockf": (3, lambda d: (d.slot(), d.below(3), d.one_of((0, 4)), 6)),
    "sendfile": (2, lambda d: (d.slot(), d.slot(), d.one_of((0, 4, 100)))),
    "copy_file_range": (2, lambda d: (d.slot(), d.slot(), d.one_of((0, 4, 100)))),
    "fadvise": (1, lambda d: (d.slot(), d.one_of((0, -1)), d.below(8))),
    "fallocate": (2, lambda d: (d.slot(), d.one_of((0, 1)), d.one_of((-1, 9)))),
    "listxattr": (1, lambda d: (d.path(),)),
    "readlinkat": (1, lambda d: (d.slot(), d.path())),
    "fchown": (1, lambda d: (d.slot(), -1, d.one_of((-1, 5)))),
    "utimens": (2, lambda d: (d.slot(), d.path(), d.one_of((0, 0x100)))),
    "umask": (1, lambda d: (d.one_of((0o22, 0o77, 0)),)),
    "getxattr": (1, lambda d: (d.path(), "user.x")),
    "setxattr": (1, lambda d: (d.path(), "user.x", b"v")),
}  # fmt: skip


def sequence(seed: int) -> list[Step]:
    """Return LENGTH steps: a name of Side's methods and its arguments."""
    draws = Draws(seed)
    weights = [weight for weight, _ in MAKERS.values()]
    chosen = draws.chance.choices(list(MAKERS), weights, k=LENGTH)
    return [(name, MAKERS[name][1](draws)) for name in chosen]


# ---- the two sides ----


def shown(status: Any) -> tuple[Any, ...]:
    """Return what must agree: type and bits, links, owner, and a file's or link's size."""
    size = None if stat.S_ISDIR(status.st_mode) else status.st_size
    return oct(status.st_mode), status.st_nlink, status.st_uid, status.st_gid, size


class Side:
    """Open files by slot, so that descriptors' numbers need not agree."""

    def __init__(self) -> None:
        self.slots: dict[int, int] = {}

    def keep(self, slot: int, fd: int) -> str:
        if slot in self.slots:
            self.close_fd(self.slots[slot])
        self.slots[slot] = fd
        return "open"

    def fd(self, slot: int) -> int:
        return self.slots.get(slot, 900)

    def close(self, slot: int) -> None:
        self.close_fd(self.slots.pop(slot, 900))

    def close_fd(self, fd: int) -> None:
        raise NotImplementedError

    def run(self, steps: list[Step]) -> list[Any]:
        results = []
        for name, args in steps:
            try:
                results.append(getattr(self, name)(*args))
            except OSError as error:
                results.append(errno.errorcode[error.errno or 0])
        return results


class Host(Side):
    """The host's kernel through os; what os lacks, through syscall(2)."""

    libc = ctypes.CDLL(None, use_errno=True)

    def raw(self, nr: int, *args: Any) -> int:
        result: int = self.libc.syscall(nr, *args)
        if result < 0:
            raise OSError(ctypes.get_errno(), "")
        return result

    def at(self, slot: int, path: str) -> int:
        return self.fd(slot)

    def close_fd(self, fd: int) -> None:
        os.close(fd)

    def open(self, slot: int, path: str, flags: int, mode: int) -> str:
        return self.keep(slot, os.open(path, flags | os.O_NONBLOCK, mode))

    def openat(self, slot: int, at: int, path: str, flags: int, mode: int) -> str:
        return self.keep(slot, os.open(path, flags | os.O_NONBLOCK, mode, dir_fd=self.fd(at)))

    def read(self, slot: int, count: int) -> bytes:
        return os.read(self.fd(slot), count)

    def write(self, slot: int, data: bytes) -> int:
        return os.write(self.fd(slot), data)

    def pread(self, slot: int, count: int, pos: int) -> bytes:
        return os.pread(self.fd(slot), count, pos)

    def pwrite(self, slot: int, data: bytes, pos: int) -> int:
        return os.pwrite(self.fd(slot), data, pos)

    def lseek(self, slot: int, offset: int, whence: int) -> int | None:
        if self.is_dir(slot):
            return None  # positions in directories are each file system's own
        return os.lseek(self.fd(slot), offset, whence)

    def is_dir(self, slot: int) -> bool:
        return stat.S_ISDIR(os.fstat(self.fd(slot)).st_mode)

    def stat(self, path: str) -> Any:
        return shown(os.stat(path))

    def lstat(self, path: str) -> Any:
        return shown(os.lstat(path))

    def fstat(self, slot: int) -> Any:
        return shown(os.fstat(self.fd(slot)))

    def renameat2(self, old: str, new: str, flags: int) -> int:
        return self.raw(SYS_RENAMEAT2, -100, old.encode(), -100, new.encode(), flags)

    def faccessat2(self, slot: int, path: str, mode: int, flags: int) -> int:
        return self.raw(SYS_FACCESSAT2, self.fd(slot), path.encode(), mode, flags)

    def unlinkat(self, slot: int, path: str, flags: int) -> int:
        return self.raw(263, self.fd(slot), path.encode(), flags)

    def mkdirat(self, slot: int, path: str, mode: int) -> None:
        os.mkdir(path, mode, dir_fd=self.fd(slot))

    def link(self, old: str, new: str) -> int:
        return self.raw(86, old.encode(), new.encode())

    def linkat(self, slot: int, old: str, to: int, new: str, flags: int) -> int:
        return self.raw(265, self.fd(slot), old.encode(), self.fd(to), new.encode(), flags)

    def access(self, path: str, mode: int) -> int:
        return self.raw(21, path.encode(), mode)

    def fchdir(self, slot: int) -> None:
        os.fchdir(self.fd(slot))

    def fchmod(self, slot: int, mode: int) -> None:
        os.fchmod(self.fd(slot), mode)

    def ftruncate(self, slot: int, size: int) -> None:
        os.ftruncate(self.fd(slot), size)

    def utime(self, path: str, times: tuple[int, int] | None) -> tuple[int, int] | None:
        os.utime(path, times)
        status = os.stat(path)
        return (status.st_atime_ns, status.st_mtime_ns) if times else None

    def mknod(self, path: str, mode: int) -> int:
        return self.raw(133, path.encode(), mode, 0)

    def listdir(self, path: str) -> list[str]:
        return sorted(os.listdir(path or ""))

    def dup(self, slot: int, source: int) -> str:
        return self.keep(slot, os.dup(self.fd(source)))

    def pipe(self, slot: int, other: int) -> str:
        reader, writer = os.pipe2(os.O_NONBLOCK)
        self.keep(slot, reader)
        return self.keep(other, writer)

    def getfl(self, slot: int) -> int:
        return fcntl.fcntl(self.fd(slot), fcntl.F_GETFL)

    def setfl(self, slot: int, flags: int) -> int:
        return fcntl.fcntl(self.fd(slot), fcntl.F_SETFL, flags)

    def flock(self, slot: int, kind: int) -> int:
        return self.raw(73, self.fd(slot), kind | fcntl.LOCK_NB)

    def lockf(self, slot: int, kind: int, start: int, command: int) -> int:
        fcntl.fcntl(self.fd(slot), command, flock_bytes(kind, start))
        return 0

    def sendfile(self, slot: int, source: int, count: int) -> int:
        return os.sendfile(self.fd(slot), self.fd(source), None, count)  # type: ignore[arg-type]

    def copy_file_range(self, slot: int, target: int, count: int) -> int:
        return os.copy_file_range(self.fd(slot), self.fd(target), count)

    def fadvise(self, slot: int, nbytes: int, advice: int) -> int:
        return self.raw(221, self.fd(slot), 0, ctypes.c_long(nbytes), advice)

    def fallocate(self, slot: int, mode: int, nbytes: int) -> int:
        return self.raw(285, self.fd(slot), mode, 0, ctypes.c_long(nbytes))

    def readlinkat(self, slot: int, path: str) -> str:
        return os.readlink(path, dir_fd=self.fd(slot))

    def fchown(self, slot: int, uid: int, gid: int) -> None:
        os.fchown(self.fd(slot), uid, gid)

    def utimens(self, slot: int, path: str, flags: int) -> int:
        return self.raw(280, self.fd(slot), path.encode(), None, flags)

    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    unlink = staticmethod(os.unlink)
    rename = staticmethod(os.rename)
    symlink = staticmethod(os.symlink)
    readlink = staticmethod(os.readlink)
    chdir = staticmethod(os.chdir)
    getcwd = staticmethod(os.getcwd)
    chmod = staticmethod(os.chmod)
    chown = staticmethod(os.chown)
    lchown = staticmethod(os.lchown)
    truncate = staticmethod(os.truncate)
    umask = staticmethod(os.umask)
    getxattr = staticmethod(os.getxattr)
    setxattr = staticmethod(os.setxattr)
    listxattr = staticmethod(os.listxattr)


def flock_bytes(kind: int, start: int) -> bytes:
    """Return struct flock for [start, start+3)."""
    return struct.pack("<hh4xqqi4x", kind, 0, start, 3, 0)


class Ours(Side):
    """The same through the kernel's system calls."""

    def __init__(self, sys: Sys) -> None:
        super().__init__()
        self.sys = sys
        private = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
        sys.rt_sigaction(sys.SIGPIPE, sys.SIG_IGN)  # as the host's interpreter has it
        self.area = sys.mmap(0, PAGE, 3, private, -1, 0)

    def close_fd(self, fd: int) -> None:
        self.sys.close(fd)

    def open(self, slot: int, path: str, flags: int, mode: int) -> str:
        return self.keep(slot, self.sys.open(path, flags | os.O_NONBLOCK, mode))

    def openat(self, slot: int, at: int, path: str, flags: int, mode: int) -> str:
        fd = self.sys.openat(self.fd(at), path, flags | os.O_NONBLOCK, mode)
        return self.keep(slot, fd)

    def lseek(self, slot: int, offset: int, whence: int) -> Any:
        if stat.S_ISDIR(self.sys.fstat(self.fd(slot)).st_mode):
            return None
        return self.sys.lseek(self.fd(slot), offset, whence)

    def pread(self, slot: int, count: int, pos: int) -> Any:
        return self.sys.pread64(self.fd(slot), count, pos)

    def pwrite(self, slot: int, data: bytes, pos: int) -> Any:
        return self.sys.pwrite64(self.fd(slot), data, pos)

    def stat(self, path: str) -> Any:
        return shown(self.sys.stat(path))

    def lstat(self, path: str) -> Any:
        return shown(self.sys.lstat(path))

    def fstat(self, slot: int) -> Any:
        return shown(self.sys.fstat(self.fd(slot)))

    def link(self, old: str, new: str) -> Any:
        return self.sys.link(old, new)

    def linkat(self, slot: int, old: str, to: int, new: str, flags: int) -> Any:
        return self.sys.linkat(self.fd(slot), old, self.fd(to), new, flags)

    def renameat2(self, old: str, new: str, flags: int) -> Any:
        return self.sys.renameat2(-100, old, -100, new, flags)

    def utime(self, path: str, times: tuple[int, int] | None) -> Any:
        if times is None:
            self.sys.utimensat(-100, path)
            return None
        self.sys.utimensat(-100, path, tuple((seconds, 0) for seconds in times))
        status = self.sys.stat(path)
        return status.st_atime_ns, status.st_mtime_ns

    def listdir(self, path: str) -> Any:
        return sorted(self.sys.listdir(path))

    def dup(self, slot: int, source: int) -> str:
        return self.keep(slot, self.sys.dup(self.fd(source)))

    def pipe(self, slot: int, other: int) -> str:
        reader, writer = self.sys.pipe2(os.O_NONBLOCK)
        self.keep(slot, reader)
        return self.keep(other, writer)

    def getfl(self, slot: int) -> Any:
        return self.sys.fcntl(self.fd(slot), fcntl.F_GETFL)

    def setfl(self, slot: int, flags: int) -> Any:
        return self.sys.fcntl(self.fd(slot), fcntl.F_SETFL, flags)

    def flock(self, slot: int, kind: int) -> Any:
        return self.sys.flock(self.fd(slot), kind | fcntl.LOCK_NB)

    def lockf(self, slot: int, kind: int, start: int, command: int) -> Any:
        self.sys.store(self.area, flock_bytes(kind, start))
        return self.sys.fcntl(self.fd(slot), command, self.area)

    def sendfile(self, slot: int, source: int, count: int) -> Any:
        return self.sys.sendfile(self.fd(slot), self.fd(source), 0, count)

    def copy_file_range(self, slot: int, target: int, count: int) -> Any:
        return self.sys.copy_file_range(self.fd(slot), 0, self.fd(target), 0, count, 0)

    def fadvise(self, slot: int, nbytes: int, advice: int) -> Any:
        return self.sys.fadvise64(self.fd(slot), 0, nbytes, advice)

    def fallocate(self, slot: int, mode: int, nbytes: int) -> Any:
        return self.sys.fallocate(self.fd(slot), mode, 0, nbytes)

    def listxattr(self, path: str) -> list[str]:
        size = self.sys.listxattr(path, self.area, PAGE)
        return self.sys.load(self.area, size).decode().split("\0")[:-1]

    def utimens(self, slot: int, path: str, flags: int) -> Any:
        now = ((0, UTIME_NOW), (0, UTIME_NOW))
        return self.sys.utimensat(self.fd(slot), path, now, flags)

    def __getattr__(self, name: str) -> Any:
        call = getattr(self.sys, name)
        by_slot = name in (
            "read", "write", "unlinkat", "mkdirat", "fchdir", "faccessat2", "fchmod", "ftruncate",
            "readlinkat", "fchown",
        )  # fmt: skip

        def run(*args: Any) -> Any:
            if by_slot:
                args = (self.fd(args[0]), *args[1:])
            return call(*args)

        return run


# What os returns None for, the calls return 0 for.
def plain(results: list[Any]) -> list[Any]:
    return [None if result == 0 else result for result in results]


def on_the_host(base: str, uid: int, steps: list[Step]) -> list[Any]:
    """Run steps in a child of the host's that becomes uid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(base)
            os.chroot(base)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.umask(0o022)
            output = pickle.dumps(Host().run(steps))
        except BaseException as error:  # the parent is to see it, whatever it is
            output = pickle.dumps(repr(error))
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(output)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        output = pipe.read()
    os.waitpid(pid, 0)
    results = pickle.loads(output)
    assert isinstance(results, list), results
    return results


def on_the_kernel(uid: int, steps: list[Step]) -> list[Any]:
    with Kernel(ram="4M") as kernel:
        root = Sys(kernel.spawn(uid=0, gid=0))
        root.mkdir("/tmp/base", 0o755)
        root.chown("/tmp/base", uid, uid)
        root.chroot("/tmp/base")
        root.chdir("/")
        user = Sys(fork(root.task))
        user.task.set_credentials(uid, uid, user.task.caps if uid == 0 else frozenset())
        results = Ours(user).run(steps)
        kernel.check()
    return results


@pytest.fixture
def base() -> Iterator[str]:
    path = tempfile.mkdtemp()
    yield path
    for directory, _, _ in os.walk(path):
        os.chmod(directory, 0o700)
    shutil.rmtree(path)


@pytest.mark.skipif(os.getuid() != 0, reason="the host's chroot is for root")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("uid", [0, USER])
def test_the_host_does_the_same(base: str, uid: int, seed: int) -> None:
    os.chown(base, uid, uid)
    os.chmod(base, 0o755)
    steps = sequence(seed)
    expected, got = on_the_host(base, uid, steps), on_the_kernel(uid, steps)
    for number, (step, theirs, ours) in enumerate(
        zip(steps, plain(expected), plain(got), strict=True)
    ):
        assert ours == theirs, (
            f"step {number}: {step}\nbefore: {steps[max(0, number - 12) : number]}"
        )
