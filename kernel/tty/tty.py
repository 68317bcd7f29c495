"""What both sides of a terminal answer to: its settings, its size, its flow, its session.

A Tty is the terminal proper: settings, discipline, job control, what is to be shown. Its two open
sides are inodes, of a pseudo-terminal those of pty.py. Source: tty_ioctl(2).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tty.discipline import LineDiscipline
from pkern.kernel.tty.jobs import SIGTTOU, JobControl
from pkern.kernel.tty.termios import CLOCAL, LAYOUT, LAYOUT2, OLD_LAYOUT, VSTART, VSTOP, Termios

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.inode import Inode

SIGWINCH = 28
WINDOW_BYTES = 8
TCFLSH, TCIFLUSH, TCOFLUSH, TCIOFLUSH = 0x540B, 0, 1, 2
TCOOFF, TCOON, TCIOFF, TCION = range(4)
TIOCPKT_FLUSHREAD, TIOCPKT_FLUSHWRITE, TIOCPKT_STOP, TIOCPKT_START = 1, 2, 4, 8
TIOCPKT_NOSTOP, TIOCPKT_DOSTOP, TIOCPKT_IOCTL = 16, 32, 64
XON, XOFF = 0x11, 0x13


class Tty:
    """A terminal.

    stopped: whether what is written waits (XOFF). shown: what was written and echoed, until the
    other side takes it; told: TIOCPKT_* bits that it has not heard of. window: struct winsize.
    """

    def __init__(self, kernel: Machine, terminal: Inode) -> None:
        self.kernel = kernel
        self.terminal = terminal
        self.termios = Termios()
        self.jobs = JobControl(kernel, terminal)
        self.discipline = LineDiscipline(self.termios, self)
        self.window = bytes(WINDOW_BYTES)
        self.stopped = self.told = 0
        self.shown = bytearray()
        self.held = bytearray()  # echoes that wait for XON
        self.exclusive = 0

    # ---- what the discipline asks of its surroundings ----

    def echo(self, data: bytes) -> None:
        """Show an echo, once output is not stopped."""
        if self.stopped:
            self.held += data
        else:
            self.shown += data

    def signal(self, signo: int) -> None:
        """Send a signal to the foreground."""
        self.jobs.signal(signo)

    def flow(self, stopped: int) -> None:
        """Stop output, or let it go on."""
        if stopped == self.stopped:
            return
        self.stopped = stopped
        self.tell(TIOCPKT_STOP if stopped else TIOCPKT_START)
        if not stopped:
            self.shown += self.held
            self.held.clear()
        self.news()

    def flushed(self) -> None:
        """Note that a signal has flushed input, and output that has not arrived yet."""
        self.held.clear()
        self.tell(TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE)

    # ---- for the other side ----

    def tell(self, bits: int) -> None:
        """Note what a master in packet mode is to hear."""
        opposite = {TIOCPKT_STOP: TIOCPKT_START, TIOCPKT_START: TIOCPKT_STOP}
        opposite |= {TIOCPKT_NOSTOP: TIOCPKT_DOSTOP, TIOCPKT_DOSTOP: TIOCPKT_NOSTOP}
        self.told = self.told & ~opposite.get(bits, 0) | bits

    def news(self) -> None:
        """Let both sides look again."""

    # ---- settings ----

    @property
    def _flow_by_usual_keys(self) -> bool:
        cc = self.termios.cc
        return bool(self.termios.iflag & 0x400) and cc[VSTART] == XON and cc[VSTOP] == XOFF

    def set_termios(self, raw: bytes) -> None:
        """Take new settings over."""
        old_lflag, old_keys = self.termios.lflag, self._flow_by_usual_keys
        self.termios.unpack(raw)
        self.discipline.changed(old_lflag)
        keys = self._flow_by_usual_keys
        if keys != old_keys:
            self.tell(TIOCPKT_DOSTOP if keys else TIOCPKT_NOSTOP)
        if self.stopped and not self.termios.iflag & 0x400:
            self.flow(0)
        self.news()

    def set_window(self, raw: bytes) -> None:
        """Take a new size over; the foreground hears of a change."""
        if raw != self.window:
            self.window = raw
            self.jobs.signal(SIGWINCH)

    def flush(self, what: int) -> None:
        """TCFLSH. Errors: EINVAL."""
        if what not in (TCIFLUSH, TCOFLUSH, TCIOFLUSH):
            raise SyscallError(errno.EINVAL)
        if what != TCOFLUSH:
            self.discipline.flush()
            self.tell(TIOCPKT_FLUSHREAD)
        if what != TCIFLUSH:
            self.held.clear()
            self.tell(TIOCPKT_FLUSHWRITE)
        self.news()

    def control_flow(self, how: int, send: Callable[[int], None]) -> None:
        """TCXONC. send: types a character at the other side. Errors: EINVAL."""
        if how in (TCOOFF, TCOON):
            self.flow(int(how == TCOOFF))
        elif how in (TCIOFF, TCION):
            byte = self.termios.cc[VSTOP if how == TCIOFF else VSTART]
            if byte:
                send(byte)
        else:
            raise SyscallError(errno.EINVAL)


# ---- ioctl ----

Ioctl = Callable[["Side", "Task", int], int]


class Side:
    """One side of a terminal, as ioctl sees it. is_master: whether it is that of a master."""

    is_master = 0

    def __init__(self, tty: Tty) -> None:
        self.tty = tty

    def need_own(self, task: Task) -> None:
        """Refuse a slave that is not the caller's controlling terminal. Errors: ENOTTY."""
        if not self.is_master and task.tty is not self.tty.terminal:
            raise SyscallError(errno.ENOTTY)


