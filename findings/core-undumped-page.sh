#!/usr/bin/env bash
# pwntools 4.14.1 (PyPI) reads a page that a core file does not hold as zeroes; drgn 0.3.0 (PyPI) refuses.
# Expected (core(5), "Controlling which mappings are written to the core dump"): the contents of a
#   filtered mapping are not in the file, so nobody can know them; its segment has p_filesz 0 and
#   p_memsz as it was.
# Seen: Corefile.read() answers b"\0\0\0\0", drgn "memory not saved in core dump". (gdb 13.1 prints
#   zeroes, too.) elf(5) has the bytes beyond p_filesz be zero, core(5) has them unknown: one file,
#   two readings.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv pwntools==4.14.1 drgn==0.3.0
cat >t.py <<'P'
import core, drgn
from pwnlib.context import context
from pwnlib.elf.corefile import Corefile

context.log_level = "critical"
notes = core.nt_prstatus(7) + core.nt_prpsinfo(7) + core.nt_file([(0x20000000, 0x20001000, 0, "/data")])
core.write("t.core", notes, [(0x10000000, b"A" * 4096), (0x20000000, b"")])
pwn, program = Corefile("t.core"), drgn.Program()
program.set_core_dump("t.core")
for name, address in (("saved", 0x10000000), ("not saved", 0x20000000)):
    print(name, "pwntools", pwn.read(address, 4))
    try:
        print(name, "drgn", program.read(address, 4))
    except drgn.FaultError as error:
        print(name, "drgn", error)
P
export HOME=$W PWNLIB_NOTERM=1 PYTHONPATH=$HERE
expect "page" "$("$W/venv/bin/python" t.py)" \
"saved pwntools b'AAAA'
saved drgn b'AAAA'
not saved pwntools b'\\x00\\x00\\x00\\x00'
not saved drgn memory not saved in core dump: 0x20000000"
