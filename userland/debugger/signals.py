"""Signals by gdb's own numbers, which are the same for all systems (include/gdb/signals.def)."""

from __future__ import annotations

# Linux's number -> gdb's; those up to 15 that are not here are the same.
DIFFERENT = {
    7: 10, 10: 30, 12: 31, 16: 143, 17: 20, 18: 19, 19: 17, 20: 18, 23: 16, 24: 24, 25: 25, 26: 26,
    27: 27, 28: 28, 29: 23, 30: 32, 31: 12, 32: 77, 64: 78,
}  # fmt: skip
REALTIME_33 = 45
UNKNOWN = 143
TO_GDB = {
    signo: DIFFERENT.get(signo, signo if signo < 33 else signo - 33 + REALTIME_33)
    for signo in range(1, 65)
}
FROM_GDB = {number: signo for signo, number in TO_GDB.items() if number != UNKNOWN}
