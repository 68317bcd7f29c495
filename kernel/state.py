"""The state of a machine as one hash: what its tasks, files and clock can still do or show.

Owns what counts as state, and its canonical form. Covered: each task with its registers and what it
waits for, in which order; each address space, its areas and what is in the pages that are there;
files, open or in memory; pipes, sockets, signals, timers, the time; sysctls. An object is known by
when it is first met on the way from the tasks, not by its address; a page by where it is shown, not
by its frame. So two machines that have come to the same state by different ways have one hash.

Not covered, because no order of work can change what it does to a program, or because it only
counts: frames and lists by age, statistics, the kernel's log, the engine and its TLB, the TSC. A
machine that has pages in swap is refused. Order counts wherever the kernel keeps one: who sleeps
longer, which file was made first.
"""

from __future__ import annotations

import struct
from _random import Random as Generator
from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from functools import partial
from hashlib import blake2b
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol
from weakref import ReferenceType

from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.processor import Context, RunQueue
from pkern.kernel.cpu.stops import peek
from pkern.kernel.inspect.inspector import filled
from pkern.kernel.mm.mm import Mm
from pkern.kernel.tasks.thread import Thread
from pkern.kernel.values import Enum as Word
from pkern.kernel.vfs.fs.hostfs import HostFile
from pkern.kernel.vfs.inode import MappedInode

if TYPE_CHECKING:
    from pkern.kernel.clock import Clock
    from pkern.kernel.cpu.scheduler import Scheduler
    from pkern.kernel.tasks.table import TaskTable
    from pkern.kernel.vfs import Vfs

PAGE = 4096
WORD, ENTRY = struct.Struct("<q"), struct.Struct("<2Q")
PRESENT, END = 1, 1 << 47
HASH_BYTES = 16
# What is no state by itself; of some classes, what alone is; what only counts, or leads back up.
WHOLE = frozenset({"Kernel", "Memory", "Log", "Processor", "SysctlTable", "Watch", "Dumps"})
FIELDS = {
    "Scheduler": frozenset({"queue", "sleepers"}),
    "Sleepers": frozenset({"by_key"}),
}
COUNTS = frozenset({"faces", "faults", "kernel", "last_taken"})
PARTS = ("net", "segments", "semaphores", "messages", "queues", "userfaults")


class NotHashable(ValueError):
    """A machine of which there is no hash; the text says why."""


class Machine(Protocol):
    """What the state of a machine is read from: a Kernel."""

    tasks: TaskTable
    vfs: Vfs
    clock: Clock
    scheduler: Scheduler | None

    @property
    def random(self) -> object: ...
    @property
    def tunables(self) -> Any: ...


def state_hash(kernel: Machine) -> bytes:
    """Return the hash of a machine's state. Errors: NotHashable."""
    walk = _Walk()
    walk.put([task.waiting is None for task in kernel.tasks.values()])  # now Python knows of all
    walk.put(kernel.tasks)
    walk.put(kernel.scheduler)
    walk.put(kernel.vfs)
    walk.put(kernel.clock)
    walk.put(kernel.clock.now_ns)
    walk.put(kernel.random)
    for name in PARTS:
        walk.put(vars(kernel).get(name))
    walk.text(bytes(ffi.buffer(kernel.tunables)))
    return walk.digest()


