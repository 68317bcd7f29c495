"""Random bytes that are the same on every run: they follow from the seed and what was taken."""

from __future__ import annotations

import hashlib


class Random:
    """A source of bytes; each take() gives others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._takes = 0

    def take(self, nbytes: int) -> bytes:
        """Return nbytes."""
        self._takes += 1
        return hashlib.shake_256(f"{self._seed}:{self._takes}".encode()).digest(nbytes)
