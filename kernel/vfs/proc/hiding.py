"""What the mount of a proc hides: processes from those who may not look into them, other files.

Owns what the options gid=, hidepid= and subset= of proc(5) have set.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.inode import in_group

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

# hidepid: none; directories may not be entered, nor seen, nor by the group either.
OFF, NOACCESS, INVISIBLE, PTRACEABLE = 0, 1, 2, 4
NAMES = {OFF: "off", NOACCESS: "noaccess", INVISIBLE: "invisible", PTRACEABLE: "ptraceable"}


class Hiding:
    """gid: whose members see all. only_pids: 1: there is nothing but processes."""

    __slots__ = ("gid", "hidepid", "only_pids")

    def __init__(self) -> None:
        self.gid, self.hidepid, self.only_pids = 0, OFF, 0

    def from_(self, reader: Task, subject: Task, least: int) -> bool:
        """Tell whether a process is hidden from a reader, where hidepid is at least so much."""
        if self.hidepid == PTRACEABLE:
            return not reader.may_trace(subject)
        if self.hidepid < least or in_group(reader, self.gid):
            return False
        return not reader.may_trace(subject)

    @property
    def options(self) -> list[str]:
        """The options as /proc shows them."""
        gid = [f"gid={self.gid}"] if self.gid else []
        hidepid = [f"hidepid={NAMES[self.hidepid]}"] if self.hidepid else []
        return [*gid, *hidepid, *(["subset=pid"] if self.only_pids else [])]

    @property
    def settings(self) -> tuple[int, int, int]:
        """What options have set, to be put back."""
        return self.gid, self.hidepid, self.only_pids

    @settings.setter
    def settings(self, values: tuple[int, int, int]) -> None:
        self.gid, self.hidepid, self.only_pids = values
