"""Random bytes that are the same on every run: they follow from the seed and what was taken."""

from __future__ import annotations

import random
import uuid

POOL_BITS = 256


class Random:
    """A source of bytes; each take() gives others."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)
        self.boot_id = _as_uuid(random.Random(~seed).randbytes(16))
        self.entropy_avail = self.poolsize = POOL_BITS

    @property
    def uuid(self) -> str:
        """A UUID that nobody was told before."""
        return _as_uuid(self.take(16))

    def take(self, nbytes: int) -> bytes:
        """Return nbytes."""
        return self._source.randbytes(nbytes)


def _as_uuid(raw: bytes) -> str:
    return str(uuid.UUID(bytes=raw, version=4))
