"""Races between a fault or a call that sleeps and what others do meanwhile.

Each scenario gives two or three actors, with what must be true at their ends. Bugs of Linux's past
were of these kinds; tests/races/bugs.py puts them back.
"""

from __future__ import annotations

from collections.abc import Callable

from pkern.userland.explore.actors import Steps
from tests.races.world import (
    ANONYMOUS,
    BUS,
    FIXED,
    MAYMOVE,
    MOVE_FIXED,
    NONBLOCK,
    PAGE,
    PRIVATE,
    RW,
    SEGV,
    SHARED,
    Race,
    World,
)

Scenario = Callable[[World], Race]
SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str) -> Callable[[Scenario], Scenario]:
    """Note a scenario under the name that the tables have."""

    def noting(build: Scenario) -> Scenario:
        SCENARIOS[name] = build
        return build

    return noting


def cut_and_grown(w: World, fd: int, to: int, again: int) -> Callable[[], Steps]:
    """An actor that cuts a file and lets it grow again."""

    def act() -> Steps:
        w.cut(fd, to)
        w.done.add("cut")
        yield
        w.cut(fd, again)

    return act


# ---- faults that sleep ----


@scenario("a read fault, truncate and growth")
def read_fault_and_truncate(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def read() -> None:
        was_cut = "cut" in w.done
        seen = w.first(addr + 2 * PAGE)
        assert seen in (0, BUS, *([] if was_cut else [3])), f"it shows {seen}"

    def settle() -> None:
        assert [w.in_file(fd, index) for index in range(4)] == [1, 0, 0, 0]
        w.shows(fd, addr, range(4))

    return w.race([read, cut_and_grown(w, fd, 1, 4)], settle)


@scenario("a write fault, truncate and growth")
def write_fault_and_truncate(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def settle() -> None:
        assert w.in_file(fd, 2) in (0, 0x77)
        w.shows(fd, addr, range(4))
        w.sys.msync(addr, 4 * PAGE, w.sys.MS_SYNC)
        assert (w.folder / "file").read_bytes()[2 * PAGE] == 0xA5

    return w.race([lambda: w.put(addr + 2 * PAGE, 0x77), cut_and_grown(w, fd, 1, 4)], settle)


@scenario("objrmap and vmtruncate: fault, truncate and reclaim, shared and private")
def fault_truncate_and_reclaim(w: World) -> Race:
    fd = w.host_file()
    addr, private = w.window(fd), w.window(fd, sharing=PRIVATE)
    assert w.put(private + 2 * PAGE, 0x55) == 0x55

    def fault() -> Steps:
        assert w.first(addr + 2 * PAGE) in (3, BUS)
        yield
        assert w.first(private + 2 * PAGE) in (0x55, BUS)

    def settle() -> None:
        assert w.first(private + 2 * PAGE) == BUS
        w.cut(fd, 4)
        assert w.first(private + 2 * PAGE) == 0
        w.shows(fd, addr, range(4))

    return w.race([fault, lambda: w.cut(fd, 1), w.evict], settle)


@scenario("a private copy and truncate")
def copy_and_truncate(w: World) -> Race:
    fd = w.memory_file()
    addr = w.window(fd, sharing=PRIVATE)
    assert w.first(addr + 2 * PAGE) == 3

    def settle() -> None:
        assert w.first(addr + 2 * PAGE) == BUS, "a private copy outlived the page"
        w.cut(fd, 4)
        assert w.first(addr + 2 * PAGE) == 0

    return w.race([lambda: w.put(addr + 2 * PAGE, 0x55), lambda: w.cut(fd, 1)], settle)


@scenario("a private copy and truncate, short of memory")
def copy_and_truncate_tight(w: World) -> Race:
    race = copy_and_truncate(w)
    w.tighten()
    return race


@scenario("a fault and a new mapping in its place")
def fault_and_mmap(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def read() -> None:
        assert w.first(addr + PAGE) in (2, 0)

    def map_over() -> None:
        w.sys.mmap(addr, 4 * PAGE, RW, PRIVATE | ANONYMOUS | FIXED, -1, 0)

    def settle() -> None:
        assert w.first(addr + PAGE) == 0
        w.sys.store(addr + PAGE, b"\x99")
        assert w.in_file(fd, 1) == 2

    return w.race([read, map_over], settle)


@scenario("a fault and another file, at another index, in its place")
def fault_and_other_file(w: World) -> Race:
    fd, other = w.host_file(), w.host_file(8, "other")
    addr = w.window(fd)

    def map_over() -> None:
        w.sys.mmap(addr, 4 * PAGE, RW, SHARED | FIXED, other, 4 * PAGE)

    def settle() -> None:
        w.shows(other, addr, range(4, 8))
        assert w.in_file(fd, 1) in (2, 0x77)

    return w.race([lambda: w.put(addr + PAGE, 0x77), map_over], settle)


@scenario("a fault and munmap")
def fault_and_munmap(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def read() -> None:
        assert w.first(addr + PAGE) in (2, SEGV)

    def settle() -> None:
        assert w.first(addr + PAGE) == SEGV

    return w.race([read, lambda: w.sys.munmap(addr, 4 * PAGE)], settle)


@scenario("a fault and a write, evicted before the page has come")
def fault_and_write(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def write() -> Steps:
        w.sys.pwrite64(fd, b"\x66" * PAGE, PAGE)
        yield
        w.evict()

    def settle() -> None:
        assert w.first(addr + PAGE) == w.in_file(fd, 1) == 0x66
        w.shows(fd, addr, range(4))

    return w.race([lambda: w.first(addr + PAGE), write], settle)


@scenario("two faults on one page and truncate")
def two_faults(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def read() -> None:
        assert w.first(addr + 2 * PAGE) in (3, 0x77, BUS)

    def settle() -> None:
        w.cut(fd, 4)
        assert w.in_file(fd, 2) == 0
        w.shows(fd, addr, range(4))

    acts = [read, lambda: w.put(addr + 2 * PAGE, 0x77), lambda: w.cut(fd, 1)]
    return w.race(acts, settle)


# ---- remap_file_pages ----


@scenario("a fault and remap")
def fault_and_remap(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def read() -> None:
        was = "remapped" in w.done
        assert w.first(addr) in (4, *([] if was else [1]))

    def remap() -> None:
        w.sys.remap_file_pages(addr, PAGE, 0, 3, 0)
        w.done.add("remapped")

    return w.race([read, remap], lambda: w.shows(fd, addr, [3, 1, 2, 3]))


@scenario("remap without waiting, and reclaim")
def nonblock_and_reclaim(w: World) -> Race:
    fd = w.memory_file(8)
    addr = w.window(fd)
    assert w.first(addr) == 1

    def remap() -> Steps:
        w.sys.remap_file_pages(addr, PAGE, 0, 6, NONBLOCK)
        yield
        assert w.first(addr) == 7, "the old page is still shown"

    return w.race([remap, w.evict], lambda: w.shows(fd, addr, [6, 1, 2, 3]))


@scenario("remap and truncate of what is shown elsewhere")
def remap_and_truncate(w: World) -> Race:
    fd = w.memory_file(8)
    addr = w.window(fd, 8)

    def remap() -> Steps:
        w.sys.remap_file_pages(addr + 7 * PAGE, PAGE, 0, 0, 0)
        yield
        assert w.first(addr + 7 * PAGE) == 1, "a page that stayed in the file was lost"

    def settle() -> None:
        assert w.first(addr + 7 * PAGE) == 1, "a page that stayed in the file was lost"
        w.shows(fd, addr, [0, 1, 2, 3, 4, 5, 6, 0])

    return w.race([remap, cut_and_grown(w, fd, 4, 8)], settle)


@scenario("remap, reclaim and return")
def remap_and_reclaim(w: World) -> Race:
    fd = w.memory_file()
    addr = w.window(fd)

    def remap() -> Steps:
        for place in range(4):
            w.sys.remap_file_pages(addr + place * PAGE, PAGE, 0, 3 - place, 0)
        yield
        assert w.first(addr) == 4, "another page came back"

    def evict() -> Steps:
        w.evict()
        yield
        w.evict()

    return w.race([remap, evict], lambda: w.shows(fd, addr, [3, 2, 1, 0]))


@scenario("remap and fork")
def remap_and_fork(w: World) -> Race:
    fd = w.host_file(8)
    addr = w.window(fd)

    def remap() -> Steps:
        w.sys.remap_file_pages(addr, 2 * PAGE, 0, 4, NONBLOCK)
        w.done.add("remapped")
        yield
        assert w.first(addr) == 5

    def settle() -> None:
        child = w.children[0]
        if "before" in w.done:
            assert [w.first(addr + i * PAGE, child) for i in range(2)] == [1, 2]
        else:
            assert [w.first(addr + i * PAGE, child) for i in range(2)] == [5, 6]
        w.shows(fd, addr, [4, 5, 2, 3])
        child.exit(0)

    def fork() -> None:
        if "remapped" not in w.done:
            w.done.add("before")
        w.children.append(w.sys.fork())

    return w.race([remap, fork, w.evict], settle)


@scenario("remap, short of memory")
def remap_short_of_memory(w: World) -> Race:
    fd = w.memory_file()
    addr = w.window(fd, 1024)
    far = addr + 600 * PAGE  # in a page table that is not there yet
    w.tighten()

    def remap() -> None:
        assert w.sys.remap_file_pages(far, PAGE, 0, 2, 0) == 0

    return w.race([remap, w.evict], lambda: w.shows(fd, far, [2]))


@scenario("remap of the last page, unaligned, and truncate")
def unaligned_remap(w: World) -> Race:
    fd = w.memory_file()
    addr = w.window(fd)

    def remap() -> None:
        assert w.sys.remap_file_pages(addr + 3 * PAGE + 100, PAGE, 0, 1, 0) == 0

    def settle() -> None:
        assert w.first(addr + 3 * PAGE) == 2
        w.shows(fd, addr, [0, 1, 2, 1])

    return w.race([remap, cut_and_grown(w, fd, 2, 4)], settle)


@scenario("two VMAs of one task, one remapped to page 0, the other closed first")
def two_vmas(w: World) -> Race:
    fd = w.memory_file()
    one, other = w.window(fd), w.window(fd)
    w.sys.remap_file_pages(one + 2 * PAGE, PAGE, 0, 0, 0)
    assert w.first(other) == 1

    def settle() -> None:
        assert w.first(one + 2 * PAGE) == 1
        w.cut(fd, 0)
        assert w.first(one + 2 * PAGE) == BUS

    return w.race([lambda: w.sys.munmap(other, 4 * PAGE), w.evict], settle)


@scenario("mincore, remap and reclaim")
def mincore(w: World) -> Race:
    fd = w.memory_file()
    addr = w.window(fd)

    def remap() -> None:
        w.sys.remap_file_pages(addr, PAGE, 0, 3, NONBLOCK)
        w.done.add("remapped")

    def look() -> None:
        shown = 3 if "remapped" in w.done else 0
        w.in_file(fd, 0)  # which is in the cache now
        assert w.sys.mincore(addr, PAGE) == bytes([w.is_cached(fd, shown)]), "it tells of another"

    def settle() -> None:
        look()
        w.sys.madvise(addr, PAGE, w.sys.MADV_PAGEOUT)
        look()

    return w.race([remap, w.evict, look], settle)


# ---- mremap, msync, VMAs that come and go ----


@scenario("a fault and mremap")
def fault_and_mremap(w: World) -> Race:
    fd = w.host_file()
    addr, to = w.window(fd), w.anonymous()

    def read() -> None:
        assert w.first(addr + PAGE) in (2, SEGV)

    def move() -> None:
        w.sys.mremap(addr, 4 * PAGE, 4 * PAGE, MAYMOVE | MOVE_FIXED, to)

    def settle() -> None:
        assert w.first(addr + PAGE) == SEGV
        w.shows(fd, to, range(4))

    return w.race([read, move], settle)


@scenario("mremap, truncate and reclaim")
def mremap_and_truncate(w: World) -> Race:
    fd = w.memory_file()
    addr, to = w.window(fd), w.anonymous()
    w.sys.touch(addr, 4 * PAGE)

    def move() -> None:
        w.sys.mremap(addr, 4 * PAGE, 4 * PAGE, MAYMOVE | MOVE_FIXED, to)

    def settle() -> None:
        assert [w.first(to + i * PAGE) for i in range(4)] == [1, 0, 0, 0]
        w.shows(fd, to, range(4))

    return w.race([move, cut_and_grown(w, fd, 1, 4), w.evict], settle)


@scenario("mmap of a file and truncate of it")
def mmap_and_truncate(w: World) -> Race:
    fd = w.memory_file(8)
    low = w.window(fd, 2)
    whole = w.window(fd, 8)
    w.sys.touch(whole, 8 * PAGE)
    for first in (6, 5, 4):
        part = w.sys.mmap(0, 2 * PAGE, RW, SHARED, fd, first * PAGE)
        w.sys.touch(part, 2 * PAGE)

    def map_more() -> Steps:
        more = w.sys.mmap(0, 2 * PAGE, RW, SHARED, fd, 4 * PAGE)
        yield
        assert w.first(more) in (5, BUS)

    def settle() -> None:
        assert w.first(low + PAGE) == 2
        w.shows(fd, whole, range(8))

    return w.race([map_more, lambda: w.cut(fd, 3)], settle)


@scenario("msync, a store and truncate")
def msync_and_store(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    def store() -> Steps:
        w.put(addr + PAGE, 0x31)
        yield
        w.put(addr + PAGE, 0x32)

    def settle() -> None:
        w.sys.msync(addr, 2 * PAGE, w.sys.MS_SYNC)
        on_host = (w.folder / "file").read_bytes()
        assert len(on_host) == 2 * PAGE
        assert on_host[PAGE] == w.in_file(fd, 1) == 0x32, "a store is not on the host"

    def sync() -> None:
        w.sys.msync(addr, 4 * PAGE, w.sys.MS_SYNC)

    return w.race([store, sync, lambda: w.cut(fd, 2)], settle)


@scenario("msync, a store and reclaim")
def msync_and_reclaim(w: World) -> Race:
    fd = w.host_file()
    addr = w.window(fd)

    w.first(addr)
    w.first(addr + PAGE)

    def store() -> Steps:
        w.put(addr, 0x31)
        yield
        w.put(addr + PAGE, 0x32)

    def settle() -> None:
        w.sys.msync(addr, 4 * PAGE, w.sys.MS_SYNC)
        on_host = (w.folder / "file").read_bytes()
        assert [on_host[0], on_host[PAGE]] == [0x31, 0x32], "a store is not on the host"
        w.shows(fd, addr, range(4))

    def sync() -> None:
        w.sys.msync(addr, 4 * PAGE, w.sys.MS_SYNC)

    return w.race([store, sync, w.evict], settle)


# ---- swap ----


@scenario("swap-in and munmap, short of memory")
def swap_in_and_munmap(w: World) -> Race:
    addr = w.anonymous()
    assert w.put(addr, 5) == 5
    w.evict()
    w.evict()
    w.tighten()

    def read() -> None:
        assert w.first(addr) in (5, 0, SEGV)

    def unmap() -> Steps:
        w.sys.munmap(addr, 4 * PAGE)
        yield
        w.sys.mmap(addr, 4 * PAGE, RW, PRIVATE | ANONYMOUS | FIXED, -1, 0)

    def settle() -> None:
        assert w.first(addr) == 0

    return w.race([read, unmap], settle)


@scenario("swap-in of a page that fork shares, a store and reclaim")
def swap_in_and_fork(w: World) -> Race:
    addr = w.anonymous()
    assert w.put(addr, 5) == 5
    child = w.sys.fork()
    w.evict()
    w.evict()

    def settle() -> None:
        assert (w.first(addr), w.first(addr, child)) == (6, 5)
        w.evict()
        assert (w.first(addr), w.first(addr, child)) == (6, 5)
        child.exit(0)

    def read() -> None:
        assert w.first(addr, child) == 5

    return w.race([lambda: w.put(addr, 6), read, w.evict], settle)


@scenario("a partial page in swap, truncate, a fault and reclaim")
def partial_page_in_swap(w: World) -> Race:
    fd = w.memory_file()
    addr = w.window(fd)
    w.sys.store(addr + PAGE + 10, b"tail")
    w.evict()
    w.evict()
    w.tighten()

    def cut() -> Steps:
        w.sys.ftruncate(fd, PAGE + 12)
        yield
        w.cut(fd, 4)

    def settle() -> None:
        assert w.sys.load(addr + PAGE + 8, 8) == b"\0\0ta\0\0\0\0"
        w.shows(fd, addr, range(4))

    return w.race([lambda: w.first(addr + PAGE), cut, w.evict], settle)
