#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): SSE instructions that want an aligned operand take any address.
# Expected (Intel SDM, volume 2, "MOVAPS", and volume 1, "Memory Operand Alignment"): a 128-bit
#   memory operand of MOVAPS, PADDD or MOVNTDQ that is not on a 16-byte boundary raises #GP.
# Seen: each of them runs at an address that is 8 modulo 16, and no hook hears of an exception.
#   A program that dies on a processor (a misaligned stack, as a rule) lives here.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
from unicorn import Uc, UC_ARCH_X86, UC_HOOK_INTR, UC_MODE_64
from unicorn.x86_const import UC_X86_REG_RAX

for name, code in (
    ("movaps xmm0, [rax]", "0f2800"),
    ("movaps [rax], xmm0", "0f2900"),
    ("paddd xmm0, [rax]", "660ffe00"),
    ("movntdq [rax], xmm0", "660fe700"),
):
    code, exceptions = bytes.fromhex(code), []
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(0x10000, 0x1000)
    uc.hook_add(UC_HOOK_INTR, lambda uc, number, data: exceptions.append(number))
    uc.mem_write(0x1000, code)
    uc.reg_write(UC_X86_REG_RAX, 0x10008)
    uc.emu_start(0x1000, 0x1000 + len(code))
    print(name, "ran, exceptions:", exceptions)
P
expect "rax=0x10008" "$("$W/venv/bin/python" t.py)" \
"movaps xmm0, [rax] ran, exceptions: []
movaps [rax], xmm0 ran, exceptions: []
paddd xmm0, [rax] ran, exceptions: []
movntdq [rax], xmm0 ran, exceptions: []"
