"""What a descriptor of a process tells by ioctl: who it is, how it ended, its namespaces.

Source: linux/pidfd.h and fs/pidfs.c of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.pidfd import PidInode
from pkern.kernel.vfs.fs.nsfs import open_namespace
from pkern.kernel.vfs.proc.namespaces import LINKS, Find
from pkern.syscalls.files.fcntl import ioctl_of

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

GET_INFO, SIZE, READ_WRITE = 11, struct.Struct("<Q"), 3
FS_IOC_GETVERSION = 0x8008_7601
INFO, LEAST_INFO = struct.Struct("<2Q3I8Ii2I"), 64  # struct pidfd_info, now and as it was first
PID, CREDS, CGROUP, EXIT, COREDUMP = 1, 2, 4, 8, 16  # of its mask
ROOT_CGROUP = 1  # the number of the one control group
CORES = {0: 2, 1: 4, 2: 8}  # PIDFD_COREDUMP_* by what PR_SET_DUMPABLE has set
SPACES: dict[int, Find] = {
    0xFF00 + number: LINKS[name]
    for number, name in enumerate(
        (
            *("cgroup", "ipc", "mnt", "net", "pid", "pid_for_children"),
            *("time", "time_for_children", "user", "uts"),
        ),
        1,
    )
}


@ioctl_of(PidInode)
def ioctl(task: Task, file: File, request: int, arg: int) -> int:
    """Errors: ENOTTY, EINVAL (NULL, or more than is asked for), EFAULT, ESRCH (gone), EACCES."""
    subject: Task = file.inode.subject  # type: ignore[attr-defined]  # a pidfd's
    if request in SPACES:
        return _namespace(task, subject, SPACES[request], arg)
    way, nbytes, number = request >> 30, request >> 16 & 0x3FFF, request & 0xFFFF
    is_info = (way, number) == (READ_WRITE, 0xFF00 + GET_INFO) and nbytes >= LEAST_INFO
    if not is_info and request != FS_IOC_GETVERSION:
        raise SyscallError(errno.ENOTTY)
    if not arg:
        raise SyscallError(errno.EINVAL)
    if is_info:
        asked = SIZE.unpack(task.mm.copy_in(arg, SIZE.size))[0]
        raw = _info(task, subject, asked)
    else:
        raw = bytes(4)  # the generation of all inodes
        nbytes = len(raw)
    task.mm.copy_out(arg, raw[:nbytes].ljust(nbytes, b"\0"))
    return 0


def _info(task: Task, subject: Task, asked: int) -> bytes:
    """Return a struct pidfd_info. Errors: ESRCH: it is in no namespace that the caller sees, or
    nothing is asked that is known of who has gone.
    """
    told, code, core = CGROUP, 0, 0
    if asked & COREDUMP:
        told |= COREDUMP
        core = CORES[subject.dumpable] if subject.alive else 0
    if asked & EXIT and subject.is_reaped:
        told |= EXIT
        code = _wait_status(subject)
    elif subject.is_reaped:
        raise SyscallError(errno.ESRCH)
    who: tuple[int, ...] = (0,) * 11
    if not subject.is_reaped:
        told |= PID | CREDS
        who = _who(task, subject)
    return INFO.pack(told, ROOT_CGROUP, *who, code, core, 0)


def _who(task: Task, subject: Task) -> tuple[int, ...]:
    """Return the numbers of thread, process and parent; then the real, effective, saved and
    file-system ids, of user and group by turns. Errors: ESRCH: the caller does not see it.
    """
    numbers = tuple(map(task.number_of, (subject.pid, subject.tgid, subject.ppid)))
    if not numbers[0]:
        raise SyscallError(errno.ESRCH)
    own, cred = task.cred.user_ns, subject.cred
    users, groups = (*cred.uids, cred.fsuid), (*cred.gids, cred.fsgid)
    pairs = zip(map(own.uid_of, users), map(own.gid_of, groups), strict=True)
    return (*numbers, *(number for pair in pairs for number in pair))


def _wait_status(subject: Task) -> int:
    """Return how a thread ended, or the process that it led."""
    leads = subject.pid == subject.group.pid
    return (subject.group.exit_code if leads else subject.exit_status) or 0


def _namespace(task: Task, subject: Task, find: Find, arg: int) -> int:
    """Return a descriptor of a namespace of a process. Errors: ESRCH, EINVAL (arg), EACCES."""
    if subject.is_reaped:
        raise SyscallError(errno.ESRCH)
    if arg:
        raise SyscallError(errno.EINVAL)
    if not subject.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(subject):
        raise SyscallError(errno.EACCES)
    return open_namespace(task, find(subject))
