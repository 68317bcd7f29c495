"""The RWF_ flags of preadv2 and pwritev2: what one call asks of a file that is open otherwise.

While such a call runs its file is as the flags say, and then as it was.
Source: kiocb_set_rw_flags() and do_loop_readv_writev() of Linux 6.18, preadv2(2).
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import contextmanager, nullcontext
from pkern.kernel.typed import TYPE_CHECKING, Iterator
from pkern.kernel.vfs.file import O_APPEND, O_NONBLOCK

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pkern.kernel.vfs.file import File

HIPRI, NOWAIT, APPEND, NOAPPEND, ATOMIC, DONTCACHE, NOSIGNAL = 1, 8, 16, 32, 64, 128, 256
KNOWN = 511  # RWF_DSYNC and RWF_SYNC, 2 and 4, too: what is written here is as safe as it gets


def called(file: File, flags: int, right: int) -> AbstractContextManager[None]:
    """Return a context in which a call with flags goes on a file. right: MAY_READ or MAY_WRITE.

    Errors: EOPNOTSUPP (no such flag, or not of such a file), EINVAL (flags that exclude another),
    EPERM (RWF_NOAPPEND of what may only grow).
    """
    flags &= 0xFFFF_FFFF
    if not flags:
        return nullcontext()
    _refuse(file, flags, right)
    return _as_asked(file, flags)


def _refuse(file: File, flags: int, right: int) -> None:
    inode = file.inode
    if inode.one_buffer & right and flags & ~HIPRI:
        raise SyscallError(errno.EOPNOTSUPP)
    if not flags & ~KNOWN and flags & APPEND and flags & NOAPPEND:
        raise SyscallError(errno.EINVAL)
    never_waits = flags & NOWAIT and not inode.can_nowait & right
    uncached = flags & DONTCACHE and not inode.can_dontcache
    if flags & ~KNOWN or never_waits or flags & ATOMIC or uncached:
        raise SyscallError(errno.EOPNOTSUPP)
    if flags & NOAPPEND and file.flags & O_APPEND:
        inode.need_shrinkable()


@contextmanager
def _as_asked(file: File, flags: int) -> Iterator[None]:
    before = file.flags
    added = (O_APPEND if flags & APPEND else 0) | (O_NONBLOCK if flags & NOWAIT else 0)
    file.flags = before & ~(O_APPEND if flags & NOAPPEND else 0) | added
    file.is_quiet = bool(flags & NOSIGNAL)
    try:
        yield
    finally:
        file.flags, file.is_quiet = before, False
