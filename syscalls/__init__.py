"""The Linux ABI: decode, check rights and gates, call one kernel method.

Importing this package fills the table with every call that exists.
"""

from syscalls import (
    fcntl,
    files,
    futex,
    ids,
    info,
    jobs,
    life,
    mman,
    mounts,
    paths,
    pipes,
    prctl,
    process,
    ptrace,
    sched,
    shm,
    signals,
    sizes,
    stat,
    swap,
    time,
    timers,
    xattr,
)
from syscalls.table import TABLE, Syscall

__all__ = [
    "TABLE",
    "Syscall",
    "fcntl",
    "files",
    "futex",
    "ids",
    "info",
    "jobs",
    "life",
    "mman",
    "mounts",
    "paths",
    "pipes",
    "prctl",
    "process",
    "ptrace",
    "sched",
    "shm",
    "signals",
    "sizes",
    "stat",
    "swap",
    "time",
    "timers",
    "xattr",
]
