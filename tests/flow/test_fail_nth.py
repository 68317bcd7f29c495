"""The nth allocation fails: from a program through /proc, from Python, from the command line."""

from __future__ import annotations

import errno
import subprocess
import sys as host
from pathlib import Path

import pytest

import pkern
from pkern import Kernel, Sys, SyscallError

EATER = """\
def main(sys):
    try:
        sys.mmap(0, 4096, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    except OSError as error:
        print(error.strerror)
        return 3
    return 0
"""


def _arm(sys: Sys, text: bytes) -> None:
    fd = sys.open("/proc/self/fail-nth", sys.O_WRONLY)
    sys.write(fd, text)
    sys.close(fd)


def _left(sys: Sys) -> bytes:
    fd = sys.open("/proc/self/fail-nth", sys.O_RDONLY)
    try:
        return sys.read(fd, 64)
    finally:
        sys.close(fd)


def test_a_program_fails_its_own_allocation(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    anonymous = sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    _arm(sys, b"1000")
    assert _left(sys) == b"1000\n"
    _arm(sys, b"1\n")
    with pytest.raises(SyscallError, check=lambda error: error.errno == errno.ENOMEM):
        sys.mmap(0, 4096, sys.PROT_READ, anonymous)
    assert _left(sys) == b"0\n"
    assert sys.mmap(0, 4096, sys.PROT_READ, anonymous)


@pytest.mark.parametrize(
    ("text", "number"),
    [(b"-1", errno.EINVAL), (b"x", errno.EINVAL), (b"", 0), (b"4294967296", errno.ERANGE)],
)
def test_what_is_no_count_is_refused(kernel: Kernel, text: bytes, number: int) -> None:
    """As kstrtouint() reads it."""
    sys = Sys(kernel.spawn())
    fd = sys.open("/proc/self/fail-nth", sys.O_WRONLY)
    if text:
        with pytest.raises(SyscallError, check=lambda error: error.errno == number):
            sys.write(fd, text)
    assert not kernel.fail_pending


def _refused(sys: Sys) -> bool:
    try:
        sys.mmap(0, 4096, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    except OSError as error:
        assert error.errno == errno.ENOMEM
        return True
    return False


def test_the_count_is_the_task_s_own(kernel: Kernel) -> None:
    """Linux's fault-injection.rst: fail-nth is of a task; copy_process() gives a child none."""
    first, other = Sys(kernel.spawn()), Sys(kernel.spawn())
    _arm(first, b"1000")
    child = first.fork()
    assert [_left(sys) for sys in (other, child)] == [b"0\n", b"0\n"]
    _arm(first, b"1")
    assert not any(_refused(sys) for sys in (other, child) for _ in range(5))
    other.store(other.mmap(0, 4096, 3, other.MAP_PRIVATE | other.MAP_ANONYMOUS), b"x")
    assert _left(first) == b"1\n"
    assert [_refused(first), _refused(first)] == [True, False]


def test_a_task_may_count_for_another(kernel: Kernel) -> None:
    first, other = Sys(kernel.spawn(uid=0)), Sys(kernel.spawn(uid=0))
    fd = first.open(f"/proc/{other.pid}/fail-nth", first.O_RDWR)
    first.write(fd, b"1")
    assert not _refused(first)
    assert _refused(other)
    assert first.pread64(fd, 9, 0) == b"0\n"


def test_a_fault_counts(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    addr = sys.mmap(0, 1 << 30, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    _arm(sys, b"100")
    sys.store(addr, b"x")
    left = int(_left(sys))
    assert 0 < left < 100
    assert int(_left(sys)) == left  # reading it asks for nothing


def test_a_program_in_machine_code_meets_each_failure_and_then_none() -> None:
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        pytest.skip("needs busybox")
    met = 0
    for nth in range(1, 400, 40):
        done = pkern.run(busybox, "cat", "/proc/self/comm", fail_nth=nth, ram="16M")
        met += done.alloc_failed
        assert done.alloc_failed or (done.status, done.out) == (0, b"busybox\n")
    assert 0 < met < 10
    assert not pkern.run(busybox, "true", ram="16M").alloc_failed


@pytest.mark.parametrize("nth, status", [("0", 0), ("1", 3), ("1000", 0)])
def test_the_command_line_names_the_allocation(tmp_path: Path, nth: str, status: int) -> None:
    (tmp_path / "eater.py").write_text(EATER)
    command = [host.executable, "-m", "pkern", "run", "--fail-nth", nth, "eater.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout == ("Cannot allocate memory\n" if status else "")


def test_a_count_below_zero_is_refused(tmp_path: Path) -> None:
    (tmp_path / "eater.py").write_text(EATER)
    command = [host.executable, "-m", "pkern", "run", "--fail-nth", "-1", "eater.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--fail-nth" in done.stderr
