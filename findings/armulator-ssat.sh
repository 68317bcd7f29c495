#!/usr/bin/env bash
# armulator 1.1.3 (PyPI), an ARM emulator: SSAT of a negative number is positive.
# Expected (ARM Architecture Reference Manual, ARMv7-A, "SSAT": the result is SignExtend(result, 32), "SSAT16":
#   SignExtend(result, 16) in both halves): Unicorn 2.1.4's answers.
# Seen: SSAT to 8 bits makes 251 of -5 and 128 of -500, in ARM and Thumb, and SSAT16 does so in both halves, so that
#   an audio sample that fits changes its sign; the Q flag is right, and so are USAT and USAT16.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv armulator==1.1.3 unicorn==2.1.4
cat >t.py <<'P'
import struct
from armulator.armv6.arm_v6 import ArmV6
from armulator.armv6.memory_controller_hub import MemoryController
from armulator.armv6.memory_types import RAM
from unicorn import UC_ARCH_ARM, UC_MODE_ARM, Uc, arm_const

CODE, USER, THUMB = 0x10000, 0x10, 0x20

memory, processor = RAM(0x1000), ArmV6()
processor.mem.memories.append(MemoryController(memory, CODE, CODE + 0x1000))
processor.take_reset()
processor.registers.sctlr.m = 0  # as its README says: no memory protection

def armulator(code, mode, operand):
    memory.write(0, len(code), code)
    processor.registers.cpsr.value = USER | mode
    processor.registers.set(2, operand)
    processor.registers.branch_to(CODE)
    processor.emulate_cycle()
    return processor.registers.get(4), processor.registers.cpsr.q

def unicorn(code, mode, operand):
    uc = Uc(UC_ARCH_ARM, UC_MODE_ARM)
    uc.mem_map(CODE, 0x1000)
    uc.mem_write(CODE, code)
    uc.reg_write(arm_const.UC_ARM_REG_CPSR, USER | mode)
    uc.reg_write(arm_const.UC_ARM_REG_R2, operand)
    uc.emu_start(CODE | (1 if mode else 0), CODE + len(code), count=1)
    return uc.reg_read(arm_const.UC_ARM_REG_R4), uc.reg_read(arm_const.UC_ARM_REG_CPSR) >> 27 & 1

SSAT, SSAT16, USAT, USAT16 = (struct.pack("<I", word) for word in (0xE6A74012, 0xE6A74F32, 0xE6E84012, 0xE6E84F32))
THUMB_SSAT = struct.pack("<2H", 0xF302, 0x0407)
for name, code, mode, operand in (
    ("ssat r4,#8,r2 of 5", SSAT, 0, 5),
    ("ssat r4,#8,r2 of 500", SSAT, 0, 500),
    ("ssat r4,#8,r2 of -5", SSAT, 0, -5),
    ("ssat r4,#8,r2 of -500", SSAT, 0, -500),
    ("Thumb's of -5", THUMB_SSAT, THUMB, -5),
    ("ssat16 r4,#8,r2 of -5 and 5", SSAT16, 0, 0xFFFB0005),
    ("ssat16 r4,#8,r2 of 256 and -256", SSAT16, 0, 0x0100FF00),
    ("usat r4,#8,r2 of -5", USAT, 0, -5),
    ("usat16 r4,#8,r2 of 256 and -256", USAT16, 0, 0x0100FF00),
):
    answers = [run(code, mode, operand & 0xFFFFFFFF) for run in (unicorn, armulator)]
    seen = [f"{result:x} Q={flag}" for result, flag in answers]
    print(f"{name}: Unicorn {seen[0]}, armulator {seen[1]}{'' if seen[0] == seen[1] else ' differs'}")
P
expect "ARM" "$("$W/venv/bin/python" t.py)" \
"ssat r4,#8,r2 of 5: Unicorn 5 Q=0, armulator 5 Q=0
ssat r4,#8,r2 of 500: Unicorn 7f Q=1, armulator 7f Q=1
ssat r4,#8,r2 of -5: Unicorn fffffffb Q=0, armulator fb Q=0 differs
ssat r4,#8,r2 of -500: Unicorn ffffff80 Q=1, armulator 80 Q=1 differs
Thumb's of -5: Unicorn fffffffb Q=0, armulator fb Q=0 differs
ssat16 r4,#8,r2 of -5 and 5: Unicorn fffb0005 Q=0, armulator fb0005 Q=0 differs
ssat16 r4,#8,r2 of 256 and -256: Unicorn 7fff80 Q=1, armulator 7f0080 Q=1 differs
usat r4,#8,r2 of -5: Unicorn 0 Q=1, armulator 0 Q=1
usat16 r4,#8,r2 of 256 and -256: Unicorn ff0000 Q=1, armulator ff0000 Q=1"
