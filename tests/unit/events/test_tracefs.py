"""/sys/kernel/tracing: what unmodified programs see of it, and do with it."""

from __future__ import annotations

import re
import shutil

import pytest

import pkern
from pkern import Kernel, Sys

TRACING = "/sys/kernel/tracing"
LINE = re.compile(r" *(\S+)-(\d+) +\[000\] \.{5} +(\d+\.\d{6}): (\w+)(?:: (.*)|\(.*| -> .*)")


def shell(script: str, uid: int = 0, **boot: object) -> pkern.Completed:
    with Kernel("64M", **boot) as kernel:  # type: ignore[arg-type]
        return pkern.run(
            "/bin/busybox", "sh", "-c", f"cd {TRACING}; {script}", kernel=kernel, uid=uid
        )


def lines(done: pkern.Completed) -> list[re.Match[str]]:
    """The lines of events; each is as ftrace prints it."""
    rows = [row for row in done.out.decode().splitlines() if not row.startswith("#")]
    found = [LINE.fullmatch(row) for row in rows]
    assert None not in found, rows
    return found  # type: ignore[return-value]


def test_events_of_a_command() -> None:
    done = shell(
        "echo 1 > events/sched/enable; cat /dev/null | cat; echo 0 > tracing_on; cat trace"
    )
    names = [found[4] for found in lines(done)]
    assert names.count("sched_process_fork") == names.count("sched_process_exit") == 2
    first, last = (float(found[3]) for found in (lines(done)[0], lines(done)[-1]))
    assert 0 < first < last < 1
    assert not done.err


def test_header_says_how_many() -> None:
    done = shell("echo 1 > events/sched/enable; cat /dev/null | cat; cat trace")
    kept = re.search(rb"entries-in-buffer/entries-written: (\d+)/(\d+)   #P:1", done.out)
    assert kept is not None
    assert kept[1] == kept[2] == b"%d" % len(lines(done))


def test_set_event() -> None:
    done = shell(
        "cat set_event; echo 'kmem:mm_page_*' > set_event; echo oom >> set_event; cat set_event;"
        "echo '!kmem:mm_page_free' >> set_event; echo --; cat set_event; echo > set_event;"
        "echo --; cat set_event; echo nope > set_event; echo nope:x >> set_event"
    )
    assert done.out.decode().split("--\n") == [
        "kmem:mm_page_alloc\nkmem:mm_page_free\noom:mark_victim\n",
        "kmem:mm_page_alloc\noom:mark_victim\n",
        "",
    ]
    assert done.err.count(b"write error: Invalid argument") == 2


def test_enable_files() -> None:
    done = shell(
        "cd events; cat enable kmem/enable kmem/mm_page_free/enable;"
        "echo 1 > kmem/mm_page_free/enable; cat enable kmem/enable kmem/mm_page_free/enable;"
        "echo 1 > kmem/enable; cat kmem/enable; echo 2 > kmem/enable; echo 0 > enable; cat enable"
    )
    assert done.out.decode().split() == [*"000", *"XX1", "1", "0"]
    assert b"Invalid argument" in done.err


def test_every_event_that_is_offered_can_be_enabled() -> None:
    done = shell(
        "echo 0 > tracing_on; for e in $(cat available_events); do echo $e >> set_event || echo $e;"
        "done; cmp set_event available_events; cat events/enable"
    )
    assert (done.out, done.err) == (b"1\n", b"")


def test_format_says_where_the_fields_lie() -> None:
    done = shell("cat events/sched/sched_switch/format")
    rows = re.findall(r"field:(.+);\toffset:(\d+);\tsize:(\d+);\tsigned:([01]);", done.out.decode())
    end = 0
    for _, offset, size, _ in rows:
        assert int(offset) >= end  # they do not overlap
        end = int(offset) + int(size)
    declared = [row[0].split()[-1] for row in rows]
    assert declared[4:] == [
        "prev_comm[16]", "prev_pid", "prev_prio", "prev_state",
        "next_comm[16]", "next_pid", "next_prio",
    ]  # fmt: skip
    assert done.out.startswith(b"name: sched_switch\nID: ")


def test_trace_pipe_takes_and_waits() -> None:
    done = shell(
        "(sleep 1; echo one > trace_marker; sleep 1; echo two > trace_marker; sleep 1) &"
        "head -n 1 trace_pipe; head -n 1 trace_pipe; wait; cat trace"
    )
    told = [(found[3], found[5]) for found in lines(done)]
    assert [text for _, text in told] == ["one", "two"]
    assert [seconds.split(".")[0] for seconds, _ in told] == ["1", "2"]


def test_tracing_off_keeps_nothing_and_a_write_clears() -> None:
    done = shell(
        "echo 0 > tracing_on; echo gone > trace_marker; echo 1 > tracing_on;"
        "echo here > trace_marker; cat trace; echo > trace; cat trace; cat tracing_on"
    )
    assert [found[5] for found in lines_of_events(done)] == ["here"]
    assert done.out.endswith(b"\n1\n")


