"""Requests of a ring: made when they are submitted, in the caller's context, and again when what
they wait for has changed.

Owns their lives. A request is a call that would sleep: instead it is noted with what it waits for,
and is tried again as its task's next work in the kernel (Sleepers.work), as Linux does with its
task work; so completions come in an order that is always the same. Invariant: a request that has
begun and has not completed is in Ring.pending; its open file is held, unless it is the ring's own.
Source: io_uring_enter(2), Linux 6.18 io_uring/.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.locks.futex import Sleeper
from pkern.kernel.tasks.locks.line import Bystander
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.credentials import Credentials
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.syscalls.io_uring.buffers import Buffer
    from pkern.syscalls.io_uring.ring import Ring, Vector
    from pkern.syscalls.io_uring.slots import Resource

FIXED_FILE, DRAIN, LINK, HARDLINK, ASYNC, SELECT, SKIP_SUCCESS = (1 << bit for bit in range(7))
ENTRY_FLAGS = FIXED_FILE | DRAIN | LINK | HARDLINK | ASYNC | SELECT | SKIP_SUCCESS
ENTRY = struct.Struct("<BBHiQQIIQHHiQQ")
SELECTS, IF_ANY = 1, 2
F_MORE = 2  # of a completion's flags: others of this request follow
HELD = 1 << 30  # the descriptor by which a handler finds the file that a request holds


class Entry(NamedTuple):
    """struct io_uring_sqe. op_flags: the word whose meaning the opcode gives."""

    opcode: int
    flags: int
    ioprio: int
    fd: int
    off: int
    addr: int
    length: int
    op_flags: int
    user_data: int
    buf_index: int
    personality: int
    file_index: int
    addr3: int
    pad: int


def hold_file(request: Request) -> None:
    """Hold the open file, or the registered one, that the entry names. Errors: EBADF."""
    entry = request.entry
    if entry.flags & FIXED_FILE:
        request.slot = request.ring.files.get(entry.fd)
        request.file = request.slot.value
        return
    request.file = request.task.fds.get(entry.fd)
    if not isinstance(request.file.inode, RingInode):  # that hold each other would never close
        request.file.descriptors += 1


def no_file(request: Request) -> None:
    """Hold nothing: fd is no open file's."""


class Operation(NamedTuple):
    """What an opcode does. work: raises as a system call's handler. zero: fields that must be 0.

    flags: the bits of op_flags that there are; None: the call itself looks. hold: finds its file.
    check: more that is refused before anything is done. prepare: reads, when the entry
    is taken, what it points to and the program may change from then on. selects: it can be given a
    provided buffer, which is used up by any success (SELECTS), or only by some bytes (IF_ANY).
    again: tells whether it goes on behind a result, which is told with F_MORE. rests: tells whether
    it waits for news then, before it is tried. whole: how many bytes it is to move; if fewer came,
    what is linked behind it is called off. room: how many bytes of a provided buffer it wants; 0:
    all of them. afterwards: makes another completion, which the first has announced with F_MORE.
    counted: what calling it off returns, as Linux has it. bundles: the bit of ioprio by which it
    takes provided buffers itself, as many as it likes.
    meant: tells whether an error is no failure, so that what is linked behind it begins.
    """

    work: Callable[[Request], int]
    zero: tuple[str, ...] = ()
    flags: int | None = None
    hold: Callable[[Request], None] = hold_file
    ioprio: int = 0
    check: Callable[[Entry], None] | None = None
    prepare: Callable[[Request], Any] | None = None
    selects: int = 0
    again: Callable[[Request, int], bool] | None = None
    rests: Callable[[Request], bool] = lambda request: False
    whole: Callable[[Request], int] | None = None
    meant: Callable[[Request, int], bool] | None = None
    counted: int = 0
    bundles: int = 0
    afterwards: Callable[[Request], None] | None = None
    room: Callable[[Request], int] = lambda request: request.entry.length


