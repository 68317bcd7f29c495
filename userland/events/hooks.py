"""`pkern run --hook FILE.py`: functions of the user's, called while a program in machine code runs.

    def on_fault(task, addr, access): ...     before a page fault is served; addr: of the page
    def on_syscall(task, name, args): ...     before a call is made; args: six registers
    def on_return(task, name, result): ...    when it has returned; result: below 0 is -errno
    @at("symbol")
    def any_name(task): ...                   before the instruction at a symbol of an ELF file

A function gets the task as a Hooked: registers, memory, names, stack, to be looked at. The program
cannot see it: nothing is written into its memory, a stop is in the middle of its turn, and blocks
of code are counted once, so that a run with hooks is the same as one without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pkern.kernel.cpu.scheduler import Scheduler
from pkern.kernel.cpu.stops import DEBUG, Kind, Spot, Stops, Why
from pkern.kernel.errors import SyscallError
from pkern.kernel.wait import RegistersSet, WouldBlock
from pkern.syscalls.numbers import NAMES
from pkern.userland.given import HookFailed
from pkern.userland.symbols import Frame, Place, Symbols

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

Hook = Callable[..., object]
Raw = Callable[..., int]
# What each function of a file's is called with.
ARGUMENTS = {
    "on_fault": ("task", "addr", "access"),
    "on_syscall": ("task", "name", "args"),
    "on_return": ("task", "name", "result"),
}
AT = ("task",)
ACCESSES = {0: "read", 2: "write", 16: "exec"}
MOST_TEXT = 4096
SIGN, WORD_BITS = 63, 64
# Calls behind which a symbol may be somewhere else: mmap, clone, fork, vfork, execve, execveat,
# clone3, mprotect.
MOVING = frozenset((9, 10, 56, 57, 58, 59, 322, 435))


class BadHook(ValueError):
    """A file that holds no hooks, or what is none."""


class Hooked:
    """A task as a hook sees it: to look at, not to change."""

    def __init__(self, task: Task, symbols: Symbols) -> None:
        self._task = task
        self._symbols = symbols

    @property
    def pid(self) -> int:
        """The thread's number."""
        return self._task.pid

    @property
    def name(self) -> str:
        """The task's name, as in /proc/PID/comm."""
        return self._task.name

    @property
    def time_ns(self) -> int:
        """Virtual nanoseconds since boot, without the blocks of the turn that is not over."""
        return self._task.kernel.clock.now_ns

    @property
    def regs(self) -> dict[str, int]:
        """The registers by name: rax to r15, rip, eflags, fs_base, gs_base."""
        return self._task.cpu.registers()

    def read(self, addr: int, nbytes: int) -> bytes:
        """Return what the task would read, up to what is not mapped or in swap.

        Nothing is brought in.
        """
        return self._symbols.read(self._task, addr, nbytes)

    def text(self, addr: int) -> str:
        """Return the string at addr, up to its NUL."""
        return self.read(addr, MOST_TEXT).split(b"\0")[0].decode("utf-8", "surrogateescape")

    def symbol(self, addr: int) -> Place | None:
        """Return what an address belongs to; None: to no ELF file."""
        return self._symbols.place(self._task, addr)

    def address(self, symbol: str) -> int | None:
        """Return where a symbol lies; None: in no file that the task maps."""
        return self._symbols.address(self._task, symbol)

    def stack(self) -> list[Frame]:
        """Return the functions that have not returned, the innermost first."""
        return self._symbols.stack(self._task)

    def __repr__(self) -> str:
        return f"<task {self.pid} '{self.name}'>"


class Hooks:
    """The hooks of one file."""

    def __init__(self) -> None:
        self.on_fault: Hook | None = None
        self.on_syscall: Hook | None = None
        self.on_return: Hook | None = None
        self.places: dict[str, list[Hook]] = {}

    def at(self, symbol: str) -> Callable[[Hook], Hook]:
        """Return a decorator: call the function where a symbol is."""
        if not isinstance(symbol, str) or not symbol:
            raise BadHook(f"at() takes the name of a symbol, not {symbol!r}")

        def keep(hook: Hook) -> Hook:
            _need_arguments(f"at({symbol!r})", hook, AT)
            self.places.setdefault(symbol, []).append(hook)
            return hook

        return keep


def _need_arguments(what: str, hook: Hook, arguments: Sequence[str]) -> None:
    """Refuse what cannot be called so. Errors: BadHook."""
    from inspect import signature

    try:
        signature(hook).bind(*arguments)
    except (TypeError, ValueError) as error:
        told = ", ".join(arguments)
        raise BadHook(f"{what} is for a function that is called as f({told})") from error


