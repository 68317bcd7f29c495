"""Inodes: what a name stands for.

Owns identity, ownership, kind and times. The content and size of a regular file live in the core's
mapping; this file holds one reference on it while a name or an open file remains. A directory
knows its parent and its name there, kept by place() whenever it is found, made or moved.
"""

from __future__ import annotations

import errno
import stat

from pkern.kernel.clock import SECOND
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any, Hashable, Iterable, Mapping, Sequence
from pkern.kernel.vfs.errseq import NO_ERRORS, NO_SAMPLES, ErrorSequence

if TYPE_CHECKING:
    from typing import ClassVar, Protocol, Self

    from pkern.kernel.namespaces.base import Namespace
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inotify import Mark
    from pkern.kernel.vfs.machine import Caller, Machine
    from pkern.kernel.vfs.mounts import Path

    class Watcher(Protocol):
        """Who wants to know that POLL* bits may have become true."""

        def news(self, bits: int) -> None: ...


PAGE_SIZE = 4096
ON_DISK = ("file", "dir", "link")  # kinds whose content is the file system's
LAST_PAGE = (1 << 52) - 1
WRITE_BATCH = 64
MAX_SIZE = (1 << 63) - 1

MAY_READ, MAY_WRITE, MAY_EXEC = 4, 2, 1
FILE_CAPS = "security.capability"  # an extended attribute: what a program may do
XATTR_PREFIXES = ("user.", "trusted.", "security.")
IMMUTABLE, APPEND, NO_DUMP, NO_ATIME = 0x10, 0x20, 0x40, 0x80  # FS_*_FL of Inode.file_flags
S_ISUID, S_ISGID, S_ISVTX = 0o4000, 0o2000, 0o1000
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16  # of fallocate
DEV_SHMEM = 1  # st_dev of files without a mount: memfd, shared memory
DAY_NS = 86_400 * SECOND
SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE = range(5)
ANYWHERE = frozenset(range(5))
FROM_START = frozenset({SEEK_SET, SEEK_CUR})  # of what has no end: a text that is made when read
NOTHING: Mapping[int, int] = {}  # see Inode.lacks
UNWRITTEN: Mapping[int, int] = {MAY_WRITE: errno.EINVAL}
NEITHER: Mapping[int, int] = {MAY_READ: errno.EINVAL, MAY_WRITE: errno.EINVAL}
NOWHERE: frozenset[int] = frozenset()  # lseek does nothing, and says 0
POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM = 1, 4, 0x40, 0x100
NEEDS = (lib.NEED_PAGE, lib.NEED_MEMORY)


