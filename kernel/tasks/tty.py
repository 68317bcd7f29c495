"""The host's terminal as a device: settings go through, its signals to the foreground group.

Owns job control: whose terminal it is, and which group may read. When no other task can run, the
scheduler waits for the host here. A terminal's settings are the host terminal's own: TCGETS and
TCSETS go through.
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
from pkern.kernel.tasks.signals import SI_KERNEL, SigInfo, send
from pkern.kernel.vfs.console import READ_MAX, Sink, Stream
from pkern.kernel.vfs.file import O_NONBLOCK, File
from pkern.kernel.vfs.inode import POLLIN, POLLOUT
from pkern.kernel.vfs.pipe import wake
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

WAKE_BYTES = 256
TTY_DEVICE = 5 << 8  # makedev(5, 0)
SIGTTIN = 21
HOST_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
TERMIOS_BYTES, WINDOW_BYTES = 36, 8  # as the kernel has them
TCGETS, TIOCGWINSZ, FIONREAD = 0x5401, 0x5413, 0x541B
COPIED_OUT = {TCGETS: TERMIOS_BYTES, TIOCGWINSZ: WINDOW_BYTES, FIONREAD: 4}
COPIED_IN = {0x5402: TERMIOS_BYTES, 0x5403: TERMIOS_BYTES, 0x5404: TERMIOS_BYTES, 0x5414: 8}
TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCNOTTY, TIOCGSID = 0x540E, 0x540F, 0x5410, 0x5422, 0x5429


class Terminal(Stream):
    """The host's terminal: a character device that tasks wait for, with its own settings.

    foreground: the process group that may read, and that control-C is for.
    """

    kernel: Machine
    kind = "chr"
    type_bits = stat.S_IFCHR

    def __init__(self, kernel: Machine, fd: int, sink: Sink) -> None:
        super().__init__(kernel, sink=sink)
        self.mode, self.rdev = 0o620, TTY_DEVICE
        self.fd = fd
        self.foreground = self.session = 0
        self._settings = termios.tcgetattr(fd)
        self._waker, self._wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    # ---- the host's side ----

    def control(self, task: Task) -> None:
        """Become the controlling terminal of a task's session, and take the host's signals."""
        self.session, self.foreground, task.group.tty = task.sid, task.pgid, self
        signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
        for signo in HOST_SIGNALS:
            signal.signal(signo, self._signalled)

    def _signalled(self, signo: int, frame: object) -> None:
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.host_signals.append((signo, self.foreground))

    def restore(self) -> None:
        """Give the host's terminal its first settings back, and the host its signals."""
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self._settings)
        if self.session:
            signal.set_wakeup_fd(-1)
            for signo in HOST_SIGNALS:
                signal.signal(signo, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
        os.close(self._waker)
        os.close(self._wakes)

    def _ready(self, seconds: float | None) -> bool:
        """Tell whether input waits, after seconds at most; a signal ends the wait."""
        ready = select.select([self.fd, self._waker], [], [], seconds)[0]
        if self._waker in ready:
            os.read(self._waker, WAKE_BYTES)
        return self.fd in ready

    def is_silent(self) -> bool:
        return True

    def watch(self) -> None:
        """Let the scheduler wait for the terminal when no task can run."""
        if self.kernel.scheduler is not None:
            self.kernel.scheduler.wait_for_input(self, self._wait)

    def _wait(self, nanoseconds: int | None) -> None:
        if self._ready(None if nanoseconds is None else nanoseconds / 1e9):
            wake(self)

    # ---- the tasks' side ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        self._need_foreground()
        if self._ready(0):
            return os.read(self.fd, min(nbytes, READ_MAX))
        if file.flags & O_NONBLOCK:
            raise SyscallError(errno.EAGAIN)
        self.watch()
        raise WouldBlock(self)

    def _need_foreground(self) -> None:
        """Stop a background task that reads. Errors: EIO where it holds SIGTTIN back."""
        scheduler = self.kernel.scheduler
        task = scheduler.running if scheduler else None
        if task is None or task.tty is not self or task.pgid == self.foreground:
            return
        if task.signals.is_blocked(SIGTTIN) or task.signals.is_ignored(SIGTTIN):
            raise SyscallError(errno.EIO)
        send(task, SigInfo(SIGTTIN, SI_KERNEL))
        raise WouldBlock(self)

    def poll(self, file: File) -> int:
        return POLLOUT | (POLLIN if self._ready(0) else 0)

    def ioctl(self, caller: Caller, file: File, request: int, arg: int) -> int:
        task = self.kernel.tasks[caller.pid]
        if request in COPIED_OUT:
            data = bytes(COPIED_OUT[request])
            task.mm.copy_out(arg, fcntl.ioctl(self.fd, request, data))
        elif request in COPIED_IN:
            fcntl.ioctl(self.fd, request, task.mm.copy_in(arg, COPIED_IN[request]))
        elif request in (TIOCGPGRP, TIOCGSID):
            number = self.foreground if request == TIOCGPGRP else self.session
            task.mm.copy_out(arg, number.to_bytes(4, "little"))
        elif request == TIOCSPGRP:
            self._set_foreground(task, int.from_bytes(task.mm.copy_in(arg, 4), "little"))
        elif request == TIOCSCTTY:
            task.group.tty, self.session = self, task.sid
        elif request == TIOCNOTTY:
            task.group.tty = None
        else:
            raise SyscallError(errno.ENOTTY)
        return 0

    def _set_foreground(self, task: Task, group: int) -> None:
        if task.tty is not self:
            raise SyscallError(errno.ENOTTY)
        members = [t for t in task.kernel.tasks.values() if t.pgid == group]
        if not members:
            raise SyscallError(errno.ESRCH)
        if all(member.sid != task.sid for member in members):
            raise SyscallError(errno.EPERM)
        self.foreground = group
