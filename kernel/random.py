"""Random bytes that are the same on every run: they follow from the seed and what was taken."""

from __future__ import annotations

import random


class Random:
    """A source of bytes; each take() gives others."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)

    def take(self, nbytes: int) -> bytes:
        """Return nbytes."""
        return self._source.randbytes(nbytes)
