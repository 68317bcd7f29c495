"""How the bytes of a core file go out: in order, up to a limit, with holes where the file can.

Source: dump_emit(), dump_skip() and dump_align() of Linux 6.18, whose steps decide where a core
file that is too large ends.
"""

from __future__ import annotations

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import Protocol

PAGE_SIZE = 4096


class DumpEnds(Exception):
    """No more of the core file can be written: what there is stays."""


class Sink(Protocol):
    """Where the bytes go. seeks: a hole is left by writing behind it."""

    seeks: bool

    def write(self, pos: int, data: bytes) -> int: ...


class Writer:
    """A core file that is being written. limit: bytes that it stores at most, without holes."""

    def __init__(self, sink: Sink, limit: int) -> None:
        self._sink = sink
        self._limit = limit
        self._stored = 0
        self._pos = 0
        self._hole = 0  # bytes that are left out before the next ones

    @property
    def place(self) -> int:
        """Bytes from the beginning, holes counted."""
        return self._pos + self._hole

    def emit(self, data: bytes) -> None:
        """Write data, all or nothing. Errors: DumpEnds."""
        self._fill_hole()
        self._store(data)

    def emit_pages(self, data: bytes) -> None:
        """Write whole pages, as many as there is room for. Errors: DumpEnds: not all."""
        self._fill_hole()
        room = max(self._limit - self._stored, 0) // PAGE_SIZE * PAGE_SIZE
        self._store(data[:room])
        if room < len(data):
            raise DumpEnds

    def skip(self, nbytes: int) -> None:
        """Leave bytes out; they read as zeroes."""
        self._hole += nbytes

    def align(self, nbytes: int) -> None:
        """Go on at a multiple of nbytes."""
        self._hole += -self.place % nbytes

    def finish(self) -> None:
        """Let the file be as long as what was skipped at its end says. Errors: DumpEnds."""
        if self._hole:
            self._hole -= 1
            self.emit(b"\0")

    def _fill_hole(self) -> None:
        hole, self._hole = self._hole, 0
        if self._sink.seeks:
            self._pos += hole
            return
        while hole:
            part = min(hole, PAGE_SIZE)
            self._store(bytes(part))
            hole -= part

    def _store(self, data: bytes) -> None:
        if self._stored + len(data) > self._limit:
            raise DumpEnds
        try:
            done = self._sink.write(self._pos, data)
        except SyscallError:
            done = 0
        if done < len(data):
            raise DumpEnds
        self._pos += done
        self._stored += done
