"""Signals that are held back while a Python program's handler runs, as sigaction(2) says."""

import pytest

from pkern import SegmentationFault, Sys


@pytest.fixture
def sys(kernel):
    return Sys(kernel.spawn())


def blocked(sys):
    return sys.rt_sigprocmask(sys.SIG_BLOCK, 0)


@pytest.mark.parametrize(
    ("flags", "mask", "seen"),  # as sigaction and the same handlers on Linux 6.18 have it
    [
        (0, 0, "200( a00 ) 200( a00 ) 200( )"),
        (0, 1 << 11, "a00( ) a00( ) a00( ) 800"),
        (Sys.SA_NODEFER, 0, "0( 0( 0( ) 0( ) 800 ) 0( ) 800 )"),
    ],
)
def test_what_is_held_back_while_a_handler_runs(sys, flags, mask, seen):
    """A handler sends its own signal twice, and another one; the first two times."""
    log = []

    def first(signo, info):
        log.append(f"{blocked(sys):x}(")
        if sum(text[-1] == "(" for text in log) < 3:
            for number in (sys.SIGUSR1, sys.SIGUSR1, sys.SIGUSR2):
                sys.kill(sys.pid, number)
        log.append(")")

    sys.rt_sigaction(sys.SIGUSR1, first, flags, mask)
    sys.rt_sigaction(sys.SIGUSR2, lambda signo, info: log.append(f"{blocked(sys):x}"))
    sys.kill(sys.pid, sys.SIGUSR1)
    assert " ".join(log) == seen
    assert blocked(sys) == 0


def test_a_handler_of_one_time_and_one_that_is_set_again(sys):
    heard = []
    sys.rt_sigaction(sys.SIGUSR1, lambda signo, info: heard.append(signo), sys.SA_RESETHAND)
    was = sys.rt_sigaction(sys.SIGUSR1, sys.SIG_IGN)
    sys.kill(sys.pid, sys.SIGUSR1)
    sys.rt_sigaction(sys.SIGUSR1, was)
    sys.kill(sys.pid, sys.SIGUSR1)
    assert heard == [sys.SIGUSR1]
    assert sys.rt_sigaction(sys.SIGUSR1) == sys.SIG_DFL


def test_what_leaves_a_handler_leaves_the_mask_as_it_was(sys):
    sys.rt_sigaction(sys.SIGUSR1, lambda signo, info: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        sys.kill(sys.pid, sys.SIGUSR1)
    sys.rt_sigaction(sys.SIGSEGV, lambda signo, info: sys.load(8, 1))
    with pytest.raises(SegmentationFault):  # which its own handler does not handle
        sys.load(16, 1)
    assert blocked(sys) == 0


def test_a_handler_may_send_its_signal_each_time(sys):
    often = []

    def again(signo, info):
        often.append(signo)
        if len(often) < 2000:
            sys.kill(sys.pid, signo)

    sys.rt_sigaction(sys.SIGUSR1, again)
    sys.kill(sys.pid, sys.SIGUSR1)
    assert len(often) == 2000
