"""How a Python program runs on the kernel: the `sys` that its main gets.

A program is a file with `def main(sys)`. Every system call is an attribute of sys, bound to the
task; loads and stores go through the page tables, with signal handlers where the program set them.
"""

from __future__ import annotations

import errno
import inspect
import sys as host
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any, Protocol, cast
from weakref import ref

from pkern.kernel.arguments import did_you_mean, of_type, to_call
from pkern.kernel.clock import TimeIsUp
from pkern.kernel.core import lib
from pkern.kernel.errors import (
    KernelBug,
    KernelPanic,
    MachineClosed,
    MemoryFault,
    SyscallError,
    TaskKilled,
)
from pkern.kernel.tasks.clone import fork
from pkern.kernel.tasks.signal.signals import SIGINT, SIGKILL, SigInfo
from pkern.kernel.tasks.task import Task
from pkern.kernel.wait import Replaced, outside
from pkern.syscalls import abi
from pkern.syscalls.abi import MASK
from pkern.syscalls.memory import protection
from pkern.syscalls.memory.userfaultfd import set_monitor
from pkern.syscalls.numbers import NUMBERS
from pkern.userland.binding import CONSTANTS as CONSTANTS
from pkern.userland.binding import Sort, convert, handlers, method
from pkern.userland.calls import OWN_FORMS, Calls
from pkern.userland.given import DEFAULT_ENV, Given, give

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.machine import Watcher
    from pkern.kernel.vfs.inode import Inode
    from pkern.kernel.visits import Visits
    from pkern.syscalls.strace.tracer import Tracer
    from pkern.userland.watched import WatchedCalls

MAX_FRUITLESS = 1000
PKEY_RIGHTS = protection.PKEY_DISABLE_ACCESS | protection.PKEY_DISABLE_WRITE
NR_PKEYS = 16
PAGE_SIZE = 4096
LOAD_BYTES = 1 << 20  # what load asks for at once
MAX_REGISTERS = 6
ACCESSES = ("load", "store", "touch")


def check_pkey(pkey: int) -> int:
    """Return a protection key's number. Errors: EINVAL."""
    if not 0 <= pkey < NR_PKEYS:
        raise SyscallError(errno.EINVAL)
    return pkey


class Changer(Protocol):
    """Who changes what calls do: injection.py, a sweep."""

    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]: ...


