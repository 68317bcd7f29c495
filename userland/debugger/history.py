"""The way back: what a debugged machine was, in processes that wait, and how one takes over.

    machine ------- s0 ------ s1 ------- s2 ---- now         s: a fork that waits for orders
                               \\
                                a copy runs again, and notes where it would have stopped  (Search)
                                a copy runs again up to such a moment, and is the machine (Land)

Every run is the same, so a copy that runs again from a snapshot comes to the same moments. The
debugger's connection is inherited; whoever is the machine reads it, and ends when another one takes
over. The first process stays: it is the one that the host's shell waits for, and ends as the last
machine does. What the debugger changes (memory, registers, a signal, who runs) is not done again,
so a history begins anew behind it.

Owns the snapshots: when they are taken, which are kept, and the pipe by which the end is told.
"""

from __future__ import annotations

import mmap
import os
import pickle
import select
import signal
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pkern.kernel import branch
from pkern.kernel.cpu.stops import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from pkern.kernel.machine import Kernel
    from pkern.kernel.vfs.console import Sink

FIRST_INTERVAL = 500_000  # blocks between two snapshots; twice as many whenever there are too many
MOST = 12
LENGTH = struct.Struct("<Q")
STATUS = struct.Struct("<i")
WORD = struct.Struct("<Q")
FAILED = 1


class Order(NamedTuple):
    """What a snapshot is asked for: a copy in which function(*args) is called before it runs."""

    function: Callable[..., None]
    args: tuple[Any, ...]


class Snapshot(NamedTuple):
    """A machine as it was: when, where its process takes orders, and which that is, if ours."""

    moment: Moment
    orders: socket.socket
    pid: int

    @property
    def begun(self) -> int:
        """The blocks that had begun."""
        return self.moment.blocks - (not self.moment.rip)


