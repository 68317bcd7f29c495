"""/dev/pts: a name for the slave of each pseudo-terminal that is open. Source: pts(4)."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import function, load
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.inode import DirInode, Inode

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tty.pty import PtyTty
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


DRIVERS: dict[int, Callable[[Any, int], Inode]] = {
    PTMX_DEVICE: Multiplexer,
    TTY_DEVICE: function("pkern.kernel.tty.own", "OwnTerminal"),
}
