"""Guest physical memory: one file of the host, cut into frames.

Owns the free list and the count of users of each frame. A frame is in use by page tables and by
the contents of files (Pages); with its last user it is free. The guest kernel itself sees all
frames through one shared mapping of the file.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from enum import Enum

from pkern.userland.uml.host import Host

PAGE = 4096
PAGE_MASK = PAGE - 1
RAM_FOLDER = "/dev/shm"


class GuestError(Exception):
    """A guest's system call fails with this errno."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.errno = number


class FrameOrder(Enum):
    """In which order frames are handed out at first."""

    SCATTERED = "as by a machine that has been up for a while: neighbours are rare"
    ASCENDING = "one after the other"


def _order(nr_frames: int, order: FrameOrder) -> list[int]:
    """Return all frames, the first to be handed out last."""
    if order is FrameOrder.ASCENDING:
        return list(range(nr_frames - 1, -1, -1))
    step = nr_frames * 5 // 13 | 1
    while _shares_factor(step, nr_frames):
        step += 2
    return [i * step % nr_frames for i in range(nr_frames)]


def _shares_factor(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a != 1


class Physical:
    """The frames of one guest."""

    def __init__(self, host: Host, nbytes: int, order: FrameOrder) -> None:
        """Open and map the file. Errors: OSError of the host's calls."""
        self._host = host
        self.nr_frames = nbytes // PAGE
        self.fd = _open_file(host, nbytes)
        prot = host.PROT_READ | host.PROT_WRITE
        self._base: int = host.mmap(0, nbytes, prot, host.MAP_SHARED, self.fd, 0)
        self._free = _order(self.nr_frames, order)
        self._used_before = bytearray(self.nr_frames)
        self.users = [0] * self.nr_frames

    @property
    def nr_used(self) -> int:
        """Frames in use."""
        return self.nr_frames - len(self._free)

    def alloc(self) -> int:
        """Return a frame of zeroes with one user. Errors: GuestError(ENOMEM)."""
        frame = self._take()
        if self._used_before[frame]:
            self._host.store(self._base + frame * PAGE, bytes(PAGE))
        self._used_before[frame] = 1
        return frame

    def _take(self) -> int:
        if not self._free:
            raise GuestError(errno.ENOMEM)
        frame = self._free.pop()
        self.users[frame] = 1
        return frame

    def get(self, frame: int) -> int:
        """Add a user and return the frame."""
        self.users[frame] += 1
        return frame

    def put(self, frame: int) -> None:
        """Take a user away; the last one frees the frame."""
        self.users[frame] -= 1
        if not self.users[frame]:
            self._free.append(frame)

    def copy(self, frame: int) -> int:
        """Return a new frame with the same bytes. Errors: GuestError(ENOMEM)."""
        new = self._take()
        self._used_before[new] = 1
        self._host.store(self._base + new * PAGE, self.read(frame, 0, PAGE))
        return new

    def read(self, frame: int, offset: int, nbytes: int) -> bytes:
        """Return bytes of one frame."""
        return self._host.load(self._base + frame * PAGE + offset, nbytes)

    def write(self, frame: int, offset: int, data: bytes) -> None:
        """Store bytes in one frame."""
        self._host.store(self._base + frame * PAGE + offset, data)


def _open_file(host: Host, nbytes: int) -> int:
    """Return the descriptor of a new file that disappears with the guest."""
    path = f"{RAM_FOLDER}/uml-{host.getpid()}.ram"
    fd: int = host.open(path, host.O_RDWR | host.O_CREAT | host.O_EXCL, 0o600)
    host.unlink(path)
    host.ftruncate(fd, nbytes)
    return fd


def chunks(start: int, nbytes: int) -> Iterator[tuple[int, int, int]]:
    """Yield (page number, offset in it, bytes) for the pieces of [start, start+nbytes)."""
    end = start + nbytes
    while start < end:
        count = min(PAGE - (start & PAGE_MASK), end - start)
        yield start // PAGE, start & PAGE_MASK, count
        start += count


class Pages:
    """The content of a file, or of shared memory: frames by index, made when first asked for."""

    def __init__(self, physical: Physical, size: int = 0) -> None:
        self.physical = physical
        self.size = size  # bytes
        self._frames: dict[int, int] = {}

    @property
    def nr_pages(self) -> int:
        """Pages that the size reaches into."""
        return -(-self.size // PAGE)

    def frame(self, index: int) -> int:
        """Return the frame of a page, which the caller must `get` to keep.

        Errors: GuestError(ENOMEM).
        """
        if index not in self._frames:
            self._frames[index] = self.physical.alloc()
        return self._frames[index]

    def has(self, index: int) -> bool:
        """Tell whether a page has a frame already."""
        return index in self._frames

    def read(self, pos: int, nbytes: int) -> bytes:
        """Return up to nbytes from pos on."""
        nbytes = max(0, min(nbytes, self.size - pos))
        parts = []
        for index, offset, count in chunks(pos, nbytes):
            frame = self._frames.get(index)
            parts.append(
                bytes(count) if frame is None else self.physical.read(frame, offset, count)
            )
        return b"".join(parts)

    def write(self, pos: int, data: bytes) -> int:
        """Store data at pos, growing; return its length. Errors: GuestError(ENOMEM)."""
        done = 0
        for index, offset, count in chunks(pos, len(data)):
            self.physical.write(self.frame(index), offset, data[done : done + count])
            done += count
        self.size = max(self.size, pos + len(data))
        return len(data)

    def cut(self, size: int) -> None:
        """Set the size in bytes; what lies beyond is dropped and reads as zeroes later."""
        for index in [i for i in self._frames if i * PAGE >= size]:
            self.physical.put(self._frames.pop(index))
        last, offset = divmod(size, PAGE)
        if size < self.size and offset and last in self._frames:
            self.physical.write(self._frames[last], offset, bytes(PAGE - offset))
        self.size = size

    def drop(self) -> None:
        """Give every frame back."""
        self.cut(0)
