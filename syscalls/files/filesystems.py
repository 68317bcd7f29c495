"""The types of file systems that programs mount, and what a mount may ask of each."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_ERR
from pkern.kernel.mm import policy as policies
from pkern.kernel.mm import policy_asked
from pkern.kernel.namespaces.base import PID
from pkern.kernel.namespaces.pid import PidNamespace
from pkern.kernel.tty.devpts import MOST_TERMINALS, DevPts
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.fs.hugetlbfs import FILE_KINDS, HugetlbFs
from pkern.kernel.vfs.fs.nsfs import NsInode
from pkern.kernel.vfs.fs.ramfs import RamFs
from pkern.kernel.vfs.fs.tmpfs import NO_LIMIT, TmpFs
from pkern.kernel.vfs.inode import PAGE_SIZE, Inode
from pkern.kernel.vfs.mounts import (
    DIRSYNC,
    LAZYTIME,
    MANDLOCK,
    OF_REMOUNT,
    RDONLY,
    SYNCHRONOUS,
    FsFlags,
)
from pkern.kernel.vfs.proc.hiding import NAMES as HIDEPIDS
from pkern.kernel.vfs.proc.procfs import ProcFs

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

IN_USER_NAMESPACES = ("tmpfs", "ramfs", "proc", "devpts")
COMMA = re.compile(r",(?!\d)")  # others are between the nodes of mpol=
UNITS = " kmgtpe"  # each 1024 of the one before
NUMBER = re.compile("0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")  # in C's notation
OCTAL = re.compile("[0-7]+")
WORD = (1 << 64) - 1
NO_ID = (1 << 32) - 1
INODE_BYTES = 1024  # what Linux takes an inode for where a mount asks for too many


class Wish(NamedTuple):
    """An option and its value."""

    name: str
    text: str


class Refusal(SyscallError):
    """The error of an option where it is known what is wrong, or said in another way."""

    def __init__(self, number: int, said: str) -> None:
        super().__init__(number)
        self.said = said


def _memparse(text: str) -> tuple[int, str]:
    """Return bytes of "64m" or "0x10", modulo 2^64, and what stands behind, as Linux's memparse."""
    found = NUMBER.match(text)
    rest = text[found.end() :] if found else text
    value = _c_number(found[0]) if found else 0
    if rest and rest[0] in "kmgtpeKMGTPE":
        value <<= 10 * UNITS.index(rest[0].lower())
        rest = rest[1:]
    return value & WORD, rest


def _c_number(digits: str) -> int:
    """Return the value of what NUMBER has found."""
    return int(digits, 16 if digits[1:2] in ("x", "X") else 8 if digits[0] == "0" else 10)


def _size(text: str, ram: int) -> int:
    """Return bytes for "64m", "50%" of ram or a number. Errors: EINVAL."""
    value, rest = _memparse(text)
    if not text or rest not in ("", "%"):
        raise SyscallError(errno.EINVAL)
    return value * ram // 100 if rest else value


def _count(text: str) -> int:
    """Return a number that may have a unit. Errors: EINVAL."""
    value, rest = _memparse(text)
    if not text or rest:
        raise SyscallError(errno.EINVAL)
    return value


def _need_octal(fs: Any, text: str) -> None:
    _octal(text)  # it stays as it is


def _need_number(fs: Any, text: str) -> None:
    number_of(text)  # it stays as it is


def _digits(text: str) -> str:
    """Return a number without what Linux's kstrtox() passes over: a plus, the end of a line."""
    return text.removeprefix("+").removesuffix("\n")


def _octal(text: str) -> int:
    text = _digits(text)
    if not OCTAL.fullmatch(text) or int(text, 8) > NO_ID:
        raise SyscallError(errno.EINVAL)
    return int(text, 8) & 0o7777


def number_of(text: str) -> int:
    """Return an option's number of 32 bits. Errors: EINVAL."""
    text = _digits(text)
    if not NUMBER.fullmatch(text) or _c_number(text) > NO_ID:
        raise SyscallError(errno.EINVAL)
    return _c_number(text)


