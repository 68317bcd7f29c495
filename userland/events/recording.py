"""`pkern run --events FILE -E GLOB`: what a machine does while a program runs, into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pkern.userland.events.formats import writer_for

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Tracing
    from pkern.kernel.machine import Kernel

RING_RECORDS = 1 << 18  # room for what one system call, or one slice of machine code, may do
TWICE = "syscalls:"  # what raw_syscalls tells, by the calls' names: only for who asks


class UnknownEvent(ValueError):
    """There is no event that a pattern means."""


def chosen(tracing: Tracing, globs: Sequence[str]) -> list[str]:
    """Return the events that globs mean; without one, all but the calls' own.

    Errors: UnknownEvent.
    """
    if not globs:
        return [name for name in tracing.table if not name.startswith(TWICE)]
    try:
        return tracing.table.matching(*globs)
    except LookupError as error:
        raise UnknownEvent(str(error)) from None


@contextmanager
def recording(
    kernel: Kernel, name: str, globs: Sequence[str], emit: Callable[[str], object]
) -> Iterator[None]:
    """Write the events of what is done meanwhile. name: whose suffix says how; emit: takes lines.

    Errors: UnknownEvent; ENOMEM of the host.
    """
    tracing = kernel.tracing
    names = chosen(tracing, globs)
    tracing.ring_records = max(tracing.ring_records, RING_RECORDS)
    writer = writer_for(name, emit)
    before = tracing.lost
    one = tracing.subscribe(names, writer.event)
    try:
        yield
    finally:
        tracing.unsubscribe(one)
        writer.end(tracing.lost - before)
