"""The machine as a debugger sees it: processes, threads, memory, files, places to stop at.

Owns which processes are debugged, and their spots. Looking changes nothing: pages that are there
are read where they lie, and everything else is asked of a copy of the machine (a branch), so that
no page is brought in and no list, count or clock of the machine moves. Writing is as ptrace's.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pkern.kernel.branch import BranchEnded, NotBranchable
from pkern.kernel.cpu.stops import PAGE_SIZE, Kind, Spot, Stops, peek
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.thread import HALF
from pkern.userland.inspect.words import Asker

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Stream
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.group import Group
    from pkern.kernel.tasks.task import Task

PAGE_MASK = PAGE_SIZE - 1
READ_CHUNK = 1 << 20
Catches = dict[int, frozenset[int]]  # calls by number, of a process; none: all


class Place(NamedTuple):
    """A spot as a debugger names it: of a process, by its number; of any length."""

    pid: int
    kind: Kind
    addr: int
    nbytes: int


class Target:
    """What of a machine is debugged."""

    def __init__(self, kernel: Kernel, stops: Stops) -> None:
        self.kernel = kernel
        self.stops = stops
        self.groups: dict[int, Group] = {}  # by pid
        self.catches: Catches = {}  # what the debugger is told of
        self.places: dict[Place, None] = {}
        self.events: Stream | None = None  # that the debugger wants noted
        self.globs: tuple[str, ...] = ()
        self._askers: dict[Task, Asker] = {}
        self.has_changed = False  # by the debugger, since the last snapshot
        self._spots: list[Place] = []  # of each spot that the processor has, whose it is
        self._pages: dict[tuple[int, int], bytes] = {}  # read of a copy since the last stop

    # ---- processes and threads ----

    def attach(self, group: Group) -> None:
        """Debug a process from now on."""
        self.groups[group.pid] = group

    def drop(self, pid: int) -> None:
        """Debug a process no more."""
        self.groups.pop(pid, None)
        self.catches.pop(pid, None)
        self.drop_places(pid)

    def has(self, task: Task) -> bool:
        """Tell whether a task is debugged."""
        return self.groups.get(task.tgid) is task.group

    def threads(self) -> Iterator[Task]:
        """Give the threads that live, process by process."""
        for group in self.groups.values():
            yield from (task for task in group.living() if task.context is not None)

    def find(self, pid: int, tid: int) -> Task | None:
        """Return a thread; 0 or -1 stands for any."""
        return next((task for task in self.threads() if matches(task, pid, tid)), None)

    # ---- calls ----

    def catches_call(self, task: Task, nr: int) -> bool:
        """Tell whether the debugger is to know of a task's call with this number."""
        wanted = self.catches.get(task.tgid)
        return wanted is not None and self.has(task) and (not wanted or nr & HALF in wanted)

    # ---- places to stop at ----

    def put(self, place: Place) -> None:
        """Stop at a place from the next resumption on."""
        self.places[place] = None

    def take(self, place: Place) -> None:
        """Stop there no more."""
        self.places.pop(place, None)

    def drop_places(self, pid: int) -> None:
        """Forget the places of a process: it has ended, runs another program, or runs freely."""
        self.places = {place: None for place in self.places if place.pid != pid}

    def arm(self) -> None:
        """Let the processor have the spots of all places."""
        spots, self._spots = [], []
        for place in self.places:
            group = self.groups.get(place.pid)
            task = next(iter(group.living()), None) if group is not None else None
            if task is None:
                continue
            for addr, nbytes in _by_pages(place.addr, place.nbytes):
                spots.append(Spot(task.mm.handle, addr, nbytes, place.kind))
                self._spots.append(place)
        self.stops.set_spots(spots)

    def arm_again(self) -> None:
        """Do so where it was done: a process has come, or runs another program."""
        if self._spots or self.places:
            self.arm()

    def disarm(self) -> None:
        """Let the processor have none."""
        self._spots = []
        self.stops.set_spots([])

    def place_of(self, number: int) -> Place:
        """Return the place that a spot of the processor belongs to."""
        return self._spots[number]

    # ---- memory ----

    def read(self, task: Task, addr: int, nbytes: int) -> bytes:
        """Return what can be read at addr, whatever its protection; b"": nothing."""
        data = bytearray()
        while len(data) < nbytes:
            where, left = addr + len(data), nbytes - len(data)
            found = peek(task.mm.handle, where, left) or self._read_copied(task, where, left)
            if not found:
                break
            data += found
        return bytes(data)

    def peek(self, place: Place) -> bytes:
        """Return what stands at a place without bringing in a page; b"": nothing."""
        task = self.find(place.pid, -1)
        found = b"" if task is None else peek(task.mm.handle, place.addr, place.nbytes)
        return found if len(found) == place.nbytes else b""

    def _read_copied(self, task: Task, addr: int, nbytes: int) -> bytes:
        """Return what of a page would be there if it were brought in."""
        page, offset = addr & ~PAGE_MASK, addr & PAGE_MASK
        key = task.pid, page
        if key not in self._pages:
            self._pages[key] = self.ask(_read_page, task.pid, page)
        return self._pages[key][offset : offset + nbytes]

    def write(self, task: Task, addr: int, data: bytes) -> None:
        """Write memory past its protection. Errors: EFAULT."""
        self.forget_copied()
        self.has_changed = True
        if task.mm.write_forced(addr, data) < len(data):
            raise SyscallError(errno.EFAULT)

    def forget_copied(self) -> None:
        """Ask anew for what a copy has told: the machine goes on, or was changed."""
        self._pages.clear()

    # ---- what a person asks ----

    def asker(self, task: Task) -> Asker:
        """Return who answers questions about a task, and about the machine."""
        if task not in self._askers:
            self._askers[task] = Asker(self.kernel.inspect, task)
        return self._askers[task]

    def watch(self, globs: tuple[str, ...]) -> None:
        """Note the events that globs mean, (): none. Errors: ValueError."""
        stream = self.kernel.events(*globs) if globs else None
        if self.events is not None:
            self.events.close()
        self.events, self.globs = stream, globs

    # ---- what a copy tells ----

    def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return function(copy of the machine, *args). Errors: the function's; EIO."""
        try:
            with self.kernel.branch(function, *args) as branch:
                return branch.result()
        except NotBranchable:  # it shows a directory of the host that may be written
            return function(self.kernel, *args)
        except BranchEnded as error:
            raise SyscallError(errno.EIO) from error

    def file(self, path: str) -> bytes:
        """Return what a file of the machine holds. Errors: as open and read; EISDIR."""
        data: bytes = self.ask(_read_file, path)
        return data

    def link(self, path: str) -> str:
        """Return where a symbolic link leads. Errors: as readlink."""
        text: str = self.ask(_read_link, path)
        return text


