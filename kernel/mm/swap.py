"""Swap areas: which there are, where they lie, and their headers.

Owns names, priorities and the host's descriptors; slots and the swap cache are the core's. An
area is memory of the machine's owner (a device made at boot, already formatted) or a file on a
host directory that mkswap has prepared.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_INFO
from pkern.kernel.vfs.inode import PAGE_SIZE, Inode

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

SIGNATURE = b"SWAPSPACE2"
HEADER_AT = 1024  # version, last_page, nr_badpages: three 32-bit words
VERSION = 1
SWAP_FLAG_PREFER, SWAP_FLAG_PRIO_MASK = 0x8000, 0x7FFF
SWAP_FLAGS_VALID = 0x7FFFF  # with the DISCARD bits, which have nothing to do here
FIRST_PRIORITY = -2


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


class SwapDevice(Inode):
    """A block device of memory, /dev/swapN: nothing but a place to swap to."""

    kind = "blk"
    type_bits = stat.S_IFBLK

    def __init__(self, kernel: Kernel, nbytes: int) -> None:
        super().__init__(kernel, 0o600)
        self.fd = os.memfd_create("pkern-swap", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, nbytes)
        os.pwrite(self.fd, header(nbytes // PAGE_SIZE), 0)

    @property
    def size(self) -> int:
        return os.fstat(self.fd).st_size


@dataclass(frozen=True, slots=True)
class SwapArea:
    """One area in use. kind: "partition" or "file"; number: the core's; nr_pages with header."""

    path: str
    inode: Inode
    kind: str
    number: int
    nr_pages: int
    priority: int


class SwapAreas:
    """The areas of one machine, in the order they were switched on."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.areas: list[SwapArea] = []
        self._devices: list[SwapDevice] = []
        self._next_priority = FIRST_PRIORITY

    def add_device(self, nbytes: int, priority: int | None = None) -> str:
        """Make /dev/swapN of nbytes, switch it on and return its path. Errors: EINVAL, ENOMEM."""
        device = SwapDevice(self.kernel, nbytes)
        path = f"/dev/swap{len(self._devices)}"
        self._devices.append(device)
        self.kernel.vfs.add_device(path.rpartition("/")[2], device)
        self.on(path, device, priority)
        return path

    def on(self, path: str, inode: Inode, priority: int | None = None) -> None:
        """Use a device or host file as swap.

        Errors: EBUSY (in use already), EINVAL (no swap area), EPERM (too many), ENOMEM.
        """
        if any(area.inode is inode for area in self.areas):
            raise SyscallError(errno.EBUSY)
        fd = getattr(inode, "fd", None)
        if fd is None or inode.kind == "dir":
            raise SyscallError(errno.EINVAL)
        nr_pages = pages_of(os.pread(fd, PAGE_SIZE, 0).ljust(PAGE_SIZE, b"\0"), inode.size)
        if priority is None:
            priority, self._next_priority = self._next_priority, self._next_priority - 1
        number = lib.swap_on(self.kernel.memory.core, fd, nr_pages, priority)
        if number < 0:
            raise SyscallError(-number)
        kind = "partition" if inode.kind == "blk" else "file"
        self.areas.append(SwapArea(path, inode, kind, number, nr_pages, priority))
        text = f"Adding {(nr_pages - 1) * 4}k swap on {path}.  Priority:{priority} extents:1"
        self.kernel.log.write(KERN_INFO, text)

    def off(self, inode: Inode) -> None:
        """Bring everything back from an area and let it go.

        Nobody is killed for it: without room it is ENOMEM, and the area goes on as before.
        Errors: EINVAL (not in use), ENOMEM, EIO.
        """
        area = next((a for a in self.areas if a.inode is inode), None)
        if area is None:
            raise SyscallError(errno.EINVAL)
        core, attempt = self.kernel.memory.core, 0
        while (result := lib.swap_off(core, area.number)) == lib.NEED_MEMORY:
            if not self.kernel.memory.make_room(attempt):
                lib.swap_off_cancel(core, area.number)
                raise SyscallError(errno.ENOMEM)
            attempt += 1
        if result < 0:
            raise SyscallError(-result)
        self.areas.remove(area)

    def used(self, area: SwapArea) -> int:
        """Return the pages of an area that are in use."""
        return int(lib.swap_area_used(self.kernel.memory.core, area.number))

    def close(self) -> None:
        """Let the host's memory go, at shutdown."""
        for device in self._devices:
            os.close(device.fd)
        self._devices.clear()
