"""The names of the system and of this node, as uname and /proc/sys/kernel show them."""

from __future__ import annotations

from pkern.kernel.namespaces.base import UTS, Namespace
from pkern.kernel.namespaces.user import UserNamespace


class Uts(Namespace):
    """The names that some tasks see; the first three name the release that programs may expect."""

    kind = UTS

    def __init__(self, owner: UserNamespace, charged: int = 0, hostname: str = "pkern") -> None:
        super().__init__(owner, charged)
        self.ostype = "Linux"
        self.osrelease = "6.18.0-pkern"
        self.version = "#1 SMP PREEMPT_DYNAMIC"
        self.hostname = hostname
        self.domainname = "(none)"

    def copy(self, owner: UserNamespace, charged: int) -> Uts:
        """Return a new namespace that begins with the same names."""
        made = Uts(owner, charged, self.hostname)
        made.domainname = self.domainname
        return made