class Inode:
    """The base of every inode: refuses everything, so that kinds say only what they can."""

    kind = "file"
    is_sink = False  # what is written to it is not even looked at
    type_bits = stat.S_IFREG
    block_size = PAGE_SIZE  # as stat and FIGETBSZ show it, bytes
    can_sync = False  # fsync has something to write, or may say that it has
    can_epoll = False
    lasting_flags = 0  # of those that an open of other kinds forgets
    no_mmap = lib.FILE_NO_MMAP  # how mmap of it is refused, if it has no pages
    noexec = False  # of a file system that holds no programs: it cannot be mapped to execute
    lacks = NOTHING  # of MAY_READ and MAY_WRITE, those its kind never has: the errno
    whences = ANYWHERE  # what lseek takes
    top_offset = MAX_SIZE  # the last position that lseek takes
    protocol_name = ""  # of a socket, as its attribute tells it
    can_seek = True  # else lseek, pread and pwrite are ESPIPE
    can_pwrite = True  # else writes at a place are ESPIPE
    write_moves = True  # a write moves the file's position
    fixed = 0  # the errno for who would set its mode, owner or times; 0: by its rights
    can_nowait = 0  # MAY_READ, MAY_WRITE: what RWF_NOWAIT is taken for
    can_dontcache = False  # RWF_DONTCACHE is taken
    one_buffer = 0  # MAY_READ, MAY_WRITE: what is done buffer by buffer, and takes no RWF_ flags
    undivided = 0  # MAY_READ, MAY_WRITE: what is done with all of the program's bytes, else EFAULT
    splices = MAY_READ | MAY_WRITE  # what splice and sendfile do: read from it, write to it
    splice_heeds_nonblock = False  # splice from it looks at SPLICE_F_NONBLOCK, too
    can_direct = False  # O_DIRECT is taken, of a file that was reached by a path
    has_file_flags = False  # chattr is understood
    file_flags = 0  # FS_*_FL: what may not be done to it
    write_hint = 0  # F_SET_RW_HINT: how long what is written is expected to live
    lists_dots = True  # of a directory: . and .. are among its entries
    no_new_names = 0  # of a directory: the errno for who would make an entry; 0: by its rights
    namespace: Namespace | None = None  # which it is, or shows
    marks: tuple[Mark, ...] = ()  # who watches it: kernel/vfs/inotify.py
    seen_in: tuple[Inode, str] | None = None  # where it was last found, in a watched directory
    watchers: Sequence[Watcher] = ()  # told of what becomes true: see kernel/vfs/anon/epoll.py
    # What else poll says of a file that is ready to be read, or to be written.
    also_ready: ClassVar[dict[int, int]] = {POLLIN: POLLRDNORM, POLLOUT: POLLWRNORM}

    def __init__(self, kernel: Machine, mode: int, uid: int = 0, gid: int = 0) -> None:
        self.kernel = kernel
        self.ino = kernel.vfs.numbers.take()
        self.mode = mode & 0o7777
        self.uid, self.gid = uid, gid
        self.nlink = 1
        self.open_count = 0
        self.writers = 0  # open for writing; below 0: so many tasks run it as their program
        self.mapping: Any = None
        self.dev = DEV_SHMEM
        self.rdev = 0
        self.btime = self.atime = self.mtime = self.ctime = kernel.clock.realtime_ns
        self.xattrs: dict[str, bytes] = {}
        self.mounted = 0  # how many mounts cover it
        self.parent: Inode | None = None  # of a directory, with its name there
        self.name = ""

    @property
    def namespaces(self) -> Iterable[Namespace]:
        """Which are in use while it is open."""
        return () if self.namespace is None else (self.namespace,)

    @property
    def is_mapped(self) -> bool:
        """Tell whether a VMA shows it."""
        return self.mapping is not None and lib.mapping_nr_vmas(self.mapping) > 0

    @property
    def wb_errors(self) -> ErrorSequence:
        """Errors of writing this file back."""
        return NO_ERRORS

    @property
    def fs_errors(self) -> ErrorSequence:
        """Errors of writing any file of its file system back."""
        return NO_ERRORS

    def sample_errors(self) -> tuple[int, int]:
        """Return where an open file begins to hear of both: what fsync and syncfs go on from."""
        return NO_SAMPLES

    @property
    def st_mode(self) -> int:
        """Type and permission bits, as stat shows them."""
        return self.type_bits | self.mode

    @property
    def st_nlink(self) -> int:
        """How many names it has, as stat shows it."""
        return self.nlink

    @property
    def st_size(self) -> int:
        """Bytes, as stat shows them."""
        return self.size

    @property
    def size(self) -> int:
        """Bytes."""
        return 0

    def need_settable(self) -> None:
        """Refuse to set mode, owner or times where its kind has them as they are. Errors: EPERM."""
        if self.fixed:
            raise SyscallError(self.fixed)

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """What /proc/PID/fdinfo shows of its kind, after what it shows of every open file.

        pid_ns: whose numbers that /proc shows.
        """
        return ""

    @property
    def blocks(self) -> int:
        """Units of 512 bytes that the content takes."""
        if self.mapping is None:
            return 0
        pages = lib.mapping_nr_pages(self.mapping) + lib.mapping_nr_swapped(self.mapping)
        return int(pages) * (PAGE_SIZE // 512)

    # ---- rights ----

    def permits(self, task: Caller, wanted: int) -> bool:
        """Tell whether task may do wanted (MAY_* bits) by Linux's owner, group, other rule."""
        if not wanted & ~(self.mode & self.mode >> 3 & self.mode >> 6):
            return True  # whoever it is
        shift = 6 if task.uid == self.uid else 3 if in_group(task, self.gid) else 0
        if not wanted & ~(self.mode >> shift & 7):
            return True
        runnable = self.kind == "dir" or self.mode & 0o111 or not wanted & MAY_EXEC
        if runnable and task.capable_over(self, "CAP_DAC_OVERRIDE"):
            return True
        harmless = wanted == MAY_READ or (self.kind == "dir" and not wanted & MAY_WRITE)
        return bool(harmless and task.capable_over(self, "CAP_DAC_READ_SEARCH"))

    def open_check(self, task: Caller, wanted: int) -> None:
        """Refuse an open that task has no right to. Errors: EROFS, EPERM (immutable), EACCES."""
        if wanted & MAY_WRITE and self.kind in ON_DISK:
            self.check_writable()
            if self.file_flags & IMMUTABLE:
                raise SyscallError(errno.EPERM)
        if not self.permits(task, wanted):
            raise SyscallError(errno.EACCES)

    def check_writable(self) -> None:
        """Refuse to change an inode of a read-only file system. Errors: EROFS."""
        if self.dev in self.kernel.vfs.read_only:
            raise SyscallError(errno.EROFS)

    def need_mutable(self) -> None:
        """Refuse to change names, rights or attributes of what is to stay. Errors: EPERM."""
        if self.file_flags & (IMMUTABLE | APPEND):
            raise SyscallError(errno.EPERM)

    def need_shrinkable(self) -> None:
        """Refuse to take content from what may only grow. Errors: EPERM."""
        if self.file_flags & APPEND:
            raise SyscallError(errno.EPERM)

    def owned_by(self, task: Caller) -> bool:
        """Tell whether task may do what owners may: it is theirs, or they have CAP_FOWNER."""
        return task.uid == self.uid or task.capable_over(self, "CAP_FOWNER")

    def need_owner(self, task: Caller) -> None:
        """Refuse who neither owns the inode nor has CAP_FOWNER. Errors: EPERM."""
        if not self.owned_by(task):
            raise SyscallError(errno.EPERM)

    def need_not_running(self) -> None:
        """Refuse to change a program that runs. Errors: ETXTBSY."""
        if self.writers < 0:
            raise SyscallError(errno.ETXTBSY)

    # ---- changes ----

    def prepare_change(self) -> None:
        """Be ready for a change of content or attributes: an overlay copies up. Errors: ENOSPC."""

    def need_movable(self) -> None:
        """Refuse to be moved. Errors: EXDEV: its file system cannot."""

    # ---- times ----

    def changed(self) -> None:
        """Note that the inode changed: ctime."""
        self.ctime = self.kernel.clock.realtime_ns

    def modified(self) -> None:
        """Note that the content changed: mtime and ctime."""
        self.mtime = self.ctime = self.kernel.clock.realtime_ns

    def accessed(self) -> None:
        """Note that the content was read: atime by the rule of relatime."""
        if self.file_flags & NO_ATIME:
            return
        now, last = self.kernel.clock.realtime_ns, self.atime
        if last > self.mtime and last > self.ctime and now - last < DAY_NS:
            return
        if self.dev not in self.kernel.vfs.read_only:
            self.atime = now

    def set_mode(self, mode: int) -> None:
        """Set the permission bits."""
        self.mode = mode
        self.changed()

    def set_xattr(self, name: str, value: bytes) -> None:
        """Set an extended attribute."""
        self.xattrs[name] = value

    def remove_xattr(self, name: str) -> None:
        """Remove an extended attribute that is there."""
        del self.xattrs[name]

    def set_owner(self, uid: int, gid: int) -> None:
        """Set owner and group."""
        self.uid, self.gid = uid, gid
        self.changed()

    def set_times(self, atime: int, mtime: int) -> None:
        """Set both times (nanoseconds since 1970)."""
        self.atime, self.mtime = atime, mtime
        self.changed()

    # ---- open files ----

    def file_opened(self, file: File) -> None:
        """Note a new open file of this inode."""

    def file_closed(self, file: File) -> None:
        """Note that an open file went away."""

    def descriptor_closed(self, pid: int) -> None:
        """Note that a process closed a descriptor, be it the last one or not."""

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Read through an open file: kinds that can wait look at its flags."""
        return self.read(pos, nbytes)

    def unread(self, data: bytes, done: int) -> int:
        """Take back data of which a reader could store only done bytes; return how many it keeps.

        A kind whose content goes when it is read may say less; the rest of some is lost.
        """
        return 0 if self.undivided & MAY_READ else done

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        """Write through an open file: kinds that can wait look at its flags."""
        return self.write(pos, data, task)

    def ioctl(self, task: Caller, file: File, request: int, arg: int) -> int:
        """Do what only a device can. Errors: ENOTTY."""
        raise SyscallError(errno.ENOTTY)

    def add_listener(self, listener: Watcher) -> None:
        """Let who sends the signals of an open file (O_ASYNC) know what becomes true."""
        self.watchers = (*self.watchers, listener)

    def remove_listener(self, listener: Watcher) -> None:
        """Let it know no more."""
        self.watchers = tuple(one for one in self.watchers if one is not listener)

    def watched(self, fd: int, nth: int) -> File:
        """Return the nth open file that a set for epoll watches by a descriptor. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)

    def poll(self, file: File) -> int:
        """Return the POLL* bits that are ready; a file that never waits is always ready."""
        return POLLIN | POLLOUT

    def is_silent(self) -> bool:
        """Tell whether it can become ready without wake(): by time, or by the host."""
        return False

    @property
    def wait_key(self) -> Hashable:
        """What those who wait for a change of poll() sleep on."""
        return self

    def watch(self) -> None:
        """Note that someone is about to sleep on wait_key."""

    def for_one_open(self) -> Self:
        """Return a copy, the same file to whoever asks: what opened() gives to one open file."""
        copy = object.__new__(type(self))
        vars(copy).update(vars(self), open_count=0, marks=(), watchers=())
        return copy

    def opened(self, task: Caller) -> Inode:
        """Return the inode that an open file of this one reads (procfs makes a fresh text)."""
        return self

    def read(self, pos: int, nbytes: int) -> bytes:
        """Return up to nbytes at pos. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        """Write data at pos; return how many bytes. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)

    def truncate(self, size: int) -> None:
        """Set the size in bytes. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)

    def fetch(self, index: int, truncate_count: int) -> None:
        """Bring page index into the cache. Errors: EIO: this kind has no backing store."""
        raise SyscallError(errno.EIO)

    def writeback(self, first: int, last: int) -> None:
        """Write dirty pages first..last to the backing store, if any; wb_errors keeps an error."""

    def drop_clean(self, first: int, last: int) -> None:
        """Let clean pages first..last that no one maps leave the cache, if they can come back."""

    def write_page(self, index: int) -> None:
        """Write one dirty page that is mapped nowhere, for reclaim; an error is kept, too."""

    def punched(self, start: int, end: int) -> None:
        """Note that [start, end) bytes have been zeroed in the page cache."""

    def place_of(self, offset: int, addr: int) -> int:
        """Return the place (bytes) that mmap's offset means; addr: where it is to be mapped."""
        return offset

    def file_handle(self, mode: int, cookie: int) -> Any:
        """Return the core's file for an open, or NULL: it cannot be mapped."""
        return ffi.NULL

    def lookup(self, name: str, task: Caller) -> Inode:
        """Return the entry of a directory. Errors: ENOTDIR, ENOENT."""
        raise SyscallError(errno.ENOTDIR)

    def sight(self, name: str, task: Caller) -> Inode:
        """As lookup, for who leaves no trace: nothing is kept of what was found."""
        return self.lookup(name, task)

    def sight_at(self, pos: int, nbytes: int) -> bytes:
        """As read, for who leaves no trace."""
        return self.read(pos, nbytes)

    def names(self, task: Caller) -> list[str]:
        """Return a directory's entries in order. Errors: ENOTDIR."""
        raise SyscallError(errno.ENOTDIR)

    def holds(self, name: str, inode: Inode) -> bool:
        """Tell whether a name of a directory still stands for an inode that was opened by it."""
        return True

    def place(self, parent: Inode, name: str) -> None:
        """Note where this inode was found: its device, and for a directory its parent and name."""
        self.dev = parent.dev
        if parent.marks:
            self.seen_in = parent, name
        if self.kind == "dir":
            self.parent, self.name = parent, name

    def released(self) -> None:
        """Note that a name or an open file went away; the last one frees the content."""
        if self.nlink > 0 or self.open_count > 0:
            return
        self.tell_end()
        mapped = self.is_mapped
        if self.mapping is not None:
            mapping, self.mapping = self.mapping, None
            lib.mapping_put(mapping)
        if not mapped:
            self.kernel.vfs.forget(self)

    def tell_end(self) -> None:
        """Tell who watches it that it is no more, unless a task stands there."""
        vfs = self.kernel.vfs
        if self.marks and vfs.notify is not None and not vfs.has_tasks_in(self):
            vfs.notify.gone(self)


