#!/usr/bin/env bash
# Capstone 5.0.9 (PyPI): ERETU and ERETS are shown as CLAC, and UD1 is one byte short.
# Expected (Intel's specification of FRED: ERETU is F3 0F 01 CA, ERETS F2 0F 01 CA; Intel SDM, volume 2,
#   "UD": UD1 r32, r/m32 is 0F B9 /r, with a ModRM byte): other instructions than CLAC (0F 01 CA), and UD1 with its operands; the
#   kernel's traps of the sanitizers are UD1 with a displacement, 67 0F B9 40 xx.
# Seen: CLAC for all three, in the middle of an entry path where CLAC is a likely sight; after UD1 the
#   operand is decoded as an instruction that swallows the next one. iced-x86 1.21.0 has them right.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv capstone==5.0.9 iced-x86==1.21.0
cat >t.py <<'P'
import capstone, iced_x86

capstone_x86 = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
formatter = iced_x86.Formatter(iced_x86.FormatterSyntax.INTEL)
for name, code in (("clac", "0f01ca"), ("eretu", "f30f01ca"), ("erets", "f20f01ca"),
                   ("ud1 eax,[eax+5]; mov eax,1; ret", "670fb94005b801000000c3")):
    code = bytes.fromhex(code)
    print(name)
    print("  capstone:", "; ".join(f"{i.mnemonic} {i.op_str}".strip() for i in capstone_x86.disasm(code, 0)))
    print("  iced-x86:", "; ".join(map(formatter.format, iced_x86.Decoder(64, code))))
P
expect "x86" "$("$W/venv/bin/python" t.py)" \
"clac
  capstone: clac
  iced-x86: clac
eretu
  capstone: clac
  iced-x86: eretu
erets
  capstone: clac
  iced-x86: erets
ud1 eax,[eax+5]; mov eax,1; ret
  capstone: ud1; add eax, 0x1b8; add bl, al
  iced-x86: ud1 eax,[eax+5]; mov eax,1; ret"
