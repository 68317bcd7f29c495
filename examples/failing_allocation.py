"""The nth allocation fails, for every n: does a program survive each, and is nothing half done?

/proc/self/fail-nth lets the nth allocation of memory in the kernel fail. The scenario is tried with
n = 1, 2, 3, ... until a run meets no failure any more. Every failure is ENOMEM, and the VMAs are
those of before. `pkern run --fail-nth N PROGRAM` does the same to any program.

Run:
    pkern run examples/failing_allocation.py
Prints:
    from n = 1: ENOMEM in mmap, nothing has changed
    later:      ENOMEM in mprotect, the mapping is whole
    at last:    no failure, 2 new VMAs
"""

import errno


def arm(sys, nth):
    fd = sys.open("/proc/self/fail-nth", sys.O_WRONLY)
    sys.write(fd, str(nth).encode())
    sys.close(fd)


def vmas(sys):
    fd = sys.open("/proc/self/maps")
    lines = sys.read(fd, 65536).decode().splitlines()
    sys.close(fd)
    return [line.split()[0] for line in lines]


def attempt(sys, nth):
    """Map two pages and part them by a protection; return what happened."""
    before = vmas(sys)
    flags = sys.MAP_SHARED | sys.MAP_ANONYMOUS
    arm(sys, nth)
    addr, call = 0, "mmap"
    try:
        addr = sys.mmap(0, 8192, sys.PROT_READ, flags)
        call = "mprotect"
        sys.mprotect(addr, 4096, sys.PROT_NONE)
        return f"no failure, {len(vmas(sys)) - len(before)} new VMAs"
    except OSError as error:
        name = errno.errorcode[error.errno]
    finally:
        arm(sys, 0)
    whole = f"{addr:x}-{addr + 8192:x}" in vmas(sys)
    state = "the mapping is whole" if addr and whole else "half of it is done"
    if not addr and vmas(sys) == before:
        state = "nothing has changed"
    if addr:
        sys.munmap(addr, 8192)
    return f"{name} in {call}, {state}"


def main(sys):
    results = []
    while not results or not results[-1].startswith("no failure"):
        results.append(attempt(sys, len(results) + 1))
    different = list(dict.fromkeys(results))
    for when, result in zip(("from n = 1:", "later:", "at last:"), different, strict=True):
        print(f"{when:11} {result}")
