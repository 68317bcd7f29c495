#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): a new engine's x87 control word and MXCSR are 0.
# Expected (Intel SDM, volume 3, "Processor State Following Power-up, Reset, or INIT"): control word
#   0040h after reset and 037Fh after FINIT, MXCSR 1F80h, tag word 5555h. (Linux starts programs
#   with 037Fh and 1F80h.)
# Seen: the tag word is the one of that table, the other two are 0, which means single precision
#   and no exception masked; arithmetic does not know it yet: 1/3 has 64 bits. Storing the control
#   word and loading the same value again (as fesetround() does) makes it 24 bits.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
from unicorn import Uc, UC_ARCH_X86, UC_MODE_64
from unicorn import x86_const as x

def third(first):
    code = first + bytes.fromhex("d9e8 66c7030300 de33 db7b10")  # fld1; mov word [rbx], 3; fidiv; fstp
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(0x10000, 0x1000)
    uc.mem_write(0x1000, code)
    uc.reg_write(x.UC_X86_REG_RBX, 0x10000)
    uc.emu_start(0x1000, 0x1000 + len(code))
    return "%016x" % int.from_bytes(uc.mem_read(0x10010, 8), "little")

uc = Uc(UC_ARCH_X86, UC_MODE_64)
for name in ("FPTAG", "FPCW", "MXCSR"):
    print(name, "%04x" % uc.reg_read(getattr(x, "UC_X86_REG_" + name)))
print("1/3 in a new engine:", third(b""))
print("1/3 after FNSTCW m, FLDCW m:", third(bytes.fromhex("d93b d92b")))
print("1/3 after FNINIT, FNSTCW m, FLDCW m:", third(bytes.fromhex("dbe3 d93b d92b")))
P
expect "new engine" "$("$W/venv/bin/python" t.py)" \
"FPTAG 5555
FPCW 0000
MXCSR 0000
1/3 in a new engine: aaaaaaaaaaaaaaab
1/3 after FNSTCW m, FLDCW m: aaaaab0000000000
1/3 after FNINIT, FNSTCW m, FLDCW m: aaaaaaaaaaaaaaab"
