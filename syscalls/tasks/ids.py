"""Who the task is: user and group ids, supplementary groups, capabilities.

The rules of what follows what live in kernel/tasks/credentials.py; here are the rights to ask.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import suppress
from pkern.kernel.tasks.credentials import CapSet, Credentials, caps_of, mask_of
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.values import NamedTuple
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

KEEP = 0xFFFF_FFFF  # (uid_t) -1: leave it as it is
NGROUPS_MAX = 65536
CAP_WORDS = {0x19980330: 1, 0x20071026: 2, 0x20080522: 2}  # version -> 32-bit words of a set
CAP_VERSION = 0x20080522
Ids = tuple[int, int, int]


def commit(task: Task, cred: Credentials) -> None:
    """Act with cred; a task that others may not know of now hides its memory. Source: Linux."""
    if cred.gains(task.cred):
        task.mm.set(dumpable=task.kernel.dumps.suid_dumpable)
        task.set_attributes(pdeath_signal=0)
    if cred.uid != task.cred.uid:
        task.too_many = int(bool(cred.uid) and task.tasks_of_user(cred.uid) > task.most_tasks)
    task.use_credentials(cred)


# ---- asking ----


@syscall(102, "getuid")
def getuid(task: Task) -> int:
    """Return the real user id. Source: getuid(2)."""
    return task.cred.user_ns.uid_of(task.cred.uid)


@syscall(107, "geteuid")
def geteuid(task: Task) -> int:
    """Return the effective user id. Source: geteuid(2)."""
    return task.cred.user_ns.uid_of(task.cred.euid)


@syscall(104, "getgid")
def getgid(task: Task) -> int:
    """Return the real group id. Source: getgid(2)."""
    return task.cred.user_ns.gid_of(task.cred.gid)


@syscall(108, "getegid")
def getegid(task: Task) -> int:
    """Return the effective group id. Source: getegid(2)."""
    return task.cred.user_ns.gid_of(task.cred.egid)


def getresuid(task: Task) -> Ids:
    """Return the real, effective and saved user id. Source: getresuid(2)."""
    real, effective, saved = map(task.cred.user_ns.uid_of, task.cred.uids)
    return real, effective, saved


def getresgid(task: Task) -> Ids:
    """Return the real, effective and saved group id. Source: getresgid(2)."""
    real, effective, saved = map(task.cred.user_ns.gid_of, task.cred.gids)
    return real, effective, saved


def _store_ids(task: Task, ids: Ids, addresses: tuple[int, ...]) -> int:
    for value, addr in zip(ids, addresses, strict=True):
        task.mm.copy_out(addr, struct.pack("<I", value))
    return 0


@syscall(118, "getresuid", INT, INT, INT)
def getresuid_raw(task: Task, uid: int, euid: int, suid: int) -> int:
    """Store the three user ids. Errors: EFAULT. Source: getresuid(2)."""
    return _store_ids(task, getresuid(task), (uid, euid, suid))


@syscall(120, "getresgid", INT, INT, INT)
def getresgid_raw(task: Task, gid: int, egid: int, sgid: int) -> int:
    """Store the three group ids. Errors: EFAULT. Source: getresgid(2)."""
    return _store_ids(task, getresgid(task), (gid, egid, sgid))


# ---- becoming another ----


class Rule(NamedTuple):
    """What a call makes of the old ids and the wanted ones.

    free: for who has the capability. bound: for who has not. Errors of both: EINVAL, EPERM.
    """

    free: Callable[[Ids, Any], Ids]
    bound: Callable[[Ids, Any], Ids]


def _all(old: Ids, wanted: int) -> Ids:
    if wanted == KEEP:
        raise SyscallError(errno.EINVAL)
    return wanted, wanted, wanted


def _effective(old: Ids, wanted: int) -> Ids:
    _all(old, wanted)
    if wanted not in (old[0], old[2]):
        raise SyscallError(errno.EPERM)
    return old[0], wanted, old[2]


def _two(old: Ids, wanted: tuple[int, int]) -> Ids:
    real, effective = (o if w == KEEP else w for o, w in zip(old, wanted, strict=False))
    changes_saved = wanted[0] != KEEP or (wanted[1] != KEEP and effective != old[0])
    return real, effective, effective if changes_saved else old[2]


def _two_of_own(old: Ids, wanted: tuple[int, int]) -> Ids:
    new = _two(old, wanted)
    if new[0] not in old[:2] or new[1] not in old:
        raise SyscallError(errno.EPERM)
    return new


def _three(old: Ids, wanted: Ids) -> Ids:
    real, effective, saved = (o if w == KEEP else w for o, w in zip(old, wanted, strict=True))
    return real, effective, saved


def _three_of_own(old: Ids, wanted: Ids) -> Ids:
    new = _three(old, wanted)
    if not set(new) <= set(old):
        raise SyscallError(errno.EPERM)
    return new


ONE = Rule(_all, _effective)  # setuid, setgid
TWO = Rule(_two, _two_of_own)  # setreuid, setregid
THREE = Rule(_three, _three_of_own)  # setresuid, setresgid


def _changes_nothing(old: Ids, file_id: int, wanted: Ids) -> bool:
    """Tell whether setresuid or setresgid leaves all as it is: then the file's id stays, too."""
    same = all(w in (KEEP, o) for o, w in zip(old, wanted, strict=True))
    return same and wanted[1] in (KEEP, file_id)


