#!/usr/bin/env bash
# dashmips 0.1.10 (PyPI), a MIPS interpreter: ADDIU of -1 adds 1, SRAV shifts to the left, SRL keeps the sign, LH loads
#   0, what is unsigned takes absolute values, HI of a product is not its upper half, CLZ and CLO are wrong, BGE is BGT,
#   and $0 is not 0.
# Expected (MIPS32 Architecture for Programmers, volume II: ADDIU adds the sign-extended immediate and only does not
#   trap; SRL and SRAV; SLTU, MULTU and DIVU take both operands as unsigned; MULT places the upper word in HI; register
#   0 reads as 0): Unicorn 2.1.4's answers.
# Seen: DIV's remainder of a negative number does not go with its quotient; CLZ tries 33 bits; $0 is where the lowest
#   address of the stack is kept.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv dashmips==0.1.10 unicorn==2.1.4
cat >t.py <<'P'
import struct
from dashmips.preprocessor import preprocess
from dashmips.run import run
from unicorn import UC_ARCH_MIPS, UC_MODE_LITTLE_ENDIAN, UC_MODE_MIPS32, Uc, mips_const as m

def word(number):
    return number & 0xFFFFFFFF

def unicorn(codes, first, second):
    """Return $t0, HI and LO."""
    uc = Uc(UC_ARCH_MIPS, UC_MODE_MIPS32 | UC_MODE_LITTLE_ENDIAN)
    uc.mem_map(0x1000, 0x2000)
    uc.mem_write(0x1000, struct.pack(f"<{len(codes)}I", *codes))
    uc.mem_write(0x2000, struct.pack("<H", 0x8081))
    uc.reg_write(m.UC_MIPS_REG_T1, first)
    uc.reg_write(m.UC_MIPS_REG_T2, second)
    uc.reg_write(m.UC_MIPS_REG_T3, 0x2000)
    uc.emu_start(0x1000, 0x1000 + 4 * len(codes))
    return [uc.reg_read(r) for r in (m.UC_MIPS_REG_T0, m.UC_MIPS_REG_HI, m.UC_MIPS_REG_LO)]

def dashmips(text, first, second):
    source = f"""
    .data
    half: .half 0x8081
    .text
    main:
        li $t1, {first}
        li $t2, {second}
        la $t3, half
        {text}
        li $v0, 10
        syscall
    """
    with open("source.mips", "w+") as file:
        file.write(source)
        file.seek(0)
        program = preprocess(file)
    run(program)
    return [program.registers[name] for name in ("$t0", "hi", "lo")]

def three(funct, rs=9, rt=10, rd=8, shift=0, opcode=0):
    return opcode << 26 | rs << 21 | rt << 16 | rd << 11 | shift << 6 | funct

BGE = "bge $t1, $t2, yes\nli $t0, 0\nb end\nyes: li $t0, 1\nend:"
for text, codes, results, operands in (
    ("addu $t0, $t1, $t2", [three(0x21)], "t", (-1, 3)),
    ("addiu $t0, $t1, -1", [three(0, opcode=9, rt=8, rd=0) | 0xFFFF], "t", (10, 0)),
    ("srl $t0, $t1, 4", [three(2, rs=0, rt=9, shift=4)], "t", (-256, 0)),
    ("srav $t0, $t1, $t2", [three(7, rs=10, rt=9)], "t", (256, 4)),
    ("lh $t0, 0($t3)", [three(0, opcode=0x21, rs=11, rt=8, rd=0)], "t", (0, 0)),
    ("sltu $t0, $t1, $t2", [three(0x2B)], "t", (3, -2)),
    ("mult $t1, $t2", [three(0x18, rd=0)], "hl", (0x10000, 0x30000)),
    ("multu $t1, $t2", [three(0x19, rd=0)], "hl", (-1, 2)),
    ("div $t1, $t2", [three(0x1A, rd=0)], "hl", (-7, 2)),
    ("divu $t1, $t2", [three(0x1B, rd=0)], "hl", (-7, 2)),
    ("clz $t0, $t1", [three(0x20, opcode=0x1C, rt=8)], "t", (1, 0)),
    ("clo $t0, $t1", [three(0x21, opcode=0x1C, rt=8)], "t", (-16, 0)),
    (BGE, [three(0x2A), three(0, opcode=14, rs=8, rt=8, rd=0) | 1], "t", (5, 5)),
    ("slt $t0, $t1, $0", [three(0x2A, rt=0)], "t", (5, 0)),
):
    answers = [
        " ".join(f"{word(value):x}" for name, value in zip("thl", run_in(*operands)) if name in results)
        for run_in in (
            lambda first, second: unicorn(codes, word(first), word(second)),
            lambda first, second: dashmips(text, first, second),
        )
    ]
    what = "hi lo " if results == "hl" else ""
    print(f"{text.splitlines()[0]} of {operands}: {what}Unicorn {answers[0]}, dashmips {answers[1]}")
P
expect "instruction" "$("$W/venv/bin/python" t.py)" \
"addu \$t0, \$t1, \$t2 of (-1, 3): Unicorn 2, dashmips 2
addiu \$t0, \$t1, -1 of (10, 0): Unicorn 9, dashmips b
srl \$t0, \$t1, 4 of (-256, 0): Unicorn ffffff0, dashmips fffffff0
srav \$t0, \$t1, \$t2 of (256, 4): Unicorn 10, dashmips 1000
lh \$t0, 0(\$t3) of (0, 0): Unicorn ffff8081, dashmips 0
sltu \$t0, \$t1, \$t2 of (3, -2): Unicorn 1, dashmips 0
mult \$t1, \$t2 of (65536, 196608): hi lo Unicorn 3 0, dashmips 0 0
multu \$t1, \$t2 of (-1, 2): hi lo Unicorn 1 fffffffe, dashmips 0 2
div \$t1, \$t2 of (-7, 2): hi lo Unicorn ffffffff fffffffd, dashmips 1 fffffffd
divu \$t1, \$t2 of (-7, 2): hi lo Unicorn 1 7ffffffc, dashmips 1 3
clz \$t0, \$t1 of (1, 0): Unicorn 1f, dashmips 20
clo \$t0, \$t1 of (-16, 0): Unicorn 1c, dashmips 0
bge \$t1, \$t2, yes of (5, 5): Unicorn 1, dashmips 0
slt \$t0, \$t1, \$0 of (5, 0): Unicorn 0, dashmips 1"
