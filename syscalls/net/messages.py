"""Sending and receiving: bytes, messages with an address and control data, and several at once."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.packet import Packet, Received
from pkern.kernel.net.socket import (
    AF_INET,
    AF_INET6,
    MSG_DONTWAIT,
    MSG_OOB,
    MSG_TRUNC,
    Socket,
)
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.abi import MAX_COUNT
from pkern.syscalls.clocks import TIME_PAIR, duration_in
from pkern.syscalls.files.read_write import Buffers, bytes_of, gather, unsent, vectors
from pkern.syscalls.files.streams import GONE
from pkern.syscalls.net.control import MSG_CMSG_CLOEXEC, Control, control_in
from pkern.syscalls.net.layouts import NATIVE, layout_of
from pkern.syscalls.net.sockets import STORAGE_MAX, address_in, store_address
from pkern.syscalls.net.transfer import (
    receive,
    receive_bytes,
    send_packet,
    socket_of,
    store_at,
)
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

MOST_MESSAGES = 1024
MSG_WAITFORONE, MSG_CMSG_COMPAT = 0x10000, 0x8000_0000
MOST_CONTROL = 131_072  # net.core.optmem_max
INT_MAX = (1 << 31) - 1


def _refuse_compat(task: Task, flags: int) -> None:
    """Refuse the flag of calls whose messages have 32-bit layouts. Errors: EINVAL."""
    if flags & MSG_CMSG_COMPAT and layout_of(task) is NATIVE:
        raise SyscallError(errno.EINVAL)


class Header(NamedTuple):
    """A struct msghdr."""

    name: int
    name_bytes: int
    iov: int
    nr_iov: int
    control: int
    control_bytes: int
    flags: int


def written_header(task: Task, addr: int) -> Header:
    """Return a struct msghdr as it is written. Errors: EFAULT."""
    layout = layout_of(task).header
    return Header(*layout.unpack(task.mm.copy_in(addr, layout.size)))


def header_in(task: Task, addr: int) -> Header:
    """Return a struct msghdr that was looked at. Errors: EINVAL (its name's length), EFAULT."""
    return usable(written_header(task, addr))


def usable(header: Header) -> Header:
    """Return a header whose name has the length that counts. Errors: EINVAL (it is negative)."""
    name_bytes = header.name_bytes if header.name else 0
    if name_bytes > INT_MAX:
        raise SyscallError(errno.EINVAL)
    return header._replace(name_bytes=min(name_bytes, STORAGE_MAX))


def vectors_of(task: Task, header: Header) -> Buffers:
    """Return a message's buffers. Errors: EMSGSIZE, EFAULT."""
    if header.nr_iov > MOST_MESSAGES:
        raise SyscallError(errno.EMSGSIZE)
    return vectors(task, header.iov, header.nr_iov)


# ---- sending ----


def _all_or_part(task: Task, inode: Socket, buffers: Buffers, wanted: int) -> bytes:
    """Return what can be sent of wanted bytes: of TCP what can be read.

    Errors: EFAULT; EMSGSIZE: it would be too long for a message.
    """
    gone = GONE["sock"](task)
    if gone:
        return unsent(task, buffers, wanted, gone)
    data = gather(task.mm, buffers, wanted)
    if len(data) < wanted and not (inode.is_stream and inode.family in (AF_INET, AF_INET6)):
        too_long = not inode.is_stream and wanted > inode.sndbuf
        raise SyscallError(errno.EMSGSIZE if too_long else errno.EFAULT)
    return data


def send(task: Task, fd: int, data: bytes, flags: int = 0) -> int:
    """Send data to the other end; return how many bytes went.

    Errors: EBADF, ENOTSOCK, EPIPE (and SIGPIPE), ECONNREFUSED, ENOTCONN, EMSGSIZE, EAGAIN,
    EOPNOTSUPP (MSG_OOB). Source: send(2).
    """
    return send_packet(task, socket_of(task, fd)[0], Packet(data), None, flags)


@syscall(44, "sendto", SINT, INT, INT, INT, INT, SINT)
def sendto(
    task: Task, fd: int, addr: int, count: int, flags: int, to: int = 0, to_bytes: int = 0
) -> int:
    """Send count bytes at addr. Errors: as send, connect, EISCONN, EOPNOTSUPP, EFAULT.

    Source: send(2).
    """
    task.mm.check_user(addr, min(count, MAX_COUNT))
    file = socket_of(task, fd)[0]
    target = address_in(task, to, to_bytes) if to else None
    return send_buffers(task, file, [(addr, count)], flags, target)


def send_buffers(task: Task, file: File, buffers: Buffers, flags: int, target: bytes | None) -> int:
    """As sendto, from buffers, to an address that was read before; None: to the peer."""
    inode = file.inode
    assert isinstance(inode, Socket)
    if target == b"" and inode.family in (AF_INET, AF_INET6) and not inode.is_stream:
        raise SyscallError(errno.EINVAL)
    wanted = min(bytes_of(buffers), MAX_COUNT, task.kernel.ram)
    data = _all_or_part(task, inode, buffers, wanted)
    return send_packet(task, file, Packet(data), target or None, flags)


class Outgoing(NamedTuple):
    """A message that is to be sent: its header, whom it is for, where its bytes are."""

    header: Header
    target: bytes
    buffers: Buffers


def outgoing_at(task: Task, addr: int) -> Outgoing:
    """Return what a struct msghdr says is to be sent. Errors: EINVAL, EMSGSIZE, EFAULT."""
    header = header_in(task, addr)
    target = task.mm.copy_in(header.name, header.name_bytes)
    return Outgoing(header, target, vectors_of(task, header))


def send_outgoing(task: Task, fd: int, message: Outgoing, flags: int) -> int:
    """As sendmsg, of a message that was taken from its struct msghdr before."""
    _refuse_compat(task, flags)
    return _send_outgoing(task, socket_of(task, fd)[0], message, flags)


def _sendmsg(task: Task, file: File, addr: int, flags: int) -> int:
    return _send_outgoing(task, file, outgoing_at(task, addr), flags)


def _send_outgoing(task: Task, file: File, message: Outgoing, flags: int) -> int:
    inode, (header, target, buffers) = file.inode, message
    assert isinstance(inode, Socket)
    packet = Packet(b"")
    if header.control_bytes:
        if header.control_bytes > MOST_CONTROL:
            raise SyscallError(errno.ENOBUFS)
        raw = task.mm.copy_in(header.control, header.control_bytes)
        control_in(task, inode, raw, packet, target)
    wanted = min(bytes_of(buffers), task.kernel.ram)
    packet.data = _all_or_part(task, inode, buffers, wanted)
    return send_packet(task, file, packet, target or None, flags)


@syscall(46, "sendmsg", SINT, INT, INT)
def sendmsg(task: Task, fd: int, addr: int, flags: int) -> int:
    """Send the buffers of a struct msghdr, with files or credentials (control data).

    Errors: as sendto, EINVAL, EBADF, EPERM, ESRCH (control data), ETOOMANYREFS, EFAULT.
    Source: send(2), unix(7).
    """
    _refuse_compat(task, flags)
    return _sendmsg(task, socket_of(task, fd)[0], addr, flags)


# ---- receiving ----


def recv(task: Task, fd: int, nbytes: int, flags: int = 0) -> bytes:
    """Return what was sent from the other end, at most nbytes; b"" at its end.

    Errors: EBADF, ENOTSOCK, EAGAIN, EOPNOTSUPP (MSG_OOB). Source: recv(2).
    """
    return receive_bytes(task, socket_of(task, fd)[0], nbytes, flags)[0]


def _result(inode: Socket, nbytes: int, found: Received, flags: int) -> int:
    """Return what recv returns: with MSG_TRUNC all of a message's length."""
    return found.length if flags & MSG_TRUNC and not inode.is_stream else nbytes


@syscall(45, "recvfrom", SINT, INT, INT, INT, INT, INT)
def recvfrom(
    task: Task, fd: int, addr: int, count: int, flags: int, of: int = 0, of_bytes: int = 0
) -> int:
    """Receive up to count bytes to addr; the sender's address is stored.

    Errors: as recv, EFAULT. Source: recv(2).
    """
    task.mm.check_user(addr, min(count, MAX_COUNT))
    file, inode = socket_of(task, fd)

    def store(found: Received, done: int) -> None:
        task.mm.copy_out(addr + done, found.data)

    nbytes, found = receive(task, file, count, flags, store)
    if of:
        store_address(task, found.name, of, of_bytes)
    return _result(inode, nbytes, found, flags)


def _recvmsg(task: Task, file: File, addr: int, flags: int) -> int:
    header = header_in(task, addr)
    return recvmsg_into(task, file, addr, header, vectors_of(task, header), flags)


class Message(NamedTuple):
    """What was received: how many bytes are stored, what of it is told, and MSG_* flags."""

    nbytes: int
    found: Received
    flags: int


def receive_message(
    task: Task, file: File, buffers: Buffers, control: Control, flags: int
) -> Message:
    """Receive into buffers, with control data. Errors: as recvmsg."""
    inode = file.inode
    assert isinstance(inode, Socket)
    for at, nbytes in buffers:
        task.mm.check_user(at, nbytes)

    def store(found: Received, done: int) -> None:
        store_at(task, buffers, done, found.data)
        if not done or found.files:
            control.add_found(inode, found)

    room = bytes_of(buffers)
    nbytes, found = receive(task, file, room, flags, store)
    bits = control.flags | flags & MSG_CMSG_CLOEXEC | (MSG_OOB if found.oob else 0)
    is_cut = nbytes == room if found.passed else nbytes < found.length
    bits |= MSG_TRUNC if is_cut and not inode.is_stream else 0
    return Message(nbytes, found, bits)


def receive_into(task: Task, file: File, buffers: Buffers, flags: int) -> int:
    """As recv, into buffers. Errors: as recvmsg."""
    inode = file.inode
    assert isinstance(inode, Socket)
    message = receive_message(task, file, buffers, Control(task, 0, 0, flags), flags)
    return _result(inode, message.nbytes, message.found, flags)


def recvmsg_into(
    task: Task, file: File, addr: int, header: Header, buffers: Buffers, flags: int
) -> int:
    """As recvmsg with the header that is at addr, but into buffers. Errors: as recvmsg."""
    inode, layout = file.inode, layout_of(task)
    assert isinstance(inode, Socket)
    control = Control(task, header.control, header.control_bytes, flags)
    message = receive_message(task, file, buffers, control, flags)
    name = message.found.name
    if header.name:
        task.mm.copy_out(header.name, name[: header.name_bytes])
        task.mm.copy_out(addr + layout.name_length_at, struct.pack("<I", len(name)))
    task.mm.copy_out(addr + layout.result_at, layout.result.pack(control.used, message.flags))
    return _result(inode, message.nbytes, message.found, flags)


@syscall(47, "recvmsg", SINT, INT, INT)
def recvmsg(task: Task, fd: int, addr: int, flags: int) -> int:
    """Receive into the buffers of a struct msghdr, whose flags and lengths are stored.

    Files that came get descriptors. Errors: as recv, EFAULT. Source: recv(2), unix(7).
    """
    _refuse_compat(task, flags)
    return _recvmsg(task, socket_of(task, fd)[0], addr, flags)


# ---- several ----


class Several(NamedTuple):
    """How far a call about several messages is: those done, and the progress of the next."""

    done: int
    inner: Any


def _each(task: Task, addr: int, count: int, one: Callable[[int, int], int]) -> int:
    """Do each struct mmsghdr in turn, its length stored; return how many were done."""
    before = task.thread.progress
    done = before.done if isinstance(before, Several) else 0
    task.thread.progress = before.inner if isinstance(before, Several) else None
    layout = layout_of(task)
    count = min(count & 0xFFFF_FFFF, MOST_MESSAGES)
    try:
        while done < count:
            at = addr + done * layout.several
            nbytes = one(at, done)
            task.mm.copy_out(at + layout.length_at, struct.pack("<I", nbytes))
            task.thread.progress = None
            done += 1
    except WouldBlock as wait:
        if done and task.context is None:
            return done
        wait.progress, wait.partial = Several(done, wait.progress), done or wait.partial
        raise
    except SyscallError:
        if not done:
            raise
    return done


@syscall(307, "sendmmsg", SINT, INT, INT, INT)
def sendmmsg(task: Task, fd: int, addr: int, count: int, flags: int) -> int:
    """Send count messages (struct mmsghdr); return how many went. Errors: as sendmsg.

    Source: sendmmsg(2).
    """
    _refuse_compat(task, flags)
    file = socket_of(task, fd)[0]
    return _each(task, addr, count, lambda at, done: _sendmsg(task, file, at, flags))


@syscall(299, "recvmmsg", SINT, INT, INT, INT, INT)
def recvmmsg(task: Task, fd: int, addr: int, count: int, flags: int, time_addr: int = 0) -> int:
    """Receive up to count messages (struct mmsghdr); return how many came.

    The time (struct timespec) is looked at after each message. Errors: as recvmsg, EINVAL.
    Source: recvmmsg(2).
    """
    _refuse_compat(task, flags)
    return receive_several(task, fd, addr, count, flags, time_addr, TIME_PAIR)


def receive_several(
    task: Task, fd: int, addr: int, count: int, flags: int, time_addr: int, pair: struct.Struct
) -> int:
    """Receive as recvmmsg; pair: the layout of the time. Errors: as recvmmsg."""
    clock = task.kernel.clock
    end = clock.now_ns + duration_in(task, time_addr, pair=pair) if time_addr else None
    file, inode = socket_of(task, fd)
    inode.raise_error()

    def one(at: int, done: int) -> int:
        late = end is not None and done and clock.now_ns >= end
        alone = done and flags & MSG_WAITFORONE
        extra = MSG_DONTWAIT if late or alone else 0
        return _recvmsg(task, file, at, flags & ~MSG_WAITFORONE | extra)

    return _each(task, addr, count, one)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"send": send, "recv": recv}
