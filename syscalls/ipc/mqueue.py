"""POSIX message queues."""

from __future__ import annotations

import errno
import struct
from functools import partial
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.sending import send
from pkern.kernel.tasks.signal.signals import NSIG, SigInfo
from pkern.kernel.vfs.file import O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, File
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE
from pkern.kernel.vfs.ipc.mqueue import (
    MQ_PRIO_MAX,
    SIGEV_NONE,
    SIGEV_SIGNAL,
    SIGEV_THREAD,
    Call,
    Message,
    Notification,
    QueueInode,
)
from pkern.kernel.vfs.walk import need_read
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.clocks import TIME_PAIR, duration_in
from pkern.syscalls.files.at import O_CLOEXEC, install
from pkern.syscalls.layouts import layout
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

O_CREAT, O_EXCL = 0o100, 0o200
SI_MESGQ = -3
ATTR = layout("<8q", "<8i")  # flags, most messages, bytes of one, messages now, four of no use
SIGEVENT = layout("<Qii48x", "<Iii52x")
RIGHTS = {O_RDONLY: MAY_READ, O_WRONLY: MAY_WRITE, O_RDWR: MAY_READ | MAY_WRITE}


def _attr_in(task: Task, addr: int) -> tuple[int, ...]:
    attr = ATTR.of(task)
    return attr.unpack(task.mm.copy_in(addr, attr.size))


@syscall(240, "mq_open", PATH, INT, INT, INT)
def mq_open(task: Task, name: str, flags: int, mode: int = 0, attr: int = 0) -> int:
    """Return a descriptor of a queue, closed at execve. name: without the library's slash.

    flags: O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_NONBLOCK. attr: struct mq_attr of a new
    one, 0: fs.mqueue's defaults. Errors: EACCES, EEXIST, EINVAL, EMFILE (RLIMIT_MSGQUEUE too),
    ENAMETOOLONG, ENOENT, ENOSPC. Source: mq_open(3).
    """
    wish = _attr_in(task, attr) if attr else None
    need_read(name)
    if not name:
        raise SyscallError(errno.ENOENT)
    found = task.nsproxy.ipc.queues.lookup(name)
    if found is None:
        if not flags & O_CREAT:
            raise SyscallError(errno.ENOENT)
        found = _make(task, name, mode, (wish[1], wish[2]) if wish else None)
    elif flags & O_CREAT and flags & O_EXCL:
        raise SyscallError(errno.EEXIST)
    elif flags & O_ACCMODE not in RIGHTS:
        raise SyscallError(errno.EINVAL)
    else:
        found.open_check(task, RIGHTS[flags & O_ACCMODE])
    file = File(task.kernel, found, f"/{name}", flags & (O_ACCMODE | O_NONBLOCK), task)
    return install(task, task.kernel.vfs.register(file), O_CLOEXEC)


def _make(task: Task, name: str, mode: int, wish: tuple[int, int] | None) -> QueueInode:
    queues = task.nsproxy.ipc.queues
    made = queues.make(task, name, mode, wish)
    made.charged = task.cred.uid
    if queues.charged(task.cred.uid) > task.rlimits["msgqueue"][0]:
        queues.unlink(made)
        raise SyscallError(errno.EMFILE)
    return made


@syscall(241, "mq_unlink", PATH)
def mq_unlink(task: Task, name: str) -> int:
    """Take a queue's name away; it goes with its last descriptor. Errors: ENOENT, EPERM, EACCES.

    Source: mq_unlink(3).
    """
    need_read(name)
    found = task.nsproxy.ipc.queues.lookup(name) if name else None
    if found is None:
        raise SyscallError(errno.ENOENT)
    found.need_owner(task)
    task.nsproxy.ipc.queues.unlink(found)
    return 0


def _queue(task: Task, fd: int, wanted: int = 0) -> tuple[File, QueueInode]:
    file = task.fds.get(fd)
    if not isinstance(file.inode, QueueInode):
        raise SyscallError(errno.EBADF)
    if wanted:
        file.need(wanted)
    return file, file.inode


def _deadline(task: Task, addr: int, pair: struct.Struct) -> int | None:
    """Return when struct timespec at addr, a date, comes on the clock that never jumps."""
    clock = task.kernel.clock
    return duration_in(task, addr, pair=pair) - clock.realtime_ns + clock.now_ns if addr else None


def _wait(task: Task, file: File, queue: QueueInode, call: Call) -> WouldBlock:
    """Return what lets a call wait. Errors: EAGAIN (O_NONBLOCK), ETIMEDOUT."""
    queues = queue.queues
    if file.flags & O_NONBLOCK:
        raise SyscallError(errno.EAGAIN)
    if call.deadline is not None and task.kernel.clock.now_ns >= call.deadline:
        raise SyscallError(errno.ETIMEDOUT)
    if task.context is not None:  # a Python program does not sleep
        queues.wait(queue, call)
    interrupted = partial(queues.leave, task.pid)
    return WouldBlock(call, deadline=call.deadline, progress=call, interrupted=interrupted)


def _leave(task: Task, call: Call) -> None:
    """Wait no more."""
    if call.queues is not None:
        call.queues.leave(task.pid)


