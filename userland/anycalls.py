"""Any calls, with any arguments, on a machine whose state goes on: nothing may break.

Owns the choice of machines, calls, arguments and sysctls; all of it follows from a seed. What
earlier calls left (descriptors, mappings, signals, timers, structures) is what later ones meet. A
result is a value or one of Linux's errors; every few steps everything is recounted, and at the end
nothing has leaked. Called by tests/property and by `pkern conform --random-calls`.
"""

from __future__ import annotations

import errno
import random
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, TypeVar

from pkern import syscalls
from pkern.kernel.errors import KernelPanic, MemoryFault, SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.kernel.sysctl_entry import Entry
from pkern.userland.binding import Parameter, Sort, handlers, parameters
from pkern.userland.program import Sys

PAGE = 4096
BASE, NR_PAGES = 0x1000_0000, 72
ALL = (1 << 64) - 1
DESIGNS = ("objrmap_tree", "objrmap", "pte_chain", "virtual_scan", "compare")
ENDS = {15, 60, 231, 335}  # rt_sigreturn, the exits and uretprobe
FORKS = {56, 57, 58, 435}
NO_METHODS = {"rt_sigreturn", "exit", "exit_group", "clone", "fork", "vfork", "clone3", "uretprobe"}
SIZES = (0, 1, 2, 3, 4, 8, 16, PAGE, 2 * PAGE, 8 * PAGE, 64 * PAGE, 1 << 21)
USUAL = (0x32, 0x22, 0x21, 0x11, 0x12, 0x800001, 0x40032, 0o777, 0o644, 0o100644, 0x42, 0x241)
NAMES = (
    b"/tmp/f", b"/tmp/g", b"/tmp", b"/tmp/d/e", b".", b"", b"/dev/zero", b"/dev/null",
    b"/dev/shm/x", b"/proc/self/maps", b"/proc/self/mem", b"/proc/self/fd/3", b"/proc/1/stat",
    b"/proc/self/pagemap", b"/proc/self/clear_refs", b"/proc/sys/vm/swappiness",
    b"/proc/self/smaps", b"/proc/self/numa_maps", b"/proc/meminfo", b"/dev/swap0",
)  # fmt: skip
MOST_TASKS = 6
STEPS = 1000  # of a machine
RECOUNTED = 25  # steps between two recounts
T = TypeVar("T")


@cache
def _methods() -> dict[str, list[Parameter]]:
    """Return the calls that a program in Python makes, and what each is given."""
    return {
        name: parameters(name, handler)
        for name, handler in sorted(handlers().items())
        if name not in NO_METHODS
    }


class Stopped(NamedTuple):
    """How a run ended: its seed and its steps; fewer than asked for where all tasks had ended, or
    where the machine panicked as it was told to, or for want of anyone to kill.
    """

    seed: int
    steps: int
    ended: bool = False
    panic: str = ""


