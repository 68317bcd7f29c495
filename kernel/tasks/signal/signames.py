"""The names of the signals, for people and for programs in Python.

A start does without them: making an enumeration of thirty members costs as much as booting a
machine.
"""

from __future__ import annotations

from enum import IntEnum

from pkern.kernel.tasks.signal.signals import NSIG, RTMIN


class Signal(IntEnum):
    """Linux's signal numbers on x86-64; those of real time are SIGRTMIN, SIGRT_1 to SIGRT_32."""

    SIGHUP = 1
    SIGINT = 2
    SIGQUIT = 3
    SIGILL = 4
    SIGTRAP = 5
    SIGABRT = 6
    SIGBUS = 7
    SIGFPE = 8
    SIGKILL = 9
    SIGUSR1 = 10
    SIGSEGV = 11
    SIGUSR2 = 12
    SIGPIPE = 13
    SIGALRM = 14
    SIGTERM = 15
    SIGSTKFLT = 16
    SIGCHLD = 17
    SIGCONT = 18
    SIGSTOP = 19
    SIGTSTP = 20
    SIGTTIN = 21
    SIGTTOU = 22
    SIGURG = 23
    SIGXCPU = 24
    SIGXFSZ = 25
    SIGVTALRM = 26
    SIGPROF = 27
    SIGWINCH = 28
    SIGIO = 29
    SIGPWR = 30
    SIGSYS = 31

    @classmethod
    def _missing_(cls, value: object) -> Signal | None:
        """Return a signal of real time, by strace's name."""
        if not isinstance(value, int) or not RTMIN <= value <= NSIG:
            return None
        signal = int.__new__(cls, value)
        signal._name_ = f"SIGRT_{value - RTMIN}" if value > RTMIN else "SIGRTMIN"
        signal._value_ = value
        return signal
