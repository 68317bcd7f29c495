#!/usr/bin/env bash
# Triton 1.0.0rc4 (PyPI, triton-library): SSE compares run as string compares, and everyday instructions are wrong.
# Expected (Intel SDM, volume 2, "CMPSD" among the scalar compares: XMM registers, all predicates alike; "MOVQ" and
#   "MOVSD": from memory or, for MOVQ, a register the upper half becomes 0; "PTEST": CF if no bit of the source is
#   outside the destination; "PSRAW": 64 bits of count; "BTS": a bit offset in a register reaches beyond the operand
#   in memory; "LOOP": decrement, then compare; "IDIV": the remainder has the dividend's sign): what this machine's
#   processor answers.
# Seen: of the eight predicates some are refused, others (3, 6) move RSI and RDI instead, without a word; the upper
#   halves stay; PTEST has its operands exchanged; all 128 bits count; the offset is taken modulo 64; LOOP runs once
#   too often; IDIV's remainder has the divisor's sign. (Of these Triton's issues know MOVQ, open, and IDIV and
#   LOOP, both mended since 1.0.0rc4, its last release.)
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv triton-library==1.0.0rc4 unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import struct
from machine import native, unicorn
from triton import ARCH, EXCEPTION, Instruction, TritonContext

def triton(code, data):
    context = TritonContext(ARCH.X86_64)
    names, end = context.registers, 0x1000 + len(code)
    context.setConcreteMemoryAreaValue(0x1000, code)
    context.setConcreteMemoryAreaValue(0x10000, data.ljust(0x100, b"\0"))
    for register, value in ((names.rbx, 0x10000), (names.rsp, 0x11000), (names.rip, 0x1000)):
        context.setConcreteRegisterValue(register, value)
    while (at := context.getConcreteRegisterValue(names.rip)) != end:
        instruction = Instruction(at, context.getConcreteMemoryAreaValue(at, 16))
        if context.processing(instruction) != EXCEPTION.NO_FAULT:
            return None
    return context.getConcreteMemoryAreaValue(0x10000 + len(data), 32)

XMM = "0f1003 0f104b10 {} 0f114320"  # xmm0 and xmm1 are loaded, xmm0 is stored
COMPARE = "488d33 488d3b f20fc2c1{} 4829de 48897320"  # rsi = rdi = rbx; rsi - rbx
for name, code, first, second in (
    *((f"cmpsd xmm0,xmm1,{n}: rsi moves by", COMPARE.format(f"0{n}"), 0, 0) for n in (0, 1, 3, 6)),
    ("movq xmm0,xmm1", XMM.format("f30f7ec1"), 1 << 64 | 1, 2 << 64 | 2),
    ("movsd xmm0,[rbx+16]", XMM.format("f20f104310"), 1 << 64 | 1, 2 << 64 | 2),
    ("ptest xmm0,xmm1 of 3 and 1: CF", "0f1003 0f104b10 660f3817c1 0f924320", 3, 1),
    ("psraw xmm0,xmm1 by 1, with 1 above", XMM.format("660fe1c1"), 0x80008000, 1 << 64 | 1),
    ("bts [rbx+32],rcx of 69: 16 bytes", "b945000000 480fab4b20", 0, 0),
    ("loop of 3: rounds", "b903000000 31c0 ffc0 e2fc 48894320", 0, 0),
    ("idiv of -15 by 7: remainder", "48c7c0f1ffffff 4899 b907000000 48f7f9 48895320", 0, 0),
):
    data = b"".join(value.to_bytes(16, "little") for value in (first, second))
    answers = (run(bytes.fromhex(code), data) for run in (native, unicorn, triton))
    seen = (
        "refused" if answer is None else f"{int.from_bytes(answer[:16], 'little'):#x}"
        for answer in answers
    )
    print("{}: native {}, Unicorn {}, Triton {}".format(name, *seen))
P
expect "x86" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"cmpsd xmm0,xmm1,0: rsi moves by: native 0x0, Unicorn 0x0, Triton refused
cmpsd xmm0,xmm1,1: rsi moves by: native 0x0, Unicorn 0x0, Triton refused
cmpsd xmm0,xmm1,3: rsi moves by: native 0x0, Unicorn 0x0, Triton 0x4
cmpsd xmm0,xmm1,6: rsi moves by: native 0x0, Unicorn 0x0, Triton 0x2
movq xmm0,xmm1: native 0x2, Unicorn 0x2, Triton 0x10000000000000002
movsd xmm0,[rbx+16]: native 0x2, Unicorn 0x2, Triton 0x10000000000000002
ptest xmm0,xmm1 of 3 and 1: CF: native 0x1, Unicorn 0x1, Triton 0x0
psraw xmm0,xmm1 by 1, with 1 above: native 0xc000c000, Unicorn 0xc000c000, Triton 0xffffffff
bts [rbx+32],rcx of 69: 16 bytes: native 0x200000000000000000, Unicorn 0x200000000000000000, Triton 0x20
loop of 3: rounds: native 0x3, Unicorn 0x3, Triton 0x4
idiv of -15 by 7: remainder: native 0xffffffffffffffff, Unicorn 0xffffffffffffffff, Triton 0x6"
