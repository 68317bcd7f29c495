"""A host directory as a file system, read-only unless asked otherwise.

Nothing outside the directory can be reached: names are single components, and each inode is
opened relative to its parent's descriptor without following a link. A link of the host is read and
followed here, an absolute one from this file system's own root. Pages come by fetch() when
the core needs them and go back by writeback() on msync, fsync and at shutdown.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
from enum import Enum
from pathlib import Path

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import KernelPanic, SyscallError, host_errors
from pkern.kernel.lean import contextmanager
from pkern.kernel.mm.memory import Sleep
from pkern.kernel.typed import TYPE_CHECKING, Iterator
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.errseq import ErrorSequence
from pkern.kernel.vfs.inode import (
    APPEND,
    IMMUTABLE,
    KEEP_SIZE,
    LAST_PAGE,
    MAY_READ,
    NO_ATIME,
    PAGE_SIZE,
    S_ISGID,
    WRITE_BATCH,
    XATTR_PREFIXES,
    ZERO_RANGE,
    DirInode,
    Inode,
    LinkInode,
    MappedInode,
)

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine


ZEROES = bytes(1 << 16)
FS_IOC_GETFLAGS = 0x80086601
MOST_TEXT = 4 << 20  # bytes that are read of a file that does not say how long it is
SPARE_FDS = 16  # of the process: a program never takes them all, for it is imported from as it runs
DIRTY_STEP = 32 * PAGE_SIZE  # bytes that a writer may go on without a look at vm.dirty_ratio


def leave_spare(fd: int) -> int:
    """Return a new descriptor, unless it is one of the process's last. Errors: ENFILE."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and fd >= most - SPARE_FDS:
        os.close(fd)
        raise SyscallError(errno.ENFILE)
    return fd


class Access(Enum):
    """What programs may do to the host's files."""

    READ_ONLY = "ro"
    READ_WRITE = "rw"


class HiddenName(NamedTuple):
    """A name of the host that is not shown, by its directory: where this machine is mounted."""

    dev: int
    ino: int
    name: str


