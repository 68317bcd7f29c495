"""userfaultfd in Python programs: a monitor of its own, swap, fork, and what the checker counts.

tests/system/elf/memory/userfaultfd.c and userfaults.c compare what programs see with the host.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import BusError, SyscallError
from pkern.kernel.machine import Kernel
from pkern.syscalls.memory.userfaultfd import set_monitor
from pkern.userland.program import Sys

PAGE = 4096
HUGE = 2 << 20
API, REGISTER, UNREGISTER, WAKE = 0xC018AA3F, 0xC020AA00, 0x8010AA01, 0x8010AA02
COPY, ZEROPAGE, MOVE, PROTECT = 0xC028AA03, 0xC020AA04, 0xC028AA05, 0xC018AA06
CONTINUE, POISON = 0xC020AA07, 0xC020AA08
MISSING, WP, MINOR = 1, 2, 4
EVENT_FORK, SIGBUS, WP_UNPOPULATED, WP_ASYNC = 0x2, 0x80, 0x2000, 0x8000


class Monitor:
    """A context of a Python program, and the memory where its ioctls' structs lie."""

    def __init__(self, sys: Sys, features: int = 0) -> None:
        self.sys = sys
        self.args = sys.mmap(0, PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        self.fd = sys.userfaultfd(sys.O_NONBLOCK)
        self.call(API, 0xAA, features, 0)

    def call(self, request: int, *words: int) -> tuple[int, ...]:
        """Make an ioctl with a struct of words; return the struct afterwards."""
        form = f"<{len(words)}Q"
        self.sys.store(self.args, struct.pack(form, *words))
        self.sys.ioctl(self.fd, request, self.args)
        return struct.unpack(form, self.sys.load(self.args, 8 * len(words)))

    def watch(self, addr: int, nr: int, mode: int = MISSING) -> int:
        return self.call(REGISTER, addr, nr * PAGE, mode, 0)[3]

    def copy(self, dst: int, src: int, nr: int = 1, mode: int = 0) -> None:
        self.call(COPY, dst, src, nr * PAGE, mode, 0)

    def protect(self, addr: int, nr: int = 1, mode: int = 1) -> None:
        self.call(PROTECT, addr, nr * PAGE, mode)

    def message(self) -> tuple[int, ...]:
        """Read one: event and three words."""
        found: tuple[int, ...] = struct.unpack("<B7x3Q", self.sys.read(self.fd, 32))
        return found


def anonymous(sys: Sys, nr: int = 4, kind: int = 2) -> int:
    at: int = sys.mmap(0, nr * PAGE, 3, kind | sys.MAP_ANONYMOUS)
    return at


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    return Sys(kernel.spawn(uid=0))


def test_a_load_without_a_monitor_is_refused_and_can_be_tried_again(sys: Sys) -> None:
    monitor = Monitor(sys)
    at, source = anonymous(sys), anonymous(sys, 1)
    sys.store(source, b"served")
    monitor.watch(at, 4)
    with pytest.raises(BlockingIOError):
        sys.load(at + PAGE + 5, 1)
    assert monitor.message() == (0x12, 0, at + PAGE, 0)
    with pytest.raises(BlockingIOError):
        monitor.message()
    monitor.copy(at + PAGE, source)
    assert sys.load(at + PAGE, 6) == b"served"
    with pytest.raises(BlockingIOError):
        sys.write(sys.memfd_create("x"), sys.load(at, 1))


def test_a_python_function_is_the_monitor(sys: Sys) -> None:
    monitor = Monitor(sys)
    at, source = anonymous(sys), anonymous(sys, 1)
    told: list[int] = []

    def serve(message: bytes) -> None:
        _, flags, addr, _ = struct.unpack("<B7x3Q", message)
        told.append(flags)
        sys.store(source, bytes([65 + len(told)]) * PAGE)
        monitor.copy(addr, source)

    monitor.watch(at, 4)
    set_monitor(sys.task, monitor.fd, serve)
    assert sys.load(at, 2) == b"BB"
    sys.store(at + PAGE, b"x")
    assert sys.load(at + PAGE, 2) == b"xC"
    reader, writer = sys.pipe()
    assert sys.write(writer, sys.load(at + 2 * PAGE, 3)) == 3, "the kernel's copy is served, too"
    assert sys.read(reader, 3) == b"DDD"
    assert told == [0, 1, 0]


def test_the_kernels_access_is_served_by_the_function(sys: Sys) -> None:
    monitor = Monitor(sys)
    at, source = anonymous(sys), anonymous(sys, 1)
    monitor.watch(at, 4)
    set_monitor(sys.task, monitor.fd, lambda message: monitor.copy(at, source))
    assert sys.process_vm_writev(sys.getpid(), at, b"abc") == 3
    assert sys.load(at, 3) == b"abc"


@pytest.mark.all_rmaps
def test_contexts_keep_mappings_apart(kernel: Kernel, sys: Sys) -> None:
    one, two = Monitor(sys), Monitor(sys)
    at = anonymous(sys, 6)
    before = len(sys.task.mm.vmas())
    one.watch(at, 2)
    two.watch(at + 2 * PAGE, 2)
    assert len(sys.task.mm.vmas()) == before + 2
    with pytest.raises(SyscallError) as caught:
        two.watch(at, 6)
    assert caught.value.errno == errno.EBUSY
    sys.close(two.fd)
    assert len(sys.task.mm.vmas()) == before + 1
    one.watch(at, 6)
    assert len(sys.task.mm.vmas()) == before + 1
    sys.close(one.fd)
    assert len(sys.task.mm.vmas()) == before
    kernel.check()


@pytest.mark.all_rmaps
def test_moved_pages_are_found_by_the_reverse_map(kernel: Kernel, sys: Sys) -> None:
    monitor = Monitor(sys)
    to, source = anonymous(sys, 4), anonymous(sys, 4)
    monitor.watch(to, 4)
    for page in range(3):
        sys.store(source + page * PAGE, b"page%d" % page)
    moved = monitor.call(MOVE, to, source, 4 * PAGE, 2, 0)
    assert moved[4] == 4 * PAGE
    kernel.check()
    child = sys.fork()
    kernel.check()
    assert child.load(to + 2 * PAGE, 5) == b"page2" and sys.load(source, 5) == bytes(5)


@pytest.mark.all_rmaps
def test_protection_and_sharing_survive_swap() -> None:
    with Kernel(ram="16M", swap="1M") as machine:
        sys = Sys(machine.spawn(uid=0))
        monitor, at, to = Monitor(sys), anonymous(sys), anonymous(sys)
        monitor.watch(at, 4, WP)
        monitor.watch(to, 4)
        sys.store(at, b"x" * 3 * PAGE)
        monitor.protect(at, 1)
        child = sys.fork()
        sys.madvise(at, 3 * PAGE, sys.MADV_PAGEOUT)
        child.exit(0)
        machine.check()
        assert sys.load(at, 1) == b"x"
        with pytest.raises(BlockingIOError):
            sys.store(at, b"y")
        assert monitor.message()[1] == 3
        with pytest.raises(SyscallError) as caught:
            monitor.call(MOVE, to, at + PAGE, PAGE, 0, 0)
        assert caught.value.errno == errno.EBUSY, "a child has seen it"
        sys.store(at + 2 * PAGE, b"z")
        sys.madvise(at + 2 * PAGE, PAGE, sys.MADV_PAGEOUT)
        monitor.call(MOVE, to, at + 2 * PAGE, PAGE, 0, 0)
        machine.check()
        assert sys.load(to, 2) == b"zx"


def test_a_child_gets_a_context_of_its_own(kernel: Kernel, sys: Sys) -> None:
    monitor, at = Monitor(sys, EVENT_FORK), anonymous(sys)
    monitor.watch(at, 4, MISSING | WP)
    child = sys.fork()
    event, fd, _, _ = monitor.message()
    assert event == 0x13 and fd > monitor.fd
    with pytest.raises(BlockingIOError):
        child.load(at, 1)
    assert struct.unpack("<B7x3Q", sys.read(fd, 32))[2] == at
    source = anonymous(sys, 1)
    sys.store(source, b"for the child")
    sys.store(monitor.args, struct.pack("<5Q", at, source, PAGE, 0, 0))
    sys.ioctl(fd, COPY, monitor.args)
    assert child.load(at, 13) == b"for the child"
    kernel.check()
    child.exit(0)
    with pytest.raises(SyscallError) as caught:
        sys.ioctl(fd, COPY, monitor.args)
    assert caught.value.errno == errno.ESRCH
    sys.close(fd)
    sys.close(monitor.fd)
    kernel.check()


def test_large_pages(kernel: Kernel) -> None:
    with Kernel(ram="64M", sysctl={"vm.nr_hugepages": 6}) as machine:
        sys = Sys(machine.spawn(uid=0))
        monitor, source = Monitor(sys), anonymous(sys, 512)
        sys.store(source, b"large")
        for kind in (sys.MAP_PRIVATE, sys.MAP_SHARED):
            at = sys.mmap(0, 2 * HUGE, 3, kind | sys.MAP_ANONYMOUS | sys.MAP_HUGETLB)
            assert monitor.watch(at, 1024, MISSING | WP) == 0x14C
            with pytest.raises(BlockingIOError):
                sys.load(at + HUGE + 9 * PAGE, 1)
            assert monitor.message()[2] == at + HUGE
            monitor.copy(at + HUGE, source, 512)
            assert sys.load(at + HUGE, 5) == b"large"
            for wrong in ((ZEROPAGE, at, HUGE, 0, 0), (COPY, at, source, PAGE, 0, 0)):
                with pytest.raises(SyscallError) as caught:
                    monitor.call(*wrong)
                assert caught.value.errno == errno.EINVAL
            monitor.protect(at, 1024)
            with pytest.raises(BlockingIOError):
                sys.store(at + HUGE, b"x")
            assert monitor.message()[1:3] == (3, at + HUGE)
            machine.check()
            monitor.protect(at, 1024, 0)
            sys.store(at + HUGE, b"x")
            monitor.call(POISON, at, HUGE, 0, 0)
            with pytest.raises(BusError):
                sys.load(at, 1)
            machine.check()
            sys.munmap(at, 2 * HUGE)
            machine.check()
        assert machine.counters.nr_huge_free == 6


def test_what_refuses_a_large_page_where_one_is_first() -> None:
    with Kernel(ram="64M", sysctl={"vm.nr_hugepages": 6}) as machine:
        sys = Sys(machine.spawn(uid=0))
        monitor, wrong_source = Monitor(sys), PAGE
        for kind, refusal in ((sys.MAP_PRIVATE, errno.EFAULT), (sys.MAP_SHARED, errno.EEXIST)):
            at = sys.mmap(0, 2 * HUGE, 3, kind | sys.MAP_ANONYMOUS | sys.MAP_HUGETLB)
            sys.store(at, b"there")
            monitor.watch(at, 1024)
            for request, number in (
                ((COPY, at, wrong_source, HUGE, 0, 0), errno.EEXIST),
                ((COPY, at + HUGE, wrong_source, HUGE, 0, 0), errno.EFAULT),
                ((CONTINUE, at, HUGE, 0, 0), refusal),  # only a shared page is one of the file
            ):
                with pytest.raises(SyscallError) as caught:
                    monitor.call(*request)
                assert caught.value.errno == number


def test_pagemap_shows_of_a_mark_of_a_large_page_only_that_it_is_protected() -> None:
    with Kernel(ram="64M", sysctl={"vm.nr_hugepages": 4}) as machine:
        sys = Sys(machine.spawn(uid=0))
        monitor = Monitor(sys, WP_UNPOPULATED)
        at = sys.mmap(0, 2 * HUGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_HUGETLB)
        monitor.watch(at, 1024, MISSING | WP)
        monitor.protect(at, 512)
        monitor.call(POISON, at + HUGE, HUGE, 0, 0)
        assert struct.unpack("<2Q", _pagemap(sys, at + HUGE - PAGE, 2)) == (1 << 57, 0)
        machine.check()


def test_who_may_have_one(kernel: Kernel) -> None:
    user, root = Sys(kernel.spawn()), Sys(kernel.spawn(uid=0))
    with pytest.raises(PermissionError):
        user.userfaultfd(0)
    assert user.userfaultfd(1) >= 0
    with pytest.raises(PermissionError):
        user.open("/dev/userfaultfd", user.O_RDWR)
    device = root.open("/dev/userfaultfd", root.O_RDWR)
    assert root.ioctl(device, 0xAA00, root.O_NONBLOCK) > device
    kernel.sysctl["vm.unprivileged_userfaultfd"] = 1
    assert user.userfaultfd(0) >= 0


def test_sigbus_and_asynchronous_protection(sys: Sys) -> None:
    monitor, at = Monitor(sys, SIGBUS), anonymous(sys)
    monitor.watch(at, 4)
    with pytest.raises(BusError):
        sys.load(at, 1)
    monitor, at = Monitor(sys, WP_ASYNC), anonymous(sys)
    monitor.watch(at, 4, WP)
    monitor.protect(at, 4)
    sys.store(at + PAGE, b"x")
    words = struct.unpack("<4Q", _pagemap(sys, at, 4))
    assert [word >> 57 & 1 for word in words] == [1, 0, 1, 1]


def _pagemap(sys: Sys, at: int, nr: int) -> bytes:
    fd = sys.open("/proc/self/pagemap", sys.O_RDONLY)
    found: bytes = sys.pread64(fd, 8 * nr, at // PAGE * 8)
    sys.close(fd)
    return found


def _fills(sys: Sys) -> Iterator[tuple[str, Callable[[Monitor, int, int], object]]]:
    yield "copy", lambda m, at, source: m.copy(at, source, 3)
    yield "zeropage", lambda m, at, source: m.call(ZEROPAGE, at, 3 * PAGE, 0, 0)
    yield "poison", lambda m, at, source: m.call(POISON, at, 3 * PAGE, 0, 0)
    yield "move", lambda m, at, source: m.call(MOVE, at, source, 3 * PAGE, 0, 0)
    yield "protect", lambda m, at, source: m.protect(at, 3)
    yield "unwatch", lambda m, at, source: m.call(UNREGISTER, at + PAGE, PAGE)


@pytest.mark.all_rmaps
@pytest.mark.parametrize("kind", [1, 2])
def test_a_refused_allocation_loses_nothing(kernel: Kernel, sys: Sys, kind: int) -> None:
    """Each n-th allocation of each ioctl fails once: what was done stands, and goes on later."""
    monitor = Monitor(sys, WP_UNPOPULATED)
    for name, work in _fills(sys):
        if name == "move" and kind == 1:
            continue
        for nth in range(1, 40):
            at, source = anonymous(sys, 600, kind), anonymous(sys, 3)
            sys.store(source, b"x" * 3 * PAGE)
            monitor.watch(at, 600, MISSING | WP)
            lib.machine_fail_nth(kernel.core, nth)
            try:
                work(monitor, at, source)
            except SyscallError as error:
                assert error.errno in (errno.ENOMEM, errno.EAGAIN), (name, nth)
            survived = lib.machine_fail_pending(kernel.core)
            lib.machine_fail_nth(kernel.core, 0)
            kernel.check()
            sys.munmap(at, 600 * PAGE)
            sys.munmap(source, 3 * PAGE)
            if survived:
                break
        else:
            pytest.fail(f"{name} allocates without end")
    kernel.check()


def test_a_range_that_wraps_is_refused_as_without_a_monitor(sys: Sys) -> None:
    EVENT_UNMAP = 0x40
    Monitor(sys, EVENT_UNMAP)
    addr = anonymous(sys)
    for old, new in ((-PAGE, PAGE), (-PAGE, -PAGE), (1 << 63, 0)):
        assert sys.syscall(25, addr, old, new, 0, 0) == -errno.EINVAL
    assert sys.syscall(11, addr, -PAGE) == -errno.EINVAL


def test_continue_looks_for_the_files_page_before_it_looks_at_what_stands_there(sys: Sys) -> None:
    monitor, fd = Monitor(sys), sys.memfd_create("f", 0)
    sys.ftruncate(fd, PAGE)
    at = sys.mmap(0, PAGE, 3, sys.MAP_PRIVATE, fd)
    monitor.watch(at, 1)
    monitor.call(ZEROPAGE, at, PAGE, 0, 0)
    with pytest.raises(OSError, match="Bad address"):
        monitor.call(CONTINUE, at, PAGE, 0, 0)


@pytest.mark.parametrize("kind", [1, 2])
def test_copy_reads_no_page_behind_the_one_that_stands_in_its_way(sys: Sys, kind: int) -> None:
    monitor, fd = Monitor(sys), sys.memfd_create("f", 0)
    sys.ftruncate(fd, 4 * PAGE)
    at, source = sys.mmap(0, 4 * PAGE, 3, kind, fd), anonymous(sys)
    sys.store(at + PAGE, b"taken")
    monitor.watch(at, 4)
    with pytest.raises(BlockingIOError):
        monitor.copy(at, source, 4)
    assert sys.mincore(source, 4 * PAGE) == b"\1\1\0\0"
