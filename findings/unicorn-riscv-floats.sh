#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI), RISC-V: floats are not NaN-boxed, neither when written nor when read, and a signaling NaN wins
#   FMIN and FMAX.
# Expected (RISC-V ISA manual, volume I, "D", "NaN Boxing of Narrower Values": a float in a wider register has all
#   upper bits 1, and what has not is a NaN to an instruction for floats; "F": of a number and a NaN, signaling or not,
#   FMIN and FMAX give the number): qemu-riscv64 7.2's answers.
# Seen: FADD.S clears the upper half, which FSD stores; a double or a bare 32-bit pattern is taken for its low half, as
#   a number. A program that stores a float as eight bytes, or reads with the wrong width, behaves otherwise than on a
#   processor; FMV.X.W, which must not look at the upper half, is right.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
deb qemu-user-static 1:7.2+dfsg-
cat >t.py <<'P'
import sys
from riscv import float_program, float_qemu, float_unicorn, register_type

def floats(funct7, rs2, funct3):
    return register_type(funct7, rs2, 1, funct3, 3, 0x53)

BOX, ONE, TWO, SIGNALING = 0xFFFFFFFF << 32, 0x3F800000, 0x40000000, 0x7F800001
DOUBLE_ONE, DOUBLE_SIGNALING = 0x3FF0000000000000, 0x7FF0000000000001
for name, word, first, second in (
    ("fadd.s of 1 and 2", floats(0, 2, 0), BOX | ONE, BOX | TWO),
    ("fadd.d of 1 and 1", floats(1, 2, 0), DOUBLE_ONE, DOUBLE_ONE),
    ("fadd.s of the double 1 and 1", floats(0, 2, 0), DOUBLE_ONE, BOX | ONE),
    ("fsgnj.s of an unboxed 1", floats(0x10, 1, 0), ONE, 0),
    ("feq.s of an unboxed 1 and itself", floats(0x50, 1, 2), ONE, 0),
    ("fcvt.w.s of an unboxed 2", floats(0x60, 0, 0), TWO, 0),
    ("fcvt.d.s of an unboxed 2", floats(0x21, 0, 0), TWO, 0),
    ("fclass.s of an unboxed 2", floats(0x70, 0, 1), TWO, 0),
    ("fmv.x.w of an unboxed 2", floats(0x70, 0, 0), TWO, 0),
    ("fmax.s of a signaling NaN and 1", floats(0x14, 2, 1), BOX | SIGNALING, BOX | ONE),
    ("fmin.d of a signaling NaN and 1", floats(0x15, 2, 0), DOUBLE_SIGNALING, DOUBLE_ONE),
):
    program, length = float_program(word, f1=first, f2=second)
    answers = float_qemu(sys.argv[1], program), float_unicorn(program, length)
    qemu, unicorn = (f"f3={f3:016x} x3={x3:x}" for f3, x3, _ in answers)
    print(f"{name}: qemu {qemu}, Unicorn {unicorn}{'' if qemu == unicorn else ' differs'}")
P
expect "RISC-V" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py "$W/root/usr/bin/qemu-riscv64-static")" \
"fadd.s of 1 and 2: qemu f3=ffffffff40400000 x3=0, Unicorn f3=0000000040400000 x3=0 differs
fadd.d of 1 and 1: qemu f3=4000000000000000 x3=0, Unicorn f3=4000000000000000 x3=0
fadd.s of the double 1 and 1: qemu f3=ffffffff7fc00000 x3=0, Unicorn f3=000000003f800000 x3=0 differs
fsgnj.s of an unboxed 1: qemu f3=ffffffff7fc00000 x3=0, Unicorn f3=000000003f800000 x3=0 differs
feq.s of an unboxed 1 and itself: qemu f3=0000000000000000 x3=0, Unicorn f3=0000000000000000 x3=1 differs
fcvt.w.s of an unboxed 2: qemu f3=0000000000000000 x3=7fffffff, Unicorn f3=0000000000000000 x3=2 differs
fcvt.d.s of an unboxed 2: qemu f3=7ff8000000000000 x3=0, Unicorn f3=4000000000000000 x3=0 differs
fclass.s of an unboxed 2: qemu f3=0000000000000000 x3=200, Unicorn f3=0000000000000000 x3=40 differs
fmv.x.w of an unboxed 2: qemu f3=0000000000000000 x3=40000000, Unicorn f3=0000000000000000 x3=40000000
fmax.s of a signaling NaN and 1: qemu f3=ffffffff3f800000 x3=0, Unicorn f3=000000007fc00000 x3=0 differs
fmin.d of a signaling NaN and 1: qemu f3=3ff0000000000000 x3=0, Unicorn f3=7ff8000000000000 x3=0 differs"
