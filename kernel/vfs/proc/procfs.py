"""The tree of /proc: which file stands where, who may read it, which function makes its text.

proc_task.py, proc_maps.py and proc_machine.py hold the texts, proc_files.py what is no text,
proclinks.py the links. A task's directory is made when it is first looked up and lives as long as
the task.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel import late
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.attributes import DUMP_USER
from pkern.kernel.vfs.inode import ANYWHERE, FROM_START, NOWHERE, DirInode, Inode, LinkInode
from pkern.kernel.vfs.proc import cpuinfo as proc_cpu
from pkern.kernel.vfs.proc import files as proc_files
from pkern.kernel.vfs.proc import machine as proc_machine
from pkern.kernel.vfs.proc import maps as proc_maps
from pkern.kernel.vfs.proc import process as proc_process
from pkern.kernel.vfs.proc import task as proc_task
from pkern.kernel.vfs.proc.inode import FixedMode, ProcDir, Text, TextFile, task_of
from pkern.kernel.vfs.proc.links import SelfLink, ThreadSelfLink, task_links
from pkern.kernel.vfs.proc.mapfiles import MapFilesDir, NsDir
from pkern.kernel.vfs.proc.mmfile import MmFile
from pkern.kernel.vfs.proc.mounts import mountinfo, mounts, mountstats
from pkern.kernel.vfs.proc.net import NetDir

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

# What few ask for is imported then.
NUMA, ZONES = "pkern.kernel.vfs.proc.numa", "pkern.kernel.vfs.proc.zones"
EACCES, EPERM, ESRCH = errno.EACCES, errno.EPERM, errno.ESRCH


def _of(text: Callable[[Task], Text]) -> Callable[[Task, Task], Text]:
    """Return the text for a file that shows all readers the same."""
    return lambda of, reader: text(of)


class Row(NamedTuple):
    """A file of /proc/PID: its mode, text(of, reader), write(of, data, writer).

    at_open, at_read: the errno for who may not trace the task; 0: all may. dead: the errno of an
    open or a read when the task has ended; gone: that of a read when it has been waited for, too.
    whences: what lseek takes. A write returns how many bytes it took.
    """

    mode: int
    text: Callable[[Task, Task], Text] | None = None
    write: Callable[[Task, bytes, Task], int] | None = None
    at_open: int = 0
    at_read: int = 0
    dead: int = 0
    gone: int = errno.ESRCH
    whences: frozenset[int] = FROM_START


ID_MAP = Row(0o644, lambda of, reader: proc_process.ID_MAP, proc_process.write_id_map, gone=0)
ROWS: dict[str, Row] = {
    "auxv": Row(0o400, _of(proc_task.auxv), at_open=EACCES, dead=ESRCH, gone=0, whences=ANYWHERE),
    "cgroup": Row(0o444, lambda of, reader: "0::/\n"),
    "clear_refs": Row(0o200, write=proc_files.write_clear_refs, whences=NOWHERE),
    "cmdline": Row(0o444, _of(proc_task.cmdline), whences=ANYWHERE),
    "comm": Row(0o644, _of(proc_task.comm), proc_files.write_comm),
    "coredump_filter": Row(
        0o644,
        _of(proc_files.coredump_filter),
        proc_files.write_coredump_filter,
        whences=ANYWHERE,
    ),
    "cpuset": Row(0o444, lambda of, reader: "/\n"),
    "environ": Row(
        0o400, _of(proc_task.environ), at_open=EACCES, dead=ESRCH, gone=0, whences=ANYWHERE
    ),
    "fail-nth": Row(0o644, _of(proc_files.fail_nth), proc_files.write_fail_nth, whences=ANYWHERE),
    "gid_map": ID_MAP,
    "io": Row(0o400, _of(proc_task.io), at_read=EACCES),
    "limits": Row(0o444, _of(proc_task.limits)),
    "maps": Row(0o444, _of(proc_maps.maps), at_open=EACCES),
    "mountinfo": Row(0o444, _of(mountinfo), dead=errno.EINVAL, gone=0),
    "mounts": Row(0o444, _of(mounts), dead=errno.EINVAL, gone=0),
    "mountstats": Row(0o400, _of(mountstats), dead=errno.EINVAL, gone=0),
    "numa_maps": Row(0o444, _of(late.function(NUMA, "numa_maps")), at_open=EACCES),
    "oom_adj": Row(0o644, _of(proc_files.oom_adj), proc_files.write_oom_adj, whences=ANYWHERE),
    "oom_score": Row(0o444, _of(proc_task.oom_score)),
    "oom_score_adj": Row(
        0o644,
        _of(proc_files.oom_score_adj),
        proc_files.write_oom_score_adj,
        whences=ANYWHERE,
    ),
    "personality": Row(0o400, _of(proc_task.personality), at_read=EPERM),
    "projid_map": ID_MAP,
    "schedstat": Row(0o444, _of(proc_task.schedstat)),
    "setgroups": Row(0o644, lambda of, reader: "allow\n", proc_process.write_setgroups, gone=0),
    "smaps": Row(0o444, _of(proc_maps.smaps), at_open=EACCES),
    "smaps_rollup": Row(0o444, _of(proc_maps.smaps_rollup), at_open=EACCES, dead=ESRCH),
    "stack": Row(0o400, lambda of, reader: "", at_read=EPERM),  # no kernel function has a name
    "stat": Row(0o444, proc_task.stat),
    "statm": Row(0o444, _of(proc_task.statm)),
    "status": Row(0o444, _of(proc_task.status)),
    "syscall": Row(0o400, _of(proc_task.syscall), at_read=EPERM),
    "timers": Row(0o444, lambda of, reader: ""),  # POSIX timers, of which there are none
    "timerslack_ns": Row(0o666, proc_files.timer_slack, proc_files.write_timer_slack),
    "uid_map": ID_MAP,
    "wchan": Row(0o444, lambda of, reader: "0"),
}
SYSVIPC: dict[str, Callable[[Machine], Text]] = {
    "msg": proc_machine.sysvipc_msg,
    "sem": proc_machine.sysvipc_sem,
    "shm": proc_machine.sysvipc_shm,
}
MACHINE: dict[str, Callable[[Machine], Text]] = {
    "buddyinfo": late.function(ZONES, "buddyinfo"),
    "cgroups": proc_machine.cgroups,
    "cmdline": proc_machine.cmdline,
    "cpuinfo": proc_cpu.cpuinfo,
    "devices": proc_machine.devices,
    "diskstats": proc_machine.diskstats,
    "filesystems": proc_machine.filesystems,
    "interrupts": proc_machine.interrupts,
    "loadavg": proc_machine.loadavg,
    "locks": proc_machine.locks,
    "meminfo": proc_machine.meminfo,
    "partitions": proc_machine.partitions,
    "softirqs": proc_machine.softirqs,
    "stat": proc_machine.stat,
    "swaps": proc_machine.swaps,
    "uptime": proc_machine.uptime,
    "version": proc_machine.version,
    "vmstat": late.function(ZONES, "vmstat"),
    "zoneinfo": late.function(ZONES, "zoneinfo"),
}
# The same, for root only.
PRIVATE: dict[str, Callable[[Machine], Text]] = {
    "pagetypeinfo": late.function(ZONES, "pagetypeinfo"),
    "slabinfo": late.function(ZONES, "slabinfo"),
    "vmallocinfo": lambda kernel: "",  # no kernel address space in which to map anything
}


class TaskFile(FixedMode):
    """A file of /proc/PID, by its row."""

    def __init__(
        self, kernel: Machine, row: Row, of_task: Task, reader: Task | None = None
    ) -> None:
        super().__init__(kernel, row.mode)
        self._row = row
        self.whences = row.whences
        self._of_task = of_task
        self._reader = reader
        self._content = b""

    def opened(self, task: Caller) -> Inode:
        alive, row, reader = self._of_task.alive, self._row, task_of(task, self.kernel)
        if alive and row.at_open and not reader.may_trace(self._of_task):
            raise SyscallError(row.at_open)
        if row.dead and not alive:
            raise SyscallError(row.dead)
        return self.for_one_open(type(self)(self.kernel, self._row, self._of_task, reader))

    def _subject(self, gone: int) -> Task:
        """Return the task. Errors: gone, unless it is 0: nothing is left of it."""
        if gone and self._of_task.pid not in self.kernel.tasks:
            raise SyscallError(gone)
        return self._of_task

    def read(self, pos: int, nbytes: int) -> bytes:
        row, reader = self._row, self._reader
        if row.text is None or reader is None:
            raise SyscallError(errno.EINVAL)
        of = self._subject(row.gone)
        if row.dead == ESRCH and row.gone and not of.alive:
            raise SyscallError(ESRCH)
        if row.at_read and not reader.may_trace(of):
            raise SyscallError(row.at_read)
        if pos == 0 or not self._content:
            text = row.text(of, reader)
            raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
            self._content = raw
        return self._content[pos : pos + nbytes]

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        if self._row.write is None or task is None:
            raise SyscallError(errno.EINVAL)
        return self._row.write(self._subject(ESRCH), data, task_of(task, self.kernel))


class MapsFile(TaskFile):
    """/proc/PID/maps, which can be asked about one mapping, too (an ioctl)."""

    @property
    def of_task(self) -> Task:
        """Whose mappings they are."""
        return self._of_task


# The files of a thread that do not show what its process's do.
THREAD_ROWS: dict[str, Row] = {
    "io": ROWS["io"]._replace(text=_of(proc_task.thread_io)),
    "stat": ROWS["stat"]._replace(text=proc_task.thread_stat),
}
NOT_OF_THREADS = frozenset({"coredump_filter", "mountstats", "timers", "timerslack_ns"})
KINDS: dict[str, type[TaskFile]] = {"maps": MapsFile}


class TaskDir(ProcDir):
    """/proc/PID, or (process None) /proc/PID/task/TID."""

    def __init__(self, kernel: Machine, of_task: Task, process: TaskDir | None = None) -> None:
        super().__init__(kernel, 0o555)
        self.of_task = of_task
        for name, row in ROWS.items() if process is None else _thread_rows():
            self.entries[name] = KINDS.get(name, TaskFile)(kernel, row, of_task)
        self.entries["mem"] = proc_files.MemFile(kernel, of_task)
        self.entries["pagemap"] = proc_files.PagemapFile(kernel, of_task)
        self.entries["net"] = NetDir(kernel)
        self.entries["ns"] = NsDir(kernel, of_task)
        self.entries |= task_links(kernel, of_task)
        if process is None:
            self.entries["map_files"] = MapFilesDir(kernel, of_task)
            self.entries["task"] = ThreadsDir(kernel, of_task, self)
        else:
            self.entries["children"] = TextFile(kernel, 0o444, self._children)
        self.entries = dict(sorted(self.entries.items()))

    def _children(self) -> str:
        own = (child for child in self.of_task.children if child.parent is self.of_task)
        return "".join(f"{child.pid} " for child in own)

    def lookup(self, name: str, task: Caller) -> Inode:
        """Return an entry, with the owner that it has now. Errors: ENOENT."""
        if self.of_task.pid not in self.kernel.tasks:
            raise SyscallError(errno.ENOENT)
        inode = super().lookup(name, task)
        inode.uid, inode.gid = owner_of(self.of_task, inode)
        return inode

    def names(self, task: Caller) -> list[str]:
        return super().names(task) if self.of_task.pid in self.kernel.tasks else []


def _thread_rows() -> list[tuple[str, Row]]:
    rows = {**ROWS, **THREAD_ROWS}.items()
    return [(name, row) for name, row in rows if name not in NOT_OF_THREADS]


def owner_of(task: Task, inode: Inode) -> tuple[int, int]:
    """Return uid and gid of an inode about a task: its own, root's if its memory is hidden."""
    if (task.alive and task.dumpable == DUMP_USER) or (inode.kind == "dir" and inode.mode == 0o555):
        return task.cred.euid, task.cred.egid
    return 0, 0


