"""Questions about a machine: what they answer, and that asking changes nothing."""

from __future__ import annotations

import hashlib
import json

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.inspect.inspector import DESIGNS, NotThere
from pkern.kernel.machine import Kernel
from pkern.userland.inspect.words import QUESTIONS, Asker, BadQuestion, as_text, read
from pkern.userland.program import Sys

PAGE = 4096
RMAPS = ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan", "compare")


def shared_file(sys: Sys, path: str, nr_pages: int) -> tuple[int, int]:
    """Return a descriptor of a new file, and where it is mapped."""
    fd = sys.open(path, sys.O_RDWR | sys.O_CREAT, 0o644)
    sys.ftruncate(fd, nr_pages * PAGE)
    prot = sys.PROT_READ | sys.PROT_WRITE
    return fd, sys.mmap(0, nr_pages * PAGE, prot, sys.MAP_SHARED, fd, 0)


def everything(kernel: Kernel) -> Sys:
    """Fill a machine with one of each kind; return its first task's calls."""
    kernel.sysctl["vm.nonlinear"] = 1
    sys = Sys(kernel.spawn(uid=0))
    fd, window = shared_file(sys, "/tmp/f", 8)
    for page in range(8):
        sys.store(window + page * PAGE, bytes([page]))
    sys.remap_file_pages(window, 2 * PAGE, 0, 4, 0)
    own = sys.mmap(0, 64 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    for page in range(60):
        sys.store(own + page * PAGE, b"x")
    sys.load(own + 60 * PAGE, 1)
    kernel.memory.reclaim(16)
    child = sys.fork()
    child.store(own, b"y")
    sys.close(fd)
    return sys


def digest(kernel: Kernel) -> str:
    """Return a sum over all memory, struct pages, lists, slots and counters."""
    core, of = kernel.core, hashlib.sha256()
    of.update(ffi.buffer(lib.machine_arena(core), lib.machine_arena_bytes(core)))
    of.update(ffi.buffer(ffi.addressof(kernel.counters[0])))
    of.update(repr(kernel.inspect.moment().as_json()).encode())
    of.update(repr((kernel.inspect.lru(), kernel.inspect.swap())).encode())
    of.update(repr((kernel.clock.now_ns, kernel.vfs.numbers, len(kernel.vfs.files))).encode())
    return of.hexdigest()


@pytest.mark.parametrize("rmap", RMAPS)
def test_asking_changes_nothing(rmap: str) -> None:
    with Kernel(ram="1M", swap="1M", rmap=rmap) as kernel:
        sys = everything(kernel)
        asker, before = Asker(kernel.inspect), digest(kernel)
        for pid in (sys.pid, sys.pid + 1):
            for vma in kernel.inspect.vmas(pid):
                asker.ask(["walk", hex(vma.start), str(pid)])
                asker.ask(["vma", hex(vma.start), str(pid)])
            asker.ask(["tlb", str(pid)])
        for pfn in range(kernel.ram // PAGE):
            asker.ask(["page", str(pfn)])
        for question in ("lru", "swap", "slab", "diff", "diff"):
            asker.ask([question])
        asker.ask(["mapping", "/tmp/f"])
        assert digest(kernel) == before
        kernel.check()


@pytest.mark.boot(ram="1M")
def test_the_digest_sees_a_load(kernel: Kernel) -> None:
    """A check of the check: an access bit is enough."""
    sys = Sys(kernel.spawn(uid=0))
    own = sys.mmap(0, PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    before = digest(kernel)
    sys.load(own, 1)
    assert digest(kernel) != before


def test_a_walk_gives_each_level(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    own = sys.mmap(0x12345000, 4 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED)
    sys.store(own, b"x")
    walk = kernel.inspect.walk(own)
    assert [entry.level for entry in walk.entries] == ["pgd", "pud", "pmd", "pte"]
    assert [entry.index for entry in walk.entries] == [0, 0, 0x91, 0x145]
    assert [entry.kind for entry in walk.entries] == ["table"] * 3 + ["page"]
    assert walk.entries[1].table == walk.entries[0].number
    assert walk.entries[3].flags == ("PRESENT", "RW", "USER", "ACCESSED", "DIRTY", "NX")
    assert walk.pfn == walk.entries[3].number
    assert walk.vma is not None and walk.vma.start == own
    assert "pte[325]" in repr(walk) and f"-> page {walk.pfn}" in repr(walk)
    sys.load(own + PAGE, 1)
    assert kernel.inspect.walk(own + PAGE).entries[-1].kind == "zero page"
    assert kernel.inspect.walk(own + 2 * PAGE).entries[-1].kind == "nothing"
    hole = kernel.inspect.walk(0x4000_0000_0000)
    assert len(hole.entries) == 1 and hole.pfn is None and hole.vma is None


def test_a_page_says_who_maps_it_by_each_design() -> None:
    with Kernel(rmap="compare", sysctl={"vm.nonlinear": 1}) as kernel:
        sys = Sys(kernel.spawn(uid=0))
        fd, window = shared_file(sys, "/tmp/f", 2)
        special = sys.mmap(0, PAGE, 1, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
        sys.remap_file_pages(special, PAGE, 0, 1, 0, fd)
        sys.store(window + PAGE, b"x")
        child = sys.fork()
        child.load(window + PAGE, 1)
        page = kernel.inspect.page(kernel.inspect.walk(window + PAGE, sys.pid).pfn)
        assert [asked.design for asked in page.mappers] == list(DESIGNS)
        for asked in page.mappers:
            assert asked.kept
            assert {(m.pid, m.addr) for m in asked.found} == {
                (sys.pid, window + PAGE),
                (child.pid, window + PAGE),
            }
        assert (page.mapcount, page.pins, page.index) == (2, 2, 1)
        assert {m.addr for m in page.pinners} == {special}, "in both processes"
        assert page.owner == "page 1 of /tmp/f"
        assert set(page.flags) >= {"uptodate", "cache", "shmem"}
        assert "special: process" in repr(page)


def test_a_design_that_nothing_is_kept_for_says_so(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    _, window = shared_file(sys, "/tmp/f", 1)
    sys.store(window, b"x")
    page = kernel.inspect.page(kernel.inspect.walk(window).pfn)
    kept = {asked.design: asked.kept for asked in page.mappers}
    assert kept == {
        "virtual_scan": True,
        "pte_chain": False,
        "objrmap": False,
        "objrmap_tree": True,
    }
    assert [asked.design for asked in page.mappers if asked.in_force] == ["objrmap_tree"]
    assert "pte_chain: not kept on this machine" in repr(page)


def test_an_area_counts_what_its_pages_are() -> None:
    with Kernel(ram="1M", swap="1M") as kernel:
        sys = everything(kernel)
        own = next(vma for vma in kernel.inspect.vmas(sys.pid) if vma.end - vma.start == 64 * PAGE)
        assert own.present + own.swapped == 60
        assert own.swapped > 0 and own.zero == 1
        window = next(vma for vma in kernel.inspect.vmas(sys.pid) if vma.file == "/tmp/f")
        assert "VM_NONLINEAR" in window.flags and window.cursor >= window.start


def test_lists_swap_and_slab(kernel: Kernel) -> None:
    with Kernel(ram="1M", swap="1M") as machine:
        everything(machine)
        lists = {one.name: one.pfns for one in machine.inspect.lru().lists}
        for name, pfns in lists.items():
            assert len(pfns) == getattr(machine.counters, f"nr_{name}"), name
        (area,) = machine.inspect.swap().areas
        assert area.path == "/dev/swap0"
        assert len(area.slots) == area.nr_used == machine.counters.nr_swap_used > 0
        assert area.nr_slots == 255, "one holds the header"
        caches = {cache.name: cache for cache in machine.inspect.slab().caches}
        assert caches["vm_area_struct"].live == machine.counters.nr_vmas
    assert repr(kernel.inspect.swap()) == "no swap area is on"


def test_a_file_says_what_it_holds_and_who_shows_it(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    _, window = shared_file(sys, "/tmp/f", 4)
    sys.store(window + 2 * PAGE, b"x")
    found = kernel.inspect.mapping("/tmp/f")
    assert (found.size, found.nr_pages) == (4 * PAGE, 1)
    assert [(item.index, item.pfn) for item in found.items] == [
        (2, kernel.inspect.walk(window + 2 * PAGE).pfn)
    ]
    assert [(s.pid, s.start, s.end) for s in found.showings] == [
        (sys.pid, window, window + 4 * PAGE)
    ]
    assert kernel.inspect.mapping(found.inode) == found
    with pytest.raises(NotThere, match="knows no file"):
        kernel.inspect.mapping("/tmp/none")


def test_a_diff_says_what_has_changed(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    before = kernel.inspect.moment()
    assert repr(kernel.inspect.moment().diff(before)) == "nothing has changed"
    own = sys.mmap(0, PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    sys.store(own, b"x")
    changes = {(c.what, c.where): c for c in kernel.inspect.moment().diff(before).changes}
    place = f"{own:#x} of process {sys.pid}"
    assert changes["vma", place].before == "" and "rw-p" in changes["vma", place].after
    assert changes["pte", place].after.startswith("0x8")
    assert changes["counter", "pgfault"].after == str(before.counters["pgfault"] + 1)
    pfn = kernel.inspect.walk(own).pfn
    assert "anon" in changes["page", str(pfn)].after


def test_every_answer_is_json(kernel: Kernel) -> None:
    sys = everything(kernel)
    asker, at = Asker(kernel.inspect, sys.task), hex(kernel.inspect.vmas(sys.pid)[0].start)
    given = {"walk": [at], "vma": [at], "page": ["17"], "mapping": ["/tmp/f"]}
    for name in (*QUESTIONS, "diff", "diff"):
        answer = asker.ask([name, *given.get(name, [])])
        assert json.loads(as_text(answer, "json")) == json.loads(json.dumps(answer.as_json()))
        assert as_text(answer, "text") == repr(answer) != ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "there is no question"),
        ("wlak 1", "did you mean walk"),
        ("walk", "it is: walk ADDR"),
        ("walk x", "a number is decimal"),
        ("vmas x", "a number is decimal"),
        ("tlb -1", "a number is from 0"),
        (f"mapping {1 << 64}", "a number is from 0"),
        ("lru 1", "it is: lru"),
        ("page '1", "No closing quotation"),
    ],
)
def test_a_question_that_is_none(text: str, complaint: str) -> None:
    with pytest.raises(BadQuestion, match=complaint):
        read(text)


def test_what_is_not_there(kernel: Kernel) -> None:
    with pytest.raises(NotThere, match="living ones: none"):
        kernel.inspect.walk(0)
    sys = Sys(kernel.spawn(uid=0))
    with pytest.raises(NotThere, match=f"living ones: {sys.pid}"):
        kernel.inspect.tlb(99)
    with pytest.raises(NotThere, match="no VMA at 0x10"):
        kernel.inspect.vma(0x10)
    with pytest.raises(NotThere, match="there is no page 1000000"):
        kernel.inspect.page(1_000_000)
    with pytest.raises(ValueError, match="from 0 to"):
        kernel.inspect.walk(-1)
