#!/usr/bin/env bash
# riscv-model 0.6.6 (PyPI), an instruction set model of RISC-V: SH clears the other half of its word, SLTIU takes its
#   immediate as signed, SLTU and MUL raise exceptions, MULHU, DIV and REM leave their destination as it was.
# Expected (RISC-V ISA manual, volume I, RV32I: SH stores 16 bits; SLTIU's immediate is sign-extended and then treated
#   as unsigned; "M": the upper half of the product, quotient, remainder): Unicorn 2.1.4's answers.
# Seen: a half-word replaces the whole word, always at its beginning, unsaid. Of "M" all is declared and
#   decoded, but nothing computed.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv riscv-model==0.6.6 importlib_resources unicorn==2.1.4
cat >t.py <<'P'
import struct
from riscv import DATA, immediate_type, register_type, store_type, unicorn
from riscvmodel.code import decode
from riscvmodel.model import Model
from riscvmodel.variant import RV32IM

def riscv_model(words, registers, data):
    model = Model(RV32IM)
    for place in range(0, len(data), 4):
        model.state.memory.memory[DATA + place >> 2] = int.from_bytes(data[place : place + 4], "little")
    for number, value in registers.items():
        model.state.intreg[number] = value
    model.state.commit()
    try:
        for word in words:
            model.issue(decode(word, RV32IM))
    except (AttributeError, TypeError) as error:
        return type(error).__name__, data
    words = [model.state.memory.lw(DATA + place) for place in range(0, len(data), 4)]
    return model.state.intreg[3].unsigned(), struct.pack(f"<{len(words)}I", *words)

def show(answer):
    register, memory = answer
    return memory.hex() or (f"{register:x}" if isinstance(register, int) else register)

NEGATIVE, DATA_WORDS = 0x80000000, bytes.fromhex("1122334455667788")
for name, word, first, second, data in (
    ("sw at 0", store_type(0, 2, 1, 2), DATA, 0xAABB, DATA_WORDS),
    ("sh at 0", store_type(0, 2, 1, 1), DATA, 0xAABB, DATA_WORDS),
    ("sh at 6", store_type(6, 2, 1, 1), DATA, 0xAABB, DATA_WORDS),
    ("sb at 6", store_type(6, 2, 1, 0), DATA, 0xAABB, DATA_WORDS),
    ("sra 80000000 by 4", register_type(32, 2, 1, 5, 3), NEGATIVE, 4, b""),
    ("slti 5 and -1", immediate_type(-1, 1, 2, 3), 5, 0, b""),
    ("sltiu 5 and -1", immediate_type(-1, 1, 3, 3), 5, 0, b""),
    ("sltu 5 and 6", register_type(0, 2, 1, 3, 3), 5, 6, b""),
    ("mul 7 by 3", register_type(1, 2, 1, 0, 3), 7, 3, b""),
    ("mulhu 80000000 by 6", register_type(1, 2, 1, 3, 3), NEGATIVE, 6, b""),
    ("div 7 by 3", register_type(1, 2, 1, 4, 3), 7, 3, b""),
    ("rem 8 by 5", register_type(1, 2, 1, 6, 3), 8, 5, b""),
):
    given = [word], {1: first, 2: second, 3: 0xDEAD}, data
    ours, theirs = show(unicorn(*given)), show(riscv_model(*given))
    print(f"{name}: Unicorn {ours}, riscv-model {theirs}{'' if ours == theirs else ' differs'}")
P
expect "RISC-V" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"sw at 0: Unicorn bbaa000055667788, riscv-model bbaa000055667788
sh at 0: Unicorn bbaa334455667788, riscv-model bbaa000055667788 differs
sh at 6: Unicorn 112233445566bbaa, riscv-model 11223344bbaa0000 differs
sb at 6: Unicorn 112233445566bb88, riscv-model 112233445566bb88
sra 80000000 by 4: Unicorn f8000000, riscv-model f8000000
slti 5 and -1: Unicorn 0, riscv-model 0
sltiu 5 and -1: Unicorn 1, riscv-model 0 differs
sltu 5 and 6: Unicorn 1, riscv-model AttributeError differs
mul 7 by 3: Unicorn 15, riscv-model TypeError differs
mulhu 80000000 by 6: Unicorn 3, riscv-model dead differs
div 7 by 3: Unicorn 2, riscv-model dead differs
rem 8 by 5: Unicorn 3, riscv-model dead differs"
