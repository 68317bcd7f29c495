"""The whole machine at once, and what is different between two such moments.

A moment is read in a few calls of the core and holds bytes, so that many can be kept; what it says
in words is made when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.inspect import names
from pkern.kernel.inspect.answers import SHOWN, Answer, joined
from pkern.kernel.mm.mm import Vma
from pkern.kernel.numbers import counted

if TYPE_CHECKING:
    from pkern.kernel.mm.memory import Memory
    from pkern.kernel.tasks.task import Task

COUNTERS = tuple(name for name, _ in ffi.typeof("struct counters").fields)
FRAME = ("owner", "index", "flags", "refcount", "mapcount", "pins")


@dataclass(frozen=True, slots=True, repr=False)
class Change(Answer):
    """Something that differs. what: counter, vma, pte or page; before, after: "" for none."""

    what: str
    where: str
    before: str
    after: str

    def lines(self) -> Iterator[str]:
        yield f"{self.what} {self.where}: {self.before or 'none'} -> {self.after or 'none'}"


@dataclass(frozen=True, slots=True, repr=False)
class Diff(Answer):
    """What differs between two moments."""

    changes: tuple[Change, ...]

    def lines(self) -> Iterator[str]:
        if not self.changes:
            yield "nothing has changed"
        for what in ("counter", "vma", "pte", "page"):
            of_kind = [change for change in self.changes if change.what == what]
            for change in of_kind[:SHOWN]:
                yield from change.lines()
            if len(of_kind) > SHOWN:
                yield f"... and {len(of_kind) - SHOWN} more of {what}s"


@dataclass(frozen=True, slots=True, repr=False)
class Moment(Answer):
    """A machine at one moment: counters by name, VMAs and ptes by pid, frames by number."""

    counters: Mapping[str, int]
    vmas: Mapping[int, tuple[Vma, ...]]
    ptes: Mapping[int, Mapping[int, int]]
    frames: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, memory: Memory, spaces: Mapping[int, Task]) -> Moment:
        """Return a machine's. spaces: its tasks by address space."""
        return cls(
            {name: int(getattr(memory.counters, name)) for name in COUNTERS},
            {task.tgid: tuple(task.mm.vmas()) for task in spaces.values()},
            {task.tgid: _ptes(task) for task in spaces.values()},
            _frames(memory),
        )

    def lines(self) -> Iterator[str]:
        pages = sum(not frame[2] & lib.PG_FREE for frame in self.frames)
        yield f"{counted(len(self.vmas), 'process', 'processes')}, {counted(pages, 'page')} in use"

    def as_json(self) -> dict[str, Any]:
        """Return counters, VMAs and ptes; frames as lists in the order of FRAME."""
        return {
            "counters": dict(self.counters),
            "vmas": {pid: [vma._asdict() for vma in vmas] for pid, vmas in self.vmas.items()},
            "ptes": {pid: dict(ptes) for pid, ptes in self.ptes.items()},
            "frames": [list(frame) for frame in self.frames],
        }

    def diff(self, old: Moment) -> Diff:
        """Return what is different from an older moment."""
        return Diff(
            (
                *_changes("counter", old.counters, self.counters, str),
                *_changes("vma", _placed(old.vmas), _placed(self.vmas), _vma_text),
                *_changes("pte", _addressed(old.ptes), _addressed(self.ptes), hex),
                *_changes("page", _numbered(old.frames), _numbered(self.frames), _frame_text),
            )
        )


def _ptes(task: Task) -> dict[int, int]:
    mm, end = task.mm, int(task.mm.counters.task_size)
    room = lib.mm_ptes(mm.handle, 0, end, ffi.NULL, 0)
    out = ffi.new("struct pte_info[]", max(room, 1))
    return {p.addr: p.pte for p in ffi.unpack(out, lib.mm_ptes(mm.handle, 0, end, out, room))}


def _frames(memory: Memory) -> tuple[tuple[int, ...], ...]:
    nr = lib.machine_frames_end(memory.core)
    out = ffi.new("struct frame_info[]", max(nr, 1))
    lib.machine_frames(memory.core, 0, nr, out)
    return tuple(tuple(getattr(f, name) for name in FRAME) for f in ffi.unpack(out, nr))


def _changes(what: str, old: Mapping[Any, Any], new: Mapping[Any, Any], text: Any) -> Any:
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if before != after:
            told = ("" if value is None else text(value) for value in (before, after))
            yield Change(what, _where(key), *told)


def _where(key: Any) -> str:
    return f"{key[1]:#x} of process {key[0]}" if isinstance(key, tuple) else str(key)


def _placed(vmas: Mapping[int, tuple[Vma, ...]]) -> dict[tuple[int, int], Vma]:
    return {(pid, vma.start): vma for pid, found in vmas.items() for vma in found}


def _addressed(ptes: Mapping[int, Mapping[int, int]]) -> dict[tuple[int, int], int]:
    return {(pid, addr): pte for pid, found in ptes.items() for addr, pte in found.items()}


def _numbered(frames: tuple[tuple[int, ...], ...]) -> dict[int, tuple[int, ...]]:
    return {pfn: frame for pfn, frame in enumerate(frames) if not frame[2] & lib.PG_FREE}


def _vma_text(vma: Vma) -> str:
    return f"{vma.start:x}-{vma.end:x} {vma.perms} pgoff {vma.pgoff:#x}"


def _frame_text(frame: tuple[int, ...]) -> str:
    _, index, flags, refcount, mapcount, pins = frame
    told = joined(names.named(flags, names.PAGE_FLAGS))
    return f"{told} index {index:#x} refcount {refcount} mapcount {mapcount} pins {pins}"
