#!/usr/bin/env bash
# angr 9.2.213 (PyPI, the last one for Python 3.11): zero divided by zero is infinite, and other concrete results.
# Expected (Intel SDM, volume 1, "Invalid Operation Exception": 0 / 0 is the default NaN, whose sign bit is set; volume 2,
#   "CVTTSD2SI", "CVTPS2DQ": NaN and what does not fit become the integer indefinite, 80..0; "MUL": CF and OF if the
#   upper half is not 0; "RCL": a count of 0 changes no flag): what this machine's processor and Unicorn 2.1.4 answer.
# Seen: 0 / 0 is infinite, the default NaN positive; what does not fit becomes 0; MUL's flags are the highest bit of the
#   lower half; RCL by 0 computes OF anew. (Of these angr's issues know MUL, mended for its version 10.)
. "$(dirname "$(readlink -f "$0")")/lib.sh"
# With the newest bitstring and pycparser that it allows it cannot be imported.
venv angr==9.2.213 bitstring==4.3.1 pycparser==3.0 unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import logging, struct
import angr as engine
from machine import native, unicorn

logging.disable()

def angr(code, data):
    project = engine.load_shellcode(code + b"\x90", "amd64", load_address=0x1000)
    state = project.factory.blank_state(addr=0x1000)
    state.memory.store(0x10000, data + bytes(32))
    state.regs.rbx, state.regs.rsp = 0x10000, 0x11000
    while state.addr != 0x1000 + len(code):
        (state,) = project.factory.successors(state, num_inst=1).flat_successors
    return state.solver.eval(state.memory.load(0x10000 + len(data), 32), cast_to=bytes)

def double(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]

XMM = "f30f7e03 f30f7e4b08 {} 660fd64320"  # xmm0 and xmm1 are loaded, xmm0 is stored
INT = "f20f1003 31c0 {} 48894320"
RAX = "488b03 488b4b08 ff7310 9d {}"
for name, code, first, second, flags in (
    ("divsd of 0 by 0", XMM.format("f20f5ec1"), 0, 0, 2),
    ("divsd of -0 by 0", XMM.format("f20f5ec1"), double(-0.0), 0, 2),
    ("sqrtsd of -1", XMM.format("f20f51c0"), double(-1.0), 0, 2),
    ("cvttsd2si rax,2^64", INT.format("f2480f2cc0"), double(2.0**64), 0, 2),
    ("cvttsd2si eax,NaN", INT.format("f20f2cc0"), double(float("nan")), 0, 2),
    ("cvtps2dq of NaN and infinity", XMM.format("660f5bc0"), 0x7F8000007FC00000, 0, 2),
    ("mul rcx of 2^63 and 1: CF", RAX.format("48f7e1 0f924320"), 1 << 63, 1, 2),
    ("mul rcx of 2^63 and 2: CF", RAX.format("48f7e1 0f924320"), 1 << 63, 2, 2),
    ("rcl rax,0 of 2^63, OF clear: OF", RAX.format("48c1d000 0f904320"), 1 << 63, 0, 2),
):
    data = struct.pack("<4Q", first, second, flags, 0)
    seen = (run(bytes.fromhex(code), data)[:8] for run in (native, unicorn, angr))
    numbers = [f"{int.from_bytes(answer, 'little'):#x}" for answer in seen]
    print(f"{name}: native {numbers[0]}, Unicorn {numbers[1]}, angr {numbers[2]}")
P
expect "x86" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py 2>/dev/null)" \
"divsd of 0 by 0: native 0xfff8000000000000, Unicorn 0xfff8000000000000, angr 0x7ff0000000000000
divsd of -0 by 0: native 0xfff8000000000000, Unicorn 0xfff8000000000000, angr 0xfff0000000000000
sqrtsd of -1: native 0xfff8000000000000, Unicorn 0xfff8000000000000, angr 0x7ff8000000000000
cvttsd2si rax,2^64: native 0x8000000000000000, Unicorn 0x8000000000000000, angr 0x0
cvttsd2si eax,NaN: native 0x80000000, Unicorn 0x80000000, angr 0x0
cvtps2dq of NaN and infinity: native 0x8000000080000000, Unicorn 0x8000000080000000, angr 0x0
mul rcx of 2^63 and 1: CF: native 0x0, Unicorn 0x0, angr 0x1
mul rcx of 2^63 and 2: CF: native 0x1, Unicorn 0x1, angr 0x0
rcl rax,0 of 2^63, OF clear: OF: native 0x0, Unicorn 0x0, angr 0x1"
