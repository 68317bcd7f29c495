"""System V message queues."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.ipc.ipc import IPC_NOWAIT, S_IRUGO
from pkern.kernel.vfs.ipc.msg import (
    MSGMNB,
    MSGMNI,
    Message,
    MessageQueue,
    Receiver,
    Search,
    Sender,
)
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.ipc.perm import (
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    PERM,
    pack_perm,
    perm_in,
)
from pkern.syscalls.layouts import layout
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

MSG_NOERROR, MSG_EXCEPT, MSG_COPY = 0o10000, 0o20000, 0o40000
MSG_STAT, MSG_INFO, MSG_STAT_ANY = 11, 12, 13
MSGSSZ, MSGSEG = 16, 0xFFFF
MSGPOOL = MSGMNI * MSGMNB // 1024
LONG_MAX = (1 << 63) - 1
TYPE = layout("<q", "<i")
DS_REST = layout("<6Qii2Q", "<3Q3Iii2I")  # struct msqid64_ds after its rights


def _signed(value: int) -> int:
    """Return a register as a C long."""
    return value - (1 << 64) if value > LONG_MAX else value


@syscall(68, "msgget", SINT, INT)
def msgget(task: Task, key: int, flags: int = 0) -> int:
    """Return the id of a message queue; key: IPC_PRIVATE, or what others ask for.

    Errors: ENOENT, EEXIST, EACCES, ENOSPC (kernel.msgmni). Source: msgget(2).
    """
    return task.nsproxy.ipc.messages.get(task, key, flags)


def _sleep(task: Task, call: Sender | Receiver, refusal: int) -> WouldBlock:
    """Let a call wait; a Python program, which does not sleep, gets refusal."""
    messages = task.nsproxy.ipc.messages
    if task.context is not None:
        messages.wait(call)
    return WouldBlock(
        call,
        progress=call,
        restart=Restart.UNLESS_HANDLED,
        error=refusal,
        interrupted=lambda: messages.leave(task.pid),
    )


@syscall(69, "msgsnd", SINT, INT, INT, INT)
def msgsnd(task: Task, msqid: int, addr: int, nbytes: int, flags: int = 0) -> int:
    """Send nbytes that stand behind their type (a long) at addr; wait for room.

    Errors: EINVAL (type below 1, too long), EAGAIN (IPC_NOWAIT), EACCES, EFAULT, EIDRM, EINTR.
    Source: msgop(2).
    """
    messages, call = task.nsproxy.ipc.messages, task.thread.progress
    if call is None:
        (kind,) = TYPE.of(task).unpack(task.mm.copy_in(addr, TYPE.of(task).size))
        if nbytes > messages.most_text or msqid < 0 or kind < 1:
            raise SyscallError(errno.EINVAL)
        text = task.mm.copy_in(addr + TYPE.of(task).size, nbytes)
        call = Sender(task.pid, messages.table.get(msqid), Message(kind, text))
    messages.leave(task.pid)
    if not messages.send(task, call):
        if flags & IPC_NOWAIT:
            raise SyscallError(errno.EAGAIN)
        raise _sleep(task, call, errno.EAGAIN)
    return 0


def _search(wanted: int, flags: int) -> tuple[Search, int]:
    """Return what msgrcv's type and flags ask for."""
    if flags & MSG_COPY:
        return Search.PLACE, wanted
    if not wanted:
        return Search.ANY, 0
    if wanted < 0:
        return Search.LOWEST, min(-wanted, LONG_MAX)
    return (Search.OTHER if flags & MSG_EXCEPT else Search.TYPE), wanted


@syscall(70, "msgrcv", SINT, INT, INT, INT, INT)
def msgrcv(task: Task, msqid: int, addr: int, nbytes: int, kind: int = 0, flags: int = 0) -> int:
    """Store a message (its type, a long, and up to nbytes) at addr; return the text's bytes.

    kind: 0: the first; above: the first of this type (MSG_EXCEPT: of another); below: the first of
    the lowest type up to -kind. MSG_COPY: the kind-th, which stays. Errors: EINVAL, E2BIG (without
    MSG_NOERROR), ENOMSG (IPC_NOWAIT), EACCES, EFAULT, EIDRM, EINTR. Source: msgop(2).
    """
    messages, call = task.nsproxy.ipc.messages, task.thread.progress
    if call is None:
        call = _receiver(task, msqid, addr, nbytes, _signed(kind), flags)
    messages.leave(task.pid)
    if call.errno:
        raise SyscallError(call.errno)
    message = call.message or _take(task, call, nbytes, flags)
    raw = message.type.to_bytes(8, "little")[: TYPE.of(task).size]
    task.mm.copy_out(addr, raw)
    text = message.text[:nbytes]
    task.mm.copy_out(addr + len(raw), text)
    return len(text)


