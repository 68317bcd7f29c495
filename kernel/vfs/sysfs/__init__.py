"""What /sys shows of the machine, and what writing there changes: memory, processors, nodes.

This is the file system that is mounted; what stands in it is imported at the first look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel import late
from pkern.kernel.vfs.latedir import LateDir, Plan

if TYPE_CHECKING:
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
    """The file system at /sys. ksm: gives the scanner once someone looks."""

    name = "sysfs"
    magic = 0x62656572

    def __init__(self, kernel: Machine, memory: Memory, ksm: Callable[[], Ksm]) -> None:
        def plan() -> Plan:
            made: Plan = late.load("pkern.kernel.vfs.sysfs.devices").plan(kernel, memory, ksm())
            return made

        self.root = SysRoot(kernel, 0o555, plan)

    def close(self) -> None:
        """Nothing to give back."""
