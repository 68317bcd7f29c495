#!/usr/bin/env bash
# Unicorn 2.1.4 (PyPI) and qemu-x86_64-static 7.2 (Debian 12): x87's stack cannot overflow or underflow,
#   so that a forgotten EMMS passes, and code that is wrong on every processor tests well.
# Expected (Intel SDM, volume 1, "Using the EMMS Instruction" and "Stack Overflow or Underflow Exception":
#   an MMX instruction marks all eight registers as full; a load onto a full register, or the use of an
#   empty one, is an invalid operation: the default NaN, and IE and SF, 0x41, in the status word).
# Seen: the number that was loaded, or the one that was freed, and neither flag.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv unicorn==2.1.4
deb qemu-user-static 1:7.2+dfsg-
gcc -static -o native "$HERE/native.c"
cat >t.py <<'P'
import struct
from machine import control, native, qemu, unicorn

TEN, PI = "c703 0a000000 db03", "d9eb"  # mov dword [rbx],10; fild [rbx]; and fldpi
for name, op in (
    ("10 loaded after EMMS", "0ffec1 0f77" + TEN),
    ("10 loaded after MMX without EMMS", "0ffec1" + TEN),  # paddd mm0,mm1
    ("10 loaded as the ninth", PI * 8 + TEN),
    ("10 freed, then stored", TEN + "ddc0"),  # ffree st0
    ("10 popped, then added to 10", TEN * 2 + "ddd9 d8c7"),  # fstp st1; fadd st0,st7
):
    code = control(0x37F) + bytes.fromhex(op + "db7b20 dd7b2a")  # fstp [rbx+32]; fnstsw [rbx+42]
    print(name)
    for run in (native, unicorn, qemu):
        mantissa, exponent, status = struct.unpack_from("<QHH", run(code, bytes(32)))
        value = "NaN" if exponent & 0x7FFF == 0x7FFF else mantissa * 2 ** (exponent - 0x3FFF - 63)
        print(f"  {run.__name__}: {value} IE and SF {status & 0x41:#x}")
P
expect "x87" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"10 loaded after EMMS
  native: 10.0 IE and SF 0x0
  unicorn: 10.0 IE and SF 0x0
  qemu: 10.0 IE and SF 0x0
10 loaded after MMX without EMMS
  native: NaN IE and SF 0x41
  unicorn: 10.0 IE and SF 0x0
  qemu: 10.0 IE and SF 0x0
10 loaded as the ninth
  native: NaN IE and SF 0x41
  unicorn: 10.0 IE and SF 0x0
  qemu: 10.0 IE and SF 0x0
10 freed, then stored
  native: NaN IE and SF 0x41
  unicorn: 10.0 IE and SF 0x0
  qemu: 10.0 IE and SF 0x0
10 popped, then added to 10
  native: NaN IE and SF 0x41
  unicorn: 20.0 IE and SF 0x0
  qemu: 20.0 IE and SF 0x0"
