"""What the networks of one machine have in common: paths that lead to sockets, files on their way.

A path of AF_UNIX leads to its socket from any network, and what is sent to it travels between them.
Invariant: a file that is on its way in a message counts as one descriptor more for each message
(File.descriptors), and stands in in_flight with the user who sent each.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.net.net import Net
    from pkern.kernel.net.socket import Socket
    from pkern.kernel.net.unix import UnixSocket
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Inode


class Common:
    """nets: the networks with sockets. Fields of sysctls: wmem_default to rmem_max."""

    def __init__(self) -> None:
        self.nets: list[Net] = []
        self.paths: dict[Inode, UnixSocket] = {}
        self.in_flight: dict[File, list[int]] = {}
        self.wmem_default = self.rmem_default = 212_992
        self.wmem_max = self.rmem_max = 4 << 20
        self._landing: deque[File] | None = None

    def sockets(self) -> Iterator[Socket]:
        """Give all sockets, network by network."""
        for net in self.nets:
            yield from net.sockets

    def need_flight(self, uid: int, nr_files: int, limit: int) -> None:
        """Refuse a user more files on their way than it may have open. Errors: ETOOMANYREFS."""
        flying = sum(users.count(uid) for users in self.in_flight.values())
        if nr_files and flying > limit:
            raise SyscallError(errno.ETOOMANYREFS)

    def sent(self, file: File, uid: int) -> None:
        """Note that a message of a user holds a file."""
        file.descriptors += 1
        self.in_flight.setdefault(file, []).append(uid)

    def landed(self, file: File, uid: int) -> None:
        """Note that a message of a user holds a file no more; the last one that did closes it.

        A closed socket lets go of what was sent to it: one after the other, however long the chain.
        """
        users = self.in_flight[file]
        users.remove(uid)
        if not users:
            del self.in_flight[file]
        if self._landing is not None:
            self._landing.append(file)
            return
        self._landing = deque([file])
        try:
            while self._landing:
                self._landing.popleft().put()
        finally:
            self._landing = None