class Request:
    """One entry that was submitted. link: the request that begins when this one has succeeded.

    progress: as Thread.progress. timer: the LINK_TIMEOUT behind it.
    """

    def __init__(self, ring: Ring, task: Task, entry: Entry, operation: Operation | None) -> None:
        self.ring, self.task, self.operation = ring, task, operation
        self.entry: Entry = entry
        self.error = 0  # found before it began
        self.link: Request | None = None
        self.progress: Any = None
        self.file: File | None = None
        self.slot: Resource[File] | None = None  # that the file is held by
        self.buffer: Resource[Vector] | None = None  # a registered one
        self.cred: Credentials | None = None  # who it acts as, if not as its task
        self.rounds = 0  # of a timeout that goes on
        self.rest: Any = None  # of what it is to send or receive: talking.Rest
        self.kept: Buffer | None = None  # a provided buffer, while a try has left something to come
        self.bundle: Any = None  # how far one of many buffers is: bundles.Bundle
        self.marks = 0  # what a completion's flags say, found by the last try
        self.more = b""  # two numbers more, of a completion that is twice as large
        self.prepared: Any = None  # what Operation.prepare has read
        self.chosen: Vector | None = None  # a provided buffer, for as long as a try takes
        self.woken = False
        self.called_off = 0  # 1: it ends as soon as its task is in the kernel again
        self.timer: Request | None = None
        self.stand_in: Bystander | None = None  # in the line of a futex
        self.mm = task.mm  # what its addresses are of: an execve calls it off

    @property
    def memory(self) -> Vector:
        """Where the bytes are: the provided buffer that was chosen, or what the entry names."""
        return self.chosen or (self.entry.addr, self.entry.length)

    # ---- a life ----

    def begin(self) -> None:
        """Do it, or note what it waits for; a ring that has been closed meanwhile does nothing."""
        if self.ring.closed:
            return
        if not self.task.alive:
            self.error = errno.ECANCELED
        if self.entry.flags & DRAIN and self.ring.pending:
            self.ring.drained.append(self)
            return
        self.ring.pending[self] = None
        if self.error:
            self.end(-self.error)
            return
        assert self.operation is not None
        try:
            self.operation.hold(self)
        except SyscallError as error:
            self.end(-error.number)
            return
        self._start_timer()
        if self in self.ring.pending:
            self.attempt()

    def let_go(self) -> None:
        """Hold the open file and the buffer no longer, nor stand in line."""
        self.task.thread.requests.pop(self, None)
        if self.stand_in is not None and self.stand_in.parked is not None:
            self.task.kernel.need_scheduler().sleepers.unpark(self.stand_in)
        file, self.file = self.file, None
        slot, self.slot = self.slot, None
        if slot is not None:
            slot.put()
        elif file is not None and not isinstance(file.inode, RingInode):
            file.put()
        buffer, self.buffer = self.buffer, None
        if buffer is not None:
            buffer.put()

    def _start_timer(self) -> None:
        """Begin the LINK_TIMEOUT that stands behind this request."""
        if self.timer is not None:
            self.timer.ring.pending[self.timer] = None
            self.timer.attempt()

    def attempt(self) -> None:
        """Try the call; one that would sleep is tried again once a key of its wait is woken."""
        if self.task.mm is not self.mm:
            self.end(-errno.ECANCELED)
            return
        assert self.operation is not None
        again = self.operation.again
        while self in self.ring.pending:
            try:
                result, flags = self._work_as()
            except WouldBlock as wait:
                self.wait_for(wait)
                return
            if self not in self.ring.pending:
                return
            if again is None or not again(self, result):
                self.end(result, flags)
                return
            self.progress = None
            self.ring.post(self, result, flags | F_MORE)
            if self.operation.rests(self):
                self.wait_for(self.news())
                return

    def news(self) -> WouldBlock:
        """Return what waits until poll() of the file may say something else."""
        assert self.file is not None
        self.file.inode.watch()
        return WouldBlock(self.file.inode.wait_key)

    def later(self) -> WouldBlock:
        """Return what waits until its task is about to go on, behind what was submitted with it."""
        scheduler = self.task.kernel.need_scheduler()
        scheduler.sleepers.work(self.task, self._again)
        return WouldBlock(progress=self)

    def or_wait(self, call: Callable[[], int]) -> int:
        """Make a call; where nothing can be done yet, wait until poll() has news.

        As on Linux a file's O_NONBLOCK does not matter to who asks by a ring.
        """
        assert self.file is not None
        try:
            return call()
        except WouldBlock:
            raise
        except SyscallError as error:
            if error.number != errno.EAGAIN:
                raise
        raise self.news()

    def _work_as(self) -> tuple[int, int]:
        """As _work, with the identity that the entry names."""
        if self.cred is None:
            return self._work()
        with self.task.acting(self.cred):
            return self._work()

    def _work(self) -> tuple[int, int]:
        """Make the call once; return its result and a completion's flags."""
        thread, files, entry = self.task.thread, self.task.fds.found, self.entry
        assert self.operation is not None
        before, thread.progress = thread.progress, self.progress
        self.marks = 0
        if self.file is not None:
            files[HELD] = self.file
        try:
            if not entry.flags & SELECT or entry.ioprio & self.operation.bundles:
                return self.operation.work(self), self.marks
            return self._work_by_buffer()
        except WouldBlock as wait:
            if not wait.partial:
                raise
            return wait.partial, self.marks
        except SyscallError as error:
            return -error.number, self.marks
        finally:
            self.chosen = None
            thread.progress = before
            files.pop(HELD, None)

    def _work_by_buffer(self) -> tuple[int, int]:
        """Make the call by a provided buffer, its own once that has some of what is to come."""
        operation, kept = self.operation, self.kept
        assert operation is not None
        group = self.entry.buf_index
        buffer = kept or self.ring.groups.choose(self.task, group, operation.room(self))
        self.chosen = (buffer.addr, buffer.nbytes)
        try:
            result = operation.work(self)
        except WouldBlock:
            if self.rest is not None and kept is None:
                buffer.taken()
                self.kept = buffer
            raise
        if not result and operation.selects == IF_ANY:
            return 0, self.marks
        if kept is None:
            buffer.taken()
        self.kept = None
        return result, buffer.flags | self.marks

    def wait_for(self, wait: WouldBlock) -> None:
        """Try again when something has changed, or at the deadline."""
        self.progress, self.woken = wait.progress, False
        scheduler = self.task.kernel.scheduler
        assert scheduler is not None
        if isinstance(wait.progress, Sleeper):
            self.stand_in = Bystander(wait.progress, self.wake)
            scheduler.sleepers.sleep(self.stand_in, wait)
            return
        for key in wait.keys:
            scheduler.sleepers.listen(key, self.wake)
        if wait.deadline is not None:
            scheduler.at(wait.deadline, self.wake)

    def wake(self) -> None:
        """Let the task try again as the next it does in the kernel."""
        if self.woken or self.called_off or self not in self.ring.pending:
            return
        if not self.task.alive:
            woken = None if self.stand_in is None else self.stand_in.progress.woken
            self.end(-errno.ECANCELED if woken is None else woken)
            return
        self.woken = True
        assert self.task.kernel.scheduler is not None
        self.task.kernel.scheduler.sleepers.work(self.task, self._again)

    def _again(self) -> None:
        if self in self.ring.pending:
            self.attempt()

    def end(self, result: int, flags: int = 0) -> None:
        """Complete, and begin what is linked behind it, or call that off."""
        self.ring.pending.pop(self, None)
        failed = self._has_failed(result)
        if failed or not self.entry.flags & SKIP_SUCCESS:
            self.ring.post(self, result, flags)
        if self.operation is not None and self.operation.afterwards is not None and flags & F_MORE:
            self.operation.afterwards(self)
        self.let_go()
        if self.timer is not None:
            self.timer.call_off(-errno.ECANCELED)
        follower, self.link = self.link, None
        if follower is not None:
            if failed and not self.entry.flags & HARDLINK:
                follower.call_off_all()
            else:
                follower.begin()
        self.ring.look_again()

    def _has_failed(self, result: int) -> bool:
        """Tell whether what is linked behind it must not begin."""
        operation = self.operation
        if operation is None:
            return True
        if result < 0:
            return operation.meant is None or not operation.meant(self, result)
        return self.link is not None and self._is_short(result)

    def _is_short(self, result: int) -> bool:
        """Tell whether fewer bytes came than were asked for; 0 asks for all of a chosen buffer."""
        assert self.operation is not None
        whole = self.operation.whole
        wanted = whole(self) if whole is not None else 0
        return bool(wanted) and result < wanted

    def cancel(self) -> int:
        """End it, behind the request that asks for it; return what that one is told."""
        self.called_off = 1
        scheduler = self.task.kernel.scheduler
        assert scheduler is not None
        scheduler.sleepers.work(self.task, lambda: self.call_off(-errno.ECANCELED))
        assert self.operation is not None
        return self.operation.counted

    def call_off(self, result: int) -> None:
        """End it if it waits."""
        if self in self.ring.pending:
            self.end(result)

    def call_off_all(self) -> None:
        """End this request and those behind it, none of which has begun."""
        request: Request | None = self
        while request is not None:
            follower, request.link = request.link, None
            request.ring.post(request, -request.error or -errno.ECANCELED)
            if request.timer is not None:
                request.ring.post(request.timer, -errno.ECANCELED)
            request = follower