class AnyCalls:
    """One machine and what is thrown at it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = random.Random(seed)
        self._results = [0]  # of late: addresses that calls returned
        choose = self._choose
        self.kernel = Kernel(
            ram=choose(("2M", "4M", "8M", "16M")),
            swap=choose((0, "1M", "8M")),
            rmap=DESIGNS[seed % len(DESIGNS)],
            sysctl={"vm.nonlinear": 1, "vm.overcommit_memory": choose((0, 1, 2))},
        )
        self._entries = [entry for entry in self.kernel.sysctl.entries() if not entry.read_only]
        self._numbers = [nr for nr in syscalls.TABLE if nr not in ENDS | FORKS]
        self._methods = _methods()
        self._names = list(self._methods)
        self._steps: tuple[Callable[[Sys], None], ...] = (
            *(self._raw_call,) * 9, *(self._method,) * 8, self._access, self._access,
            self._set_sysctl,
        )  # fmt: skip

    def run(self, steps: int) -> Stopped:
        """Take so many steps, recount now and then, close the machine.

        Errors: KernelBug, and whatever else of ours breaks, with a note that tells the seed.
        """
        try:
            return self._run(steps)
        except Exception as error:
            error.add_note(f"any calls, seed {self.seed}")
            raise

    def _run(self, steps: int) -> Stopped:
        kernel, done = self.kernel, 0
        try:
            kernel.spawn("parent of orphans", uid=0, gid=0)
            tasks = [self._first_task(self._choose((0, 1000)))]
            for done in range(1, steps + 1):
                self._step(tasks)
                if done % RECOUNTED == 0:
                    kernel.check()
                if not tasks:
                    break
        except KernelPanic as panic:
            assert self._may_panic(), f"a panic: {panic}"
            return Stopped(self.seed, done, panic=str(panic))
        kernel.check()
        kernel.close()
        return Stopped(self.seed, done, ended=not tasks)

    def _may_panic(self) -> bool:
        """Whether it was told to, or memory is short and there is nobody whom it could kill."""
        told = bool(self.kernel.sysctl["vm.panic_on_oom"])
        return told or self.kernel.memory.oom.choose(None) is None

    # ---- steps ----

    def _step(self, tasks: list[Sys]) -> None:
        """Let one of the tasks fill some memory and do something, or fork."""
        sys = self._choose(tasks)
        try:
            if self._random.random() < 0.5:
                sys.task.mm.write(self._address(), self._memory())
            if self._random.random() < 0.02 and len(tasks) < MOST_TASKS:
                tasks.append(sys.fork())
            else:
                self._choose(self._steps)(sys)
        except (MemoryFault, TaskKilled, SyscallError):
            pass
        tasks[:] = [sys for sys in tasks if sys.task.alive]

    def _raw_call(self, sys: Sys) -> None:
        """Make a call in registers and insist on a result that Linux could give."""
        number = self._choose(self._numbers)
        registers = tuple(self._value() for _ in range(6))
        result = sys.syscall(number, *registers)
        assert result >= 0 or -result in errno.errorcode or result < -4095, (number, registers)
        self._remember(result)

    def _method(self, sys: Sys) -> None:
        """Make a call as a program in Python does."""
        name = self._choose(self._names)
        takes = self._methods[name]
        left_out = self._below(3) == 0
        arguments = [self._argument(p) for p in takes if not (left_out and p.default)]
        self._remember(getattr(sys, name)(*arguments))

    def _access(self, sys: Sys) -> None:
        """Load, store or touch."""
        where, nbytes = self._address(), self._choose((1, 8, PAGE, 3 * PAGE))
        kind = self._below(3)
        if kind == 0:
            sys.load(where, nbytes)
        elif kind == 1:
            sys.store(where, self._random.randbytes(8))
        else:
            sys.touch(where, nbytes)

    def _set_sysctl(self, sys: Sys) -> None:
        entry = self._choose(self._entries)
        self.kernel.sysctl[entry.name] = self._setting(entry)

    def _remember(self, result: object) -> None:
        if isinstance(result, int) and result >= PAGE:
            self._results = [*self._results[-11:], result]

    # ---- what is chosen ----

    def _below(self, limit: int) -> int:
        """Return what random.Random.randrange(limit) would, at a quarter of its cost."""
        bits = limit.bit_length()
        drawn = self._random.getrandbits(bits)
        while drawn >= limit:
            drawn = self._random.getrandbits(bits)
        return drawn

    def _choose(self, values: Any) -> Any:
        return values[self._below(len(values))]

    def _setting(self, entry: Entry) -> int | str:
        if entry.choices:
            return str(self._choose(entry.choices))
        if entry.kind == "str" or entry.columns > 1:
            return str(self.kernel.sysctl[entry.name])
        now = int(self.kernel.sysctl[entry.name])
        usual = [value for value in (2, 3, 10, 50, 100, 1000) if entry.low <= value <= entry.high]
        return int(self._choose((entry.low, entry.low + 1, now, entry.high, *usual)))

    def _address(self) -> int:
        """Return a place in the memory that the first task has mapped."""
        offset: int = self._choose((0, 0, 0, 8, 64, 1))
        return BASE + self._below(NR_PAGES) * PAGE + offset

    def _value(self) -> int:
        """Return what may stand in a register."""
        return int(self._choose(_VALUES)(self))

    def _memory(self) -> bytes:
        """Return a name, words, halves of words, or an array of iovecs."""
        kind = self._below(4)
        if kind == 0:
            return bytes(self._choose(NAMES)) + b"\0"
        if kind == 1:
            return struct.pack("<4Q", *(self._value() for _ in range(4)))
        if kind == 2:
            return struct.pack("<8I", *(self._value() & 0xFFFF_FFFF for _ in range(8)))
        return struct.pack("<6Q", *(self._address(), 16) * 3)

    def _argument(self, parameter: Parameter) -> Any:
        """Return what a parameter of a method may be given."""
        return _ARGUMENTS[parameter.sort](self)

    def _cint(self) -> int:
        return (self._value() + (1 << 31)) % (1 << 32) - (1 << 31)

    def _few(self, one: Callable[[], T]) -> list[T]:
        return [one() for _ in range(self._below(4))]

    def _pair(self) -> tuple[int, int]:
        return self._value(), self._value()

    # ---- the machine ----

    def _first_task(self, uid: int) -> Sys:
        """Return a task with private and shared memory, a file, a memfd and a pipe."""
        sys = Sys(self.kernel.spawn("first", uid=uid, gid=uid))
        sys.mmap(BASE, 64 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_FIXED, -1, 0)
        fd = sys.memfd_create("file", 2)
        sys.ftruncate(fd, 8 * PAGE)
        sys.mmap(BASE + 64 * PAGE, 8 * PAGE, 3, sys.MAP_SHARED | sys.MAP_FIXED, fd, 0)
        sys.open("/tmp/f", sys.O_RDWR | sys.O_CREAT, 0o666)
        sys.pipe2(0)
        return sys


_VALUES: tuple[Callable[[AnyCalls], int], ...] = (
    *(AnyCalls._address,) * 4,
    *(lambda any_: any_._below(12),) * 2,
    *(lambda any_: any_._choose(SIZES),) * 2,
    lambda any_: any_._choose(any_._results),
    lambda any_: 1 << any_._below(32),
    lambda any_: 1 << any_._below(8) | 1 << any_._below(24),
    lambda any_: ALL & -any_._choose((1, 2, 100, PAGE)),
    lambda any_: any_._random.getrandbits(any_._choose((5, 8, 16, 32, 48, 64))),
    lambda any_: any_._choose(USUAL),
)

_ARGUMENTS: dict[Sort, Callable[[AnyCalls], Any]] = {
    Sort.WORD: lambda any_: any_._value(),
    Sort.CINT: lambda any_: any_._cint(),
    Sort.LONG: lambda any_: any_._value() >> 1,
    Sort.TEXT: lambda any_: any_._choose(NAMES),
    Sort.TEXT_OR_NONE: lambda any_: any_._choose((None, *NAMES)),
    Sort.DATA: lambda any_: any_._memory(),
    Sort.WORDS: lambda any_: any_._few(any_._value),
    Sort.TEXTS: lambda any_: any_._few(lambda: any_._choose(NAMES)),
    Sort.PAIR: lambda any_: any_._pair(),
    Sort.PAIR_OR_NONE: lambda any_: any_._choose((None, any_._pair())),
    Sort.PAIRS: lambda any_: any_._few(lambda: (any_._cint(), any_._cint())),
    Sort.TIMES: lambda any_: ((any_._value() >> 1, 5), (any_._value() >> 1, 5)),
    Sort.ACTION: lambda any_: any_._choose((None, 0, 1)),
    Sort.ANY: lambda any_: any_._choose((any_._value(), any_._memory())),
}


def run_for(seconds: float, seed: int, clock: Callable[[], float]) -> list[Stopped]:
    """Throw calls at one machine after the other, from seed on, until the clock has gone so far.

    clock: seconds; it decides how many machines there are, and nothing else. Errors: as run.
    """
    end = clock() + seconds
    stopped: list[Stopped] = []
    while clock() < end:
        stopped.append(AnyCalls(seed + len(stopped)).run(STEPS))
    return stopped
