"""Whose rights a new program has: set-user-ID and set-group-ID bits, and what holds them back.

Source: execve(2), capabilities(7); bprm_fill_uid() and cap_bprm_creds_from_file() of Linux 6.18.
Capabilities of files: kernel/vfs/filecaps.py.
"""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import FIRST
from pkern.kernel.tasks.credentials import (
    NO_CAPS,
    SECURE_KEEP_CAPS,
    SECURE_NOROOT,
    CapSet,
    Credentials,
    caps_of,
)
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import FILE_CAPS, S_ISGID, S_ISUID
from pkern.kernel.vfs.mounts import NOSUID

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.filecaps import FileCaps

GROUP_EXEC = 0o010


class Rights(NamedTuple):
    """Credentials of a program; secure: 1: it has more than who runs it (AT_SECURE)."""

    cred: Credentials
    secure: int


def rights_of(task: Task, file: File) -> Rights:
    """Return the rights with which a task runs a file."""
    return of_program(task.cred, *_ids_of(task, file), _is_watched(task), _caps_of(task, file))


def of_program(
    old: Credentials, euid: int, egid: int, watched: int, caps: FileCaps | None = None
) -> Rights:
    """Return the rights of a program that is to have these effective ids.

    Root's are full, but for one who is so only by the file and gets capabilities by it; others'
    are the file's and the ambient set. watched: 1: others could use what it gains. Errors: EPERM:
    it cannot have all that it counts on.
    """
    root = old.user_ns.root
    permitted, full = _by_file(old, caps) if caps is not None else (NO_CAPS, False)
    mixed = caps is not None and old.uid != root and euid == root
    if root in (old.uid, euid) and not old.securebits & SECURE_NOROOT and not mixed:
        permitted = old.bounding | old.inheritable
        full = full or euid == root
    changed = euid != old.euid or egid not in (old.fsgid, *old.groups)
    if watched and (changed or not permitted <= old.permitted):
        if old.no_new_privs or "CAP_SETUID" not in old.effective:
            euid, egid = old.euid, old.egid
        permitted &= old.permitted
    ambient = NO_CAPS if changed or caps is not None else old.ambient
    permitted |= ambient
    new = old._replace(
        euid=euid, suid=euid, fsuid=euid, egid=egid, sgid=egid, fsgid=egid,
        permitted=permitted, effective=permitted if full else ambient, ambient=ambient,
        securebits=old.securebits & ~SECURE_KEEP_CAPS,
    )  # fmt: skip
    grown = old.uid != root and (full or not permitted <= ambient)
    secure = changed or (euid, egid) != (old.uid, old.gid) or grown
    return Rights(new, int(secure))


def _by_file(old: Credentials, caps: FileCaps) -> tuple[CapSet, bool]:
    """Return what a file's capabilities permit, and whether it is effective. Errors: EPERM."""
    forced = caps_of(caps.permitted)
    found = (old.bounding & forced) | (old.inheritable & caps_of(caps.inheritable))
    if caps.effective and not forced <= found:
        raise SyscallError(errno.EPERM)
    return found, bool(caps.effective)


def _caps_of(task: Task, file: File) -> FileCaps | None:
    """Return the capabilities of a file that count for a task. Errors: EINVAL."""
    mount = file.mount
    if FILE_CAPS not in file.inode.xattrs:
        return None
    if mount is None or mount.flags & NOSUID or mount.namespace is not task.nsproxy.mnt:
        return None
    owner = getattr(mount.fs, "user", FIRST)
    if not task.cred.user_ns.is_seen_from(owner):
        return None
    found: FileCaps | None = late.load("pkern.kernel.vfs.filecaps").caps_of_file(
        file.inode, task.cred.user_ns
    )
    return found


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
