"""The tree of /proc: a directory for each task, links to the reader's own, and what else is there.

A task's directory is made when it is first looked up and lives as long as the task. Its files
(taskfiles.py) and those of /proc itself (rootfiles.py) are imported when one of them is sought:
every program asks for its own link exe, few for more.
"""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import partial
from pkern.kernel.numbers import name_number
from pkern.kernel.tasks.attributes import DUMP_USER
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.vfs.proc.hiding import INVISIBLE, NOACCESS, Hiding
from pkern.kernel.vfs.proc.inode import LateProcDir, ProcDir, task_of
from pkern.kernel.vfs.proc.links import DESCRIPTORS, LINKS, SelfLink, ThreadSelfLink

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.fs.latedir import Plan
    from pkern.kernel.vfs.machine import Caller


def _task_files(kernel: Machine, of_task: Task, pid_ns: PidNamespace, which: str) -> Plan:
    maker = getattr(late.load("pkern.kernel.vfs.proc.taskfiles"), which)
    made: Plan = maker(kernel, of_task, pid_ns)
    return made


def _root_files(kernel: Machine, pid_ns: PidNamespace) -> Plan:
    made: Plan = late.load("pkern.kernel.vfs.proc.rootfiles").plan(kernel, pid_ns)
    return made


OF_PROCESS, OF_THREAD = "of_process", "of_thread"  # what makes the files of each: taskfiles.py
DIRECTORIES = {  # which stat counts
    OF_PROCESS: ("attr", "fd", "fdinfo", "map_files", "net", "ns", "task"),
    OF_THREAD: ("attr", "fd", "fdinfo", "net", "ns"),
}
MADE_HERE = {  # without the modules of the other files
    OF_PROCESS: frozenset({*LINKS, "fdinfo", "task"}),
    OF_THREAD: frozenset({*LINKS, "fdinfo", "children"}),
}


class TaskDir(LateProcDir):
    """/proc/PID, or /proc/PID/task/TID. hiding: from whom; None: from nobody.

    It knows its entries, and some of them it: when /proc forgets it, it forgets them, so that they
    go, with the task, at once.
    """

    fixed = errno.EPERM
    hiding: Hiding | None = None

    def __init__(
        self, kernel: Machine, of_task: Task, pid_ns: PidNamespace, which: str = OF_PROCESS
    ) -> None:
        super().__init__(kernel, 0o555, partial(_task_files, kernel, of_task, pid_ns, which))
        self.of_task = of_task
        self._pid_ns = pid_ns
        self.nlink = 2 + len(DIRECTORIES[which])
        self._here = MADE_HERE[which]

    def _children(self) -> str:
        own = (child for child in self.of_task.children if child.parent is self.of_task)
        return "".join(f"{self._pid_ns.number_of(child.pid)} " for child in own)

    def permits(self, task: Caller, wanted: int) -> bool:
        """As of any directory. Errors: EPERM, ENOENT: it is hidden from the task."""
        hiding = self.hiding
        if hiding is None or not hiding.hidepid:
            return super().permits(task, wanted)
        if hiding.from_(task_of(task, self.kernel), self.of_task, NOACCESS):
            raise SyscallError(errno.EPERM if hiding.hidepid == NOACCESS else errno.ENOENT)
        return super().permits(task, wanted)

    def lookup(self, name: str, task: Caller) -> Inode:
        """Return an entry, with the owner that it has now. Errors: ENOENT."""
        if self.of_task.pid not in self.kernel.tasks:
            raise SyscallError(errno.ENOENT)
        if name in self._here and name not in self.entries:
            self.entries[name] = self._made(name)
        inode = super().lookup(name, task)
        inode.uid, inode.gid = owner_of(self.of_task, inode)
        return inode

    def names(self, task: Caller) -> list[str]:
        if self.of_task.pid not in self.kernel.tasks:
            return []
        return sorted({*super().names(task), *self._here})

    def _made(self, name: str) -> Inode:
        if name == "task":
            return ThreadsDir(self.kernel, self.of_task, self._pid_ns)
        if name == "children":
            children: Inode = late.load("pkern.kernel.vfs.proc.text").TextFile(
                self.kernel, 0o444, self._children
            )
            return children
        if name == "fdinfo":
            folder: Inode = late.load(DESCRIPTORS).FdInfoDir(
                self.kernel, self.of_task, self._pid_ns
            )
            return folder
        return LINKS[name](self.kernel, self.of_task)


def owner_of(task: Task, inode: Inode) -> tuple[int, int]:
    """Return uid and gid of an inode about a task: its own, root's if its memory is hidden."""
    if (task.alive and task.dumpable == DUMP_USER) or (inode.kind == "dir" and inode.mode == 0o555):
        return task.cred.euid, task.cred.egid
    return 0, 0


