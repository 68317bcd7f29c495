"""Waiting for what is open: pipes, sockets, terminals and all else that becomes ready.

would_block() is the one place where a call on them says that it must wait, wake() the one where
those who wait are told to look again.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Callable, NoReturn
from pkern.kernel.values import Enum
from pkern.kernel.vfs.file import O_NONBLOCK
from pkern.kernel.wait import Restart, WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Inode

POLLERR, POLLHUP = 8, 16
ANYTHING = 0xFFFF


def would_block(inode: Inode, interrupted: Callable[[], None] | None = None) -> NoReturn:
    """Let the call wait for inode. interrupted: what any signal undoes, after which it is anew.

    Errors: EAGAIN for a task that cannot sleep.
    """
    restart = Restart.IF_ASKED if interrupted is None else Restart.ANEW
    raise WouldBlock(inode, restart=restart, interrupted=interrupted)


class Wait(Enum):
    """What a call does that cannot be done at once."""

    FOREVER = "it waits"
    NEVER = "it fails with EAGAIN"


def waits(file: File) -> Wait:
    """Return what calls on an open file do."""
    return Wait.NEVER if file.flags & O_NONBLOCK else Wait.FOREVER


def sleep(inode: Inode, wait: Wait) -> NoReturn:
    """Let the call wait for inode, if it will. Errors: EAGAIN."""
    if wait is Wait.NEVER:
        raise SyscallError(errno.EAGAIN)
    would_block(inode)


def wake(inode: Inode, bits: int = ANYTHING) -> None:
    """Let those who wait for inode look again: POLL* bits may have become true."""
    for watcher in inode.watchers:
        watcher.news(bits)
    inode.kernel.wake(inode)
