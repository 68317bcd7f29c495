"""From a handler of the table to a method of Sys: one function a call, with the call's own words.

Owns what a Python program may hand to a call. Integers are registers: a negative one is its 64 or
32 bits, one that no register holds is refused; a path is str, bytes or os.PathLike; data is any
buffer. What cannot be an argument is a TypeError that names the argument, before the kernel sees
it. An error of a call that takes paths gets them as filename and filename2.

Each function is compiled from its handler's parameters at its first use, so that a call costs one
look at its integers and nothing else, and what is called in loops a glance; signature and docstring
are the handler's, without the task.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache, cached_property, update_wrapper
from types import MethodType
from typing import Any

from pkern import syscalls
from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.signals import SIG_DFL, SIG_IGN, Sigaction
from pkern.kernel.tasks.signal.signames import Signal
from pkern.kernel.values import NamedTuple
from pkern.syscalls import constants, entropy, info
from pkern.syscalls.abi import MASK, signed32
from pkern.syscalls.files import (
    fscontext,
    links,
    mount_tree,
    mounts,
    paths,
    pipes,
    poll,
    read_write,
    stat,
    xattr,
)
from pkern.syscalls.memory import mman, process_vm, shm
from pkern.syscalls.net import messages, sockets
from pkern.syscalls.table import Kind
from pkern.syscalls.tasks import execve, ids, limits, ptrace, sched, signals, time, timers, waiting

Handler = Callable[..., Any]

ENAMETOOLONG = 36
PATH_MAX = 4096  # bytes, with the NUL
WORD_BITS = 64
SMALL = (1 << 30) - 1  # what Python keeps in one digit

# Calls whose Python form takes and returns Python values instead of addresses.
FORMS: dict[str, Handler] = {
    "mincore": mman.mincore,
    "process_vm_readv": process_vm.process_vm_readv,
    "process_vm_writev": process_vm.process_vm_writev,
    "execve": execve.execve,
    "execveat": execve.execveat,
    "wait4": waiting.wait4,
    "ptrace": ptrace.ptrace,
    "getrlimit": limits.getrlimit,
    "setrlimit": limits.setrlimit,
    "prlimit64": limits.prlimit64,
    "rt_sigaction": signals.rt_sigaction,
    "rt_sigprocmask": signals.rt_sigprocmask,
    "clock_gettime": time.clock_gettime,
    "clock_getres": time.clock_getres,
    "gettimeofday": time.gettimeofday,
    "getrusage": timers.getrusage,
    "nanosleep": timers.nanosleep,
    "shmctl": shm.shmctl,
}
_WITH_FORMS = (
    read_write,
    paths,
    links,
    stat,
    pipes,
    xattr,
    mounts,
    fscontext,
    mount_tree,
    ids,
    info,
    entropy,
    sched,
    poll,
    sockets,
    messages,
)

CONSTANTS: dict[str, int] = {
    name: int(getattr(lib, name))
    for name in dir(lib)
    if name.startswith(("PROT_", "MAP_", "MREMAP_", "MADV_", "MCL_", "MLOCK_"))
    and isinstance(getattr(lib, name), int)
}
CONSTANTS |= {signal.name: int(signal) for signal in Signal}
CONSTANTS |= constants.CONSTANTS


def handlers() -> dict[str, Handler]:
    """Return every call by name, in its Python form."""
    table = {call.name: call.handler for call in syscalls.TABLE.values()}
    for module in _WITH_FORMS:
        table |= module.PYTHON_FORMS
    return table | FORMS


# ---- what an argument may be ----


class Sort(Enum):
    """What a parameter takes."""

    WORD = "an unsigned register of 64 bits"
    CINT = "a signed register of 32 bits"
    LONG = "a signed number of 64 bits"
    TEXT = "a path or a name"
    TEXT_OR_NONE = "a path or a name, or None"
    DATA = "bytes"
    WORDS = "a sequence of integers"
    TEXTS = "a sequence of str or bytes"
    PAIR = "two integers"
    PAIR_OR_NONE = "two integers, or None"
    PAIRS = "a sequence of pairs of integers"
    TIMES = "two pairs of integers"
    ACTION = "SIG_DFL, SIG_IGN or a function of two arguments, or None"
    ANY = "an integer or bytes"


INTEGERS = {Sort.WORD, Sort.CINT, Sort.LONG}
NAMED = {Sort.TEXT, Sort.TEXT_OR_NONE}
BY_KIND = {Kind.INT: Sort.WORD, Kind.OUT: Sort.WORD, Kind.SINT: Sort.CINT}
BY_ANNOTATION = {
    "str": Sort.TEXT,
    "str | None": Sort.TEXT_OR_NONE,
    "bytes": Sort.DATA,
    "list[int]": Sort.WORDS,
    "list[str]": Sort.TEXTS,
    "tuple[int, int]": Sort.PAIR,
    "tuple[int, int] | None": Sort.PAIR_OR_NONE,
    "list[tuple[int, int]]": Sort.PAIRS,
    "tuple[Time, Time]": Sort.TIMES,
    "Action | None": Sort.ACTION,
    "Any": Sort.ANY,
}
# What is called in loops: integers that it hands to the core, whatever the others say. The core's
# binding refuses what no register holds, so only their type is looked at first. Python enters a
# function with *extra slowly, so these have room for one argument too many; of two, Python tells.
TO_CORE = {
    "mmap": frozenset({"addr", "length", "prot", "flags"}),
    "munmap": frozenset({"addr", "length"}),
    "remap_file_pages": frozenset({"addr", "size", "prot", "pgoff", "flags"}),
}
# Integers by name, where the call in registers has no such argument, or one that it narrows itself.
BY_NAME = {"fd": Sort.CINT, "nanoseconds": Sort.LONG}


def _refuse(where: str, needed: str, value: object) -> TypeError:
    return TypeError(f"{where} must be {needed}, not {type(value).__name__}")


def _integer(where: str, value: Any) -> int:
    """Return an int that fits a register of 64 bits, signed or not. Errors: TypeError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise _refuse(where, "an int", value) from None
    if not -(1 << WORD_BITS - 1) <= number <= MASK:
        raise TypeError(f"{where} does not fit a register of {WORD_BITS} bits")
    return number


