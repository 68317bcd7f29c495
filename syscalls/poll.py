"""Waiting for several files at once: poll and select, with a time and a signal mask."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.signals import UNBLOCKABLE_MASK
from kernel.vfs.inode import POLLIN, POLLOUT
from kernel.wait import Restart, WouldBlock
from syscalls.table import INT, SINT, syscall
from syscalls.timers import timespec_in

if TYPE_CHECKING:
    from kernel.task import Task

POLLPRI, POLLERR, POLLHUP, POLLNVAL = 2, 8, 16, 32
POLLRDNORM, POLLRDBAND, POLLWRNORM, POLLWRBAND = 64, 128, 256, 512
NORMAL = {POLLIN: POLLRDNORM, POLLOUT: POLLWRNORM}  # two names of the same thing
ALWAYS = POLLERR | POLLHUP
READABLE = POLLIN | POLLHUP | POLLERR
WRITABLE = POLLOUT | POLLERR
ENTRY = struct.Struct("<ihh")
FD_SETSIZE = 1024
NS, MILLISECOND, MICROSECOND = 1_000_000_000, 1_000_000, 1_000
FOREVER = None


# ---- what all share ----


def _ready(task: Task, fd: int) -> int:
    """Return the POLL* bits of a descriptor, POLLNVAL if it is none."""
    try:
        file = task.fds.get(fd)
    except SyscallError:
        return POLLNVAL
    bits = file.inode.poll(file)
    for name, other in NORMAL.items():
        bits |= other if bits & name else 0
    return bits


def _deadline(task: Task, nanoseconds: int | None) -> int | None:
    """Return when the wait ends: fixed at the first try, which may set the mask too."""
    if task.thread.progress is None:
        now = task.kernel.clock.now_ns
        task.thread.progress = (FOREVER if nanoseconds is None else now + nanoseconds,)
    deadline: int | None = task.thread.progress[0]
    return deadline


def _sleep(task: Task, fds: list[int], nanoseconds: int | None) -> None:
    """Sleep until one of the files changes; return once the time is up."""
    deadline = _deadline(task, nanoseconds)
    if deadline is not None and task.kernel.clock.now_ns >= deadline:
        task.thread.progress = None
        return
    inodes = {task.fds.files[fd].inode for fd in fds if fd in task.fds.files}
    ordered = sorted(inodes, key=lambda inode: inode.ino)
    raise WouldBlock(*ordered, deadline=deadline, restart=Restart.UNLESS_HANDLED)


def _with_mask(task: Task, addr: int, nbytes: int, call: Callable[[], int]) -> int:
    """Make a call with another set of blocked signals (addr 0: with the task's own)."""
    if not addr or task.context is None:
        return call()
    if nbytes != 8:
        raise SyscallError(errno.EINVAL)
    thread = task.thread
    if thread.saved_mask is None:
        mask = int.from_bytes(task.mm.copy_in(addr, 8), "little") & ~UNBLOCKABLE_MASK
        thread.saved_mask, task.signals.blocked = task.signals.blocked, mask
        task.attention = True
    return call()


def _timespec(task: Task, addr: int) -> int | None:
    return timespec_in(task, addr) if addr else FOREVER


# ---- poll ----


def _poll(task: Task, addr: int, count: int, nanoseconds: int | None) -> int:
    if count > task.rlimits["nofile"][0]:
        raise SyscallError(errno.EINVAL)
    entries = list(ENTRY.iter_unpack(task.mm.copy_in(addr, ENTRY.size * count)))
    found = [
        _ready(task, fd) & (events | ALWAYS | POLLNVAL) if fd >= 0 else 0
        for fd, events, _ in entries
    ]
    if not any(found):
        _sleep(task, [fd for fd, _, _ in entries], nanoseconds)
    packed = (ENTRY.pack(e[0], e[1], bits) for e, bits in zip(entries, found, strict=True))
    task.mm.copy_out(addr, b"".join(packed))
    return sum(1 for bits in found if bits)


@syscall(7, "poll", INT, INT, SINT)
def poll(task: Task, addr: int, count: int, milliseconds: int) -> int:
    """Wait until a file of the struct pollfds is ready; return how many are. -1: no time limit.

    Errors: EINVAL (too many), EFAULT, EINTR. Source: poll(2).
    """
    limit = FOREVER if milliseconds < 0 else milliseconds * MILLISECOND
    return _poll(task, addr, count, limit)


@syscall(271, "ppoll", INT, INT, INT, INT, INT, partly="the time that is left is not stored")
def ppoll(task: Task, addr: int, count: int, timeout: int, mask: int, nbytes: int) -> int:
    """Wait as poll, with a struct timespec and a signal mask. Source: ppoll(2)."""
    limit = _timespec(task, timeout)
    return _with_mask(task, mask, nbytes, lambda: _poll(task, addr, count, limit))


# ---- select ----


def _set_in(task: Task, addr: int, count: int) -> set[int]:
    if not addr:
        return set()
    raw = task.mm.copy_in(addr, (count + 63) // 64 * 8)
    bits = int.from_bytes(raw, "little")
    return {fd for fd in range(count) if bits >> fd & 1}


def _set_out(task: Task, addr: int, count: int, fds: set[int]) -> None:
    if addr:
        bits = sum(1 << fd for fd in fds)
        task.mm.copy_out(addr, bits.to_bytes((count + 63) // 64 * 8, "little"))


def _select(task: Task, count: int, sets: tuple[int, int, int], nanoseconds: int | None) -> int:
    if count < 0:
        raise SyscallError(errno.EINVAL)
    count = min(count, FD_SETSIZE)
    wanted = [_set_in(task, addr, count) for addr in sets]
    bits = {fd: _ready(task, fd) for fd in sorted(set[int]().union(*wanted))}
    if any(ready & POLLNVAL for ready in bits.values()):
        raise SyscallError(errno.EBADF)
    masks = (READABLE, WRITABLE, POLLPRI)
    found = [{fd for fd in w if bits[fd] & m} for w, m in zip(wanted, masks, strict=True)]
    if not any(found):
        _sleep(task, list(bits), nanoseconds)
    for addr, fds in zip(sets, found, strict=True):
        _set_out(task, addr, count, fds)
    return sum(len(fds) for fds in found)


@syscall(23, "select", SINT, INT, INT, INT, INT, partly="the time that is left is not stored")
def select(
    task: Task, count: int, readable: int, writable: int, exceptional: int, timeout: int
) -> int:
    """Wait until a file of three sets is ready; return how many are, and leave only them.

    Errors: EBADF, EINVAL, EFAULT, EINTR. Source: select(2).
    """
    limit = FOREVER
    if timeout:
        seconds, micros = struct.unpack("<qq", task.mm.copy_in(timeout, 16))
        if seconds < 0 or micros < 0:
            raise SyscallError(errno.EINVAL)
        limit = seconds * NS + micros * MICROSECOND
    return _select(task, count, (readable, writable, exceptional), limit)


@syscall(270, "pselect6", SINT, INT, INT, INT, INT, INT)
def pselect6(
    task: Task, count: int, readable: int, writable: int, exceptional: int, timeout: int, sig: int
) -> int:
    """Wait as select, with a struct timespec and a signal mask. Source: pselect(2)."""
    limit = _timespec(task, timeout)
    mask, nbytes = struct.unpack("<QQ", task.mm.copy_in(sig, 16)) if sig else (0, 0)
    sets = (readable, writable, exceptional)
    return _with_mask(task, mask, nbytes, lambda: _select(task, count, sets, limit))
