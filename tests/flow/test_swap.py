"""swapon and swapoff, what /proc says of swap, I/O errors, and writeback to the host."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import BusError, SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.mm import swap
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys

PAGE = 4096
RW, PRIVATE_ANON, SHARED = 3, 0x22, 1
MS_SYNC = 4
SWAPON, SWAPOFF = 167, 168


def evict(kernel: Kernel) -> None:
    while kernel.memory.reclaim(1 << 20):
        pass


def text(sys: Sys, path: str) -> str:
    fd = sys.open(path, 0, 0)
    chunks = iter(lambda: sys.read(fd, 65536), b"")
    found = b"".join(chunks).decode()
    sys.close(fd)
    return found


def field(sys: Sys, path: str, name: str) -> int:
    return int(next(x.split()[1] for x in text(sys, path).splitlines() if x.split()[0] == name))


def raw(sys: Sys, nr: int, path: str, flags: int = 0) -> int:
    at = sys.mmap(0, PAGE, RW, PRIVATE_ANON, -1, 0)
    sys.store(at, path.encode() + b"\0")
    return int(sys.syscall(nr, at, flags))


def host_mount(kernel: Kernel, directory: Path) -> None:
    directory.chmod(0o777)
    kernel.vfs.mount("/mnt", HostFs(directory, Access.READ_WRITE))


# ---- the calls ----


def test_a_host_file_made_by_mkswap_becomes_swap(tmp_path: Path) -> None:
    (tmp_path / "swap").write_bytes(swap.header(64).ljust(64 * PAGE, b"\0"))
    with Kernel("1M", sysctl={"vm.overcommit_memory": 1}) as kernel:
        host_mount(kernel, tmp_path)
        root = Sys(kernel.spawn(uid=0))
        assert raw(root, SWAPON, "/mnt/swap", 0x8000 | 5) == 0
        assert text(root, "/proc/swaps").splitlines()[1].split() == [
            "/mnt/swap", "file", "252", "0", "5",
        ]  # fmt: skip
        addr = root.mmap(0, 40 * PAGE, RW, PRIVATE_ANON, -1, 0)
        root.store(addr, b"kept")
        root.touch(addr, 40 * PAGE)
        evict(kernel)
        assert b"kept" in (tmp_path / "swap").read_bytes()
        assert raw(root, SWAPOFF, "/mnt/swap") == 0
        assert root.load(addr, 4) == b"kept"
        assert len(text(root, "/proc/swaps").splitlines()) == 1


def test_the_largest_area_is_the_one_that_the_core_takes() -> None:
    with Kernel(swap=swap.MOST_BYTES) as kernel:
        slots = swap.MOST_BYTES // PAGE
        assert lib.swap_on(kernel.core, 0, slots + 1, 0) == -errno.EINVAL
    with pytest.raises(ValueError, match=f"{swap.MOST_BYTES} bytes at most, not"):
        Kernel(swap="17T")


def test_errors_of_swapon_and_swapoff(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(bytes(8 * PAGE))
    (tmp_path / "short").write_bytes(swap.header(64).ljust(8 * PAGE, b"\0"))
    with Kernel("1M", swap="64K") as kernel:
        host_mount(kernel, tmp_path)
        root, user = Sys(kernel.spawn(uid=0)), Sys(kernel.spawn())
        for sys, nr, path, flags, number in (
            (user, SWAPON, "/dev/swap0", 0, errno.EPERM),
            (user, SWAPOFF, "/dev/swap0", 0, errno.EPERM),
            (user, SWAPON, "/dev/swap0", 1 << 20, errno.EINVAL),
            (root, SWAPON, "/dev/swap0", 0, errno.EBUSY),
            (root, SWAPON, "/none", 0, errno.ENOENT),
            (root, SWAPON, "/tmp", 0, errno.EISDIR),
            (root, SWAPON, "/mnt/plain", 0, errno.EINVAL),
            (root, SWAPON, "/mnt/short", 0, errno.EINVAL),
            (root, SWAPOFF, "/mnt/plain", 0, errno.EINVAL),
        ):
            assert raw(sys, nr, path, flags) == -number, (nr, path)
        assert raw(root, SWAPOFF, "/dev/swap0") == 0
        assert raw(root, SWAPOFF, "/dev/swap0") == -errno.EINVAL
        assert raw(root, SWAPON, "/dev/swap0") == 0


def test_swapoff_without_room_is_enomem_and_kills_no_one() -> None:
    with Kernel("1M", swap="4M", sysctl={"vm.overcommit_memory": 1}) as kernel:
        root = Sys(kernel.spawn(uid=0))
        addr = root.mmap(0, 400 * PAGE, RW, PRIVATE_ANON, -1, 0)
        root.touch(addr, 400 * PAGE)
        assert raw(root, SWAPOFF, "/dev/swap0") == -errno.ENOMEM
        root.touch(addr, 400 * PAGE)
        assert kernel.memory.oom.kills == 0


def test_areas_fill_by_priority() -> None:
    with Kernel("1M") as kernel:
        low = kernel.add_swap(32 * PAGE, 1)
        high = kernel.add_swap(32 * PAGE, 9)
        sys = Sys(kernel.spawn())
        addr = sys.mmap(0, 40 * PAGE, RW, PRIVATE_ANON, -1, 0)
        sys.touch(addr, 40 * PAGE)
        evict(kernel)
        used = {area.path: kernel.swap.used(area) for area in kernel.swap.areas}
        assert used[high] == 31
        assert used[low] >= 9


# ---- what /proc says ----


def test_every_number_says_where_the_pages_are() -> None:
    with Kernel("4M", swap="2M") as kernel:
        sys = Sys(kernel.spawn())
        addr = sys.mmap(0, 64 * PAGE, RW, PRIVATE_ANON, -1, 0)
        sys.touch(addr, 64 * PAGE)
        sys.madvise(addr, 32 * PAGE, lib.MADV_PAGEOUT)
        assert sys.mincore(addr, 64 * PAGE) == bytes(32) + b"\1" * 32
        assert field(sys, "/proc/self/status", "VmSwap:") == 32 * 4
        assert kernel.counters.nr_swap_used == 32
        total, free = (field(sys, "/proc/meminfo", f"Swap{x}:") for x in ("Total", "Free"))
        assert (total, free) == (511 * 4, (511 - 32) * 4)
        assert field(sys, "/proc/vmstat", "pswpout") == 32
        smaps = text(sys, "/proc/self/smaps").split(f"{addr:x}-")[1]
        assert int(smaps.split("\nSwap:")[1].split()[0]) == 32 * 4
        assert int(smaps.split("\nSwapPss:")[1].split()[0]) == 32 * 4
        words = ffi.new("uint64_t[]", 33)
        sys.task.mm.call(lib.mm_pagemap, addr // PAGE, 33, words)
        assert [word >> 62 & 1 for word in words] == [1] * 32 + [0]
        sys.madvise(addr, 32 * PAGE, lib.MADV_WILLNEED)
        assert field(sys, "/proc/meminfo", "SwapCached:") == 32 * 4
        assert sys.mincore(addr, 64 * PAGE) == b"\1" * 64
        sys.touch(addr, 64 * PAGE)
        assert field(sys, "/proc/self/status", "VmSwap:") == 0
        assert field(sys, "/proc/meminfo", "SwapFree:") == total


def test_lists_by_age_follow_the_advice() -> None:
    with Kernel("4M", swap="1M") as kernel:
        sys = Sys(kernel.spawn())
        addr = sys.mmap(0, 16 * PAGE, RW, PRIVATE_ANON, -1, 0)
        sys.touch(addr, 16 * PAGE)
        assert field(sys, "/proc/vmstat", "nr_inactive_anon") == 16
        sys.madvise(addr, 16 * PAGE, lib.MADV_COLD)
        assert field(sys, "/proc/vmstat", "nr_inactive_anon") == 16
        sys.mlock(addr, 4 * PAGE)
        assert field(sys, "/proc/meminfo", "Mlocked:") == 16
        assert field(sys, "/proc/meminfo", "Unevictable:") == 16
        sys.munlock(addr, 4 * PAGE)
        sys.madvise(addr, 16 * PAGE, lib.MADV_FREE)
        assert field(sys, "/proc/vmstat", "nr_inactive_file") == 16
        smaps = text(sys, "/proc/self/smaps").split(f"{addr:x}-")[1]
        assert int(smaps.split("\nLazyFree:")[1].split()[0]) == 16 * 4
        evict(kernel)
        assert sys.load(addr, 1) == b"\0"


# ---- errors of the device ----


def test_a_failed_read_of_swap_is_sigbus_and_nothing_else_is_harmed() -> None:
    with Kernel("4M", swap="1M") as kernel:
        sys = Sys(kernel.spawn())
        addr = sys.mmap(0, 4 * PAGE, RW, PRIVATE_ANON, -1, 0)
        sys.store(addr, b"one")
        sys.store(addr + PAGE, b"two")
        evict(kernel)
        kernel.fail_io("swap_read", 1)
        with pytest.raises(BusError):
            sys.load(addr, 3)
        assert sys.load(addr + PAGE, 3) == b"two"
        assert sys.load(addr, 3) == b"one"
        assert field(sys, "/proc/vmstat", "pkern_swap_read_errors") == 1
        kernel.check()


def test_a_failed_write_to_swap_keeps_the_page() -> None:
    with Kernel("4M", swap="1M") as kernel:
        sys = Sys(kernel.spawn())
        addr = sys.mmap(0, PAGE, RW, PRIVATE_ANON, -1, 0)
        sys.store(addr, b"kept")
        kernel.fail_io("swap_write", 1)
        sys.madvise(addr, PAGE, lib.MADV_PAGEOUT)
        assert sys.mincore(addr, PAGE) == b"\1"
        assert sys.load(addr, 4) == b"kept"


@pytest.mark.parametrize("by", ["msync", "fsync"])
def test_a_failed_writeback_is_told_once(tmp_path: Path, by: str) -> None:
    (tmp_path / "f").write_bytes(bytes(PAGE))
    (tmp_path / "f").chmod(0o666)
    with Kernel("4M") as kernel:
        host_mount(kernel, tmp_path)
        sys = Sys(kernel.spawn())
        fd = sys.open("/mnt/f", sys.O_RDWR, 0)
        addr = sys.mmap(0, PAGE, RW, SHARED, fd, 0)
        sys.store(addr, b"data")
        kernel.fail_io("writeback", 1)
        call = (
            (lambda: sys.msync(addr, PAGE, MS_SYNC)) if by == "msync" else (lambda: sys.fsync(fd))
        )
        with pytest.raises(SyscallError) as caught:
            call()
        assert caught.value.errno == errno.EIO
        assert call() == 0
        assert sys.load(addr, 4) == b"data"
        sys.store(addr, b"Data")
        assert call() == 0
        assert (tmp_path / "f").read_bytes()[:4] == b"Data"


# ---- writeback by reclaim ----


def test_reclaim_writes_dirty_pages_to_the_host(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(400 * PAGE))
    (tmp_path / "f").chmod(0o666)
    with Kernel("1M") as kernel:
        host_mount(kernel, tmp_path)
        sys = Sys(kernel.spawn())
        fd = sys.open("/mnt/f", sys.O_RDWR, 0)
        addr = sys.mmap(0, 400 * PAGE, RW, SHARED, fd, 0)
        for index in range(400):
            sys.store(addr + index * PAGE, bytes([index % 251 + 1]))
        for index in range(400):
            assert sys.load(addr + index * PAGE, 1)[0] == index % 251 + 1
        assert kernel.counters.pswpout == 0
    content = (tmp_path / "f").read_bytes()
    assert [content[i * PAGE] for i in range(400)] == [i % 251 + 1 for i in range(400)]


def test_writers_write_back_what_is_too_much(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    (tmp_path / "f").chmod(0o666)
    with Kernel("4M", sysctl={"vm.dirty_background_ratio": 5}) as kernel:
        host_mount(kernel, tmp_path)
        sys = Sys(kernel.spawn())
        fd = sys.open("/mnt/f", sys.O_RDWR, 0)
        for index in range(80):
            sys.pwrite64(fd, bytes([7]) * PAGE, index * PAGE)
            assert kernel.counters.nr_dirty <= 1024 * 5 // 100 + 1
        assert (tmp_path / "f").stat().st_size > 20 * PAGE


def test_drop_caches_drops_what_is_clean(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(10 * PAGE))
    (tmp_path / "f").chmod(0o666)
    with Kernel("4M") as kernel:
        host_mount(kernel, tmp_path)
        root = Sys(kernel.spawn(uid=0))
        fd = root.open("/mnt/f", root.O_RDWR, 0)
        root.read(fd, 10 * PAGE)
        root.pwrite64(fd, b"dirty", 0)
        assert kernel.counters.nr_file >= 10
        door = root.open("/proc/sys/vm/drop_caches", root.O_WRONLY, 0)
        root.write(door, b"1\n")
        assert kernel.counters.nr_file == 1
        root.fsync(fd)
        root.pwrite64(door, b"3\n", 0)
        assert kernel.counters.nr_file == 0