# ---- submitting ----


def submit(
    ring: Ring, task: Task, wanted: int, operations: dict[int, Operation], all_of_them: int
) -> int:
    """Take up to wanted entries and begin them; return how many were taken.

    all_of_them: 1: go on behind one that makes no sense (IORING_SETUP_SUBMIT_ALL).
    """
    taken = 0
    wanted = min(wanted, ring.inode.nr_entries)
    head: Request | None = None
    last: Request | None = None
    while taken < wanted and (raw := ring.inode.next_entry()) is not None:
        taken += 1
        request = _request(ring, task, Entry(*ENTRY.unpack_from(raw)), operations)
        if last is not None and request.entry.opcode == LINK_TIMEOUT and not request.error:
            last.timer = request
        elif last is not None:
            last.link = request
        else:
            head = request
        last = request if request.entry.opcode != LINK_TIMEOUT or last is None else last
        linked = request.entry.flags & (LINK | HARDLINK)
        if linked and taken < wanted:
            continue
        ring.inode.show_taken()
        _begin_chain(head)
        failed, head, last = request.error, None, None
        if failed and not linked and not all_of_them:
            break
    ring.inode.show_taken()
    if head is not None:
        _begin_chain(head)
    return taken


def _begin_chain(head: Request | None) -> None:
    """Begin the first of a chain; where one of it makes no sense none of it is done."""
    assert head is not None
    request: Request | None = head
    while request is not None:
        if request.error:
            if request is head:
                break
            head.call_off_all()
            return
        request = request.link
    head.begin()


