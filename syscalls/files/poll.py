"""Waiting for several open files at once: poll, select and their forms with a signal mask.

A call looks at every file; if none is ready it waits for all of them and, woken, looks again. A
Python program cannot wait: its time passes to the deadline at once, without one it gets EAGAIN.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.kept_files import found_by
from pkern.kernel.tasks.signal.signals import set_blocked
from pkern.kernel.vfs.file import POLLNVAL
from pkern.kernel.vfs.inode import POLLIN, POLLOUT
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.clocks import duration_in, pass_time
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

POLLPRI, POLLERR, POLLHUP = 2, 8, 16
ALWAYS = POLLERR | POLLHUP | POLLNVAL
# What the three sets of select ask for.
SELECTED = (POLLIN | POLLHUP | POLLERR | POLLNVAL, POLLOUT | POLLERR | POLLNVAL, POLLPRI | POLLNVAL)
POLLFD = struct.Struct("<ihh")
MS, US = 1_000_000, 1000
STICKY_TIMEOUTS = 0x4000000  # of personality(2): no time left is stored
SIGSET_BYTES = 8
Look = Callable[[], int]


# ---- waiting ----


def deadline_of(task: Task, timeout: int | None) -> int | None:
    """Return when a call gives up (nanoseconds since boot): what its first try had found."""
    if task.thread.progress is not None:
        noted: int | None = task.thread.progress[0]
        return noted
    return None if timeout is None else task.kernel.clock.now_ns + timeout


def wait_for(
    task: Task,
    look: Look,
    files: list[File],
    deadline: int | None,
    store_left: Callable[[], None],
    restart: Restart = Restart.CONTINUE,
) -> int:
    """Return what look() finds once that is not 0 or the time is up; store_left: at the end.

    A signal that finds no room for the time left ends the call. Errors: EINTR.
    """
    clock = task.kernel.clock
    found = look()
    if not found and pass_time(task, deadline):
        found = look()
    if found or (deadline is not None and clock.now_ns >= deadline):
        with suppress(SyscallError):
            store_left()
        return found
    for file in files:
        file.inode.watch()
    keys = dict.fromkeys(file.inode.wait_key for file in files)
    raise WouldBlock(
        *keys,
        deadline=deadline,
        progress=(deadline,),
        restart=restart,
        interrupted=store_left,
    )


def watched(task: Task, fds: Iterable[int]) -> list[File]:
    """Return the open files that a call waits for: by the descriptors as they were at first."""
    found = (found_by(task, fd) for fd in fds)
    return [file for file in found if file is not None]


def no_store() -> None:
    """Nothing is told of the time that is left."""


def store_left(
    task: Task, addr: int, deadline: int | None, pack: Callable[[int], bytes]
) -> Callable[[], None]:
    """Return what stores the time that is left at addr. Errors of that: EINTR: it cannot be."""

    def store() -> None:
        if not addr or deadline is None:
            return
        if task.attributes.personality & STICKY_TIMEOUTS:
            raise SyscallError(errno.EINTR)
        try:
            task.mm.copy_out(addr, pack(max(0, deadline - task.kernel.clock.now_ns)))
        except SyscallError:
            raise SyscallError(errno.EINTR) from None

    return store


def timespec(nanoseconds: int) -> bytes:
    return struct.pack("<qq", *divmod(nanoseconds, SECOND))


def _timeval(nanoseconds: int) -> bytes:
    seconds, rest = divmod(nanoseconds, SECOND)
    return struct.pack("<qq", seconds, rest // US)


def timespec_or_none(task: Task, addr: int) -> int | None:
    """Return the nanoseconds of a struct timespec, None for NULL. Errors: EINVAL, EFAULT."""
    return duration_in(task, addr) if addr else None


def _timeval_in(task: Task, addr: int) -> int | None:
    """Return the nanoseconds of select's struct timeval, whose microseconds may run over.

    None for NULL. Errors: EINVAL (negative), EFAULT.
    """
    if not addr:
        return None
    seconds, micros = struct.unpack("<qq", task.mm.copy_in(addr, 16))
    if seconds * 1_000_000 + micros < 0 or (micros < 0 and micros % 1_000_000):
        raise SyscallError(errno.EINVAL)
    return int(seconds * SECOND + micros * US)


# ---- the signal mask ----


def with_mask(task: Task, mask: int | None, call: Callable[[], int]) -> int:
    """Make a call with another set of blocked signals; a signal it lets in sees the old one."""
    thread, signals = task.thread, task.signals
    if mask is not None and task.context is not None and thread.saved_mask is None:
        thread.saved_mask = signals.blocked
        set_blocked(task, mask)
        task.attention = True
    try:
        result = call()
    except WouldBlock:
        raise
    except SyscallError:
        _restore_mask(task)
        raise
    _restore_mask(task)
    return result


def _restore_mask(task: Task) -> None:
    thread = task.thread
    if thread.saved_mask is not None:
        set_blocked(task, thread.saved_mask)
        thread.saved_mask = None


def mask_in(task: Task, addr: int, nbytes: int) -> int | None:
    """Return a set of signals, None for NULL. Errors: EINVAL, EFAULT."""
    if not addr:
        return None
    if nbytes != SIGSET_BYTES:
        raise SyscallError(errno.EINVAL)
    return int.from_bytes(task.mm.copy_in(addr, SIGSET_BYTES), "little")


# ---- poll ----


def _look(task: Task, wanted: list[tuple[int, int]]) -> list[int]:
    """Return revents for each (fd, events)."""
    found = []
    for fd, events in wanted:
        found.append(0 if fd < 0 else _ready(task, fd) & (events & 0xFFFF | ALWAYS))
    return found


def _ready(task: Task, fd: int) -> int:
    """Return the POLL* bits of what a descriptor names now, if anything."""
    file = task.fds.files.get(fd)
    return POLLNVAL if file is None else file.ready()


def _poll(
    task: Task, wanted: list[tuple[int, int]], deadline: int | None, left: Callable[[], None]
) -> list[int]:
    files = watched(task, [fd for fd, _ in wanted])
    restart = Restart.CONTINUE if left is no_store else Restart.REST
    wait_for(task, lambda: sum(map(bool, _look(task, wanted))), files, deadline, left, restart)
    return _look(task, wanted)


def poll(task: Task, wanted: list[tuple[int, int]], timeout_ms: int = -1) -> list[int]:
    """Return the revents of each (fd, events), once one is not 0 or timeout_ms have passed.

    Errors: EAGAIN (no timeout and nothing ready). Source: poll(2).
    """
    timeout = None if timeout_ms < 0 else timeout_ms * MS
    return _poll(task, wanted, deadline_of(task, timeout), no_store)


def poll_at(
    task: Task, addr: int, count: int, timeout: int | None, left: Callable[[int | None], Any]
) -> int:
    """Poll count struct pollfd at addr. timeout: nanoseconds. Errors: EINVAL, EFAULT, EINTR."""
    count &= 0xFFFF_FFFF
    if count > task.rlimits["nofile"][0]:
        raise SyscallError(errno.EINVAL)
    entries = list(POLLFD.iter_unpack(task.mm.copy_in(addr, POLLFD.size * count)))
    deadline = deadline_of(task, timeout)
    wanted = [(fd, events) for fd, events, _ in entries]
    found = _poll(task, wanted, deadline, left(deadline))
    for number, revents in enumerate(found):
        at = addr + number * POLLFD.size + POLLFD.size - 2
        task.mm.copy_out(at, struct.pack("<H", revents))
    return sum(map(bool, found))


@syscall(7, "poll", INT, INT, SINT)
def poll_raw(task: Task, addr: int, count: int, timeout_ms: int) -> int:
    """Wait for count struct pollfd at addr; return how many are ready.

    Errors: EINVAL, EFAULT, EINTR. Source: poll(2).
    """
    timeout = None if timeout_ms < 0 else timeout_ms * MS
    return poll_at(task, addr, count, timeout, lambda deadline: no_store)


@syscall(271, "ppoll", INT, INT, INT, INT, INT)
def ppoll(task: Task, addr: int, count: int, time_addr: int, mask_addr: int, nbytes: int) -> int:
    """As poll, with struct timespec (the time left is stored) and a signal mask.

    Errors: as poll. Source: ppoll(2).
    """
    timeout = timespec_or_none(task, time_addr)
    mask = mask_in(task, mask_addr, nbytes)

    def left(deadline: int | None) -> Callable[[], None]:
        return store_left(task, time_addr, deadline, timespec)

    return with_mask(task, mask, lambda: poll_at(task, addr, count, timeout, left))


# ---- select ----


def _set_bytes(count: int, word: int) -> int:
    """Return how large a set of descriptors below count is, in whole words of so many bytes."""
    return -(-count // (8 * word)) * word


def _sets_in(task: Task, count: int, addresses: tuple[int, ...], word: int) -> list[set[int]]:
    """Return the descriptors of each of select's sets. Errors: EFAULT, EBADF."""
    nbytes = _set_bytes(count, word)
    found = []
    for addr in addresses:
        bits = int.from_bytes(task.mm.copy_in(addr, nbytes), "little") if addr else 0
        found.append({fd for fd in range(count) if bits >> fd & 1})
    if task.thread.progress is None and not task.fds.files.keys() >= set().union(*found):
        raise SyscallError(errno.EBADF)
    return found


