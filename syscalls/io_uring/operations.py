"""What each opcode of an entry does: a system call, with its arguments from the entry.

A handler finds the request's open file by the descriptor HELD. An opcode that is not here is EINVAL
in its completion, and IORING_REGISTER_PROBE says so. Source: io_uring_enter(2), Linux 6.18.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.kernel.vfs.inode import POLLIN
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.clocks import duration_in
from pkern.syscalls.files import paths, read_write, sizes, splice, statx
from pkern.syscalls.files.epoll import epoll_ctl
from pkern.syscalls.io_uring.buffers import MOST_BUFFERS, MOST_ID
from pkern.syscalls.io_uring.requests import (
    FIXED_FILE,
    HELD,
    IF_ANY,
    LINK_TIMEOUT,
    SELECT,
    SELECTS,
    SKIP_SUCCESS,
    Entry,
    Operation,
    Request,
)
from pkern.syscalls.memory.mman import madvise
from pkern.syscalls.net import messages, sockets

if TYPE_CHECKING:
    from collections.abc import Callable

CURRENT = (1 << 64) - 1  # an offset: the file's own position
FDATASYNC = 1
POLL_ALWAYS = 8 | 16  # POLLERR, POLLHUP
TIMEOUT_ABS, TIMEOUT_BOOTTIME, TIMEOUT_REALTIME, TIMEOUT_SUCCESS = 1, 4, 8, 32
CANCEL_ALL, CANCEL_FD, CANCEL_ANY = 1, 2, 4
MSG_DONTWAIT = 0x40
RWF_FLAGS = 0x1F
POLL_MULTI, ACCEPT_MULTI, RECV_MULTI, MSG_WAITALL = 1, 1, 2, 0x100
POLL_FIRST = 1  # of ioprio: IORING_RECVSEND_POLL_FIRST, which changes no answer
NR_TIMEOUT = 11


# ---- reading and writing ----


def _is_stream(request: Request) -> bool:
    assert request.file is not None
    inode = request.file.inode
    return inode.kind in read_write.UNSEEKABLE or not inode.can_seek


def _by_place(request: Request, here: Callable[..., int], there: Callable[..., int]) -> int:
    """Read or write one buffer: at the entry's offset, or where the file stands."""
    entry, task = request.entry, request.task
    if entry.op_flags & ~RWF_FLAGS:
        raise SyscallError(errno.EOPNOTSUPP)
    if entry.off == CURRENT or _is_stream(request):
        return _or_wait(request, lambda: here(task, HELD, entry.addr, entry.length))
    return there(task, HELD, entry.addr, entry.length, entry.off)


def _or_wait(request: Request, call: Callable[[], int]) -> int:
    """Make a call; where nothing can be done yet, wait until poll() has news.

    As on Linux a file's O_NONBLOCK does not matter to who asks by a ring.
    """
    assert request.file is not None
    try:
        return call()
    except WouldBlock:
        raise
    except SyscallError as error:
        if error.number != errno.EAGAIN:
            raise
    raise request.news()


def _read(request: Request) -> int:
    return _by_place(request, read_write.read_raw, read_write.pread64_raw)


def _write(request: Request) -> int:
    return _by_place(request, read_write.write_raw, read_write.pwrite64_raw)


def _readv(request: Request) -> int:
    return _by_place(request, read_write.readv, read_write.preadv)


def _writev(request: Request) -> int:
    return _by_place(request, read_write.writev, read_write.pwritev)


def _length(request: Request) -> int:
    return request.entry.length


def _bytes_of_vectors(request: Request) -> int:
    entry = request.entry
    return read_write.bytes_of(read_write.vectors(request.task, entry.addr, entry.length))


def _need_buffer(request: Request) -> None:
    """Refuse what lies not in the registered buffer. Errors: EFAULT."""
    entry, buffers = request.entry, request.ring.buffers
    if entry.buf_index >= len(buffers):
        raise SyscallError(errno.EFAULT)
    start, nbytes = buffers[entry.buf_index]
    if entry.addr < start or entry.addr + entry.length > start + nbytes:
        raise SyscallError(errno.EFAULT)


