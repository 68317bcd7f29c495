"""Swap areas: which there are, where they lie, and their headers.

Owns names, priorities and the host's descriptors; slots and the swap cache are the core's. An
area is memory of the machine's owner (a device made at boot, already formatted) or a file on a
host directory that mkswap has prepared.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import Protocol

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_INFO, Log
from pkern.kernel.mm.memory import PAGE_BYTES as PAGE_SIZE
from pkern.kernel.mm.memory import Memory
from pkern.kernel.values import NamedTuple

SIGNATURE = b"SWAPSPACE2"
HEADER_AT = 1024  # version, last_page, nr_badpages: three 32-bit words
VERSION = 1
SWAP_FLAG_PREFER, SWAP_FLAG_PRIO_MASK = 0x8000, 0x7FFF
SWAP_FLAGS_VALID = 0x7FFFF  # with the DISCARD bits, which have nothing to do here
FIRST_PRIORITY = -2

COPY_BYTES = 1 << 20  # at once
LEAST_BYTES = 2 * PAGE_SIZE  # a header and a page
MOST_BYTES = (0xFFFFFFFF >> lib.SWAP_TYPE_BITS) * PAGE_SIZE


def header(nr_pages: int) -> bytes:
    """Return the first page of a swap area of nr_pages (with this one), as mkswap writes it."""
    page = bytearray(PAGE_SIZE)
    struct.pack_into("<III", page, HEADER_AT, VERSION, nr_pages - 1, 0)
    page[-len(SIGNATURE) :] = SIGNATURE
    return bytes(page)


def pages_of(first_page: bytes, size: int) -> int:
    """Return the pages of an area, with its header, from its first page and its size in bytes.

    Errors: EINVAL: not a swap area, or longer than what holds it.
    """
    if first_page[-len(SIGNATURE) :] != SIGNATURE:
        raise SyscallError(errno.EINVAL)
    version, last_page, bad = struct.unpack_from("<III", first_page, HEADER_AT)
    if version != VERSION or bad or not 0 < last_page < size // PAGE_SIZE:
        raise SyscallError(errno.EINVAL)
    return int(last_page) + 1


def _filled(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Give the parts [start, end) of a file that are no hole."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole is left
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, end


def _copy(source: int, target: int, start: int, end: int) -> None:
    for at in range(start, end, COPY_BYTES):
        os.pwrite(target, os.pread(source, min(COPY_BYTES, end - at), at), at)


class Holder(Protocol):
    """The inode of a device or file that swap may lie on."""

    @property
    def kind(self) -> str: ...
    @property
    def size(self) -> int: ...


class SwapArea(NamedTuple):
    """One area in use. kind: "partition" or "file"; number: the core's; nr_pages with header."""

    path: str
    inode: Holder
    kind: str
    number: int
    nr_pages: int
    priority: int


class SwapAreas:
    """The areas of one machine, in the order they were switched on."""

    def __init__(self, memory: Memory, log: Log) -> None:
        self._memory = memory
        self._log = log
        self.areas: list[SwapArea] = []
        self._devices: list[int] = []  # the host's descriptors
        self._next_priority = FIRST_PRIORITY

    def make_device(self, nbytes: int) -> tuple[str, int]:
        """Return the name of a new block device of nbytes, formatted, and its descriptor.

        Errors: ValueError: no room for a header and a page, or more pages than entries can name.
        """
        if nbytes < LEAST_BYTES:
            raise ValueError(f"swap takes {LEAST_BYTES} bytes or more, not {nbytes}")
        if nbytes > MOST_BYTES:
            raise ValueError(f"swap takes {MOST_BYTES} bytes at most, not {nbytes}")
        fd = os.memfd_create("pkern-swap", os.MFD_CLOEXEC)
        self._devices.append(fd)
        os.ftruncate(fd, nbytes)
        os.pwrite(fd, header(nbytes // PAGE_SIZE), 0)
        return f"swap{len(self._devices) - 1}", fd

    def on(self, path: str, inode: Holder, priority: int | None = None) -> None:
        """Use a device or host file as swap.

        Errors: EBUSY (in use already), EINVAL (no swap area), EISDIR, EPERM (too many), ENOMEM.
        """
        if any(area.inode is inode for area in self.areas):
            raise SyscallError(errno.EBUSY)
        fd = getattr(inode, "fd", None)
        if fd is None or inode.kind == "dir":
            raise SyscallError(errno.EISDIR if inode.kind == "dir" else errno.EINVAL)
        nr_pages = pages_of(os.pread(fd, PAGE_SIZE, 0).ljust(PAGE_SIZE, b"\0"), inode.size)
        if priority is None:
            priority, self._next_priority = self._next_priority, self._next_priority - 1
        number = lib.swap_on(self._memory.core, fd, nr_pages, priority)
        if number < 0:
            raise SyscallError(-number)
        kind = "partition" if inode.kind == "blk" else "file"
        self.areas.append(SwapArea(path, inode, kind, number, nr_pages, priority))
        text = f"Adding {(nr_pages - 1) * 4}k swap on {path}.  Priority:{priority} extents:1"
        self._log.write(KERN_INFO, text)

    def off(self, inode: Holder) -> None:
        """Bring everything back from an area and let it go.

        Nobody is killed for it: without room it is ENOMEM, and the area goes on as before.
        Errors: EINVAL (not in use), ENOMEM, EIO.
        """
        area = next((a for a in self.areas if a.inode is inode), None)
        if area is None:
            raise SyscallError(errno.EINVAL)
        core, attempt = self._memory.core, 0
        while (result := lib.swap_off(core, area.number)) == lib.NEED_MEMORY:
            if not self._memory.make_room(attempt):
                lib.swap_off_cancel(core, area.number)
                raise SyscallError(errno.ENOMEM)
            attempt += 1
        if result < 0:
            raise SyscallError(-result)
        self.areas.remove(area)

    def used(self, area: SwapArea) -> int:
        """Return the pages of an area that are in use."""
        return int(lib.swap_area_used(self._memory.core, area.number))

    def copy_devices(self) -> None:
        """Have devices of one's own, as full as they are, with the same descriptors: after fork."""
        for fd in self._devices:
            size = os.fstat(fd).st_size
            copy = os.memfd_create("pkern-swap", os.MFD_CLOEXEC)
            os.ftruncate(copy, size)
            for start, end in _filled(fd, size):
                _copy(fd, copy, start, end)
            os.dup2(copy, fd, inheritable=False)
            os.close(copy)

    def close(self) -> None:
        """Let the host's memory go, at shutdown."""
        for fd in self._devices:
            os.close(fd)
        self._devices.clear()
