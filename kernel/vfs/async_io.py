"""Signals for what becomes ready: O_ASYNC, F_SETSIG, F_SETOWN, and SIGURG.

An open file with O_ASYNC watches its inode as an item of epoll does; news of bits that its access
is for are a signal to its owner. Who it is was chosen by a task whose rights then decide now.
Source: fcntl(2), Linux 6.18 fs/fcntl.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File

POLLPRI, POLLRDBAND, POLLWRBAND, ANYTHING = 2, 0x80, 0x200, 0xFFFF
POLL_IN, POLL_OUT, POLL_PRI = 1, 2, 5  # of si_code
BANDS = {
    POLL_IN: POLLIN | POLLRDNORM,
    POLL_OUT: POLLOUT | POLLWRNORM | POLLWRBAND,
    POLL_PRI: POLLPRI | POLLRDBAND,
}


class AsyncWatcher:
    """Tells a file's owner what the file has become ready for. fd: by which O_ASYNC was set."""

    def __init__(self, file: File, fd: int) -> None:
        self.file, self.fd = file, fd
        file.inode.add_listener(self)

    def news(self, bits: int) -> None:
        """Send the signals."""
        if bits & POLLIN and self.file.access & MAY_READ:
            self._tell(POLL_IN)
        if bits != ANYTHING and bits & POLLOUT and self.file.access & MAY_WRITE:
            self._tell(POLL_OUT)

    def _tell(self, code: int) -> None:
        self.file.kernel.tell_owner(self.file, self.fd, code, BANDS[code])

    def drop(self) -> None:
        """Watch no more."""
        self.file.inode.remove_listener(self)
