"""The processor that runs machine code, and the registers of its tasks.

Owns the C core's `processor` and `context` objects. Registers are read and written here only, by
their names; a context's registers may be touched whenever its task is not running.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import MachineClosed, SyscallError
from pkern.kernel.lean import cached_property
from pkern.kernel.typed import TYPE_CHECKING, Any, Generic, Iterator, Sequence, TypeVar
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from typing import Protocol

    class Turns(Protocol):
        """A task's side of the scheduler, as the queue knows it."""

        sleeps_in_call: int

    class Thread(Protocol):
        """A task, as its registers and the queue know it."""

        @property
        def runner(self) -> Any: ...  # the core's struct runner
        @property
        def cpu(self) -> Context: ...
        @property
        def context(self) -> Context | None: ...
        @property
        def exit_status(self) -> int | None: ...
        @property
        def thread(self) -> Turns: ...


GPRS = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
REG_NAMES = (*GPRS, "rip", "eflags", "fs_base", "gs_base")  # in the order of struct user_regs
FPU_BYTES = 512
TRAP_FLAG = 0x100
WORD_MASK = (1 << 64) - 1
_REGS = ffi.new("struct user_regs *")  # of the call that goes on
_WORDS = memoryview(ffi.buffer(_REGS)).cast("B").cast("Q")
_PLACES = {name: place for place, name in enumerate(REG_NAMES)}
MOST_NOTES = 256


class Access(NamedTuple):
    """What an instruction, at rip, did to memory that tasks share. writes: 0 where it read."""

    physical: int
    linear: int
    nbytes: int
    writes: int
    rip: int


class ProcessorUnavailable(RuntimeError):
    """The engine is not installed, or not the one that this project was tested with."""


class Processor:
    """One emulated processor for all tasks of a machine; close it when they have ended."""

    def __init__(self, machine: Any, library: bytes) -> None:
        """Open the engine's library (a host path). Errors: ProcessorUnavailable."""
        out = ffi.new("processor **")
        status = lib.run_create(machine, library, out)
        self.handle: Any = out[0]
        if status:
            text = ffi.string(lib.run_error(self.handle)).decode() or "no memory"
            self.close()
            raise ProcessorUnavailable(text)
        self.exit: Any = lib.run_exit(self.handle)
        self.counters: Any = lib.run_counters(self.handle)
        self.answers: Any = lib.run_answers(self.handle)

    def close(self) -> None:
        """Give the engine back; a second call does nothing."""
        lib.run_destroy(self.handle)
        del self.handle
        self.__class__ = _Closed

    def count_instructions(self) -> None:
        """Let slices be so many instructions from now on, not blocks. Errors: ENOMEM."""
        if lib.run_by_instructions(self.handle):
            raise SyscallError(errno.ENOMEM)

    def count_accesses(self, shared: Sequence[int]) -> None:
        """As count_instructions, but count only those that touch memory which tasks share.

        shared: linear pages that shared_pages() has told after a run. Errors: ENOMEM, EBUSY.
        """
        pages = ffi.new("uint64_t[]", sorted(shared))
        if status := lib.run_by_accesses(self.handle, pages, len(shared)):
            raise SyscallError(-status)

    def shared_pages(self) -> list[int]:
        """Return the linear pages that two tasks have touched, and one has written."""
        pages = ffi.new("uint64_t[]", lib.run_shared_pages(self.handle, ffi.NULL, 0))
        nr = lib.run_shared_pages(self.handle, pages, len(pages))
        return sorted(set(pages[0:nr]))

    def note_accesses(self) -> None:
        """Note from now on what count_accesses() counts."""
        lib.run_note_accesses(self.handle)

    def take_accesses(self) -> list[Access]:
        """Return what has been noted, and forget it. Errors: ENOMEM."""
        found: list[Access] = []
        while (nr := lib.run_take_notes(self.handle, self._notes, MOST_NOTES)) > 0:
            found += [
                Access(n.physical, n.linear, n.size, n.writes, n.rip) for n in self._notes[0:nr]
            ]
        if nr < 0:
            raise SyscallError(-nr)
        return found

    @cached_property
    def _notes(self) -> Any:
        return ffi.new("struct access_note[]", MOST_NOTES)

    def engine_text(self, status: int) -> str:
        """Return the engine's own words for an error."""
        return str(ffi.string(lib.run_engine_text(self.handle, status)).decode())


class _Closed(Processor):
    """A processor that has been given back: its handle refuses. A class of its own: see Mm."""

    @property
    def handle(self) -> Any:
        """Stop who still asks it. Errors: MachineClosed."""
        raise MachineClosed

    def close(self) -> None:
        """Nothing is left to give back."""


Task = TypeVar("Task", bound="Thread")


