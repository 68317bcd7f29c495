"""A file system that is made, or changed, in steps: what fsopen and fspick return a descriptor of.

Reading takes what there is to say about the last errors, a line at a time. Source: fsopen(2),
fs/fsopen.c and fs/fs_context.c of Linux 6.18.
"""

from __future__ import annotations

import errno
from collections import deque
from enum import Enum
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.file import O_RDWR, File
from pkern.kernel.vfs.inode import UNWRITTEN, Inode
from pkern.kernel.vfs.mounts import FsFlags

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

MOST_LINES = 8  # that are kept: the last ones


class Phase(Enum):
    """What may be asked next."""

    CREATE = "parameters, or to create it"
    MOUNT = "to mount it"
    CHANGE = "parameters, or to change it"
    FAILED = "nothing"


class FsContext(Inode):
    """fs: the file system, as far as it is made. changes: options that change it, as they came.

    said: the flags that it is to have. Once one was said, each later change that does not say it
    again means 0, as Linux's.
    """

    lacks = UNWRITTEN
    kind = "anon"
    noexec = True
    can_seek = False
    type_bits = 0

    def __init__(self, kernel: Machine, fstype: str, fs: Any, phase: Phase) -> None:
        super().__init__(kernel, 0o600)
        self.fstype, self.fs, self.phase = fstype, fs, phase
        self.source: str | None = None
        self.said = FsFlags()
        self.changes: list[Any] = []
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    def refuse(self, text: str) -> SyscallError:
        """Return the error of a wrong parameter, and note what is wrong."""
        self._lines.append(f"e {text}\n")
        return SyscallError(errno.EINVAL)

    def file_closed(self, file: File) -> None:
        """Let go of a file system that was made and is mounted nowhere: nobody can reach it."""
        if self.open_count == 0 and self.phase is Phase.MOUNT:
            self.fs.close()

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Take a line. Errors: ENODATA, EMSGSIZE (it is longer, and gone)."""
        if not self._lines:
            raise SyscallError(errno.ENODATA)
        line = self._lines.popleft().encode("utf-8", "surrogateescape")
        if len(line) > nbytes:
            raise SyscallError(errno.EMSGSIZE)
        return line


class TreeFile(File):
    """A tree that is mounted nowhere: it goes with its last descriptor, if it still is not."""

    def put(self) -> None:
        super().put()
        if self.descriptors <= 0 and self.mount is not None:
            self.kernel.vfs.table.drop(self.mount)


def open_context(context: FsContext, task: Caller) -> File:
    """Return an open file of a context. Errors: ENFILE."""
    kernel = context.kernel
    return kernel.vfs.register(File(kernel, context, "anon_inode:[fscontext]", O_RDWR, task))
