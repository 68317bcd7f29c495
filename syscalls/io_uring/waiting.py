"""Opcodes that wait, and that call others off: polls, timeouts, cancelling.

Source: io_uring_enter(2), Linux 6.18 io_uring/poll.c, timeout.c, cancel.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.clocks import duration_in
from pkern.syscalls.files.epoll import epoll_ctl as change_epoll
from pkern.syscalls.io_uring.requests import HELD, LINK_TIMEOUT, SKIP_SUCCESS, Entry, Request

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_ALWAYS = 8 | 16  # POLLERR, POLLHUP
POLL_MULTI = 1
TIMEOUT_ABS, TIMEOUT_BOOTTIME, TIMEOUT_REALTIME, TIMEOUT_SUCCESS = 1, 4, 8, 32
CANCEL_ALL, CANCEL_FD, CANCEL_ANY = 1, 2, 4
NR_POLL_ADD, NR_TIMEOUT = 6, 11


def nop(request: Request) -> int:
    return 0


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


def polls_on(entry: Entry, result: int) -> bool:
    return bool(entry.length & POLL_MULTI) and result > 0


def _deadline(request: Request) -> int:
    """Return when a timeout ends, in the machine's uptime: as its first try has found."""
    if request.progress is not None:
        return int(request.progress)
    entry, clock = request.entry, request.task.kernel.clock
    wanted = duration_in(request.task, entry.addr)
    if not entry.op_flags & TIMEOUT_ABS:
        return clock.now_ns + wanted
    if entry.op_flags & TIMEOUT_REALTIME:
        return clock.now_ns + wanted - clock.realtime_ns
    return wanted


def timeout(request: Request) -> int:
    """End at a time with ETIME, or with 0 when so many others have ended."""
    entry, ring, now = request.entry, request.ring, request.task.kernel.clock.now_ns
    deadline = _deadline(request)
    if request.progress is None and entry.off:
        ring.counting.append((ring.inode.completed + entry.off, request))
    if now < deadline:
        raise WouldBlock(deadline=deadline, progress=deadline)
    raise SyscallError(errno.ETIME)


def link_timeout(request: Request) -> int:
    """Call off the request before it at a time."""
    deadline = _deadline(request)
    if request.task.kernel.clock.now_ns < deadline:
        raise WouldBlock(deadline=deadline, progress=deadline)
    before = request.ring.find(lambda other: other.timer is request)
    if before is None:
        raise SyscallError(errno.ECANCELED)
    before.timer = None
    before.call_off(-errno.ECANCELED)
    raise SyscallError(errno.ETIME)


def _is_timeout(request: Request) -> bool:
    return request.entry.opcode in (NR_TIMEOUT, LINK_TIMEOUT)


def _remove(request: Request, matches: Callable[[Request], bool]) -> int:
    """Call off one pending request. Errors: ENOENT."""
    found = request.ring.find(lambda other: other is not request and matches(other))
    if found is None:
        raise SyscallError(errno.ENOENT)
    found.cancel()
    return 0


def timeout_remove(request: Request) -> int:
    wanted = request.entry.addr
    return _remove(request, lambda o: _is_timeout(o) and o.entry.user_data == wanted)


def poll_remove(request: Request) -> int:
    wanted = request.entry.addr
    return _remove(request, lambda o: o.entry.opcode == NR_POLL_ADD and o.entry.user_data == wanted)


def cancel(request: Request) -> int:
    """Call off what an entry names, by its user_data, its descriptor, or anything.

    Return how many with CANCEL_ALL or _ANY. Errors: ENOENT.
    """
    entry = request.entry
    held = request.task.fds.get(entry.fd) if entry.op_flags & CANCEL_FD else None

    def matches(other: Request) -> bool:
        if other is request:
            return False
        if entry.op_flags & CANCEL_ANY:
            return True
        if held is not None:
            return other.file is held
        return other.entry.user_data == entry.addr

    if not entry.op_flags & (CANCEL_ALL | CANCEL_ANY):
        return _remove(request, matches)
    found = [one for one in request.ring.pending if not one.called_off and matches(one)]
    for other in found:
        other.cancel()
    return len(found)


def epoll_ctl(request: Request) -> int:
    entry = request.entry
    target = (entry.off ^ 1 << 31) - (1 << 31)
    return change_epoll(request.task, HELD, entry.length, target, entry.addr)


def one_time(entry: Entry) -> None:
    """Errors: EINVAL: a timeout has one struct __kernel_timespec."""
    if entry.length != 1:
        raise SyscallError(errno.EINVAL)
