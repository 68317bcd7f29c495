"""Opcodes of sockets. Source: io_uring_enter(2), Linux 6.18 io_uring/net.c."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.inode import POLLIN
from pkern.syscalls.io_uring.requests import HELD, SELECT, Entry, Request
from pkern.syscalls.io_uring.resources import need_number, no_cloexec, place
from pkern.syscalls.io_uring.slots import ANY_SLOT
from pkern.syscalls.net import messages, sockets

if TYPE_CHECKING:
    from collections.abc import Callable

MSG_DONTWAIT = 0x40
ACCEPT_MULTI, RECV_MULTI, MSG_WAITALL = 1, 2, 0x100
POLL_FIRST = 1  # of ioprio: IORING_RECVSEND_POLL_FIRST, which changes no answer


def accept(request: Request) -> int:
    entry, task = request.entry, request.task
    need_number(request)
    flags = entry.op_flags

    def accepted() -> int:
        return place(request, sockets.accepted(task, HELD, entry.addr, entry.off, flags), flags)

    return request.or_wait(accepted)


def check_accept(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.op_flags & ~sockets.ACCEPT_FLAGS:
        raise SyscallError(errno.EINVAL)
    no_cloexec(entry.op_flags, entry.file_index)
    one_slot = entry.file_index and entry.file_index & ANY_SLOT != ANY_SLOT
    if entry.ioprio & ACCEPT_MULTI and one_slot:
        raise SyscallError(errno.EINVAL)


def connect(request: Request) -> int:
    entry = request.entry
    return sockets.connect(request.task, HELD, entry.addr, entry.off)


def _what_can_be(request: Request, call: Callable[[int], int]) -> int:
    """Send or receive what can be at once, or, with MSG_DONTWAIT not given, wait for some."""
    flags = request.entry.op_flags
    if flags & MSG_DONTWAIT:
        return call(flags)
    return request.or_wait(lambda: call(flags | MSG_DONTWAIT))


def send(request: Request) -> int:
    entry, task = request.entry, request.task

    def send(flags: int) -> int:
        nbytes = entry.file_index & 0xFFFF if entry.off else 0
        return messages.sendto(task, HELD, entry.addr, entry.length, flags, entry.off, nbytes)

    return _what_can_be(request, send)


def recv(request: Request) -> int:
    entry, task = request.entry, request.task

    def receive(flags: int) -> int:
        return messages.recvfrom(task, HELD, entry.addr, entry.length, flags, 0, 0)

    return _what_can_be(request, receive)


def sendmsg(request: Request) -> int:
    entry, task = request.entry, request.task
    return _what_can_be(request, lambda flags: messages.sendmsg(task, HELD, entry.addr, flags))


def recvmsg(request: Request) -> int:
    entry, task = request.entry, request.task
    return _what_can_be(request, lambda flags: messages.recvmsg(task, HELD, entry.addr, flags))


def shutdown(request: Request) -> int:
    return sockets.shutdown(request.task, HELD, request.entry.length)


def socket(request: Request) -> int:
    entry = request.entry
    need_number(request)
    made = sockets.made_socket(request.task, entry.fd, entry.off, entry.length)
    return place(request, made, entry.off)


def check_socket(entry: Entry) -> None:
    """Errors: EINVAL."""
    no_cloexec(entry.off, entry.file_index)


def bind(request: Request) -> int:
    return sockets.bind(request.task, HELD, request.entry.addr, request.entry.off)


def listen(request: Request) -> int:
    return sockets.listen(request.task, HELD, request.entry.length)


def accepts_on(entry: Entry, result: int) -> bool:
    return bool(entry.ioprio & ACCEPT_MULTI) and result >= 0


def receives_on(entry: Entry, result: int) -> bool:
    return bool(entry.ioprio & RECV_MULTI) and result > 0


def is_drained(request: Request) -> bool:
    assert request.file is not None
    return not request.file.ready() & POLLIN


def check_recv(entry: Entry) -> None:
    """Errors: EINVAL: one that goes on needs a buffer for each part, and waits for no more."""
    chosen = entry.flags & SELECT and not entry.op_flags & MSG_WAITALL
    if entry.ioprio & RECV_MULTI and not chosen:
        raise SyscallError(errno.EINVAL)
