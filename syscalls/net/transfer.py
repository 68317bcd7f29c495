"""Sending and receiving through a socket, however long it takes.

A socket says MustWait; here is decided what that means: EAGAIN for a file or a call that does not
wait, or sleep, until SO_SNDTIMEO or SO_RCVTIMEO. What is done goes on from try to try in the
thread's progress. read() and write() of sockets come here too.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.packet import Packet, Received
from pkern.kernel.net.socket import (
    MSG_DONTWAIT,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    SOCK_STREAM,
    MustWait,
    Socket,
)
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.clocks import pass_time
from pkern.syscalls.files.streams import READERS, STORERS, WRITERS, signal_broken_pipe

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.syscalls.files.read_write import Buffers

MSG_NOSIGNAL, MSG_ERRQUEUE = 0x4000, 0x2000
SOL_SOCKET, SO_RCVLOWAT = 1, 18
T = TypeVar("T")


class Progress(NamedTuple):
    """How far a call is: when it gives up, bytes that are done, and the first thing received."""

    deadline: int | None
    done: int = 0
    first: Received | None = None


def socket_of(task: Task, fd: int) -> tuple[File, Socket]:
    """Return a socket's open file and inode. Errors: EBADF, ENOTSOCK."""
    file = task.fds.get(fd)
    if not isinstance(file.inode, Socket):
        raise SyscallError(errno.ENOTSOCK)
    return file, file.inode


def begun(task: Task, limit: int | None) -> Progress:
    """Return how far the call is. limit: nanoseconds that it may wait from its beginning."""
    if isinstance(task.thread.progress, Progress):
        return task.thread.progress
    return Progress(None if limit is None else task.kernel.clock.now_ns + limit)


def flags_of(file: File, flags: int) -> int:
    """Return a call's MSG_* flags: those of its open file too."""
    quiet = MSG_NOSIGNAL if file.is_quiet else 0
    return flags | quiet | (MSG_DONTWAIT if file.flags & O_NONBLOCK else 0)


def wait_or_stop(task: Task, wait: MustWait, progress: Progress, flags: int) -> None:
    """Sleep, or return where the call is to end with what it has. Errors: WouldBlock."""
    if flags & MSG_DONTWAIT or (task.context is None and progress.done):
        return
    late = progress.deadline is not None and task.kernel.clock.now_ns >= progress.deadline
    if late or pass_time(task, progress.deadline):
        return
    restart = Restart.IF_ASKED if progress.deadline is None else Restart.ENDS
    raise WouldBlock(
        *wait.keys,
        deadline=progress.deadline,
        progress=progress,
        partial=progress.done,
        restart=restart,
    )


def until_done(task: Task, file: File, limit: int | None, late: int, call: Callable[[], T]) -> T:
    """Return what a call gives once it need not wait. late: the errno when its time is up."""
    flags, progress = flags_of(file, 0), begun(task, limit)
    try:
        return call()
    except MustWait as wait:
        wait_or_stop(task, wait, progress, flags)
    raise SyscallError(errno.EAGAIN if flags & MSG_DONTWAIT else late)


# ---- sending ----


def send_packet(
    task: Task, file: File, packet: Packet, to: bytes | None = None, flags: int = 0
) -> int:
    """Send all of a packet; return how many bytes went. flags: MSG_*.

    Errors: EPIPE (and a stream's SIGPIPE), EAGAIN (no room in time), those of Socket.send.
    """
    inode = file.inode
    assert isinstance(inode, Socket)
    flags = flags_of(file, flags)
    progress = begun(task, inode.send_ns)
    try:
        while True:
            rest = packet.rest(progress.done)
            sent = inode.send(task, rest, to, flags)
            progress = progress._replace(done=progress.done + sent)
            if progress.done == len(packet.data):
                break
    except MustWait as wait:
        wait_or_stop(task, wait, progress, flags)
        if not progress.done:
            raise SyscallError(errno.EAGAIN) from None
    except SyscallError as error:
        if not progress.done:
            if inode.socket_type == SOCK_STREAM and not flags & MSG_NOSIGNAL:
                signal_broken_pipe(task, error)
            raise
    task.io.syscw += 1
    task.io.wchar += progress.done
    return progress.done


def write_socket(task: Task, file: File, data: bytes) -> int:
    """As write(2). Errors: as send_packet."""
    return send_packet(task, file, Packet(data))


# ---- receiving ----

Store = Callable[[Received, int], None]


