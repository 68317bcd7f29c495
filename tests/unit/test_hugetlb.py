"""Large pages through the system calls: the pool, its gate, and what /proc says."""

import errno

import pytest

from kernel.core import lib
from kernel.errors import SyscallError
from kernel.machine import Kernel
from syscalls import mman, pipes, shm, sizes

HUGE = 2 << 20
RW = lib.PROT_READ | lib.PROT_WRITE
ANON = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS | lib.MAP_HUGETLB
IPC_CREAT, SHM_HUGETLB, MFD_HUGETLB = 0o1000, 0o4000, 4


def refused(call, number):
    with pytest.raises(SyscallError) as caught:
        call()
    assert caught.value.errno == number


@pytest.fixture
def kernel():
    with Kernel("32M", sysctl={"vm.nr_hugepages": 4}) as kernel:
        yield kernel
        kernel.check()


def meminfo(kernel, task, name):
    text = kernel.vfs.open(task, "/proc/meminfo", 0).inode.read(0, 1 << 16).decode()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name + ":")))


def test_a_mapping_takes_its_pages_from_the_pool(kernel):
    task = kernel.spawn()
    at = mman.mmap(task, 0, HUGE + 1, RW, ANON, -1, 0)
    assert at % HUGE == 0
    assert meminfo(kernel, task, "HugePages_Free") == 2
    task.mm.write(at + HUGE, b"there")
    assert task.mm.vma_at(at).end == at + 2 * HUGE
    refused(lambda: mman.mmap(task, 0, 3 * HUGE, RW, ANON, -1, 0), errno.ENOMEM)
    refused(lambda: mman.mmap(task, 0, HUGE, RW, ANON | 30 << 26, -1, 0), errno.EINVAL)
    mman.munmap(task, at, 2 * HUGE)
    assert meminfo(kernel, task, "HugePages_Free") == 4


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


def test_fallocate_takes_large_pages(kernel):
    task = kernel.spawn()
    fd = pipes.memfd_create(task, "large", MFD_HUGETLB)
    sizes.fallocate(task, fd, 0, 100, 3 << 20)
    assert meminfo(kernel, task, "HugePages_Free") == 2
    at = mman.mmap(task, 0, 2 * HUGE, RW, lib.MAP_SHARED, fd, 0)
    task.mm.write(at + HUGE, b"there")
    refused(lambda: sizes.fallocate(task, fd, 0, 0, 5 * HUGE), errno.ENOSPC)
    sizes.ftruncate(task, fd, 0)
    assert meminfo(kernel, task, "HugePages_Free") == 4


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
