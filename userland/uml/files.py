"""The guest's files: a small tree of names in memory, pipes, and the console.

Owns open files and their positions. Each kind answers the same few questions (read, write, size);
a read or write that must wait raises Block and is made again when something has changed.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pkern.kernel.wait import Restart
from pkern.userland.uml.memory import GuestError, Pages, Physical

O_ACCMODE, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND = 3, 1, 2, 64, 128, 512, 1024
PIPE_BYTES = 65536
FOLDERS = frozenset({"/", "/tmp"})  # those that are there without a file
Emit = Callable[[bytes], object]


class Source(Protocol):
    """What the guest reads of its host."""

    def read(self, nbytes: int) -> bytes | None:
        """Return up to nbytes, b"" at the end, None while nothing is there. Errors: OSError."""

    def wait(self, nanoseconds: int | None) -> bool:
        """Wait until there is something, or its end, so many nanoseconds at most; tell if so."""


def path_of(cwd: str, raw: bytes) -> str:
    """Return the whole path that a process in cwd means by its bytes. Errors: ENOENT (none)."""
    if not raw:
        raise GuestError(errno.ENOENT)
    path = raw.decode("utf-8", "surrogateescape")
    whole = path if path.startswith("/") else f"{cwd}/{path}"
    return "/" + "/".join(part for part in whole.split("/") if part not in ("", "."))


def _nothing() -> None:
    """What most calls do when a signal ends them."""


class Block(Exception):
    """The call cannot go on before another process has done something, or a time has come.

    deadline: of the guest's uptime (ns), when the call is made again in any case. restart: what a
    handler does to it. interrupted: called before it returns EINTR; may raise GuestError. source:
    of the host, that the call waits for.
    """

    def __init__(
        self,
        deadline: int | None = None,
        restart: Restart = Restart.IF_ASKED,
        interrupted: Callable[[], None] = _nothing,
        source: Source | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.deadline = deadline
        self.restart = restart
        self.interrupted = interrupted


class Inode:
    """The base of all kinds."""

    mode = stat.S_IFREG | 0o755
    pages: Pages | None = None

    def __init__(self, number: int) -> None:
        self.number = number
        self.readers = self.writers = 0

    @property
    def size(self) -> int:
        """Bytes, 0 where there is no size."""
        return self.pages.size if self.pages else 0

    def read(self, pos: int, nbytes: int) -> bytes:
        """Return up to nbytes. Errors: GuestError, Block."""
        raise GuestError(errno.EINVAL)

    def write(self, pos: int, data: bytes) -> int:
        """Write and return how much. Errors: GuestError, Block."""
        raise GuestError(errno.EINVAL)


class Regular(Inode):
    """A file with content."""

    def __init__(self, number: int, physical: Physical) -> None:
        super().__init__(number)
        self.pages: Pages = Pages(physical)

    def read(self, pos: int, nbytes: int) -> bytes:
        return self.pages.read(pos, nbytes)

    def write(self, pos: int, data: bytes) -> int:
        return self.pages.write(pos, data)


class _host_errors:
    """A context that gives the guest the host's error: the same errno."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, where: object) -> None:
        if isinstance(error, OSError):
            raise GuestError(error.errno or errno.EIO) from None


class Console(Inode):
    """What the guest's standard descriptors are: output goes out, input comes from a source."""

    mode = stat.S_IFCHR | 0o620

    def __init__(self, number: int, emit: Emit, source: Source) -> None:
        super().__init__(number)
        self._emit = emit
        self._source = source

    def read(self, pos: int, nbytes: int) -> bytes:
        with _host_errors():
            data = self._source.read(nbytes)
        if data is None:
            raise Block(source=self._source)
        return data

    def write(self, pos: int, data: bytes) -> int:
        with _host_errors():
            self._emit(data)
        return len(data)


class Null(Inode):
    """/dev/null."""

    mode = stat.S_IFCHR | 0o666

    def read(self, pos: int, nbytes: int) -> bytes:
        return b""

    def write(self, pos: int, data: bytes) -> int:
        return len(data)


class Pipe(Inode):
    """Bytes on their way from writers to readers."""

    mode = stat.S_IFIFO | 0o600

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._waiting = b""

    def read(self, pos: int, nbytes: int) -> bytes:
        if not self._waiting and self.writers:
            raise Block
        data, self._waiting = self._waiting[:nbytes], self._waiting[nbytes:]
        return data

    def write(self, pos: int, data: bytes) -> int:
        if not self.readers:
            raise GuestError(errno.EPIPE)
        room = PIPE_BYTES - len(self._waiting)
        if room < min(len(data), 4096):
            raise Block
        self._waiting += data[:room]
        return min(len(data), room)


