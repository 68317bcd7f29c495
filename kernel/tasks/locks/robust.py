"""What a task in machine code leaves in memory when it ends or runs another program.

Locks that it holds on its list of robust futexes are marked, and one who waits for each is woken; a
word that a thread library watches becomes 0. Source: set_robust_list(2), set_tid_address(2).
"""

from __future__ import annotations

import struct

from pkern.kernel.errors import MemoryFault, SyscallError, TaskKilled
from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.thread import Thread

FUTEX = "pkern.kernel.tasks.locks.futex"  # of which most programs that end need nothing
PRIORITY = 1  # the low bit of an entry: a futex with priority inheritance
LIST_LIMIT = 2048  # entries; a list that is a ring would never end
HEAD = struct.Struct("<QqQ")  # first entry, offset from an entry to its futex, entry in the making


def release(task: Task) -> None:
    """Let go of all that others may wait for; a list that cannot be read ends there."""
    thread = task.thread
    if thread.robust_list or thread.clear_child_tid:
        _release_memory(task, thread)
    if "pi_locks" in vars(task.kernel):  # else there has been none
        task.kernel.pi_locks.exit(task)


def _release_memory(task: Task, thread: Thread) -> None:
    head, thread.robust_list = thread.robust_list, 0
    tid, thread.clear_child_tid = thread.clear_child_tid, 0
    try:
        if head:
            _release_locks(task, head)
        if tid and task.mm.users > 1:  # nobody is left to see it else
            _clear(task, tid)
    except (SyscallError, MemoryFault, TaskKilled):
        return


def _release_locks(task: Task, head: int) -> None:
    entry, offset, pending = HEAD.unpack(task.mm.copy_in(head, HEAD.size))
    for _ in range(LIST_LIMIT):
        at = entry & ~PRIORITY
        if at == head:
            break
        kind = entry & PRIORITY
        entry = int.from_bytes(task.mm.copy_in(at, 8), "little")  # before another owns the lock
        if at != pending & ~PRIORITY:
            _release_lock(task, at + offset, kind)
    at, kind = (pending & ~PRIORITY) + offset, pending & PRIORITY
    if pending & ~PRIORITY and not _woken_at_unlock(task, at, kind):
        _release_lock(task, at, kind)


def _clear(task: Task, tid: int) -> None:
    """Say where it was asked for that the thread has ended."""
    futex = load(FUTEX)
    futex.set_word(task, tid, 0)
    futex.wake(task, futex.key_of(task, tid), 1)


def _release_lock(task: Task, addr: int, kind: int) -> None:
    futex = load(FUTEX)
    value = futex.word_at(task, addr)
    if value & futex.TID_MASK != task.number:
        return
    futex.set_word(task, addr, value & futex.WAITERS | futex.OWNER_DIED)
    if value & futex.WAITERS and kind != PRIORITY:  # those are handed over
        futex.wake(task, futex.key_of(task, addr), 1)


def _woken_at_unlock(task: Task, addr: int, kind: int) -> bool:
    """Wake for a lock that was just being given up: it is free, and the waker is dying."""
    futex = load(FUTEX)
    if kind == PRIORITY or futex.word_at(task, addr):
        return False
    futex.wake(task, futex.key_of(task, addr), 1)
    return True
