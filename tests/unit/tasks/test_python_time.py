"""The virtual time of a Python program that waits: nothing else could end the wait."""

from struct import pack

import pytest

from pkern import Sys

SECOND = 1_000_000_000


@pytest.fixture
def sys(kernel):
    return Sys(kernel.spawn())


@pytest.fixture
def page(sys):
    addr = sys.mmap(0, sys.PAGE_SIZE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    sys.store(addr + 64, pack("<QQ", 2, 0))
    return addr


def passed(sys, call):
    """Return the errno or the result of a call, and how long it took."""
    before = sys.clock_gettime(sys.CLOCK_MONOTONIC)
    try:
        result = call()
    except OSError as error:
        result = error.strerror
    return result, sys.clock_gettime(sys.CLOCK_MONOTONIC) - before


def test_a_futex_that_nobody_wakes_times_out(sys, page):
    timed_out = passed(sys, lambda: sys.futex(page, sys.FUTEX_WAIT, 0, page + 64, 0, 0))
    assert timed_out == ("Connection timed out", 2 * SECOND)
    for_ever = passed(sys, lambda: sys.futex(page, sys.FUTEX_WAIT, 0, 0, 0, 0))
    assert for_ever == ("Resource temporarily unavailable", 0)
    other_word = passed(sys, lambda: sys.futex(page, sys.FUTEX_WAIT, 1, page + 64, 0, 0))
    assert other_word == ("Resource temporarily unavailable", 0)


def test_a_signal_that_nobody_sends(sys, page):
    sys.store(page, pack("<Q", 1 << sys.SIGUSR1 - 1))
    waited = passed(sys, lambda: sys.rt_sigtimedwait(page, 0, page + 64, 8))
    assert waited == ("Resource temporarily unavailable", 2 * SECOND)


def test_a_semaphore_that_nobody_raises(sys, page):
    semid = sys.semget(sys.IPC_PRIVATE, 1, 0o600)
    sys.store(page, pack("<Hhh", 0, -1, 0))
    waited = passed(sys, lambda: sys.semtimedop(semid, page, 1, page + 64))
    assert waited == ("Resource temporarily unavailable", 2 * SECOND)


def test_a_pipe_that_nobody_writes(sys):
    read_end, _ = sys.pipe()
    assert passed(sys, lambda: sys.poll([(read_end, sys.POLLIN)], 2000)) == ([0], 2 * SECOND)
