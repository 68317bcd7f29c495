"""Writes a sequence as a C program that runs on the host and prints what each call gave.

So that a divergence can be looked at without this project.  Called by run.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pkern.userland.conform.calls import SHAPES, Call, Kind, Register, Sort

_ACCESSES = {Kind.LOAD: "LOAD", Kind.STORE: "STORE"}


def c_program(calls: Sequence[Call], title: str) -> str:
    """Return the source text; compile it with gcc -static -no-pie -O1."""
    template = Path(__file__).with_name("program.c").read_text()
    body = "\n".join(f"\t{_statement(call)}" for call in calls)
    return template.replace("TITLE", title).replace("\t/* CALLS */", body)


def _statement(call: Call) -> str:
    shape = SHAPES[call.kind]
    if call.kind in _ACCESSES:
        return f"{_ACCESSES[call.kind]}({', '.join(map(_number, call.args))});"
    registers = [_register(register, call.args) for register in shape.registers]
    words = [_number(call.args[place]) for place in shape.words]
    fill = f"WORDS({', '.join(words)}); " if words else ""
    return f"{fill}CALL(SYS_{call.kind.value}, {', '.join(registers)});"


def _register(register: Register, args: Sequence[int]) -> str:
    value = args[register.place] if register.place >= 0 else register.constant
    match register.sort:
        case Sort.SLOT:
            return f"slots[{value}]"
        case Sort.SCRATCH:
            return f"scratch + {value}" if value else "scratch"
        case Sort.PLAIN:
            return _number(value)


def _number(value: int) -> str:
    return f"{value & ((1 << 64) - 1):#x}ul"
