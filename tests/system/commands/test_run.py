"""pkern.run: a program in machine code from Python, and all that it showed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import pkern
from tests.commands import SECONDS

TELLER = """\
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char line[64] = "", cwd[64];
	struct rlimit limit;
	if (argc > 1 && !strcmp(argv[1], "die"))
		*(volatile int *)0x1234 = 1;
	if (argc > 1 && !strcmp(argv[1], "sleep"))
		sleep(1000);
	getrlimit(RLIMIT_NOFILE, &limit);
	fgets(line, sizeof line, stdin);
	printf("%d %s %s", argc, getenv("COLOUR"), line);
	getcwd(cwd, sizeof cwd);
	printf(" %s %d %ld\\n", cwd, getuid(), (long)limit.rlim_cur);
	fprintf(stderr, "to stderr\\n");
	return 7;
}
"""
Compile = Callable[..., Path]


def test_a_run_tells_status_output_maps_and_time(compile_c: Compile) -> None:
    program = compile_c(TELLER)
    done = pkern.run(
        program, "a", "b", env={"COLOUR": "red"}, stdin="in", cwd="/w", uid=5, limits={"NOFILE": 9}
    )
    assert (done.status, done.signal) == (7, None)
    assert done.out == b"3 red in /w 5 9\n"
    assert done.err == b"to stderr\n"
    assert done.argv == (str(program), "a", "b")
    assert {str(program), "[stack]"} <= set(done.maps.split())
    assert done.maps.endswith("[vsyscall]\n")
    assert done.time_ns > 0
    assert done.signals == ()


def test_a_death_names_the_signal_and_the_log_says_where(compile_c: Compile) -> None:
    done = pkern.run(compile_c(TELLER), "die")
    assert (done.status, done.signal) == (139, pkern.Signal.SIGSEGV)
    assert [(s.si_signo, s.si_code, s.si_addr) for s in done.signals] == [(11, 1, 0x1234)]
    assert any("segfault at 1234" in line for line in done.log)
    assert "[stack]" in done.maps


def test_time_that_is_up_is_status_124_on_virtual_time(compile_c: Compile) -> None:
    done = pkern.run(compile_c(TELLER), "sleep", timeout=2.5)
    assert (done.status, done.signal) == (124, pkern.Signal.SIGKILL)
    assert 2_500_000_000 <= done.time_ns < 2_600_000_000


def test_a_machine_is_used_again_and_strace_sees_one_run(compile_c: Compile) -> None:
    program = compile_c(TELLER)
    with pkern.Kernel(ram="16M") as kernel:
        first: list[str] = []
        pids = [pkern.run(program, kernel=kernel, strace=first.append).pid]
        pids.append(pkern.run(program, kernel=kernel).pid)
        kernel.check()
    assert pids[0] != pids[1]
    assert first[0].startswith("execve(")
    assert first[-1] == "+++ exited with 7 +++"
    assert sum(line.startswith("+++") for line in first) == 1


def test_the_hosts_files_are_the_root(tmp_path: Path, compile_c: Compile) -> None:
    (tmp_path / "inside").write_bytes(compile_c(TELLER).read_bytes())
    (tmp_path / "inside").chmod(0o755)
    assert pkern.run("/inside", root=tmp_path, uid=0).status == 7


COUNTER = """\
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char text[64] = "";
	int data = open("/data/in", O_RDONLY), fd = open(argv[1], O_RDWR | O_CREAT | O_APPEND, 0600);
	if (data >= 0)
		write(1, text, read(data, text, sizeof text));
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 1;
	printf("%ld\\n", (long)lseek(fd, 0, SEEK_END));
	for (; argc > 2;)
		;
	return 0;
}
"""


def test_binds_and_an_overlay_keep_what_was_changed(tmp_path: Path, compile_c: Compile) -> None:
    root, data, out = (tmp_path / name for name in ("root", "data", "out"))
    for folder in (root, data, out):
        folder.mkdir()
    (root / "count").write_bytes(compile_c(COUNTER).read_bytes())
    (root / "count").chmod(0o755)
    (data / "in").write_text("shown ")
    binds = [f"{data}:/data", f"{out}:/out:rw"]
    with pkern.Kernel(ram="16M") as kernel:
        sys = pkern.Sys(kernel.spawn(uid=0))
        ran = [
            pkern.run("/count", name, overlay=root, binds=binds, uid=0, kernel=kernel)
            for name in ("/made", "/made", "/data/made", "/out/made")
        ]
        assert [(done.status, done.out) for done in ran] == [
            (0, b"shown 1\n"), (0, b"shown 2\n"), (1, b"shown "), (0, b"shown 1\n"),
        ]  # fmt: skip
        mounts = sys.read(sys.open("/proc/mounts"), 4096).decode().splitlines()
        assert [line.split()[1] for line in mounts].count("/data") == 1
        kernel.check()
    assert (out / "made").read_text() == "x"
    assert [path.name for path in root.iterdir()] == ["count"]
    assert pkern.run("/count", "/made", root=root, uid=0).status == 1  # a read-only file system
    with pytest.raises(TypeError, match="root and overlay"):
        pkern.run("/count", root=root, overlay=root)
    with pytest.raises(ValueError, match="not a directory of the host"):
        pkern.run("/count", root=root, binds=[f"{tmp_path}/none"])


def test_the_host_s_time_ends_a_run(compile_c: Compile) -> None:
    rang, program = list[int](), compile_c(COUNTER)
    before = signal.signal(signal.SIGALRM, lambda signo, _: rang.append(signo))
    signal.setitimer(signal.ITIMER_REAL, 0.3)  # somebody else's, due in between
    try:
        with pkern.Kernel() as kernel:
            done = pkern.run(program, "/made", "for ever", wall=0.5, uid=0, kernel=kernel)
            assert (done.status, done.signal) == (124, pkern.Signal.SIGKILL)
            assert pkern.run(program, "/made", wall=SECONDS, uid=0, kernel=kernel).status == 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rang == [signal.SIGALRM]
    for wrong in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="seconds above 0"):
            pkern.run(program, wall=wrong)
        with pytest.raises(ValueError, match="seconds above 0"):
            pkern.run(program, timeout=wrong)


def test_what_cannot_run_says_why(tmp_path: Path, compile_c: Compile) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        pkern.run(tmp_path / "absent")
    text = tmp_path / "text"
    text.write_text("hello\n")
    with pytest.raises(PermissionError, match=r"text"):
        pkern.run(text)
    text.chmod(0o755)
    with pytest.raises(pkern.SyscallError, match=r"Exec format error.*text"):
        pkern.run(text)
    with pytest.raises(ValueError, match="no limit 'FILES'"):
        pkern.run(compile_c(TELLER), limits={"FILES": 1})
    with pytest.raises(ValueError, match="reverse map"):
        pkern.run(text, rmap="none")
    with pkern.Kernel(ram="16M") as kernel, pytest.raises(TypeError, match="ram"):
        pkern.run(text, kernel=kernel, ram="8M")


def test_a_dynamic_program_without_its_loader_says_what_is_missing(compile_c: Compile) -> None:
    program = compile_c("int main() { return 0; }\n", "dynamic")
    with pytest.raises(FileNotFoundError) as caught:
        pkern.run(program)
    assert caught.value.filename == str(program)
    assert "loader" in "".join(getattr(caught.value, "__notes__", []))


COUNTS = """\
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
static void arm(const char *text)
{
	int fd = open("/proc/self/fail-nth", O_WRONLY);
	write(fd, text, strlen(text));
	close(fd);
}
static long left(void)
{
	char text[32] = "";
	int fd = open("/proc/self/fail-nth", O_RDONLY);
	read(fd, text, sizeof(text) - 1);
	close(fd);
	return atol(text);
}
static char *page(void)
{
	return mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
int main(void)
{
	int pipes[2];
	char c;
	pipe(pipes);
	if (!fork()) { /* allocates while the parent sleeps in its read() */
		for (int i = 0; i < 100; i++)
			*page() = 1;
		write(pipes[1], left() ? "f" : "k", 1);
		_exit(0);
	}
	arm("5000");
	long before = left();
	read(pipes[0], &c, 1);
	printf("%c %d", c, before - left() < 50);
	char *p = page();
	arm("1");
	void *lone = mmap(0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int refused = lone == MAP_FAILED && errno == ENOMEM;
	*p = 1;
	printf(" %d %d %ld\\n", refused, page() != MAP_FAILED, left());
	return 0;
}
"""


def test_the_count_of_a_program_in_machine_code_is_its_own(compile_c: Compile) -> None:
    assert pkern.run(compile_c(COUNTS), ram="16M").out == b"k 1 1 1 0\n"
