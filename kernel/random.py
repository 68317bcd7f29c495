"""Random bytes that are the same on every run: they follow from the seed and what was taken."""

from __future__ import annotations

import random

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
    """Return 16 bytes as a random UUID (RFC 9562, version 4) is written.

    Python's own module for them would cost every start 2 ms.
    """
    version, variant = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    text = bytes((*raw[:6], version, raw[7], variant, *raw[9:])).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
