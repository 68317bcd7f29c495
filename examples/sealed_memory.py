"""Memory that is handed to others and cannot be pulled away: a memfd and its seals.

The maker fills the memory and seals it: it cannot shrink, grow or be written any more, by anyone,
the maker included. A reader that checks the seals needs no handler of SIGBUS.

Run:
    pkern run examples/sealed_memory.py
Prints:
    the reader sees b'configuration'
    F_GET_SEALS: SHRINK GROW WRITE SEAL
    write: EPERM
    ftruncate: EPERM
    a writable shared mapping: EPERM
    one more seal: EPERM
"""

import errno

SEALS = ("SHRINK", "GROW", "WRITE", "SEAL")


def refused(what, call, *arguments):
    try:
        call(*arguments)
        print(f"{what}: done")
    except OSError as error:
        print(f"{what}: {errno.errorcode[error.errno]}")


def main(sys):
    fd = sys.memfd_create("config", sys.MFD_ALLOW_SEALING)
    sys.write(fd, b"configuration")
    bits = {name: getattr(sys, f"F_SEAL_{name}") for name in SEALS}
    sys.fcntl(fd, sys.F_ADD_SEALS, sum(bits.values()))

    reader = sys.fork()
    addr = reader.mmap(0, 4096, sys.PROT_READ, sys.MAP_PRIVATE, fd)
    print("the reader sees", reader.load(addr, 13))
    seals = reader.fcntl(fd, sys.F_GET_SEALS)
    print("F_GET_SEALS:", *(name for name, bit in bits.items() if seals & bit))
    refused("write", sys.write, fd, b"x")
    refused("ftruncate", sys.ftruncate, fd, 0)
    rw = sys.PROT_READ | sys.PROT_WRITE
    refused("a writable shared mapping", sys.mmap, 0, 4096, rw, sys.MAP_SHARED, fd)
    refused("one more seal", sys.fcntl, fd, sys.F_ADD_SEALS, sys.F_SEAL_FUTURE_WRITE)
