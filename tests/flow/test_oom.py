"""Out of memory, on demand: both policies, scores, limits, and what the log and /proc say."""

from __future__ import annotations

import errno

import pytest

from pkern.kernel.errors import KernelPanic, SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys

PAGE = 4096
MIB = 1 << 20
RW, PRIVATE_ANON, SHARED = 3, 0x22, 1
SIGKILL = 9


def boot(**parameters: object) -> Kernel:
    return Kernel("2M", sysctl={"vm.overcommit_memory": 1, "vm.nonlinear": 1}, **parameters)  # type: ignore[arg-type]


def hog(sys: Sys, nbytes: int) -> None:
    sys.touch(sys.mmap(0, nbytes, RW, PRIVATE_ANON, -1, 0), nbytes)


def dmesg(kernel: Kernel) -> str:
    return "\n".join(kernel.log.lines())


def meminfo(sys: Sys, name: str) -> int:
    """Return a line of /proc/meminfo in pages."""
    fd = sys.open("/proc/meminfo", 0, 0)
    text = sys.read(fd, 1 << 16).decode()
    sys.close(fd)
    return int(next(x.split()[1] for x in text.splitlines() if x.startswith(f"{name}:"))) // 4


# ---- who dies ----


def test_the_largest_task_dies_and_the_asker_goes_on() -> None:
    with boot() as kernel:
        large, small = Sys(kernel.spawn("large")), Sys(kernel.spawn("small"))
        hog(large, MIB)
        hog(small, 900 << 10)
        assert large.task.exit_status == SIGKILL
        assert small.task.alive
        text = dmesg(kernel)
        assert "small invoked oom-killer" in text
        assert "Out of memory: Killed process 1 (large)" in text
        assert "Tasks state (memory values in pages):" in text
        assert kernel.memory.oom.kills == 1


def test_the_asker_dies_if_it_is_the_largest() -> None:
    with boot() as kernel:
        sys = Sys(kernel.spawn("greedy"))
        with pytest.raises(TaskKilled):
            hog(sys, 4 * MIB)
        assert sys.task.exit_status == SIGKILL


def test_oom_score_adj_moves_the_choice() -> None:
    with boot() as kernel:
        large, small = Sys(kernel.spawn("large")), Sys(kernel.spawn("small"))
        hog(large, MIB)
        hog(small, 200 << 10)
        assert kernel.memory.oom.score(large.task) > kernel.memory.oom.score(small.task)
        large.task.oom_score_adj = -1000
        small.task.oom_score_adj = 500
        assert kernel.memory.oom.score(large.task) == 0
        with pytest.raises(TaskKilled):
            hog(small, MIB)
        assert large.task.alive


def test_oom_kill_allocating_task() -> None:
    with boot() as kernel:
        kernel.sysctl["vm.oom_kill_allocating_task"] = 1
        large, small = Sys(kernel.spawn("large")), Sys(kernel.spawn("small"))
        hog(large, MIB)
        with pytest.raises(TaskKilled):
            hog(small, 900 << 10)
        assert large.task.alive


# ---- when no one can die ----


def test_a_machine_without_a_killable_task_stops_instead_of_looping() -> None:
    with boot() as kernel:
        sys = Sys(kernel.spawn())
        sys.task.oom_score_adj = -1000
        with pytest.raises(KernelPanic):
            hog(sys, 4 * MIB)
        assert "System is deadlocked on memory" in dmesg(kernel)


def test_panic_on_oom() -> None:
    with boot() as kernel:
        kernel.sysctl["vm.panic_on_oom"] = 1
        with pytest.raises(KernelPanic):
            hog(Sys(kernel.spawn()), 4 * MIB)


def test_pinned_pages_end_in_the_policy_too() -> None:
    """A special VMA holds half of RAM, and nothing else can be freed."""
    with boot() as kernel:
        pinner, sys = Sys(kernel.spawn("pinner")), Sys(kernel.spawn("asker"))
        fd = pinner.memfd_create("pinned", 0)
        pinner.ftruncate(fd, MIB)
        window = pinner.mmap(0, MIB, RW, SHARED | pinner.MAP_NONLINEAR, -1, 0)
        pinner.remap_file_pages(window, MIB, 0, 0, 0, fd)
        with pytest.raises(TaskKilled):
            hog(sys, 2 * MIB)
        assert pinner.task.alive


# ---- 2.4's policy ----


def test_kill_allocating_fails_the_call_and_kills_the_toucher() -> None:
    with boot() as kernel:
        kernel.sysctl["vm.oom_policy"] = "kill_allocating"
        large, small = Sys(kernel.spawn("large")), Sys(kernel.spawn("small"))
        hog(large, 1400 << 10)
        fd = small.memfd_create("file", 0)
        with pytest.raises(SyscallError) as caught:
            for index in range(512):
                small.pwrite64(fd, bytes(PAGE), index * PAGE)
        assert caught.value.errno == errno.ENOMEM
        with pytest.raises(TaskKilled):
            hog(small, MIB)
        assert large.task.alive
        assert "VM: killing process small" in dmesg(kernel)


# ---- overcommit ----


@pytest.mark.parametrize(("mode", "fits"), [(0, True), (1, True), (2, False)])
def test_overcommit_modes(mode: int, fits: bool) -> None:
    with Kernel("4M", swap="1M", sysctl={"vm.overcommit_memory": mode}) as kernel:
        sys = Sys(kernel.spawn())
        limit = meminfo(sys, "CommitLimit")
        assert limit == 1024 * 50 // 100 + 255  # half of RAM, and swap without its header
        before = meminfo(sys, "Committed_AS")
        size = 4 * MIB
        if not fits:
            with pytest.raises(SyscallError) as caught:
                sys.mmap(0, size, RW, PRIVATE_ANON, -1, 0)
            assert caught.value.errno == errno.ENOMEM
            return
        addr = sys.mmap(0, size, RW, PRIVATE_ANON, -1, 0)
        assert meminfo(sys, "Committed_AS") - before == size // PAGE
        sys.munmap(addr, size)
        assert meminfo(sys, "Committed_AS") == before


def test_mode_0_refuses_what_ram_and_swap_could_never_hold() -> None:
    with Kernel("4M", swap="1M") as kernel:
        sys = Sys(kernel.spawn())
        with pytest.raises(SyscallError):
            sys.mmap(0, 6 * MIB, RW, PRIVATE_ANON, -1, 0)
        sys.mmap(0, 5 * MIB - 2 * PAGE, RW, PRIVATE_ANON, -1, 0)


def test_a_call_that_gets_back_only_what_it_gave_up_is_out_of_memory() -> None:
    """A page of swap that two share is to be written: it takes two pages, and there is one."""
    with Kernel("2M", swap="4M") as kernel:
        sys = Sys(kernel.spawn("parent", uid=0))
        page = sys.mmap(0, PAGE, RW, PRIVATE_ANON, -1, 0)
        sys.store(page, b"old")
        child = sys.fork()
        sys.mkdir("/tmp/kept", 0o700)
        sys.mount("none", "/tmp/kept", "tmpfs", 0, "noswap,size=100%")
        fd = sys.open("/tmp/kept/file", sys.O_RDWR | sys.O_CREAT, 0o600)
        memory = kernel.memory
        while memory.counters.nr_free > memory.tunables.watermark_min + 1:
            sys.write(fd, bytes(PAGE))
            memory.reclaim(512)
        stalls = memory.allocstall
        child.store(page, b"new")
        assert sys.task.exit_status == SIGKILL
        assert memory.oom.kills == 1
        assert memory.allocstall < stalls + 100
