"""io_uring_register's tables: files and buffers in slots, put there, replaced, taken away, copied.

Source: io_uring_register(2), Linux 6.18 io_uring/rsrc.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.syscalls.files.read_write import vectors
from pkern.syscalls.io_uring.ring import NO_FILE, SAME_FILE, Ring
from pkern.syscalls.io_uring.slots import ANY_SLOT, Slots

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

REGISTER = struct.Struct("<IIQQQ")  # struct io_uring_rsrc_register
UPDATE, UPDATE2 = struct.Struct("<IIQ"), struct.Struct("<IIQQII")  # io_uring_rsrc_update, _update2
RANGE = struct.Struct("<IIQ")  # struct io_uring_file_index_range
SPARSE = 1
MOST_FILES, MOST_BUFFERS, MOST_BUFFER_BYTES = 1 << 20, 1 << 14, 1 << 30
IOVEC_BYTES, WORD = 16, (1 << 32) - 1


class What(NamedTuple):
    """Things to put into slots: how many, and where in memory they are, and their tags.

    data, tags: addresses; 0: empty slots, no tags.
    """

    nr: int
    data: int
    tags: int = 0

    def tag(self, task: Task, place: int) -> int:
        """Return the tag of one of them. Errors: EFAULT."""
        if not self.tags:
            return 0
        return int.from_bytes(task.mm.copy_in(self.tags + 8 * place, 8), "little")


def _count_up(count: int, one: Callable[[int], None]) -> int:
    """Do one() for each number below count; return how many were done, or fail with the first."""
    for place in range(count):
        try:
            one(place)
        except SyscallError:
            if not place:
                raise
            return place
    return count


def _what_at(task: Task, addr: int, nbytes: int) -> What:
    """Return what a struct io_uring_rsrc_register names. Errors: EINVAL, EFAULT."""
    if nbytes != REGISTER.size:
        raise SyscallError(errno.EINVAL)
    count, flags, reserved, data, tags = REGISTER.unpack(task.mm.copy_in(addr, nbytes))
    if not count or reserved or flags & ~SPARSE or (flags and data):
        raise SyscallError(errno.EINVAL)
    return What(count, data, tags)


def _update_at(task: Task, addr: int, nbytes: int) -> tuple[int, What]:
    """Return what a struct io_uring_rsrc_update2 names, and the first slot for it.

    Errors: EINVAL, EFAULT.
    """
    if nbytes != UPDATE2.size:
        raise SyscallError(errno.EINVAL)
    first, resv, data, tags, count, resv2 = UPDATE2.unpack(task.mm.copy_in(addr, nbytes))
    if not count or resv or resv2:
        raise SyscallError(errno.EINVAL)
    return first, What(count, data, tags)


def _need_slots(slots: Slots[Any], first: int, count: int) -> None:
    """Errors: EOVERFLOW, ENXIO, EINVAL."""
    if first + count > WORD:
        raise SyscallError(errno.EOVERFLOW)
    slots.need(first + count - 1)


def _fill(slots: Slots[Any], what: What, put: Callable[[int, int], None]) -> None:
    """Have a table of slots, and put(place, slot) each thing into one: all of them, or no table."""
    slots.make(what.nr)
    try:
        for place in range(what.nr if what.data else 0):
            put(place, place)
    except SyscallError:
        slots.forget_tags()
        slots.drop()
        raise


# ---- files ----


def _put_file(task: Task, ring: Ring, what: What, place: int, slot: int) -> None:
    """Put one of the files into a slot. Errors: EFAULT, EBADF, EINVAL (a tag of nothing)."""
    tag = what.tag(task, place)
    (fd,) = struct.unpack("<i", task.mm.copy_in(what.data + 4 * place, 4))
    if fd == NO_FILE and tag:
        raise SyscallError(errno.EINVAL)
    ring.files.empty(slot)
    if fd != NO_FILE:
        ring.hold_file(slot, task.fds.get(fd), tag)


def _replace_file(task: Task, ring: Ring, what: What, place: int, slot: int) -> None:
    """As _put_file; SAME_FILE changes nothing."""
    if task.mm.copy_in(what.data + 4 * place, 4) != struct.pack("<i", SAME_FILE):
        _put_file(task, ring, what, place, slot)
    elif what.tag(task, place):
        raise SyscallError(errno.EINVAL)


def _register_files(task: Task, ring: Ring, what: What) -> int:
    if ring.files:
        raise SyscallError(errno.EBUSY)
    if not what.nr:
        raise SyscallError(errno.EINVAL)
    if what.nr > min(MOST_FILES, task.rlimits["nofile"][0]):
        raise SyscallError(errno.EMFILE)
    _fill(ring.files, what, partial(_put_file, task, ring, what))
    ring.files.limit(0, what.nr)
    return 0


def _array(addr: int, count: int) -> What:
    """Return what is registered without tags: no array is no empty table. Errors: EFAULT."""
    if not addr:
        raise SyscallError(errno.EFAULT)
    return What(count, addr)


def register_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have a table of the files whose descriptors are at addr; -1: an empty slot."""
    return _register_files(task, ring, _array(addr, count))


def register_files2(task: Task, ring: Ring, addr: int, nbytes: int) -> int:
    """As register_files, with tags, or all empty."""
    return _register_files(task, ring, _what_at(task, addr, nbytes))