def _read_fixed(request: Request) -> int:
    _need_buffer(request)
    return _read(request)


def _write_fixed(request: Request) -> int:
    _need_buffer(request)
    return _write(request)


def _fsync(request: Request) -> int:
    entry = request.entry
    if entry.op_flags & FDATASYNC:
        return sizes.fdatasync(request.task, HELD)
    return sizes.fsync(request.task, HELD)


def _sync_file_range(request: Request) -> int:
    entry = request.entry
    return sizes.sync_file_range(request.task, HELD, entry.off, entry.length, entry.op_flags)


def _fallocate(request: Request) -> int:
    entry = request.entry
    return sizes.fallocate(request.task, HELD, entry.length, entry.off, entry.addr)


def _fadvise(request: Request) -> int:
    entry = request.entry
    return sizes.fadvise64(request.task, HELD, entry.off, entry.length, entry.op_flags)


def _madvise(request: Request) -> int:
    entry = request.entry
    return madvise(request.task, entry.addr, entry.length, entry.op_flags)


def _ftruncate(request: Request) -> int:
    return sizes.ftruncate(request.task, HELD, request.entry.off)


# ---- names ----


def _path(request: Request, addr: int) -> str:
    return request.task.mm.string_in(addr)


def _openat(request: Request) -> int:
    entry = request.entry
    path = _path(request, entry.addr)
    return read_write.openat(request.task, entry.fd, path, entry.op_flags, entry.length)


def _openat2(request: Request) -> int:
    entry = request.entry
    path = _path(request, entry.addr)
    return read_write.openat2(request.task, entry.fd, path, entry.off, entry.length)


def _close(request: Request) -> int:
    """Close a descriptor. Errors: EBADF: also of a ring, which could not tell of its own end."""
    file = request.task.fds.files.get(request.entry.fd)
    if file is not None and isinstance(file.inode, RingInode):
        raise SyscallError(errno.EBADF)
    return read_write.close(request.task, request.entry.fd)


def _statx(request: Request) -> int:
    entry, task = request.entry, request.task
    path = _path(request, entry.addr)
    task.mm.copy_out(entry.off, statx.statx(task, entry.fd, path, entry.op_flags, entry.length))
    return 0


def _renameat(request: Request) -> int:
    entry = request.entry
    old, new = _path(request, entry.addr), _path(request, entry.off)
    to = (entry.length ^ 1 << 31) - (1 << 31)
    return paths.renameat2(request.task, entry.fd, old, to, new, entry.op_flags)


def _unlinkat(request: Request) -> int:
    entry = request.entry
    return paths.unlinkat(request.task, entry.fd, _path(request, entry.addr), entry.op_flags)


def _mkdirat(request: Request) -> int:
    entry = request.entry
    return paths.mkdirat(request.task, entry.fd, _path(request, entry.addr), entry.length)


def _symlinkat(request: Request) -> int:
    entry = request.entry
    target, path = _path(request, entry.addr), _path(request, entry.off)
    return paths.symlinkat(request.task, target, entry.fd, path)


def _linkat(request: Request) -> int:
    entry = request.entry
    old, new = _path(request, entry.addr), _path(request, entry.off)
    to = (entry.length ^ 1 << 31) - (1 << 31)
    return paths.linkat(request.task, entry.fd, old, to, new, entry.op_flags)


# ---- sockets ----


def _accept(request: Request) -> int:
    entry = request.entry
    return _or_wait(
        request,
        lambda: sockets.accept4(request.task, HELD, entry.addr, entry.off, entry.op_flags),
    )


def _connect(request: Request) -> int:
    entry = request.entry
    return sockets.connect(request.task, HELD, entry.addr, entry.off)


def _what_can_be(request: Request, call: Callable[[int], int]) -> int:
    """Send or receive what can be at once, or, with MSG_DONTWAIT not given, wait for some."""
    flags = request.entry.op_flags
    if flags & MSG_DONTWAIT:
        return call(flags)
    return _or_wait(request, lambda: call(flags | MSG_DONTWAIT))


