#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): emulation stopped in a TLB-fill hook leaves behind a store whose instruction is
#   still to come: an addition to memory is made twice.
# Expected (unicorn.h: uc_emu_stop() may be called from a callback, and uc_emu_start() at the program
#   counter goes on): an instruction is executed once.
# Seen: the store that missed has been made, rip still names its instruction. Started again at rip, ADD to
#   memory adds a second time. A stop asked for at the load's miss does no harm.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
from unicorn import Uc, UC_ARCH_X86, UC_HOOK_TLB_FILL, UC_MODE_64, UC_PROT_ALL, UC_TLB_VIRTUAL
from unicorn import UC_MEM_READ, UC_MEM_WRITE, UC_PROT_EXEC, UC_PROT_READ, UC_PROT_WRITE
from unicorn import x86_const as x

code = bytes.fromhex("48830301 90 90")  # add qword [rbx], 1; nop; nop
READ = UC_PROT_READ | UC_PROT_EXEC

for name, stop_at in (("nothing", None), ("the load", UC_MEM_READ), ("the store", UC_MEM_WRITE)):
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.ctl_set_tlb_mode(UC_TLB_VIRTUAL)
    uc.mem_map(0x1000, 0x2000, UC_PROT_ALL)
    uc.mem_write(0x1000, code)
    uc.reg_write(x.UC_X86_REG_RBX, 0x2000)
    stops = []

    def fill(uc, address, access, entry, _):
        entry.paddr = address
        entry.perms = READ | (UC_PROT_WRITE if access == UC_MEM_WRITE else 0)
        if access == stop_at and not stops:
            stops.append(access)
            uc.emu_stop()
        return True

    uc.hook_add(UC_HOOK_TLB_FILL, fill)
    end = 0x1000 + len(code)
    starts = 0
    while uc.reg_read(x.UC_X86_REG_RIP) != end:
        uc.emu_start(uc.reg_read(x.UC_X86_REG_RIP) or 0x1000, end)
        starts += 1
    print("stopped at", name + ":", "starts", starts, "memory", uc.mem_read(0x2000, 1)[0])
P
expect "add" "$("$W/venv/bin/python" t.py)" \
"stopped at nothing: starts 1 memory 1
stopped at the load: starts 2 memory 1
stopped at the store: starts 2 memory 2"
