"""Alarms of a Python program: they come in the calls that wait, which is where its time passes."""

import errno
from struct import pack, unpack

import pytest

from pkern import Sys, TaskKilled
from pkern.userland.program import run_program

SECOND = 1_000_000_000


@pytest.fixture
def sys(kernel):
    return Sys(kernel.spawn())


@pytest.fixture
def page(sys):
    return sys.mmap(0, sys.PAGE_SIZE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)


@pytest.fixture
def rings(sys):
    """Return the times at which SIGALRM was handled."""
    times = []
    sys.rt_sigaction(
        sys.SIGALRM, lambda signo, info: times.append(sys.clock_gettime(sys.CLOCK_MONOTONIC))
    )
    return times


def interrupted(call):
    with pytest.raises(InterruptedError):
        call()


def test_an_alarm_interrupts_a_sleep_and_says_what_was_left(sys, page, rings):
    assert sys.alarm(2) == 0
    assert sys.alarm(3) == 2
    sys.store(page, pack("<QQ", 5, 0))
    assert sys.syscall(35, page, page + 16) == -errno.EINTR
    assert unpack("<QQ", sys.load(page + 16, 16)) == (2, 0)
    assert rings == [3 * SECOND]
    assert sys.nanosleep(SECOND) == 0
    assert rings == [3 * SECOND]


def test_calls_that_wait_for_ever_are_ended_by_an_alarm(sys, page, rings):
    waits = [
        sys.pause,
        lambda: sys.rt_sigsuspend(page, 8),
        lambda: sys.poll([], -1),
        lambda: sys.futex(page, sys.FUTEX_WAIT, 0, 0, 0, 0),
        lambda: sys.nanosleep((1 << 63) - 1),
    ]
    for number, wait in enumerate(waits, start=1):
        sys.alarm(10)
        interrupted(wait)
        assert rings == [10 * SECOND * n for n in range(1, number + 1)]


def test_an_interval_timer_rings_until_it_is_taken_away(sys, page, rings):
    sys.store(page, pack("<4Q", 0, 500_000, 1, 0))
    assert sys.setitimer(sys.ITIMER_REAL, page, 0) == 0
    assert unpack("<4Q", sys.getitimer(sys.ITIMER_REAL)) == (0, 500_000, 1, 0)
    for _ in range(3):
        interrupted(lambda: sys.nanosleep(9 * SECOND))
    assert rings == [SECOND, SECOND * 3 // 2, SECOND * 2]
    assert sys.setitimer(sys.ITIMER_REAL, 0, page) == 0
    assert unpack("<4Q", sys.load(page, 32)) == (0, 500_000, 0, 500_000)
    assert sys.nanosleep(9 * SECOND) == 0
    assert len(rings) == 3


def test_no_processor_time_passes(sys, page):
    sys.store(page, pack("<4Q", 0, 0, 1, 0))
    for which in (sys.ITIMER_VIRTUAL, sys.ITIMER_PROF):
        assert sys.setitimer(which, page, 0) == 0
        sys.nanosleep(5 * SECOND)
        assert unpack("<4Q", sys.getitimer(which)) == (0, 0, 1, 0)


def test_a_blocked_alarm_is_taken_by_who_waits_for_it(sys, page, rings):
    mask = 1 << sys.SIGALRM - 1
    sys.rt_sigprocmask(sys.SIG_BLOCK, mask)
    sys.alarm(1)
    sys.store(page, pack("<Q", mask))
    assert sys.rt_sigtimedwait(page, 0, 0, 8) == sys.SIGALRM
    assert (rings, sys.clock_gettime(sys.CLOCK_MONOTONIC)) == ([], SECOND)


def test_sigsuspend_lets_a_blocked_alarm_in(sys, page, rings):
    sys.rt_sigprocmask(sys.SIG_BLOCK, 1 << sys.SIGALRM - 1)
    sys.alarm(1)
    assert sys.nanosleep(2 * SECOND) == 0  # it waits
    assert rings == []
    sys.store(page, bytes(8))
    interrupted(lambda: sys.rt_sigsuspend(page, 8))
    assert len(rings) == 1
    assert sys.rt_sigprocmask(sys.SIG_BLOCK, 0) == 1 << sys.SIGALRM - 1


def test_an_alarm_that_nobody_handles_ends_the_program(kernel):
    sys = Sys(kernel.spawn())
    sys.alarm(1)
    with pytest.raises(TaskKilled):
        sys.pause()

    def main(sys):
        sys.alarm(1)
        sys.nanosleep(5 * SECOND)
        raise AssertionError("still here")

    assert run_program(kernel, main, ["main"]) == 128 + sys.SIGALRM


def test_a_child_s_alarm_comes_while_its_parent_sleeps(sys):
    child, rung = sys.fork(), []
    child.rt_sigaction(sys.SIGALRM, lambda signo, info: rung.append(child.pid))
    child.alarm(1)
    assert sys.nanosleep(3 * SECOND) == 0
    assert rung == [child.pid]


def test_an_alarm_ends_a_wait_for_a_child_that_nobody_runs(sys, rings):
    sys.fork()
    sys.alarm(1)
    interrupted(sys.wait4)
    with pytest.raises(OSError, check=lambda error: error.errno == errno.EDEADLK):
        sys.wait4()


def test_an_alternate_stack_is_kept_for_a_program_to_come(sys, page):
    stack = pack("<QI4xQ", 0x10000, 0, 8192)
    sys.store(page, stack)
    assert sys.sigaltstack(page, 0) == 0
    assert sys.sigaltstack(0, page + 64) == 0
    assert sys.load(page + 64, 24) == stack
    sys.store(page, pack("<QI4xQ", 0x10000, 0, 100))
    with pytest.raises(OSError, check=lambda error: error.errno == errno.ENOMEM):
        sys.sigaltstack(page, 0)


def test_a_short_interval_beside_a_long_sleep_rests_while_its_signal_is_ignored(sys, page):
    sys.rt_sigaction(sys.SIGALRM, sys.SIG_IGN)
    sys.store(page, pack("<4Q", 0, 1, 0, 1))
    sys.setitimer(sys.ITIMER_REAL, page, 0)
    assert sys.nanosleep(1_000_000 * SECOND) == 0
    assert unpack("<4Q", sys.getitimer(sys.ITIMER_REAL)) == (0, 1, 0, 0)


def test_a_timer_beyond_the_end_of_time_does_not_come(sys, page):
    sys.store(page, pack("<4Q", 0, 0, 9_000_000_000, 0))
    sys.setitimer(sys.ITIMER_REAL, page, 0)
    with pytest.raises(InterruptedError):  # pause's error, and nobody else will wake it
        sys.pause()
    assert sys.clock_gettime(sys.CLOCK_MONOTONIC) < SECOND