LINK_TIMEOUT = 15


def _request(ring: Ring, task: Task, entry: Entry, operations: dict[int, Operation]) -> Request:
    """Return a request, with the error of one that makes no sense."""
    request = Request(ring, task, entry, operations.get(entry.opcode))
    try:
        _check(request)
    except SyscallError as error:
        request.error = error.number
    return request


def _check(request: Request) -> None:
    """Errors: EINVAL, EOPNOTSUPP, EBADF, those of Operation.prepare."""
    entry, operation = request.entry, request.operation
    if operation is None or entry.flags & ~ENTRY_FLAGS:
        raise SyscallError(errno.EINVAL)
    if entry.flags & SELECT and not operation.selects:
        raise SyscallError(errno.EOPNOTSUPP)
    request.ring.skips |= entry.flags & SKIP_SUCCESS
    if entry.flags & DRAIN and request.ring.skips:
        raise SyscallError(errno.EOPNOTSUPP)
    limits = request.ring.restrictions
    if limits is not None:
        limits.check(entry)
    if entry.ioprio & ~operation.ioprio:
        raise SyscallError(errno.EINVAL)
    if entry.personality:
        request.cred = request.ring.personalities.get(entry.personality)
    if operation.flags is not None and entry.op_flags & ~operation.flags:
        raise SyscallError(errno.EINVAL)
    if any(getattr(entry, name) for name in operation.zero):
        raise SyscallError(errno.EINVAL)
    if entry.flags & FIXED_FILE and entry.opcode in NO_FIXED:
        raise SyscallError(errno.EBADF)
    if operation.check is not None:
        operation.check(entry)
    if operation.prepare is not None:
        request.prepared = operation.prepare(request)


NO_FIXED = frozenset({18, 19, 21, 28, 35, 36, 37, 38, 39, 42, 44})  # those that take paths
