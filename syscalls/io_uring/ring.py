"""What an io_uring has besides its memory: requests that wait, and what was registered.

Owns the files in slots (direct descriptors), the eventfd, and the order of what was held back.
Source: io_uring_register(2), Linux 6.18 io_uring/rsrc.c.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.io_uring import RingInode
from pkern.syscalls.io_uring.buffers import Groups

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.syscalls.io_uring.requests import Request

NO_FILE, SAME_FILE = -1, -2  # instead of a descriptor, for a slot of registered files


class Ring:
    """What one io_uring has besides its memory: requests that wait, and what was registered."""

    def __init__(self, inode: RingInode, enabled: int) -> None:
        self.inode = inode
        self.enabled = enabled
        self.closed = 0
        self.skips = 0  # not 0: some ends were not told of, and DRAIN cannot be any more
        self.pending: dict[Request, None] = {}  # in the order in which they began
        self.drained: list[Request] = []  # which wait until nothing is pending
        self.counting: list[tuple[int, Request]] = []  # timeouts that end by a number of ends
        self.eventfd: File | None = None
        self.files: list[File | None] = []
        self.buffers: list[tuple[int, int]] = []
        self.groups = Groups()
        self.uncharge: Callable[[], None] = lambda: None  # its pages no longer count for its maker
        inode.on_close = self._close

    def fixed_file(self, index: int) -> File:
        """Return a registered file. Errors: EBADF."""
        file = self.files[index] if 0 <= index < len(self.files) else None
        if file is None:
            raise SyscallError(errno.EBADF)
        return file

    def post(self, request: Request, result: int, flags: int = 0) -> None:
        """Tell of an end, or with F_MORE of a result before it, by the eventfd too."""
        self.inode.complete(request.entry.user_data, result, flags)
        if self.eventfd is not None:
            try:
                self.eventfd.inode.file_write(
                    self.eventfd, 0, (1).to_bytes(8, "little"), request.task
                )
            except SyscallError:
                return  # it is full

    def look_again(self) -> None:
        """Let timeouts go that count ends, and what was held back until all have ended."""
        for when, request in list(self.counting):
            if self.inode.completed >= when and request in self.pending:
                self.counting.remove((when, request))
                request.end(0)
        while self.drained and not self.pending:
            self.drained.pop(0).begin()

    def find(self, matches: Callable[[Request], bool]) -> Request | None:
        """Return the first pending request that matches."""
        return next((one for one in self.pending if not one.called_off and matches(one)), None)

    def update_files(self, task: Task, first: int, addr: int, count: int) -> int:
        """Put other files into slots from first on; return how many were done.

        At addr are descriptors: NO_FILE empties a slot, SAME_FILE leaves it.
        Errors: ENXIO (no files), EINVAL (no such slots), EFAULT, EBADF, where none was done.
        """
        if not self.files:
            raise SyscallError(errno.ENXIO)
        if first + count > len(self.files):
            raise SyscallError(errno.EINVAL)
        for place in range(count):
            try:
                (fd,) = struct.unpack("<i", task.mm.copy_in(addr + 4 * place, 4))
                if fd != SAME_FILE:
                    self._put_file(task, first + place, fd)
            except SyscallError:
                if not place:
                    raise
                return place
        return count

    def _put_file(self, task: Task, place: int, fd: int) -> None:
        new = None if fd == NO_FILE else task.fds.get(fd)
        if new is not None and isinstance(new.inode, RingInode):
            raise SyscallError(errno.EBADF)
        if new is not None:
            new.descriptors += 1
        old, self.files[place] = self.files[place], new
        if old is not None:
            old.put()

    def drop_files(self) -> None:
        """Let go of the registered files."""
        files, self.files = self.files, []
        for file in files:
            if file is not None:
                file.put()

    def _close(self) -> None:
        """The last descriptor has gone: nothing completes any more."""
        self.closed = 1
        for request in list(self.pending):
            del self.pending[request]
            request.let_go()
        self.uncharge()
        self.drained, self.counting = [], []
        self.drop_files()
        if self.eventfd is not None:
            self.eventfd.put()
            self.eventfd = None
