"""Open files and descriptors.

A File is what open() makes: shared by dup and fork, closed with its last descriptor, and with the
last mapping where somebody sees that. Mappings keep a reference of their own in the core.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, Inode
from pkern.kernel.vfs.mounts import NOATIME, NODIRATIME, NOEXEC, RDONLY

if TYPE_CHECKING:
    from collections import ChainMap

    from pkern.kernel.vfs.async_io import AsyncWatcher
    from pkern.kernel.vfs.machine import Caller, Holder, Machine
    from pkern.kernel.vfs.mounts import Mount

O_ACCMODE, O_RDONLY, O_WRONLY, O_RDWR = 3, 0, 1, 2
ACCESS = (MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, 0)  # by O_ACCMODE's bits
O_APPEND, O_NONBLOCK, O_DIRECT, O_PATH = 0o2000, 0o4000, 0o40000, 0o10000000
CREATION_FLAGS = 0o1700  # O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC
CLOEXEC, NO_CLOEXEC = 1, 0
POLLNVAL = 32


class Owner(NamedTuple):
    """Who hears of a file: a thread, process or group (F_OWNER_*), and who has chosen it."""

    kind: int
    pid: int
    uid: int
    euid: int


F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP = 0, 1, 2
NO_HANDLE = ffi.NULL
NO_OWNER = Owner(F_OWNER_PID, 0, 0, 0)


class File:
    """One open file: inode, flags, position (bytes) and the core's handle (NULL: unmappable).

    Errors: ENFILE, and those of the kind's file_opened.

    opener: the task, for kinds whose open may have to wait. listing: a directory's names as they
    were when reading it began, so that removing some meanwhile hides no other.
    """

    is_quiet = False  # while a call goes on that wants no SIGPIPE: RWF_NOSIGNAL
    # What most files never have otherwise.
    home: tuple[Inode, str] | None = None  # the directory and the name it was opened by
    listing: list[str] | None = None
    owner = NO_OWNER  # F_SETOWN: who gets SIGIO
    signal = 0  # F_SETSIG: what it gets instead; 0: SIGIO
    watcher: AsyncWatcher | None = None  # with O_ASYNC
    created = False  # whether this open has made the file
    counted = 0  # how often, in its inode's writers

    def __init__(
        self,
        kernel: Machine,
        inode: Inode,
        path: str,
        flags: int,
        opener: Caller | None = None,
        mount: Mount | None = None,
    ) -> None:
        if opener is not None:
            kernel.vfs.need_room(opener)
        self.kernel = kernel
        self.inode = inode
        self.mount = mount  # by which it was reached; None: by no path
        self.path = path
        self.flags = flags
        self.pos = 0
        self.opener = opener
        self.descriptors = 0
        self.cookie = kernel.vfs.numbers.take()
        self.handle: Any = NO_HANDLE
        if not flags & O_PATH:
            inode.file_opened(self)
            self.handle = inode.file_handle(self.core_mode(), self.cookie)
        inode.open_count += 1
        self.wb_since, self.fs_since = inode.sample_errors()
        if flags & O_ACCMODE and inode.kind == "file" and self.access & MAY_WRITE:
            self.counted = 1
            inode.writers += 1

    def count_as_reader(self) -> None:
        """Do not keep the file from being run, though it may be written."""
        self.inode.writers -= self.counted
        self.counted = 0

    def run_as_program(self) -> None:
        """Let no one write to the file while it runs. Errors: ETXTBSY: someone may already."""
        if self.inode.writers > 0:
            raise SyscallError(errno.ETXTBSY)
        self.counted = -1
        self.inode.writers -= 1

    @property
    def is_path(self) -> bool:
        """Tell whether this only names a place (O_PATH)."""
        return bool(self.flags & O_PATH)

    @property
    def access(self) -> int:
        """MAY_READ and MAY_WRITE bits of the open mode."""
        return 0 if self.flags & O_PATH else ACCESS[self.flags & O_ACCMODE]

    @property
    def shown_flags(self) -> int:
        """The flags without those that only the open itself was for."""
        return self.flags & ~(CREATION_FLAGS & ~self.inode.lasting_flags)

    @property
    def shown_path(self) -> str:
        """The path as /proc shows it: marked when that name is gone, whatever others are left."""
        gone = self.inode.st_nlink == 0 or (
            self.home is not None and not self.home[0].holds(self.home[1], self.inode)
        )
        return self.path + (" (deleted)" if gone and self.path.startswith("/") else "")

    def seen(self) -> Inode:
        """Return the inode; who watches is told of the name that this was opened by."""
        if self.home is not None:
            self.inode.seen_in = self.home
        return self.inode

    def ready(self) -> int:
        """Return the POLL* bits that are set now; POLLNVAL where it only names a place."""
        if self.is_path:
            return POLLNVAL
        bits = self.inode.poll(self)
        return bits | sum(more for bit, more in self.inode.also_ready.items() if bits & bit)

    def core_mode(self) -> int:
        """Return enum file_mode for the core."""
        access = self.access
        mode = lib.FILE_READ if access & MAY_READ else 0
        if access & MAY_WRITE:
            mode |= lib.FILE_WRITE
        if self.inode.noexec or (self.mount is not None and self.mount.flags & NOEXEC):
            mode |= lib.FILE_NO_EXEC
        return int(mode)

    def accessed(self) -> None:
        """Note that the content was read, unless the mount says otherwise."""
        flags = self.mount.flags if self.mount is not None else 0
        if flags & (NOATIME | RDONLY) or (flags & NODIRATIME and self.inode.kind == "dir"):
            return
        self.inode.accessed()

    def mapping_handle(self) -> Any:
        """Return the core's file for mmap; what cannot be mapped gets one that says so.

        So the core finds what else is wrong before that, in Linux's order. Errors: ENOMEM.
        """
        if self.handle == NO_HANDLE:
            create = self.kernel.memory.create
            mode = self.core_mode() | self.inode.no_mmap
            if self.inode.kind not in ("file", "sock"):
                mode |= lib.FILE_NO_END
            mapping = create(lib.mapping_create, self.kernel.memory.core, lib.MAPPING_MEMORY, 0)
            try:
                self.handle = create(lib.file_create, mapping, mode, self.cookie)
            finally:
                lib.mapping_put(mapping)
        return self.handle

    def sync(self, first: int, last: int) -> None:
        """Write dirty pages back; tell of an error meanwhile. Errors: EIO, ENOSPC, EINVAL."""
        if not self.inode.can_sync:
            raise SyscallError(errno.EINVAL)
        self.inode.writeback(first, last)
        number, self.wb_since = self.inode.wb_errors.since(self.wb_since)
        if number:
            raise SyscallError(number)

    def tell_fs_error(self) -> None:
        """Tell of an error of the whole file system since the last time. Errors: EIO, ENOSPC."""
        number, self.fs_since = self.inode.fs_errors.since(self.fs_since)
        if number:
            raise SyscallError(number)

    def need(self, wanted: int) -> None:
        """Refuse what the file was not opened for. Errors: EBADF."""
        if self.flags & O_PATH or not ACCESS[self.flags & O_ACCMODE] & wanted:
            raise SyscallError(errno.EBADF)

    def put(self) -> None:
        """Drop one descriptor; the last one closes the file, if no mapping has it."""
        self.descriptors -= 1
        if self.descriptors > 0:
            return
        handle, self.handle = self.handle, NO_HANDLE
        nr_vmas = lib.file_put(handle) if handle != NO_HANDLE else 0
        if nr_vmas and self._end_is_seen():
            self.kernel.vfs.keep_mapped(self, handle)
        else:
            self.kernel.vfs.end(self, nr_vmas)

    def _end_is_seen(self) -> bool:
        """Tell whether it matters to anybody when the file ends, beside who has it mapped."""
        vfs = self.kernel.vfs
        held = (vfs.locked and vfs.locks.has(self)) or (bool(vfs.leased) and vfs.leases.has(self))
        return held or self.counted > 0 or (vfs.notify is not None and self.home is not None)

    def end(self, nr_vmas: int) -> None:
        """Let go of all that an open file has. nr_vmas: that show it still."""
        if self.watcher is not None:
            self.watcher.drop()
        self.kernel.vfs.closed(self, nr_vmas)
        self.inode.open_count -= 1
        self.inode.writers -= self.counted
        if not self.flags & O_PATH:
            self.inode.file_closed(self)
            if self.kernel.vfs.locked:
                self.kernel.vfs.locks.drop_file(self)
            if self.kernel.vfs.leased:
                self.kernel.vfs.leases.closed(self)
        self.inode.released()


class FdTable:
    """The descriptors of a task, or of those that share them: lowest free number first.

    pid: of the process that it was made for. Record locks belong to the table, as in Linux.
    found: where a call finds its open files: in files, but for one that is made again after others
    have closed its descriptors (kept_files). reserved: numbers of files that sleeping calls are yet
    to open: neither free nor open. cloexec has those of them that execve is to close.
    """

    __slots__ = (
        "_free_from", "_kernel", "_limits", "cloexec", "files", "found", "pid", "reserved", "users",
    )  # fmt: skip

    def __init__(
        self, task: Holder, files: dict[int, File], cloexec: set[int], free_from: int = 0
    ) -> None:
        self._kernel = task.kernel
        self._limits = task.rlimits  # not the task itself, which has this table
        self.pid = task.tgid
        self.users = 1  # tasks
        self.files = files
        self.found: ChainMap[int, File] | dict[int, File] = files
        self.cloexec = cloexec
        self.reserved: set[int] = set()
        self._free_from = free_from  # every descriptor below is in use

    @property
    def size(self) -> int:
        """How many descriptors Linux's table would have room for: 64, then powers of two."""
        highest = max(self.files, default=0)
        return 64 if highest < 64 else max(256, 1 << highest.bit_length())

    def get_raw(self, fd: int) -> File:
        """Return the open file, also one that only names a place (O_PATH). Errors: EBADF."""
        file = self.found.get(fd)
        if file is None:
            raise SyscallError(errno.EBADF)
        return file

    def get(self, fd: int) -> File:
        """Return the open file. Errors: EBADF."""
        file = self.found.get(fd)
        if file is None or file.flags & O_PATH:
            raise SyscallError(errno.EBADF)
        return file

    def free(self, lowest: int = 0) -> int:
        """Return the lowest free descriptor >= lowest. Errors: EMFILE."""
        fd = max(lowest, self._free_from)
        while fd in self.files or fd in self.reserved:
            fd += 1
        asking: Any = self._kernel.memory.running()
        limits = self._limits if asking is None else asking.rlimits
        if fd >= limits.soft["nofile"]:
            raise SyscallError(errno.EMFILE)
        return fd

    def install(self, file: File, lowest: int = 0, cloexec: int = NO_CLOEXEC) -> int:
        """Give file the lowest free descriptor >= lowest. Errors: EMFILE."""
        fd = self.free(lowest)
        if lowest <= self._free_from:
            self._free_from = fd
        self.put_at(fd, file, cloexec)
        return fd

    def put_at(self, fd: int, file: File, cloexec: int = NO_CLOEXEC) -> None:
        """Make fd name file; what it named is closed. Errors: EBUSY: a call is yet to open it."""
        if fd in self.reserved:
            raise SyscallError(errno.EBUSY)
        file.descriptors += 1
        if fd in self.files:
            self.close(fd)
        self.files[fd] = file
        if cloexec:
            self.cloexec.add(fd)
        else:
            self.cloexec.discard(fd)

    def reserve(self, fd: int, cloexec: int) -> None:
        """Keep a number that free() has found for a file that a call is yet to open."""
        self.reserved.add(fd)
        self._free_from = max(self._free_from, fd)
        if cloexec:
            self.cloexec.add(fd)

    def fill(self, fd: int, file: File) -> None:
        """Make a reserved number name file, with what has been said of execve meanwhile."""
        self.reserved.remove(fd)
        file.descriptors += 1
        self.files[fd] = file

    def give_back(self, fd: int) -> None:
        """Let a reserved number be free again."""
        self.reserved.remove(fd)
        self.cloexec.discard(fd)
        self._free_from = min(self._free_from, fd)

    def set_cloexec(self, fd: int, cloexec: int) -> None:
        """Say whether fd is closed by execve."""
        change = self.cloexec.add if cloexec else self.cloexec.discard
        change(fd)

    def close(self, fd: int) -> None:
        """Close a descriptor; the table's record locks on the file go too. Errors: EBADF."""
        file = self.files.pop(fd, None)
        if file is None:
            raise SyscallError(errno.EBADF)
        self.cloexec.discard(fd)
        self._free_from = min(self._free_from, fd)
        if file.kernel.vfs.locked and not file.flags & O_PATH:
            file.kernel.vfs.locks.drop_task(file.inode, self)
        self._closing(file)
        file.put()

    def _closing(self, file: File) -> None:
        """Tell that a descriptor is about to be closed, be it the last one or not."""
        file.inode.descriptor_closed(self.pid)
        if file.inode.marks:
            load("pkern.kernel.vfs.dnotify").flush(file, self)

    def copy(self, task: Holder) -> FdTable:
        """Return what a forked child holds: the same open files."""
        for file in self.files.values():
            file.descriptors += 1
        free_from = min(self.reserved | {self._free_from})
        return FdTable(task, self.files.copy(), self.cloexec - self.reserved, free_from)

    def get_table(self) -> FdTable:
        """Add a user: a task that shares the descriptors."""
        self.users += 1
        return self

    def alone(self, task: Holder) -> FdTable:
        """Return a table that the task, a user of this one, shares with nobody."""
        if self.users == 1:
            return self
        self.users -= 1
        return self.copy(task)

    def leave(self) -> None:
        """Take a user away; when the last one goes every descriptor is closed."""
        self.users -= 1
        if not self.users:
            self._close_all()

    def _close_all(self) -> None:
        """Close every descriptor, lowest first; with the last one every record lock goes."""
        files, self.files, self.cloexec, self._free_from = self.files, {}, set(), 0
        self.found = self.files
        if self._kernel.vfs.locked:
            self._kernel.vfs.locks.drop_owner(self)
        with self._kernel.vfs.ends_late:
            for fd in sorted(files):
                file = files[fd]
                self._closing(file)
                file.put()
