#!/usr/bin/env bash
# Miasm 0.1.5 (PyPI): LZCNT runs as BSR and TZCNT as BSF, silently; CMPXCHG gets flags and accumulator wrong.
# Expected (Intel SDM, volume 2, "LZCNT": the number of leading zero bits, ZF if it is 0, CF if there was no one
#   bit; "TZCNT" alike; "CMPXCHG": CF, PF, AF, SF, OF as CMP sets them, and no more than AL is loaded by the
#   8-bit form): what this machine's processor and Unicorn 2.1.4 answer.
# Seen: 31 - LZCNT, and nothing at all of 0, which is where they are wanted; CMPXCHG leaves every flag but ZF
#   as it was, and its 8-bit form clears RAX's upper half.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv miasm==0.1.5 unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import logging, struct
from machine import native, unicorn
from miasm.analysis.machine import Machine
from miasm.core.locationdb import LocationDB

logging.disable()

def miasm(code, data):
    jitter = Machine("x86_64").jitter(LocationDB(), "python")
    jitter.vm.add_memory_page(0x1000, 7, code.ljust(0x1000, b"\x90"))
    jitter.vm.add_memory_page(0x10000, 3, data.ljust(0x1000, b"\0"))
    jitter.cpu.RBX, jitter.cpu.RSP = 0x10000, 0x11000
    jitter.add_breakpoint(0x1000 + len(code), lambda _: False)
    jitter.init_run(0x1000)
    jitter.continue_run()
    return jitter.vm.get_mem(0x10000 + len(data), 32)

BEFORE = "488b03 488b4b08 488b5310 ff7318 9d"  # rax, rcx, rdx and the flags
AFTER = "9c 48894320 8f4328"  # rax and the flags
COUNTED = ("CF", 1), ("ZF", 0x40)  # the others are undefined
COMPARED = *COUNTED, ("SF", 0x80), ("OF", 0x800)
for name, op, rax, rcx, rdx, flags, defined in (
    ("lzcnt eax,ecx of 1", "f30fbdc1", 7, 1, 0, 2, COUNTED),
    ("lzcnt eax,ecx of 0", "f30fbdc1", 7, 0, 0, 2, COUNTED),
    ("tzcnt eax,ecx of 1", "f30fbcc1", 7, 1, 0, 2, COUNTED),
    ("tzcnt eax,ecx of 0", "f30fbcc1", 7, 0, 0, 2, COUNTED),
    ("cmpxchg edx,ecx, 1 and 2", "0fb1ca", 1, 0, 2, 2, COMPARED),
    ("cmpxchg edx,ecx, equal, with CF and OF set", "0fb1ca", 2, 0, 2, 0x803, COMPARED),
    ("cmpxchg dl,cl", "0fb0ca", 0x1234567890ABCD01, 0, 2, 2, COMPARED),
):
    code, data = bytes.fromhex(BEFORE + op + AFTER), struct.pack("<4Q", rax, rcx, rdx, flags)
    print(name)
    for run in (native, unicorn, miasm):
        result, seen = struct.unpack_from("<QQ", run(code, data))
        names = [name for name, bit in defined if seen & bit]
        print(f"  {run.__name__}: rax {result:#x}", *names)
P
expect "x86" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py 2>/dev/null)" \
"lzcnt eax,ecx of 1
  native: rax 0x1f
  unicorn: rax 0x1f
  miasm: rax 0x0
lzcnt eax,ecx of 0
  native: rax 0x20 CF
  unicorn: rax 0x20 CF
  miasm: rax 0x7 ZF
tzcnt eax,ecx of 1
  native: rax 0x0 ZF
  unicorn: rax 0x0 ZF
  miasm: rax 0x0
tzcnt eax,ecx of 0
  native: rax 0x20 CF
  unicorn: rax 0x20 CF
  miasm: rax 0x7 ZF
cmpxchg edx,ecx, 1 and 2
  native: rax 0x2 CF SF
  unicorn: rax 0x2 CF SF
  miasm: rax 0x2
cmpxchg edx,ecx, equal, with CF and OF set
  native: rax 0x2 ZF
  unicorn: rax 0x2 ZF
  miasm: rax 0x2 CF ZF OF
cmpxchg dl,cl
  native: rax 0x1234567890abcd02 CF SF
  unicorn: rax 0x1234567890abcd02 CF SF
  miasm: rax 0x90abcd02"
