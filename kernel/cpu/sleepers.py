"""Who sleeps in the kernel, for what, and who is woken in which order.

Owns who waits for which key, and who has asked to be told of one; Thread.parked is the other end.
Invariants: a task that is parked stands at each key of its wait, and at no other; who sleeps on a
private word is known here or in the core (futex.c), and all of the word's sleepers are known in
the same place.
"""

from __future__ import annotations

from pkern.kernel.core import ffi, lib
from pkern.kernel.late import load
from pkern.kernel.tasks.locks.line import Bystander, PrivateWord
from pkern.kernel.typed import TYPE_CHECKING, Callable, Hashable, Iterable
from pkern.kernel.wait import Restart, WouldBlock

if TYPE_CHECKING:
    from typing import Protocol

    from pkern.kernel.clock import Clock
    from pkern.kernel.cpu.observer import Observer
    from pkern.kernel.cpu.processor import Processor, RunQueue
    from pkern.kernel.tasks.locks.line import InLine
    from pkern.kernel.tasks.task import Task

    class HasSleepers(Protocol):
        """Who has the sleepers of a machine, once there are some: its scheduler."""

        observer: Observer | None
        queue: RunQueue[Task]

        @property
        def sleepers(self) -> Sleepers: ...


class Sleepers:
    """The tasks of one machine that sleep. by_key: in the order in which they came."""

    def __init__(self, processor: Processor, clock: Clock, queue: RunQueue[Task]) -> None:
        """queue: of those who are awake."""
        self._processor = processor
        self._clock = clock
        self._queue = queue
        self.by_key: dict[Hashable, dict[InLine, None]] = {}
        self.listeners: dict[Hashable, list[Callable[[], None]]] = {}

    def sleep(self, task: InLine, wait: WouldBlock) -> None:
        """Park a task until a key of its wait is woken, the deadline or a signal comes."""
        task.thread.parked = wait
        for key in wait.keys:
            others = self.by_key.get(key)
            if others is None:
                others = self._first_at(key)
            others[task] = None
        if wait.deadline is not None:
            self._clock.at(wait.deadline, lambda: self._time_is_up(task, wait))

    def _time_is_up(self, task: InLine, wait: WouldBlock) -> None:
        if task.alive and task.thread.parked is wait:
            self.wake_task(task)

    def wake(self, key: Hashable) -> None:
        """Wake every task that waits for key, in the order in which they came, then who listens."""
        others = self.by_key.pop(key, None)
        if others is not None:
            if type(key) is PrivateWord:
                self.release(key)
            for task in others:
                self.wake_task(task)
        if self.listeners:
            for told in self.listeners.pop(key, ()):
                told()

    def wake_task(self, task: InLine) -> None:
        """End a task's sleep; its system call will be tried again."""
        if task.waiting is None:
            return
        self.unpark(task)
        if isinstance(task, Bystander):
            task.told()
        elif not task.thread.stopped:
            self._queue.add(task)

    def interrupt(self, task: Task) -> WouldBlock | None:
        """End the sleep of a task that is stopped, and return it; None: it does not sleep so."""
        wait = task.waiting
        if wait is None or wait.restart is Restart.NEVER:
            return None
        self.unpark(task)
        return wait

    def go_on(self, task: Task) -> None:
        """Let a task run that is no longer stopped, or held by its tracer, if it does not sleep."""
        if task.waiting is None and not task.thread.stopped:
            self._queue.add(task)

    def unpark(self, task: InLine) -> None:
        """Take a task off everything it waits for here."""
        wait, task.thread.parked = task.thread.parked, None
        for key in wait.keys if wait is not None else ():
            others = self.by_key.get(key)
            if others and task in others:
                del others[task]
                if not others:
                    del self.by_key[key]
                    self.release(key)

    def listen(self, key: Hashable, told: Callable[[], None]) -> None:
        """Have told called when key is woken next: a wait that no task sleeps in."""
        self.listeners.setdefault(key, []).append(told)

    def is_awaited(self, key: Hashable) -> bool:
        """Tell whether anybody sleeps for key, or listens to it."""
        return key in self.by_key or key in self.listeners

    def work(self, task: Task, action: Callable[[], None]) -> None:
        """Have a task do something in the kernel, before it goes on or is tried again."""
        task.thread.works.append(action)
        task.attention = True
        task.group.part()
        self.wake_task(task)

    # ---- who sleeps on a word of memory: here or in the core, never both ----

    def of(self, key: Hashable) -> Iterable[InLine]:
        """Return who waits for key, in the order in which they came."""
        if type(key) is PrivateWord:
            self.take_over(key)
        return self.by_key.get(key, ())

    def bring(self, task: Task) -> None:
        """Let a task that sleeps on a word in the core sleep here, with all who sleep on it."""
        self.take_over(PrivateWord(task.mm, task.runner.asleep))

    def take_over(self, word: PrivateWord) -> None:
        """Let those who sleep on a word in the core sleep here."""
        if lib.word_has_sleepers(word.mm.handle, self._processor.handle, word.addr):
            self._first_at(word)

    def hold(self, key: Hashable) -> None:
        """Let every call about a key's word come here, until release()."""
        if type(key) is PrivateWord:
            lib.word_hold(self._processor.handle, key.addr)

    def release(self, key: Hashable) -> None:
        """Let the core have sleepers on a key's word again."""
        if type(key) is PrivateWord:
            lib.word_release(self._processor.handle, key.addr)

    def _first_at(self, key: Hashable) -> dict[InLine, None]:
        """Return who sleeps for a key that is not known here: nobody, but for the core's."""
        others: dict[InLine, None] = {}
        self.by_key[key] = others
        if type(key) is PrivateWord:
            self.hold(key)
            self._bring_sleepers(key, others)
        return others

    def _bring_sleepers(self, word: PrivateWord, others: dict[InLine, None]) -> None:
        """Let those who sleep on a word in the core wait as if their calls had come here."""
        futex = load("pkern.kernel.tasks.locks.futex")
        while owner := lib.word_take(word.mm.handle, self._processor.handle, word.addr):
            task: Task = ffi.from_handle(owner)
            thread, (nr, *arguments) = task.thread, task.runner.call
            asked = futex.Word(word.addr, arguments[2] & futex.ALL_BITS, word)
            sleeper = futex.Sleeper((asked,), int(task.runner.bits), None)
            thread.call, thread.progress = (nr, tuple(arguments)), sleeper
            thread.parked = WouldBlock(word, progress=sleeper)
            others[task] = None
