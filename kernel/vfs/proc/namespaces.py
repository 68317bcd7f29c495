"""/proc/PID/ns and the maps of ids: which namespaces a task is in, and whose ids are whose in it.

Source: namespaces(7), user_namespaces(7), proc_pid_setgroups(5), kernel/user_namespace.c of Linux.
"""

from __future__ import annotations

import errno
import re

from pkern.kernel.clock import CLOCK_BOOTTIME, CLOCK_MONOTONIC, NEVER_NS, SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import Namespace
from pkern.kernel.namespaces.idmap import parse
from pkern.kernel.namespaces.pid import PidNamespace
from pkern.kernel.namespaces.user import NO_ID, IdMap, UserNamespace
from pkern.kernel.tasks.credentials import Credentials
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.vfs.fs.nsfs import NsInode
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.proc.inode import ProcDir, ProcLink, task_of
from pkern.kernel.vfs.proc.mapfiles import need_tracer

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

MOST_BYTES = 4096  # of a map's text
CLOCKS = {"monotonic": CLOCK_MONOTONIC, "boottime": CLOCK_BOOTTIME}
OFFSET = re.compile(rb"[ \t\v\f\r]*([^\s]{1,9})[ \t\v\f\r]+(-?\d+)[ \t\v\f\r]+(\d+)")
MOST_SECONDS = NEVER_NS // SECOND
SETGROUPS_BYTES = 8
# What a map of each kind takes who is not allowed everything in the namespace above.
RIGHTS = {"uid": "CAP_SETUID", "gid": "CAP_SETGID"}
Find = Callable[["Task"], Namespace]
LINKS: dict[str, Find] = {
    "cgroup": lambda task: task.nsproxy.cgroup,
    "ipc": lambda task: task.nsproxy.ipc,
    "pid": lambda task: task.pid_ns,
    "pid_for_children": lambda task: task.nsproxy.pid,
    "mnt": lambda task: task.nsproxy.mnt,
    "net": lambda task: task.nsproxy.net,
    "time": lambda task: task.nsproxy.time,
    "time_for_children": lambda task: task.nsproxy.time_for_children,
    "user": lambda task: task.cred.user_ns,
    "uts": lambda task: task.nsproxy.uts,
}
OF_ZOMBIES = frozenset({LINKS["pid"], LINKS["user"]})  # until they are waited for


class NsLink(ProcLink):
    """A namespace of a task."""

    def __init__(self, kernel: Machine, of_task: Task, find: Find) -> None:
        super().__init__(kernel, "", of_task.uid, of_task.gid)
        self._of_task = of_task
        self._find = find

    @property
    def size(self) -> int:
        return 0

    def _namespace(self, reader: Caller) -> Namespace:
        """Return it. Errors: EACCES, ENOENT (the task has ended; no process is in it yet)."""
        task = self._of_task
        need_tracer(task, task_of(reader, self.kernel))
        if not task.alive and (self._find not in OF_ZOMBIES or task.is_reaped):
            raise SyscallError(errno.ENOENT)
        found = self._find(task)
        if isinstance(found, PidNamespace) and found.reaper is None and found.level:
            raise SyscallError(errno.ENOENT)
        return found

    def readlink(self, task: Caller) -> str:
        return self._namespace(task).name

    def jump(self, task: Caller) -> Path:
        return Path(None, NsInode(self.kernel, self._namespace(task)))


class NsDir(ProcDir):
    """/proc/PID/ns: a link for each kind of namespace."""

    def __init__(self, kernel: Machine, of_task: Task) -> None:
        super().__init__(kernel, 0o511)
        self._of_task = of_task

    def lookup(self, name: str, task: Caller) -> Inode:
        if name not in LINKS:
            raise SyscallError(errno.ENOENT)
        return NsLink(self.kernel, self._of_task, LINKS[name])

    def names(self, task: Caller) -> list[str]:
        need_tracer(self._of_task, task_of(task, self.kernel))
        return list(LINKS)


# ---- maps of ids ----


def id_map(which: str) -> Callable[[Task, Task], str]:
    """Return the text of a map: "uid", "gid" or "projid". Lower ids are as the reader has them."""

    def text(of: Task, reader: Task) -> str:
        shown, base = of.cred.user_ns, reader.cred.user_ns
        below = (base.owner or base) if base is shown else base
        rows = []
        for first, lower, count in shown.maps[which]:
            there = below.maps[which].up(lower)
            rows.append(f"{first:10d} {NO_ID if there is None else there:10d} {count:10d}\n")
        return "".join(rows)

    return text


def write_id_map(which: str) -> Callable[[Task, bytes, Task], int]:
    """Return what sets a map, once.

    Errors: EPERM: it is set, of the first namespace, or gives more than the writer has; EINVAL.
    """

    def write(of: Task, data: bytes, writer: Task) -> int:
        shown, cred = of.cred.user_ns, writer.cred
        above = shown.owner
        if above is None or cred.user_ns not in (shown, above):
            raise SyscallError(errno.EPERM)
        if len(data) >= MOST_BYTES:
            raise SyscallError(errno.EINVAL)
        able = which not in RIGHTS or cred.has("CAP_SYS_ADMIN", shown)
        if shown.maps[which] or not able:
            raise SyscallError(errno.EPERM)
        wanted = parse(data)
        if not _may_map(cred, shown, above, which, wanted):
            raise SyscallError(errno.EPERM)
        shown.maps[which] = wanted.through(above.maps[which])
        for task in of.kernel.tasks.values():
            task.forget_answers()  # which ids follow from
        return len(data)

    return write


