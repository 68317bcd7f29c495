"""`pkern run --gdb`, backwards: gdb's reverse commands, by snapshots and running again."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.commands import SECONDS, pkern
from tests.system.conftest import Compile
from tests.system.debuggers.test_gdb import (
    COUNTS,
    FAMILY,
    THREADS,
    Session,
    gdb,
    read_until,
    shows,
    tell,
)

GUARDED = r"""
#include <stdio.h>
#include <stdlib.h>
struct { long low[4]; volatile long guard; long high[4]; } box;
volatile long work;
__attribute__((noinline)) void spin(long n) { for (long i = 0; i < n; i++) work += i; }
__attribute__((noinline)) void fill(long *at, int n)
{
	for (int i = 0; i < n; i++)
		at[i] = 7;
}
int main(void)
{
	box.guard = 0x600d;
	puts("begins");
	fflush(stdout);
	spin(700000);
	fill(box.low, 5); /* one too many */
	spin(900000);
	if (box.guard != 0x600d)
		abort();
	return 0;
}
"""
READS = r"""
#include <stdio.h>
#include <unistd.h>
char bytes[8];
volatile long sum;
__attribute__((noinline)) void add(int byte) { sum += byte; }
int main(void)
{
	while (read(0, bytes, 4) > 0)
		for (int i = 0; i < 4; i++)
			add(bytes[i]);
	printf("sum %ld\n", sum);
	fflush(stdout);
	return sum & 0x7f;
}
"""


CHILD = r"""
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
volatile long work, word = 1;
__attribute__((noinline)) void spin(long n) { for (long i = 0; i < n; i++) work += i; }
__attribute__((noinline)) void in_child(void)
{
	spin(1000);
	word = 5;
	spin(2000);
	word = 7;
	spin(100);
	_exit(3);
}
int main(void)
{
	int st;
	spin(3000);
	word = 2;
	pid_t p = fork();
	if (!p)
		in_child();
	waitpid(p, &st, 0);
	printf("status %d\n", WEXITSTATUS(st));
	return 0;
}
"""


@pytest.fixture(autouse=True)
def _needs_gdb() -> None:
    if shutil.which("gdb") is None:
        pytest.skip("needs gdb")


def test_the_store_that_broke_a_guarded_word(compile_c: Compile) -> None:
    program = compile_c(GUARDED, "glibc", "-g", "-O1")
    said = gdb(
        program, "continue", "print box.guard", "watch box.guard", "reverse-continue", "x/i $pc",
        "print i", "bt", "reverse-finish", "reverse-continue", "print box.guard", "delete",
        "continue",
    )  # fmt: skip
    shows(
        said, "^begins", "received signal SIGABRT", r"^\$1 = 7",
        r"Old value = 7\nNew value = 24589", r"fill \(at=", r"=> .*<fill\+.*mov", r"^\$2 = 4",
        "^#1 .* in main", "in main",
        r"Old value = 24589\nNew value = 0", r"^\$3 = 0", "received signal SIGABRT",
    )  # fmt: skip
    assert said.count("begins") == 1  # what runs again is not shown again


def test_from_breakpoint_to_breakpoint_and_to_the_beginning(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    said = gdb(
        program, "break twice", "continue", "continue", "continue", "reverse-continue",
        "print counter", "reverse-stepi", "stepi", "reverse-continue", "print n",
        "reverse-continue", "info registers rip", "reverse-stepi", "continue", "continue",
        "continue", "print counter", "continue",
    )  # fmt: skip
    shows(
        said, r"twice \(n=3\)", r"twice \(n=2\)", r"^\$1 = 1", r"twice \(n=2\)", r"twice \(n=1\)",
        r"^\$2 = 1", "No more reverse-execution history", "<_start>",
        "No more reverse-execution history", r"twice \(n=1\)", r"twice \(n=2\)", r"twice \(n=3\)",
        r"^\$3 = 3", "sum 12 counter 6 at", "exited with code 05",
    )  # fmt: skip
    plain = pkern("run", program)
    assert plain.stdout in said  # virtual time has gone back, and on again


def test_lines_and_functions(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    said = gdb(
        program, "break 10", "continue", "reverse-next", "print d", "reverse-step",
        "print counter", "reverse-finish", "reverse-next", "next", "step", "next", "next",
        "reverse-finish", "print sum",
    )  # fmt: skip
    shows(
        said, "^10\t\treturn 2", "^9\t\td", r"^\$1 = 1\.5", "^8\t\tcounter", r"^\$2 = 0",
        "in main", r"^\$3 = ",
    )  # fmt: skip


STEPS = """
def place():
    return str(gdb.selected_thread().ptid), hex(int(gdb.parse_and_eval("$pc")))