def _send(request: Request) -> int:
    entry, task = request.entry, request.task

    def send(flags: int) -> int:
        nbytes = entry.file_index & 0xFFFF if entry.off else 0
        return messages.sendto(task, HELD, entry.addr, entry.length, flags, entry.off, nbytes)

    return _what_can_be(request, send)


def _recv(request: Request) -> int:
    entry, task = request.entry, request.task

    def receive(flags: int) -> int:
        return messages.recvfrom(task, HELD, entry.addr, entry.length, flags, 0, 0)

    return _what_can_be(request, receive)


def _sendmsg(request: Request) -> int:
    entry, task = request.entry, request.task
    return _what_can_be(request, lambda flags: messages.sendmsg(task, HELD, entry.addr, flags))


def _recvmsg(request: Request) -> int:
    entry, task = request.entry, request.task
    return _what_can_be(request, lambda flags: messages.recvmsg(task, HELD, entry.addr, flags))


def _shutdown(request: Request) -> int:
    return sockets.shutdown(request.task, HELD, request.entry.length)


def _socket(request: Request) -> int:
    entry = request.entry
    return sockets.socket(request.task, entry.fd, entry.off, entry.length)


def _bind(request: Request) -> int:
    return sockets.bind(request.task, HELD, request.entry.addr, request.entry.off)


def _listen(request: Request) -> int:
    return sockets.listen(request.task, HELD, request.entry.length)


# ---- waiting ----


def _nop(request: Request) -> int:
    return 0


def _poll_add(request: Request) -> int:
    assert request.file is not None
    found = request.file.ready() & (request.entry.op_flags & 0xFFFF | POLL_ALWAYS)
    if not found:
        raise request.news()
    return found


def _check_poll(entry: Entry) -> None:
    """Errors: EINVAL."""
    if entry.length & ~POLL_MULTI or (entry.length and entry.flags & SKIP_SUCCESS):
        raise SyscallError(errno.EINVAL)


def _polls_on(entry: Entry, result: int) -> bool:
    return bool(entry.length & POLL_MULTI) and result > 0


def _accepts_on(entry: Entry, result: int) -> bool:
    return bool(entry.ioprio & ACCEPT_MULTI) and result >= 0


def _receives_on(entry: Entry, result: int) -> bool:
    return bool(entry.ioprio & RECV_MULTI) and result > 0


def _is_drained(request: Request) -> bool:
    assert request.file is not None
    return not request.file.ready() & POLLIN


def _check_recv(entry: Entry) -> None:
    """Errors: EINVAL: one that goes on needs a buffer for each part, and waits for no more."""
    chosen = entry.flags & SELECT and not entry.op_flags & MSG_WAITALL
    if entry.ioprio & RECV_MULTI and not chosen:
        raise SyscallError(errno.EINVAL)


def _check_provided(entry: Entry) -> None:
    """Errors: E2BIG, EINVAL."""
    if not 0 < entry.fd <= MOST_BUFFERS or entry.off > MOST_ID:
        raise SyscallError(errno.E2BIG)
    if not entry.length or entry.off + entry.fd > MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)


def _check_removed(entry: Entry) -> None:
    """Errors: EINVAL."""
    if not 0 < entry.fd <= MOST_BUFFERS:
        raise SyscallError(errno.EINVAL)


def _provide(request: Request) -> int:
    entry = request.entry
    request.task.mm.check_user(entry.addr, entry.fd * entry.length)
    return request.ring.groups.provide(request)


def _take_back(request: Request) -> int:
    return request.ring.groups.remove(request)


def _update_files(request: Request) -> int:
    entry = request.entry
    return request.ring.update_files(request.task, entry.off, entry.addr, entry.length)


def _some(entry: Entry) -> None:
    """Errors: EINVAL: nothing is asked for."""
    if not entry.length or entry.flags & FIXED_FILE:
        raise SyscallError(errno.EINVAL)


def _deadline(request: Request) -> int:
    """Return when a timeout ends, in the machine's uptime: as its first try has found."""
    if request.progress is not None:
        return int(request.progress)
    entry, clock = request.entry, request.task.kernel.clock
    wanted = duration_in(request.task, entry.addr)
    if not entry.op_flags & TIMEOUT_ABS:
        return clock.now_ns + wanted
    if entry.op_flags & TIMEOUT_REALTIME:
        return clock.now_ns + wanted - clock.realtime_ns
    return wanted


