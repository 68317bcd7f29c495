"""Python's own debugger for a program in Python: at the call that failed, while its task lives."""

from __future__ import annotations

import pdb
import traceback
from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any

from pkern.kernel.errors import KernelBug, KernelPanic, TaskKilled
from pkern.userland.failures import is_ours

NOT_THE_PROGRAMS = (KernelBug, KernelPanic, TaskKilled)


def stopping(main: Callable[..., Any]) -> Callable[..., Any]:
    """Return a program's main that asks pdb where it raises, and raises then."""

    @wraps(main)
    def call(*args: Any) -> Any:
        try:
            return main(*args)
        except NOT_THE_PROGRAMS:
            raise
        except Exception as error:
            _ask(error)
            raise

    return call


def _ask(error: Exception) -> None:
    frames = _own_frames(error.__traceback__)
    if frames is None:
        return
    told = "".join(traceback.format_exception_only(error))
    print(f"pkern: {told}pkern: this is where; the program ends when you leave (q)", flush=True)
    debugger = pdb.Pdb(nosigint=True)
    debugger.reset()
    debugger.interaction(None, frames)


def _own_frames(found: TracebackType | None) -> TracebackType | None:
    """Return a traceback with the program's frames only; the last one made the call that failed."""
    if found is None:
        return None
    rest = _own_frames(found.tb_next)
    if is_ours(found.tb_frame.f_code.co_filename):
        return rest
    return TracebackType(rest, found.tb_frame, found.tb_lasti, found.tb_lineno)
