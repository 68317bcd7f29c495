"""The files of /proc/PID: which there are, who may read each, which function makes its text.

task.py and maps.py hold the texts, files.py what is no text.
"""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import partial
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterator, Mapping
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import (
    ANYWHERE,
    FROM_START,
    MAY_READ,
    MAY_WRITE,
    NOWHERE,
    POLLIN,
    UNWRITTEN,
    Inode,
)
from pkern.kernel.vfs.proc import files as proc_files
from pkern.kernel.vfs.proc import maps as proc_maps
from pkern.kernel.vfs.proc import namespaces as proc_namespaces
from pkern.kernel.vfs.proc import sessions as proc_sessions
from pkern.kernel.vfs.proc import task as proc_task
from pkern.kernel.vfs.proc.inode import ProcDir, task_of
from pkern.kernel.vfs.proc.mapfiles import MapFilesDir
from pkern.kernel.vfs.proc.mounts import mountinfo, mounts, mountstats
from pkern.kernel.vfs.proc.namespaces import NsDir
from pkern.kernel.vfs.proc.net import NetDir
from pkern.kernel.vfs.proc.text import FixedMode, Text

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.fs.latedir import Plan
    from pkern.kernel.vfs.machine import Caller
    from pkern.kernel.vfs.mounts import Path

# Which few ask for.
NUMA, SCHED = "pkern.kernel.vfs.proc.numa", "pkern.kernel.vfs.proc.sched"
WCHAN = "pkern.kernel.vfs.proc.wchan"
EACCES, EPERM, ESRCH = errno.EACCES, errno.EPERM, errno.ESRCH


def _of(text: Callable[[Task], Text]) -> Callable[[Task, Task], Text]:
    """Return the text for a file that shows all readers the same."""
    return lambda of, reader: text(of)


def _timers(of: Task, reader: Task, pid_ns: PidNamespace) -> str:
    """The timers of POSIX. Source: proc_pid_timers(5)."""
    timers = of.group.posix_timers
    return "" if timers is None else timers.text(pid_ns)


class Row(NamedTuple):
    """A file of /proc/PID: its mode, text(of, reader), write(of, data, writer).

    numbered: instead of text, where numbers are those of the pid namespace that /proc shows.
    rooted: the same, of what lies below the root that the task had at the open.

    at_open, at_read: the errno for who may not trace the task; 0: all may. dead: the errno of an
    open or a read when the task has ended; gone: that of a read when it has been waited for, too.
    whences: what lseek takes. A write returns how many bytes it took.
    """

    mode: int
    text: Callable[[Task, Task], Text] | None = None
    write: Callable[[Task, bytes, Task], int] | None = None
    numbered: Callable[[Task, Task, PidNamespace], Text] | None = None
    rooted: Callable[[Task, Path], Text] | None = None
    at_open: int = 0
    at_read: int = 0
    dead: int = 0
    gone: int = errno.ESRCH
    whences: frozenset[int] = FROM_START
    undivided: int = MAY_WRITE  # as Inode.undivided
    splices: int = 0  # MAY_READ: splice and sendfile read it
    ready: int = 0  # the POLL* bits of who may be waited for
    to_write: Callable[[Task, Task], None] | None = None  # refuses an open(of, writer) for it


def _id_map(which: str) -> Row:
    show, write = proc_namespaces.id_map(which), proc_namespaces.write_id_map(which)
    return Row(0o644, show, write, gone=0)


