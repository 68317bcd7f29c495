"""/dev/tty: the terminal of who opens it."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.tty.devpts import TTY_DEVICE
from pkern.kernel.typed import TYPE_CHECKING, Hashable, Sequence
from pkern.kernel.vfs.inode import Inode

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Watcher
    from pkern.kernel.vfs.machine import Caller


class OwnTerminal(Inode):
    """/dev/tty: the terminal of who opens it. Errors: ENXIO: it has none."""

    kernel: Machine
    kind = "chr"
    type_bits = 0o020000

    def __init__(self, kernel: Machine, mode: int) -> None:
        super().__init__(kernel, mode)
        self.rdev = TTY_DEVICE

    def open_check(self, task: Caller, wanted: int) -> None:
        super().open_check(task, wanted)
        self.opened(task)

    def opened(self, task: Caller) -> Inode:
        terminal: Inode | None = self.kernel.tasks[task.pid].tty
        if terminal is None:
            raise SyscallError(errno.ENXIO)
        return Alias(self, terminal)


class Alias(Inode):
    """A terminal that was opened as /dev/tty: stat shows that node, all else is the terminal's."""

    kind = "chr"
    type_bits = 0o020000
    can_epoll = True
    can_seek = False

    def __init__(self, node: Inode, terminal: Inode) -> None:
        super().__init__(node.kernel, node.mode, node.uid, node.gid)
        self.ino, self.dev, self.rdev = node.ino, node.dev, node.rdev
        self.terminal = terminal

    @property
    def watchers(self) -> Sequence[Watcher]:
        """Who watches the terminal."""
        return self.terminal.watchers

    @watchers.setter
    def watchers(self, watchers: Sequence[Watcher]) -> None:
        self.terminal.watchers = watchers

    @property
    def wait_key(self) -> Hashable:
        return self.terminal.wait_key

    def watch(self) -> None:
        self.terminal.watch()

    def is_silent(self) -> bool:
        return self.terminal.is_silent()

    def truncate(self, size: int) -> None:
        """O_TRUNC changes nothing."""

    def file_opened(self, file: File) -> None:
        self.terminal.file_opened(file)

    def file_closed(self, file: File) -> None:
        self.terminal.file_closed(file)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        return self.terminal.file_read(file, pos, nbytes)

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        return self.terminal.file_write(file, pos, data, task)

    def poll(self, file: File) -> int:
        return self.terminal.poll(file)

    def ioctl(self, task: Caller, file: File, request: int, arg: int) -> int:
        return self.terminal.ioctl(task, file, request, arg)
