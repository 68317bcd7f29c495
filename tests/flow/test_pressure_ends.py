"""Never a hang: what wants more memory than there is ends, and bytes that were written are kept.

A call that waits for memory or for pages is made again; each of these would once have begun again
from its first page for ever, because the first page had gone while the last one came.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys
from tests.commands import SECONDS

PAGE = 4096
RAM_PAGES = 64
MANY = 2 * RAM_PAGES
READ, RW = 1, 3
SHARED, PRIVATE_ANON, POPULATE = 1, 0x22, 0x8000
SIGKILL = 9
EITHER = {"vm.overcommit_memory": 1, "vm.nonlinear": 1}
TINY = pytest.mark.boot(ram="256K", nrpte=3)
TINY_SWAPPING = pytest.mark.boot(ram="256K", swap="1M", nrpte=3)

pytestmark = [pytest.mark.all_rmaps, pytest.mark.sysctl(EITHER)]


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    def too_long(number: int, frame: object) -> None:
        raise AssertionError("the call does not end")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    return Sys(kernel.spawn())


def host_file(kernel: Kernel, sys: Sys, directory: Path, nr_pages: int = MANY) -> int:
    """Return a file of the host; its page i begins with the byte i + 1."""
    pages = [bytes([index + 1]).ljust(PAGE, b"\0") for index in range(nr_pages)]
    (directory / "file").write_bytes(b"".join(pages))
    (directory / "file").chmod(0o666)
    directory.chmod(0o777)
    kernel.vfs.mount("/mnt", HostFs(directory, Access.READ_WRITE))
    fd: int = sys.open("/mnt/file", sys.O_RDWR, 0)
    return fd


def anonymous(sys: Sys, nr_pages: int, flags: int = 0) -> int:
    addr: int = sys.mmap(0, nr_pages * PAGE, RW, PRIVATE_ANON | flags, -1, 0)
    return addr


def numbered(nr_pages: int) -> bytes:
    return b"".join(bytes([index + 1]).ljust(PAGE, b"\0") for index in range(nr_pages))


# ---- a file that is larger than memory ----


@TINY
@pytest.mark.parametrize("advice", [lib.MADV_WILLNEED, lib.MADV_POPULATE_READ])
def test_a_large_file_is_advised(kernel: Kernel, sys: Sys, tmp_path: Path, advice: int) -> None:
    fd = host_file(kernel, sys, tmp_path)
    addr = sys.mmap(0, MANY * PAGE, READ, SHARED, fd, 0)
    assert sys.madvise(addr, MANY * PAGE, advice) == 0
    assert sys.load(addr + (MANY - 1) * PAGE, 1) == bytes([MANY])


@TINY
def test_advice_that_was_interrupted_still_finds_the_hole(
    kernel: Kernel, sys: Sys, tmp_path: Path
) -> None:
    fd = host_file(kernel, sys, tmp_path)
    addr = sys.mmap(0, MANY * PAGE, READ, SHARED, fd, 0)
    sys.munmap(addr + PAGE, PAGE)
    with pytest.raises(SyscallError) as caught:
        sys.madvise(addr, MANY * PAGE, lib.MADV_WILLNEED)
    assert caught.value.errno == errno.ENOMEM


@TINY
def test_a_large_file_is_populated(kernel: Kernel, sys: Sys, tmp_path: Path) -> None:
    fd = host_file(kernel, sys, tmp_path)
    addr = sys.mmap(0, MANY * PAGE, READ, SHARED | POPULATE, fd, 0)
    assert sum(sys.mincore(addr, MANY * PAGE)) > 8
    assert sys.load(addr, 1) == b"\1"


@TINY
def test_a_large_file_is_read_and_written_by_one_call(
    kernel: Kernel, sys: Sys, tmp_path: Path
) -> None:
    fd = host_file(kernel, sys, tmp_path)
    assert sys.pread64(fd, RAM_PAGES * PAGE, 0) == numbered(MANY)[: RAM_PAGES * PAGE]
    assert sys.pwrite64(fd, b"x" * (MANY * PAGE), PAGE) == MANY * PAGE
    sys.fsync(fd)
    content = (tmp_path / "file").read_bytes()
    assert content == numbered(1) + b"x" * (MANY * PAGE)


@TINY_SWAPPING
def test_a_large_file_in_memory_is_written_and_read(kernel: Kernel, sys: Sys) -> None:
    fd = sys.memfd_create("large", 0)
    assert sys.pwrite64(fd, numbered(MANY), 0) == MANY * PAGE
    assert sys.pread64(fd, RAM_PAGES * PAGE, RAM_PAGES * PAGE) == numbered(MANY)[-64 * PAGE :]
    addr = anonymous(sys, MANY)
    assert sys.syscall(17, fd, addr, RAM_PAGES * PAGE, 0) == RAM_PAGES * PAGE
    assert sys.load(addr, RAM_PAGES * PAGE) == numbered(MANY)[: RAM_PAGES * PAGE]


@TINY_SWAPPING
def test_more_is_allocated_than_memory_holds(kernel: Kernel, sys: Sys) -> None:
    fd = sys.memfd_create("large", 0)
    assert sys.fallocate(fd, 0, 0, RAM_PAGES * PAGE) == 0
    assert sys.fallocate(fd, 0, RAM_PAGES * PAGE, RAM_PAGES * PAGE) == 0
    assert kernel.counters.nr_swap_used > RAM_PAGES


@TINY_SWAPPING
@pytest.mark.parametrize("how", ["populate", "advise"])
def test_more_anonymous_memory_is_populated_than_there_is(
    kernel: Kernel, sys: Sys, how: str
) -> None:
    addr = anonymous(sys, MANY, POPULATE if how == "populate" else 0)
    if how == "advise":
        sys.madvise(addr, MANY * PAGE, lib.MADV_POPULATE_WRITE)
    assert sys.task.mm.counters.nr_swap + sys.task.mm.counters.rss_anon == MANY


# ---- what cannot be had ends in an error or in the policy ----


@TINY
@pytest.mark.parametrize("swap", [0, 1 << 20])
@pytest.mark.parametrize("kind", ["host", "memory"])
def test_a_special_vma_of_more_than_memory(
    kernel: Kernel, sys: Sys, tmp_path: Path, kind: str, swap: int
) -> None:
    kernel.sysctl["vm.nonlinear_max_pages"] = 10 * MANY
    kernel.sysctl["vm.oom_policy"] = "kill_allocating"
    if swap:
        kernel.add_swap(swap)
    fd = host_file(kernel, sys, tmp_path) if kind == "host" else sys.memfd_create("large", 0)
    sys.ftruncate(fd, MANY * PAGE)
    addr = sys.mmap(0, MANY * PAGE, READ, SHARED | sys.MAP_NONLINEAR, -1, 0)
    with pytest.raises(SyscallError) as caught:
        sys.remap_file_pages(addr, MANY * PAGE, 0, 0, 0, fd)
    assert caught.value.errno == errno.ENOMEM
    assert kernel.counters.nr_special == 0
    sys.ftruncate(fd, PAGE)
    assert sys.remap_file_pages(addr, PAGE, 0, 0, 0, fd) == 0


@TINY_SWAPPING
def test_more_is_locked_than_there_is(kernel: Kernel, sys: Sys) -> None:
    addr = anonymous(sys, MANY)
    with pytest.raises(TaskKilled):
        sys.mlock(addr, MANY * PAGE)
    assert sys.task.exit_status == SIGKILL
    kernel.check()


@TINY_SWAPPING
def test_swapoff_does_not_swap_out_what_it_brings(kernel: Kernel, sys: Sys) -> None:
    """It went round for ever: a page brought back went out again to the area that was closing."""
    root = Sys(kernel.spawn(uid=0))
    addr = anonymous(sys, 100)
    sys.store(addr, numbered(100))
    with pytest.raises(SyscallError) as caught:
        root.swapoff("/dev/swap0")
    assert caught.value.errno == errno.ENOMEM
    assert sys.load(addr, 100 * PAGE) == numbered(100)
    other = kernel.add_swap(1 << 20)
    assert root.swapoff("/dev/swap0") == 0
    assert sys.load(addr, 100 * PAGE) == numbered(100)
    assert [area.path for area in kernel.swap.areas] == [other]


@TINY_SWAPPING
@pytest.mark.parametrize("policy", ["loop", "kill_allocating"])
def test_a_writer_to_memory_that_ends_is_the_one_who_dies(
    kernel: Kernel, sys: Sys, policy: str
) -> None:
    """Its write went on without it, to the deadlock of a machine with no task."""
    kernel.sysctl["vm.oom_policy"] = policy
    fd = sys.memfd_create("endless", 0)
    with pytest.raises((TaskKilled, SyscallError)) as caught:
        for index in range(1000):
            sys.pwrite64(fd, bytes(PAGE), index * PAGE)
    if policy == "loop":
        assert isinstance(caught.value, TaskKilled)
        assert kernel.counters.nr_shmem == 0
        assert kernel.memory.oom.kills == 1
    else:
        assert caught.value.errno == errno.ENOMEM  # type: ignore[union-attr]
        assert sys.task.alive


@TINY
def test_open_files_end_in_the_policy_and_leak_nothing(kernel: Kernel, sys: Sys) -> None:
    sys.task.rlimits["nofile"] = (1 << 20, 1 << 20)
    sys.close(sys.open("/tmp/file", sys.O_RDWR | sys.O_CREAT, 0o600))
    with pytest.raises(TaskKilled):
        while True:
            sys.open("/tmp/file", sys.O_RDWR, 0)
    assert not sys.task.fds.files
    assert kernel.counters.nr_slab < 5


@TINY
@pytest.mark.parametrize("what", ["vmas", "files", "forks", "memfds"])
def test_kernel_objects_alone_fill_memory(kernel: Kernel, sys: Sys, what: str) -> None:
    sys.task.rlimits["nofile"] = (1 << 20, 1 << 20)
    acts = {
        "vmas": lambda n: sys.mmap(0x10000000 + n * 2 * PAGE, PAGE, 1, PRIVATE_ANON | 16, -1, 0),
        "files": lambda n: sys.open(f"/tmp/{n}", sys.O_RDWR | sys.O_CREAT, 0o600),
        "forks": lambda n: sys.fork(),
        "memfds": lambda n: sys.memfd_create("x", 0),
    }
    with pytest.raises(TaskKilled):
        for number in range(100_000):
            acts[what](number)
    for task in list(kernel.tasks.values()):
        task.exit(0)
    kernel.check()


# ---- a task that was killed for another ----


@TINY
def test_a_killed_task_goes_no_further(kernel: Kernel, sys: Sys) -> None:
    """Its program may still be driven: once, a load through the dead address space crashed."""
    other = Sys(kernel.spawn())
    addr = anonymous(sys, 40)
    sys.touch(addr, 40 * PAGE)
    fd = sys.memfd_create("file", 0)
    other.touch(anonymous(other, 30), 30 * PAGE)
    assert (sys.task.exit_status, other.task.alive) == (SIGKILL, True)
    for act in (
        lambda: sys.load(addr, 1),
        lambda: sys.store(addr, b"x"),
        lambda: sys.touch(addr, PAGE),
        lambda: anonymous(sys, 1),
        lambda: sys.munmap(addr, PAGE),
        lambda: sys.msync(addr, PAGE, 4),
        lambda: sys.fork(),
        lambda: sys.open("/tmp/file", sys.O_RDWR | sys.O_CREAT, 0o600),
        lambda: sys.memfd_create("other", 0),
        lambda: sys.syscall(9, 0, PAGE, RW, PRIVATE_ANON, -1, 0),
        lambda: sys.read(fd, 1),
        lambda: sys.getpid(),
    ):
        with pytest.raises(TaskKilled, match="was killed by signal 9"):
            act()


@TINY
def test_a_task_that_has_exited_says_so(sys: Sys) -> None:
    sys.exit(3)
    with pytest.raises(TaskKilled, match="has ended"):
        anonymous(sys, 1)
