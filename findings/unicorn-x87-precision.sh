#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): x87 functions are computed in double precision, FPREM with wrong results.
# Expected (Intel SDM, volume 1, "Transcendental Instruction Accuracy"): an error below 1 ulp of the
#   80-bit format; (volume 2, "FPREM") the remainder is exact, no rounding ever takes place.
# Seen: the results of FSIN, F2XM1, FYL2X, FPATAN end in eleven zero bits, tens to thousands of ulp
#   off; the usual FPREM loop finds (2^63+2) mod 3 to be something else than 1. FSQRT is right.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4 mpmath==1.3.0
cat >t.py <<'P'
import struct
from mpmath import atan, floor, log, mp, mpf, sin, sqrt
from unicorn import Uc, UC_ARCH_X86, UC_MODE_64
from unicorn import x86_const as x

mp.prec = 200

def pack(value):  # an integer or a power of two as an 80-bit number
    exponent = int(floor(log(value, 2)))
    return struct.pack("<QH", int(value * mpf(2) ** (63 - exponent)), 0x3FFF + exponent)

def run(op, st0, st1):
    code = bytes.fromhex("db6b10 db2b" + op + "db7b20")  # fld st1; fld st0; op; fstp
    uc = Uc(UC_ARCH_X86, UC_MODE_64)
    uc.mem_map(0x1000, 0x1000)
    uc.mem_map(0x10000, 0x1000)
    uc.mem_write(0x1000, code)
    uc.mem_write(0x10000, pack(st0).ljust(16, b"\0") + pack(st1))
    uc.reg_write(x.UC_X86_REG_FPCW, 0x37F)
    uc.reg_write(x.UC_X86_REG_RBX, 0x10000)
    uc.emu_start(0x1000, 0x1000 + len(code), count=1000)
    mantissa, exponent = struct.unpack("<QH", uc.mem_read(0x10020, 10))
    return mantissa, mantissa * mpf(2) ** (exponent - 0x3FFF - 63), mpf(2) ** (exponent - 0x3FFF - 63)

for name, op, st0, st1, right in (
    ("fsqrt 2", "d9fa", 2, 1, sqrt(2)),
    ("fsin 1", "d9fe", 1, 1, sin(1)),
    ("f2xm1 0.5", "d9f0", mpf(0.5), 1, sqrt(2) - 1),
    ("fyl2x 3", "d9f1", 3, 1, log(3, 2)),
    ("fpatan 1/1", "d9f3", 1, 1, atan(1)),
):
    mantissa, value, ulp = run(op, st0, st1)
    error = abs(value - right) / ulp
    print(name, "within 1 ulp" if error <= 1 else "off by more than 10 ulp" if error > 10 else error,
          "a double" if mantissa % 2048 == 0 else "more than a double")
# fprem; fnstsw ax; test ah, 4; jnz back: until the processor says that the reduction is complete
_, value, _ = run("d9f8 dfe0 f6c404 75f7", 2**63 + 2, 3)
print("fprem (2^63+2) mod 3 =", int(value), "instead of", (2**63 + 2) % 3)
P
expect "x87" "$("$W/venv/bin/python" t.py)" \
"fsqrt 2 within 1 ulp more than a double
fsin 1 off by more than 10 ulp a double
f2xm1 0.5 off by more than 10 ulp a double
fyl2x 3 off by more than 10 ulp a double
fpatan 1/1 off by more than 10 ulp a double
fprem (2^63+2) mod 3 = 0 instead of 1"
