"""Shared memory with a futex: a lock and a counter that two tasks use in turn.

The word is 0 (free), 1 (held) or 2 (held, and someone sleeps). Who finds it held says so in the
word and calls FUTEX_WAIT; the kernel looks at the word once more before it lets anyone sleep, so no
wake-up is lost. The two tasks are driven by this program, so a sleep shows as BlockingIOError.

Run:
    pkern run examples/shared_futex.py
Prints:
    parent takes the lock: True
    child takes the lock: False, it would sleep
    parent lets go: the word says that someone sleeps, so FUTEX_WAKE
    the word has changed: FUTEX_WAIT does not sleep (EAGAIN)
    child takes the lock: True
    the counter, seen by both: 2 2
"""

import errno
from struct import pack, unpack

FREE, HELD, CONTENDED = 0, 1, 2


def word(sys, addr):
    return unpack("<I", sys.load(addr, 4))[0]


def swap(sys, addr, new):
    """Set the word and return what it was: no other task runs in between."""
    old = word(sys, addr)
    sys.store(addr, pack("<I", new))
    return old


def add_one(sys, counter):
    sys.store(counter, pack("<I", word(sys, counter) + 1))


def main(sys):
    flags = sys.MAP_SHARED | sys.MAP_ANONYMOUS
    lock = sys.mmap(0, sys.PAGE_SIZE, sys.PROT_READ | sys.PROT_WRITE, flags)
    counter = lock + 64
    child = sys.fork()

    print("parent takes the lock:", swap(sys, lock, HELD) == FREE)
    add_one(sys, counter)

    free = swap(child, lock, CONTENDED) == FREE
    try:
        child.futex(lock, sys.FUTEX_WAIT, CONTENDED, 0, 0, 0)
    except BlockingIOError:
        print(f"child takes the lock: {free}, it would sleep")

    if swap(sys, lock, FREE) == CONTENDED:
        print("parent lets go: the word says that someone sleeps, so FUTEX_WAKE")
        sys.futex(lock, sys.FUTEX_WAKE, 1, 0, 0, 0)

    try:
        child.futex(lock, sys.FUTEX_WAIT, CONTENDED, 0, 0, 0)
    except OSError as error:
        name = errno.errorcode[error.errno]
        print(f"the word has changed: FUTEX_WAIT does not sleep ({name})")
    print("child takes the lock:", swap(child, lock, HELD) == FREE)
    add_one(child, counter)
    print("the counter, seen by both:", word(sys, counter), word(child, counter))
