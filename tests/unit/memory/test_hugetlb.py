"""Large pages through the system calls: the pool, its gate, and what /proc says."""

import errno
import struct

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import BusError, SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.clone import fork
from pkern.syscalls.files import fcntl, pipes, sizes, stat
from pkern.syscalls.files import read_write as files
from pkern.syscalls.memory import mman, protection, shm
from pkern.userland.program import Sys

HUGE, GIB = 2 << 20, 1 << 30
RW = lib.PROT_READ | lib.PROT_WRITE
ANON = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_HUGETLB
IPC_CREAT, SHM_HUGETLB, SHM_NORESERVE, MFD_HUGETLB = 0o1000, 0o4000, 0o10000, 4
SEEK_DATA, SEEK_HOLE, PUNCH = 3, 4, 3


def refused(call, number):
    with pytest.raises(SyscallError) as caught:
        call()
    assert caught.value.errno == number


@pytest.fixture
def kernel():
    with Kernel("32M", sysctl={"vm.nr_hugepages": 4}) as kernel:
        yield kernel
        kernel.check()


def shown(kernel, task, path, name):
    text = kernel.vfs.open(task, path, 0).inode.read(0, 1 << 20).decode()
    return next(line.split(None, 1)[1] for line in text.splitlines() if line.startswith(name + ":"))


def pool(kernel):
    """HugePages_Total, _Free, _Rsvd, _Surp."""
    task = kernel.spawn(uid=0)
    fields = ("Total", "Free", "Rsvd", "Surp")
    found = [int(shown(kernel, task, "/proc/meminfo", f"HugePages_{name}")) for name in fields]
    task.exit(0)
    return found


# What the host (Linux 6.18) answers to the same calls, with a pool of 4, is what is asserted here.


