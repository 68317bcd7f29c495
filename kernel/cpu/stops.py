"""A debugger's side of the processor: where machine code stops, unseen by it.

Owns the calls of kernel/core/cpu/debug.c. A moment of a run is the number of blocks of code that
have begun and the address of the next instruction; code without a jump comes to an address once, so
moments are ordered as the run comes to them.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.cpu.processor import Context, Processor

DEBUG = lib.RUN_DEBUG
NEVER = (1 << 64) - 1
PAGE_SIZE = 4096


class Kind(IntEnum):
    """What a spot stops: enum spot_kind."""

    BREAK = lib.SPOT_BREAK
    WRITE = lib.SPOT_WRITE
    READ = lib.SPOT_READ
    ACCESS = lib.SPOT_ACCESS


class Why(IntEnum):
    """Why the processor stopped for a debugger: enum debug_stop."""

    SPOT = lib.DEBUG_SPOT
    STEP = lib.DEBUG_STEP
    PLACE = lib.DEBUG_PLACE
    FAULT = lib.DEBUG_FAULT


class Notes(IntEnum):
    """What is noted instead of stopping: enum debug_notes."""

    NOTHING = lib.NOTE_NOTHING
    SPOTS = lib.NOTE_SPOTS
    STEPS = lib.NOTE_STEPS
    BLOCKS = lib.NOTE_BLOCKS


class Spot(NamedTuple):
    """A breakpoint or a watched place. space: mm*; addr, nbytes: of one page."""

    space: Any
    addr: int
    nbytes: int
    kind: Kind


class Moment(NamedTuple):
    """blocks: that have begun, with that of the next instruction. rip: where that is.

    rip 0: before the first instruction of that block.
    """

    blocks: int
    rip: int


class Stops:
    """The stops of one processor; close() takes all of them away."""

    def __init__(self, processor: Processor) -> None:
        """Let the processor be debugged. Errors: ENOMEM."""
        self._processor = processor
        self._spots: list[tuple[Any, ...]] = []
        _check(lib.debug_open(processor.handle))

    def close(self) -> None:
        """Let it be debugged no more."""
        lib.debug_close(self._processor.handle)

    def set_spots(self, spots: Sequence[Spot]) -> None:
        """Stop at these, and at no others. Errors: ENOMEM."""
        rows = [(spot.space, spot.addr, spot.nbytes, int(spot.kind)) for spot in spots]
        if rows == self._spots:
            return  # or all code would be translated again
        self._spots = rows
        _check(lib.debug_spots(self._processor.handle, ffi.new("struct spot[]", rows), len(rows)))

    def step(self, context: Context | None, first: int = 0, end: int = 0) -> None:
        """Stop a context behind one instruction, or the first outside [first, end). Errors: ENOMEM.

        None: nobody is stepped.
        """
        handle = ffi.NULL if context is None else context.handle
        _check(lib.debug_step(self._processor.handle, handle, first, end))

    def until(self, blocks: int = NEVER, land: int = 0) -> None:
        """Stop when so many blocks have begun and another would, and at an address.

        Errors: ENOMEM.
        """
        _check(lib.debug_until(self._processor.handle, blocks, land))

    def tell_faults(self, tells: int) -> None:
        """Stop before each page fault is served (1), or at none (0)."""
        lib.debug_faults(self._processor.handle, tells)

    def note(self, notes: Notes) -> None:
        """Note from now on, instead of stopping. Errors: ENOMEM."""
        _check(lib.debug_note(self._processor.handle, notes))

    def look(self) -> None:
        """Look at watched places as where a block begins, while blocks are noted."""
        lib.debug_look(self._processor.handle)

    def last(self) -> int:
        """Return the last instruction that has begun, while all are looked at; 0: none."""
        return int(lib.debug_now(self._processor.handle))

    def noted(self) -> tuple[Moment, int] | None:
        """Return the last moment that was noted, and the number of its spot."""
        found = ffi.new("struct moment *")
        spot = int(lib.debug_noted(self._processor.handle, found))
        return (Moment(int(found.blocks), int(found.rip)), spot) if found.blocks else None

    def moment(self) -> Moment:
        """Return when it is."""
        found = ffi.new("struct moment *")
        lib.debug_moment(self._processor.handle, found)
        return Moment(int(found.blocks), int(found.rip))


def peek(space: Any, addr: int, nbytes: int) -> bytes:
    """Return what can be read at addr (mm*) without bringing in a page; b"": nothing."""
    buffer = bytearray(nbytes)
    return bytes(buffer[: lib.debug_peek(space, addr, ffi.from_buffer(buffer), nbytes)])


def _check(status: int) -> None:
    if status:
        raise SyscallError(errno.ENOMEM)
