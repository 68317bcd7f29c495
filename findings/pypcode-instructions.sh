#!/usr/bin/env bash
# pypcode 3.3.3 (PyPI; Ghidra's description of x86-64, with which angr can lift): shifts of SSE2 by a register,
#   CVTPS2DQ, and 32-bit results of CMPXCHG8B, XCHG and LODSD mean something else than a processor does.
# Expected (Intel SDM, volume 2, "PSLLW/PSLLD/PSLLQ", "PSRAW/PSRAD": one count for all elements, the low 64 bits of the
#   source, above the width 0; "CVTPS2DQ": rounded as MXCSR says; volume 1, "General-Purpose Registers in 64-Bit Mode":
#   a 32-bit result clears the upper half): what this machine's processor and Unicorn 2.1.4 answer.
# Seen: PSLLQ and PSLLD take a count for each element from the same place in the source; PSRAD takes all 128 bits as
#   count; CVTPS2DQ truncates; the upper halves of RDX and RAX stay. PSRLQ is right. The p-code is run by the few lines
#   below, as Ghidra's "P-Code Reference Manual" has it. Known in part: Ghidra's issues 9325 and 9329.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv pypcode==3.3.3 unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import math, struct
from machine import native, unicorn
from pypcode import Context, OpCode

CONTEXT = Context("x86:LE:64:default")
DATA, STACK = 0x10000, 0x11000

def signed(value, size):
    return value - (1 << 8 * size) if value >> 8 * size - 1 else value

def shifted(value, size, count):
    return value << count if count < 8 * size else 0

def truncated(value, size):
    return math.trunc(struct.unpack("<f", value.to_bytes(size, "little"))[0])

MEANING = {  # of an operation: its inputs' values, each followed by its size in bytes
    OpCode.COPY: lambda a, n: a,
    OpCode.INT_ZEXT: lambda a, n: a,
    OpCode.SUBPIECE: lambda a, n, b, m: a >> 8 * b,
    OpCode.INT_ADD: lambda a, n, b, m: a + b,
    OpCode.INT_SUB: lambda a, n, b, m: a - b,
    OpCode.INT_MULT: lambda a, n, b, m: a * b,
    OpCode.INT_OR: lambda a, n, b, m: a | b,
    OpCode.INT_EQUAL: lambda a, n, b, m: a == b,
    OpCode.INT_LEFT: lambda a, n, b, m: shifted(a, n, b),
    OpCode.INT_RIGHT: lambda a, n, b, m: a >> b,
    OpCode.INT_SRIGHT: lambda a, n, b, m: signed(a, n) >> b,
    OpCode.FLOAT_TRUNC: truncated,
}

def pcode(code, data):
    """As native() and unicorn(): run it with RBX at the data, return the 32 bytes behind the data."""
    spaces = {}

    def put(space, offset, size, value):
        for i in range(size):
            spaces.setdefault(space, {})[offset + i] = value >> 8 * i & 255

    def get(space, offset, size):
        memory = spaces.setdefault(space, {})
        return int.from_bytes(bytes(memory.get(offset + i, 0) for i in range(size)), "little")

    def value(node):
        return node.offset if node.space.name == "const" else get(node.space.name, node.offset, node.size)

    def register(name, number):
        node = CONTEXT.registers[name]
        put(node.space.name, node.offset, node.size, number)

    def run(operations):
        at = 0
        while at < len(operations):
            operation, inputs, output = operations[at].opcode, operations[at].inputs, operations[at].output
            at += 1
            if operation in (OpCode.BRANCH, OpCode.CBRANCH):
                if operation == OpCode.BRANCH or value(inputs[1]):
                    at += signed(inputs[0].offset, inputs[0].size) - 1
            elif operation == OpCode.STORE:
                put("ram", value(inputs[1]), inputs[2].size, value(inputs[2]))
            elif operation == OpCode.LOAD:
                put(output.space.name, output.offset, output.size, get("ram", value(inputs[1]), output.size))
            elif output:  # an instruction's mark and LOCK have none
                operands = [part for node in inputs for part in (value(node), node.size)]
                put(output.space.name, output.offset, output.size, int(MEANING[operation](*operands)))

    register("RBX", DATA)
    register("RSP", STACK)
    put("ram", DATA, len(data), int.from_bytes(data, "little"))
    while code:
        operations = CONTEXT.translate(code, 0x1000, max_instructions=1).ops
        run(operations)
        code = code[operations[0].inputs[0].size :]
    return get("ram", DATA + len(data), 32).to_bytes(32, "little")