@pytest.mark.parametrize(("kind", "copied"), [(lib.MAP_PRIVATE, 1), (lib.MAP_SHARED, 0)])
def test_fork_copies_only_what_a_child_could_not_find_again(kernel, kind, copied):
    parent = Sys(kernel.spawn())
    at = parent.mmap(0, HUGE, RW, kind | lib.MAP_ANONYMOUS | lib.MAP_HUGETLB)
    parent.store(at, b"there")
    child = parent.fork()
    pagemap = child.open("/proc/self/pagemap", child.O_RDONLY)
    assert child.pread64(pagemap, 8, at // 4096 * 8)[7] >> 7 == copied  # present
    assert child.load(at, 5) == b"there"
    assert child.pread64(pagemap, 8, at // 4096 * 8)[7] >> 7 == 1


def test_mmap_promises_pages_and_a_touch_takes_them(kernel):
    task = kernel.spawn()
    at = mman.mmap(task, 0, HUGE + 1, RW, ANON, -1, 0)
    assert at % HUGE == 0
    assert pool(kernel) == [4, 4, 2, 0]
    task.mm.write(at + HUGE, b"there")
    assert pool(kernel) == [4, 3, 1, 0]
    assert task.mm.vma_at(at).end == at + 2 * HUGE
    refused(lambda: mman.mmap(task, 0, 3 * HUGE, RW, ANON, -1, 0), errno.ENOMEM)
    refused(lambda: mman.mmap(task, 0, HUGE, RW, ANON | 30 << 26, -1, 0), errno.ENOMEM)
    refused(lambda: mman.mmap(task, 0, HUGE, RW, ANON | 29 << 26, -1, 0), errno.EINVAL)
    assert shown(kernel, task, "/proc/self/status", "HugetlbPages").split() == ["2048", "kB"]
    mman.madvise(task, at + HUGE, HUGE, lib.MADV_DONTNEED)
    assert pool(kernel) == [4, 4, 2, 0]
    mman.munmap(task, at, 2 * HUGE)
    assert pool(kernel) == [4, 4, 0, 0]


def test_without_a_promise_a_touch_may_be_sigbus(kernel):
    task = kernel.spawn()
    for strict in (0, 2):  # MAP_NORESERVE holds for large pages whatever vm.overcommit_memory is
        kernel.sysctl["vm.overcommit_memory"] = strict
        at = mman.mmap(task, 0, 6 * HUGE, RW, ANON | lib.MAP_NORESERVE, -1, 0)
        assert pool(kernel) == [4, 4, 0, 0]
        task.mm.write(at + 3 * HUGE, b"x")
        mman.munmap(task, at, 6 * HUGE)
    kept = mman.mmap(task, 0, 4 * HUGE, RW, ANON, -1, 0)
    at = mman.mmap(task, 0, HUGE, RW, ANON | lib.MAP_NORESERVE | lib.MAP_POPULATE, -1, 0)
    with pytest.raises(BusError):
        task.mm.write(at, b"x")
    refused(lambda: mman.madvise(task, at, HUGE, lib.MADV_POPULATE_WRITE), errno.EFAULT)
    refused(lambda: mman.mlock(task, at, HUGE), errno.ENOMEM)
    task.mm.write(kept + 3 * HUGE, b"x")


def test_of_pages_of_1_gib_there_are_none(kernel):
    """The whole of what mappings of them answer: tests/system/elf/memory/gigantic.c."""
    kernel.sysctl["vm.nonlinear"] = 1
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB | 30 << 26)
    shared = lib.MAP_SHARED | lib.MAP_NORESERVE
    at = mman.mmap(task, 0, 1, RW, shared, fd, 0)
    assert at % GIB == 0
    assert (task.mm.vma_at(at).end - at, task.mm.vma_at(at).page_size) == (GIB, GIB)
    raw = mman.mmap(task, 0, HUGE, RW, lib.MAP_SHARED | lib.MAP_NONLINEAR | lib.MAP_HUGETLB, -1, 0)
    refused(lambda: mman.remap_file_pages(task, raw, HUGE, 0, 0, 0, fd), errno.ENOMEM)
    child = fork(task)
    with pytest.raises(BusError):
        child.mm.write(at + HUGE, b"x")
    refused(lambda: mman.munmap(task, at, HUGE), errno.EINVAL)
    mman.munmap(task, at, GIB)
    assert pool(kernel) == [4, 4, 0, 0]


def test_fork_the_owner_keeps_its_pages(kernel):
    task = kernel.spawn()
    at = mman.mmap(task, 0, 4 * HUGE, RW, ANON, -1, 0)
    for i in range(4):
        task.mm.write(at + i * HUGE, b"mine")
    child = fork(task)
    task.mm.write(at, b"new")  # there is no page for a copy: the child's is taken
    with pytest.raises(BusError):
        child.mm.read(at, 4)
    with pytest.raises(BusError):
        child.mm.write(at + HUGE, b"copy")
    assert child.mm.read(at + HUGE, 4) == b"mine"
    task.exit(0)
    child.mm.write(at + HUGE, b"copy")
    with pytest.raises(BusError):
        child.mm.read(at, 4)
    child.exit(0)
    assert pool(kernel) == [4, 4, 0, 0]


def test_the_surplus(kernel):
    task = kernel.spawn()
    kernel.sysctl["vm.nr_overcommit_hugepages"] = 2
    at = mman.mmap(task, 0, 6 * HUGE, RW, ANON, -1, 0)
    assert pool(kernel) == [6, 6, 6, 2]
    refused(lambda: mman.mmap(task, 0, HUGE, RW, ANON, -1, 0), errno.ENOMEM)
    task.mm.populate(at, 6 * HUGE)
    mman.munmap(task, at, 2 * HUGE)
    assert pool(kernel) == [4, 0, 0, 0]
    kernel.sysctl["vm.nr_hugepages"] = 1
    assert kernel.sysctl["vm.nr_hugepages"] == 1
    assert pool(kernel) == [4, 0, 0, 3]
    mman.munmap(task, at, 6 * HUGE)
    assert pool(kernel) == [1, 1, 0, 0]


def test_segments_are_not_promised_the_same_pages(kernel):
    task = kernel.spawn(uid=0)
    flags = IPC_CREAT | SHM_HUGETLB | 0o600
    first = shm.shmget(task, 0, 3 * HUGE, flags)
    assert pool(kernel) == [4, 4, 3, 0]
    refused(lambda: shm.shmget(task, 0, 2 * HUGE, flags), errno.ENOMEM)
    loose = shm.shmget(task, 0, 2 * HUGE, flags | SHM_NORESERVE)
    at = shm.shmat(task, loose, 0, 0)
    assert pool(kernel) == [4, 4, 3, 0]
    task.mm.write(at, b"x")
    with pytest.raises(BusError):
        task.mm.write(at + HUGE, b"x")
    shm.shmctl(task, loose, 0)
    assert pool(kernel) == [4, 3, 3, 0]
    shm.shmdt(task, at)  # the last one: it goes now
    assert pool(kernel) == [4, 4, 3, 0]
    at = shm.shmat(task, first, 0, 0)
    task.mm.write(at, b"x")
    shm.shmdt(task, at)
    assert pool(kernel) == [4, 3, 2, 0]
    shm.shmctl(task, first, 0)
    assert pool(kernel) == [4, 4, 0, 0]


@pytest.mark.parametrize("size", [1 << 54, 1 << 62, (1 << 63) - HUGE, 1 << 63])
def test_segments_of_giant_sizes_are_refused_at_once(kernel, size):
    task = kernel.spawn(uid=0)
    refused(lambda: shm.shmget(task, 0, size, IPC_CREAT | SHM_HUGETLB), errno.ENOMEM)
    unpromised = shm.shmget(task, 0, size, IPC_CREAT | SHM_HUGETLB | SHM_NORESERVE)
    refused(lambda: shm.shmat(task, unpromised, 0, 0), errno.ENOMEM)
    assert pool(kernel) == [4, 4, 0, 0]


def test_calls_on_giant_ranges_look_only_at_what_is_there(kernel):
    """Page by page, this would take minutes."""
    task = Sys(kernel.spawn())
    fd, size = task.memfd_create("h", MFD_HUGETLB), (1 << 63) - HUGE
    task.ftruncate(fd, size)
    at = task.mmap(0, 1 << 46, RW, lib.MAP_SHARED | lib.MAP_NORESERVE, fd)
    task.store(at + (1 << 45), b"there")
    task.madvise(at, 1 << 46, lib.MADV_DONTNEED)
    task.mprotect(at, 1 << 46, lib.PROT_READ)
    child = task.fork()
    assert child.load(at + (1 << 45), 5) == b"there"
    task.munmap(at, 1 << 46)
    for start in (size, size - 4095):
        refused(lambda start=start: task.fallocate(fd, 0, start, 4096), errno.ENOSPC)
    refused(lambda: task.fallocate(fd, 0, 0, 1 << 62), errno.ENOSPC)
    task.fallocate(fd, 0, size - HUGE, HUGE)
    assert pool(kernel) == [4, 2, 0, 0]


def test_an_offset_within_a_large_page_is_refused_when_the_place_is_empty(kernel):
    task = Sys(kernel.spawn())
    fd = task.memfd_create("h", MFD_HUGETLB)
    small = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_FIXED
    at = task.mmap(1 << 40, 2 * HUGE, RW, small)
    shared = lib.MAP_SHARED | lib.MAP_FIXED
    refused(lambda: task.mmap(at, HUGE, RW, shared, fd, 4096), errno.EINVAL)
    assert [(vma.start, vma.end) for vma in task.task.mm.vmas_in(at, at + 2 * HUGE)] == [
        (at + HUGE, at + 2 * HUGE)
    ]


def test_the_pool_is_what_there_is_memory_for():
    with Kernel("16M") as kernel:
        kernel.sysctl["vm.nr_hugepages"] = 1000
        assert 4 <= kernel.sysctl["vm.nr_hugepages"] < 8
        assert kernel.sysctl.read("vm.nr_hugepages") == f"{kernel.sysctl['vm.nr_hugepages']}\n"


def test_the_group_s_gate(kernel):
    outsider, member, root = kernel.spawn(), kernel.spawn(gid=77), kernel.spawn(uid=0)
    kernel.sysctl["vm.hugetlb_shm_group"] = 77
    flags = IPC_CREAT | SHM_HUGETLB | 0o600
    refused(lambda: shm.shmget(outsider, 0, HUGE, flags), errno.EPERM)
    for task in (member, root):
        at = shm.shmat(task, shm.shmget(task, 0, 100, flags), 0, 0)
        task.mm.write(at + HUGE - 1, b"x")
    kernel.sysctl["vm.disable_cap_mlock"] = 1
    shm.shmget(outsider, 0, HUGE, flags)


def test_a_memfd_of_large_pages(kernel):
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB)
    refused(lambda: sizes.ftruncate(task, fd, 100), errno.EINVAL)
    sizes.ftruncate(task, fd, 2 * HUGE)
    at = mman.mmap(task, 0, HUGE, RW, lib.MAP_SHARED, fd, 0)
    other = mman.mmap(task, 0, HUGE, RW, lib.MAP_SHARED | lib.MAP_HUGETLB, fd, 0)
    task.mm.write(at, b"same")
    assert task.mm.read(other, 4) == b"same"
    refused(lambda: mman.mmap(task, 0, HUGE, RW, lib.MAP_SHARED, fd, 4096), errno.EINVAL)


