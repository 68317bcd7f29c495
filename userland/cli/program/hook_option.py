"""`pkern run --hook FILE.py`: where the user's functions come in while a program runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pkern.userland.cli.options import UsageError, existing
from pkern.userland.events.hooks import BadHook, Hooking, load

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.userland.machine_code import Stdio


class HookDoor:
    """The hooks of a file of the host. Errors: UsageError."""

    def __init__(self, name: str) -> None:
        try:
            self._hooks = load(Path(existing(name)))
        except BadHook as error:
            raise UsageError(str(error)) from error
        self._hooking: Hooking | None = None

    def begin(self, kernel: Kernel, task: Task, stdio: Stdio) -> None:
        """Call them from now on."""
        self._hooking = Hooking(kernel, self._hooks)

    def finish(self) -> None:
        """Call them no more."""
        if self._hooking is None:
            return
        self._hooking.close()
        if unseen := sorted(self._hooking.unseen):
            print(f"pkern: no program has a symbol {', '.join(unseen)} (--hook)", file=sys.stderr)

    def tell_end(self, status: int) -> None:
        """Nobody waits to hear of it."""
