#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): hooks count an instruction twice that writes to its own block.
# Expected (unicorn.h: UC_HOOK_CODE "hook a range of code", UC_HOOK_BLOCK "hook basic blocks"): one
#   call of the code hook for each instruction executed, one of the block hook for each block entered.
# Seen: for INC of the next instruction's immediate byte the code hook is called twice, though the
#   byte goes from 1 to 2 only; the block hook reports three blocks, of which two were never jumped
#   to. Who counts either of them as time has a clock that depends on the translator.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
from unicorn import Uc, UC_ARCH_X86, UC_HOOK_BLOCK, UC_HOOK_CODE, UC_MODE_64
from unicorn import x86_const as x

code = bytes.fromhex("fe4301 b801000000 90")  # inc byte [rbx+1]; mov eax, 1; nop
for name, target in (("other page", 0x10000), ("next instruction", 0x1003)):
    blocks, instructions = [], []
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(0x10000, 0x1000)
    uc.mem_write(0x1000, code)
    uc.reg_write(x.UC_X86_REG_RBX, target)
    uc.hook_add(UC_HOOK_BLOCK, lambda uc, address, size, data: blocks.append(hex(address)))
    uc.hook_add(UC_HOOK_CODE, lambda uc, address, size, data: instructions.append(hex(address)))
    uc.emu_start(0x1000, 0x1000 + len(code))
    print("inc of", name, "eax", uc.reg_read(x.UC_X86_REG_EAX))
    print("  blocks", *blocks)
    print("  instructions", *instructions)
P
expect "hooks" "$("$W/venv/bin/python" t.py)" \
"inc of other page eax 1
  blocks 0x1000
  instructions 0x1000 0x1003 0x1008
inc of next instruction eax 2
  blocks 0x1000 0x1000 0x1003
  instructions 0x1000 0x1000 0x1003 0x1008"
