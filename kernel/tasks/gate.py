"""The gate of nonlinear mappings where vm.nonlinear is 0: who passes, and to what."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

CLOSED = "vm.nonlinear is 0"


def check(task: Task) -> None:
    """Refuse who may not make nonlinear mappings. Errors: EPERM."""
    if not task.kernel.memory.nonlinear_open and not task.capable("CAP_IPC_LOCK"):
        raise SyscallError(errno.EPERM, CLOSED)


def remap_behind(task: Task) -> Any:
    """Return the core's remap for who passes while the gate is closed. Errors: EPERM.

    It makes no pte of an ordinary mapping nonlinear: it splits the mapping, as Linux since 4.0.
    """
    check(task)
    return lib.mm_remap_behind_gate
