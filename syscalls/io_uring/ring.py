"""What an io_uring has besides its memory: requests that wait, and what was registered.

Owns the files in slots (direct descriptors), the eventfd, and the order of what was held back.
Source: io_uring_register(2), Linux 6.18 io_uring/rsrc.c.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.anon.io_uring import PAGE_SIZE, SINGLE_ISSUER, RingInode
from pkern.syscalls.io_uring.buffers import Groups
from pkern.syscalls.io_uring.rights import Personalities, Restrictions
from pkern.syscalls.io_uring.slots import ANY_SLOT, Resource, Slots
from pkern.syscalls.io_uring.tuning import Tuning

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.syscalls.io_uring.requests import Request

NO_FILE, SAME_FILE = -1, -2  # instead of a descriptor, for a slot of registered files
Vector = tuple[int, int]  # address, bytes


class Region(NamedTuple):
    """Memory that is registered: the program's, from addr on, or for 0 the ring's own.

    tells_waits: how many bytes of it may say how to wait.
    """

    addr: int
    tells_waits: int


class Ring:
    """What one io_uring has besides its memory: requests that wait, and what was registered."""

    def __init__(self, inode: RingInode, maker: Task, enabled: int) -> None:
        self.inode, self.maker, self.uid = inode, maker, maker.uid
        self.enabled = enabled
        self.closed = 0
        self.skips = 0  # not 0: some ends were not told of, and DRAIN cannot be any more
        self.pending: dict[Request, None] = {}  # in the order in which they began
        self.drained: list[Request] = []  # which wait until nothing is pending
        self.counting: list[tuple[int, Request]] = []  # timeouts that end by a number of ends
        self.timed_out = 0  # how many timeouts so far: each ends a wait
        self.eventfd: File | None = None
        self.files: Slots[File] = Slots(errno.EBADF, self._file_gone)
        self.buffers: Slots[Vector] = Slots(errno.EFAULT, self._gone)
        self.groups = Groups()
        self.personalities = Personalities()
        self.restrictions: Restrictions | None = None
        self.tuning = Tuning(inode.sizes.sq_entries, maker.rlimits["nproc"][0])
        single = inode.flags & SINGLE_ISSUER and enabled
        self.issuer: Task | None = maker if single else None  # the only one who may use it
        self.charged = 0  # pages that count for its maker
        self.region: Region | None = None
        inode.on_close = self._close

    def charge(self, pages: int) -> None:
        """Count pages for the user who has made it. Errors: ENOMEM: RLIMIT_MEMLOCK."""
        maker = self.maker
        counts, uid = maker.kernel.tasks.ring_pages, self.uid
        if maker.capable("CAP_IPC_LOCK") and pages > 0:
            return
        total = counts.get(uid, 0) + pages
        if pages > 0 and total > maker.rlimits["memlock"][0] // PAGE_SIZE:
            raise SyscallError(errno.ENOMEM)
        counts[uid] = total
        self.charged += pages

    def post(self, request: Request, result: int, flags: int = 0) -> None:
        """Tell of a request's end, or with F_MORE of a result before it."""
        self.tell(request.entry.user_data, result, flags, request.more)

    def tell(self, user_data: int, result: int, flags: int = 0, more: bytes = b"") -> None:
        """Make a completion, and let the eventfd know, if the program wants that now.

        more: as of RingInode.complete.
        """
        self.inode.complete(user_data, result, flags, more)
        if self.eventfd is None or self.inode.is_eventfd_quiet:
            return
        with suppress(SyscallError):  # it is full
            one = (1).to_bytes(8, "little")
            self.eventfd.inode.file_write(self.eventfd, 0, one, self.maker)

    def look_again(self) -> None:
        """Let timeouts go that count ends, and what was held back until all have ended."""
        for when, request in list(self.counting):
            if self.inode.completed >= when and request in self.pending:
                self.counting.remove((when, request))
                request.end(0)
        while self.drained and not self.pending:
            self.drained.pop(0).begin()

    def uncount(self, request: Request) -> None:
        """Let a timeout end by time alone."""
        self.counting = [one for one in self.counting if one[1] is not request]

    def find(self, matches: Callable[[Request], bool]) -> Request | None:
        """Return the first pending request that matches."""
        return next((one for one in self.pending if not one.called_off and matches(one)), None)

    def enable(self, task: Task) -> None:
        """Let entries be begun, with SINGLE_ISSUER by this task alone."""
        self.enabled = 1
        if self.inode.flags & SINGLE_ISSUER:
            self.issuer = task

    def need_issuer(self, task: Task) -> None:
        """Errors: EEXIST: only another task may use it."""
        if self.issuer not in (None, task):
            raise SyscallError(errno.EEXIST)

    # ---- files in slots ----

    def hold_file(self, place: int, file: File, tag: int = 0) -> None:
        """Put an open file into a slot. Errors: EBADF: of a ring."""
        if isinstance(file.inode, RingInode):
            raise SyscallError(errno.EBADF)
        file.descriptors += 1
        self.files.put_in(place, file, tag)

    def install(self, file: File, slot: int) -> int:
        """Put an open file into slot - 1, or for ANY_SLOT a free one, and return that; else 0.

        Errors: ENFILE, ENXIO, EINVAL, EBADF.
        """
        place = self.files.free() if slot == ANY_SLOT else slot - 1
        self.files.need(place)
        self.hold_file(place, file)
        return place if slot == ANY_SLOT else 0

    def _gone(self, resource: Resource[Any]) -> None:
        if resource.tag and not self.closed:
            self.tell(resource.tag, 0)

    def _file_gone(self, resource: Resource[File]) -> None:
        self._gone(resource)
        resource.value.put()

    def _close(self) -> None:
        """The last descriptor has gone: nothing completes any more."""
        self.closed = 1
        pending = list(self.pending)
        self.pending.clear()  # before a file that goes with one wakes another
        for request in pending:
            request.let_go()
        self.charge(-self.charged)
        self.drained, self.counting = [], []
        self.files.drop()
        if self.eventfd is not None:
            self.eventfd.put()
            self.eventfd = None
