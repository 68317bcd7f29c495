"""/dev/pts: a name for the slave of each pseudo-terminal that is open. Source: pts(4)."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING, Hashable, Sequence
from pkern.kernel.vfs.inode import DirInode, Inode

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tty.pty import PtyTty
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Watcher
    from pkern.kernel.vfs.machine import Caller

MOST_TERMINALS = 4096  # kernel.pty.max
BLOCK_SIZE = 1024  # bytes, of its inodes; statfs tells of pages
PTMX_DEVICE, TTY_DEVICE = 5 << 8 | 2, 5 << 8


Settings = tuple[int | None, int | None, int, int, int]


class PtsDir(DirInode):
    """The directory: names come and go with the terminals."""

    no_new_names = errno.EPERM


class DevPts:
    """A file system of pseudo-terminals: each mount by a program is one by itself.

    uid, gid, mode: of slaves; None: of whose master it is. max: how many terminals at most.
    """

    USUAL: Settings = (None, None, 0o600, MOST_TERMINALS, 0)

    name = "devpts"
    magic = 0x1CD1
    block_size = 4096

    def __init__(self, kernel: Machine) -> None:
        self.kernel = kernel
        self.root = PtsDir(kernel, 0o755)
        self.terminals: dict[int, PtyTty] = {}
        self.ptmx = Multiplexer(kernel, 0, self)
        self.settings = self.USUAL
        self.root.block_size = self.ptmx.block_size = BLOCK_SIZE
        self.ptmx.place(self.root, "ptmx")
        self.root.entries["ptmx"] = self.ptmx

    @property
    def settings(self) -> Settings:
        """What options have set, to be put back."""
        return self.uid, self.gid, self.mode, self.max, self.ptmx.mode

    @settings.setter
    def settings(self, values: Settings) -> None:
        self.uid, self.gid, self.mode, self.max, self.ptmx.mode = values

    @property
    def options(self) -> list[str]:
        """Its options as /proc shows them."""
        owners = {"uid": self.uid, "gid": self.gid}
        given = [f"{name}={value}" for name, value in owners.items() if value is not None]
        most = [f"max={self.max}"] if self.max != MOST_TERMINALS else []
        return [*given, f"mode={self.mode:03o}", f"ptmxmode={self.ptmx.mode:03o}", *most]

    @property
    def nr(self) -> int:
        """How many terminals there are."""
        return len(self.terminals)

    def open_master(self, caller: Caller) -> Inode:
        """Return the master of a new terminal. Errors: ENOSPC."""
        number = next((n for n in range(self.max) if n not in self.terminals), None)
        if number is None:
            raise SyscallError(errno.ENOSPC)
        made: PtyTty = load("pkern.kernel.tty.pty").make_pty(self, number, caller)
        self.terminals[number] = made
        made.slave.block_size = BLOCK_SIZE
        made.slave.place(self.root, str(number))
        self.root.entries[str(number)] = made.slave
        return made.master

    def remove(self, tty: PtyTty) -> None:
        """Forget a terminal: its master is closed."""
        del self.terminals[tty.number]
        del self.root.entries[str(tty.number)]
        tty.slave.nlink = 0

    def close(self) -> None:
        """Nothing to give back."""


# ---- devices ----


class Multiplexer(Inode):
    """A terminal for each open: /dev/ptmx (pts: None, the first file system's), or in one."""

    kernel: Machine
    kind = "chr"
    type_bits = 0o020000

    def __init__(self, kernel: Machine, mode: int, pts: DevPts | None = None) -> None:
        super().__init__(kernel, mode)
        self.rdev, self.pts = PTMX_DEVICE, pts

    def opened(self, task: Caller) -> Inode:
        pts: DevPts = self.pts or self.kernel.terminals
        master = pts.open_master(task)
        master.ino, master.dev, master.mode = self.ino, self.dev, self.mode
        return master


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


DRIVERS: dict[int, type[Inode]] = {PTMX_DEVICE: Multiplexer, TTY_DEVICE: OwnTerminal}
