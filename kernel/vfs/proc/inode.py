"""What the directories and links of /proc have in common; text.py has its files.

Nobody changes names or rights here.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, cast
from pkern.kernel.vfs.fs.latedir import LateDir
from pkern.kernel.vfs.inode import (
    DirInode,
    LinkInode,
)

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller


BLOCK_SIZE = 1024


def task_of(caller: Caller, kernel: Machine) -> Task:
    """Return the task that calls: one of the machine's, or a visitor, who is in no table."""
    return kernel.tasks.get(caller.pid) or cast("Task", caller)


class ProcLink(LinkInode):
    """A link of /proc."""

    kernel: Machine

    block_size = BLOCK_SIZE


class ProcDir(DirInode):
    """A directory of /proc."""

    kernel: Machine

    noexec = True
    block_size = BLOCK_SIZE
    can_sync = False
    no_new_names = errno.ENOENT

    def accessed(self) -> None:
        """Nothing: proc is always mounted as with nodiratime."""

    def set_mode(self, mode: int) -> None:
        """Refuse. Errors: EPERM."""
        raise SyscallError(errno.EPERM)

    def forget(self) -> None:
        """Let go of all entries, some of which know it: nobody will look for it any more."""
        for entry in self.entries.values():
            if isinstance(entry, ProcDir):
                entry.forget()
        self.entries.clear()


class LateProcDir(ProcDir, LateDir):
    """A directory of /proc whose files are made when they are first looked up."""
