#!/usr/bin/env bash
# pwntools 4.15.0 (PyPI) takes a core file's last thread for the one that died; drgn 0.3.0 (PyPI) the first.
# Expected (Linux's fs/binfmt_elf.c and gdb: the first NT_PRSTATUS is that of the thread that the signal
#   ended, the other threads follow; pwntools' documentation: Corefile.pid is the "PID of the process
#   which created the core dump", Corefile.pc and .sp its program counter and stack pointer): pid 7,
#   the instruction that faulted.
# Seen: with one thread it is so; with others pid, pc, sp and registers are those of whichever thread
#   stands last, which slept, while fault_addr and signal are still those of the first.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv pwntools==4.15.0 drgn==0.3.0
cat >t.py <<'P'
import core, drgn, struct
from pwnlib.context import context
from pwnlib.elf.corefile import Corefile

context.log_level = "critical"
siginfo = core.note("CORE", 0x53494749, struct.pack("<iiixxxxQ", 11, 0, 1, 0xBAD).ljust(128, b"\0"))
files = core.nt_file([(0x20000000, 0x20001000, 0, "/data")])
for others in ([], [core.nt_prstatus(8, 0x2000), core.nt_prstatus(9, 0x3000)]):
    notes = core.nt_prstatus(7, 0x1000) + core.nt_prpsinfo(7) + siginfo + files + b"".join(others)
    core.write("t.core", notes, [(0x10000000, b"A" * 4096)])
    pwn, program = Corefile("t.core"), drgn.Program()
    program.set_core_dump("t.core")
    print(1 + len(others), "threads: pwntools pid", pwn.pid, "pc", hex(pwn.pc), "sp", hex(pwn.sp),
          "fault", hex(pwn.fault_addr), "drgn", program.crashed_thread().tid)
P
export HOME=$W PWNLIB_NOTERM=1 PYTHONPATH=$HERE
expect "core file" "$("$W/venv/bin/python" t.py)" \
"1 threads: pwntools pid 7 pc 0x1010 sp 0x1013 fault 0xbad drgn 7
3 threads: pwntools pid 9 pc 0x3010 sp 0x3013 fault 0xbad drgn 7"
