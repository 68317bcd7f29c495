"""What file systems ask of the machine they are in, and of its tasks: small Protocols.

The one place that says it. A Kernel and a Task are much more, but nothing below them knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.mm.process import Process

if TYPE_CHECKING:
    from pkern.kernel.clock import Clock
    from pkern.kernel.log import Log
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.namespaces.base import Namespace
    from pkern.kernel.namespaces.table import Namespaces
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.random import Random
    from pkern.kernel.vfs.file import FdTable, File
    from pkern.kernel.vfs.fs_struct import FsStruct
    from pkern.kernel.vfs.inode import Inode
    from pkern.kernel.vfs.inotify import Notify
    from pkern.kernel.vfs.locks import Locks
    from pkern.kernel.vfs.walk import Place
    from pkern.kernel.visits import Visits

WATCH_BYTES = 1312  # what one costs Linux 6.18: 1 % of memory may be spent on them


class Caller(Process, Protocol):
    """A task that asks: with whose rights, from where its paths begin, and who sleeps for it."""

    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def groups(self) -> tuple[int, ...]: ...
    @property
    def umask(self) -> int: ...
    @property
    def fs(self) -> FsStruct: ...
    @property
    def nsproxy(self) -> Spaces: ...
    def capable(self, capability: str) -> bool: ...
    def capable_in(self, user_ns: UserNamespace, capability: str) -> bool: ...
    def capable_over(self, inode: Inode, capability: str) -> bool: ...


class Spaces(Protocol):
    """A task's namespaces, as far as files ask for them."""

    @property
    def uts(self) -> Namespace: ...
    @property
    def ipc(self) -> Namespace: ...


class Limits(Protocol):
    """A task's resource limits: (soft, hard) by name."""

    def __getitem__(self, name: str) -> tuple[int, int]: ...


class Holder(Protocol):
    """A task that holds descriptors and directories."""

    @property
    def pid(self) -> int: ...
    @property
    def tgid(self) -> int: ...
    @property
    def kernel(self) -> Machine: ...
    @property
    def rlimits(self) -> Limits: ...
    @property
    def fds(self) -> FdTable: ...
    @property
    def fs(self) -> FsStruct: ...


class Timers(Protocol):
    """Who calls back at a virtual time: the scheduler.

    waits_for_host: while it is in a call of the host that may take as long as it likes.
    """

    waits_for_host: bool

    def at(self, deadline: int, action: Callable[[], None]) -> object: ...


class Counter:
    """Numbers that are never used twice: inode numbers and cookies of open files."""

    def __init__(self, last: int = 0) -> None:
        self._last = last

    def take(self) -> int:
        """Return the next number, from 1."""
        self._last += 1
        return self._last


class InotifyLimits:
    """fs.inotify.*, and what there is: instances and watches by user, and in all. ram: bytes."""

    def __init__(self, ram: int) -> None:
        self.max_queued_events = 16384
        self.max_user_instances = 128
        self.max_user_watches = min(max(ram // 100 // WATCH_BYTES, 8192), 1 << 20)
        self.instances: dict[int, int] = {}
        self.watches: dict[int, int] = {}
        self.marks = 0
        self.last_cookie = 0


class Files(Protocol):
    """The tables that all inodes and open files of a machine share: its Vfs."""

    @property
    def mounts(self) -> Sequence[Any]: ...
    @property
    def numbers(self) -> Counter: ...
    @property
    def locks(self) -> Locks: ...
    @property
    def drivers(self) -> Mapping[int, type[Inode]]: ...
    @property
    def read_only(self) -> set[int]: ...
    @property
    def inotify(self) -> InotifyLimits: ...

    notify: Notify | None  # who is told what happens to files; None: nobody watches any

    @property
    def root(self) -> Inode: ...
    def remember(self, inode: Inode) -> None: ...
    def forget(self, inode: Inode) -> None: ...
    def register(self, file: File) -> File: ...
    def closed(self, file: File) -> None: ...
    def need_room(self, task: Caller) -> None: ...
    def renamed(self, inode: Inode, old: Place, new: Place, was: str, now: str) -> None: ...
    def file_system(self, inode: Inode) -> Any: ...
    def is_mount_root(self, inode: Inode) -> bool: ...


class Machine(Protocol):
    """What an inode may ask for."""

    @property
    def memory(self) -> Memory: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def log(self) -> Log: ...
    @property
    def random(self) -> Random: ...
    @property
    def vfs(self) -> Files: ...
    @property
    def tasks(self) -> Mapping[int, Holder]: ...
    @property
    def scheduler(self) -> Timers | None: ...
    @property
    def namespaces(self) -> Namespaces: ...
    @property
    def visits(self) -> Visits | None: ...
    def wake(self, key: Hashable) -> None: ...
    def tell_owner(self, file: File, fd: int, code: int, band: int) -> None: ...
    def tell_urgent(self, file: File) -> None: ...
