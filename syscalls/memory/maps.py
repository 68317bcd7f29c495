"""The ioctls of /proc/PID/maps and pagemap: PROCMAP_QUERY and PAGEMAP_SCAN.

Layouts and order of checks are Linux 6.18's (linux/fs.h; Documentation/filesystems/proc.rst and
Documentation/admin-guide/mm/pagemap.rst).
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.proc.files import PagemapFile
from pkern.kernel.vfs.proc.maps import columns
from pkern.kernel.vfs.proc.taskfiles import MapsFile
from pkern.syscalls.extensible import extensible
from pkern.syscalls.files.at import refuse_flags
from pkern.syscalls.files.fcntl import ioctl_of

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

PAGE_SIZE, PATH_MAX = 4096, 4096
PROCMAP_QUERY, PAGEMAP_SCAN = 0xC0686611, 0xC0606610

# ---- PROCMAP_QUERY ----

# size, flags, address; start, end, flags, page size, offset, inode; major, minor; sizes of name
# and build id; addresses of both.
QUERY = extensible("<9Q4I2Q", least=24)
FILE_BACKED, COVERING_OR_NEXT = 0x20, 0x10
VMA_BITS = ((0x1, lib.VM_READ), (0x2, lib.VM_WRITE), (0x4, lib.VM_EXEC), (0x8, lib.VM_MAYSHARE))
QUERY_FLAGS = 0x3F


def _query_in(task: Task, arg: int) -> tuple[int, tuple[int, ...]]:
    """Return the size that the caller knows, and the struct. Errors: EFAULT, EINVAL, E2BIG."""
    size = int.from_bytes(task.mm.copy_in(arg, 8), "little")
    return size, QUERY.fields_at(task, arg, size)


def _is_file_backed(vma: Vma) -> bool:
    return bool(vma.file_cookie or vma.mapping_cookie)


def _matching(of: Task, addr: int, flags: int) -> Vma:
    """Return the mapping at addr that is as flags say, or the next one. Errors: ENOENT."""
    wanted = sum(vm for bit, vm in VMA_BITS if flags & bit)
    for vma in of.mm.vmas():
        if vma.end <= addr:
            continue
        fits = vma.flags & wanted == wanted and (not flags & FILE_BACKED or _is_file_backed(vma))
        if fits and (flags & COVERING_OR_NEXT or vma.start <= addr):
            return vma
        if not flags & COVERING_OR_NEXT:
            break
    raise SyscallError(errno.ENOENT)


def _name_of(of: Task, vma: Vma, room: int) -> bytes:
    """Return a mapping's name with its NUL; nothing if it has none. Errors: ENAMETOOLONG."""
    name = columns(of, vma).name.encode("utf-8", "surrogateescape")
    if len(name) + 1 > min(room, PATH_MAX):
        raise SyscallError(errno.ENAMETOOLONG if name else errno.EINVAL)
    return name + b"\0" if name else b""


def _build_id(of: Task, vma: Vma) -> bytes:
    """Return the build id in the first page of an ELF file; nothing if there is none."""
    file = of.kernel.vfs.file_of(vma.file_cookie) if vma.file_cookie else None
    head = file.inode.read(0, PAGE_SIZE) if file is not None and file.inode.kind == "file" else b""
    if head[:5] != b"\x7fELF\2":
        return b""
    table, count = int.from_bytes(head[32:40], "little"), int.from_bytes(head[56:58], "little")
    for start in range(table, table + 56 * count, 56):
        segment = head[start : start + 56]
        if len(segment) == 56 and segment[:4] == b"\4\0\0\0":
            at, size = struct.unpack_from("<Q16xQ", segment, 8)
            found = _note(head[at : at + size])
            if found:
                return found
    return b""


def _note(notes: bytes) -> bytes:
    at = 0
    while at + 12 <= len(notes):
        name, length, kind = struct.unpack_from("<3I", notes, at)
        text, data = at + 12, at + 12 + (name + 3 & ~3)
        if kind == 3 and notes[text : text + name] == b"GNU\0" and 0 < length <= 20:
            return notes[data : data + length]
        at = data + (length + 3 & ~3)
    return b""


def _fields_of(of: Task, vma: Vma) -> tuple[int, ...]:
    """Return what a query tells of a mapping, from its start to its device."""
    found = columns(of, vma)
    major, _, minor = found.device.partition(":")
    return (
        vma.start,
        vma.end,
        sum(bit for bit, vm in VMA_BITS if vma.flags & vm),
        vma.page_size,
        vma.pgoff * PAGE_SIZE if _is_file_backed(vma) else 0,
        found.inode,
        int(major, 16),
        int(minor, 16),
    )


