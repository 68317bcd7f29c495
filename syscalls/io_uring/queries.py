"""What io_uring is like here, for who asks by IORING_REGISTER_QUERY, with a ring or without.

Questions stand in a list of headers, each with where its answer goes. The order of the checks:
io_uring/query.c of Linux 6.18.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.syscalls.io_uring.calls import ENTER_FLAGS, FEATURES, SETUP_FLAGS
from pkern.syscalls.io_uring.operations import LAST
from pkern.syscalls.io_uring.requests import ENTRY_FLAGS
from pkern.syscalls.io_uring.rights import LAST_REGISTRATION

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

QUESTION = struct.Struct("<QQIIi12s")  # struct io_uring_query_hdr
OPCODES, NR_QUESTIONS = 0, 1
ABOUT_OPCODES = struct.Struct("<IIQQQQI4x")  # struct io_uring_query_opcode
MOST_BYTES, MOST_IN_A_LIST = 256, 1000


class Question(NamedTuple):
    """A header: the next one, where the answer goes, what is asked; nbytes of room there."""

    next: int
    data: int
    what: int
    nbytes: int
    result: int
    reserved: bytes


def query(task: Task, addr: int, count: int) -> int:
    """Answer a list of questions, each with its own result. Errors: EINVAL, EFAULT, ERANGE."""
    if count:
        raise SyscallError(errno.EINVAL)
    for _ in range(MOST_IN_A_LIST):
        if not addr:
            return 0
        addr = _answer(task, addr)
    raise SyscallError(errno.ERANGE)


def _answer(task: Task, addr: int) -> int:
    """Answer one question; return where the next one is. Errors: EFAULT."""
    asked = Question(*QUESTION.unpack(task.mm.copy_in(addr, QUESTION.size)))
    refused = _refusal(asked)
    answer = b""
    if not refused:
        task.mm.copy_in(asked.data, min(asked.nbytes, MOST_BYTES))
        answer = _about_opcodes()[: asked.nbytes]
    if asked.nbytes:
        task.mm.copy_out(asked.data, answer.ljust(min(asked.nbytes, task.kernel.ram), b"\0"))
    told = asked._replace(nbytes=len(answer), result=-refused)
    task.mm.copy_out(addr, QUESTION.pack(*told))
    return asked.next


def _refusal(asked: Question) -> int:
    """Return the errno of a question that is not known, or makes no sense; 0: it is fine."""
    if asked.what >= NR_QUESTIONS:
        return errno.EOPNOTSUPP
    return errno.EINVAL if any(asked.reserved) or asked.result or not asked.nbytes else 0


def _about_opcodes() -> bytes:
    flags = (FEATURES, SETUP_FLAGS, ENTER_FLAGS, ENTRY_FLAGS)
    return ABOUT_OPCODES.pack(LAST + 1, LAST_REGISTRATION, *flags, NR_QUESTIONS)
