#!/usr/bin/env bash
# dissect.executable 1.11 (PyPI): opening a file of the other byte order changes how the first one is read; a segment
#   that is patched is padded by the remainder; .bss has the bytes of what comes next in the file.
# Expected (elf(5): the byte order of a file is its own e_ident[EI_DATA]; SHT_NOBITS occupies no space in the file;
#   readelf): a file's segments are the same whatever else is open, 5 bytes padded to 16 are 16, .bss has no bytes.
# Seen: the byte order is one for all files of a class, that of the last opened, and segments are read when they are
#   asked for: 0x400000 becomes 0x400000000000, unsaid; 5 bytes are padded by 5 more.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv dissect.executable==1.11
gcc -x c -c -o bss.o - <<<'static char bss[8]; char *f(void) { return bss; }'
cat >t.py <<'P'
import struct
from dissect.executable import ELF

def write(path, order, data, machine, address):
    """Write a header and one PT_LOAD of it all, aligned to 16."""
    ident = b"\x7fELF" + bytes([2, data, 1]) + bytes(9)
    header = struct.pack(order + "HHI3QI6H", 2, machine, 1, address, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack(order + "II6Q", 1, 5, 0, address, address, 120, 120, 16)
    with open(path, "wb") as file:
        file.write(ident + header + segment)

def show(name, elf):
    segment = elf.segments[0]
    print(f"{name}: type {int(segment.type)}, address {segment.virtual_address:#x}, size {segment.size}")

write("amd64", "<", 1, 62, 0x400000)
write("ppc64", ">", 2, 21, 0x10000000)
with open("amd64", "rb") as little, open("ppc64", "rb") as big, open("bss.o", "rb") as file:
    show("amd64, alone", ELF(little))
    first, second = ELF(little), ELF(big)
    show("ppc64, opened second", second)
    show("amd64, opened first", first)
    segment = ELF(little).segments[0]
    segment.patch(b"patch")
    print(f"5 bytes, aligned to {segment.alignment}: {len(segment.data)}")
    (bss,) = ELF(file).sections.by_name(".bss")
    file.seek(bss.offset)
    behind = file.read(bss.size)
    print(f".bss is {bss.type}: {len(bss.data)} bytes, those of the next section: {bss.data == behind}")
P
"$W/venv/bin/python" t.py >seen
for file in amd64 ppc64; do
	readelf -lW $file | sed -n "s/^ *LOAD *[^ ]* *\([^ ]*\) .*/$file \1/p"
done >addresses
expect "readelf" "$(cat addresses)" \
"amd64 0x0000000000400000
ppc64 0x0000000010000000"
expect "dissect" "$(cat seen)" \
"amd64, alone: type 1, address 0x400000, size 120
ppc64, opened second: type 1, address 0x10000000, size 120
amd64, opened first: type 16777216, address 0x400000000000, size 8646911284551352320
5 bytes, aligned to 16: 10
.bss is SHT.NOBITS: 8 bytes, those of the next section: True"
