"""What one more costs as a table grows: each table of the kernel, filled, and one more entry made.

Owns the list of tables. `pkern bench --only growth` shows times; a test counts instructions.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import perf_counter_ns

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
FEW, FACTOR = 200, 16
REPEATS = 64
MOST_RATIO = 1.3  # what one more may cost among FACTOR times as many
RAM = "192M"
IPC_CREAT = 0o1000
READ_WRITE, SHARED, PRIVATE, FIXED, ANONYMOUS, MS_SYNC = 3, 1, 2, 0x10, 0x20, 4
CREATE = 0o102  # O_CREAT | O_RDWR
BASE = 0x1000_0000
F_SETLK, F_WRLCK = 6, 1
USR1 = 10
Step = Callable[[int], object]  # makes, or uses, the entry with a number


def _open(sys: Sys) -> Step:
    return lambda _: sys.open("/dev/null", 0)


def _create(sys: Sys) -> Step:
    return lambda number: sys.close(sys.open(f"/tmp/{number}", CREATE, 0o600))


def _map_file(sys: Sys) -> Step:
    """Make a file, map and unlink it: its mapping keeps it."""

    def step(number: int) -> None:
        fd = sys.open(f"/tmp/{number}", CREATE, 0o600)
        sys.ftruncate(fd, PAGE)
        sys.mmap(0, PAGE, READ_WRITE, SHARED, fd, 0)
        sys.close(fd)
        sys.unlink(f"/tmp/{number}")

    return step


def _fork(sys: Sys) -> Step:
    """Make a child that stays, and one that ends and is waited for."""

    def step(_: int) -> None:
        sys.fork()
        sys.fork().exit(0)
        sys.wait4(-1, 0)

    return step


def _msync(sys: Sys) -> Step:
    """Map one page of a file, apart from the others, and write one back."""
    fd = sys.open("/tmp/file", CREATE, 0o600)
    sys.ftruncate(fd, PAGE)

    def step(number: int) -> None:
        at = BASE + 2 * PAGE * number
        sys.mmap(at, PAGE, READ_WRITE, SHARED | FIXED, fd, 0)
        sys.msync(at, PAGE, MS_SYNC)

    return step


def _segment(sys: Sys) -> Step:
    return lambda number: sys.shmget(number + 1, PAGE, IPC_CREAT | 0o600)


def _stat_process(sys: Sys) -> Step:
    return lambda _: sys.newfstatat(-100, f"/proc/{sys.fork().pid}", 0)


def _pair(sys: Sys) -> Step:
    return lambda _: sys.socketpair(1, 1)


def _pipe(sys: Sys) -> Step:
    return lambda _: sys.pipe2(0)


def _mount(sys: Sys) -> Step:
    def step(number: int) -> None:
        sys.mkdir(f"/tmp/{number}", 0o700)
        sys.mount("none", f"/tmp/{number}", "tmpfs", 0, "")

    return step


def _lock(sys: Sys) -> Step:
    def step(number: int) -> None:
        fd = sys.open(f"/tmp/{number}", CREATE, 0o600)
        sys.flock(fd, 2)

    return step


def _sleep(sys: Sys) -> Step:
    """Ask for a timer that is far away."""
    return lambda _: sys.timerfd_create(1, 0)


def _signal(sys: Sys) -> Step:
    """Make a process that a signal waits for, and look at one's own state in /proc."""
    status = sys.open("/proc/self/status", 0)

    def step(_: int) -> None:
        child = sys.fork()
        child.rt_sigprocmask(0, 1 << (USR1 - 1))
        sys.kill(child.pid, USR1)
        sys.pread64(status, PAGE, 0)

    return step


TABLES: dict[str, Callable[[Sys], Step]] = {
    "open, among descriptors": _open,
    "creation of a file, among files": _create,
    "unlink of a mapped file, among such": _map_file,
    "fork, exit and wait, among children": _fork,
    "msync of a page, among VMAs": _msync,
    "shmget, among segments": _segment,
    "stat of a process in /proc, among processes": _stat_process,
    "socketpair, among sockets": _pair,
    "pipe, among pipes": _pipe,
    "mount, among mounts": _mount,
    "flock, among locks": _lock,
    "timerfd_create, among timers": _sleep,
    "kill and /proc/PID/status, among signals": _signal,
}


def filled(name: str, count: int) -> tuple[Kernel, Step, int]:
    """Return a machine whose table holds count entries, the step that makes one more, and count."""
    kernel = Kernel(ram=RAM, sysctl={"kernel.pid_max": 1 << 20, "vm.max_map_count": 1 << 20})
    sys = Sys(kernel.spawn(uid=0, gid=0))
    sys.setrlimit(7, (1 << 19, 1 << 19))
    step = TABLES[name](sys)
    for number in range(count):
        step(number)
    return kernel, step, count


def cost(name: str, count: int) -> float:
    """Return the nanoseconds of one more entry among count: the quickest of some."""
    kernel, step, first = filled(name, count)
    gc.collect()
    gc.disable()
    best = float("inf")
    try:
        for number in range(first, first + REPEATS):
            start = perf_counter_ns()
            step(number)
            best = min(best, perf_counter_ns() - start)
    finally:
        gc.enable()
        kernel.close()
    return best
