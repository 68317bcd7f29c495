"""The Linux ABI: decode, check rights and gates, call one kernel method.

Importing this package fills the table with every call that exists.
"""

from syscalls import (
    files,
    futex,
    info,
    jobs,
    life,
    mman,
    process,
    shm,
    signals,
    swap,
    time,
    timers,
)
from syscalls.table import TABLE, Syscall

__all__ = [
    "TABLE",
    "Syscall",
    "files",
    "futex",
    "info",
    "jobs",
    "life",
    "mman",
    "process",
    "shm",
    "signals",
    "swap",
    "time",
    "timers",
]
