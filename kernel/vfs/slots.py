"""The slots of a pipe: bytes on their way, each slot's a part of one page.

What is written takes a slot for each page; what is over whole pages may go on in the last slot, if
that grows. A slot has bytes of its own or holds a page of the core's (hold.c), which may be stored
to until it is read. Neither a slot nor its own bytes ever change: another one takes its place, so
that pipes share them.

Invariant: of a slot that grows, the page ends where the slot does.
Source: struct pipe_buffer, fs/pipe.c and fs/splice.c of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.core import ffi, lib
from pkern.kernel.lean import deque
from pkern.kernel.typed import Any, Iterable, Iterator
from pkern.kernel.values import Enum, NamedTuple

PAGE_SIZE = 4096


class Kind(Enum):
    """What may be done with a slot."""

    GROWS = "what is written next may be added"
    FIXED = "nothing is added"
    PACKET = "a read takes no more than it, and leaves nothing of it"


GROWS, FIXED, PACKET = Kind


class Slot(NamedTuple):
    """nbytes of a page, from offset. page: bytes, or the number of a frame that is held."""

    page: bytes | int
    offset: int
    nbytes: int
    kind: Kind

    def after(self, nbytes: int) -> Slot:
        """Return what is left behind the first bytes."""
        return self._replace(offset=self.offset + nbytes, nbytes=self.nbytes - nbytes)


class Ring:
    """The slots, in order; size: how many there may be. core: the machine, whose pages are held."""

    __slots__ = ("core", "last_taken", "size", "slots")

    def __init__(self, core: Any, size: int) -> None:
        self.core = core
        self.size = size
        self.slots: deque[Slot] = deque()
        self.last_taken: list[Slot] = []  # by take(): their frames are held until the next one

    @property
    def is_full(self) -> bool:
        """Tell whether there is no free slot."""
        return len(self.slots) >= self.size

    @property
    def nr_free(self) -> int:
        """How many slots are free."""
        return self.size - len(self.slots)

    @property
    def nbytes(self) -> int:
        """How much there is to read."""
        return sum(slot.nbytes for slot in self.slots)

    # ---- in ----

    def over(self, nbytes: int) -> int:
        """Return how much of a write of nbytes goes on in the last slot: what is over pages."""
        over = nbytes % PAGE_SIZE
        if not over or not self.slots:
            return 0
        last = self.slots[-1]
        end = last.offset + last.nbytes
        return over if last.kind is GROWS and end + over <= PAGE_SIZE else 0

    def grow(self, data: bytes) -> None:
        """Add data to the last slot, which has room for it."""
        last = self.slots[-1]
        assert isinstance(last.page, bytes)
        self.slots[-1] = Slot(last.page + data, last.offset, last.nbytes + len(data), GROWS)

    def add(self, data: bytes, kind: Kind) -> int:
        """Give each page of data a slot, while there are free ones; return how much has one."""
        taken = data[: (self.size - len(self.slots)) * PAGE_SIZE]
        for at in range(0, len(taken), PAGE_SIZE):
            page = taken[at : at + PAGE_SIZE]
            self.slots.append(Slot(page, 0, len(page), kind))
        return len(taken)

    def put(self, slots: Iterable[Slot]) -> int:
        """Add slots whose frames are held, if any, while there is room; return how many bytes."""
        done = 0
        for slot in slots:
            if self.is_full:
                self._release(slot)
                continue
            self.slots.append(slot)
            done += slot.nbytes
        return done

    # ---- out ----

    def take(self, nbytes: int) -> bytes:
        """Return up to nbytes, which are gone: at most one packet, of which nothing stays."""
        slots, parts = self.slots, []
        if self.last_taken:
            self._forget()
        while nbytes and slots:
            slot = slots[0]
            part = self._content(slot, nbytes)
            parts.append(part)
            nbytes -= len(part)
            if len(part) < slot.nbytes and slot.kind is not PACKET:
                slots[0] = slot.after(len(part))
                break
            self.last_taken.append(slots.popleft())
            if slot.kind is PACKET:
                break
        return b"".join(parts)

    def untake(self, data: bytes, done: int) -> int:
        """Take back what take() has just given, but for the slots of which done bytes are all.

        Return how many bytes those are.
        """
        gone = nr_gone = 0
        for slot in self.last_taken:
            if gone + slot.nbytes > done:
                break
            gone += slot.nbytes
            nr_gone += 1
        rest = len(data) - sum(slot.nbytes for slot in self.last_taken)
        if rest > 0:
            self.slots[0] = self.slots[0].after(-rest)
        self.slots.extendleft(reversed(self.last_taken[nr_gone:]))
        del self.last_taken[nr_gone:]
        return gone

    def look(self, nbytes: int) -> bytes:
        """Return up to nbytes as they are now; they stay."""
        parts = []
        for slot in self.slots:
            if not nbytes:
                break
            parts.append(self._content(slot, nbytes))
            nbytes -= len(parts[-1])
        return b"".join(parts)

    def held(self, nbytes: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield the held pages of the first nbytes: where among them, frame, offset, how many."""
        at = 0
        for slot in self.slots:
            part = min(slot.nbytes, nbytes - at)
            if part <= 0:
                break
            if isinstance(slot.page, int):
                yield at, slot.page, slot.offset, part
            at += part

    def whole(self, nbytes: int) -> int:
        """Return how much of the first nbytes are whole slots."""
        done = 0
        for slot in self.slots:
            if done + slot.nbytes > nbytes:
                break
            done += slot.nbytes
        return done

    def drop(self, nbytes: int) -> int:
        """Let go the first nbytes, of a packet too; return how many slots are free by that."""
        freed = 0
        while nbytes:
            slot = self.slots[0]
            if slot.nbytes > nbytes:
                self.slots[0] = slot.after(nbytes)
                break
            nbytes -= slot.nbytes
            self._release(self.slots.popleft())
            freed += 1
        return freed

    def clear(self) -> None:
        """Let everything go."""
        self._forget()
        while self.slots:
            self._release(self.slots.popleft())

    # ---- from one to another ----

    def move(self, to: Ring, nbytes: int) -> tuple[int, int]:
        """Move up to nbytes to another ring; return how many, and how many slots are free here.

        A slot that goes as a whole goes as it is; of others a part goes that does not grow.
        """
        done = freed = 0
        while done < nbytes and self.slots and not to.is_full:
            slot = self.slots[0]
            if slot.nbytes <= nbytes - done:
                to.slots.append(self.slots.popleft())
                freed += 1
            else:
                slot = self._shared(slot, nbytes - done)
                to.slots.append(slot)
                self.slots[0] = self.slots[0].after(slot.nbytes)
            done += slot.nbytes
        return done, freed

    def share(self, to: Ring, nbytes: int) -> int:
        """Put the first nbytes, or as many as there is room for, into another ring too."""
        done = 0
        for slot in self.slots:
            if done == nbytes or to.is_full:
                break
            to.slots.append(self._shared(slot, nbytes - done))
            done += to.slots[-1].nbytes
        return done

    def _shared(self, slot: Slot, nbytes: int) -> Slot:
        """Return the first nbytes of a slot, for one more ring."""
        if isinstance(slot.page, int):
            lib.page_hold(self.core, slot.page)
        kind = FIXED if slot.kind is GROWS else slot.kind
        return slot._replace(nbytes=min(slot.nbytes, nbytes), kind=kind)

    # ---- pages ----

    def _content(self, slot: Slot, nbytes: int) -> bytes:
        """Return the first nbytes of a slot."""
        page, start = slot.page, slot.offset
        end = start + min(nbytes, slot.nbytes)
        if isinstance(page, int):
            return bytes(ffi.buffer(lib.page_content(self.core, page), PAGE_SIZE)[start:end])
        return page[start:end]

    def _forget(self) -> None:
        """Let go what was taken last."""
        for slot in self.last_taken:
            if isinstance(slot.page, int):
                lib.page_release(self.core, slot.page)
        self.last_taken = []

    def _release(self, slot: Slot) -> None:
        if isinstance(slot.page, int):
            lib.page_release(self.core, slot.page)