def _set_size(fs: TmpFs, text: str) -> None:
    nbytes = _size(text, fs.kernel.memory.ram)
    pages = (nbytes + PAGE_SIZE - 1 & WORD) // PAGE_SIZE
    if pages and (pages < fs.quota.used or fs.is_unlimited):
        raise SyscallError(errno.EINVAL)
    fs.quota.max = pages or NO_LIMIT


def _set_blocks(fs: TmpFs, text: str) -> None:
    if _count(text) > NO_LIMIT // PAGE_SIZE:
        raise SyscallError(errno.EINVAL)
    _set_size(fs, str(_count(text) * PAGE_SIZE))


def _set_inodes(fs: TmpFs, text: str) -> None:
    nr = _count(text)
    if nr > WORD // INODE_BYTES:
        raise SyscallError(errno.EINVAL)
    if nr and (nr < fs.nr_inodes or fs.max_inodes == 0):
        raise SyscallError(errno.EINVAL)
    fs.max_inodes = nr


def _set_huge(fs: TmpFs, text: str) -> None:
    if text not in ("never", "always", "within_size", "advise"):
        raise SyscallError(errno.EINVAL)
    fs.huge = text


def _set_inode64(fs: TmpFs, text: str) -> None:
    fs.inode64 = 1


def _set_inode32(fs: TmpFs, text: str) -> None:
    fs.inode64 = 0


def _set_noswap(fs: Any, text: str) -> None:
    """Let all pages stay in memory; not for who is root in a user namespace alone."""
    if fs.user.level:
        raise SyscallError(errno.EINVAL)
    fs.noswap = 1


def _keep_noswap(fs: TmpFs, text: str) -> None:
    """What swaps goes on to."""
    if not fs.noswap:
        raise SyscallError(errno.EINVAL)


def _set_mode(fs: TmpFs, text: str) -> None:
    fs.root.mode = _octal(text)
    fs.given["mode"] = f"{fs.root.mode:0{fs.mode_digits}o}"


def _set_uid(fs: TmpFs, text: str) -> None:
    fs.root.uid = number_of(text)
    fs.given["uid"] = str(fs.root.uid)


def _set_gid(fs: TmpFs, text: str) -> None:
    fs.root.gid = number_of(text)
    fs.given["gid"] = str(fs.root.gid)


def _set_policy(fs: TmpFs, text: str) -> None:
    """Choose the nodes of the pages of files made from now on; "default" leaves what there is."""
    policy = policy_asked.parse(text, fs.kernel.memory.all_nodes)
    if policy != policies.DEFAULT:
        fs.policy = policy


def _set_page_size(fs: HugetlbFs, text: str) -> None:
    fs.use_pages(_page_size(fs, text))


def _need_page_size(fs: HugetlbFs, text: str) -> None:
    _page_size(fs, text)  # it stays as it is


def _page_size(fs: HugetlbFs, text: str) -> int:
    """Return a size of large pages. Errors: EINVAL: the kernel's log is told, whoever asks."""
    size, rest = _memparse(text)
    if rest or size not in FILE_KINDS:
        said = f"hugetlbfs: Unsupported page size {size >> 20} MB"
        fs.kernel.log.write(KERN_ERR, said)
        raise SyscallError(errno.EINVAL)
    return size


def _huge_size(text: str) -> tuple[int, str]:
    """Return a number and "%" or ""; what else stands behind it is passed over. Errors: EINVAL."""
    if not text[:1].isdigit():
        raise SyscallError(errno.EINVAL)
    value, rest = _memparse(text)
    return value, rest[:1] if rest[:1] == "%" else ""


def _set_huge_size(fs: HugetlbFs, text: str) -> None:
    fs.sizes["size"] = _huge_size(text)


def _set_min_size(fs: HugetlbFs, text: str) -> None:
    fs.sizes["min_size"] = _huge_size(text)


