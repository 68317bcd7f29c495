"""Events: who wants which, and how they come from the core's ring to whoever does.

Owns the ring while somebody looks, what Python's own records in it say, and the subscribers. The
core writes a record as a thing happens; Python's emitters (emitters.py) put theirs in between, so
that one order holds for all. pump() empties the ring in batches: at each turn of a task, at each
call of a Python program, whenever somebody reads. Invariants: the sequence numbers that a
subscriber to everything sees have no gap but for what `lost` says; looking moves no time, count,
page or list of the machine.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.clock import BOOT_EPOCH_NS
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import MachineClosed, SyscallError
from pkern.kernel.events.points import FAULT_USER, Point, Table, Value, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

RING_RECORDS = 1 << 16
BATCH = 1024
HALF = 2

Sink = Callable[["Event"], object]


class Event:
    """One thing that happened: event["pfn"] is a value of it, event.fields all of them.

    seq: its number since somebody began to look. time_ns: virtual nanoseconds since boot. pid,
    comm: of the task that was running, 0 and "<idle>" for none. values: in the order of the
    point's fields.
    """

    __slots__ = ("comm", "pid", "point", "seq", "time_ns", "values")

    def __init__(
        self,
        seq: int,
        time_ns: int,
        pid: int,
        comm: str,
        point: Point,
        values: tuple[Value, ...],
    ) -> None:
        self.seq = seq
        self.time_ns = time_ns
        self.pid = pid
        self.comm = comm
        self.point = point
        self.values = values

    @property
    def name(self) -> str:
        """SYSTEM:NAME."""
        return self.point.full_name

    @property
    def fields(self) -> dict[str, Value]:
        """The values by name."""
        names = (field.name for field in self.point.fields)
        return dict(zip(names, self.values, strict=True))

    def __getitem__(self, name: str) -> Any:
        """Return the value of a field. Errors: KeyError."""
        return self.fields[name]

    def __repr__(self) -> str:
        told = " ".join(f"{name}={_shown(value)}" for name, value in self.fields.items())
        return f"<{self.time_ns / 1e9:.6f} {self.comm}-{self.pid} {self.name}: {told}>"


def _shown(value: Value) -> str:
    return hex(value) if isinstance(value, int) and abs(value) > 0xFFFF else str(value)


class Runner(Protocol):
    """A task, as far as events ask: who it is, and whether machine code runs in it."""

    @property
    def pid(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def context(self) -> Any: ...


class Emitters(Protocol):
    """Who tells of what Python does: binds itself where points are on, and off again."""

    def bind(self, names: frozenset[str]) -> None: ...


class Stream:
    """The events of some points, from the moment it is made until it is closed.

    Iterating gives those that have come and not been given yet, and then ends; later there may be
    more. lost: how many found no room, of any point.
    """

    def __init__(self, tracing: Tracing, names: list[str]) -> None:
        self._tracing = tracing
        self._waiting: deque[Event] = deque()
        self._lost_before = tracing.lost
        self._lost: int | None = None  # since it is closed
        self._entry = tracing.subscribe(names, self._waiting.append)

    @property
    def lost(self) -> int:
        """How many records there was no room for since it was made."""
        return self._tracing.lost - self._lost_before if self._lost is None else self._lost

    def __iter__(self) -> Iterator[Event]:
        self._tracing.pump()
        while self._waiting:
            yield self._waiting.popleft()

    def close(self) -> None:
        """Look no more; what has come can still be read."""
        if self._lost is None:
            self._tracing.unsubscribe(self._entry)
            self._lost = self._tracing.lost - self._lost_before

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Delivery(Enum):
    """When a subscriber gets an event."""

    IN_BATCHES = "when many have come, or somebody reads"
    AT_ONCE = "as soon as the machine can be asked: behind the fault, before the call"


class Subscription:
    """Who gets the events of some points, and when."""

    def __init__(self, names: Iterable[str], sink: Sink, delivery: Delivery) -> None:
        self.names = frozenset(names)
        self.sink = sink
        self.delivery = delivery


class Tracing:
    """The events of one machine.

    core: its handle. tasks: by pid. emitters: made when somebody first looks.
    """

    def __init__(
        self, core: Any, tasks: Mapping[int, Runner], emitters: Callable[[Tracing], Emitters]
    ) -> None:
        self._core = core
        self._tasks = tasks
        self._make_emitters = emitters
        self._emitters: Emitters | None = None
        self.table = Table()
        self._by_kind: dict[int, list[Point]] = {}  # those that somebody wants
        self._subscriptions: list[Subscription] = []
        self._sinks: dict[str, list[Sink]] = {}  # by point
        self._payloads: dict[int, tuple[Point, tuple[Value, ...]]] = {}  # by seq
        self._comms: dict[int, str] = {0: "<idle>"}
        self._old_names: dict[int, str] = {}  # of who is being renamed
        self._ring: Any = None  # live, while somebody looks
        self._buffer: Any = ffi.new("struct event[]", BATCH)
        self._lost = 0  # of rings that are gone
        self._hurries = False  # does anyone want events at once?
        self.ring_records = RING_RECORDS
        self._pumping = 0  # 1: a sink may cause events of its own, which come after those there are

    @property
    def lost(self) -> int:
        """How many records found no room, ever."""
        return self._lost + (int(self._ring.lost) if self._ring is not None else 0)

    @property
    def pid(self) -> int:
        """Who causes what the core tells of; 0: nobody."""
        return int(self._ring.pid) if self._ring is not None else 0

    @property
    def on(self) -> frozenset[str]:
        """The points that somebody wants, as SYSTEM:NAME."""
        return frozenset(self._sinks)

    # ---- who wants which ----

    def stream(self, *globs: str) -> Stream:
        """Return a stream of the points that globs mean, of all without one. Errors: ValueError."""
        try:
            names = self.table.matching(*(globs or ("*",)))
        except LookupError as error:
            raise ValueError(str(error)) from None
        return Stream(self, names)

    def subscribe(
        self, names: Iterable[str], sink: Sink, delivery: Delivery = Delivery.IN_BATCHES
    ) -> Subscription:
        """Call sink with each event of some points (SYSTEM:NAME) from now on. Errors: ENOMEM."""
        if self._ring is None:
            self._start()
        made = Subscription(names, sink, delivery)
        self.pump()
        self._subscriptions.append(made)
        self._select()
        return made

    def unsubscribe(self, one: Subscription) -> None:
        """Call it no more, but for what has happened already."""
        if one not in self._subscriptions:  # the machine has been closed
            return
        self.pump()
        self._subscriptions.remove(one)
        self._select()
        if not self._subscriptions:
            self._stop()

    def close(self) -> None:
        """Hand on what has happened, for the last time: the machine goes."""
        self.pump()
        if self._ring is not None:
            self._subscriptions.clear()
            self._select()
            self._stop()
        self._core = None

    def _start(self) -> None:
        if self._core is None:
            raise MachineClosed
        error = lib.machine_events_on(self._core, self.ring_records)
        if error:
            raise SyscallError(errno.ENOMEM)
        self._ring = lib.machine_events(self._core)
        if self._emitters is None:
            self._emitters = self._make_emitters(self)

    def _stop(self) -> None:
        self._lost += int(self._ring.lost)
        self._ring = None
        self._payloads.clear()
        lib.machine_events_off(self._core)

    def _select(self) -> None:
        """Have recorded what is wanted, and nothing else."""
        sinks: dict[str, list[Sink]] = {}
        for one in self._subscriptions:
            for name in one.names:
                sinks.setdefault(name, []).append(one.sink)
        self._sinks = sinks
        self._by_kind = {}
        for point in map(self.table.__getitem__, sorted(sinks)):  # on every run in the same order
            if point.kind is not None:
                self._by_kind.setdefault(int(point.kind), []).append(point)
        self._ring.kinds = sum(1 << kind for kind in self._by_kind)
        at_once = [one for one in self._subscriptions if one.delivery is Delivery.AT_ONCE]
        self._ring.stops = self._kinds(name for one in at_once for name in one.names)
        self._hurries = bool(at_once)
        assert self._emitters is not None
        self._emitters.bind(self.on)

    def _kinds(self, names: Iterable[str]) -> int:
        """Return the mask of the core's kinds among some points."""
        kinds = {self.table[name].kind for name in names}
        return sum(1 << int(kind) for kind in kinds if kind is not None)

    # ---- what happens ----

    def runs(self, task: Runner) -> None:
        """Note who causes what the core tells of from now on."""
        if self._ring is not None:
            self._ring.pid = task.pid
            self._comms[task.pid] = task.name

    def runs_nobody(self) -> None:
        """Note that all tasks sleep."""
        if self._ring is not None:
            self._ring.pid = 0

    def emit(self, name: str, *values: Value) -> None:
        """Tell of something in Python, if anyone wants to know."""
        if name not in self._sinks:
            return
        self.pump_soon()
        seq = int(self._ring.seq)
        self._payloads[seq] = (self.table[name], values)  # first: Ctrl-C may come in between
        if lib.machine_event(self._core, self._ring.pid) < 0:
            del self._payloads[seq]
        if self._hurries:
            self.pump()

    def pump_soon(self) -> None:
        """Hand on what the ring holds if it gets full, or somebody is in a hurry."""
        if self._ring is None:
            return
        if self._hurries or self._ring.nr_waiting * HALF > self._ring.nr_records:
            self.pump()

    def pump_as(self, pid: int, comm: str) -> None:
        """Hand on what the ring holds, while a task that has a new name still has the old one."""
        self._old_names[pid] = comm
        self.pump()
        del self._old_names[pid]

    def pump(self) -> None:
        """Hand on what the ring holds."""
        if self._ring is None or self._pumping:
            return
        self._pumping = 1
        try:
            self._empty()
        finally:
            self._pumping = 0

    def _empty(self) -> None:
        while self._ring is not None and (
            nr := lib.machine_events_take(self._core, self._buffer, BATCH)
        ):
            for record in ffi.unpack(self._buffer, nr):
                if self._ring is not None:  # no sink has closed the machine
                    self._hand_on(record)

    def _hand_on(self, record: Any) -> None:
        if record.kind == lib.EVENT_OTHER:
            self._tell(record, *self._payloads.pop(int(record.seq)))
            return
        words = tuple(record.words)
        for point in self._by_kind.get(int(record.kind), ()):
            if record.kind != lib.EVENT_EXCEPTION or self._is_meant(point, int(record.pid), words):
                values = (field.value(words) for field in point.fields if field.value is not None)
                self._tell(record, point, tuple(values))

    def _tell(self, record: Any, point: Point, values: tuple[Value, ...]) -> None:
        sinks = self._sinks.get(point.full_name)
        if not sinks:
            return
        pid, time_ns = int(record.pid), int(record.time_ns) - BOOT_EPOCH_NS
        event = Event(int(record.seq), time_ns, pid, self._comm(pid), point, values)
        for sink in sinks:
            sink(event)

    def _is_meant(self, point: Point, pid: int, words: Words) -> bool:
        """Tell which of the two names an exception has: whose instruction it was."""
        task = self._tasks.get(pid)
        own = words[3] or (task is not None and task.context is None)
        return (point is FAULT_USER) == bool(own)

    def _comm(self, pid: int) -> str:
        task = self._tasks.get(pid)
        if pid in self._old_names:
            return self._old_names[pid]
        if task is not None:
            self._comms[pid] = task.name
        return self._comms.get(pid, "<...>")
