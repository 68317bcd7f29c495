"""inotify: limits, users, what ends a watch; tests/system/elf/files/watch.c compares the events."""

from __future__ import annotations

import errno
import struct

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

Event = tuple[int, int, str]


def events(sys: Sys, fd: int) -> list[Event]:
    """Read all that waits: (watch, mask, name)."""
    found: list[Event] = []
    try:
        data = sys.read(fd, 1 << 16)
    except SyscallError as error:
        assert error.errno == errno.EAGAIN
        return found
    while data:
        wd, mask, _, length = struct.unpack_from("<iIII", data)
        found.append((wd, mask, data[16 : 16 + length].rstrip(b"\0").decode()))
        data = data[16 + length :]
    return found


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    return Sys(kernel.spawn(uid=0))


def test_nobody_looks_while_nobody_watches(sys: Sys, kernel: Kernel) -> None:
    fd = sys.inotify_init1(sys.IN_NONBLOCK)
    assert kernel.vfs.notify is None
    wd = sys.inotify_add_watch(fd, "/tmp", sys.IN_CREATE)
    assert kernel.vfs.notify is not None
    sys.mkdir("/tmp/a", 0o755)
    assert events(sys, fd) == [(wd, sys.IN_CREATE | sys.IN_ISDIR, "a")]
    sys.inotify_rm_watch(fd, wd)
    assert kernel.vfs.notify is None
    other = sys.inotify_add_watch(fd, "/tmp", sys.IN_CREATE)
    assert other == wd + 1
    sys.close(fd)
    assert kernel.vfs.notify is None
    sys.mkdir("/tmp/b", 0o755)


def test_limits_of_a_user(kernel: Kernel) -> None:
    kernel.sysctl["fs.inotify.max_user_instances"] = 2
    kernel.sysctl["fs.inotify.max_user_watches"] = 3
    sys, other = Sys(kernel.spawn(uid=1000)), Sys(kernel.spawn(uid=1001))
    first, second = sys.inotify_init(), sys.inotify_init()
    with pytest.raises(SyscallError) as refused:
        sys.inotify_init()
    assert refused.value.errno == errno.EMFILE
    assert other.inotify_init() == first
    for fd, path in ((first, "/tmp"), (second, "/tmp"), (first, "/dev")):
        sys.inotify_add_watch(fd, path, sys.IN_OPEN)
    with pytest.raises(SyscallError) as refused:
        sys.inotify_add_watch(second, "/dev", sys.IN_OPEN)
    assert refused.value.errno == errno.ENOSPC
    sys.inotify_add_watch(first, "/dev", sys.IN_CLOSE_WRITE)
    sys.close(second)
    sys.inotify_init()


def test_rights_and_what_a_user_may_watch(sys: Sys, kernel: Kernel) -> None:
    sys.mkdir("/tmp/closed", 0o700)
    user = Sys(kernel.spawn(uid=1000))
    fd = user.inotify_init1(user.IN_NONBLOCK)
    with pytest.raises(SyscallError) as refused:
        user.inotify_add_watch(fd, "/tmp/closed", user.IN_OPEN)
    assert refused.value.errno == errno.EACCES


def test_events_overflow_once(sys: Sys, kernel: Kernel) -> None:
    kernel.sysctl["fs.inotify.max_queued_events"] = 4
    fd = sys.inotify_init1(sys.IN_NONBLOCK)
    wd = sys.inotify_add_watch(fd, "/tmp", sys.IN_CREATE)
    for name in "abcdefg":
        sys.mkdir(f"/tmp/{name}", 0o755)
    found = events(sys, fd)
    assert found[-1] == (-1, sys.IN_Q_OVERFLOW, "")
    assert [event[0] for event in found] == [wd] * 4 + [-1]
    sys.mkdir("/tmp/h", 0o755)
    assert events(sys, fd) == [(wd, sys.IN_CREATE | sys.IN_ISDIR, "h")]


def test_a_child_reads_the_same_events(sys: Sys) -> None:
    fd = sys.inotify_init1(sys.IN_NONBLOCK)
    wd = sys.inotify_add_watch(fd, "/tmp", sys.IN_MOVE)
    sys.mkdir("/tmp/a", 0o755)
    child = sys.fork()
    sys.rename("/tmp/a", "/tmp/b")
    assert [event[2] for event in events(child, fd)] == ["a", "b"]
    assert events(sys, fd) == []
    sys.close(fd)
    sys.rename("/tmp/b", "/tmp/c")
    assert [event[0] for event in events(child, fd)] == [wd, wd]


def test_fdinfo_lists_the_watches(sys: Sys) -> None:
    fd = sys.inotify_init()
    sys.inotify_add_watch(fd, "/tmp", sys.IN_OPEN)
    info = sys.open(f"/proc/self/fdinfo/{fd}", sys.O_RDONLY)
    assert b"inotify wd:1 ino:" in sys.read(info, 4096)