def test_a_file_is_read_and_grows_with_its_mappings_but_is_not_written(kernel):
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB)
    at = mman.mmap(task, 0, 2 * HUGE, RW, lib.MAP_SHARED, fd, 0)
    info = stat.fstat(task, fd)
    assert (info.st_size, info.st_blocks, info.st_blksize) == (2 * HUGE, 0, HUGE)
    task.mm.write(at + HUGE - 2, b"abcd")
    assert stat.fstat(task, fd).st_blocks == 8192
    assert files.pread64(task, fd, 8, HUGE - 4) == b"\0\0abcd\0\0"
    assert files.pread64(task, fd, 8, 2 * HUGE - 3) == b"\0\0\0"
    assert files.pread64(task, fd, 8, 2 * HUGE) == b""
    refused(lambda: files.write(task, fd, b"x"), errno.EINVAL)
    refused(lambda: files.pwrite64(task, fd, b"x", 0), errno.EINVAL)
    assert files.lseek(task, fd, HUGE, SEEK_DATA) == HUGE
    assert files.lseek(task, fd, 0, SEEK_HOLE) == 2 * HUGE
    refused(lambda: files.lseek(task, fd, 5 * HUGE, SEEK_DATA), errno.ENXIO)
    sizes.ftruncate(task, fd, HUGE)
    assert pool(kernel) == [4, 3, 0, 0]
    with pytest.raises(BusError):
        task.mm.read(at + HUGE, 1)