class ThreadsDir(ProcDir):
    """/proc/PID/task: a directory for each thread."""

    def __init__(self, kernel: Machine, of_task: Task, pid_ns: PidNamespace) -> None:
        super().__init__(kernel, 0o555)
        self._group = of_task.group
        self._pid_ns = pid_ns
        self._dirs: dict[Task, TaskDir] = {}

    @property
    def st_nlink(self) -> int:
        return self.nlink + len(self._group.threads)

    def lookup(self, name: str, task: Caller) -> Inode:
        subject = self._group.threads.get(self._pid_ns.pid_of(name_number(name)))
        if subject is None:
            raise SyscallError(errno.ENOENT)
        if subject not in self._dirs:
            for one in [one for one in self._dirs if one.is_reaped]:
                self._dirs.pop(one).forget()
            self._dirs[subject] = TaskDir(self.kernel, subject, self._pid_ns, OF_THREAD)
        inode = self._dirs[subject]
        inode.uid, inode.gid = owner_of(subject, inode)
        return inode

    def forget(self) -> None:
        """Let go of the directories of all threads, too."""
        while self._dirs:
            self._dirs.popitem()[1].forget()
        super().forget()

    def names(self, task: Caller) -> list[str]:
        return [str(number) for number in sorted(map(self._pid_ns.number_of, self._group.threads))]


LINKS_HERE = ["self", "thread-self"]
SPARE_DIRS = 8  # of tasks that were reaped, before they are looked for


class ProcRoot(LateProcDir):
    """/proc itself: files, links, and one directory for each task."""

    def __init__(self, kernel: Machine, pid_ns: PidNamespace) -> None:
        super().__init__(kernel, 0o555, partial(_root_files, kernel, pid_ns))
        self.hiding = Hiding()
        self._pid_ns = pid_ns
        links = SelfLink(kernel, pid_ns), ThreadSelfLink(kernel, pid_ns)
        self.entries = dict(zip(LINKS_HERE, links, strict=True))
        self._tasks: dict[int, TaskDir] = {}

    @property
    def st_nlink(self) -> int:
        own = late.load("pkern.kernel.vfs.proc.rootfiles").DIRECTORIES
        return self.nlink + len(own) + len(list(self.kernel.tasks.processes()))

    def lookup(self, name: str, task: Caller) -> Inode:
        subject = self.kernel.tasks.get(self._pid_ns.pid_of(name_number(name)))
        if subject is None:
            if self.hiding.only_pids and name not in self.entries:
                raise SyscallError(errno.ENOENT)
            return super().lookup(name, task)
        if self._hides(subject, task):
            raise SyscallError(errno.ENOENT)
        found = self._tasks.get(subject.pid)
        if found is None or found.of_task is not subject:
            if found is not None:
                found.forget()
            if len(self._tasks) > 2 * len(self.kernel.tasks) + SPARE_DIRS:
                self._forget_reaped()
            found = self._tasks[subject.pid] = TaskDir(self.kernel, subject, self._pid_ns)
            found.hiding = self.hiding
        found.uid, found.gid = owner_of(subject, found)
        return found

    def _forget_reaped(self) -> None:
        for pid in [pid for pid, one in self._tasks.items() if one.of_task.is_reaped]:
            self._tasks.pop(pid).forget()

    @property
    def lists_dots(self) -> bool:  # type: ignore[override]
        """As Linux's, where there are only processes."""
        return not self.hiding.only_pids

    def _hides(self, subject: Task, task: Caller) -> bool:
        """Tell whether a task does not even see a process."""
        hiding = self.hiding
        if hiding.hidepid < INVISIBLE:
            return False
        return hiding.from_(task_of(task, self.kernel), subject, INVISIBLE)

    def names(self, task: Caller) -> list[str]:
        seen = (one for one in self.kernel.tasks.processes() if not self._hides(one, task))
        numbers = sorted(filter(None, (self._pid_ns.number_of(one.tgid) for one in seen)))
        others = LINKS_HERE if self.hiding.only_pids else super().names(task)
        return [*others, *map(str, numbers)]


class ProcFs:
    """The file system at /proc: what is in a pid namespace; None: in the first one."""

    name = "proc"

    def __init__(self, kernel: Machine, pid_ns: PidNamespace | None = None) -> None:
        self.kernel = kernel
        self.root = ProcRoot(kernel, pid_ns or kernel.nsproxy.pid)
        self.hiding = self.root.hiding

    def show(self, pid_ns: PidNamespace) -> None:
        """Show what is in a pid namespace, before it is mounted anywhere."""
        before = self.settings
        self.root = ProcRoot(self.kernel, pid_ns)
        self.hiding = self.root.hiding
        self.settings = before

    @property
    def options(self) -> list[str]:
        """Its options as /proc shows them."""
        return self.hiding.options

    @property
    def settings(self) -> tuple[int, int, int]:
        """What options have set, to be put back."""
        return self.hiding.settings

    @settings.setter
    def settings(self, values: tuple[int, int, int]) -> None:
        self.hiding.settings = values

    def close(self) -> None:
        """Nothing to give back."""
