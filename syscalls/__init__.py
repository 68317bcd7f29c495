"""The Linux ABI: decode, check rights and gates, call one kernel method.

Importing this package fills the table with every call that exists.
"""

from syscalls import files, info, mman, process, ptrace, shm, signals, swap, time
from syscalls.table import TABLE, Syscall

__all__ = [
    "TABLE",
    "Syscall",
    "files",
    "info",
    "mman",
    "process",
    "ptrace",
    "shm",
    "signals",
    "swap",
    "time",
]
