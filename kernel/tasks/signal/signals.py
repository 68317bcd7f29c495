"""Signals of a thread and of its process: what is handled, blocked and pending, and who is told.

A Python program's handlers are Python callables, called when the signal is sent. A task in machine
code has `Sigaction`s; its signals wait here until the scheduler lets it enter user mode again.
"""

from __future__ import annotations

from pkern.kernel import late
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.values import Enum, NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.tasks.signal.signames import Signal as Signal
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.times.posix_timers import PosixTimer


SIG_DFL, SIG_IGN = 0, 1
RTMIN = 32  # the kernel's; the C library keeps the first two
NSIG = 64
FIRST_QUEUED = 32  # from here on each sending counts
SIGINT, SIGILL, SIGTRAP, SIGFPE, SIGKILL, SIGSEGV, SIGPIPE, SIGALRM = 2, 4, 5, 8, 9, 11, 13, 14
SIGCHLD, SIGCONT, SIGSTOP, SIGXCPU, SIGXFSZ = 17, 18, 19, 24, 25
IGNORED_BY_DEFAULT = frozenset({17, 18, 23, 28})
STOPPING = frozenset({19, 20, 21, 22})
UNCATCHABLE = frozenset({9, 19})
SYNCHRONOUS = frozenset({4, 5, 7, 8, 11, 31})
UNBLOCKABLE_MASK = 1 << 8 | 1 << 18

SA_NOCLDSTOP, SA_NOCLDWAIT, SA_SIGINFO = 1, 2, 4
SA_RESTORER, SA_ONSTACK, SA_RESTART = 0x0400_0000, 0x0800_0000, 0x1000_0000
SA_NODEFER, SA_RESETHAND, SA_EXPOSE_TAGBITS = 0x4000_0000, 0x8000_0000, 0x800
SA_KNOWN = (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_RESTART) | (
    SA_NODEFER | SA_RESETHAND | SA_EXPOSE_TAGBITS
)  # the others read back as 0

SI_USER, SI_KERNEL, SI_QUEUE, SI_TKILL = 0, 0x80, -1, -6

# For modules that every start imports: what sends comes with the first signal.
SENDING = "pkern.kernel.tasks.signal.sending"
send = late.function(SENDING, "send")
force = late.function(SENDING, "force")
is_spared = late.function(SENDING, "is_spared")


class SigInfo(NamedTuple):
    """siginfo_t: si_signo, si_code, si_addr (bytes; 0 where it has no meaning), si_pid.

    si_status: of a child. si_value: what sigqueue sent along. si_pkey: of SEGV_PKUERR. si_band,
    si_fd: of SIGIO. si_errno, si_syscall, si_arch: of a SIGSYS that a filter sent. timer: whose
    signal it is, while it waits; then si_pid and si_uid are its number and overrun. payer: the user
    to whom it is charged while it waits; None: nobody.
    """

    si_signo: int
    si_code: int
    si_addr: int = 0
    si_pid: int = 0
    si_uid: int = 0
    si_status: int = 0
    si_value: int = 0
    si_pkey: int = 0
    si_band: int = 0
    si_fd: int = 0
    si_errno: int = 0
    si_syscall: int = -1
    si_arch: int = 0
    timer: PosixTimer | None = None
    payer: int | None = None


class Sigaction(NamedTuple):
    """struct sigaction of a program in machine code: addresses, SA_* flags, a mask."""

    handler: int
    flags: int = 0
    restorer: int = 0
    mask: int = 0


DEFAULT, IGNORE = Sigaction(SIG_DFL), Sigaction(SIG_IGN)
Handler = Callable[[int, SigInfo], object]


class Function:
    """A Python program's handler with SA_* flags and a mask: what is held back while it runs."""

    __slots__ = ("flags", "handler", "mask")

    def __init__(self, handler: Handler, flags: int, mask: int) -> None:
        self.handler = handler
        self.flags = flags
        self.mask = mask

    def __call__(self, signo: int, info: SigInfo) -> object:
        """Run it."""
        return self.handler(signo, info)


Action = int | Handler | Sigaction


class Fate(Enum):
    """What a signal does to the task that it is delivered to."""

    IGNORE = "nothing"
    HANDLE = "its handler runs"
    STOP = "the task stops"
    DIE = "the task dies"


def _default(signo: int) -> Fate:
    if signo in STOPPING:
        return Fate.STOP
    return Fate.IGNORE if signo in IGNORED_BY_DEFAULT else Fate.DIE


BY_DEFAULT = {signo: _default(signo) for signo in range(1, NSIG + 1)}


class Queued(dict[int, int]):
    """How much is queued for each user (a real id) that has any: signals that wait, and timers.

    That is what RLIMIT_SIGPENDING bounds. A charge stays with who had the process when it was made.
    """

    def charge(self, user: int) -> None:
        """Count one more."""
        self[user] = self.get(user, 0) + 1

    def release(self, user: int) -> None:
        """Count one less."""
        self[user] -= 1
        if not self[user]:
            del self[user]

    def of(self, task: Task) -> int:
        """Return how much is queued for a task's user."""
        return self.get(task.cred.uid, 0)


