"""How the branches of a sweep ended, and which of these ends are one.

Owns what counts as the same end, and what an end means beside that of the run without a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from pkern.kernel.branch import BranchEnded
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.signal.signames import Signal
from pkern.kernel.vfs.walk import Last
from pkern.userland.harness import FAILED, Changer, run_to_end
from pkern.userland.machine_code import boot_scheduler, start_init
from pkern.userland.suite.pool import WallTimeIsUp

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.inode import Inode
    from pkern.userland.given import Given

IPC = {"shm": "shared memory", "sem": "semaphores", "msg": "message queue"}
MOST_BYTES = 1 << 20
WATCHED = ("/tmp", "/dev/shm")  # where programs leave files behind
CRASHES = frozenset(
    {Signal.SIGSEGV, Signal.SIGBUS, Signal.SIGILL, Signal.SIGFPE, Signal.SIGABRT, Signal.SIGTRAP}
)


class End(NamedTuple):
    """How a run ended. status: as a shell has it; signal: its name; reason: why it is not its own.

    left: what it left behind in the machine: files, processes, System V objects.
    """

    status: int
    signal: str | None
    reason: str | None
    out: bytes
    err: bytes
    left: tuple[str, ...] = ()

    def page(self) -> dict[str, Any]:
        """Return it for JSON, its output as text."""
        texts = {name: getattr(self, name).decode(errors="replace") for name in ("out", "err")}
        return {**self._asdict(), **texts}

    def told(self) -> str:
        """Return it in a few words: how it ended, and the last thing that it said."""
        how = self.reason or (f"ended by {self.signal}" if self.signal else f"status {self.status}")
        said = (self.err or self.out).decode(errors="replace").strip().splitlines()
        return f"{how}: {said[-1]}" if said else how


class Meaning(Enum):
    """What an end says of the program that met a failure; the value is the word in reports."""

    CRASHES = "crashes"
    HANGS = "hangs"
    CORRUPTS = "goes on with other output"
    LEAKS = "leaves something behind"
    REPORTS = "reports"
    SURVIVES = "survives"


FINDINGS = frozenset({Meaning.CRASHES, Meaning.HANGS, Meaning.CORRUPTS, Meaning.LEAKS})


def meaning(end: End, good: End) -> Meaning:
    """Return what an end means beside the one of the run in which nothing failed.

    A program that crashes or hangs without a failure, too, shows nothing by doing so with one.
    """
    is_same = _how(end) == _how(good)
    alone = by_itself(end)
    if not is_same and alone in {Meaning.CRASHES, Meaning.HANGS}:
        return alone
    if set(end.left) - set(good.left):
        return Meaning.LEAKS
    if is_same:
        return Meaning.SURVIVES if end.out == good.out else Meaning.CORRUPTS
    return Meaning.REPORTS


def _how(end: End) -> tuple[int, str | None, bool]:
    """Return how it ended; the words for what each task waits for hold ids of objects."""
    return end.status, end.signal, end.reason is not None


def by_itself(end: End) -> Meaning:
    """Return what an end means that is compared with none."""
    if end.signal and Signal[end.signal] in CRASHES:
        return Meaning.CRASHES
    if end.reason is not None:
        return Meaning.HANGS
    return Meaning.REPORTS if end.status else Meaning.SURVIVES


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Group(Generic[T]):
    """Ends that are one, and what led to each of them, in order: replays, schedules."""

    meaning: Meaning
    end: End
    led: tuple[T, ...]


def grouped(ends: Iterable[tuple[T, End]], mean: Callable[[End], Meaning]) -> list[Group[T]]:
    """Return the groups of (what led there, end): the worst first, then by how many there are."""
    led: dict[End, list[T]] = {}
    for what, end in ends:
        led.setdefault(end, []).append(what)
    groups = [Group(mean(end), end, tuple(some)) for end, some in led.items()]
    order = list(Meaning)
    return sorted(groups, key=lambda group: (order.index(group.meaning), -len(group.led)))


# ---- of a program, of a branch ----


def end_of(kernel: Kernel, path: str, given: Given, changer: Changer) -> End:
    """Run a program to its end; what becomes of its calls is the changer's. Errors: as harness."""
    out, err = bytearray(), bytearray()
    ending = run_to_end(kernel, path, given, out.extend, err.extend, changer)
    left = left_behind(kernel)
    return End(ending.status, ending.signal, ending.reason, bytes(out), bytes(err), left)


def end_of_branch(what: object) -> End:
    """Return the end of a branch that has sent none, or raise what it has raised."""
    if isinstance(what, WallTimeIsUp):
        return End(FAILED, None, "does not end", b"", b"")
    if isinstance(what, BranchEnded):
        return End(FAILED, None, f"pkern itself failed: {what}", b"", b"")
    assert isinstance(what, BaseException)
    raise what


# ---- what is left behind ----


def import_for_ends() -> None:
    """Import what looks at what is left behind, so that no copy has to."""
    with Kernel(ram="1M") as machine:
        # Who sleeps, and in which call, is a part that comes when it is asked for.
        assert boot_scheduler(machine).unfinished is not None
        start_init(machine)
        left_behind(machine)


def left_behind(kernel: Kernel) -> tuple[str, ...]:
    """Return what a program has left in the machine, in a fixed order."""
    processes = [
        f"process {task.name}"
        for task in kernel.tasks.values()
        if task.alive and task is not kernel.tasks.init
    ]
    files = [path for folder in WATCHED for path in _files(kernel, folder)]
    return (*files, *processes, *(line for kind in IPC for line in _objects(kernel, kind)))


def _files(kernel: Kernel, folder: str) -> list[str]:
    found: list[str] = []
    for name in sorted(_inode(kernel, folder).names(_init(kernel))):
        path = f"{folder}/{name}"
        found += _files(kernel, path) if _inode(kernel, path).kind == "dir" else [path]
    return found


def _objects(kernel: Kernel, kind: str) -> list[str]:
    """Return the System V objects of a kind, as /proc/sysvipc lists them: key and id."""
    text = _inode(kernel, f"/proc/sysvipc/{kind}").read(0, MOST_BYTES).decode()
    return [f"{IPC[kind]} {line.split()[1]}" for line in text.splitlines()[1:]]


def _inode(kernel: Kernel, path: str) -> Inode:
    return kernel.vfs.resolve(_init(kernel), path, Last.ENTRY)


def _init(kernel: Kernel) -> Task:
    assert kernel.tasks.init is not None, "a program runs below init"
    return kernel.tasks.init
