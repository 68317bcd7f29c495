"""Registers to arguments, results and errors to rax.

Raw calls come from machine code and from `sys.syscall(nr, ...)`: six 64-bit registers, pointers
into user memory; the result is a signed 64-bit value, -errno for an error.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import partial
from pkern.kernel.log import KERN_WARNING
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterator
from pkern.kernel.vfs.walk import Unread
from pkern.syscalls.numbers import NAMES
from pkern.syscalls.table import INT, PATH, SINT, TABLE, Kind, Syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

MASK = (1 << 64) - 1
NUMBER_MASK = (1 << 32) - 1  # of a call's number the kernel looks at eax
MAX_COUNT = 0x7FFF_F000  # Linux's MAX_RW_COUNT


INT_BITS, INT_SIGN = 0xFFFF_FFFF, 0x8000_0000


def signed32(value: int) -> int:
    """Return the low 32 bits of a register as a C int."""
    return (value & INT_BITS ^ INT_SIGN) - INT_SIGN


def _next_int(task: Task, registers: Iterator[int]) -> int:
    return next(registers)


def _next_signed(task: Task, registers: Iterator[int]) -> int:
    return signed32(next(registers))


def path_in(task: Task, addr: int) -> str:
    """Return the string at an address; one that cannot be read is refused where it is used."""
    try:
        return task.mm.string_in(addr)
    except SyscallError as error:
        return Unread.of(error)


def _next_path(task: Task, registers: Iterator[int]) -> str:
    return path_in(task, next(registers))


def _next_in(task: Task, registers: Iterator[int]) -> bytes:
    addr, count = next(registers), next(registers)
    return task.mm.copy_in(addr, min(count, MAX_COUNT, task.kernel.ram))


def _next_out(task: Task, registers: Iterator[int]) -> int:
    next(registers)  # a wrong address shows when the result is stored
    return min(next(registers), MAX_COUNT)


DECODERS: dict[Kind, Callable[[Task, Iterator[int]], Any]] = {
    Kind.INT: _next_int,
    Kind.SINT: _next_signed,
    Kind.PATH: _next_path,
    Kind.IN: _next_in,
    Kind.OUT: _next_out,
}


def _decode(task: Task, call: Syscall, registers: tuple[int, ...]) -> tuple[list[Any], int]:
    """Return the handler's arguments and the address its bytes result goes to (0: none)."""
    left = iter(registers)
    arguments: list[Any] = []
    out = 0
    for position, kind in enumerate(call.kinds):
        if kind in (Kind.OUT, Kind.STRUCT):
            out = registers[position]
        if kind is Kind.STRUCT:
            next(left)
        else:
            arguments.append(DECODERS[kind](task, left))
    return arguments, out


def _finish(task: Task, call: Syscall, result: Any, out: int) -> int:
    if not isinstance(result, bytes):
        return int(result or 0)
    if out or result:
        task.mm.copy_out(out, result)
    return 0 if Kind.STRUCT in call.kinds else len(result)


def dispatch(task: Task, nr: int, registers: tuple[int, ...]) -> int:
    """Run a raw system call and return rax: a value, or -errno.

    registers: up to six integers, taken modulo 2**64; missing ones are 0.
    """
    try:
        call = TABLE[nr & NUMBER_MASK]
    except KeyError:
        _log_missing(task, nr)
        return -errno.ENOSYS
    padded = tuple(value & MASK for value in (*registers, 0, 0, 0, 0, 0, 0)[:6])
    try:
        arguments, out = _decode(task, call, padded)
        return _finish(task, call, call.handler(task, *arguments), out)
    except SyscallError as error:
        return -int(error.errno or errno.EINVAL)


# ---- machine code: one function a call, made once ----

Raw = Callable[..., int]
PLAIN = frozenset({Kind.INT, Kind.SINT})
ONE_EACH = PLAIN | {Kind.PATH}


def _no_arguments(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task)


def _one(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, a)


def _two(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, a, b)


def _three(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, a, b, c)


def _four(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, a, b, c, d)


def _five(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, a, b, c, d, e)


# As signed32(), which would be one more function in each of the calls that are made most.


def _signed_one(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, (a & INT_BITS ^ INT_SIGN) - INT_SIGN)


