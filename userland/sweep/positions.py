"""Where a failure may come, and how the machine is forked there.

    Calls         the n-th call of a set, counted over all tasks; rules say what becomes of it
    Work          the n-th of a kind of the kernel's own work since the program's start: an
                  allocation, a page that is read or written

Owns the line of the program in which nothing fails: at each position it forks, the copy fails there
and goes on, and never forks again. A position's replay is the option of `pkern run` that does the
same to a new machine.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from pkern.kernel import branch
from pkern.kernel.branch import Branch, Reply
from pkern.userland.cluster.share import Share
from pkern.userland.failing import Failing, Origin, left
from pkern.userland.harness import EndlessRun
from pkern.userland.injection import Injector, Rule

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.abi import Raw

Forked = Callable[[str, Branch], None]
NEVER = 1 << 62  # more than there are of anything


class Line:
    """What the line without a failure, and each copy of it, knows of itself.

    reply: what a copy sends its end with; None: this is the line. forked: is told of each copy, and
    may wait before it returns. share: at which positions there is one. end_ns: the machine's time
    at which a copy that still makes calls has hung.
    """

    def __init__(self, kernel: Kernel, forked: Forked, share: Share, end_ns: int) -> None:
        self.kernel = kernel
        self._end_ns = end_ns
        self.reply: Reply | None = None
        self._forked = forked
        self._share = share
        self._positions = count()

    def fork(self, replay: str) -> bool:
        """Go on twice; tell whether this is the copy, which is to fail here."""
        if not self._share.has(next(self._positions)):
            return False
        made = branch.split(self.kernel)
        if isinstance(made, Reply):
            self.reply = made
            return True
        self._forked(replay, made)
        return False

    def go_on(self) -> None:
        """Let a call be made. Errors: EndlessRun: it is a copy's that has had its time."""
        if self.reply is not None and self.kernel.clock.now_ns > self._end_ns:
            raise EndlessRun("does not end")


class Calls(Injector):
    """Every call that a rule names fails once, each in a copy of its own."""

    def __init__(self, line: Line, texts: Sequence[str], rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._line = line
        self._ending = Hook(line.go_on)
        self._texts = dict(zip(rules, texts, strict=True))
        self._numbers = {rule: count(1) for rule in rules}

    def attach(self, scheduler: Scheduler) -> None:
        """As an Injector, and end copies that hang."""
        super().attach(scheduler)
        self._ending.attach(scheduler)

    def python_call(self, name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """The same to a handler of a Python program's."""
        return self._ending.python_call(name, super().python_call(name, handler))

    def is_meant(self, rule: Rule, task: Task, name: str) -> bool:
        """Fork at the first try of each call; tell whether this is the copy that fails here."""
        if self._line.reply is not None:
            return False
        text = f"{self._texts[rule]}:nth={next(self._numbers[rule])}"
        return self._line.fork(f"--inject {shlex.quote(text)}")


class Hook:
    """Has something called before a program starts, and before the first try of each call."""

    def __init__(self, before: Callable[[], None]) -> None:
        self._before = before

    def attach(self, scheduler: Scheduler) -> None:
        """Do so to what the scheduler's tasks do."""
        calls = scheduler.calls
        calls.use({nr: self._raw(call) for nr, call in calls.table.items()})
        self._before()

    def _raw(self, call: Raw) -> Raw:
        def wrapper(task: Task, *registers: int) -> int:
            if task.thread.call is None:
                self._before()
            return call(task, *registers)

        return wrapper

    def python_call(self, _: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Do so to a handler of a Python program's."""

        def wrapper(task: Task, *args: Any, **named: Any) -> Any:
            self._before()
            return handler(task, *args, **named)

        return wrapper


class Work:
    """Every piece of a kind fails once; a copy is made at the call before, or before the start.

    counts: how many there are from each call to the next, the first before any: a run without a
    failure tells. origin: from where on they are counted.
    """

    def __init__(self, line: Line, kind: str, counts: Sequence[int], origin: Origin) -> None:
        self._line = line
        self._kind = kind
        self._origin = origin
        self._left = iter(counts)
        self._done = 0

    def before(self) -> None:
        """Fork for each piece up to the next call."""
        self._line.go_on()
        if self._line.reply is not None:
            return
        here = next(self._left, 0)
        for nth in range(1, here + 1):
            replay = f"{Failing(self._kind, self._done + nth).replay()} {self._origin.value}"
            if self._line.fork(replay.rstrip()):
                Failing(self._kind, nth).arm(self._line.kernel)
                return
        self._done += here


class Counter:
    """Counts the pieces of a kind of work from each call to the next."""

    def __init__(self, kernel: Kernel, kind: str) -> None:
        self._kernel = kernel
        self._never = Failing(kind, NEVER)
        self.counts: list[int] = []

    def before(self) -> None:
        """Note those since the last call."""
        self.end()
        self._never.arm(self._kernel)
        self.counts.append(0)

    def end(self) -> None:
        """Note those since the last call, which nothing follows."""
        if self.counts:
            self.counts[-1] = NEVER - left(self._kernel, self._never.kind)
            self._never.disarm(self._kernel)