there, back = [place()], []
for _ in range(%d):
    gdb.execute("stepi", to_string=True)
    there.append(place())
for _ in range(%d):
    back.append(place())
    gdb.execute("reverse-stepi", to_string=True)
back.append(place())
for one, other in zip(there, reversed(back)):
    print("step", one, other)
"""


@pytest.mark.parametrize(
    ("source", "where", "steps"),
    [(COUNTS, "twice", 12), (FAMILY, "_Fork", 20), (THREADS, "work", 25), (FAMILY, "raise", 40)],
)
def test_every_instruction_back_is_the_one_before(
    compile_c: Compile, tmp_path: Path, source: str, where: str, steps: int
) -> None:
    program = compile_c(source, "glibc", "-g", "-O0", "-pthread")
    script = tmp_path / "steps.py"
    script.write_text(STEPS % (steps, steps))
    said = gdb(
        program, "handle SIGUSR1 nostop noprint", f"break {where}", "continue", "delete",
        f"source {script}", "kill",
    )  # fmt: skip
    seen = re.findall(r"^step (\(.*\)) (\(.*\))$", said, re.MULTILINE)
    assert len(seen) == steps + 1, said
    assert [there for there, _ in seen] == [back for _, back in seen]
    assert len({there for there, _ in seen}) > steps // 2


def test_threads_go_back_too(compile_c: Compile) -> None:
    program = compile_c(THREADS, "glibc", "-g", "-O0", "-pthread")
    said = gdb(
        program, "break work", "continue", "continue", "continue", "print total",
        "reverse-continue", "print n", "print total", "reverse-continue", "print n", "info threads",
        "delete", "continue",
    )  # fmt: skip
    shows(
        said, r"work \(n=3\)", r"^\$1 = 3", r"work \(n=2\)", r"^\$2 = 2", r"^\$3 = 1",
        r"work \(n=1\)", r"^\$4 = 1", r"Thread 2\.3", "total 6", "exited normally",
    )  # fmt: skip


def test_behind_a_fork_and_a_signal(compile_c: Compile) -> None:
    program = compile_c(FAMILY, "glibc", "-g", "-O0")
    said = gdb(
        program, "handle SIGUSR1 nostop noprint", "break handler", "continue", "delete",
        "continue", "watch got", "reverse-continue", "bt 1", "delete", "continue",
    )  # fmt: skip
    shows(
        said, r"handler \(s=10\)", "received signal SIGSEGV", r"Old value = 10\nNew value = 0",
        r"^#0 .* handler \(s=10\)", "received signal SIGSEGV",
    )  # fmt: skip
    assert said.count("child status 7 got 10") == 1


def test_a_change_begins_a_history(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    said = gdb(
        program, "break twice", "continue", "set var counter = 100", "continue", "continue",
        "reverse-continue", "print counter", "reverse-continue", "reverse-continue",
        "print counter", "delete", "continue",
    )  # fmt: skip
    shows(
        said, r"twice \(n=3\)", r"twice \(n=2\)", r"^\$1 = 101", "No more reverse-execution",
        r"^\$2 = 100", "sum 12 counter 106",
    )  # fmt: skip


def test_straight_back_from_a_change_there_is_no_way(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    said = gdb(
        program, "break twice", "continue", "continue", "set var counter = 100",
        "reverse-continue", "print counter", "reverse-stepi", "print counter", "stepi",
        "reverse-stepi", "print counter", "delete", "continue",
    )  # fmt: skip
    shows(
        said, r"twice \(n=2\)", "No more reverse-execution", r"^\$1 = 100",
        "No more reverse-execution", r"^\$2 = 100", r"^\$3 = 100", "sum 12 counter 105",
    )  # fmt: skip


def test_in_a_child_that_is_followed(compile_c: Compile) -> None:
    program = compile_c(CHILD, "glibc", "-g", "-O1")
    said = gdb(
        program, "set follow-fork-mode child", "break in_child", "continue",
        "tbreak spin if n == 100", "continue", "delete", "watch word", "reverse-continue",
        "reverse-continue", "print word", "reverse-continue", "print word", "info inferiors",
        "delete", "continue",
    )  # fmt: skip
    shows(
        said, "Detaching after fork from parent process 2", "spin .n=",
        r"Old value = 7\nNew value = 5",
        r"Old value = 5\nNew value = 2", r"\$1 = 2", "No more reverse-execution", r"\$2 = 2",
        "process 3", "exited with code 03",
    )  # fmt: skip
    assert "remote failure" not in said


def test_where_others_are_held_there_is_no_way(compile_c: Compile) -> None:
    program = compile_c(CHILD, "glibc", "-g", "-O1")
    said = gdb(
        program, "set detach-on-fork off", "set follow-fork-mode child", "break in_child",
        "continue", "delete", "reverse-continue", "bt 1", "continue", "inferior 1", "continue",
    )  # fmt: skip
    shows(
        said, "in_child", "No more reverse-execution", "#0 .*in_child",
        "process 3. exited with code 03",
        "status 3", "process 2. exited normally",
    )  # fmt: skip


def test_the_call_that_changed_a_word_and_a_load(compile_c: Compile, tmp_path: Path) -> None:
    program, file = compile_c(READS, "glibc", "-g", "-O0"), tmp_path / "input"
    file.write_text("abcdABCD")
    said = gdb(
        program, "break add if byte == 68", "continue", "watch bytes[1]", "reverse-continue",
        "x/i $pc", "bt 1", "up", "print sum", "reverse-continue", "x/i $pc", "delete",
        "rwatch sum", "continue", "continue", "reverse-continue", "print sum", "delete", "continue",
        options=("--stdin", str(file)),
    )  # fmt: skip
    shows(
        said, r"add \(byte=68\)", r"Old value = 66 'B'\nNew value = 98 'b'", "=> .*syscall", "read",
        r"\$1 = 394", r"Old value = 98 'b'\nNew value = 0", "=> .*syscall", "Value = ", "Value = ",
        "Value = ", r"\$2 = 97", r"sum 660", "exited with code 024",
    )  # fmt: skip


def test_input_is_read_once_and_status_told(compile_c: Compile, tmp_path: Path) -> None:
    program = compile_c(READS, "glibc", "-g", "-O0")
    session = Session(program, stdin=subprocess.PIPE)
    debugger = session.debug(program)
    assert session.pkern.stdin is not None
    session.pkern.stdin.write("abcdefgh")
    session.pkern.stdin.close()
    tell(
        debugger, "break add if byte == 103", "continue", "print sum", "tbreak add",
        "reverse-continue", "print/c byte", "print sum", "delete", "continue", "quit",
    )  # fmt: skip
    said = debugger.communicate(timeout=SECONDS)[0]
    shows(said, r"\$1 = 597", r"\$2 = 102 'f'", r"\$3 = 495", "exited with code 0")
    assert session.pkern.stdout is not None
    out = session.pkern.stdout.read()
    session.pkern.stdin = None
    assert out == "sum 804\n"
    assert session.end()[0] == 804 & 0x7F


def test_an_interrupt_ends_a_search(compile_c: Compile) -> None:
    long_one = GUARDED.replace("spin(900000)", "spin(9000000)")
    program = compile_c(long_one, "glibc", "-g", "-O1")
    session = Session(program)
    debugger = session.debug(program)
    tell(debugger, "continue", "rwatch box.high[3]", "reverse-continue")
    read_until(debugger, "Hardware read watchpoint")
    time.sleep(0.5)  # every load of 40 million instructions is looked at
    os.kill(debugger.pid, signal.SIGINT)
    read_until(debugger, "received signal SIGINT")
    tell(debugger, "print box.guard", "delete", "continue", "quit")
    shows(debugger.communicate(timeout=SECONDS)[0], r"\$1 = 7", "terminated with signal SIGABRT")
    assert session.end()[0] == 128 + signal.SIGABRT


def test_a_task_in_a_call_keeps_its_registers(compile_c: Compile) -> None:
    program = compile_c(THREADS, "glibc", "-g", "-O0", "-pthread")
    said = gdb(program, "break work", "continue", "thread 1", "set var $rax = 1", "kill")
    shows(said, "Could not write register|Could not write registers|remote failure reply")


def test_no_way_back_where_the_host_would_change(compile_c: Compile, tmp_path: Path) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    said = gdb(
        program, "break twice", "continue", "reverse-continue", "delete", "continue",
        options=("--bind", f"{tmp_path}:/out:rw"),
    )  # fmt: skip
    shows(said, "there is no way back: /out", "does not support this command",
          "exited with code 05")  # fmt: skip
