"""Random bytes that are the same on every run: a function of the seed and of what was taken."""

from __future__ import annotations

import hashlib


class Random:
    """A stream of bytes; take() moves along it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._blocks = 0
        self._left = b""

    def take(self, nbytes: int) -> bytes:
        """Return the next nbytes."""
        parts = [self._left]
        room = nbytes - len(self._left)
        while room > 0:
            parts.append(hashlib.sha256(f"{self._seed}:{self._blocks}".encode()).digest())
            self._blocks += 1
            room -= len(parts[-1])
        stream = b"".join(parts)
        self._left = stream[nbytes:]
        return stream[:nbytes]