class Sys(Calls):
    """The system-call interface of one task.

    Attributes: one for each call (`sys.mmap`, `sys.open`, ...) and each constant
    (`sys.PROT_READ`, ...). Errors are SyscallError, an OSError with Linux's errno; docs/python.md
    is the reference.
    """

    def __init__(self, task: Task) -> None:
        self.task: Task = of_type("Sys() argument 'task'", task, Task)
        self.kernel = cast("Kernel", task.kernel)  # the only Machine there is
        self.environ: dict[str, str] = dict(DEFAULT_ENV)
        self._tracer: Tracer | None = None
        self._dispatch: Callable[..., int] = abi.dispatch
        self._fork: Callable[[Task], Task] = fork
        self._injector: Changer | None = None
        self._watched: WatchedCalls | None = None
        self._after_exec: Callable[[], None] = _stay
        self.kernel.scheduler_of = _boot_scheduler
        face = _Face(self)
        task.faces.append(face)
        self.kernel.watch.joined(face)
        if self.kernel.visits is not None:
            _mix(self, _Visited)
        if self.kernel.memory.is_counted(task):
            _mix(self, _Counted)

    def __repr__(self) -> str:
        return f"<Sys of {self.task!r}>"

    if not TYPE_CHECKING:  # a checker is to refuse what is not in calls.pyi

        def __getattr__(self, name: str) -> Any:
            """Return one of Linux's calls that this kernel lacks: ENOSYS, noted once in the log."""
            if name in NUMBERS:
                return partial(self._missing, NUMBERS[name])
            hint = did_you_mean(name, [one for one in (*dir(self), *NUMBERS) if one[0] != "_"])
            # The object is not named, or Python would guess once more.
            raise AttributeError(f"Linux has no call or constant '{name}'{hint}", name=name)

    def _missing(self, nr: int, *_: object) -> None:
        raise SyscallError(-self.syscall(nr))

    def strace(self, emit: Callable[[str], None]) -> None:
        """Print every call from now on, one line each, in strace's format."""
        from pkern.syscalls.strace.tracer import Tracer  # its tables are for those who ask

        self.follow(Tracer(to_call("strace() argument 'emit'", emit)))

    def follow(self, tracer: Tracer) -> None:
        """Let a tracer see every call from now on, and those of the children to come."""
        self._tracer = tracer
        self._rebind()

    def inject(self, injector: Changer) -> None:
        """Let another change the calls from now on, and those of the children to come."""
        self._injector = injector
        self._rebind()

    def watch(self, watcher: Watcher | None) -> None:
        """Let a watcher (None: nobody) see from now on who calls, loads and stores."""
        if watcher is None and self._watched is None:
            return
        from pkern.userland.watched import WatchedCalls  # for those who look

        self._watched = WatchedCalls(watcher) if watcher is not None else None
        self._rebind()

    def _rebind(self) -> None:
        """Let the calls be what those make of them who change, watch and show them, in this order.

        A call that nobody touches is the class's again.
        """
        changers = [c for c in (self._injector, self._watched, self._tracer) if c is not None]
        self._fork, self._dispatch = fork, abi.dispatch
        for changer in changers:
            self._fork = changer.python_call("fork", self._fork)
        for shower in (self._watched, self._tracer):
            if shower is not None:
                self._dispatch = shower.raw_call(self._dispatch)
        for name, handler in handlers().items():
            if name not in OWN_FORMS:
                self._bind(name, handler, changers)
        for name in ACCESSES:
            vars(self).pop(name, None)
            if self._watched is not None:
                vars(self)[name] = self._watched.access(self.task, getattr(self, name))

    def _bind(self, name: str, plain: Callable[..., Any], changers: list[Changer]) -> None:
        handler = plain
        for changer in changers:
            handler = changer.python_call(name, handler)
        vars(self).pop(name, None)
        if handler is not plain:
            made: Any = method(name, handler, plain)
            vars(self)[name] = MethodType(made, self.task)

    # ---- memory ----

    def load(self, addr: int, nbytes: int) -> bytes:
        """Load nbytes at addr. Errors: SegmentationFault, BusError where no handler mends it."""
        addr, nbytes = _range("load", addr, "nbytes", nbytes)
        data = bytearray()
        while len(data) < nbytes:  # by parts: a wild length meets its fault before all is allocated
            part = min(nbytes - len(data), LOAD_BYTES)
            data += self._with_signals(self.task.mm.read, addr + len(data) & MASK, part)
        return bytes(data)

    def store(self, addr: int, data: bytes | bytearray | memoryview) -> None:
        """Store data (any buffer) at addr. Errors: as load."""
        where, raw = convert("store", {"addr": (Sort.WORD, addr), "data": (Sort.DATA, data)})
        self._with_signals(self.task.mm.write, where, raw)

    def touch(self, addr: int, nbytes: int) -> None:
        """Write to each page of [addr, addr+nbytes) without changing it. Errors: as load."""
        addr, nbytes = _range("touch", addr, "nbytes", nbytes)
        self._with_signals(self.task.mm.touch, addr, nbytes, lib.ACCESS_WRITE)

    def pkey_get(self, pkey: int) -> int:
        """Return what PKRU denies a protection key: PKEY_DISABLE_*. Source: pkey_get(3)."""
        (pkey,) = convert("pkey_get", {"pkey": (Sort.CINT, pkey)})
        return self.task.mm.pkru >> 2 * check_pkey(pkey) & PKEY_RIGHTS

    def on_userfault(self, fd: int, monitor: Callable[[bytes], object] | None) -> None:
        """Have a function called with each message of a userfaultfd (struct uffd_msg); None: none.

        It is called before the access is tried again, as a program cannot sleep; what it has not
        dealt with is left to be read, and the access is refused (BlockingIOError). Errors: EBADF,
        EINVAL. Source: userfaultfd(2); the monitor that other programs have in another thread.
        """
        if monitor is not None:
            to_call("on_userfault() argument 'monitor'", monitor)
        set_monitor(self.task, fd, monitor)

    def pkey_set(self, pkey: int, rights: int) -> None:
        """Let PKRU deny a protection key rights, PKEY_DISABLE_*. Errors: EINVAL.

        Source: pkey_set(3); in machine code the instruction WRPKRU.
        """
        given = {"pkey": (Sort.CINT, pkey), "rights": (Sort.WORD, rights)}
        pkey, rights = convert("pkey_set", given)
        if rights & ~PKEY_RIGHTS:
            raise SyscallError(errno.EINVAL)
        others = self.task.mm.pkru & ~(PKEY_RIGHTS << 2 * check_pkey(pkey))
        self.task.mm.pkru = others | rights << 2 * pkey

    def _with_signals(self, access: Callable[..., Any], *args: Any) -> Any:
        for _ in range(MAX_FRUITLESS):
            try:
                return access(*args)
            except MemoryFault as fault:
                if self._tracer is not None:
                    self._tracer.signal(self.task, SigInfo(fault.signo, fault.code, fault.addr))
                action = self.task.signals.action(fault.signo)
                if not callable(action) or self.task.signals.is_blocked(fault.signo):
                    raise
                info = SigInfo(fault.signo, fault.code, fault.addr)
                from pkern.kernel.tasks.signal import sending  # for those who handle one

                sending.handle(self.task, action, info)
                sending.deliver(self.task)
        raise RuntimeError(
            f"the signal handler returned {MAX_FRUITLESS} times without making {args} possible"
        )

    # ---- processes ----

    @property
    def pid(self) -> int:
        """The task's pid."""
        return self.task.pid

    def fork(self) -> Sys:
        """Fork and return the child's Sys, for the test to drive. Errors: ENOMEM."""
        child = Sys(self._fork(self.task))
        if self._injector is not None:
            child.inject(self._injector)
        if self._tracer is not None:
            child.follow(self._tracer)
        return child

    def exit(self, status: int = 0) -> None:
        """End the task with the low 8 bits of status."""
        (status,) = convert("exit", {"status": (Sort.CINT, status)})
        if not self.task.alive:
            return
        if self._watched is not None:
            self._watched.leaves(self.task, status & 0xFF)
        if self._tracer is not None:
            self._tracer.leaves(self.task, status & 0xFF)
        self.task.exit(status)
        self.ended()

    def ended(self) -> None:
        """Let the tracer tell how the task ended."""
        if self._tracer is not None:
            self._tracer.ended(self.task)

    # ---- raw ----

    def syscall(self, nr: int, *registers: int) -> int:
        """Make a raw call and return rax as a signed number: a value, or -errno."""
        if len(registers) > MAX_REGISTERS:
            raise TypeError(f"syscall() takes up to six registers, not {len(registers)}")
        for place, value in enumerate((nr, *registers)):
            if not hasattr(value, "__index__"):
                name = f"register {place}" if place else "nr"
                raise TypeError(f"syscall() argument '{name}' must be an int, not {value!r:.40}")
        return self._dispatch(self.task, nr, registers)


