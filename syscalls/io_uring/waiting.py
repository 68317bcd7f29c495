"""Opcodes that wait, and that call others off: polls, timeouts, cancelling.

Source: io_uring_enter(2), Linux 6.18 io_uring/poll.c, timeout.c, cancel.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import POLLIN
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.abi import signed32
from pkern.syscalls.clocks import duration_in
from pkern.syscalls.files.epoll import change as change_epoll
from pkern.syscalls.files.epoll import epoll_wait as take_events
from pkern.syscalls.files.epoll import event_at
from pkern.syscalls.io_uring.requests import (
    FIXED_FILE,
    HELD,
    LINK_TIMEOUT,
    SELECT,
    SKIP_SUCCESS,
    Entry,
    Request,
)
from pkern.syscalls.tasks.waiting import waitid as wait_for_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.syscalls.io_uring.ring import Ring

POLL_ALWAYS = 8 | 16  # POLLERR, POLLHUP
POLL_MULTI, POLL_EVENTS, POLL_USER_DATA = 1, 2, 4
TIMEOUT_ABS, TIMEOUT_UPDATE, TIMEOUT_BOOTTIME, TIMEOUT_REALTIME, LINK_UPDATE = 1, 2, 4, 8, 16
TIMEOUT_SUCCESS, TIMEOUT_MULTI = 32, 64
TIMEOUT_CLOCKS, UPDATES = TIMEOUT_BOOTTIME | TIMEOUT_REALTIME, TIMEOUT_UPDATE | LINK_UPDATE
ABS_AND_MULTI = TIMEOUT_ABS | TIMEOUT_MULTI
TIMEOUT_FLAGS = ABS_AND_MULTI | TIMEOUT_CLOCKS | TIMEOUT_SUCCESS
COUNT = (1 << 32) - 1
CANCEL_ALL, CANCEL_FD, CANCEL_ANY, CANCEL_SLOT, CANCEL_USER_DATA, CANCEL_OP = (
    1 << bit for bit in range(6)
)
CANCEL_FLAGS = 63
NR_POLL_ADD, NR_TIMEOUT = 6, 11


def poll_add(request: Request) -> int:
    assert request.file is not None
    found = request.file.ready() & (request.entry.op_flags & 0xFFFF | POLL_ALWAYS)
    if not found:
        raise request.news()
    return found


def check_poll(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.length & ~POLL_MULTI or (entry.length and entry.flags & SKIP_SUCCESS):
        raise SyscallError(errno.EINVAL)


def polls_on(request: Request, result: int) -> bool:
    return bool(request.entry.length & POLL_MULTI) and result > 0


# ---- timeouts ----


def take_time(request: Request) -> int:
    """Return the time that an entry names, in nanoseconds. Errors: EINVAL, EFAULT."""
    return duration_in(request.task, request.entry.addr)


def take_new_time(request: Request) -> int:
    """Return the time that a timeout is to have instead, if any. Errors: EINVAL, EFAULT."""
    entry = request.entry
    return duration_in(request.task, entry.off) if entry.op_flags else 0


def _end_of(request: Request, flags: int) -> int:
    """Return when the time that was given ends, in the machine's uptime."""
    clock, wanted = request.task.kernel.clock, int(request.prepared)
    if not flags & TIMEOUT_ABS:
        return clock.now_ns + wanted
    if flags & TIMEOUT_REALTIME:
        return clock.now_ns + wanted - clock.realtime_ns
    return wanted


def _deadline(request: Request) -> int:
    """Return when a timeout ends: as its first try has found, or as it was changed since."""
    if request.progress is not None:
        return int(request.progress)
    return _end_of(request, request.entry.op_flags)


def timeout(request: Request) -> int:
    """End at a time with ETIME, or with 0 when so many others have ended."""
    entry, ring = request.entry, request.ring
    deadline = _deadline(request)
    if request.progress is None and entry.off & COUNT and not entry.op_flags & TIMEOUT_MULTI:
        ring.counting.append((ring.inode.completed + (entry.off & COUNT), request))
    if request.task.kernel.clock.now_ns < deadline:
        raise WouldBlock(deadline=deadline, progress=deadline)
    ring.timed_out += 1
    return -errno.ETIME


def goes_on(request: Request, result: int) -> bool:
    """Tell whether a timeout begins anew: without end, or as often as its entry says."""
    entry = request.entry
    request.rounds += 1
    if not entry.op_flags & TIMEOUT_MULTI or result != -errno.ETIME:
        return False
    return not entry.off & COUNT or request.rounds < entry.off & COUNT


def link_timeout(request: Request) -> int:
    """Call off the request before it at a time."""
    deadline = _deadline(request)
    if request.task.kernel.clock.now_ns < deadline:
        raise WouldBlock(deadline=deadline, progress=deadline)
    before = request.ring.find(lambda other: other.timer is request)
    if before is None:
        raise SyscallError(errno.ECANCELED)
    before.timer = None
    before.cancel()
    raise SyscallError(errno.ETIME)


def check_timeout(entry: Entry) -> None:
    """Errors: EINVAL: there is one struct __kernel_timespec, of one clock."""
    flags = entry.op_flags
    clocks = flags & TIMEOUT_CLOCKS == TIMEOUT_CLOCKS
    if entry.length != 1 or clocks or flags & ABS_AND_MULTI == ABS_AND_MULTI:
        raise SyscallError(errno.EINVAL)


def is_success(request: Request, result: int) -> bool:
    """Tell whether a timeout's end lets what is linked behind it begin."""
    return result == -errno.ETIME and bool(request.entry.op_flags & TIMEOUT_SUCCESS)


