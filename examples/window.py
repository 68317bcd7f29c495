"""One window over three files: any page of any file at any place, in a single VMA.

An emulator's guest scatters its pages over its addresses. With ordinary mmap each page that is out
of order costs a VMA; the special VMA of MAP_NONLINEAR takes pages of several files, and each costs
one pte. The second half does the same with mmap and counts what it costs.

Run:
    pkern run --sysctl vm.nonlinear=1 examples/window.py
Prints:
    nonlinear: b'C1' b'A0' b'B1' b'A1' in 1 VMA
    the hole behind them: SIGBUS
    with mmap: b'C1' b'A0' b'B1' b'A1' in 4 VMAs
"""

from pkern import BusError

# What the window shows, page by page: file and page.
ORDER = [("C", 1), ("A", 0), ("B", 1), ("A", 1)]


def vmas_within(sys, start, length):
    """Count the VMAs in a range, as /proc/self/maps has them."""
    maps = sys.open("/proc/self/maps")
    starts = [int(line.split(b"-")[0], 16) for line in sys.read(maps, 65536).splitlines()]
    sys.close(maps)
    return sum(start <= one < start + length for one in starts)


def shown(sys, window):
    return " ".join(str(sys.load(window + i * sys.PAGE_SIZE, 2)) for i in range(len(ORDER)))


def main(sys):
    page = sys.PAGE_SIZE
    files = {}
    for name in "ABC":
        files[name] = sys.open(f"/tmp/{name}", sys.O_RDWR | sys.O_CREAT, 0o600)
        for number in range(2):
            sys.pwrite64(files[name], f"{name}{number}".encode(), number * page)

    length = 5 * page  # one page more than is filled: a hole
    window = sys.mmap(0, length, sys.PROT_READ, sys.MAP_SHARED | sys.MAP_NONLINEAR)
    for place, (name, number) in enumerate(ORDER):
        sys.remap_file_pages(window + place * page, page, 0, number, 0, files[name])
    print(f"nonlinear: {shown(sys, window)} in {vmas_within(sys, window, length)} VMA")
    try:
        sys.load(window + 4 * page, 1)
    except BusError:
        print("the hole behind them: SIGBUS")

    plain = sys.mmap(0, 4 * page, sys.PROT_NONE, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    for place, (name, number) in enumerate(ORDER):
        flags = sys.MAP_SHARED | sys.MAP_FIXED
        sys.mmap(plain + place * page, page, sys.PROT_READ, flags, files[name], number * page)
    print(f"with mmap: {shown(sys, plain)} in {vmas_within(sys, plain, 4 * page)} VMAs")
