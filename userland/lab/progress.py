"""How far a long experiment is: whoever runs one may watch its rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[int, int], object]  # rounds done, of how many


def _nobody(done: int, total: int) -> None:
    """Nobody watches."""


_watcher: ContextVar[Watcher] = ContextVar("watcher", default=_nobody)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Let watcher be told of each round within the `with` block."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def steps(total: int) -> Iterator[int]:
    """Count from 0 to total - 1, and tell who watches before each."""
    for done in range(total):
        _watcher.get()(done, total)
        yield done
    _watcher.get()(total, total)
