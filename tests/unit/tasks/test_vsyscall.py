"""The page of vsyscalls: its code, its two sysctls, its prctl, the clock behind it."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu import vsyscall
from pkern.kernel.errors import SegmentationFault
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.task import Task
from pkern.userland.bochs.image import assemble
from pkern.userland.program import Sys

PAGE = 4096
DATA = vsyscall.ADDR + PAGE
FAST, REVIRTUALISED = vsyscall.page_of(vsyscall.FAST), vsyscall.page_of(vsyscall.REVIRTUALISED)
STACK = 0x10000
BUFFER = 0x20000
FILLED = b"\xee" * 16


@pytest.fixture
def machine() -> Iterator[Kernel]:
    with Kernel(ram="16M") as kernel:
        yield kernel
        kernel.check()


def shown_to(task: Task) -> bytes:
    """Return the code page as the task executes it, after a switch to the task."""
    task.kernel.vsyscalls.enter(task)
    core = task.kernel.memory.core
    at = lib.mm_translate(task.mm.handle, vsyscall.ADDR, lib.ACCESS_EXEC)
    assert at >= 0
    return bytes(ffi.buffer(lib.machine_arena(core) + at, PAGE))


# ---- the code ----


def test_the_bytes_are_those_of_the_source() -> None:
    source = Path(vsyscall.__file__).with_name("vsyscall.S")
    assert assemble(source) == FAST + REVIRTUALISED


def call(page: bytes, entry: int, rdi: int, rsi: int, now_ns: int) -> tuple[int, bytes, list[int]]:
    """Run an entry point on a processor: its result, the buffer after it, system calls made."""
    unicorn = pytest.importorskip("unicorn")
    x86 = pytest.importorskip("unicorn.x86_const")
    cpu = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    cpu.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)  # addresses as they are, to the top
    cpu.mem_map(vsyscall.ADDR, 2 * PAGE)
    cpu.mem_write(vsyscall.ADDR, page)
    cpu.mem_write(DATA, struct.pack("<QQQ", now_ns, 3, 5))
    cpu.mem_map(STACK, PAGE)
    cpu.mem_map(BUFFER, PAGE)
    cpu.mem_write(BUFFER, FILLED)
    end = STACK
    cpu.mem_write(STACK + PAGE - 8, struct.pack("<Q", end))
    cpu.reg_write(x86.UC_X86_REG_RSP, STACK + PAGE - 8)
    cpu.reg_write(x86.UC_X86_REG_RDI, rdi)
    cpu.reg_write(x86.UC_X86_REG_RSI, rsi)
    made: list[int] = []
    cpu.hook_add(
        unicorn.UC_HOOK_INSN,
        lambda uc, _: made.append(uc.reg_read(x86.UC_X86_REG_RAX)),
        None,
        1,
        0,
        x86.UC_X86_INS_SYSCALL,
    )
    cpu.emu_start(vsyscall.ADDR + entry, end)
    assert cpu.reg_read(x86.UC_X86_REG_RSP) == STACK + PAGE
    return cpu.reg_read(x86.UC_X86_REG_RAX), bytes(cpu.mem_read(BUFFER, 16)), made


NOW = 1_049_587_201_234_567_890


def test_fast_gettimeofday() -> None:
    result, buffer, made = call(FAST, vsyscall.GETTIMEOFDAY, BUFFER, 0, NOW)
    assert (result, made) == (0, [])
    assert struct.unpack("<qq", buffer) == (1_049_587_201, 234_567)


def test_fast_gettimeofday_stores_a_zone_and_takes_no_address() -> None:
    assert call(FAST, vsyscall.GETTIMEOFDAY, 0, BUFFER, NOW) == (0, bytes(8) + FILLED[8:], [])
    assert call(FAST, vsyscall.GETTIMEOFDAY, 0, 0, NOW) == (0, FILLED, [])


def test_fast_time() -> None:
    seconds = NOW // 1_000_000_000
    assert call(FAST, vsyscall.TIME, 0, 0, NOW) == (seconds, FILLED, [])
    stored = struct.pack("<q", seconds) + FILLED[8:]
    assert call(FAST, vsyscall.TIME, BUFFER, 0, NOW) == (seconds, stored, [])


def test_fast_getcpu() -> None:
    stored = struct.pack("<II", 3, 5) + FILLED[8:]
    assert call(FAST, vsyscall.GETCPU, BUFFER, BUFFER + 4, NOW) == (0, stored, [])
    assert call(FAST, vsyscall.GETCPU, 0, 0, NOW) == (0, FILLED, [])


@pytest.mark.parametrize(
    ("entry", "nr"), [(vsyscall.GETTIMEOFDAY, 96), (vsyscall.TIME, 201), (vsyscall.GETCPU, 309)]
)
def test_the_revirtualised_form_makes_the_call(entry: int, nr: int) -> None:
    _, buffer, made = call(REVIRTUALISED, entry, BUFFER, 0, NOW)
    assert (buffer, made) == (FILLED, [nr])


# ---- who sees which form ----


def test_two_sysctls_are_one_bit(machine: Kernel) -> None:
    task = machine.spawn()
    assert (machine.sysctl["kernel.vsyscall64"], machine.sysctl["kernel.revirt_vsyscalls"]) == (
        1,
        0,
    )
    assert shown_to(task) == FAST
    machine.sysctl["kernel.vsyscall64"] = 0
    assert machine.sysctl["kernel.revirt_vsyscalls"] == 1
    assert shown_to(task) == REVIRTUALISED
    machine.sysctl["kernel.revirt_vsyscalls"] = 0
    assert machine.sysctl["kernel.vsyscall64"] == 1
    assert shown_to(task) == FAST


def test_a_sysctl_write_flushes_every_task(machine: Kernel) -> None:
    tasks = [machine.spawn() for _ in range(3)]
    before = [task.mm.counters.tlb_generation for task in tasks]
    machine.sysctl["kernel.revirt_vsyscalls"] = 1
    after = [task.mm.counters.tlb_generation for task in tasks]
    assert all(new > old for old, new in zip(before, after, strict=True))


def test_the_prctl_is_for_one_task_and_its_children(machine: Kernel) -> None:
    one, other = Sys(machine.spawn()), Sys(machine.spawn())
    assert one.prctl(one.PR_SET_VSYSCALL, 0) == 0
    child = one.fork()
    seen = [shown_to(sys.task) == REVIRTUALISED for sys in (one, other, child)]
    assert seen == [True, False, True]
    assert [sys.prctl(sys.PR_GET_VSYSCALL) for sys in (one, other, child)] == [0, 1, 0]
    assert one.prctl(one.PR_SET_VSYSCALL, 1) == 0
    assert shown_to(one.task) == FAST


def test_the_prctl_costs_switches_and_the_sysctl_does_not(machine: Kernel) -> None:
    one, other = Sys(machine.spawn()), Sys(machine.spawn())

    def switches() -> int:
        before = machine.vsyscalls.selects
        for _ in range(10):
            machine.vsyscalls.enter(one.task)
            machine.vsyscalls.enter(other.task)
        return machine.vsyscalls.selects - before

    assert switches() == 0
    one.prctl(one.PR_SET_VSYSCALL, 0)
    assert switches() in (19, 20)
    machine.sysctl["kernel.vsyscall64"] = 0
    machine.vsyscalls.enter(one.task)
    assert switches() == 0


@pytest.mark.parametrize("value", [2, (1 << 64) - 1])
def test_the_prctl_takes_0_and_1(machine: Kernel, value: int) -> None:
    sys = Sys(machine.spawn())
    assert sys.syscall(157, sys.PR_SET_VSYSCALL, value) == -22


# ---- the page in an address space ----


def test_system_calls_may_not_use_it(machine: Kernel) -> None:
    """It lies beyond user space: EFAULT, as on Linux."""
    sys = Sys(machine.spawn())
    fd = sys.open("/tmp/x", sys.O_RDWR | sys.O_CREAT, 0o600)
    assert sys.syscall(1, fd, vsyscall.ADDR, 16) == -14
    assert sys.syscall(2, vsyscall.ADDR, 0) == -14


def test_it_can_only_be_executed(machine: Kernel) -> None:
    """As on Linux since 5.2; the address is the kernel's, so nothing seems to be mapped there."""
    task = machine.spawn()
    with pytest.raises(SegmentationFault) as fault:
        task.mm.read(vsyscall.ADDR, 1)
    assert (fault.value.addr, fault.value.code) == (vsyscall.ADDR, 1)
    assert lib.mm_translate(task.mm.handle, vsyscall.ADDR, lib.ACCESS_EXEC) >= 0


