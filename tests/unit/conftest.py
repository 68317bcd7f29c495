"""Two worlds behind one set of names: the host's kernel and this one.

A test does the same in both and compares what it gets. A register written as a string is an offset
into a page of memory that each world has.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

LIBC = ctypes.CDLL(None, use_errno=True)


class Host:
    """The host's calls under the names that Sys has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.buffer = ctypes.create_string_buffer(4096)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pipe2(self, flags: int) -> tuple[int, int]:
        return os.pipe2(flags)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def raw_address(self) -> int:
        return ctypes.addressof(self.buffer)

    def raw(self, nr: int, *registers: int | str) -> int:
        at = ctypes.addressof(self.buffer)
        words = [at + int(r) if isinstance(r, str) else r for r in registers]
        ctypes.set_errno(0)
        result: int = LIBC.syscall(ctypes.c_long(nr), *[ctypes.c_ulong(w) for w in words])
        return -ctypes.get_errno() if result == -1 else result

    def put(self, data: bytes) -> None:
        self.buffer[: len(data)] = data

    def get(self, nbytes: int) -> bytes:
        return self.buffer.raw[:nbytes]


class Here:
    """The kernel's calls, likewise."""

    def __init__(self, kernel: Kernel) -> None:
        self.sys = Sys(kernel.spawn(uid=0, gid=0))
        for _ in range(3):
            self.sys.open("/dev/null", os.O_RDWR, 0)
        self.at = self.sys.mmap(0, 4096, 3, self.sys.MAP_PRIVATE | self.sys.MAP_ANONYMOUS)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sys, name)

    def open(self, path: str, flags: int, mode: int = 0o777) -> int:
        fd: int = self.sys.open(path, flags, mode)
        return fd

    def mkfifo(self, path: str) -> None:
        self.sys.mknod(path, 0o010644, 0)

    def path(self, name: str) -> str:
        return f"/tmp/{name}"

    def raw_address(self) -> int:
        return self.at

    def raw(self, nr: int, *registers: int | str) -> int:
        words = [self.at + int(r) if isinstance(r, str) else r for r in registers]
        return self.sys.syscall(nr, *words)

    def put(self, data: bytes) -> None:
        self.sys.store(self.at, data)

    def get(self, nbytes: int) -> bytes:
        return self.sys.load(self.at, nbytes)


def descriptors() -> set[int]:
    """Return what is open on the host."""
    listed = os.listdir("/proc/self/fd")  # with its own, which is closed by now
    return {int(fd) for fd in listed if os.path.lexists(f"/proc/self/fd/{fd}")}


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[tuple[Host, Here]]:
    with Kernel(ram="16M") as kernel:
        before = descriptors()
        yield Host(tmp_path), Here(kernel)
        for fd in descriptors() - before:
            os.close(fd)