def in_group(task: Caller, gid: int) -> bool:
    """Tell whether gid is the task's group or one of its supplementary ones."""
    return gid == task.gid or gid in task.groups


class AnonInode(Inode):
    """What only descriptors lead to: no name, no rights that could be set, nothing to execute."""

    kind = "anon"
    type_bits = 0
    noexec = True
    can_epoll = True
    fixed = errno.EOPNOTSUPP


class MappedInode(Inode):
    """A regular file: bytes in the core's page cache."""

    can_sync = True
    can_direct = True
    can_seal = has_file_flags = True

    mapping_flags = lib.MAPPING_MEMORY
    fallocate_modes = frozenset({0, KEEP_SIZE, PUNCH_HOLE | KEEP_SIZE})

    def __init__(self, kernel: Machine, mode: int, uid: int = 0, gid: int = 0) -> None:
        self._mtime = self._ctime = 0
        super().__init__(kernel, mode, uid, gid)
        self.seals = F_SEAL_SEAL  # a memfd may be told otherwise
        self.mapping = kernel.memory.create(
            lib.mapping_create, kernel.memory.core, self.mapping_flags, self.ino
        )
        kernel.vfs.remember(self)

    @property
    def size(self) -> int:
        return int(lib.mapping_size(self.mapping))

    # A store fault of a shared mapping moves both times; the core tells of the last one.

    def _note_stores(self) -> None:
        stored = lib.mapping_take_stored(self.mapping) if self.mapping is not None else 0
        if stored:
            self._mtime = self._ctime = int(stored)

    @property
    def mtime(self) -> int:
        """Nanoseconds since 1970."""
        self._note_stores()
        return self._mtime

    @mtime.setter
    def mtime(self, ns: int) -> None:
        self._note_stores()
        self._mtime = ns

    @property
    def ctime(self) -> int:
        """Nanoseconds since 1970."""
        self._note_stores()
        return self._ctime

    @ctime.setter
    def ctime(self, ns: int) -> None:
        self._note_stores()
        self._ctime = ns

    def modified(self) -> None:
        self._note_stores()
        self._mtime = self._ctime = self.kernel.clock.realtime_ns

    def read(self, pos: int, nbytes: int) -> bytes:
        return self._copy_out(lib.mapping_read, pos, nbytes)

    def peek(self, pos: int, nbytes: int) -> bytes:
        """Read for the kernel itself: no page counts as used. Errors: those of read()."""
        return self._copy_out(lib.mapping_peek, pos, nbytes)

    def sight_at(self, pos: int, nbytes: int) -> bytes:
        buffer = bytearray(max(0, min(nbytes, self.size - pos)))
        where = ffi.from_buffer(buffer)
        return bytes(buffer[: lib.mapping_glimpse(self.mapping, pos, where, len(buffer))])

    def _copy_out(self, transfer: Any, pos: int, nbytes: int) -> bytes:
        nbytes = max(0, min(nbytes, self.size - pos))
        buffer = bytearray(nbytes)
        done = self._transfer(transfer, pos, buffer)
        return bytes(buffer[:done])

    def _transfer(self, transfer: Any, pos: int, buffer: bytes | bytearray) -> int:
        """Read or write all of buffer, going on behind what is done; return how much was.

        Errors: those of the core, if nothing was done.
        """
        where, done, nbytes = ffi.from_buffer(buffer), 0, len(buffer)
        call, need = self.kernel.memory.call, self.kernel.memory.need
        while done < nbytes:
            try:
                n = call(None, transfer, self.mapping, pos + done, where + done, nbytes - done)
            except SyscallError:
                if not done:
                    raise
                break
            done += n
            if not n or (done < nbytes and need.stopped not in NEEDS):
                break  # truncated meanwhile, or an error: it is not tried a second time
        return done

    def set_mode(self, mode: int) -> None:
        if self.seals & F_SEAL_EXEC and (mode ^ self.mode) & 0o111:
            raise SyscallError(errno.EPERM)
        super().set_mode(mode)

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        data = data[: self.room_by_seals(pos, len(data))]
        if pos + len(data) > MAX_SIZE:
            raise SyscallError(errno.EFBIG)
        return self._store(pos, data)

    def _store(self, pos: int, data: bytes) -> int:
        return self._transfer(lib.mapping_write, pos, data)

    def truncate(self, size: int) -> None:
        if size > self.size and self.seals & F_SEAL_GROW:
            raise SyscallError(errno.EPERM)
        if size < self.size and self.seals & F_SEAL_SHRINK:
            raise SyscallError(errno.EPERM)
        self.kernel.memory.call(None, lib.mapping_truncate, self.mapping, size)

    def punch(self, start: int, end: int) -> None:
        """Zero and free [start, end) bytes. Errors: EPERM (sealed)."""
        if self.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE):
            raise SyscallError(errno.EPERM)
        self.kernel.memory.call(None, lib.mapping_punch, self.mapping, start, end)
        self.punched(start, end)

    def allocate(self, pos: int, nbytes: int) -> None:
        """Have pages for [pos, pos+nbytes) bytes. Errors: ENOSPC, EPERM (sealed)."""
        if pos + nbytes > self.size and self.seals & F_SEAL_GROW:
            raise SyscallError(errno.EPERM)
        if nbytes > self.kernel.memory.ram:
            raise SyscallError(errno.ENOSPC)
        end, call = pos + nbytes, self.kernel.memory.call
        while pos < end:
            pos += call(None, lib.mapping_allocate, self.mapping, pos, end - pos)

    def extend(self, size: int) -> None:
        """Let the file be at least size bytes."""
        lib.mapping_extend(self.mapping, size)

    def next_data(self, pos: int) -> int | None:
        """Return the offset of the first data at or after pos, or None."""
        index = lib.mapping_next_data(self.mapping, pos // PAGE_SIZE)
        if index < 0 or index * PAGE_SIZE >= self.size:
            return None
        return max(pos, int(index) * PAGE_SIZE)

    def next_hole(self, pos: int) -> int:
        """Return the offset of the first hole at or after pos; the end of the file is one."""
        index = pos // PAGE_SIZE
        while lib.mapping_next_data(self.mapping, index) == index:
            index += 1
        return min(max(pos, index * PAGE_SIZE), self.size)

    def room_by_seals(self, pos: int, nbytes: int) -> int:
        """Return how much of a write the seals allow: one that grows ends with its last whole page.

        Errors: EPERM: nothing.
        """
        if nbytes and self.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE):
            raise SyscallError(errno.EPERM)
        if not nbytes or not self.seals & F_SEAL_GROW or pos + nbytes <= self.size:
            return nbytes
        if self.size // PAGE_SIZE * PAGE_SIZE <= pos:
            raise SyscallError(errno.EPERM)
        return self.size // PAGE_SIZE * PAGE_SIZE - pos

    def file_handle(self, mode: int, cookie: int) -> Any:
        if self.seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE):
            mode |= lib.FILE_SEALED
        return self.kernel.memory.create(lib.file_create, self.mapping, mode, cookie)


