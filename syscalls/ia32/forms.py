"""Calls of the i386 table that point to structures of their own layout.

Owns those layouts: numbers are 32 bits wide, 64-bit ones are not aligned. A value that a field
cannot hold is EOVERFLOW where Linux says so. Source: Linux 6.18 arch/x86/include/asm/compat.h.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.syscalls.clocks import OLD_PAIR, duration_in
from pkern.syscalls.files import stat as stats
from pkern.syscalls.files.at import inode_at, refuse_flags
from pkern.syscalls.files.read_write import lseek
from pkern.syscalls.info import sysinfo
from pkern.syscalls.memory.mman import mmap
from pkern.syscalls.table import INT, PATH, SINT, STRUCT, Handler, Kind, Syscall
from pkern.syscalls.tasks import ids, limits, time, timers, waiting

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

FORMS: dict[str, Syscall] = {}
WORD, HALF, MOST_INT = (1 << 64) - 1, (1 << 32) - 1, (1 << 31) - 1
USECOND, TICK_NS = 1000, 10_000_000
STAT = struct.Struct("<I I H H H H I I I I 6I 8x")
STAT64 = struct.Struct("<Q 4x I I I I I Q 4x q I Q 6I Q")
OLD_MMAP = struct.Struct("<6I")
MOST_ID, NO_ID16 = 0xFFFF, 0xFFFE  # what a number that does not fit becomes
UNIT_SHIFT_FROM = 1 << 32


def form(name: str, *kinds: Kind) -> Callable[[Handler], Handler]:
    """Enter the decorated handler under a name of the i386 table."""

    def enter(handler: Handler) -> Handler:
        FORMS[name] = Syscall(0, name, handler, kinds)
        return handler

    return enter


def _old_pair(ns: int, unit: int) -> bytes:
    """Return seconds and a rest in units of nanoseconds; the seconds wrap in 2038, as Linux's."""
    seconds, rest = divmod(ns, SECOND)
    return struct.pack("<Ii", seconds & HALF, rest // unit)


# ---- time ----


@form("time", INT)
def _time(task: Task, addr: int) -> int:
    seconds = time.time(task)
    if addr:
        task.mm.copy_out(addr, struct.pack("<I", seconds & HALF))
    return seconds


@form("gettimeofday", INT, INT)
def _gettimeofday(task: Task, addr: int, zone: int) -> int:
    if addr:
        task.mm.copy_out(addr, _old_pair(task.kernel.clock.realtime_ns, USECOND))
    return time.gettimeofday_raw(task, 0, zone)


@form("clock_gettime", SINT, STRUCT)
def _clock_gettime(task: Task, clock: int) -> bytes:
    return _old_pair(time.clock_gettime(task, clock), 1)


@form("clock_getres", SINT, INT)
def _clock_getres(task: Task, clock: int, addr: int) -> int:
    resolution = time.clock_getres(task, clock)
    if addr:
        task.mm.copy_out(addr, _old_pair(resolution, 1))
    return 0


@form("nanosleep", INT, INT)
def _nanosleep(task: Task, request: int, remain: int) -> int:
    wanted = duration_in(task, request, pair=OLD_PAIR)
    return timers.sleep_for(task, wanted, remain, OLD_PAIR)


@form("times", INT)
def _times(task: Task, addr: int) -> int:
    if addr:
        group = task.group
        used = (group.time_ns // TICK_NS, 0, group.waited_for.cpu_ns // TICK_NS, 0)
        task.mm.copy_out(addr, struct.pack("<4I", *(ticks & HALF for ticks in used)))
    return timers.times(task, 0)


# ---- limits and what was used ----


def _limits(task: Task, resource: int, most: int) -> bytes:
    return struct.pack("<II", *(min(value, most) for value in limits.getrlimit(task, resource)))


@form("ugetrlimit", SINT, STRUCT)
def _ugetrlimit(task: Task, resource: int) -> bytes:
    return _limits(task, resource, HALF)


@form("getrlimit", SINT, STRUCT)
def _getrlimit(task: Task, resource: int) -> bytes:
    return _limits(task, resource, MOST_INT)


@form("setrlimit", SINT, INT)
def _setrlimit(task: Task, resource: int, addr: int) -> int:
    soft, hard = (
        WORD if value == HALF else value for value in struct.unpack("<II", task.mm.copy_in(addr, 8))
    )
    return limits.setrlimit(task, resource, (soft, hard))


def usage_bytes(used: waiting.Rusage) -> bytes:
    """Return struct rusage."""
    words = (used.ru_maxrss, 0, 0, 0, used.ru_minflt, used.ru_majflt, *(0,) * 8)
    time_used = _old_pair(used.user_ns, USECOND)
    return time_used + bytes(8) + struct.pack("<14I", *(word & HALF for word in words))


@form("getrusage", SINT, STRUCT)
def _getrusage(task: Task, who: int) -> bytes:
    return usage_bytes(timers.getrusage(task, who))


@form("wait4", SINT, INT, SINT, INT)
def _wait4(task: Task, pid: int, status: int, options: int, usage: int) -> int:
    return waiting.wait_and_store(task, pid, status, options, usage, usage_bytes)


@form("sysinfo", STRUCT)
def _sysinfo(task: Task) -> bytes:
    """Store struct sysinfo in bytes, or in pages where some number of bytes would not fit."""
    info = sysinfo(task)
    shift = 12 if max(info.totalram, info.totalswap) * info.mem_unit >= UNIT_SHIFT_FROM else 0
    uptime, *sizes, procs, unit = info
    sizes = [size * unit >> shift for size in sizes]
    return struct.pack("<i3I6IHHIII8x", uptime, 0, 0, 0, *sizes, procs, 0, 0, 0, 1 << shift)


# ---- files ----


def _fits(value: int, most: int) -> int:
    if value > most:
        raise SyscallError(errno.EOVERFLOW)
    return value


def id16(number: int) -> int:
    """Return a number of a user or group as 16 bits can hold it."""
    return number if number <= MOST_ID else NO_ID16


def _times_of(found: stats.Stat) -> list[int]:
    stamps = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
    return [part & HALF for ns in stamps for part in divmod(ns, SECOND)]


def _stat(found: stats.Stat) -> bytes:
    """Return struct stat. Errors: EOVERFLOW (a large file, more links than there may be)."""
    owner = id16(found.st_uid), id16(found.st_gid)
    links = _fits(found.st_nlink, MOST_ID)
    head = (found.st_dev & HALF, _fits(found.st_ino, HALF), found.st_mode, links, *owner)
    size, blocks = _fits(found.st_size, MOST_INT), found.st_blocks & HALF
    tail = (found.st_rdev & HALF, size, found.st_blksize, blocks)
    return STAT.pack(*head, *tail, *_times_of(found))


def _stat64(found: stats.Stat) -> bytes:
    """Return struct stat64."""
    ino = found.st_ino
    head = (found.st_dev, ino & HALF, found.st_mode, found.st_nlink, found.st_uid, found.st_gid)
    sizes = (found.st_rdev, found.st_size, found.st_blksize, found.st_blocks)
    return STAT64.pack(*head, *sizes, *_times_of(found), ino)


def _told(
    find: Callable[..., stats.Stat], layout: Callable[[stats.Stat], bytes]
) -> Callable[..., bytes]:
    """Return a call that finds a file and tells what it is."""
    return lambda task, which: layout(find(task, which))


for name, which, find in (
    ("stat", PATH, stats.stat),
    ("lstat", PATH, stats.lstat),
    ("fstat", SINT, stats.fstat),
):
    form(name, which, STRUCT)(_told(find, _stat))
    form(f"{name}64", which, STRUCT)(_told(find, _stat64))


@form("fstatat64", SINT, PATH, STRUCT, INT)
def _fstatat64(task: Task, dirfd: int, path: str, flags: int) -> bytes:
    refuse_flags(flags, stats.STAT_FLAGS)
    return _stat64(stats.stat_of(inode_at(task, dirfd, path, flags), task.cred.user_ns))


@form("_llseek", SINT, INT, INT, INT, SINT)
def _llseek(task: Task, fd: int, high: int, low: int, addr: int, whence: int) -> int:
    pos = lseek(task, fd, high << 32 | low, whence)
    task.mm.copy_out(addr, struct.pack("<q", pos))
    return 0


# ---- memory, who ----


@form("mmap", INT)
def _mmap(task: Task, addr: int) -> int:
    start, length, prot, flags, fd, offset = OLD_MMAP.unpack(task.mm.copy_in(addr, OLD_MMAP.size))
    return mmap(task, start, length, prot, flags, fd, offset)


def _id_call(name: str, native: Callable[[Task], int]) -> None:
    """Enter a call that returns a number of 16 bits."""
    form(name)(lambda task: id16(native(task)))


for _name in ("getuid", "geteuid", "getgid", "getegid"):
    _id_call(_name, getattr(ids, _name))