def _receiver(task: Task, msqid: int, addr: int, nbytes: int, kind: int, flags: int) -> Receiver:
    messages = task.nsproxy.ipc.messages
    if msqid < 0 or nbytes > LONG_MAX:
        raise SyscallError(errno.EINVAL)
    if flags & MSG_COPY:
        if flags & MSG_EXCEPT or not flags & IPC_NOWAIT:
            raise SyscallError(errno.EINVAL)
        task.mm.copy_in(addr, min(nbytes, messages.most_text))  # Linux reads what it will store to
    most = LONG_MAX if flags & MSG_NOERROR else nbytes
    return Receiver(task, messages.table.get(msqid), *_search(kind, flags), most)


def _take(task: Task, call: Receiver, nbytes: int, flags: int) -> Message:
    """Take a message out of the queue, or wait for one."""
    messages, queue = task.nsproxy.ipc.messages, call.queue
    place = messages.receive(task, call)
    if place is None:
        if flags & IPC_NOWAIT:
            raise SyscallError(errno.ENOMSG)
        raise _sleep(task, call, errno.ENOMSG)
    found = queue.messages[place]
    if len(found.text) > call.most:
        raise SyscallError(errno.E2BIG)
    if not flags & MSG_COPY:
        return queue.take(place, task.tgid)
    if len(found.text) > min(nbytes, messages.most_text):
        raise SyscallError(errno.EINVAL)
    return found


# ---- msgctl ----


def _info(task: Task, command: int) -> bytes:
    """Return struct msginfo: kernel.msg*, and with MSG_INFO what is there."""
    messages = task.nsproxy.ipc.messages
    pool, headers, total = MSGPOOL, MSGMNB, MSGMNB
    if command == MSG_INFO:
        queues = messages.table.items()
        pool, headers = len(queues), sum(len(one.messages) for one in queues)
        total = sum(one.nbytes for one in queues)
    limits = (messages.most_text, messages.most_bytes, messages.table.ids.most)
    return struct.pack("<7iHxx", pool, headers, *limits, MSGSSZ, total, MSGSEG)


def _pack(task: Task, one: MessageQueue) -> bytes:
    """Return struct msqid64_ds."""
    counts = (one.nbytes, len(one.messages), one.most)
    pids = (task.number_of(one.last_sender), task.number_of(one.last_receiver))
    return pack_perm(task, one) + DS_REST.of(task).pack(
        one.stime, one.rtime, one.ctime, *counts, *pids, 0, 0
    )


def _stat(task: Task, msqid: int, command: int, addr: int) -> int:
    table = task.nsproxy.ipc.messages.table
    found = table.get(msqid) if command == IPC_STAT else table.at(msqid)
    if command != MSG_STAT_ANY:
        found.need(task, S_IRUGO)
    task.mm.copy_out(addr, _pack(task, found))
    return 0 if command == IPC_STAT else found.id


def _set(task: Task, msqid: int, addr: int) -> None:
    """Give a queue another owner, rights and room. Errors: EPERM (more than kernel.msgmnb)."""
    messages, wish = task.nsproxy.ipc.messages, perm_in(task, addr)
    rest = DS_REST.of(task)
    most = rest.unpack(task.mm.copy_in(addr + PERM.of(task).size, rest.size))[5]
    found = messages.table.get(msqid)
    found.need_owner(task)
    if most > messages.most_bytes and not task.capable("CAP_SYS_RESOURCE"):
        raise SyscallError(errno.EPERM)
    found.give(*wish)
    found.most = most
    found.changed()


def _remove(task: Task, msqid: int, addr: int) -> None:
    found = task.nsproxy.ipc.messages.table.get(msqid)
    found.need_owner(task)
    task.nsproxy.ipc.messages.remove(found)


@syscall(71, "msgctl", SINT, SINT, INT)
def msgctl(task: Task, msqid: int, command: int, addr: int = 0) -> int:
    """Look at a queue or change it: IPC_STAT, IPC_SET (struct msqid64_ds at addr), IPC_RMID.

    IPC_INFO and MSG_INFO store struct msginfo and return the highest index; MSG_STAT and
    MSG_STAT_ANY take an index and return an id. Errors: EINVAL, EACCES, EPERM, EFAULT. Source:
    msgctl(2).
    """
    if msqid < 0:
        raise SyscallError(errno.EINVAL)
    if command in (IPC_INFO, MSG_INFO):
        task.mm.copy_out(addr, _info(task, command))
        return task.nsproxy.ipc.messages.table.last_index()
    if command in (IPC_STAT, MSG_STAT, MSG_STAT_ANY):
        return _stat(task, msqid, command, addr)
    actions = {IPC_SET: _set, IPC_RMID: _remove}
    if command not in actions:
        raise SyscallError(errno.EINVAL)
    actions[command](task, msqid, addr)
    return 0
