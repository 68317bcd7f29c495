"""Random bytes that are the same on every run: they follow from the seed and what was taken."""

from __future__ import annotations

from _random import Random as Generator  # what random.Random is made of, without its imports

POOL_BITS = 256


class Random:
    """A source of bytes; each take() gives others."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._source = Generator(seed)
        self.entropy_avail = self.poolsize = POOL_BITS

    @property
    def boot_id(self) -> str:
        """The UUID of this boot, which the seed alone decides."""
        return _as_uuid(self.lasting(0))

    @property
    def uuid(self) -> str:
        """A UUID that nobody was told before."""
        return _as_uuid(self.take(16))

    def lasting(self, number: int) -> bytes:
        """Return 16 bytes that the seed and a number decide, whatever was taken."""
        return _bytes(Generator(~(self._seed + (number << 64))), 16)

    def take(self, nbytes: int) -> bytes:
        """Return nbytes."""
        return _bytes(self._source, nbytes)

    def exchange(self, source: Generator) -> Generator:
        """Take bytes of another source from now on; return the one before."""
        before, self._source = self._source, source
        return before


def _bytes(source: Generator, nbytes: int) -> bytes:
    """Return what random.Random.randbytes returns."""
    return source.getrandbits(8 * nbytes).to_bytes(nbytes, "little")


def _as_uuid(raw: bytes) -> str:
    """Return 16 bytes as a random UUID is written: Python's own module would cost a start 2 ms."""
    text = random_uuid(raw).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def random_uuid(raw: bytes) -> bytes:
    """Return 16 bytes as those of a random UUID (RFC 9562, version 4)."""
    version, variant = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    return bytes((*raw[:6], version, raw[7], variant, *raw[9:]))
