"""seccomp: a task gives up system calls, for itself and its children."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.filter.listener import CONTINUE, Listener, Notice, open_listener
from pkern.kernel.tasks.filter.seccomp import (
    ACTIONS,
    FILTER,
    MOST_INSTRUCTIONS,
    STRICT,
    Instruction,
    Seccomp,
    check,
)
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.syscalls.files.at import O_CLOEXEC, install
from pkern.syscalls.files.fcntl import ioctl_of
from pkern.syscalls.layouts import layout
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

SET_MODE_STRICT, SET_MODE_FILTER, GET_ACTION_AVAIL, GET_NOTIF_SIZES = range(4)
TSYNC, LOG, SPEC_ALLOW, NEW_LISTENER, TSYNC_ESRCH, WAIT_KILLABLE = 1, 2, 4, 8, 16, 32
TAKEN = TSYNC | LOG | SPEC_ALLOW | NEW_LISTENER | TSYNC_ESRCH | WAIT_KILLABLE
SOCK_FILTER, SOCK_FPROG = struct.Struct("<HBBI"), layout("<H6xQ", "<H2xI")
RECV, SEND, ID_VALID = 0xC050_2100, 0xC018_2101, 0x4008_2102  # SECCOMP_IOCTL_NOTIF_*
ADDFD, SET_FLAGS = 0x4018_2103, 0x4008_2104
OLD_ID_VALID = 0x8008_2102  # with the wrong direction, as it was at first
NOTIF_HEAD, NOTIF_BYTES = struct.Struct("<QII"), 80
RESPONSE, ADDITION = struct.Struct("<QqiI"), struct.Struct("<QIIII")
ADDFD_SETFD, ADDFD_SEND = 1, 2
SYNC_WAKE_UP = 1
NOTIF_SIZES = struct.pack("<3H", 80, 24, 64)
NO_TASK = -1


def set_strict(task: Task) -> int:
    """Allow read, write, exit and rt_sigreturn only. Errors: EINVAL (there are filters)."""
    if task.seccomp is not None and task.seccomp.mode != STRICT:
        raise SyscallError(errno.EINVAL)
    task.filter_calls(Seccomp(STRICT))
    return 0


def _program_in(task: Task, addr: int) -> tuple[Instruction, ...]:
    """Return the program of a struct sock_fprog. Errors: EFAULT, EINVAL, EACCES.

    Who may not set one learns that before anything is read of it but its length.
    """
    count, at = SOCK_FPROG.of(task).unpack(task.mm.copy_in(addr, SOCK_FPROG.of(task).size))
    if not 0 < count <= MOST_INSTRUCTIONS:
        raise SyscallError(errno.EINVAL)
    _need_right(task)
    if not at:
        raise SyscallError(errno.EINVAL)
    raw = task.mm.copy_in(at, SOCK_FILTER.size * count)
    program = tuple(Instruction(*step) for step in SOCK_FILTER.iter_unpack(raw))
    check(program)
    return program


def _need_right(task: Task) -> None:
    """Refuse who could fool a program with more rights. Errors: EACCES."""
    if not task.cred.no_new_privs and not task.capable_in(task.cred.user_ns, "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EACCES)


def _stranger(task: Task, new: Seccomp) -> int:
    """Return the thread whose filters are none that the caller's come from; NO_TASK: none."""
    for other in task.group.living():
        if other is not task and not new.descends_from(other.seccomp):
            return task.number_of(other.pid)
    return NO_TASK


def set_filter(task: Task, flags: int, addr: int) -> int:
    """Add a filter. Errors: EINVAL, EFAULT, EACCES, ENOMEM, ESRCH (TSYNC cannot be done).

    With TSYNC for all threads of the process, or return the number of one that has other filters.
    """
    _check_flags(flags)
    program = _program_in(task, addr)
    if flags & NEW_LISTENER:
        return _set_heard(task, flags, program)
    return _set(task, flags, (task.seccomp or Seccomp(FILTER)).with_program(program))


def _check_flags(flags: int) -> None:
    """Errors: EINVAL."""
    both = TSYNC | NEW_LISTENER
    if flags & ~TAKEN or (flags & both == both and not flags & TSYNC_ESRCH):
        raise SyscallError(errno.EINVAL)
    if flags & WAIT_KILLABLE and not flags & NEW_LISTENER:
        raise SyscallError(errno.EINVAL)


def _set_heard(task: Task, flags: int, program: tuple[Instruction, ...]) -> int:
    """Add a filter and return the descriptor of its listener. Errors: EBUSY: there is one."""
    before = task.seccomp or Seccomp(FILTER)
    if any(listener is not None for listener in before.listeners):
        raise SyscallError(errno.EBUSY)
    inode, file = open_listener(task.kernel, task, int(bool(flags & WAIT_KILLABLE)))
    fd = install(task, file, O_CLOEXEC)
    try:
        _set(task, flags, before.with_program(program, inode))
    except SyscallError:
        task.fds.close(fd)
        raise
    return fd


