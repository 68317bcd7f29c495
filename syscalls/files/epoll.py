"""epoll: waiting for many open files at once."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.epoll import EPOLLET, EPOLLEXCLUSIVE, EPOLLWAKEUP, EpollInode
from pkern.kernel.vfs.file import O_RDWR, File
from pkern.kernel.vfs.inode import POLLIN, POLLOUT
from pkern.kernel.wait import Restart
from pkern.syscalls.files.at import O_CLOEXEC, install, refuse_flags
from pkern.syscalls.files.poll import (
    MS,
    POLLERR,
    POLLHUP,
    deadline_of,
    mask_in,
    no_store,
    timespec_or_none,
    wait_for,
    with_mask,
)
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

CTL_ADD, CTL_DEL, CTL_MOD = 1, 2, 3
EVENT = struct.Struct("<IQ")
MOST_EVENTS = ((1 << 31) - 1) // EVENT.size
WITH_EXCLUSIVE = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE


@syscall(291, "epoll_create1", INT)
def epoll_create1(task: Task, flags: int = 0) -> int:
    """Return a descriptor of an empty set. flags: EPOLL_CLOEXEC. Errors: EINVAL, EMFILE.

    Source: epoll_create(2).
    """
    refuse_flags(flags, O_CLOEXEC)
    file = File(task.kernel, EpollInode(task.kernel), "anon_inode:[eventpoll]", O_RDWR, task)
    return install(task, task.kernel.vfs.register(file), flags)


@syscall(213, "epoll_create", SINT)
def epoll_create(task: Task, size: int) -> int:
    """As epoll_create1 without flags. Errors: EINVAL (size is not above 0), EMFILE."""
    if size <= 0:
        raise SyscallError(errno.EINVAL)
    return epoll_create1(task)


def _check_exclusive(operation: int, inode: object, events: int) -> None:
    if not events & EPOLLEXCLUSIVE or operation == CTL_DEL:
        return
    nested = operation == CTL_ADD and isinstance(inode, EpollInode)
    if operation == CTL_MOD or nested or events & ~WITH_EXCLUSIVE:
        raise SyscallError(errno.EINVAL)


@syscall(233, "epoll_ctl", SINT, SINT, SINT, INT)
def epoll_ctl(task: Task, epfd: int, operation: int, fd: int, addr: int) -> int:
    """Add, change or remove an open file of a set; struct epoll_event at addr says how.

    Errors: EBADF, EEXIST, ENOENT, EPERM (a file that is always ready), EINVAL, EFAULT, ELOOP.
    Source: epoll_ctl(2).
    """
    return change(task, epfd, operation, fd, event_at(task, operation, addr))


def event_at(task: Task, operation: int, addr: int) -> tuple[int, int]:
    """Return the events and the data of a struct epoll_event; 0 of what goes. Errors: EFAULT."""
    raw = bytes(EVENT.size) if operation == CTL_DEL else task.mm.copy_in(addr, EVENT.size)
    events, data = EVENT.unpack(raw)
    return events, data


def change(task: Task, epfd: int, operation: int, fd: int, event: tuple[int, int]) -> int:
    """As epoll_ctl, of an event that was read before."""
    events, data = event
    if events & EPOLLWAKEUP and not task.capable("CAP_BLOCK_SUSPEND"):
        events ^= EPOLLWAKEUP
    epoll, file = task.fds.get(epfd).inode, task.fds.get(fd)
    if not file.inode.can_epoll:
        raise SyscallError(errno.EPERM)
    if not isinstance(epoll, EpollInode) or epoll is file.inode:
        raise SyscallError(errno.EINVAL)
    _check_exclusive(operation, file.inode, events)
    if operation == CTL_ADD:
        epoll.add(file, fd, events, data)
    elif operation == CTL_DEL:
        epoll.remove(file, fd)
    elif operation == CTL_MOD:
        _modify(epoll, file, fd, events, data)
    else:
        raise SyscallError(errno.EINVAL)
    return 0


def _modify(epoll: EpollInode, file: File, fd: int, events: int, data: int) -> None:
    item = epoll.item(file, fd)
    if item.events & EPOLLEXCLUSIVE:
        raise SyscallError(errno.EINVAL)
    item.ask(events, data)
    item.offer()


def _wait(task: Task, epfd: int, addr: int, most: int, timeout: int | None) -> int:
    file = task.fds.get(epfd)
    if not 0 < most <= MOST_EVENTS:
        raise SyscallError(errno.EINVAL)
    task.mm.check_user(addr, most * EVENT.size)
    epoll = file.inode
    if not isinstance(epoll, EpollInode):
        raise SyscallError(errno.EINVAL)
    files = [file, *(item.file for item in epoll.items.values())]
    deadline = deadline_of(task, timeout)
    if not wait_for(task, epoll.available, files, deadline, no_store, Restart.ENDS):
        return 0
    taken = epoll.take(most)
    task.mm.copy_out(addr, b"".join(EVENT.pack(events, data) for events, data in taken))
    return len(taken)


@syscall(232, "epoll_wait", SINT, INT, SINT, SINT)
def epoll_wait(task: Task, epfd: int, addr: int, most: int, timeout_ms: int) -> int:
    """Wait for files of a set; store up to most struct epoll_event at addr, return how many.

    Errors: EBADF, EINVAL, EFAULT, EINTR. Source: epoll_wait(2).
    """
    return _wait(task, epfd, addr, most, None if timeout_ms < 0 else timeout_ms * MS)


@syscall(281, "epoll_pwait", SINT, INT, SINT, SINT, INT, INT)
def epoll_pwait(
    task: Task, epfd: int, addr: int, most: int, timeout_ms: int, mask_addr: int, nbytes: int
) -> int:
    """As epoll_wait, with a signal mask. Errors: as epoll_wait. Source: epoll_wait(2)."""
    mask = mask_in(task, mask_addr, nbytes)
    timeout = None if timeout_ms < 0 else timeout_ms * MS
    return with_mask(task, mask, lambda: _wait(task, epfd, addr, most, timeout))


@syscall(441, "epoll_pwait2", SINT, INT, SINT, INT, INT, INT)
def epoll_pwait2(
    task: Task, epfd: int, addr: int, most: int, time_addr: int, mask_addr: int, nbytes: int
) -> int:
    """As epoll_pwait, with struct timespec. Errors: as epoll_wait. Source: epoll_wait(2)."""
    timeout = timespec_or_none(task, time_addr)
    mask = mask_in(task, mask_addr, nbytes)
    return with_mask(task, mask, lambda: _wait(task, epfd, addr, most, timeout))