def _set_huge_inodes(fs: HugetlbFs, text: str) -> None:
    fs.max_inodes = _huge_size(text)[0]


def _set_huge_mode(fs: HugetlbFs, text: str) -> None:
    _set_mode(fs, f"{_octal(text) & 0o1777:o}")


def _need_size(fs: HugetlbFs, text: str) -> None:
    _huge_size(text)  # it stays as it is


def _set_slave_mode(fs: DevPts, text: str) -> None:
    fs.mode = _octal(text)


def _set_ptmx_mode(fs: DevPts, text: str) -> None:
    fs.ptmx.mode = _octal(text)


def _set_slave_uid(fs: DevPts, text: str) -> None:
    fs.uid = number_of(text)


def _set_slave_gid(fs: DevPts, text: str) -> None:
    fs.gid = number_of(text)


def _set_most(fs: DevPts, text: str) -> None:
    if number_of(text) > MOST_TERMINALS:
        raise Refusal(errno.EINVAL, "max out of range")
    fs.max = number_of(text)


def _set_nothing(fs: DevPts, text: str) -> None:
    """Each mount is a new instance anyway."""


def _set_proc_gid(fs: ProcFs, text: str) -> None:
    fs.hiding.gid = number_of(text)


def _set_hidepid(fs: ProcFs, text: str) -> None:
    """Choose by number or name from whom processes are hidden."""
    numbers = {name: number for number, name in HIDEPIDS.items()}
    number = numbers[text] if text in numbers else number_of(text)
    if number not in HIDEPIDS:
        raise SyscallError(errno.EINVAL)
    fs.hiding.hidepid = number


def _named(task: Task, path: str) -> Inode:
    if not path:
        raise SyscallError(errno.EINVAL)
    try:
        return task.kernel.vfs.resolve(task, path)
    except SyscallError as error:
        raise Refusal(error.number, "proc: could not get file from pidns argument") from None


def pid_ns_of(task: Task, inode: Inode) -> str:
    """Return the number of the pid namespace that a file stands for, to be given to pidns=.

    Errors: EINVAL: it stands for none, or for one that the caller's is not above; EPERM.
    """
    if not isinstance(inode, NsInode):
        raise Refusal(errno.EINVAL, "proc: pidns argument is not an nsfs file")
    space = inode.namespace
    if not isinstance(space, PidNamespace):
        raise Refusal(errno.EINVAL, "proc: pidns argument is not a pidns file")
    if not task.capable_in(space.user, "CAP_SYS_ADMIN"):
        raise Refusal(errno.EPERM, "proc: insufficient permissions to set pidns")
    above: PidNamespace | None = space
    while above is not None and above is not task.pid_ns:
        above = above.above
    if above is None:
        raise Refusal(errno.EINVAL, "proc: cannot set pidns to non-descendant pidns")
    return str(space.number)


def _set_pid_ns(fs: Any, text: str) -> None:
    every = fs.kernel.namespaces.of_kind(PID)
    shown = next(one for one in every if str(one.number) == text)
    fs.show(shown)
    fs.user = shown.user


def show_pid_ns(task: Task, fs: ProcFs, file: File) -> None:
    """Let a new proc show the pid namespace that is open. Errors: EINVAL, EPERM."""
    if file.is_path:
        raise SyscallError(errno.EINVAL)
    _set_pid_ns(fs, pid_ns_of(task, file.inode))


def _keep_pid_ns(fs: ProcFs, text: str) -> None:
    if not text:
        raise SyscallError(errno.EINVAL)
    raise Refusal(errno.EBUSY, "proc: cannot reconfigure pidns for existing procfs")


def _set_subset(fs: ProcFs, text: str) -> None:
    if text != "pid":
        raise SyscallError(errno.EINVAL)
    fs.hiding.only_pids = 1


