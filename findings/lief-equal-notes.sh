#!/usr/bin/env bash
# LIEF 1.0.0 (PyPI): of a core file's notes that are equal only one is there.
# Expected (System V ABI, "Note Section": a note segment holds any number of entries; Linux writes one
#   NT_PRSTATUS and one NT_FPREGSET for each thread, in turn, and threads that have not calculated yet
#   have the same floating-point registers): as many notes as the file has; eu-readelf and pyelftools
#   list them all.
# Seen: a later note with an earlier one's name, type and content is missing, unsaid, so that threads
#   and their floating-point registers can no longer be matched: thread 8 has none.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv lief==1.0.0 pyelftools==0.33
cat >t.py <<'P'
import core, lief
from elftools.elf.elffile import ELFFile

start, used = core.note("CORE", 2, bytes(512)), core.note("CORE", 2, bytes(range(256)) * 2)
threads = ((7, start), (8, start), (9, used))
core.write("t.core", b"".join(core.nt_prstatus(tid) + fpregs for tid, fpregs in threads), [])
with open("t.core", "rb") as file:
    (segment,) = ELFFile(file).iter_segments("PT_NOTE")
    print("pyelftools", *[note["n_type"].removeprefix("NT_") for note in segment.iter_notes()])
binary = lief.ELF.parse("t.core")
print("lief", *[str(note.type).removeprefix("TYPE.CORE_") for note in binary.notes])
P
expect "notes" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"pyelftools PRSTATUS FPREGSET PRSTATUS FPREGSET PRSTATUS FPREGSET
lief PRSTATUS FPREGSET PRSTATUS PRSTATUS FPREGSET"
