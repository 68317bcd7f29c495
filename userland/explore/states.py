"""Where an exploration has been: hashes of states, in memory that all its processes share.

A table of so many places, each of which holds one hash; a hash that finds no room near its place is
not kept, so that a state may be gone on from twice, and none is left out.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import TYPE_CHECKING

from pkern.kernel.state import HASH_BYTES, state_hash

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

PLACES, NEAR = 1 << 16, 64
EMPTY = bytes(HASH_BYTES)


class States:
    """The states that schedules have come to."""

    def __init__(self) -> None:
        self._table = mmap.mmap(-1, PLACES * HASH_BYTES)
        self._lock = os.memfd_create("states")

    def add(self, kernel: Kernel) -> bool:
        """Note the state of a machine; tell whether it was noted before. Errors: NotHashable."""
        found = state_hash(kernel)
        fcntl.lockf(self._lock, fcntl.LOCK_EX)  # it is a process's: each copy takes its own
        try:
            return self._add(found)
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _add(self, state: bytes) -> bool:
        first = int.from_bytes(state[:8], "little")
        for place in range(first, first + NEAR):
            start = place % PLACES * HASH_BYTES
            held = self._table[start : start + HASH_BYTES]
            if held == state:
                return True
            if held == EMPTY:
                self._table[start : start + HASH_BYTES] = state
                return False
        return False
