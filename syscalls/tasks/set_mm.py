"""prctl(PR_SET_MM): where a program says that its parts lie, for /proc; for who restores one.

Source: prctl(2), kernel/sys.c of Linux 6.18. The end of the heap is the core's, the rest Areas.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.mm import Areas
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.vfs.inode import MAY_EXEC

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

# In the order of struct prctl_mm_map.
PLACES = (
    *("start_code", "end_code", "start_data", "end_data", "start_brk", "brk", "start_stack"),
    *("arg_start", "arg_end", "env_start", "env_end"),
)
# The options that set one of them: from 1 on.
OPTIONS = (
    *("start_code", "end_code", "start_data", "end_data", "start_stack", "start_brk", "brk"),
    *("arg_start", "arg_end", "env_start", "env_end"),
)
SOMETHING_THERE = frozenset(("start_stack", "arg_start", "arg_end", "env_start", "env_end"))
IN_CORE = ("start_brk", "brk", "start_stack")
AUXV, EXE_FILE, MAP, MAP_SIZE = 12, 13, 14, 15
MAP_WORDS = struct.Struct("<11QQII")  # and auxv, its size, a descriptor
NO_FD = 0xFFFFFFFF
AUXV_BYTES = 416  # room for the vector: 26 pairs of words
PAIR = 16

Places = dict[str, int]


def set_mm(task: Task, args: tuple[int, int, int, int]) -> int:
    """Do PR_SET_MM: args are an option, a value, a size and 0.

    Errors: EINVAL, EFAULT, EPERM; of the program's file EBADF, EACCES, EBUSY (still mapped).
    """
    option, value, size, rest = args
    if rest or (size and option not in (AUXV, MAP, MAP_SIZE)):
        raise SyscallError(errno.EINVAL)
    if option == MAP_SIZE:
        task.mm.copy_out(value, struct.pack("<I", MAP_WORDS.size))
    elif option == MAP:
        _set_all(task, value, size)
    elif not task.capable("CAP_SYS_RESOURCE"):
        raise SyscallError(errno.EPERM)
    elif option == EXE_FILE:
        _replace_exe(task, value & NO_FD)
    elif option == AUXV:
        _set_auxv(task, _read_auxv(task, value, size))
    else:
        _set_one(task, option, value)
    return 0


def _set_one(task: Task, option: int, value: int) -> None:
    if not _is_user(task, value) or not 0 < option <= len(OPTIONS):
        raise SyscallError(errno.EINVAL)
    name = OPTIONS[option - 1]
    places = _places(task) | {name: value}
    _check(task, places)
    if name in SOMETHING_THERE and not any(vma.end > value for vma in task.mm.vmas()):
        raise SyscallError(errno.EFAULT)
    _set(task, places)


def _set_all(task: Task, addr: int, size: int) -> None:
    if size != MAP_WORDS.size:
        raise SyscallError(errno.EINVAL)
    *values, auxv, auxv_size, fd = MAP_WORDS.unpack(task.mm.copy_in(addr, size))
    places = dict(zip(PLACES, values, strict=True))
    _check(task, places)
    if auxv_size and not auxv:
        raise SyscallError(errno.EINVAL)
    vector = _read_auxv(task, auxv, auxv_size) if auxv_size else None
    if fd != NO_FD:
        able = ("CAP_CHECKPOINT_RESTORE", "CAP_SYS_ADMIN")
        if not any(task.capable_in(task.cred.user_ns, right) for right in able):
            raise SyscallError(errno.EPERM)
        _replace_exe(task, fd)
    _set(task, places)
    if vector is not None:
        _set_auxv(task, vector)


def _is_user(task: Task, value: int) -> bool:
    lowest = int(task.kernel.memory.tunables.mmap_min_addr)
    return lowest <= value < int(task.mm.counters.task_size)


def _places(task: Task) -> Places:
    found, counters = task.mm.areas or Areas(), task.mm.counters
    core = {name: int(getattr(counters, name)) for name in IN_CORE}
    return {name: core[name] if name in core else getattr(found, name) for name in PLACES}


def _check(task: Task, places: Places) -> None:
    """Refuse places outside user space, ends before beginnings, too much data. Errors: EINVAL."""
    limit = task.rlimits["data"][0]
    data = places["brk"] - places["start_brk"] + places["end_data"] - places["start_data"]
    ordered = places["start_code"] < places["end_code"] and all(
        places[low] <= places[high]
        for low, high in (
            ("start_data", "end_data"),
            ("start_brk", "brk"),
            ("arg_start", "arg_end"),
            ("env_start", "env_end"),
        )
    )
    if not ordered or data > limit or not all(_is_user(task, at) for at in places.values()):
        raise SyscallError(errno.EINVAL)


def _set(task: Task, places: Places) -> None:
    mm = task.mm
    areas: dict[str, Any] = {name: at for name, at in places.items() if name not in IN_CORE}
    mm.areas = (mm.areas or Areas())._replace(**areas)
    lib.mm_place_heap(mm.handle, *(places[name] for name in IN_CORE))


def _read_auxv(task: Task, addr: int, size: int) -> bytes:
    if size > AUXV_BYTES:
        raise SyscallError(errno.EINVAL)
    return task.mm.copy_in(addr, size)[: AUXV_BYTES - PAIR]


def _set_auxv(task: Task, vector: bytes) -> None:
    """Keep a vector to its end: a pair that begins with 0."""
    pairs = [vector[at : at + PAIR].ljust(PAIR, b"\0") for at in range(0, len(vector), PAIR)]
    keys = [pair[:8] for pair in (*pairs, bytes(PAIR))]
    kept = (*pairs, bytes(PAIR))[: keys.index(bytes(8)) + 1]
    task.mm.areas = (task.mm.areas or Areas())._replace(auxv=b"".join(kept))


def _replace_exe(task: Task, fd: int) -> None:
    """Let /proc/PID/exe name another file. Errors: EBADF, EACCES, EBUSY (the old one is mapped)."""
    file = task.fds.get(fd)
    if file.inode.kind != "file" or not file.inode.permits(task, MAY_EXEC):
        raise SyscallError(errno.EACCES)
    if task.exe is not None and _is_mapped(task, task.exe):
        raise SyscallError(errno.EBUSY)
    new = task.kernel.vfs.open_inode(task, file.inode, file.path, 0)
    new.home = file.home
    try:
        new.run_as_program()
    except SyscallError:
        new.put()
        raise SyscallError(errno.EACCES) from None
    new.descriptors += 1
    for member in task.group.living():
        member.replace_exe(new)
    new.put()


def _is_mapped(task: Task, exe: File) -> bool:
    files = {vma.file_cookie for vma in task.mm.vmas() if vma.file_cookie}
    mapped = (task.kernel.vfs.file_of(cookie) for cookie in files)
    return any(file is not None and file.inode is exe.inode for file in mapped)