def _selected(task: Task, sets: list[set[int]]) -> list[set[int]]:
    """Return those descriptors of each set that are ready."""
    bits = {fd: _ready(task, fd) for fds in sets for fd in fds}
    return [
        {fd for fd in fds if bits[fd] & asked} for fds, asked in zip(sets, SELECTED, strict=True)
    ]


def wait_in_sets(
    task: Task,
    count: int,
    addresses: tuple[int, ...],
    timeout: int | None,
    left: Any,
    word: int = 8,
) -> int:
    """Select. word: bytes of the numbers that sets are made of. Errors: EINVAL, EBADF, EFAULT."""
    if count < 0:
        raise SyscallError(errno.EINVAL)
    count = min(count, task.fds.size)
    if not count:
        addresses = (0, 0, 0)  # nobody looks at them
    sets = _sets_in(task, count, addresses, word)
    deadline = deadline_of(task, timeout)
    files = watched(task, sorted(set().union(*sets)))
    store_rest = left(deadline)

    def look() -> int:
        return sum(map(len, _selected(task, sets)))

    wait_for(task, look, files, deadline, store_rest, Restart.REST)
    found = _selected(task, sets)
    for addr, fds in zip(addresses, found, strict=True):
        if addr:
            bits = sum(1 << fd for fd in fds)
            task.mm.copy_out(addr, bits.to_bytes(_set_bytes(count, word), "little"))
    return sum(map(len, found))