def _timeout(request: Request) -> int:
    """End at a time with ETIME, or with 0 when so many others have ended."""
    entry, ring, now = request.entry, request.ring, request.task.kernel.clock.now_ns
    deadline = _deadline(request)
    if request.progress is None and entry.off:
        ring.counting.append((ring.inode.completed + entry.off, request))
    if now < deadline:
        raise WouldBlock(deadline=deadline, progress=deadline)
    raise SyscallError(errno.ETIME)


def _link_timeout(request: Request) -> int:
    """Call off the request before it at a time."""
    deadline = _deadline(request)
    if request.task.kernel.clock.now_ns < deadline:
        raise WouldBlock(deadline=deadline, progress=deadline)
    before = request.ring.find(lambda other: other.timer is request)
    if before is None:
        raise SyscallError(errno.ECANCELED)
    before.timer = None
    before.call_off(-errno.ECANCELED)
    raise SyscallError(errno.ETIME)


def _is_timeout(request: Request) -> bool:
    return request.entry.opcode in (NR_TIMEOUT, LINK_TIMEOUT)


def _remove(request: Request, matches: Callable[[Request], bool]) -> int:
    """Call off one pending request. Errors: ENOENT."""
    found = request.ring.find(lambda other: other is not request and matches(other))
    if found is None:
        raise SyscallError(errno.ENOENT)
    found.cancel()
    return 0


def _timeout_remove(request: Request) -> int:
    wanted = request.entry.addr
    return _remove(request, lambda o: _is_timeout(o) and o.entry.user_data == wanted)


def _poll_remove(request: Request) -> int:
    wanted = request.entry.addr
    return _remove(request, lambda o: o.entry.opcode == NR_POLL_ADD and o.entry.user_data == wanted)


NR_POLL_ADD = 6


def _cancel(request: Request) -> int:
    """Call off what an entry names, by its user_data, its descriptor, or anything.

    Return how many with CANCEL_ALL or _ANY. Errors: ENOENT.
    """
    entry = request.entry
    held = request.task.fds.get(entry.fd) if entry.op_flags & CANCEL_FD else None

    def matches(other: Request) -> bool:
        if other is request:
            return False
        if entry.op_flags & CANCEL_ANY:
            return True
        if held is not None:
            return other.file is held
        return other.entry.user_data == entry.addr

    if not entry.op_flags & (CANCEL_ALL | CANCEL_ANY):
        return _remove(request, matches)
    found = [one for one in request.ring.pending if not one.called_off and matches(one)]
    for other in found:
        other.cancel()
    return len(found)


# ---- more ----


def _epoll_ctl(request: Request) -> int:
    entry = request.entry
    target = (entry.off ^ 1 << 31) - (1 << 31)
    return epoll_ctl(request.task, HELD, entry.length, target, entry.addr)


def _tee(request: Request) -> int:
    entry = request.entry
    return splice.tee(request.task, entry.file_index, HELD, entry.length, entry.op_flags)


# ---- the table ----


def _one_time(entry: Entry) -> None:
    """Errors: EINVAL: a timeout has one struct __kernel_timespec."""
    if entry.length != 1:
        raise SyscallError(errno.EINVAL)