def _set(task: Task, flags: int, new: Seccomp) -> int:
    """Let filters hold for the caller, or with TSYNC for all threads."""
    stranger = _stranger(task, new) if flags & TSYNC else NO_TASK
    if stranger != NO_TASK:
        if flags & TSYNC_ESRCH:
            raise SyscallError(errno.ESRCH)
        return stranger
    for thread in task.group.living() if flags & TSYNC else [task]:
        thread.filter_calls(new)
    return 0


def _action_available(task: Task, addr: int) -> int:
    action = int.from_bytes(task.mm.copy_in(addr, 4), "little")
    if action not in ACTIONS:
        raise SyscallError(errno.EOPNOTSUPP)
    return 0


@syscall(317, "seccomp", INT, INT, INT)
def seccomp(task: Task, operation: int, flags: int, addr: int) -> int:
    """Restrict the system calls of a task: SECCOMP_SET_MODE_STRICT 0, _FILTER 1.

    Or tell which actions there are (2). Errors: EINVAL, EFAULT, EACCES, ENOMEM, EOPNOTSUPP; ENOSYS
    in a Python program. Source: seccomp(2).
    """
    if task.context is None:
        raise SyscallError(errno.ENOSYS)
    operation, flags = operation & 0xFFFF_FFFF, flags & 0xFFFF_FFFF
    if operation == SET_MODE_FILTER:
        return set_filter(task, flags, addr)
    if flags or (operation == SET_MODE_STRICT and addr):
        raise SyscallError(errno.EINVAL)
    if operation == SET_MODE_STRICT:
        return set_strict(task)
    if operation == GET_ACTION_AVAIL:
        return _action_available(task, addr)
    if operation == GET_NOTIF_SIZES:
        task.mm.copy_out(addr, NOTIF_SIZES)
        return 0
    raise SyscallError(errno.EINVAL)


# ---- listeners ----


def _receive(task: Task, listener: Listener, addr: int) -> int:
    """Store the first call that waits (struct seccomp_notif), which must be zero before."""
    if any(task.mm.copy_in(addr, NOTIF_BYTES)):
        raise SyscallError(errno.EINVAL)
    notice = listener.receive()
    head = NOTIF_HEAD.pack(notice.id, task.number_of(notice.task.pid), 0)
    try:
        task.mm.copy_out(addr, head + notice.data)
    except SyscallError:
        listener.take_back(notice)
        raise
    return 0


def _send(task: Task, listener: Listener, addr: int) -> int:
    """Answer a call: by a value or an error, or by having it made."""
    number, value, error, flags = RESPONSE.unpack(task.mm.copy_in(addr, RESPONSE.size))
    if flags & ~CONTINUE or (flags & CONTINUE and (error or value)):
        raise SyscallError(errno.EINVAL)
    listener.sent(number, errno.ENOENT, errno.EINPROGRESS).answer(value, error, flags)
    return 0


def _id_valid(task: Task, listener: Listener, addr: int) -> int:
    number = int.from_bytes(task.mm.copy_in(addr, 8), "little")
    listener.sent(number, errno.ENOENT, errno.ENOENT)
    return 0


def _add_fd(task: Task, listener: Listener, addr: int) -> int:
    """Give the task that waits a descriptor of an open file of the caller's, and return it."""
    number, flags, source, target, fd_flags = ADDITION.unpack(task.mm.copy_in(addr, ADDITION.size))
    if fd_flags & ~O_CLOEXEC or flags & ~(ADDFD_SETFD | ADDFD_SEND):
        raise SyscallError(errno.EINVAL)
    if target and not flags & ADDFD_SETFD:
        raise SyscallError(errno.EINVAL)
    file = task.fds.get(source)
    notice = listener.sent(number, errno.ENOENT, errno.EINPROGRESS)
    fd = _give(notice, file, fd_flags, target if flags & ADDFD_SETFD else None)
    if flags & ADDFD_SEND:
        notice.answer(fd, 0, 0)
    return fd


def _give(notice: Notice, file: File, fd_flags: int, target: int | None) -> int:
    """Install a file in the table of a task that waits. Errors: EMFILE, EBADF."""
    fds, limit = notice.task.fds, notice.task.rlimits["nofile"][0]
    cloexec = int(bool(fd_flags & O_CLOEXEC))
    if target is None:
        with notice.task.kernel.memory.on_behalf_of(notice.task):
            return fds.install(file, 0, cloexec)
    if target >= limit:
        raise SyscallError(errno.EBADF)
    fds.put_at(target, file, cloexec)
    return target


def _set_listener_flags(task: Task, listener: Listener, flags: int) -> int:
    if flags & ~SYNC_WAKE_UP:
        raise SyscallError(errno.EINVAL)
    return 0


REQUESTS: dict[int, Callable[[Any, Listener, int], int]] = {
    RECV: _receive,
    SEND: _send,
    ID_VALID: _id_valid,
    OLD_ID_VALID: _id_valid,
    ADDFD: _add_fd,
    SET_FLAGS: _set_listener_flags,
}


@ioctl_of(Listener)
def listener_ioctl(task: Task, file: File, request: int, arg: int) -> int:
    """Do what a listener is asked. Errors: EINVAL, EFAULT, ENOENT, EINPROGRESS, those of each."""
    if request not in REQUESTS:
        raise SyscallError(errno.EINVAL)
    assert isinstance(file.inode, Listener)
    return REQUESTS[request](task, file.inode, arg)