Setter = Callable[[Any, str], None]
Setters = dict[type[Any], dict[str, Setter]]
Refuse = Callable[[str], SyscallError]  # notes what is wrong, and returns the error
OWNER: dict[str, Setter] = {"mode": _set_mode, "uid": _set_uid, "gid": _set_gid}
KEPT: dict[str, Setter] = {"mode": _need_octal, "uid": _need_number, "gid": _need_number}
HUGE_SIZES = ("size", "min_size", "nr_inodes")
LIMITS: dict[str, Setter] = {
    "size": _set_size,
    "nr_blocks": _set_blocks,
    "nr_inodes": _set_inodes,
    "mpol": _set_policy,
    "huge": _set_huge,
    "inode32": _set_inode32,
    "inode64": _set_inode64,
}
TERMINALS: dict[str, Setter] = {
    "uid": _set_slave_uid,
    "gid": _set_slave_gid,
    "mode": _set_slave_mode,
    "ptmxmode": _set_ptmx_mode,
    "max": _set_most,
    "newinstance": _set_nothing,
}
PROCESSES: dict[str, Setter] = {
    "gid": _set_proc_gid,
    "hidepid": _set_hidepid,
    "subset": _set_subset,
    "pidns": _set_pid_ns,
}
VALUELESS = frozenset({"newinstance", "inode32", "inode64", "noswap"})
# What a mount may ask of each type; other types take what comes.
OPTIONS: Setters = {
    TmpFs: OWNER | LIMITS | {"noswap": _set_noswap},
    RamFs: {"mode": _set_mode},
    HugetlbFs: OWNER
    | {
        "mode": _set_huge_mode,
        "size": _set_huge_size,
        "min_size": _set_min_size,
        "nr_inodes": _set_huge_inodes,
        "pagesize": _set_page_size,
    },
    DevPts: TERMINALS,
    ProcFs: PROCESSES,
}
PLAIN_IDS = ProcFs  # of it an id may be any number
TOLERANT = RamFs  # it passes over what it does not know
# What may be changed later, by MS_REMOUNT or fspick.
LATER: Setters = {
    RamFs: {"mode": _need_octal},
    HugetlbFs: KEPT | dict.fromkeys(HUGE_SIZES, _need_size) | {"pagesize": _need_page_size},
    TmpFs: KEPT | LIMITS | {"noswap": _keep_noswap},
    DevPts: TERMINALS,
    ProcFs: PROCESSES | {"pidns": _keep_pid_ns},
}
SAME = {"nr_blocks": "size"}  # the last of both counts
TRIED = ["pagesize", *OWNER, *LIMITS, "min_size", "noswap", *TERMINALS, *PROCESSES]
# Flags of any file system, as words: MS_* that are set, of those that are meant.
FLAGS = {
    "ro": (RDONLY, RDONLY),
    "rw": (0, RDONLY),
    "sync": (SYNCHRONOUS, SYNCHRONOUS),
    "async": (0, SYNCHRONOUS),
    "dirsync": (DIRSYNC, DIRSYNC),
    "mand": (MANDLOCK, MANDLOCK),
    "nomand": (0, MANDLOCK),
    "lazytime": (LAZYTIME, LAZYTIME),
    "nolazytime": (0, LAZYTIME),
}
FILE_SYSTEMS: dict[str, type[Any]] = {
    "tmpfs": TmpFs, "ramfs": RamFs, "hugetlbfs": HugetlbFs, "proc": ProcFs, "devpts": DevPts,
}  # fmt: skip


