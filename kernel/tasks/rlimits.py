"""Resource limits of a process: what setrlimit sets, and the core's struct of what it obeys.

The limits that the core obeys (address space, data, stack, locked memory) live in the struct limits
that an address space points to while one of the process's threads runs in it.
"""

from __future__ import annotations

from pkern.kernel.core import ffi
from pkern.kernel.typed import Any

RLIM_INFINITY = (1 << 64) - 1
MIB = 1 << 20

# Name -> (soft, hard), in the order of Linux's RLIMIT_* numbers.
DEFAULT_RLIMITS: dict[str, tuple[int, int]] = {
    "cpu": (RLIM_INFINITY, RLIM_INFINITY),
    "fsize": (RLIM_INFINITY, RLIM_INFINITY),
    "data": (RLIM_INFINITY, RLIM_INFINITY),
    "stack": (8 * MIB, RLIM_INFINITY),
    "core": (0, RLIM_INFINITY),
    "rss": (RLIM_INFINITY, RLIM_INFINITY),
    "nproc": (RLIM_INFINITY, RLIM_INFINITY),
    "nofile": (1024, 524288),
    "memlock": (8 * MIB, 8 * MIB),
    "as": (RLIM_INFINITY, RLIM_INFINITY),
    "locks": (RLIM_INFINITY, RLIM_INFINITY),
    "sigpending": (1024, 1024),
    "msgqueue": (819200, 819200),
    "nice": (0, 0),
    "rtprio": (0, 0),
    "rttime": (RLIM_INFINITY, RLIM_INFINITY),
}
LIMITS = ffi.typeof("struct limits *")
CORE_LIMITS = frozenset({"as", "data", "stack", "memlock"})


class Rlimits:
    """Resource limits by name; the soft values that the core obeys live in its struct.

    The others (soft) are values that parent and child share until one of them sets its own.
    """

    __slots__ = ("_hard", "limits", "soft")

    def __init__(self, limits: Any, soft: dict[str, int], hard: dict[str, int]) -> None:
        self.limits = limits
        self.soft = soft
        self._hard = hard

    @classmethod
    def at_boot(cls, limits: Any) -> Rlimits:
        """Return the limits of the first task."""
        made = cls(limits, {}, {})
        for name, pair in DEFAULT_RLIMITS.items():
            made[name] = pair
        return made

    def __getitem__(self, name: str) -> tuple[int, int]:
        soft = int(getattr(self.limits, name)) if name in CORE_LIMITS else self.soft[name]
        return soft, self._hard[name]

    def __setitem__(self, name: str, pair: tuple[int, int]) -> None:
        soft, hard = pair
        self._hard = self._hard | {name: hard}
        self.limits.kin = 0  # RLIMIT_CPU: looked at when a turn ends
        if name in CORE_LIMITS:
            setattr(self.limits, name, soft)
            if name == "data":
                self.limits.data_most = hard
        else:
            self.soft = self.soft | {name: soft}

    def copy(self, limits: Any) -> Rlimits:
        """Return a forked child's own, in its struct."""
        limits[0] = self.limits[0]
        limits.kin = 0
        return Rlimits(limits, self.soft, self._hard)

    def items(self) -> list[tuple[str, tuple[int, int]]]:
        """Return (name, (soft, hard)) in Linux's order."""
        return [(name, self[name]) for name in DEFAULT_RLIMITS]
