"""A magic ring buffer: one page of memory mapped twice in a row, so that no access is ever cut.

A ring of one page lies at two neighbouring addresses. What is written over the end of the first
mapping goes on at its beginning, because both show the same page: no copy, no modulo.

Run:
    pkern run examples/ring_buffer.py
Prints:
    written over the edge: b'abcdefgh'
    at the beginning:      b'efgh'
    /proc/self/maps: rw-s offset 0, rw-s offset 0, the same inode
"""


def main(sys):
    size = sys.PAGE_SIZE
    ring = sys.memfd_create("ring")
    sys.ftruncate(ring, size)

    # Room for both first, so that nothing else can come between them.
    start = sys.mmap(0, 2 * size, sys.PROT_NONE, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    for place in (start, start + size):
        flags = sys.MAP_SHARED | sys.MAP_FIXED
        sys.mmap(place, size, sys.PROT_READ | sys.PROT_WRITE, flags, ring, 0)

    sys.store(start + size - 4, b"abcdefgh")
    print("written over the edge:", sys.load(start + size - 4, 8))
    print("at the beginning:     ", sys.load(start, 4))

    maps = sys.open("/proc/self/maps")
    lines = [line.split() for line in sys.read(maps, 65536).splitlines() if b"memfd" in line]
    shown = [f"{line[1].decode()} offset {int(line[2], 16)}" for line in lines]
    inodes = {line[4] for line in lines}
    print(f"/proc/self/maps: {', '.join(shown)}, the same inode" * (len(inodes) == 1))