def _found(request: Request, matches: Callable[[Request], bool]) -> Request:
    """Return the first pending request that matches. Errors: ENOENT."""
    found = request.ring.find(lambda other: other is not request and matches(other))
    if found is None:
        raise SyscallError(errno.ENOENT)
    return found


def timeout_remove(request: Request) -> int:
    """Call off a timeout, or give it another time."""
    entry = request.entry
    kind = LINK_TIMEOUT if entry.op_flags & LINK_UPDATE else NR_TIMEOUT
    if not entry.op_flags & TIMEOUT_UPDATE:
        return _found(request, _names(entry.addr, NR_TIMEOUT)).cancel()
    other = _found(request, _names(entry.addr, kind))
    end = _end_of(request, entry.op_flags)
    request.ring.uncount(other)
    other.progress = end
    other.wait_for(WouldBlock(deadline=end, progress=end))
    return 0


def check_timeout_remove(entry: Entry) -> None:
    """Errors: EINVAL."""
    updates = entry.op_flags & UPDATES
    if entry.op_flags & ~(UPDATES | TIMEOUT_ABS if updates else 0):
        raise SyscallError(errno.EINVAL)


def _names(user_data: int, opcode: int) -> Callable[[Request], bool]:
    """Return what tells whether a request is of an opcode and has this user_data."""
    return lambda other: other.entry.opcode == opcode and other.entry.user_data == user_data


# ---- polls and cancelling ----


def poll_remove(request: Request) -> int:
    """Call off a poll, or change what it waits for. Errors: ENOENT."""
    entry = request.entry
    other = _found(request, _names(entry.addr, NR_POLL_ADD))
    if not entry.length:
        return other.cancel()
    changed = other.entry
    if entry.length & POLL_EVENTS:
        length = entry.length & POLL_MULTI
        changed = changed._replace(op_flags=entry.op_flags, length=length)
    if entry.length & POLL_USER_DATA:
        changed = changed._replace(user_data=entry.off)
    other.entry = changed
    other.attempt()
    return 0


def check_poll_remove(entry: Entry) -> None:
    """Errors: EINVAL."""
    flags = entry.length
    if flags & ~(POLL_EVENTS | POLL_USER_DATA | POLL_MULTI) or flags == POLL_MULTI:
        raise SyscallError(errno.EINVAL)
    if not flags & POLL_USER_DATA and entry.off:
        raise SyscallError(errno.EINVAL)
    if not flags & POLL_EVENTS and entry.op_flags:
        raise SyscallError(errno.EINVAL)


class Wanted(NamedTuple):
    """Which requests are called off: flags, user_data, an open file, an opcode."""

    flags: int
    user_data: int
    file: File | None
    opcode: int

    def matches(self, other: Request) -> bool:
        """Tell whether a request is meant."""
        flags = self.flags
        if flags & CANCEL_ANY:
            return True
        if flags & CANCEL_FD and other.file is not self.file:
            return False
        if flags & CANCEL_OP and other.entry.opcode != self.opcode:
            return False
        by_data = flags & CANCEL_USER_DATA or not flags & (CANCEL_FD | CANCEL_OP)
        return not by_data or other.entry.user_data == self.user_data

    def call_off(self, ring: Ring, asking: Request | None) -> int:
        """Call one off, or with CANCEL_ALL and _ANY all; return how many then. Errors: ENOENT."""
        found = [
            one
            for one in ring.pending
            if one is not asking and not one.called_off and self.matches(one)
        ]
        if self.flags & (CANCEL_ALL | CANCEL_ANY):
            for other in found:
                other.cancel()
            return len(found)
        if not found:
            raise SyscallError(errno.ENOENT)
        return found[0].cancel()


def file_meant(task: Task, ring: Ring, fd: int, flags: int) -> File | None:
    """Return the open file whose requests are meant, None: any. Errors: EBADF."""
    if not flags & CANCEL_FD:
        return None
    if not flags & CANCEL_SLOT:
        return task.fds.get(fd)
    found = ring.files.get(fd)
    found.put()
    return found.value


def cancel(request: Request) -> int:
    """Call off what an entry names. Errors: ENOENT, EBADF."""
    entry, ring = request.entry, request.ring
    flags = entry.op_flags | (CANCEL_SLOT if entry.flags & FIXED_FILE else 0)
    file = file_meant(request.task, ring, entry.fd, flags)
    wanted = Wanted(entry.op_flags, entry.addr, file, entry.length & 0xFF)
    return wanted.call_off(ring, request)


def check_cancel(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.flags & SELECT:
        raise SyscallError(errno.EINVAL)
    if entry.op_flags & CANCEL_ANY and entry.op_flags & (CANCEL_FD | CANCEL_OP):
        raise SyscallError(errno.EINVAL)


# ---- more ----


def take_event(request: Request) -> tuple[int, int]:
    """Return the event that an epoll is to look for. Errors: EFAULT."""
    return event_at(request.task, request.entry.length, request.entry.addr)


def epoll_ctl(request: Request) -> int:
    entry, target = request.entry, signed32(request.entry.off)
    return change_epoll(request.task, HELD, entry.length, target, request.prepared)


def is_drained(request: Request) -> bool:
    """Tell whether one that goes on has found all that there was."""
    assert request.file is not None
    return not request.file.ready() & POLLIN


def epoll_wait(request: Request) -> int:
    """Store what is ready; wait if nothing is. Errors: EINVAL (no epoll)."""
    entry = request.entry
    assert request.file is not None
    found = take_events(request.task, HELD, entry.addr, signed32(entry.length), 0)
    if not found:
        raise request.news()
    return found


def waitid(request: Request) -> int:
    """As waitid: a child's news, in struct siginfo of the 32-bit layout that Linux stores."""
    entry = request.entry
    kind, options = entry.length, entry.file_index
    return wait_for_child(request.task, kind, entry.fd, entry.off, options, 0)
