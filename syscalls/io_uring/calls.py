"""io_uring_setup, io_uring_enter and io_uring_register.

What is not done here is EINVAL: polling of devices (IOPOLL), larger entries, memory of the
program's for the rings. The kernel's thread of a ring with SQPOLL always sleeps, and says so in the
ring's flags (NEED_WAKEUP): whoever wakes it has all entries begun.
Source: io_uring_setup(2), io_uring_enter(2), io_uring_register(2).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon import io_uring as rings
from pkern.kernel.vfs.anon.eventfd import EventInode
from pkern.kernel.vfs.anon.io_uring import SQPOLL, RingInode, open_rings
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.clocks import duration_in
from pkern.syscalls.files.at import O_CLOEXEC, install
from pkern.syscalls.files.poll import mask_in, with_mask
from pkern.syscalls.files.read_write import vectors
from pkern.syscalls.io_uring.operations import LAST, OPERATIONS
from pkern.syscalls.io_uring.requests import NO_FILE, Ring, submit
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

PARAMS = struct.Struct("<7I12x 10I 10I")
PARAMS_BYTES, RESERVED = 120, slice(28, 40)
SQ_AFF = 4
CQSIZE, CLAMP, DISABLED, SUBMIT_ALL, COOP, TASKRUN_FLAG = 8, 16, 64, 128, 256, 512
SINGLE_ISSUER, DEFER_TASKRUN, NO_SQARRAY = 1 << 12, 1 << 13, 1 << 16
SETUP_FLAGS = (
    CQSIZE | CLAMP | DISABLED | SUBMIT_ALL | COOP | TASKRUN_FLAG | SINGLE_ISSUER | DEFER_TASKRUN
    | NO_SQARRAY | SQPOLL | SQ_AFF
)  # fmt: skip
MOST_ENTRIES = 32768
# Features: one mapping, nothing dropped, entries stable, current positions, fast poll, poll's 32
# bits, an argument of enter, quiet successes, files of links looked up late.
FEATURES = 1 | 2 | 4 | 8 | 32 | 64 | 256 | 2048 | 4096
GETEVENTS, SQ_WAKEUP, SQ_WAIT, EXT_ARG, REGISTERED_RING, ABS_TIMER = 1, 2, 4, 8, 16, 32
ENTER_FLAGS = GETEVENTS | SQ_WAKEUP | SQ_WAIT | EXT_ARG | ABS_TIMER
ARGUMENT = struct.Struct("<QIIQ")
PROBE_OP, MOST_PROBED, SUPPORTED = struct.Struct("<BBHI"), 256, 1
PROBE_HEAD = 16
FILES_UPDATE = struct.Struct("<IIQ")
MOST_FILES, MOST_BUFFERS, MOST_BUFFER_BYTES = 1 << 15, 1 << 14, 1 << 30
PARTLY = "no polling of devices, no larger entries, no rings in the program's own memory"
OPCODES = "opcodes by IORING_REGISTER_PROBE; buffers are chosen for READ and RECV only"
REGISTERS = "buffers, files and other files, eventfd, probe, enable, rings of buffers"


def _of(task: Task, fd: int) -> Ring:
    """Return the ring of a descriptor. Errors: EBADF, EOPNOTSUPP."""
    inode = task.fds.get(fd).inode
    if not isinstance(inode, RingInode):
        raise SyscallError(errno.EOPNOTSUPP)
    ring: Ring = inode.owner
    return ring


# ---- setup ----


def _need_right(task: Task) -> None:
    """Errors: EPERM: kernel.io_uring_disabled."""
    tasks = task.kernel.tasks
    if tasks.io_uring_disabled == 0:
        return
    member = tasks.io_uring_group in (task.gid, *task.groups)
    if tasks.io_uring_disabled == 2 or not (member or task.capable("CAP_SYS_ADMIN")):
        raise SyscallError(errno.EPERM)


def _sizes(entries: int, cq_entries: int, flags: int) -> tuple[int, int]:
    """Return the entries of both rings: powers of two. Errors: EINVAL."""
    if not entries:
        raise SyscallError(errno.EINVAL)
    entries = _bounded(entries, MOST_ENTRIES, flags)
    if not flags & CQSIZE:
        return entries, 2 * entries
    if not cq_entries:
        raise SyscallError(errno.EINVAL)
    cq_entries = _bounded(cq_entries, 2 * MOST_ENTRIES, flags)
    if cq_entries < entries:
        raise SyscallError(errno.EINVAL)
    return entries, cq_entries


def _bounded(number: int, most: int, flags: int) -> int:
    if number > most:
        if not flags & CLAMP:
            raise SyscallError(errno.EINVAL)
        number = most
    return 1 << (number - 1).bit_length()


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


def _params(inode: RingInode, flags: int) -> bytes:
    array = 0 if flags & NO_SQARRAY else inode.array
    sq = (rings.SQ_HEAD, rings.SQ_TAIL, rings.SQ_MASK, rings.SQ_SIZE, rings.SQ_FLAGS)
    cq = (rings.CQ_HEAD, rings.CQ_TAIL, rings.CQ_MASK, rings.CQ_SIZE, rings.CQ_OVERFLOW)
    head = (inode.sq_entries, inode.cq_entries, flags, 0, 0, FEATURES, 0)
    sq_words = (*sq, rings.SQ_DROPPED, array, 0, 0, 0)
    return PARAMS.pack(*head, *sq_words, *cq, rings.CQES, rings.CQ_FLAGS, 0, 0, 0)


def _charge(task: Task, ring: Ring) -> None:
    """Count a ring's pages for the user who makes it. Errors: ENOMEM: RLIMIT_MEMLOCK."""
    if task.capable("CAP_IPC_LOCK"):
        return
    counts, uid, pages = task.kernel.tasks.ring_pages, task.uid, ring.inode.nr_pages
    if counts.get(uid, 0) + pages > task.rlimits["memlock"][0] // rings.PAGE_SIZE:
        raise SyscallError(errno.ENOMEM)
    counts[uid] = counts.get(uid, 0) + pages

    def uncharge() -> None:
        counts[uid] -= pages
        ring.uncharge = lambda: None

    ring.uncharge = uncharge


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
    sizes = _sizes(entries & 0xFFFF_FFFF, cq_entries, flags)
    with task.kernel.memory.on_behalf_of(task):
        inode = RingInode(task.kernel, *sizes, flags)
        inode.owner = ring = Ring(inode, int(not flags & DISABLED))
        try:
            _charge(task, ring)
            task.mm.copy_out(addr, _params(inode, flags))
            file = open_rings(task.kernel, inode, task)
        except SyscallError:
            ring.uncharge()
            inode.released()
            raise
    return install(task, file, O_CLOEXEC)


