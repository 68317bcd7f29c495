"""Opcodes about what a ring has: buffers that are provided, files that are registered.

Source: io_uring_enter(2), Linux 6.18 io_uring/kbuf.c, rsrc.c.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.syscalls.io_uring.buffers import MOST_BUFFERS, MOST_ID
from pkern.syscalls.io_uring.requests import FIXED_FILE, Entry, Request


def check_provided(entry: Entry) -> None:
    """Errors: E2BIG, EINVAL."""
    if not 0 < entry.fd <= MOST_BUFFERS or entry.off > MOST_ID:
        raise SyscallError(errno.E2BIG)
    if not entry.length or entry.off + entry.fd > MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)


def check_removed(entry: Entry) -> None:
    """Errors: EINVAL."""
    if not 0 < entry.fd <= MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)


def provide(request: Request) -> int:
    entry = request.entry
    request.task.mm.check_user(entry.addr, entry.fd * entry.length)
    return request.ring.groups.provide(request)


def take_back(request: Request) -> int:
    return request.ring.groups.remove(request)


def update_files(request: Request) -> int:
    entry = request.entry
    return request.ring.update_files(request.task, entry.off, entry.addr, entry.length)


def some(entry: Entry) -> None:
    """Errors: EINVAL: nothing is asked for."""
    if not entry.length or entry.flags & FIXED_FILE:
        raise SyscallError(errno.EINVAL)
