"""Faults put into system calls, in strace's own words: `mmap:error=ENOMEM:when=3`.

Owns the grammar of strace's `-e inject=` and what such a rule does to a call. Calls are counted for
each task and each call by itself, as strace counts them. While nothing is injected none of this is
called: the table of calls is replaced, and only those that a rule names are wrapped.

    error=E       the call is not made and fails       retval=N      it is not made and returns N
    signal=S      a signal comes at its entry
    delay_enter=, delay_exit=D   microseconds, or with ns, us, ms, s: of virtual time
    poke_enter=, poke_exit=@argN=HEX   bytes that are stored where an argument points
    short=N       no more than N bytes are asked for (this kernel's own)
    full=N        the disk is full once the rule's calls have written N bytes to files (our own)
    limit=NAME=VALUE   its task has this limit from then on (this kernel's own)
    nth=N         that of all tasks' calls which the rule names, and no other (our own)
    when=FIRST[..LAST][+[STEP]]   which of them; all if it is not said
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from pkern.kernel.arguments import did_you_mean
from pkern.kernel.errors import SyscallError
from pkern.kernel.numbers import is_decimal, plain_number
from pkern.kernel.tasks.signal.sending import send
from pkern.kernel.tasks.signal.signals import NSIG, SI_KERNEL, SIGKILL, SigInfo
from pkern.kernel.tasks.signal.signames import Signal
from pkern.kernel.wait import Restart, WouldBlock
from pkern.syscalls.abi import Raw
from pkern.syscalls.numbers import NAMES
from pkern.syscalls.strace.filters import calls_of
from pkern.userland.given import Limit, NotGiven, read_limit, set_limit

if TYPE_CHECKING:
    from pkern.kernel.cpu.observer import Observer
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.tasks.task import Task

ERRORS = {name: number for number, name in errno.errorcode.items()}
MAX_ERRNO = 4095
MOST_WHEN = 65535  # as in strace
UNITS = {"": 1000, "ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000}
DELAY = re.compile(r"(\d+)(ns|us|ms|s|)$")
WHEN = re.compile(r"(?P<first>\d+)(?:\.\.(?P<last>\d+))?(?P<step>\+\d*)?$")
POKE = re.compile(r"@arg([1-6])=((?:[0-9a-fA-F]{2})+)$")
# The argument that says how many bytes, of calls that may do fewer.
TRANSFERS = ("read", "write", "pread64", "pwrite64", "sendto", "recvfrom", "getdents64")
LENGTHS = dict.fromkeys(TRANSFERS, 2) | {
    "copy_file_range": 4,
    "splice": 4,
    "tee": 2,
    "sendfile": 3,
    "getrandom": 1,
}


# What strace says of a call whose result, and whose arguments, are not its own.
MARKS = {
    (False, False): "",
    (True, False): " (INJECTED)",
    (False, True): " (INJECTED: args)",
    (True, True): " (INJECTED: args, retval)",
}


class BadInjection(ValueError):
    """An expression that strace would refuse; the text says what is wrong with it."""


class When(NamedTuple):
    """Which of a task's calls, counted from 1. last None: no end; step 0: the first only."""

    first: int = 1
    last: int | None = None
    step: int = 1

    def holds(self, count: int) -> bool:
        """Tell whether the count-th call is meant."""
        if count < self.first or (self.last is not None and count > self.last):
            return False
        return count == self.first if not self.step else (count - self.first) % self.step == 0


class Poke(NamedTuple):
    """Bytes for where an argument (0 is the first) points."""

    argument: int
    data: bytes


class Rule(NamedTuple):
    """What is done to some calls. outcome: -errno or a value instead of the call; None: make it.

    full: bytes that files take. limit: setrlimit(2)'s name and value. nth: that of all tasks'
    calls, instead of when. delays are virtual nanoseconds.
    """

    calls: frozenset[str]
    when: When = When()
    outcome: int | None = None
    signal: int | None = None
    delay_enter: int = 0
    delay_exit: int = 0
    poke_enter: tuple[Poke, ...] = ()
    poke_exit: tuple[Poke, ...] = ()
    short: int | None = None
    full: int | None = None
    limit: tuple[str, Limit] | None = None
    nth: int | None = None


