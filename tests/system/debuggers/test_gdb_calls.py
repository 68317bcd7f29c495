"""gdb's `catch syscall` on a program of the machine: as natively, and backwards."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands import SECONDS, pkern
from tests.system.conftest import ROOT, Compile
from tests.system.debuggers.test_gdb import SETTINGS, gdb, shows

CALLS = r"""
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
volatile int got, word = 1;
static void handler(int s) { got = s; }
static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}
int main(int argc, char **argv)
{
	char text[64], byte;
	int fd[2], st;
	if (argc > 1) {
		write(1, "execed\n", 7);
		return 3;
	}
	signal(SIGALRM, handler);
	if (pipe(fd))
		return 1;
	write(1, "one\n", 4);
	pid_t p = fork();
	if (!p) {
		write(fd[1], "x", 1);
		_exit(7);
	}
	word = 2;
	read(fd[0], &byte, 1);
	waitpid(p, &st, 0);
	alarm(1);
	pause();
	int length = sprintf(text, "two %d %d\n", got, WEXITSTATUS(st));
	word = 3;
	write(1, text, length);
	length = sprintf(text, "at %ld\n", now());
	write(2, text, length);
	execl(argv[0], argv[0], "again", (char *)0);
	return 5;
}
"""
INT80 = r"""
int main(void)
{
	int pid;
	__asm__ volatile("int $0x80" : "=a"(pid) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
	return pid <= 0;
}
"""


@pytest.fixture(autouse=True)
def _needs_gdb() -> None:
    if shutil.which("gdb") is None:
        pytest.skip("needs gdb")


def natively(program: Path, *commands: str) -> str:
    """Return what gdb prints that debugs a program of the host, from its first instruction on."""
    words = [w for c in (*SETTINGS, "starti", *commands) for w in ("-ex", c)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", "-iex", "set startup-with-shell off", *words, str(program)],
        cwd=ROOT, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


def stops(said: str) -> list[str]:
    """Return where gdb stopped, what it printed, and the program's first line."""
    kept = r"^.*(?:Catchpoint \d.*|orig_rax .*|\$\d+ = .*|one|ne|Program rec.*)$"
    return re.findall(kept, said, re.MULTILINE)


@pytest.mark.parametrize(
    "commands",
    [
        ("catch syscall write", "catch syscall pause", *("continue",) * 12),
        ("catch syscall", *("continue", "info registers rax orig_rax") * 6),
        ("handle SIGALRM stop", "catch syscall pause", *("continue",) * 5),
        ("catch syscall fork", "catch syscall clone", "catch syscall execve", *("continue",) * 6),
        ("catch syscall write", "continue", "set var $rsi = $rsi + 1", "set var $rdx = 2",
         "continue", "print $rax", "delete", "continue"),
        ("catch syscall write", "continue", "stepi", "stepi", "continue", "continue", "continue"),
        ("set follow-fork-mode child", "catch syscall write", *("continue",) * 3, "delete",
         "continue"),
        ("catch syscall write", "continue", "set var $orig_rax = -1", "continue", "print $rax"),
    ],
)  # fmt: skip
def test_calls_are_caught_as_natively(compile_c: Compile, commands: tuple[str, ...]) -> None:
    program = compile_c(CALLS, "glibc", "-g", "-O1", "-w")
    there, here = natively(program, *commands), gdb(program, *commands)
    assert " (call to" in here
    if commands[1].startswith("continue"):  # brk: where the heap begins is each start's own
        there, here = (re.sub(r"\$1 = 0x.*", "", text) for text in (there, here))
    assert stops(here) == stops(there)


def test_who_is_caught_runs_as_if_nobody_looked(compile_c: Compile) -> None:
    program = compile_c(CALLS, "glibc", "-g", "-O1", "-w")
    plain = pkern("run", program)
    time = re.search(r"at \d+", plain.stderr)
    assert time is not None
    said = gdb(program, "catch syscall", *("continue",) * 40, "delete", "continue")
    shows(said, r"two 14 7", f"{time[0]}$", "execed", "exited with code 03")


def test_a_call_by_int_0x80_is_caught_by_its_number(compile_c: Compile) -> None:
    program = compile_c(INT80, "glibc", "-g", "-O1")
    said = gdb(
        program, "break main", "continue", "catch syscall 20", "continue", "x/i $pc - 2",
        "continue", "reverse-continue", "continue", "continue",
    )  # fmt: skip
    shows(
        said, "call to syscall .*20|call to syscall writev", r"int +\$0x80", "returned from",
        "call to", "returned from", "exited normally",
    )  # fmt: skip


def test_backwards_from_call_to_call(compile_c: Compile) -> None:
    program = compile_c(CALLS, "glibc", "-g", "-O1", "-w")
    said = gdb(
        program, "break sprintf if word == 3", "continue", "catch syscall write",
        "reverse-continue", "print word", "print $rdi", "reverse-continue", "print word",
        "reverse-stepi", "x/i $pc", "reverse-stepi", "stepi", "continue", "continue",
        "reverse-continue", "reverse-continue", "reverse-continue", "delete", "continue",
    )  # fmt: skip
    shows(
        said, "Breakpoint 1, ", r"Catchpoint 2 \(call to syscall write\)", r"\$1 = 3", r"\$2 = 1",
        r"\(call to syscall write\)", r"\$3 = 1", r"=> .*syscall", r"\(call to syscall write\)",
        r"\(returned from syscall write\)", r"\(call to syscall write\)",
        "No more reverse-execution history", "execed", "exited with code 03",
    )  # fmt: skip
    assert said.count("one\n") == 1  # what runs again is not shown again


def test_backwards_to_what_was_last_of_calls_and_stores(compile_c: Compile) -> None:
    program = compile_c(CALLS, "glibc", "-g", "-O1", "-w")
    said = gdb(
        program, "break execl", "continue", "watch word", "catch syscall write",
        "catch syscall pause", *("reverse-continue",) * 6, *("continue",) * 2, "delete", "continue",
    )  # fmt: skip
    shows(
        said, "Breakpoint 1", r"\(call to syscall write\)", r"\(call to syscall write\)",
        r"Old value = 3\nNew value = 2", r"\(call to syscall pause\)",
        r"Old value = 2\nNew value = 1", r"\(call to syscall write\)",
        r"\(returned from syscall write\)", r"Old value = 1\nNew value = 2", "exited with code 03",
    )  # fmt: skip
