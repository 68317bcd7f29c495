"""How messages lie in memory: struct msghdr, mmsghdr and cmsghdr of the native table and of i386's.

A call has the layout of the way by which the task came, as its iovecs have.
Source: Linux 6.18 include/net/compat.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pkern.kernel.tasks.thread import INT80, SYSCALL, entry_of
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


class Layout(NamedTuple):
    """A layout of messages.

    header: struct msghdr. several: bytes of a struct mmsghdr, length_at: where its length stands.
    name_length_at: of a struct msghdr. result: what is stored of it at result_at: the bytes of
    control data and the flags. control: struct cmsghdr; unit: what it is aligned to.
    """

    header: struct.Struct
    several: int
    length_at: int
    name_length_at: int
    result: struct.Struct
    result_at: int
    control: struct.Struct
    unit: int

    def aligned(self, nbytes: int) -> int:
        """Return CMSG_ALIGN(nbytes)."""
        return -(-nbytes // self.unit) * self.unit


NATIVE = Layout(
    struct.Struct("<QI4xQQQQi4x"), 64, 56, 8, struct.Struct("<QI"), 40, struct.Struct("<Qii"), 8
)
COMPAT = Layout(
    struct.Struct("<6Ii"), 32, 28, 4, struct.Struct("<II"), 20, struct.Struct("<Iii"), 4
)
LAYOUTS = {SYSCALL.mark: NATIVE, INT80.mark: COMPAT}


def layout_of(task: Task) -> Layout:
    """Return the layout that a task's call has."""
    return LAYOUTS[entry_of(task).mark]