def take_status(inode: Inode, status: os.stat_result) -> None:
    """Give an inode what the host says of it."""
    inode.nlink = status.st_nlink
    inode.atime, inode.mtime, inode.ctime = (
        status.st_atime_ns,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
    inode.btime = status.st_mtime_ns


def attributes_of(fd: int) -> dict[str, bytes]:
    """Return the extended attributes of a host file that we may see, by name."""
    try:
        names = sorted(name for name in os.listxattr(fd) if name.startswith(XATTR_PREFIXES))
        return {name: os.getxattr(fd, name) for name in names}
    except OSError:  # its file system has none
        return {}


def flags_of(fd: int) -> int:
    """Return what may not be done to a host file: FS_*_FL of chattr, as an overlay keeps them."""
    try:
        told = fcntl.ioctl(fd, FS_IOC_GETFLAGS, bytes(4))
    except OSError:  # its file system has none
        return 0
    return int.from_bytes(told, "little") & (IMMUTABLE | APPEND | NO_ATIME)


class HostAttributes(Inode):
    """Rights and times that go to the host as well. fs and fd: of the subclasses."""

    fs: HostFs
    fd: int

    @property
    def fs_errors(self) -> ErrorSequence:
        return self.fs.wb_errors

    def sample_errors(self) -> tuple[int, int]:
        return self.wb_errors.sample(), self.fs_errors.sample()

    def set_mode(self, mode: int) -> None:
        with self.fs.writing():
            os.fchmod(self.fd, mode)
        super().set_mode(mode)

    def set_owner(self, uid: int, gid: int) -> None:
        with self.fs.writing():
            os.fchown(self.fd, uid, gid)
        super().set_owner(uid, gid)

    def set_xattr(self, name: str, value: bytes) -> None:
        with self.fs.writing():
            os.setxattr(self.fd, name, value)
        super().set_xattr(name, value)

    def remove_xattr(self, name: str) -> None:
        with self.fs.writing():
            os.removexattr(self.fd, name)
        super().remove_xattr(name)

    def set_times(self, atime: int, mtime: int) -> None:
        with self.fs.writing():
            os.utime(self.fd, ns=(atime, mtime))
        super().set_times(atime, mtime)


class HostFile(HostAttributes, MappedInode):
    """A regular file of the host. Its descriptor stays open while the machine runs."""

    can_seal = has_file_flags = False
    mapping_flags = lib.MAPPING_WRITEBACK
    can_nowait, can_dontcache = MAY_READ, True
    fallocate_modes = MappedInode.fallocate_modes | {ZERO_RANGE, ZERO_RANGE | KEEP_SIZE}

    def __init__(self, fs: HostFs, fd: int, status: os.stat_result) -> None:
        super().__init__(fs.kernel, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        self._wb_errors = ErrorSequence()
        self.fs = fs
        self.fd = fd
        take_status(self, status)
        self.xattrs = attributes_of(fd)
        lib.mapping_extend(self.mapping, status.st_size)

    @property
    def wb_errors(self) -> ErrorSequence:
        return self._wb_errors

    @property
    def blocks(self) -> int:
        return -(-self.size // PAGE_SIZE) * (PAGE_SIZE // 512)  # whatever of it is in memory

    def fetch(self, index: int, truncate_count: int) -> None:
        if lib.machine_io(self.kernel.memory.core, lib.IO_FILE_READ) < 0:
            raise SyscallError(errno.EIO)
        with host_errors():
            data = os.pread(self.fd, PAGE_SIZE, index * PAGE_SIZE)
        self.kernel.memory.sleep(Sleep.ARRIVED, index)
        add, call = lib.mapping_add_page, self.kernel.memory.call
        try:
            call(None, add, self.mapping, index, data, len(data), truncate_count)
        except SyscallError as error:
            if error.errno != errno.EAGAIN:  # truncated meanwhile: look again
                raise

    def sight_at(self, pos: int, nbytes: int) -> bytes:
        data, end = bytearray(), min(pos + nbytes, self.size)
        while (at := pos + len(data)) < end:
            seen = super().sight_at(at, end - at)
            data += seen or self._on_host(at, min(PAGE_SIZE - at % PAGE_SIZE, end - at))
        return bytes(data)

    def _on_host(self, pos: int, nbytes: int) -> bytes:
        """Return bytes of a page that is not in memory."""
        with host_errors():
            return os.pread(self.fd, nbytes, pos).ljust(nbytes, b"\0")

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        written = super().write(pos, data, task)
        self.kernel.memory.write_behind()
        return written

    def _store(self, pos: int, data: bytes) -> int:
        """Write a few pages at a time: who makes too much dirty is stopped at once."""
        done = 0
        for start in range(0, len(data), DIRTY_STEP):
            part = data[start : start + DIRTY_STEP]
            try:
                done += super()._store(pos + start, part)
            except SyscallError:
                if not done:
                    raise
            self.kernel.memory.balance_dirty()
            if done < start + len(part):
                break
        return done

    def next_data(self, pos: int) -> int | None:
        return pos  # to a program all of a host's file is data

    def next_hole(self, pos: int) -> int:
        return self.size

    def truncate(self, size: int) -> None:
        super().truncate(size)
        with self.fs.writing():
            os.ftruncate(self.fd, size)

    def punched(self, start: int, end: int) -> None:
        with self.fs.writing():
            end = min(end, os.fstat(self.fd).st_size)
            for pos in range(start, end, len(ZEROES)):
                os.pwrite(self.fd, ZEROES[: end - pos], pos)

    def writeback(self, first: int, last: int) -> None:
        if self.fs.access is Access.READ_ONLY:
            return
        lib.mapping_harvest(self.mapping, first, last)
        batch = ffi.new("uint64_t[]", WRITE_BATCH)
        self.kernel.memory.sleep(Sleep.WRITEBACK, first)
        while count := lib.mapping_dirty(self.mapping, first, last, batch, WRITE_BATCH):
            for index in ffi.unpack(batch, count):
                self._write_clean(index)

    def drop_clean(self, first: int, last: int) -> None:
        self.writeback(first, last)
        lib.mapping_invalidate(self.mapping, first, last)

    def write_page(self, index: int) -> None:
        one = ffi.new("uint64_t *")
        if lib.mapping_dirty(self.mapping, index, index, one, 1):
            self._write_clean(index)

    def _write_clean(self, index: int) -> None:
        """Write a page that mapping_dirty() has just called clean."""
        try:
            if lib.machine_io(self.kernel.memory.core, lib.IO_WRITEBACK) < 0:
                raise SyscallError(errno.EIO)
            with self.fs.writing():
                data = self.peek(index * PAGE_SIZE, PAGE_SIZE)
                os.pwrite(self.fd, data, index * PAGE_SIZE)
        except SyscallError as error:
            for errors in (self.wb_errors, self.fs_errors):  # the page stays readable
                errors.record(error.number)

    def close(self) -> None:
        """Write back and let the host's file go."""
        self.writeback(0, LAST_PAGE)
        self.nlink = 0
        super().released()
        os.close(self.fd)

    def released(self) -> None:
        """Tell who watches; the file system keeps its files until it is closed."""
        if not self.nlink and not self.open_count:
            self.tell_end()


class HostText(HostAttributes, Inode):
    """A file of the host whose size is not its st_size: made when it is read, as in /proc, /sys.

    Each open sees it as it is then, to its real end; it cannot be mapped.
    """

    def __init__(self, fs: HostFs, fd: int, status: os.stat_result) -> None:
        super().__init__(fs.kernel, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        self.fs = fs
        self.fd = fd
        self._told = status.st_size
        self._content = b""
        take_status(self, status)

    @property
    def size(self) -> int:
        return self._told

    def opened(self, task: Caller) -> Inode:
        copy = HostText(self.fs, self.fd, os.fstat(self.fd))
        copy.ino, copy.dev = self.ino, self.dev
        with host_errors():
            copy._content = read_all(self.fd)
        return copy

    def read(self, pos: int, nbytes: int) -> bytes:
        return self._content[pos : pos + nbytes]

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        with self.fs.writing():
            return os.pwrite(self.fd, data, pos)

    def truncate(self, size: int) -> None:
        """O_TRUNC changes nothing of what is made when it is read."""


def read_all(fd: int) -> bytes:
    """Return what a file holds to its end, MOST_TEXT bytes at most."""
    parts, pos = [], 0
    while pos < MOST_TEXT and (part := os.pread(fd, PAGE_SIZE, pos)):
        parts.append(part)
        pos += len(part)
    return b"".join(parts)


def is_text(fd: int, status: os.stat_result) -> bool:
    """Tell whether a file without blocks holds something else than its size says."""
    if status.st_blocks or status.st_size > PAGE_SIZE:
        return False
    try:
        return len(os.pread(fd, PAGE_SIZE + 1, 0)) != status.st_size
    except OSError:
        return False


class HostDir(HostAttributes, DirInode):
    """A directory of the host; its entries are looked up when they are asked for."""

    moves_over = True

    def __init__(self, fs: HostFs, fd: int, status: os.stat_result) -> None:
        super().__init__(fs.kernel, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        self.fs = fs
        self.fd = fd
        self._bytes = status.st_size
        take_status(self, status)
        self.xattrs = attributes_of(fd)

    @property
    def size(self) -> int:
        return self._bytes

    def lookup(self, name: str, task: Caller) -> Inode:
        if name not in self.entries:
            self.entries[name] = self.fs.inode(self.fd, name)
        return self.entries[name]

    def sight(self, name: str, task: Caller) -> Inode:
        known = self.entries.get(name)
        return known if known is not None else self.unmet(name)

    def unmet(self, name: str) -> Inode:
        """Return what the host has under a name, for one look. Errors: ENOENT, ENXIO, EACCES."""
        from pkern.kernel.vfs.fs.hostsight import HostSight  # for visitors

        return HostSight(self.fs, self.fd, name)

    def holds(self, name: str, inode: Inode) -> bool:
        return self.entries.get(name) is inode

    def names(self, task: Caller) -> list[str]:
        attached = {name for name, entry in self.entries.items() if type(entry) is DirInode}
        return sorted(attached.union(self.host_names()))

    def host_names(self) -> list[str]:
        """Return what the host has, in order."""
        return self.fs.names(self.fd)

    def has(self, name: str) -> bool:
        """Tell whether the host has a name here."""
        with host_errors():
            try:
                os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            except FileNotFoundError:
                return False
        return True

    def _made(self, name: str, mode: int | None, task: Caller) -> Inode:
        """Return the inode of what was just made: its maker's where the host allows that.

        mode: in place of what the host's umask left; None: a link has none.
        """
        with host_errors():
            if os.geteuid() == 0:
                gid = self.gid if self.mode & S_ISGID else task.gid
                os.chown(name, task.uid, gid, dir_fd=self.fd, follow_symlinks=False)
            if mode is not None:
                os.chmod(name, mode, dir_fd=self.fd)
        return self.lookup(name, task)

    def create(self, name: str, mode: int, task: Caller) -> Inode:
        """Make a regular file on the host."""
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        with self.fs.writing():
            os.close(os.open(name, flags, mode, dir_fd=self.fd))
        return self._made(name, mode, task)

    def mkdir(self, name: str, mode: int, task: Caller) -> Inode:
        """Make a directory on the host."""
        with self.fs.writing():
            os.mkdir(name, mode, dir_fd=self.fd)
        self.nlink += 1
        return self._made(name, mode, task)

    def symlink(self, name: str, target: str, task: Caller) -> Inode:
        """Make a symbolic link on the host."""
        with self.fs.writing():
            os.symlink(target, name, dir_fd=self.fd)
        return self._made(name, None, task)

    def mknod(self, name: str, kind: str, mode: int, rdev: int, task: Caller) -> Inode:
        """Refuse: the host is given files, directories and links only. Errors: EPERM."""
        raise SyscallError(errno.EPERM)

    def link(self, name: str, inode: Inode) -> None:
        """Give a file of this file system one more name on the host."""
        source = self.fs.place_of(inode)
        with self.fs.writing():
            os.link(
                source[1], name, src_dir_fd=source[0].fd, dst_dir_fd=self.fd, follow_symlinks=False
            )
        inode.nlink += 1
        self.entries[name] = inode

    def unlink(self, name: str) -> None:
        """Remove a file's name from the host."""
        with self.fs.writing():
            os.unlink(name, dir_fd=self.fd)
        self.entries.pop(name).nlink -= 1

    def rmdir(self, name: str) -> None:
        """Remove an empty directory from the host. Errors: ENOTEMPTY."""
        with self.fs.writing():
            os.rmdir(name, dir_fd=self.fd)
        self.entries.pop(name).nlink = 0
        self.nlink -= 1

    def move(self, name: str, target: HostDir, new_name: str) -> None:
        """Rename on the host, in one step with what stands there. Errors: ENOTEMPTY."""
        with self.fs.writing():
            os.rename(name, new_name, src_dir_fd=self.fd, dst_dir_fd=target.fd)
        replaced = target.entries.pop(new_name, None)
        if replaced is not None:
            is_dir = replaced.kind == "dir"
            replaced.nlink = 0 if is_dir else replaced.nlink - 1
            target.nlink -= is_dir
        inode = target.entries[new_name] = self.entries.pop(name)
        if inode.kind == "dir":
            self.nlink -= 1
            target.nlink += 1

    def exchange(self, name: str, target: HostDir, other_name: str) -> None:
        """Refuse: the host's Python has no such call. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)


class HostFs:
    """A host directory. directory: its path. access: READ_ONLY unless asked otherwise.

    Errors: FileNotFoundError or NotADirectoryError of the host when it is mounted.
    """

    name = "hostfs"
    magic = 0x00C0FFEE

    def __init__(self, directory: str | Path, access: Access = Access.READ_ONLY) -> None:
        self.directory = Path(directory)
        self.access = access
        self.read_only = access is Access.READ_ONLY
        self.wb_errors = ErrorSequence()
        self.kernel: Machine
        self.root: HostDir
        self._files: list[HostFile] = []
        self._fds: list[int] = []
        self._known: dict[tuple[int, int], Inode] = {}  # one inode however many names it has
        self.hidden: HiddenName | None = None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Change something on the host. Errors: the host's; KernelPanic: the machine stops first.

        A machine that has stopped writes nothing any more, not even when it is closed.
        """
        if lib.machine_io(self.kernel.memory.core, lib.IO_DISK_WRITE) < 0:
            for mount in self.kernel.vfs.mounts:
                if isinstance(mount.fs, HostFs):
                    mount.fs.access = Access.READ_ONLY
            raise KernelPanic("the machine stops dead before it writes to the host (--fail)")
        with host_errors():
            yield

    def attach(self, kernel: Machine) -> None:
        """Open the directory for this machine."""
        self.kernel = kernel
        fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._fds.append(fd)
        self.root = HostDir(self, fd, os.fstat(fd))

    def hides(self, parent_fd: int, name: str) -> bool:
        """Tell whether a name in a directory is not shown."""
        if self.hidden is None or self.hidden.name != name:
            return False
        status = os.fstat(parent_fd)
        return (status.st_dev, status.st_ino) == (self.hidden.dev, self.hidden.ino)

    def names(self, fd: int) -> list[str]:
        """Return what a directory of the host shows, in order."""
        with host_errors():
            return sorted(name for name in os.listdir(fd) if not self.hides(fd, name))

    def inode(self, parent_fd: int, name: str) -> Inode:
        """Return the inode of one name below a directory. Errors: ENOENT, ENXIO, EACCES."""
        if self.hides(parent_fd, name):
            raise SyscallError(errno.ENOENT)
        with host_errors():
            status = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
            known = self._known.get((status.st_dev, status.st_ino))
            if known is None or known.nlink == 0:
                known = self._new_inode(parent_fd, name, status)
                self._known[status.st_dev, status.st_ino] = known
        return known

    def _new_inode(self, parent_fd: int, name: str, status: os.stat_result) -> Inode:
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(name, dir_fd=parent_fd)
            link = LinkInode(self.kernel, target, status.st_uid, status.st_gid)
            take_status(link, status)
            return link
        is_dir = stat.S_ISDIR(status.st_mode)
        if not is_dir and not stat.S_ISREG(status.st_mode):
            raise SyscallError(errno.ENXIO)
        mode = os.O_RDWR if self.access is Access.READ_WRITE and not is_dir else os.O_RDONLY
        flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = leave_spare(os.open(name, flags | mode, dir_fd=parent_fd))
        if is_dir:
            self._fds.append(fd)
            return HostDir(self, fd, os.fstat(fd))
        if is_text(fd, status):
            self._fds.append(fd)
            return HostText(self, fd, status)
        file = HostFile(self, fd, os.fstat(fd))
        self._files.append(file)
        return file

    def place_of(self, inode: Inode) -> tuple[HostDir, str]:
        """Return a directory and a name that an inode has. Errors: ENOENT (none is known)."""
        known = [self.root, *self._known.values()]
        for directory in (one for one in known if isinstance(one, HostDir)):
            for name, entry in directory.entries.items():
                if entry is inode:
                    return directory, name
        raise SyscallError(errno.ENOENT)

    def close(self) -> None:
        """Write everything back and close the host's descriptors."""
        for file in self._files:
            file.close()
        for fd in self._fds:
            os.close(fd)
