#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI): x87 stores wrong integers, decimals and constants where a number is out of range,
#   is negative zero or is rounded otherwise than to nearest.
# Expected (Intel SDM, volume 1, "Indefinite Integer and Packed BCD Values": what does not fit is stored
#   as the integer indefinite, 80..0, or the decimal one, FF FF C0 0..0; volume 2, "FBSTP": the sign of
#   zero is kept; "FXTRACT": of an infinity, infinity; "FLDPI": rounded as RC says; "FSCALE": 0 by an
#   infinite power is invalid): what this machine's processor answers to the same bytes of code.
# Seen: FISTTP stores the greatest integer, FISTP beside it the right one; FBSTP stores 0 for 10^18, the
#   last 18 digits of 2^63-1 for a NaN, +0 for -0; FXTRACT finds an infinity to be 2^16384; FLDPI and
#   FLDL2T ignore RC; FST makes a signalling NaN a shorter signalling one.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
gcc -o native "$HERE/native.c"
cat >t.py <<'P'
import struct
from machine import control, native, unicorn

def number(mantissa, exponent):  # the 80-bit format in 16 bytes
    return struct.pack("<QH6x", mantissa, exponent)

NEAREST, DOWN, UP = 0x37F, 0x77F, 0xB7F
ZERO, MINUS_ZERO, ONE = number(0, 0), number(0, 0x8000), number(1 << 63, 0x3FFF)
TWO63, TEN10, TEN18 = number(1 << 63, 0x403E), number(10**10 << 30, 0x4020), number(10**18 << 4, 0x403A)
INFINITY, SIGNALLING, NAN = (number(bits << 61, 0x7FFF) for bits in (4, 5, 6))
for name, size, op, st0, st1, word in (
    ("fistp m32 of 10^10", 4, "db5b20", TEN10, ONE, NEAREST),
    ("fisttp m32 of 10^10", 4, "db4b20", TEN10, ONE, NEAREST),
    ("fisttp m64 of 2^63", 8, "dd4b20", TWO63, ONE, NEAREST),
    ("fisttp m64 of a NaN", 8, "dd4b20", NAN, ONE, NEAREST),
    ("fbstp of -0", 10, "df7320", MINUS_ZERO, ONE, NEAREST),
    ("fbstp of 10^18", 10, "df7320", TEN18, ONE, NEAREST),
    ("fbstp of a NaN", 10, "df7320", NAN, ONE, NEAREST),
    ("fxtract's significand of infinity", 10, "d9f4 db7b20", INFINITY, ONE, NEAREST),
    ("fxtract's exponent of infinity", 10, "d9f4 ddd8 db7b20", INFINITY, ONE, NEAREST),
    ("fscale of 0 by infinity", 10, "d9fd db7b20", ZERO, INFINITY, NEAREST),
    ("fldpi, to nearest", 10, "d9eb db7b20", ONE, ONE, NEAREST),
    ("fldpi, down", 10, "d9eb db7b20", ONE, ONE, DOWN),
    ("fldl2t, up", 10, "d9e9 db7b20", ONE, ONE, UP),
    ("fstp m64 of a signalling NaN", 8, "dd5b20", SIGNALLING, ONE, NEAREST),
):
    code = control(word) + bytes.fromhex("db6b10 db2b" + op)  # fld st1; fld st0; op, to [rbx+32]
    seen, right = (run(code, st0 + st1)[:size][::-1].hex() for run in (unicorn, native))
    print(f"{name}: {seen}", "as the processor" if seen == right else f"instead of {right}")
P
expect "x87" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"fistp m32 of 10^10: 80000000 as the processor
fisttp m32 of 10^10: 7fffffff instead of 80000000
fisttp m64 of 2^63: 7fffffffffffffff instead of 8000000000000000
fisttp m64 of a NaN: 7fffffffffffffff instead of 8000000000000000
fbstp of -0: 00000000000000000000 instead of 80000000000000000000
fbstp of 10^18: 00000000000000000000 instead of ffffc000000000000000
fbstp of a NaN: 00223372036854775807 instead of ffffc000000000000000
fxtract's significand of infinity: 3fff8000000000000000 instead of 7fff8000000000000000
fxtract's exponent of infinity: 400d8000000000000000 instead of 7fff8000000000000000
fscale of 0 by infinity: 00000000000000000000 instead of ffffc000000000000000
fldpi, to nearest: 4000c90fdaa22168c235 as the processor
fldpi, down: 4000c90fdaa22168c235 instead of 4000c90fdaa22168c234
fldl2t, up: 4000d49a784bcd1b8afe instead of 4000d49a784bcd1b8aff
fstp m64 of a signalling NaN: 7ff4000000000000 instead of 7ffc000000000000"
