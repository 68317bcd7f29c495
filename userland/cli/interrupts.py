"""Ctrl-C while modules are imported."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130  # the exit status: 128 + SIGINT, as a shell shows it


@contextmanager
def at_once() -> Iterator[None]:
    """Let Ctrl-C end the process at once in here, with status 130.

    For imports: they leave nothing to tidy up, and a KeyboardInterrupt in one of importlib's
    callbacks would be printed and lost.
    """
    before = signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(signo: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
