"""How a file of events is written, line by line as they come.

    NAME.json    Trace Event format: opens in Perfetto (ui.perfetto.dev) and Chrome (about:tracing)
    NAME.jsonl   one JSON object a line
    any other    as ftrace prints it

Owns the mapping onto Trace Event's phases: a task is a thread; its system calls and reclaims are
slices on it; who has the processor is a slice on a track of its own; all else are instants.
Source: "Trace Event Format", Google 2016.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol

from pkern.kernel.events.text import HEADER, line, told
from pkern.syscalls.numbers import NAMES

if TYPE_CHECKING:
    from pkern.kernel.events.points import Value
    from pkern.kernel.events.stream import Event

Emit = Callable[[str], object]
NS_PER_US = 1000
CPU_PID, CPU_NAME = 0, "CPU 0"
# A slice begins and ends with these; the name is the first one's.
SLICES = {
    "vmscan:mm_vmscan_direct_reclaim_begin": "vmscan:mm_vmscan_direct_reclaim_end",
    "vmscan:mm_vmscan_kswapd_wake": "vmscan:mm_vmscan_kswapd_sleep",
}
ENDS = {end: begin for begin, end in SLICES.items()}
ENTER, EXIT, SWITCH = "raw_syscalls:sys_enter", "raw_syscalls:sys_exit", "sched:sched_switch"
BEGINS, ENDED, INSTANT, ABOUT = "B", "E", "i", "M"
EXACT = 1 << 53  # JSON's numbers are doubles to many who read them


class Writer(Protocol):
    """Writes events, and what stands behind the last one."""

    def event(self, event: Event) -> None: ...
    def end(self, lost: int) -> None: ...


class TextWriter:
    """As ftrace prints them."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        head = HEADER.splitlines()
        for text in (head[0], *head[3:]):  # how many there will be is not known yet
            emit(text)

    def event(self, event: Event) -> None:
        """Write a line."""
        self._emit(line(event))

    def end(self, lost: int) -> None:
        """Say what is missing."""
        if lost:
            self._emit(f"CPU:0 [LOST {lost} EVENTS]")


class LinesWriter:
    """One object a line: seq, time_ns, pid, comm, event, args."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def event(self, event: Event) -> None:
        """Write an object."""
        whole = {
            "seq": event.seq,
            "time_ns": event.time_ns,
            "pid": event.pid,
            "comm": event.comm,
            "event": event.name,
            "args": event.fields,
        }
        self._emit(json.dumps(whole))

    def end(self, lost: int) -> None:
        """Say what is missing."""
        if lost:
            self._emit(json.dumps({"lost": lost}))


class TraceEventWriter:
    """One JSON object, whose traceEvents an event adds to."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._comma = ""
        self._names: dict[int, str] = {}
        self._open: dict[tuple[int, str], int] = {}  # slices that have begun, by task and name
        self._running = 0  # 1: somebody has the processor
        emit('{"displayTimeUnit":"ns","traceEvents":[')
        self._about(CPU_PID, CPU_NAME)

    def event(self, event: Event) -> None:
        """Write what the event is in this format."""
        if self._names.get(event.pid) != event.comm and event.pid:
            self._about(event.pid, event.comm)
        if event.name == ENTER:
            self._begin(event, f"sys_{NAMES.get(event['id'], event['id'])}", "syscall")
        elif event.name == EXIT:
            self._finish(event, f"sys_{NAMES.get(event['id'], event['id'])}")
        elif event.name in SLICES:
            self._begin(event, event.name, event.point.system)
        elif event.name in ENDS:
            self._finish(event, ENDS[event.name])
        elif event.name == SWITCH:
            self._switch(event)
        else:
            self._instant(event)

    def end(self, lost: int) -> None:
        """Close the object."""
        self._emit(f'],"otherData":{{"clock":"virtual","lost":{lost}}}}}')

    def _begin(self, event: Event, name: str, category: str) -> None:
        key = event.pid, name
        self._open[key] = self._open.get(key, 0) + 1
        self._write(event, ph=BEGINS, name=name, cat=category, args=_shown(event))

    def _finish(self, event: Event, name: str) -> None:
        """End a slice; one that began before anybody looked is left out."""
        key = event.pid, name
        if self._open.get(key, 0):
            self._open[key] -= 1
            self._write(event, ph=ENDED, name=name, args=_shown(event))

    def _switch(self, event: Event) -> None:
        cpu = {"pid": CPU_PID, "tid": CPU_PID}
        if self._running:
            self._write(event, ph=ENDED, **cpu)
        self._running = int(bool(event["next_pid"]))
        if self._running:
            name = f"{event['next_comm']}-{event['next_pid']}"
            self._write(event, ph=BEGINS, name=name, cat="sched", args=_shown(event), **cpu)

    def _instant(self, event: Event) -> None:
        about = {"name": event.name, "cat": event.point.system, "s": "t"}
        text = told(event.point, event.values)
        self._write(event, ph=INSTANT, **about, args=_shown(event) | {"text": text})

    def _about(self, pid: int, name: str) -> None:
        self._names[pid] = name
        for what in ("process_name", "thread_name"):
            self._put({"ph": ABOUT, "pid": pid, "tid": pid, "name": what, "args": {"name": name}})

    def _write(self, event: Event, **more: Any) -> None:
        base = {"ts": event.time_ns / NS_PER_US, "pid": event.pid, "tid": event.pid}
        self._put(base | more)

    def _put(self, entry: dict[str, Any]) -> None:
        self._emit(self._comma + json.dumps(entry))
        self._comma = ","


def _shown(event: Event) -> dict[str, Any]:
    """Return an event's fields; what a double cannot hold is told in hexadecimal."""
    return {name: _exact(value) for name, value in event.fields.items()}


def _exact(value: Value) -> Any:
    if isinstance(value, tuple):
        return [_exact(word) for word in value]
    return hex(value) if isinstance(value, int) and abs(value) >= EXACT else value


WRITERS: dict[str, Callable[[Emit], Writer]] = {".json": TraceEventWriter, ".jsonl": LinesWriter}


def writer_for(name: str, emit: Emit) -> Writer:
    """Return what writes the kind of file that a name asks for. emit: takes a line."""
    return WRITERS.get(PurePath(name).suffix, TextWriter)(emit)
