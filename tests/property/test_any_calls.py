"""Every call of the table with any registers, on a machine whose state goes on: nothing may break.

test_bad_input gives each call bad values in a fresh child; here the descriptors, mappings, signals,
timers and structures that earlier calls left are what later ones meet. A result is a value or one
of Linux's errors; at the end the recount holds and nothing has leaked.
"""

from __future__ import annotations

import errno
import random
import struct
from collections.abc import Iterator

import pytest

from pkern import syscalls
from pkern.kernel.errors import KernelPanic, MemoryFault, SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
BASE, NR_PAGES = 0x1000_0000, 72
ALL = (1 << 64) - 1
DESIGNS = ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan", "compare")
ENDS = {15, 60, 231}  # rt_sigreturn and the exits
FORKS = {56, 57, 58, 435}
SIZES = (0, 1, 2, 3, 4, 8, 16, PAGE, 2 * PAGE, 8 * PAGE, 64 * PAGE, 1 << 21)
USUAL = (0x32, 0x22, 0x21, 0x11, 0x12, 0x800001, 0x40032, 0o777, 0o644, 0o100644, 0x42, 0x241)
NAMES = (
    b"/tmp/f", b"/tmp/g", b"/tmp", b"/tmp/d/e", b".", b"", b"/dev/zero", b"/dev/null",
    b"/dev/shm/x", b"/proc/self/maps", b"/proc/self/mem", b"/proc/self/fd/3", b"/proc/1/stat",
    b"/proc/self/pagemap", b"/proc/self/clear_refs", b"/proc/sys/vm/swappiness",
)  # fmt: skip


class Thrower:
    """Chooses calls, registers and what lies in memory; all of it follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.results = [0]  # of late: addresses that calls returned

    def address(self) -> int:
        """Return a place in the memory that the first task has mapped."""
        return (
            BASE + self.random.randrange(NR_PAGES) * PAGE + self.random.choice((0, 0, 0, 8, 64, 1))
        )

    def value(self) -> int:
        """Return what may stand in a register."""
        choose = self.random
        kinds = (
            self.address, self.address, self.address, self.address,
            lambda: choose.randrange(12), lambda: choose.randrange(12),
            lambda: choose.choice(SIZES), lambda: choose.choice(SIZES),
            lambda: choose.choice(self.results),
            lambda: 1 << choose.randrange(32),
            lambda: 1 << choose.randrange(8) | 1 << choose.randrange(24),
            lambda: ALL & -choose.choice((1, 2, 100, PAGE)),
            lambda: choose.getrandbits(choose.choice((5, 8, 16, 32, 48, 64))),
            lambda: choose.choice(USUAL),
        )  # fmt: skip
        return choose.choice(kinds)()

    def memory(self) -> bytes:
        """Return a name, words, halves of words, or an array of iovecs."""
        kind = self.random.randrange(4)
        if kind == 0:
            return self.random.choice(NAMES) + b"\0"
        if kind == 1:
            return struct.pack("<4Q", *(self.value() for _ in range(4)))
        if kind == 2:
            return struct.pack("<8I", *(self.value() & 0xFFFF_FFFF for _ in range(8)))
        return struct.pack("<6Q", *(self.address(), 16) * 3)

    def call(self, sys: Sys) -> None:
        """Make one call and insist on a result that Linux could give."""
        number = self.random.choice([nr for nr in syscalls.TABLE if nr not in ENDS | FORKS])
        registers = tuple(self.value() for _ in range(6))
        result = sys.syscall(number, *registers)
        assert result >= 0 or -result in errno.errorcode or result < -4095, (number, registers)
        if result >= PAGE:
            self.results = [*self.results[-11:], result]

    def step(self, tasks: list[Sys]) -> None:
        """Let one of the tasks fill some memory and make a call, or fork."""
        sys = self.random.choice(tasks)
        try:
            if self.random.random() < 0.5:
                sys.task.mm.write(self.address(), self.memory())
            if self.random.random() < 0.02 and len(tasks) < 6:
                tasks.append(sys.fork())
            else:
                self.call(sys)
        except (MemoryFault, TaskKilled, SyscallError):
            pass
        tasks[:] = [sys for sys in tasks if sys.task.alive]


def _first_task(kernel: Kernel, uid: int) -> Sys:
    """Return a task with private and shared memory, a file, a memfd and a pipe."""
    sys = Sys(kernel.spawn("first", uid=uid, gid=uid))
    sys.mmap(BASE, 64 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED, -1, 0)
    fd = sys.memfd_create("file", 2)
    sys.ftruncate(fd, 8 * PAGE)
    sys.mmap(BASE + 64 * PAGE, 8 * PAGE, 3, sys.MAP_SHARED | sys.MAP_FIXED, fd, 0)
    sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o666)
    sys.pipe2(0)
    return sys


@pytest.fixture(params=range(40))
def machine(request: pytest.FixtureRequest) -> Iterator[tuple[Thrower, Kernel]]:
    thrower = Thrower(request.param)
    choose = thrower.random.choice
    kernel = Kernel(
        ram=choose(("2M", "4M", "16M")),
        swap=choose((0, "1M", "8M")),
        rmap=choose(DESIGNS),
        sysctl={"vm.nonlinear": 1, "vm.overcommit_memory": choose((0, 1, 2))},
    )
    yield thrower, kernel
    kernel.check()
    kernel.close()


def test_any_calls_whatever_came_before(machine: tuple[Thrower, Kernel]) -> None:
    thrower, kernel = machine
    kernel.spawn("parent of orphans", uid=0, gid=0)
    tasks = [_first_task(kernel, thrower.random.choice((0, 1000)))]
    try:
        for _ in range(1000):
            if not tasks:
                break
            thrower.step(tasks)
    except KernelPanic:
        assert kernel.sysctl["vm.panic_on_oom"]
