"""System V shared memory calls."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, Any

from pkern.kernel.clock import SECOND
from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm import hugetlb
from pkern.kernel.namespaces.base import IPC
from pkern.kernel.namespaces.user import NO_ID
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import O_RDONLY, O_RDWR, File
from pkern.kernel.vfs.fs.hugetlbfs import HugeInode
from pkern.kernel.vfs.ipc.ipc import may_manage
from pkern.kernel.vfs.ipc.shm import Segment, Segments
from pkern.syscalls.layouts import is_i386, layout
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
SHM_RDONLY, SHM_RND, SHM_REMAP, SHM_EXEC = 0o10000, 0o20000, 0o40000, 0o100000
SHM_HUGETLB, SHM_DEST = 0o4000, 0o1000
SHM_LOCKED = 0o2000
IPC_RMID, IPC_SET, IPC_STAT, IPC_INFO, SHM_LOCK, SHM_UNLOCK = 0, 1, 2, 3, 11, 12
SHM_STAT, SHM_INFO, SHM_STAT_ANY = 13, 14, 15
S_IRUGO, S_IRWUGO, S_IXUGO = 0o444, 0o666, 0o111


# struct shmid64_ds: key, two owners, mode, number; size, three times, two pids, attachments.
SHMID_DS = layout("<i5IHHxxxx2QQ3QiiQ2Q", "<i5IHH2II3QiiI2I")
SHMINFO, SHM_INFO_DS = layout("<9Q", "<9I"), layout("<ixxxx5Q", "<i5I")
INT_MAX, LONG = (1 << 31) - 1, (1 << 32) - 1  # of the i386 table


class ShmidDs(NamedTuple):
    """struct shmid_ds: key, owner, maker, mode, size in bytes, times (seconds), pids, VMAs."""

    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    shm_segsz: int
    shm_atime: int
    shm_dtime: int
    shm_ctime: int
    shm_cpid: int
    shm_lpid: int
    shm_nattch: int

    @classmethod
    def of(cls, segment: Segment, task: Task) -> ShmidDs:
        """Describe a segment as a task sees it."""
        inode = segment.inode
        mode = inode.mode | (SHM_DEST if segment.removed else 0)
        mode |= SHM_LOCKED if segment.locked_by is not None else 0
        times = (segment.atime, segment.dtime, segment.ctime)
        own = task.cred.user_ns
        pids = (task.number_of(segment.creator), task.number_of(segment.last_pid))
        uids, gids = (inode.uid, segment.owner[0]), (inode.gid, segment.owner[1])
        (uid, cuid), (gid, cgid) = map(own.uid_of, uids), map(own.gid_of, gids)
        return cls(
            segment.key, uid, gid, cuid, cgid, mode, segment.bytes, *times, *pids, segment.attached
        )

    def pack(self, layout: struct.Struct = SHMID_DS.native) -> bytes:
        """Return struct shmid64_ds, of x86-64 112 bytes."""
        perm = (self.key, self.uid, self.gid, self.cuid, self.cgid, self.mode)
        times = (self.shm_atime, self.shm_dtime, self.shm_ctime)
        pids = (self.shm_cpid, self.shm_lpid)
        size = self.shm_segsz & LONG if layout is SHMID_DS.i386 else self.shm_segsz
        return layout.pack(*perm, 0, 0, 0, 0, size, *times, *pids, self.shm_nattch, 0, 0)


def _need_large_pages(task: Task) -> None:
    """Refuse SHM_HUGETLB without CAP_IPC_LOCK and outside vm.hugetlb_shm_group. Errors: EPERM."""
    memory = task.kernel.memory
    if task.capable("CAP_IPC_LOCK") or memory.tunables.disable_cap_mlock:
        return
    if memory.hugetlb_shm_group not in (task.gid, *task.groups):
        raise SyscallError(errno.EPERM)


@syscall(29, "shmget", SINT, INT, INT)
def shmget(task: Task, key: int, size: int, flags: int = 0) -> int:
    """Return the id of a segment of size bytes.

    Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOMEM; EPERM (SHM_HUGETLB without CAP_IPC_LOCK, outside
    vm.hugetlb_shm_group). Source: shmget(2).
    """
    segments = task.nsproxy.ipc.segments
    with task.kernel.memory.on_behalf_of(task):
        found = segments.find(task, key, size, flags)
        if found is not None:
            return found
        if flags & SHM_HUGETLB:
            hugetlb.check_size(flags)
            _need_large_pages(task)
        return segments.make(task, key, size, flags)


def _attach_flags(addr: int, flags: int, size: int) -> tuple[int, int]:
    """Return the address and mmap's flags. Errors: EINVAL."""
    if not addr:
        if flags & SHM_REMAP:
            raise SyscallError(errno.EINVAL)
        return 0, int(lib.MAP_SHARED)
    if addr % PAGE_SIZE and not flags & SHM_RND:
        raise SyscallError(errno.EINVAL)
    if addr + size >= 1 << 64 and not flags & SHM_REMAP:
        raise SyscallError(errno.EINVAL)
    fixed = lib.MAP_FIXED if flags & SHM_REMAP else lib.MAP_FIXED_NOREPLACE
    return addr - addr % PAGE_SIZE, int(lib.MAP_SHARED | fixed)


