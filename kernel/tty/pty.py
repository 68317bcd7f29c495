"""Pseudo-terminals: /dev/ptmx makes one, /dev/pts/N is its slave. Source: pty(7), Linux's pty.c.

What is written to the master is typed at the slave's terminal; what the slave writes and what is
echoed is read from the master. When the master is closed the terminal is hung up: who has the slave
open reads its end, or EIO if it was waiting for something to read, and writes EIO.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tty.jobs import SIGTTIN, SIGTTOU
from pkern.kernel.tty.termios import TOSTOP, VMIN, VTIME
from pkern.kernel.tty.tty import IOCTLS, TCFLSH, TCIFLUSH, TCIOFLUSH, TCOFLUSH, Side, Tty
from pkern.kernel.vfs.file import O_NONBLOCK, File
from pkern.kernel.vfs.inode import POLLIN, POLLOUT, Inode
from pkern.kernel.vfs.readiness import POLLERR, POLLHUP, wake
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tty.devpts import DevPts
    from pkern.kernel.vfs.machine import Caller

O_NOCTTY, O_CLOEXEC = 0o400, 0o2000000
PTMX_DEVICE, SLAVE_MAJOR = 5 << 8 | 2, 136
POLLPRI = 2
MOST_SHOWN = 12_287  # bytes that wait for the master: its buffer and Linux's in between
MOST_TYPED = 65_536  # bytes that wait for the discipline to have room

TENTH_NS = 100_000_000
TIOCGPTN, TIOCSPTLCK, TIOCGPTLCK, TIOCGPTPEER = 0x80045430, 0x40045431, 0x80045439, 0x5441
TIOCPKT, TIOCGPKT, TIOCSIG, TIOCOUTQ, FIONREAD = 0x5420, 0x80045438, 0x40045436, 0x5411, 0x541B
TCXONC, TIOCVHANGUP = 0x540A, 0x5437


class PtyTty(Tty):
    """The terminal between a master and a slave.

    locked: nobody may open the slave. packet: TIOCPKT. opened: whether the slave is open; closed:
    whether the master is gone. typed: what the discipline has no room for yet.
    """

    def __init__(self, pts: DevPts, number: int, master: PtyMaster, slave: PtySlave) -> None:
        super().__init__(pts.kernel, slave)
        self.pts, self.number = pts, number
        self.master, self.slave = master, slave
        self.locked, self.packet = 1, 0
        self.open_slaves: list[File] = []
        self.ever_opened = self.closed = 0
        self.typed = bytearray()
        self._arrived = 0  # of what is shown: before the bytes that are typed now

    def news(self) -> None:
        wake(self.master)
        wake(self.slave)

    def type(self, data: bytes) -> int:
        """Type data at the terminal; return how much there is room for."""
        taken = data[: max(0, MOST_TYPED - len(self.typed))]
        self.typed += taken
        self.feed()
        return len(taken)

    def feed(self) -> None:
        """Give the discipline what it has room for."""
        while self.typed:
            room = self.discipline.room()
            if not room:
                return
            part = bytes(self.typed[:room])
            del self.typed[:room]
            self._arrived = len(self.shown)
            self.discipline.receive(part)

    def flushed(self) -> None:
        super().flushed()
        del self.shown[self._arrived :]

    def flush(self, what: int) -> None:
        super().flush(what)
        if what != 1:
            self.typed.clear()

    def drop_shown(self) -> None:
        """Let the master read nothing of what was written so far."""
        self.shown.clear()
        self._arrived = 0
        self.news()

    def hang_up(self) -> None:
        """Let the slave be gone for all who have it open."""
        self.slave.hung_up |= {file.cookie for file in self.open_slaves}
        self.jobs.hang_up()
        self.news()


class PtyInode(Inode):
    """One side as an inode."""

    kernel: Machine
    kind = "chr"
    can_epoll = True
    type_bits = stat.S_IFCHR
    can_seek = False
    tty: PtyTty

    def task_of(self, caller: Caller) -> Task:
        return self.kernel.tasks[caller.pid]

    def truncate(self, size: int) -> None:
        """O_TRUNC changes nothing."""

    def wait(self, file: File, progress: object = None, deadline: int | None = None) -> None:
        """Let the call sleep. Errors: EAGAIN, WouldBlock."""
        if file.flags & O_NONBLOCK:
            raise SyscallError(errno.EAGAIN)
        raise WouldBlock(self, progress=progress, deadline=deadline)


class PtyMaster(PtyInode):
    """What /dev/ptmx opens."""

    def __init__(self, pts: DevPts, uid: int, gid: int) -> None:
        super().__init__(pts.kernel, 0o666, uid, gid)
        self.rdev, self.nlink = PTMX_DEVICE, 0

    @property
    def st_nlink(self) -> int:
        return 1

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """What /proc/PID/fdinfo adds: its number."""
        return f"tty-index:\t{self.tty.number}\n"

    def file_closed(self, file: File) -> None:
        self.tty.closed = 1
        self.tty.pts.remove(self.tty)
        self.tty.hang_up()

    @property
    def _is_alone(self) -> bool:
        """Whether the slave was open and is not any more."""
        return bool(self.tty.ever_opened and not self.tty.open_slaves)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        tty = self.tty
        if not nbytes:
            return b""
        if tty.packet and tty.told:
            told, tty.told = tty.told, 0
            return bytes((told,))
        if not tty.shown:
            if self._is_alone:
                raise SyscallError(errno.EIO)
            self.wait(file)
        room = nbytes - 1 if tty.packet else nbytes
        data = bytes(tty.shown[:room])
        del tty.shown[:room]
        wake(tty.slave, POLLOUT)
        return b"\0" * tty.packet + data

    def unread(self, data: bytes, done: int) -> int:
        if not done:
            self.tty.shown[:0] = data[self.tty.packet :]
        return done

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        if not data:
            return 0
        written = self.tty.type(data)
        if not written:
            self.wait(file)
        self.tty.news()
        return written

    def poll(self, file: File) -> int:
        tty = self.tty
        ready = POLLIN if tty.shown else 0
        ready |= POLLPRI | POLLIN if tty.packet and tty.told else 0
        ready |= POLLHUP if self._is_alone else 0
        return ready | (POLLOUT if len(tty.typed) < MOST_TYPED else 0)

    def ioctl(self, caller: Caller, file: File, request: int, arg: int) -> int:
        task, tty = self.task_of(caller), self.tty
        if request in OF_MASTER:
            return OF_MASTER[request](self, task, file, arg)
        if request == FIONREAD:
            task.mm.copy_out(arg, struct.pack("<i", len(tty.shown)))
            return 0
        return common(MasterSide(tty), task, file, request, arg)


class MasterSide(Side):
    """A master is asked about its slave's terminal."""

    is_master = 1


