#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): a store across a page boundary that faults leaves its first bytes behind.
# Expected (Intel SDM, volume 3, "Exception Classifications"): a fault leaves the state of the
#   machine as it was before the faulting instruction, so that it can be restarted.
# Seen: RIP is that of the instruction, but 4 of the 8 bytes are in memory. An emulated kernel that
#   answers the fault with a signal shows the program memory that no processor would show it. A push
#   is no better; a read-modify-write is whole, for its load faults first.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
from unicorn import Uc, UcError, UC_ARCH_X86, UC_ERR_READ_UNMAPPED, UC_ERR_WRITE_UNMAPPED, UC_MODE_64
from unicorn import x86_const as x

ERRORS = {UC_ERR_READ_UNMAPPED: "load faults,", UC_ERR_WRITE_UNMAPPED: "store faults,"}
for name, code in (("mov [rax], rbx", "488918"), ("push rbx", "53"), ("add [rax], rbx", "480118")):
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(0x10000, 0x1000)  # and nothing at 0x11000
    uc.mem_write(0x1000, bytes.fromhex(code))
    uc.reg_write(x.UC_X86_REG_RAX, 0x10FFC)
    uc.reg_write(x.UC_X86_REG_RSP, 0x11004)
    uc.reg_write(x.UC_X86_REG_RBX, 0x1122334455667788)
    try:
        uc.emu_start(0x1000, 0x1000 + len(code) // 2)
    except UcError as error:
        print(name, ERRORS[error.errno], "rip", hex(uc.reg_read(x.UC_X86_REG_RIP)), "memory", uc.mem_read(0x10FFC, 4).hex())
P
expect "8 bytes at 0x10ffc, only 4 mapped" "$("$W/venv/bin/python" t.py)" \
"mov [rax], rbx store faults, rip 0x1000 memory 88776655
push rbx store faults, rip 0x1000 memory 88776655
add [rax], rbx load faults, rip 0x1000 memory 00000000"