def apply(task: Task, fs: Any, text: str, said: FsFlags, changing: Setters) -> FsFlags:
    """Set options "name=value,..."; those of its type that may not change now are passed over.

    said: the flags that were asked for already; returns them with those among the options.
    changing: OPTIONS or LATER. Errors: EINVAL: also for one that its type does not have; then a
    change sets none.
    """
    split = (option.partition("=") for option in COMMA.split(text))
    options = [option for option in split if option[0]]  # "=value" is passed over
    refuse = partial(log_refusal, task)
    _need_known(fs, options, changing, refuse)
    for name, _, _ in options:
        if name in FLAGS:
            said = said.saying(*FLAGS[name])
    if changing is LATER:
        need_changeable(said)
    setters = changing.get(type(fs), {})
    wishes = [Wish(name, value) for name, _, value in options if name in setters]
    for wish in wishes:
        need_value(task, fs, wish, refuse)
    say = complaint
    if changing is LATER:
        for wish in wishes:
            _need_sense(task, fs, wish, refuse)
        wishes, say = last_of_each(wishes), late_complaint
    with all_or_none(fs, changing):
        for wish in wishes:
            obey(task, fs, setters[wish.name], wish, say, refuse)
    return said


def _need_known(
    fs: Any, options: list[tuple[str, str, str]], changing: Setters, refuse: Refuse
) -> None:
    """Refuse options that a type does not have, or not with a value. Errors: EINVAL."""
    for name, has_value, _ in options:
        if name == "source":
            _need_source(changing, has_value, [name for name, _, _ in options], refuse)
        elif name in FLAGS:
            continue
        elif not is_known(fs, name):
            raise refuse(f"{fs.name}: Unknown parameter '{name}'")
        elif has_value and is_valueless(fs, name):
            raise refuse(f"{fs.name}: Unexpected value for '{name}'")


def log_refusal(task: Task, said: str) -> SyscallError:
    """Return the error of an option that is refused, which mount(2) tells the kernel's log."""
    for line in said.split("\n"):
        task.kernel.log.write(KERN_ERR, line)
    return SyscallError(errno.EINVAL)


def need_value(task: Task, fs: Any, wish: Wish, refuse: Refuse) -> None:
    """Refuse an option without a value, and an id that the caller's namespace has not.

    Errors: EINVAL: no number is told twice.
    """
    name, text = wish
    bad = f"{fs.name}: Bad value for '{name}'"
    if not text and not is_valueless(fs, name):
        raise refuse(bad)
    if name not in ("uid", "gid") or isinstance(fs, PLAIN_IDS):
        return
    own = task.cred.user_ns
    try:
        number = number_of(text)
    except SyscallError:
        refuse(bad)
        raise refuse(bad) from None
    try:
        if number == NO_ID:
            raise SyscallError(errno.EINVAL)
        own.kuid(number) if name == "uid" else own.kgid(number)
    except SyscallError:
        raise refuse(f"{fs.name}: Invalid {name} '{text}'") from None


def obey(
    task: Task, fs: Any, setter: Setter, wish: Wish, say: Callable[..., str], refuse: Refuse
) -> None:
    """Set one option of a file system. say: tells what is wrong. Errors: as set_option."""
    try:
        set_option(task, fs, setter, *wish)
    except SyscallError as error:
        if isinstance(error, Refusal):
            refuse(error.said)
        elif said := say(fs, *wish):
            refuse(f"{fs.name}: {said}")
        raise SyscallError(error.number) from None


def _need_sense(task: Task, fs: Any, wish: Wish, refuse: Refuse) -> None:
    """Refuse what not even a new file system would take. Errors: EINVAL."""
    blank = new_file_system(task, fs.name)
    obey(task, blank, sense_of(fs, wish.name), wish, complaint, refuse)


def sense_of(fs: Any, name: str) -> Setter:
    """Return what tries an option's value on a new file system, before that in use is changed."""
    later = LATER[type(fs)][name]
    return later if later is _keep_pid_ns else OPTIONS[type(fs)][name]


def last_of_each(wishes: list[Wish]) -> list[Wish]:
    """Return the wishes that count when a file system is changed, in the order they are tried."""
    meant = {SAME.get(wish.name, wish.name): wish for wish in wishes}
    return [meant[name] for name in sorted(meant, key=TRIED.index)]


