"""The door to the questions: `kernel.inspect`.

Asks the core (inspect.c) and gives names to what it says. Whatever is asked changes nothing of the
machine: no access bit, no list, no counter; it takes no page, and looks at no file of the host.
Where a process is asked for, it is a task, a pid, or None: the one on the processor, or the last
one that was made.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.core import ffi, lib
from pkern.kernel.inspect import names
from pkern.kernel.inspect.answers import (
    Area,
    Cache,
    Cursor,
    Entry,
    Item,
    List,
    Lru,
    Mapper,
    Mappers,
    Mapping,
    Page,
    Showing,
    Slab,
    Slot,
    Swap,
    SwapArea,
    Tlb,
    TlbEntry,
    Walk,
)
from pkern.kernel.inspect.breaks import Breakpoint, Condition, Visit, always
from pkern.kernel.inspect.moment import Moment
from pkern.kernel.mm.memory import RMAP_DESIGNS, Memory
from pkern.kernel.vfs.mounts import Path, top
from pkern.kernel.vfs.proc.maps import columns

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Tracing
    from pkern.kernel.mm.mm import Mm, Vma
    from pkern.kernel.tasks.table import TaskTable
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs import Vfs
    from pkern.kernel.vfs.inode import Inode

LEVELS = ("pgd", "pud", "pmd", "pte")
DESIGNS = tuple(name for name in RMAP_DESIGNS if name != "compare")
LISTS = tuple(
    (name, int(getattr(lib, "LRU_" + name.upper())))
    for name in ("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable")
)
Who = Any  # a Task, a pid or None


class NotThere(LookupError):
    """What was asked about does not exist; the text says what there is."""


class Machine(Protocol):
    """A machine as it is asked: a Kernel."""

    @property
    def memory(self) -> Memory: ...
    @property
    def tasks(self) -> TaskTable: ...
    @property
    def vfs(self) -> Vfs: ...
    @property
    def tracing(self) -> Tracing: ...
    def running(self) -> Task | None: ...


@cache
def _row(kind: str) -> Any:
    return namedtuple("row", [name for name, _ in ffi.typeof(kind).fields])


def filled(kind: str, function: Callable[..., int], *args: Any) -> list[Any]:
    """Return a list of the core's, however long: numbers, or a copy of each struct."""
    room = function(*args, ffi.NULL, 0)
    found = ffi.new(f"{kind}[]", max(room, 1))
    items = ffi.unpack(found, function(*args, found, room))
    if not kind.startswith("struct"):
        return list(items)
    row = _row(kind)
    return [row(*(getattr(item, name) for name in row._fields)) for item in items]