def test_it_costs_an_address_space_nothing(machine: Kernel) -> None:
    task = machine.spawn()
    before = int(task.mm.counters.nr_pagetable)
    assert shown_to(task) == FAST
    assert int(task.mm.counters.nr_pagetable) == before
    entries = ffi.new("uint64_t[4]")
    assert lib.mm_walk(task.mm.handle, vsyscall.ADDR, entries) == 4
    assert entries[3] & 7 == 5  # present, user, not writable


def test_the_clock_is_the_data_page(machine: Kernel) -> None:
    sys = Sys(machine.spawn())
    machine.clock.advance(123_456_789)
    (word,) = struct.unpack("<Q", sys.load(DATA, 8))
    assert word == machine.clock.realtime_ns == sys.clock_gettime(sys.CLOCK_REALTIME)
    assert machine.clock.now_ns == 123_456_789


def test_the_clock_outlives_the_machine() -> None:
    kernel = Kernel(ram="1M")
    kernel.clock.advance(7)
    kernel.close()
    assert kernel.clock.now_ns == 7


def test_smaps_has_it_as_linux_has(machine: Kernel) -> None:
    sys = Sys(machine.spawn())
    text = sys.read(sys.open("/proc/self/smaps", 0, 0), 1 << 16).decode()
    entry = text[text.index("ffffffffff600000") :]
    assert entry.startswith("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 ")
    assert "Rss:                   0 kB" in entry
    assert "VmFlags: ex \n" in entry


def test_raw_calls_of_the_three(machine: Kernel) -> None:
    sys = Sys(machine.spawn())
    at = sys.mmap(0, PAGE, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    machine.clock.advance(1_500_000_000)
    assert sys.syscall(96, at, at + 16) == 0
    assert struct.unpack("<qqii", sys.load(at, 24)) == (1_049_587_201, 500_000, 0, 0)
    assert sys.syscall(96, 0, 0) == 0
    assert sys.syscall(201, at) == 1_049_587_201 == struct.unpack("<q", sys.load(at, 8))[0]
    sys.store(at, FILLED)
    assert sys.syscall(309, at, at + 4, 0) == 0
    assert sys.load(at, 16) == bytes(8) + FILLED[8:]
    assert [sys.syscall(nr, 8) for nr in (96, 201, 309)] == [-14, -14, -14]


def test_assembler_is_not_needed_at_run_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    with Kernel(ram="1M") as kernel:
        assert shown_to(kernel.spawn()) == FAST
