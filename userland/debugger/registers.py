"""A task's registers as gdb has them: which there are, in what order, and how they are packed.

Owns the target description. Names, types and order are those that gdb's manual fixes for the
features org.gnu.gdb.i386.core, .sse, .linux and .segments of x86-64 ("i386 Features").
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pkern.kernel.values import NamedTuple
from pkern.syscalls.tasks import tracee

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

MASK = (1 << 64) - 1


class Register(NamedTuple):
    """name: gdb's; ours: struct user_regs_struct's, or where in fxsave's image; bits; type."""

    name: str
    ours: str | int
    bits: int
    type: str


GENERAL = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
TYPES = {"rbp": "data_ptr", "rsp": "data_ptr"}
# The x87 unit's control registers, which gdb has with 32 bits each: where fxsave64 puts them.
CONTROL, STATUS, TAGS, OPCODE, RIP, RDP, MXCSR, ST, XMM = 0, 2, 4, 6, 8, 16, 24, 32, 160
FPU = (
    ("fctrl", CONTROL), ("fstat", STATUS), ("ftag", TAGS), ("fiseg", RIP + 4), ("fioff", RIP),
    ("foseg", RDP + 4), ("fooff", RDP), ("fop", OPCODE),
)  # fmt: skip
FPU_BYTES = {"fctrl": 2, "fstat": 2, "ftag": 1, "fop": 2}  # in the image; others: 4
CORE = (
    *(Register(name, name, 64, TYPES.get(name, "int64")) for name in GENERAL),
    Register("rip", "rip", 64, "code_ptr"),
    Register("eflags", "eflags", 32, "i386_eflags"),
    *(Register(name, name, 32, "int32") for name in ("cs", "ss", "ds", "es", "fs", "gs")),
    *(Register(f"st{i}", ST + 16 * i, 80, "i387_ext") for i in range(8)),
    *(Register(name, at, 32, "int") for name, at in FPU),
)
SSE = (
    *(Register(f"xmm{i}", XMM + 16 * i, 128, "vec128") for i in range(16)),
    Register("mxcsr", MXCSR, 32, "i386_mxcsr"),
)
LINUX = (Register("orig_rax", "orig_rax", 64, "int"),)
SEGMENTS = tuple(Register(name, name, 64, "int") for name in ("fs_base", "gs_base"))
REGISTERS = (*CORE, *SSE, *LINUX, *SEGMENTS)
FLAGS = (
    ("CF", 0), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("TF", 8), ("IF", 9), ("DF", 10),
    ("OF", 11), ("NT", 14), ("RF", 16), ("VM", 17), ("AC", 18), ("VIF", 19), ("VIP", 20),
    ("ID", 21),
)  # fmt: skip
MXCSR_FLAGS = (
    "IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM",
)  # fmt: skip
VECTORS = (
    ("v4f", "ieee_single", 4), ("v2d", "ieee_double", 2), ("v16i8", "int8", 16),
    ("v8i16", "int16", 8), ("v4i32", "int32", 4), ("v2i64", "int64", 2),
)  # fmt: skip
UNION = (
    ("v4_float", "v4f"), ("v2_double", "v2d"), ("v16_int8", "v16i8"), ("v8_int16", "v8i16"),
    ("v4_int32", "v4i32"), ("v2_int64", "v2i64"), ("uint128", "uint128"),
)  # fmt: skip


# ---- the description ----


def _flags(name: str, fields: tuple[tuple[str, int], ...]) -> str:
    rows = "".join(f'<field name="{field}" start="{at}" end="{at}"/>' for field, at in fields)
    return f'<flags id="{name}" size="4">{rows}</flags>'


def _feature(name: str, types: str, registers: tuple[Register, ...]) -> str:
    groups = {"i387_ext": ' group="float"'}
    rows = "".join(
        f'<reg name="{r.name}" bitsize="{r.bits}" type="{r.type}"{groups.get(r.type, "")}/>'
        for r in registers
    )
    return f'<feature name="org.gnu.gdb.i386.{name}">{types}{rows}</feature>'


def description() -> str:
    """Return the target description: XML."""
    vectors = "".join(f'<vector id="{i}" type="{t}" count="{n}"/>' for i, t, n in VECTORS)
    union = "".join(f'<field name="{name}" type="{kind}"/>' for name, kind in UNION)
    mxcsr = _flags("i386_mxcsr", (*((n, i) for i, n in enumerate(MXCSR_FLAGS)), ("FZ", 15)))
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
        "<architecture>i386:x86-64</architecture><osabi>GNU/Linux</osabi>"
        + _feature("core", _flags("i386_eflags", FLAGS), CORE)
        + _feature("sse", f'{vectors}<union id="vec128">{union}</union>{mxcsr}', SSE)
        + _feature("linux", "", LINUX)
        + _feature("segments", "", SEGMENTS)
        + "</target>"
    )


# ---- values ----


def _full_tags(image: bytes) -> int:
    """Return the tag word that fxsave's byte stands for: 3 an empty register, else its class."""
    top, word = image[STATUS + 1] >> 3 & 7, 0
    for place in range(8):
        kind = 3
        if image[TAGS] >> place & 1:
            at = ST + 16 * ((place - top) & 7)
            kind = _tag_of(image[at : at + 10])
        word |= kind << 2 * place
    return word


def _tag_of(value: bytes) -> int:
    """Return 0 for a valid number, 1 for zero, 2 for what is special."""
    mantissa, exponent = int.from_bytes(value[:8], "little"), value[8] | (value[9] & 0x7F) << 8
    if exponent == 0:
        return 2 if mantissa else 1
    return 2 if exponent == 0x7FFF or not mantissa >> 63 else 0


def _from_image(image: bytes, register: Register, at: int) -> bytes:
    if register.name == "ftag":
        return struct.pack("<I", _full_tags(image))
    nbytes = min(register.bits // 8, FPU_BYTES.get(register.name, 16))
    return image[at : at + nbytes].ljust(register.bits // 8, b"\0")


def _into_image(image: bytearray, register: Register, at: int, data: bytes) -> None:
    if register.name == "ftag":
        word = int.from_bytes(data, "little")
        data = bytes((sum((word >> 2 * i & 3 != 3) << i for i in range(8)),))
    nbytes = min(register.bits // 8, FPU_BYTES.get(register.name, 16))
    image[at : at + nbytes] = data[:nbytes]


def read(task: Task) -> list[bytes]:
    """Return each of REGISTERS of a task, packed."""
    regs, image = tracee.registers(task), task.cpu.fpu()
    return [
        _from_image(image, register, register.ours)
        if isinstance(register.ours, int)
        else (regs[register.ours] & MASK).to_bytes(8, "little")[: register.bits // 8]
        for register in REGISTERS
    ]


def write(task: Task, values: dict[int, bytes]) -> None:
    """Set registers of a task, by their places in REGISTERS. Errors: EIO, EINVAL."""
    before = read(task)
    new = {number: data for number, data in values.items() if data != before[number]}
    image = bytearray(task.cpu.fpu())
    regs: dict[str, int] = {}
    for number, data in new.items():
        register = REGISTERS[number]
        if isinstance(register.ours, int):
            _into_image(image, register, register.ours, data)
        else:
            regs[register.ours] = int.from_bytes(data, "little")
    if regs:
        tracee.set_registers(task, regs)
    if any(isinstance(REGISTERS[number].ours, int) for number in new):
        task.cpu.set_fpu(bytes(image))
