"""Copy on write, seen in /proc/PID/smaps: what parent and child share, and what a store parts.

After fork both show the same pages: Shared_Dirty. A store copies the one page that it meets, and
only that; the other side keeps the old one.

Run:
    pkern run examples/copy_on_write.py
Prints:
    before fork:  Rss   64 kB  Private_Dirty   64 kB  Shared_Dirty    0 kB  Pss   64 kB
    after fork:   Rss   64 kB  Private_Dirty    0 kB  Shared_Dirty   64 kB  Pss   32 kB
    one store:    Rss   64 kB  Private_Dirty    4 kB  Shared_Dirty   60 kB  Pss   34 kB
    parent sees b'new', child sees b'old'
    child's end:  Rss   64 kB  Private_Dirty   64 kB  Shared_Dirty    0 kB  Pss   64 kB
"""

FIELDS = ("Rss", "Private_Dirty", "Shared_Dirty", "Pss")


def smaps(sys, addr):
    """Return the fields, in kB, of the VMA that begins at addr."""
    fd = sys.open("/proc/self/smaps")
    text = b"".join(iter(lambda: sys.read(fd, 65536), b"")).decode()
    sys.close(fd)
    entry = text[text.index(f"{addr:08x}-") :].split("VmFlags")[0]
    rows = dict(line.split(":", 1) for line in entry.splitlines()[1:])
    return {name: int(rows[name].split()[0]) for name in FIELDS}


def show(sys, addr, when):
    sizes = smaps(sys, addr)
    print(f"{when:13}", "  ".join(f"{name} {sizes[name]:4} kB" for name in FIELDS))


def main(sys):
    page = sys.PAGE_SIZE
    flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    addr = sys.mmap(0, 16 * page, sys.PROT_READ | sys.PROT_WRITE, flags)
    for number in range(16):
        sys.store(addr + number * page, b"old")
    show(sys, addr, "before fork:")
    child = sys.fork()
    show(sys, addr, "after fork:")
    sys.store(addr, b"new")
    show(sys, addr, "one store:")
    print(f"parent sees {sys.load(addr, 3)}, child sees {child.load(addr, 3)}")
    child.exit()
    show(sys, addr, "child's end:")
