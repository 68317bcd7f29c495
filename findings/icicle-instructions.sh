#!/usr/bin/env bash
# icicle-emu 0.0.11 (PyPI): x86-64 instructions with wrong results, some of them in everyday use.
# Expected (Intel SDM, volume 2): "SHR": after a shift by one OF is the operand's highest bit; "RCL": a count of 0
#   changes no flag; "CVTTSD2SI": NaN and what does not fit become the integer indefinite, 80..0; "CVTSD2SI": a
#   number becomes an integer, a half the even one; "PSLLW": a count beyond 15, all its 64 bits taken together, clears:
#   what this machine's processor and Unicorn 2.1.4 answer.
# Seen: OF is 0 after SHR; RCL of 64 bits gets CF wrong, by nothing too; what does not fit becomes 0 or the
#   greatest number; CVTSD2SI stores the bits of a rounded double, of 3 for 2.5; PSLLW and PSRAW take 32 bits
#   of the count.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv icicle-emu==0.0.11 unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import struct
import icicle as engine
from machine import native, unicorn

def icicle(code, data):
    vm = engine.Icicle("x86_64")
    vm.mem_map(0x1000, 0x1000, engine.MemoryProtection.ExecuteReadWrite)
    vm.mem_map(0x10000, 0x1000, engine.MemoryProtection.ReadWrite)
    vm.mem_write(0x1000, code)
    vm.mem_write(0x10000, data)
    vm.reg_write("RBX", 0x10000)
    vm.reg_write("RSP", 0x11000)
    vm.pc = 0x1000
    assert vm.run_until(0x1000 + len(code)) == engine.RunStatus.Breakpoint
    return vm.mem_read(0x10000 + len(data), 32)

def double(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]

MASKED = "c74328 801f0000 0fae5328"  # ldmxcsr, by way of [rbx+40]
RAX = "488b03 488b4b08 ff7310 9d {}"
XMM = MASKED + "f30f7e03 f30f7e4b08 {} 660fd64320"
INT = MASKED + "f20f1003 31c0 {} 48894320"
for name, code, first, second, carry in (
    ("shr rax,1: OF", RAX.format("48d1e8 0f904320"), 1 << 63, 0, 0),
    ("rcl rax,0 with CF set: CF", RAX.format("48c1d000 0f924320"), 5, 0, 1),
    ("rcl rax,4 of 0x1000000000000000: CF", RAX.format("48c1d004 0f924320"), 1 << 60, 0, 0),
    ("cvttsd2si rax,2^64", INT.format("f2480f2cc0"), double(2.0**64), 0, 0),
    ("cvttsd2si eax,NaN", INT.format("f20f2cc0"), double(float("nan")), 0, 0),
    ("cvtsd2si rax,2.5", INT.format("f2480f2dc0"), double(2.5), 0, 0),
    ("psllw by 64", XMM.format("660ff1c1"), 0x0001000200030004, 64, 0),
    ("psllw by 2^32", XMM.format("660ff1c1"), 0x0001000200030004, 1 << 32, 0),
    ("psraw by 2^32", XMM.format("660fe1c1"), 0x8001000200030004, 1 << 32, 0),
):
    data = struct.pack("<4Q", first, second, 2 | carry, 0)
    seen = (run(bytes.fromhex(code), data)[:8] for run in (native, unicorn, icicle))
    numbers = [f"{int.from_bytes(answer, 'little'):#x}" for answer in seen]
    print(f"{name}: native {numbers[0]}, Unicorn {numbers[1]}, icicle {numbers[2]}")
P
expect "x86" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"shr rax,1: OF: native 0x1, Unicorn 0x1, icicle 0x0
rcl rax,0 with CF set: CF: native 0x1, Unicorn 0x1, icicle 0x0
rcl rax,4 of 0x1000000000000000: CF: native 0x1, Unicorn 0x1, icicle 0x0
cvttsd2si rax,2^64: native 0x8000000000000000, Unicorn 0x8000000000000000, icicle 0x7fffffffffffffff
cvttsd2si eax,NaN: native 0x80000000, Unicorn 0x80000000, icicle 0x0
cvtsd2si rax,2.5: native 0x2, Unicorn 0x2, icicle 0x4008000000000000
psllw by 64: native 0x0, Unicorn 0x0, icicle 0x0
psllw by 2^32: native 0x0, Unicorn 0x0, icicle 0x1000200030004
psraw by 2^32: native 0xffff000000000000, Unicorn 0xffff000000000000, icicle 0x8001000200030004"
