"""What the machine says of itself."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from syscalls.table import STRUCT, syscall

if TYPE_CHECKING:
    from kernel.task import Task

UTS_LEN = 65
UNIT = 4096


@dataclass(frozen=True, slots=True)
class Utsname:
    """struct new_utsname."""

    sysname: str
    nodename: str
    release: str
    version: str
    machine: str
    domainname: str

    def pack(self) -> bytes:
        """Return six NUL-padded fields of 65 bytes."""
        fields = (
            self.sysname,
            self.nodename,
            self.release,
            self.version,
            self.machine,
            self.domainname,
        )
        return b"".join(field.encode()[: UTS_LEN - 1].ljust(UTS_LEN, b"\0") for field in fields)


def uname(task: Task) -> Utsname:
    """Return the names of the system. Source: uname(2)."""
    sysctl = task.kernel.sysctl
    return Utsname(
        str(sysctl["kernel.ostype"]),
        str(sysctl["kernel.hostname"]),
        str(sysctl["kernel.osrelease"]),
        str(sysctl["kernel.version"]),
        "x86_64",
        "(none)",
    )


@syscall(63, "uname", STRUCT)
def uname_raw(task: Task) -> bytes:
    """Store struct new_utsname. Errors: EFAULT. Source: uname(2)."""
    return uname(task).pack()


@dataclass(frozen=True, slots=True)
class Sysinfo:
    """struct sysinfo: uptime in seconds, sizes in units of mem_unit bytes."""

    uptime: int
    totalram: int
    freeram: int
    sharedram: int
    bufferram: int
    totalswap: int
    freeswap: int
    procs: int
    mem_unit: int

    def pack(self) -> bytes:
        """Return the 112 bytes of the x86-64 struct; loads are 0."""
        return struct.pack(
            "<q3Q6QHxxxxxxQQIxxxx",
            self.uptime,
            0,
            0,
            0,
            self.totalram,
            self.freeram,
            self.sharedram,
            self.bufferram,
            self.totalswap,
            self.freeswap,
            self.procs,
            0,
            0,
            self.mem_unit,
        )


def sysinfo(task: Task) -> Sysinfo:
    """Return memory and uptime from the core's counters. Source: sysinfo(2)."""
    kernel = task.kernel
    counters = kernel.counters
    return Sysinfo(
        kernel.clock.now_ns // 1_000_000_000,
        int(counters.nr_total),
        int(counters.nr_free),
        int(counters.nr_shmem),
        0,
        0,
        0,
        len(kernel.tasks),
        UNIT,
    )


@syscall(99, "sysinfo", STRUCT)
def sysinfo_raw(task: Task) -> bytes:
    """Store struct sysinfo. Errors: EFAULT. Source: sysinfo(2)."""
    return sysinfo(task).pack()