class ThreadsDir(ProcDir):
    """/proc/PID/task: a directory for each thread."""

    def __init__(self, kernel: Machine, of_task: Task, process: TaskDir) -> None:
        super().__init__(kernel, 0o555)
        self._group = of_task.group
        self._process = process
        self._dirs: dict[Task, TaskDir] = {}

    @property
    def nlink(self) -> int:
        return 2 + len(self._group.threads)

    @nlink.setter
    def nlink(self, count: int) -> None:
        """It follows the threads."""

    def lookup(self, name: str, task: Caller) -> Inode:
        number = int(name) if name.isdecimal() and str(int(name)) == name else 0
        subject = self._group.threads.get(number)
        if subject is None:
            raise SyscallError(errno.ENOENT)
        if subject not in self._dirs:
            self._dirs = {t: d for t, d in self._dirs.items() if not t.is_reaped}
            self._dirs[subject] = TaskDir(self.kernel, subject, self._process)
        inode = self._dirs[subject]
        inode.uid, inode.gid = owner_of(subject, inode)
        return inode

    def names(self, task: Caller) -> list[str]:
        return [str(pid) for pid in sorted(self._group.threads)]


SPARE_DIRS = 64  # of tasks that were reaped, before they are looked for


class ProcRoot(ProcDir):
    """/proc itself: files, links, and one directory for each task."""

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel, 0o555)
        self._tasks: dict[int, TaskDir] = {}

    def lookup(self, name: str, task: Caller) -> Inode:
        if not (name.isdecimal() and str(int(name)) == name and int(name) in self.kernel.tasks):
            return super().lookup(name, task)
        subject = self.kernel.tasks[int(name)]
        found = self._tasks.get(subject.pid)
        if found is None or found.of_task is not subject:
            if len(self._tasks) > 2 * len(self.kernel.tasks) + SPARE_DIRS:
                self._forget_reaped()
            found = self._tasks[subject.pid] = TaskDir(self.kernel, subject)
        found.uid, found.gid = owner_of(subject, found)
        return found

    def _forget_reaped(self) -> None:
        alive = self.kernel.tasks
        self._tasks = {p: d for p, d in self._tasks.items() if alive.get(p) is d.of_task}

    def names(self, task: Caller) -> list[str]:
        pids = sorted(task.tgid for task in self.kernel.tasks.processes())
        return [*self.entries, *map(str, pids)]


