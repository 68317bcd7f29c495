"""Events as ftrace prints them, and the `format` files that say how: tracefs's, and `--events`'s.

Source: Documentation/trace/ftrace.rst and events.rst of Linux 6.18. A point's text names its fields
in braces; from it come both the line and the `print fmt` of C.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.events.points import Field, Point, Value
    from pkern.kernel.events.stream import Event

PLACE = re.compile(r"\{(\w+)(?::(\w+|\?[^}]+))?\}")  # of a field; "?" text: said where it is not 0
MASK = (1 << 64) - 1
USECOND, SECOND = 1_000, 1_000_000_000
FLAGS = "....."  # interrupts on, no need to reschedule, no interrupt, preemption and migration on
CALLS, MARKS = "syscalls", "ftrace"  # whose events are shown as calls; as they are
HEADER = """\
# tracer: nop
#
# entries-in-buffer/entries-written: {kept}/{written}   #P:1
#
#                                _-----=> irqs-off/BH-disabled
#                               / _----=> need-resched
#                              | / _---=> hardirq/softirq
#                              || / _--=> preempt-depth
#                              ||| / _-=> migrate-disable
#                              |||| /     delay
#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION
#              | |         |   |||||     |         |
"""

# ---- lines ----

Stamp = Callable[["Event"], str]


def local(event: Event) -> str:
    """Return seconds since boot, to the microsecond."""
    seconds, rest = divmod(event.time_ns + USECOND // 2, SECOND)
    return f"{seconds:5d}.{rest // USECOND:06d}"


def line(event: Event, stamp: Stamp = local) -> str:
    """Return an event's line in `trace`."""
    who = f"{event.comm:>16.15}-{event.pid:<7d} [000] {FLAGS} {stamp(event)}"
    return f"{who}: {told(event.point, event.values)}"


def told(point: Point, values: tuple[Value, ...]) -> str:
    """Return the event's name and what it says."""
    text = "".join(part(values) for part in _parts(point))
    if point.system not in (CALLS, MARKS):
        return f"{point.name}: {text}"
    if point.system == MARKS:
        return text
    call = point.name.replace("sys_enter_", "sys_").replace("sys_exit_", "sys_")
    return f"{call}({text})" if point.name.startswith("sys_enter_") else f"{call} -> {text}"


Part = Callable[[tuple["Value", ...]], str]
_made: dict[str, list[Part]] = {}  # by point


def _parts(point: Point) -> list[Part]:
    """Return what makes each piece of a point's text from its values."""
    if point.full_name not in _made:
        places = {field.name: i for i, field in enumerate(point.fields)}
        parts, end = [], 0
        for found in PLACE.finditer(point.text):
            place = places[found[1]]
            parts += [_literal(point.text[end : found.start()])]
            parts += [_value(place, point.fields[place], found[2] or "")]
            end = found.end()
        _made[point.full_name] = [*parts, _literal(point.text[end:])]
    return _made[point.full_name]


def _literal(text: str) -> Part:
    return lambda values: text


def _value(place: int, field: Field, spec: str) -> Part:
    def part(values: tuple[Any, ...]) -> str:
        value = values[place]
        if isinstance(value, tuple):
            return ", ".join(f"{word:x}" for word in value)
        if field.names is not None and not spec:
            return field.names.get(value, str(value))
        if spec.startswith("?"):
            return spec[1:] if value else ""
        if spec == "p":
            return f"{value & MASK:016x}"
        return format(value & MASK if spec == "x" else value, spec)

    return part


# ---- format files ----


class Layout(NamedTuple):
    """How C lays a field out in a record of ftrace's."""

    size: int
    signed: int


