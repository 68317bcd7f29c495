"""The guest's file calls: paths, descriptors, pipes, what a file is."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.userland.uml.files import Inode, OpenFile, Pipe, path_of
from pkern.userland.uml.memory import PAGE, GuestError
from pkern.userland.uml.process import Process
from pkern.userland.uml.table import call, int32

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

NS = 1_000_000_000
STAT = struct.Struct("<QQQIIIxxxxQqqq6q24x")


@call(0, "read", 3)
def read(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int) -> int:
    """Read on from a file's position."""
    data = me.fds[int32(fd)].read(nbytes)
    me.space.write(addr, data)
    return len(data)


@call(1, "write", 3)
def write(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int) -> int:
    """Write on from a file's position."""
    return me.fds[int32(fd)].write(me.space.read(addr, nbytes))


@call(17, "pread64", 4)
def pread64(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int, pos: int) -> int:
    """Read at a position."""
    data = me.fds[int32(fd)].inode.read(pos, nbytes)
    me.space.write(addr, data)
    return len(data)


@call(18, "pwrite64", 4)
def pwrite64(kernel: GuestKernel, me: Process, fd: int, addr: int, nbytes: int, pos: int) -> int:
    """Write at a position."""
    return me.fds[int32(fd)].inode.write(pos, me.space.read(addr, nbytes))


@call(20, "writev", 3)
def writev(kernel: GuestKernel, me: Process, fd: int, addr: int, count: int) -> int:
    """Write several pieces of memory."""
    vectors = struct.iter_unpack("<QQ", me.space.read(addr, 16 * count))
    return me.fds[int32(fd)].write(b"".join(me.space.read(*vector) for vector in vectors))


@call(2, "open", 2)
def open_file(kernel: GuestKernel, me: Process, path: int, flags: int) -> int:
    """Open a file, making it if asked to."""
    return me.fds.add(kernel.files.open(path_of(me.cwd, me.space.string(path)), flags))


@call(257, "openat", 3)
def openat(kernel: GuestKernel, me: Process, folder: int, path: int, flags: int) -> int:
    """Open a file by a path from the working directory."""
    return open_file(kernel, me, path, flags)


@call(3, "close", 1)
def close(kernel: GuestKernel, me: Process, fd: int) -> int:
    """Close a descriptor."""
    me.fds.close(int32(fd))
    return 0


@call(8, "lseek", 3)
def lseek(kernel: GuestKernel, me: Process, fd: int, offset: int, whence: int) -> int:
    """Move a file's position."""
    file = me.fds[int32(fd)]
    if isinstance(file.inode, Pipe):
        raise GuestError(errno.ESPIPE)
    offset = offset - (1 << 64) if offset >> 63 else offset
    bases = {0: 0, 1: file.pos, 2: file.inode.size}
    if whence not in bases or bases[whence] + offset < 0:
        raise GuestError(errno.EINVAL)
    file.pos = bases[whence] + offset
    return file.pos


@call(77, "ftruncate", 2)
def ftruncate(kernel: GuestKernel, me: Process, fd: int, size: int) -> int:
    """Set a file's size; mappings lose what is cut off."""
    pages = me.fds[int32(fd)].inode.pages
    if pages is None:
        raise GuestError(errno.EINVAL)
    shrunk = size < pages.size
    pages.cut(size)
    for process in kernel.processes.values() if shrunk else ():
        process.space.truncated(pages)
    return 0


@call(319, "memfd_create", 2)
def memfd_create(kernel: GuestKernel, me: Process, name: int, flags: int) -> int:
    """Open a new file without a name."""
    label = me.space.string(name).decode("utf-8", "replace")
    return me.fds.add(OpenFile(kernel.files.new_regular(), 2, f"memfd:{label}"))


@call(87, "unlink", 1)
def unlink(kernel: GuestKernel, me: Process, path: int) -> int:
    """Take a name away."""
    kernel.files.unlink(path_of(me.cwd, me.space.string(path)))
    return 0


