#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI) and qemu-x86_64-static 7.2 (Debian 12): of two NaNs SSE gives the one that x87 would give.
# Expected (Intel SDM, volume 1, "Rules for Handling NaNs": of two NaNs an x87 instruction gives the one
#   with the larger significand, an SSE instruction its first operand, made quiet if it signals): what this
#   machine's processor answers.
# Seen: x87's rule for both, so that a payload (a boxed pointer, a mark of where a NaN came from) or a
#   sign is lost where it comes first, and kept where it comes second.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
deb qemu-user-static 1:7.2+dfsg-
gcc -static -o native "$HERE/native.c"
cat >t.py <<'P'
import struct
from machine import control, native, qemu, unicorn

QUIET, MINUS, SIGNALLING = 0x7FF8000000000002, 0xFFF8000000000001, 0x7FF0000000000003
MASKED = "c7432c 801f0000 0fae532c"  # ldmxcsr, by way of [rbx+44]
SSE = MASKED + "f20f1003 f20f{}4308 f20f114320"  # movsd xmm0,[rbx]; op xmm0,[rbx+8]; movsd [rbx+32],xmm0
for name, op in (
    ("addsd", SSE.format("58")),
    ("mulsd", SSE.format("59")),
    ("divsd", SSE.format("5e")),
    ("fadd", "dd03 dc4308 dd5b20"),  # fld, fadd, fstp m64
):
    for first, second in ((QUIET, MINUS), (MINUS, QUIET), (SIGNALLING, QUIET)):
        code = control(0x37F) + bytes.fromhex(op)
        seen = [run(code, struct.pack("<4Q", first, second, 0, 0))[:8] for run in (native, unicorn, qemu)]
        numbers = [f"{int.from_bytes(answer, 'little'):x}" for answer in seen]
        print(f"{name} {first:x} {second:x}: native {numbers[0]}, Unicorn {numbers[1]}, qemu {numbers[2]}")
P
expect "nan" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"addsd 7ff8000000000002 fff8000000000001: native 7ff8000000000002, Unicorn 7ff8000000000002, qemu 7ff8000000000002
addsd fff8000000000001 7ff8000000000002: native fff8000000000001, Unicorn 7ff8000000000002, qemu 7ff8000000000002
addsd 7ff0000000000003 7ff8000000000002: native 7ff8000000000003, Unicorn 7ff8000000000002, qemu 7ff8000000000002
mulsd 7ff8000000000002 fff8000000000001: native 7ff8000000000002, Unicorn 7ff8000000000002, qemu 7ff8000000000002
mulsd fff8000000000001 7ff8000000000002: native fff8000000000001, Unicorn 7ff8000000000002, qemu 7ff8000000000002
mulsd 7ff0000000000003 7ff8000000000002: native 7ff8000000000003, Unicorn 7ff8000000000002, qemu 7ff8000000000002
divsd 7ff8000000000002 fff8000000000001: native 7ff8000000000002, Unicorn 7ff8000000000002, qemu 7ff8000000000002
divsd fff8000000000001 7ff8000000000002: native fff8000000000001, Unicorn 7ff8000000000002, qemu 7ff8000000000002
divsd 7ff0000000000003 7ff8000000000002: native 7ff8000000000003, Unicorn 7ff8000000000002, qemu 7ff8000000000002
fadd 7ff8000000000002 fff8000000000001: native 7ff8000000000002, Unicorn 7ff8000000000002, qemu 7ff8000000000002
fadd fff8000000000001 7ff8000000000002: native 7ff8000000000002, Unicorn 7ff8000000000002, qemu 7ff8000000000002
fadd 7ff0000000000003 7ff8000000000002: native 7ff8000000000003, Unicorn 7ff8000000000002, qemu 7ff8000000000003"
