"""ptrace: each request as on the host, and the debuggers of the host as they are, in a machine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import SECONDS
from tests.host import GDB_CANNOT_CALL
from tests.system.conftest import COMPILED, Compile, Machine, same_as_host

PROGRAM = r"""
#include <stdio.h>
#include <unistd.h>
volatile long counter, go;
static int twice(int n) { counter += n; return 2 * n; }
int main(int argc, char **argv)
{
	int sum = 0;
	while (argc > 1 && !go)
		usleep(1000);
	for (int i = 1; i < 4; i++)
		sum += twice(i);
	printf("sum %d counter %ld\n", sum, counter);
	return 5;
}
"""
THREADS = r"""
#include <pthread.h>
#include <stdio.h>
static long total;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void work(long n) { pthread_mutex_lock(&lock); total += n; pthread_mutex_unlock(&lock); }
static void *run(void *n) { work((long)n); return n; }
int main(void)
{
	pthread_t t[3];
	for (long i = 0; i < 3; i++) {
		pthread_create(t + i, 0, run, (void *)(i + 1));
		pthread_join(t[i], 0);
	}
	printf("total %ld\n", total);
	return 0;
}
"""
# Without what the host may have on its libraries: most of the time goes into reading it.
PLAIN = ("-nx", "-batch", "-iex", "set debug-file-directory")
BREAKS = (
    "set pagination off", "set confirm off", "break twice", "run >printed", "bt",
    "info registers rip rax", "next", "print n", "print counter", "watch counter", "continue",
    "continue", "delete", "stepi",
    "x/i $pc", "print counter", "continue",
)  # fmt: skip
# Behind BREAKS, as a start of gdb takes a machine longer than what it is asked.
IN_THREADS = (
    "file threads", "break work", "run >>printed", "print n", "bt 2", "thread", "continue",
    "print n", "delete", "continue",
)  # fmt: skip
CALLS = (
    "file program", "break twice", "run >>printed", "delete", "print twice(21)", "print counter",
    "continue",
)  # fmt: skip
VARYING = (
    (re.compile(r"\(LWP \d+\)|process \d+|\bpid \d+"), "N"),
    (re.compile(r"0x7f[0-9a-f]{10}"), "ADDR"),
    (re.compile(r"^\d+ +", re.MULTILINE), ""),
)


def told(text: str) -> list[str]:
    """Return what a debugger said, without what differs from run to run."""
    for pattern, instead in VARYING:
        text = pattern.sub(instead, text)
    lines = (line.rstrip() for line in text.splitlines())
    # When a thread is noticed, and its end, is up to chance.
    return sorted(
        line for line in lines if not line.startswith(("[New", "[Thread", "[Sw", "Using"))
    )


def need(*tools: str) -> None:
    """Skip where the host lacks a tool."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")


def host(*words: object, cwd: Path) -> str:
    """Return what a command writes on the host."""
    command = [str(word) for word in words]
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.stdout + done.stderr


def here(*words: object, cwd: Path, sources: Path | None = None) -> str:
    """Return what a command of the host writes in a machine. sources: shown there, too."""
    options = ["--uid", "0", "--root", "/", "--overlay", "--bind", f"{cwd}:{cwd}:rw"]
    options += ["--bind", f"{sources}"] if sources else []
    machine = [sys.executable, "-m", "pkern", "run", *options, "--cwd", cwd, "--"]
    return host(*machine, *words, cwd=cwd)


def test_each_request_and_stop_as_on_the_host(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("debugger", "glibc", "-pthread")
    same_as_host(machine, program)


def test_gdb_says_what_it_says_on_the_host(compile_c: Compile, tmp_path: Path) -> None:
    need("gdb")
    commands = (*BREAKS, *IN_THREADS, *(() if GDB_CANNOT_CALL.here else CALLS))
    for name, source in (("program", PROGRAM), ("threads", THREADS)):
        made = compile_c(source, "dynamic", "-g", "-O0", "-pthread")
        shutil.copy(made, tmp_path / name)
    words = [word for command in commands for word in ("-ex", command)]
    gdb = (shutil.which("gdb"), *PLAIN, *words, "program")
    # What the program prints itself may come in the middle of a line of gdb's.
    ours, printed = here(*gdb, cwd=tmp_path, sources=COMPILED), tmp_path / "printed"
    ours_printed = printed.read_text()
    assert told(ours) == told(host(*gdb, cwd=tmp_path))
    assert ours_printed == printed.read_text() != ""


def test_gdb_attaches_and_lets_go_and_makes_a_core_file(compile_c: Compile, tmp_path: Path) -> None:
    need("gdb", "sh")
    shutil.copy(compile_c(PROGRAM, "dynamic", "-g", "-O0"), tmp_path / "program")
    script = tmp_path / "script"
    script.write_text(
        "./program wait & pid=$!\n"
        f"gdb {shlex.join(PLAIN)} -p $pid -ex 'frame function main' -ex 'set var go=1'"
        f" -ex 'print sum' -ex 'generate-core-file {tmp_path}/made' -ex detach\n"
        "wait $pid; echo status $?\n"
    )
    said = here(shutil.which("sh"), script, cwd=tmp_path)
    assert "$1 = 0" in said
    assert "sum 12 counter 6\n" in said
    assert "status 5\n" in said
    seen = host(
        "gdb", *PLAIN, "-ex", "frame function main", "-ex", "print go", "program", "made",
        cwd=tmp_path,
    )  # fmt: skip
    assert "$1 = 1" in seen


def test_strace_follows_as_on_the_host(tmp_path: Path) -> None:
    need("strace", "busybox")
    calls = "trace=fork,vfork,clone,clone3,execve,wait4,exit_group,exit,pipe,pipe2,dup2,kill"
    busybox, out = shutil.which("busybox"), tmp_path / "calls"
    script = "true | cat; (exit 3); sh -c 'kill -USR1 $$'; exit 4"
    strace = ("strace", "-ff", "-qq", "-e", calls, "-e", "signal=!SIGCHLD", "-o", out)

    def written() -> list[str]:
        """Return what each process did, and forget it."""
        texts = []
        for file in sorted(tmp_path.glob("calls.*")):
            text = re.sub(r"0x[0-9a-f]+|\b\d{1,7}\b", "N", file.read_text())
            texts.append(re.sub(r" +", " ", text))
            file.unlink()
        return sorted(texts)

    host(*strace, busybox, "sh", "-c", script, cwd=tmp_path)
    theirs = written()
    here(shutil.which("strace"), *strace[1:], busybox, "sh", "-c", script, cwd=tmp_path)
    assert written() == theirs
    assert any("killed by SIGUSR1" in text for text in theirs)


def test_ltrace_sees_the_calls_of_libraries(compile_c: Compile, tmp_path: Path) -> None:
    need("ltrace")
    shutil.copy(compile_c(PROGRAM, "dynamic", "-g", "-O0"), tmp_path / "program")
    ltrace = (shutil.which("ltrace"), "-e", "printf", "./program")
    ours, theirs = here(*ltrace, cwd=tmp_path), host(*ltrace, cwd=tmp_path)
    assert "printf" in theirs
    assert ours == theirs
