"""The memory of other processes: copied by process_vm_readv and writev, advised."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.credentials import Ids
from pkern.syscalls.abi import INT_BITS, MAX_COUNT, signed32
from pkern.syscalls.files.pidfd import process_of
from pkern.syscalls.files.read_write import Buffers, buffers_at, bytes_of, gather, scatter, vectors
from pkern.syscalls.memory.mman import advise
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm
    from pkern.kernel.tasks.task import Task

# What one process may advise for another one's memory.
FOR_OTHERS = frozenset({lib.MADV_COLD, lib.MADV_PAGEOUT, lib.MADV_WILLNEED, lib.MADV_COLLAPSE})


@syscall(440, "process_madvise", SINT, INT, INT, SINT, INT)
def process_madvise(
    task: Task, pidfd: int, vector: int, nr_vector: int, advice: int, flags: int = 0
) -> int:
    """Advise ranges (struct iovec at vector) of a process's memory; return how many bytes.

    What was advised before an error counts; another's memory takes COLD, PAGEOUT, WILLNEED only.
    Errors: madvise's; EINVAL, EBADF, ESRCH, EFAULT, EPERM (CAP_SYS_NICE, or it may not be traced).
    Source: process_madvise(2).
    """
    if flags & INT_BITS:
        raise SyscallError(errno.EINVAL)
    ranges = buffers_at(task, vector, signed32(nr_vector))
    other = process_of(task, pidfd)
    if not other.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(other):
        raise SyscallError(errno.EPERM)
    advice = signed32(advice)
    if other.mm is not task.mm and advice not in FOR_OTHERS:
        raise SyscallError(errno.EINVAL)
    if other.mm is not task.mm and not task.capable("CAP_SYS_NICE"):
        raise SyscallError(errno.EPERM)
    done = 0
    for addr, nbytes in ranges:
        try:
            advise(other, addr, nbytes, advice)
        except SyscallError:
            if not done:
                raise
            return done
        done += nbytes
    return done


def _other(task: Task, pid: int) -> Task:
    """Return the task whose memory a caller may read and write. Errors: ESRCH, EPERM."""
    other = task.find(pid)
    if other is None or not other.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(other, Ids.REAL):
        raise SyscallError(errno.EPERM)
    return other


def _shown(mm: Mm, buffers: Buffers) -> Buffers:
    """Return buffers up to memory that only their own task may see. Errors: EFAULT: all of it."""
    found, secret = [], 0
    for addr, nbytes in buffers:
        secret = lib.mm_has_secret(mm.handle, addr, nbytes)
        if secret:
            found.append((addr, secret - addr))
            break
        found.append((addr, nbytes))
    if secret and not bytes_of(found):
        raise SyscallError(errno.EFAULT)
    return found


def process_vm_readv(task: Task, pid: int, addr: int, length: int) -> bytes:
    """Return up to length bytes at addr of another task: what can be read, from the beginning.

    Errors: ESRCH, EPERM, EFAULT. Source: process_vm_readv(2).
    """
    most = min(length, MAX_COUNT, task.kernel.ram)
    return _read_pinned(_other(task, pid).mm, [(addr, length)], most)


def _read_pinned(other: Mm, buffers: Buffers, most: int) -> bytes:
    """Return what another's buffers hold, as whoever pins its pages sees them. Errors: EFAULT."""
    data = b""
    for addr, nbytes in _pinned(other, buffers, most, lib.VM_READ, lib.ACCESS_READ):
        wanted = min(nbytes, most - len(data))
        part = other.read_forced(addr, wanted) if wanted else b""
        data += part
        if len(part) < wanted:
            break
    if most and not data:
        raise SyscallError(errno.EFAULT)
    return data


def _write_pinned(other: Mm, buffers: Buffers, data: bytes) -> int:
    """Store data over another's buffers; return how much could be. Errors: EFAULT."""
    done = 0
    for addr, nbytes in _pinned(other, buffers, len(data), lib.VM_WRITE, lib.ACCESS_WRITE):
        wanted = min(nbytes, len(data) - done)
        stored = other.write_forced(addr, data[done : done + wanted]) if wanted else 0
        done += stored
        if stored < wanted:
            break
    if data and not done:
        raise SyscallError(errno.EFAULT)
    return done


def _pinned(mm: Mm, buffers: Buffers, most: int, right: int, access: int) -> Buffers:
    """Bring the pages of the first bytes of buffers, and return what may be had of them."""
    allowed = _allowed(mm, buffers, right)
    left = most
    for addr, nbytes in allowed:
        mm.call(lib.mm_pin, addr, min(nbytes, left), access)
        left -= min(nbytes, left)
    return allowed


def _allowed(mm: Mm, buffers: Buffers, right: int) -> Buffers:
    """Cut buffers where no area goes on that has the right, as Linux asks before it looks.

    Errors: EFAULT: at the first byte.
    """
    buffers = _shown(mm, buffers)
    for place, (addr, nbytes) in enumerate(buffers):
        allowed = mm.nr_allowing(addr, nbytes, right)
        if allowed < nbytes:
            if not place and not allowed:
                raise SyscallError(errno.EFAULT)
            return [*buffers[:place], (addr, allowed)]
    return buffers


def process_vm_writev(task: Task, pid: int, addr: int, data: bytes) -> int:
    """Store data at addr of another task and return how much could be.

    Errors: ESRCH, EPERM, EFAULT. Source: process_vm_writev(2).
    """
    return _write_pinned(_other(task, pid).mm, [(addr, len(data))], data)


def _both_sides(
    task: Task, local: tuple[int, int], remote: tuple[int, int], flags: int
) -> tuple[Buffers, Buffers, int]:
    """Return the caller's buffers, the other's, and how many bytes go between them at most.

    local, remote: address and number of the iovecs. Errors: EINVAL, EFAULT.
    """
    if flags:
        raise SyscallError(errno.EINVAL)
    here = buffers_at(task, *local)
    if not bytes_of(here):
        return here, [], 0
    there = vectors(task, *remote)
    return here, there, min(bytes_of(here), bytes_of(there), MAX_COUNT, task.kernel.ram)


@syscall(310, "process_vm_readv", SINT, INT, SINT, INT, INT, INT)
def process_vm_readv_raw(
    task: Task, pid: int, local: int, nr_local: int, remote: int, nr_remote: int, flags: int
) -> int:
    """Copy from another task's iovecs to the caller's; return how many bytes.

    Errors: ESRCH, EPERM, EFAULT, EINVAL. Source: process_vm_readv(2).
    """
    here, there, most = _both_sides(task, (local, nr_local), (remote, nr_remote), flags)
    if not most:
        return 0
    return scatter(task.mm, here, _read_pinned(_other(task, pid).mm, there, most))


@syscall(311, "process_vm_writev", SINT, INT, SINT, INT, INT, INT)
def process_vm_writev_raw(
    task: Task, pid: int, local: int, nr_local: int, remote: int, nr_remote: int, flags: int
) -> int:
    """Copy from the caller's iovecs to another task's; return how many bytes.

    Errors: ESRCH, EPERM, EFAULT, EINVAL. Source: process_vm_writev(2).
    """
    here, there, most = _both_sides(task, (local, nr_local), (remote, nr_remote), flags)
    if not most:
        return 0
    return _write_pinned(_other(task, pid).mm, there, gather(task.mm, here, most))
