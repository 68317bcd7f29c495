"""What all objects of System V IPC share: ids, keys, owners and rights.

An id is an index and, above it, a number that moves whenever indexes begin anew, so that the id of
an object that is gone is not soon another's. Source: ipc/util.c of Linux 6.18.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Generic, TypeVar

from pkern.kernel.clock import SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.inode import in_group

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

IPC_PRIVATE = 0
IPC_CREAT, IPC_EXCL, IPC_NOWAIT = 0o1000, 0o2000, 0o4000
INDEXES, SEQUENCES = 32768, 65536  # IPCMNI
LEAST_CYCLE = 64  # indexes that are gone through before one is used again
S_IRUGO, S_IWUGO = 0o444, 0o222


def need_rights(
    task: Caller, flags: int, mode: int, users: tuple[int, int], groups: tuple[int, int]
) -> None:
    """Refuse who may not do what any class of nine permission bits asks. Errors: EACCES.

    mode, users, groups: of the object, its owner and its maker. Source: ipcperms() of Linux 6.18.
    """
    asked = (flags >> 6 | flags >> 3 | flags) & 7
    if task.uid in users:
        mode >>= 6
    elif any(in_group(task, gid) for gid in groups):
        mode >>= 3
    if asked & ~mode and not may_manage(task, "CAP_IPC_OWNER"):
        raise SyscallError(errno.EACCES)


def may_manage(task: Caller, capability: str) -> bool:
    """Tell whether a task has power over the objects that it sees, whoever owns them."""
    return task.capable_in(task.nsproxy.ipc.user, capability)


class Ids:
    """The ids of one kind of objects. most: how many there may be.

    next: what the next object shall get; -1: an id of the kernel's choice. Source:
    ipc_idr_alloc() of Linux 6.18.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.next = -1
        self._last_index = -1
        self._sequence = 0

    def take(self, used: Mapping[int, object]) -> int:
        """Return an id whose index is not among those used. Errors: ENOSPC."""
        wanted, self.next = self.next, -1
        if wanted >= 0:
            free = (i for i in range(wanted % INDEXES, INDEXES) if i not in used)
            return wanted // INDEXES * INDEXES + _first(free)
        top = min(max(len(used) * 3 // 2, LEAST_CYCLE), self.most)
        order = chain(range(self._last_index + 1, top), range(INDEXES))
        index = _first(i for i in order if i not in used)
        self._sequence = (self._sequence + (index <= self._last_index)) % SEQUENCES
        self._last_index = index
        return self._sequence * INDEXES + index


def _first(free: Iterator[int]) -> int:
    found = next(free, None)
    if found is None:
        raise SyscallError(errno.ENOSPC)
    return found


class IpcObject:
    """One object: its key (0: private), its id (-1: it is gone), who made and who owns it."""

    def __init__(self, kernel: Machine, task: Caller, key: int, flags: int) -> None:
        self.kernel = kernel
        self.key = key
        self.id = -1
        self.uid, self.gid = self.cuid, self.cgid = task.uid, task.gid
        self.mode = flags & 0o777
        self.ctime = self.now()

    def now(self) -> int:
        """Return the date in seconds, as IPC_STAT shows it."""
        return self.kernel.clock.realtime_ns // SECOND

    @property
    def sequence(self) -> int:
        """What the id holds beside the index."""
        return self.id // INDEXES

    def need(self, task: Caller, flags: int) -> None:
        """Refuse who may not do what flags ask for. Errors: EACCES."""
        need_rights(task, flags, self.mode, (self.uid, self.cuid), (self.gid, self.cgid))

    def need_owner(self, task: Caller) -> None:
        """Refuse all but the owner, the maker and CAP_SYS_ADMIN. Errors: EPERM."""
        if task.uid not in (self.cuid, self.uid) and not may_manage(task, "CAP_SYS_ADMIN"):
            raise SyscallError(errno.EPERM)

    def give(self, uid: int, gid: int, mode: int) -> None:
        """Set owner and rights, as IPC_SET does. Errors: EINVAL (no such user)."""
        if 0xFFFF_FFFF in (uid, gid):
            raise SyscallError(errno.EINVAL)
        self.uid, self.gid = uid, gid
        self.mode = self.mode & ~0o777 | mode & 0o777
        self.ctime = self.now()


T = TypeVar("T", bound=IpcObject)


class IpcTable(Generic[T]):
    """The objects of one kind, by id and by key."""

    def __init__(self, most: int) -> None:
        self.ids = Ids(most)
        self._at: dict[int, T] = {}  # by index
        self._by_key: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._at)

    def items(self) -> list[T]:
        """Return every object, by index."""
        return [self._at[index] for index in sorted(self._at)]

    def last_index(self) -> int:
        """Return the highest index in use, 0 if there is none."""
        return max(self._at, default=0)

    def at(self, number: int) -> T:
        """Return the object at the index of an id, whoever has it now. Errors: EINVAL."""
        found = self._at.get(number % INDEXES)
        if found is None or number < 0:
            raise SyscallError(errno.EINVAL)
        return found

    def get(self, number: int) -> T:
        """Return the object of an id. Errors: EINVAL."""
        found = self.at(number)
        if found.id != number:
            raise SyscallError(errno.EINVAL)
        return found

    def find(
        self,
        task: Caller,
        key: int,
        flags: int,
        fits: Callable[[T], bool],
        make: Callable[[], T],
    ) -> int:
        """Return the id for a key; make() it if asked. fits: tells whether a found one will do.

        Errors: ENOENT, EEXIST, EINVAL, EACCES, ENOSPC.
        """
        found = self._by_key.get(key) if key != IPC_PRIVATE else None
        if found is None:
            if key != IPC_PRIVATE and not flags & IPC_CREAT:
                raise SyscallError(errno.ENOENT)
            return self._enter(make())
        if flags & IPC_CREAT and flags & IPC_EXCL:
            raise SyscallError(errno.EEXIST)
        if not fits(found):
            raise SyscallError(errno.EINVAL)
        found.need(task, flags)
        return found.id

    def _enter(self, made: T) -> int:
        if len(self._at) >= self.ids.most:
            raise SyscallError(errno.ENOSPC)
        made.id = self.ids.take(self._at)
        self._at[made.id % INDEXES] = made
        if made.key != IPC_PRIVATE:
            self._by_key[made.key] = made
        return made.id

    def remove(self, gone: T) -> None:
        """Forget an object."""
        del self._at[gone.id % INDEXES]
        self._by_key.pop(gone.key, None)
        gone.id = -1