# ---- enter ----


def _deadline(task: Task, flags: int, addr: int) -> int | None:
    """Return when a wait gives up, in the machine's uptime."""
    if not addr:
        return None
    wanted = duration_in(task, addr)
    return wanted if flags & ABS_TIMER else task.kernel.clock.now_ns + wanted


HowToWait = tuple[int | None, int | None]  # a set of signals to block, a deadline


def _argument(task: Task, flags: int, addr: int, nbytes: int) -> HowToWait:
    """Return the set of signals and the deadline of a wait. Errors: EINVAL, EFAULT."""
    if not flags & EXT_ARG:
        return mask_in(task, addr, nbytes), None
    if nbytes != ARGUMENT.size:
        raise SyscallError(errno.EINVAL)
    mask_at, mask_bytes, min_wait, time_at = ARGUMENT.unpack(task.mm.copy_in(addr, nbytes))
    if min_wait:
        raise SyscallError(errno.EINVAL)
    return mask_in(task, mask_at, mask_bytes), _deadline(task, flags, time_at)


def _wait(task: Task, ring: Ring, wanted: int, deadline: int | None, taken: int) -> int:
    """Wait until so many completions are there. Errors: ETIME, EINTR."""
    inode = ring.inode
    inode.flush()
    if inode.nr_completions >= min(wanted, inode.cq_entries):
        return 0
    if deadline is not None and task.kernel.clock.now_ns >= deadline:
        raise SyscallError(errno.ETIME)
    raise WouldBlock(
        inode,
        deadline=deadline,
        progress=(taken, deadline),
        restart=Restart.CONTINUE,
        partial=taken,
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
    ring = _of(task, fd)
    if not ring.enabled:
        raise SyscallError(errno.EBADFD)
    taken: int
    if task.thread.progress is not None:
        taken, deadline = task.thread.progress
        return _wait_after(task, ring, min_complete, taken, lambda: (None, deadline))
    taken = _submit(task, ring, to_submit, flags)
    if taken != to_submit or not flags & GETEVENTS:
        return taken
    how = partial(_argument, task, flags, addr, nbytes)
    return _wait_after(task, ring, min_complete, taken, how)


def _submit(task: Task, ring: Ring, wanted: int, flags: int) -> int:
    """Begin entries, or with SQPOLL let the kernel's thread do so; return how many are begun."""
    inode = ring.inode
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
        mask, deadline = how()
        with_mask(task, mask, lambda: _wait(task, ring, wanted, deadline, taken))
    except WouldBlock:
        raise
    except SyscallError:
        if not taken:
            raise
    return taken


# ---- register ----


def _register_buffers(task: Task, ring: Ring, addr: int, count: int) -> int:
    if ring.buffers:
        raise SyscallError(errno.EBUSY)
    if not 0 < count <= MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)
    buffers = []
    for first in range(0, count, 1024):
        buffers += vectors(task, addr + 16 * first, min(1024, count - first))
    for base, nbytes in buffers:
        if bool(base) != bool(nbytes) or nbytes > MOST_BUFFER_BYTES:
            raise SyscallError(errno.EFAULT)
        if base:
            task.mm.check_user(base, nbytes)
    ring.buffers = buffers
    return 0


