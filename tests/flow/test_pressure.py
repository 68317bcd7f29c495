"""Short of memory, seen from programs: one behaviour in every design, true numbers, I/O errors."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import BusError, MemoryFault, SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.kernel.mm.memory import RMAP_DESIGNS, Sleep
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys

PAGE = 4096
READ, RW = 1, 3
SHARED, PRIVATE, ANON = 1, 2, 0x22
MS_SYNC = 4
PWRITE64, READ_NR = 18, 0
SWAPPED_BIT, FILE_BIT, PRESENT_BIT = 62, 61, 63


def evict(kernel: Kernel) -> None:
    """Reclaim all that can be."""
    while kernel.memory.reclaim(1 << 20):
        pass


def anonymous(sys: Sys, nr_pages: int) -> int:
    addr: int = sys.mmap(0, nr_pages * PAGE, RW, ANON, -1, 0)
    return addr


def numbered(nr_pages: int) -> bytes:
    return b"".join(bytes([index + 1]).ljust(PAGE, b"\0") for index in range(nr_pages))


def host_file(kernel: Kernel, sys: Sys, directory: Path, nr_pages: int) -> int:
    """Return a file of the host whose page i begins with the byte i + 1."""
    (directory / "file").write_bytes(numbered(nr_pages))
    (directory / "file").chmod(0o666)
    directory.chmod(0o777)
    kernel.vfs.mount("/mnt", HostFs(directory, Access.READ_WRITE))
    fd: int = sys.open("/mnt/file", sys.O_RDWR, 0)
    return fd


def on_host(directory: Path) -> bytes:
    return (directory / "file").read_bytes()


def text(sys: Sys, path: str) -> str:
    fd = sys.open(path, 0, 0)
    chunks = iter(lambda: sys.read(fd, 65536), b"")
    found = b"".join(chunks).decode()
    sys.close(fd)
    return found


def field(sys: Sys, path: str, name: str) -> int:
    """Return the number on the line of a /proc file that begins with name, in its own unit."""
    lines = (line.split() for line in text(sys, path).splitlines())
    return int(next(words[1] for words in lines if words[0].rstrip(":") == name))


def pages_of(sys: Sys, name: str) -> int:
    """Return a line of /proc/meminfo in pages."""
    return field(sys, "/proc/meminfo", name) // 4


def smaps(sys: Sys, addr: int, name: str) -> int:
    """Return a line of smaps for the VMA that begins at addr, in kB."""
    block = text(sys, "/proc/self/smaps").split(f"{addr:x}-")[1]
    return int(block.split(f"\n{name}:")[1].split()[0])


def pagemap(sys: Sys, addr: int, nr_pages: int) -> list[int]:
    words = ffi.new("uint64_t[]", nr_pages)
    sys.task.mm.call(lib.mm_pagemap, addr // PAGE, nr_pages, words)
    return list(words)


def refused(number: int) -> pytest.RaisesExc[SyscallError]:
    return pytest.raises(SyscallError, check=lambda error: error.errno == number)


# ---- one program, every design ----


class Program:
    """Two tasks that map, remap, truncate, swap and fork on a machine of 96 pages."""

    def __init__(self, kernel: Kernel, directory: Path) -> None:
        self.kernel = kernel
        self.seen: list[object] = []
        self.sys = sys = Sys(kernel.spawn(uid=0))
        self.host = host_file(kernel, sys, directory, 40)
        self.memory = sys.memfd_create("memory", 0)
        sys.pwrite64(self.memory, numbered(40), 0)

    def note(self, act: Callable[[], object]) -> None:
        """Write down what an act gives, or how it ends."""
        try:
            self.seen.append(act())
        except (SyscallError, MemoryFault, TaskKilled) as error:
            self.seen.append(str(error))

    def run(self) -> list[object]:
        self._map()
        child = self.sys.fork()
        self._read_all(child)
        self.note(lambda: child.store(self.own, b"child"))
        self._cut(child)
        self._end(child)
        return self.seen

    def _map(self) -> None:
        """Map each kind of memory: shared, private, special, anonymous."""
        sys = self.sys
        self.shared = [sys.mmap(0, 40 * PAGE, RW, SHARED, fd, 0) for fd in (self.host, self.memory)]
        self.private = sys.mmap(0, 40 * PAGE, RW, PRIVATE, self.host, 0)
        self.special = sys.mmap(0, 8 * PAGE, RW, SHARED | sys.MAP_NONLINEAR, -1, 0)
        self.own = anonymous(sys, 80)
        for index in range(0, 40, 3):
            sys.store(self.private + index * PAGE, bytes([200 - index]))
        sys.store(self.own, numbered(80))
        for index in range(8):
            self._remap(self.special + index * PAGE, 7 - index, self.host)
            self._remap(self.shared[1] + index * PAGE, 39 - index, -1)

    def _remap(self, addr: int, pgoff: int, fd: int) -> None:
        self.note(lambda: self.sys.remap_file_pages(addr, PAGE, 0, pgoff, 0, fd))

    def _read_all(self, child: Sys) -> None:
        parts = [(addr, 40) for addr in (*self.shared, self.private)]
        for task in (self.sys, child):
            for base, count in (*parts, (self.special, 8), (self.own, 80)):
                self.note(
                    lambda t=task, b=base, n=count: [t.load(b + i * PAGE, 1) for i in range(n)]
                )

    def _cut(self, child: Sys) -> None:
        """Truncate both files, and read on both sides of their ends."""
        self.note(lambda: self.sys.ftruncate(self.host, 10 * PAGE + 5))
        self.note(lambda: self.sys.ftruncate(self.memory, 37 * PAGE))
        of_file, of_memory = self.shared
        places = (of_file + 30 * PAGE, of_memory, of_memory + 3 * PAGE, self.private, self.own)
        for task in (self.sys, child):
            for addr in (*places, self.special):
                self.note(lambda t=task, a=addr: t.load(a, 5))

    def _end(self, child: Sys) -> None:
        """Swap off with too little room, and again with enough of it; then need more."""
        sys, note = self.sys, self.note
        note(lambda: sys.swapoff("/dev/swap0"))
        note(lambda: child.exit(0))
        note(lambda: sys.munmap(self.own, 80 * PAGE))
        note(lambda: sys.swapoff("/dev/swap0"))
        note(lambda: [sys.load(self.private + i * PAGE, 1) for i in range(10)])
        note(lambda: sys.mmap(0, 200 * PAGE, RW, ANON | sys.MAP_POPULATE, -1, 0))
        note(lambda: self.kernel.memory.oom.kills)


def _run_in(design: str, directory: Path) -> tuple[list[object], bytes]:
    directory.mkdir()
    sysctl = {"vm.nonlinear": 1, "vm.overcommit_memory": 1}
    with Kernel("384K", swap="1M", rmap=design, nrpte=3, sysctl=sysctl) as kernel:
        seen = Program(kernel, directory).run()
        kernel.check()
    return seen, on_host(directory)


def test_a_program_cannot_tell_the_designs_apart(tmp_path: Path) -> None:
    results = {design: _run_in(design, tmp_path / design) for design in RMAP_DESIGNS}
    seen, host = results["objrmap_tree"]
    assert "SIGBUS" in str(seen) and "was killed" in str(seen[-2])
    assert len(host) == 10 * PAGE + 5
    for design, result in results.items():
        assert result == (seen, host), design


# ---- how much of a scan goes where ----


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="2M")
@pytest.mark.parametrize("swappiness", [0, 60, 200])
def test_swappiness_at_its_ends_kills_no_one(
    kernel: Kernel, task: object, tmp_path: Path, swappiness: int
) -> None:
    """At 0 anonymous memory still goes to swap, and at 200 clean files still go."""
    kernel.sysctl["vm.swappiness"] = swappiness
    kernel.sysctl["vm.overcommit_memory"] = 1
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 400)
    sys.touch(addr, 400 * PAGE)
    assert kernel.counters.nr_swap_used > 100
    sys.munmap(addr, 400 * PAGE)
    fd = host_file(kernel, sys, tmp_path, 250)
    for _ in range(2):
        assert len(sys.pread64(fd, 250 * PAGE, 0)) == 250 * PAGE
    sys.touch(anonymous(sys, 150), 150 * PAGE)
    assert kernel.memory.oom.kills == 0


@pytest.mark.boot(ram="1M", swap="4M")
def test_swappiness_decides_who_goes_first(kernel: Kernel, tmp_path: Path) -> None:
    def swapped(swappiness: int) -> int:
        kernel.sysctl["vm.swappiness"] = swappiness
        sys = Sys(kernel.spawn())
        addr = anonymous(sys, 60)
        sys.touch(addr, 60 * PAGE)
        sys.madvise(addr, 60 * PAGE, lib.MADV_COLD)
        fd = sys.open("/mnt/file", sys.O_RDWR, 0)
        sys.pread64(fd, 250 * PAGE, 0)
        gone = int(sys.task.mm.counters.nr_swap)
        sys.exit(0)
        kernel.sysctl["vm.drop_caches"] = 1
        return gone

    host_file(kernel, Sys(kernel.spawn()), tmp_path, 250)
    assert swapped(0) == 0
    assert swapped(200) > 30


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap=60 * PAGE)
def test_full_swap_takes_its_own_pages_back(kernel: Kernel) -> None:
    """Pages that were read back still have their slots: they may go, though no slot is free."""
    kernel.sysctl["vm.overcommit_memory"] = 1
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 59)
    sys.store(addr, numbered(59))
    evict(kernel)
    assert kernel.counters.nr_swap_used == 59
    assert sys.load(addr, 59 * PAGE) == numbered(59)  # all of it in the swap cache now
    more = anonymous(sys, 200)
    sys.touch(more, 200 * PAGE)
    assert kernel.memory.oom.kills == 0
    assert sys.load(addr, 59 * PAGE) == numbered(59)


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="2M", swap="2M")
def test_free_memory_stays_above_the_lowest_watermark(kernel: Kernel) -> None:
    kernel.sysctl["vm.min_free_kbytes"] = 200
    kernel.sysctl["vm.overcommit_memory"] = 1
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 700)
    for index in range(700):
        sys.store(addr + index * PAGE, b"x")
        assert kernel.counters.nr_free >= 50
    assert field(sys, "/proc/vmstat", "pgsteal_kswapd") > 0
    before = field(sys, "/proc/vmstat", "pgsteal_direct")
    kernel.tunables.watermark_low = kernel.tunables.watermark_min  # no one reclaims ahead
    sys.touch(addr, 700 * PAGE)
    assert field(sys, "/proc/vmstat", "pgsteal_direct") > before
    assert field(sys, "/proc/vmstat", "allocstall_normal") > 0


def scan(kernel: Kernel, nr_pages: int) -> int:
    """Look at every list once; return the pages freed."""
    order = ffi.new("struct reclaim *", {"nr_to_free": nr_pages})
    return int(lib.machine_reclaim(kernel.core, order))


AGES = ("pgactivate", "pgrefill", "pgdeactivate", "nr_active_file", "nr_inactive_file")


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="2M", sysctl={"vm.fault_around_bytes": PAGE})
def test_pages_that_are_touched_stay_longest(kernel: Kernel, tmp_path: Path) -> None:
    sys = Sys(kernel.spawn())
    addr = sys.mmap(0, 40 * PAGE, READ, SHARED, host_file(kernel, sys, tmp_path, 40), 0)

    def ages() -> list[int]:
        return [field(sys, "/proc/vmstat", name) for name in AGES]

    sys.load(addr, 40 * PAGE)
    assert ages() == [0, 0, 0, 0, 40]
    if kernel.sysctl["vm.rmap"] != "virtual_scan":  # which ages by its own rounds
        assert scan(kernel, 40) == 0  # all were touched
        assert ages() == [40, 0, 0, 40, 0]
        sys.load(addr, 10 * PAGE)
        assert scan(kernel, 40) == 30
        assert ages() == [40, 40, 30, 10, 0]
    else:
        scan(kernel, 40)
        scan(kernel, 40)
        sys.load(addr, 10 * PAGE)
        kernel.memory.reclaim(30)
    assert sys.mincore(addr, 40 * PAGE) == b"\1" * 10 + bytes(30)


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="1M")
def test_locked_pages_are_counted_as_they_come_and_go(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 12)
    sys.mlock(addr, 8 * PAGE)
    sys.touch(addr, 12 * PAGE)
    evict(kernel)
    assert sys.mincore(addr, 12 * PAGE) == b"\1" * 8 + bytes(4)
    sys.munlock(addr, 3 * PAGE)
    names = ("nr_unevictable", "unevictable_pgs_culled", "unevictable_pgs_rescued")
    assert [field(sys, "/proc/vmstat", name) for name in names] == [5, 8, 3]
    evict(kernel)
    assert sys.mincore(addr, 12 * PAGE) == bytes(3) + b"\1" * 5 + bytes(4)
    assert field(sys, "/proc/self/status", "VmHWM") >= 12 * 4
    assert field(sys, "/proc/self/status", "VmRSS") == 5 * 4


# ---- what /proc says ----


@pytest.mark.boot(ram="4M", swap="2M")
def test_a_shared_swapped_page_counts_half_for_each(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 16)
    sys.touch(addr, 16 * PAGE)
    child = sys.fork()
    evict(kernel)
    assert kernel.counters.nr_swap_used == 16
    for task in (sys, child):
        assert smaps(task, addr, "Swap") == 64
        assert smaps(task, addr, "SwapPss") == 32
        assert smaps(task, addr, "Rss") == 0
        assert field(task, "/proc/self/status", "VmSwap") == 64
    slots = [word & (1 << 55) - 1 for word in pagemap(sys, addr, 16)]
    assert len(set(slots)) == 16
    assert slots == [word & (1 << 55) - 1 for word in pagemap(child, addr, 16)]
    kernel.sysctl["vm.page-cluster"] = 0
    child.load(addr, 1)
    assert smaps(child, addr, "Swap") == 60
    assert smaps(sys, addr, "SwapPss") == 32 + 2
    assert pages_of(sys, "SwapCached") == 1
    child.exit(0)
    assert smaps(sys, addr, "SwapPss") == 64


@pytest.mark.boot(ram="4M", swap="2M")
def test_numbers_of_a_memory_file_in_swap(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    fd = sys.memfd_create("file", 0)
    sys.pwrite64(fd, numbered(20), 0)
    addr = sys.mmap(0, 20 * PAGE, RW, SHARED, fd, 0)
    sys.touch(addr, 10 * PAGE)
    assert (pages_of(sys, "Shmem"), pages_of(sys, "Mapped")) == (20, 10)
    evict(kernel)
    assert (pages_of(sys, "Shmem"), pages_of(sys, "Mapped")) == (0, 0)
    assert pages_of(sys, "SwapTotal") - pages_of(sys, "SwapFree") == 20
    assert smaps(sys, addr, "Swap") == 80
    assert field(sys, "/proc/self/status", "VmSwap") == 0  # Linux: anonymous pages only
    assert field(sys, "/proc/vmstat", "pswpout") == 20
    assert sys.pread64(fd, 20 * PAGE, 0) == numbered(20)
    assert field(sys, "/proc/vmstat", "pswpin") == 20
    disk = text(sys, "/proc/diskstats").split()  # done, merged, sectors, ms: of reads, of writes
    assert disk[3:11] == ["20", "0", "160", "0"] * 2 and set(disk[11:]) == {"0"}
    assert disk[2] == text(sys, "/proc/partitions").split()[-1] and len(disk) == 20
    assert pages_of(sys, "SwapFree") == pages_of(sys, "SwapTotal")
    assert sys.mincore(addr, 20 * PAGE) == b"\1" * 20


@pytest.mark.boot(ram="4M", swap="2M")
def test_pagemap_says_of_every_page_where_it_is(kernel: Kernel, tmp_path: Path) -> None:
    sys = Sys(kernel.spawn())
    own, fd = anonymous(sys, 4), host_file(kernel, sys, tmp_path, 4)
    sys.touch(own, 2 * PAGE)
    sys.madvise(own, PAGE, lib.MADV_PAGEOUT)
    shown = sys.mmap(0, 4 * PAGE, READ, SHARED, fd, 0)
    sys.load(shown, 1)
    bits = [[word >> bit & 1 for bit in (63, 62, 61)] for word in pagemap(sys, own, 3)]
    assert bits == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    bits = [[word >> bit & 1 for bit in (63, 62, 61)] for word in pagemap(sys, shown, 2)]
    assert bits == [[1, 0, 1], [0, 0, 0]]


@pytest.mark.boot(ram="4M", swap="2M")
def test_faults_that_read_swap_are_major(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 8)
    sys.touch(addr, 8 * PAGE)
    before = field(sys, "/proc/vmstat", "pgmajfault")
    evict(kernel)
    kernel.sysctl["vm.page-cluster"] = 0
    sys.load(addr, 8 * PAGE)
    assert field(sys, "/proc/vmstat", "pgmajfault") - before == 8
    assert sys.task.mm.counters.maj_flt == 8
    evict(kernel)
    sys.madvise(addr, 8 * PAGE, lib.MADV_WILLNEED)
    sys.load(addr, 8 * PAGE)
    assert sys.task.mm.counters.maj_flt == 8  # read before: a minor fault


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="4M", swap="2M")
def test_faults_read_swap_ahead(kernel: Kernel) -> None:
    """Pages 0-6 lie in slots 1-7, then eight in each window: one major fault for each."""
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 31)
    sys.store(addr, numbered(31))
    sys.madvise(addr, 31 * PAGE, lib.MADV_PAGEOUT)
    sys.load(addr + 10 * PAGE, 1)
    assert sys.mincore(addr, 31 * PAGE) == b"\0" * 7 + b"\1" * 8 + b"\0" * 16
    assert sys.task.mm.counters.rss_anon == 1
    assert sys.load(addr, 31 * PAGE) == numbered(31)
    assert sys.task.mm.counters.maj_flt == 4
    names = ("pswpin", "swap_ra", "swap_ra_hit")
    assert [field(sys, "/proc/vmstat", name) for name in names] == [31, 27, 27]
    kernel.sysctl["vm.page-cluster"] = 1
    sys.madvise(addr, 31 * PAGE, lib.MADV_PAGEOUT)
    assert sys.load(addr, 31 * PAGE) == numbered(31)
    assert sys.task.mm.counters.maj_flt == 4 + 16
    with refused(errno.EINVAL):
        kernel.sysctl["vm.page-cluster"] = 32
    kernel.check()


@pytest.mark.boot(ram="4M")
def test_proc_swaps_follows_every_area(kernel: Kernel, tmp_path: Path) -> None:
    root = Sys(kernel.spawn(uid=0))
    kernel.add_swap(64 * PAGE, 3)
    kernel.add_swap(32 * PAGE)
    addr = anonymous(root, 80)
    root.touch(addr, 80 * PAGE)
    root.madvise(addr, 80 * PAGE, lib.MADV_PAGEOUT)
    rows = [line.split() for line in text(root, "/proc/swaps").splitlines()]
    assert rows == [
        ["Filename", "Type", "Size", "Used", "Priority"],
        ["/dev/swap0", "partition", "252", "252", "3"],
        ["/dev/swap1", "partition", "124", "68", "-2"],
    ]
    assert pages_of(root, "SwapTotal") == 63 + 31
    root.swapoff("/dev/swap0")
    rows = [line.split() for line in text(root, "/proc/swaps").splitlines()]
    assert [row[0] for row in rows[1:]] == ["/dev/swap1"]
    assert root.sysinfo().procs == 1


# ---- advice ----


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="4M", swap="1M")
def test_pageout_of_a_file_writes_it_first(kernel: Kernel, tmp_path: Path) -> None:
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 8)
    addr = sys.mmap(0, 8 * PAGE, RW, SHARED, fd, 0)
    for index in range(8):
        sys.store(addr + index * PAGE, bytes([100 + index]))
    assert sys.madvise(addr, 8 * PAGE, lib.MADV_PAGEOUT) == 0
    assert [on_host(tmp_path)[i * PAGE] for i in range(8)] == list(range(100, 108))
    assert sys.mincore(addr, 8 * PAGE) == bytes(8)
    assert sys.load(addr + 5 * PAGE, 1) == bytes([105])


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="4M", swap="1M")
def test_pageout_leaves_what_others_map(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 4)
    sys.touch(addr, 4 * PAGE)
    child = sys.fork()
    child.store(addr, b"x")
    sys.madvise(addr, 4 * PAGE, lib.MADV_PAGEOUT)
    assert sys.mincore(addr, 4 * PAGE) == b"\0\1\1\1"


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="1M")
def test_cold_pages_are_the_first_to_go(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    cold, warm = anonymous(sys, 60), anonymous(sys, 60)
    for addr in (cold, warm):
        sys.touch(addr, 60 * PAGE)
    sys.madvise(cold, 60 * PAGE, lib.MADV_COLD)
    kernel.memory.reclaim(40)
    kernel.memory.reclaim(10)
    assert sum(sys.mincore(cold, 60 * PAGE)) < sum(sys.mincore(warm, 60 * PAGE))


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="1M")
def test_freed_pages_are_zeroes_or_what_they_were(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 30)
    sys.store(addr, numbered(30))
    sys.madvise(addr, 30 * PAGE, lib.MADV_FREE)
    assert sys.load(addr, 30 * PAGE) == numbered(30)  # no one wants them yet
    sys.madvise(addr, 30 * PAGE, lib.MADV_FREE)
    sys.store(addr, b"kept")
    written = int(kernel.counters.pswpout)
    evict(kernel)
    assert sys.load(addr, 4) == b"kept"
    assert sys.load(addr + PAGE, 29 * PAGE) == bytes(29 * PAGE)
    assert kernel.counters.pswpout == written + 1  # they were not written
    assert kernel.counters.pglazyfreed == 29


@pytest.mark.boot(ram="1M", swap="1M")
def test_free_forgets_what_is_in_swap(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 10)
    sys.store(addr, numbered(10))
    evict(kernel)
    sys.madvise(addr, 10 * PAGE, lib.MADV_FREE)
    assert kernel.counters.nr_swap_used == 0
    assert sys.load(addr, 10 * PAGE) == bytes(10 * PAGE)


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="1M")
def test_willneed_brings_pages_and_maps_none(kernel: Kernel, tmp_path: Path) -> None:
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 8)
    shown, own = sys.mmap(0, 8 * PAGE, READ, SHARED, fd, 0), anonymous(sys, 8)
    sys.store(own, numbered(8))
    evict(kernel)
    for addr in (shown, own):
        assert sys.mincore(addr, 8 * PAGE) == bytes(8)
        assert sys.madvise(addr, 8 * PAGE, lib.MADV_WILLNEED) == 0
        assert sys.mincore(addr, 8 * PAGE) == b"\1" * 8
    assert sys.task.mm.counters.rss_anon + sys.task.mm.counters.rss_file == 0


@pytest.mark.parametrize("how", ["punch", "remove"])
def test_a_hole_in_a_file_of_the_host_stays(kernel: Kernel, tmp_path: Path, how: str) -> None:
    """Once the old bytes came back as soon as the page had left the cache."""
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 8)
    addr = sys.mmap(0, 8 * PAGE, RW, SHARED, fd, 0)
    sys.load(addr, 8 * PAGE)
    start, end = {"punch": (2 * PAGE - 1, 5 * PAGE - 1), "remove": (2 * PAGE, 5 * PAGE)}[how]
    if how == "punch":
        sys.fallocate(fd, 3, start, end - start)
    else:
        sys.madvise(addr + start, end - start, lib.MADV_REMOVE)
    evict(kernel)
    wanted = bytearray(numbered(8))
    wanted[start:end] = bytes(end - start)
    assert sys.pread64(fd, 8 * PAGE, 0) == bytes(wanted)
    sys.fsync(fd)
    assert on_host(tmp_path) == bytes(wanted)


# ---- errors of the devices, in calls ----


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="1M")
def test_a_call_whose_buffer_cannot_be_read_from_swap(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 2)
    sys.store(addr, b"one")
    sys.store(addr + PAGE, b"two")
    fd = sys.memfd_create("file", 0)
    evict(kernel)
    kernel.fail_io("swap_read", 1)
    assert sys.syscall(PWRITE64, fd, addr, 3, 0) == -errno.EFAULT
    assert sys.syscall(PWRITE64, fd, addr, 3, 0) == 3
    assert sys.pread64(fd, 10, 0) == b"one"
    assert sys.load(addr + PAGE, 3) == b"two"


@pytest.mark.boot(ram="1M")
def test_a_buffer_whose_file_cannot_be_read(kernel: Kernel, tmp_path: Path) -> None:
    """SIGBUS for an access, at its own address; EFAULT for a call, or what came before."""
    sys = Sys(kernel.spawn())
    fd, out = host_file(kernel, sys, tmp_path, 8), sys.memfd_create("out", 0)
    addr = sys.mmap(0, 8 * PAGE, RW, SHARED, fd, 0)
    sys.load(addr, PAGE)
    inode = sys.task.fds.get(fd).inode
    readable, inode.fd = inode.fd, os.open(tmp_path, os.O_RDONLY)  # a directory: EISDIR
    with pytest.raises(BusError, check=lambda fault: fault.addr == addr + 5 * PAGE + 7):
        sys.load(addr + 5 * PAGE + 7, 1)
    assert sys.syscall(PWRITE64, out, addr + PAGE, 100, 0) == -errno.EFAULT
    assert sys.syscall(PWRITE64, out, addr + 100, 2 * PAGE, 0) == PAGE - 100
    assert sys.syscall(READ_NR, sys.open("/dev/zero", 0, 0), addr + 2 * PAGE, 9) == -errno.EFAULT
    os.close(inode.fd)
    inode.fd = readable
    assert sys.load(addr, 8 * PAGE) == numbered(8)


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M", swap="1M")
@pytest.mark.sysctl({"vm.page-cluster": 0})
def test_a_read_of_a_file_whose_page_swap_cannot_give(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    fd = sys.memfd_create("file", 0)
    sys.pwrite64(fd, numbered(4), 0)
    addr = sys.mmap(0, 4 * PAGE, RW, SHARED, fd, 0)
    evict(kernel)
    kernel.fail_io("swap_read", 1)
    with refused(errno.EIO):
        sys.pread64(fd, PAGE, 0)
    kernel.fail_io("swap_read", 2)
    assert sys.pread64(fd, 4 * PAGE, 0) == numbered(4)[:PAGE]  # as far as it went
    kernel.fail_io("swap_read", 1)
    with pytest.raises(BusError):
        sys.load(addr + 3 * PAGE, 1)
    kernel.fail_io("swap_read", 1)
    with refused(errno.EIO):
        sys.ftruncate(fd, 3 * PAGE + 7)
    assert sys.pread64(fd, 4 * PAGE, 0) == numbered(4)


@pytest.mark.boot(ram="4M")
def test_a_path_in_a_page_that_cannot_be_read(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 2)
    addr = sys.mmap(0, 2 * PAGE, RW, SHARED, fd, 0)

    def unreadable(index: int, truncate_count: int) -> None:
        raise SyscallError(errno.EIO)

    monkeypatch.setattr(sys.task.fds.get(fd).inode, "fetch", unreadable)
    chdir, write = 80, 1
    assert sys.syscall(chdir, addr) == sys.syscall(write, fd, addr, 8) == -errno.EFAULT
    monkeypatch.undo()
    sys.store(addr, b"x" * 2 * PAGE)
    assert sys.syscall(chdir, addr) == -errno.ENAMETOOLONG


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M")
def test_writeback_by_reclaim_that_fails_is_told_once(kernel: Kernel, tmp_path: Path) -> None:
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 8)
    addr = sys.mmap(0, 8 * PAGE, RW, SHARED, fd, 0)
    for index in range(8):
        sys.store(addr + index * PAGE, b"\x99")
    kernel.fail_io("writeback", 3)
    evict(kernel)
    with refused(errno.EIO):
        sys.msync(addr, 8 * PAGE, MS_SYNC)
    assert sys.msync(addr, 8 * PAGE, MS_SYNC) == 0
    kept = [on_host(tmp_path)[i * PAGE] for i in range(8)]
    assert kept.count(0x99) == 7  # the rest is unharmed
    assert [sys.load(addr + i * PAGE, 1)[0] for i in range(8)] == kept


@pytest.mark.boot(ram="1M")
def test_each_open_file_is_told_of_an_error_once(kernel: Kernel, tmp_path: Path) -> None:
    """errseq of Linux: who was open then, and one who came while no one knew yet; dup is one."""
    sys = Sys(kernel.spawn())
    first = host_file(kernel, sys, tmp_path, 8)
    second = sys.open("/mnt/file", sys.O_RDWR, 0)
    double = sys.dup(first)
    addr = sys.mmap(0, PAGE, RW, SHARED, second, 0)
    sys.store(addr, b"x")
    kernel.fail_io("writeback", 1)
    sys.sync()  # keeps it to itself
    latecomer = sys.open("/mnt/file", sys.O_RDONLY, 0)
    for fd in (latecomer, first):
        with refused(errno.EIO):
            sys.fsync(fd)
        assert sys.fsync(fd) == 0
    assert sys.fdatasync(double) == 0
    with refused(errno.EIO):
        sys.msync(addr, PAGE, MS_SYNC)
    assert sys.msync(addr, PAGE, MS_SYNC) == 0
    assert sys.fsync(second) == 0
    assert sys.fsync(sys.open("/mnt/file", sys.O_RDONLY, 0)) == 0  # someone has been told
    for fd in (first, second):
        with refused(errno.EIO):
            sys.syncfs(fd)  # since 5.8, of any file of the file system
        assert sys.syncfs(fd) == 0


@pytest.mark.boot(ram="4M", sysctl={"vm.fault_around_bytes": PAGE})
def test_fadvise_drops_and_brings(kernel: Kernel, tmp_path: Path) -> None:
    """DONTNEED drops clean, whole, unmapped pages; WILLNEED and readahead bring them."""
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 8)
    willneed, dontneed = 3, 4
    addr = sys.mmap(0, 8 * PAGE, RW, SHARED, fd, 0)

    def cached() -> list[int]:
        return [index for index, there in enumerate(sys.mincore(addr, 8 * PAGE)) if there]

    sys.fadvise64(fd, PAGE, 3 * PAGE, willneed)
    assert cached() == [1, 2, 3]
    sys.readahead(fd, 5 * PAGE, 3 * PAGE)
    assert cached() == [1, 2, 3, 5, 6, 7]
    sys.load(addr + 2 * PAGE, 1)  # mapped: it stays
    sys.pwrite64(fd, b"dirty", 3 * PAGE)  # written first, then it goes
    sys.fadvise64(fd, PAGE + 1, 6 * PAGE, dontneed)  # 1 and 7 in part only
    assert cached() == [1, 2, 7]
    assert on_host(tmp_path)[3 * PAGE :][:5] == b"dirty"
    sys.ftruncate(fd, 7 * PAGE + 100)
    sys.fadvise64(fd, 7 * PAGE, 100, dontneed)  # up to the end: the last page is whole
    assert cached() == [1, 2]
    sys.fadvise64(fd, 0, 0, dontneed)
    assert cached() == [2]
    memory = sys.memfd_create("memory", 0)
    sys.pwrite64(memory, numbered(4), 0)
    sys.fadvise64(memory, 0, 0, dontneed)  # nothing could bring it back
    assert sys.pread64(memory, 4 * PAGE, 0) == numbered(4)


@pytest.mark.boot(ram="1M", swap="1M")
def test_cachestat_counts_dirty_and_swapped_pages(kernel: Kernel, tmp_path: Path) -> None:
    """Dirty: of files with a backing store, also by a store; evicted: of memory files, in swap."""
    sys = Sys(kernel.spawn())
    disk, memory, stats = host_file(kernel, sys, tmp_path, 8), sys.memfd_create("m", 0), 451
    buffer = anonymous(sys, 1)

    def counted(fd: int) -> tuple[int, ...]:
        sys.store(buffer, struct.pack("<QQ", 0, 0))
        assert sys.syscall(stats, fd, buffer, buffer + 64, 0) == 0
        return struct.unpack("<5Q", sys.load(buffer + 64, 40))

    addr = sys.mmap(0, 8 * PAGE, RW, SHARED, disk, 0)
    sys.load(addr, 3 * PAGE)
    sys.store(addr + PAGE, b"x")
    sys.pwrite64(disk, b"y", 7 * PAGE)
    sys.pwrite64(memory, numbered(6), 0)
    assert (counted(disk), counted(memory)) == ((4, 2, 0, 0, 0), (6, 0, 0, 0, 0))
    sys.fsync(disk)
    assert counted(disk) == (4, 0, 0, 0, 0)
    evict(kernel)
    assert counted(memory) == (0, 0, 0, 6, 0)
    other = Sys(kernel.spawn(uid=2000))
    assert other.syscall(stats, other.open("/mnt/file", 0, 0), addr, addr, 0) == -errno.EFAULT
    assert other.syscall(stats, other.open("/proc/self/maps", 0, 0), anonymous(other, 1), 0, 1) == (
        -errno.EINVAL
    )


@pytest.mark.boot(ram="1M", swap="1M")
def test_every_write_to_swap_fails_and_nothing_is_lost(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = anonymous(sys, 30)
    sys.store(addr, numbered(30))
    for index in range(30):
        kernel.fail_io("swap_write", 1)
        sys.madvise(addr + index * PAGE, PAGE, lib.MADV_PAGEOUT)
    assert field(sys, "/proc/vmstat", "pkern_swap_write_errors") == 30
    assert sys.mincore(addr, 30 * PAGE) == b"\1" * 30
    assert sys.load(addr, 30 * PAGE) == numbered(30)
    assert kernel.counters.pswpin == 0  # no one read what was not written
    evict(kernel)
    assert sys.mincore(addr, 30 * PAGE) == bytes(30)
    assert sys.load(addr, 30 * PAGE) == numbered(30)


# ---- too much that is dirty ----


def peak_of_a_write(kernel: Kernel, sys: Sys, directory: Path, nr_pages: int) -> int:
    """Write nr_pages in one call; return how many were dirty when they were written back."""
    fd, dirty = host_file(kernel, sys, directory, 1), [0]
    file = sys.task.fds.get(fd).inode
    plain = file.writeback

    def watched(first: int, last: int) -> None:
        dirty.append(int(kernel.counters.nr_dirty))
        plain(first, last)

    file.writeback = watched
    assert sys.pwrite64(fd, bytes([5]) * nr_pages * PAGE, 0) == nr_pages * PAGE
    file.writeback = plain
    return max(dirty)


def thresholds(sys: Sys) -> tuple[int, int]:
    names = ("nr_dirty_background_threshold", "nr_dirty_threshold")
    return field(sys, "/proc/vmstat", names[0]), field(sys, "/proc/vmstat", names[1])


STEP = 32  # pages a writer may go on without a look


@pytest.mark.boot(ram="4M")
@pytest.mark.parametrize(("ratio", "nr_pages"), [(10, 600), (25, 600), (100, 150)])
def test_a_writer_over_dirty_ratio_writes_back(
    kernel: Kernel, tmp_path: Path, ratio: int, nr_pages: int
) -> None:
    """Within one call, with a background ratio that says nothing before half of it."""
    kernel.sysctl["vm.dirty_ratio"], kernel.sysctl["vm.dirty_background_ratio"] = ratio, 100
    sys = Sys(kernel.spawn())
    background, limit = thresholds(sys)
    assert limit == pytest.approx(1024 * ratio // 100, rel=0.1)
    assert background == limit // 2
    peak = peak_of_a_write(kernel, sys, tmp_path, nr_pages)
    if nr_pages > limit:
        assert limit < peak <= limit + STEP
    else:
        assert peak == 0
    assert int(kernel.counters.nr_dirty) <= background
    kernel.check()


@pytest.mark.boot(ram="4M")
def test_below_both_ratios_nothing_is_written(kernel: Kernel, tmp_path: Path) -> None:
    kernel.sysctl["vm.dirty_ratio"], kernel.sysctl["vm.dirty_background_ratio"] = 60, 20
    sys = Sys(kernel.spawn())
    background, limit = thresholds(sys)
    assert peak_of_a_write(kernel, sys, tmp_path, background - 10) == 0
    assert kernel.counters.nr_dirty == background - 10
    fd = sys.open("/mnt/file", sys.O_RDWR, 0)
    sys.pwrite64(fd, b"x" * 20 * PAGE, background * PAGE)  # beyond the lower one: when it is done
    assert kernel.counters.nr_dirty == 0
    assert len(on_host(tmp_path)) == (background + 20) * PAGE
    assert limit > background


@pytest.mark.boot(ram="4M")
def test_a_throttled_writer_learns_of_an_error_at_fsync(kernel: Kernel, tmp_path: Path) -> None:
    kernel.sysctl["vm.dirty_ratio"] = 5
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 1)
    kernel.fail_io("writeback", 7)
    assert sys.pwrite64(fd, b"y" * 200 * PAGE, 0) == 200 * PAGE
    with refused(errno.EIO):
        sys.fsync(fd)
    assert sys.fsync(fd) == 0
    pages = [on_host(tmp_path)[i * PAGE : i * PAGE + 1] for i in range(200)]
    assert pages.count(b"y") == 199


# ---- sleeping in calls ----


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M")
def test_a_read_sleeps_where_others_truncate(kernel: Kernel, tmp_path: Path) -> None:
    """read(2) waits for its pages as a fault does: what was cut meanwhile is not read."""
    sys = Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 8)
    slept: list[int] = []

    def hook(why: Sleep, index: int) -> None:
        if why is not Sleep.PAGE_IN:
            return
        slept.append(index)
        if index == 2:
            sys.ftruncate(fd, 2 * PAGE + 1)

    kernel.memory.sleep_hook = hook
    assert sys.pread64(fd, 8 * PAGE, 0) == numbered(3)[: 2 * PAGE + 1]
    assert slept == [0, 1, 2, 2]


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="1M")
def test_a_task_killed_while_it_slept_wakes_to_nothing(kernel: Kernel, tmp_path: Path) -> None:
    sys, other = Sys(kernel.spawn()), Sys(kernel.spawn())
    fd = host_file(kernel, sys, tmp_path, 4)
    addr = sys.mmap(0, 4 * PAGE, RW, SHARED, fd, 0)

    def hook(why: Sleep, index: int) -> None:
        kernel.memory.sleep_hook = None
        sys.task.die_of(9)

    kernel.memory.sleep_hook = hook
    with pytest.raises(TaskKilled):
        sys.load(addr, 1)
    kernel.memory.sleep_hook = hook
    fd = other.open("/mnt/file", other.O_RDWR, 0)
    assert other.pread64(fd, 1, 0) == b"\1"
    kernel.check()
