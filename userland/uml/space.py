"""A guest address space: areas, the guest's own page table, and copy on write.

Owns what is mapped where (areas) and which frame shows there (the page table); the shadow is only
what the host has been told of it, as a TLB is. A private page is written in place if this table
is its frame's only user, and copied otherwise.

    no entry         private, anonymous   a frame of zeroes
                     a source's page      its frame; private: without the right to write
    entry, write     private              made writable, or copied
"""

from __future__ import annotations

import bisect
import errno
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from pkern.userland.uml.memory import PAGE, PAGE_MASK, GuestError, Pages, Physical, chunks
from pkern.userland.uml.shadow import HIGHEST, LOWEST, Shadow

READ, WRITE, EXEC = 1, 2, 4
MMAP_TOP = 0x7FFF_F7FF_F000
STACK_TOP = HIGHEST
STACK_LIMIT = 8 << 20


class Verdict(Enum):
    """How a fault ends that cannot be mended: (signal, si_code)."""

    NOT_MAPPED = (11, 1)
    NOT_ALLOWED = (11, 2)
    BEYOND_FILE = (7, 2)
    NO_MEMORY = (9, 0)


class Sharing(Enum):
    """Who sees a store."""

    PRIVATE = "this address space"
    SHARED = "all that map the source"


@dataclass(frozen=True, slots=True)
class Area:
    """One mapping: [start, end) in bytes; source None: anonymous. index: of the first page."""

    start: int
    end: int
    prot: int
    sharing: Sharing = Sharing.PRIVATE
    source: Pages | None = None
    index: int = 0

    def part(self, start: int, end: int) -> Area:
        """Return the piece [start, end) of it."""
        return replace(self, start=start, end=end, index=self.index + (start - self.start) // PAGE)

    def goes_on_as(self, above: Area) -> bool:
        """Tell whether the area above could be one with this one."""
        return (
            self.end == above.start
            and (self.prot, self.sharing) == (above.prot, above.sharing)
            and self.source is above.source
            and (self.source is None or self.index_of(above.start) == above.index)
        )

    def index_of(self, addr: int) -> int:
        """Return the source's page that shows at addr."""
        return self.index + (addr - self.start) // PAGE


def page_up(value: int) -> int:
    """Round up to whole pages."""
    return value + PAGE_MASK & ~PAGE_MASK


class Space:
    """One address space; close() gives everything back."""

    def __init__(self, physical: Physical, shadow: Shadow) -> None:
        self.physical = physical
        self.shadow = shadow
        self.areas: list[Area] = []  # by start, disjoint
        self.table: dict[int, tuple[int, int]] = {}  # page address -> frame, protection
        self.users = 1  # processes that run in it
        self.brk_start = self.brk = 0
        self.faults = 0

    # ---- areas ----

    def find(self, addr: int) -> Area | None:
        """Return the area that holds addr."""
        place = bisect.bisect_right(self.areas, addr, key=lambda area: area.start) - 1
        return self.areas[place] if place >= 0 and addr < self.areas[place].end else None

    def within(self, start: int, end: int) -> list[Area]:
        """Return the areas, or parts of areas, in [start, end)."""
        return [
            area.part(max(area.start, start), min(area.end, end))
            for area in self.areas
            if area.start < end and area.end > start
        ]

    def _cut_out(self, start: int, end: int) -> None:
        kept: list[Area] = []
        for area in self.areas:
            if area.end <= start or area.start >= end:
                kept.append(area)
                continue
            if area.start < start:
                kept.append(area.part(area.start, start))
            if area.end > end:
                kept.append(area.part(end, area.end))
        self.areas = kept

    def add(self, area: Area) -> None:
        """Map an area in place of what is there."""
        self.unmap(area.start, area.end)
        self._insert(area)

    def _insert(self, area: Area) -> None:
        """Enter an area into a hole, as one with the neighbours that go on as it does."""
        place = bisect.bisect_left(self.areas, area.start, key=lambda one: one.start)
        low = high = place
        if place and self.areas[place - 1].goes_on_as(area):
            low -= 1
            area = replace(self.areas[low], end=area.end)
        if place < len(self.areas) and area.goes_on_as(self.areas[place]):
            high += 1
            area = replace(area, end=self.areas[place].end)
        self.areas[low:high] = [area]

    def gap(self, nbytes: int) -> int:
        """Return the highest free place below MMAP_TOP. Errors: GuestError(ENOMEM)."""
        top = MMAP_TOP
        for area in reversed(self.areas):
            if area.end <= top - nbytes:
                break
            top = min(top, area.start)
        if top - nbytes < LOWEST:
            raise GuestError(errno.ENOMEM)
        return top - nbytes

    def unmap(self, start: int, end: int) -> None:
        """Drop mappings and pages of [start, end)."""
        self._cut_out(start, end)
        self.forget(start, end)

    def forget(self, start: int, end: int) -> None:
        """Drop the pages of [start, end); the areas stay."""
        gone = self._pages(start, end)
        for addr in gone:
            self.physical.put(self.table.pop(addr)[0])
        if gone:
            self.shadow.hide(start, end - start)

    def _pages(self, start: int, end: int) -> list[int]:
        """Return the addresses in [start, end) that have an entry."""
        if (end - start) // PAGE > len(self.table):
            return sorted(addr for addr in self.table if start <= addr < end)
        return [addr for addr in range(start, end, PAGE) if addr in self.table]

    def protect(self, start: int, end: int, prot: int) -> None:
        """Set the protection of [start, end). Errors: GuestError(ENOMEM) over a hole."""
        parts = self.within(start, end)
        if sum(part.end - part.start for part in parts) != end - start:
            raise GuestError(errno.ENOMEM)
        self._cut_out(start, end)
        for part in parts:
            self._insert(replace(part, prot=prot))
        shown = self._pages(start, end)
        for addr in shown:
            frame, old = self.table[addr]
            self.table[addr] = frame, old & prot
        if shown:
            self.shadow.hide(start, end - start)  # faults bring back what is allowed

    def move(self, old: int, nbytes: int, new: int) -> None:
        """Move the mapping [old, old+nbytes) to new, with its pages."""
        parts = self.within(old, old + nbytes)
        pages = {addr: self.table.pop(addr) for addr in self._pages(old, old + nbytes)}
        self.unmap(old, old + nbytes)
        if pages:
            self.shadow.hide(old, nbytes)
        for part in parts:
            moved = replace(part, start=part.start - old + new, end=part.end - old + new)
            self.add(moved)
        for addr, entry in pages.items():
            self.table[addr - old + new] = entry
        self._show(addr - old + new for addr in pages)

    def resident(self, start: int, end: int) -> list[bool]:
        """Tell of each page of mapped [start, end) whether a frame holds it."""
        return [
            page in self.table or (area.source is not None and area.source.has(area.index_of(page)))
            for area in self.within(start, end)
            for page in range(area.start, area.end, PAGE)
        ]

    def truncated(self, source: Pages) -> None:
        """Drop the pages of a source that has been cut."""
        for area in self.areas:
            if area.source is source:
                first = area.start + (source.nr_pages - area.index) * PAGE
                self.forget(max(area.start, min(first, area.end)), area.end)

    # ---- faults ----

    def is_present(self, addr: int, access: int) -> bool:
        """Tell whether a processor would have found a page that refuses the access."""
        area = self.find(addr)
        if area is None or not area.prot:
            return addr >= HIGHEST
        return access == EXEC or addr & ~PAGE_MASK in self.table

    def fault(self, addr: int, access: int) -> Verdict | None:
        """Make an access (READ, WRITE or EXEC) possible, or say why it is not."""
        self.faults += 1
        page = addr & ~PAGE_MASK
        area = self.find(addr) or self._grow_stack(addr)
        if area is None:
            return Verdict.NOT_MAPPED
        allowed = area.prot | READ if area.prot else 0
        if not allowed & access:
            return Verdict.NOT_ALLOWED
        try:
            if page not in self.table:
                verdict = self._fill(area, page, access)
                if verdict:
                    return verdict
            elif not self.table[page][1] & access:
                self._allow(area, page, access)
        except GuestError:
            return Verdict.NO_MEMORY
        self._show([page])
        return None

    def _show(self, pages: Iterable[int]) -> None:
        entries = ((page, *self.table[page]) for page in pages)
        self.shadow.show([(page, frame, prot) for page, frame, prot in entries if prot])

    def _fill(self, area: Area, page: int, access: int) -> Verdict | None:
        prot = area.prot | READ
        if area.source is None:
            self.table[page] = self.physical.alloc(), prot
            return None
        index = area.index_of(page)
        if index >= area.source.nr_pages:
            return Verdict.BEYOND_FILE
        frame = area.source.frame(index)
        if area.sharing is Sharing.SHARED:
            self.table[page] = self.physical.get(frame), prot
        elif access == WRITE:
            self.table[page] = self.physical.copy(frame), prot
        else:
            self.table[page] = self.physical.get(frame), prot & ~WRITE
        return None

    def _allow(self, area: Area, page: int, access: int) -> None:
        """Give a page a right that its area has: to write in place, or in a copy."""
        frame, _ = self.table[page]
        if access != WRITE:
            self.table[page] = frame, (area.prot | READ) & ~WRITE
            return
        if area.sharing is Sharing.PRIVATE and self.physical.users[frame] > 1:
            copy = self.physical.copy(frame)
            self.physical.put(frame)
            frame = copy
        self.table[page] = frame, area.prot | READ

    def _grow_stack(self, addr: int) -> Area | None:
        stack = self.areas[-1] if self.areas else None
        if stack is None or stack.end != STACK_TOP:
            return None
        lowest = max(STACK_TOP - STACK_LIMIT, self.areas[-2].end if len(self.areas) > 1 else 0)
        if not lowest <= addr < stack.start:
            return None
        self.areas[-1] = replace(stack, start=addr & ~PAGE_MASK)
        return self.areas[-1]

    # ---- the guest kernel's own access ----

    def _frame_for(self, page: int, access: int) -> int:
        """Return the frame at a page, faulting it in. Errors: GuestError(EFAULT)."""
        entry = self.table.get(page)
        if entry is None or not entry[1] & access:
            if self.fault(page, access):
                raise GuestError(errno.EFAULT)
            entry = self.table[page]
        return entry[0]

    def read(self, addr: int, nbytes: int) -> bytes:
        """Return the guest process's bytes. Errors: GuestError(EFAULT)."""
        parts = []
        for number, offset, count in chunks(addr, nbytes):
            frame = self._frame_for(number * PAGE, READ)
            parts.append(self.physical.read(frame, offset, count))
        return b"".join(parts)

    def write(self, addr: int, data: bytes) -> None:
        """Store in the guest process's memory. Errors: GuestError(EFAULT)."""
        done = 0
        for number, offset, count in chunks(addr, len(data)):
            frame = self._frame_for(number * PAGE, WRITE)
            self.physical.write(frame, offset, data[done : done + count])
            done += count

    def string(self, addr: int, limit: int = PAGE) -> bytes:
        """Return the bytes up to the next NUL. Errors: GuestError(EFAULT, ENAMETOOLONG)."""
        found = b""
        while len(found) < limit:
            part = self.read(addr + len(found), min(PAGE - (addr + len(found) & PAGE_MASK), 256))
            text, nul, _ = part.partition(b"\0")
            found += text
            if nul:
                return found
        raise GuestError(errno.ENAMETOOLONG)

    # ---- fork and the end ----

    def fork(self, shadow: Shadow) -> Space:
        """Return a copy; private pages are shared by both until one of them writes."""
        child = Space(self.physical, shadow)
        child.areas = list(self.areas)
        child.brk_start, child.brk = self.brk_start, self.brk
        downgraded = []
        for area in self.areas:
            for addr in self._pages(area.start, area.end):
                frame, prot = self.table[addr]
                if area.sharing is Sharing.PRIVATE and prot & WRITE:
                    prot &= ~WRITE
                    self.table[addr] = frame, prot
                    downgraded.append(addr)
                child.table[addr] = self.physical.get(frame), prot
        self._show(downgraded)
        child._show(list(child.table))
        return child

    def put(self) -> None:
        """Take a process away; with the last one frames and host address space go back."""
        self.users -= 1
        if not self.users:
            self._close()

    def _close(self) -> None:
        for frame, _ in self.table.values():
            self.physical.put(frame)
        self.table.clear()
        self.areas.clear()
        self.shadow.close()
