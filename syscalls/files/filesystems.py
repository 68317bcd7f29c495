"""The types of file systems that programs mount, and what a mount may ask of each."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.mm import hugetlb
from pkern.kernel.mm import policy as policies
from pkern.kernel.numbers import is_decimal
from pkern.kernel.tty.devpts import MOST_TERMINALS, DevPts
from pkern.kernel.vfs.fs.hugetlbfs import HugetlbFs
from pkern.kernel.vfs.fs.tmpfs import TmpFs
from pkern.kernel.vfs.inode import PAGE_SIZE
from pkern.kernel.vfs.proc.procfs import ProcFs

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

IN_USER_NAMESPACES = ("tmpfs", "ramfs", "proc", "devpts")
COMMA = re.compile(r",(?!\d)")  # others are between the nodes of mpol=
OCTAL = frozenset("01234567")
UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def _size(text: str, ram: int) -> int:
    """Return bytes for "64m", "50%" or a number. Errors: EINVAL."""
    number, unit = (text[:-1], text[-1].lower()) if not is_decimal(text[-1:]) else (text, "")
    if not is_decimal(number) or unit not in ("", "%", *UNITS):
        raise SyscallError(errno.EINVAL)
    return int(number) * ram // 100 if unit == "%" else int(number) * UNITS.get(unit, 1)


def _octal(text: str) -> int:
    if not text or not set(text) <= OCTAL:
        raise SyscallError(errno.EINVAL)
    return int(text, 8) & 0o7777


def _number(text: str) -> int:
    if not is_decimal(text):
        raise SyscallError(errno.EINVAL)
    return int(text)


def _set_size(fs: TmpFs, text: str) -> None:
    pages = -(-_size(text, fs.kernel.memory.ram) // PAGE_SIZE) or fs.usual_pages
    if pages < fs.quota.used:
        raise SyscallError(errno.EINVAL)
    fs.quota.max = pages


def _set_inodes(fs: TmpFs, text: str) -> None:
    nr = _size(text, 0)
    if nr and nr < fs.root.count():
        raise SyscallError(errno.EINVAL)
    fs.max_inodes = nr or None


def _set_mode(fs: TmpFs, text: str) -> None:
    fs.root.mode = _octal(text)
    fs.given["mode"] = f"{fs.root.mode:03o}"


def _set_uid(fs: TmpFs, text: str) -> None:
    fs.root.uid = _number(text)
    fs.given["uid"] = text


def _set_gid(fs: TmpFs, text: str) -> None:
    fs.root.gid = _number(text)
    fs.given["gid"] = text


def _set_policy(fs: TmpFs, text: str) -> None:
    """Choose the nodes of the pages of files made from now on; "default" leaves what there is."""
    policy = policies.parse(text, fs.kernel.memory.all_nodes)
    if policy != policies.DEFAULT:
        fs.policy = policy


def _set_page_size(fs: TmpFs, text: str) -> None:
    if _size(text, 0) != hugetlb.HUGE_SIZE:
        raise SyscallError(errno.EINVAL)


def _set_slave_mode(fs: DevPts, text: str) -> None:
    fs.mode = _octal(text) & 0o777


def _set_ptmx_mode(fs: DevPts, text: str) -> None:
    fs.ptmx.mode = _octal(text) & 0o777


def _set_slave_uid(fs: DevPts, text: str) -> None:
    fs.uid = _number(text)


def _set_slave_gid(fs: DevPts, text: str) -> None:
    fs.gid = _number(text)


def _set_most(fs: DevPts, text: str) -> None:
    if _number(text) > MOST_TERMINALS:
        raise SyscallError(errno.EINVAL)
    fs.max = _number(text)


def _set_nothing(fs: DevPts, text: str) -> None:
    """Each mount is a new instance anyway."""


Setter = Callable[[Any, str], None]
OWNER: dict[str, Setter] = {"mode": _set_mode, "uid": _set_uid, "gid": _set_gid}
LIMITS: dict[str, Setter] = {"size": _set_size, "nr_inodes": _set_inodes, "mpol": _set_policy}
# What a mount may ask of each type; a second one (MS_REMOUNT) may change the limits.
OPTIONS: dict[type[Any], dict[str, Setter]] = {
    TmpFs: OWNER | LIMITS,
    HugetlbFs: OWNER | {"pagesize": _set_page_size},
    DevPts: {
        "uid": _set_slave_uid,
        "gid": _set_slave_gid,
        "mode": _set_slave_mode,
        "ptmxmode": _set_ptmx_mode,
        "max": _set_most,
        "newinstance": _set_nothing,
    },
}
FILE_SYSTEMS: dict[str, type[Any]] = {
    "tmpfs": TmpFs, "ramfs": TmpFs, "hugetlbfs": HugetlbFs, "proc": ProcFs, "devpts": DevPts,
}  # fmt: skip


def apply(task: Task, fs: Any, text: str, changing: dict[str, Setter]) -> None:
    """Set options "name=value,..."; those of its type that may not change now are passed over.

    Errors: EINVAL for one that its type does not have.
    """
    known = OPTIONS.get(type(fs))
    if known is None:
        return  # proc takes what comes
    for option in filter(None, COMMA.split(text)):
        name, _, value = option.partition("=")
        if name not in known:
            raise SyscallError(errno.EINVAL)
        if name in changing:
            set_option(task, fs, changing[name], name, value)


def set_option(task: Task, fs: Any, setter: Setter, name: str, value: str) -> None:
    """Set one option of a file system. Errors: EINVAL."""
    setter(fs, _kernel_id(task, name, value))


def _kernel_id(task: Task, name: str, value: str) -> str:
    """Return the value of an option, of the ids the machine's. Errors: EINVAL."""
    own = task.cred.user_ns
    if name not in ("uid", "gid") or not own.level:
        return value
    return str(own.kuid(_number(value)) if name == "uid" else own.kgid(_number(value)))


# ---- new ones ----


def need_power_over_type(task: Task, fstype: str) -> None:
    """Refuse who may not make a file system of a type. Errors: EPERM.

    Not in a user namespace, or (proc) not of the pid namespace that it would show.
    """
    own = task.nsproxy.mnt.user
    if own.level and fstype not in IN_USER_NAMESPACES:
        raise SyscallError(errno.EPERM)
    if fstype == "proc" and not task.capable_in(task.pid_ns.user, "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)


def new_file_system(task: Task, fstype: str) -> Any:
    """Return a file system of a type, the caller's; /proc is of its pid namespace."""
    made = FILE_SYSTEMS[fstype](task.kernel, *((task.pid_ns,) if fstype == "proc" else ()))
    if isinstance(made, TmpFs):
        made.root.uid, made.root.gid = task.uid, task.gid
    made.user = task.pid_ns.user if fstype == "proc" else task.cred.user_ns
    return made
