"""Where another task could run: a machine's points, and the answer to which one does.

A point is a moment at which two tasks or more could run: one has given way, because it sleeps, has
ended, or its slice is over. How short slices are says how many points there are:

    Preempt.NEVER    a task gives way where it sleeps or ends
    Preempt.CALLS    and behind each of its system calls
    Preempt.BLOCKS   and behind each basic block of its code
    Preempt.MEMORY   and behind each instruction that touches a page which two of them share and
                     one writes
    Preempt.INSTRUCTIONS   and behind each instruction

Where a task sleeps for memory in the middle of a call or a fault (Memory.sleep_hook) there are
points, too, if they are asked for: others run until it is chosen again. Who sleeps so goes on after
those that came to sleep so later, as their calls lie above its own.

A futex that wakes one of several wakes who has waited longest, or is a point, too: who is woken.

Time may pass at a point, up to the next timer, instead of a task's turn, if that is asked for: how
long a task's turns take is not the program's. Then a point has one answer more, the last, and there
is one wherever a timer runs. A timer is not late by any answer: it is early where turns cost less
(--block-ns, --call-ns).

Points are counted from 1. The first answer is always the task that ran until now, if it can go on,
else the one that has waited longest; the others stand in the order of their ids. So a schedule is
the list of points at which another answer was given. A task that has had too many in a row (FAIR)
gives way unasked: it may wait in a loop for another.

Memory is sequentially consistent, as one processor sees it: what the store buffers of an x86 with
several would show is not explored.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.locks.futex import key_of, private_key
from pkern.kernel.tasks.locks.line import Bystander
from pkern.userland.harness import EndlessRun

if TYPE_CHECKING:
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.mm.memory import Sleep
    from pkern.kernel.tasks.task import Task
    from pkern.syscalls.abi import Raw
    from pkern.userland.explore.trace import Trace

Choices = tuple[tuple[int, int], ...]  # (point, answer), where the answer is not the first one
DEFAULT: Choices = ()


class Preempt(Enum):
    """Where a task that could go on may have to give way; the value is the word for it."""

    NEVER = "never"
    CALLS = "calls"
    BLOCKS = "blocks"
    MEMORY = "memory"
    INSTRUCTIONS = "instructions"


class Also(Enum):
    """What else has points if it is asked for; the value is the word for it."""

    SLEEPS = "sleeps"
    WAITERS = "waiters"
    TIMERS = "timers"


class Candidate(Protocol):
    """What may come next: a task, or time. pid: 0 is time's."""

    @property
    def pid(self) -> int: ...


class _Time:
    pid = 0


TIME = _Time()
MOST_PASSES = 100  # of time in one schedule: a timer that begins anew each time has no end

FUTEX, FUTEX_COMMAND, FUTEX_PRIVATE = 202, 0x7F, 128
FUTEX_WAKES = frozenset({1, 10})  # WAKE, WAKE_BITSET
ONE = 1, 1  # blocks, or instructions, in each turn
EQUAL = 20_000, 20_000  # FAIR ends loops: what follows a point need not follow from earlier turns
MOST_POINTS = 5_000_000


IN_CODE = frozenset({Preempt.BLOCKS, Preempt.MEMORY, Preempt.INSTRUCTIONS})
CAN_BE_TRACED = frozenset({Preempt.NEVER, Preempt.CALLS, Preempt.MEMORY})
BEHIND_CALLS = frozenset(
    {Preempt.CALLS, Preempt.MEMORY}
)  # blocks and instructions end there anyway
# Points in a row that one task gets while another could run.
FAIR = {
    Preempt.NEVER: 1000,
    Preempt.CALLS: 1000,
    Preempt.BLOCKS: 20_000,
    Preempt.MEMORY: 20_000,
    Preempt.INSTRUCTIONS: 20_000,
}


class Strategy(Protocol):
    """Who answers. cost: how many preemptions any answer but the first is: 1, or none."""

    def choose(self, point: int, tasks: Sequence[Candidate], cost: int) -> int: ...