# ---- the grammar ----


def read_rule(text: str) -> Rule:
    """Return the rule that an expression of strace's asks for. Errors: BadInjection."""
    calls, *parts = text.split(":")
    fields: dict[str, Any] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or name not in READERS:
            known = ", ".join(f"{known}=" for known in READERS)
            hint = did_you_mean(name, READERS, f": choose of {known}")
            raise BadInjection(f"'{part}' in '{text}'{hint}")
        field, read = READERS[name]
        if field in fields:
            raise BadInjection(f"'{text}' says twice what the call does")
        fields[field] = read(value)
    if not fields.keys() - {"when", "nth"}:
        raise BadInjection(f"'{text}' injects nothing: add error=, retval=, signal= or a delay")
    try:
        return Rule(calls_of(calls), **fields)
    except ValueError as error:
        raise BadInjection(str(error)) from error


def read_expression(text: str) -> Rule:
    """Return the rule of inject=CALLS:... or fault=CALLS..., which fails. Errors: BadInjection."""
    kind, _, rule = text.partition("=")
    if kind == "fault" and ":error=" not in rule:
        rule = f"{rule}:error=ENOSYS"
    return read_rule(rule)


def _error(text: str) -> int:
    number = ERRORS.get(text.upper())
    if is_decimal(text):
        number = int(text)
    if not isinstance(number, int) or not 1 <= number <= MAX_ERRNO:
        hint = did_you_mean(text.upper(), ERRORS, f": a name, as ENOMEM, or 1 to {MAX_ERRNO}")
        raise BadInjection(f"'{text}' is no error{hint}")
    return -number


def _value(text: str) -> int:
    number = plain_number(text)
    if number is None or number >= 1 << 63:
        raise BadInjection(f"retval= takes a number from 0, not '{text}'")
    return number


def _signal(text: str) -> int:
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    number = int(text) if is_decimal(text) else Signal.__members__.get(name, 0)
    if not 1 <= number <= NSIG:
        raise BadInjection(f"'{text}' is no signal{did_you_mean(name, Signal.__members__)}")
    return int(number)


def _delay(text: str) -> int:
    found = DELAY.match(text)
    if not found:
        raise BadInjection(f"'{text}' is no delay: microseconds, or a number with ns, us, ms or s")
    return int(found[1]) * UNITS[found[2]]


def _pokes(text: str) -> tuple[Poke, ...]:
    found = [POKE.match(part) for part in text.split(",")]
    if not all(found):
        raise BadInjection(f"'{text}' is not @argN=HEX, with whole bytes")
    return tuple(Poke(int(one[1]) - 1, bytes.fromhex(one[2])) for one in found if one)


def _length(text: str) -> int:
    if not is_decimal(text):
        raise BadInjection(f"short= and full= take a number of bytes, not '{text}'")
    return int(text)


def _limit(text: str) -> tuple[str, Limit]:
    try:
        return read_limit(text)
    except NotGiven as error:
        raise BadInjection(f"limit=: {error}") from error


def _nth(text: str) -> int:
    if not is_decimal(text) or not int(text):
        raise BadInjection(f"nth= takes a number from 1, not '{text}'")
    return int(text)


def _when(text: str) -> When:
    found = WHEN.match(text)
    if not found:
        raise BadInjection(f"'{text}' is not FIRST[..LAST][+[STEP]]")
    first, last = int(found["first"]), int(found["last"] or 0)
    step = int((found["step"] or "+")[1:] or 1) if found["step"] or last else 0
    wrong = not 1 <= first <= MOST_WHEN or (last and not first <= last <= MOST_WHEN)
    if wrong or (found["step"] and not 1 <= step <= MOST_WHEN):
        raise BadInjection(f"'{text}': numbers go from 1 to {MOST_WHEN}, and not backwards")
    return When(first, last or None, step)


