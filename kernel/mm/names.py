"""Names that programs give to anonymous memory: the core knows their numbers only.

Source: prctl(2), PR_SET_VMA_ANON_NAME.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory

FIRST_SWEEP = 1024  # names, before those that no VMA has are forgotten
REFUSED = frozenset("\\`$[]")


class Names:
    """The names that VMAs have, by their numbers."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._numbers: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._last = 0
        self._sweep_at = FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._texts)

    def number(self, name: str) -> int:
        """Return the number of a name. Errors: EINVAL: a character that none may have."""
        if any(not " " <= letter <= "~" or letter in REFUSED for letter in name):
            raise SyscallError(errno.EINVAL)
        if name not in self._numbers:
            if len(self._numbers) >= self._sweep_at:
                self._sweep()
            self._last += 1
            self._numbers[name], self._texts[self._last] = self._last, name
        return self._numbers[name]

    def text(self, number: int) -> str:
        """Return the name that a VMA has."""
        return self._texts[number]

    def _sweep(self) -> None:
        """Forget the names that no VMA has any more."""
        room = int(self._memory.counters.nr_vmas)
        found = ffi.new("uint64_t[]", room or 1)
        used = set(found[0 : lib.machine_names(self._memory.core, found, room)])
        self._texts = {number: text for number, text in self._texts.items() if number in used}
        self._numbers = {text: number for number, text in self._texts.items()}
        self._sweep_at = max(FIRST_SWEEP, 2 * len(self._texts))
