#!/usr/bin/env bash
# TinyFive 1.0.0 (PyPI), a RISC-V emulator: with NumPy 2 words and half-words are loaded as their lowest byte; 7 / 0 is
#   0, a NaN that stands first wins FMIN and FMAX, FCVT cuts instead of rounding, FMADD rounds twice.
# Expected (RISC-V ISA manual, volume I, "M" extension: the quotient of a division by zero has all bits set; "F"
#   extension: FMIN and FMAX of a number and a NaN are the number, -0.0 is less than +0.0, FCVT rounds, and of what does
#   not fit it makes the nearest value that does, FMADD is fused; TinyFive's README: all of the M extension, and the F
#   extension with the default rounding mode, to nearest; its wheel: numpy>1.20.0): Unicorn 2.1.4's answers.
# Seen: NumPy 2 keeps an unsigned byte that is shifted left a byte, so that LW of 12345678 is 78, unsaid, in the
#   README's examples too, where small numbers hide it.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
cat >t.py <<'P'
import struct, sys, warnings
import numpy as np
from tinyfive.machine import machine

warnings.simplefilter("ignore")

def word(number):
    return int(number) & 0xFFFFFFFF

def bits(number):
    return struct.unpack("<I", struct.pack("<f", number))[0]

def loads():
    """Load from the bytes 78 56 34 12 ff 80."""
    tiny = machine(mem_size=64)
    tiny.mem[:6] = [0x78, 0x56, 0x34, 0x12, 0xFF, 0x80]
    for name, offset in (("LBU", 0), ("LHU", 0), ("LW", 0), ("LH", 4)):
        getattr(tiny, name)(3, offset, 0)
        print(f"NumPy {np.__version__}: {name} at {offset}: {word(tiny.x[3]):08x}")

def unicorn_answer(code, integers, floats, result):
    """Run one instruction with x1, x2, f1, f2, f4; its result is in x3 or f3."""
    from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV32, Uc, riscv_const as r
    uc = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_write(0x1000, struct.pack("<I", code))
    uc.reg_write(r.UC_RISCV_REG_MSTATUS, 0x6000)  # the floating-point unit is on
    for number, value in zip((1, 2), integers):
        uc.reg_write(r.UC_RISCV_REG_X0 + number, value)
    for number, value in zip((1, 2, 4), floats):
        uc.reg_write(r.UC_RISCV_REG_F0 + number, 0xFFFFFFFF << 32 | bits(value))
    uc.emu_start(0x1000, 0x1004)
    return word(uc.reg_read(getattr(r, f"UC_RISCV_REG_{result}3")))

def tiny_answer(name, integers, floats, result):
    tiny = machine(mem_size=64)
    for number, value in zip((1, 2), integers):
        tiny.x[number] = np.uint32(value).astype(np.int32)
    for number, value in zip((1, 2, 4), floats):
        tiny.f[number] = value
    getattr(tiny, name)(3, *(1, 2, 4)[: len(integers) + len(floats)])
    return word(tiny.x[3]) if result == "X" else bits(tiny.f[3])

def code(opcode, funct7, funct3, rs2, rs3=0):
    return rs3 << 27 | funct7 << 25 | rs2 << 20 | 1 << 15 | funct3 << 12 | 3 << 7 | opcode

NAN, ONE, TINY = float("nan"), 1.0, 2.0**-23
INSTRUCTIONS = [
    ("DIV", code(0x33, 1, 4, 2), [(7, 2), (7, 0)], [], "X"),
    ("DIVU", code(0x33, 1, 5, 2), [(7, 2), (7, 0)], [], "X"),
    ("FMIN_S", code(0x53, 0x14, 0, 2), [], [(2.0, ONE), (ONE, NAN), (NAN, ONE), (0.0, -0.0)], "F"),
    ("FMAX_S", code(0x53, 0x14, 1, 2), [], [(2.0, ONE), (ONE, NAN), (NAN, ONE), (-0.0, 0.0)], "F"),
    ("FCVT_W_S", code(0x53, 0x60, 0, 0), [], [(2.0,), (1.5,), (-1.75,), (3e9,), (NAN,)], "X"),
    ("FCVT_WU_S", code(0x53, 0x60, 0, 1), [], [(3e9,), (1.5,)], "X"),
    ("FMADD_S", code(0x43, 0, 0, 2, 4), [], [(2.0, 3.0, ONE), (ONE + TINY, ONE - TINY, -ONE)], "F"),
]