def _word(task: Task, arg: int) -> int:
    return int(struct.unpack("<i", task.mm.copy_in(arg, 4))[0])


def _store(task: Task, arg: int, value: int) -> int:
    task.mm.copy_out(arg, struct.pack("<i", value))
    return 0


def _get(side: Side, task: Task, arg: int) -> int:
    task.mm.copy_out(arg, side.tty.termios.pack())
    return 0


def _get2(side: Side, task: Task, arg: int) -> int:
    task.mm.copy_out(arg, side.tty.termios.pack2())
    return 0


def _get_old(side: Side, task: Task, arg: int) -> int:
    task.mm.copy_out(arg, side.tty.termios.pack_old())
    return 0


def _wanted(side: Side, task: Task, arg: int, nbytes: int) -> bytes:
    """Return the settings at arg, in a layout of so many bytes."""
    side.tty.jobs.need_foreground(SIGTTOU)
    raw = task.mm.copy_in(arg, nbytes)
    return side.tty.termios.with_old(raw) if nbytes == OLD_LAYOUT.size else raw


def _setter(nbytes: int) -> Ioctl:
    """Return TCSETS, or one of its kin."""

    def put(side: Side, task: Task, arg: int) -> int:
        side.tty.set_termios(_wanted(side, task, arg, nbytes))
        return 0

    return put


def _flushing_setter(nbytes: int) -> Ioctl:
    """Return TCSETSF, or one of its kin: what waits to be read is dropped."""

    def put(side: Side, task: Task, arg: int) -> int:
        raw = _wanted(side, task, arg, nbytes)
        side.tty.flush(TCIFLUSH)
        side.tty.set_termios(raw)
        return 0

    return put


def _get_locked(side: Side, task: Task, arg: int) -> int:
    task.mm.copy_out(arg, side.tty.termios.locked)
    return 0


def _lock(side: Side, task: Task, arg: int) -> int:
    """TIOCSLCKTRMIOS. Errors: EPERM."""
    if not task.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)
    side.tty.termios.locked = task.mm.copy_in(arg, LAYOUT.size)
    return 0


def _is_local(side: Side, task: Task, arg: int) -> int:
    return _store(task, arg, int(side.tty.termios.cflag & CLOCAL != 0))


def _set_local(side: Side, task: Task, arg: int) -> int:
    termios = side.tty.termios
    termios.cflag = termios.cflag & ~CLOCAL | (CLOCAL if _word(task, arg) else 0)
    return 0


def _get_device(side: Side, task: Task, arg: int) -> int:
    return _store(task, arg, side.tty.terminal.rdev)


def _get_window(side: Side, task: Task, arg: int) -> int:
    task.mm.copy_out(arg, side.tty.window)
    return 0


def _set_window(side: Side, task: Task, arg: int) -> int:
    side.tty.set_window(task.mm.copy_in(arg, WINDOW_BYTES))
    return 0


def _get_group(side: Side, task: Task, arg: int) -> int:
    side.need_own(task)
    return _store(task, arg, task.number_of(side.tty.jobs.foreground))


def _set_group(side: Side, task: Task, arg: int) -> int:
    jobs = side.tty.jobs
    jobs.need_foreground(SIGTTOU)
    if task.tty is not side.tty.terminal or jobs.session != task.sid:
        raise SyscallError(errno.ENOTTY)
    group = _word(task, arg)
    jobs.set_foreground(task, task.pid_of(group) if group > 0 else group)
    return 0


