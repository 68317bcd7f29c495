"""execve from a program in Python: its task runs machine code from then on."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from pkern import Kernel, Sys
from pkern.kernel.vfs.console import Stream
from pkern.userland.machine_code import bring_program
from pkern.userland.program import run_program
from tests import commands

BUSYBOX = Path("/bin/busybox")
pytestmark = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs a static busybox")


@pytest.fixture
def sys(kernel: Kernel) -> Sys:
    """Return the calls of a task whose machine has busybox, and whose descriptor 1 is `written`."""
    bring_program(kernel, BUSYBOX)
    return Sys(kernel.spawn(name="python"))


def test_a_child_becomes_a_program_and_is_waited_for(sys: Sys) -> None:
    read, write = sys.pipe()
    child = sys.fork()
    child.dup2(write, 1)
    assert child.execve(str(BUSYBOX), ["sh", "-c", "echo $A $1; exit 7", "sh", "b"], ["A=a"]) == 0
    with pytest.raises(RuntimeError, match=f"pid {child.pid} runs /bin/busybox now"):
        child.getpid()
    assert child.pid == child.task.pid
    assert sys.wait4(child.pid) == (child.pid, 7 << 8)
    assert sys.read(read, 99) == b"a b\n"


def test_main_ends_with_the_status_of_what_it_became(kernel: Kernel, sys: Sys) -> None:
    def main(sys: Sys) -> None:
        sys.execve(BUSYBOX, ["sh", "-c", "exit 9"])
        raise AssertionError("execve has returned")

    assert run_program(kernel, main, ["main"]) == 9

    def dies(sys: Sys) -> None:
        sys.execve(BUSYBOX, [b"sh", "-c", "kill -SEGV $$"])

    assert run_program(kernel, dies, ["main"]) == 128 + 11
    kernel.check()


def test_what_cannot_be_executed_leaves_the_program_as_it_was(sys: Sys) -> None:
    with pytest.raises(FileNotFoundError, match="/none"):
        sys.execve("/none", [])
    fd = sys.open("/tmp/text", sys.O_CREAT | sys.O_WRONLY, 0o777)
    sys.write(fd, b"text\n")
    sys.close(fd)
    for number, call in (
        (errno.ENOEXEC, lambda: sys.execve("/tmp/text", ["x"])),
        (errno.E2BIG, lambda: sys.execve(BUSYBOX, ["x" * 131_072])),
        (errno.E2BIG, lambda: sys.execve(BUSYBOX, ["x" * 100_000] * 30)),
        (errno.EACCES, lambda: sys.execve("/tmp", [])),
        (errno.EINVAL, lambda: sys.execveat(-100, str(BUSYBOX), [], [], 1 << 20)),
    ):
        with pytest.raises(OSError, check=lambda error, number=number: error.errno == number):
            call()
    with pytest.raises(TypeError, match="'argv' must be a list or a tuple"):
        sys.execve(BUSYBOX, 0)
    with pytest.raises(TypeError, match="NUL"):
        sys.execve(BUSYBOX, ["a\0b"])
    assert sys.task.context is None
    assert sys.getpid() == sys.pid


def test_raw_and_by_descriptor(sys: Sys) -> None:
    child = sys.fork()
    fd = child.open(str(BUSYBOX), child.O_RDONLY)
    assert child.execveat(fd, "", ["true"], [], child.AT_EMPTY_PATH) == 0
    assert sys.wait4(child.pid) == (child.pid, 0)
    child = sys.fork()
    page = child.mmap(0, 4096, 3, child.MAP_PRIVATE | child.MAP_ANONYMOUS)
    child.store(page, b"/bin/busybox\0false\0")
    child.store(page + 64, (page + 13).to_bytes(8, "little"))
    assert child.syscall(59, page, page + 64, 0) == 0
    assert sys.wait4(child.pid) == (child.pid, 1 << 8)


def test_what_execve_keeps_and_what_it_drops(kernel: Kernel, sys: Sys) -> None:
    """Ignored signals, the mask, limits and descriptors stay; handlers and cloexec ones go."""
    child = sys.fork()
    read, write = sys.pipe()
    child = sys.fork()
    child.dup2(write, 1)
    child.rt_sigaction(child.SIGUSR1, lambda *_: None)
    child.rt_sigaction(child.SIGUSR2, child.SIG_IGN)
    child.rt_sigprocmask(child.SIG_BLOCK, 1 << child.SIGHUP - 1)
    child.setrlimit(7, (77, 77))
    child.open("/tmp", child.O_RDONLY | child.O_CLOEXEC)
    script = "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status; ulimit -n; ls /proc/self/fd | wc -l"
    child.execve(BUSYBOX, ["sh", "-c", script], [])
    assert sys.wait4(child.pid)[1] == 0
    told = sys.read(read, 999).decode().split()
    assert told[:7] == [
        "SigBlk:", f"{1:016x}", "SigIgn:", f"{1 << 11:016x}", "SigCgt:", f"{0:016x}", "77",
    ]  # fmt: skip


def test_an_alarm_outlives_execve(kernel: Kernel, sys: Sys) -> None:
    def main(sys: Sys) -> None:
        sys.alarm(1)
        sys.execve(BUSYBOX, ["sleep", "100"])

    assert run_program(kernel, main, ["main"]) == 128 + sys.SIGALRM
    assert kernel.clock.now_ns < 2_000_000_000


PROGRAM = """
def main(sys, argv):
    print("python", flush=True)
    sys.execve("/bin/busybox", ["sh", "-c", argv[1]], ["A=a"])
