"""io_uring_setup and io_uring_enter.

What is not done here is EINVAL: polling of devices (IOPOLL). The kernel's thread of a ring with
SQPOLL always sleeps, and says so in the ring's flags (NEED_WAKEUP): whoever wakes it has all
entries begun.
Source: io_uring_setup(2), io_uring_enter(2).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.anon import io_uring as rings
from pkern.kernel.vfs.anon.io_uring import (
    CQE32,
    CQE_MIXED,
    NO_MMAP,
    SINGLE_ISSUER,
    SQE128,
    SQPOLL,
    RingInode,
    Users,
    open_rings,
)
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.clocks import duration_in
from pkern.syscalls.files.at import O_CLOEXEC, install
from pkern.syscalls.files.poll import mask_in, with_mask
from pkern.syscalls.io_uring import regions
from pkern.syscalls.io_uring.known import known_ring, remember, ring_of
from pkern.syscalls.io_uring.operations import OPERATIONS
from pkern.syscalls.io_uring.requests import submit
from pkern.syscalls.io_uring.ring import Ring
from pkern.syscalls.io_uring.sizes import CLAMP, CQSIZE, DEFER_TASKRUN, PARAMS_BYTES, sizes_of
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PARAMS = struct.Struct("<7I12x 8IQ 8IQ")
RESERVED = slice(28, 40)
SQ_AFF = 4
DISABLED, SUBMIT_ALL, COOP, TASKRUN_FLAG = 64, 128, 256, 512
FD_ONLY = 1 << 15  # no descriptor: the number that a ring would be registered by
NO_SQARRAY = 1 << 16
SETUP_FLAGS = (
    CQSIZE | CLAMP | DISABLED | SUBMIT_ALL | COOP | TASKRUN_FLAG | SINGLE_ISSUER | DEFER_TASKRUN
    | NO_SQARRAY | SQPOLL | SQ_AFF | SQE128 | CQE32 | CQE_MIXED | NO_MMAP | FD_ONLY
)  # fmt: skip
FEATURES = (1 << 18) - 1  # all of 6.18's
GETEVENTS, SQ_WAKEUP, SQ_WAIT, EXT_ARG, REGISTERED_RING, ABS_TIMER = 1, 2, 4, 8, 16, 32
EXT_ARG_REG, NO_IOWAIT = 64, 128  # how the wait is counted
ENTER_FLAGS = (
    GETEVENTS | SQ_WAKEUP | SQ_WAIT | EXT_ARG | REGISTERED_RING | ABS_TIMER | EXT_ARG_REG
    | NO_IOWAIT
)  # fmt: skip
ARGUMENT = struct.Struct("<QIIQ")
MICROSECOND = 1000
PARTLY = "no polling of devices"
OPCODES = "no RECV_ZC (as IORING_REGISTER_PROBE tells)"


# ---- setup ----


def _need_right(task: Task) -> None:
    """Errors: EPERM: kernel.io_uring_disabled."""
    tasks = task.kernel.tasks
    if tasks.io_uring_disabled == 0:
        return
    member = tasks.io_uring_group in (task.gid, *task.groups)
    if tasks.io_uring_disabled == 2 or not (member or task.capable("CAP_SYS_ADMIN")):
        raise SyscallError(errno.EPERM)


def _check_flags(flags: int) -> None:
    """Errors: EINVAL."""
    if flags & ~SETUP_FLAGS:
        raise SyscallError(errno.EINVAL)
    if flags & SQPOLL and flags & (COOP | TASKRUN_FLAG | DEFER_TASKRUN):
        raise SyscallError(errno.EINVAL)
    if flags & SQ_AFF and not flags & SQPOLL:
        raise SyscallError(errno.EINVAL)
    if flags & TASKRUN_FLAG and not flags & (COOP | DEFER_TASKRUN):
        raise SyscallError(errno.EINVAL)
    if flags & DEFER_TASKRUN and not flags & SINGLE_ISSUER:
        raise SyscallError(errno.EINVAL)
    if flags & FD_ONLY and not flags & NO_MMAP:
        raise SyscallError(errno.EINVAL)
    if flags & CQE32 and flags & CQE_MIXED:
        raise SyscallError(errno.EINVAL)


def _params(inode: RingInode, flags: int, users: Users | None) -> bytes:
    array = 0 if flags & NO_SQARRAY else inode.sizes.array
    sq = (rings.SQ_HEAD, rings.SQ_TAIL, rings.SQ_MASK, rings.SQ_SIZE, rings.SQ_FLAGS)
    cq = (rings.CQ_HEAD, rings.CQ_TAIL, rings.CQ_MASK, rings.CQ_SIZE, rings.CQ_OVERFLOW)
    head = (inode.sizes.sq_entries, inode.sizes.cq_entries, flags, 0, 0, FEATURES, 0)
    entries_at, rings_at = (users.entries, users.rings) if users else (0, 0)
    sq_words = (*sq, rings.SQ_DROPPED, array, 0, entries_at)
    return PARAMS.pack(*head, *sq_words, *cq, rings.CQES, rings.CQ_FLAGS, 0, rings_at)


@syscall(425, "io_uring_setup", INT, INT, partly=PARTLY)
def io_uring_setup(task: Task, entries: int, addr: int) -> int:
    """Return the descriptor of a new io_uring; struct io_uring_params at addr is filled in.

    Errors: EPERM (kernel.io_uring_disabled), EFAULT, EINVAL, EMFILE, ENOMEM; ENOSYS in a Python
    program. Source: io_uring_setup(2).
    """
    if task.context is None:
        raise SyscallError(errno.ENOSYS)
    _need_right(task)
    raw = task.mm.copy_in(addr, PARAMS_BYTES)
    _, cq_entries, flags, processor, *_ = PARAMS.unpack(raw)
    if any(raw[RESERVED]):
        raise SyscallError(errno.EINVAL)
    _check_flags(flags)
    if flags & SQ_AFF and processor:
        raise SyscallError(errno.EINVAL)  # there is one
    sizes = sizes_of(entries & 0xFFFF_FFFF, cq_entries, flags)
    users = regions.users_memory(task, raw, sizes)
    with task.kernel.memory.on_behalf_of(task):
        inode = RingInode(task.kernel, sizes, users)
        inode.owner = ring = Ring(inode, task, int(not flags & DISABLED))
        try:
            ring.charge(inode.nr_pages)
            task.mm.copy_out(addr, _params(inode, flags, users))
            file = open_rings(task.kernel, inode, task)
        except SyscallError:
            ring.charge(-ring.charged)
            inode.released()
            raise
    return remember(task, file) if flags & FD_ONLY else install(task, file, O_CLOEXEC)


# ---- enter ----


def _deadline(task: Task, flags: int, addr: int) -> int | None:
    """Return when a wait gives up, in the machine's uptime."""
    if not addr:
        return None
    wanted = duration_in(task, addr)
    return wanted if flags & ABS_TIMER else task.kernel.clock.now_ns + wanted


