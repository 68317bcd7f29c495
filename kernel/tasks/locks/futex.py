"""Futexes: who sleeps on which word of memory.

A word of shared memory is known by file and offset, so that it is the same one in each process
whatever its address, also after it was swapped; a private word by address space and address. Who
sleeps on a private word and asks for nothing else may be known to the core alone (futex.c), until
somebody here wants to know.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.locks.line import PrivateWord
from pkern.kernel.tasks.signal.signals import is_disturbed
from pkern.kernel.typed import TYPE_CHECKING, Hashable, Iterable
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.locks.line import InLine
    from pkern.kernel.tasks.task import Task

ALL_BITS = 0xFFFF_FFFF
WORD_BYTES = 4
# A word that is a lock with an owner: that one's tid, and what the kernel has to know besides.
WAITERS, OWNER_DIED, TID_MASK = 1 << 31, 1 << 30, (1 << 30) - 1
PM_FILE = 1 << 61  # in a word of /proc/PID/pagemap


class Word(NamedTuple):
    """A word that someone waits for: its address, what it should be, and what stands for it."""

    addr: int
    value: int
    key: Hashable


class Sleeper:
    """What a waiting call remembers: the words it waits for, until when, and which was woken.

    words: in the order in which the call named them. keys: where it stands in line. woken: the
    place of one in keys, or None.
    target: what it then wants to own (FUTEX_WAIT_REQUEUE_PI): a lock's key, and its address.
    """

    target: tuple[Hashable, int] | None = None

    def __init__(self, words: tuple[Word, ...], bits: int, deadline: int | None) -> None:
        self.words = words
        self.keys = tuple(word.key for word in words)
        self.bits = bits
        self.deadline = deadline
        self.woken: int | None = None

    def wake(self, key: Hashable) -> None:
        """Note which word it was woken by."""
        self.woken = self.keys.index(key)

    def stand_again(self, task: Task) -> None:
        """Stand in the words' lines as at first: a signal or a stop may have ended the wait.

        Who woke a word meanwhile has found nobody there. What interrupts the call comes first: it
        says what becomes of it. Errors: EAGAIN (a word has another value by now), EFAULT.
        """
        if is_disturbed(task):
            return
        need_values(task, self.words)
        self.keys = tuple(word.key for word in self.words)

    def move(self, key: Hashable, to: Hashable) -> None:
        """Wait for another word instead of key."""
        self.keys = tuple(to if one == key else one for one in self.keys)


def key_of(task: Task, addr: int) -> Hashable:
    """Return what stands for the word at addr, shared or not.

    Its page is brought, to be written where that is allowed, so it is one's own then where the
    mapping is private. One that may only be read is known by its file, and otherwise refused.
    Errors: EINVAL, EFAULT. Source: get_futex_key() of Linux 6.18.
    """
    check(task, addr)
    vma = task.mm.vma_at(addr)
    if vma is None or lib.mm_has_secret(task.mm.handle, addr, WORD_BYTES):
        raise SyscallError(errno.EFAULT)
    if vma.flags & lib.VM_WRITE:
        task.mm.call(lib.mm_pin, addr, WORD_BYTES, lib.ACCESS_WRITE)
    task.mm.copy_in(addr, WORD_BYTES)
    if not vma.flags & (lib.VM_SHARED | lib.VM_SPECIAL) and not _is_files(task, addr):
        if not vma.flags & lib.VM_WRITE:
            raise SyscallError(errno.EFAULT)
        return ("futex", task.mm, addr)  # not the private word, as on Linux
    if vma.flags & (lib.VM_SPECIAL | lib.VM_NONLINEAR) or not vma.mapping_cookie:
        return ("futex", "frame", lib.mm_translate(task.mm.handle, addr, lib.ACCESS_READ))
    return ("futex", vma.mapping_cookie, addr - vma.start + vma.pgoff * 4096)


def _is_files(task: Task, addr: int) -> bool:
    """Return whether the page at addr is one of a file, or of shared memory."""
    word = ffi.new("uint64_t *")
    lib.mm_pagemap(task.mm.handle, addr // 4096, 1, word)
    return bool(word[0] & PM_FILE)


def private_key(task: Task, addr: int) -> Hashable:
    """Return what stands for a word that only this address space uses. Errors: EINVAL, EFAULT."""
    if addr & 3:
        raise SyscallError(errno.EINVAL)
    task.mm.check_user(addr, 4)
    return PrivateWord(task.mm, addr)


def check(task: Task, addr: int) -> None:
    """Refuse what cannot be a futex. Errors: EINVAL (misaligned), EFAULT (outside user space)."""
    if addr & 3:
        raise SyscallError(errno.EINVAL)
    task.mm.check_user(addr, 4)


def word_at(task: Task, addr: int) -> int:
    """Return the word at addr. Errors: EFAULT."""
    return task.mm.word_in(addr)


def need_values(task: Task, words: Iterable[Word]) -> None:
    """Refuse words that are not what they should be. Errors: EAGAIN, EFAULT."""
    for word in words:
        if task.mm.word_in(word.addr) != word.value:
            raise SyscallError(errno.EAGAIN)


def set_word(task: Task, addr: int, value: int) -> None:
    """Store a word at addr. Errors: EFAULT."""
    task.mm.copy_out(addr, (value & ALL_BITS).to_bytes(4, "little"))


def sleepers_of(task: Task, key: Hashable) -> list[InLine]:
    """Return who sleeps on a word, in the order in which they came."""
    scheduler = task.kernel.scheduler
    return list(scheduler.sleepers.of(key)) if scheduler else []


def need_plain(task: Task, key: Hashable) -> None:
    """Refuse a word that somebody waits for as for a lock with an owner. Errors: EINVAL."""
    if task.kernel.pi_locks.get(key) is not None:
        raise SyscallError(errno.EINVAL)


def wake(task: Task, key: Hashable, count: int, bits: int = ALL_BITS) -> int:
    """Wake up to count sleepers in the order in which they came; return how many.

    Errors: EINVAL: they wait for a lock with an owner.
    """
    if task.kernel.pi_locks.get(key) is not None:
        raise SyscallError(errno.EINVAL)
    scheduler = task.kernel.scheduler
    if scheduler is None:
        return 0
    woken = 0
    for sleeper in list(scheduler.sleepers.of(key)):
        if woken >= max(count, 1):
            break
        if sleeper.thread.progress.target is not None:
            raise SyscallError(errno.EINVAL)
        if sleeper.thread.progress.bits & bits:
            sleeper.thread.progress.wake(key)
            scheduler.sleepers.wake_task(sleeper)
            woken += 1
    return woken
