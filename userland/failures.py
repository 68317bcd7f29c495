"""How a program in Python has failed: its traceback, without the frames that are the kernel's.

Owns which files of a traceback are ours.
"""

from __future__ import annotations

import inspect
import os
import re

from pkern.kernel.arguments import did_you_mean

KEYWORD = re.compile(r"(Sys|Kernel)\.(\w+)\(\) got an unexpected keyword argument '(\w+)'")
FLOORS = ("kernel", "syscalls", "userland")


def own_traceback(error: BaseException) -> str:
    """Return the traceback of a program's exception, its own frames only.

    An exception from nowhere in a program is ours, and goes on.
    """
    import traceback  # costs as much as booting a machine

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not is_ours(frame.filename)]
    if not own and not isinstance(error, SyntaxError):
        raise error
    shown = ["Traceback (most recent call last):\n", *traceback.format_list(own)] if own else []
    what, *notes = traceback.format_exception_only(error)
    return "".join([*shown, what.rstrip("\n"), _meant(error, what), "\n", *notes])


def _meant(error: BaseException, told: str) -> str:
    """Return the guess that Python makes when it ends by a wrong name, if it is not told yet.

    Python 3.11 makes none where others show the traceback; of keywords none does before 3.13. A
    look at them in each call would cost those that are right.
    """
    if "id you mean" in told:
        return ""
    if isinstance(error, TypeError):
        return _meant_keyword(str(error))
    if not isinstance(error, AttributeError):
        return ""
    if error.obj is None or error.name is None:  # raised without them
        return ""
    return did_you_mean(error.name, [name for name in dir(error.obj) if name[0] != "_"])


def _meant_keyword(told: str) -> str:
    """Return which keyword of a method of Sys or Kernel was meant."""
    from pkern.kernel.machine import Kernel
    from pkern.userland.program import Sys

    found = KEYWORD.fullmatch(told)
    if found is None:
        return ""
    owner, method, word = found.groups()
    known = inspect.signature(getattr(Kernel if owner == "Kernel" else Sys, method)).parameters
    return did_you_mean(word, [name for name in known if name != "self"])


def status_of(leaving: SystemExit) -> tuple[int, str]:
    """Return the exit status of a program that leaves so, and what Python writes to stderr."""
    if leaving.code is None:
        return 0, ""
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF, ""
    return 1, f"{leaving.code}\n"


def is_ours(filename: str) -> bool:
    """Tell whether a file of a traceback is the kernel's, not the program's."""
    ours = os.path.dirname(os.path.dirname(__file__))
    folders = tuple(f"{ours}/{floor}/" for floor in FLOORS)
    return filename.startswith(("<frozen", "<pkern", *folders))