def _number(master: PtyMaster, task: Task, file: File, arg: int) -> int:
    task.mm.copy_out(arg, struct.pack("<I", master.tty.number))
    return 0


def _flush(master: PtyMaster, task: Task, file: File, arg: int) -> int:
    """Drop what the master would read: that is its input. Errors: EINVAL."""
    if arg not in (TCIFLUSH, TCOFLUSH, TCIOFLUSH):
        raise SyscallError(errno.EINVAL)
    if arg != TCOFLUSH:
        master.tty.drop_shown()
    return 0


def _lock(master: PtyMaster, task: Task, file: File, arg: int) -> int:
    master.tty.locked = int(task.mm.copy_in(arg, 4) != bytes(4))
    return 0


def _locked(master: PtyMaster, task: Task, file: File, arg: int) -> int:
    task.mm.copy_out(arg, struct.pack("<i", master.tty.locked))
    return 0


def _peer(master: PtyMaster, task: Task, file: File, flags: int) -> int:
    """Open the slave, whatever /dev/pts shows. Errors: EMFILE, EIO (it is locked)."""
    tty = master.tty
    path = f"/dev/pts/{tty.number}"
    kept = flags & ~(O_CLOEXEC | 0o3000000)
    slave = task.kernel.vfs.open_inode(task, tty.slave, path, kept)
    try:
        return task.fds.install(slave, 0, int(bool(flags & O_CLOEXEC)))
    except SyscallError:
        slave.descriptors = 1
        slave.put()
        raise


