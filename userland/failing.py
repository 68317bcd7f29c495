"""What of the kernel's own work can be made to fail, the nth time it is done.

Owns the names, and the option of `pkern run` that asks for each. Allocations are those of memory in
the kernel that programs' calls and faults ask for: one is refused, or memory runs out there and the
OOM killer comes (oom). Before a disk_write, a change of the host's files, the machine stops dead.
The others are reads and writes of pages.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from pkern.kernel.numbers import is_decimal
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

ALLOCATION, OUT_OF_MEMORY = "allocation", "oom"
PAGES = ("file_read", "swap_read", "swap_write", "writeback")
DISK_WRITE = "disk_write"
SWEPT = (ALLOCATION, OUT_OF_MEMORY, *PAGES)  # by copies of a machine, which have no disk
KINDS = (*SWEPT, DISK_WRITE)


class Origin(Enum):
    """From where on work is counted; the value is the option that says so."""

    MAIN = ""
    EXEC = "--fail-exec"


class BadFailure(ValueError):
    """A failure that cannot be read; the text says why, as a sentence."""


class Failing(NamedTuple):
    """The nth of a kind (one of KINDS) fails, counted from 1."""

    kind: str
    nth: int

    def replay(self) -> str:
        """Return the option of `pkern run` that lets it fail."""
        if self.kind == ALLOCATION:
            return f"--fail-nth {self.nth}"
        return f"--fail {self.kind}:{self.nth}"

    def arm(self, kernel: Kernel) -> None:
        """Let it fail, counted from now on."""
        if self.kind == ALLOCATION:
            kernel.fail_nth(self.nth)
        elif self.kind == OUT_OF_MEMORY:
            kernel.run_out(self.nth)
        else:
            kernel.fail_io(self.kind, self.nth)

    def disarm(self, kernel: Kernel) -> None:
        """Let none of its kind fail any more."""
        self._replace(nth=0).arm(kernel)


def left(kernel: Kernel, kind: str) -> int:
    """Return how many of a kind it is to the one that fails; 0: none is to, or it has."""
    is_allocation = kind in (ALLOCATION, OUT_OF_MEMORY)
    return kernel.fail_pending if is_allocation else kernel.io_pending(kind)


def read_failing(text: str) -> Failing:
    """Return what KIND:N of --fail means. Errors: BadFailure."""
    kind, colon, nth = text.partition(":")
    if kind not in KINDS or not colon or not is_decimal(nth) or not int(nth):
        kinds = ", ".join(KINDS)
        raise BadFailure(f"--fail takes KIND:N, as swap_read:3, not '{text}' (kinds: {kinds})")
    return Failing(kind, int(nth))
