"""System V shared memory."""

import errno

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE, SHM_NORESERVE = 4096, 0o10000


def refused(number: int) -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == number)


def test_two_tasks_share_a_segment_until_the_last_detaches(kernel: Kernel) -> None:
    one, two = Sys(kernel.spawn()), Sys(kernel.spawn())
    free = int(kernel.counters.nr_free)
    shmid = one.shmget(0x1234, 10000, one.IPC_CREAT | 0o600)
    here, there = one.shmat(shmid), two.shmat(two.shmget(0x1234, 10000))
    one.store(here + 9000, b"hello")
    assert two.load(there + 9000, 5) == b"hello"
    assert one.shmctl(shmid, one.IPC_STAT).shm_nattch == 2
    fd = one.open("/proc/self/maps")
    assert b"/SYSV00001234 (deleted)" in one.read(fd, 4096)
    one.close(fd)
    one.shmctl(shmid, one.IPC_RMID)
    one.shmdt(here)
    assert two.load(there + 9000, 5) == b"hello"
    two.exit()
    with refused(errno.EINVAL):
        one.shmat(shmid)
    one.munmap(0x10000, 4096)
    assert int(kernel.counters.nr_shmem) == 0
    assert int(kernel.counters.nr_free) <= free + 40  # the second task's tables came back


def test_what_shm_lock_keeps_is_unevictable_but_not_mlocked(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0, gid=0))
    shmid = sys.shmget(sys.IPC_PRIVATE, 3 * PAGE, 0o600)
    sys.touch(sys.shmat(shmid), 3 * PAGE)
    own = sys.mmap(0, PAGE, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS, -1, 0)
    sys.mprotect(own, PAGE, sys.PROT_READ | sys.PROT_WRITE)
    sys.mlock(own, PAGE)
    sys.shmctl(shmid, sys.SHM_LOCK)
    fd = sys.open("/proc/meminfo")
    sizes = dict(line.split(b":") for line in sys.read(fd, 65536).splitlines())
    assert sizes[b"Unevictable"].split() == [b"16", b"kB"]
    assert sizes[b"Mlocked"].split() == [b"4", b"kB"]


def test_errors_of_shmget_and_shmat(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    with refused(errno.ENOENT):
        sys.shmget(7, 4096)
    with refused(errno.EINVAL):
        sys.shmget(7, 0, sys.IPC_CREAT)
    shmid = sys.shmget(7, 4096, sys.IPC_CREAT | 0o600)
    with refused(errno.EEXIST):
        sys.shmget(7, 4096, sys.IPC_CREAT | sys.IPC_EXCL)
    with refused(errno.EINVAL):
        sys.shmget(7, 8192)
    at = sys.shmat(shmid, 0x10000000)
    with refused(errno.EINVAL):
        sys.shmat(shmid, at)
    assert sys.shmat(shmid, at, sys.SHM_REMAP) == at
    with refused(errno.EINVAL):
        sys.shmat(shmid, at + 1)
    with refused(errno.EINVAL):
        sys.shmdt(at + 4096)
    other = Sys(kernel.spawn(uid=2000))
    with refused(errno.EACCES):
        other.shmat(shmid)
    with refused(errno.EPERM):
        other.shmctl(shmid, sys.IPC_RMID)


@pytest.mark.parametrize("flags", [0, SHM_NORESERVE])
@pytest.mark.parametrize(
    ("size", "number"),
    [(1 << 63, errno.EINVAL), ((1 << 64) - 4096, errno.EINVAL), ((1 << 64) - 4095, errno.ENOSPC)],
)
def test_a_segment_is_no_larger_than_a_file(
    kernel: Kernel, size: int, number: int, flags: int
) -> None:
    kernel.sysctl["kernel.shmmax"] = kernel.sysctl["kernel.shmall"] = (1 << 64) - 1
    sys = Sys(kernel.spawn())
    with refused(number):
        sys.shmget(0, size, sys.IPC_CREAT | flags)


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="1M")
def test_a_locked_segment_stays_in_memory(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    shmid = sys.shmget(0, 8 * PAGE, sys.IPC_CREAT | 0o600)
    at = sys.shmat(shmid)
    sys.store(at, bytes(range(1, 256)) * 128)
    sys.shmctl(shmid, sys.SHM_LOCK)
    assert kernel.counters.nr_unevictable == 8
    assert sys.shmctl(shmid, sys.IPC_STAT).mode & 0o2000
    while kernel.memory.reclaim(1 << 20):
        pass
    assert sys.mincore(at, 8 * PAGE) == b"\1" * 8
    sys.shmctl(shmid, sys.SHM_UNLOCK)
    while kernel.memory.reclaim(1 << 20):
        pass
    assert sys.mincore(at, 8 * PAGE) == bytes(8)
    assert kernel.counters.nr_unevictable == 0
    assert sys.load(at, 255) == bytes(range(1, 256))


def test_locking_a_segment_counts_against_the_limit(kernel: Kernel) -> None:
    sys, other = Sys(kernel.spawn()), Sys(kernel.spawn(uid=2000))
    one, two = (sys.shmget(0, 4 * PAGE, sys.IPC_CREAT | 0o600) for _ in range(2))
    sys.setrlimit(sys.RLIMIT_MEMLOCK, (6 * PAGE, 6 * PAGE))
    sys.shmctl(one, sys.SHM_LOCK)
    with refused(errno.ENOMEM):
        sys.shmctl(two, sys.SHM_LOCK)
    sys.shmctl(one, sys.SHM_UNLOCK)
    sys.shmctl(two, sys.SHM_LOCK)
    with refused(errno.EPERM):
        other.shmctl(two, sys.SHM_UNLOCK)
