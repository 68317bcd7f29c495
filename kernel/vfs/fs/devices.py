"""What each device of /dev does; special inodes by number."""

from __future__ import annotations

import errno
import os
import stat

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import function
from pkern.kernel.lean import partial
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, POLLIN, Inode, LinkInode

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.fs.latedir import Plan
    from pkern.kernel.vfs.machine import Caller, Machine


class NullDevice(Inode):
    """/dev/null: reads end at once, writes vanish."""

    kind = "chr"
    type_bits = stat.S_IFCHR
    is_sink = True
    can_nowait = MAY_READ | MAY_WRITE
    splices = MAY_WRITE

    def read(self, pos: int, nbytes: int) -> bytes:
        return b""

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        return len(data)

    def truncate(self, size: int) -> None:
        """Nothing to cut."""


class ZeroDevice(NullDevice):
    """/dev/zero: reads are zeroes; a mapping of it is anonymous memory."""

    splices = MAY_READ | MAY_WRITE

    def read(self, pos: int, nbytes: int) -> bytes:
        return bytes(nbytes)

    def file_handle(self, mode: int, cookie: int) -> Any:
        create, core = self.kernel.memory.create, self.kernel.memory.core
        mapping = create(lib.mapping_create, core, lib.MAPPING_MEMORY, 0)
        try:
            return create(lib.file_create, mapping, mode | lib.FILE_ZERO | lib.FILE_NO_END, cookie)
        finally:
            lib.mapping_put(mapping)


class FullDevice(NullDevice):
    """/dev/full: there is never room."""

    can_nowait = 0
    splices = MAY_READ

    def read(self, pos: int, nbytes: int) -> bytes:
        return bytes(nbytes)

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        raise SyscallError(errno.ENOSPC)


class RandomDevice(NullDevice):
    """/dev/random and /dev/urandom: the machine's stream, a function of its seed."""

    is_sink = False
    splices = MAY_READ | MAY_WRITE

    def read(self, pos: int, nbytes: int) -> bytes:
        return self.kernel.random.take(nbytes)

    def ioctl(self, task: Caller, file: File, request: int, arg: int) -> int:
        """Refuse: its own are not done. Errors: EINVAL."""
        raise SyscallError(errno.EINVAL)


class ControlDevice(NullDevice):
    """A device for ioctl alone. Errors: EINVAL (read, write)."""

    is_sink = False
    splices = 0

    def read(self, pos: int, nbytes: int) -> bytes:
        raise SyscallError(errno.EINVAL)

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        raise SyscallError(errno.EINVAL)


class UserfaultDevice(ControlDevice):
    """/dev/userfaultfd: whoever may open it may make userfaultfds (an ioctl)."""


class WatchedRandom(RandomDevice):
    """/dev/random, which can be waited for: there is randomness from the beginning."""

    can_epoll = True

    def poll(self, file: File) -> int:
        return POLLIN


class NoDevice(Inode):
    """A node whose number no driver has."""

    kind = "chr"
    type_bits = stat.S_IFCHR

    def opened(self, task: Caller) -> Inode:
        raise SyscallError(errno.ENXIO)


class LoopControl(ControlDevice):
    """/dev/loop-control: there are no loop devices to be had."""

    def ioctl(self, task: Caller, file: File, request: int, arg: int) -> int:
        """Refuse. Errors: ENOSPC (LOOP_CTL_GET_FREE), ENODEV (by number), ENOSYS."""
        raise SyscallError(LOOP_ERRORS.get(request, errno.ENOSYS))


class NoBlockDevice(NoDevice):
    """A block device's node; disks have names of their own in /dev."""

    kind = "blk"
    type_bits = stat.S_IFBLK


class SwapDevice(Inode):
    """A block device of memory, /dev/swapN: nothing but a place to swap to. fd: the host's."""

    kind = "blk"
    type_bits = stat.S_IFBLK

    def __init__(self, kernel: Machine, fd: int) -> None:
        super().__init__(kernel, 0o600)
        self.fd = fd

    @property
    def size(self) -> int:
        return os.fstat(self.fd).st_size


class SocketName(NoDevice):
    """The name of a socket: it cannot be opened."""

    kind = "sock"
    type_bits = stat.S_IFSOCK


def makedev(major: int, minor: int) -> int:
    """Return a device number. Source: makedev(3)."""
    return (major & 0xFFF) << 8 | minor & 0xFF | (minor & ~0xFF) << 12 | (major & ~0xFFF) << 32


Driver = Callable[[Any, int], Inode]  # makes a node of a machine with a mode
LOOP_ERRORS = {0x4C80: errno.ENOSPC, 0x4C81: errno.ENODEV, 0x4C82: errno.ENOSPC}
DEVICES: dict[str, tuple[int, Driver]] = {
    "null": (makedev(1, 3), NullDevice),
    "zero": (makedev(1, 5), ZeroDevice),
    "full": (makedev(1, 7), FullDevice),
    "random": (makedev(1, 8), WatchedRandom),
    "urandom": (makedev(1, 9), RandomDevice),
    "ptmx": (makedev(5, 2), NoDevice),  # the drivers of terminals are Vfs.drivers
    "loop-control": (makedev(10, 237), LoopControl),
    "userfaultfd": (makedev(10, 257), UserfaultDevice),
    "tty": (makedev(5, 0), NoDevice),
    "console": (makedev(5, 1), NoDevice),
}
MODES = {"console": 0o600, "loop-control": 0o660, "userfaultfd": 0o600}  # of others 0666
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
KINDS: dict[str, Driver] = {
    "fifo": function("pkern.kernel.vfs.pipe", "PipeInode"),
    "sock": SocketName,
    "blk": NoBlockDevice,
}


def special_inode(kernel: Machine, kind: str, mode: int, rdev: int) -> Inode:
    """Return a new fifo, socket's name or device. kind: as Inode.kind."""
    drivers = {**dict(DEVICES.values()), **kernel.vfs.drivers}
    make: Driver = KINDS.get(kind) or drivers.get(rdev) or NoDevice
    inode = make(kernel, mode)
    if kind in ("chr", "blk"):
        inode.rdev = rdev
    return inode


def plan(kernel: Machine, born_ns: int) -> Plan:
    """Return what makes the entries of /dev. born_ns: when, by the machine's date."""

    def as_old(inode: Inode) -> Inode:
        inode.btime = inode.atime = inode.mtime = inode.ctime = born_ns
        return inode

    def device(name: str) -> Inode:
        return as_old(special_inode(kernel, "chr", MODES.get(name, 0o666), DEVICES[name][0]))

    def link(name: str) -> Inode:
        return as_old(LinkInode(kernel, LINKS[name]))

    devices = {name: partial(device, name) for name in DEVICES}
    return devices | {name: partial(link, name) for name in LINKS}