def _told(task: Task, about: Notification) -> None:
    """Send the signal of a notification."""
    target = task.kernel.tasks.get(about.pid)
    if about.kind == SIGEV_SIGNAL and about.signo and target is not None:
        sent = (0, task.tgid, task.cred.uid, 0, about.value)
        send(target, SigInfo(about.signo, SI_MESGQ, *sent))


@syscall(242, "mq_timedsend", SINT, INT, INT, INT, INT)
def mq_timedsend(
    task: Task, fd: int, addr: int, nbytes: int, priority: int = 0, timeout: int = 0
) -> int:
    """Send nbytes at addr; wait for room until the date in struct timespec at timeout (0: ever).

    Errors: EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMSGSIZE, ETIMEDOUT. Source: mq_send(3).
    """
    return send_message(task, fd, addr, nbytes, priority, timeout, TIME_PAIR)


def send_message(
    task: Task, fd: int, addr: int, nbytes: int, priority: int, timeout: int, pair: struct.Struct
) -> int:
    """Send as mq_timedsend; pair: the layout of the date. Errors: as mq_timedsend."""
    call = task.thread.progress
    if call is not None:
        _leave(task, call)
        if call.done:
            return 0
    deadline = _deadline(task, timeout, pair)
    if priority & 0xFFFF_FFFF >= MQ_PRIO_MAX:
        raise SyscallError(errno.EINVAL)
    file, queue = _queue(task, fd, MAY_WRITE)
    if nbytes > queue.message_bytes:
        raise SyscallError(errno.EMSGSIZE)
    message = queue.new_message(priority & 0xFFFF_FFFF, task.mm.copy_in(addr, nbytes))
    if len(queue.messages) >= queue.most:
        raise _wait(task, file, queue, Call(task.pid, task.attributes.nice, deadline, message))
    queue.send(message, partial(_told, task))
    return 0


@syscall(243, "mq_timedreceive", SINT, INT, INT, INT, INT)
def mq_timedreceive(
    task: Task, fd: int, addr: int, nbytes: int, priority_addr: int = 0, timeout: int = 0
) -> int:
    """Store the first message at addr and return its bytes; its priority where that is not 0.

    Errors: EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMSGSIZE, ETIMEDOUT. Source: mq_receive(3).
    """
    return receive_message(task, fd, addr, nbytes, priority_addr, timeout, TIME_PAIR)


def receive_message(
    task: Task, fd: int, addr: int, nbytes: int, priority_addr: int, timeout: int,
    pair: struct.Struct,
) -> int:  # fmt: skip
    """Receive as mq_timedreceive; pair: the layout of the date. Errors: as mq_timedreceive."""
    call = task.thread.progress
    if call is not None:
        _leave(task, call)
    message: Message | None = call.message if call is not None else None
    if message is None:
        deadline = _deadline(task, timeout, pair)
        file, queue = _queue(task, fd, MAY_READ)
        if nbytes < queue.message_bytes:
            raise SyscallError(errno.EMSGSIZE)
        if not queue.messages:
            raise _wait(task, file, queue, Call(task.pid, task.attributes.nice, deadline, None))
        message = queue.receive()
    if priority_addr:
        task.mm.copy_out(priority_addr, message.priority.to_bytes(4, "little"))
    task.mm.copy_out(addr, message.text)
    return len(message.text)


@syscall(244, "mq_notify", SINT, INT, partly="SIGEV_THREAD wants a socket of AF_NETLINK")
def mq_notify(task: Task, fd: int, addr: int) -> int:
    """Ask to be told, once, of a message that comes into the empty queue; addr 0: no more.

    struct sigevent at addr: SIGEV_SIGNAL, SIGEV_NONE. Errors: EBADF, EBUSY (another asked), EINVAL,
    EFAULT. Source: mq_notify(3).
    """
    sigevent = SIGEVENT.of(task)
    value, signo, kind = 0, 0, -1
    if addr:
        value, signo, kind = sigevent.unpack(task.mm.copy_in(addr, sigevent.size))
    if addr and kind not in (SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD):
        raise SyscallError(errno.EINVAL)
    if kind == SIGEV_SIGNAL and not 0 <= signo <= NSIG:
        raise SyscallError(errno.EINVAL)
    if kind == SIGEV_THREAD:
        task.fds.get(signo)
        raise SyscallError(errno.ENOTSOCK)
    _, queue = _queue(task, fd)
    if not addr:
        queue.descriptor_closed(task.tgid)
    elif queue.notification is not None:
        raise SyscallError(errno.EBUSY)
    else:
        queue.notification = Notification(task.tgid, kind, signo, value)
    return 0


@syscall(245, "mq_getsetattr", SINT, INT, INT)
def mq_getsetattr(task: Task, fd: int, new: int, old: int) -> int:
    """Store struct mq_attr at old; take O_NONBLOCK from the one at new; each where not 0.

    Errors: EBADF, EINVAL (another flag), EFAULT. Source: mq_getattr(3).
    """
    wish = _attr_in(task, new)[0] if new else 0
    if wish & ~O_NONBLOCK:
        raise SyscallError(errno.EINVAL)
    file, queue = _queue(task, fd)
    now = (file.flags & O_NONBLOCK, queue.most, queue.message_bytes, len(queue.messages))
    if new:
        file.flags = file.flags & ~O_NONBLOCK | wish
    if old:
        task.mm.copy_out(old, ATTR.of(task).pack(*now, 0, 0, 0, 0))
    return 0