def test_a_private_view_shows_the_file_until_it_is_written(kernel):
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB)
    shared = mman.mmap(task, 0, HUGE, RW, lib.MAP_SHARED, fd, 0)
    task.mm.write(shared, b"file")
    own = mman.mmap(task, 0, HUGE, RW, lib.MAP_PRIVATE, fd, 0)
    assert task.mm.read(own, 4) == b"file"
    assert pool(kernel) == [4, 3, 1, 0]
    task.mm.write(own, b"mine")
    assert task.mm.read(shared, 4) == b"file"
    assert pool(kernel) == [4, 2, 0, 0]


def test_holes_are_punched_in_whole_pages_and_zeroed_at_the_edges(kernel):
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB)
    at = mman.mmap(task, 0, 3 * HUGE, RW, lib.MAP_SHARED, fd, 0)
    task.mm.write(at, b"\6" * 3 * HUGE)
    sizes.fallocate(task, fd, PUNCH, HUGE - 10, HUGE + 20)
    assert task.mm.read(at + HUGE - 11, 3) == b"\6\0\0"
    assert task.mm.read(at + 2 * HUGE + 9, 2) == b"\0\6"
    assert pool(kernel) == [4, 2, 0, 0]
    sizes.fallocate(task, fd, PUNCH, 100, 200)
    assert task.mm.read(at + 99, 2) + task.mm.read(at + 299, 2) == b"\6\0\0\6"
    mman.madvise(task, at + 4096, 4096, lib.MADV_REMOVE)
    assert task.mm.read(at + 4095, 2) + task.mm.read(at + 8191, 2) == b"\6\0\0\6"
    mman.madvise(task, at, 3 * HUGE, lib.MADV_REMOVE)
    assert pool(kernel) == [4, 4, 0, 0]
    assert stat.fstat(task, fd).st_blocks == 0
    for mode in (16, 8, 2):  # ZERO_RANGE, COLLAPSE_RANGE, PUNCH_HOLE alone
        refused(lambda mode=mode: sizes.fallocate(task, fd, mode, 0, HUGE), errno.EOPNOTSUPP)


def test_seals(kernel):
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB | 2)
    sizes.ftruncate(task, fd, 2 * HUGE)
    fcntl.fcntl(task, fd, 1033, 2 | 4)
    refused(lambda: sizes.ftruncate(task, fd, HUGE), errno.EPERM)
    refused(lambda: sizes.ftruncate(task, fd, 3), errno.EINVAL)
    refused(lambda: sizes.fallocate(task, fd, 1, 0, 3 * HUGE), errno.EPERM)
    sizes.fallocate(task, fd, 0, 0, HUGE)
    fcntl.fcntl(task, fd, 1033, 8)
    refused(lambda: sizes.fallocate(task, fd, PUNCH, 0, HUGE), errno.EPERM)


