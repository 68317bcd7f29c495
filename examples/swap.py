"""Swap, as mincore and /proc/self/pagemap tell it: which pages are in memory, which are out.

Six megabytes on a machine of four: the pages that were not used for longest go to swap. pagemap has
one word a page: bit 63 present, bit 62 in swap. A load brings a page back; nothing is lost.

Run:
    pkern run --ram 4M --swap 8M examples/swap.py
Prints:
    mincore and pagemap agree: True
    page 0 is in swap: True
    the last page is in memory: True
    each page holds what it held: True
    page 0 came back: True
    major faults: True
"""

from struct import unpack

PAGES = 1536


def pagemap(sys, addr, pages):
    """Return (present, swapped) for each page, from /proc/self/pagemap."""
    fd = sys.open("/proc/self/pagemap")
    data = sys.pread64(fd, 8 * pages, addr // sys.PAGE_SIZE * 8)
    sys.close(fd)
    return [(word >> 63 & 1, word >> 62 & 1) for word in unpack(f"<{pages}Q", data)]


def main(sys):
    page = sys.PAGE_SIZE
    if sys.sysinfo().totalram * sys.sysinfo().mem_unit > 4 << 20 or not sys.sysinfo().totalswap:
        raise SystemExit(
            "it takes more than there is: pkern run --ram 4M --swap 8M examples/swap.py"
        )
    rw, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    addr = sys.mmap(0, PAGES * page, rw, flags)
    for number in range(PAGES):
        sys.store(addr + number * page, number.to_bytes(2, "little"))

    where = pagemap(sys, addr, PAGES)
    core = sys.mincore(addr, PAGES * page)
    present = [bit for bit, _ in where]
    print("mincore and pagemap agree:", all(p <= c for p, c in zip(present, core, strict=True)))
    print("page 0 is in swap:", where[0] == (0, 1))
    print("the last page is in memory:", where[-1] == (1, 0))
    read = (sys.load(addr + number * page, 2) for number in range(PAGES))
    same = all(int.from_bytes(data, "little") == number for number, data in enumerate(read))
    print("each page holds what it held:", same)
    sys.load(addr, 1)
    print("page 0 came back:", pagemap(sys, addr, 1) == [(1, 0)])
    print("major faults:", sys.getrusage().ru_majflt > 0)
