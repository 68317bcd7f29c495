"""Branches and snapshots: copies of a machine share nothing that one of them changes."""

from __future__ import annotations

import copyreg
import errno
import os
import signal
import subprocess
import time
from importlib import import_module
from pathlib import Path
from sys import executable, modules

import pytest

from pkern import BranchEnded, Kernel, NotBranchable, Sys
from pkern.kernel.vfs.console import HostInput
from pkern.kernel.vfs.fs.hostfs import Access, HostFs

PAGE = 4096
MIB = 1 << 20


def filled(kernel: Kernel, nr_pages: int, byte: bytes = b"\1") -> tuple[Sys, int]:
    sys = Sys(kernel.spawn())
    prot, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    area = sys.mmap(0, nr_pages * PAGE, prot, flags, -1, 0)
    sys.store(area, byte * (nr_pages * PAGE))
    return sys, area


def sys_of(kernel: Kernel, pid: int) -> Sys:
    return Sys(kernel.tasks[pid])


def store(kernel: Kernel, pid: int, area: int, data: bytes) -> bytes:
    sys = sys_of(kernel, pid)
    sys.store(area, data)
    kernel.check()
    return sys.load(area, len(data))


def load(kernel: Kernel, pid: int, area: int, nbytes: int) -> bytes:
    return sys_of(kernel, pid).load(area, nbytes)


def test_a_branch_changes_nothing_but_itself(kernel):
    sys, area = filled(kernel, 4)
    assert kernel.branch(store, sys.pid, area, b"other").result() == b"other"
    assert sys.load(area, 5) == b"\1" * 5
    sys.exit(0)


def test_branches_run_at_once_and_apart(kernel):
    sys, area = filled(kernel, 4)
    branches = [kernel.branch(store, sys.pid, area, b"%d" % n) for n in range(8)]
    sys.store(area, b"x")
    assert [branch.result() for branch in branches] == [b"%d" % n for n in range(8)]
    assert sys.load(area, 1) == b"x"
    sys.exit(0)


def test_a_snapshot_stays_as_it_was(kernel):
    sys, area = filled(kernel, 4)
    with kernel.snapshot() as snapshot:
        sys.store(area, b"later")
        assert snapshot.branch(store, sys.pid, area, b"branch").result() == b"branch"
        assert snapshot.branch(load, sys.pid, area, 5).result() == b"\1" * 5
    assert sys.load(area, 5) == b"later"
    with pytest.raises(ValueError, match="closed"):
        snapshot.branch(load, sys.pid, area, 1)
    sys.exit(0)


def test_a_branch_of_a_branch(kernel):
    sys, area = filled(kernel, 1)
    assert kernel.branch(nested, sys.pid, area).result() == (b"inner", b"outer")
    sys.exit(0)


def nested(kernel: Kernel, pid: int, area: int) -> tuple[bytes, bytes]:
    sys = sys_of(kernel, pid)
    sys.store(area, b"outer")
    inner = kernel.branch(store, pid, area, b"inner").result()
    return inner, sys.load(area, 5)


@pytest.mark.parametrize("rmap", ["objrmap_tree", "virtual_scan"])
def test_swap_is_copied(rmap):
    with Kernel(ram="2M", swap="4M", rmap=rmap) as kernel:
        sys, area = filled(kernel, 700)
        assert kernel.counters.pswpout > 0
        branches = [kernel.branch(rewrite, sys.pid, area, 700, n) for n in (2, 3)]
        assert [branch.result() for branch in branches] == [True, True]
        assert sys.load(area, 700 * PAGE) == b"\1" * 700 * PAGE
        sys.exit(0)


def rewrite(kernel: Kernel, pid: int, area: int, nr_pages: int, byte: int) -> bool:
    sys = sys_of(kernel, pid)
    was = sys.load(area, nr_pages * PAGE)
    sys.store(area, bytes([byte]) * (nr_pages * PAGE))
    now = sys.load(area, nr_pages * PAGE)
    kernel.check()
    return was == b"\1" * len(was) and now == bytes([byte]) * len(now)


def test_a_copy_without_room_for_its_swap_ends(monkeypatch, capfd):
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    with Kernel(ram="4M", swap="4M") as kernel:
        monkeypatch.setattr(os, "memfd_create", full)
        with pytest.raises(BranchEnded, match="exit status 1"):
            kernel.branch(id).result()
    assert "no room for its swap" in capfd.readouterr().err


def test_an_error_is_the_callers(kernel, monkeypatch):
    # Who has imported distributed, as other tests do, can make every exception again.
    monkeypatch.delitem(copyreg.dispatch_table, Refused, raising=False)
    sys, _ = filled(kernel, 1)
    with pytest.raises(FileNotFoundError, match="/nowhere/of/this/machine"):
        kernel.branch(opens, sys.pid).result()
    with pytest.raises(TypeError, match="cannot be pickled"):
        kernel.branch(unpicklable).result()
    branch = kernel.branch(refuses)
    for _ in range(2):
        with pytest.raises(TypeError, match="cannot be unpickled"):
            branch.result()
    sys.exit(0)


class Refused(Exception):
    """As a program may write one: it cannot be made again of its text alone."""

    def __init__(self, code: int, where: str) -> None:
        super().__init__(f"{where}: {code}")


