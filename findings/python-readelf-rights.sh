#!/usr/bin/env bash
# python-readelf 1.0.2 (PyPI: readelf): a segment's rights are read in the reverse order, and variables that start as 0
#   have the file's bytes as their value.
# Expected (elf(5), "Program header": PF_X, PF_W and PF_R are 1, 2 and 4; "Section header": SHT_NOBITS
#   "contains no bytes", and of .bss "the system initializes the data with zeros"; the README:
#   ProgramSegment.readable is "non-zero if the segment is readable", Section.content "raw section content"): binutils'
#   readelf shows R, RW and R E, and zeroes[] is 0.
# Seen: 1 is taken for readable and 4 for executable, so that constants and data can be executed and cannot be read;
#   only code's R E is the same both ways. The section .bss is what comes next in the file.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv readelf==1.0.2
cat >prog.c <<'C'
char zeroes[64], data[] = "data";

int main(void)
{
	return zeroes[0] + data[0];
}
C
gcc -o prog prog.c
cat >t.py <<'P'
from readelf import readelf

file = readelf("prog")
for segment in file.segments:
    if segment.type.name == "PT_LOAD":
        print(f"p_flags {segment.segment['flags']}: readable {bool(segment.readable)},",
              f"writable {bool(segment.writable)}, executable {bool(segment.executable)}")
bss = file.find_section(".bss")
with open("prog", "rb") as image:
    image.seek(bss.offset)
    next_in_file = image.read(bss.size)
print(".bss is all zeros:", not any(bss.content), "- as the file goes on:", bss.content == next_in_file)
symbols = file.find_section(".symtab")
for name in ("data", "zeroes"):
    print(name, "starts with zeros:", not any(symbols.get_symbol(name).value))
P
expect "binutils" "$(readelf -lW prog | sed -n 's/^  LOAD *\(0x[^ ]* *\)\{5\}\(.*[RWE]\) *0x.*/\2/p')" \
"R
R E
R
RW"
expect "python-readelf" "$("$W/venv/bin/python" t.py)" \
"p_flags 4: readable False, writable False, executable True
p_flags 5: readable True, writable False, executable True
p_flags 4: readable False, writable False, executable True
p_flags 6: readable False, writable True, executable True
.bss is all zeros: False - as the file goes on: True
data starts with zeros: False
zeroes starts with zeros: False"