def test_what_smaps_says(kernel):
    task = kernel.spawn()
    at = mman.mmap(task, 0, 2 * HUGE, RW, ANON, -1, 0)
    task.mm.write(at, b"x")
    found = {name: shown(kernel, task, "/proc/self/smaps", name) for name in SMAPS}
    assert found == SMAPS
    mman.mlock(task, at, 2 * HUGE)  # brings them, and changes no flag
    assert pool(kernel) == [4, 2, 0, 0]
    assert shown(kernel, task, "/proc/self/smaps", "VmFlags") == SMAPS["VmFlags"]
    assert task.mm.counters.locked_vm == 0


SMAPS = {
    "Size": "4096 kB",
    "KernelPageSize": "2048 kB",
    "MMUPageSize": "2048 kB",
    "Rss": "0 kB",
    "Shared_Hugetlb": "0 kB",
    "Private_Hugetlb": "2048 kB",
    "Locked": "0 kB",
    "VmFlags": "rd wr mr mw me de ht ",
}


def test_mincore_asks_the_file_where_the_address_has_no_table(kernel):
    task = Sys(kernel.spawn())
    fd = task.memfd_create("h", MFD_HUGETLB)
    first = task.mmap(1 << 40, 2 * HUGE, RW, lib.MAP_SHARED | lib.MAP_FIXED, fd)
    task.store(first + HUGE, b"there")
    at = task.mmap(1 << 41, 2 * HUGE, RW, lib.MAP_SHARED | lib.MAP_FIXED, fd)
    assert task.mincore(at, 2 * HUGE) == b"\0" * 512 + b"\1" * 512
    task.load(at, 1)
    assert task.mincore(at, 2 * HUGE) == b"\1" * 512 + b"\0" * 512


@pytest.mark.parametrize(
    ("kind", "counts"),
    [(lib.MAP_PRIVATE, "anon=1 dirty=1 N0=1"), (lib.MAP_SHARED, "dirty=1 N0=1")],
)
def test_numa_maps_counts_private_large_pages_as_anonymous(kernel, kind, counts):
    task = Sys(kernel.spawn())
    fd = task.memfd_create("h", MFD_HUGETLB)
    task.ftruncate(fd, HUGE)
    task.store(task.mmap(0, HUGE, RW, kind, fd), b"x")
    lines = task.read(task.open("/proc/self/numa_maps", task.O_RDONLY), 4096).decode()
    assert f" huge {counts} kernelpagesize_kB=2048\n" in lines


def test_calls_on_parts_of_large_pages(kernel):
    task = kernel.spawn()
    at = mman.mmap(task, 0, 3 * HUGE, RW, ANON, -1, 0)
    task.mm.populate(at, 3 * HUGE)
    for start, length in ((at, 4096), (at + 4096, HUGE)):
        refused(
            lambda s=start, n=length: protection.mprotect(task, s, n, lib.PROT_READ), errno.EINVAL
        )
        refused(lambda s=start, n=length: mman.munmap(task, s, n), errno.EINVAL)
        refused(lambda s=start, n=length: mman.madvise(task, s, n, 10), errno.EINVAL)  # DONTFORK
    refused(lambda: mman.madvise(task, at + 4096, HUGE, lib.MADV_DONTNEED), errno.EINVAL)
    assert mman.madvise(task, at, 4096, lib.MADV_DONTNEED) == 0
    assert pool(kernel) == [4, 1, 0, 0]
    refused(lambda: mman.madvise(task, at, HUGE, lib.MADV_REMOVE), errno.EACCES)
    for advice in (lib.MADV_FREE, lib.MADV_COLD, lib.MADV_PAGEOUT, lib.MADV_WIPEONFORK):
        refused(lambda advice=advice: mman.madvise(task, at, HUGE, advice), errno.EINVAL)
    assert mman.madvise(task, at, HUGE, lib.MADV_WILLNEED) == 0
    assert mman.mlock(task, at, 4096) == mman.munlock(task, at, 4096) == 0
    assert mman.msync(task, at + 4096, 4096, 4) == 0
    mman.madvise(task, at + HUGE, HUGE, lib.MADV_DONTNEED)
    seen = mman.mincore(task, at, 3 * HUGE)
    assert (seen[0], seen[511], seen[512], seen[1535]) == (1, 1, 0, 1)


