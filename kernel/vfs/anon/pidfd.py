"""pidfd: a process, or (PIDFD_THREAD) a thread, as an open file: polled for its end, named.

One inode a thread, kept by its task while any descriptor is open; a later one with the same pid has
another one. The one of the thread that leads a process stands for the process, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from pkern.kernel.vfs.file import File
from pkern.kernel.vfs.inode import NEITHER, POLLIN, POLLRDNORM, AnonInode
from pkern.kernel.vfs.readiness import POLLHUP

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.machine import Machine

PIDFD_THREAD = 0x80  # in the flags of the open file


class Subject(Protocol):
    """The thread: its number, whether it runs, leads others that do, was waited for."""

    pid: int
    pid_ns: PidNamespace

    @property
    def delays_end(self) -> bool: ...
    @property
    def alive(self) -> bool: ...
    @property
    def is_reaped(self) -> bool: ...


class PidInode(AnonInode):
    """A process or thread: readable once it has ended, hung up once it has been waited for."""

    lacks = NEITHER
    kind = "pidfd"
    lasting_flags = PIDFD_THREAD
    also_ready: ClassVar[dict[int, int]] = {POLLIN: POLLRDNORM}

    def __init__(self, kernel: Machine, subject: Subject) -> None:
        super().__init__(kernel, 0o700)
        self.subject = subject

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """What /proc/PID/fdinfo adds: 0: it has no number there; -1 once the process is gone."""
        subject = self.subject
        if subject.is_reaped:
            numbers = [-1]
        elif not pid_ns.number_of(subject.pid):
            numbers = [0]
        else:
            numbers = pid_ns.numbers_down(subject.pid, subject.pid_ns)
        shown = "\t".join(map(str, numbers))
        return f"Pid:\t{numbers[0]}\nNSpid:\t{shown}\n"

    def poll(self, file: File) -> int:
        if self.subject.alive or self.subject.delays_end:
            return 0
        return POLLIN | (POLLHUP if self.subject.is_reaped else 0)