def _map_segment(task: Task, segment: Segment, addr: int, prot: int, flags: int, mode: int) -> int:
    kernel = task.kernel
    with kernel.memory.on_behalf_of(task):
        file = kernel.vfs.register(File(kernel, segment.inode, segment.name, mode))
    file.descriptors = 1
    file.count_as_reader()  # a segment is no program
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
    segment = task.nsproxy.ipc.segments.segment(shmid)
    where, map_flags = _attach_flags(addr, flags, segment.bytes)
    read_only = bool(flags & SHM_RDONLY)
    wanted = S_IRUGO if read_only else S_IRWUGO
    segment.need(task, wanted | (S_IXUGO if flags & SHM_EXEC else 0))
    prot = lib.PROT_READ | (0 if read_only else lib.PROT_WRITE)
    prot |= lib.PROT_EXEC if flags & SHM_EXEC else 0
    if isinstance(segment.inode, HugeInode) and not segment.reserved:
        map_flags |= lib.MAP_NORESERVE
    segment.last_pid, segment.atime = task.tgid, task.kernel.clock.realtime_ns // SECOND
    return _map_segment(task, segment, where, prot, map_flags, O_RDONLY if read_only else O_RDWR)


def _shows(vma: Vma, addr: int) -> bool:
    """Tell whether a VMA shows what an attachment at addr would show there."""
    return vma.start - addr == vma.pgoff * PAGE_SIZE


def _detach(task: Task, vma: Vma) -> None:
    """Unmap an attachment. One that is sealed stays, and nobody is told, as on Linux."""
    try:
        task.mm.call(lib.mm_munmap, vma.start, vma.end - vma.start)
    except SyscallError as error:
        if error.number != errno.EPERM:
            raise


@syscall(67, "shmdt", INT)
def shmdt(task: Task, addr: int) -> int:
    """Detach the segment attached at addr, also what munmap has left of it.

    Errors: EINVAL. Source: shmdt(2); ksys_shmdt() of Linux 6.18.
    """
    behind = [vma for vma in task.mm.vmas() if vma.start >= addr and not addr % PAGE_SIZE]
    named = ((vma, _segment_of(task, vma)) for vma in behind if _shows(vma, addr))
    first, segment = next(((v, s) for v, s in named if s is not None), (None, None))
    if first is None or segment is None:
        raise SyscallError(errno.EINVAL)
    end = addr + segment.nr_pages * PAGE_SIZE
    for vma in behind:  # the first one, too, if mremap has made it longer than the segment
        same = vma.file_cookie == first.file_cookie and vma.end <= end and _shows(vma, addr)
        if same or vma is first:
            _detach(task, vma)
    segment.last_pid, segment.dtime = task.tgid, task.kernel.clock.realtime_ns // SECOND
    for segments in _all_segments(task):
        segments.sweep()
    return 0


def _all_segments(task: Task) -> list[Segments]:
    """Return the segments of each ipc namespace: what is attached stays so in another one."""
    spaces: Any = task.kernel.namespaces.of_kind(IPC)
    return [space.segments for space in spaces if space.has("segments")]


def _segment_of(task: Task, vma: Vma) -> Segment | None:
    found = (segments.of_inode(vma.mapping_cookie) for segments in _all_segments(task))
    return next((segment for segment in found if segment is not None), None)


def _stat(task: Task, segment: Segment) -> ShmidDs:
    segment.need(task, S_IRUGO)
    return ShmidDs.of(segment, task)


def _need_owner(task: Task, segment: Segment, capability: str) -> None:
    """Refuse all but the owner, the maker and the capable. Errors: EPERM."""
    owners = segment.inode.uid, segment.owner[0]
    if task.cred.euid not in owners and not may_manage(task, capability):
        raise SyscallError(errno.EPERM)


def _remove(task: Task, shmid: int, segment: Segment) -> None:
    _need_owner(task, segment, "CAP_SYS_ADMIN")
    task.nsproxy.ipc.segments.remove(shmid)


def _set(task: Task, segment: Segment, uid: int, gid: int, mode: int) -> None:
    """Give a segment another owner and rights. Errors: EPERM, EINVAL (no such user)."""
    _need_owner(task, segment, "CAP_SYS_ADMIN")
    if NO_ID in (uid, gid):
        raise SyscallError(errno.EINVAL)
    inode = segment.inode
    inode.uid, inode.gid, inode.mode = uid, gid, inode.mode & ~0o777 | mode & 0o777
    segment.ctime = task.kernel.clock.realtime_ns // SECOND


