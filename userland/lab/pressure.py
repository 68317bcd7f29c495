"""Machines under pressure: a file system on disk, 2003's fork, swap, and reclaim on demand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pkern.kernel.core import lib
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.lab.bench import booted
from pkern.userland.program import Sys

MOST_CALLS = 64


@contextmanager
def disk_machine(
    ram: int | str, sysctl: Mapping[str, int | str] | None = None, **parameters: Any
) -> Iterator[Sys]:
    """Boot a machine with an empty writable directory of the host at /host, its disk.

    fork copies the ptes of files, as until 2.6.13. Parameters as booted().
    """
    with (
        tempfile.TemporaryDirectory(prefix="pkern-lab-") as folder,
        booted(ram, sysctl, **parameters) as sys,
    ):
        sys.kernel.tunables.fork_file_ptes = 1
        sys.kernel.vfs.mount("/host", HostFs(folder, Access.READ_WRITE))
        yield root(sys.kernel)


def root(kernel: Kernel) -> Sys:
    """Return the calls of a new task of root, who may write to the disk."""
    return Sys(kernel.spawn(name="lab", uid=0, gid=0))


def look_at(sys: Sys, addr: int, nbytes: int) -> None:
    """Read from each page of [addr, addr+nbytes)."""
    sys.task.mm.touch(addr, nbytes, lib.ACCESS_READ)


def free_file_pages(kernel: Kernel, nr_pages: int) -> int:
    """Let reclaim free nr_pages pages, as an allocation would make it; return how many it freed."""
    freed = 0
    for _ in range(MOST_CALLS):
        got = kernel.memory.reclaim(nr_pages - freed)
        freed += got
        if freed >= nr_pages or not got:
            break
    return freed