def matches(task: Task, pid: int, tid: int) -> bool:
    """Tell whether a debugger's numbers mean a task; 0 and -1 mean any."""
    return (pid <= 0 or task.tgid == pid) and (tid <= 0 or task.pid == tid)


def _by_pages(addr: int, nbytes: int) -> Iterator[tuple[int, int]]:
    end = addr + max(nbytes, 1)
    while addr < end:
        part = min(end - addr, PAGE_SIZE - (addr & PAGE_MASK))
        yield addr, part
        addr += part


# ---- asked of a copy ----


def _read_page(kernel: Kernel, pid: int, page: int) -> bytes:
    task = kernel.tasks.get(pid)
    return b"" if task is None else task.mm.read_forced(page, PAGE_SIZE)


def _of_root(kernel: Kernel) -> Any:
    from pkern.userland.program import Sys  # for those who ask

    assert kernel.tasks.init is not None
    return Sys(kernel.tasks.init)


def _read_file(kernel: Kernel, path: str) -> bytes:
    sys = _of_root(kernel)
    fd = sys.open(path, sys.O_RDONLY | sys.O_NONBLOCK)
    data = bytearray()
    with suppress(BlockingIOError):
        while part := sys.read(fd, READ_CHUNK):
            data += part
    sys.close(fd)
    return bytes(data)


def _read_link(kernel: Kernel, path: str) -> str:
    return str(_of_root(kernel).readlink(path))
