"""/proc/mm: an open makes a new address space, and writes to the descriptor change it.

Owns the layout of the commands. A task that traces another one can let it run in such an address
space (PTRACE_SWITCH_MM), and so fill and switch the memory of guest processes that share one task.
The space lives while the descriptor is open or a task runs in it.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.mm import NO_PKEY, Mm
from pkern.kernel.tasks import gate
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.inode import Inode
from pkern.kernel.vfs.proc.inode import task_of
from pkern.kernel.vfs.proc.text import ProcInode

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.machine import Caller

# operation, address, length, protection, flags or advice, fd, offset (bytes) or page
COMMAND = struct.Struct("<7Q")
MM_MMAP, MM_MUNMAP, MM_MPROTECT, MM_REMAP, MM_MADVISE = 54, 55, 56, 58, 59
PAGE_SIZE = 4096
NO_FD = (1 << 64) - 1
core_remap = lib.mm_remap_file_pages


def _file(task: Task, fd: int) -> Any:
    return task.fds.get(fd).handle if fd != NO_FD else ffi.NULL


def _mmap(mm: Mm, task: Task, a: tuple[int, ...]) -> None:
    addr, length, prot, flags, fd, offset = a
    if flags & lib.MAP_NONLINEAR and flags & lib.MAP_TYPE != lib.MAP_SHARED_VALIDATE:
        gate.check(task)
    elif not flags & lib.MAP_ANONYMOUS and fd == NO_FD:
        raise SyscallError(errno.EBADF)
    if offset % PAGE_SIZE or not flags & lib.MAP_FIXED:
        raise SyscallError(errno.EINVAL)
    handle = ffi.NULL if flags & lib.MAP_ANONYMOUS else _file(task, fd)
    mm.call(lib.mm_mmap, addr, length, prot, flags, handle, offset // PAGE_SIZE)


def _munmap(mm: Mm, task: Task, a: tuple[int, ...]) -> None:
    mm.call(lib.mm_munmap, a[0], a[1])


def _mprotect(mm: Mm, task: Task, a: tuple[int, ...]) -> None:
    mm.call(lib.mm_mprotect, a[0], a[1], a[2], NO_PKEY)


def _remap(mm: Mm, task: Task, a: tuple[int, ...]) -> None:
    addr, length, prot, flags, fd, page = a
    remap = core_remap if task.kernel.memory.nonlinear_open else gate.remap_behind(task)
    handle = task.fds.get(fd).handle
    if remap(mm.handle, addr, length, prot, page, flags, handle):
        mm.call(remap, addr, length, prot, page, flags, handle)


def _madvise(mm: Mm, task: Task, a: tuple[int, ...]) -> None:
    mm.call(lib.mm_madvise, a[0], a[1], a[3])


def _unknown(mm: Mm, task: Task, a: tuple[int, ...]) -> None:
    raise SyscallError(errno.EINVAL)


COMMANDS: dict[int, Callable[[Mm, Task, tuple[int, ...]], None]] = {
    MM_MMAP: _mmap,
    MM_MUNMAP: _munmap,
    MM_MPROTECT: _mprotect,
    MM_REMAP: _remap,
    MM_MADVISE: _madvise,
}


class MmFile(ProcInode):
    """/proc/mm itself, which every open turns into a space of its own."""

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel, 0o222)

    def opened(self, task: Caller) -> Inode:
        return MmSpace(self.kernel, task_of(task, self.kernel))


class MmSpace(MmFile):
    """One open of /proc/mm: an address space."""

    def __init__(self, kernel: Machine, task: Task) -> None:
        """Make an empty one with the opener's layout and limits. Errors: ENOMEM."""
        super().__init__(kernel)
        self.mm = Mm.like(kernel.memory, task)

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        """Do commands in order; return the bytes of those done.

        Errors: EINVAL (not whole commands, an unknown one); those of the first command, if it is
        the first that fails; a later one ends the write early.
        """
        if task is None or not data or len(data) % COMMAND.size:
            raise SyscallError(errno.EINVAL)
        mm, done, caller = self.mm, 0, task_of(task, self.kernel)
        if mm.process is not caller:
            mm.serve(caller)  # who ran there may have ended
        try:
            for command in COMMAND.iter_unpack(data):
                COMMANDS.get(command[0], _unknown)(mm, caller, command[1:])
                done += COMMAND.size
        except SyscallError:
            if not done:
                raise
        return done

    def released(self) -> None:
        if self.open_count == 0:
            self.mm.put()


def space_of(task: Task, fd: int) -> Mm:
    """Return the address space of a descriptor of /proc/mm. Errors: EBADF, EINVAL."""
    inode = task.fds.get(fd).inode
    if not isinstance(inode, MmSpace):
        raise SyscallError(errno.EINVAL)
    return inode.mm