def receive(task: Task, file: File, room: int, flags: int, store: Store) -> tuple[int, Received]:
    """Receive up to room bytes; return how many, and the first of what was found.

    store(found, done) puts each part where the caller wants it, before it leaves the queue; done:
    bytes that came before. Errors: EAGAIN (nothing in time), those of Socket.look and store.
    """
    inode = file.inode
    assert isinstance(inode, Socket)
    if flags & MSG_ERRQUEUE and inode.has_error_queue:
        raise SyscallError(errno.EAGAIN)
    flags = flags_of(file, flags)
    progress = begun(task, inode.receive_ns)
    wanted = _least(inode, room, flags)
    first = progress.first
    try:
        while True:
            found = _enough(inode, room - progress.done, wanted, flags)
            _move(inode, found, progress.done, flags, store)
            first = found if first is None else first._replace(files=found.files)
            progress = Progress(progress.deadline, progress.done + len(found.data), first)
            if progress.done >= wanted or found.last or flags & MSG_PEEK:
                break
    except MustWait as wait:
        wait_or_stop(task, wait, progress, flags)
        if first is None:
            raise SyscallError(errno.EAGAIN) from None
    except SyscallError as error:
        if first is None or not progress.done:
            raise
        inode.error = error.errno or 0
    task.io.syscr += 1
    task.io.rchar += progress.done
    assert first is not None
    return progress.done, first


def _least(inode: Socket, room: int, flags: int) -> int:
    """Return how many bytes are worth returning for: of messages, one is."""
    if not inode.is_stream:
        return 0
    return room if flags & MSG_WAITALL else min(room, inode.option(SOL_SOCKET, SO_RCVLOWAT, 1))


def _enough(inode: Socket, room: int, wanted: int, flags: int) -> Received:
    """Look; for who only peeks, at as much as is wanted. Errors: MustWait, those of look."""
    found = inode.look(room, flags)
    if flags & MSG_PEEK and len(found.data) < min(wanted, room) and not found.last:
        raise MustWait(inode)
    return found


def _move(inode: Socket, found: Received, done: int, flags: int, store: Store) -> None:
    """Store what was found, and take it; a message that cannot be stored is lost."""
    thrown = flags & MSG_TRUNC and inode.throws_away
    try:
        store(found._replace(data=b"") if thrown else found, done)
    except SyscallError:
        if not inode.is_stream and not flags & MSG_PEEK:
            inode.take(len(found.data), flags)
        raise
    if flags & MSG_PEEK:
        inode.peeked(found, flags)
    else:
        inode.take(len(found.data), flags)


def receive_bytes(task: Task, file: File, nbytes: int, flags: int = 0) -> tuple[bytes, Received]:
    """Return up to nbytes, and the first of what was found. Errors: as receive."""
    parts: list[bytes] = []
    _, first = receive(task, file, nbytes, flags, lambda found, done: parts.append(found.data))
    return b"".join(parts), first


def store_at(task: Task, buffers: Buffers, start: int, data: bytes) -> None:
    """Store data over buffers, from the start-th byte of them on. Errors: EFAULT."""
    for addr, length in buffers:
        part = data[: max(0, length - start)]
        if part:
            task.mm.copy_out(addr + start, part)
        data, start = data[len(part) :], max(0, start - length)


def read_socket_into(task: Task, file: File, buffers: Buffers) -> int:
    """As read(2) and readv(2) into memory: what cannot be stored of a stream stays.

    Errors: as receive, EFAULT.
    """
    room = sum(nbytes for _, nbytes in buffers)

    def store(found: Received, done: int) -> None:
        store_at(task, buffers, done, found.data)

    return receive(task, file, room, 0, store)[0] if room else 0


def read_socket(task: Task, file: File, nbytes: int) -> bytes:
    """As read(2), which asks for nothing where there is no room. Errors: as receive."""
    inode = file.inode
    if not nbytes:
        return b""
    assert isinstance(inode, Socket)
    try:
        return _enough_read(task, file, inode, nbytes)
    finally:
        task.io.syscr += 1


def _enough_read(task: Task, file: File, inode: Socket, nbytes: int) -> bytes:
    wanted = _least(inode, nbytes, 0)

    def look() -> bytes:
        found = inode.look(nbytes, flags_of(file, 0))
        if len(found.data) < wanted and not found.last:
            raise MustWait(inode)
        inode.take(len(found.data), 0)
        return found.data

    return until_done(task, file, inode.receive_ns, errno.EAGAIN, look)


WRITERS.enter("sock", write_socket, __name__)
READERS.enter("sock", read_socket, __name__)
STORERS.enter("sock", read_socket_into, __name__)
