"""Job control: the session that a terminal belongs to, and its group in the foreground.

A background group that reads, or changes the terminal, is stopped; who cannot be, because no one of
its session is left to let it go on, gets EIO. Source: tty_ioctl(2), credentials(7), Linux 6.18
drivers/tty/tty_jobctrl.c.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.groups import is_orphaned, members, signal_group
from pkern.kernel.tasks.signal.sending import send
from pkern.kernel.tasks.signal.signals import SI_KERNEL, SigInfo
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.inode import Inode

SIGHUP, SIGCONT, SIGTTIN, SIGTTOU = 1, 18, 21, 22


class JobControl:
    """Whose terminal an inode is. session, foreground: 0 for none."""

    def __init__(self, kernel: Machine, terminal: Inode) -> None:
        self.kernel = kernel
        self.terminal = terminal
        self.session = self.foreground = 0

    # ---- who has it ----

    def caller(self) -> Task | None:
        """Return the task on the processor: Python programs are not subject to job control."""
        scheduler = self.kernel.scheduler
        return scheduler.running if scheduler is not None else None

    def give(self, task: Task) -> None:
        """Make it the controlling terminal of a task's session."""
        self.session, self.foreground, task.group.tty = task.sid, task.pgid, self.terminal

    def opened_by(self, task: Task) -> None:
        """Give it to who opens it, leads a session and has no terminal, if nobody has it."""
        if task.sid == task.tgid and task.tty is None and not self.session:
            self.give(task)

    def claim(self, task: Task, force: int) -> None:
        """TIOCSCTTY. force: 1 takes it from another session. Errors: EPERM."""
        leads = task.sid == task.tgid
        if leads and self.session == task.sid:
            return
        if not leads or task.tty is not None:
            raise SyscallError(errno.EPERM)
        if self.session:
            if force != 1 or not task.capable("CAP_SYS_ADMIN"):
                raise SyscallError(errno.EPERM)
            self.forget()
        self.give(task)

    def forget(self) -> None:
        """Be no session's terminal any more."""
        for task in self.kernel.tasks.processes():
            if task.tty is self.terminal:
                task.group.tty = None
        self.session = self.foreground = 0

    def leave(self, task: Task) -> None:
        """TIOCNOTTY: when the leader leaves, all do, and the foreground hears of it.

        Errors: ENOTTY: it is not the caller's.
        """
        if task.tty is not self.terminal:
            raise SyscallError(errno.ENOTTY)
        if task.sid != task.tgid:
            task.group.tty = None
            return
        foreground = self.foreground
        self.forget()
        if foreground:
            signal_group(self.kernel, foreground, SIGHUP)
            signal_group(self.kernel, foreground, SIGCONT)

    def leader_ended(self) -> None:
        """Be no session's any more; the foreground hears of it."""
        foreground = self.foreground
        self.forget()
        if foreground:
            signal_group(self.kernel, foreground, SIGHUP)

    # ---- who may ----

    def need_foreground(self, signo: int) -> None:
        """Stop a background group by SIGTTIN or SIGTTOU.

        Errors: EIO (it cannot be stopped; of SIGTTOU: only if it is orphaned), WouldBlock.
        """
        task = self.caller()
        if task is None or task.tty is not self.terminal:
            return
        if not self.foreground or task.pgid == self.foreground:
            return
        if task.signals.is_blocked(signo) or task.signals.is_ignored(signo):
            if signo == SIGTTIN:
                raise SyscallError(errno.EIO)
            return
        if is_orphaned(self.kernel, task.pgid):
            raise SyscallError(errno.EIO)
        signal_group(self.kernel, task.pgid, signo)
        raise WouldBlock(self.terminal)

    def set_foreground(self, task: Task, group: int) -> None:
        """TIOCSPGRP. Errors: ENOTTY, EINVAL, ESRCH, EPERM, as need_foreground."""
        self.need_foreground(SIGTTOU)
        if task.tty is not self.terminal or self.session != task.sid:
            raise SyscallError(errno.ENOTTY)
        if group < 0:
            raise SyscallError(errno.EINVAL)
        found = members(self.kernel, group)
        if not found:
            raise SyscallError(errno.ESRCH)
        if all(member.sid != task.sid for member in found):
            raise SyscallError(errno.EPERM)
        self.foreground = group

    def signal(self, signo: int) -> None:
        """Send a signal to the foreground."""
        if self.foreground:
            signal_group(self.kernel, self.foreground, signo)

    def hang_up(self) -> None:
        """Tell the session that the terminal is gone: its leader, and the foreground."""
        if not self.session:
            return
        leader = self.kernel.tasks.get(self.session)
        foreground = self.foreground
        self.forget()
        for signo in (SIGHUP, SIGCONT):
            if leader is not None:
                send(leader, SigInfo(signo, SI_KERNEL))
            if foreground:
                signal_group(self.kernel, foreground, signo)
