"""The first moments of the command's process, while modules are imported.

Called by pkern/__main__.py, which has a process to itself; a test that calls cli.main does not.
"""

import gc
import os
import signal
from types import FrameType

INTERRUPTED = 130  # the exit status: 128 + SIGINT, as a shell shows it


def begin() -> None:
    """Let Ctrl-C end the process at once, with status 130, and let the collector rest.

    Imports leave nothing to tidy up, and a KeyboardInterrupt in one of importlib's callbacks would
    be printed and lost. They make no garbage either.
    """
    signal.signal(signal.SIGINT, _leave)
    gc.disable()


def end() -> None:
    """Let Ctrl-C raise KeyboardInterrupt; what was imported stays, so the collector passes by."""
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(signo: int, frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
