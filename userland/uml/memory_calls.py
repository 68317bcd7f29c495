"""The guest's memory calls: mmap and its kin, on the caller's address space."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING

from pkern.userland.uml.memory import PAGE, PAGE_MASK, GuestError, Pages
from pkern.userland.uml.process import Process
from pkern.userland.uml.shadow import HIGHEST, LOWEST
from pkern.userland.uml.space import Area, Sharing, Space, page_up
from pkern.userland.uml.table import call, int32

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

MAP_SHARED, MAP_TYPE, MAP_FIXED, MAP_ANONYMOUS = 1, 15, 16, 32
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
MADV_DONTNEED = 4
WRAPS = 1 << 64
HINTS = frozenset({0, 1, 2, 3, MADV_DONTNEED, 14, 15})  # and huge pages, which there are not


@call(9, "mmap", 6)
def mmap(
    kernel: GuestKernel,
    me: Process,
    addr: int,
    nbytes: int,
    prot: int,
    flags: int,
    fd: int,
    pos: int,
) -> int:
    """Map anonymous memory, or a file's pages, privately or shared."""
    if not nbytes or pos & PAGE_MASK:
        raise GuestError(errno.EINVAL)
    nbytes = page_up(nbytes)
    if nbytes > HIGHEST:
        raise GuestError(errno.ENOMEM)
    if pos + nbytes >= WRAPS:
        raise GuestError(errno.EOVERFLOW)
    sharing = Sharing.SHARED if flags & MAP_TYPE == MAP_SHARED else Sharing.PRIVATE
    source = None
    if not flags & MAP_ANONYMOUS:
        source = me.fds[int32(fd)].inode.pages
        if source is None:
            raise GuestError(errno.ENODEV)
    elif sharing is Sharing.SHARED:
        source = Pages(kernel.physical, nbytes)
    start = _place(me, addr, nbytes, flags)
    me.space.add(Area(start, start + nbytes, prot & 7, sharing, source, pos // PAGE))
    return start


def _place(me: Process, addr: int, nbytes: int, flags: int) -> int:
    if flags & MAP_FIXED:
        if addr + nbytes > HIGHEST:
            raise GuestError(errno.ENOMEM)
        if addr & PAGE_MASK:
            raise GuestError(errno.EINVAL)
        if addr < LOWEST:
            raise GuestError(errno.EPERM)
        return addr
    hint = addr & ~PAGE_MASK
    if LOWEST <= hint <= HIGHEST - nbytes and not me.space.within(hint, hint + nbytes):
        return hint
    return me.space.gap(nbytes)


@call(11, "munmap", 2)
def munmap(kernel: GuestKernel, me: Process, addr: int, nbytes: int) -> int:
    """Unmap a range."""
    if addr & PAGE_MASK or not nbytes or addr + page_up(nbytes) > HIGHEST:
        raise GuestError(errno.EINVAL)
    me.space.unmap(addr, addr + page_up(nbytes))
    return 0


@call(10, "mprotect", 3)
def mprotect(kernel: GuestKernel, me: Process, addr: int, nbytes: int, prot: int) -> int:
    """Set a range's protection."""
    if addr & PAGE_MASK:
        raise GuestError(errno.EINVAL)
    if nbytes:
        me.space.protect(addr, addr + page_up(nbytes), prot & 7)
    return 0


@call(25, "mremap", 5)
def mremap(
    kernel: GuestKernel, me: Process, addr: int, old: int, new: int, flags: int, to: int
) -> int:
    """Grow, shrink or move a mapping; an old length of 0 shows shared pages twice."""
    space, old, new = me.space, page_up(old), page_up(new)
    _check_mremap(addr, old, new, flags, to)
    area = space.find(addr)
    if area is None or area.end < addr + old:
        raise GuestError(errno.EFAULT)
    if not old and area.sharing is Sharing.PRIVATE:
        raise GuestError(errno.EINVAL)
    if not flags & MREMAP_FIXED and 0 < new <= old:
        space.unmap(addr + new, addr + old)
        return addr
    where = _mremap_place(space, area, addr, old, new, flags, to)
    if where != addr:
        kept = min(old, new)
        space.unmap(addr + kept, addr + old)
        space.move(addr, kept, where)
    if new > old:
        grown = area.part(addr + old, addr + new)
        space.add(replace(grown, start=where + old, end=where + new))
    return where


def _check_mremap(addr: int, old: int, new: int, flags: int, to: int) -> None:
    wrong = addr & PAGE_MASK or not 0 < new <= HIGHEST or flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)
    if flags & MREMAP_FIXED:
        overlap = addr < to + new and to < addr + old
        inside = LOWEST <= to <= HIGHEST - new and not to & PAGE_MASK
        wrong = wrong or not flags & MREMAP_MAYMOVE or not inside or overlap
    if wrong:
        raise GuestError(errno.EINVAL)


def _mremap_place(
    space: Space, area: Area, addr: int, old: int, new: int, flags: int, to: int
) -> int:
    if flags & MREMAP_FIXED:
        space.unmap(to, to + new)
        return to
    if old and area.end == addr + old and not space.within(addr + old, addr + new):
        return addr
    if not flags & MREMAP_MAYMOVE:
        raise GuestError(errno.ENOMEM)
    return space.gap(new)


@call(12, "brk", 1)
def brk(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Move the heap's end; return where it is."""
    space = me.space
    if addr < space.brk_start:
        return space.brk
    old, new = page_up(space.brk), page_up(addr)
    if new < old:
        space.unmap(new, old)
    elif new > old:
        if space.within(old, new) or new - space.brk_start > kernel.physical.nr_frames * PAGE:
            return space.brk
        space.add(Area(old, new, 3))
    space.brk = addr
    return addr


def _check_covered(me: Process, addr: int, nbytes: int) -> None:
    """Refuse a range that is misaligned (EINVAL) or has a hole (ENOMEM)."""
    if addr & PAGE_MASK:
        raise GuestError(errno.EINVAL)
    parts = me.space.within(addr, addr + nbytes)
    if sum(part.end - part.start for part in parts) != nbytes:
        raise GuestError(errno.ENOMEM)


@call(28, "madvise", 3)
def madvise(kernel: GuestKernel, me: Process, addr: int, nbytes: int, advice: int) -> int:
    """Drop pages for MADV_DONTNEED; take Linux's first hints without following them."""
    nbytes = page_up(nbytes)
    if int32(advice) not in HINTS or addr & PAGE_MASK or addr + nbytes >= WRAPS:
        raise GuestError(errno.EINVAL)
    if int32(advice) == MADV_DONTNEED:
        me.space.forget(addr, addr + nbytes)
    _check_covered(me, addr, nbytes)
    return 0


@call(26, "msync", 2)
def msync(kernel: GuestKernel, me: Process, addr: int, nbytes: int) -> int:
    """Check the range: all files are in memory."""
    _check_covered(me, addr, page_up(nbytes) % WRAPS)
    return 0


@call(27, "mincore", 3)
def mincore(kernel: GuestKernel, me: Process, addr: int, nbytes: int, vector: int) -> int:
    """Store 1 for each page that is mapped or in its source, 0 for each other one."""
    nbytes = page_up(nbytes)
    _check_covered(me, addr, nbytes)
    me.space.write(vector, bytes(me.space.resident(addr, addr + nbytes)))
    return 0
