"""Opcodes of sockets. Source: io_uring_enter(2), Linux 6.18 io_uring/net.c."""

from __future__ import annotations

import errno
import struct
from functools import partial
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.socket import AF_UNIX, Socket
from pkern.kernel.values import NamedTuple
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.abi import signed32
from pkern.syscalls.files.read_write import Buffers, bytes_of, vectors
from pkern.syscalls.io_uring.requests import F_MORE, HELD, SELECT, SKIP_SUCCESS, Entry, Request
from pkern.syscalls.io_uring.resources import need_number, no_cloexec, place
from pkern.syscalls.io_uring.slots import ANY_SLOT
from pkern.syscalls.io_uring.transfers import need_buffer
from pkern.syscalls.net import messages, sockets
from pkern.syscalls.net.control import Control
from pkern.syscalls.net.sockets import address_in
from pkern.syscalls.net.transfer import socket_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from pkern.kernel.vfs.file import File

MSG_TRUNC, MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL = 0x20, 0x40, 0x100, 0x4000
ACCEPT_MULTI, ACCEPT_DONTWAIT, ACCEPT_POLL_FIRST = 1, 2, 4
POLL_FIRST, RECV_MULTI, FIXED_BUFFER, REPORT_USAGE, BUNDLE, VECTORS = 1, 2, 4, 8, 16, 32
NONEMPTY = 4  # of a completion's flags: IORING_CQE_F_SOCK_NONEMPTY
F_NOTIFY = 8  # IORING_CQE_F_NOTIF: memory that was sent from is free again
COPIED = -1 << 31  # IORING_NOTIF_USAGE_ZC_COPIED
PACKED = struct.Struct("<IIII")  # struct io_uring_recvmsg_out: name, control, data (bytes), flags
NR_SEND, NR_RECV = 26, 27
SOL_SOCKET, SIOCINQ, SIOCOUTQ = 1, 0x541B, 0x5411


def accept(request: Request) -> int:
    entry, task = request.entry, request.task
    need_number(request)
    flags = entry.op_flags

    def accepted() -> int:
        return place(request, sockets.accepted(task, HELD, entry.addr, entry.off, flags), flags)

    try:
        new = request.or_wait(accepted)
    except WouldBlock:
        if entry.ioprio & ACCEPT_DONTWAIT:
            raise SyscallError(errno.EAGAIN) from None
        raise
    inode = socket_of(task, HELD)[1]
    if inode.family != AF_UNIX and inode.embryos:
        request.marks |= NONEMPTY
    return new