def _need_lock_right(task: Task, segment: Segment) -> None:
    """Refuse all but the owner, the maker and CAP_IPC_LOCK. Errors: EPERM."""
    _need_owner(task, segment, "CAP_IPC_LOCK")


def _lock(task: Task, segment: Segment) -> None:
    """Keep a segment in memory. Errors: EPERM, ENOMEM (more than RLIMIT_MEMLOCK)."""
    _need_lock_right(task, segment)
    limit = task.rlimits["memlock"][0]
    if not limit and not task.capable("CAP_IPC_LOCK"):
        raise SyscallError(errno.EPERM)
    if isinstance(segment.inode, HugeInode) or segment.locked_by is not None:
        return  # large pages stay anyway
    pages = segment.nr_pages + task.nsproxy.ipc.segments.locked_pages(task.uid)
    if pages > limit // PAGE_SIZE and not task.capable("CAP_IPC_LOCK"):
        raise SyscallError(errno.ENOMEM)
    segment.lock(task.uid)


def _unlock(task: Task, segment: Segment) -> None:
    _need_lock_right(task, segment)
    if segment.locked_by is not None:
        segment.unlock()


def shmctl(task: Task, shmid: int, command: int) -> ShmidDs | int:
    """IPC_STAT: return a ShmidDs; IPC_RMID: remove the segment, which lives while attached.

    SHM_LOCK, SHM_UNLOCK: keep its pages in memory, or no more. Errors: EINVAL, EPERM, EACCES,
    ENOMEM. Source: shmctl(2).
    """
    segment = task.nsproxy.ipc.segments.segment(shmid)
    if command == IPC_STAT:
        return _stat(task, segment)
    actions = {
        IPC_RMID: lambda: _remove(task, shmid, segment),
        SHM_LOCK: lambda: _lock(task, segment),
        SHM_UNLOCK: lambda: _unlock(task, segment),
    }
    if command not in actions:
        raise SyscallError(errno.EINVAL)
    actions[command]()
    return 0


def _limits(task: Task) -> bytes:
    """Return struct shminfo64: kernel.shm*."""
    found = task.nsproxy.ipc.segments
    most, pages = found.max_bytes, found.max_pages
    if is_i386(task):
        most, pages = min(most, INT_MAX), pages & LONG
    return SHMINFO.of(task).pack(most, 1, found.ids.most, found.ids.most, pages, *[0] * 4)


def _totals(task: Task) -> bytes:
    """Return struct shm_info: segments, and their pages: all, resident, in swap."""
    found = [segment for _, segment in task.nsproxy.ipc.segments.items()]
    mappings = [segment.inode.mapping for segment in found]
    resident = sum(int(lib.mapping_nr_pages(mapping)) for mapping in mappings)
    swapped = sum(int(lib.mapping_nr_swapped(mapping)) for mapping in mappings)
    total = task.nsproxy.ipc.segments.nr_pages
    return SHM_INFO_DS.of(task).pack(len(found), total, resident, swapped, 0, 0)


def _store_stat(task: Task, index: int, command: int, addr: int) -> int:
    """SHM_STAT, SHM_STAT_ANY: the segment at an index. Returns its id. Errors: EINVAL, EACCES."""
    shmid, segment = task.nsproxy.ipc.segments.at(index)
    found = ShmidDs.of(segment, task) if command == SHM_STAT_ANY else _stat(task, segment)
    task.mm.copy_out(addr, found.pack(SHMID_DS.of(task)))
    return shmid


@syscall(31, "shmctl", SINT, SINT, INT)
def shmctl_raw(task: Task, shmid: int, command: int, addr: int) -> int:
    """As shmctl; IPC_STAT stores struct shmid_ds at addr, IPC_SET takes owner and mode from it.

    IPC_INFO and SHM_INFO store limits and totals and return the highest index; SHM_STAT and
    SHM_STAT_ANY take an index and return an id. Errors: as shmctl, EFAULT. Source: shmctl(2).
    """
    if command < 0 or shmid < 0:
        raise SyscallError(errno.EINVAL)
    if command in (IPC_INFO, SHM_INFO):
        task.mm.copy_out(addr, _limits(task) if command == IPC_INFO else _totals(task))
        return task.nsproxy.ipc.segments.last_index()
    if command in (SHM_STAT, SHM_STAT_ANY):
        return _store_stat(task, shmid, command, addr)
    if command == IPC_SET:
        wish = SHMID_DS.of(task).unpack(task.mm.copy_in(addr, SHMID_DS.of(task).size))
        owner = task.cred.user_ns.kids(wish[1], wish[2])
        _set(task, task.nsproxy.ipc.segments.segment(shmid), *owner, wish[5])
        return 0
    result = shmctl(task, shmid, command)
    if isinstance(result, ShmidDs):
        task.mm.copy_out(addr, result.pack(SHMID_DS.of(task)))
        return 0
    return result