# What stands before = -> the field of Rule, and how its text is read.
READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "error": ("outcome", _error),
    "retval": ("outcome", _value),
    "signal": ("signal", _signal),
    "delay_enter": ("delay_enter", _delay),
    "delay_exit": ("delay_exit", _delay),
    "poke_enter": ("poke_enter", _pokes),
    "poke_exit": ("poke_exit", _pokes),
    "short": ("short", _length),
    "full": ("full", _length),
    "limit": ("limit", _limit),
    "nth": ("nth", _nth),
    "when": ("when", _when),
}


# ---- at work ----


class Stage(Enum):
    """What a call that sleeps has behind it, until it is made again."""

    PLAIN = "nothing is injected"
    ENTERED = "all that comes before the call"


class _Done(NamedTuple):
    """A call that has been made and waits for its delay to end."""

    result: int | SyscallError


class Injector:
    """Does what rules say to all tasks' calls; to a call that several name, what the last says."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = {name: rule for rule in rules for name in sorted(rule.calls)}
        self._counts: dict[object, int] = {}  # by task and call, or by rule
        self._written: dict[Rule, int] = {}  # bytes, to files, of rules with full=
        self._asleep: dict[Task, Stage | _Done] = {}
        self._before: Observer | None = None
        self._marks: dict[Task, str] = {}

    def attach(self, scheduler: Scheduler) -> None:
        """Change from now on what the scheduler's tasks do."""
        table = {
            nr: self._raw(NAMES[nr], call) if NAMES[nr] in self._rules else call
            for nr, call in scheduler.calls.table.items()
        }
        scheduler.calls.use(table)
        self._before, scheduler.observer = scheduler.observer, self

    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return a Python program's handler, changed where a rule names it."""
        rule = self._rules.get(name)
        if rule is None:
            return handler

        def wrapper(task: Task, *args: Any, **named: Any) -> Any:
            if not self.is_meant(rule, task, name):
                return handler(task, *args, **named)
            _begin(rule, task)
            task.kernel.clock.advance(rule.delay_enter)
            self._mark(task, rule)
            if rule.outcome is not None and rule.outcome < 0:
                raise SyscallError(-rule.outcome)
            result = handler(task, *args, **named) if rule.outcome is None else rule.outcome
            task.kernel.clock.advance(rule.delay_exit)
            return result

        return wrapper

    # ---- for who prints calls ----

    def mark(self, task: Task) -> str:
        """Return what stands behind the result of a task's last call, and forget it."""
        return self._marks.pop(task, "")

    def _mark(self, task: Task, rule: Rule) -> None:
        result = rule.outcome is not None
        arguments = rule.poke_enter or rule.poke_exit or rule.short is not None
        delayed = " (DELAYED)" if rule.delay_enter or rule.delay_exit else ""
        self._marks[task] = MARKS[result, bool(arguments)] + delayed

    # ---- as the scheduler's observer ----

    def signal(self, task: Task, info: SigInfo) -> None:
        """Pass it on."""
        if self._before is not None:
            self._before.signal(task, info)

    def interrupted(self, task: Task, wait: WouldBlock) -> None:
        """Forget a call that a signal has ended."""
        self._asleep.pop(task, None)
        if self._before is not None:
            self._before.interrupted(task, wait)

    def ended(self, task: Task) -> None:
        """Forget a task."""
        self._asleep.pop(task, None)
        self._marks.pop(task, None)
        if self._before is not None:
            self._before.ended(task)

    # ---- calls in machine code ----

    def _raw(self, name: str, made: Raw) -> Raw:
        rule = self._rules[name]

        def call(task: Task, *registers: int) -> int:
            stage = self._asleep.pop(task, None)
            if stage is None and not self.is_meant(rule, task, name):
                stage = Stage.PLAIN
            if stage is Stage.PLAIN:
                return self._make(Stage.PLAIN, task, made, registers)
            return self._change(rule, stage, task, name, made, registers)

        return call

    def is_meant(self, rule: Rule, task: Task, name: str) -> bool:
        """Count a call that is made for the first time; tell whether the rule means it."""
        key: object = (task, name) if rule.nth is None else rule
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return rule.when.holds(count) if rule.nth is None else count == rule.nth

    def _make(self, stage: Stage, task: Task, made: Raw, registers: tuple[int, ...]) -> int:
        try:
            return made(task, *registers)
        except WouldBlock:
            self._asleep[task] = stage
            raise

    def _change(
        self,
        rule: Rule,
        stage: Stage | _Done | None,
        task: Task,
        name: str,
        made: Raw,
        registers: tuple[int, ...],
    ) -> int:
        if isinstance(stage, _Done):
            return _end(stage.result)
        if stage is None:
            self._enter(rule, task, registers)
        if rule.signal == SIGKILL:  # a call is not begun with that pending
            raise SyscallError(errno.EINTR)
        result = self._result(rule, task, name, made, registers)
        self._mark(task, rule)
        _store(rule.poke_exit, task, registers)
        if rule.delay_exit:
            self._asleep[task] = _Done(result)
            raise _pause(task, rule.delay_exit)
        return _end(result)

    def _enter(self, rule: Rule, task: Task, registers: tuple[int, ...]) -> None:
        _begin(rule, task)
        _store(rule.poke_enter, task, registers)
        if rule.delay_enter:
            self._asleep[task] = Stage.ENTERED
            raise _pause(task, rule.delay_enter)

    def _result(
        self, rule: Rule, task: Task, name: str, made: Raw, registers: tuple[int, ...]
    ) -> int | SyscallError:
        if rule.outcome is not None:
            return rule.outcome if rule.outcome >= 0 else SyscallError(-rule.outcome)
        try:
            registers = _shortened(rule, name, registers)
            if rule.full is not None and _is_file(task, registers[0]):
                return self._fill(rule, task, name, made, registers)
            return self._make(Stage.ENTERED, task, made, registers)
        except WouldBlock:
            raise
        except SyscallError as error:
            return error

    def _fill(
        self, rule: Rule, task: Task, name: str, made: Raw, registers: tuple[int, ...]
    ) -> int:
        """Write what there is room for. Errors: ENOSPC, and the call's own."""
        written = self._written.get(rule, 0)
        left = (rule.full or 0) - written
        if name not in LENGTHS or left <= 0:
            raise SyscallError(errno.ENOSPC)
        result = self._make(Stage.ENTERED, task, made, _at_most(left, name, registers))
        self._written[rule] = written + result
        return result


