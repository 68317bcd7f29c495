"""System V shared memory calls."""

from __future__ import annotations

import errno
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel import hugetlb
from kernel.core import lib
from kernel.errors import SyscallError
from kernel.ipc import Segment
from kernel.vfs.file import O_RDONLY, O_RDWR, File
from kernel.vfs.inode import MAY_READ, MAY_WRITE
from syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

PAGE_SIZE = 4096
SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_EXEC = 0o10000, 0o20000, 0o40000, 0o100000
SHM_HUGETLB, SHM_DEST = 0o4000, 0o1000
IPC_RMID, IPC_SET, IPC_STAT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class ShmidDs:
    """struct shmid_ds: key, owner, mode, size in bytes, attachments; times are 0."""

    key: int
    uid: int
    gid: int
    mode: int
    shm_segsz: int
    shm_cpid: int
    shm_nattch: int

    def pack(self) -> bytes:
        """Return the 112 bytes of x86-64's struct shmid64_ds."""
        owner = (self.uid, self.gid)
        perm = struct.pack("<i4IHHHxxQQ", self.key, *owner, *owner, self.mode, 0, 0, 0, 0)
        rest = struct.pack("<Q3QiiQQQ", self.shm_segsz, 0, 0, 0, self.shm_cpid, 0, 0, 0, 0)
        return (perm + rest[:40] + struct.pack("<Q", self.shm_nattch)).ljust(112, b"\0")


@syscall(29, "shmget", SINT, INT, INT)
def shmget(task: Task, key: int, size: int, flags: int = 0) -> int:
    """Return the id of a segment of size bytes.

    Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOMEM; EPERM (SHM_HUGETLB without CAP_IPC_LOCK, outside
    vm.hugetlb_shm_group). Source: shmget(2).
    """
    if flags & SHM_HUGETLB:
        hugetlb.check_shm(task.kernel, task)
        hugetlb.check_size(flags)
    with task.kernel.on_behalf_of(task):
        return task.kernel.segments.get(task, key, size, flags)


def _attach_flags(addr: int, flags: int) -> tuple[int, int]:
    """Return the address and mmap's flags. Errors: EINVAL."""
    if not addr:
        if flags & SHM_REMAP:
            raise SyscallError(errno.EINVAL)
        return 0, int(lib.MAP_SHARED)
    if addr % PAGE_SIZE and not flags & SHM_RND:
        raise SyscallError(errno.EINVAL)
    fixed = lib.MAP_FIXED if flags & SHM_REMAP else lib.MAP_FIXED_NOREPLACE
    return addr - addr % PAGE_SIZE, int(lib.MAP_SHARED | fixed)


def _map_segment(task: Task, segment: Segment, addr: int, prot: int, flags: int, mode: int) -> int:
    kernel = task.kernel
    with kernel.on_behalf_of(task):
        file = kernel.vfs.register(File(kernel, segment.inode, segment.name, mode))
    file.descriptors = 1
    try:
        return task.mm.call(lib.mm_mmap, addr, segment.bytes, prot, flags, file.handle, 0)
    except SyscallError as error:
        if error.errno == errno.EEXIST:
            raise SyscallError(errno.EINVAL) from None
        raise
    finally:
        file.put()


@syscall(30, "shmat", SINT, INT, INT)
def shmat(task: Task, shmid: int, addr: int = 0, flags: int = 0) -> int:
    """Attach a segment and return its address (bytes).

    Errors: EINVAL (no such id, misaligned, something is there), EACCES, ENOMEM. Source: shmat(2).
    """
    segment = task.kernel.segments.segment(shmid)
    where, map_flags = _attach_flags(addr, flags)
    read_only = bool(flags & SHM_RDONLY)
    segment.inode.open_check(task, MAY_READ if read_only else MAY_READ | MAY_WRITE)
    prot = lib.PROT_READ | (0 if read_only else lib.PROT_WRITE)
    prot |= lib.PROT_EXEC if flags & SHM_EXEC else 0
    return _map_segment(task, segment, where, prot, map_flags, O_RDONLY if read_only else O_RDWR)


@syscall(67, "shmdt", INT)
def shmdt(task: Task, addr: int) -> int:
    """Detach the segment attached at addr. Errors: EINVAL. Source: shmdt(2)."""
    first = task.mm.vma_at(addr)
    segment = task.kernel.segments.of_inode(first.mapping_cookie) if first else None
    if first is None or segment is None or first.start != addr or first.pgoff:
        raise SyscallError(errno.EINVAL)
    for vma in task.mm.vmas():  # a split or partly unmapped attachment goes as a whole
        if vma.file_cookie == first.file_cookie and vma.start - addr == vma.pgoff * PAGE_SIZE:
            task.mm.call(lib.mm_munmap, vma.start, vma.end - vma.start)
    return 0


def shmctl(task: Task, shmid: int, command: int) -> ShmidDs | int:
    """IPC_STAT: return a ShmidDs; IPC_RMID: remove the segment, which lives while attached.

    Errors: EINVAL, EPERM, EACCES. Source: shmctl(2).
    """
    segment = task.kernel.segments.segment(shmid)
    inode = segment.inode
    if command == IPC_STAT:
        inode.open_check(task, MAY_READ)
        mode = inode.mode | (SHM_DEST if segment.removed else 0)
        return ShmidDs(
            segment.key,
            inode.uid,
            inode.gid,
            mode,
            segment.bytes,
            segment.creator,
            segment.attached,
        )
    if command != IPC_RMID:
        raise SyscallError(errno.EINVAL)
    if task.uid != inode.uid and not task.capable("CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)
    task.kernel.segments.remove(shmid)
    return 0


@syscall(31, "shmctl", SINT, SINT, INT, partly="IPC_STAT and IPC_RMID; times are 0")
def shmctl_raw(task: Task, shmid: int, command: int, addr: int) -> int:
    """As shmctl; stores struct shmid_ds at addr. Errors: as shmctl, EFAULT. Source: shmctl(2)."""
    result = shmctl(task, shmid, command)
    if isinstance(result, ShmidDs):
        task.mm.copy_out(addr, result.pack())
        return 0
    return result