"""


def run(
    tmp_path: Path, *arguments: str, input: str | None = None
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "prog.py").write_text(PROGRAM)
    *before, script = arguments
    program = tmp_path / "prog.py"
    return commands.pkern("run", "--bind", "/bin", *before, program, script, input=input)


def test_on_the_command_line_its_output_is_the_host_s(tmp_path: Path) -> None:
    done = run(tmp_path, "read line; echo $A $line; echo e >&2; exit 4", input="in\n")
    assert (done.returncode, done.stdout, done.stderr) == (4, "python\na in\n", "e\n")
    done = run(tmp_path, "--timeout", "2", "sleep 1000")
    assert (done.returncode, done.stderr.count("time is up: 2 s")) == (124, 1)
    done = run(tmp_path, "mkfifo /tmp/f; exec cat /tmp/f")
    assert done.returncode == 1
    assert "every task waits" in done.stderr
    assert "Traceback" not in done.stderr


def test_strace_goes_on(tmp_path: Path) -> None:
    done = run(tmp_path, "-e", "trace=execve,exit_group", "exit 3")
    lines = done.stderr.splitlines()
    assert lines[0].startswith('execve("/bin/busybox", ["sh", "-c", "exit 3"], 0x8')
    assert lines[0].endswith("/* 1 var */) = 0")
    assert [line.split("(")[0] for line in lines[1:]] == ["exit_group", "+++ exited with 3 +++"]


def test_clone3_and_clone_of_a_python_program(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    page = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)
    words = [sys.CLONE_PIDFD | sys.CLONE_PARENT_SETTID, page + 200, 0, page + 208, 17, 0, 0, 0]
    sys.store(page, b"".join(word.to_bytes(8, "little") for word in words))
    pid = sys.clone3(page, 64)
    fd, told = (int.from_bytes(sys.load(page + at, 4), "little") for at in (200, 208))
    assert told == pid
    child = Sys(kernel.tasks[pid])
    child.exit(3)
    assert sys.poll([(fd, sys.POLLIN)], 0) == [sys.POLLIN]
    assert sys.wait4(pid) == (pid, 3 << 8)
    with pytest.raises(OSError, check=lambda error: error.errno == errno.EINVAL):
        sys.clone(sys.CLONE_SETTLS | 17, 0, 0, 0, page)
    assert sys.clone(sys.CLONE_PARENT_SETTID | 17, 0, page) == pid + 1
    assert int.from_bytes(sys.load(page, 4), "little") == pid + 1


def test_input_that_was_given_is_the_program_s(kernel: Kernel, sys: Sys) -> None:
    child = sys.fork()
    stdin = kernel.vfs.open_inode(child.task, Stream(kernel, b"given\n"), "pipe:[0]", 0)
    child.task.fds.put_at(0, stdin)
    read, write = sys.pipe()
    child.dup2(child.open(f"/proc/{sys.pid}/fd/{write}", child.O_WRONLY), 1)
    child.execve(BUSYBOX, ["cat"])
    sys.wait4(child.pid)
    assert sys.read(read, 99) == b"given\n"
