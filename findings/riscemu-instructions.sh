#!/usr/bin/env bash
# riscemu 2.2.7 (PyPI), a RISC-V emulator: DIV and REM round down; a division by zero, SLTI, FSUB and every atomic
#   operation end the program with an error of Python; FCVT.W.S of 2.75 is 16.
# Expected (RISC-V ISA manual, volume I, "M": the quotient is rounded towards zero; that of a division by zero has all
#   bits set, and the remainder is the dividend; "A": AMOADD loads, adds and stores; "F": FCVT.W.S rounds to nearest by
#   default; the README: "most parts of the basic RISC-V instruction set and the M and A extensions"): Unicorn 2.1.4's
#   answers.
# Seen: quotients are Python's; SLTI compares with an operand's description; FSUB.S is entered as FNMADD, which wants a
#   register more; AMOs, whose operands are in an order of its own, write without a length; a single is converted as
#   if it were a double.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv riscemu==2.2.7 unicorn==2.1.4
cat >t.py <<'P'
import contextlib, io, struct
from riscemu.riscemu_main import RiscemuMain
from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV32, Uc, riscv_const as r

def unicorn(codes, first, second):
    """Return a0 and the word behind a3."""
    uc = Uc(UC_ARCH_RISCV, UC_MODE_RISCV32)
    uc.mem_map(0x1000, 0x2000)
    uc.mem_write(0x1000, struct.pack(f"<{len(codes)}I", *codes))
    uc.mem_write(0x2000, struct.pack("<I", first))
    uc.reg_write(r.UC_RISCV_REG_MSTATUS, 0x6000)  # the floating-point unit is on
    for register, value in ((r.UC_RISCV_REG_A1, first), (r.UC_RISCV_REG_A2, second), (r.UC_RISCV_REG_A3, 0x2000)):
        uc.reg_write(register, value)
    uc.emu_start(0x1000, 0x1000 + 4 * len(codes))
    return f"{uc.reg_read(r.UC_RISCV_REG_A0) & 0xFFFFFFFF:x}"

def riscemu(lines, first, second):
    with open("t.asm", "w") as file:
        print(".data", f"word: .word {first:#x}", ".text", ".globl main", "main:", sep="\n", file=file)
        print(f"li a1, {first:#x}", f"li a2, {second:#x}", "la a3, word", *lines, "mv s0, a0", sep="\n", file=file)
        print("li a0, 0", "li a7, 93", "ecall", sep="\n", file=file)
    main = RiscemuMain()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
            main.run_from_cli(["t.asm"])
    except Exception as error:
        return type(error).__name__
    return f"{main.cpu.regs.get('s0').unsigned_value:x}"

def three(opcode, funct3, funct7, rd=10, rs1=11, rs2=12):
    return funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode

MOVES = ["fmv.w.x ft1, a1", "fmv.w.x ft2, a2"], [three(0x53, 0, 0x78, 1, 11, 0), three(0x53, 0, 0x78, 2, 12, 0)]
BACK = ["fmv.x.w a0, ft0"], [three(0x53, 0, 0x70, 10, 0, 0)]
ONE, THREE, NEARLY_THREE = 0x3F800000, 0x40400000, 0x40300000
for text, codes, operands in (
    ("div a0, a1, a2", [three(0x33, 4, 1)], [(7, 2), (-7, 2), (7, 0)]),
    ("rem a0, a1, a2", [three(0x33, 6, 1)], [(7, 2), (-7, 2), (7, 0)]),
    ("slt a0, a1, a2", [three(0x33, 2, 0)], [(5, 6)]),
    ("slti a0, a1, 6", [three(0x13, 2, 0, rs2=6)], [(5, 0)]),
    ("amoadd.w a0, a3, a2; lw a0, 0(a3)", [three(0x2F, 2, 0, 0, 13), three(3, 2, 0, 10, 13, 0)], [(5, 6)]),
    ("fadd.s ft0, ft1, ft2", [three(0x53, 7, 0, 0, 1, 2)], [(THREE, ONE)]),
    ("fsub.s ft0, ft1, ft2", [three(0x53, 7, 4, 0, 1, 2)], [(THREE, ONE)]),
    ("fcvt.w.s a0, ft1", [three(0x53, 7, 0x60, 10, 1, 0)], [(THREE, 0), (NEARLY_THREE, 0)]),
):
    lines = text.split("; ")
    if text.startswith("f"):
        lines, codes = MOVES[0] + lines, MOVES[1] + codes
    if "ft0" in text:
        lines, codes = lines + BACK[0], codes + BACK[1]
    for first, second in operands:
        first, second = first & 0xFFFFFFFF, second & 0xFFFFFFFF
        answers = unicorn(codes, first, second), riscemu(lines, first, second)
        print("{} of {:x}, {:x}: Unicorn {}, riscemu {}".format(text, first, second, *answers))
P
expect "instruction" "$("$W/venv/bin/python" t.py 2>/dev/null)" \
"div a0, a1, a2 of 7, 2: Unicorn 3, riscemu 3
div a0, a1, a2 of fffffff9, 2: Unicorn fffffffd, riscemu fffffffc
div a0, a1, a2 of 7, 0: Unicorn ffffffff, riscemu ZeroDivisionError
rem a0, a1, a2 of 7, 2: Unicorn 1, riscemu 1
rem a0, a1, a2 of fffffff9, 2: Unicorn ffffffff, riscemu 1
rem a0, a1, a2 of 7, 0: Unicorn 7, riscemu ZeroDivisionError
slt a0, a1, a2 of 5, 6: Unicorn 1, riscemu 1
slti a0, a1, 6 of 5, 0: Unicorn 1, riscemu TypeError
amoadd.w a0, a3, a2; lw a0, 0(a3) of 5, 6: Unicorn b, riscemu TypeError
fadd.s ft0, ft1, ft2 of 40400000, 3f800000: Unicorn 40800000, riscemu 40800000
fsub.s ft0, ft1, ft2 of 40400000, 3f800000: Unicorn 40000000, riscemu AssertionError
fcvt.w.s a0, ft1 of 40400000, 0: Unicorn 3, riscemu 20
fcvt.w.s a0, ft1 of 40300000, 0: Unicorn 3, riscemu 10"
