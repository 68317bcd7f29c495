"""Timers of POSIX and owners of files, as a Python program and /proc see them."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

CREATE, SETTIME, GETTIME, OVERRUN, DELETE = 222, 223, 224, 225, 226
SIGEV_SIGNAL, SIGEV_NONE = 0, 1
MONOTONIC, SECOND = 1, 10**9
F_SETOWN, F_GETOWN, F_SETSIG, F_SETFL, O_ASYNC = 8, 9, 10, 4, 0o20000


@pytest.fixture
def sys() -> Iterator[Sys]:
    with Kernel(ram="16M") as kernel:
        yield Sys(kernel.spawn())
        kernel.check()


def page(sys: Sys) -> int:
    return sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)


def make(sys: Sys, at: int, notify: int, signo: int = 10) -> int:
    sys.store(at, struct.pack("<Qiii", 7, signo, notify, 0))
    assert sys.syscall(CREATE, MONOTONIC, at, at + 64) == 0
    return int(struct.unpack("<i", sys.load(at + 64, 4))[0])


def left(sys: Sys, at: int, number: int) -> tuple[int, int]:
    assert sys.syscall(GETTIME, number, at) == 0
    words = struct.unpack("<4q", sys.load(at, 32))
    return words[0] * SECOND + words[1], words[2] * SECOND + words[3]


def test_what_is_left_follows_from_the_time(sys: Sys) -> None:
    at = page(sys)
    number = make(sys, at, SIGEV_NONE)
    assert left(sys, at, number) == (0, 0)
    sys.store(at, struct.pack("<4q", 3, 0, 5, 0))
    assert sys.syscall(SETTIME, number, 0, at, 0) == 0
    sys.nanosleep(2 * SECOND)
    interval, rest = left(sys, at, number)
    assert interval == 3 * SECOND and 2 * SECOND < rest <= 3 * SECOND
    sys.nanosleep(10 * SECOND)
    assert 0 < left(sys, at, number)[1] <= 3 * SECOND
    assert sys.syscall(OVERRUN, number) == 0


def test_numbers_are_not_given_twice_and_children_have_none(sys: Sys) -> None:
    at = page(sys)
    assert [make(sys, at, SIGEV_NONE) for _ in range(3)] == [0, 1, 2]
    assert sys.syscall(DELETE, 1) == 0
    assert make(sys, at, SIGEV_NONE) == 3
    child = sys.fork()
    assert child.syscall(DELETE, 0) == -errno.EINVAL
    assert make(child, at, SIGEV_NONE) == 0
    text = sys.read(sys.open(f"/proc/{sys.pid}/timers"), 4096).decode()
    assert text.count("ID: ") == 3 + text.count("ClockID: ")
    assert f"notify: none/pid.{sys.pid}\n" in text


def test_a_python_program_is_told_that_no_signal_would_come(sys: Sys) -> None:
    at = page(sys)
    number = make(sys, at, SIGEV_SIGNAL)
    sys.store(at, struct.pack("<4q", 0, 0, 5, 0))
    assert sys.syscall(SETTIME, number, 0, at, 0) == -errno.ENOSYS


def test_there_are_no_more_timers_than_signals_may_wait(sys: Sys) -> None:
    at = page(sys)
    sys.setrlimit(sys.RLIMIT_SIGPENDING, (2, 2))
    make(sys, at, SIGEV_NONE)
    make(sys, at, SIGEV_NONE)
    sys.store(at, struct.pack("<Qiii", 7, 10, SIGEV_NONE, 0))
    assert sys.syscall(CREATE, MONOTONIC, at, at + 64) == -errno.EAGAIN


def test_the_owner_of_a_pipe_hears_of_bytes_until_it_is_closed(sys: Sys) -> None:
    heard: list[int] = []
    sys.rt_sigaction(10, lambda signo, info: heard.append(info.si_fd))
    reader, writer = sys.pipe()
    sys.fcntl(reader, F_SETOWN, sys.pid)
    sys.fcntl(reader, F_SETSIG, 10)
    sys.fcntl(reader, F_SETFL, O_ASYNC)
    sys.write(writer, b"x")
    assert heard == [reader]
    other = sys.fcntl(reader, 0, 0)  # F_DUPFD: the same open file
    sys.close(reader)
    sys.write(writer, b"x")
    assert len(heard) == 2
    sys.close(other)
    assert not sys.task.fds.get(writer).inode.watchers


def test_an_owner_that_the_chooser_may_not_kill_hears_nothing() -> None:
    with Kernel(ram="16M") as kernel:
        user, root = Sys(kernel.spawn(uid=1000)), Sys(kernel.spawn(uid=0))
        heard: list[int] = []
        root.rt_sigaction(29, lambda signo, info: heard.append(signo))
        reader, writer = user.pipe()
        user.fcntl(reader, F_SETOWN, root.pid)
        assert user.fcntl(reader, F_GETOWN) == root.pid
        user.fcntl(reader, F_SETFL, O_ASYNC)
        user.write(writer, b"x")
        assert not heard
        kernel.check()
