"""How many entries rings have, and of what kind, as struct io_uring_params asks for them.

Source: io_uring_setup(2).
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.anon.io_uring import CQE_MIXED, Sizes

PARAMS_BYTES = 120
CQSIZE, CLAMP, DEFER_TASKRUN = 8, 16, 1 << 13  # IORING_SETUP_*
MOST_ENTRIES = 32768


def sizes_of(entries: int, cq_entries: int, flags: int) -> Sizes:
    """Return the entries of both rings: powers of two. Errors: EINVAL, EOVERFLOW."""
    if not entries:
        raise SyscallError(errno.EINVAL)
    entries = _bounded(entries, MOST_ENTRIES, flags)
    if not flags & CQSIZE:
        return Sizes(entries, 2 * entries, flags)
    if not cq_entries:
        raise SyscallError(errno.EINVAL)
    cq_entries = _bounded(cq_entries, 2 * MOST_ENTRIES, flags)
    if cq_entries < entries:
        raise SyscallError(errno.EINVAL)
    if flags & CQE_MIXED and cq_entries < 2:  # no room for a large one
        raise SyscallError(errno.EOVERFLOW)
    return Sizes(entries, cq_entries, flags)


def _bounded(number: int, most: int, flags: int) -> int:
    if number > most:
        if not flags & CLAMP:
            raise SyscallError(errno.EINVAL)
        number = most
    return 1 << (number - 1).bit_length()