def replace_files(task: Task, ring: Ring, first: int, what: What) -> int:
    """Put other files into slots from first on; return how many were done.

    -1 instead of a descriptor empties a slot, -2 leaves it.
    Errors: EOVERFLOW, ENXIO, EINVAL (no such slots), EFAULT, EBADF, where none was done.
    """
    _need_slots(ring.files, first, what.nr)
    one = partial(_replace_file, task, ring, what)
    return _count_up(what.nr, lambda place: one(place, first + place))


def choose_slots(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Put files into free slots, whose numbers replace the descriptors at addr.

    Errors: ENXIO, ENFILE, EFAULT, EBADF, where none was done.
    """
    ring.files.need(0)

    def one(place: int) -> None:
        at = addr + 4 * place
        (fd,) = struct.unpack("<i", task.mm.copy_in(at, 4))
        slot = ring.install(task.fds.get(fd), ANY_SLOT)
        try:
            task.mm.copy_out(at, struct.pack("<i", slot))
        except SyscallError:
            ring.files.empty(slot)
            raise

    return _count_up(count, one)


def update_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Put other files into slots (struct io_uring_rsrc_update)."""
    if not count:
        raise SyscallError(errno.EINVAL)
    first, reserved, data = UPDATE.unpack(task.mm.copy_in(addr, UPDATE.size))
    if reserved:
        raise SyscallError(errno.EINVAL)
    return replace_files(task, ring, first, What(count, data))


def update_files2(task: Task, ring: Ring, addr: int, nbytes: int) -> int:
    """As update_files, with tags."""
    return replace_files(task, ring, *_update_at(task, addr, nbytes))


def limit_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Say which slots are given to those who ask for any (struct io_uring_file_index_range)."""
    if not addr or count:
        raise SyscallError(errno.EINVAL)
    start, length, reserved = RANGE.unpack(task.mm.copy_in(addr, RANGE.size))
    if start + length > WORD:
        raise SyscallError(errno.EOVERFLOW)
    if reserved or start + length > len(ring.files):
        raise SyscallError(errno.EINVAL)
    ring.files.limit(start, length)
    return 0


# ---- buffers ----


def check_memory(task: Task, base: int, nbytes: int) -> None:
    """Errors: EFAULT: not all of it can be written."""
    task.mm.check_user(base, nbytes)
    at = base
    while at < base + nbytes:
        vma = task.mm.vma_at(at)
        if vma is None or not vma.flags & lib.VM_WRITE or task.mm.refuses_stores(vma):
            raise SyscallError(errno.EFAULT)
        at = vma.end


def _put_buffer(task: Task, ring: Ring, what: What, place: int, slot: int) -> None:
    """Put one of the buffers into a slot. Errors: EFAULT, EINVAL (a tag of nothing)."""
    ((base, nbytes),) = vectors(task, what.data + IOVEC_BYTES * place, 1)
    if bool(base) != bool(nbytes) or nbytes > MOST_BUFFER_BYTES:
        raise SyscallError(errno.EFAULT)
    tag = what.tag(task, place)
    if base:
        check_memory(task, base, nbytes)
    elif tag:
        raise SyscallError(errno.EINVAL)
    ring.buffers.empty(slot)
    if base:
        ring.buffers.put_in(slot, (base, nbytes), tag)


def _register_buffers(task: Task, ring: Ring, what: What) -> int:
    if ring.buffers:
        raise SyscallError(errno.EBUSY)
    if not 0 < what.nr <= MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)
    _fill(ring.buffers, what, partial(_put_buffer, task, ring, what))
    return 0


def register_buffers(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have a table of the buffers that iovecs at addr name; nothing: an empty slot."""
    return _register_buffers(task, ring, _array(addr, count))


def register_buffers2(task: Task, ring: Ring, addr: int, nbytes: int) -> int:
    """As register_buffers, with tags, or all empty."""
    return _register_buffers(task, ring, _what_at(task, addr, nbytes))


def update_buffers(task: Task, ring: Ring, addr: int, nbytes: int) -> int:
    """Put other buffers into slots; return how many were done."""
    first, what = _update_at(task, addr, nbytes)
    _need_slots(ring.buffers, first, what.nr)
    one = partial(_put_buffer, task, ring, what)
    return _count_up(what.nr, lambda place: one(place, first + place))


def clone_buffers(source: Ring, ring: Ring, start: int, to: int, wanted: int) -> int:
    """Put the buffers that a ring has from start on into slots of another; wanted: 0: all.

    Errors: EINVAL, ENXIO (there are none), EOVERFLOW.
    """
    if not wanted and (start or to):
        raise SyscallError(errno.EINVAL)
    if not source.buffers:
        raise SyscallError(errno.ENXIO)
    count = wanted or len(source.buffers)
    if count > len(source.buffers):
        raise SyscallError(errno.EINVAL)
    if start + count > len(source.buffers) or to + count > WORD:
        raise SyscallError(errno.EOVERFLOW)
    if to + count > MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)
    found = [source.buffers.look(start + place) for place in range(count)]
    ring.buffers.grow(to + count)
    for place, buffer in enumerate(found):
        ring.buffers.empty(to + place)
        if buffer is not None:
            ring.buffers.put_in(to + place, buffer.value)
    return 0


def _unregister(slots: Slots[Any], addr: int, count: int) -> int:
    if addr or count:
        raise SyscallError(errno.EINVAL)
    if not slots:
        raise SyscallError(errno.ENXIO)
    slots.drop()
    return 0


def unregister_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have no files in slots any more. Errors: EINVAL, ENXIO."""
    return _unregister(ring.files, addr, count)


def unregister_buffers(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have no registered buffers any more. Errors: EINVAL, ENXIO."""
    return _unregister(ring.buffers, addr, count)