def compare():
    for name, instruction, integers, floats, result in INSTRUCTIONS:
        for operands in integers or floats:
            given = (operands, ()) if integers else ((), operands)
            ours = unicorn_answer(instruction, *given, result)
            theirs = tiny_answer(name, *given, result)
            note = "" if ours == theirs else " differs"
            print(f"{name} {operands}: Unicorn {ours:08x}, TinyFive {theirs:08x}{note}")

{"loads": loads, "compare": compare}[sys.argv[1]]()
P
venv tinyfive==1.0.0 numpy==2.4.6
expect "load" "$("$W/venv/bin/python" t.py loads)" \
"NumPy 2.4.6: LBU at 0: 00000078
NumPy 2.4.6: LHU at 0: 00000078
NumPy 2.4.6: LW at 0: 00000078
NumPy 2.4.6: LH at 4: 000000ff"
venv numpy==1.26.4 unicorn==2.1.4
expect "load" "$("$W/venv/bin/python" t.py loads)" \
"NumPy 1.26.4: LBU at 0: 00000078
NumPy 1.26.4: LHU at 0: 00005678
NumPy 1.26.4: LW at 0: 12345678
NumPy 1.26.4: LH at 4: ffff80ff"
expect "instruction" "$("$W/venv/bin/python" t.py compare)" \
"DIV (7, 2): Unicorn 00000003, TinyFive 00000003
DIV (7, 0): Unicorn ffffffff, TinyFive 00000000 differs
DIVU (7, 2): Unicorn 00000003, TinyFive 00000003
DIVU (7, 0): Unicorn ffffffff, TinyFive 00000000 differs
FMIN_S (2.0, 1.0): Unicorn 3f800000, TinyFive 3f800000
FMIN_S (1.0, nan): Unicorn 3f800000, TinyFive 3f800000
FMIN_S (nan, 1.0): Unicorn 3f800000, TinyFive 7fc00000 differs
FMIN_S (0.0, -0.0): Unicorn 80000000, TinyFive 00000000 differs
FMAX_S (2.0, 1.0): Unicorn 40000000, TinyFive 40000000
FMAX_S (1.0, nan): Unicorn 3f800000, TinyFive 3f800000
FMAX_S (nan, 1.0): Unicorn 3f800000, TinyFive 7fc00000 differs
FMAX_S (-0.0, 0.0): Unicorn 00000000, TinyFive 80000000 differs
FCVT_W_S (2.0,): Unicorn 00000002, TinyFive 00000002
FCVT_W_S (1.5,): Unicorn 00000002, TinyFive 00000001 differs
FCVT_W_S (-1.75,): Unicorn fffffffe, TinyFive ffffffff differs
FCVT_W_S (3000000000.0,): Unicorn 7fffffff, TinyFive 80000000 differs
FCVT_W_S (nan,): Unicorn 7fffffff, TinyFive 80000000 differs
FCVT_WU_S (3000000000.0,): Unicorn b2d05e00, TinyFive b2d05e00
FCVT_WU_S (1.5,): Unicorn 00000002, TinyFive 00000001 differs
FMADD_S (2.0, 3.0, 1.0): Unicorn 40e00000, TinyFive 40e00000
FMADD_S (1.0000001192092896, 0.9999998807907104, -1.0): Unicorn a8800000, TinyFive 00000000 differs"