def _need_source(changing: Setters, has_value: str, names: list[str], refuse: Refuse) -> None:
    """Refuse a second source; of a change it is the first, and of no use. Errors: EINVAL."""
    if not has_value:
        raise refuse("Non-string source")
    if changing is OPTIONS or names.count("source") > 1:
        raise refuse("Multiple sources")


def need_changeable(said: FsFlags) -> None:
    """Errors: EINVAL: one of the flags is only given when a file system is made."""
    if said.mask & ~OF_REMOUNT:
        raise SyscallError(errno.EINVAL)


@contextmanager
def all_or_none(fs: Any, changing: Setters) -> Iterator[None]:
    """Put back what was set if one more cannot be; a devpts forgets first what it had."""
    before = fs.settings if changing is LATER and type(fs) in LATER else None
    if before is not None and isinstance(fs, DevPts):
        fs.settings = fs.USUAL
    try:
        yield
    except SyscallError:
        if before is not None:
            fs.settings = before
        raise


def is_known(fs: Any, name: str) -> bool:
    """Tell whether a file system takes an option, be it to pass over it."""
    known = OPTIONS.get(type(fs))
    return known is None or name in known or isinstance(fs, TOLERANT)


def is_valueless(fs: Any, name: str) -> bool:
    """Tell whether an option of a file system is a word alone."""
    return name in VALUELESS and name in OPTIONS.get(type(fs), {})


def set_option(task: Task, fs: Any, setter: Setter, name: str, value: str) -> None:
    """Set one option of a file system. Errors: EINVAL; of pidns those of a path, EPERM, EBUSY."""
    if setter is _set_pid_ns:
        value = pid_ns_of(task, _named(task, value))
    setter(fs, _kernel_id(task, fs, name, value))


def _kernel_id(task: Task, fs: Any, name: str, value: str) -> str:
    """Return the value of an option, of the ids the machine's. Errors: EINVAL."""
    own = task.cred.user_ns
    if name not in ("uid", "gid") or isinstance(fs, PLAIN_IDS):
        return value
    number = number_of(value)
    if number == NO_ID:
        raise SyscallError(errno.EINVAL)
    return str(own.kuid(number) if name == "uid" else own.kgid(number))


OF_PROC = {"hidepid": "unknown value of hidepid", "subset": "unsupported subset option"}


def complaint(fs: Any, name: str, text: str) -> str:
    """Return what is said of a value that an option does not take; empty: nothing."""
    if name == "noswap":
        return "Turning off swap in unprivileged tmpfs mounts unsupported"
    if isinstance(fs, HugetlbFs) and name in HUGE_SIZES:
        return f"Bad value '{text}' for mount option '{name}'\n"
    if name in OF_PROC:
        return f"{OF_PROC[name]} - {text}\n"
    return "" if name == "pagesize" else f"Bad value for '{name}'"


def late_complaint(fs: Any, name: str, text: str) -> str:
    """Return what is said of a good value that a tmpfs in use does not take."""
    if name == "noswap":
        return "Cannot disable swap on remount"
    if name == "nr_inodes":
        limited, few = fs.max_inodes != 0, "Too few inodes for current use"
        return few if limited else "Cannot retroactively limit inodes"
    return (
        "Cannot retroactively limit size" if fs.is_unlimited else "Too small a size for current use"
    )


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


def create(fs: Any, source: str | None) -> None:
    """Make a file system of what was asked for. Errors: EINVAL, ENOMEM."""
    if isinstance(fs, HugetlbFs):
        fs.create()
    fs.source = source or "none"


def new_file_system(task: Task, fstype: str) -> Any:
    """Return a file system of a type, the caller's; /proc is of its pid namespace."""
    made = FILE_SYSTEMS[fstype](task.kernel, *((task.pid_ns,) if fstype == "proc" else ()))
    if isinstance(made, TmpFs):
        made.root.uid, made.root.gid = task.uid, task.gid
        made.given = {"uid": str(task.uid), "gid": str(task.gid)}
    made.user = task.pid_ns.user if fstype == "proc" else task.cred.user_ns
    return made
