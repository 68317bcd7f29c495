"""What the runner answers: frames of bytes, equal on both kernels, and their meaning if not.

Owns the decoding of runner.c's frames; it is asked only where two frames differ.  Called by
host.py, model.py and run.py.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pkern.userland.conform.calls import (
    PAGE,
    Call,
    Kind,
    Layout,
    Outcome,
    Window,
    parse_maps,
    parse_short_maps,
)

_OUTCOME = struct.Struct("<qIIQII")
_HELLO = struct.Struct("<QQ")
_SIZE = struct.Struct("<16sq")
_LENGTH = struct.Struct("<I")
_PAGEMAP_BITS = {55: "soft-dirty", 56: "exclusive", 57: "uffd-wp", 58: "guard"}
_PAGEMAP_BITS |= {61: "file", 62: "swapped", 63: "present"}


def read_hello(frame: bytes) -> tuple[Window, Layout]:
    """Return the window that a runner found, and all its areas."""
    base = parse_maps(frame[_HELLO.size :].decode())
    own = [area for area in base if area.end < 1 << 47]
    private = [area for area in own if area.perms == "rw-p" and area.file != "[stack]"]
    sizes = (sum(area.end - area.start for area in areas) for areas in (own, private))
    return Window(*_HELLO.unpack_from(frame), *sizes), base


def ends(frame: bytes, calls: Sequence[Call]) -> bytes:
    """Return how each call ended: 0 done, 1 an error, 2 + n where signal n came."""
    return frame[: len(calls)]


class _Reader:
    """A place in a frame that moves on."""

    def __init__(self, frame: bytes, at: int) -> None:
        self._frame = frame
        self.at = at

    def take(self, nbytes: int) -> bytes:
        data = self._frame[self.at : self.at + nbytes]
        self.at += nbytes
        return data

    def block(self) -> bytes:
        """Take as many bytes as the next four say."""
        return self.take(*_LENGTH.unpack(self.take(4)))

    def more(self) -> bool:
        return self.at < len(self._frame)


def decode(frame: bytes, calls: Sequence[Call]) -> list[Outcome]:
    """Return an outcome for each call, and one more for each process with its state."""
    reader = _Reader(frame, len(calls))
    layouts: dict[int, Layout] = {}
    outcomes: list[Outcome] = []
    forked = False
    for call in calls:
        actor = call.actor if forked else 0
        forked = forked or call.kind is Kind.FORK
        value, signo, code, addr, nr_data, nr_maps = _OUTCOME.unpack(reader.take(_OUTCOME.size))
        data = reader.take(nr_data)
        if nr_maps:
            layouts[actor] = parse_short_maps(reader.take(nr_maps).decode())
        layout = layouts.get(actor, ())
        outcomes.append(Outcome(value, signo, code, addr, data, layout))
    while reader.more():
        outcomes.append(_state(reader))
    return outcomes


def _state(reader: _Reader) -> Outcome:
    """Take what /proc tells of a process."""
    text = reader.block().decode()
    lines = _smaps_lines(text)
    layout = parse_short_maps("\n".join(filter(_is_area, text.splitlines())))
    words = memoryview(reader.block()).cast("Q").tolist()
    sizes = reader.block()
    for area in layout:
        count = min((area.end - area.start) // PAGE, 64)
        for page, word in enumerate(words[:count]):
            lines.append(f"pagemap {area.start + page * PAGE:x}: {_page_text(word)}")
        words = words[count:]
    for name, change in _SIZE.iter_unpack(sizes):
        lines.append(f"status {name.rstrip(bytes(1)).decode()}: {change:+} since the start")
    return Outcome(0, 0, 0, 0, b"", layout, tuple(lines))


def _is_area(line: str) -> bool:
    """Whether a line of smaps is one of maps, too."""
    return "a" <= line[0] <= "f" or line[0].isdigit()


def _smaps_lines(text: str) -> list[str]:
    """Put the area's address before each line of smaps."""
    lines, span = [], ""
    for line in text.splitlines():
        if _is_area(line):
            span = line.split()[0]
        lines.append(f"smaps {span} {line.split(None, 1)[-1] if line.startswith(span) else line}")
    return lines


def _page_text(word: int) -> str:
    return " ".join(name for bit, name in _PAGEMAP_BITS.items() if word >> bit & 1) or "nothing"