class Points:
    """Asks a strategy at each point of a machine, and notes what it has answered.

    blocks: [pid, at how many points in a row it was chosen], as the schedule has them.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        preempt: Preempt,
        strategy: Strategy,
        shared: Sequence[int],
        trace: Trace | None = None,
    ) -> None:
        """Ask from now on. shared: pages that a run before has told, for Preempt.MEMORY.

        trace: what notes each step, if anything does; the processor must watch memory for it.
        """
        self._queue = scheduler.queue
        self._strategy = strategy
        self._last: Task | None = None
        self._in_a_row, self._fair = 0, FAIR[preempt]
        self.count = 0
        self.switches = 0  # at which a task that could go on gave way
        self.choices: list[tuple[int, int]] = []
        self.blocks: list[list[int]] = []
        self._trace = trace
        self._chosen: Task | None = None  # in the middle of another's sleep
        self._passes_left = 0  # of time
        self._scheduler = scheduler
        scheduler.next_task = self.next_task  # type: ignore[method-assign]
        if preempt is Preempt.INSTRUCTIONS:
            scheduler.processor.count_instructions()
        elif preempt is Preempt.MEMORY or trace is not None:
            scheduler.processor.count_accesses(shared)
        scheduler.turns.slices = ONE if preempt in IN_CODE else EQUAL
        if preempt in BEHIND_CALLS:
            _end_slices(scheduler)

    def ask_also(self, what: Also) -> None:
        """Have points there, too."""
        {
            Also.SLEEPS: self._ask_in_sleeps,
            Also.WAITERS: self._ask_who_wakes,
            Also.TIMERS: self._ask_for_time,
        }[what]()

    def _ask_in_sleeps(self) -> None:
        """Let others run, too, where a task sleeps for memory."""
        self._scheduler.kernel.memory.sleep_hook = self._sleep

    def _ask_for_time(self) -> None:
        self._passes_left = MOST_PASSES

    def _ask_who_wakes(self) -> None:
        """Ask, too, which of several is woken where a futex wakes one."""
        calls = self._scheduler.calls
        futex = calls.table[FUTEX]

        def asking(task: Task, *registers: int) -> int:
            addr, operation, count = registers[:3]
            if operation & FUTEX_COMMAND in FUTEX_WAKES and count == 1:
                self._choose_waiter(task, addr, operation)
            return futex(task, *registers)

        calls.use({**calls.table, FUTEX: asking})

    def _choose_waiter(self, task: Task, addr: int, operation: int) -> None:
        """Let the one that is chosen stand first among those who sleep on a word."""
        try:
            key = (private_key if operation & FUTEX_PRIVATE else key_of)(task, addr)
        except SyscallError:
            return  # the call says so itself
        everybody = self._scheduler.sleepers.by_key.get(key, {})
        waiting = [one for one in everybody if not isinstance(one, Bystander)]
        if len(waiting) > 1:
            self.count += 1
            first = waiting[self._answer(waiting, 0)]
            self._scheduler.sleepers.by_key[key] = dict.fromkeys([first, *everybody])

    def _sleep(self, why: Sleep, index: int) -> None:
        task = self._scheduler.running
        if task is None or task.group.executes is not None:
            return
        if self._ready():
            self._scheduler.run_others(task, partial(self._goes_on, task))

    def _goes_on(self, sleeper: Task) -> bool:
        """Choose who runs next in the middle of a sleep; tell whether it is who sleeps."""
        ready = self._ready()
        chosen = self._ask([sleeper, *ready]) if ready else sleeper
        if chosen is sleeper:
            self._last = sleeper
            return True
        self._chosen = chosen
        return False

    def _ready(self) -> list[Task]:
        return list(self._queue)

    def next_task(self) -> Task | None:
        """Take the task out of the queue that runs next; None: nobody can."""
        chosen, self._chosen = self._chosen, None
        ready = self._ready() if chosen is None else [chosen]
        if not ready:
            return None
        if self._trace is not None:
            self._trace.end()
        before = self.count
        task = self._next_of(ready)
        if self._trace is not None:
            point = self.count if self.count > before else 0
            self._trace.begin(task.pid, tuple(other.pid for other in ready), point)
        self._queue.remove(task)
        self._in_a_row = self._in_a_row + 1 if task is self._last else 0
        self._last = task
        return task

    def _next_of(self, ready: list[Task]) -> Task:
        while not self._must_give_way(ready) and self._may_time_pass():
            tasks = self._in_order(ready)
            chosen = self._choose([*tasks, TIME])
            if chosen < len(tasks):
                return tasks[chosen]
            self._passes_left -= 1
            self._scheduler.idle.pass_time()
            ready = self._ready()
        return ready[0] if len(ready) == 1 else self._ask(ready)

    def _may_time_pass(self) -> bool:
        return self._passes_left > 0 and self._scheduler.kernel.clock.next_due() is not None

    def _must_give_way(self, ready: Sequence[Task]) -> bool:
        """Tell whether the last task has had its share: it may wait for another in a loop."""
        return len(ready) > 1 and self._in_a_row >= self._fair

    def _ask(self, ready: list[Task]) -> Task:
        if self._must_give_way(ready):
            return next(task for task in ready if task is not self._last)
        tasks = self._in_order(ready)
        return tasks[self._choose(tasks)]

    def _in_order(self, ready: Sequence[Task]) -> list[Task]:
        """Return who can run, as answers number them."""
        first = self._last if self._last in ready and self._last is not None else ready[0]
        return [first, *sorted((task for task in ready if task is not first), key=_id)]

    def _choose(self, candidates: Sequence[Candidate]) -> int:
        """Have a point of which the first answer is whether the last task goes on."""
        self.count += 1
        if self.count > MOST_POINTS:
            raise EndlessRun(f"does not end: {MOST_POINTS:,} points")
        return self._answer(candidates, int(candidates[0] is self._last))

    def _answer(self, tasks: Sequence[Candidate], cost: int) -> int:
        answer = self._strategy.choose(self.count, tasks, cost)
        if answer:
            self.choices.append((self.count, answer))
            self.switches += cost
        self._note_block(tasks[answer].pid)
        return answer

    def _note_block(self, pid: int) -> None:
        if not self.blocks or self.blocks[-1][0] != pid:
            self.blocks.append([pid, 0])
        self.blocks[-1][1] += 1


def _id(task: Task) -> int:
    return task.pid


def _end_slices(scheduler: Scheduler) -> None:
    """Let each task give way behind each of its calls."""

    def ending(call: Raw) -> Raw:
        def wrapper(task: Task, *registers: int) -> int:
            scheduler.turns.end_slice()
            return call(task, *registers)

        return wrapper

    scheduler.calls.use({nr: ending(call) for nr, call in scheduler.calls.table.items()})
