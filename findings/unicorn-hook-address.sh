#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): in the mode where the user's hook translates addresses (UC_TLB_VIRTUAL), hooks of
#   reads and writes are given the physical address, and a range asked for is compared with it.
# Expected (unicorn.h: a memory hook's address is where memory is read or written; the program names virtual
#   addresses, and the instruction's hook is given one): 0x500010.
# Seen: 0x5010 for a load from 0x500010; the instruction's hook is given its virtual address 0x400000; a
#   hook limited to the page 0x500000 never comes, one limited to the physical page comes.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
from unicorn import Uc, UC_ARCH_X86, UC_HOOK_CODE, UC_HOOK_MEM_READ, UC_HOOK_MEM_WRITE
from unicorn import UC_HOOK_TLB_FILL, UC_MODE_64, UC_PROT_ALL, UC_TLB_VIRTUAL
from unicorn import x86_const as x

code = bytes.fromhex("488b03 488903 90")  # mov rax, [rbx]; mov [rbx], rax; nop
PAGES = {0x400000: 0x1000, 0x500000: 0x5000}  # virtual to physical

uc = Uc(UC_ARCH_X86, UC_MODE_64)
uc.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
uc.mem_map(0x1000, 0x5000, UC_PROT_ALL)
uc.mem_write(0x1000, code)
uc.reg_write(x.UC_X86_REG_RBX, 0x500010)
seen = []


def fill(uc, address, access, entry, _):
    entry.paddr, entry.perms = PAGES[address & ~0xFFF], UC_PROT_ALL
    return True


def note(name):
    return lambda uc, access, address, size, value, _: seen.append(f"{name} {address:#x}")


uc.hook_add(UC_HOOK_TLB_FILL, fill)
uc.hook_add(UC_HOOK_CODE, lambda uc, address, size, _: seen.append(f"code {address:#x}"))
uc.hook_add(UC_HOOK_MEM_READ, note("read"))
uc.hook_add(UC_HOOK_MEM_WRITE, note("write"))
uc.hook_add(UC_HOOK_MEM_READ, note("read, limited to the virtual page"), begin=0x500000, end=0x500FFF)
uc.hook_add(UC_HOOK_MEM_READ, note("read, limited to the physical page"), begin=0x5000, end=0x5FFF)
uc.emu_start(0x400000, 0x400006)
print("\n".join(seen))
P
expect "hooks" "$("$W/venv/bin/python" t.py)" \
"code 0x400000
read 0x5010
read, limited to the physical page 0x5010
code 0x400003
write 0x5010"