F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE = 1, 2, 4, 8, 16
F_SEAL_EXEC = 32
SEALS_OF_CODE = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE
ALL_SEALS = 63


class DirInode(Inode):
    """A directory in memory: names in the order they were made."""

    kind = "dir"
    type_bits = stat.S_IFDIR
    one_buffer = MAY_READ
    can_sync = True
    can_whiteout = False  # a device without a number may stand where a name was: RENAME_WHITEOUT
    moves_over = False  # move() replaces what stands there by itself, in one step

    def __init__(self, kernel: Machine, mode: int, uid: int = 0, gid: int = 0) -> None:
        super().__init__(kernel, mode, uid, gid)
        self.nlink = 2
        self.entries: dict[str, Inode] = {}

    def lookup(self, name: str, task: Caller) -> Inode:
        if name not in self.entries:
            raise SyscallError(errno.ENOENT)
        return self.entries[name]

    @property
    def is_empty(self) -> bool:
        """Whether it has no entry."""
        return not self.entries

    def names(self, task: Caller) -> list[str]:
        return list(self.entries)

    def read(self, pos: int, nbytes: int) -> bytes:
        raise SyscallError(errno.EISDIR)


class LinkInode(Inode):
    """A symbolic link: a text."""

    kind = "link"
    type_bits = stat.S_IFLNK

    def __init__(self, kernel: Machine, target: str, uid: int = 0, gid: int = 0) -> None:
        super().__init__(kernel, 0o777, uid, gid)
        self.target = target

    @property
    def size(self) -> int:
        return len(self.target.encode("utf-8", "surrogateescape"))

    def readlink(self, task: Caller) -> str:
        """Return the target."""
        return self.target

    def goal_path(self, task: Caller) -> str:
        """Return the path of what jump() leads to, as an open file of it has it."""
        return self.readlink(task)

    def jump(self, task: Caller) -> Path | None:
        """Return the inode that this link leads to whatever its text says (/proc/self/fd)."""
        return None
