"""System V shared memory: segments by key and by id.

A segment is an inode without a name; how often it is attached is counted from its VMAs, so
nothing here has to follow fork or munmap. One that is removed goes when a call, or the end of a
task, finds it attached no more.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.clock import SECOND
from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm import hugetlb
from pkern.kernel.vfs.hugetlbfs import HugeInode
from pkern.kernel.vfs.inode import MappedInode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

IPC_PRIVATE = 0
IPC_CREAT, IPC_EXCL = 0o1000, 0o2000
SHM_HUGETLB, SHM_NORESERVE = 0o4000, 0o10000
SHM_MAX = (1 << 64) - (1 << 24) - 1  # Linux's default


class Segment:
    """One segment: its key (0: private, or removed), size in bytes, and who made it."""

    def __init__(self, kernel: Machine, task: Caller, key: int, size: int, flags: int) -> None:
        self.key = key
        self.name = f"/SYSV{key & 0xFFFFFFFF:08x}"
        self.creator = self.last_pid = task.pid
        self.owner = task.uid, task.gid  # who made it, whatever IPC_SET says later
        self.locked_by: int | None = None  # the uid whose memory SHM_LOCK counts it as
        self.atime = self.dtime = 0  # seconds: last attached, last detached by shmdt
        self.ctime = kernel.clock.realtime_ns // SECOND
        self.removed = False
        self.bytes = size
        large = bool(flags & SHM_HUGETLB)
        kind = HugeInode if large else MappedInode
        self.reserved = not flags & SHM_NORESERVE
        self.inode = kind(kernel, flags & 0o777, task.uid, task.gid)
        self.inode.nlink = 0
        self.inode.open_count = 1  # the segment's own
        self.inode.truncate(hugetlb.round_up(size) if large else size)
        if isinstance(self.inode, HugeInode) and self.reserved:
            self._reserve(self.inode)

    def _reserve(self, inode: HugeInode) -> None:
        try:
            inode.promise()
        except SyscallError:
            inode.open_count = 0
            inode.released()
            raise

    def lock(self, uid: int) -> None:
        """Keep all its pages in memory, at a user's expense."""
        self.locked_by = uid
        lib.mapping_lock(self.inode.mapping)

    def unlock(self) -> None:
        """Let its pages be reclaimed again."""
        self.locked_by = None
        lib.mapping_unlock(self.inode.mapping)

    @property
    def attached(self) -> int:
        """How many VMAs show it."""
        return int(lib.mapping_nr_vmas(self.inode.mapping))


class Segments:
    """The segments of one machine, by id from 0."""

    def __init__(self, kernel: Machine) -> None:
        self._kernel = kernel
        self._by_id: dict[int, Segment] = {}
        self._by_key: dict[int, int] = {}  # of those that have one: its id
        self._by_ino: dict[int, Segment] = {}
        self._removed: dict[int, Segment] = {}  # by id: to go when nothing shows them
        self._next_id = 0

    def nr_locked_pages(self) -> int:
        """Return how many pages SHM_LOCK keeps in memory."""
        locked = (one.inode.mapping for one in self._by_id.values() if one.locked_by is not None)
        return sum(int(lib.mapping_nr_unevictable(mapping)) for mapping in locked)

    def get(self, task: Caller, key: int, size: int, flags: int) -> int:
        """Return the id for a key, made if asked. Errors: ENOENT, EEXIST, EINVAL, EACCES."""
        self.sweep()
        found = self._by_key.get(key)
        if found is None:
            return self._make(task, key, size, flags)
        segment = self._by_id[found]
        if flags & IPC_CREAT and flags & IPC_EXCL:
            raise SyscallError(errno.EEXIST)
        if size > segment.bytes:
            raise SyscallError(errno.EINVAL)
        segment.inode.open_check(task, flags >> 6 & 6)
        return found

    def _make(self, task: Caller, key: int, size: int, flags: int) -> int:
        if key != IPC_PRIVATE and not flags & IPC_CREAT:
            raise SyscallError(errno.ENOENT)
        if not 1 <= size <= SHM_MAX:
            raise SyscallError(errno.EINVAL)
        memory = self._kernel.memory
        if size > memory.ram and int(memory.tunables.overcommit_memory) != 1:
            raise SyscallError(errno.ENOMEM)
        segment = Segment(self._kernel, task, key, size, flags)
        self._next_id += 1
        shmid = self._next_id - 1
        self._by_id[shmid] = self._by_ino[segment.inode.ino] = segment
        if key != IPC_PRIVATE:
            self._by_key[key] = shmid
        return shmid

    def segment(self, shmid: int) -> Segment:
        """Return a segment. Errors: EINVAL."""
        self.sweep()
        if shmid not in self._by_id:
            raise SyscallError(errno.EINVAL)
        return self._by_id[shmid]

    def of_inode(self, cookie: int) -> Segment | None:
        """Return the segment that a VMA's mapping cookie belongs to, or None."""
        return self._by_ino.get(cookie)

    def items(self) -> list[tuple[int, Segment]]:
        """Return every segment with its id."""
        self.sweep()
        return list(self._by_id.items())

    def locked_bytes(self, uid: int) -> int:
        """Return how much a user has locked by SHM_LOCK."""
        return sum(s.bytes for s in self._by_id.values() if s.locked_by == uid)

    def remove(self, shmid: int) -> None:
        """Take the key away; the memory goes with the last VMA. Errors: EINVAL."""
        segment = self.segment(shmid)
        self._by_key.pop(segment.key, None)
        segment.removed, segment.key = True, IPC_PRIVATE
        self._removed[shmid] = segment
        self.sweep()

    def sweep(self) -> None:
        """Free removed segments that nothing shows any more."""
        for shmid in [i for i, segment in self._removed.items() if not segment.attached]:
            self._free(shmid)

    def _free(self, shmid: int) -> None:
        segment = self._by_id.pop(shmid)
        self._by_key.pop(segment.key, None)
        self._removed.pop(shmid, None)
        inode = segment.inode
        del self._by_ino[inode.ino]
        inode.open_count -= 1
        inode.released()

    def close(self) -> None:
        """Free everything, at shutdown."""
        for shmid in list(self._by_id):
            self._free(shmid)
