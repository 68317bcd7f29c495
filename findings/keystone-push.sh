#!/usr/bin/env bash
# Keystone 0.9.2 (PyPI, keystone-engine): "push 0xffff" pushes -1, "push 0xffffffff" moves RSP by 2.
# Expected (Intel SDM, volume 2, "PUSH": imm8 and imm32 are sign-extended to 64 bits): 65535 needs
#   the form with imm32, 68 FF FF 00 00, as GNU as writes it; 0xffffffff has no form that pushes it,
#   and GNU as refuses it.
# Seen: 6A FF, which pushes FFFFFFFFFFFFFFFF; 66 68 FF FF, which pushes two bytes (Unicorn 2.1.4 runs
#   both, to show the stack). For 0x8000 and for ADD with the same constant the result is right.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv keystone-engine==0.9.2 unicorn==2.1.4
cat >t.py <<'P'
import keystone, unicorn
from unicorn.x86_const import UC_X86_REG_RAX, UC_X86_REG_RSP

ks = keystone.Ks(keystone.KS_ARCH_X86, keystone.KS_MODE_64)
for source in ("push 0x7f", "push 0x8000", "push 0xffff", "push 0xff80", "push 0xffffffff"):
    code = bytes(ks.asm(source)[0])
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(0x10000, 0x1000)
    uc.mem_write(0x1000, code)
    uc.reg_write(UC_X86_REG_RSP, 0x10100)
    uc.emu_start(0x1000, 0x1000 + len(code))
    size = 0x10100 - uc.reg_read(UC_X86_REG_RSP)
    print(source, "->", code.hex(" "), "pushes", uc.mem_read(0x10100 - size, size)[::-1].hex())
code = bytes(ks.asm("add rax, 0xffff")[0])
print("add rax, 0xffff ->", code.hex(" "))
P
expect "keystone" "$("$W/venv/bin/python" t.py)" \
"push 0x7f -> 6a 7f pushes 000000000000007f
push 0x8000 -> 68 00 80 00 00 pushes 0000000000008000
push 0xffff -> 6a ff pushes ffffffffffffffff
push 0xff80 -> 6a 80 pushes ffffffffffffff80
push 0xffffffff -> 66 68 ff ff pushes ffff
add rax, 0xffff -> 48 05 ff ff 00 00"
printf 'push $0xffff\n' | as -o t.o -
expect "as" "$(objdump -d t.o | sed -n 's/.*0:\t\(\([0-9a-f][0-9a-f] \)*\).*/\1/p')" "68 ff ff 00 00 "
