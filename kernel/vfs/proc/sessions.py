"""The files of /proc/PID about its session: who logged in, its share of the processor, its labels.

There is no security module: a label can be neither read nor set.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.attributes import NO_LOGIN
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.proc.files import number_in, parse_kernel, taken

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

NICE_MIN, NICE_MAX = -20, 19
PAUSE_NS = 100_000_000  # between two changes of who has no rights


def loginuid(of: Task, reader: Task) -> str:
    """The user who logged in, 4294967295 for nobody. Source: proc_loginuid_read() of Linux 6.18."""
    uid = of.attributes.loginuid
    return str(uid if uid == NO_LOGIN else reader.cred.user_ns.uid_of(uid))


def write_loginuid(of: Task, data: bytes, writer: Task) -> int:
    """Set who logged in, once; a session's number goes with it.

    Errors: EPERM (another's, or a second time without CAP_AUDIT_CONTROL), EINVAL, ERANGE.
    Source: proc_loginuid_write() of Linux 6.18.
    """
    if writer is not of:
        raise SyscallError(errno.EPERM)
    uid = parse_kernel(data, 10, 0, NO_LOGIN)
    kuid = uid if uid == NO_LOGIN else writer.cred.user_ns.kuid(uid)
    if of.attributes.loginuid != NO_LOGIN and not writer.capable("CAP_AUDIT_CONTROL"):
        raise SyscallError(errno.EPERM)
    session = NO_LOGIN
    if uid != NO_LOGIN:
        session = of.kernel.tasks.logins = of.kernel.tasks.logins + 1
    of.set_attributes(loginuid=kuid, sessionid=session)
    return len(data)


def sessionid(of: Task) -> str:
    """The number of the login, 4294967295 for none. Source: proc_sessionid_read()."""
    return str(of.attributes.sessionid)


def autogroup(of: Task) -> str:
    """The group of sched(7) that its session is; nothing for that of the first process."""
    init = of.kernel.tasks.init
    if init is not None and of.sid == init.sid:
        return ""
    return f"/autogroup-{of.sid} nice {of.group.autogroup_nice}\n"


def write_autogroup(of: Task, data: bytes, writer: Task) -> int:
    """Set the nice value of the session's group; the one processor has no use of it.

    Errors: EINVAL, EPERM (below 0), EAGAIN (too soon after another). Source: sched(7).
    """
    nice, tasks, now = number_in(data), of.kernel.tasks, of.kernel.clock.now_ns
    if not NICE_MIN <= nice <= NICE_MAX:
        raise SyscallError(errno.EINVAL)
    allowed = 20 - nice <= writer.rlimits["nice"][0] or writer.capable("CAP_SYS_NICE")
    if nice < 0 and not allowed:
        raise SyscallError(errno.EPERM)
    if now < tasks.autogroup_ns and not writer.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EAGAIN)
    tasks.autogroup_ns = now + PAUSE_NS
    for process in tasks.processes():
        if process.sid == of.sid:
            process.group.autogroup_nice = nice
    return taken(data)


def write_label(of: Task, data: bytes, writer: Task) -> int:
    """Refuse a label. Errors: EPERM (another's memory), EACCES (another thread's), EINVAL."""
    if not of.alive or writer.mm is not of.mm:
        raise SyscallError(errno.EPERM)
    raise SyscallError(errno.EINVAL if writer is of else errno.EACCES)
