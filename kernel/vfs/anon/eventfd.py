"""eventfd: a counter that is written and read as a file of eight bytes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.file import O_NONBLOCK, O_RDWR, File
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, POLLIN, POLLOUT, AnonInode
from pkern.kernel.vfs.readiness import POLLERR, sleep, waits, wake

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.machine import Caller, Machine

WORD = 8
MAX = (1 << 64) - 1
EFD_SEMAPHORE = 1


class EventInode(AnonInode):
    """The counter. A read takes it all, or one of it with EFD_SEMAPHORE; a write adds to it."""

    also_ready: ClassVar[dict[int, int]] = {}
    can_nowait, one_buffer, undivided = MAY_READ, MAY_WRITE, MAY_READ

    def __init__(self, kernel: Machine, count: int, flags: int) -> None:
        super().__init__(kernel, 0o600)
        self.count = count
        self._semaphore = bool(flags & EFD_SEMAPHORE)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Take the counter's eight bytes. Errors: EINVAL (less room), EAGAIN."""
        if nbytes < WORD:
            raise SyscallError(errno.EINVAL)
        if not self.count:
            sleep(self, waits(file))
        taken = 1 if self._semaphore else self.count
        self.count -= taken
        wake(self, POLLOUT)
        return taken.to_bytes(WORD, "little")

    def file_write(self, file: File, pos: int, data: bytes, task: Caller) -> int:
        """Add the number in eight bytes. Errors: EINVAL, EAGAIN (no room for it)."""
        value = int.from_bytes(data[:WORD], "little")
        if len(data) != WORD or value == MAX:
            raise SyscallError(errno.EINVAL)
        if self.count + value >= MAX:
            sleep(self, waits(file))
        self.count += value
        wake(self, POLLIN)
        return WORD

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """What /proc/PID/fdinfo adds: the count, a number of its own, what a read takes."""
        return (
            f"eventfd-count: {self.count:16x}\neventfd-id: {self.ino}\n"
            f"eventfd-semaphore: {int(self._semaphore)}\n"
        )

    def poll(self, file: File) -> int:
        ready = POLLIN if self.count else 0
        ready |= POLLERR if self.count == MAX else 0
        return ready | (POLLOUT if self.count < MAX - 1 else 0)


def make_event(kernel: Machine, task: Caller, count: int, flags: int) -> File:
    """Return an open counter. flags: EFD_SEMAPHORE, O_NONBLOCK."""
    inode = EventInode(kernel, count, flags)
    status = O_RDWR | flags & O_NONBLOCK
    return kernel.vfs.register(File(kernel, inode, "anon_inode:[eventfd]", status, task))
