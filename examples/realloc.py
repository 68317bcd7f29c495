"""A realloc that copies nothing: mremap grows a block where it is, or moves its page tables.

There is room behind the block at first; once something lies there, it has to move. Its pages move
with it: the contents stay, and no page is faulted in anew.

Run:
    pkern run examples/realloc.py
Prints:
    16 kB -> 32 kB: in place
    32 kB -> 64 kB: moved, contents kept
    page faults while it moved: 0
    without MREMAP_MAYMOVE: ENOMEM
    the old place: SIGSEGV
    shrunk to 4 kB: b'page 0', the rest is gone: SIGSEGV
"""

import errno

from pkern import SegmentationFault


def is_gone(sys, addr):
    try:
        sys.load(addr, 1)
    except SegmentationFault:
        return "SIGSEGV"
    return "still there"


def main(sys):
    page = sys.PAGE_SIZE
    rw, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    place = sys.mmap(0, 32 * page, sys.PROT_NONE, flags)
    sys.munmap(place, 32 * page)  # so there is room behind what comes here
    block = sys.mmap(place, 4 * page, rw, flags | sys.MAP_FIXED)
    for number in range(4):
        sys.store(block + number * page, f"page {number}".encode())

    grown = sys.mremap(block, 4 * page, 8 * page, 0)
    print("16 kB -> 32 kB:", "in place" if grown == block else "moved")

    sys.mmap(block + 8 * page, page, sys.PROT_READ, flags | sys.MAP_FIXED)  # a neighbour
    faults = sys.getrusage().ru_minflt
    moved = sys.mremap(block, 8 * page, 16 * page, sys.MREMAP_MAYMOVE)
    faults = sys.getrusage().ru_minflt - faults
    kept = all(sys.load(moved + n * page, 6) == f"page {n}".encode() for n in range(4))
    print("32 kB -> 64 kB:", "moved," if moved != block else "in place,", "contents kept" * kept)
    print("page faults while it moved:", faults)

    sys.mmap(moved + 16 * page, page, sys.PROT_READ, flags | sys.MAP_FIXED)
    try:
        sys.mremap(moved, 16 * page, 32 * page, 0)
    except OSError as error:
        print("without MREMAP_MAYMOVE:", errno.errorcode[error.errno])
    print("the old place:", is_gone(sys, block))
    sys.mremap(moved, 16 * page, page, 0)
    print(f"shrunk to 4 kB: {sys.load(moved, 6)}, the rest is gone:", is_gone(sys, moved + page))