def check_accept(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.op_flags & ~sockets.ACCEPT_FLAGS:
        raise SyscallError(errno.EINVAL)
    no_cloexec(entry.op_flags, entry.file_index)
    one_slot = entry.file_index and entry.file_index & ANY_SLOT != ANY_SLOT
    if entry.ioprio & ACCEPT_MULTI and one_slot:
        raise SyscallError(errno.EINVAL)


def take_address(request: Request) -> bytes:
    """Return the address that an entry names. Errors: EINVAL, EFAULT."""
    return address_in(request.task, request.entry.addr, signed32(request.entry.off))


def connect(request: Request) -> int:
    return sockets.connect_to(request.task, HELD, request.prepared)


def _what_can_be(request: Request, call: Callable[[int], int]) -> int:
    """Send or receive what can be at once, or, with MSG_DONTWAIT not given, wait for some."""
    flags = request.entry.op_flags
    if flags & MSG_DONTWAIT:
        return call(flags)
    return request.or_wait(lambda: call(flags | MSG_DONTWAIT))


class Rest(NamedTuple):
    """How far a request is that moves all that it was asked for: bytes so far, and what is left."""

    done: int
    buffers: Buffers


def move_all(request: Request, buffers: Buffers, call: Callable[[Buffers, int], int]) -> int:
    """Send or receive buffers: what can be at once, or with MSG_WAITALL all, however long it takes.

    call(buffers, flags): does what can be done. Returns how many bytes, until there are no more.
    """
    rest: Rest = request.rest or Rest(0, buffers)
    request.rest = None
    try:
        while True:
            moved = _what_can_be(request, partial(call, rest.buffers))
            rest = Rest(rest.done + moved, _behind(rest.buffers, moved))
            if not moved or not rest.buffers or not _waits_for_all(request):
                return rest.done
    except WouldBlock:
        request.rest = rest if rest.done else None
        raise
    except SyscallError:
        if not rest.done:
            raise
    return rest.done


def _behind(buffers: Buffers, nbytes: int) -> Buffers:
    """Return buffers without their first nbytes."""
    rest = []
    for addr, size in buffers:
        skipped = min(size, nbytes)
        nbytes -= skipped
        if size > skipped:
            rest.append((addr + skipped, size - skipped))
    return rest


def _waits_for_all(request: Request) -> bool:
    entry, inode = request.entry, socket_of(request.task, HELD)[1]
    for_all = entry.op_flags & MSG_WAITALL or (entry.opcode == NR_SEND and entry.ioprio & BUNDLE)
    return bool(for_all) and not inode.is_datagram


def take_target(request: Request) -> bytes | None:
    """Return whom something is to be sent to; None: the peer. Errors: EINVAL, EFAULT."""
    entry = request.entry
    nbytes = entry.file_index & 0xFFFF
    return address_in(request.task, entry.off, nbytes) if entry.off else None


class Whither(NamedTuple):
    """Whom bytes are to be sent to (None: the peer), and where they are (None: in one piece)."""

    target: bytes | None
    buffers: Buffers | None


def take_outgoing_bytes(request: Request) -> Whither:
    """Return whom something is to be sent to, and its vectors. Errors: EINVAL, EFAULT."""
    entry, target = request.entry, take_target(request)
    if not entry.ioprio & VECTORS:
        return Whither(target, None)
    return Whither(target, vectors(request.task, entry.addr, entry.length))


def send(request: Request) -> int:
    return send_from(request, request.prepared.buffers or [request.memory])


def send_from(request: Request, buffers: Buffers) -> int:
    """Send what is in buffers. Errors: as sendmsg."""
    task = request.task
    target = request.prepared.target

    def sent(buffers: Buffers, flags: int) -> int:
        file = socket_of(task, HELD)[0]
        return messages.send_buffers(task, file, buffers, flags | MSG_NOSIGNAL, target)

    return move_all(request, buffers, sent)


def room_to_send(request: Request) -> int:
    """Return how many bytes are sent from a provided buffer; 0: all that it has, as of a list."""
    entry = request.entry
    return entry.length if request.ring.groups.is_ring(entry.buf_index) else 0


def _need_zero_copy(request: Request, flags: int) -> None:
    """Errors: EINVAL, ENOTSOCK, EOPNOTSUPP: sockets of AF_UNIX copy. flags: those there are."""
    if request.entry.ioprio & ~flags:
        raise SyscallError(errno.EINVAL)
    if socket_of(request.task, HELD)[1].family == AF_UNIX:
        raise SyscallError(errno.EOPNOTSUPP)


def send_zc(request: Request) -> int:
    """As send; that the memory is free again is told in a second completion."""
    request.marks = F_MORE
    _need_zero_copy(request, POLL_FIRST | REPORT_USAGE | FIXED_BUFFER)
    if request.entry.ioprio & FIXED_BUFFER:
        need_buffer(request)
    return send(request)


def sendmsg_zc(request: Request) -> int:
    """As sendmsg; that the memory is free again is told in a second completion."""
    request.marks = F_MORE
    _need_zero_copy(request, POLL_FIRST | REPORT_USAGE)
    return sendmsg(request)


def tell_free(request: Request) -> None:
    """Tell that the memory is free again: what goes to this machine itself is copied."""
    result = COPIED if request.entry.ioprio & REPORT_USAGE else 0
    request.ring.post(request, result, F_NOTIFY)


def check_zc(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.flags & SKIP_SUCCESS:
        raise SyscallError(errno.EINVAL)


def take_outgoing(request: Request) -> messages.Outgoing:
    """Return the message that is to be sent. Errors: EINVAL, EMSGSIZE, EFAULT."""
    return messages.outgoing_at(request.task, request.entry.addr)


def sendmsg(request: Request) -> int:
    task, message = request.task, request.prepared

    def sent(buffers: Buffers, flags: int) -> int:
        header = message.header
        if buffers is not message.buffers:  # the first part has gone with the control data
            header = header._replace(control_bytes=0)
        part = message._replace(header=header, buffers=buffers)
        return messages.send_outgoing(task, HELD, part, flags | MSG_NOSIGNAL)

    return move_all(request, message.buffers, sent)


class Incoming(NamedTuple):
    """Where a message is to be received: the header, and what its iovecs say."""

    header: messages.Header
    buffers: Buffers


def take_incoming(request: Request) -> Incoming:
    """Return where a message is to go; a provided buffer has no more than one iovec.

    Errors: EINVAL, EMSGSIZE, EOVERFLOW, EFAULT.
    """
    task, entry = request.task, request.entry
    written = messages.written_header(task, entry.addr)
    header = messages.usable(written)
    if entry.flags & SELECT and header.nr_iov > 1:
        raise SyscallError(errno.EINVAL)
    incoming = Incoming(header, messages.vectors_of(task, header))
    return _with_room(incoming, written) if entry.ioprio & RECV_MULTI else incoming


def _with_room(incoming: Incoming, written: messages.Header) -> Incoming:
    """Keep the written length of a name as its room in the buffer, whether it is asked for or not.

    Errors: EOVERFLOW. Source: io_recvmsg_mshot_prep() of Linux 6.18.
    """
    if PACKED.size + written.name_bytes + written.control_bytes > messages.INT_MAX:
        raise SyscallError(errno.EOVERFLOW)
    return incoming._replace(header=incoming.header._replace(name_bytes=written.name_bytes))


def recv(request: Request) -> int:
    return receive_into(request, [request.memory])


def receive_into(request: Request, buffers: Buffers) -> int:
    """Receive into buffers. Errors: as recv."""
    file, _ = socket_of(request.task, HELD)

    def received(buffers: Buffers, flags: int) -> int:
        return messages.receive_into(request.task, file, buffers, flags)

    return _mark_rest(request, move_all(request, buffers, received))


def recvmsg(request: Request) -> int:
    entry, task = request.entry, request.task
    file, _ = socket_of(task, HELD)
    if entry.ioprio & RECV_MULTI:
        return _mark_rest(request, _what_can_be(request, partial(_receive_packed, request, file)))

    header, buffers = request.prepared
    chosen = request.chosen

    def received(buffers: Buffers, flags: int) -> int:
        return messages.recvmsg_into(task, file, entry.addr, header, buffers, flags)

    return _mark_rest(request, move_all(request, [chosen] if chosen else buffers, received))


def _receive_packed(request: Request, file: File, flags: int) -> int:
    """Receive a message with what a struct msghdr tells, all in one buffer; return how many bytes.

    Errors: EFAULT (no room for it), as recvmsg.
    """
    task, (addr, nbytes) = request.task, request.memory
    header: messages.Header = request.prepared.header
    name_at, control_at = addr + PACKED.size, addr + PACKED.size + header.name_bytes
    data_at = control_at + header.control_bytes
    room = addr + nbytes - data_at
    if room < 0:
        raise SyscallError(errno.EFAULT)
    control = Control(task, control_at, header.control_bytes, flags)
    message = messages.receive_message(task, file, [(data_at, room)], control, flags)
    name, found = message.found.name, message.found
    length = found.length if flags & MSG_TRUNC and found.length > message.nbytes else message.nbytes
    task.mm.copy_out(addr, PACKED.pack(len(name), control.used, length, message.flags))
    task.mm.copy_out(name_at, name[: header.name_bytes])
    return data_at - addr + message.nbytes


def vector_of_message(request: Request) -> int:
    """Return how many bytes of a provided buffer a message wants; 0: all."""
    return bytes_of(request.prepared.buffers)


def _mark_rest(request: Request, result: int) -> int:
    """Note in the completion that there is more to receive. Return result."""
    assert request.file is not None
    inode = request.file.inode
    assert isinstance(inode, Socket)
    request.marks |= NONEMPTY if inode.has_more else 0
    return result


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
    task = request.task
    socket_of(task, HELD)[1].bind(task, request.prepared)
    return 0


def listen(request: Request) -> int:
    return sockets.listen(request.task, HELD, request.entry.length)


def accepts_on(request: Request, result: int) -> bool:
    return bool(request.entry.ioprio & ACCEPT_MULTI) and result >= 0


def receives_on(request: Request, result: int) -> bool:
    return bool(request.entry.ioprio & RECV_MULTI) and result > 0


def check_recv(entry: Entry) -> None:
    """Errors: EINVAL: one that goes on needs a buffer for each part, and waits for no more.

    Only a RECV that goes on ends behind so many bytes (file_index).
    """
    chosen = entry.flags & SELECT and not entry.op_flags & MSG_WAITALL
    if entry.ioprio & RECV_MULTI and not chosen:
        raise SyscallError(errno.EINVAL)
    if entry.file_index and not (entry.ioprio & RECV_MULTI and entry.opcode == NR_RECV):
        raise SyscallError(errno.EINVAL)