def _may_map(
    cred: Credentials, shown: UserNamespace, above: UserNamespace, which: str, wanted: IdMap
) -> bool:
    """Tell whether a map gives nothing away. Source: new_idmap_permitted() of Linux 6.18."""
    if which == "uid" and not _may_map_root(cred, shown, above, wanted):
        return False
    if len(wanted) == 1 and wanted[0].length == 1 and shown.uid == cred.euid:
        there = above.maps[which].down(wanted[0].lower)
        if which == "uid" and there == cred.euid:
            return True
        if which == "gid" and not shown.setgroups and there == cred.egid:
            return True
    return which not in RIGHTS or cred.has(RIGHTS[which], above)


def _may_map_root(
    cred: Credentials, shown: UserNamespace, above: UserNamespace, wanted: IdMap
) -> bool:
    """Tell whether root of the namespace above may have a place: he could give files capabilities.

    Source: verify_root_map() of Linux 6.18.
    """
    if not any(one.lower == 0 for one in wanted):
        return True
    if cred.user_ns is shown:
        return bool(shown.could_setfcap)
    return cred.has("CAP_SETFCAP", above)


def setgroups(of: Task) -> str:
    """Whether setgroups(2) may be used."""
    return "allow\n" if of.cred.user_ns.setgroups else "deny\n"


def write_setgroups(of: Task, data: bytes, writer: Task) -> int:
    """Forbid setgroups(2) before there is a map of groups. Errors: EINVAL, EPERM."""
    shown = of.cred.user_ns
    word = data.split(b"\0")[0]
    for text in (b"allow", b"deny"):
        if len(data) < SETGROUPS_BYTES and word.startswith(text) and not word[len(text) :].strip():
            break
    else:
        raise SyscallError(errno.EINVAL)
    if not shown.setgroups and text == b"allow":
        raise SyscallError(errno.EPERM)
    if text == b"deny":
        if shown.maps["gid"]:
            raise SyscallError(errno.EPERM)
        shown.setgroups = 0
    return len(data)


def need_power(of: Task, writer: Task) -> None:
    """Refuse to open setgroups for writing. Errors: EACCES."""
    if not writer.capable_in(of.cred.user_ns, "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EACCES)


# ---- offsets of clocks ----


def timens_offsets(of: Task) -> str:
    """How far the clocks of a task's children are ahead: seconds and nanoseconds."""
    if not of.alive:
        return ""
    offsets = of.nsproxy.time_for_children.offsets
    rows = ((name, *divmod(offsets[clock], SECOND)) for name, clock in CLOCKS.items())
    return "".join(f"{name:<10} {seconds:10d} {rest:9d}\n" for name, seconds, rest in rows)


def write_timens_offsets(of: Task, data: bytes, writer: Task) -> int:
    """Set one or two of them; return how many bytes that took.

    Errors: EINVAL; EPERM; ERANGE: a clock would be negative, or 146 years ahead; EACCES: a task has
    been in that namespace. Source: timens_offsets_write() of Linux 6.18.
    """
    if len(data) >= MOST_BYTES:
        raise SyscallError(errno.EINVAL)
    lines = data.split(b"\0")[0].removesuffix(b"\n").split(b"\n", len(CLOCKS))
    found = [_offset(line) for line in lines[: len(CLOCKS)]]
    space = of.nsproxy.time_for_children
    if not writer.cred.has("CAP_SYS_TIME", space.user):
        raise SyscallError(errno.EPERM)
    for _, seconds, rest in found:
        then = (of.kernel.clock.now_ns + rest) // SECOND + seconds
        if abs(seconds) > MOST_SECONDS or not 0 <= then <= MOST_SECONDS // 2:
            raise SyscallError(errno.ERANGE)
    if space.frozen:
        raise SyscallError(errno.EACCES)
    space.offsets |= {clock: seconds * SECOND + rest for clock, seconds, rest in found}
    more = lines[len(CLOCKS) :]
    return data.index(b"\n" + more[0]) + 1 if more else len(data)


def _offset(line: bytes) -> tuple[int, int, int]:
    """Return the clock, seconds and nanoseconds of a line. Errors: EINVAL."""
    numbers = OFFSET.match(line)
    if numbers is None:
        raise SyscallError(errno.EINVAL)
    name = numbers[1].decode("ascii", "replace")
    clock = CLOCKS.get(name, {str(number): number for number in CLOCKS.values()}.get(name))
    if clock is None or int(numbers[3]) >= SECOND:
        raise SyscallError(errno.EINVAL)
    return clock, int(numbers[2]), int(numbers[3])
