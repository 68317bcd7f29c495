"""Which system call has which number, and how one is made that a task has asked for.

Owns the tables, and whether the core answers calls by itself (only while nobody wants to see each
of them), and the words in which the core hands a call over.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import load
from pkern.kernel.tasks.thread import GIVEN_AWAY, IA32, WORD
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterable

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.thread import Made

NR_ARGS = 6
EAX = (1 << 32) - 1
# A system call by number: gets the task and six registers, returns rax.
Call = Callable[..., int]


class CallTable:
    """table: every system call, by number; use() sets another.

    missing: what is called for a number that is not there. ia32: makes a call of the i386 table,
    which int 0x80 asks for. answers: does the core answer calls that it can (RUN_ANSWERING)?
    descriptors: says which ones a task's call names.
    words: number and six arguments of the call that the processor has stopped at.
    """

    def __init__(
        self,
        exit_: Any,
        table: dict[int, Call],
        missing: Call,
        ia32: Call,
        part: Callable[[], None],
    ) -> None:
        """exit_: struct run_exit *. part: lets Python see the next call of whoever runs."""
        self._exit = exit_
        self._part = part
        self.table = self._own = table
        self.missing = missing
        self.ia32 = ia32
        self.answers = lib.RUN_ANSWERING
        self.descriptors: Callable[[Task, Made], Iterable[int]] = lambda task, call: ()
        words = ffi.buffer(ffi.addressof(exit_, "nr"), 8 * (1 + NR_ARGS))
        self.words = memoryview(words).cast("Q")

    def use(self, table: dict[int, Call]) -> None:
        """Make calls by another table; while it is not the first, the core answers none itself."""
        self._part()
        self.table = table
        self.answers = lib.RUN_ANSWERING if table is self._own else lib.RUN_ASKING

    def current(self) -> Made:
        """Return the call that the processor has stopped at."""
        nr, *arguments = self.words.tolist()
        return nr, tuple(arguments)

    def put_back(self, call: Made) -> None:
        """Let this be the call that the processor has stopped at."""
        for place, word in enumerate((call[0], *call[1])):
            self.words[place] = word

    def number(self, task: Task) -> int:
        """Return the number of the system call that a task is in, with its mark."""
        return task.thread.call[0] if task.thread.call else int(self._exit.nr)

    def make(self, task: Task, nr: int, registers: tuple[int, ...]) -> int:
        """Make a call by its number, with its marks."""
        if nr & GIVEN_AWAY:
            filtered = load("pkern.kernel.cpu.filtered")
            return int(filtered.ask(task, nr & ~GIVEN_AWAY, registers))
        if nr & IA32:
            return self.ia32(task, nr & WORD, *registers)
        return self.table.get(nr & EAX, self.missing)(task, *registers)

    def make_by_eax(self, task: Task, *registers: int) -> int:
        """Make a call that is no number's of the table.

        One of the i386 table; one whose bits above eax count for nothing; or it is missing.
        """
        return self.make(task, self.number(task), registers)

    def make_again(self, task: Task) -> int:
        """Go on with a call that a stop has interrupted. Errors: EINTR: none was; the call's."""
        thread = task.thread
        if thread.restart_block is None:
            raise SyscallError(errno.EINTR)
        (nr, arguments), progress = thread.restart_block
        thread.progress = progress if thread.progress is None else thread.progress
        try:
            return self.make(task, nr, arguments)
        finally:
            thread.progress = None  # who sleeps once more notes it anew
