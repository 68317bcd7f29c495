"""/sys/kernel/mm/ksm: the scanner's switches and what it has found.

The advisor's values are kept and bound pages_to_scan, but nothing is advised: there is no time of a
processor that scanning could take too much of. Source: mm/ksm.c of Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.ksm import PAGES_TO_SCAN, UNMERGE
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.sysfs.fs import Attribute, Tree, number

if TYPE_CHECKING:
    from pkern.kernel.mm.ksm import Ksm

UINT_MAX, INT_MAX = (1 << 32) - 1, (1 << 31) - 1
COUNTERS = {
    "full_scans": "full_scans",
    "ksm_zero_pages": "zero_pages",
    "pages_scanned": "pages_scanned",
    "pages_shared": "pages_shared",
    "pages_sharing": "pages_sharing",
    "pages_skipped": "pages_skipped",
    "pages_unshared": "pages_unshared",
    "stable_node_chains": "stable_node_chains",
    "stable_node_dups": "stable_node_dups",
}
SWITCHES = ("use_zero_pages", "smart_scan")
BOOLEANS = {"1": 1, "y": 1, "Y": 1, "on": 1, "0": 0, "n": 0, "N": 0, "off": 0}
ADVISOR = {
    "advisor_max_cpu": 70,
    "advisor_max_pages_to_scan": 30000,
    "advisor_min_pages_to_scan": 500,
    "advisor_target_scan_time": 200,
}
POSITIVE = {"advisor_target_scan_time"}
MODES = ("none", "scan-time")
PRUNE_MILLISECS = 2000


def _within(text: str, high: int = UINT_MAX) -> int:
    """Return a number 0..high; all that is none is EINVAL here."""
    try:
        return number(text, high)
    except SyscallError:
        raise SyscallError(errno.EINVAL) from None


def _boolean(text: str) -> int:
    value = BOOLEANS.get(text.strip())
    if value is None:
        raise SyscallError(errno.EINVAL)
    return value


def _kept(values: dict[str, int], name: str, least: int = 0) -> Attribute:
    def store(text: str) -> None:
        value = _within(text)
        if value < least:
            raise SyscallError(errno.EINVAL)
        values[name] = value

    return Attribute(lambda: str(values[name]), store)


def _counter(core: Any, field: str) -> Attribute:
    return Attribute(lambda: str(int(getattr(core, field))))


def _switch(core: Any, name: str) -> Attribute:
    def store(text: str) -> None:
        setattr(core, name, _boolean(text))

    return Attribute(lambda: str(int(getattr(core, name))), store)


def _idle(ksm: Ksm, name: str, allowed: Callable[[int], bool]) -> Attribute:
    """A switch that stays while pages are merged."""

    def store(text: str) -> None:
        value = _within(text, INT_MAX)
        if not allowed(value):
            raise SyscallError(errno.EINVAL)
        ksm.set_idle(name, value)

    return Attribute(lambda: str(int(getattr(ksm.core, name))), store)


class Advisor:
    """Which advisor there is, and its values."""

    def __init__(self, ksm: Ksm) -> None:
        self._ksm = ksm
        self.values = dict(ADVISOR)
        self.mode = MODES[0]

    def show(self) -> str:
        """Return the modes, the chosen one in brackets."""
        return " ".join(f"[{mode}]" if mode == self.mode else mode for mode in MODES)

    def choose(self, text: str) -> None:
        """Choose a mode; pages_to_scan begins anew. Errors: EINVAL."""
        if text.strip() not in MODES:
            raise SyscallError(errno.EINVAL)
        self.mode = text.strip()
        least = self.values["advisor_min_pages_to_scan"]
        self._ksm.pages_to_scan = PAGES_TO_SCAN if self.mode == MODES[0] else least

    def scan(self, text: str) -> None:
        """Set pages_to_scan, unless that is the advisor's. Errors: EINVAL."""
        if self.mode != MODES[0]:
            raise SyscallError(errno.EINVAL)
        self._ksm.pages_to_scan = _within(text)


def tree(ksm: Ksm) -> Tree:
    """Return what stands below /sys/kernel/mm/ksm."""
    core, advisor, own = ksm.core, Advisor(ksm), {"prune": PRUNE_MILLISECS}

    def run(text: str) -> None:
        ksm.run = _within(text, UNMERGE)

    def sleep(text: str) -> None:
        ksm.sleep_millisecs = _within(text)

    found: Tree = {name: _counter(core, field) for name, field in COUNTERS.items()}
    found |= {name: _switch(core, name) for name in SWITCHES}
    found |= {name: _kept(advisor.values, name, int(name in POSITIVE)) for name in ADVISOR}
    return found | {
        "advisor_mode": Attribute(advisor.show, advisor.choose),
        "general_profit": Attribute(lambda: str(ksm.general_profit)),
        "max_page_sharing": _idle(ksm, "max_page_sharing", lambda value: value >= 2),
        "merge_across_nodes": _idle(ksm, "merge_across_nodes", lambda value: value <= 1),
        "pages_to_scan": Attribute(lambda: str(ksm.pages_to_scan), advisor.scan),
        "pages_volatile": Attribute(lambda: str(ksm.pages_volatile)),
        "run": Attribute(lambda: str(ksm.run), run),
        "sleep_millisecs": Attribute(lambda: str(ksm.sleep_millisecs), sleep),
        "stable_node_chains_prune_millisecs": _kept(own, "prune"),
    }
