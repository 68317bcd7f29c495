#!/usr/bin/env bash
# tinyrv 0.1.0 (PyPI), a RISC-V simulator: integers become floating-point numbers by rounding to nearest, whatever is
#   asked for, and twice from 64 bits to a single; RMM of -2.5 is -2; of the largest double an OverflowError is raised;
#   an instruction over a boundary of 2 MiB is executed as it was loaded, not as the program has written it.
# Expected (RISC-V ISA manual, volume I, "F": FCVT rounds as rm says, RMM is to nearest, ties to the larger magnitude;
#   of what does not fit the nearest value that does; "Zifencei"; the README: "IEEE754 compliant"): Unicorn 2.1.4's
#   answers; 0x4000004000000001 lies above the middle of two singles.
# Seen: integers are converted by Python, to a double first; pages end in a copy of the next one's first two bytes,
#   which stores do not write.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv tinyrv==0.1.0 unicorn==2.1.4
cat >t.py <<'P'
import struct
import tinyrv
from unicorn import UC_ARCH_RISCV, UC_MODE_RISCV64, Uc, riscv_const as r

START = 0x1FFFF6  # the third instruction goes over 2 MiB
RNE, RTZ, RDN, RUP, RMM = range(5)

def double(value):
    return int.from_bytes(struct.pack("<d", value), "little")

def unicorn(codes, integer, number):
    """Return a0 and f10 after running codes with a1 and f11; a2 is at 2 MiB."""
    uc = Uc(UC_ARCH_RISCV, UC_MODE_RISCV64)
    uc.mem_map(0, 0x400000)
    uc.mem_write(START, struct.pack(f"<{len(codes)}I", *codes))
    uc.reg_write(r.UC_RISCV_REG_MSTATUS, 0x6000)  # the floating-point unit is on
    uc.reg_write(r.UC_RISCV_REG_A1, integer)
    uc.reg_write(r.UC_RISCV_REG_A2, 0x200000)
    uc.reg_write(r.UC_RISCV_REG_F11, number)
    uc.emu_start(START, START + 4 * len(codes))
    return uc.reg_read(r.UC_RISCV_REG_A0), uc.reg_read(r.UC_RISCV_REG_F10)

def simulated(codes, integer, number):
    sim = tinyrv.sim(xlen=64)
    sim.copy_in(START, struct.pack(f"<{len(codes)}I", *codes))
    sim.x[11], sim.x[12], sim.f.d[11], sim.pc = integer, 0x200000, number, START
    try:
        sim.run(limit=len(codes), trace=False)
    except OverflowError as error:
        return type(error).__name__, type(error).__name__
    return sim.x[10], sim.f.raw[10]

def show(what, codes, integer, number, register, digits):
    answers = [run(codes, integer, number)[register] for run in (unicorn, simulated)]
    shown = [a if isinstance(a, str) else f"{a & (1 << 4 * digits) - 1:0{digits}x}" for a in answers]
    print("{}: Unicorn {}, tinyrv {}".format(what, *shown))

def fcvt(funct7, rs2, rounding):
    return funct7 << 25 | rs2 << 20 | 11 << 15 | rounding << 12 | 10 << 7 | 0x53

ONE_MORE = (1 << 53) + 1
for name in "RNE", "RTZ", "RUP":
    rounding = globals()[name]
    show(f"fcvt.s.w of 16777219, {name}", [fcvt(0x68, 0, rounding)], 16777219, 0, 1, 8)
    show(f"fcvt.d.l of 2**53 + 1, {name}", [fcvt(0x69, 2, rounding)], ONE_MORE, 0, 1, 16)
    show(f"fcvt.s.l of 0x4000004000000001, {name}", [fcvt(0x68, 2, rounding)], 0x4000004000000001, 0, 1, 8)
for value in 2.5, -2.5, -2.75:
    show(f"fcvt.w.d of {value}, RMM", [fcvt(0x61, 0, RMM)], 0, double(value), 0, 8)
for name, rounding in (("RNE", RNE), ("RMM", RMM)):
    show(f"fcvt.w.d of 1.7e308, {name}", [fcvt(0x61, 0, rounding)], 0, double(1.7e308), 0, 8)

LI_1, LI_7 = (number << 20 | 10 << 7 | 0x13 for number in (1, 7))
SH, FENCE_I = 11 << 20 | 12 << 15 | 1 << 12 | 0x23, 0x100F
show("li a0, 1 over 2 MiB, rewritten as li a0, 7", [SH, FENCE_I, LI_1], LI_7 >> 16, 0, 0, 1)
P
expect "instruction" "$("$W/venv/bin/python" t.py)" \
"fcvt.s.w of 16777219, RNE: Unicorn 4b800002, tinyrv 4b800002
fcvt.d.l of 2**53 + 1, RNE: Unicorn 4340000000000000, tinyrv 4340000000000000
fcvt.s.l of 0x4000004000000001, RNE: Unicorn 5e800001, tinyrv 5e800000
fcvt.s.w of 16777219, RTZ: Unicorn 4b800001, tinyrv 4b800002
fcvt.d.l of 2**53 + 1, RTZ: Unicorn 4340000000000000, tinyrv 4340000000000000
fcvt.s.l of 0x4000004000000001, RTZ: Unicorn 5e800000, tinyrv 5e800000
fcvt.s.w of 16777219, RUP: Unicorn 4b800002, tinyrv 4b800002
fcvt.d.l of 2**53 + 1, RUP: Unicorn 4340000000000001, tinyrv 4340000000000000
fcvt.s.l of 0x4000004000000001, RUP: Unicorn 5e800001, tinyrv 5e800000
fcvt.w.d of 2.5, RMM: Unicorn 00000003, tinyrv 00000003
fcvt.w.d of -2.5, RMM: Unicorn fffffffd, tinyrv fffffffe
fcvt.w.d of -2.75, RMM: Unicorn fffffffd, tinyrv fffffffd
fcvt.w.d of 1.7e308, RNE: Unicorn 7fffffff, tinyrv 7fffffff
fcvt.w.d of 1.7e308, RMM: Unicorn 7fffffff, tinyrv OverflowError
li a0, 1 over 2 MiB, rewritten as li a0, 7: Unicorn 7, tinyrv 1"
