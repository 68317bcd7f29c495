#!/usr/bin/env bash
# minidump 0.0.24 (PyPI): the rest of a segment goes on into others, and a search of a segment ends before its end.
# Expected (the docstrings of MinidumpBufferedReader: read() returns "all the remaining data bytes from memory segment",
#   find_all() "all occurrences of a pattern in the current memory segment", find() searches it;
#   Microsoft's MINIDUMP_MEMORY64_LIST: the ranges follow each other in the file, each with its DataSize): bytes and
#   places of this segment, as the same package's unbuffered reader gives them.
# Seen: read() returns as many bytes as the segment's last address is a number, to the file's end; find_all() sees the
#   first 10 KiB of a segment above 20 KiB, and never the last byte; find() is a TypeError for every pattern.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
venv minidump==0.0.24
cat >t.py <<'P'
import struct
from minidump.minidumpfile import MinidumpFile

MODULE_LIST, SYSTEM_INFO, MEMORY64_LIST = 4, 7, 9
PAGE = 4096
SMALL, LARGE = 0x10000, 0x20000  # addresses of the two segments

def write_dump(path, segments):
    """A dump of a process that has this memory and no module."""
    names = struct.pack("<I2x", 0)  # an empty string: the service pack's name
    start = 32 + 3 * 12
    system = struct.pack("<3H2B5I2H24x", 9, 6, 0, 1, 1, 10, 0, 19041, 2, start, 0, 0)
    modules = struct.pack("<I", 0)
    ranges = b"".join(struct.pack("<QQ", address, len(data)) for address, data in segments)
    streams = [(SYSTEM_INFO, system), (MODULE_LIST, modules)]
    memory = start + len(names + system + modules) + 16 + len(ranges)
    streams.append((MEMORY64_LIST, struct.pack("<QQ", len(segments), memory) + ranges))
    directory, at = b"", start + len(names)
    for kind, content in streams:
        directory += struct.pack("<3I", kind, len(content), at)
        at += len(content)
    header = struct.pack("<4sIIIIIQ", b"MDMP", 0xA793, len(streams), 32, 0, 0, 2)
    with open(path, "wb") as file:
        file.write(header + directory + names + b"".join(content for _, content in streams))
        file.write(b"".join(data for _, data in segments))

large = bytearray(b"b" * 8 * PAGE)
for page in range(8):
    large[page * PAGE] = ord("X")
small = b"a" * (PAGE - 1) + b"X"
write_dump("t.dmp", [(SMALL, small), (LARGE, bytes(large))])
plain = MinidumpFile.parse("t.dmp").get_reader()
buffered = plain.get_buffered_reader()

buffered.move(SMALL + PAGE - 16)
print("the last 16 bytes:", plain.read(SMALL + PAGE - 16, 16))
print("read(16):", buffered.read(16))
buffered.move(SMALL + PAGE - 16)
rest = buffered.read()
print(f"read(): {len(rest)} bytes, {rest[:20]}...")
for name, address, size in ("small", SMALL, PAGE), ("large", LARGE, len(large)):
    buffered.move(address)
    everywhere = [place - address for place in plain.search(b"X") if address <= place < address + size]
    print(f"X in the {name} segment:", everywhere)
    print("find_all:", [place - address for place in buffered.find_all(b"X")])
try:
    print("find:", buffered.find(b"X"))
except TypeError as error:
    print("find:", error)
P
expect "dump" "$("$W/venv/bin/python" t.py)" \
"the last 16 bytes: b'aaaaaaaaaaaaaaaX'
read(16): b'aaaaaaaaaaaaaaaX'
read(): 32784 bytes, b'aaaaaaaaaaaaaaaXXbbb'...
X in the small segment: [4095]
find_all: []
X in the large segment: [0, 4096, 8192, 12288, 16384, 20480, 24576, 28672]
find_all: [0, 4096, 8192]
find: MinidumpBufferedMemorySegment.find() missing 1 required positional argument: 'startpos'"
