"""Directories of what is always there, whose inodes are made when they are first looked up."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import cached_property
from pkern.kernel.typed import TYPE_CHECKING, Callable, Mapping
from pkern.kernel.vfs.inode import DirInode, Inode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

Plan = Mapping[str, Callable[[], Inode]]  # what makes the entries of a directory, by name


class LateDir(DirInode):
    """A directory that knows its names. plan: called when one is sought that is not made yet.

    entries: those that are made, and those that stand there without a maker.
    """

    def __init__(self, kernel: Machine, mode: int, plan: Callable[[], Plan]) -> None:
        super().__init__(kernel, mode)
        self._plan = plan

    @cached_property
    def makers(self) -> Plan:
        """What makes the entries."""
        return self._plan()

    def lookup(self, name: str, task: Caller) -> Inode:
        found = self.entries.get(name)
        if found is None:
            if name not in self.makers:
                raise SyscallError(errno.ENOENT)
            found = self.entries[name] = self.makers[name]()
        return found

    @property
    def is_empty(self) -> bool:
        return not self.entries and not self.makers

    def names(self, task: Caller) -> list[str]:
        return sorted({*self.entries, *self.makers})
