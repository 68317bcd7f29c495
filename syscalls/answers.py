"""The calls that the core answers itself, without entering Python: what they are, by name.

Owns the list. A remembered call takes no argument, changes nothing, and its answer stays until
Task.forget_answers() is called by whoever changes what it follows from. The others tell the time,
let threads sleep on a word of memory, and map and unmap memory. How each is answered:
kernel/core/cpu/answers.c.
"""

from __future__ import annotations

from pkern.kernel.clock import BOOT_EPOCH_NS, CPU_CLOCKS, REALTIME_CLOCKS, UPTIME_CLOCKS
from pkern.kernel.core import lib
from pkern.kernel.typed import Any
from pkern.syscalls.numbers import NUMBERS

REMEMBERED = ("getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid")
OTHERS = {
    "futex": lib.ANSWER_FUTEX,
    "mmap": lib.ANSWER_MMAP,
    "munmap": lib.ANSWER_MUNMAP,
    "clock_gettime": lib.ANSWER_TIMESPEC,
    "gettimeofday": lib.ANSWER_TIMEVAL,
    "time": lib.ANSWER_SECONDS,
}

# mmap: flags that say what is mapped, and those of memory that is there at once.
OF_WHAT = lib.MAP_NONLINEAR | lib.MAP_ANONYMOUS | lib.MAP_HUGETLB
FILLED = lib.MAP_POPULATE | lib.MAP_LOCKED


def tell(answers: Any) -> None:
    """Fill in the core's table, struct run_answers."""
    kinds = {name: kind for kind, name in enumerate(REMEMBERED, 1)} | OTHERS
    for name, kind in kinds.items():
        answers.by_call[NUMBERS[name]] = kind
    answers.realtime_clocks = _bits(REALTIME_CLOCKS)
    answers.uptime_clocks = _bits(UPTIME_CLOCKS - CPU_CLOCKS)
    answers.boot_ns = BOOT_EPOCH_NS
    answers.mmap_flags, answers.mmap_alone = OF_WHAT | FILLED, lib.MAP_ANONYMOUS


def _bits(numbers: frozenset[int]) -> int:
    return sum(1 << number for number in numbers)