SSE = "0f1003 0f104b10 {} 0f114320"  # movups xmm0,[rbx]; movups xmm1,[rbx+16]; ...; movups [rbx+32],xmm0
RAX = "488b4308 {} 48894320"  # mov rax,[rbx+8]; ...; mov [rbx+32],rax
RDX = "488b4308 488b5310 {} 48895320"  # mov rax,[rbx+8]; mov rdx,[rbx+16]; ...; mov [rbx+32],rdx
for name, code, *words in (
    ("psllq xmm0,xmm1: 1, 1 by 17 (above it: 3)", SSE.format("660ff3c1"), 1, 1, 17, 3),
    ("pslld xmm0,xmm1: 1, 1, 1, 1 by 4", SSE.format("660ff2c1"), 0x100000001, 0x100000001, 4, 0),
    ("psrad xmm0,xmm1: 0, 256, 0, 256 by 4 (above it: 1)", SSE.format("660fe2c1"), 256, 256, 4, 1),
    ("psrlq xmm0,xmm1: 256, 256 by 4 (above it: 1)", SSE.format("660fd3c1"), 256, 256, 4, 1),
    ("cvtps2dq xmm0,xmm1: 0.75, 0.75, -1.75, 2", SSE.format("660f5bc1"), 0, 0, 0x3F4000003F400000, 0x40000000BFE00000),
    ("cmpxchg8b [rbx], not equal: rdx of -1", RDX.format("0fc70b"), 5, 6, 2**64 - 1, 0),
    ("xchg [rbx],eax: rax of -1", RAX.format("8703"), 5, 2**64 - 1, 0, 0),
    ("mov rsi,rbx; lodsd: rax of -1", RAX.format("4889de ad"), 5, 2**64 - 1, 0, 0),
):
    code, data = bytes.fromhex(code), struct.pack("<4Q", *words)
    answers = [struct.unpack_from("<2Q", run(code, data)) for run in (native, unicorn, pcode)]
    seen = ["{1:016x}{0:016x}".format(*answer).lstrip("0") or "0" for answer in answers]
    print(name)
    print("  native {}, Unicorn {}\n  pypcode {}".format(*seen))
P
expect "x86" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"psllq xmm0,xmm1: 1, 1 by 17 (above it: 3)
  native 200000000000000020000, Unicorn 200000000000000020000
  pypcode 80000000000020000
pslld xmm0,xmm1: 1, 1, 1, 1 by 4
  native 10000000100000001000000010, Unicorn 10000000100000001000000010
  pypcode 1000000010000000100000010
psrad xmm0,xmm1: 0, 256, 0, 256 by 4 (above it: 1)
  native 100000000000000010, Unicorn 100000000000000010
  pypcode 0
psrlq xmm0,xmm1: 256, 256 by 4 (above it: 1)
  native 100000000000000010, Unicorn 100000000000000010
  pypcode 100000000000000010
cvtps2dq xmm0,xmm1: 0.75, 0.75, -1.75, 2
  native 2fffffffe0000000100000001, Unicorn 2fffffffe0000000100000001
  pypcode 2ffffffff0000000000000000
cmpxchg8b [rbx], not equal: rdx of -1
  native 0, Unicorn 0
  pypcode ffffffff00000000
xchg [rbx],eax: rax of -1
  native 5, Unicorn 5
  pypcode ffffffff00000005
mov rsi,rbx; lodsd: rax of -1
  native 5, Unicorn 5
  pypcode ffffffff00000005"
