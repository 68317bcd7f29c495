#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): BZHI, BEXTR and PDEP give wrong results, BLSI a wrong carry.
# Expected (Intel SDM, volume 2, "BZHI": an index of the operand's size or more leaves it as it is, and sets
#   CF; "BEXTR": a length beyond the operand takes all the rest; "PDEP": a 32-bit form clears the destination's
#   upper half; "BLSI": CF is set if the source is not zero): what this machine's processor answers.
# Seen: index and length end at 63, in 32-bit forms at 31, so that "all bits" are one too few; PDEP with 32-bit
#   operands takes the mask's upper half too; BZHI sets CF one index early, BLSI where it should not and
#   the reverse. UC_CPU_X86_HASWELL offers both groups in CPUID. qemu 7.2 still has BLSI's fault.
#   (Wanted: a processor with BMI1 and BMI2.)
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
deb qemu-user-static 1:7.2+dfsg-
gcc -static -o native "$HERE/native.c"
cat >t.py <<'P'
import struct
from machine import native, qemu, unicorn

ONES = 2**64 - 1
START = "488b13 488b4308"  # rdx = the first operand, rax = the second
END = "48894320 9f 886328"  # the result at +32, SF ZF AF PF CF at +40
for name, op, first, second in (
    ("bzhi rax,rdx,rax of all ones, from bit 63", "c4e2f8f5c2", ONES, 63),
    ("bzhi rax,rdx,rax of all ones, from bit 64", "c4e2f8f5c2", ONES, 64),
    ("bzhi eax,edx,eax of all ones, from bit 32", "c4e278f5c2", ONES, 32),
    ("bextr rax,rdx,rax of all ones, from bit 0, 63 bits", "c4e2f8f7c2", ONES, 63 << 8),
    ("bextr rax,rdx,rax of all ones, from bit 0, 64 bits", "c4e2f8f7c2", ONES, 64 << 8),
    ("pdep eax,edx,eax with the mask 0xf0000000f", "c4e26bf5c0", 0xFF, 0xF0000000F),
    ("blsi rax,rax of 0x28", "c4e2f8f3d8", 0, 0x28),
    ("blsi rax,rax of 0", "c4e2f8f3d8", 0, 0),
):
    print(name)
    for run in (native, unicorn, qemu):
        answer = run(bytes.fromhex(START + op + END), struct.pack("<4Q", first, second, 0, 0))
        result, flags = struct.unpack_from("<QB", answer)
        print(f"  {run.__name__}: {result:#x} CF {flags & 1}")
P
expect "bmi" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"bzhi rax,rdx,rax of all ones, from bit 63
  native: 0x7fffffffffffffff CF 0
  unicorn: 0x7fffffffffffffff CF 1
  qemu: 0x7fffffffffffffff CF 0
bzhi rax,rdx,rax of all ones, from bit 64
  native: 0xffffffffffffffff CF 1
  unicorn: 0x7fffffffffffffff CF 1
  qemu: 0xffffffffffffffff CF 1
bzhi eax,edx,eax of all ones, from bit 32
  native: 0xffffffff CF 1
  unicorn: 0x7fffffff CF 1
  qemu: 0xffffffff CF 1
bextr rax,rdx,rax of all ones, from bit 0, 63 bits
  native: 0x7fffffffffffffff CF 0
  unicorn: 0x7fffffffffffffff CF 0
  qemu: 0x7fffffffffffffff CF 0
bextr rax,rdx,rax of all ones, from bit 0, 64 bits
  native: 0xffffffffffffffff CF 0
  unicorn: 0x7fffffffffffffff CF 0
  qemu: 0xffffffffffffffff CF 0
pdep eax,edx,eax with the mask 0xf0000000f
  native: 0xf CF 0
  unicorn: 0xf0000000f CF 0
  qemu: 0xf CF 0
blsi rax,rax of 0x28
  native: 0x8 CF 1
  unicorn: 0x8 CF 0
  qemu: 0x8 CF 0
blsi rax,rax of 0
  native: 0x0 CF 0
  unicorn: 0x0 CF 1
  qemu: 0x0 CF 1"
