"""Huge pages: 2 MB at once, from a pool that is set aside, and promised before they are touched.

The pool has two. A mapping reserves what it may need, so that a later touch cannot fail; a third
page is refused at mmap already. One huge page is one fault, and one line of smaps tells its size.

Run:
    pkern run --ram 32M --sysctl vm.nr_hugepages=2 examples/huge_pages.py
Prints:
    at boot:       2 free, 0 reserved
    after mmap:    2 free, 2 reserved
    after a touch: 1 free, 1 reserved
    512 pages of 4 kB in 1 fault
    KernelPageSize: 2048 kB
    a third one: ENOMEM
    after munmap:  2 free, 0 reserved
"""

import errno

HUGE = 2 << 20


def text_of(sys, path):
    fd = sys.open(path)
    text = b"".join(iter(lambda: sys.read(fd, 65536), b"")).decode()
    sys.close(fd)
    return text


def show(sys, when):
    rows = dict(line.split(":") for line in text_of(sys, "/proc/meminfo").splitlines())
    free, reserved = (int(rows[f"HugePages_{name}"]) for name in ("Free", "Rsvd"))
    print(f"{when:14} {free} free, {reserved} reserved")


def main(sys):
    rw = sys.PROT_READ | sys.PROT_WRITE
    flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_HUGETLB
    if int(text_of(sys, "/proc/sys/vm/nr_hugepages")) < 2:
        raise SystemExit("it takes a pool of two, as its head says: --sysctl vm.nr_hugepages=2")
    show(sys, "at boot:")
    block = sys.mmap(0, 2 * HUGE, rw, flags)
    show(sys, "after mmap:")
    faults = sys.getrusage().ru_minflt
    sys.store(block, b"x")
    show(sys, "after a touch:")
    sys.load(block, HUGE)
    print("512 pages of 4 kB in", sys.getrusage().ru_minflt - faults, "fault")
    entry = text_of(sys, "/proc/self/smaps").split(f"{block:08x}-")[1]
    size = next(line for line in entry.splitlines() if line.startswith("KernelPageSize"))
    print("KernelPageSize:", " ".join(size.split()[1:]))
    try:
        sys.mmap(0, HUGE, rw, flags)
    except OSError as error:
        print("a third one:", errno.errorcode[error.errno])
    sys.munmap(block, 2 * HUGE)
    show(sys, "after munmap:")
