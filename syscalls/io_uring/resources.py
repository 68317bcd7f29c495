"""Opcodes about what a ring has: buffers that are provided, files that are registered.

Source: io_uring_enter(2), Linux 6.18 io_uring/kbuf.c, rsrc.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.syscalls.files.at import O_CLOEXEC, drop, install
from pkern.syscalls.io_uring import tables
from pkern.syscalls.io_uring.buffers import MOST_BUFFERS, MOST_ID
from pkern.syscalls.io_uring.requests import FIXED_FILE, Entry, Request
from pkern.syscalls.io_uring.slots import ANY_SLOT

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File


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
    if entry.off == ANY_SLOT:
        return tables.choose_slots(request.task, request.ring, entry.addr, entry.length)
    what = tables.What(entry.length, entry.addr)
    return tables.replace_files(request.task, request.ring, entry.off & ANY_SLOT, what)


def some(entry: Entry) -> None:
    """Errors: EINVAL: nothing is asked for."""
    if not entry.length or entry.flags & FIXED_FILE:
        raise SyscallError(errno.EINVAL)


def place(request: Request, file: File, flags: int) -> int:
    """Give a new open file a descriptor, or the slot that the entry names. flags: O_CLOEXEC.

    Errors: EMFILE, ENFILE, ENXIO, EINVAL.
    """
    slot = request.entry.file_index & ANY_SLOT
    if not slot:
        return install(request.task, file, flags)
    try:
        return request.ring.install(file, slot)
    except SyscallError:
        drop(file)
        raise


def need_number(request: Request) -> None:
    """Have a number for what is to be opened, before it is. Errors: EMFILE."""
    if not request.entry.file_index:
        request.task.fds.free()


def no_cloexec(flags: int, slot: int) -> None:
    """Errors: EINVAL: nothing is closed by execve in a slot."""
    if slot and flags & O_CLOEXEC:
        raise SyscallError(errno.EINVAL)


def close_slot(request: Request) -> int:
    """Empty a slot. Errors: ENXIO, EINVAL, EBADF."""
    request.ring.files.remove((request.entry.file_index & ANY_SLOT) - 1)
    return 0


def get_descriptor(request: Request) -> int:
    """Give a file in a slot a descriptor too. Errors: EMFILE."""
    assert request.file is not None
    return request.task.fds.install(request.file, 0, int(not request.entry.op_flags))


def in_slot(entry: Entry) -> None:
    """Errors: EBADF: no slot is meant."""
    if not entry.flags & FIXED_FILE:
        raise SyscallError(errno.EBADF)
