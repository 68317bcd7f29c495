"""Files of events: each is what its readers ask for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pkern import Kernel, Sys
from pkern.userland.events.recording import UnknownEvent, recording

RW, ANON = 3, 0x22


def recorded(kernel: Kernel, name: str, *globs: str) -> list[str]:
    """What a small program does, in the format that a name asks for."""
    out: list[str] = []
    with recording(kernel, name, globs, out.append):
        prog = Sys(kernel.spawn("prog"))
        at = prog.mmap(0, 8192, RW, ANON, -1, 0)
        prog.store(at, b"x")
        prog.fork().exit()
    return out


def test_lines(kernel: Kernel) -> None:
    rows = [json.loads(row) for row in recorded(kernel, "a.jsonl")]
    assert [row["seq"] for row in rows] == list(range(len(rows)))
    kinds = Counter(row["event"] for row in rows)
    assert kinds["pkern:page_fault"] == kinds["sched:sched_process_fork"] == 1
    assert not [name for name in kinds if name.startswith("syscalls:")]
    fault = next(row for row in rows if row["event"] == "pkern:page_fault")
    assert fault["args"]["row"] == "anon"
    assert set(fault) == {"seq", "time_ns", "pid", "comm", "event", "args"}


def test_text(kernel: Kernel) -> None:
    rows = recorded(kernel, "a.txt", "pkern:map", "syscalls:sys_*_mmap")
    assert rows[0] == "# tracer: nop"
    events = [row for row in rows if row[0] != "#"]
    assert len(events) == 4  # the stack, and three of mmap
    assert events[1].startswith(
        "            prog-1       [000] .....     0.000000: sys_mmap(addr: 0, "
    )
    assert events[3].endswith(": sys_mmap -> 0x7ffff7ffd000")


def test_lost_events_are_told(kernel: Kernel) -> None:
    for name, says in (("a.txt", "CPU:0 [LOST 3 EVENTS]"), ("a.jsonl", '{"lost": 3}')):
        out: list[str] = []
        with recording(kernel, name, ["oom"], out.append):
            kernel.tracing._lost += 3
        assert out[-1] == says


def test_an_inode_is_told_as_stat_tells_it(kernel: Kernel) -> None:
    """In decimal, where the event is our own; Linux's page cache has its numbers in hex."""
    out: list[str] = []
    with recording(kernel, "a.txt", ["pkern:truncate", "pkern:map"], out.append):
        prog = Sys(kernel.spawn("prog"))
        fd = prog.memfd_create("file", 0)
        prog.ftruncate(fd, 4096)
        prog.mmap(0, 4096, RW, prog.MAP_SHARED, fd, 0)
        prog.ftruncate(fd, 0)
    ino = prog.fstat(fd).st_ino
    assert ino > 9
    assert any(f" truncate: ino={ino} step=" in row for row in out)
    assert any(row.endswith(f" pgoff=0x0 ino={ino}") for row in out)


def test_a_wrong_name_is_told(kernel: Kernel) -> None:
    with pytest.raises(UnknownEvent, match="did you mean kmem:mm_page_alloc"):
        recorded(kernel, "a.txt", "kmem:mm_page_aloc")


class Checker:
    """What the Trace Event format asks of a file: phases, times, and slices that nest."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self.open: dict[tuple[int, int], list[str]] = {}
        self.last = 0.0
        for entry in whole["traceEvents"]:
            getattr(self, f"phase_{entry['ph']}")(entry)

    def track(self, entry: dict[str, Any]) -> list[str]:
        assert entry["ts"] >= self.last
        self.last = entry["ts"]
        return self.open.setdefault((entry["pid"], entry["tid"]), [])

    def phase_M(self, entry: dict[str, Any]) -> None:
        assert entry["name"] in ("process_name", "thread_name")
        assert entry["args"]["name"]

    def phase_B(self, entry: dict[str, Any]) -> None:
        self.track(entry).append(entry.get("name", ""))

    def phase_E(self, entry: dict[str, Any]) -> None:
        name = self.track(entry).pop()
        assert entry.get("name", name) == name

    def phase_i(self, entry: dict[str, Any]) -> None:
        self.track(entry)
        assert entry["s"] == "t"
        assert entry["cat"]
        assert entry["args"]["text"].startswith(entry["name"].split(":")[1])


def test_trace_event(kernel: Kernel) -> None:
    whole = json.loads("\n".join(recorded(kernel, "a.json")))
    Checker(whole)
    assert whole["displayTimeUnit"] == "ns"
    assert whole["otherData"] == {"clock": "virtual", "lost": 0}
    phases = Counter(entry["ph"] for entry in whole["traceEvents"])
    assert phases["B"] == 3  # the two calls of which the program returns; its child does not
    assert phases["E"] == 2


def test_command_line(tmp_path: Path) -> None:
    """Machine code under pressure: reclaim, swap, forks, sleeps; all events into a file."""
    file = tmp_path / "trace.json"
    script = "busybox dd if=/dev/zero of=/tmp/a bs=65536 count=60 2>/dev/null; busybox sleep 1"
    command = [sys.executable, "-m", "pkern", "run", "--ram", "4M", "--swap", "8M"]
    command += ["--events", str(file), "/bin/busybox", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b""
    whole = json.loads(file.read_text())
    checker = Checker(whole)
    assert whole["otherData"]["lost"] == 0
    names = Counter(entry.get("name") for entry in whole["traceEvents"])
    assert names["sys_nanosleep"] + names["sys_clock_nanosleep"] == 2
    assert names["pkern:swap_out"] > 100
    assert names["pkern:reclaim_page"] > 100
    assert names["vmscan:mm_vmscan_kswapd_wake"] > 0
    assert checker.last > 1e6  # microseconds: the sleep


def test_command_line_to_stderr(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pkern", "run", "-E", "sched:sched_process_exit"]
    done = subprocess.run([*command, "/bin/busybox", "true"], capture_output=True, check=True)
    assert (
        done.stderr.decode()
        .splitlines()[-1]
        .endswith(": sched_process_exit: comm=busybox pid=2 prio=120 group_dead=true")
    )
    for more, says in (
        (["-E", "nope"], "no event is called 'nope'"),
        (["--events", str(tmp_path)], "is a directory"),
        (["--twice", "--events", str(tmp_path / "x")], "--events"),
    ):
        wrong = subprocess.run([*command, *more, "/bin/busybox", "true"], capture_output=True)
        assert wrong.returncode == 2
        assert says in wrong.stderr.decode()
