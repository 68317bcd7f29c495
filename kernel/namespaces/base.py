"""What all namespaces have: a kind, a number, the user namespace that owns them.

The numbers are Linux's: those of the initial ones are fixed, the others count up from FIRST_NUMBER.
Source: namespaces(7), include/linux/proc_ns.h of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace

CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = (
    0x80,
    0x20000,
    0x2000000,
    0x4000000,
    0x8000000,
)
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
FIRST_NUMBER = 0xF0000000
MOST_LEVELS = 32  # below the initial one, of those that lie in one another


class Kind(NamedTuple):
    """A kind: its name in /proc, the flag that asks for one, the number of the initial one."""

    name: str
    flag: int
    initial: int


CGROUP = Kind("cgroup", CLONE_NEWCGROUP, 0xEFFFFFFB)
IPC = Kind("ipc", CLONE_NEWIPC, 0xEFFFFFFF)
MNT = Kind("mnt", CLONE_NEWNS, 0xEFFFFFF8)
NET = Kind("net", CLONE_NEWNET, 0xEFFFFFF9)
PID = Kind("pid", CLONE_NEWPID, 0xEFFFFFFC)
TIME = Kind("time", CLONE_NEWTIME, 0xEFFFFFFA)
USER = Kind("user", CLONE_NEWUSER, 0xEFFFFFFD)
UTS = Kind("uts", CLONE_NEWUTS, 0xEFFFFFFE)
KINDS = (MNT, UTS, IPC, PID, CGROUP, NET, TIME, USER)
IN_PROXY = MNT.flag | UTS.flag | IPC.flag | PID.flag | CGROUP.flag | NET.flag | TIME.flag
ALL_FLAGS = IN_PROXY | USER.flag


class Namespace:
    """One namespace. owner: the user namespace that has power over it; None: it is the first.

    charged: the user whose limits it counts for, one of owner's (for a user namespace: of the one
    above it).
    """

    kind: Kind
    lies_in_another = 0  # 1: of a kind that does

    def __init__(self, owner: UserNamespace | None, charged: int = 0) -> None:
        self.owner = owner
        self.charged = charged
        self.number = self.kind.initial

    @property
    def name(self) -> str:
        """What a link to it says."""
        return f"{self.kind.name}:[{self.number}]"

    @property
    def above(self) -> Namespace | None:
        """The one that it lies in, of kinds that lie in one another."""
        return None

    @property
    def user(self) -> UserNamespace:
        """The user namespace that owns it, of one that another one owns."""
        assert self.owner is not None
        return self.owner

    def is_seen_from(self, other: Namespace) -> bool:
        """Tell whether it is another one of its kind, or lies in that."""
        here: Namespace | None = self
        while here is not None and here is not other:
            here = here.above
        return here is not None

    def close(self) -> None:
        """Give back what it holds: nobody uses it any more."""
