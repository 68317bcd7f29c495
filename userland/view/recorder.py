"""Records a run for its picture: every event, and what each has changed in the machine.

Owns the core's journal while it is on. An event and the moment that the core wrote with it have the
same number. Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.values import NamedTuple
from pkern.userland.events.recording import chosen

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Event
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task

MOST_MOMENTS = 10_000
BEFORE = -1  # the number of a label of what was there when the recording began
OPENERS = ("sched:sched_process_exec", "filemap:mm_filemap_add_to_page_cache")  # new files, perhaps


class Label(NamedTuple):
    """Who has got an address space, and when. pgd: the frame that names it."""

    seq: int
    pgd: int
    pid: int
    comm: str


class Recording(NamedTuple):
    """What was recorded. words: the core's journal; left_out: events that came too late for it."""

    machine: dict[str, Any]
    events: list[Event]
    words: list[int]
    labels: list[Label]
    files: dict[int, str]
    left_out: int


class Recorder:
    """A context manager: what happens in it is recorded, up to most moments."""

    def __init__(self, kernel: Kernel, most: int = MOST_MOMENTS) -> None:
        self._kernel = kernel
        self._most = most
        self._events: list[Event] = []
        self._left_out = 0
        self._labels: list[Label] = []
        self._last_pid = -1
        self._files: dict[int, str] = {}
        self._entry: Any = None
        self.recording: Recording | None = None  # once it has ended

    def __enter__(self) -> Recorder:
        tracing = self._kernel.tracing
        self._entry = tracing.subscribe(chosen(tracing, ()), self._take)
        error = lib.machine_journal_on(self._kernel.core, self._most)
        if error:
            tracing.unsubscribe(self._entry)
            raise MemoryError("the host has no memory for the journal")
        for pgd, task in self._kernel.inspect.spaces().items():
            self._labels.append(Label(BEFORE, pgd, task.tgid, task.name))
        self._enters = self._kernel.tasks.enter
        vars(self._kernel.tasks)["enter"] = self._enter
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        kernel = self._kernel
        if kernel.memory.closed:
            return
        vars(kernel.tasks).pop("enter", None)
        kernel.tracing.unsubscribe(self._entry)
        self._look_at_files()
        lib.machine_journal_note(kernel.core, self._events[-1].seq + 1 if self._events else 0)
        nr = ffi.new("uint64_t *")
        words = lib.machine_journal_words(kernel.core, nr)
        self.recording = Recording(
            _facts(kernel),
            self._events,
            ffi.unpack(words, nr[0]) if nr[0] else [],
            self._labels,
            self._files,
            self._left_out,
        )
        lib.machine_journal_off(kernel.core)

    def _take(self, event: Event) -> None:
        if len(self._events) == self._most:
            self._left_out += 1
            return
        self._events.append(event)
        if event.pid != self._last_pid or event.name in OPENERS:
            self._last_pid = event.pid
            self._look_at_files()

    def _look_at_files(self) -> None:
        """Note files' paths, as far as they are new."""
        for file, path in self._kernel.vfs.files.values():
            self._files[file.inode.ino] = path

    def _enter(self, task: Task, wanted: Sequence[int] = ()) -> None:
        """Note whose a new address space is; a thread's is its process's."""
        self._enters(task, wanted)
        if task.mm.users == 1:
            seq = int(lib.machine_events(self._kernel.core).seq)
            pgd = int(lib.mm_pgd(task.mm.handle))
            self._labels.append(Label(seq, pgd, task.tgid, task.name))


def _facts(kernel: Kernel) -> dict[str, Any]:
    memory = kernel.memory
    return {
        "pages": memory.ram >> 12,
        "rmap": memory.rmap,
        "nrpte": memory.nrpte,
        "nodes": memory.nr_nodes,
        "caches": [cache.name for cache in kernel.inspect.slab().caches],
    }
