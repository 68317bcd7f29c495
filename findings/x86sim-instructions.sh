#!/usr/bin/env bash
# x86sim 0.1.4 (PyPI; PTLsim's successor): everyday integer instructions compute other results than a processor.
# Expected (Intel SDM, volume 2, "XADD": the sum goes to the destination, last; "BTR": an offset given as a number is
#   taken modulo the operand's size; "RCL/RCR/ROL/ROR": SF, ZF, AF and PF stay as they are; "PSLLDQ": a count above 15
#   clears; volume 1, "MXCSR": the rounding of SSE): what this machine's processor and Unicorn 2.1.4 answer.
# Seen: the same in both of its cores: XADD of a register and itself leaves it as it was; BTR by 40 does nothing to EAX,
#   BTS and BTC set bit 40 of RAX; rotating sets SF; PSLLDQ by 200 takes the count modulo 16; SSE rounds to nearest
#   whatever MXCSR says.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv x86sim==0.1.4 unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import struct
from machine import native, unicorn
from x86sim import Machine, Prot

def x86sim(code, data, core):
    machine = Machine(core=core)
    machine.memmap(0x100000, Prot.RX, length=0x1000, data=code + b"\xcd\x80")  # int 0x80 stops it
    memory = machine.memmap(0x200000, Prot.RW, length=0x1000, data=data)
    machine.memmap(0x300000, Prot.RW, length=0x1000)
    machine.registers.rbx, machine.registers.rsp = 0x200000, 0x300800
    machine.registers.rip = 0x100000
    machine.run()
    return memory.read(size=len(data) + 32)[len(data) :]

def out_of_order(code, data):
    return x86sim(code, data, "ooo")

def sequential(code, data):
    return x86sim(code, data, "seq")

RAX = "488b03 488b4b08 ff7310 9d {} 48894320"  # rax, rcx and flags are loaded, rax is stored
ROUNDED = "0fae5310 f30f7e03 f20f5ac0 660fd64320"  # ldmxcsr; cvtsd2ss xmm0,xmm0
for name, code, first, second, third in (
    ("xadd rax,rax of 2", RAX.format("480fc1c0"), 2, 0, 2),
    ("xadd rax,rcx of 2 and 3", RAX.format("480fc1c8"), 2, 3, 2),
    ("btr eax,8 of 0xffff", RAX.format("0fbaf008"), 0xFFFF, 0, 2),
    ("btr eax,40 of 0xffff", RAX.format("0fbaf028"), 0xFFFF, 0, 2),
    ("bts eax,40 of 0", RAX.format("0fbae828"), 0, 0, 2),
    ("btc eax,40 of 0", RAX.format("0fbaf828"), 0, 0, 2),
    ("rol al,cl of 0x81 by 7: SF", RAX.format("d2c0 0f98c0 0fb6c0"), 0x81, 7, 2),
    ("ror ax,cl of 3 by 1: SF", RAX.format("66d3c8 0f98c0 0fb6c0"), 3, 1, 2),
    ("pslldq xmm0,200", "f30f7e03 660f73f8c8 660fd64320", 5, 0, 0),
    ("0.3 to single precision, rounded down", ROUNDED, 0x3FD3333333333333, 0, 0x3F80),
    ("1.1 to single precision, rounded down", ROUNDED, 0x3FF199999999999A, 0, 0x3F80),
):
    data = struct.pack("<4Q", first, second, third, 0)
    answers = (
        run(bytes.fromhex(code), data)[:8] for run in (native, unicorn, out_of_order, sequential)
    )
    seen = [f"{int.from_bytes(answer, 'little'):#x}" for answer in answers]
    print("{}: native {}, Unicorn {}, x86sim {} and {}".format(name, *seen))
P
expect "x86" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py 2>/dev/null)" \
"xadd rax,rax of 2: native 0x4, Unicorn 0x4, x86sim 0x2 and 0x2
xadd rax,rcx of 2 and 3: native 0x5, Unicorn 0x5, x86sim 0x5 and 0x5
btr eax,8 of 0xffff: native 0xfeff, Unicorn 0xfeff, x86sim 0xfeff and 0xfeff
btr eax,40 of 0xffff: native 0xfeff, Unicorn 0xfeff, x86sim 0xffff and 0xffff
bts eax,40 of 0: native 0x100, Unicorn 0x100, x86sim 0x10000000000 and 0x10000000000
btc eax,40 of 0: native 0x100, Unicorn 0x100, x86sim 0x10000000000 and 0x10000000000
rol al,cl of 0x81 by 7: SF: native 0x0, Unicorn 0x0, x86sim 0x1 and 0x1
ror ax,cl of 3 by 1: SF: native 0x0, Unicorn 0x0, x86sim 0x1 and 0x1
pslldq xmm0,200: native 0x0, Unicorn 0x0, x86sim 0x5 and 0x5
0.3 to single precision, rounded down: native 0x3fd333333e999999, Unicorn 0x3fd333333e999999, x86sim 0x3fd333333e99999a and 0x3fd333333e99999a
1.1 to single precision, rounded down: native 0x3ff199993f8ccccc, Unicorn 0x3ff199993f8ccccc, x86sim 0x3ff199993f8ccccd and 0x3ff199993f8ccccd"