class History:
    """The snapshots of the machine that this process has, the oldest first."""

    def __init__(self, kernel: Kernel) -> None:
        """Begin. Errors: NotBranchable: there can be none."""
        branch.check(kernel)
        self._kernel = kernel
        self._snapshots: list[Snapshot] = []
        self._interval = FIRST_INTERVAL
        self._next = 0
        self._gone: list[int] = []  # children to be waited for
        self._end, self._told = os.pipe()  # how the machine that is the last one ends
        self.is_first = True  # this is the process that the shell waits for

    # ---- taking ----

    def is_due(self, blocks: int) -> bool:
        """Tell whether it is time for another one."""
        return blocks >= self._next

    def take(self, moment: Moment) -> Order | None:
        """Take one: None; in a copy that is asked for later, what it is asked to do.

        Errors: OSError of the host; NotBranchable.
        """
        self._next = moment.blocks + self._interval
        self._gone = [pid for pid in self._gone if not _has_ended(pid)]
        mine, its = socket.socketpair()
        try:
            pid = branch.fork(self._kernel)
        except BaseException:
            mine.close()
            its.close()
            raise
        if pid:
            its.close()
            self._snapshots.append(Snapshot(moment, mine, pid))
            self._thin()
            return None
        mine.close()
        self._gone.clear()
        self._snapshots = [snapshot._replace(pid=0) for snapshot in self._snapshots]
        order = self._wait(its)
        self._snapshots.append(Snapshot(moment, order.args[-1], 0))
        return order._replace(args=order.args[:-1])

    def _thin(self) -> None:
        """Let every other one go where there are too many, but the first and the last."""
        if len(self._snapshots) <= MOST:
            return
        self._interval *= 2
        kept = {*range(0, len(self._snapshots), 2), len(self._snapshots) - 1}
        for number, snapshot in enumerate(self._snapshots):
            if number not in kept:
                self._dismiss(snapshot)
        self._snapshots = [s for number, s in enumerate(self._snapshots) if number in kept]

    def begin_anew(self) -> None:
        """Forget all of them: the machine was changed."""
        for snapshot in self._snapshots:
            self._dismiss(snapshot)
        self._snapshots.clear()
        self._interval, self._next = FIRST_INTERVAL, 0

    def _dismiss(self, snapshot: Snapshot) -> None:
        """Let a snapshot go. Others may have its socket too, so it has to be told."""
        with suppress(OSError):
            snapshot.orders.sendall(LENGTH.pack(0))
        snapshot.orders.close()
        if snapshot.pid:
            self._gone.append(snapshot.pid)

    # ---- asking ----

    def before(self, moment: Moment) -> list[Snapshot]:
        """Return those that were taken before a moment, the last first."""
        return [s for s in reversed(self._snapshots) if s.moment < moment]

    @property
    def first(self) -> Snapshot | None:
        """The oldest one."""
        return self._snapshots[0] if self._snapshots else None

    def ask(self, snapshot: Snapshot, order: Order, answers: int) -> int:
        """Let a copy of a snapshot obey; return its pid, 0 if there is none.

        answers: a descriptor that the copy has as its own, as its function's first argument.
        """
        data = pickle.dumps(order)
        fds = [answers, snapshot.orders.fileno()]
        try:
            socket.send_fds(snapshot.orders, [LENGTH.pack(len(data))], fds)
            snapshot.orders.sendall(data)
            told = snapshot.orders.recv(STATUS.size)
        except OSError:
            told = b""  # the host has ended it
        return int(STATUS.unpack(told)[0]) if len(told) == STATUS.size else 0

    def _wait(self, its: socket.socket) -> Order:
        """Be a snapshot: return in each copy that is asked for, with its end of the orders."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.is_first = False
        while True:
            order, fds = _receive(its)
            try:
                pid = os.fork()
            except OSError:
                pid = -1
            if not pid:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.default_int_handler)
                its.close()
                branch.part(self._kernel)
                again = socket.socket(fileno=fds[1])
                return order._replace(args=(fds[0], *order.args, again))
            for fd in fds:
                os.close(fd)
            its.sendall(STATUS.pack(max(pid, 0)))

    # ---- ends ----

    def leave(self) -> None:
        """Be the machine no more: another process is. The first one ends as the last machine."""
        if not self.is_first:
            os._exit(0)
        os.close(self._told)
        for snapshot in self._snapshots:
            snapshot.orders.close()
        with open(self._end, "rb") as end:
            data = end.read(STATUS.size)
        os._exit(STATUS.unpack(data)[0] if len(data) == STATUS.size else FAILED)

    def tell_end(self, status: int) -> None:
        """Tell the first process how the machine has ended, if it is another one."""
        if not self.is_first:
            with suppress(OSError):
                os.write(self._told, STATUS.pack(status))


def _has_ended(pid: int) -> bool:
    """Tell whether a child has ended, and forget it then."""
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _receive(its: socket.socket) -> tuple[Order, list[int]]:
    """Return the next order, and its descriptors; where there is none any more, end."""
    head, fds, _, _ = socket.recv_fds(its, LENGTH.size, 2)
    nbytes = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else 0
    data = bytearray()
    while len(data) < nbytes:
        part = its.recv(nbytes - len(data))
        if not part:
            break
        data += part
    if not nbytes or len(data) < nbytes:
        os._exit(0)
    return pickle.loads(data), fds


# ---- what is shown once ----


class Shown:
    """How far each output has been shown, by any of the processes; nothing is shown twice."""

    def __init__(self) -> None:
        self._shown = mmap.mmap(-1, mmap.PAGESIZE)  # shared with all forks
        self._written: list[int] = []

    def once(self, sink: Sink) -> Sink:
        """Return a sink for the same bytes, but those that have been shown."""
        number = len(self._written)
        self._written.append(0)

        def write(data: bytes) -> None:
            before = self._written[number]
            self._written[number] = end = before + len(data)
            (shown,) = WORD.unpack_from(self._shown, number * WORD.size)
            if end > shown:
                sink(data[max(0, shown - before) :])
                WORD.pack_into(self._shown, number * WORD.size, end)

        return write

    def begin_anew(self) -> None:
        """Show all that comes from now on: it may be something else."""
        for number, written in enumerate(self._written):
            WORD.pack_into(self._shown, number * WORD.size, written)


class Tape:
    """What was read of the host's input: kept for those who read it again."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("input")
        self._at = 0  # of the next part
        self._rest: bytes | None = None  # of a part that was read with less room

    def read(self, nbytes: int) -> bytes | None:
        """Return the next part, None: nothing more has been read so far."""
        data, self._rest = self._rest, None
        if data is None:
            head = os.pread(self._fd, WORD.size, self._at)
            if not head:
                return None
            (length,) = WORD.unpack(head)
            data = os.pread(self._fd, length, self._at + WORD.size)
            self._at += WORD.size + length
        if len(data) > nbytes:
            self._rest = data[nbytes:]
        return data[:nbytes]

    def write(self, data: bytes) -> None:
        """Keep what was read of the host."""
        os.pwrite(self._fd, WORD.pack(len(data)) + data, self._at)
        self._at += WORD.size + len(data)


def wait_for(answers: int, other: int) -> bytes | None:
    """Return what comes from a copy to its end; None: the other descriptor was ready first."""
    data = bytearray()
    while True:
        ready = select.select([answers, other], [], [])[0]
        if answers not in ready:
            return None
        part = os.read(answers, mmap.PAGESIZE)
        if not part:
            return bytes(data)
        data += part