def load(path: Path) -> Hooks:
    """Return the hooks of a file, in which `at` is there.

    Errors: BadHook; for what the file itself raises the text is its traceback.
    """
    from pkern.userland.foreign import run_file

    hooks = Hooks()
    try:
        module = run_file(path, f"hooks_{path.stem}", at=hooks.at)
    except (BadHook, SystemExit):
        raise
    except Exception as error:
        raise BadHook(f"{path} cannot be loaded:\n{_told(error)}") from error
    for name, arguments in ARGUMENTS.items():
        found = vars(module).get(name)
        if found is None:
            continue
        if not callable(found):
            raise BadHook(f"{path}: {name} is no function")
        _need_arguments(f"{path}: {name}", found, arguments)
        setattr(hooks, name, found)
    if not (hooks.on_fault or hooks.on_syscall or hooks.on_return or hooks.places):
        raise BadHook(f"{path}: there is no on_fault, on_syscall, on_return, nor any @at(symbol)")
    return hooks


def _told(error: Exception) -> str:
    import traceback

    of_file = traceback.extract_tb(error.__traceback__)[2:]
    lines = [*traceback.format_list(of_file), *traceback.format_exception_only(error)]
    return "".join(lines).rstrip()


class _Hooking(Scheduler):
    """A scheduler whose processor stops for hooks."""

    hooking: Hooking

    def _serve_stop(self, task: Task, reason: int) -> None:
        if reason == DEBUG:
            self.hooking.stopped(task, Why(int(self._exit.status)))
        else:
            Scheduler._serve_stop(self, task, reason)


class Hooking:
    """A machine with hooks. The machine has a scheduler. Errors: ENOMEM."""

    def __init__(self, kernel: Kernel, hooks: Hooks) -> None:
        assert kernel.scheduler is not None
        assert kernel.processor is not None
        self._kernel = kernel
        self._hooks = hooks
        self._symbols = Symbols(kernel)
        self._scheduler = kernel.scheduler
        self._processor = kernel.processor
        self._inside: dict[Task, str] = {}  # which call a task is in
        self._where: list[list[Hook]] = []  # of each spot, what is to be called
        self.unseen = set(hooks.places)  # symbols that no program has had
        self._stops = Stops(kernel.processor)
        self._stops.tell_faults(int(hooks.on_fault is not None))
        self._plain_calls = self._scheduler.calls.table
        self._scheduler.calls.use(self._watched_calls())
        self._scheduler.__class__ = _Hooking
        cast(_Hooking, self._scheduler).hooking = self
        self.look_for_symbols()

    def close(self) -> None:
        """Let the machine run without them."""
        self._scheduler.__class__ = Scheduler
        self._scheduler.calls.use(self._plain_calls)
        self._stops.close()

    # ---- places ----

    def look_for_symbols(self) -> None:
        """Stop where the symbols are now, in every address space."""
        spots: dict[tuple[Any, int], list[Hook]] = {}
        for task in self._kernel.tasks.values():
            if not task.alive or task.context is None:
                continue
            for name, hooks in self._hooks.places.items():
                addr = self._symbols.address(task, name)
                if addr is not None:
                    self.unseen.discard(name)
                    spots[task.mm.handle, addr] = hooks
        self._where = list(spots.values())
        self._stops.set_spots([Spot(mm, addr, 1, Kind.BREAK) for mm, addr in spots])

    def stopped(self, task: Task, why: Why) -> None:
        """Call the hooks of a stop."""
        exit_ = self._processor.exit
        addr, access = int(exit_.addr), int(exit_.access)
        if why is Why.FAULT:
            self._tell(self._hooks.on_fault, task, addr, ACCESSES[access])
        elif why is Why.SPOT:
            for hook in self._where[addr]:
                self._tell(hook, task)

    # ---- calls ----

    def _watched_calls(self) -> dict[int, Raw]:
        plain, hooks = self._plain_calls, self._hooks
        every = hooks.on_syscall is not None or hooks.on_return is not None
        moving = MOVING if hooks.places else frozenset()
        return {
            nr: self._watched(nr, call) if every or nr in moving else call
            for nr, call in plain.items()
        }

    def _watched(self, nr: int, call: Raw) -> Raw:
        name = NAMES[nr]

        def watched(task: Task, *registers: int) -> int:
            if task.thread.call is None or task not in self._inside:  # not when it wakes
                self._inside[task] = name
                self._tell(self._hooks.on_syscall, task, name, registers)
            try:
                result = call(task, *registers)
            except WouldBlock:
                raise
            except SyscallError as error:
                self._left(task, nr, -error.number)
                raise
            except RegistersSet:
                rax = task.cpu.registers()["rax"]
                self._left(task, nr, rax - (rax >> SIGN << WORD_BITS))
                raise
            self._left(task, nr, result)
            return result

        return watched

    def _left(self, task: Task, nr: int, result: int) -> None:
        self._inside.pop(task, None)
        if nr in MOVING and self._hooks.places:
            self.look_for_symbols()
        if task.alive:
            self._tell(self._hooks.on_return, task, NAMES[nr], result)

    def _tell(self, hook: Hook | None, task: Task, *about: Any) -> None:
        if hook is None:
            return
        try:
            hook(Hooked(task, self._symbols), *about)
        except Exception as error:
            raise HookFailed(error) from error
