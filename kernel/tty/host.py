"""The host's terminal as a device: settings go through, its signals to the foreground group.

Its line discipline is the host's: TCGETS and TCSETS go through. When no other task can run, the
scheduler waits for the host here.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import stat
import termios
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tty.jobs import SIGTTIN, SIGTTOU, JobControl
from pkern.kernel.vfs.console import READ_MAX, Sink, Stream
from pkern.kernel.vfs.file import O_NONBLOCK, File
from pkern.kernel.vfs.inode import POLLIN, POLLOUT
from pkern.kernel.vfs.readiness import wake
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

WAKE_BYTES = 256
CONSOLE_DEVICE = 5 << 8 | 1  # makedev(5, 1)
HOST_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
TERMIOS_BYTES, WINDOW_BYTES = 36, 8  # as the kernel has them
TCGETS, TIOCGWINSZ, FIONREAD = 0x5401, 0x5413, 0x541B
LFLAG, CC = slice(12, 16), 17  # where struct termios has the local modes and the characters
TCSETS, TIOCSWINSZ = 0x5402, 0x5414
SETTINGS = {TCSETS, 0x5403, 0x5404}
COPIED_OUT = {TIOCGWINSZ: WINDOW_BYTES, FIONREAD: 4}
COPIED_IN = {TIOCSWINSZ: WINDOW_BYTES}
TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCNOTTY, TIOCGSID = 0x540E, 0x540F, 0x5410, 0x5422, 0x5429


class Terminal(Stream):
    """The host's terminal: a character device that tasks wait for, with its own settings.

    owed: the end-of-input character that the host's terminal is to have from the first use on;
    until then it has none, so that what is typed ahead stays a letter for programs that read
    letters.
    """

    kernel: Machine
    kind = "chr"
    can_seek = False
    type_bits = stat.S_IFCHR

    def __init__(self, kernel: Machine, fd: int, sink: Sink, owed: bytes | None = None) -> None:
        super().__init__(kernel, sink=sink)
        self._owed = owed
        self._veof = owed or b""
        self._typed_ahead = 0  # bytes in which a NUL is an end of input
        self.mode, self.rdev = 0o620, CONSOLE_DEVICE
        self.fd = fd
        self.jobs = JobControl(kernel, self)
        self._settings = termios.tcgetattr(fd)
        self._waker, self._wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    # ---- the host's side ----

    def control(self, task: Task) -> None:
        """Become the controlling terminal of a task's session, and take the host's signals."""
        self.jobs.give(task)
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        for signo in HOST_SIGNALS:
            signal.signal(signo, self._signalled)

    def _signalled(self, signo: int, frame: object) -> None:
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.idle.host_signals.append((signo, self.jobs.foreground))

    @property
    def foreground(self) -> int:
        """The process group that may read, and that control-C is for; 0: none."""
        return self.jobs.foreground

    def leader_left(self) -> None:
        """Stay: the host's terminal outlives the machine's sessions."""
        self.jobs.leader_ended()

    def restore(self) -> None:
        """Give the host's terminal its first settings back, and the host its signals."""
        from pkern.kernel.tty.foreground import is_another_s  # at an end only

        if not is_another_s(self.fd):
            self._settle()
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._settings)
        if self.jobs.session:
            signal.set_wakeup_fd(-1)
            for signo in HOST_SIGNALS:
                signal.signal(signo, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self._waker)
        os.close(self._wakes)

    def _as_told(self) -> bytes:
        """Return the settings as programs see them."""
        settings = bytearray(fcntl.ioctl(self.fd, TCGETS, bytes(TERMIOS_BYTES)))
        if self._owed is not None:
            settings[CC + termios.VEOF] = self._owed[0]
        return bytes(settings)

    def _settle(self) -> None:
        """Let the host's terminal have the settings that programs see."""
        if self._owed is not None:
            fcntl.ioctl(self.fd, TCSETS, self._as_told())
            self._owed = None

    def _set(self, request: int, settings: bytes) -> None:
        """Set what a program wants; who reads letters finds those that were typed before."""
        fcntl.ioctl(self.fd, request, settings)
        first, self._owed = self._owed is not None, None
        if first and not int.from_bytes(settings[LFLAG], "little") & termios.ICANON:
            count = fcntl.ioctl(self.fd, FIONREAD, bytes(4))
            self._typed_ahead = int.from_bytes(count, "little")

    def _read(self, nbytes: int) -> bytes:
        data = os.read(self.fd, min(nbytes, READ_MAX))
        ahead, self._typed_ahead = self._typed_ahead, max(0, self._typed_ahead - len(data))
        return data[:ahead].replace(b"\0", self._veof) + data[ahead:]

    def _ready(self, seconds: float | None) -> bool:
        """Tell whether input waits, after seconds at most; a signal ends the wait."""
        visits = self.kernel.visits
        news = [self._waker] if visits is None else [self._waker, visits.news]
        ready = select.select([self.fd, *news], [], [], seconds)[0]
        if self._waker in ready:
            os.read(self._waker, WAKE_BYTES)
        return self.fd in ready

    def is_silent(self) -> bool:
        return True

    def watch(self) -> None:
        """Let the scheduler wait for the terminal when no task can run."""
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.idle.wait_for_input(self, self._wait)

    def _wait(self, nanoseconds: int | None) -> None:
        if self._ready(None if nanoseconds is None else nanoseconds / 1e9):
            wake(self)

    # ---- the tasks' side ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        self.jobs.need_foreground(SIGTTIN)
        self._settle()
        if self._ready(0):
            return self._read(nbytes)
        if file.flags & O_NONBLOCK:
            raise SyscallError(errno.EAGAIN)
        self.watch()
        raise WouldBlock(self)

    def poll(self, file: File) -> int:
        self._settle()
        return POLLOUT | (POLLIN if self._ready(0) else 0)

    def ioctl(self, caller: Caller, file: File, request: int, arg: int) -> int:
        task = self.kernel.tasks[caller.pid]
        if request == TCGETS:
            task.mm.copy_out(arg, self._as_told())
        elif request in SETTINGS:
            self.jobs.need_foreground(SIGTTOU)
            self._set(request, task.mm.copy_in(arg, TERMIOS_BYTES))
        elif request in COPIED_OUT:
            data = bytes(COPIED_OUT[request])
            task.mm.copy_out(arg, fcntl.ioctl(self.fd, request, data))
        elif request in COPIED_IN:
            fcntl.ioctl(self.fd, request, task.mm.copy_in(arg, COPIED_IN[request]))
        elif request in (TIOCGPGRP, TIOCGSID):
            self._need_own(task)
            number = self.foreground if request == TIOCGPGRP else self.jobs.session
            task.mm.copy_out(arg, number.to_bytes(4, "little"))
        elif request == TIOCSPGRP:
            group = int.from_bytes(task.mm.copy_in(arg, 4), "little", signed=True)
            self.jobs.set_foreground(task, group)
        elif request == TIOCSCTTY:
            self.jobs.claim(task, arg)
        elif request == TIOCNOTTY:
            self.jobs.leave(task)
        else:
            raise SyscallError(errno.ENOTTY)
        return 0

    def _need_own(self, task: Task) -> None:
        if task.tty is not self:
            raise SyscallError(errno.ENOTTY)