BUFFER = ("buf_index", "file_index")
WITH_FILE, WITHOUT = True, False
OPERATIONS: dict[int, Operation] = {
    0: Operation(_nop, takes_file=WITHOUT, flags=0),
    1: Operation(_readv, ioprio=0xFFFF, whole=_bytes_of_vectors),
    2: Operation(_writev, ioprio=0xFFFF, whole=_bytes_of_vectors),
    3: Operation(_fsync, ("addr", *BUFFER), FDATASYNC),
    4: Operation(_read_fixed, ioprio=0xFFFF, whole=_length),
    5: Operation(_write_fixed, ioprio=0xFFFF, whole=_length),
    NR_POLL_ADD: Operation(
        _poll_add,
        ("buf_index", "off", "addr"),
        check=_check_poll,
        again=_polls_on,
        rests=lambda request: True,
    ),
    7: Operation(_poll_remove, ("buf_index", "file_index", "length", "off"), takes_file=WITHOUT),
    8: Operation(_sync_file_range, ("addr", *BUFFER)),
    9: Operation(_sendmsg, ("off", "file_index"), ioprio=POLL_FIRST),
    10: Operation(_recvmsg, ("off", "file_index"), ioprio=POLL_FIRST),
    NR_TIMEOUT: Operation(
        _timeout,
        ("buf_index", "file_index"),
        TIMEOUT_ABS | TIMEOUT_BOOTTIME | TIMEOUT_REALTIME,
        takes_file=WITHOUT,
        check=_one_time,
    ),
    12: Operation(
        _timeout_remove,
        ("buf_index", "length", "file_index", "off"),
        flags=0,
        takes_file=WITHOUT,
    ),
    13: Operation(_accept, ("length", *BUFFER), ioprio=ACCEPT_MULTI, again=_accepts_on),
    14: Operation(
        _cancel,
        ("off", "file_index"),
        CANCEL_ALL | CANCEL_FD | CANCEL_ANY,
        takes_file=WITHOUT,
    ),
    LINK_TIMEOUT: Operation(
        _link_timeout,
        ("buf_index", "file_index", "off"),
        TIMEOUT_ABS | TIMEOUT_BOOTTIME | TIMEOUT_REALTIME,
        takes_file=WITHOUT,
        check=_one_time,
    ),
    16: Operation(_connect, ("length", "op_flags", *BUFFER)),
    17: Operation(_fallocate, ("op_flags", *BUFFER)),
    18: Operation(_openat, BUFFER, takes_file=WITHOUT),
    19: Operation(_close, ("off", "addr", "length", "op_flags", *BUFFER), takes_file=WITHOUT),
    20: Operation(_update_files, ("op_flags", "file_index"), takes_file=WITHOUT, check=_some),
    21: Operation(_statx, BUFFER, takes_file=WITHOUT),
    22: Operation(_read, ioprio=0xFFFF, selects=SELECTS, whole=_length),
    23: Operation(_write, ioprio=0xFFFF, whole=_length),
    24: Operation(_fadvise, ("addr", *BUFFER)),
    25: Operation(_madvise, ("off", *BUFFER), takes_file=WITHOUT),
    26: Operation(_send, ("addr3",), ioprio=POLL_FIRST),
    27: Operation(
        _recv,
        ("off", "file_index"),
        ioprio=POLL_FIRST | RECV_MULTI,
        check=_check_recv,
        selects=IF_ANY,
        again=_receives_on,
        rests=_is_drained,
    ),
    28: Operation(_openat2, BUFFER, takes_file=WITHOUT),
    29: Operation(_epoll_ctl, BUFFER),
    31: Operation(_provide, ("op_flags", "file_index"), takes_file=WITHOUT, check=_check_provided),
    32: Operation(
        _take_back,
        ("op_flags", "addr", "length", "off", "file_index"),
        takes_file=WITHOUT,
        check=_check_removed,
    ),
    33: Operation(_tee, ("off", "addr"), whole=_length),
    34: Operation(_shutdown, ("off", "addr", "op_flags", *BUFFER)),
    35: Operation(_renameat, BUFFER, takes_file=WITHOUT),
    36: Operation(_unlinkat, ("off", "length", *BUFFER), takes_file=WITHOUT),
    37: Operation(_mkdirat, ("off", "op_flags", *BUFFER), takes_file=WITHOUT),
    38: Operation(_symlinkat, ("length", "op_flags", *BUFFER), takes_file=WITHOUT),
    39: Operation(_linkat, BUFFER, takes_file=WITHOUT),
    45: Operation(_socket, ("addr", "op_flags", *BUFFER), takes_file=WITHOUT),
    55: Operation(_ftruncate, ("op_flags", "addr", "length", *BUFFER, "addr3")),
    56: Operation(_bind, ("length", "op_flags", *BUFFER)),
    57: Operation(_listen, ("addr", "off", "op_flags", *BUFFER)),
}
LAST = 62  # of Linux 6.18's opcodes
