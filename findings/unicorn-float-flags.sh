#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): floating-point exceptions leave no flags, and unmasked ones do not fault.
# Expected (Intel SDM, volume 1, 8.5 and 11.5): SSE sets IE, DE, ZE, OE, UE, PE in MXCSR, x87 in its
#   status word; one of SSE's that is not masked is #XM, SIGFPE on Linux. The processor that the script
#   runs on is asked the same, by the same machine code.
# Seen: SSE sets none, so fetestexcept() answers 0 after any calculation; x87 sets ZE for a division
#   by zero, for 0 / 0 too, whose flag is IE, and nothing else; a DIVSD by zero with ZE unmasked goes
#   on. The results are right.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
for op in div mul; do # rdi: two doubles, MXCSR, x87's status word, the results
	cat >$op.s <<S
	ldmxcsr 16(%rdi)
	movsd (%rdi), %xmm0
	${op}sd 8(%rdi), %xmm0
	stmxcsr 16(%rdi)
	movsd %xmm0, 24(%rdi)
	fninit
	fldl (%rdi)
	f${op}l 8(%rdi)
	fstpl 32(%rdi)
	fnstsw 20(%rdi)
	ret
S
	gcc -c -o $op.o $op.s && objcopy -O binary -j .text $op.o $op.bin
done
cat >t.py <<'P'
import ctypes, mmap, os, signal, struct
from unicorn import Uc, UC_ARCH_X86, UC_MODE_64
from unicorn import x86_const as x

CODE, DATA, STACK, STOP = 0x1000, 0x2000, 0x3000, 0x1800
LAYOUT = struct.Struct("<ddIHxxdd")

def on_processor(code, data):
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory[: len(code)] = code
    buffer = ctypes.create_string_buffer(data, len(data))
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)(ctypes.addressof(buffer))
    return buffer.raw

def under_unicorn(code, data):
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(CODE, 0x3000)
    for address, content in ((CODE, code), (DATA, data), (STACK, struct.pack("<Q", STOP))):
        uc.mem_write(address, content)
    uc.reg_write(x.UC_X86_REG_RDI, DATA)
    uc.reg_write(x.UC_X86_REG_RSP, STACK)
    uc.emu_start(CODE, STOP)
    return bytes(uc.mem_read(DATA, len(data)))

def flags(word):
    return "+".join(name for bit, name in enumerate("IE DE ZE OE UE PE".split()) if word >> bit & 1) or "none"

def ends(run, code, data):
    pid = os.fork()
    if not pid:
        run(code, data)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else "goes on"

def code_of(op):
    with open(f"{op}.bin", "rb") as file:
        return file.read()

for a, op, b in ((0, "div", 0), (1, "div", 0), (1, "div", 3), (1e308, "mul", 1e308), (1e-308, "mul", 1e-308)):
    for where in (on_processor, under_unicorn):
        found = LAYOUT.unpack(where(code_of(op), LAYOUT.pack(a, b, 0x1F80, 0, 0, 0)))
        print(a, op, b, where.__name__, "SSE", flags(found[2]), "x87", flags(found[3]), *found[4:])
for where in (on_processor, under_unicorn):
    print("ZE unmasked,", where.__name__, ends(where, code_of("div"), LAYOUT.pack(1, 0, 0x1D80, 0, 0, 0)))
P
expect "flags" "$("$W/venv/bin/python" t.py)" \
"0 div 0 on_processor SSE IE x87 IE nan nan
0 div 0 under_unicorn SSE none x87 ZE nan nan
1 div 0 on_processor SSE ZE x87 ZE inf inf
1 div 0 under_unicorn SSE none x87 ZE inf inf
1 div 3 on_processor SSE PE x87 PE 0.3333333333333333 0.3333333333333333
1 div 3 under_unicorn SSE none x87 none 0.3333333333333333 0.3333333333333333
1e+308 mul 1e+308 on_processor SSE OE+PE x87 OE+PE inf inf
1e+308 mul 1e+308 under_unicorn SSE none x87 none inf inf
1e-308 mul 1e-308 on_processor SSE DE+UE+PE x87 DE+UE+PE 0.0 0.0
1e-308 mul 1e-308 under_unicorn SSE none x87 none 0.0 0.0
ZE unmasked, on_processor SIGFPE
ZE unmasked, under_unicorn goes on"
