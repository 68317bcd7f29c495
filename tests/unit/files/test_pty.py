"""Pseudo-terminals: what a machine keeps of them, and what its programs may do."""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

O_RDWR, O_NOCTTY, O_NONBLOCK = 2, 0o400, 0o4000
TIOCSPTLCK, TIOCGPTN, TIOCSCTTY, TIOCNOTTY, TIOCSTI = 0x40045431, 0x80045430, 0x540E, 0x5422, 0x5412
IOCTL = 16


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel(ram="16M") as kernel:
        yield kernel
        kernel.check()


class Terminal:
    """A pseudo-terminal of a task, both sides open."""

    def __init__(self, sys: Sys) -> None:
        self.sys = sys
        self.at = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        self.master = sys.open("/dev/ptmx", O_RDWR | O_NOCTTY)
        self.number = self.word(self.master, TIOCGPTN)
        self.path = f"/dev/pts/{self.number}"
        sys.store(self.at, bytes(4))
        assert sys.syscall(IOCTL, self.master, TIOCSPTLCK, self.at) == 0
        self.slave = sys.open(self.path, O_RDWR | O_NOCTTY)

    def word(self, fd: int, request: int) -> int:
        assert self.sys.syscall(IOCTL, fd, request, self.at) == 0
        return int(struct.unpack("<i", self.sys.load(self.at, 4))[0])


def test_names_come_and_go_with_their_masters(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    one, two = Terminal(sys), Terminal(sys)
    assert (one.number, two.number) == (0, 1)
    assert sys.stat(one.path).st_mode & 0o170777 == 0o020620
    assert kernel.vfs.listdir(sys.task, "/dev/pts") == ["ptmx", "0", "1"]
    sys.close(one.master)
    with pytest.raises(SyscallError, match=str(errno.ENOENT)):
        sys.open(one.path)
    assert sys.read(one.slave, 9) == b""
    assert Terminal(sys).number == 0


def test_the_number_of_terminals_is_a_sysctl(kernel: Kernel) -> None:
    kernel.sysctl["kernel.pty.max"] = 1
    sys = Sys(kernel.spawn())
    terminal = Terminal(sys)
    assert kernel.sysctl["kernel.pty.nr"] == 1
    with pytest.raises(SyscallError) as caught:
        sys.open("/dev/ptmx", O_RDWR)
    assert caught.value.errno == errno.ENOSPC
    sys.close(terminal.master)
    assert kernel.sysctl["kernel.pty.nr"] == 0


def test_a_node_of_ones_own_is_the_same_device(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    sys.mknod("/tmp/ptmx", 0o020600, 5 << 8 | 2)
    assert sys.fstat(sys.open("/tmp/ptmx", O_RDWR)).st_rdev == 5 << 8 | 2
    with pytest.raises(SyscallError) as caught:
        sys.open("/dev/tty")
    assert caught.value.errno == errno.ENXIO


def test_another_user_neither_opens_nor_types_for(kernel: Kernel) -> None:
    terminal, other = Terminal(Sys(kernel.spawn(uid=1000))), Sys(kernel.spawn(uid=1001, gid=1001))
    with pytest.raises(SyscallError) as caught:
        other.open(terminal.path, O_RDWR)
    assert caught.value.errno == errno.EACCES
    sys = terminal.sys
    sys.store(terminal.at, b"x")
    assert sys.syscall(IOCTL, terminal.slave, TIOCSTI, terminal.at) == -errno.EPERM


def test_a_session_has_one_terminal_and_a_terminal_one_session(kernel: Kernel) -> None:
    one, two = (Sys(kernel.spawn()) for _ in range(2))
    terminal = Terminal(one)
    assert one.syscall(IOCTL, terminal.slave, TIOCSCTTY, 0) == 0
    assert one.task.tty is kernel.terminals.terminals[0].slave
    assert f" {136 << 8} {one.pid} " in one.read(one.open("/proc/self/stat"), 999).decode()
    fd = two.open(terminal.path, O_RDWR)
    assert two.syscall(IOCTL, fd, TIOCSCTTY, 0) == -errno.EPERM
    assert one.fstat(one.open("/dev/tty", O_RDWR)).st_rdev == 5 << 8
    assert one.syscall(IOCTL, terminal.slave, TIOCNOTTY, 0) == 0
    assert one.task.tty is None


def test_what_nobody_reads_is_bounded(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    terminal = Terminal(sys)
    written = 0
    with pytest.raises(SyscallError) as caught:
        while True:
            written += sys.write(terminal.slave, bytes(1000))
    assert caught.value.errno == errno.EAGAIN
    assert 12_000 < written < 14_000
    typed = 0
    with pytest.raises(SyscallError) as caught:
        while True:
            typed += sys.write(terminal.master, b"x" * 999 + b"\n")
    assert caught.value.errno == errno.EAGAIN
    assert 65_536 < typed < 80_000


def test_who_ends_hangs_up_the_terminals_it_made(kernel: Kernel) -> None:
    one, two = (Sys(kernel.spawn()) for _ in range(2))
    terminal = Terminal(one)
    assert one.syscall(IOCTL, terminal.slave, TIOCSCTTY, 0) == 0
    slave = two.open(terminal.path, O_RDWR | O_NOCTTY)
    one.exit(0)
    assert two.read(slave, 9) == b""
    assert not kernel.terminals.terminals
