"""How a machine makes core files: the sysctls of core(5), and what a task's dumpable says."""

from __future__ import annotations

# A task's dumpable: nobody may look into it; its user may; a core file of it is root's.
DUMP_NONE, DUMP_USER, DUMP_ROOT = 0, 1, 2


class Dumps:
    """kernel.core_* and fs.suid_dumpable. pipes: core files that programs are reading now."""

    def __init__(self) -> None:
        self.pattern = "core"
        self.uses_pid = 0
        self.pipe_limit = 0
        self.note_size_limit = 4 << 20
        self.sort_vma = 0
        self.suid_dumpable = DUMP_NONE
        self.pipes = 0