def refuses(_: Kernel) -> None:
    raise Refused(3, "here")


def opens(kernel: Kernel, pid: int) -> int:
    sys = sys_of(kernel, pid)
    return sys.open("/nowhere/of/this/machine", sys.O_RDONLY)


def unpicklable(_: Kernel) -> object:
    return lambda: None


def test_one_that_is_killed_says_so(kernel):
    with pytest.raises(BranchEnded, match="SIGKILL"):
        kernel.branch(kills_itself).result()
    branch = kernel.branch(sleeps)
    with pytest.raises(TimeoutError):
        branch.result(timeout=0.01)
    branch.kill()
    branch.kill()
    with pytest.raises(BranchEnded, match="SIGKILL"):
        branch.result()
    with kernel.snapshot() as snapshot, pytest.raises(BranchEnded):
        snapshot.branch(kills_itself).result()


def test_a_snapshot_that_is_killed_says_so(kernel):
    descriptors = os.listdir("/proc/self/fd")
    snapshot = kernel.snapshot()
    os.kill(snapshot._holder.pid, signal.SIGKILL)
    with pytest.raises(BranchEnded):
        snapshot._holder.result()
    with pytest.raises(BranchEnded):
        snapshot.branch(os.getpid)
    snapshot.close()
    assert os.listdir("/proc/self/fd") == descriptors


def test_interrupted_at_its_end_it_has_ended(kernel):
    branch = kernel.branch(os.getpid)
    wait = branch._wait

    def interrupted(pid: int) -> int | None:
        wait(pid)
        raise KeyboardInterrupt

    branch._wait = interrupted
    with pytest.raises(KeyboardInterrupt):
        branch.result()
    branch.kill()
    with pytest.raises(BranchEnded):
        branch.result()


def kills_itself(_: Kernel) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleeps(_: Kernel) -> None:
    time.sleep(600)


def test_a_directory_of_the_host_that_may_be_written_is_refused(kernel, tmp_path: Path):
    kernel.vfs.mount("/host", HostFs(tmp_path))
    assert kernel.branch(load_nothing).result() is None
    kernel.vfs.mount("/rw", HostFs(tmp_path, Access.READ_WRITE))
    for copy in (kernel.snapshot, lambda: kernel.branch(load_nothing)):
        with pytest.raises(NotBranchable, match=r"^/rw is a directory of the host"):
            copy()


def load_nothing(_: Kernel) -> None:
    """A branch that does nothing."""


def test_the_hosts_input_is_refused(kernel):
    sys = Sys(kernel.spawn())
    sys.task.fds.install(kernel.vfs.open_inode(sys.task, HostInput(kernel, 0), "pipe:[1]", 0))
    with pytest.raises(NotBranchable, match="standard input"):
        kernel.branch(load_nothing)
    sys.exit(0)


def test_a_branch_holds_what_it_writes_and_no_more(request):
    """16 MiB of 64 are in use: a branch that stores to ten pages has little memory of its own.

    In a process that has done nothing else: what a copy writes of Python's heap depends on that.
    """
    command = [executable, "-c", "from tests.unit import test_branch; print(*test_branch.held())"]
    done = subprocess.run(
        command, cwd=request.config.rootpath, capture_output=True, text=True, check=True
    )
    own, more = map(int, done.stdout.split())
    assert own < 8 * MIB
    assert more - own > 2000 * PAGE * 0.9


def held() -> tuple[int, int]:
    """Return the memory of its own of a branch that stores to 10 pages, and of one to 2,010."""
    with Kernel(ram="64M") as kernel:
        sys, area = filled(kernel, 16 * MIB // PAGE)
        own = kernel.branch(private_bytes, sys.pid, area, 10).result()
        more = kernel.branch(private_bytes, sys.pid, area, 2010).result()
        sys.exit(0)
    return own, more


def private_bytes(kernel: Kernel, pid: int, area: int, nr_pages: int) -> int:
    sys_of(kernel, pid).touch(area, nr_pages * PAGE)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_Dirty:"))


def test_two_runs_of_a_snapshot_are_the_same(kernel):
    sys, _ = filled(kernel, 8)
    with kernel.snapshot() as snapshot:
        first, second = (snapshot.branch(a_run, sys.pid) for _ in range(2))
        assert first.result() == second.result()
    sys.exit(0)


def a_run(kernel: Kernel, pid: int) -> tuple[int, bytes, list[str]]:
    sys = sys_of(kernel, pid)
    child = sys.fork()
    child.exit(3)
    where = sys.mmap(0, PAGE, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS, -1, 0)
    fd = sys.open("/proc/self/smaps", sys.O_RDONLY)
    return where, sys.read(fd, 1 << 16), kernel.log.lines()


def imports(kernel: Kernel, module: str) -> bool:
    """Import a module, and tell whether it was there."""
    there = module in modules
    import_module(module)
    return there


def test_what_a_branch_imports_is_there_for_the_next(kernel: Kernel) -> None:
    rare = "pkern.kernel.vfs.anon.secretmem"
    modules.pop(rare, None)
    assert [kernel.branch(imports, rare).result() for _ in range(2)] == [False, True]
    foreign = "colorsys"  # whatever is not pkern's may do anything when it is imported
    modules.pop(foreign, None)
    assert [kernel.branch(imports, foreign).result() for _ in range(2)] == [False, False]