class Pending:
    """Signals that wait, for one thread or for any thread of a process, in the order they came in.

    alarm_taken: called when a SIGALRM is: a timer that repeats goes on then; None: there is none.
    Each signal is charged to a user in queued while it waits (T5 of docs/invariants.md).
    """

    __slots__ = ("_counts", "alarm_taken", "infos", "queued")

    def __init__(self, queued: Queued) -> None:
        self.infos: list[SigInfo] = []  # read by others, changed here only
        self._counts: dict[int, int] = {}  # of infos by number
        self.queued = queued
        self.alarm_taken: Callable[[], None] | None = None

    def mask(self) -> int:
        """Return which wait: bit n-1 is signal n."""
        mask = 0
        for signo in self._counts:
            mask |= 1 << (signo - 1)
        return mask

    def add(self, info: SigInfo, user: int) -> None:
        """Keep a signal for a user; an ordinary one that waits already is not kept twice."""
        if info.si_signo >= FIRST_QUEUED or info.si_signo not in self._counts:
            self.queue(info, user)

    def queue(self, info: SigInfo, user: int) -> None:
        """Keep a signal for a user, beside others of its number."""
        if info.timer is None and info != SigInfo(info.si_signo, SI_USER):
            self.queued.charge(user)
            info = info._replace(payer=user)
        self.infos.append(info)
        self._counts[info.si_signo] = self._counts.get(info.si_signo, 0) + 1

    def _remove(self, index: int) -> SigInfo:
        info = self.infos.pop(index)
        self._counts[info.si_signo] -= 1
        if not self._counts[info.si_signo]:
            del self._counts[info.si_signo]
        if info.payer is None:
            return info
        self.queued.release(info.payer)
        return info._replace(payer=None)

    def discard(self, signos: frozenset[int]) -> None:
        """Forget signals."""
        if not signos.isdisjoint(self._counts):
            self._drop(lambda info: info.si_signo in signos)

    def discard_timers(self) -> None:
        """Forget the signals of POSIX timers."""
        self._drop(lambda info: info.timer is not None)

    def clear(self) -> None:
        """Forget all signals."""
        self._drop(lambda info: True)

    def _drop(self, is_unwanted: Callable[[SigInfo], bool]) -> None:
        """Forget signals; timers that wait for theirs go on."""
        for index in reversed(range(len(self.infos))):
            if is_unwanted(self.infos[index]):
                timer = self._remove(index).timer
                if timer is not None:
                    timer.passed_over()

    def take(self, among: int) -> SigInfo | None:
        """Remove and return the next signal of a set: faults first, then the lowest number.

        Those of timers that were set anew or deleted meanwhile are passed over.
        """
        while ready := [signo for signo in self._counts if among >> (signo - 1) & 1]:
            signo = min(ready, key=lambda number: (number not in SYNCHRONOUS, number))
            first = next(i for i, info in enumerate(self.infos) if info.si_signo == signo)
            chosen = self._remove(first)
            if signo == SIGALRM and self.alarm_taken is not None:
                self.alarm_taken()
            told = chosen if chosen.timer is None else chosen.timer.taken(chosen)
            if told is not None:
                return told
        return None


class Handlers:
    """What each signal does: actions by number, SIG_DFL where absent. users: who share it."""

    __slots__ = ("actions", "users")

    def __init__(self, actions: dict[int, Action] | None = None) -> None:
        self.actions: dict[int, Action] = {} if actions is None else actions
        self.users = 1

    def get(self) -> Handlers:
        """Add a user."""
        self.users += 1
        return self