def _procmap_query(task: Task, of: Task, arg: int) -> int:
    """Store what is known of one mapping.

    Errors: EINVAL, E2BIG, ESRCH (its task has ended), ENOENT (no such mapping), ENAMETOOLONG,
    EFAULT. Source: PROCMAP_QUERY in linux/fs.h.
    """
    size, query = _query_in(task, arg)
    flags, addr = query[1:3]
    name_room, id_room, name_at, id_at = query[11:15]
    refuse_flags(flags, QUERY_FLAGS)
    if bool(name_room) != bool(name_at) or bool(id_room) != bool(id_at):
        raise SyscallError(errno.EINVAL)
    if not of.alive:
        raise SyscallError(errno.ESRCH)
    vma = _matching(of, addr, flags)
    build_id = _build_id(of, vma) if id_room else b""
    if len(build_id) > id_room:
        raise SyscallError(errno.ENAMETOOLONG)
    name = _name_of(of, vma, name_room) if name_room else b""
    result = QUERY.layout.pack(
        *query[:3], *_fields_of(of, vma), len(name), len(build_id), name_at, id_at
    )
    if name:
        task.mm.copy_out(name_at, name)
    if build_id:
        task.mm.copy_out(id_at, build_id)
    task.mm.copy_out(arg, result[:size])
    return 0


@ioctl_of(MapsFile)
def _maps_ioctl(task: Task, file: File, request: int, arg: int) -> int:
    """Do PROCMAP_QUERY. Errors: ENOTTY (another one)."""
    if request != PROCMAP_QUERY:
        raise SyscallError(errno.ENOTTY)
    assert isinstance(file.inode, MapsFile)
    return _procmap_query(task, file.inode.of_task, arg)


# ---- PAGEMAP_SCAN ----

# size, flags, start, end, walk_end, vec, vec_len, max_pages; masks: inverted, all of, any of,
# returned.
SCAN, REGION = struct.Struct("<12Q"), struct.Struct("<3Q")
WALK_END = 32  # where it stands
SCAN_FLAGS = lib.PM_SCAN_WP_MATCHING | lib.PM_SCAN_CHECK_WPASYNC
CATEGORIES = 0x1FF
FOREVER = (1 << 64) - 1


def _scan_in(task: Task, arg: int) -> list[int]:
    """Return the struct, checked as Linux checks it. Errors: EFAULT, EINVAL."""
    words = list(SCAN.unpack(task.mm.copy_in(arg, SCAN.size)))
    size, flags, start, end, _, vec, vec_len, _ = words[:8]
    top = int(task.mm.counters.task_size)
    if size != SCAN.size:
        raise SyscallError(errno.EINVAL)
    refuse_flags(flags, SCAN_FLAGS)
    refuse_flags(words[8] | words[9] | words[10] | words[11], CATEGORIES)
    if start % PAGE_SIZE:
        raise SyscallError(errno.EINVAL)
    if start + ((end - start) & FOREVER) > top:
        raise SyscallError(errno.EFAULT)
    if vec_len and not vec:
        raise SyscallError(errno.EINVAL)
    if vec and vec + REGION.size * vec_len > top:
        raise SyscallError(errno.EFAULT)
    words[3] = (end + PAGE_SIZE - 1) & -PAGE_SIZE
    return words


def _flush(task: Task, scan: Any, vec: int) -> int:
    """Store the regions that were found; return how many. Errors: EFAULT."""
    count = int(scan.nr_regions)
    if count:
        task.mm.copy_out(vec, bytes(ffi.buffer(scan.regions, count * REGION.size)))
    return count


def _pagemap_scan(task: Task, of: Task, arg: int) -> int:
    """Store ranges of pages by what they are; return how many.

    Errors: EFAULT, EINVAL, EPERM (PM_SCAN_CHECK_WPASYNC: memory that cannot be protected so),
    ENOMEM. Source: ioctl_pagemap_scan(2const).
    """
    words = _scan_in(task, arg)
    _, flags, at, end, _, vec, left, limit, *masks = words
    scan = ffi.new("struct pm_scan *")
    scan.flags, scan.end, scan.max_pages = flags, end, limit or FOREVER
    scan.category_inverted, scan.category_mask, scan.category_anyof_mask, scan.return_mask = masks
    total, stopped = 0, 1
    try:
        while stopped and at < end and of.alive:
            scan.start, scan.walk_end, scan.nr_regions = at, 0, 0
            scan.max_regions = min(left, lib.PM_REGIONS)
            try:
                stopped = of.mm.call(lib.mm_pagemap_scan, scan)
            finally:
                count = _flush(task, scan, vec)
            total, left, vec = total + count, left - count, vec + count * REGION.size
            at = int(scan.walk_end)
            if not left or scan.found_pages == scan.max_pages:
                break
    finally:
        walk_end = int(scan.walk_end) or end
        task.mm.copy_out(arg + WALK_END, walk_end.to_bytes(8, "little"))
    return total


@ioctl_of(PagemapFile)
def _pagemap_ioctl(task: Task, file: File, request: int, arg: int) -> int:
    """Do PAGEMAP_SCAN. Errors: EINVAL (another one)."""
    if request != PAGEMAP_SCAN:
        raise SyscallError(errno.EINVAL)
    assert isinstance(file.inode, PagemapFile)
    return _pagemap_scan(task, file.inode.of_task, arg)