def _unregister_buffers(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if not ring.buffers:
        raise SyscallError(errno.ENXIO)
    ring.buffers = []
    return 0


def _need_nothing(addr: int, count: int) -> None:
    if addr or count:
        raise SyscallError(errno.EINVAL)


def _files_in(task: Task, addr: int, count: int) -> list[File | None]:
    """Return open files, held. Errors: EBADF, EFAULT."""
    fds = struct.unpack(f"<{count}i", task.mm.copy_in(addr, 4 * count))
    files = [None if fd == NO_FILE else task.fds.get(fd) for fd in fds]
    if any(file is not None and isinstance(file.inode, RingInode) for file in files):
        raise SyscallError(errno.EBADF)
    for file in files:
        if file is not None:
            file.descriptors += 1
    return files


def _register_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    if ring.files:
        raise SyscallError(errno.EBUSY)
    if not count:
        raise SyscallError(errno.EINVAL)
    if count > MOST_FILES or count > task.rlimits["nofile"][0]:
        raise SyscallError(errno.EMFILE)
    ring.files = _files_in(task, addr, count)
    return 0


def _update_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Put other files into slots (struct io_uring_files_update). Errors: EINVAL, ENXIO, EBADF."""
    first, reserved, fds = FILES_UPDATE.unpack(task.mm.copy_in(addr, FILES_UPDATE.size))
    if reserved or not count:
        raise SyscallError(errno.EINVAL)
    return ring.update_files(task, first, fds, count)


def _one(count: int) -> None:
    if count != 1:
        raise SyscallError(errno.EINVAL)


def _register_group(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one(count)
    return ring.groups.register(task, addr)


def _unregister_group(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one(count)
    return ring.groups.unregister(task, addr)


def _group_status(task: Task, ring: Ring, addr: int, count: int) -> int:
    _one(count)
    return ring.groups.status(task, addr)


def _unregister_files(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if not ring.files:
        raise SyscallError(errno.ENXIO)
    ring.drop_files()
    return 0


def _register_eventfd(task: Task, ring: Ring, addr: int, count: int) -> int:
    if count != 1:
        raise SyscallError(errno.EINVAL)
    if ring.eventfd is not None:
        raise SyscallError(errno.EBUSY)
    (fd,) = struct.unpack("<i", task.mm.copy_in(addr, 4))
    file = task.fds.get(fd)
    if not isinstance(file.inode, EventInode):
        raise SyscallError(errno.EINVAL)
    file.descriptors += 1
    ring.eventfd = file
    return 0


def _unregister_eventfd(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if ring.eventfd is None:
        raise SyscallError(errno.ENXIO)
    ring.eventfd.put()
    ring.eventfd = None
    return 0


def _probe(task: Task, ring: Ring, addr: int, count: int) -> int:
    """Tell which opcodes there are, of Linux's up to LAST."""
    if not addr or count > MOST_PROBED:
        raise SyscallError(errno.EINVAL)
    nbytes = PROBE_HEAD + count * PROBE_OP.size
    if any(task.mm.copy_in(addr, nbytes)):
        raise SyscallError(errno.EINVAL)
    shown = range(min(count, LAST + 1))
    rows = [PROBE_OP.pack(op, 0, SUPPORTED if op in OPERATIONS else 0, 0) for op in shown]
    head = struct.pack("<BBHIII", LAST, len(rows), 0, 0, 0, 0)
    task.mm.copy_out(addr, (head + b"".join(rows)).ljust(nbytes, b"\0"))
    return 0


def _enable(task: Task, ring: Ring, addr: int, count: int) -> int:
    _need_nothing(addr, count)
    if ring.enabled:
        raise SyscallError(errno.EBADFD)
    ring.enabled = 1
    return 0


Registration = Callable[[Any, Ring, int, int], int]
REGISTRATIONS: dict[int, Registration] = {
    0: _register_buffers,
    1: _unregister_buffers,
    2: _register_files,
    3: _unregister_files,
    4: _register_eventfd,
    5: _unregister_eventfd,
    6: _update_files,
    8: _probe,
    12: _enable,
    22: _register_group,
    23: _unregister_group,
    26: _group_status,
}


@syscall(427, "io_uring_register", SINT, INT, INT, INT, partly=REGISTERS)
def io_uring_register(task: Task, fd: int, operation: int, addr: int, count: int) -> int:
    """Give a ring buffers, files or an eventfd to use, enable it, or ask what it can do.

    Errors: EBADF, EOPNOTSUPP (no io_uring), EINVAL, EBUSY (there are some), ENXIO (there are none),
    EFAULT, EMFILE, EBADFD. Source: io_uring_register(2).
    """
    operation &= 0xFFFF_FFFF
    known = REGISTRATIONS.get(operation)
    if operation > LAST_REGISTRATION or fd == NO_FILE:
        raise SyscallError(errno.EINVAL)
    ring = _of(task, fd)
    if known is None:
        raise SyscallError(errno.EINVAL)
    return known(task, ring, addr, count & 0xFFFF_FFFF)


LAST_REGISTRATION = 36