class Signals:
    """A thread's signals: the blocked mask, what waits for it, and what it shares with others.

    handlers: with whoever was cloned so. shared: what waits for any thread of its process. awaited:
    a set that it sleeps for (sigtimedwait), blocked or not.
    """

    __slots__ = ("awaited", "blocked", "handled", "handlers", "own", "shared")

    def __init__(self, handlers: Handlers, shared: Pending, blocked: int = 0) -> None:
        self.handlers = handlers
        self.shared = shared
        self.own = Pending(shared.queued)
        self.blocked = blocked
        self.awaited = 0
        self.handled = 0  # times that a function of a Python program has run

    def action(self, signo: int) -> Action:
        """Return the action for signo."""
        return self.handlers.actions.get(signo, SIG_DFL)

    def set_action(self, signo: int, action: Action) -> None:
        """Set what signo does, for all who share the handlers."""
        self.handlers.actions[signo] = action

    def sigaction(self, signo: int) -> Sigaction:
        """Return the action for signo as a program in machine code sees it."""
        action = self.handlers.actions.get(signo, SIG_DFL)
        if isinstance(action, Sigaction):
            return action
        return IGNORE if action == SIG_IGN else DEFAULT

    def is_blocked(self, signo: int) -> bool:
        """Tell whether signo is held back; SIGKILL and SIGSTOP never are."""
        return signo not in UNCATCHABLE and bool(self.blocked >> (signo - 1) & 1)

    def wants(self, signo: int) -> bool:
        """Tell whether a signal of the process may go to this thread."""
        return not self.is_blocked(signo) or bool(self.awaited >> (signo - 1) & 1)

    def fate(self, signo: int) -> Fate:
        """Return what delivering signo does."""
        handler = self.handlers.actions.get(signo, SIG_DFL)
        if isinstance(handler, Sigaction):
            handler = handler.handler
        if handler == SIG_DFL or signo in UNCATCHABLE:
            return BY_DEFAULT[signo]
        return Fate.IGNORE if handler == SIG_IGN else Fate.HANDLE

    def is_ignored(self, signo: int) -> bool:
        """Tell whether the program asked for signo to be ignored."""
        return self.sigaction(signo).handler == SIG_IGN

    def chosen(self) -> tuple[int, int]:
        """Return the sets of signals that the program ignores, and has handlers for."""
        ignored = handled = 0
        for signo, action in self.handlers.actions.items():
            handler = action.handler if isinstance(action, Sigaction) else action
            if handler == SIG_IGN:
                ignored |= 1 << (signo - 1)
            elif handler != SIG_DFL:
                handled |= 1 << (signo - 1)
        return ignored, handled

    def wants_zombies(self) -> bool:
        """Tell whether dead children stay until they are waited for."""
        action = self.sigaction(SIGCHLD)
        return action.handler != SIG_IGN and not action.flags & SA_NOCLDWAIT

    @property
    def waiting(self) -> bool:
        """Tell whether any signal waits, blocked or not."""
        return bool(self.own.infos or self.shared.infos)

    def pending_mask(self) -> int:
        """Return the set of pending signals: bit n-1 is signal n."""
        return self.own.mask() | self.shared.mask() if self.waiting else 0

    def deliverable(self) -> bool:
        """Tell whether a pending signal is not blocked."""
        return bool(self.pending_mask() & ~(self.blocked & ~UNBLOCKABLE_MASK))

    def is_killed(self) -> bool:
        """Tell whether SIGKILL is pending."""
        return bool(self.pending_mask() >> (SIGKILL - 1) & 1)

    def fatal(self) -> int:
        """Return the set of deliverable signals that end the process."""
        ready = self.pending_mask() & ~(self.blocked & ~UNBLOCKABLE_MASK)
        numbers = (n for n in range(1, NSIG + 1) if ready >> (n - 1) & 1)
        return sum(1 << (n - 1) for n in numbers if self.fate(n) is Fate.DIE)

    def take(self, among: int | None = None) -> SigInfo | None:
        """Remove and return the next signal: SIGKILL before any other, then the thread's own.

        among: only these (a set), blocked or not; None: those that are not blocked.
        """
        if not self.waiting:
            return None
        ready = ~(self.blocked & ~UNBLOCKABLE_MASK) if among is None else among
        if among is None and self.is_killed():
            ready = 1 << (SIGKILL - 1)
        return self.own.take(ready) or self.shared.take(ready)

    def share(self, shared: Pending) -> Signals:
        """Return what a child has that shares the handlers: the mask, nothing pending."""
        return Signals(self.handlers.get(), shared, self.blocked)

    def copy(self, shared: Pending) -> Signals:
        """Return what a forked child inherits: actions and mask, nothing pending."""
        return Signals(Handlers(dict(self.handlers.actions)), shared, self.blocked)

    def reset(self) -> None:
        """Set handled signals back to the default; ignored ones stay so. For no one else."""
        ignored: dict[int, Action] = {
            n: SIG_IGN for n in self.handlers.actions if self.is_ignored(n)
        }
        self.handlers.users -= 1
        self.handlers = Handlers(ignored)


def is_disturbed(task: Task) -> bool:
    """Tell whether a signal or a tracer interrupts a call that this thread sleeps in."""
    trapped = task.trace is not None and bool(task.trace.trap or task.trace.notify)
    if trapped or task.signals.is_killed():
        return True
    told = task.attention and task.signals.deliverable()
    return told or bool(task.signals.fatal())  # which ends all, whoever was told of it


def set_blocked(task: Task, mask: int) -> None:
    """Hold back the signals of a set from now on; look soon at those that it lets in.

    What waits for the process, and this thread would have taken, another one is told of.
    """
    newly = mask & ~task.signals.blocked
    task.signals.blocked = mask & ~UNBLOCKABLE_MASK
    if task.context is not None:
        task.attention |= task.signals.deliverable()
    if newly and task.signals.shared.infos:
        late.load(SENDING).retarget(task, newly)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Return the names of the signals, for who looks for them here."""
        if name != "Signal":
            raise AttributeError(name, name=name)
        return late.load("pkern.kernel.tasks.signal.signames").Signal
