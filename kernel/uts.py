"""The names of the system and of this node, as uname and /proc/sys/kernel show them."""

from dataclasses import dataclass


@dataclass(slots=True)
class Uts:
    """One machine's names; the first three name the release that programs may expect."""

    ostype: str = "Linux"
    osrelease: str = "6.18.0-pkern"
    version: str = "#1 SMP PREEMPT_DYNAMIC"
    hostname: str = "pkern"
    domainname: str = "(none)"