@syscall(23, "select", SINT, INT, INT, INT, INT)
def select(task: Task, count: int, reads: int, writes: int, others: int, time_addr: int) -> int:
    """Wait for the descriptors below count in three sets of bits; keep the ready ones.

    The time left (struct timeval) is stored. Errors: EBADF, EINVAL, EFAULT, EINTR.
    Source: select(2).
    """
    timeout = _timeval_in(task, time_addr)

    def left(deadline: int | None) -> Callable[[], None]:
        return store_left(task, time_addr, deadline, _timeval)

    return wait_in_sets(task, count, (reads, writes, others), timeout, left)


@syscall(270, "pselect6", SINT, INT, INT, INT, INT, INT)
def pselect6(
    task: Task, count: int, reads: int, writes: int, others: int, time_addr: int, mask_addr: int
) -> int:
    """As select, with struct timespec and a pair at mask_addr: address and size of a signal mask.

    Errors: as select. Source: pselect(2).
    """
    pair = struct.unpack("<QQ", task.mm.copy_in(mask_addr, 16)) if mask_addr else (0, 0)
    timeout = timespec_or_none(task, time_addr)
    mask = mask_in(task, *pair)

    def left(deadline: int | None) -> Callable[[], None]:
        return store_left(task, time_addr, deadline, timespec)

    sets = (reads, writes, others)
    return with_mask(task, mask, lambda: wait_in_sets(task, count, sets, timeout, left))


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"poll": poll}