# ---- calls in Python ----


def for_python(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Return rules that can be done to calls with values. Errors: BadInjection."""
    rules = tuple(rules)
    for rule in rules:
        if rule.poke_enter or rule.poke_exit or rule.short is not None or rule.full is not None:
            raise BadInjection("poke_enter=, poke_exit=, short= and full= are for machine code")
    return rules


def _is_file(task: Task, fd: int) -> bool:
    """Tell whether a descriptor is a regular file's."""
    file = task.fds.files.get(fd)
    return file is not None and file.inode.kind == "file"


def _begin(rule: Rule, task: Task) -> None:
    """Do to a task what comes before its call."""
    if rule.limit is not None:
        set_limit(task, *rule.limit)
    if rule.signal is not None:
        send(task, SigInfo(rule.signal, SI_KERNEL))


def _shortened(rule: Rule, name: str, registers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the registers of a call that asks for fewer bytes."""
    if rule.short is None or name not in LENGTHS:
        return registers
    return _at_most(rule.short, name, registers)


def _at_most(nbytes: int, name: str, registers: tuple[int, ...]) -> tuple[int, ...]:
    place = LENGTHS[name]
    return (*registers[:place], min(registers[place], nbytes), *registers[place + 1 :])


def _end(result: int | SyscallError) -> int:
    if isinstance(result, SyscallError):
        raise result
    return result


def _pause(task: Task, nanoseconds: int) -> WouldBlock:
    """Return a wait that time alone ends."""
    until = task.kernel.clock.now_ns + nanoseconds
    return WouldBlock(deadline=until, progress=task.thread.progress, restart=Restart.NEVER)


def _store(pokes: tuple[Poke, ...], task: Task, registers: tuple[int, ...]) -> None:
    """Store bytes where arguments point; where nothing is, nothing is stored, as in strace."""
    for poke in pokes:
        try:
            task.mm.copy_out(registers[poke.argument], poke.data)
        except SyscallError:
            continue