class ProcFs:
    """The file system at /proc."""

    name = "proc"

    def __init__(self, kernel: Machine) -> None:
        self.root = ProcRoot(kernel)
        entries = self.root.entries
        for name, text in MACHINE.items():
            entries[name] = TextFile(kernel, 0o444, partial(text, kernel))
        for name, text in PRIVATE.items():
            entries[name] = TextFile(kernel, 0o400, partial(text, kernel))
        entries["config.gz"] = proc_files.ConfigFile(kernel)
        entries["kpagecgroup"] = proc_files.PagesFile(kernel, lambda info: 0)
        entries["kmsg"] = proc_files.KmsgFile(kernel)
        entries["kpagecount"] = proc_files.PagesFile(kernel, proc_files.page_count)
        entries["kpageflags"] = proc_files.PagesFile(kernel, proc_files.page_flags)
        entries["mm"] = MmFile(kernel)
        entries["mounts"] = LinkInode(kernel, "self/mounts")
        entries["net"] = LinkInode(kernel, "self/net")
        entries["self"] = SelfLink(kernel)
        entries["sys"] = sysctl_tree(kernel)
        entries["sysvipc"] = directory = ProcDir(kernel, 0o555)
        for name, text in SYSVIPC.items():
            directory.entries[name] = TextFile(kernel, 0o444, partial(text, kernel))
        entries["thread-self"] = ThreadSelfLink(kernel)
        self.root.entries = dict(sorted(entries.items()))

    def close(self) -> None:
        """Nothing to give back."""


def sysctl_tree(kernel: Machine) -> DirInode:
    """Return /proc/sys: a directory for each dot in the names of the sysctls."""
    top = ProcDir(kernel, 0o555)
    for entry in kernel.sysctl.entries():
        *groups, leaf = entry.name.split(".")
        branch: Inode = top
        for group in groups:
            assert isinstance(branch, DirInode)
            branch = branch.entries.setdefault(group, ProcDir(kernel, 0o555))
        assert isinstance(branch, DirInode)
        branch.entries[leaf] = proc_files.SysctlFile(kernel, entry.name)
    return top