LAYOUTS = {
    "unsigned long": Layout(8, 0),
    "long": Layout(8, 1),
    "ino_t": Layout(8, 0),
    "void *": Layout(8, 0),
    "struct mm_struct *": Layout(8, 0),
    "struct maple_tree *": Layout(8, 0),
    "unsigned int": Layout(4, 0),
    "u32": Layout(4, 0),
    "int": Layout(4, 1),
    "pid_t": Layout(4, 1),
    "uid_t": Layout(4, 0),
    "dev_t": Layout(4, 0),
    "short": Layout(2, 1),
    "bool": Layout(1, 0),
    "unsigned char": Layout(1, 0),
    "u64": Layout(8, 0),
    "char[16]": Layout(16, 0),
    "char[32]": Layout(32, 0),
    "__data_loc char[]": Layout(4, 0),
    "unsigned long[6]": Layout(48, 0),
}
COMMON = (
    ("unsigned short common_type", 0, 2, 0),
    ("unsigned char common_flags", 2, 1, 0),
    ("unsigned char common_preempt_count", 3, 1, 0),
    ("int common_pid", 4, 4, 1),
)
FIRST = 8
MOST_ALIGNED = 8


class Slot(NamedTuple):
    """Where a field lies in a record, in bytes."""

    field: Field
    offset: int
    size: int
    signed: int


def slots(point: Point) -> tuple[Slot, ...]:
    """Return where a point's fields lie."""
    found, offset = [], FIRST
    for field in point.fields:
        size, signed = LAYOUTS[field.ctype]
        unit = 1 if field.ctype.startswith("char[") else min(size, MOST_ALIGNED)
        offset = -(-offset // unit) * unit
        found.append(Slot(field, offset, size, signed))
        offset += size
    return tuple(found)


def format_file(point: Point, number: int) -> str:
    """Return the text of events/SYSTEM/NAME/format. number: the event's id."""
    rows = [_row(*row) for row in COMMON]
    rows += ["", *(_row(_declared(s.field), s.offset, s.size, s.signed) for s in slots(point))]
    form, arguments = _c_format(point)
    printed = ", ".join([f'"{form}"', *arguments])
    body = "\n".join(rows)
    return f"name: {point.name}\nID: {number}\nformat:\n{body}\n\nprint fmt: {printed}\n"


def _row(declared: str, offset: int, size: int, signed: int) -> str:
    return f"\tfield:{declared};\toffset:{offset};\tsize:{size};\tsigned:{signed};"


def _declared(field: Field) -> str:
    if field.ctype.startswith("__data_loc"):
        return f"{field.ctype} {field.name}"
    kind, bracket, length = field.ctype.partition("[")
    return f"{kind} {field.name}{bracket}{length}"


def _c_format(point: Point) -> tuple[str, list[str]]:
    """Return printf's format and its arguments."""
    arguments: list[str] = []
    fields = {field.name: field for field in point.fields}

    def place(found: re.Match[str]) -> str:
        field, spec = fields[found[1]], found[2] or ""
        if field.ctype == "unsigned long[6]":
            arguments.extend(f"REC->{field.name}[{i}]" for i in range(6))
            return ", ".join(["%lx"] * 6)
        if field.names is not None and not spec:
            names = ", ".join(f'{{ {n}, "{name}" }}' for n, name in field.names.items())
            arguments.append(f"__print_symbolic(REC->{field.name}, {names})")
            return "%s"
        if field.ctype.startswith("__data_loc"):
            arguments.append(f"__get_str({field.name})")
            return "%s"
        if spec.startswith("?"):
            arguments.append(f'(REC->{field.name} ? "{spec[1:]}" : "")')
            return "%s"
        arguments.append(f"REC->{field.name}")
        return _conversion(field, spec)

    return PLACE.sub(place, point.text), arguments


def _conversion(field: Field, spec: str) -> str:
    if field.ctype.startswith("char"):
        return "%s"
    if spec == "p":
        return "%p"
    size, signed = LAYOUTS[field.ctype]
    letter = "x" if spec.endswith("x") else "d" if signed else "u"
    width = spec.rstrip("xd")
    return f"%{width}{'l' if size == 8 else ''}{letter}"
