#!/usr/bin/env bash
# pyelftools 0.33 (PyPI): the last note is lost if it has neither name nor description.
# Expected (System V ABI, "Note Section"): namesz 0 means no name, descsz 0 no description, and such an
#   entry of 12 bytes is an entry; eu-readelf lists it.
# Seen: iter_notes() yields it anywhere but at the end of the segment.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv pyelftools==0.33
cat >t.py <<'P'
import core
from elftools.elf.elffile import ELFFile

empty, named = core.note("", 0x77, b""), core.note("OWNER", 0x66, b"abcd")
for name, notes in (("empty, named", empty + named), ("named, empty", named + empty)):
    core.write("t.core", notes, [])
    with open("t.core", "rb") as file:
        (segment,) = ELFFile(file).iter_segments("PT_NOTE")
        print(name, "->", [hex(found.n_type) for found in segment.iter_notes()])
P
expect "notes" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py)" \
"empty, named -> ['0x77', '0x66']
named, empty -> ['0x66']"
