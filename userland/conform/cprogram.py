"""Writes a sequence as a C program that runs on the host and prints what each call gave.

So that a divergence can be looked at without this project.  Called by run.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pkern.syscalls.numbers import NAMES
from pkern.userland.conform.calls import SHAPES, Call, Kind, Register, Shape, Slot, Sort

# What is no system call: macros of program.c.
_MACROS = {
    Kind.LOAD: "LOAD",
    Kind.STORE: "STORE",
    Kind.FORK: "FORK",
    Kind.SHM_OPEN: "SHM_OPEN",
    Kind.SHM_UNLINK: "SHM_UNLINK",
    Kind.VM_READ: "VM_READ",
    Kind.VM_WRITE: "VM_WRITE",
    Kind.MEM_READ: "MEM_READ",
    Kind.MEM_WRITE: "MEM_WRITE",
    Kind.PEEK: "PEEK",
    Kind.POKE: "POKE",
}


def c_program(calls: Sequence[Call], title: str) -> str:
    """Return the source text; compile it with gcc -static -no-pie -O1."""
    template = Path(__file__).with_name("program.c").read_text()
    forks = any(call.kind is Kind.FORK for call in calls)
    body = "\n".join(f"\t{_turn(call) if forks else ''}{_statement(call)}" for call in calls)
    return template.replace("TITLE", title).replace("\t/* CALLS */", body)


def _turn(call: Call) -> str:
    return f"IN({call.actor}) "


def _statement(call: Call) -> str:
    shape = SHAPES[call.kind]
    words = [_number(call.args[place]) for place in shape.words]
    fill = [f"WORDS({', '.join(words)});"] if words else []
    made = f"{_keeps(shape, call)}{_made(shape, call)};"
    return f"{{ {fill[0]} {made} }}" if fill else made


def _made(shape: Shape, call: Call) -> str:
    registers = [_register(register, call.args) for register in shape.registers]
    if call.kind in _MACROS:
        return f"{_MACROS[call.kind]}({', '.join(registers)})"
    return f"CALL(SYS_{NAMES[shape.number]}, {', '.join(registers)})"


def _keeps(shape: Shape, call: Call) -> str:
    """Return the assignment to the slot that keeps the result, if one does."""
    if shape.keep is None or call.kind is Kind.FORK:
        return ""
    slot = shape.keep if isinstance(shape.keep, Slot) else call.args[shape.keep]
    return f"slots[{int(slot)}] = "


def _register(register: Register, args: Sequence[int]) -> str:
    value = args[register.place] if register.place >= 0 else register.constant
    match register.sort:
        case Sort.SLOT:
            return f"slots[{int(value)}]"
        case Sort.SCRATCH:
            return f"scratch + {value}" if value else "scratch"
        case Sort.PLAIN:
            return _number(value)


def _number(value: int) -> str:
    return f"{value & ((1 << 64) - 1):#x}ul"
