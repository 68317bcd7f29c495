"""A recording as what the page's script reads: numbers, names and texts that JSON can hold.

Owns the decoding of the core's journal: entries of page tables become kinds and flags, areas become
kinds and names. The script knows no bit of the kernel's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib
from pkern.kernel.inspect import names
from pkern.kernel.inspect.inspector import LISTS, Inspector
from pkern.kernel.inspect.moment import COUNTERS
from pkern.kernel.mm.mm import PERMS
from pkern.userland.view.recorder import Label, Recording

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Event

Change = list[int]
LOW = (1 << 32) - 1
ROW = 8  # words of a struct vma_row
PERM_BITS = max(PERMS)
KIND_CODES = {name: code for code, name in names.KINDS.items()}

# A VMA's kind, by the first of these that fits: what the picture colours.
VMA_KINDS: tuple[tuple[str, Callable[[int, bool], bool]], ...] = (
    ("special", lambda flags, file: bool(flags & lib.VM_SPECIAL)),
    ("nonlinear", lambda flags, file: bool(flags & lib.VM_NONLINEAR)),
    ("large pages", lambda flags, file: bool(flags & lib.VM_HUGETLB)),
    ("stack", lambda flags, file: bool(flags & lib.VM_GROWSDOWN)),
    ("code", lambda flags, file: bool(flags & lib.VM_EXEC)),
    ("shared", lambda flags, file: bool(flags & lib.VM_MAYSHARE)),
    ("file", lambda flags, file: file),
    ("anonymous", lambda flags, file: True),
)


EXEC = "sched:sched_process_exec"
SHOWN_ROW = 9  # of an area in a change


class Texts:
    """Texts by number: each is in the page once."""

    def __init__(self) -> None:
        self.all: dict[str, int] = {}

    def number(self, text: str) -> int:
        """Return a text's number."""
        return self.all.setdefault(text, len(self.all))


class Decoder:
    """Turns words of the journal into changes."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self.texts = Texts()
        self._entries: dict[int, tuple[int, int, int]] = {}
        self._read: dict[int, Callable[[Sequence[int]], Change]] = {
            lib.JOURNAL_FRAME: self._frame,
            lib.JOURNAL_ENTRY: self._entry,
            lib.JOURNAL_LIST: list,
            lib.JOURNAL_SLOT: lambda w: [*w[:2], w[2] & LOW, w[2] >> 32],
            lib.JOURNAL_AREA: list,
            lib.JOURNAL_VMAS: self._vmas,
            lib.JOURNAL_COUNTER: list,
            lib.JOURNAL_CURSOR: list,
        }

    def moments(self, words: Sequence[int]) -> Iterator[tuple[int, list[Change]]]:
        """Yield each moment's number and what it has changed."""
        at, seq, changes = 0, -1, list[Change]()
        while at < len(words):
            kind, nr = words[at] & LOW, words[at] >> 32
            body = words[at + 1 : at + 1 + nr]
            at += 1 + nr
            if kind == lib.JOURNAL_MOMENT:
                if seq >= 0:
                    yield seq, changes
                seq, changes = body[0], []
            else:
                changes.append([kind, *self._read[kind](body)])
        if seq >= 0:
            yield seq, changes

    def _frame(self, w: Sequence[int]) -> Change:
        pfn, owner, index = w[:3]
        return [pfn, owner, index, *(part for word in w[3:] for part in (word & LOW, word >> 32))]

    def _entry(self, w: Sequence[int]) -> Change:
        place, value = w
        found = self._entries.get(value)
        if found is None:
            kind, number, flags = self._inspector.entry(value, 0)
            found = KIND_CODES[kind], number, self.texts.number("|".join(flags))
            self._entries[value] = found
        return [place >> 9, place & 511, *found]

    def _vmas(self, w: Sequence[int]) -> Change:
        found = list(w[:3])
        for at in range(3, len(w), ROW):
            start, end, flags, pgoff, file, mapping, anon, cursor = w[at : at + ROW]
            kind = next(
                nr for nr, (_, fits) in enumerate(VMA_KINDS) if fits(flags, bool(file or mapping))
            )
            perms = self.texts.number(PERMS[flags & PERM_BITS])
            told = self.texts.number("|".join(names.named(flags, names.VMA_FLAGS)))
            found += [start, end, kind, pgoff, mapping, anon, cursor, perms, told]
        return found


def event_text(event: Event) -> str:
    """Return an event's values in one line; addresses are hex."""
    return " ".join(
        f"{name}={hex(value) if isinstance(value, int) and value > 0xFFFF else value}"
        for name, value in event.fields.items()
    )


def _event_row(seq: int, event: Event | None, texts: Texts) -> list[int | str]:
    """Return number, time, pid, comm, name and text; None: the moment behind the last event."""
    if event is None:
        return [seq, 0, 0, texts.number(""), texts.number("the end"), ""]
    names = texts.number(event.comm), texts.number(event.name)
    return [seq, event.time_ns, event.pid, *names, event_text(event)]


def appearances(moments: Iterable[tuple[int, list[Change]]]) -> Iterator[tuple[int, int]]:
    """Yield seq and pgd of each address space that has its first area there."""
    sizes: dict[int, int] = {}
    for seq, changes in moments:
        for change in changes:
            if change[0] != lib.JOURNAL_VMAS:
                continue
            pgd, comes = change[1], (len(change) - 4) // SHOWN_ROW
            before = sizes.get(pgd, 0)
            sizes[pgd] = before + comes - change[3]
            if sizes[pgd] and not before:
                yield seq, pgd


def all_labels(
    recording: Recording, moments: Sequence[tuple[int, list[Change]]]
) -> Iterator[Label]:
    """Yield from when on an address space is whose.

    A process that the host makes is entered before its space has an area, a fork behind that; an
    exec has no entry, and is told of by its event.
    """
    entered: dict[int, deque[Label]] = {}
    for label in recording.labels:
        entered.setdefault(label.pgd, deque()).append(label)
    execs = [event for event in recording.events if event.name == EXEC]
    for seq, pgd in appearances(moments):
        waiting = entered.get(pgd)
        event = next((event for event in execs if event.seq >= seq), None)
        if waiting and (event is None or waiting[0].seq < event.seq):
            yield waiting.popleft()._replace(seq=seq)
        elif event is not None:
            yield Label(seq, pgd, event["pid"], event["filename"].rpartition("/")[2])


def page_data(recording: Recording, inspector: Inspector) -> dict[str, Any]:
    """Return all that the page's script needs, as JSON holds it."""
    decoder = Decoder(inspector)
    events = {event.seq: event for event in recording.events}
    moments = list(decoder.moments(recording.words))
    texts = decoder.texts
    return {
        "machine": recording.machine,
        "events": [_event_row(seq, events.get(seq), texts) for seq, _ in moments],
        "moments": [changes for _, changes in moments],
        "labels": [list(label) for label in all_labels(recording, moments)],
        "files": {str(cookie): path for cookie, path in recording.files.items()},
        "left_out": recording.left_out,
        "texts": list(texts.all),
        "names": {
            "counters": COUNTERS,
            "lists": [name for name, _ in LISTS],
            "page_flags": names.PAGE_FLAGS,
            "kinds": KIND_CODES,
            "vma_kinds": [name for name, _ in VMA_KINDS],
            "markers": names.MARKERS,
            "anonymous": int(lib.COOKIE_ANONYMOUS),
        },
        "records": {
            name.removeprefix("JOURNAL_").lower(): int(getattr(lib, name))
            for name in dir(lib)
            if name.startswith("JOURNAL_")
        },
    }
