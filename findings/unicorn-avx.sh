#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): 128-bit AVX instructions lose their first source operand.
# Expected (Intel SDM, volume 2, "ADDPS" and "PADDD"): VADDPS xmm0, xmm1, xmm2 puts xmm1 + xmm2
#   into xmm0; a processor whose CPUID does not report AVX raises #UD instead.
# Seen: CPUID reports no AVX, yet the VEX form runs as the two-operand SSE form: xmm0 + xmm2.
#   The 256-bit form of the same instruction is refused.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
import struct
from unicorn import Uc, UcError, UC_ARCH_X86, UC_MODE_64
from unicorn import x86_const as x

def pack(fmt, *values):
    return int.from_bytes(struct.pack(fmt, *values), "little")

def run(code, fmt):
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_write(0x1000, code)
    uc.reg_write(x.UC_X86_REG_MXCSR, 0x1F80)
    for reg, n in (("XMM0", 100), ("XMM1", 1), ("XMM2", 10)):
        uc.reg_write(getattr(x, "UC_X86_REG_" + reg), pack(fmt, n, 2 * n, 3 * n, 4 * n))
    try:
        uc.emu_start(0x1000, 0x1000 + len(code))
    except UcError as error:
        return error
    return struct.unpack(fmt, uc.reg_read(x.UC_X86_REG_XMM0).to_bytes(16, "little"))

uc = Uc(UC_ARCH_X86, UC_MODE_64)
uc.mem_map(0x1000, 0x1000)
uc.mem_write(0x1000, bytes.fromhex("0fa2"))
uc.reg_write(x.UC_X86_REG_EAX, 1)
uc.emu_start(0x1000, 0x1002)
print("CPUID.1:ECX.AVX =", uc.reg_read(x.UC_X86_REG_ECX) >> 28 & 1)
print("vaddps xmm0, xmm1, xmm2 =", run(bytes.fromhex("c5f058c2"), "<4f"))
print("vpaddd xmm0, xmm1, xmm2 =", run(bytes.fromhex("c5f1fec2"), "<4i"))
print("vaddps ymm0, ymm1, ymm2 =", run(bytes.fromhex("c5f458c2"), "<4f"))
P
expect "xmm0=100,200,.. xmm1=1,2,.. xmm2=10,20,.." "$("$W/venv/bin/python" t.py)" \
"CPUID.1:ECX.AVX = 0
vaddps xmm0, xmm1, xmm2 = (110.0, 220.0, 330.0, 440.0)
vpaddd xmm0, xmm1, xmm2 = (110, 220, 330, 440)
vaddps ymm0, ymm1, ymm2 = Invalid instruction (UC_ERR_INSN_INVALID)"
