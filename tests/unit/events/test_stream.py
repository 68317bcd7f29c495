"""Events from Python: which come, in which order, with which values, and what is lost."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from itertools import pairwise
from sys import executable

import pytest

import pkern
from pkern import Kernel, Sys
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import MachineClosed
from pkern.kernel.events.points import REGISTERS, Field, Table, Value
from pkern.kernel.events.stream import Event, Stream
from pkern.kernel.events.text import format_file, told

RW, ANON = 3, 0x22


def names(stream: Stream) -> list[str]:
    return [event.name for event in stream]


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    return Sys(kernel.spawn("prog"))


def test_a_fault_and_its_page(kernel: Kernel, sys: Sys) -> None:
    at = sys.mmap(0, 8192, RW, ANON, -1, 0)
    with kernel.events("exceptions:*", "pkern:page_fault", "kmem:mm_page_alloc") as stream:
        sys.store(at + 4096, b"x")
    events = list(stream)
    assert events[0].name == "exceptions:page_fault_user"
    assert events[0].fields == {"address": at + 4096, "ip": 0, "error_code": 2}
    fault, page = events[-1], events[-2]
    assert (fault["row"], fault["access"], fault["outcome"]) == ("anon", "write", "done")
    assert fault["pte_before"] == 0
    assert fault["pfn"] == page["pfn"] == fault["pte_after"] >> 12 & 0xFFFFFFFF
    assert (fault.pid, fault.comm) == (sys.pid, "prog")
    assert [event.seq for event in events] == list(range(len(events)))


PRESSED = """
import pkern
with pkern.Kernel(ram="2M", swap="4M") as kernel:
    with kernel.events("*") as stream:
        sys = pkern.Sys(kernel.spawn("prog"))
        at = sys.mmap(0, 600 * 4096, 3, 0x22, -1, 0)
        sys.touch(at, 600 * 4096)
        print([event.name for event in stream])
"""


def test_what_one_record_tells_is_in_the_same_order_on_every_run() -> None:
    told = set()
    for seed in ("1", "2", "3", "4", "5"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        told.add(subprocess.check_output([executable, "-c", PRESSED], env=environment))
    assert len(told) == 1
    assert b"pkern:swap_out', 'vmscan:mm_vmscan_write_folio" in told.pop()


def test_a_copy_to_the_caller_is_the_kernels_fault(kernel: Kernel) -> None:
    """In machine code; a Python program's loads are its own."""
    with kernel.events("exceptions:*") as stream:
        pkern.run("/bin/busybox", "uname", kernel=kernel)
    kinds = Counter(names(stream))
    assert kinds["exceptions:page_fault_user"] > 10
    assert kinds["exceptions:page_fault_kernel"] > 0


def test_calls_of_a_python_program(kernel: Kernel, sys: Sys) -> None:
    with kernel.events("raw_syscalls:*") as stream:
        sys.getpid()
        with pytest.raises(OSError):
            sys.close(99)
        sys.syscall(39)
        assert sys.open("/dev/null", 0) == 0
    events = list(stream)
    told = [(e.name.split(":")[1], e["id"], e.fields.get("ret")) for e in events]
    assert told == [
        ("sys_enter", 39, None), ("sys_exit", 39, sys.pid),
        ("sys_enter", 3, None), ("sys_exit", 3, -9),
        ("sys_enter", 39, None), ("sys_exit", 39, sys.pid),
        ("sys_enter", 2, None), ("sys_exit", 2, 0),
    ]  # fmt: skip
    assert events[2]["args"][0] == 99


def test_off_again_everything_is_as_it_was(kernel: Kernel, sys: Sys) -> None:
    sys.getpid()
    plain = dict(vars(sys))
    parts = (kernel, kernel.tasks, kernel.memory.oom, kernel.sysctl)
    before = [set(vars(part)) for part in parts]
    with kernel.events() as stream:
        sys.getpid()
        assert set(vars(kernel.memory.oom)) != before[2]
    assert len(list(stream)) == 4  # with the calls' own names
    assert [set(vars(part)) - {"tracing"} for part in parts] == before
    assert {name: value for name, value in vars(sys).items() if name != "getpid"} == {
        name: value for name, value in plain.items() if name != "getpid"
    }
    assert lib.machine_events(kernel.core) == ffi.NULL
    assert sys.getpid() == sys.pid
    assert list(stream) == []


def test_two_streams_get_what_each_wants(kernel: Kernel, sys: Sys) -> None:
    with kernel.events("pkern:map") as maps, kernel.events("pkern:*map") as both:
        at = sys.mmap(0, 4096, RW, ANON, -1, 0)
        sys.munmap(at, 4096)
    assert names(maps) == ["pkern:map"]
    assert names(both) == ["pkern:map", "pkern:unmap"]


def test_what_is_lost_is_counted(kernel: Kernel, sys: Sys) -> None:
    kernel.tracing.ring_records = 64
    at = sys.mmap(0, 100 * 4096, RW, ANON, -1, 0)
    with kernel.events("pkern:page_fault") as stream:
        sys.touch(at, 100 * 4096)
        events = list(stream)
        assert (len(events), stream.lost) == (64, 36)
        sys.store(at, b"x")  # no fault any more
        sys.munmap(at, 4096)
    assert stream.lost == 36
    assert kernel.tracing.lost == 36


class _Interrupted:
    """The core, behind whose recording of an event Ctrl-C comes."""

    def __getattr__(self, name: str) -> object:
        return getattr(lib, name)

    def machine_event(self, *arguments: object) -> int:
        lib.machine_event(*arguments)
        raise KeyboardInterrupt


