"""The first moments of the command's process, while modules are imported.

Called by pkern/__main__.py, which has a process to itself; a test that calls cli.main does not.
"""

# Without the enumerations that module signal makes of its numbers: a hundredth of a start.
import _signal as signal  # type: ignore[import-not-found]
import atexit
import gc
import os
import sys

STANDARD = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # by descriptor
AT_THE_TERMINAL = {"console", "shell"}  # commands that read it line by line
FOREIGN = "pkern.userland.foreign"  # imported where a file in Python runs that is not pkern's
# Exit statuses as a shell shows them: 128 + SIGINT, 128 + SIGPIPE.
INTERRUPTED, BROKEN_PIPE = 130, 141


def begin() -> None:
    """Open what is closed, let Ctrl-C end the process at once, with 130, let the collector rest.

    Imports leave nothing to tidy up, and a KeyboardInterrupt in one of importlib's callbacks would
    be printed and lost. They make no garbage either. What is typed meanwhile is kept for the
    commands that read the terminal.
    """
    _open_the_closed()
    signal.signal(signal.SIGINT, _leave)
    gc.disable()
    if AT_THE_TERMINAL.intersection(sys.argv[1:2]):
        from pkern.userland.cli import typeahead

        typeahead.take()


def end() -> None:
    """Let Ctrl-C raise KeyboardInterrupt; what was imported stays, so the collector passes by."""
    gc.freeze()
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def leave(status: int) -> None:
    """End the process at once, if nothing but pkern has run in it and no thread of it is left.

    Python would look through all its objects first, to free memory that goes anyway. Where there
    was a program in Python or a file of hooks, it may find what that has left open.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading = sys.modules.get("threading")
    if FOREIGN in sys.modules or (threading is not None and threading.active_count() > 1):
        return
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # as Python ends it says why
    os._exit(status & 0xFF)


def _open_the_closed() -> None:
    """Put /dev/null where a standard descriptor is closed (`pkern ... >&-`).

    Else the next file that is opened would be taken for standard output.
    """
    for fd, (name, mode) in enumerate(STANDARD):
        if getattr(sys, name) is None:
            _occupy(fd)
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))


def _occupy(fd: int) -> None:
    opened = os.open(os.devnull, os.O_RDWR)
    if opened != fd:
        os.dup2(opened, fd)
        os.close(opened)


def _leave(signo: int, frame: object) -> None:
    taken = sys.modules.get("pkern.userland.cli.typeahead")
    if taken is not None:
        taken.give_back()
    os._exit(INTERRUPTED)