class Inspector:
    """The questions about one machine."""

    def __init__(self, kernel: Machine) -> None:
        self._kernel = kernel

    @property
    def _core(self) -> Any:
        return self._kernel.memory.core

    # ---- whose ----

    def task(self, who: Who = None) -> Task:
        """Return the task that is meant. Errors: NotThere."""
        living = [task for task in self._kernel.tasks.values() if task.alive and task.mm.users]
        if who is None:
            task = self._kernel.running() or (living[-1] if living else None)
        else:
            task = next((task for task in living if who in (task, task.pid)), None)
        if task is None:
            there = ", ".join(str(task.pid) for task in living) or "none"
            raise NotThere(f"no such process; living ones: {there}")
        return task

    def spaces(self) -> dict[int, Task]:
        """Return by the frame of its pgd each address space that a living task has."""
        found: dict[int, Task] = {}
        for task in self._kernel.tasks.values():
            if task.alive and task.mm.users:
                found.setdefault(int(lib.mm_pgd(task.mm.handle)), task)
        return found

    def _pid(self, pgd: int) -> int:
        task = self.spaces().get(pgd)
        return task.tgid if task else 0

    # ---- page tables ----

    def entry(self, value: int, level: int) -> tuple[str, int, tuple[str, ...]]:
        """Return kind, number and flags of an entry. level: 0 is a pte, 3 one of the pgd."""
        info = ffi.new("struct entry_info *")
        lib.machine_entry(self._core, value, level, info)
        return names.KINDS[info.kind], int(info.number), names.entry_flags(value, info.notes)

    def walk(self, addr: int, who: Who = None) -> Walk:
        """Return how an address (bytes) is translated: each level's entry, by index.

        Errors: NotThere: no such process; ValueError: no address.
        """
        if not 0 <= addr < 1 << 64:
            raise ValueError(f"an address is a number from 0 to 2**64 - 1, not {addr}")
        task = self.task(who)
        values = ffi.new("uint64_t[4]")
        depth = lib.mm_walk(task.mm.handle, addr, values)
        table, entries = int(lib.mm_pgd(task.mm.handle)), []
        for place, value in enumerate(ffi.unpack(values, min(depth + 1, 4))):
            level = 3 - place
            kind, number, flags = self.entry(value, level)
            index = addr >> (12 + 9 * level) & 511
            entries.append(Entry(LEVELS[place], table, index, value, kind, number, flags))
            table = number
        vma = task.mm.vma_at(addr)
        return Walk(task.tgid, addr, tuple(entries), self._area(task, vma) if vma else None)

    # ---- areas ----

    def vma(self, addr: int, who: Who = None) -> Area:
        """Return the VMA at an address, and what its pages are. Errors: NotThere."""
        task = self.task(who)
        vma = task.mm.vma_at(addr)
        if vma is None:
            raise NotThere(f"process {task.tgid} has no VMA at {addr:#x}")
        return self._area(task, vma)

    def vmas(self, who: Who = None) -> list[Area]:
        """Return all VMAs of a process. Errors: NotThere."""
        task = self.task(who)
        return [self._area(task, vma) for vma in task.mm.vmas()]

    def _area(self, task: Task, vma: Vma) -> Area:
        kinds = dict.fromkeys(names.KINDS.values(), 0)
        for pte in filled("struct pte_info", self._ptes(task.mm, vma.start, vma.end)):
            kinds[self.entry(pte.pte, int(pte.nr_pages > 1))[0]] += pte.nr_pages
        shown = columns(task, vma)
        return Area(
            task.tgid,
            vma.start,
            vma.end,
            vma.perms,
            names.named(vma.flags, names.VMA_FLAGS),
            vma.pgoff,
            shown.name,
            shown.inode,
            present=kinds["page"] + kinds["large page"],
            zero=kinds["zero page"],
            swapped=kinds["swap"],
            file_ptes=kinds["file"],
            markers=kinds["marker"],
            cursor=int(lib.mm_vma_cursor(task.mm.handle, vma.start)),
        )

    @staticmethod
    def _ptes(mm: Mm, start: int, end: int) -> Callable[..., int]:
        return lambda out, room: int(lib.mm_ptes(mm.handle, start, end, out, room))

    # ---- pages ----

    def page(self, pfn: int) -> Page:
        """Return a page frame's card: its struct page, whose it is, who maps it.

        Every design of the reverse map is asked that the machine keeps something for; a machine
        with `rmap=compare` keeps it for all. Errors: NotThere: no such page frame.
        """
        nr = self._kernel.memory.ram >> 12
        if not 0 <= pfn < nr:
            raise NotThere(f"there is no page {pfn}: the machine has {nr}")
        frame = ffi.new("struct frame_info *")
        lib.machine_frames(self._core, pfn, 1, frame)
        return Page(
            pfn,
            names.named(frame.flags, names.PAGE_FLAGS),
            int(frame.refcount),
            int(frame.mapcount),
            int(frame.pins),
            int(frame.index),
            int(frame.owner) if frame.flags & lib.PG_CACHE else 0,
            self.owner(frame),
            int(frame.entry),
            int(frame.blocks),
            int(frame.node),
            tuple(self._mappers(pfn, design, int(frame.mapcount)) for design in DESIGNS),
            self._found(self._pinners(pfn)) if frame.pins else (),
        )

    def _mappers(self, pfn: int, design: str, room: int) -> Mappers:
        work = ffi.new("struct rmap_work *")
        out = ffi.new("struct mapper[]", max(room, 1))
        nr = lib.machine_mappers(self._core, pfn, RMAP_DESIGNS[design], out, room, work)
        return Mappers(
            design,
            design == self._kernel.memory.rmap,
            nr >= 0,
            self._found(ffi.unpack(out, nr)) if nr > 0 else (),
            int(work.vma_visits),
            int(work.pte_visits),
            int(work.block_touches),
        )

    def _pinners(self, pfn: int) -> list[Any]:
        return filled("struct mapper", lib.machine_pinners, self._core, pfn)

    def _found(self, mappers: list[Any]) -> tuple[Mapper, ...]:
        return tuple(Mapper(self._pid(m.pgd), m.addr, m.pte, m.vma) for m in mappers)

    def owner(self, frame: Any) -> str:
        """Return in words whose a page frame (struct frame_info) is."""
        flags = frame.flags
        if flags & lib.PG_FREE:
            return "free"
        if flags & lib.PG_TABLE:
            return f"page table of process {self._pid(frame.owner)}, from {frame.index:#x} on"
        if flags & lib.PG_SLAB:
            caches = self.slab().caches
            return caches[frame.owner].name if frame.owner < len(caches) else "a TLB"
        if flags & lib.PG_CACHE:
            return f"page {frame.index} of {self.file_name(frame.owner)}"
        if flags & lib.PG_KSM:
            return "anonymous memory of equal content"
        if flags & lib.PG_ANON:
            return f"anonymous memory, page {frame.index:#x}"
        if frame.pins:
            return "of no file any more: it was cut off, and is still shown"
        return "the kernel's own"

    # ---- lists, swap, slab, TLB ----

    def lru(self) -> Lru:
        """Return the lists of pages by age, and where scans of address spaces go on."""
        lists = tuple(
            List(name, tuple(filled("uint64_t", lib.machine_lru, self._core, number)))
            for name, number in LISTS
        )
        at = ffi.new("struct cursors *")
        lib.machine_cursors(self._core, at)
        cursors = (
            Cursor("virtual scan", self._pid(at.scan_pgd), int(at.scan_addr)),
            Cursor("ksm", self._pid(at.ksm_pgd), int(at.ksm_addr)),
        )
        return Lru(lists, cursors if at.ksm_pgd else cursors[:1])

    def swap(self) -> Swap:
        """Return the swap areas and their slots in use."""
        areas = vars(self._kernel).get("swap")  # not made before somebody asks for one
        return Swap(tuple(map(self._swap_area, areas.areas)) if areas else ())

    def _swap_area(self, area: Any) -> SwapArea:
        info = ffi.new("struct swap_info *")
        lib.machine_swap_info(self._core, area.number, info)
        slots = filled("struct swap_slot", lib.machine_swap_slots, self._core, area.number)
        used = (
            Slot(number, int(slot.count), int(slot.cached))
            for number, slot in enumerate(slots)
            if slot.count or slot.cached
        )
        return SwapArea(
            area.path,
            area.number,
            int(info.prio),
            int(info.nr_slots) - 1,
            int(info.nr_used),
            int(info.next),
            tuple(used),
        )

    def slab(self) -> Slab:
        """Return the caches of the kernel's own objects."""
        info, caches = ffi.new("struct slab_info *"), list[Cache]()
        while lib.machine_slab(self._core, len(caches), info) == 0:
            name = ffi.string(info.name).decode()
            caches.append(Cache(name, info.size, info.live, info.objects, info.pages))
        return Slab(tuple(caches))

    def tlb(self, who: Who = None) -> Tlb:
        """Return what an address space's TLB holds. Errors: NotThere."""
        task = self.task(who)
        found = filled("struct tlb_info", lib.mm_tlb, task.mm.handle)
        entries = sorted((e.addr, e.pfn, e.rights) for e in found)
        return Tlb(
            task.tgid,
            tuple(
                TlbEntry(addr, pfn, "".join(names.named(rights, names.RIGHTS)))
                for addr, pfn, rights in entries
            ),
        )

    # ---- files ----

    def mapping(self, file: str | int) -> Mapping:
        """Return a file's pages and the VMAs that show it.

        file: a path that the machine knows already, or an inode number. Errors: NotThere.
        """
        cookie = file if isinstance(file, int) else self._cookie(file)
        handle = lib.machine_mapping(self._core, cookie)
        if handle == ffi.NULL:
            raise NotThere(f"no page of {file!r} is, or was, in memory")
        items = filled("struct item_info", lib.mapping_items, handle, 0)
        showings = filled("struct showing", lib.mapping_showings, handle)
        return Mapping(
            file if isinstance(file, str) else self.file_name(cookie),
            cookie,
            int(lib.mapping_size(handle)),
            int(lib.mapping_nr_pages(handle)),
            int(lib.mapping_nr_swapped(handle)),
            tuple(Item(i.index, i.pfn, i.entry) for i in items),
            tuple(
                Showing(
                    self._pid(s.pgd),
                    s.start,
                    s.end,
                    s.pgoff,
                    names.named(s.flags, names.VMA_FLAGS),
                    s.cursor,
                )
                for s in showings
            ),
        )

    def file_name(self, cookie: int) -> str:
        """Return the path of an inode that is or was open, else its number."""
        if cookie >= lib.COOKIE_ANONYMOUS:
            return f"shared memory {cookie - lib.COOKIE_ANONYMOUS}"
        for file, path in self._kernel.vfs.files.values():
            if file.inode.ino == cookie:
                return path
        return f"inode {cookie}"

    def _cookie(self, path: str) -> int:
        for file, name in self._kernel.vfs.files.values():
            if name == path:
                return int(file.inode.ino)
        inode = self._known(path)
        if inode is None:
            raise NotThere(f"the machine knows no file {path!r} (a path begins with /)")
        return int(inode.ino)

    def _known(self, path: str) -> Inode | None:
        """Return the inode of a path as far as names were looked up: no host is asked."""
        here = top(self._kernel.vfs.top)
        for name in filter(None, path.split("/")):
            inode: Inode | None = getattr(here.inode, "entries", {}).get(name)
            if inode is None:
                return None
            here = top(Path(here.mount, inode))
        return here.inode

    # ---- when ----

    def at(self, *globs: str, visit: Visit, when: Condition = always) -> Breakpoint:
        """Call visit(event) at events from now on, while the machine stands still there.

        globs: as of Kernel.events. when: of an event, whether it is meant. The result is a context
        manager, with close(). Errors: ValueError for a glob that means no event.
        """
        return Breakpoint(self._kernel.tracing, globs, when, visit)

    # ---- the whole ----

    def moment(self) -> Moment:
        """Return the whole machine as it is now: two of them can be compared, new.diff(old)."""
        return Moment.of(self._kernel.memory, self.spaces())