class HowToWait(NamedTuple):
    """A set of signals to block, when a wait gives up, and until when it waits for all it wants."""

    mask: int | None = None
    deadline: int | None = None
    least: int | None = None


def _argument(task: Task, ring: Ring, flags: int, addr: int, nbytes: int) -> HowToWait:
    """Return the set of signals and the deadline of a wait. Errors: EINVAL, EFAULT."""
    if not flags & EXT_ARG:
        return HowToWait(mask_in(task, addr, nbytes))
    if flags & EXT_ARG_REG:
        return _registered(task, flags, regions.wait_at(task, ring, addr, nbytes))
    if nbytes != ARGUMENT.size:
        raise SyscallError(errno.EINVAL)
    mask_at, mask_bytes, min_wait, time_at = ARGUMENT.unpack(task.mm.copy_in(addr, nbytes))
    mask, deadline = mask_in(task, mask_at, mask_bytes), _deadline(task, flags, time_at)
    return HowToWait(mask, deadline, _least(task, min_wait))


def _least(task: Task, microseconds: int) -> int | None:
    """Return until when a wait is for all that it wants."""
    return task.kernel.clock.now_ns + microseconds * MICROSECOND if microseconds else None


def _registered(task: Task, flags: int, wait: regions.Wait) -> HowToWait:
    """Return how to wait by a struct io_uring_reg_wait. Errors: EINVAL, EFAULT."""
    mask, deadline = mask_in(task, wait.mask, wait.mask_bytes), None
    if wait.nanoseconds is not None:
        start = 0 if flags & ABS_TIMER else task.kernel.clock.now_ns
        deadline = max(0, start + wait.nanoseconds)
    return HowToWait(mask, deadline, _least(task, wait.min_microseconds))