def _signed_two(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, (a & INT_BITS ^ INT_SIGN) - INT_SIGN, b)


def _signed_three(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, (a & INT_BITS ^ INT_SIGN) - INT_SIGN, b, c)


def _signed_four(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(
        task, (a & INT_BITS ^ INT_SIGN) - INT_SIGN, b, c, d
    )


# A path alone, before one integer or two, or between a descriptor and integers.


def _path(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, path_in(task, a))


def _path_one(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, path_in(task, a), b)


def _path_two(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(task, path_in(task, a), b, c)


def _signed_path_two(handler: Callable[..., Any]) -> Raw:
    return lambda task, a, b, c, d, e, f: handler(
        task, (a & INT_BITS ^ INT_SIGN) - INT_SIGN, path_in(task, b), c, d
    )


# Integers as they are, by how many a call has.
BY_COUNT: tuple[Callable[[Callable[..., Any]], Raw], ...] = (
    _no_arguments,
    _one,
    _two,
    _three,
    _four,
    _five,
    lambda handler: handler,
)
# What is called most: a descriptor, or a pid, before integers; a path.
BY_KINDS: dict[tuple[Kind, ...], Callable[[Callable[..., Any]], Raw]] = {
    **{
        (SINT, *(INT,) * count): maker
        for count, maker in enumerate((_signed_one, _signed_two, _signed_three, _signed_four))
    },
    (PATH,): _path,
    (PATH, INT): _path_one,
    (PATH, INT, INT): _path_two,
    (SINT, PATH, INT, INT): _signed_path_two,
}


def _one_each(syscall: Syscall) -> Raw:
    """A register for each argument: as it is, a signed 32-bit number, or a path's address."""
    kinds, handler = syscall.kinds, syscall.handler
    count = len(kinds)
    signed = [place for place, kind in enumerate(kinds) if kind is Kind.SINT]
    paths = [place for place, kind in enumerate(kinds) if kind is Kind.PATH]

    def call(task: Task, *registers: int) -> int:
        arguments: list[Any] = list(registers[:count])
        for place in signed:
            arguments[place] = (arguments[place] & INT_BITS ^ INT_SIGN) - INT_SIGN
        for place in paths:
            arguments[place] = path_in(task, arguments[place])
        return handler(task, *arguments)  # type: ignore[no-any-return]

    return call


def _general(syscall: Syscall, task: Task, *registers: int) -> int:
    arguments, out = _decode(task, syscall, registers)
    return _finish(task, syscall, syscall.handler(task, *arguments), out)


def raw_call(syscall: Syscall) -> Raw:
    """Return the call as machine code makes it: task and six registers in, rax out."""
    kinds = syscall.kinds
    if Kind.SINT not in kinds and PLAIN.issuperset(kinds):
        return BY_COUNT[len(kinds)](syscall.handler)
    if kinds in BY_KINDS:
        return BY_KINDS[kinds](syscall.handler)
    if ONE_EACH.issuperset(kinds):
        return _one_each(syscall)
    return partial(_general, syscall)


def raw_calls() -> dict[int, Raw]:
    """Return every call by number, for the scheduler; its handler comes at its first use."""
    calls: dict[int, Raw] = {}

    def first(nr: int, task: Task, *registers: int) -> int:
        calls[nr] = call = raw_call(TABLE[nr])
        return call(task, *registers)

    calls.update((nr, partial(first, nr)) for nr in TABLE)
    return calls


def missing(task: Task, *registers: int) -> int:
    """Answer a call that does not exist: ENOSYS, noted once."""
    assert task.kernel.scheduler is not None
    _log_missing(task, task.kernel.scheduler.calls.number(task))
    raise SyscallError(errno.ENOSYS)


def _log_missing(task: Task, nr: int) -> None:
    if nr in task.kernel.missing_calls:
        return
    task.kernel.missing_calls.add(nr)
    task.kernel.log.write(KERN_WARNING, _missing_text(task, nr))


def _missing_text(task: Task, nr: int) -> str:
    name = NAMES.get(nr, "no such call")
    return f"{task.name}[{task.pid}]: system call {nr} ({name}) is missing"
