"""Machines with several nodes of memory: where pages lie, what the files say, and full nodes.

tests/core/test_nodes.c moves every kind of page; tests/system/elf/memory/mempolicy.c
compares a machine of one node with the host.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys

PAGE = 4096
RMAPS = ["objrmap_tree", "pte_chain", "objrmap", "virtual_scan", "compare"]
FIRST, SECOND, BOTH = 1, 2, 3


def text(sys: Sys, path: str) -> str:
    fd = sys.open(path, sys.O_RDONLY)
    found = b""
    while part := sys.read(fd, 4096):
        found += part
    sys.close(fd)
    return found.decode()


class Place:
    """Private memory, and a page for arguments."""

    def __init__(self, sys: Sys, pages: int) -> None:
        self.sys = sys
        self.args = sys.mmap(0, 4 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        self.at = sys.mmap(0, pages * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
        self.pages = pages

    def mask(self, nodes: int) -> int:
        self.sys.store(self.args, struct.pack("<Q", nodes))
        return self.args

    def bind(self, first: int, pages: int, mode: int, nodes: int, flags: int = 0) -> None:
        self.sys.mbind(self.at + first * PAGE, pages * PAGE, mode, self.mask(nodes), 65, flags)

    def nodes(self) -> list[int]:
        where = [self.at + i * PAGE for i in range(self.pages)]
        self.sys.store(self.args, struct.pack(f"<{self.pages}Q", *where))
        status = self.args + 2 * PAGE
        self.sys.move_pages(0, self.pages, self.args, 0, status, 0)
        return list(struct.unpack(f"<{self.pages}i", self.sys.load(status, 4 * self.pages)))


def test_files_tell_of_two_nodes() -> None:
    with Kernel(ram="16M", nodes=2) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        place = Place(sys, 8)
        place.bind(2, 4, sys.MPOL_INTERLEAVE, BOTH)
        place.bind(6, 2, sys.MPOL_BIND | sys.MPOL_F_STATIC_NODES, SECOND)
        sys.touch(place.at, 8 * PAGE)
        lines = [
            line.split(" ", 1)[1]
            for line in text(sys, "/proc/self/numa_maps").splitlines()
            if int(line.split()[0], 16) in range(place.at, place.at + 8 * PAGE)
        ]
        assert lines == [
            "default anon=2 dirty=2 active=0 N0=2 kernelpagesize_kB=4",
            "interleave:0-1 anon=4 dirty=4 active=0 N0=2 N1=2 kernelpagesize_kB=4",
            "bind=static:1 anon=2 dirty=2 active=0 N1=2 kernelpagesize_kB=4",
        ]
        assert text(sys, "/sys/devices/system/node/online") == "0-1\n"
        node = "/sys/devices/system/node/node1"
        assert text(sys, f"{node}/distance") == "20 10\n"
        assert text(sys, f"{node}/cpulist") == "\n"
        rows = [row.split() for row in text(sys, f"{node}/meminfo").splitlines()]
        assert ["Node", "1", "AnonPages:", "16", "kB"] in rows
        assert "nr_anon_pages 4\n" in text(sys, f"{node}/vmstat")
        assert text(sys, f"{node}/numastat").splitlines()[0] == "numa_hit 4"
        assert "interleave_hit 2" in text(sys, f"{node}/numastat")
        assert text(sys, "/proc/buddyinfo").splitlines()[1].startswith("Node 1, zone   Normal")
        zones = text(sys, "/proc/zoneinfo")
        free = [int(row.split()[2]) for row in zones.splitlines() if "pages free" in row]
        assert sum(free) == kernel.counters.nr_free
        assert "Mems_allowed_list:\t0-1\n" in text(sys, "/proc/self/status")
        assert "nodes=2" in text(sys, "/proc/cmdline")


@pytest.mark.parametrize("rmap", RMAPS)
def test_pages_go_to_another_node_and_back(rmap: str) -> None:
    with Kernel(ram="4M", nodes=2, rmap=rmap) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        place = Place(sys, 8)
        for page in range(8):
            sys.store(place.at + page * PAGE, bytes([page + 1]))
        child = sys.fork()
        assert place.nodes() == [0] * 8
        first, second = place.args + 1024, place.args + 1032
        sys.store(first, struct.pack("<2Q", FIRST, SECOND))
        assert sys.migrate_pages(0, 65, first, second) == 0
        assert place.nodes() == [1] * 8
        assert [child.load(place.at + page * PAGE, 1)[0] for page in range(8)] == [*range(1, 9)]
        child.store(place.at, b"x")
        assert sys.load(place.at, 1) == b"\1"
        assert sys.migrate_pages(child.pid, 65, second, first) == 0
        assert place.nodes() == [1] + [0] * 7, "the child has a copy of the first page"
        kernel.check()


def test_a_bound_task_swaps_rather_than_go_elsewhere() -> None:
    with Kernel(ram="4M", nodes=2, swap="8M") as kernel:
        sys = Sys(kernel.spawn(uid=0))
        place = Place(sys, 700)
        place.bind(0, 700, sys.MPOL_BIND, SECOND)
        for page in range(700):
            sys.store(place.at + page * PAGE, struct.pack("<I", page))
        assert kernel.counters.pswpout > 100
        half = int(kernel.counters.nr_total) // 2
        assert kernel.counters.nr_free > half // 2, "the first node is nearly unused"
        for page in range(700):
            assert sys.load(place.at + page * PAGE, 4) == struct.pack("<I", page)
        kernel.check()


def test_a_task_that_only_prefers_goes_elsewhere() -> None:
    with Kernel(ram="4M", nodes=2, swap="8M") as kernel:
        sys = Sys(kernel.spawn(uid=0))
        place = Place(sys, 600)
        sys.set_mempolicy(sys.MPOL_PREFERRED, place.mask(SECOND), 65)
        sys.touch(place.at, 600 * PAGE)
        assert kernel.counters.pswpout == 0
        assert "prefer:1" in text(sys, "/proc/self/numa_maps")
        kernel.check()


def test_weights_of_interleaving() -> None:
    with Kernel(ram="4M", nodes=2) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        weight = "/sys/kernel/mm/mempolicy/weighted_interleave/node1"
        fd = sys.open(weight, sys.O_WRONLY)
        with pytest.raises(OSError, match="Invalid argument"):
            sys.write(fd, b"256")
        sys.write(fd, b"3")
        assert text(sys, weight) == "3\n"
        place = Place(sys, 40)
        place.bind(0, 40, sys.MPOL_WEIGHTED_INTERLEAVE, BOTH)
        sys.touch(place.at, 40 * PAGE)
        assert place.nodes().count(1) == 30


def shown(sys: Sys, at: int, pages: Sequence[int]) -> list[int]:
    """Return the nodes of some pages of a mapping, which a load of each shows there."""
    place = Place(sys, max(pages) + 1)
    place.at = at
    for page in pages:
        sys.load(at + page * PAGE, 1)
    nodes = place.nodes()
    return [nodes[page] for page in pages]


def file_of(kernel: Kernel, sys: Sys, folder: Path, pages: int) -> int:
    """Return a file of the host none of which is in memory."""
    (folder / "file").write_bytes(b"x" * pages * PAGE)
    kernel.vfs.mount("/mnt", HostFs(folder, Access.READ_WRITE))
    return sys.open("/mnt/file", sys.O_RDWR)


@pytest.mark.parametrize("how", ["read", "write", "fault"])
def test_pages_of_a_file_follow_the_policy_of_who_brings_them(how: str, tmp_path: Path) -> None:
    with Kernel(ram="16M", nodes=2) as kernel:
        kernel.sysctl["vm.fault_around_bytes"] = PAGE
        sys = Sys(kernel.spawn(uid=0))
        fd = file_of(kernel, sys, tmp_path, 12)
        at = sys.mmap(0, 12 * PAGE, sys.PROT_READ, sys.MAP_SHARED, fd)
        place = Place(sys, 1)

        def bring(first: int, count: int, step: int = 1) -> None:
            for page in range(first, first + count * step, step):
                if how == "read":
                    sys.pread64(fd, 1, page * PAGE)
                elif how == "write":
                    sys.pwrite64(fd, b"y", page * PAGE)
                else:
                    sys.load(at + page * PAGE, 1)

        bring(0, 2)
        sys.set_mempolicy(sys.MPOL_BIND, place.mask(SECOND), 65)
        bring(2, 2)
        sys.set_mempolicy(sys.MPOL_INTERLEAVE, place.mask(BOTH), 65)
        bring(4, 4, step=2)  # in turn, wherever they lie in the file
        sys.set_mempolicy(sys.MPOL_DEFAULT, 0, 0)
        bring(5, 1)
        brought = [0, 1, 2, 3, 4, 6, 8, 10, 5]
        assert shown(sys, at, brought) == [0, 0, 1, 1, 0, 1, 0, 1, 0]
        assert " N0=5 N1=4 " in next(
            line for line in text(sys, "/proc/self/numa_maps").splitlines() if "/mnt/file" in line
        )
        kernel.check()


def test_another_task_and_a_dead_one_change_nothing(tmp_path: Path) -> None:
    with Kernel(ram="16M", nodes=2) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        fd = file_of(kernel, sys, tmp_path, 4)
        child = sys.fork()
        child.set_mempolicy(child.MPOL_BIND, Place(child, 1).mask(SECOND), 65)
        child.pread64(fd, 1, 0)
        sys.pread64(fd, 1, PAGE)
        child.pread64(fd, 1, 2 * PAGE)
        child.exit(0)
        sys.pread64(fd, 1, 3 * PAGE)
        at = sys.mmap(0, 4 * PAGE, sys.PROT_READ, sys.MAP_SHARED, fd)
        assert shown(sys, at, range(4)) == [1, 0, 1, 0]
        kernel.check()


def test_a_tmpfs_has_a_policy_for_its_files() -> None:
    with Kernel(ram="16M", nodes=2) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        sys.mount("none", "/tmp", "tmpfs", 0, "mpol=interleave:0,1,size=1m")
        assert "mpol=interleave:0-1" in text(sys, "/proc/mounts")
        fd = sys.open("/tmp/a", sys.O_RDWR | sys.O_CREAT, 0o600)
        sys.write(fd, b"x" * 8 * PAGE)
        at = sys.mmap(0, 8 * PAGE, sys.PROT_READ, sys.MAP_SHARED, fd)
        assert shown(sys, at, range(8)) in ([0, 1] * 4, [1, 0] * 4)
        sys.mount("none", "/tmp", "tmpfs", sys.MS_REMOUNT, "mpol=bind:1")
        other = sys.open("/tmp/b", sys.O_RDWR | sys.O_CREAT, 0o600)
        sys.write(other, b"x" * 4 * PAGE)
        at = sys.mmap(0, 4 * PAGE, sys.PROT_READ, sys.MAP_SHARED, other)
        assert shown(sys, at, range(4)) == [1] * 4
        sys.write(fd, b"x" * 4 * PAGE)  # made before: as it was
        kernel.check()


def test_the_next_node_of_interleaving_is_told(tmp_path: Path) -> None:
    with Kernel(ram="16M", nodes=2) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        fd = file_of(kernel, sys, tmp_path, 4)
        place = Place(sys, 1)
        sys.set_mempolicy(sys.MPOL_INTERLEAVE, place.mask(BOTH), 65)
        told = []
        for page in range(4):
            sys.get_mempolicy(place.args, 0, 0, 0, sys.MPOL_F_NODE)
            told += struct.unpack("<i", sys.load(place.args, 4))
            sys.pread64(fd, 1, page * PAGE)
        assert told == [0, 1, 0, 1]


def test_a_machine_has_one_to_eight_nodes() -> None:
    for wrong in (0, 9, -1):
        with pytest.raises(ValueError, match="nodes"):
            Kernel(ram="4M", nodes=wrong)


def test_the_same_twice() -> None:
    def run() -> list[int]:
        with Kernel(ram="4M", nodes=2, swap="4M") as kernel:
            place = Place(Sys(kernel.spawn(uid=0)), 300)
            place.bind(0, 300, 3, BOTH)
            place.sys.touch(place.at, 300 * PAGE)
            return place.nodes()

    assert run() == run()
