"""Rings of other sizes or in the program's memory, and memory that is registered for how to wait.

Source: Linux 6.18 io_uring/register.c, memmap.c; io_uring_register(2).
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.clock import NEVER_NS, SECOND
from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.anon.io_uring import (
    CQE32,
    CQE_MIXED,
    NO_ARRAY,
    NO_MMAP,
    PAGE_SIZE,
    SQE128,
    Sizes,
    Users,
)
from pkern.syscalls.io_uring.ring import Region
from pkern.syscalls.io_uring.sizes import CLAMP, CQSIZE, DEFER_TASKRUN, PARAMS_BYTES, sizes_of
from pkern.syscalls.io_uring.tables import check_memory

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.io_uring.ring import Ring

REGISTER = struct.Struct("<QQ16s")  # struct io_uring_mem_region_reg
DESCRIPTION = struct.Struct("<QQIIQ32s")  # struct io_uring_region_desc
TELLS_WAITS, USERS = 1, 1  # flags of the one and of the other
WORD, MOST_PAGES = 1 << 64, (1 << 31) - 1
WAIT = struct.Struct("<qqIIQI28x")  # struct io_uring_reg_wait
HAS_TIME, ALIGNMENT = 1, 8
SIZES = struct.Struct("<III")  # struct io_uring_params: how it begins
ADDRESS = struct.Struct("<Q")
ENTRIES_AT, RINGS_AT = 72, 112  # in struct io_uring_params: sq_off.user_addr, cq_off.user_addr
STAY = NO_ARRAY | SQE128 | CQE32 | CQE_MIXED | NO_MMAP  # what rings are like, whatever their size


class Description(NamedTuple):
    """What memory is to be registered: as struct io_uring_region_desc."""

    addr: int
    nbytes: int
    flags: int
    number: int
    offset: int
    reserved: bytes

    def check(self) -> None:
        """Errors: EINVAL, EFAULT, E2BIG, EOVERFLOW."""
        if any(self.reserved) or self.flags & ~USERS:
            raise SyscallError(errno.EINVAL)
        if bool(self.flags & USERS) != bool(self.addr):
            raise SyscallError(errno.EFAULT)
        if not self.nbytes or self.offset or self.number:
            raise SyscallError(errno.EINVAL)
        if self.nbytes // PAGE_SIZE > MOST_PAGES:
            raise SyscallError(errno.E2BIG)
        if (self.addr | self.nbytes) % PAGE_SIZE:
            raise SyscallError(errno.EINVAL)
        if self.addr + self.nbytes >= WORD:
            raise SyscallError(errno.EOVERFLOW)


def register(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have memory for parameters: the program's, or new memory that is mapped from the ring.

    Errors: EINVAL, EFAULT, EBUSY (there is some), E2BIG, EOVERFLOW, ENOMEM.
    """
    if not addr or count != 1:
        raise SyscallError(errno.EINVAL)
    if ring.region is not None:
        raise SyscallError(errno.EBUSY)
    at, flags, reserved = REGISTER.unpack(task.mm.copy_in(addr, REGISTER.size))
    wanted = Description(*DESCRIPTION.unpack(task.mm.copy_in(at, DESCRIPTION.size)))
    if any(reserved) or flags & ~TELLS_WAITS or (flags and ring.enabled):
        raise SyscallError(errno.EINVAL)
    wanted.check()
    if wanted.addr:
        check_memory(task, wanted.addr, wanted.nbytes)
    ring.charge(wanted.nbytes // PAGE_SIZE)
    offset = 0 if wanted.addr else ring.inode.add_parameters(wanted.nbytes)
    task.mm.copy_out(at, DESCRIPTION.pack(*wanted._replace(offset=offset)))
    ring.region = Region(wanted.addr, wanted.nbytes if flags else 0)
    return 0


def _need_memory(task: Task, addr: int, nbytes: int) -> None:
    """Refuse memory that a ring cannot be in, and fault it in.

    Errors: EFAULT, EINVAL, EOVERFLOW, ENOMEM.
    """
    Description(addr, nbytes, USERS, 0, 0, b"").check()
    check_memory(task, addr, nbytes)
    task.mm.call(lib.mm_pin, addr, nbytes, lib.ACCESS_WRITE)


def users_memory(task: Task, raw: bytes, sizes: Sizes) -> Users | None:
    """Return where rings are to be in the program's memory, by struct io_uring_params; None: not.

    Errors: EFAULT, EINVAL, EOVERFLOW, ENOMEM.
    """
    if not sizes.flags & NO_MMAP:
        return None
    (rings,), (entries,) = ADDRESS.unpack_from(raw, RINGS_AT), ADDRESS.unpack_from(raw, ENTRIES_AT)
    _need_memory(task, rings, sizes.ring_bytes)
    _need_memory(task, entries, sizes.entries_bytes)
    return Users(task.mm, rings, entries)


class Wait(NamedTuple):
    """How to wait: for how long, for all that is wanted until when, with which signals blocked."""

    nanoseconds: int | None
    min_microseconds: int
    mask: int
    mask_bytes: int


def wait_at(task: Task, ring: Ring, place: int, nbytes: int) -> Wait:
    """Return what a struct io_uring_reg_wait says, at a place in the memory that is registered.

    The time is added up as it stands, negative or with too many parts, as Linux does.
    Errors: EINVAL, EFAULT.
    """
    if nbytes != WAIT.size:
        raise SyscallError(errno.EINVAL)
    region = ring.region
    if region is None or place % ALIGNMENT or place + nbytes > region.tells_waits:
        raise SyscallError(errno.EFAULT)
    if region.addr:
        raw = task.mm.copy_in(region.addr + place, nbytes)
    else:
        raw = ring.inode.parameters(place, nbytes)
    seconds, parts, least, flags, mask, mask_bytes = WAIT.unpack(raw)
    if flags & ~HAS_TIME:
        raise SyscallError(errno.EINVAL)
    wanted = min(seconds * SECOND + parts, NEVER_NS) if flags else None
    return Wait(wanted, least, mask, mask_bytes)


def resize(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Have rings of other sizes; struct io_uring_params at addr says which, and is told.

    Errors: EINVAL (also of a ring without DEFER_TASKRUN), EFAULT, EOVERFLOW (more is in them),
    ENOMEM.
    """
    inode = ring.inode
    if not addr or count != 1 or not inode.flags & DEFER_TASKRUN:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(addr, PARAMS_BYTES)
    entries, cq_entries, flags = SIZES.unpack_from(raw)
    if flags & ~(CQSIZE | CLAMP):
        raise SyscallError(errno.EINVAL)
    sizes = sizes_of(entries, cq_entries, flags | inode.flags & STAY)
    users = users_memory(task, raw, sizes)
    task.mm.copy_out(addr, SIZES.pack(*sizes) + raw[SIZES.size :])
    before = inode.nr_pages
    inode.resize(sizes, users)
    ring.charge(inode.nr_pages - before)
    return 0