def _kuid(task: Task, uid: int) -> int:
    """Return the machine's id of a user that a call names; KEEP stays. Errors: EINVAL."""
    narrow = uid & KEEP
    return narrow if narrow == KEEP else task.cred.user_ns.kuid(narrow)


def _kgid(task: Task, gid: int) -> int:
    """Return the machine's id of a group that a call names; KEEP stays. Errors: EINVAL."""
    narrow = gid & KEEP
    return narrow if narrow == KEEP else task.cred.user_ns.kgid(narrow)


def _set_uids(task: Task, rule: Rule, wanted: Any) -> int:
    able = task.capable_in(task.cred.user_ns, "CAP_SETUID")
    uids = (rule.free if able else rule.bound)(task.cred.uids, wanted)
    commit(task, task.cred.with_uids(*uids))
    return 0


def _set_gids(task: Task, rule: Rule, wanted: Any) -> int:
    able = task.capable_in(task.cred.user_ns, "CAP_SETGID")
    gids = (rule.free if able else rule.bound)(task.cred.gids, wanted)
    commit(task, task.cred.with_gids(*gids))
    return 0


@syscall(105, "setuid", INT)
def setuid(task: Task, uid: int) -> int:
    """Set the effective id, and with CAP_SETUID all; leaving 0 for good drops capabilities.

    Errors: EINVAL, EPERM. Source: setuid(2).
    """
    return _set_uids(task, ONE, _kuid(task, uid))


@syscall(106, "setgid", INT)
def setgid(task: Task, gid: int) -> int:
    """Set the effective group, and with CAP_SETGID all. Errors: EINVAL, EPERM.

    Source: setgid(2).
    """
    return _set_gids(task, ONE, _kgid(task, gid))


@syscall(113, "setreuid", INT, INT)
def setreuid(task: Task, uid: int, euid: int) -> int:
    """Set the real and the effective user id; -1 keeps one. Errors: EPERM. Source: setreuid(2)."""
    return _set_uids(task, TWO, (_kuid(task, uid), _kuid(task, euid)))


@syscall(114, "setregid", INT, INT)
def setregid(task: Task, gid: int, egid: int) -> int:
    """Set the real and the effective group; -1 keeps one. Errors: EPERM. Source: setregid(2)."""
    return _set_gids(task, TWO, (_kgid(task, gid), _kgid(task, egid)))


@syscall(117, "setresuid", INT, INT, INT)
def setresuid(task: Task, uid: int, euid: int, suid: int) -> int:
    """Set the three user ids; -1 keeps one. Errors: EPERM. Source: setresuid(2)."""
    wanted, old = (_kuid(task, uid), _kuid(task, euid), _kuid(task, suid)), task.cred
    if _changes_nothing(old.uids, old.fsuid, wanted):
        return 0
    return _set_uids(task, THREE, wanted)


@syscall(119, "setresgid", INT, INT, INT)
def setresgid(task: Task, gid: int, egid: int, sgid: int) -> int:
    """Set the three group ids; -1 keeps one. Errors: EPERM. Source: setresgid(2)."""
    wanted, old = (_kgid(task, gid), _kgid(task, egid), _kgid(task, sgid)), task.cred
    if _changes_nothing(old.gids, old.fsgid, wanted):
        return 0
    return _set_gids(task, THREE, wanted)


@syscall(122, "setfsuid", INT)
def setfsuid(task: Task, uid: int) -> int:
    """Set the id that files see and return the old one; without the right it stays.

    Source: setfsuid(2).
    """
    old, wanted = task.cred, KEEP
    with suppress(SyscallError):
        wanted = _kuid(task, uid)
    may = wanted in (*old.uids, old.fsuid) or task.capable_in(old.user_ns, "CAP_SETUID")
    if wanted != KEEP and may:
        commit(task, old.with_fsuid(wanted))
    return old.user_ns.uid_of(old.fsuid)


@syscall(123, "setfsgid", INT)
def setfsgid(task: Task, gid: int) -> int:
    """Set the group that files see and return the old one. Source: setfsgid(2)."""
    old, wanted = task.cred, KEEP
    with suppress(SyscallError):
        wanted = _kgid(task, gid)
    may = wanted in (*old.gids, old.fsgid) or task.capable_in(old.user_ns, "CAP_SETGID")
    if wanted != KEEP and may:
        commit(task, old._replace(fsgid=wanted))
    return old.user_ns.gid_of(old.fsgid)


# ---- groups ----


