"""Events beside Linux's tracepoints: records as in the host's tracefs; KSM and large pages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pkern.kernel.events.points import Table
from pkern.kernel.events.text import format_file, told
from pkern.kernel.machine import Kernel
from pkern.userland.conform.differences import Release, host_release
from pkern.userland.program import Sys
from tests.commands import SECONDS
from tests.host import without_newer_fields

PAGE, LARGE = 4096, 2 << 20
FIELD = re.compile(r"field:(.*);\toffset:(\d+);\tsize:(\d+);\tsigned:(\d)")
OURS = ("pkern", "syscalls", "ftrace")  # no tracepoints, or told of calls by our names
# A mount of its own, in a name space that ends with it.
MOUNTS = 'mount -t tracefs none "$1" && cat "$1"/events/*/*/format'


def host_formats(folder: Path) -> dict[str, str]:
    """Return the `format` file of each tracepoint of the host, {}: they cannot be read."""
    if os.geteuid() or shutil.which("unshare") is None or host_release() < Release((6, 18)):
        return {}
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNTS, "sh", folder],
        capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    parts = done.stdout.split("name: ")[1:] if not done.returncode else []
    return {part.partition("\n")[0]: part for part in parts}


def test_records_are_the_host_s(kernel: Kernel, tmp_path: Path) -> None:
    """Linux's fields have their names, types and places; ours stand behind them."""
    host = host_formats(tmp_path)
    if not host:
        pytest.skip("the tracepoints of a host with Linux 6.18 are root's to read")
    table = Table()
    names = [name for name in table if not name.startswith(OURS)]
    assert len(names) >= 40
    for point in (table[name] for name in without_newer_fields(names)):
        theirs = FIELD.findall(host[point.name])
        assert FIELD.findall(format_file(point, 1))[: len(theirs)] == theirs, point.full_name


def test_ksm(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn(uid=0))
    at = sys.mmap(0, 6 * PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    for page, byte in enumerate(b"aab\0ac"):
        sys.store(at + page * PAGE, bytes([byte]) * PAGE)
    for name, text in (("use_zero_pages", b"1"), ("smart_scan", b"0"), ("run", b"1")):
        fd = sys.open(f"/sys/kernel/mm/ksm/{name}", sys.O_WRONLY)
        sys.write(fd, text)
    with kernel.events("ksm", "pkern:copy_on_write") as stream:
        sys.madvise(at, 6 * PAGE, sys.MADV_MERGEABLE)
        sys.nanosleep(60_000_000)
        merged, zero = (kernel.inspect.walk(at + n * PAGE, sys.pid).pfn for n in (0, 3))
        sys.store(at, b"x")  # its own again
        sys.madvise(at, 6 * PAGE, sys.MADV_UNMERGEABLE)
        events = list(stream)
    rounds = [(e.name[8:], e["seq"]) for e in events if "scan" in e.name]
    assert rounds[:4] == [("start_scan", 0), ("stop_scan", 0), ("start_scan", 1), ("stop_scan", 1)]
    assert [event.name.partition(":")[2] for event in events if "scan" not in event.name] == [
        "ksm_enter",
        "ksm_merge_with_ksm_page",  # a new shared page, of two
        "ksm_merge_with_ksm_page",
        "ksm_merge_one_page",  # the zero page
        "ksm_merge_with_ksm_page",
        *("copy_on_write",) * 3,
        *("ksm_remove_rmap_item",) * 3,  # the last one goes, and the page with it
        "ksm_remove_ksm_page",
        "copy_on_write",
    ]
    assert {e["mm"] for e in events if "{mm:p}" in e.point.text} == {events[0]["mm"]}
    merges = [e for e in events if e.name == "ksm:ksm_merge_with_ksm_page"]
    assert [(e["pfn"], e["ksm_page"] > 0, e["err"]) for e in merges] == [
        (merged, False, 0), (merged, True, 0), (merged, True, 0)
    ]  # fmt: skip
    text = rf"ksm_merge_with_ksm_page: ksm pfn {merged} rmap_item ffff8\w+ mm ffff8\w+ error 0"
    assert re.fullmatch(text, told(merges[1].point, merges[1].values))
    copies = [(e["address"], e["pfn"]) for e in events if e.name == "pkern:copy_on_write"]
    assert copies == [
        (at, merged), (at + PAGE, merged), (at + 3 * PAGE, zero), (at + 4 * PAGE, merged)
    ]  # fmt: skip


@pytest.mark.boot(ram="64M", sysctl={"vm.nr_hugepages": 4})
def test_large_pages(kernel: Kernel) -> None:
    """A fault, the pages' order, and a copy; nothing splits or becomes large (no huge_memory:*)."""
    sys = Sys(kernel.spawn(uid=0))
    flags = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS | sys.MAP_HUGETLB
    at = sys.mmap(0, LARGE, sys.PROT_READ | sys.PROT_WRITE, flags)
    with kernel.events("pkern:page_fault", "pkern:copy_on_write", "kmem") as stream:
        sys.store(at + PAGE, b"x")
        child = sys.fork()
        child.store(at, b"y")
        events = [e for e in stream if e.name != "kmem:mm_page_alloc" or e["order"]]
    faults = [e for e in events if e.name == "pkern:page_fault" and e["row"] == "large"]
    assert [(e["address"], e["access"], e["outcome"]) for e in faults] == [
        (at + PAGE, "write", "done"), (at, "write", "done")
    ]  # fmt: skip
    (copy,) = [e for e in events if e.name == "pkern:copy_on_write"]
    assert (copy["address"], copy["pfn"]) == (at, kernel.inspect.walk(at, sys.pid).pfn)
    assert copy["copy"] == kernel.inspect.walk(at, child.pid).pfn
    with pytest.raises(ValueError, match="huge_memory"):
        kernel.events("huge_memory")


def test_what_linux_would_not_have_either(kernel: Kernel) -> None:
    """No histograms and triggers, as without CONFIG_HIST_TRIGGERS; no binary form of the buffer."""
    sys = Sys(kernel.spawn(uid=0))
    event, tracing = "events/sched/sched_switch", "/sys/kernel/tracing"
    for name in (f"{event}/hist", f"{event}/trigger", "per_cpu/cpu0/trace_pipe_raw", "instances"):
        with pytest.raises(FileNotFoundError):
            sys.open(f"{tracing}/{name}", sys.O_RDONLY)
