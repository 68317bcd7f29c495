"""A small machine for one run of a race: its files, its windows, what must be true in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import BusError, MemoryFault
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.clone import CLONE_FILES, CLONE_VM, clone
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.explore.actors import Actor
from pkern.userland.program import Sys

PAGE = 4096
RW = 3
SHARED, PRIVATE, FIXED, ANONYMOUS, NONBLOCK = 1, 2, 0x10, 0x20, 0x10000
MAYMOVE, MOVE_FIXED = 1, 2
PAGEOUT = 21
EVERYTHING = 1 << 20
NR_PAGES = 4
BUS, SEGV = "SIGBUS", "SIGSEGV"
Seen = int | str  # the first byte of a page, or the signal that came instead


class Race(NamedTuple):
    """What acts, and what is looked at when all have ended."""

    actors: list[Actor]
    settle: Callable[[], None]


class World:
    """A machine with two tasks that share their memory, and a folder of the host."""

    def __init__(self, kernel: Kernel, folder: Path) -> None:
        self.kernel = kernel
        self.folder = folder
        kernel.sysctl["vm.nonlinear"] = 1
        kernel.sysctl["vm.overcommit_memory"] = 1
        self.sys = Sys(kernel.spawn())
        self.others: list[Sys] = []
        self.children: list[Sys] = []
        self.done: set[str] = set()  # what has been done, by the actors' own words

    def host_file(self, nr_pages: int = NR_PAGES, name: str = "file") -> int:
        """Return a file of the host whose page i begins with the byte i + 1."""
        if not isinstance(self.kernel.vfs.mounts[-1].fs, HostFs):
            self.kernel.vfs.mount("/mnt", HostFs(self.folder, Access.READ_WRITE))
        pages = [bytes([index + 1]).ljust(PAGE, b"\0") for index in range(nr_pages)]
        path = self.folder / name
        path.write_bytes(b"".join(pages))
        path.chmod(0o666)
        fd: int = self.sys.open(f"/mnt/{name}", self.sys.O_RDWR, 0)
        return fd

    def memory_file(self, nr_pages: int = NR_PAGES) -> int:
        """Return a memfd with the same content."""
        fd: int = self.sys.memfd_create("file", 0)
        self.sys.ftruncate(fd, nr_pages * PAGE)
        for index in range(nr_pages):
            self.sys.pwrite64(fd, bytes([index + 1]), index * PAGE)
        return fd

    def window(self, fd: int, nr_pages: int = NR_PAGES, sharing: int = SHARED) -> int:
        """Map the beginning of a file."""
        addr: int = self.sys.mmap(0, nr_pages * PAGE, RW, sharing, fd, 0)
        return addr

    def anonymous(self, nr_pages: int = NR_PAGES) -> int:
        addr: int = self.sys.mmap(0, nr_pages * PAGE, RW, PRIVATE | ANONYMOUS, -1, 0)
        return addr

    def actor(self, act: Callable[[], object]) -> Actor:
        """Let a thread of the task do something: the first is the task itself."""
        if not self.others:
            self.others.append(self.sys)
            return Actor(self.sys.task, act)
        self.others.append(Sys(clone(self.sys.task, CLONE_VM | CLONE_FILES)))
        return Actor(self.others[-1].task, act)

    def race(self, acts: Iterable[Callable[[], object]], settle: Callable[[], None]) -> Race:
        return Race([self.actor(act) for act in acts], settle)

    # ---- what can be done ----

    def evict(self) -> None:
        """Reclaim all that can be, once: what is dirty is written."""
        self.kernel.memory.reclaim(EVERYTHING)

    def tighten(self) -> None:
        """Let each page that is taken from now on be waited for."""
        self.kernel.tunables.watermark_low = self.kernel.counters.nr_total
        self.kernel.tunables.watermark_high = 0

    def first(self, addr: int, sys: Sys | None = None) -> Seen:
        try:
            return int((sys or self.sys).load(addr, 1)[0])
        except MemoryFault as fault:
            return BUS if isinstance(fault, BusError) else SEGV

    def put(self, addr: int, value: int) -> Seen:
        """Store a byte; return it, or the signal that came instead."""
        try:
            self.sys.store(addr, bytes([value]))
        except MemoryFault as fault:
            return BUS if isinstance(fault, BusError) else SEGV
        return value

    def in_file(self, fd: int, index: int) -> Seen:
        """Return what the file holds there; SIGBUS: it ends before."""
        data = self.sys.pread64(fd, 1, index * PAGE)
        return int(data[0]) if data else BUS

    def is_cached(self, fd: int, index: int) -> bool:
        counts = ffi.new("struct cachestat *")
        lib.mapping_cachestat(self.sys.task.fds.files[fd].inode.mapping, index, index, counts)
        return bool(counts.nr_cache)

    # ---- what must be true ----

    def shows(self, fd: int, addr: int, indexes: Iterable[int], sys: Sys | None = None) -> None:
        """Each page of a shared window shows its page of the file, and stores reach the file."""
        for place, index in enumerate(indexes):
            at = addr + place * PAGE
            assert self.first(at, sys) == self.in_file(fd, index), f"page {place} shows another"
            if self.in_file(fd, index) != BUS:
                (sys or self.sys).store(at, b"\xa5")
                assert self.in_file(fd, index) == 0xA5, f"a store to page {place} is lost"

    def cut(self, fd: int, nr_pages: int) -> None:
        self.sys.ftruncate(fd, nr_pages * PAGE)