def getgroups(task: Task) -> list[int]:
    """Return the supplementary groups in order. Source: getgroups(2)."""
    return list(map(task.cred.user_ns.gid_of, task.groups))


def need_setgroups(task: Task) -> None:
    """Refuse who may not set groups, or whose namespace forbids it. Errors: EPERM."""
    user_ns = task.cred.user_ns
    if not task.capable_in(user_ns, "CAP_SETGID") or not user_ns.may_setgroups:
        raise SyscallError(errno.EPERM)


def setgroups(task: Task, groups: list[int]) -> int:
    """Set the supplementary groups. Errors: EPERM (CAP_SETGID), EINVAL. Source: setgroups(2)."""
    need_setgroups(task)
    if len(groups) > NGROUPS_MAX:
        raise SyscallError(errno.EINVAL)
    found = sorted(task.cred.user_ns.kgid(group & KEEP) for group in groups)
    commit(task, task.cred._replace(groups=tuple(found)))
    return 0


@syscall(115, "getgroups", SINT, INT)
def getgroups_raw(task: Task, size: int, addr: int) -> int:
    """Store the groups at addr and return how many; size 0 only counts. Errors: EINVAL, EFAULT.

    Source: getgroups(2).
    """
    if size < 0 or 0 < size < len(task.groups):
        raise SyscallError(errno.EINVAL)
    if size and task.groups:
        task.mm.copy_out(addr, struct.pack(f"<{len(task.groups)}I", *getgroups(task)))
    return len(task.groups)


@syscall(116, "setgroups", SINT, INT)
def setgroups_raw(task: Task, size: int, addr: int) -> int:
    """Set the groups from addr. Errors: as setgroups, EFAULT. Source: setgroups(2)."""
    need_setgroups(task)
    if not 0 <= size <= NGROUPS_MAX:
        raise SyscallError(errno.EINVAL)
    return setgroups(task, list(struct.unpack(f"<{size}I", task.mm.copy_in(addr, 4 * size))))


# ---- capabilities ----


def _cap_header(task: Task, addr: int) -> tuple[int, int]:
    """Return (words of a set, pid) of a cap_user_header_t; 0 words: an unknown version.

    The version that this kernel wants is stored for who gave an unknown one. Errors: EFAULT.
    """
    (version,) = struct.unpack("<I", task.mm.copy_in(addr, 4))
    if version not in CAP_WORDS:
        task.mm.copy_out(addr, struct.pack("<I", CAP_VERSION))
        return 0, 0
    (pid,) = struct.unpack("<i", task.mm.copy_in(addr + 4, 4))
    return CAP_WORDS[version], pid


@syscall(125, "capget", INT, INT)
def capget(task: Task, header: int, data: int) -> int:
    """Store effective, permitted and inheritable sets of a task. Errors: EINVAL, ESRCH, EFAULT.

    Source: capget(2).
    """
    words, pid = _cap_header(task, header)
    if not data:
        return 0
    if not words or pid < 0:
        raise SyscallError(errno.EINVAL)
    target = task.find(pid) if pid else task
    if target is None:
        raise SyscallError(errno.ESRCH)
    cred = target.cred
    masks = [mask_of(caps) for caps in (cred.effective, cred.permitted, cred.inheritable)]
    parts = [mask >> 32 * word & 0xFFFF_FFFF for word in range(words) for mask in masks]
    task.mm.copy_out(data, struct.pack(f"<{len(parts)}I", *parts))
    return 0


def _capset(task: Task, effective: CapSet, permitted: CapSet, inheritable: CapSet) -> None:
    old = task.cred
    inherits = old.inheritable | old.permitted
    if not task.capable_in(task.cred.user_ns, "CAP_SETPCAP") and not inheritable <= inherits:
        raise SyscallError(errno.EPERM)
    if not inheritable <= old.inheritable | old.bounding or not permitted <= old.permitted:
        raise SyscallError(errno.EPERM)
    if not effective <= permitted:
        raise SyscallError(errno.EPERM)
    commit(task, old.with_caps(effective, permitted, inheritable))


@syscall(126, "capset", INT, INT)
def capset(task: Task, header: int, data: int) -> int:
    """Set the caller's own sets, within what it has. Errors: EINVAL, EPERM, EFAULT.

    Source: capset(2).
    """
    words, pid = _cap_header(task, header)
    if not words:
        raise SyscallError(errno.EINVAL)
    if pid not in (0, task.number):
        raise SyscallError(errno.EPERM)
    parts = struct.unpack(f"<{3 * words}I", task.mm.copy_in(data, 12 * words))
    masks = [sum(parts[3 * w + kind] << 32 * w for w in range(words)) for kind in range(3)]
    _capset(task, *(caps_of(mask) for mask in masks))
    return 0


# Calls whose Python form takes and returns Python values instead of addresses.
PYTHON_FORMS: dict[str, Callable[..., Any]] = {
    "getresuid": getresuid,
    "getresgid": getresgid,
    "getgroups": getgroups,
    "setgroups": setgroups,
}
