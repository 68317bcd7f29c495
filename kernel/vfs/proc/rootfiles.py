"""The files of /proc itself and /proc/sys: which there are, and which function makes the text.

machine.py, zones.py and cpuinfo.py hold the texts, files.py what is no text.
"""

from __future__ import annotations

from pkern.kernel import late
from pkern.kernel.lean import partial
from pkern.kernel.typed import TYPE_CHECKING, Callable, Mapping
from pkern.kernel.vfs.inode import DirInode, Inode, LinkInode
from pkern.kernel.vfs.proc import cpuinfo as proc_cpu
from pkern.kernel.vfs.proc import files as proc_files
from pkern.kernel.vfs.proc import machine as proc_machine
from pkern.kernel.vfs.proc.inode import LateProcDir, ProcDir
from pkern.kernel.vfs.proc.mmfile import MmFile
from pkern.kernel.vfs.proc.text import PolledText, ReadersText, Text

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.fs.latedir import Plan

ZONES = "pkern.kernel.vfs.proc.zones"  # which few ask for
SYSVIPC: dict[str, Callable[[Task], Text]] = {
    "msg": proc_machine.sysvipc_msg,
    "sem": proc_machine.sysvipc_sem,
    "shm": proc_machine.sysvipc_shm,
}
OF_READERS: dict[str, Callable[[Task], Text]] = {
    "loadavg": proc_machine.loadavg,
    "stat": proc_machine.stat,
    "uptime": proc_machine.uptime,
}
MACHINE: dict[str, Callable[[Machine], Text]] = {
    "buddyinfo": late.function(ZONES, "buddyinfo"),
    "cgroups": proc_machine.cgroups,
    "cmdline": proc_machine.cmdline,
    "cpuinfo": proc_cpu.cpuinfo,
    "devices": proc_machine.devices,
    "diskstats": proc_machine.diskstats,
    "execdomains": lambda kernel: "0-0\tLinux           \t[kernel]\n",
    "filesystems": proc_machine.filesystems,
    "interrupts": proc_machine.interrupts,
    "meminfo": proc_machine.meminfo,
    "misc": proc_machine.misc,
    "partitions": proc_machine.partitions,
    "softirqs": proc_machine.softirqs,
    "swaps": proc_machine.swaps,
    "version": proc_machine.version,
    "vmstat": late.function(ZONES, "vmstat"),
    "zoneinfo": late.function(ZONES, "zoneinfo"),
}
TERMINALS: dict[str, Callable[[Machine], Text]] = {
    "drivers": proc_machine.terminal_drivers,
    "ldiscs": lambda kernel: "n_tty       0\nn_null     27\n",
}
# The same, for root only.
PRIVATE: dict[str, Callable[[Machine], Text]] = {
    "pagetypeinfo": late.function(ZONES, "pagetypeinfo"),
    "slabinfo": late.function(ZONES, "slabinfo"),
    "vmallocinfo": lambda kernel: "",  # no kernel address space in which to map anything
}


def _texts(kernel: Machine, mode: int, texts: Mapping[str, Callable[[Machine], Text]]) -> Plan:
    return {
        name: partial(PolledText, kernel, mode, partial(text, kernel))
        for name, text in texts.items()
    }


def _readers_texts(kernel: Machine, texts: Mapping[str, Callable[[Task], Text]]) -> Plan:
    return {name: partial(ReadersText, kernel, 0o444, text) for name, text in texts.items()}


def plan(kernel: Machine, pid_ns: PidNamespace) -> Plan:
    """Return what makes the files of /proc, tasks and links to the reader's own aside."""
    locks = partial(proc_machine.locks, kernel, pid_ns)
    return {
        **_texts(kernel, 0o444, MACHINE),
        **_texts(kernel, 0o400, PRIVATE),
        **_readers_texts(kernel, OF_READERS),
        "config.gz": partial(proc_files.ConfigFile, kernel),
        "driver": partial(ProcDir, kernel, 0o555),  # no driver and no disk's file system tells
        "fs": partial(ProcDir, kernel, 0o555),
        "kmsg": partial(proc_files.KmsgFile, kernel),
        "kpagecgroup": partial(proc_files.PagesFile, kernel, lambda info: 0),
        "kpagecount": partial(proc_files.PagesFile, kernel, proc_files.page_count),
        "kpageflags": partial(proc_files.PagesFile, kernel, proc_files.page_flags),
        "locks": partial(PolledText, kernel, 0o444, locks),
        "mm": partial(MmFile, kernel),
        "mounts": partial(LinkInode, kernel, "self/mounts"),
        "net": partial(LinkInode, kernel, "self/net"),
        "sys": partial(sysctl_tree, kernel),
        "sysvipc": partial(LateProcDir, kernel, 0o555, partial(_readers_texts, kernel, SYSVIPC)),
        "tty": partial(_terminals, kernel),
    }


DIRECTORIES = ("driver", "fs", "sys", "sysvipc", "tty")  # stat of /proc counts them


def _terminals(kernel: Machine) -> DirInode:
    """Return /proc/tty; neither drivers nor line disciplines tell more of themselves."""
    made = ProcDir(kernel, 0o555)
    texts = _texts(kernel, 0o444, TERMINALS)
    made.entries = {name: make() for name, make in texts.items()}
    made.entries |= {"driver": ProcDir(kernel, 0o500), "ldisc": ProcDir(kernel, 0o555)}
    made.nlink += 2
    return made


class SysctlDir(ProcDir):
    """A directory of /proc/sys: as on Linux nobody counts what is below."""

    @property
    def st_nlink(self) -> int:
        return 1


def sysctl_tree(kernel: Machine) -> DirInode:
    """Return /proc/sys: a directory for each dot in the names of the sysctls."""
    top = SysctlDir(kernel, 0o555)
    for entry in kernel.sysctl.entries():
        *groups, leaf = entry.name.split(".")
        branch: Inode = top
        for group in groups:
            assert isinstance(branch, DirInode)
            branch = branch.entries.setdefault(group, SysctlDir(kernel, 0o555))
        assert isinstance(branch, DirInode)
        branch.entries[leaf] = proc_files.SysctlFile(kernel, entry.name)
    return top
