"""System V shared memory: segments by key and by id.

A segment is an inode without a name; how often it is attached is counted from its VMAs, so
nothing here has to follow fork or munmap. One that is removed goes when a call, or the end of a
task, finds it attached no more.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from pkern.kernel.clock import SECOND
from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.fs.hugetlbfs import HugeInode, kind_asked
from pkern.kernel.vfs.inode import MAX_SIZE, PAGE_SIZE, MappedInode
from pkern.kernel.vfs.ipc.ipc import INDEXES, IPC_CREAT, IPC_EXCL, IPC_PRIVATE, Ids, need_rights

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

SHM_HUGETLB, SHM_NORESERVE = 0o4000, 0o10000
STRICT = 2  # vm.overcommit_memory: SHM_NORESERVE counts for nothing
SHMMNI = 4096
WORD = 1 << 64  # where sizes in bytes wrap
SHM_MAX = WORD - (1 << 24) - 1  # Linux's default


class SegmentInode(MappedInode):
    """The memory of a segment of small pages: a fault maps one, attachments do not join."""

    def file_handle(self, mode: int, cookie: int) -> Any:
        return super().file_handle(mode | int(lib.FILE_PAGEWISE | lib.FILE_APART), cookie)


class Segment:
    """One segment: its key (0: private, or removed), size in bytes, and who made it."""

    def __init__(self, kernel: Machine, task: Caller, key: int, size: int, flags: int) -> None:
        self.key = key
        self.name = f"/SYSV{key & 0xFFFFFFFF:08x}"
        self.creator = task.tgid
        self.last_pid = 0  # who attached or detached it last
        self.owner = task.uid, task.gid  # who made it, whatever IPC_SET says later
        self.locked_by: int | None = None  # the uid whose memory SHM_LOCK counts it as
        self.atime = self.dtime = 0  # seconds: last attached, last detached by shmdt
        self.ctime = kernel.clock.realtime_ns // SECOND
        self.removed = False
        self.bytes = size
        kind = kind_asked(flags) if flags & SHM_HUGETLB else SegmentInode
        self.reserved = not flags & SHM_NORESERVE
        self.inode = kind(kernel, flags & 0o777, task.uid, task.gid)
        self.inode.nlink = 0
        self.inode.open_count = 1  # the segment's own
        try:
            self._promise(kernel)
        except SyscallError:
            self.drop()
            raise

    def drop(self) -> None:
        """Let its memory go, but for what still shows it."""
        self.inode.open_count -= 1
        self.inode.released()

    def need(self, task: Caller, flags: int) -> None:
        """Refuse who may not do what flags ask for. Errors: EACCES."""
        users, groups = (self.inode.uid, self.owner[0]), (self.inode.gid, self.owner[1])
        need_rights(task, flags, self.inode.mode, users, groups)

    @property
    def nr_pages(self) -> int:
        """Pages of its size."""
        return -(-self.bytes // PAGE_SIZE)

    def _promise(self, kernel: Machine) -> None:
        """Give it its size, and commit to it unless it asked not to.

        Errors: ENOMEM, EINVAL (more than a file can have; that of large pages can).
        """
        inode = self.inode
        if isinstance(inode, HugeInode):
            inode.truncate(-(-self.bytes // inode.block_size) * inode.block_size % WORD)
            if self.reserved:
                inode.promise()
            return
        if self.bytes > MAX_SIZE:
            raise SyscallError(errno.EINVAL)
        inode.truncate(self.bytes)
        if self.reserved or int(kernel.memory.tunables.overcommit_memory) == STRICT:
            kernel.memory.call(None, lib.mapping_reserve, inode.mapping, self.nr_pages)

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
    """The segments of one machine, by id, and what bounds them (kernel.shm*)."""

    def __init__(self, kernel: Machine) -> None:
        self._kernel = kernel
        self._by_id: dict[int, Segment] = {}
        self._by_key: dict[int, int] = {}  # of those that have one: its id
        self._by_ino: dict[int, Segment] = {}
        self._removed: dict[int, Segment] = {}  # by id: to go when nothing shows them
        self._at: dict[int, int] = {}  # ids by index
        self.nr_pages = 0  # of all of them
        self.ids = Ids(SHMMNI)
        self.rmid_forced = 0
        self.max_bytes = self.max_pages = SHM_MAX

    def nr_locked_pages(self) -> int:
        """Return how many pages SHM_LOCK keeps in memory."""
        locked = (one.inode.mapping for one in self._by_id.values() if one.locked_by is not None)
        return sum(int(lib.mapping_nr_unevictable(mapping)) for mapping in locked)

    def find(self, task: Caller, key: int, size: int, flags: int) -> int | None:
        """Return the id for a key, None where one is to be made.

        Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC.
        """
        self.sweep()
        found = self._by_key.get(key)
        if found is None:
            self._need_new(key, size, flags)
            return None
        segment = self._by_id[found]
        if flags & IPC_CREAT and flags & IPC_EXCL:
            raise SyscallError(errno.EEXIST)
        if size > segment.bytes:
            raise SyscallError(errno.EINVAL)
        segment.need(task, flags)
        return found

    def _need_new(self, key: int, size: int, flags: int) -> None:
        if key != IPC_PRIVATE and not flags & IPC_CREAT:
            raise SyscallError(errno.ENOENT)
        if not 1 <= size <= self.max_bytes:
            raise SyscallError(errno.EINVAL)
        pages = -(-size // PAGE_SIZE)
        if pages == WORD // PAGE_SIZE or self.nr_pages + pages > self.max_pages:
            raise SyscallError(errno.ENOSPC)

    def make(self, task: Caller, key: int, size: int, flags: int) -> int:
        """Make a segment that find() knows nothing against; return its id. Errors: as Segment."""
        segment = Segment(self._kernel, task, key, size, flags)
        try:
            shmid = self._new_id()
        except SyscallError:
            segment.drop()
            raise
        self._by_id[shmid] = self._by_ino[segment.inode.ino] = segment
        self._at[shmid % INDEXES] = shmid
        if key != IPC_PRIVATE:
            self._by_key[key] = shmid
        self.nr_pages += segment.nr_pages
        return shmid

    def _new_id(self) -> int:
        if len(self._by_id) >= self.ids.most:
            raise SyscallError(errno.ENOSPC)
        return self.ids.take(self._at)

    def at(self, index: int) -> tuple[int, Segment]:
        """Return the segment at an index, with its id. Errors: EINVAL."""
        self.sweep()
        shmid = self._at.get(index % INDEXES)
        if shmid is None:
            raise SyscallError(errno.EINVAL)
        return shmid, self._by_id[shmid]

    def last_index(self) -> int:
        """Return the highest index in use, 0 if there is none."""
        self.sweep()
        return max(self._at, default=0)

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

    def locked_pages(self, uid: int) -> int:
        """Return how much a user has locked by SHM_LOCK."""
        return sum(s.nr_pages for s in self._by_id.values() if s.locked_by == uid)

    def remove(self, shmid: int) -> None:
        """Take the key away; the memory goes with the last VMA. Errors: EINVAL."""
        segment = self.segment(shmid)
        self._by_key.pop(segment.key, None)
        segment.removed, segment.key = True, IPC_PRIVATE
        self._removed[shmid] = segment
        self.sweep()

    def leave(self, pid: int) -> None:
        """Free what only a process that has ended has shown."""
        self.sweep()

    def sweep(self) -> None:
        """Free removed segments that nothing shows any more."""
        going = self._by_id if self.rmid_forced else self._removed
        for shmid, segment in list(going.items()):
            if (segment.removed or segment.atime) and not segment.attached:
                self._free(shmid)

    def _free(self, shmid: int) -> None:
        segment = self._by_id.pop(shmid)
        self._by_key.pop(segment.key, None)
        self._removed.pop(shmid, None)
        del self._by_ino[segment.inode.ino], self._at[shmid % INDEXES]
        self.nr_pages -= segment.nr_pages
        segment.drop()

    def close(self) -> None:
        """Free everything, at shutdown."""
        for shmid in list(self._by_id):
            self._free(shmid)
