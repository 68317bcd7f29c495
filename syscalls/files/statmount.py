"""statmount and listmount: mounts by numbers that are never used again, and what each is like.

The order of the checks and of the texts: fs/namespace.c of Linux 6.18.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import MNT
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.mounts import (
    DIRSYNC,
    LAZYTIME,
    RDONLY,
    SYNCHRONOUS,
    Mount,
    MountNamespace,
    Path,
    lies_in,
)
from pkern.kernel.vfs.proc.mounts import ABOVE_ALL, own_options, root_text, source_of, type_of
from pkern.kernel.vfs.walk import text_from
from pkern.syscalls.extensible import extensible
from pkern.syscalls.files.at import refuse_flags
from pkern.syscalls.files.mount_tree import attributes_of
from pkern.syscalls.files.mounts import MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, room_of
from pkern.syscalls.files.statx import FIRST_UNIQUE
from pkern.syscalls.table import INT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

REQUEST = extensible("<IIQQQ", least=24)  # struct mnt_id_req
WHOLE_TREE, REVERSE, MOST_LISTED = (1 << 64) - 1, 1, 1_000_000
SB_BASIC, MNT_BASIC, PROPAGATE_FROM, MNT_ROOT, MNT_POINT, FS_TYPE, MNT_NS_ID, MNT_OPTS = (
    1 << bit for bit in range(8)
)
SB_SOURCE, OPT_ARRAY, SUPPORTED_MASK = 0x200, 0x400, 0x1000
FS_SUBTYPE, OPT_SEC_ARRAY, MNT_UIDMAP, MNT_GIDMAP = 0x100, 0x800, 0x2000, 0x4000
ALWAYS_EMPTY = FS_SUBTYPE | OPT_SEC_ARRAY | MNT_UIDMAP | MNT_GIDMAP
TEXTS = MNT_ROOT | MNT_POINT | FS_TYPE | MNT_OPTS | SB_SOURCE | OPT_ARRAY | ALWAYS_EMPTY
SUPPORTED = 0x7FFF
STATMOUNT_BYTES = 512
WORD, LONG = struct.Struct("<I"), struct.Struct("<Q")
SIZE_AT, MASK_AT = 0, 8  # in struct statmount
SB_FLAGS = RDONLY | SYNCHRONOUS | DIRSYNC | LAZYTIME  # of a file system, that are told of


class Asked(NamedTuple):
    """A struct mnt_id_req: which mount, what of it, of which namespace (0: the caller's)."""

    number: int
    param: int
    space: int


def _request(task: Task, addr: int) -> Asked:
    """Return what is asked. Errors: EFAULT, E2BIG, EINVAL."""
    size = int.from_bytes(task.mm.copy_in(addr, 4), "little")
    _, spare, number, param, space = REQUEST.fields_at(task, addr, size)
    if spare or number <= FIRST_UNIQUE:
        raise SyscallError(errno.EINVAL)
    return Asked(number, param, space)


def _space(task: Task, number: int) -> MountNamespace:
    """Return the namespace that is meant. Errors: ENOENT: also of one that the caller rules not."""
    own = task.nsproxy.mnt
    found: MountNamespace | None = own
    if number:
        every = task.kernel.namespaces.of_kind(MNT)
        found = next((one for one in every if one.number == number), None)
    if found is None or (found is not own and not _rules(task, found)):
        raise SyscallError(errno.ENOENT)
    return found


def _rules(task: Task, space: MountNamespace) -> bool:
    return task.capable_in(space.user, "CAP_SYS_ADMIN")


def _root(task: Task, space: MountNamespace) -> Path:
    """Return the place below which mounts are seen."""
    return task.fs.root if space is task.nsproxy.mnt else space.root


def _seen(mount: Mount, root: Path) -> bool:
    return lies_in(Path(mount, mount.root), root)


def _find(task: Task, space: MountNamespace, number: int) -> Mount:
    """Return a mount by its number. Errors: ENOENT, EPERM: it lies outside the caller's root."""
    wanted = number - FIRST_UNIQUE
    found = next((one for one in space.mounts if one.number == wanted), None)
    if found is None:
        raise SyscallError(errno.ENOENT)
    if not _seen(found, _root(task, space)) and not _rules(task, space):
        raise SyscallError(errno.EPERM)
    return found


# ---- statmount ----


class Answer:
    """A struct statmount while it is filled; behind it texts, the first of which is empty."""

    def __init__(self, task: Task, mount: Mount, space: MountNamespace) -> None:
        self.task, self.mount, self.space = task, mount, space
        self.fixed = bytearray(STATMOUNT_BYTES)
        self.texts = b""
        self.mask = 0

    def put(self, at: int, packer: struct.Struct, *numbers: int) -> None:
        """Store numbers one behind the other."""
        for place, number in enumerate(numbers):
            packer.pack_into(self.fixed, at + place * packer.size, number)

    def add_text(self, bit: int, at: int, text: str) -> None:
        """Append a text whose place is stored; an empty one is not told of."""
        self.texts = self.texts or b"\0"
        if not text:
            return
        self.put(at, WORD, len(self.texts))
        self.texts += text.encode("utf-8", "surrogateescape") + b"\0"
        self.mask |= bit


def _number(mount: Mount | None) -> int:
    return mount.number if mount is not None else ABOVE_ALL


def _sb_basic(answer: Answer) -> None:
    mount, vfs = answer.mount, answer.task.kernel.vfs
    dev = mount.root.dev
    answer.put(16, WORD, os.major(dev), os.minor(dev))
    answer.put(24, LONG, room_of(vfs, mount.root).magic)
    answer.put(32, WORD, vfs.table.flags_of(dev) & SB_FLAGS)
    answer.mask |= SB_BASIC


def _mnt_basic(answer: Answer) -> None:
    mount = answer.mount
    numbers = (mount.number, _number(mount.over))
    answer.put(40, LONG, *(FIRST_UNIQUE + number for number in numbers))
    answer.put(56, WORD, *numbers)
    kinds = MS_SHARED if mount.peers else 0
    kinds |= (MS_SLAVE if mount.master else 0) | (MS_UNBINDABLE if mount.unbindable else 0)
    rights = attributes_of(mount.flags)
    answer.put(64, LONG, rights, kinds or MS_PRIVATE, mount.peers, mount.master)
    answer.mask |= MNT_BASIC


def _propagate_from(answer: Answer) -> None:
    """The nearest group above that the caller sees: its master's own."""
    answer.put(96, LONG, answer.mount.master)
    answer.mask |= PROPAGATE_FROM


def _mnt_point(answer: Answer) -> None:
    place, root = Path(answer.mount, answer.mount.root), _root(answer.task, answer.space)
    answer.add_text(MNT_POINT, 108, text_from(root, place) if lies_in(place, root) else "")


def _options(answer: Answer) -> tuple[str, ...]:
    return own_options(answer.mount.fs)


def _opt_array(answer: Answer) -> None:
    options = _options(answer)
    answer.add_text(OPT_ARRAY, 132, "\0".join(options))
    answer.put(128, WORD, len(options))


def _ns_id(answer: Answer) -> None:
    answer.put(112, LONG, answer.space.number)
    answer.mask |= MNT_NS_ID


def _supported(answer: Answer) -> None:
    answer.put(144, LONG, SUPPORTED)
    answer.mask |= SUPPORTED_MASK


# In the order in which Linux fills a struct statmount.
PARTS: dict[int, Callable[[Answer], None]] = {
    SB_BASIC: _sb_basic,
    MNT_BASIC: _mnt_basic,
    PROPAGATE_FROM: _propagate_from,
    FS_TYPE: lambda answer: answer.add_text(FS_TYPE, 36, type_of(answer.mount.fs)),
    MNT_ROOT: lambda answer: answer.add_text(MNT_ROOT, 104, root_text(answer.mount)),
    MNT_POINT: _mnt_point,
    MNT_OPTS: lambda answer: answer.add_text(MNT_OPTS, 4, ",".join(_options(answer))),
    OPT_ARRAY: _opt_array,
    SB_SOURCE: lambda answer: answer.add_text(SB_SOURCE, 124, source_of(answer.mount.fs)),
    MNT_NS_ID: _ns_id,
    SUPPORTED_MASK: _supported,
}


@syscall(457, "statmount", INT, INT, INT, INT)
def statmount(task: Task, request: int, addr: int, nbytes: int, flags: int = 0) -> int:
    """Store struct statmount, what a mount is like, in nbytes at addr, texts behind it.

    request: the address of a struct mnt_id_req: the mount's number (STATX_MNT_ID_UNIQUE) and what
    of it is wanted (STATMOUNT_*). Errors: EINVAL, E2BIG, ENOENT (no such mount), EPERM (it lies
    outside the caller's root), EOVERFLOW (no room for the texts), EFAULT. Source: statmount(2).
    """
    refuse_flags(flags, 0)
    asked = _request(task, request)
    space = _space(task, asked.space)
    task.mm.check_user(addr, nbytes)
    if asked.param & TEXTS and nbytes == STATMOUNT_BYTES:
        raise SyscallError(errno.EOVERFLOW)
    answer = Answer(task, _find(task, space, asked.number), space)
    for bit, part in PARTS.items():
        if asked.param & bit:
            part(answer)
    if asked.param & ALWAYS_EMPTY:
        answer.add_text(0, 0, "")
    if answer.mask & TEXTS and STATMOUNT_BYTES + len(answer.texts) > nbytes:
        raise SyscallError(errno.EOVERFLOW)
    size = min(nbytes, STATMOUNT_BYTES)
    answer.put(SIZE_AT, WORD, size + len(answer.texts))
    answer.put(MASK_AT, LONG, answer.mask)
    if answer.texts:  # behind the whole struct, though less of it may be stored
        task.mm.copy_out(addr + STATMOUNT_BYTES, answer.texts)
    task.mm.copy_out(addr, bytes(answer.fixed[:size]))
    return 0


# ---- listmount ----


@syscall(458, "listmount", INT, INT, INT, INT)
def listmount(task: Task, request: int, addr: int, count: int, flags: int = 0) -> int:
    """Store the numbers of up to count mounts below one, 8 bytes each; return how many.

    request: the address of a struct mnt_id_req: a mount's number, or all bits: the caller's root;
    and behind which number the list goes on. flags: LISTMOUNT_REVERSE 1.
    Errors: as statmount, EOVERFLOW (count is above a million). Source: listmount(2).
    """
    refuse_flags(flags, REVERSE)
    if count > MOST_LISTED:
        raise SyscallError(errno.EOVERFLOW)
    task.mm.check_user(addr, 8 * count)
    asked = _request(task, request)
    if asked.param and asked.param <= FIRST_UNIQUE:
        raise SyscallError(errno.EINVAL)
    space = _space(task, asked.space)
    top, above = _root(task, space), 0
    if asked.number != WHOLE_TREE:
        mount = _find(task, space, asked.number)
        top, above = Path(mount, mount.root), mount.number
    numbers = sorted(one.number for one in space.mounts if _seen(one, top))
    wanted = [FIRST_UNIQUE + number for number in numbers if number != above]
    if flags & REVERSE:
        wanted = [one for one in reversed(wanted) if not asked.param or one < asked.param]
    else:
        wanted = [one for one in wanted if asked.param == WHOLE_TREE or one > asked.param]
    found = wanted[:count]
    if found:
        task.mm.copy_out(addr, struct.pack(f"<{len(found)}Q", *found))
    return len(found)