def _get_session(side: Side, task: Task, arg: int) -> int:
    side.need_own(task)
    if not side.tty.jobs.session:
        raise SyscallError(errno.ENOTTY)
    return _store(task, arg, task.number_of(side.tty.jobs.session))


def _claim(side: Side, task: Task, arg: int) -> int:
    side.tty.jobs.claim(task, arg)
    return 0


def _leave(side: Side, task: Task, arg: int) -> int:
    side.tty.jobs.leave(task)
    return 0


def _flush(side: Side, task: Task, arg: int) -> int:
    side.tty.jobs.need_foreground(SIGTTOU)
    side.tty.flush(arg)
    return 0


def _exclude(side: Side, task: Task, arg: int) -> int:
    side.tty.exclusive = 1
    return 0


def _let_in(side: Side, task: Task, arg: int) -> int:
    side.tty.exclusive = 0
    return 0


def _is_exclusive(side: Side, task: Task, arg: int) -> int:
    return _store(task, arg, side.tty.exclusive)


def _break(side: Side, task: Task, arg: int) -> int:
    side.tty.jobs.need_foreground(SIGTTOU)
    return 0


def _type_for(side: Side, task: Task, arg: int) -> int:
    """TIOCSTI. Errors: EPERM: it is not the caller's terminal."""
    is_own = task.tty is side.tty.terminal and not side.is_master
    if not is_own and not task.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)
    byte = task.mm.copy_in(arg, 1)
    if side.is_master:  # who reads there is to find it
        side.tty.shown += byte
    else:
        side.tty.discipline.receive(byte)
    side.tty.news()
    return 0


def _get_line(side: Side, task: Task, arg: int) -> int:
    return _store(task, arg, 0)  # whatever c_line says: there is one line discipline


def _set_line(side: Side, task: Task, arg: int) -> int:
    side.tty.jobs.need_foreground(SIGTTOU)
    if _word(task, arg):
        raise SyscallError(errno.EINVAL)  # there is one line discipline
    return 0


def _be_console(side: Side, task: Task, arg: int) -> int:
    """Refuse to show what the console would. Errors: EINVAL (a master), EPERM, ENOTTY."""
    if side.is_master:
        raise SyscallError(errno.EINVAL)
    raise SyscallError(errno.ENOTTY if task.capable("CAP_SYS_ADMIN") else errno.EPERM)


IOCTLS: dict[int, Ioctl] = {
    0x5401: _get,  # TCGETS
    0x5402: _setter(LAYOUT.size),  # TCSETS
    0x5403: _setter(LAYOUT.size),  # TCSETSW: what is written is shown at once
    0x5404: _flushing_setter(LAYOUT.size),  # TCSETSF
    0x5405: _get_old,  # TCGETA
    0x5406: _setter(OLD_LAYOUT.size),  # TCSETA
    0x5407: _setter(OLD_LAYOUT.size),  # TCSETAW
    0x5408: _flushing_setter(OLD_LAYOUT.size),  # TCSETAF
    0x5409: _break,  # TCSBRK
    TCFLSH: _flush,
    0x540C: _exclude,  # TIOCEXCL
    0x540D: _let_in,  # TIOCNXCL
    0x540E: _claim,  # TIOCSCTTY
    0x540F: _get_group,  # TIOCGPGRP
    0x5410: _set_group,  # TIOCSPGRP
    0x5412: _type_for,  # TIOCSTI
    0x5413: _get_window,  # TIOCGWINSZ
    0x5414: _set_window,  # TIOCSWINSZ
    0x5419: _is_local,  # TIOCGSOFTCAR
    0x541A: _set_local,  # TIOCSSOFTCAR
    0x541D: _be_console,  # TIOCCONS
    0x5422: _leave,  # TIOCNOTTY
    0x5423: _set_line,  # TIOCSETD
    0x5424: _get_line,  # TIOCGETD
    0x5425: _break,  # TCSBRKP
    0x5427: _break,  # TIOCSBRK
    0x5428: _break,  # TIOCCBRK
    0x5429: _get_session,  # TIOCGSID
    0x5456: _get_locked,  # TIOCGLCKTRMIOS
    0x5457: _lock,  # TIOCSLCKTRMIOS
    0x80045432: _get_device,  # TIOCGDEV
    0x80045440: _is_exclusive,  # TIOCGEXCL
    0x802C542A: _get2,  # TCGETS2
    0x402C542B: _setter(LAYOUT2.size),  # TCSETS2
    0x402C542C: _setter(LAYOUT2.size),  # TCSETSW2
    0x402C542D: _flushing_setter(LAYOUT2.size),  # TCSETSF2
}