_MOUNTS = Row(0o444, dead=errno.EINVAL, gone=0, splices=MAY_READ)
ROWS: dict[str, Row] = {
    "arch_status": Row(0o444, lambda of, reader: ""),  # of AVX-512, which the processor has not
    "auxv": Row(0o400, _of(proc_task.auxv), at_open=EACCES, dead=ESRCH, gone=0, whences=ANYWHERE),
    "autogroup": Row(0o644, _of(proc_sessions.autogroup), proc_sessions.write_autogroup),
    "cgroup": Row(0o444, lambda of, reader: "0::/\n"),
    "clear_refs": Row(0o200, write=proc_files.write_clear_refs, whences=NOWHERE),
    "cmdline": Row(0o444, proc_task.cmdline, whences=ANYWHERE),
    "comm": Row(0o644, _of(proc_task.comm), proc_files.write_comm),
    "coredump_filter": Row(
        0o644,
        _of(proc_files.coredump_filter),
        proc_files.write_coredump_filter,
        whences=ANYWHERE,
    ),
    "cpuset": Row(0o444, lambda of, reader: "/\n"),
    "environ": Row(
        0o400,
        proc_task.environ,
        at_open=EACCES,
        dead=ESRCH,
        gone=0,
        whences=ANYWHERE,
        undivided=MAY_READ,
    ),
    "fail-nth": Row(0o644, _of(proc_files.fail_nth), proc_files.write_fail_nth, whences=ANYWHERE),
    "gid_map": _id_map("gid"),
    "io": Row(0o400, _of(proc_task.io), at_read=EACCES),
    "ksm_merging_pages": Row(0o400, _of(proc_task.ksm_merging_pages), gone=0),
    "ksm_stat": Row(0o400, _of(proc_task.ksm_stat), gone=0),
    "limits": Row(0o444, _of(proc_task.limits)),
    "loginuid": Row(0o644, proc_sessions.loginuid, proc_sessions.write_loginuid, whences=ANYWHERE),
    "maps": Row(0o444, _of(proc_maps.maps), at_open=EACCES),
    "mountinfo": _MOUNTS._replace(rooted=mountinfo, ready=POLLIN),
    "mounts": _MOUNTS._replace(rooted=mounts, ready=POLLIN),
    "mountstats": _MOUNTS._replace(mode=0o400, rooted=mountstats),
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
    "projid_map": _id_map("projid"),
    "sched": Row(
        0o644,
        numbered=late.function(SCHED, "sched"),
        write=late.function(SCHED, "write_sched"),
    ),
    "schedstat": Row(0o444, _of(proc_task.schedstat)),
    "sessionid": Row(0o444, _of(proc_sessions.sessionid), whences=ANYWHERE),
    "setgroups": Row(
        0o644,
        _of(proc_namespaces.setgroups),
        proc_namespaces.write_setgroups,
        gone=0,
        to_write=proc_namespaces.need_power,
    ),
    "smaps": Row(0o444, _of(proc_maps.smaps), at_open=EACCES),
    "smaps_rollup": Row(0o444, _of(proc_maps.smaps_rollup), at_open=EACCES, dead=ESRCH),
    "stack": Row(0o400, lambda of, reader: "", at_read=EPERM),  # no kernel function has a name
    "stat": Row(0o444, numbered=proc_task.stat),
    "statm": Row(0o444, _of(proc_task.statm)),
    "status": Row(0o444, numbered=proc_task.status),
    "syscall": Row(0o400, _of(proc_task.syscall), at_read=EPERM),
    "timens_offsets": Row(
        0o644,
        _of(proc_namespaces.timens_offsets),
        proc_namespaces.write_timens_offsets,
        gone=0,
    ),
    "timers": Row(0o444, numbered=_timers),
    "timerslack_ns": Row(0o666, proc_files.timer_slack, proc_files.write_timer_slack),
    "uid_map": _id_map("uid"),
    "wchan": Row(0o444, late.function(WCHAN, "wchan")),
}


_LABEL = Row(0o666, write=proc_sessions.write_label, whences=ANYWHERE)
LABELS: dict[str, Row] = {
    **dict.fromkeys(("current", "exec", "fscreate", "keycreate", "sockcreate"), _LABEL),
    "prev": _LABEL._replace(mode=0o444),
}


