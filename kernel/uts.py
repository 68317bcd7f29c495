"""The names of the system and of this node, as uname and /proc/sys/kernel show them."""


class Uts:
    """One machine's names; the first three name the release that programs may expect."""

    def __init__(self, hostname: str = "pkern") -> None:
        self.ostype = "Linux"
        self.osrelease = "6.18.0-pkern"
        self.version = "#1 SMP PREEMPT_DYNAMIC"
        self.hostname = hostname
        self.domainname = "(none)"