def test_mremap(kernel):
    task = kernel.spawn()
    at = mman.mmap(task, 0, 2 * HUGE, RW, ANON, -1, 0)
    task.mm.write(at, b"moved")
    to, move, fixed = at - 16 * HUGE, 1, 3
    for old, new, flags, place in (
        (HUGE, 2 * HUGE, move, 0),
        (2 * HUGE, 3 * HUGE, 0, 0),
        (0, 2 * HUGE, move, 0),
        (2 * HUGE, 2 * HUGE, fixed, to + 4096),
        (2 * HUGE, 2 * HUGE, move | 4, to),
    ):
        args = (task, at, old, new, flags, place)
        refused(lambda args=args: mman.mremap(*args), errno.EINVAL)
    refused(lambda: mman.mremap(task, at + 4096, HUGE, HUGE, 0), errno.EINVAL)
    assert mman.mremap(task, at, 4096, HUGE, move) == at
    assert mman.mremap(task, at, 2 * HUGE, 2 * HUGE, fixed, to) == to
    assert task.mm.read(to, 5) == b"moved"
    assert pool(kernel) == [4, 3, 1, 0]
    assert mman.mremap(task, to, 2 * HUGE, 4096, 0) == to
    assert pool(kernel) == [4, 3, 0, 0]


def test_fallocate_takes_large_pages(kernel):
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB)
    sizes.fallocate(task, fd, 0, 100, 3 << 20)
    assert pool(kernel) == [4, 2, 0, 0]
    at = mman.mmap(task, 0, 2 * HUGE, RW, lib.MAP_SHARED, fd, 0)
    task.mm.write(at + HUGE, b"there")
    refused(lambda: sizes.fallocate(task, fd, 0, 0, 5 * HUGE), errno.ENOSPC)
    assert pool(kernel) == [4, 0, 0, 0]  # what could be had stays
    sizes.ftruncate(task, fd, 0)
    assert pool(kernel) == [4, 4, 0, 0]
    sizes.fallocate(task, fd, 0, 100, 10)
    assert stat.fstat(task, fd).st_size == 110
    assert task.mm.read(at, 1) == b"\0"
    with pytest.raises(BusError):
        task.mm.read(at + HUGE, 1)


def test_a_special_vma_of_large_pages_is_one_entry_a_page(kernel):
    kernel.sysctl["vm.nonlinear"] = 1
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB)
    sizes.ftruncate(task, fd, 2 * HUGE)
    flags = lib.MAP_SHARED | lib.MAP_NONLINEAR | lib.MAP_HUGETLB
    at = mman.mmap(task, 0, 2 * HUGE, RW, flags, -1, 0)
    remaps = int(kernel.counters.remaps)
    mman.remap_file_pages(task, at, HUGE, 0, 512, 0, fd)
    mman.remap_file_pages(task, at + HUGE, HUGE, 0, 0, 0, fd)
    assert kernel.counters.remaps - remaps == 2
    task.mm.write(at, b"second")
    assert task.mm.read(at, 6) == b"second"


def test_a_hugetlbfs_has_its_size_and_the_pool_keeps_what_it_asks_for() -> None:
    with Kernel("32M", sysctl={"vm.nr_hugepages": 6}) as kernel:
        root = Sys(kernel.spawn(uid=0))
        root.mkdir("/mnt")
        root.mount("none", "/mnt", "hugetlbfs", 0, "size=8M,min_size=4M")
        counters = kernel.memory.counters
        assert counters.nr_huge_reserved == 2
        fd = root.open("/mnt/file", root.O_RDWR | root.O_CREAT)
        shared = (root.PROT_READ | root.PROT_WRITE, root.MAP_SHARED, fd, 0)
        refused(lambda: root.mmap(0, 5 * HUGE, *shared), errno.ENOMEM)
        at = root.mmap(0, 3 * HUGE, *shared)
        assert counters.nr_huge_reserved == 3
        root.store(at, b"x")
        assert struct.unpack_from("<7q", root.statfs("/mnt"))[1:5] == (HUGE, 4, 1, 1)
        kernel.check()
        root.munmap(at, 3 * HUGE)
        root.close(fd)
        root.unlink("/mnt/file")
        assert (counters.nr_huge_free, counters.nr_huge_reserved) == (6, 2)
        root.umount2("/mnt")
        assert counters.nr_huge_reserved == 0
