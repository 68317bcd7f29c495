"""A heap that is mapped page by page, by a handler of SIGSEGV: what a garbage collector does.

A large range is reserved without any right. The first touch of a page is SIGSEGV with SEGV_ACCERR;
the handler gives that page its rights, and the access is made again. A touch outside of the range
is not the handler's: it puts the default back, and the program would die of it.

Run:
    pkern run examples/lazy_heap.py
Prints:
    SEGV_ACCERR at page 3
    SEGV_ACCERR at page 700
    b'three' b'seven hundred'
    pages with rights: 2 of 1024
    outside of the heap: SIGSEGV, SEGV_MAPERR
"""

from pkern import SegmentationFault

PAGES = 1024


def main(sys):
    page = sys.PAGE_SIZE
    flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_NORESERVE
    heap = sys.mmap(0, PAGES * page, sys.PROT_NONE, flags)
    opened = []

    def grant(signo, info):
        number = (info.si_addr - heap) // page
        if not 0 <= number < PAGES:
            sys.rt_sigaction(sys.SIGSEGV, sys.SIG_DFL)
            return
        print("SEGV_ACCERR" if info.si_code == sys.SEGV_ACCERR else "?", "at page", number)
        sys.mprotect(heap + number * page, page, sys.PROT_READ | sys.PROT_WRITE)
        opened.append(number)

    sys.rt_sigaction(sys.SIGSEGV, grant)
    sys.store(heap + 3 * page, b"three")
    sys.store(heap + 700 * page + 5, b"seven hundred")
    print(sys.load(heap + 3 * page, 5), sys.load(heap + 700 * page + 5, 13))
    print(f"pages with rights: {len(opened)} of {PAGES}")
    try:
        sys.load(0x1000, 1)
    except SegmentationFault as fault:
        code = "SEGV_MAPERR" if fault.code == sys.SEGV_MAPERR else fault.code
        print(f"outside of the heap: SIGSEGV, {code}")
