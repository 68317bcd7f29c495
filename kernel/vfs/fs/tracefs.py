"""tracefs, at /sys/kernel/tracing: events for programs of the machine, as Linux 6.18 has it.

    available_events  set_event  set_event_pid  events/enable  events/SYSTEM/enable
    events/SYSTEM/NAME/{enable,filter,format,id}  tracing_on  trace  trace_pipe  trace_clock
    buffer_size_kb  trace_marker  saved_cmdlines  per_cpu/cpu0/...

All of it is root's. The only tracer is nop: functions are not traced. Source:
Documentation/trace/ftrace.rst and events.rst.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.events.buffer import CLOCKS, TraceBuffer
from pkern.kernel.events.text import format_file
from pkern.kernel.vfs.fs.latedir import LateDir, Plan
from pkern.kernel.vfs.inode import POLLIN, Inode
from pkern.kernel.vfs.readiness import sleep, waits, wake

if TYPE_CHECKING:
    from pkern.kernel.events.stream import Tracing
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller, Machine

FIRST_ID = 300  # of the events that are no function tracer's own
Show = Callable[[], str]
Store = Callable[[str], None]
FILTER_HELP = "### global filter ###\n# Use this to set filters for multiple events.\n"
README = """\
tracing mini-HOWTO:

# echo 0 > tracing_on : quick way to disable tracing
# echo 1 > tracing_on : quick way to re-enable tracing

  trace\t\t\t- The static contents of the buffer; a write clears it
  trace_pipe\t\t- A consuming read to see the contents of the buffer
  tracing_on\t\t- 1 while events are kept
  trace_clock\t\t- change the clock used to order events
  buffer_size_kb\t- view and modify size of the buffer
  trace_marker\t\t- Writes into this file writes into the buffer
  available_events\t- every event, as SYSTEM:NAME
  set_event\t\t- those that are on; SYSTEM:NAME, * and ?, !SYSTEM:NAME to turn off
  set_event_pid\t\t- only of these tasks
  events/\t\t- Directory of all trace event subsystems:
      enable\t\t- Write 0/1 to enable/disable tracing of all events
  events/<system>/<event>/
      enable, filter, format, id
"""


class TraceDir(LateDir):
    """A directory of tracefs."""

    noexec = True
    no_new_names = errno.EPERM


class TraceFile(Inode):
    """A text that is made when it is read, and what is done about a write. Either may be None."""

    noexec = True

    def __init__(self, kernel: Machine, mode: int, show: Show | None, store: Store | None) -> None:
        super().__init__(kernel, mode)
        self._show, self._store = show, store
        self._content = b""

    def opened(self, task: Caller) -> Inode:
        copy = type(self)(self.kernel, self.mode, self._show, self._store)
        copy.ino, copy.dev, copy.uid, copy.gid = self.ino, self.dev, self.uid, self.gid
        return copy

    def read(self, pos: int, nbytes: int) -> bytes:
        if self._show is None:
            raise SyscallError(errno.EINVAL)
        if pos == 0 or not self._content:
            self._content = self._show().encode("utf-8", "surrogateescape")
        return self._content[pos : pos + nbytes]

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        if self._store is None:
            raise SyscallError(errno.EINVAL)
        self._store(data.decode("utf-8", "surrogateescape"))
        return len(data)

    def truncate(self, size: int) -> None:
        """O_TRUNC, which a shell's `>` asks for, changes nothing here."""


class EmptiedFile(TraceFile):
    """One whose truncation means something: it stores nothing at all, which empties it."""

    def truncate(self, size: int) -> None:
        if self._store is not None:
            self._store("")


