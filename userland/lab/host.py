"""The host's own kernel, asked directly: mmap and remap_file_pages through ctypes.

Used to set a ratio beside ours; everything mapped here is unmapped again before it returns.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pkern.userland.lab.bench import PAGE

SYS_REMAP_FILE_PAGES = 216
PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE = 1, 2, 16, 32, 0x4000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long,) * 6


def mmap(addr: int, length: int, prot: int, flags: int, fd: int, offset: int) -> int:
    """Map on the host and return the address. Errors: OSError."""
    at = _libc.mmap(addr, length, prot, flags, fd, offset)
    if at == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "mmap")
    return int(at)


def munmap(addr: int, length: int) -> None:
    """Unmap on the host. Errors: OSError."""
    if _libc.munmap(addr, length):
        raise OSError(ctypes.get_errno(), "munmap")


def remap_file_pages(addr: int, size: int, pgoff: int) -> None:
    """Make the host's call 216. Errors: OSError."""
    if _libc.syscall(SYS_REMAP_FILE_PAGES, addr, size, 0, pgoff, 0):
        raise OSError(ctypes.get_errno(), "remap_file_pages")


def page_bytes(addr: int, nbytes: int) -> bytes:
    """Return what the host shows at addr."""
    return ctypes.string_at(addr, nbytes)


@contextmanager
def region(nbytes: int, prot: int, flags: int, fd: int = -1) -> Iterator[int]:
    """Map a region for the `with` block and unmap all of it at the end."""
    at = mmap(0, nbytes, prot, flags, fd, 0)
    try:
        yield at
    finally:
        munmap(at, nbytes)


@contextmanager
def memory_file(nr_pages: int) -> Iterator[int]:
    """Make a memfd whose pages all exist, for the `with` block."""
    fd = os.memfd_create("lab")
    try:
        for index in range(nr_pages):
            os.pwrite(fd, f"{index:08d}".encode().ljust(PAGE, b"\0"), index * PAGE)
        yield fd
    finally:
        os.close(fd)


def can_remap() -> bool:
    """Tell whether the host's kernel still has remap_file_pages."""
    try:
        remap_file_pages(PAGE, 0, 0)
    except OSError as error:
        return error.errno != errno.ENOSYS
    return True
