"""/proc: names, order and widths as the host's Linux writes them, and live numbers."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.task import Task
from tests.host import without_newer_fields

PAGE = 4096
RW = lib.PROT_READ | lib.PROT_WRITE
ANON = lib.MAP_PRIVATE | lib.MAP_ANONYMOUS
HOST = Path("/proc/self")
MAPS_LINE = re.compile(r"[0-9a-f]{8,}-[0-9a-f]{8,} [r-][w-][x-][sp] [0-9a-f]{8,} \S+:\S+ \d+ ")


@pytest.fixture
def task() -> Iterator[Task]:
    with Kernel(ram="16M", sysctl={"vm.nonlinear": 1}) as kernel:
        yield kernel.spawn("prog", argv=["prog", "-v", "two words"])


def show(task: Task, path: str) -> str:
    inode = task.kernel.vfs.open(task, path, 0, 0).inode
    return inode.read(0, 1 << 20).decode()


def field_names(text: str) -> list[str]:
    return [line.split(":")[0] for line in text.splitlines() if ":" in line]


def value_of(text: str, name: str) -> int:
    return int(re.search(rf"^{re.escape(name)}:?\s+(\d+)", text, re.M)[1])  # type: ignore[index]


def map_anonymous(task: Task, pages: int, flags: int = ANON) -> int:
    return task.mm.call(lib.mm_mmap, 0, pages * PAGE, RW, flags, ffi.NULL, 0)


@pytest.mark.parametrize("name", ["status", "smaps"])
def test_field_names_are_the_hosts_in_order(task: Task, name: str) -> None:
    host = field_names((HOST / name).read_text())
    ours = field_names(show(task, f"/proc/self/{name}"))
    if name == "smaps":
        host, ours = (names[1 : names.index("VmFlags") + 1] for names in (host, ours))
    known = [field for field in host if field in ours]
    assert [field for field in ours if field in host] == known
    assert set(without_newer_fields(ours)) <= set(host), "a field that Linux does not have"


def test_meminfo_names_are_the_hosts_in_order(task: Task) -> None:
    host = field_names(Path("/proc/meminfo").read_text())
    ours = field_names(show(task, "/proc/meminfo"))
    assert without_newer_fields(ours) == without_newer_fields(n for n in host if n in ours)


def test_meminfo_line_is_as_wide_as_linux_writes_it(task: Task) -> None:
    first = show(task, "/proc/meminfo").splitlines()[0]
    assert re.fullmatch(r"MemTotal: {7,}\d+ kB", first)
    assert len(first) == len("MemTotal:       24684092 kB")


def test_smaps_line_width(task: Task) -> None:
    lines = show(task, "/proc/self/smaps").splitlines()
    assert f"Size:           {33 * 4:>8} kB" in lines
    assert "KernelPageSize:        4 kB" in lines
    assert "THPeligible:           0" in lines


def test_limits_is_the_hosts_table(task: Task) -> None:
    host = (HOST / "limits").read_text().splitlines()
    ours = show(task, "/proc/self/limits").splitlines()
    assert ours[0] == host[0]
    assert [line[:26] for line in ours] == [line[:26] for line in host]
    assert [line[68:] for line in ours] == [line[68:] for line in host]


def test_maps_of_a_new_task_is_its_stack_and_the_kernel_s_page(task: Task) -> None:
    lines = show(task, "/proc/self/maps").splitlines()
    assert len(lines) == 2
    host = [x for x in Path("/proc/self/maps").read_text().splitlines() if "[vsyscall]" in x]
    assert host in ([], lines[1:])
    assert lines[0] == "7ffffffde000-7ffffffff000 rw-p 00000000 00:00 0".ljust(73) + "[stack]"


def test_maps_names_and_columns(task: Task) -> None:
    map_anonymous(task, 2, lib.MAP_SHARED | lib.MAP_ANONYMOUS)
    map_anonymous(task, 4, lib.MAP_SHARED | lib.MAP_NONLINEAR)
    task.mm.call(lib.mm_brk, task.mm.counters.start_brk + PAGE)
    lines = show(task, "/proc/self/maps").splitlines()
    assert all(MAPS_LINE.match(line) for line in lines)
    names = {line[73:] for line in lines if len(line) > 73}
    assert {"[heap]", "[stack]", "[nonlinear]", "/dev/zero (deleted)"} <= names


def test_maps_of_anonymous_memory_has_no_name(task: Task) -> None:
    addr = map_anonymous(task, 1)
    line = next(x for x in show(task, "/proc/self/maps").splitlines() if x.startswith(f"{addr:x}"))
    assert line == f"{addr:x}-{addr + PAGE:x} rw-p 00000000 00:00 0 "


def test_counts_follow_the_program(task: Task) -> None:
    addr = map_anonymous(task, 8)
    task.mm.write(addr, bytes(3 * PAGE))
    status = show(task, "/proc/self/status")
    assert value_of(status, "VmRSS") == 12
    assert value_of(status, "VmSize") == (33 + 8) * 4
    smaps = show(task, "/proc/self/smaps")
    entry = smaps[smaps.index(f"{addr:x}-") :]
    assert (value_of(entry, "Rss"), value_of(entry, "Private_Dirty")) == (12, 12)
    statm = show(task, "/proc/self/statm").split()
    assert (len(statm), statm[0], statm[1]) == (7, "41", "3")


def test_locked_memory_shows_in_smaps(task: Task) -> None:
    addr = map_anonymous(task, 2)
    task.mm.call(lib.mm_mlock, addr, 2 * PAGE, 0)
    task.mm.write(addr, bytes(2 * PAGE))
    smaps = show(task, "/proc/self/smaps")
    entry = smaps[smaps.index(f"{addr:x}-") :]
    assert value_of(entry, "Locked") == 8
    assert " lo " in re.search(r"VmFlags: .*", entry)[0]  # type: ignore[index]


def test_stat_has_52_fields(task: Task) -> None:
    fields = show(task, "/proc/self/stat").split()
    assert len(fields) == 52 == len((HOST / "stat").read_text().rsplit(")", 1)[1].split()) + 2
    assert fields[:3] == [str(task.pid), "(prog)", "R"]


def test_status_names_who_it_is(task: Task) -> None:
    status = show(task, f"/proc/{task.pid}/status")
    assert status.startswith("Name:\tprog\nUmask:\t0022\nState:\tR (running)\n")
    assert "\nUid:\t1000\t1000\t1000\t1000\n" in status


def test_small_files(task: Task) -> None:
    assert show(task, "/proc/self/cmdline") == "prog\0-v\0two words\0"
    assert show(task, "/proc/self/comm") == "prog\n"
    assert re.fullmatch(r"\d+\.\d\d \d+\.\d\d\n", show(task, "/proc/uptime"))
    assert show(task, "/proc/version").startswith("Linux version ")


def test_vmstat_counts_faults(task: Task) -> None:
    before = value_of(show(task, "/proc/vmstat"), "pgfault")
    task.mm.write(map_anonymous(task, 1), b"x")
    assert value_of(show(task, "/proc/vmstat"), "pgfault") == before + 1


def test_vmstat_names_are_in_the_hosts_order(task: Task) -> None:
    ours = [line.split()[0] for line in show(task, "/proc/vmstat").splitlines()]
    host = [line.split()[0] for line in Path("/proc/vmstat").read_text().splitlines()]
    common = [name for name in ours if name in host]
    assert len(common) > 30
    assert common == [name for name in host if name in ours]
    assert all(name.startswith("pkern_") for name in ours[len(common) :] if name not in host)


def test_unknown_task_is_enoent(task: Task) -> None:
    with pytest.raises(SyscallError) as caught:
        task.kernel.vfs.open(task, "/proc/4242/maps", 0, 0)
    assert caught.value.errno == errno.ENOENT