def _range(call: str, addr: int, name: str, nbytes: int) -> tuple[int, int]:
    """Return an address as a register holds it, and a length. Errors: TypeError."""
    where, length = convert(call, {"addr": (Sort.WORD, addr), name: (Sort.LONG, nbytes)})
    if length < 0:
        raise TypeError(f"{call}() argument '{name}' must be a length, not {length}")
    return where, length


class _Counted:
    """Of a Sys whose task has an allocation that is to fail: whatever it is asked to do counts."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        return _counted(self, value) if callable(value) and name[0] != "_" else value  # type: ignore[arg-type]


class _Visited:
    """Of a Sys whose machine others look into: whatever it is asked to do, it does alone."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name[0] == "_" or not callable(value):
            return value
        visits = super().__getattribute__("kernel").visits
        return value if visits is None else _alone(visits, value)


def _alone(visits: Visits, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with visits.shut():
            return function(*args, **kwargs)

    return call


class _Gone:
    """Of a Sys whose task runs machine code: the program that it was for has ended."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name[0] == "_" or not callable(value):
            return value
        task = super().__getattribute__("task")
        raise RuntimeError(f"pid {task.pid} runs {task.program} now: its Python program has ended")


# What asks no task for anything; to end once more is to have ended.
_NO_CALLS = frozenset({"ended", "exit", "follow", "inject", "strace", "watch"})


class _Ended:
    """Of a Sys whose task has ended: it makes no calls; what looks at it may still do so."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name[0] == "_" or not callable(value) or name in _NO_CALLS:
            return value
        super().__getattribute__("ended")()
        task = super().__getattribute__("task")
        raise TaskKilled(task.pid, task.exit_status & 0x7F)


class _Closed:
    """Of a Sys whose machine has been closed."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name[0] == "_" or not callable(value):
            return value
        raise MachineClosed


class _Face:
    """A Sys as its task knows it."""

    def __init__(self, sys: Sys) -> None:
        self._sys = ref(sys)

    def count_allocations(self) -> None:
        """Let what its calls allocate count for the task, while an allocation is to fail."""
        if (sys := self._sys()) is not None:
            _mix(sys, _Counted)

    def task_ended(self) -> None:
        """Refuse all calls: there is no task any more."""
        if (sys := self._sys()) is not None and not isinstance(sys, _Closed):
            _mix(sys, _Ended)

    def closed(self) -> None:
        """Refuse whatever it is asked: there is no machine any more."""
        if (sys := self._sys()) is not None:
            _mix(sys, _Closed)

    def watch(self, watcher: Watcher | None) -> None:
        """Let a watcher see its calls, loads and stores; None: nobody."""
        if (sys := self._sys()) is not None:
            sys.watch(watcher)

    def replaced(self) -> None:
        """Let machine code have the task. Errors: Replaced, which ends the task's own program."""
        sys = self._sys()
        if sys is None:
            return
        from pkern.userland.machine_code import open_missing  # for those who ask

        host.stdout.flush()  # what comes next goes to the descriptor
        open_missing(sys.kernel, sys.task)
        if sys._tracer is not None:
            sys._tracer.attach(sys.kernel.need_scheduler())
        _mix(sys, _Gone)
        sys._after_exec()


def _stay() -> None:
    """What execve does to who drives a task that is not his own."""


def _leave() -> None:
    raise Replaced


def _mix(sys: Sys, *mixins: type) -> None:
    """Let a Sys be what its class is, and these."""
    plain: Any = next(c for c in type(sys).__mro__ if not issubclass(c, (_Counted, _Gone, _Ended)))
    sys.__class__ = _mixed(plain, mixins) if mixins else plain


@cache
def _mixed(plain: type, mixins: tuple[type, ...]) -> type:
    return type(plain.__name__, (*mixins, plain), {})


def _counted(sys: Sys, function: Callable[..., Any]) -> Callable[..., Any]:
    failures = sys.kernel.memory.failures

    def call(*args: Any, **kwargs: Any) -> Any:
        before = failures.count_for(sys.task)
        try:
            return function(*args, **kwargs)
        finally:
            failures.count_for(before)
            if sys.task not in failures and isinstance(sys, _Counted):
                _mix(sys)

    return call


def _boot_scheduler(kernel: Kernel) -> Scheduler:
    from pkern.userland.machine_code import boot_scheduler  # for those who ask

    return boot_scheduler(kernel)


class NoMain(AttributeError):
    """A file that is no program: it lacks a main(sys) whose result is a status."""


def load_program(path: str | Path) -> Callable[..., Any]:
    """Return main of a Python program. Errors: OSError of the host, NoMain, and the program's.

    As under Python itself, it may import what lies in its folder, and its classes can be pickled.
    """
    path = Path(path)
    if path.suffix != ".py":
        raise NoMain(f"{path} is no program in Python: its name ends in .py")
    from pkern.userland.foreign import run_file

    if str(path.parent) not in host.path:
        host.path.append(str(path.parent))
    module = run_file(path, f"program_{path.stem}")
    if not hasattr(module, "main"):
        raise NoMain(f"{path} has no main: write `def main(sys): ...`")
    main: Callable[..., Any] = module.main
    if not callable(main) or not (_takes(main, 1) or _takes(main, 2)):
        raise NoMain(
            f"main of {path} takes neither (sys) nor (sys, argv): write `def main(sys): ...`"
        )
    return main


def _takes(main: Callable[..., Any], nr_arguments: int) -> bool:
    """Tell whether main can be called with that many arguments."""
    try:
        inspect.signature(main).bind(*range(nr_arguments))
    except TypeError:
        return False
    return True


def call_main(main: Callable[..., Any], sys: Sys, argv: list[str]) -> Any:
    """Call a program's main with as many arguments as it takes, and return its result."""
    return main(sys, argv) if _takes(main, 2) else main(sys)


def new_task(kernel: Kernel, given: Given, stdin: Inode | None = None) -> Task:
    """Return the task of a program in Python. stdin: what descriptor 0 names; None: nothing.

    Errors: NotGiven.
    """
    name = Path(given.argv[0]).name if given.argv else "program"
    argv = list(given.argv)
    task = kernel.spawn(name, uid=given.uid, gid=given.uid, caps=given.caps, argv=argv)
    give(kernel, task, given)
    if stdin is not None:
        task.fds.install(kernel.vfs.open_inode(task, stdin, f"pipe:[{stdin.ino}]", 0))
    return task


def run_program(
    kernel: Kernel,
    main: Callable[..., Any],
    argv: list[str],
    *,
    tracer: Tracer | None = None,
    on_fault: Callable[[MemoryFault], object] | None = None,
    **given: Any,
) -> int:
    """Run main in a new task. given: the fields of Given but argv. The rest: as run_main."""
    asked = Given(tuple(argv), **given)
    return run_main(new_task(kernel, asked), main, asked, tracer=tracer, on_fault=on_fault)


def _status(result: object) -> int:
    """Return the exit status that main's result is. Errors: NoMain."""
    if result is None:
        return 0
    if isinstance(result, int):
        return result & 0xFF
    if isinstance(result, Coroutine):
        result.close()
        raise NoMain("main is a coroutine: write `def main(sys)`, without async")
    raise NoMain(f"main returned a {type(result).__name__}; its result is the status, an int")


def run_main(
    task: Task,
    main: Callable[..., Any],
    given: Given,
    *,
    tracer: Tracer | None = None,
    injector: Changer | None = None,
    on_fault: Callable[[MemoryFault], object] | None = None,
) -> int:
    """Run main as a task and return its exit status, 128+n where signal n ended it.

    main is called as main(sys) or main(sys, argv). An int it returns is the status, None is 0.
    tracer: sees its calls. injector: changes some. on_fault: gets the access that ended the task,
    with its traceback.
    Errors: TimeIsUp, the task having been killed; NoMain for another result; what main raises.
    """
    sys = Sys(task)
    kernel = sys.kernel
    sys.environ = dict(given.environment)
    if injector is not None:
        sys.inject(injector)
    sys._after_exec = _leave
    if tracer is not None:
        sys.follow(tracer)
    with _bounded(kernel, given):
        try:
            with outside(kernel.visits):
                result = call_main(main, sys, list(given.argv))
        except Replaced:
            return _run_replaced(kernel, task, given)
        except (MemoryFault, TaskKilled) as killed:
            return _killed(sys, killed, on_fault)
        except BaseException as error:
            _end_after(sys, error)
            raise
    _ = kernel.core  # a program that has closed its machine: MachineClosed
    sys.exit(_status(result))
    return _shell_status(task)


@contextmanager
def _bounded(kernel: Kernel, given: Given) -> Iterator[None]:
    """Let a program run no longer than it was given, and fail where it is to."""
    if given.timeout_ns is not None:
        kernel.clock.end_at(kernel.clock.now_ns + given.timeout_ns)
    for failing in given.failing:
        failing.arm(kernel)
    try:
        yield
    finally:
        kernel.clock.end_at(None)
        for failing in given.failing:
            failing.disarm(kernel)


def _killed(
    sys: Sys, end: MemoryFault | TaskKilled, on_fault: Callable[[MemoryFault], object] | None
) -> int:
    """End a program that a wrong access or a signal has ended; return its exit status."""
    task = sys.task
    if isinstance(end, TaskKilled):
        sys.ended()
        return 128 + end.signo
    task.die_of(end.signo)
    sys.ended()
    task.kernel.log.write(6, f"{task.name}[{task.pid}]: {end}")
    if on_fault is not None:
        on_fault(end)
    return 128 + end.signo


# What ends a program from outside, as which signal: the host's Ctrl-C is the program's.
ENDED_AS = {TimeIsUp: SIGKILL, KeyboardInterrupt: SIGINT}


def _end_after(sys: Sys, error: BaseException) -> None:
    """End a program that an exception leaves; after the machine's own nothing can be ended."""
    if isinstance(error, (KernelBug, KernelPanic)) or sys.kernel.memory.closed:
        return
    signo = next((signo for kind, signo in ENDED_AS.items() if isinstance(error, kind)), 0)
    if signo:
        sys.task.die_of(signo)
        sys.ended()
    else:  # the program's own: on a live machine nothing else ends it
        sys.exit(1)


def _shell_status(task: Task) -> int:
    status = task.exit_status or 0
    return status >> 8 if not status & 0x7F else 128 + (status & 0x7F)


def _run_replaced(kernel: Kernel, task: Task, given: Given) -> int:
    """Run what a program has become to its end. Errors: TimeIsUp, Deadlock."""
    from pkern.userland.machine_code import run_in_time

    if not run_in_time(kernel.need_scheduler(), task, given.timeout_ns):
        raise TimeIsUp
    return _shell_status(task)
