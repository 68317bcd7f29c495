"""A file is cut short under a window that shows it: SIGBUS, and a handler that mends it.

The mapping stays; its pages beyond the new end are gone. A touch of one is SIGBUS with the address
in si_addr. The handler makes the file long enough again, and the load is tried once more: it finds
zeroes, for what was cut away is lost.

Run:
    pkern run examples/truncate_sigbus.py
Prints:
    before: b'second page'
    without a handler: SIGBUS, BUS_ADRERR, at page 1
    the handler was called for page 1
    after: b'\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00'
    page 0 was never touched: b'first page'
"""

from pkern import BusError


def main(sys):
    page = sys.PAGE_SIZE
    fd = sys.open("/tmp/data", sys.O_RDWR | sys.O_CREAT, 0o600)
    sys.pwrite64(fd, b"first page", 0)
    sys.pwrite64(fd, b"second page", page)
    window = sys.mmap(0, 2 * page, sys.PROT_READ, sys.MAP_SHARED, fd)
    print("before:", sys.load(window + page, 11))

    sys.ftruncate(fd, page)
    try:
        sys.load(window + page, 11)
    except BusError as fault:
        reason = "BUS_ADRERR" if fault.code == sys.BUS_ADRERR else fault.code
        number = (fault.addr - window) // page
        print(f"without a handler: SIGBUS, {reason}, at page {number}")

    def mend(signo, info):
        print("the handler was called for page", (info.si_addr - window) // page)
        sys.ftruncate(fd, 2 * page)

    sys.rt_sigaction(sys.SIGBUS, mend)
    print("after:", sys.load(window + page, 11))
    print("page 0 was never touched:", sys.load(window, 10))