def _packet(master: PtyMaster, task: Task, file: File, arg: int) -> int:
    wanted = int(task.mm.copy_in(arg, 4) != bytes(4))
    if wanted and not master.tty.packet:
        master.tty.told = 0
    master.tty.packet = wanted
    return 0


def _is_packet(master: PtyMaster, task: Task, file: File, arg: int) -> int:
    task.mm.copy_out(arg, struct.pack("<i", master.tty.packet))
    return 0


def _signal(master: PtyMaster, task: Task, file: File, signo: int) -> int:
    if signo not in (2, 3, 20):
        raise SyscallError(errno.EINVAL)
    master.tty.jobs.signal(signo)
    return 0


OF_MASTER = {
    TIOCGPTN: _number,
    TIOCSPTLCK: _lock,
    TIOCGPTLCK: _locked,
    TIOCGPTPEER: _peer,
    TIOCPKT: _packet,
    TIOCGPKT: _is_packet,
    TIOCSIG: _signal,
    TCFLSH: _flush,
}


def common(side: Side, task: Task, file: File, request: int, arg: int) -> int:
    """Do an ioctl that both sides have. Errors: ENOTTY, EFAULT, EPERM, EIO and those of jobs."""
    tty = side.tty
    if request == TCXONC:
        tty.jobs.need_foreground(SIGTTOU)
        tty.control_flow(arg, lambda byte: tty.echo(bytes((byte,))))
        tty.news()
    elif request == TIOCOUTQ:
        task.mm.copy_out(arg, bytes(4))
    elif request in IOCTLS:
        return IOCTLS[request](side, task, arg)
    else:
        raise SyscallError(errno.ENOTTY)
    return 0


