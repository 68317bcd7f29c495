#!/usr/bin/env bash
# riscv-emulator 0.1.1 (PyPI): a negative number that was loaded is not equal to the same number computed, and a call
#   of a far function goes on behind itself.
# Expected (RISC-V ISA manual, volume I, RV32I: registers have 32 bits, LW, LB and XORI fill all of them, SRLI shifts
#   zeros in; JALR's target is the register's value plus the offset; "call" is AUIPC ra with JALR ra, ra): Unicorn
#   2.1.4's answers.
# Seen: LW, LH, LB and XORI leave a negative number of Python in the register, ADDI one modulo 2**32, and BEQ and SRLI
#   take them as they are. JALR writes the return address first and then jumps relative to it.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv riscv-emulator==0.1.1 unicorn==2.1.4
cat >t.py <<'P'
import struct
from riscv import CODE, DATA, immediate_type, register_type, unicorn
from riscv_emulator.emulator import emulator

def riscv_emulator(words, registers, data):
    machine = emulator(memory=DATA + 0x1000)
    machine.memory[CODE : CODE + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
    machine.memory[DATA : DATA + len(data)] = data
    for number, value in registers.items():
        machine.rg[number] = value
    machine.pc = CODE
    machine.run()  # up to the zero word that follows
    return machine.rg[3] & 0xFFFFFFFF

def add(immediate, source, destination):
    return immediate_type(immediate, source, 0, destination)

def load(funct3, offset):
    return immediate_type(offset, 1, funct3, 4, opcode=0x03)

SKIP_IF_EQUAL = 5 << 20 | 4 << 15 | 8 << 7 | 0x63  # beq x4,x5: two on
EQUAL = [add(1, 0, 3), SKIP_IF_EQUAL, add(0, 0, 3)]  # x3 = (x4 == x5)
CALL = [4 << 7 | 0x17, immediate_type(12, 4, 0, 4, opcode=0x67), add(16, 3, 3), add(1, 3, 3)]
XOR, SHIFT, SHIFT_BY_REGISTER = immediate_type(-1, 0, 4, 4), immediate_type(4, 4, 5, 3), register_type(0, 2, 4, 5, 3)
for name, words in (
    ("lw of -1 and addi of -1 are equal", [load(2, 0), add(-1, 0, 5), *EQUAL]),
    ("lb of -128 and addi of -128 are equal", [load(0, 4), add(-128, 0, 5), *EQUAL]),
    ("lbu of 128 and addi of 128 are equal", [load(4, 4), add(128, 0, 5), *EQUAL]),
    ("not 0 and addi of -1 are equal", [XOR, add(-1, 0, 5), *EQUAL]),
    ("addi of -1, shifted right by 4", [add(-1, 0, 4), SHIFT]),
    ("lw of -1, shifted right by 4", [load(2, 0), SHIFT]),
    ("lw of -1, shifted right by a register", [load(2, 0), SHIFT_BY_REGISTER]),
    ("auipc x4; jalr x4,12(x4), which skips adding 16", [add(0, 0, 3), *CALL]),
):
    given = words, {1: DATA, 2: 4}, bytes.fromhex("ffffffff80000000")
    ours, theirs = unicorn(*given)[0], riscv_emulator(*given)
    print(f"{name}: Unicorn {ours:x}, riscv-emulator {theirs:x}{'' if ours == theirs else ' differs'}")
P
expect "RISC-V" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"lw of -1 and addi of -1 are equal: Unicorn 1, riscv-emulator 0 differs
lb of -128 and addi of -128 are equal: Unicorn 1, riscv-emulator 0 differs
lbu of 128 and addi of 128 are equal: Unicorn 1, riscv-emulator 1
not 0 and addi of -1 are equal: Unicorn 1, riscv-emulator 0 differs
addi of -1, shifted right by 4: Unicorn fffffff, riscv-emulator fffffff
lw of -1, shifted right by 4: Unicorn fffffff, riscv-emulator ffffffff differs
lw of -1, shifted right by a register: Unicorn fffffff, riscv-emulator ffffffff differs
auipc x4; jalr x4,12(x4), which skips adding 16: Unicorn 1, riscv-emulator 0 differs"
