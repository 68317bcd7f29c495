"""What /sys shows of the machine, and what writing there changes: memory, processors, nodes.

This is the file system that is mounted; what stands in it is imported at the first look.
"""

from __future__ import annotations

from pkern.kernel import late
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.vfs.fs.latedir import LateDir, Plan
from pkern.kernel.vfs.inode import DirInode
from pkern.kernel.vfs.mounts import NODEV, NOEXEC, NOSUID

TRACING = "/sys/kernel/tracing"
TRACING_FLAGS = NOSUID | NODEV | NOEXEC

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Tracing
    from pkern.kernel.mm.ksm import Ksm
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.vfs.machine import Machine


class SysRoot(LateDir):
    """/sys itself, where there are directories and nothing else."""

    noexec = True

    @property
    def st_nlink(self) -> int:
        return self.nlink + len(self.makers)


class SysFs:
    """The file system at /sys. ksm: gives the scanner once someone looks.

    tracing: the directory for what is mounted at TRACING.
    """

    name = "sysfs"
    magic = 0x62656572

    def __init__(self, kernel: Machine, memory: Memory, ksm: Callable[[], Ksm]) -> None:
        self.tracing = DirInode(kernel, 0o755)
        self.tracing.name = TRACING.removeprefix("/sys/")  # until somebody finds it

        def plan() -> Plan:
            devices = late.load("pkern.kernel.vfs.sysfs.devices")
            made: Plan = devices.plan(kernel, memory, ksm(), self.tracing)
            return made

        self.root = SysRoot(kernel, 0o555, plan)

    def close(self) -> None:
        """Nothing to give back."""


class TraceFs:
    """The file system at /sys/kernel/tracing: root's alone. tracing: gives the events."""

    name = "tracefs"
    magic = 0x74726163

    def __init__(self, kernel: Machine, tracing: Callable[[], Tracing]) -> None:
        def plan() -> Plan:
            made: Plan = late.load("pkern.kernel.vfs.fs.tracefs").plan(kernel, tracing())
            return made

        self.root = LateDir(kernel, 0o700, plan)
        self.root.noexec = True

    def close(self) -> None:
        """Nothing to give back."""