class RunQueue(Generic[Task]):
    """The tasks that can run, the next one first, as the core has them (turns.c).

    Scheduler.next_task() takes them out. Invariant: who is in it is alive and marked as queued; a
    debugger marks those that it holds back as well.
    """

    def __init__(self, processor: Processor) -> None:
        self._processor = processor
        self._owners = ffi.new("void *[]", 8)  # room for who is asked for

    def __iter__(self) -> Iterator[Task]:
        number = lib.queue_owners(self._processor.handle, self._owners, len(self._owners))
        if number > len(self._owners):
            self._owners = ffi.new("void *[]", number)
            lib.queue_owners(self._processor.handle, self._owners, number)
        return iter([ffi.from_handle(self._owners[place]) for place in range(number)])

    def __len__(self) -> int:
        return int(lib.queue_owners(self._processor.handle, ffi.NULL, 0))

    def add(self, task: Task) -> None:
        """Let a task run in its turn, which the core does not begin by itself."""
        if task.exit_status is None and not task.thread.sleeps_in_call:
            assert task.context is not None
            lib.queue_add(task.context.handle)

    def add_first(self, task: Task) -> None:
        """Put a task, which is not in it, before all others."""
        lib.queue_add_first(task.cpu.handle)

    def remove(self, task: Task) -> None:
        """Take a task out, if it is in it."""
        lib.queue_take(task.cpu.handle)


class Context:
    """The registers of one task."""

    __slots__ = ("_owner", "handle")

    def __init__(self, handle: Any, task: Thread) -> None:
        if handle == ffi.NULL:
            raise SyscallError(errno.ENOMEM)
        self.handle = handle
        self._owner = ffi.new_handle(task)  # what the core knows the task by
        lib.context_belongs(handle, self._owner, task.runner)

    @classmethod
    def new(cls, processor: Processor, task: Thread) -> Context:
        """Return a task's context, that has never run. Errors: ENOMEM."""
        return cls(lib.context_create(processor.handle), task)

    def copy(self, task: Thread, mm: Any) -> Context:
        """Return another task's, the same registers in the address space mm. Errors: ENOMEM."""
        return Context(lib.context_copy(self.handle, mm), task)

    def close(self) -> None:
        """Forget the registers; a second call does nothing."""
        lib.context_destroy(self.handle)
        del self.handle, self._owner  # the task goes when nobody else knows it
        self.__class__ = _Forgotten

    def enter(self, mm: Any) -> None:
        """Run in the address space mm (mm*, or NULL) from now on."""
        lib.context_set_mm(self.handle, mm)

    def start(self, rip: int, rsp: int) -> None:
        """Set all registers as a new program finds them."""
        lib.context_start(self.handle, rip, rsp)

    def set_result(self, rax: int) -> None:
        """Let the system call that the task is in return rax when it runs on."""
        lib.context_result(self.handle, rax)

    @property
    def has_tsc(self) -> bool:
        """Whether the task may read the counter of time stamps."""
        return bool(lib.context_has_tsc(self.handle))

    def set_tsc(self, allowed: int) -> None:
        """Let the task read that counter (1), or not (0): then it is a general protection fault."""
        lib.context_set_tsc(self.handle, allowed)

    @property
    def in_ia32_call(self) -> bool:
        """Whether the call that the task is in, or has just left, was made by int 0x80."""
        return bool(lib.context_in_ia32_call(self.handle))

    def set_own_time(self, own: int) -> None:
        """Let Python tell the task how long the machine has been up (1), or the core (0)."""
        lib.context_set_own_time(self.handle, own)

    def forget_answers(self) -> None:
        """Let the task ask again who it is."""
        lib.context_forget(self.handle)

    def remembered(self, nr: int) -> int | None:
        """Return what the core answers to a call by number; None: it has not been answered yet."""
        answer = ffi.new("uint64_t *")
        return int(answer[0]) if lib.context_remembers(self.handle, nr, answer) else None

    # ---- one by one, and all ----

    def registers(self) -> dict[str, int]:
        """Return the general registers, rip, eflags and the two segment bases by name."""
        lib.context_get(self.handle, _REGS)
        return dict(zip(REG_NAMES, _WORDS, strict=True))

    def set_registers(self, values: dict[str, int]) -> None:
        """Set the named registers and leave the others. Errors: EINVAL for an impossible base."""
        lib.context_get(self.handle, _REGS)
        for name, value in values.items():
            _WORDS[_PLACES[name]] = value & WORD_MASK
        status = lib.context_set(self.handle, _REGS)
        if status:
            raise SyscallError(-status)

    def set_step(self, steps: int) -> None:
        """Raise exception 1 behind the next instruction (1), or not (0): the trap flag."""
        flags = self.registers()["eflags"]
        if bool(flags & TRAP_FLAG) != bool(steps):
            self.set_registers({"eflags": flags ^ TRAP_FLAG})

    def fpu(self) -> bytes:
        """Return x87 and SSE state as fxsave64 stores it: 512 bytes."""
        buffer = bytearray(FPU_BYTES)
        lib.context_get_fpu(self.handle, ffi.from_buffer(buffer))
        return bytes(buffer)

    def set_fpu(self, image: bytes) -> None:
        """Set x87 and SSE state from 512 bytes in fxsave64's layout."""
        lib.context_set_fpu(self.handle, ffi.from_buffer(image))


class _Forgotten(Context):
    """The registers of a task that has ended: their handle refuses. A class of its own: see Mm."""

    __slots__ = ()

    @property
    def handle(self) -> Any:
        """Stop who looks at what has gone. Errors: AttributeError."""
        raise AttributeError("the task has ended: it has no registers any more")

    def close(self) -> None:
        """Nothing is left to forget."""

    def forget_answers(self) -> None:
        """Nobody asks."""
