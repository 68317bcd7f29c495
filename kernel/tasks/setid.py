"""Whose rights a new program has: set-user-ID and set-group-ID bits, and what holds them back.

Source: execve(2), capabilities(7); bprm_fill_uid() and cap_bprm_creds_from_file() of Linux 6.18.
There are no capabilities of files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.tasks.credentials import NO_CAPS, SECURE_KEEP_CAPS, SECURE_NOROOT, Credentials
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import S_ISGID, S_ISUID
from pkern.kernel.vfs.mounts import NOSUID

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

GROUP_EXEC = 0o010


class Rights(NamedTuple):
    """Credentials of a program; secure: 1: it has more than who runs it (AT_SECURE)."""

    cred: Credentials
    secure: int


def rights_of(task: Task, file: File) -> Rights:
    """Return the rights with which a task runs a file."""
    return of_program(task.cred, *_ids_of(task, file), _is_watched(task))


def of_program(old: Credentials, euid: int, egid: int, watched: int) -> Rights:
    """Return the rights of a program that is to have these effective ids.

    Root's are full, others keep the ambient set. watched: 1: others could use what it gains.
    """
    root = old.user_ns.root
    may_all = root in (old.uid, euid) and not old.securebits & SECURE_NOROOT
    permitted = old.bounding | old.inheritable if may_all else NO_CAPS
    full = may_all and euid == root
    changed = euid != old.euid or egid not in (old.fsgid, *old.groups)
    if watched and (changed or not permitted <= old.permitted):
        if old.no_new_privs or "CAP_SETUID" not in old.effective:
            euid, egid = old.euid, old.egid
        permitted &= old.permitted
    ambient = NO_CAPS if changed else old.ambient
    permitted |= ambient
    new = old._replace(
        euid=euid, suid=euid, fsuid=euid, egid=egid, sgid=egid, fsgid=egid,
        permitted=permitted, effective=permitted if full else ambient, ambient=ambient,
        securebits=old.securebits & ~SECURE_KEEP_CAPS,
    )  # fmt: skip
    grown = old.uid != root and (full or not permitted <= ambient)
    secure = changed or (euid, egid) != (old.uid, old.gid) or grown
    return Rights(new, int(secure))


def _ids_of(task: Task, file: File) -> tuple[int, int]:
    """Return the effective ids that a file's bits give."""
    cred, inode, mount = task.cred, file.inode, file.mount
    kept = cred.euid, cred.egid
    if mount is None or mount.flags & NOSUID or mount.namespace is not task.nsproxy.mnt:
        return kept
    if cred.no_new_privs or not cred.user_ns.has(inode.uid, inode.gid):
        return kept
    both = S_ISGID | GROUP_EXEC
    uid = inode.uid if inode.mode & S_ISUID else cred.euid
    return uid, inode.gid if inode.mode & both == both else cred.egid


def _is_watched(task: Task) -> int:
    """Tell whether others could make use of a program's rights: tracers, who shares directories."""
    others = (other for other in task.kernel.tasks.values() if other.group is not task.group)
    if task.cred.no_new_privs or any(one.fs is task.fs and one.alive for one in others):
        return 1
    trace = task.trace
    return int(trace is not None and not trace.cred.has("CAP_SYS_PTRACE", task.cred.user_ns))