class Waiting(NamedTuple):
    """A wait's progress: how many entries were begun, how it waits, timeouts before it began."""

    taken: int
    how: HowToWait
    timed_out: int


def _wait(task: Task, ring: Ring, wanted: int, wait: Waiting) -> int:
    """Wait until so many completions are there. Errors: ETIME, EINTR."""
    inode, now, how = ring.inode, task.kernel.clock.now_ns, wait.how
    inode.flush()
    waits_for_all = how.least is None or now < how.least
    enough = min(wanted, inode.sizes.cq_entries if waits_for_all else 1)
    if inode.nr_completions >= enough or ring.timed_out != wait.timed_out:
        return 0
    if how.deadline is not None and now >= how.deadline:
        raise SyscallError(errno.ETIME)
    times = [time for time in (how.deadline, how.least) if time is not None and time > now]
    raise WouldBlock(
        inode,
        deadline=min(times, default=None),
        progress=wait._replace(how=how._replace(mask=None)),
        restart=Restart.ENDS,
        partial=wait.taken,
    )


@syscall(426, "io_uring_enter", SINT, INT, INT, INT, INT, INT, partly=OPCODES)
def io_uring_enter(
    task: Task, fd: int, to_submit: int, min_complete: int, flags: int, addr: int, nbytes: int
) -> int:
    """Begin up to to_submit entries and wait for min_complete ends; return how many were begun.

    Errors: EBADF, EOPNOTSUPP (no io_uring), EBADFD (not enabled yet), EINVAL, EFAULT, ETIME, EINTR.
    Source: io_uring_enter(2).
    """
    flags, to_submit, min_complete = (
        word & 0xFFFF_FFFF for word in (flags, to_submit, min_complete)
    )
    if flags & ~ENTER_FLAGS:
        raise SyscallError(errno.EINVAL)
    ring = known_ring(task, fd) if flags & REGISTERED_RING else ring_of(task, fd)
    if not ring.enabled:
        raise SyscallError(errno.EBADFD)
    before: Waiting | None = task.thread.progress
    if before is not None:
        return _wait_after(task, ring, min_complete, before.taken, lambda: before.how)
    taken = _submit(task, ring, to_submit, flags)
    if taken != to_submit or not flags & GETEVENTS:
        return taken
    how = partial(_argument, task, ring, flags, addr, nbytes)
    return _wait_after(task, ring, min_complete, taken, how)


def _submit(task: Task, ring: Ring, wanted: int, flags: int) -> int:
    """Begin entries, or with SQPOLL let the kernel's thread do so; return how many are begun."""
    inode = ring.inode
    if wanted:
        ring.need_issuer(task)
    if not inode.flags & SQPOLL:
        everything = int(bool(inode.flags & SUBMIT_ALL))
        return submit(ring, task, wanted, OPERATIONS, everything) if wanted else 0
    if flags & SQ_WAKEUP:
        submit(ring, task, inode.nr_entries, OPERATIONS, 1)
    return wanted


def _wait_after(
    task: Task, ring: Ring, wanted: int, taken: int, how: Callable[[], HowToWait]
) -> int:
    """Wait; an error counts only where nothing was begun. how: as _argument."""
    try:
        found = how()
        since = task.thread.progress.timed_out if task.thread.progress else ring.timed_out
        wait = Waiting(taken, found, since)
        with_mask(task, found.mask, lambda: _wait(task, ring, wanted, wait))
    except WouldBlock:
        raise
    except SyscallError:
        if not taken:
            raise
    return taken