@dataclass
class OpenFile:
    """An open file, shared by dup and fork."""

    inode: Inode
    flags: int
    path: str = ""
    pos: int = 0
    users: int = 0

    @property
    def may_read(self) -> bool:
        """Opened for reading."""
        return self.flags & O_ACCMODE != O_WRONLY

    @property
    def may_write(self) -> bool:
        """Opened for writing."""
        return self.flags & O_ACCMODE != 0

    def get(self) -> OpenFile:
        """Add a descriptor."""
        if not self.users:
            self.inode.readers += self.may_read
            self.inode.writers += self.may_write
        self.users += 1
        return self

    def put(self) -> None:
        """Take a descriptor away."""
        self.users -= 1
        if not self.users:
            self.inode.readers -= self.may_read
            self.inode.writers -= self.may_write

    def read(self, nbytes: int) -> bytes:
        """Read on from the position. Errors: GuestError(EBADF), Block."""
        if not self.may_read:
            raise GuestError(errno.EBADF)
        data = self.inode.read(self.pos, nbytes)
        self.pos += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Write on from the position. Errors: GuestError(EBADF, EPIPE), Block."""
        if not self.may_write:
            raise GuestError(errno.EBADF)
        if self.flags & O_APPEND:
            self.pos = self.inode.size
        count = self.inode.write(self.pos, data)
        self.pos += count
        return count


@dataclass
class Descriptors:
    """A process's descriptors."""

    files: dict[int, OpenFile] = field(default_factory=dict)
    cloexec: set[int] = field(default_factory=set)

    def __getitem__(self, fd: int) -> OpenFile:
        if fd not in self.files:
            raise GuestError(errno.EBADF)
        return self.files[fd]

    def add(self, file: OpenFile, lowest: int = 0) -> int:
        """Give the file the lowest free number from lowest on."""
        fd = lowest
        while fd in self.files:
            fd += 1
        self.files[fd] = file.get()
        return fd

    def put_at(self, fd: int, file: OpenFile) -> None:
        """Make fd name the file."""
        file.get()
        if fd in self.files:
            self.close(fd)
        self.files[fd] = file

    def close(self, fd: int) -> None:
        """Close one. Errors: GuestError(EBADF)."""
        self[fd].put()
        del self.files[fd]
        self.cloexec.discard(fd)

    def copy(self) -> Descriptors:
        """Return what a forked child has."""
        for file in self.files.values():
            file.get()
        return Descriptors(dict(self.files), set(self.cloexec))

    def close_for_exec(self) -> None:
        """Close what must not outlive execve."""
        for fd in sorted(self.cloexec):
            self.close(fd)

    def close_all(self) -> None:
        """Close every one."""
        for fd in sorted(self.files):
            self.close(fd)


class Files:
    """The guest's tree: whole paths to inodes."""

    def __init__(self, physical: Physical, out: Emit, err: Emit, source: Source) -> None:
        self._physical = physical
        self._numbers = 0
        self.console = Console(self._next_number(), out, source)
        self.errors = Console(self._next_number(), err, source)
        self.names: dict[str, Inode] = {
            "/dev/console": self.console,
            "/dev/tty": self.console,
            "/dev/null": Null(self._next_number()),
        }

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def new_regular(self) -> Regular:
        """Return a file without a name."""
        return Regular(self._next_number(), self._physical)

    def new_pipe(self) -> Pipe:
        """Return an empty pipe."""
        return Pipe(self._next_number())

    def add(self, path: str, data: bytes) -> None:
        """Give a new file a name and content."""
        inode = self.new_regular()
        inode.write(0, data)
        self.names[path] = inode

    def lookup(self, path: str) -> Inode:
        """Return what a path names. Errors: GuestError(ENOENT)."""
        if path not in self.names:
            raise GuestError(errno.ENOENT)
        return self.names[path]

    def lookup_program(self, path: str) -> Inode:
        """Return the file to run. Errors: GuestError(ENOENT, EACCES: a folder)."""
        if path not in self.names and self.is_folder(path):
            raise GuestError(errno.EACCES)
        return self.lookup(path)

    def is_folder(self, path: str) -> bool:
        """Tell whether names lie in a path."""
        return path in FOLDERS or any(name.startswith(f"{path}/") for name in self.names)

    def check_folder(self, path: str) -> None:
        """Refuse what no name lies in. Errors: GuestError(ENOENT, ENOTDIR)."""
        if self.is_folder(path):
            return
        raise GuestError(errno.ENOTDIR if path in self.names else errno.ENOENT)

    def open(self, path: str, flags: int) -> OpenFile:
        """Open or make a file. Errors: GuestError(ENOENT, EEXIST)."""
        if path not in self.names:
            if not flags & O_CREAT:
                raise GuestError(errno.ENOENT)
            self.names[path] = self.new_regular()
        elif flags & O_CREAT and flags & O_EXCL:
            raise GuestError(errno.EEXIST)
        file = OpenFile(self.names[path], flags, path)
        if flags & O_TRUNC and file.may_write and file.inode.pages:
            file.inode.pages.cut(0)
        return file

    def unlink(self, path: str) -> None:
        """Take a name away; the content stays while something uses it. Errors: ENOENT."""
        self.lookup(path)
        del self.names[path]