def lines_of_events(done: pkern.Completed) -> list[re.Match[str]]:
    return [found for row in done.out.decode().splitlines() if (found := LINE.fullmatch(row))]


def test_the_oldest_go_where_there_is_no_room() -> None:
    done = shell(
        "echo 1 > buffer_size_kb; for i in $(seq 20); do echo $i > trace_marker; done;"
        "cat trace | tail -n 16; cat per_cpu/cpu0/stats; echo 0 > buffer_size_kb"
    )
    marks = [found[5] for found in lines_of_events(done)]
    assert marks == [str(i) for i in range(5, 21)]
    assert b"entries: 16\noverrun: 4\n" in done.out
    assert b"Invalid argument" in done.err


def test_clocks() -> None:
    done = shell(
        "cat trace_clock; echo counter > trace_clock; cat trace_clock; echo x > trace_marker;"
        "grep -v '#' trace; echo nope > trace_clock"
    )
    assert done.out.startswith(b"[local] global counter ")
    assert b"local global [counter] " in done.out
    assert re.search(rb"\.{5} \d+: tracing_mark_write: x", done.out)
    assert b"Invalid argument" in done.err


def test_filters_and_pids() -> None:
    done = shell(
        "cat events/sched/sched_switch/filter; echo 'pfn < 5' > events/kmem/filter;"
        "cat events/kmem/mm_page_free/filter; echo 1 > events/kmem/enable; ls / > /dev/null;"
        "grep -c mm_page trace; echo 0 > events/kmem/filter; ls / > /dev/null;"
        "grep -q mm_page trace && echo some; echo 'nope < 5' > events/kmem/filter;"
        "echo 1 > set_event_pid; echo > trace; ls / > /dev/null; grep -c mm_page trace;"
        "cat set_event_pid; echo > set_event_pid; cat set_event_pid"
    )
    assert done.out.decode().split() == ["none", "pfn", "<", "5", "0", "some", "0", "1"]
    assert done.err.count(b"Invalid argument") == 1


def test_options() -> None:
    done = shell(
        "cat trace_options; echo nocontext-info > trace_options; cat options/context-info;"
        "echo x > trace_marker; grep -v '#' trace; echo 1 > options/context-info;"
        "cat options/context-info; echo stacktrace > trace_options"
    )
    assert done.out == b"context-info\noverwrite\n0\ntracing_mark_write: x\n1\n"
    assert b"Invalid argument" in done.err


def test_it_is_roots() -> None:
    done = shell("ls /sys/kernel/tracing; cat /sys/kernel/tracing/trace", uid=1000)
    assert done.out == b""
    assert done.err.count(b"ermission denied") == 3  # cd, too


def test_it_is_mounted_and_can_be_walked_out_of() -> None:
    done = shell(
        "grep tracing /proc/mounts; cd ..; pwd; cd tracing/events/../..; pwd;"
        "stat -f -c %t /sys/kernel/tracing"
    )
    assert done.out.decode().splitlines() == [
        "tracefs /sys/kernel/tracing tracefs rw,nosuid,nodev,noexec,relatime 0 0",
        "/sys/kernel",
        "/sys/kernel",
        "74726163",
    ]


def test_a_python_program_reads_its_own_events(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn("prog", uid=0))
    fd = sys.open(f"{TRACING}/set_event", sys.O_WRONLY)
    sys.write(fd, b"raw_syscalls:sys_enter")
    sys.getpid()
    sys.write(fd, b"!raw_syscalls:sys_enter")
    pipe = sys.open(f"{TRACING}/trace_pipe", sys.O_RDONLY)
    text = sys.read(pipe, 4096)
    assert re.findall(rb"NR (\d+) ", text) == [b"39", b"1"]
    with pytest.raises(BlockingIOError):
        sys.read(pipe, 4096)
    for one in (fd, pipe):
        sys.close(one)


TRACE_CMD = shutil.which("trace-cmd")


@pytest.mark.skipif(TRACE_CMD is None, reason="trace-cmd (Debian: trace-cmd) is not on this host")
def test_trace_cmd_of_the_host() -> None:
    """Unmodified, from the host's files: it starts, stops, shows and resets."""
    script = (
        "trace-cmd start -e sched:sched_process_exec -e kmem:mm_page_alloc -f 'pfn < 2';"
        "ls / > /dev/null; trace-cmd stop; trace-cmd show; trace-cmd stat; trace-cmd list -e kmem;"
        "cat /sys/kernel/tracing/tracing_on"
    )
    with Kernel("256M") as kernel:
        done = pkern.run("/bin/sh", "-c", script, kernel=kernel, root="/", uid=0)
    names = [found[4] for found in lines_of_events(done)]
    assert names == ["sched_process_exec", "sched_process_exec"]  # ls, and trace-cmd stop
    text = done.out.decode()
    assert 'kmem:mm_page_alloc "(pfn < 2)"' in text
    assert "kmem:mm_page_alloc\nkmem:mm_page_free\n" in text
    assert text.endswith("\n0\n")
