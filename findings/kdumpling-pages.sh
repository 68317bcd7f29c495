#!/usr/bin/env bash
# kdumpling 0.4.0 (PyPI): of its files in kdump's compressed format libkdumpfile 0.5.1 (Debian 12) reads no page.
# Expected (kdumpling's docstrings: "makedumpfile compatible"; its README: tested with libkdumpfile; makedumpfile's
#   IMPLEMENTATION, "The kdump-compressed format": two bitmaps of X blocks each, then the pages' headers in the order of
#   their numbers, the flags telling whether a page is compressed; libkdumpfile's diskdump.c: bitmap_blocks counts both
#   bitmaps, flag 1 is zlib, 2 LZO, 4 snappy): the pages that were added, as from its ELF files.
# Seen: bitmap_blocks counts one bitmap, so that every page is out of bounds. With that number doubled by hand the
#   pages of segments that were added from high to low are exchanged, unsaid; a page that zlib cannot shrink, and every
#   page of CompressionType.NONE, is marked as snappy's; a segment from mid-page on is moved to its beginning.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv kdumpling==0.4.0
deb python3-libkdumpfile 0.5.1-
deb libkdumpfile10 0.5.1-
deb liblzo2-2 2.10-
deb libsnappy1v5 1.1.9-
cat >t.py <<'P'
import random, struct
import kdumpfile
from kdumpling import KdumpBuilder
from kdumpling.builder import CompressionType, OutputFormat

BITMAP_BLOCKS = 436  # its place in disk_dump_header of 64 bits
LOW, HIGH = 0x100000, 0x200000
A, B, NOISE = b"A" * 4096, b"B" * 4096, random.Random(1).randbytes(4096)
FORMATS = {
    "ELF": (OutputFormat.ELF, CompressionType.NONE),
    "zlib": (OutputFormat.KDUMP_COMPRESSED, CompressionType.ZLIB),
    "none": (OutputFormat.KDUMP_COMPRESSED, CompressionType.NONE),
}

def read(dump, address, wanted):
    try:
        found = bytes(dump.read(kdumpfile.KDUMP_MACHPHYSADDR, address, 8))
    except kdumpfile.exceptions.KDumpBaseException as error:
        return str(error)
    return "as added" if found == wanted[:8] else repr(found)

def show(name, kind, segments, doubled=False):
    builder = KdumpBuilder(arch="x86_64")
    builder.set_vmcoreinfo("OSRELEASE=5.14.0\nPAGESIZE=4096\n")
    for address, data in segments:
        builder.add_memory_segment(phys_addr=address, data=data)
    builder.write("t.core", *FORMATS[kind])
    if doubled:
        with open("t.core", "r+b") as file:
            file.seek(BITMAP_BLOCKS)
            (blocks,) = struct.unpack("<I", file.read(4))
            file.seek(BITMAP_BLOCKS)
            file.write(struct.pack("<I", 2 * blocks))
    dump = kdumpfile.kdumpfile(file="t.core")
    found = [f"{address:#x} {read(dump, address, data)}" for address, data in segments]
    print(name, kind + (", doubled:" if doubled else ":"), *found, sep="  ")

for kind in FORMATS:
    show("low, high", kind, [(LOW, A), (HIGH, B)])
show("low, high", "zlib", [(LOW, A), (HIGH, B)], doubled=True)
show("high, low", "ELF", [(HIGH, B), (LOW, A)])
show("high, low", "zlib", [(HIGH, B), (LOW, A)], doubled=True)
show("noise", "zlib", [(LOW, NOISE), (HIGH, B)], doubled=True)
show("low, high", "none", [(LOW, A), (HIGH, B)], doubled=True)
show("mid-page", "ELF", [(LOW + 2048, A[:2048])])
show("mid-page", "zlib", [(LOW + 2048, A[:2048])], doubled=True)
P
libraries=$(echo "$W"/root/usr/lib/*-linux-gnu | tr ' ' :):$(echo "$W"/root/lib/*-linux-gnu | tr ' ' :)
export LD_LIBRARY_PATH=$libraries PYTHONPATH=$W/root/usr/lib/python3/dist-packages
expect "page" "$("$W/venv/bin/python" t.py)" \
"low, high  ELF:  0x100000 as added  0x200000 as added
low, high  zlib:  0x100000 Out-of-bounds PFN  0x200000 Out-of-bounds PFN
low, high  none:  0x100000 Out-of-bounds PFN  0x200000 Out-of-bounds PFN
low, high  zlib, doubled:  0x100000 as added  0x200000 as added
high, low  ELF:  0x200000 as added  0x100000 as added
high, low  zlib, doubled:  0x200000 b'AAAAAAAA'  0x100000 b'BBBBBBBB'
noise  zlib, doubled:  0x100000 Decompression failed: 2  0x200000 as added
low, high  none, doubled:  0x100000 Decompression failed: 1  0x200000 Decompression failed: 1
mid-page  ELF:  0x100800 as added
mid-page  zlib, doubled:  0x100800 b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'"