class TaskFile(FixedMode):
    """A file of /proc/PID, by its row."""

    one_buffer = MAY_READ | MAY_WRITE
    write_moves = False
    _root: Path  # the task's, when the file was opened

    def __init__(
        self,
        kernel: Machine,
        row: Row,
        of_task: Task,
        pid_ns: PidNamespace,
        reader: Task | None = None,
    ) -> None:
        super().__init__(kernel, row.mode)
        self._pid_ns = pid_ns
        self._row = row
        self.whences, self.can_epoll = row.whences, bool(row.ready)
        self.splices, self.undivided = row.splices, row.undivided
        self.can_pwrite = row.whences != FROM_START  # seq_open() of Linux 6.18
        if row.write is None:
            self.lacks = UNWRITTEN
        self._of_task = of_task
        self._reader = reader
        self._content = b""

    def poll(self, file: File) -> int:
        return self._row.ready or super().poll(file)

    def open_check(self, task: Caller, wanted: int) -> None:
        super().open_check(task, wanted)
        if self._row.to_write is not None and wanted & MAY_WRITE:
            self._row.to_write(self._of_task, task_of(task, self.kernel))

    def opened(self, task: Caller) -> Inode:
        alive, row, reader = self._of_task.alive, self._row, task_of(task, self.kernel)
        if alive and row.at_open and not reader.may_trace(self._of_task):
            raise SyscallError(row.at_open)
        if row.dead and not alive:
            raise SyscallError(row.dead)
        copy = self.for_one_open()
        copy._reader, copy._content = reader, b""
        copy._root = self._of_task.fs.root
        return copy

    def _subject(self, gone: int) -> Task:
        """Return the task. Errors: gone, unless it is 0: nothing is left of it."""
        if gone and self._of_task.pid not in self.kernel.tasks:
            raise SyscallError(gone)
        return self._of_task

    def read(self, pos: int, nbytes: int) -> bytes:
        row, reader = self._row, self._reader
        if reader is None or not (row.text or row.numbered or row.rooted):  # can only be written
            raise SyscallError(errno.EINVAL)
        of = self._subject(row.gone)
        if row.dead == ESRCH and row.gone and not of.alive:
            raise SyscallError(ESRCH)
        if row.at_read and not reader.may_trace(of):
            raise SyscallError(row.at_read)
        if pos == 0 or not self._content:
            text = self._text(of, reader)
            raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
            self._content = raw
        return self._content[pos : pos + nbytes]

    def _text(self, of: Task, reader: Task) -> Text:
        if self._row.numbered is not None:
            return self._row.numbered(of, reader, self._pid_ns)
        if self._row.rooted is not None:
            return self._row.rooted(of, self._root)
        assert self._row.text is not None  # as read() has seen
        return self._row.text(of, reader)

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


class LabelsDir(ProcDir):
    """/proc/PID/attr: what a security module would say of the task."""

    def __init__(self, kernel: Machine, of_task: Task, pid_ns: PidNamespace) -> None:
        super().__init__(kernel, 0o555)
        for name, row in LABELS.items():
            self.entries[name] = TaskFile(kernel, row, of_task, pid_ns)


# The files of a thread that do not show what its process's do.
THREAD_ROWS: dict[str, Row] = {
    "io": ROWS["io"]._replace(text=_of(proc_task.thread_io)),
    "stat": ROWS["stat"]._replace(numbered=proc_task.thread_stat),
}
NOT_OF_THREADS = frozenset(
    {"autogroup", "coredump_filter", "mountstats", "timens_offsets", "timers", "timerslack_ns"}
)
KINDS: dict[str, type[TaskFile]] = {"maps": MapsFile}


Maker = Callable[["Machine", "Task", "PidNamespace"], Inode]


def _file(name: str, row: Row) -> Maker:
    kind = KINDS.get(name, TaskFile)
    return lambda kernel, of_task, pid_ns: kind(kernel, row, of_task, pid_ns)


# What makes each file, its links aside.
OF_ALL: dict[str, Maker] = {
    **{name: _file(name, row) for name, row in ROWS.items()},
    "attr": LabelsDir,
    "mem": lambda kernel, of_task, pid_ns: proc_files.MemFile(kernel, of_task),
    "net": lambda kernel, of_task, pid_ns: NetDir(kernel, of_task),
    "ns": lambda kernel, of_task, pid_ns: NsDir(kernel, of_task),
    "pagemap": lambda kernel, of_task, pid_ns: proc_files.PagemapFile(kernel, of_task),
}
OF_PROCESSES: dict[str, Maker] = {
    **OF_ALL,
    "map_files": lambda kernel, of_task, pid_ns: MapFilesDir(kernel, of_task),
}
OF_THREADS: dict[str, Maker] = {
    **{name: maker for name, maker in OF_ALL.items() if name not in NOT_OF_THREADS},
    **{name: _file(name, row) for name, row in THREAD_ROWS.items()},
}


class _Files(Mapping[str, Callable[[], Inode]]):
    """What makes the files of one task: most tasks end before most of theirs are looked at."""

    def __init__(
        self, makers: Mapping[str, Maker], kernel: Machine, of_task: Task, pid_ns: PidNamespace
    ) -> None:
        self._makers = makers
        self._subject = kernel, of_task, pid_ns

    def __getitem__(self, name: str) -> Callable[[], Inode]:
        return partial(self._makers[name], *self._subject)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def of_process(kernel: Machine, of_task: Task, pid_ns: PidNamespace) -> Plan:
    """Return what makes the files of /proc/PID, its links aside."""
    return _Files(OF_PROCESSES, kernel, of_task, pid_ns)


def of_thread(kernel: Machine, of_task: Task, pid_ns: PidNamespace) -> Plan:
    """Return what makes the files of /proc/PID/task/TID, its links aside."""
    return _Files(OF_THREADS, kernel, of_task, pid_ns)
