#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): code rewritten through a second mapping keeps running in its old form.
# Expected (Intel SDM, volume 3, "Self-Modifying Code"): whoever modifies code through another linear
#   address than the one it is fetched from executes a serializing instruction such as CPUID before
#   it runs, and then the new code runs. (unicorn.h: uc_mem_map_ptr() maps memory of the host; two
#   mappings of the same memory are how a JIT keeps writable and executable pages apart.)
# Seen: with CPUID in between, the old code runs; the very same store through the address that is
#   executed takes effect.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
cat >t.py <<'P'
import ctypes, mmap
from unicorn import Uc, UC_ARCH_X86, UC_MODE_64, UC_PROT_ALL
from unicorn import x86_const as x

RUN, ALIAS, STACK = 0x20000, 0x30000, 0x40000
shared = mmap.mmap(-1, 0x1000)
shared[:6] = bytes.fromhex("b801000000c3")  # mov eax, 1; ret
host = ctypes.addressof(ctypes.c_char.from_buffer(shared))

for name, written in (("executed address", RUN), ("alias", ALIAS)):
    shared[1] = 1
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(STACK, 0x1000)
    uc.mem_map_ptr(RUN, 0x1000, UC_PROT_ALL, host)
    uc.mem_map_ptr(ALIAS, 0x1000, UC_PROT_ALL, host)
    code = bytes.fromhex(
        "41ffd4 4189c5 c6430102"  # call r12; mov r13d, eax; mov byte [rbx+1], 2
        + "53 31c0 0fa2 5b"  # push rbx; xor eax, eax; cpuid; pop rbx
        + "41ffd4"  # call r12
    )
    uc.mem_write(0x1000, code)
    uc.reg_write(x.UC_X86_REG_R12, RUN)
    uc.reg_write(x.UC_X86_REG_RBX, written)
    uc.reg_write(x.UC_X86_REG_RSP, STACK + 0x1000)
    uc.emu_start(0x1000, 0x1000 + len(code))
    print("stored 2 through the", name + ":", "first call", uc.reg_read(x.UC_X86_REG_R13),
          "memory", uc.mem_read(RUN + 1, 1)[0], "second call", uc.reg_read(x.UC_X86_REG_EAX))
P
expect "code" "$("$W/venv/bin/python" t.py)" \
"stored 2 through the executed address: first call 1 memory 2 second call 2
stored 2 through the alias: first call 1 memory 2 second call 1"
