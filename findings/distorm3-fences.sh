#!/usr/bin/env bash
# distorm3 3.5.2 (PyPI): instructions that share 0F AE with the fences are shown as fences, with a memory operand.
# Expected (Intel SDM, volume 2, "CLWB": 66 0F AE /6 with memory; "CLFLUSHOPT": 66 0F AE /7 with memory;
#   "PTWRITE": F3 0F AE /4; "TPAUSE", "UMWAIT", "UMONITOR": 66, F2, F3 0F AE /6 with a register; "INCSSPD": F3 0F AE
#   /5 with a register; "MFENCE" has no operand at all): other names, or undefined. iced-x86 1.21.0 and
#   Capstone 5.0.9 have them right.
# Seen: the mandatory prefix is not looked at: code that writes lines back to memory reads as MFENCE [RBX] and SFENCE
#   [RBX], a wait as MFENCE, a write to the trace as XSAVE; UD1 is UD2 and a byte short.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv distorm3==3.5.2 iced-x86==1.21.0 capstone==5.0.9
cat >t.py <<'P'
import capstone, distorm3, iced_x86

capstone_x86 = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
formatter = iced_x86.Formatter(iced_x86.FormatterSyntax.NASM)
for code in ("0faef0", "660fae33", "660fae3b", "f30fae20", "f30faee8", "660faef0", "f20faef0", "f30faef0", "0fb9c1"):
    code = bytes.fromhex(code)
    padded = code + b"\x90"  # nop
    _, size, text, _ = distorm3.Decode(0, padded, distorm3.Decode64Bits)[0]
    iced = formatter.format(iced_x86.Decoder(64, padded).decode())
    other = next(capstone_x86.disasm(padded, 0)).mnemonic
    print(f"{code.hex(' ')}: iced-x86 {iced.split()[0]}, Capstone {other}, distorm3 {text}, {size} bytes")
P
expect "x86" "$("$W/venv/bin/python" t.py)" \
"0f ae f0: iced-x86 mfence, Capstone mfence, distorm3 MFENCE, 3 bytes
66 0f ae 33: iced-x86 clwb, Capstone clwb, distorm3 MFENCE [RBX], 4 bytes
66 0f ae 3b: iced-x86 clflushopt, Capstone clflushopt, distorm3 SFENCE [RBX], 4 bytes
f3 0f ae 20: iced-x86 ptwrite, Capstone ptwrite, distorm3 XSAVE [RAX], 4 bytes
f3 0f ae e8: iced-x86 incsspd, Capstone incsspd, distorm3 LFENCE, 4 bytes
66 0f ae f0: iced-x86 tpause, Capstone tpause, distorm3 MFENCE, 4 bytes
f2 0f ae f0: iced-x86 umwait, Capstone umwait, distorm3 MFENCE, 4 bytes
f3 0f ae f0: iced-x86 umonitor, Capstone umonitor, distorm3 MFENCE, 4 bytes
0f b9 c1: iced-x86 ud1, Capstone ud1, distorm3 UD2, 2 bytes"
