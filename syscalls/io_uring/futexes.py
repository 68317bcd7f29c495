"""Opcodes of futexes: a wait stands in line with the tasks that sleep on the same word.

As in Linux 6.18 a private one is called off when its task ends, and a shared one waits on.
Source: Linux 6.18 io_uring/futex.c; Documentation/userspace-api/futex2.rst.
"""

from __future__ import annotations

import errno
from functools import partial

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.locks.futex import ALL_BITS, Sleeper, Word
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.abi import signed32
from pkern.syscalls.io_uring.requests import Entry, Request
from pkern.syscalls.tasks import futex2


def check(entry: Entry) -> None:
    """Errors: EINVAL."""
    futex2.need_words(entry.fd, entry.off, entry.addr3)


def _ends_with_its_task(request: Request) -> None:
    request.task.thread.requests[request] = partial(request.call_off, -errno.ECANCELED)


def _wait(sleeper: Sleeper) -> WouldBlock:
    """Return what waits until a word is woken."""
    return WouldBlock(*sleeper.keys, progress=sleeper)


def wait_for_one(request: Request) -> int:
    """Wait until the word, which has a value, is woken with a bit of a mask.

    Errors: EAGAIN (it has another), EINVAL, EFAULT.
    """
    entry, task = request.entry, request.task
    if request.progress is not None:
        return int(request.progress.woken)
    if not entry.addr3:
        raise SyscallError(errno.EINVAL)
    if entry.fd & futex2.PRIVATE:
        _ends_with_its_task(request)
    word = Word(entry.addr, entry.off, futex2.word_key(task, entry.addr, entry.fd))
    raise _wait(futex2.sleeper_on(task, [word], entry.addr3, None))


def wake_one_word(request: Request) -> int:
    """Wake up to so many who wait for a word with a bit of a mask; return how many."""
    entry = request.entry
    return futex2.futex_wake(request.task, entry.addr, entry.addr3, signed32(entry.off), entry.fd)


def check_many(entry: Entry) -> None:
    """Errors: EINVAL."""
    if not 0 < entry.length <= futex2.MOST_WAITERS:
        raise SyscallError(errno.EINVAL)


def take_many(request: Request) -> futex2.Unread:
    """Return what struct futex_waitvs say. Errors: EINVAL, EFAULT."""
    return futex2.waiters_at(request.task, request.entry.addr, request.entry.length)


def wait_for_many(request: Request) -> int:
    """Wait until one of many words is woken; return its place. Errors: EAGAIN, EINVAL, EFAULT."""
    task = request.task
    if request.progress is not None:
        return int(request.progress.woken)
    _ends_with_its_task(request)
    words = futex2.named(task, request.prepared)
    raise _wait(futex2.sleeper_on(task, words, ALL_BITS, None))