def _word(where: str, value: Any) -> int:
    return _integer(where, value) & MASK


def _cint(where: str, value: Any) -> int:
    return signed32(_integer(where, value))


def _text(where: str, value: Any) -> str:
    """Return a path as the kernel keeps it. Errors: TypeError, ENAMETOOLONG."""
    try:
        path = os.fspath(value)
    except TypeError:
        raise _refuse(where, "str, bytes or os.PathLike", value) from None
    text = _string(where, path)
    if len(text.encode("utf-8", "surrogateescape")) >= PATH_MAX:
        raise SyscallError(ENAMETOOLONG, text)
    return text


def _string(where: str, value: Any) -> str:
    """Return what C keeps as bytes up to a NUL. Errors: TypeError."""
    if not isinstance(value, str | bytes):
        raise _refuse(where, "str or bytes", value)
    text = value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise TypeError(f"{where} holds what UTF-8 cannot hold") from None
    if b"\0" in raw:
        raise TypeError(f"{where} holds a NUL byte")
    return text


def _data(where: str, value: Any) -> bytes:
    try:
        return memoryview(value).tobytes()
    except TypeError:
        raise _refuse(where, "a bytes-like object", value) from None


def _sequence(where: str, value: Any) -> Sequence[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise _refuse(where, "a list or a tuple", value)
    return value


def _pair(where: str, value: Any, one: Callable[[str, Any], int] = _word) -> tuple[int, int]:
    first_and_second = _sequence(where, value)
    if len(first_and_second) != 2:
        raise TypeError(f"{where} must be two integers, not {len(first_and_second)}")
    first, second = first_and_second
    return one(where, first), one(where, second)


def _times(where: str, value: Any) -> tuple[tuple[int, int], ...]:
    both = _sequence(where, value)
    if len(both) != 2:
        raise TypeError(f"{where} must be two times, not {len(both)}")
    return tuple(_pair(where, time, _integer) for time in both)


def _action(where: str, value: Any) -> Any:
    if value is None or callable(value) or isinstance(value, Sigaction):
        return value
    if isinstance(value, int) and value in (SIG_DFL, SIG_IGN):
        return int(value)
    kinds = "SIG_DFL, SIG_IGN or a function of two arguments"
    raise TypeError(f"{where} must be {kinds}, not {value!r:.40}")


CONVERTERS: dict[Sort, Callable[[str, Any], Any]] = {
    Sort.WORD: _word,
    Sort.CINT: _cint,
    Sort.LONG: _integer,
    Sort.TEXT: _text,
    Sort.TEXT_OR_NONE: lambda where, value: None if value is None else _text(where, value),
    Sort.DATA: _data,
    Sort.WORDS: lambda where, value: [_word(where, one) for one in _sequence(where, value)],
    Sort.TEXTS: lambda where, value: [_string(where, one) for one in _sequence(where, value)],
    Sort.PAIR: _pair,
    Sort.PAIR_OR_NONE: lambda where, value: None if value is None else _pair(where, value),
    Sort.PAIRS: lambda where, value: [_pair(where, p, _cint) for p in _sequence(where, value)],
    Sort.TIMES: _times,
    Sort.ACTION: _action,
    Sort.ANY: lambda where, value: _word(where, value) if hasattr(value, "__index__") else value,
}


# ---- a call's parameters ----


class Parameter(NamedTuple):
    """One argument of a call as a program gives it."""

    name: str
    sort: Sort
    annotation: str
    default: tuple[object, ...] = ()  # empty: there is none


def parameters(name: str, handler: Handler) -> list[Parameter]:
    """Return what a call takes, without the task."""
    code, annotations = handler.__code__, handler.__annotations__
    names = code.co_varnames[1 : code.co_argcount]
    defaults = handler.__defaults__ or ()
    given: list[tuple[object, ...]] = [(value,) for value in defaults]
    padded = [()] * (len(names) - len(given)) + given
    sorts = _register_sorts(name)
    return [
        Parameter(one, _sort(one, annotations[one], sorts), annotations[one], default)
        for one, default in zip(names, padded, strict=True)
    ]


_BY_CALL = {call.name: call for call in syscalls.TABLE.values()}


def _register_sorts(name: str) -> dict[str, Sort]:
    """Return how a call's integers travel in registers, by the name of the argument."""
    call = _BY_CALL.get(name)
    if call is None:
        return {}
    code = call.handler.__code__
    kinds = [kind for kind in call.kinds if kind is not Kind.STRUCT]
    names = code.co_varnames[1 : code.co_argcount]
    return {one: BY_KIND[kind] for one, kind in zip(names, kinds, strict=True) if kind in BY_KIND}


def _sort(name: str, annotation: str, registers: dict[str, Sort]) -> Sort:
    if annotation != "int":
        return BY_ANNOTATION[annotation]
    return BY_NAME.get(name) or registers.get(name, Sort.WORD)


# ---- the function ----


def convert(call: str, given: dict[str, tuple[Sort, Any]]) -> list[Any]:
    """Return arguments as the handler takes them. Errors: TypeError that names one."""
    return [
        CONVERTERS[sort](f"{call}() argument '{name}'", value)
        for name, (sort, value) in given.items()
    ]


def surplus(call: str, last: str, extra: tuple[object, ...]) -> TypeError:
    """Return what is said of arguments that a call does not take."""
    return TypeError(f"{call}() takes no argument {last}".rstrip() + f": {len(extra)} too many")


def told(error: SyscallError, *names: str | None) -> SyscallError:
    """Return a call's error with the paths that it was about."""
    if error.filename is None and names:
        error.filename = names[0]
        if len(names) > 1:
            error.filename2 = names[1]
    return error


def _look(integers: list[Parameter]) -> str:
    """Return an expression that is true where an integer is not what the handler takes.

    Addresses come last: or-ing small numbers first makes no large ones on the way.
    """
    words = sorted((p.name for p in integers if p.sort is not Sort.CINT), key=_is_address)
    looks = [f"({' | '.join(words)}) >> 64"] if words else []
    looks += [f"{p.name} >> 31 not in (0, -1)" for p in integers if p.sort is Sort.CINT]
    return " or ".join(looks)


def _glance(integers: list[Parameter], to_core: frozenset[str]) -> str:
    """Return an expression that is false where all is well, but true for large numbers too.

    Python is quick where one number is compared with a small one and a jump follows.
    """
    looks = [f"type({p.name}) is not int" for p in integers]
    for p in integers:
        if p.name not in to_core:
            least = -1 if p.sort is Sort.CINT else 0
            looks += [f"{p.name} < {least}", f"{p.name} > {SMALL}"]
    return " or ".join(looks)


def _is_address(name: str) -> bool:
    return "addr" in name


# A parameter for arguments too many, an expression that tells whether there are any, and they.
ONE_EXTRA = ("extra=...", "extra is not ...", "(extra,)")
ANY_EXTRA = ("*extra", "extra", "extra")


def source(name: str, takes: list[Parameter], to_core: frozenset[str] = frozenset()) -> str:
    """Return the text of the function that makes a call's method from its handler.

    to_core: see TO_CORE. `form` has the method's signature, for inspect and help: the method itself
    takes more, so that one argument too many is told in the program's words.
    """
    defaulted = [f"{p.name}=defaults[{i}]" if p.default else p.name for i, p in enumerate(takes)]
    shown, taken = (", ".join([first, *defaulted]) for first in ("self", "task"))
    lines = [f"def make(handler, defaults, int=int):\n def form({shown}): pass"]
    extra, is_given, all_extra = ONE_EXTRA if to_core else ANY_EXTRA
    lines.append(f" def {name}({taken}, {extra}):")
    last = f"after '{takes[-1].name}'" if takes else ""
    lines.append(f"  if {is_given}: raise surplus('{name}', \"{last}\", {all_extra})")
    lines += _of_loops(name, takes, to_core) if to_core else _checked(name, takes)
    lines.append(f" return {name}, form")
    return "\n".join(lines)


def _checked(name: str, takes: list[Parameter]) -> list[str]:
    """Return a function's lines: a look at the arguments, the call."""
    lines = []
    integers = [p for p in takes if p.sort in INTEGERS]
    if integers:
        lines += [
            f"  try: odd = {_look(integers)}",
            "  except TypeError: odd = True",
            f"  if odd: {_converted(name, integers)}",
        ]
    others = [p for p in takes if p.sort not in INTEGERS]
    if others:
        lines.append(f"  {_converted(name, others)}")
    named = "".join(f", {p.name}" for p in takes if p.sort in NAMED)
    lines.append(f"  try: return {_call(takes)}")
    lines.append(f"  except SyscallError as error: raise told(error{named}) from None")
    return lines


def _of_loops(name: str, takes: list[Parameter], to_core: frozenset[str]) -> list[str]:
    """Return a function's lines: a glance at integers, the call, and a look if that fails."""
    return [
        f"  if {_glance(takes, to_core)}: {_converted(name, takes)}",
        f"  try: return {_call(takes)}",
        "  except (OverflowError, SyscallError):",
        f"   if not ({_look(takes)}): raise",
        f"  {_converted(name, takes)}",
        f"  return {_call(takes)}",
    ]


def _call(takes: list[Parameter]) -> str:
    return f"handler({', '.join(['task', *(p.name for p in takes)])})"


def _converted(name: str, some: list[Parameter]) -> str:
    given = ", ".join(f"'{p.name}': (Sort.{p.sort.name}, {p.name})" for p in some)
    return f"{', '.join(p.name for p in some)}, = convert('{name}', {{{given}}})"


_NAMESPACE = {
    "convert": convert,
    "told": told,
    "surplus": surplus,
    "Sort": Sort,
    "SyscallError": SyscallError,
}
SHOWN_TYPES = {"str": "StrPath", "str | None": "StrPath | None", "bytes": "Data"}


@cache
def _maker(name: str, text: str) -> Callable[..., Any]:
    namespace: dict[str, Any] = dict(_NAMESPACE)
    exec(compile(text, f"<pkern sys.{name}>", "exec"), namespace)
    maker: Callable[..., Any] = namespace["make"]
    return maker


def method(name: str, handler: Handler, form: Handler | None = None) -> Handler:
    """Return the function that makes a call, whose first argument is the task: see bound.

    form: whose parameters and docstring it has, where the handler wraps another.
    """
    form = form or handler
    takes = parameters(name, form)
    defaults = [p.default[0] if p.default else None for p in takes]
    to_core = TO_CORE.get(name, frozenset()) if form is handler else frozenset()
    made, shown = _maker(name, source(name, takes, to_core))(handler, defaults)
    annotations = {p.name: SHOWN_TYPES.get(p.annotation, p.annotation) for p in takes}
    annotations["return"] = form.__annotations__["return"]
    for function in (made, shown):
        function.__name__, function.__qualname__ = name, f"Sys.{name}"
        function.__module__, function.__doc__ = "pkern", form.__doc__
        function.__annotations__ = annotations
    made.__wrapped__ = shown
    result: Handler = made
    return result


class Call:
    """A call of a class of systems: its function is made at the first use, and bound to the task.

    To the task, not to the system, which is looked at in a slow way, as it has a __getattr__. An
    instance keeps its calls, as it is found at once there.
    """

    def __init__(self, name: str, handler: Handler) -> None:
        self.name = name
        self.handler = handler

    @cached_property
    def made(self) -> Handler:
        """The function."""
        return method(self.name, self.handler)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self._unbound
        bound = vars(instance)[self.name] = MethodType(self.made, instance.task)
        return bound

    @cached_property
    def _unbound(self) -> Handler:
        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            return made(self.task, *arguments, **named)

        made = self.made
        return update_wrapper(call, made)


def install(owner: type, own: frozenset[str]) -> None:
    """Give a class every constant, and every call but those that it has in a form of its own."""
    for name, value in CONSTANTS.items():
        setattr(owner, name, value)
    for name, handler in handlers().items():
        if name not in own:
            setattr(owner, name, Call(name, handler))