@call(22, "pipe", 1)
def pipe(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Make a pipe; store its two descriptors."""
    inode = kernel.files.new_pipe()
    ends = [me.fds.add(OpenFile(inode, flags, "pipe")) for flags in (0, 1)]
    me.space.write(addr, struct.pack("<ii", *ends))
    return 0


@call(293, "pipe2", 2)
def pipe2(kernel: GuestKernel, me: Process, addr: int, flags: int) -> int:
    """Make a pipe."""
    return pipe(kernel, me, addr)


@call(32, "dup", 1)
def dup(kernel: GuestKernel, me: Process, fd: int) -> int:
    """Give an open file another descriptor."""
    return me.fds.add(me.fds[int32(fd)])


@call(33, "dup2", 2)
def dup2(kernel: GuestKernel, me: Process, fd: int, new: int) -> int:
    """Give an open file this descriptor."""
    file = me.fds[int32(fd)]
    if int32(fd) != int32(new):
        me.fds.put_at(int32(new), file)
    return new


@call(72, "fcntl", 3)
def fcntl(kernel: GuestKernel, me: Process, fd: int, command: int, value: int) -> int:
    """Duplicate, or look at and set the close-on-exec flag."""
    fd, file = int32(fd), me.fds[int32(fd)]
    if command in (0, 1030):
        new = me.fds.add(file, value)
        if command:
            me.fds.cloexec.add(new)
        return new
    if command == 2:
        (me.fds.cloexec.add if value & 1 else me.fds.cloexec.discard)(fd)
        return 0
    answers = {1: int(fd in me.fds.cloexec), 3: file.flags, 4: 0}
    if command not in answers:
        raise GuestError(errno.EINVAL)
    return answers[command]


def _stat(kernel: GuestKernel, me: Process, inode: Inode, addr: int) -> int:
    when = kernel.now_ns() // NS
    times = (when, 0, when, 0, when, 0)
    blocks = -(-inode.size // 512)
    fields = (1, inode.number, 1, inode.mode, 0, 0, 0, inode.size, PAGE, blocks)
    me.space.write(addr, STAT.pack(*fields, *times))
    return 0


@call(5, "fstat", 2)
def fstat(kernel: GuestKernel, me: Process, fd: int, addr: int) -> int:
    """Store what an open file is."""
    return _stat(kernel, me, me.fds[int32(fd)].inode, addr)


@call(4, "stat", 2)
def stat(kernel: GuestKernel, me: Process, path: int, addr: int) -> int:
    """Store what a path names."""
    return _stat(kernel, me, kernel.files.lookup(path_of(me.cwd, me.space.string(path))), addr)


@call(262, "newfstatat", 4)
def newfstatat(kernel: GuestKernel, me: Process, fd: int, path: int, addr: int, flags: int) -> int:
    """Store what a path, or with an empty path a descriptor, names."""
    if not me.space.string(path):
        return fstat(kernel, me, fd, addr)
    return stat(kernel, me, path, addr)


def program_path(me: Process, raw: bytes) -> str:
    """Return the whole path; /proc/self/exe is the caller's program."""
    path = path_of(me.cwd, raw)
    return me.program if path == "/proc/self/exe" else path


@call(89, "readlink", 3)
def readlink(kernel: GuestKernel, me: Process, path: int, addr: int, nbytes: int) -> int:
    """Store where a link leads: /proc/self/exe is the only one."""
    name = path_of(me.cwd, me.space.string(path))
    if int32(nbytes) <= 0:
        raise GuestError(errno.EINVAL)
    if name != "/proc/self/exe":
        kernel.files.lookup(name)
        raise GuestError(errno.EINVAL)
    text = me.program.encode()[: int32(nbytes)]
    me.space.write(addr, text)
    return len(text)


@call(21, "access", 2)
def access(kernel: GuestKernel, me: Process, path: int, mode: int) -> int:
    """Look whether a path names something; everyone may do everything with it."""
    kernel.files.lookup(program_path(me, me.space.string(path)))
    return 0


@call(80, "chdir", 1)
def chdir(kernel: GuestKernel, me: Process, path: int) -> int:
    """Work in another folder: one that a name lies in."""
    name = path_of(me.cwd, me.space.string(path))
    kernel.files.check_folder(name)
    me.cwd = name
    return 0


@call(16, "ioctl", 2)
def ioctl(kernel: GuestKernel, me: Process, fd: int, request: int) -> int:
    """Refuse: nothing here is a terminal."""
    me.fds[int32(fd)]
    raise GuestError(errno.ENOTTY)


@call(79, "getcwd", 2)
def getcwd(kernel: GuestKernel, me: Process, addr: int, nbytes: int) -> int:
    """Store the working directory."""
    text = me.cwd.encode() + b"\0"
    if len(text) > nbytes:
        raise GuestError(errno.ERANGE)
    me.space.write(addr, text)
    return len(text)
