"""What prctl, personality and the scheduling calls set for a task and later read again.

Owns settings only. They are values, shared by parent and child until one of them changes its own
(replace()); forked() says which of them a child starts without; a new program keeps them all. What
stays shared (CLONE_IO) is an object.
"""

from __future__ import annotations

from pkern.kernel.values import NamedTuple

SCHED_NORMAL, SCHED_FIFO, SCHED_RR, SCHED_BATCH, SCHED_IDLE, SCHED_DEADLINE = 0, 1, 2, 3, 5, 6
DEADLINE_PRIORITY = -101  # as /proc/PID/stat shows it
SLICE_NS = 1_400_000  # what Linux shows of a task that never set one
TIMER_SLACK_NS = 50_000
NO_LOGIN = (1 << 32) - 1
MCE_KILL_LATE, MCE_KILL_EARLY, MCE_KILL_DEFAULT = 0, 1, 2


class Usage(NamedTuple):
    """What a task's memory has seen: faults, and the most pages that were resident."""

    minor_faults: int
    major_faults: int
    peak_pages: int


class IoCounters:
    """What a task has read and written: bytes and calls; read_bytes, write_bytes: of storage.

    An object has those that were counted once; the others are the class's zeros.
    """

    rchar = wchar = 0
    syscr = syscw = 0
    read_bytes = write_bytes = 0

    def add(self, other: IoCounters) -> IoCounters:
        """Add what another one has counted; return self."""
        for name, number in vars(other).items():
            setattr(self, name, getattr(self, name) + number)
        return self


class IoContext:
    """What tasks share by CLONE_IO: priority, class << 13 | level. Who has set none has none."""

    def __init__(self, priority: int = 0) -> None:
        self.priority = priority

    def copy(self) -> IoContext | None:
        """Return what a child starts with that does not share it."""
        return IoContext(self.priority) if self.priority else None


class Attributes(NamedTuple):
    """Settings of one task.

    nice: -20..19. policy, rt_priority: as sched_setscheduler. slice_ns: which slice it asked for,
    0: the usual. dl_*: what SCHED_DEADLINE was asked for, with which flags. pdeath_signal: sent to
    the task when its parent ends, 0 for none. mce_kill: PR_MCE_KILL_* for memory errors, of which
    there are none.
    loginuid, sessionid: who logged in (the machine's number), and which login it was; or NO_LOGIN.
    """

    nice: int = 0
    policy: int = SCHED_NORMAL
    rt_priority: int = 0
    reset_on_fork: int = 0
    slice_ns: int = 0
    dl_runtime_ns: int = 0
    dl_deadline_ns: int = 0
    dl_period_ns: int = 0
    dl_flags: int = 0
    personality: int = 0
    pdeath_signal: int = 0
    timer_slack_ns: int = TIMER_SLACK_NS
    default_slack_ns: int = TIMER_SLACK_NS
    mce_kill: int = MCE_KILL_DEFAULT
    io_flusher: int = 0
    loginuid: int = NO_LOGIN
    sessionid: int = NO_LOGIN

    def forked(self) -> Attributes:
        """Return what a child starts with."""
        own = self.pdeath_signal or self.reset_on_fork
        if not own and self.default_slack_ns == self.timer_slack_ns:
            return self
        child = self._replace(
            pdeath_signal=0,
            reset_on_fork=0,
            default_slack_ns=self.timer_slack_ns,
        )
        if not self.reset_on_fork:
            return child
        nice = 0 if self.policy in (SCHED_FIFO, SCHED_RR, SCHED_DEADLINE) else max(self.nice, 0)
        return child._replace(nice=nice, policy=SCHED_NORMAL, rt_priority=0, slice_ns=0)

    @property
    def priority(self) -> int:
        """The priority of /proc/PID/stat: 20 + nice, below 0 for real-time tasks and deadlines."""
        if self.policy == SCHED_DEADLINE:
            return DEADLINE_PRIORITY
        return -1 - self.rt_priority if self.rt_priority else 20 + self.nice


# A task's dumpable: nobody may look into it; its user may; a core file of it is root's.
DUMP_NONE, DUMP_USER, DUMP_ROOT = 0, 1, 2


class Dumps:
    """kernel.core_* and fs.suid_dumpable. pipes: core files that programs are reading now."""

    def __init__(self) -> None:
        self.pattern = "core"
        self.uses_pid = 0
        self.pipe_limit = 0
        self.note_size_limit = 4 << 20
        self.sort_vma = 0
        self.suid_dumpable = DUMP_NONE
        self.pipes = 0
