"""How the end of a program is told: the signal that ended it, or its own lines of a traceback."""

import sys
from pathlib import Path

from pkern.kernel.tasks.signals import Signal

OURS = [Path(__file__).parents[2] / name for name in ("kernel", "syscalls", "userland")]
LOGGED = {Signal.SIGSEGV, Signal.SIGILL, Signal.SIGFPE, Signal.SIGTRAP}


def say_ended(program: str, signo: int) -> None:
    """Say that a signal ended a program, and where the log says why."""
    try:
        name = Signal(signo).name
    except ValueError:
        name = f"signal {signo}"
    hint = "; --dmesg shows where" if signo in LOGGED else ""
    print(f"{program}: ended by {name}{hint}", file=sys.stderr)


def show_failure(error: Exception) -> int:
    """Print the traceback of a program's exception, its own frames only; return 1.

    An exception from nowhere in a program is ours, and goes on.
    """
    import traceback  # costs as much as booting a machine

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_ours(frame.filename)]
    if not own and not isinstance(error, SyntaxError):
        raise error
    shown = ["Traceback (most recent call last):\n", *traceback.format_list(own)] if own else []
    shown += traceback.format_exception_only(error)
    print("".join(shown), end="", file=sys.stderr)
    return 1


def is_ours(filename: str) -> bool:
    """Tell whether a file of a traceback is the kernel's, not the program's."""
    parents = Path(filename).parents
    return filename.startswith(("<frozen", "<pkern")) or any(folder in parents for folder in OURS)
