#!/usr/bin/env bash
# LIEF 1.0.0 (PyPI): everything after the 10,000th segment of a core file is missing, unsaid.
# Expected (elf(5), "e_phnum" and PN_XNUM; lief's ELF tutorial: the parsed object's segments): as many
#   segments as the file has. A process may have 65,530 mappings (Linux's vm.max_map_count), and
#   each is a segment of its core file.
# Seen: 20,001 segments become 10,000, with the count 20,001 still in the header object; 70,001 (an
#   extended count) become 10,000, too, and the header says 65,535. pyelftools 0.33 finds them all.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv lief==1.0.0 pyelftools==0.33
cat >t.py <<'P'
import core, lief
from elftools.elf.elffile import ELFFile

lief.logging.set_level(lief.logging.LEVEL.WARN)
for count in (9_000, 20_000, 70_000):
    core.write("t.core", core.nt_prstatus(7), [(0x10000000 + i * 0x2000, b"") for i in range(count)])
    binary = lief.ELF.parse("t.core")
    with open("t.core", "rb") as file:
        print(count + 1, "segments; pyelftools:", ELFFile(file).num_segments(),
              "lief header:", binary.header.numberof_segments, "lief:", len(binary.segments))
P
expect "core file" "$(PYTHONPATH=$HERE "$W/venv/bin/python" t.py 2>&1)" \
"9001 segments; pyelftools: 9001 lief header: 9001 lief: 9001
20001 segments; pyelftools: 20001 lief header: 20001 lief: 10000
70001 segments; pyelftools: 70001 lief header: 65535 lief: 10000"