def test_an_event_that_is_interrupted_is_told(
    kernel: Kernel, sys: Sys, monkeypatch: pytest.MonkeyPatch
) -> None:
    with kernel.events("raw_syscalls:*") as stream:
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("pkern.kernel.events.stream.lib", _Interrupted())
            sys.getpid()
        sys.getppid()
    assert [event["id"] for event in stream] == [39, 110, 110]


def test_a_machine_that_is_closed_has_told_what_happened() -> None:
    kernel = Kernel(ram="4M")
    sys = Sys(kernel.spawn())
    with kernel.events("kmem:*") as events:
        sys.store(sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS), b"x")
        kernel.close()
        assert {event.name for event in events} >= {"kmem:mm_page_alloc", "kmem:mm_page_free"}
    assert list(events) == []
    with pytest.raises(MachineClosed):
        kernel.events()


def test_who_is_told_may_close_the_machine() -> None:
    kernel, told = Kernel(ram="4M"), []

    def close(event: Event) -> None:
        told.append(event.name)
        kernel.close()

    sys = Sys(kernel.spawn())
    kernel.tracing.subscribe(["kmem:mm_page_alloc"], close)
    sys.store(sys.mmap(0, 4 * 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS), b"x" * 4 * 4096)
    kernel.tracing.pump()
    assert told == ["kmem:mm_page_alloc"]


def test_a_name_that_is_none(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="vmscam"):
        kernel.events("vmscam:*")


def test_fork_exec_exit_and_signals(kernel: Kernel) -> None:
    wanted = ("sched:*", "signal:*")
    with kernel.events(*wanted) as stream:
        done = pkern.run("/bin/busybox", "sh", "-c", "busybox true; kill -TERM $$", kernel=kernel)
    assert done.signal == 15
    events = list(stream)
    kinds = Counter(event.name for event in events)
    forks = [e for e in events if e.name == "sched:sched_process_fork"]
    child = forks[-1]["child_pid"]
    assert forks[-1]["parent_pid"] == done.pid
    exits = [e["pid"] for e in events if e.name == "sched:sched_process_exit"]
    assert exits == [child, done.pid]
    assert kinds["sched:sched_process_exec"] >= 1
    delivered = [e["sig"] for e in events if e.name == "signal:signal_deliver"]
    assert delivered[-1] == 15
    switches = [e for e in events if e.name == "sched:sched_switch"]
    for one, other in pairwise(switches):
        assert one["next_pid"] == other["prev_pid"]


def test_a_call_that_sleeps_enters_once(kernel: Kernel) -> None:
    with kernel.events("raw_syscalls:*", "sched:sched_wakeup") as stream:
        pkern.run("/bin/busybox", "sleep", "1", kernel=kernel)
    calls = [(e.point.name, e["id"]) for e in stream if e.point.system == "raw_syscalls"]
    nanosleeps = [name for name, nr in calls if nr in (35, 230)]
    assert nanosleeps == ["sys_enter", "sys_exit"]


@pytest.mark.boot(ram="16M")
@pytest.mark.sysctl({"vm.overcommit_memory": 1})
def test_sysctl_and_oom(kernel: Kernel, sys: Sys) -> None:
    with kernel.events("pkern:sysctl_write", "oom:mark_victim") as stream:
        kernel.sysctl["vm.swappiness"] = 61
        with pytest.raises(pkern.TaskKilled):
            sys.touch(sys.mmap(0, 1 << 30, RW, ANON, -1, 0), 1 << 30)
    write, victim = list(stream)
    assert write.fields == {"name": "vm.swappiness", "value": "61"}
    assert (victim["pid"], victim["comm"]) == (sys.pid, "prog")
    assert victim["anon_rss"] > 0


def test_every_kind_of_the_core_has_a_name() -> None:
    kinds = {point.kind for point in Table().values()} - {None}
    assert kinds == set(range(lib.NR_EVENTS))


def test_every_point_can_be_printed() -> None:
    """Text and format file are made of the point's fields, each of which C can declare."""
    for number, point in enumerate(Table().values()):
        values = tuple(f.value((0,) * 5) if f.value else _some(f) for f in point.fields)
        assert "{" not in told(point, values), point
        text = format_file(point, number)
        assert all(f" {f.name}" in text for f in point.fields), point
        form, *arguments = text.split("print fmt: ")[1].split(", REC->")
        assert form.count("%") >= len(arguments), point


def _some(field: Field) -> Value:
    return (1,) * 6 if field.ctype == REGISTERS else "x" if "char" in field.ctype else 1


def test_looking_changes_nothing() -> None:
    """The same run with all events on and without: its end, time, output and every count."""

    def run(looks: bool) -> tuple[object, ...]:
        with Kernel("16M", swap="16M") as kernel:
            stream = kernel.events() if looks else None
            done = pkern.run("/bin/busybox", "sh", "-c", SCRIPT, kernel=kernel)
            counts = {name: int(getattr(kernel.counters, name)) for name in dir(kernel.counters)}
            if stream is not None:
                assert len(list(stream)) > 1000
                stream.close()
            return done, counts, kernel.scheduler.turns.switches

    assert run(False) == run(True)


SCRIPT = """
busybox dd if=/dev/zero of=/tmp/a bs=65536 count=40 2>/dev/null
busybox cat /proc/meminfo /proc/vmstat /proc/self/maps /proc/self/stat
for i in 1 2 3; do busybox md5sum /tmp/a | busybox cat; done
(sleep 1; kill -USR1 $$) & trap 'echo usr1' USR1; wait; rm /tmp/a
busybox cat /proc/uptime /proc/stat /proc/vmstat
"""
