"""The letter's story: two nonlinear windows over one file, and a truncate under both.

An emulator's guest has eight pages of RAM: a file. One window is Linux 2.6's, an ordinary mapping
whose pages are put in another order; the other is a special VMA, of which the kernel keeps no
books. The file is cut to two pages: the one loses what was cut off, the other goes on showing it.

Run:
    pkern run --sysctl vm.nonlinear=1 examples/letter.py
Prints:
    ordinary: 3 1 2 0   special: 5 2 7 0
    the file is cut to two pages
    ordinary: - 1 - 0   special: 5 2 7 0
"""

from pkern import BusError

PAGE = 4096


def main(sys):
    fd = sys.open("/tmp/ram", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.write(fd, b"".join(b"%d" % page * PAGE for page in range(8)))

    ordinary = sys.mmap(0, 4 * PAGE, sys.PROT_READ, sys.MAP_SHARED, fd, 0)
    sys.remap_file_pages(ordinary, PAGE, 0, 3, 0)
    sys.remap_file_pages(ordinary + 3 * PAGE, PAGE, 0, 0, 0)

    special = sys.mmap(0, 4 * PAGE, sys.PROT_READ, sys.MAP_SHARED | sys.MAP_NONLINEAR, -1, 0)
    for place, page in enumerate((5, 2, 7, 0)):
        sys.remap_file_pages(special + place * PAGE, PAGE, 0, page, 0, fd)

    def shown(window):
        return " ".join(look(sys, window + place * PAGE) for place in range(4))

    print("ordinary:", shown(ordinary), "  special:", shown(special))
    print("the file is cut to two pages")
    sys.ftruncate(fd, 2 * PAGE)
    print("ordinary:", shown(ordinary), "  special:", shown(special))


def look(sys, address):
    """Return the digit at an address; -: there is nothing any more (SIGBUS)."""
    try:
        return sys.load(address, 1).decode()
    except BusError:
        return "-"