class TracePipe(Inode):
    """trace_pipe: what is read is gone; who finds nothing waits."""

    noexec = True
    can_epoll = True
    can_seek = False

    def __init__(self, kernel: Machine, buffer: TraceBuffer) -> None:
        super().__init__(kernel, 0o440)
        self.buffer = buffer

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Take whole lines. Errors: EAGAIN."""
        if not self.buffer.ready():
            sleep(self, waits(file))
        return self.buffer.take(nbytes)

    def poll(self, file: File) -> int:
        return POLLIN if self.buffer.ready() else 0


# ---- the files ----


class Files:
    """Makes the inodes of one machine's tracefs."""

    def __init__(self, kernel: Machine, tracing: Tracing) -> None:
        self._kernel = kernel
        self._tracing = tracing
        self._table = tracing.table
        self._buffer = TraceBuffer(tracing, self._wake)
        self._pipe: TracePipe | None = None

    def _wake(self) -> None:
        if self._pipe is not None:
            wake(self._pipe, POLLIN)

    def plan(self) -> Plan:
        """Return what makes the entries of /sys/kernel/tracing."""
        buffer = self._buffer
        shown = {
            "README": lambda: README,
            "available_events": lambda: "".join(f"{name}\n" for name in self._table),
            "available_tracers": lambda: "nop\n",
            "buffer_total_size_kb": lambda: f"{buffer.kilobytes}\n",
            "printk_formats": lambda: "",
            "saved_cmdlines": self._saved_cmdlines,
        }
        kept: dict[str, tuple[Show, Store]] = {
            "buffer_size_kb": (lambda: f"{buffer.kilobytes}\n", self._resize),
            "current_tracer": (lambda: "nop\n", self._set_tracer),
            "trace_options": (self._options, self._set_option),
            "trace_clock": (self._clocks, self._set_clock),
            "tracing_cpumask": (lambda: "1\n", self._set_cpumask),
            "tracing_on": (lambda: f"{buffer.on}\n", self._turn),
        }
        return {
            **{name: self._file(0o440, show, None) for name, show in shown.items()},
            **{name: self._file(0o640, show, store) for name, (show, store) in kept.items()},
            "events": partial(self._directory, self._events),
            "per_cpu": partial(self._directory, self._per_cpu),
            "options": partial(self._directory, self._option_files),
            "set_event": partial(
                EmptiedFile, self._kernel, 0o640, self._set_events, self._store_event
            ),
            "set_event_pid": partial(EmptiedFile, self._kernel, 0o640, self._pids, self._set_pids),
            "trace": partial(EmptiedFile, self._kernel, 0o640, buffer.trace, self._clear),
            "trace_marker": self._file(0o220, None, buffer.mark),
            "trace_pipe": self._make_pipe,
        }

    def _file(self, mode: int, show: Show | None, store: Store | None) -> Callable[[], Inode]:
        return partial(TraceFile, self._kernel, mode, show, store)

    def _directory(self, plan: Callable[[], Plan]) -> Inode:
        return TraceDir(self._kernel, 0o750, plan)

    def _make_pipe(self) -> Inode:
        if self._pipe is None:
            self._pipe = TracePipe(self._kernel, self._buffer)
        return self._pipe

    def _per_cpu(self) -> Plan:
        return {"cpu0": partial(self._directory, self._cpu0)}

    def _cpu0(self) -> Plan:
        buffer = self._buffer
        return {
            "buffer_size_kb": self._file(0o640, lambda: f"{buffer.kilobytes}\n", self._resize),
            "stats": self._file(0o440, lambda: f"{buffer.stats()}\n", None),
            "trace": partial(EmptiedFile, self._kernel, 0o640, buffer.trace, self._clear),
            "trace_pipe": self._make_pipe,
        }

    # ---- events/ ----

    def _events(self) -> Plan:
        systems = sorted({name.partition(":")[0] for name in self._table})
        return {
            "enable": self._switch([*self._table]),
            **{name: partial(self._directory, partial(self._system, name)) for name in systems},
        }

    def _system(self, system: str) -> Plan:
        names = [name for name in self._table if name.startswith(f"{system}:")]
        return {
            "enable": self._switch(names),
            "filter": self._file(0o640, lambda: FILTER_HELP, partial(self._filter, names)),
            **{
                name.partition(":")[2]: partial(self._directory, partial(self._event, name))
                for name in names
            },
        }

    def _event(self, name: str) -> Plan:
        number = FIRST_ID + [*self._table].index(name)
        return {
            "enable": self._switch([name]),
            "filter": self._file(
                0o640, partial(self._shown_filter, name), partial(self._filter, [name])
            ),
            "format": self._file(0o440, lambda: format_file(self._table[name], number), None),
            "id": self._file(0o440, lambda: f"{number}\n", None),
        }

    def _switch(self, names: list[str]) -> Callable[[], Inode]:
        """Return the maker of an enable file: 0, 1, or X for some."""

        def show() -> str:
            on = sum(name in self._buffer.enabled for name in names)
            return "0\n" if not on else "1\n" if on == len(names) else "X\n"

        def store(text: str) -> None:
            (self._buffer.enable if _flag(text) else self._buffer.disable)(names)

        return self._file(0o640, show, store)

    def _shown_filter(self, name: str) -> str:
        found = self._buffer.filters.get(name)
        return f"{found[0]}\n" if found is not None else "none\n"

    def _filter(self, names: list[str], text: str) -> None:
        self._buffer.set_filter(names, text)

    # ---- what the others show and take ----

    def _options(self) -> str:
        options = self._buffer.options
        return "".join(f"{name}\n" if on else f"no{name}\n" for name, on in options.items())

    def _set_option(self, text: str) -> None:
        name = text.strip()
        plain = name.removeprefix("no")
        if plain not in self._buffer.options:
            raise SyscallError(errno.EINVAL)
        self._buffer.options[plain] = int(plain == name)

    def _option_files(self) -> Plan:
        return {name: self._option_file(name) for name in self._buffer.options}

    def _option_file(self, name: str) -> Callable[[], Inode]:
        options = self._buffer.options

        def store(text: str) -> None:
            options[name] = _flag(text)

        return self._file(0o640, lambda: f"{options[name]}\n", store)

    def _set_events(self) -> str:
        return "".join(f"{name}\n" for name in self._buffer.enabled)

    def _store_event(self, text: str) -> None:
        """Take a write; an empty one is the truncation, which turns all off."""
        if text:
            self._buffer.set_event(text)
        else:
            self._buffer.disable([*self._buffer.enabled])

    def _clear(self, text: str) -> None:
        if not text:  # the truncation; a write without it changes nothing
            self._buffer.clear()

    def _resize(self, text: str) -> None:
        self._buffer.kilobytes = _number(text)

    def _turn(self, text: str) -> None:
        self._buffer.on = _flag(text)

    def _set_tracer(self, text: str) -> None:
        if text.strip() != "nop":
            raise SyscallError(errno.EINVAL)

    def _set_cpumask(self, text: str) -> None:
        if text.strip() != "1":
            raise SyscallError(errno.EINVAL)

    def _pids(self) -> str:
        return "".join(f"{pid}\n" for pid in sorted(self._buffer.pids))

    def _set_pids(self, text: str) -> None:
        self._buffer.pids = frozenset(_number(word) for word in text.split())

    def _clocks(self) -> str:
        chosen = self._buffer.clock
        return " ".join(f"[{name}]" if name == chosen else name for name in CLOCKS) + "\n"

    def _set_clock(self, text: str) -> None:
        if text.strip() not in CLOCKS:
            raise SyscallError(errno.EINVAL)
        self._buffer.clock = text.strip()
        self._buffer.clear()

    def _saved_cmdlines(self) -> str:
        return "".join(f"{pid} {comm}\n" for pid, comm in sorted(self._buffer.comms.items()))


def _number(text: str) -> int:
    """Return a number from 0. Errors: EINVAL."""
    try:
        value = int(text.strip(), 0)
    except ValueError:
        raise SyscallError(errno.EINVAL) from None
    if value < 0:
        raise SyscallError(errno.EINVAL)
    return value


def _flag(text: str) -> int:
    value = _number(text)
    if value > 1:
        raise SyscallError(errno.EINVAL)
    return value


def plan(kernel: Machine, tracing: Tracing) -> Plan:
    """Return what makes the inodes of tracefs."""
    return Files(kernel, tracing).plan()
