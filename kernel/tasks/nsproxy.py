"""Which namespaces a task is in, but for those of users, which its credentials name.

And those kinds that hold nothing but names, or parts of other rooms, which are made when somebody
first asks for them.
"""

from __future__ import annotations

from pkern.kernel import late
from pkern.kernel.clock import CLOCK_BOOTTIME, CLOCK_MONOTONIC
from pkern.kernel.lean import cached_property
from pkern.kernel.namespaces.base import CGROUP, IPC, NET, TIME, UTS, Namespace
from pkern.kernel.namespaces.pid import PidNamespace
from pkern.kernel.namespaces.user import FIRST
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.mounts import MountNamespace

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.net.common import Common
    from pkern.kernel.net.net import Net
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.ipc.mqueue import Queues
    from pkern.kernel.vfs.ipc.msg import Messages
    from pkern.kernel.vfs.ipc.sem import Semaphores
    from pkern.kernel.vfs.ipc.shm import Segments

IN_ORDER = ("segments", "semaphores", "messages", "queues")  # the parts of an ipc namespace
PARTS = frozenset(IN_ORDER)
IFF_UP = 1
# Clocks (RAW, COARSE, ALARM) -> whose offset they have.
COUNTS_AS = {
    **dict.fromkeys((CLOCK_MONOTONIC, 4, 6), CLOCK_MONOTONIC),
    **dict.fromkeys((CLOCK_BOOTTIME, 9), CLOCK_BOOTTIME),
}


class CgroupNamespace(Namespace):
    """The root of the control groups that are seen. There is one group, so all see the same."""

    kind = CGROUP


class Uts(Namespace):
    """The names of uname and /proc/sys/kernel; the first three are those of the release."""

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


class TimeNamespace(Namespace):
    """How far the clocks of some tasks are ahead. frozen: 1 once a task was in it.

    offsets: nanoseconds, of CLOCK_MONOTONIC and CLOCK_BOOTTIME. Source: time_namespaces(7).
    """

    kind = TIME

    def __init__(self, owner: UserNamespace, charged: int = 0) -> None:
        super().__init__(owner, charged)
        self.offsets = {CLOCK_MONOTONIC: 0, CLOCK_BOOTTIME: 0}
        self.frozen = 0

    def copy(self, owner: UserNamespace, charged: int) -> TimeNamespace:
        """Return a new namespace that begins with the same offsets."""
        made = TimeNamespace(owner, charged)
        made.offsets = dict(self.offsets)
        return made

    def ahead(self, clock: int) -> int:
        """Return how far a clock is ahead of the machine's, in nanoseconds."""
        return self.offsets[COUNTS_AS[clock]] if clock in COUNTS_AS else 0


class IpcNamespace(Namespace):
    """One ipc namespace, with limits of its own: kernel.shm*, msg*, sem, fs.mqueue.*."""

    kind = IPC

    def __init__(self, kernel: Machine, owner: UserNamespace, charged: int = 0) -> None:
        super().__init__(owner, charged)
        self.kernel = kernel

    @cached_property
    def segments(self) -> Segments:
        """Shared memory of System V."""
        made: Segments = late.load("pkern.kernel.vfs.ipc.shm").Segments(self.kernel)
        return made

    @cached_property
    def semaphores(self) -> Semaphores:
        """Semaphores of System V."""
        made: Semaphores = late.load("pkern.kernel.vfs.ipc.sem").Semaphores(self.kernel)
        return made

    @cached_property
    def messages(self) -> Messages:
        """Message queues of System V."""
        made: Messages = late.load("pkern.kernel.vfs.ipc.msg").Messages(self.kernel)
        return made

    @cached_property
    def queues(self) -> Queues:
        """Message queues of POSIX."""
        made: Queues = late.load("pkern.kernel.vfs.ipc.mqueue").Queues(self.kernel)
        return made

    def has(self, part: str) -> bool:
        """Tell whether somebody has asked for a part, by its name."""
        return part in vars(self)

    def leave(self, task: Task) -> None:
        """Let a task that has ended leave what it holds or waits for, of the parts there are."""
        if PARTS.isdisjoint(vars(self)):
            return
        for name in IN_ORDER:
            if self.has(name):
                getattr(self, name).leave(task.pid)

    def close(self) -> None:
        if self.has("segments"):
            self.segments.close()


class NetNamespace(Namespace):
    """One network namespace; what is in it is made when somebody first asks for a socket."""

    kind = NET

    def __init__(self, kernel: Machine, owner: UserNamespace, charged: int = 0) -> None:
        super().__init__(owner, charged)
        self.kernel = kernel

    @cached_property
    def stack(self) -> Net:
        """All sockets, and the loopback: up in a machine's first network, else down."""
        made: Net = late.load("pkern.kernel.net.net").Net(self.kernel, self, self.common)
        if self is self.kernel.nsproxy.net:
            made.lo.set_flags(IFF_UP)
        return made

    @cached_property
    def common(self) -> Common:
        """What it has in common with the machine's other networks; the first one's own."""
        first = self.kernel.nsproxy.net
        if self is not first:
            return first.common
        made: Common = late.load("pkern.kernel.net.common").Common()
        return made

    def close(self) -> None:
        if "stack" in vars(self):
            self.stack.close()


class Nsproxy(NamedTuple):
    """A task's namespaces, by the names of their kinds. Linux's struct nsproxy, but a value.

    pid: that of the children that it makes; its own is where it has its number. time_for_children:
    where its children will be, and itself once it has executed a program.
    """

    uts: Uts
    ipc: IpcNamespace
    net: NetNamespace
    cgroup: CgroupNamespace
    pid: PidNamespace
    mnt: MountNamespace
    time: TimeNamespace
    time_for_children: TimeNamespace

    def in_new_time(self) -> Nsproxy:
        """Return these, with the clocks of children; those stay as they are from now on."""
        self.time_for_children.frozen = 1
        return self._replace(time=self.time_for_children)

    def close(self) -> None:
        """Give back what they hold, but for mounts: the machine that begins with them ends."""
        self.ipc.close()
        self.net.close()


def first_namespaces(kernel: Machine, hostname: str) -> Nsproxy:
    """Return those that a machine begins with; nobody sets its first clocks ahead."""
    time = TimeNamespace(FIRST)
    time.frozen = 1
    return Nsproxy(
        uts=Uts(FIRST, hostname=hostname),
        ipc=IpcNamespace(kernel, FIRST),
        net=NetNamespace(kernel, FIRST),
        cgroup=CgroupNamespace(FIRST),
        pid=PidNamespace(None, FIRST),
        mnt=MountNamespace(FIRST),
        time=time,
        time_for_children=time,
    )