class _Walk:
    """A way through all objects: each is written once, and named by its number after that."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=HASH_BYTES)
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # ids stay theirs

    def digest(self) -> bytes:
        """Return the hash of what has been put."""
        return self._hash.digest()

    def text(self, text: bytes) -> None:
        """Put bytes."""
        self._hash.update(WORD.pack(len(text)) + text)

    def put(self, what: object) -> None:
        """Put an object, with all that it leads to."""
        left = [what]
        while left:
            one = left.pop()
            parts = self._write(one)
            left.extend(reversed(list(parts)))

    def _write(self, what: object) -> Iterable[object]:
        """Write one object; return what it leads to."""
        kind = type(what)
        if kind in PLAIN:
            self.text(f"{kind.__name__} {what!r}".encode())
            return ()
        number = self._numbers.get(id(what))
        if number is not None:
            self.text(b"#%d" % number)
            return ()
        self._numbers[id(what)] = len(self._numbers)
        self._kept.append(what)
        for base in kind.__mro__:
            if base in WRITERS:
                self.text(kind.__qualname__.encode())
                return WRITERS[base](self, what)
        return self._object(what)

    def _object(self, what: object) -> Iterable[object]:
        kind = type(what)
        self.text(kind.__qualname__.encode())
        if kind.__name__ in WHOLE or isinstance(what, ffi.CData):
            return ()
        parts: list[object] = []
        only = FIELDS.get(kind.__name__)
        for name, value in sorted(_fields(what)):
            if name in COUNTS or (only is not None and name not in only):
                continue
            parts += [name, value]
        return self.sequence(parts)

    def sequence(self, what: Iterable[object]) -> Iterable[object]:
        """Write all that is plain at once, and where the rest stands, which is left."""
        parts = list(what)
        self.text(repr([part if type(part) in PLAIN else REST for part in parts]).encode())
        return [part for part in parts if type(part) not in PLAIN]

    def table(self, what: dict[object, object]) -> Iterable[object]:
        return self.sequence(part for item in what.items() for part in item)

    def set(self, what: Iterable[object]) -> Iterable[object]:
        parts = list(what)
        if not all(type(part) in PLAIN for part in parts):
            raise NotHashable(f"a set of {type(parts[0]).__name__} has no order")
        return self.sequence(sorted(parts, key=repr))

    def function(self, what: FunctionType) -> Iterable[object]:
        self.text(what.__qualname__.encode())
        return [cell.cell_contents for cell in what.__closure__ or ()]

    def method(self, what: MethodType) -> Iterable[object]:
        return [what.__func__, what.__self__]

    def partial(self, what: partial[Any]) -> Iterable[object]:
        return [what.func, what.args, what.keywords]

    def builtin(self, what: BuiltinFunctionType) -> Iterable[object]:
        self.text(what.__qualname__.encode())
        return () if isinstance(what.__self__, ModuleType) else (what.__self__,)

    def name(self, what: Any) -> Iterable[object]:
        self.text(str(getattr(what, "__qualname__", what)).encode())
        return ()

    def generator(self, what: Generator) -> Iterable[object]:
        self.text(repr(what.getstate()).encode())  # hundreds of numbers: most of a small machine
        return ()

    def reference(self, what: ReferenceType[Any]) -> Iterable[object]:
        return [what()]

    def context(self, what: Context) -> Iterable[object]:
        if not hasattr(what, "handle"):  # of a task that has ended
            return []
        fpu = ffi.new("uint8_t[512]")
        lib.context_get_fpu(what.handle, fpu)
        self.text(bytes(ffi.buffer(fpu)))
        return [tuple(sorted(what.registers().items()))]

    def thread(self, what: Thread) -> Iterable[object]:
        self.text(repr((what.cpu_ns, what.runner.queued)).encode())
        return self._object(what)

    def memory(self, mm: Mm) -> Iterable[object]:
        if not mm.users:
            return ()
        if mm.counters.nr_swap:
            raise NotHashable("pages are in swap")
        for vma in mm.vmas():
            self.text(repr((vma.start, vma.end, vma.flags, vma.pgoff, vma.name)).encode())
        for entry in filled("struct pte_info", lib.mm_ptes, mm.handle, 0, END):
            present = entry.pte & PRESENT
            self.text(ENTRY.pack(entry.addr, 0 if present else entry.pte))
            if present:
                self.text(peek(mm.handle, entry.addr, entry.nr_pages * PAGE))
        return ()

    def file(self, inode: MappedInode) -> Iterable[object]:
        if not isinstance(inode, HostFile):
            self.text(inode.sight_at(0, inode.size))
        return self._object(inode)


PLAIN = frozenset({bool, int, float, str, bytes, type(Ellipsis), type(None)})
REST = ()  # no plain value: shown unlike any
WRITERS: dict[type, Callable[[Any, Any], Iterable[object]]] = {
    dict: _Walk.table,
    tuple: _Walk.sequence,
    list: _Walk.sequence,
    deque: _Walk.sequence,
    RunQueue: _Walk.sequence,
    bytearray: lambda walk, what: [bytes(what)],
    set: _Walk.set,
    frozenset: _Walk.set,
    Enum: _Walk.name,
    Word: _Walk.name,
    type: _Walk.name,
    ModuleType: _Walk.name,
    BuiltinFunctionType: _Walk.builtin,
    FunctionType: _Walk.function,
    MethodType: _Walk.method,
    partial: _Walk.partial,
    Generator: _Walk.generator,
    ReferenceType: _Walk.reference,
    Context: _Walk.context,
    Thread: _Walk.thread,
    Mm: _Walk.memory,
    MappedInode: _Walk.file,
}


def _fields(what: object) -> list[tuple[str, object]]:
    found = dict(getattr(what, "__dict__", {}))
    for base in type(what).__mro__:
        for name in getattr(base, "__slots__", ()):
            if hasattr(what, name):
                found[name] = getattr(what, name)
    return list(found.items())
