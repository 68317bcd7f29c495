"""What a step of a task does to what others may see: words of memory, and objects of the kernel.

Two steps of different tasks are dependent if one of them writes what the other reads or writes:
then their order matters, and no other's does. A call whose objects are not known here depends on
all that is not empty, so that what is left out costs schedules and loses none.

Memory is known twice, by frame and by address: frames may be handed out in another order in
another schedule, addresses may differ between processes that share a frame.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.errors import MemoryFault, SyscallError
from pkern.syscalls.numbers import NAMES

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Access
    from pkern.kernel.tasks.task import Task

WORD_SHIFT = 2
MOST_BYTES = 1 << 16
FUTEX_PRIVATE = 128
CLONE_ARGS = struct.Struct("<4Q")  # flags, pidfd, child_tid, parent_tid
NOTHING: frozenset[Hashable] = frozenset()


class Footprint(NamedTuple):
    """What a step reads and writes. everything: it may be anything."""

    reads: frozenset[Hashable] = NOTHING
    writes: frozenset[Hashable] = NOTHING
    everything: bool = False

    def __or__(self, other: Footprint) -> Footprint:
        return Footprint(
            self.reads | other.reads,
            self.writes | other.writes,
            self.everything or other.everything,
        )

    @property
    def is_empty(self) -> bool:
        """Tell whether it touches nothing."""
        return not (self.reads or self.writes or self.everything)

    def depends_on(self, other: Footprint) -> bool:
        """Tell whether the order of the two matters."""
        if self.everything or other.everything:
            return not (self.is_empty or other.is_empty)
        touched = self.reads | self.writes
        return not (touched.isdisjoint(other.writes) and self.writes.isdisjoint(other.reads))


EMPTY, EVERYTHING = Footprint(), Footprint(everything=True)


def of_accesses(accesses: Iterable[Access]) -> Footprint:
    """Return what instructions did to memory."""
    reads: set[Hashable] = set()
    writes: set[Hashable] = set()
    for access in accesses:
        kind = writes if access.writes else reads
        kind.update(_words(access.linear, access.nbytes))
        kind.update(~word for word in _words(access.physical, access.nbytes))  # frames: negative
    return Footprint(frozenset(reads), frozenset(writes))


def _words(addr: int, nbytes: int) -> range:
    return range(addr >> WORD_SHIFT, (addr + max(nbytes, 1) - 1 >> WORD_SHIFT) + 1)


# ---- calls ----

Registers = tuple[int, ...]


def _writes(*what: Hashable) -> Footprint:
    return Footprint(writes=frozenset(what))


def _reads(*what: Hashable) -> Footprint:
    return Footprint(reads=frozenset(what))


def _nothing(task: Task, args: Registers) -> Footprint:
    return EMPTY


def _own_signals(task: Task, args: Registers) -> Footprint:
    return _writes(("signals", task.pid))


def _futex(task: Task, args: Registers) -> Footprint:
    addr, operation = args[0], args[1]
    other = {3, 4, 5, 11, 12}  # requeue, wake_op: two words
    if operation & 0x7F in other:
        return EVERYTHING
    word = Footprint(frozenset(_words(addr, 4)))
    key = ("futex", addr) if operation & FUTEX_PRIVATE else ("futex", None)
    return word | _writes(key)


def _mapping(task: Task, args: Registers) -> Footprint:
    return _writes(("memory", task.mm.process.tgid))


def _clone(task: Task, args: Registers) -> Footprint:
    return _made(task, args[2], args[3])


def _clone3(task: Task, args: Registers) -> Footprint:
    try:
        _, _, child, parent = CLONE_ARGS.unpack(task.mm.copy_in(args[0], CLONE_ARGS.size))
    except (MemoryFault, SyscallError):
        return EVERYTHING
    return _made(task, child, parent)


def _made(task: Task, *told: int) -> Footprint:
    words = frozenset(word for addr in told if addr for word in _words(addr, 4))
    return Footprint(writes=words) | _writes(("tasks", None)) | _mapping(task, ())


def _exit(task: Task, args: Registers) -> Footprint:
    told = task.thread.clear_child_tid
    words = frozenset(_words(told, 4)) if told else NOTHING
    return Footprint(writes=words) | _writes(("tasks", None), ("futex", None), ("futex", told))


def _wait(task: Task, args: Registers) -> Footprint:
    return _writes(("tasks", None))


def _file(task: Task, fd: int) -> Footprint:
    try:
        inode = task.fds.get(fd).inode
    except SyscallError:
        return _reads(("files", task.tgid))
    return _writes(("file", inode.ino)) | _reads(("files", task.tgid))


def _write(task: Task, args: Registers) -> Footprint:
    if args[2] > MOST_BYTES:
        return EVERYTHING
    return Footprint(frozenset(_words(args[1], args[2]))) | _file(task, args[0])


def _read(task: Task, args: Registers) -> Footprint:
    if args[2] > MOST_BYTES:
        return EVERYTHING
    return Footprint(writes=frozenset(_words(args[1], args[2]))) | _file(task, args[0])


def _descriptors(task: Task, args: Registers) -> Footprint:
    return _writes(("files", task.tgid)) | _file(task, args[0])


_LOCAL = (
    "getpid gettid getuid geteuid getgid getegid set_robust_list rseq sched_yield arch_prctl"
    " set_tid_address sched_getaffinity getcpu"
)
_CALLS: dict[str, Callable[[Task, Registers], Footprint]] = {
    **dict.fromkeys(_LOCAL.split(), _nothing),
    **dict.fromkeys(("rt_sigprocmask", "sigaltstack"), _own_signals),
    **dict.fromkeys(("mmap", "brk", "munmap", "mprotect", "madvise"), _mapping),
    "futex": _futex,
    "clone": _clone,
    "clone3": _clone3,
    "exit": _exit,
    **dict.fromkeys(("wait4", "waitid"), _wait),
    "write": _write,
    "read": _read,
    **dict.fromkeys(("close", "dup"), _descriptors),
}
# Of these, a range of memory that tasks share is more than the list of VMAs.
_RANGES = frozenset({"mmap", "munmap", "mprotect", "madvise"})
PAGE_SHIFT = 12


def of_call(task: Task, nr: int, args: Registers, shared: frozenset[int]) -> Footprint:
    """Return what a call that a task is about to make touches. shared: linear pages."""
    name = NAMES.get(nr, "")
    known = _CALLS.get(name)
    if known is None:
        return EVERYTHING
    if name in _RANGES and args[0]:
        first, last = args[0] >> PAGE_SHIFT, args[0] + args[1] >> PAGE_SHIFT
        if any(first <= page >> PAGE_SHIFT <= last for page in shared):
            return EVERYTHING
    return known(task, args)