class PtySlave(PtyInode):
    """/dev/pts/N. hung_up: the open files for which it is gone."""

    def __init__(self, pts: DevPts, number: int, uid: int, gid: int) -> None:
        super().__init__(pts.kernel, pts.mode, uid, gid)
        self.rdev = os.makedev(SLAVE_MAJOR, number)
        self.hung_up: set[int] = set()

    # ---- open and close ----

    def file_opened(self, file: File) -> None:
        tty = self.tty
        if tty.closed or tty.locked:
            raise SyscallError(errno.EIO)
        opener = file.opener
        if tty.exclusive and opener is not None and not opener.capable("CAP_SYS_ADMIN"):
            raise SyscallError(errno.EBUSY)
        tty.open_slaves.append(file)
        tty.ever_opened = 1
        if not file.flags & O_NOCTTY and opener is not None:
            task = self.kernel.tasks.get(opener.pid)
            if task is not None:
                tty.jobs.opened_by(task)

    def file_closed(self, file: File) -> None:
        self.tty.open_slaves = [one for one in self.tty.open_slaves if one is not file]
        self.hung_up.discard(file.cookie)
        if not self.tty.open_slaves:
            self.tty.exclusive = 0
        self.tty.news()

    # ---- reading ----

    def _enough(self) -> int:
        """Return how many bytes a reader waits for: 1, or VMIN of raw input."""
        discipline = self.tty.discipline
        return 1 if discipline.by_lines else self.tty.termios.cc[VMIN]

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        tty = self.tty
        if file.cookie in self.hung_up:
            if tty.closed and self._waited():
                raise SyscallError(errno.EIO)
            return b""
        tty.jobs.need_foreground(SIGTTIN)
        if not nbytes:
            return b""
        available = tty.discipline.available
        if available < max(1, min(self._enough(), nbytes)):
            if self._wait_for_more(file, available):
                return self._taken(nbytes)
            return b""
        return self._taken(nbytes)

    def _waited(self) -> bool:
        """Tell whether this call has waited already."""
        task = self.tty.jobs.caller()
        return task is not None and task.thread.progress is not None

    def _taken(self, nbytes: int) -> bytes:
        data = self.tty.discipline.take(nbytes)
        self.tty.feed()
        wake(self.tty.master, POLLOUT)
        return data

    def _wait_for_more(self, file: File, available: int) -> bool:
        """Wait for enough to read; return, when the time is up, whether there is something.

        The time of VTIME runs from the beginning, or with VMIN from the last byte that came.
        """
        tty, task = self.tty, self.tty.jobs.caller()
        limit = 0 if tty.discipline.by_lines else tty.termios.cc[VTIME] * TENTH_NS
        enough, now = self._enough(), self.kernel.clock.now_ns
        if not limit and not enough:
            return False
        if not limit or (enough and not available):
            self.wait(file, progress=(available, None))
        noted = task.thread.progress if task is not None else None
        seen, deadline = noted if noted is not None else (available, None)
        if deadline is None or (enough and available > seen):
            deadline = now + limit
        if now >= deadline:
            return available > 0
        self.wait(file, progress=(available, deadline), deadline=deadline)
        return False

    # ---- writing ----

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        tty = self.tty
        if file.cookie in self.hung_up:
            raise SyscallError(errno.EIO)
        if tty.termios.lflag & TOSTOP:
            tty.jobs.need_foreground(SIGTTOU)
        if tty.closed:
            raise SyscallError(errno.EIO)
        if not data:
            return 0
        room = 0 if tty.stopped else MOST_SHOWN - len(tty.shown)
        if room <= 0:
            self.wait(file)
        part = data[:room]
        tty.shown += tty.discipline.output.processed(part)
        wake(tty.master, POLLIN)
        return len(part)

    # ---- what else ----

    def poll(self, file: File) -> int:
        tty = self.tty
        if file.cookie in self.hung_up:
            return POLLIN | POLLOUT | POLLERR | POLLHUP
        timed = tty.termios.cc[VTIME]
        enough = max(1, 1 if timed else self._enough())
        ready = POLLIN if tty.discipline.available >= enough else 0
        writable = not tty.stopped and MOST_SHOWN - len(tty.shown) > 0
        return ready | (POLLOUT if writable else 0)

    def ioctl(self, caller: Caller, file: File, request: int, arg: int) -> int:
        task, tty = self.task_of(caller), self.tty
        if file.cookie in self.hung_up:
            raise SyscallError(errno.ENOTTY if request == 0x5410 else errno.EIO)
        if request == FIONREAD:
            task.mm.copy_out(arg, struct.pack("<i", tty.discipline.available))
            return 0
        if request == TIOCGPTPEER:
            raise SyscallError(errno.EIO)
        if request == TIOCVHANGUP:
            if not task.capable("CAP_SYS_ADMIN"):
                raise SyscallError(errno.EPERM)
            tty.hang_up()
            return 0
        return common(Side(tty), task, file, request, arg)

    @property
    def foreground(self) -> int:
        """The process group in the foreground; 0: none."""
        return self.tty.jobs.foreground

    def leader_left(self) -> None:
        """Be nobody's: the leader of the session has ended. What is open stays so."""
        self.tty.jobs.leader_ended()


def make_pty(pts: DevPts, number: int, caller: Caller) -> PtyTty:
    """Return a new terminal with both sides."""
    master = PtyMaster(pts, caller.uid, caller.gid)
    uid = caller.uid if pts.uid is None else pts.uid
    slave = PtySlave(pts, number, uid, caller.gid if pts.gid is None else pts.gid)
    master.tty = slave.tty = PtyTty(pts, number, master, slave)
    return master.tty
