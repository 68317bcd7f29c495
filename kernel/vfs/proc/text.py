"""Files of /proc whose content is a text, made when it is read.

A read from the beginning makes the text anew; reads further on show the same text, so that one
pass through a file sees one state. Nobody changes names or rights here.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import lru_cache, partial
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.vfs.inode import (
    FROM_START,
    MAY_READ,
    NOTHING,
    UNWRITTEN,
    Inode,
)
from pkern.kernel.vfs.proc.inode import BLOCK_SIZE, task_of

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

Text = str | bytes
MAX_ADDRESS = (1 << 64) - 1


@lru_cache(64)
def device_text(dev: int) -> str:
    """Return a device number as maps and locks show it: major:minor in hex."""
    return f"{dev >> 8 & 0xFFF:02x}:{dev & 0xFF:02x}"


class ProcInode(Inode):
    """A file of /proc."""

    kernel: Machine

    noexec = True
    block_size = BLOCK_SIZE
    whences = FROM_START
    splices = MAY_READ

    def truncate(self, size: int) -> None:
        """O_TRUNC, which a shell's `>` asks for, changes nothing."""

    def accessed(self) -> None:
        """Nothing: reads of /proc leave the times as they are."""


class FixedMode(ProcInode):
    """A file of /proc whose permission bits nobody changes."""

    def set_mode(self, mode: int) -> None:
        """Refuse. Errors: EPERM."""
        raise SyscallError(errno.EPERM)


class AddressFile(FixedMode):
    """A file whose positions are a task's addresses, or grow with them: none is negative."""

    top_offset = MAX_ADDRESS
    splices = 0


class TextFile(ProcInode):
    """A file whose content text() makes."""

    can_pwrite = False
    lacks = UNWRITTEN
    splices = 0

    def __init__(self, kernel: Machine, mode: int, text: Callable[[], Text]) -> None:
        super().__init__(kernel, mode)
        self._text = text
        self._content = b""

    def opened(self, task: Caller) -> Inode:
        copy = self.for_one_open()
        copy._content = b""
        return copy

    def read(self, pos: int, nbytes: int) -> bytes:
        if pos == 0 or not self._content:
            text = self._text()
            raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
            self._content = raw
        return self._content[pos : pos + nbytes]


class MachineFile(ProcInode):
    """A file that is no task's: its write exists, and fails before it looks at anything."""

    is_sink = True
    no_mmap = lib.FILE_NO_MMAP | lib.FILE_LATE_EIO

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        """Refuse. Errors: EIO."""
        raise SyscallError(errno.EIO)


class PolledText(MachineFile, TextFile):
    """A text about the machine, which may be waited for although it is always ready."""

    can_epoll = True
    lacks = NOTHING
    splices = MAY_READ


class ReadersText(PolledText):
    """A text about what who opens the file sees."""

    def __init__(self, kernel: Machine, mode: int, text: Callable[[Task], Text]) -> None:
        super().__init__(kernel, mode, lambda: "")
        self._text_for = text

    def opened(self, task: Caller) -> Inode:
        reader = task_of(task, self.kernel)
        copy = self.for_one_open()
        copy._text = partial(self._text_for, reader)
        return copy
