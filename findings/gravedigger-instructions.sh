#!/usr/bin/env bash
# gravedigger 0.1.0 (PyPI), an x86-64 debugger that runs the code in a processor of its own: CMOV whose condition does
#   not hold, and a shift by 0, keep the upper half of a register; OF after a shift by 1 is always clear.
# Expected (Intel SDM, volume 1, "General-Purpose Registers": 32-bit operands give a 32-bit result, zero-extended to 64
#   bits; volume 2, "CMOVcc": the upper 32 bits are cleared whatever the condition; "SAL/SAR/SHL/SHR": OF after SHL by
#   1 is the result's highest bit and CF not being the same, after SHR by 1 the operand's highest bit; the README: it
#   covers shifts and cmov, "RFLAGS with correct arithmetic/overflow/carry semantics", and says so of what it does not
#   know): what this machine's processor and Unicorn 2.1.4 answer.
# Seen: ffffffffffffffff for ffffffff, and 0 for OF, unsaid.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv gravedigger==0.1.0 unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import re, struct, subprocess, sys
from machine import native, unicorn

STORE = bytes.fromhex("488903")  # mov [rbx],rax
RET = b"\xc3"  # where gravedigger's "c" stops

def gravedigger(code):
    with open("code.bin", "wb") as file:
        file.write(code + RET)
    command = [f"{sys.prefix}/bin/gravedigger", "debug", "code.bin", "--raw"]
    said = subprocess.run(command, input="c\nr\nq\n", capture_output=True, text=True).stdout
    return "fault" if "fault" in said else f"{int(re.search('rax ([0-9a-f]{16})', said)[1], 16):x}"

ONES = 2**64 - 1
OVERFLOW = "0f90c0 0fb6c0"  # seto al; movzx eax,al
for name, code, rax, rcx in (
    ("cmp ecx,1; cmove eax,ecx of -1 and 1", "83f901 0f44c1", ONES, 1),
    ("cmp ecx,1; cmove eax,ecx of -1 and 0", "83f901 0f44c1", ONES, 0),
    ("shl eax,cl of -1 by 4", "d3e0", ONES, 4),
    ("shl eax,cl of -1 by 0", "d3e0", ONES, 0),
    ("shr eax,cl of -1 by 32", "d3e8", ONES, 32),
    ("rol eax,0 of -1", "c1c000", ONES, 0),
    ("add eax,eax of 0x40000000: OF", "01c0" + OVERFLOW, 0x40000000, 0),
    ("shl eax,1 of 0x40000000: OF", "d1e0" + OVERFLOW, 0x40000000, 0),
    ("shl eax,1 of 0x80000000: OF", "d1e0" + OVERFLOW, 0x80000000, 0),
    ("shr eax,1 of 0x80000000: OF", "d1e8" + OVERFLOW, 0x80000000, 0),
):
    program = b"\x48\xb8" + struct.pack("<Q", rax) + b"\x48\xb9" + struct.pack("<Q", rcx) + bytes.fromhex(code)
    seen = [f"{int.from_bytes(run(program + STORE, b'')[:8], 'little'):x}" for run in (native, unicorn)]
    print("{}: native {}, Unicorn {}, gravedigger {}".format(name, *seen, gravedigger(program)))
P
expect "x86" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"cmp ecx,1; cmove eax,ecx of -1 and 1: native 1, Unicorn 1, gravedigger 1
cmp ecx,1; cmove eax,ecx of -1 and 0: native ffffffff, Unicorn ffffffff, gravedigger ffffffffffffffff
shl eax,cl of -1 by 4: native fffffff0, Unicorn fffffff0, gravedigger fffffff0
shl eax,cl of -1 by 0: native ffffffff, Unicorn ffffffff, gravedigger ffffffffffffffff
shr eax,cl of -1 by 32: native ffffffff, Unicorn ffffffff, gravedigger ffffffffffffffff
rol eax,0 of -1: native ffffffff, Unicorn ffffffff, gravedigger ffffffffffffffff
add eax,eax of 0x40000000: OF: native 1, Unicorn 1, gravedigger 1
shl eax,1 of 0x40000000: OF: native 1, Unicorn 1, gravedigger 0
shl eax,1 of 0x80000000: OF: native 1, Unicorn 1, gravedigger 0
shr eax,1 of 0x80000000: OF: native 1, Unicorn 1, gravedigger 0"
