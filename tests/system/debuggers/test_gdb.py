"""`pkern run --gdb`: an unmodified gdb of the host debugs a program of the machine."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.commands import SECONDS, Beside, pkern, read_to_ends
from tests.system.conftest import ROOT, Compile, on_host

PKERN = (sys.executable, "-m", "pkern", "run")
# A busy host may take longer to start a machine than the two seconds that gdb waits for an answer.
SETTINGS = (
    "set pagination off", "set confirm off", "set width 0",
    f"set remotetimeout {SECONDS}",
    # Else it reads much of a program that it has here from the machine, to compare the two, with a
    # call of the host for each byte.
    "set exec-file-mismatch off",
)  # fmt: skip
COUNTS = r"""
#include <stdio.h>
#include <time.h>
volatile long counter;
double d = 1.5;
__attribute__((noinline)) static int twice(int n)
{
	counter += n;
	d *= 2;
	return 2 * n;
}
int main(void)
{
	struct timespec t;
	int sum = 0;
	for (int i = 1; i < 4; i++)
		sum += twice(i);
	clock_gettime(CLOCK_MONOTONIC, &t);
	printf("sum %d counter %ld at %ld.%09ld\n", sum, counter, (long)t.tv_sec, t.tv_nsec);
	return 5;
}
"""
FAMILY = r"""
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
volatile int got;
static void handler(int s) { got = s; }
__attribute__((noinline)) void in_child(int n) { printf("child %d\n", n); fflush(stdout); }
int main(int argc, char **argv)
{
	int st;
	if (argc > 1) {
		printf("execed %s\n", argv[1]);
		return 3;
	}
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	pid_t p = fork();
	if (!p) {
		in_child(1);
		_exit(7);
	}
	waitpid(p, &st, 0);
	printf("child status %d got %d\n", WEXITSTATUS(st), got);
	fflush(stdout);
	p = vfork();
	if (!p) {
		execl(argv[0], argv[0], "again", (char *)0);
		_exit(9);
	}
	waitpid(p, &st, 0);
	printf("exec status %d\n", WEXITSTATUS(st));
	fflush(stdout);
	*(volatile int *)0x10 = 1;
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
	for (long i = 0; i < 3; i++)
		pthread_create(t + i, 0, run, (void *)(i + 1));
	for (long i = 0; i < 3; i++)
		pthread_join(t[i], 0);
	printf("total %ld\n", total);
	return 0;
}
"""
FOREVER = r"""
#include <unistd.h>
volatile long n;
int main(int argc, char **argv)
{
	char byte;
	write(1, "runs\n", 5);
	if (argc > 1)
		return read(0, &byte, 1) ? byte : 99;
	for (;;)
		n++;
}
"""
DEADLOCK = r"""
#include <pthread.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
int main(void)
{
	pthread_mutex_lock(&lock);
	return pthread_mutex_lock(&lock);
}
"""


@pytest.fixture(autouse=True)
def _needs_gdb() -> None:
    if shutil.which("gdb") is None:
        pytest.skip("needs gdb")


def gdb(program: Path, *commands: str, options: Sequence[str] = ()) -> str:
    """Return what gdb prints that debugs a program of a machine.

    It reads the program on the host, which takes half of the time, and what is executed, too.
    """
    return finding(program, "set sysroot /", *commands, options=options, files=(program,))


def finding(
    program: Path, *commands: str, options: Sequence[str] = (), files: Sequence[Path] = ()
) -> str:
    """The same; what is none of the files gdb asks the machine for."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{folder}/door")
        door.listen()
        door.settimeout(SECONDS)
        out, its_out = os.pipe()
        words = [
            w for c in (*SETTINGS, f"target remote {folder}/door", *commands) for w in ("-ex", c)
        ]
        with subprocess.Popen(
            ["gdb", "-nx", "-batch", *words, *map(str, files)], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=its_out, stderr=its_out,
        ):  # fmt: skip
            connection = door.accept()[0].detach()
            fds = os.dup(connection), connection, its_out
            with Beside("run", *options, "--gdb", "-", program, fds=fds, cwd=ROOT):
                (said,) = read_to_ends((out,), time.monotonic() + SECONDS)
    os.close(out)
    text = said.decode()
    assert "Traceback" not in text
    return text


def by_pipe(program: Path, *commands: str) -> str:
    """The same of a machine that gdb starts; it asks it for the program."""
    stub = shlex.join([*PKERN, "--gdb", "-", str(program)])
    words = [w for c in (*SETTINGS, f"target remote | {stub}", *commands) for w in ("-ex", c)]
    done = subprocess.run(
        ["gdb", "-nx", "-batch", *words], cwd=ROOT, text=True, timeout=SECONDS,
        check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert "Traceback" not in done.stdout
    return done.stdout


def shows(text: str, *patterns: str) -> None:
    """Assert that a text holds all patterns, in their order."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.MULTILINE).search(text, at)
        assert found, f"no {pattern!r} behind character {at} of:\n{text}"
        at = found.end()


# ---- forwards ----


def test_stops_looks_and_goes_on_as_if_nobody_had_looked(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    plain = pkern("run", program)
    said = by_pipe(
        program, "break twice", "continue", "bt", "next", "print counter", "watch counter",
        "continue", "continue", "continue", "delete 2", "finish", "stepi", "x/2i $pc", "step",
        "hbreak *$pc", "delete", "continue",
    )  # fmt: skip
    shows(
        said, r"Breakpoint 1, twice \(n=1\)", r"^#0  twice \(n=1\)", r"^#1  .* in main",
        r"^\$1 = 1", r"Hardware watchpoint 2: counter", r"Breakpoint 1, twice \(n=2\)",
        r"Old value = 1\nNew value = 3", r"Breakpoint 1, twice \(n=3\)", r"Value returned is .* 6",
        r"^=> 0x[0-9a-f]+ <main\+", r"exited with code 05",
    )  # fmt: skip
    assert plain.returncode == 5
    assert plain.stdout in said  # virtual time, to the nanosecond


def test_registers_of_all_units(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    said = gdb(
        program, "break twice", "continue", "next", "next", "print $xmm0.v2_double[0]",
        "print $mxcsr", "print $fctrl", "print $ftag", "print $cs", "print $fs_base > 0",
        "print $orig_rax", "set var $xmm3.v4_int32 = {1,2,3,4}", "print $xmm3.v4_int32",
        "set var $st0 = 1.25", "print $st0", "set var $rax = 0x1234", "print/x $ax",
        "delete", "print twice(21)", "print counter", "print d",
    )  # fmt: skip
    shows(
        said, r"^\$1 = 3$", r"\[ IM DM ZM OM UM PM \]", "= 895", "= 65535", "= 51", "= 1",
        "= -1", r"= \{1, 2, 3, 4\}", r"= 1\.25", "= 0x1234", "= 42", "= 22", r"= 6$",
    )  # fmt: skip


def test_a_program_with_libraries_is_found_on_the_machine(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "dynamic", "-g", "-O0")
    said = finding(
        program, "break twice", "continue", "info sharedlibrary", "info proc mappings",
        "info auxv", "info proc exe", "finish",
        options=("--uid", "0", "--root", "/", "--bind", str(program.parent)),
    )  # fmt: skip
    shows(
        said, r"Reading symbols from target:.*program", r"Breakpoint 1, twice \(n=1\)",
        r"ld-linux-x86-64.so.2$", r"libc.so.6$", rf"r-xp +{program}$", r"\[stack\]",
        rf'AT_EXECFN .*"{program}"', rf"exe = '{program}'", "Value returned is .* 2",
    )  # fmt: skip


def test_signals_stop_and_are_passed_on(compile_c: Compile) -> None:
    program = compile_c(FAMILY, "glibc", "-g", "-O0")
    said = gdb(
        program, "continue", "print got", "continue", "print got", "print $_siginfo.si_signo",
        "print $_siginfo._sifields._sigfault.si_addr", "continue",
    )  # fmt: skip
    shows(
        said, "received signal SIGUSR1", r"^\$1 = 0", r"child status 7 got 10",
        "received signal SIGSEGV", r"^\$2 = 10", r"^\$3 = 11", r"^\$4 = .*0x10$",
        "terminated with signal SIGSEGV",
    )  # fmt: skip
    said = gdb(program, "continue", "signal 0", "print got")
    shows(said, "received signal SIGUSR1", "child status 7 got 0", "SIGSEGV", r"^\$1 = 0")


def test_follows_a_child(compile_c: Compile) -> None:
    program = compile_c(FAMILY, "glibc", "-g", "-O0")
    quiet = "handle SIGUSR1 nostop noprint"
    said = gdb(
        program, quiet, "set follow-fork-mode child", "break in_child", "continue", "bt",
        "continue",
    )  # fmt: skip
    shows(said, "Attaching after .* fork to child", r"hit Breakpoint 1, in_child \(n=1\)",
          "^#1 .* in main", "child 1", "exited with code 07")  # fmt: skip
    said = gdb(
        program, quiet, "set detach-on-fork off", "set schedule-multiple on", "catch fork",
        "catch vfork", "catch exec", "continue", "info inferiors", "continue", "inferior 1",
        "continue", "continue", "continue", "info inferiors",
    )  # fmt: skip
    shows(said, "Catchpoint 1 .forked process 3", r"New inferior 2 \(process 3\)", "child 1",
          r"Inferior 2 \(process 3\) exited with code 07", "child status 7 got 10",
          "Catchpoint 2 .vforked process 4", r"Catchpoint 3 .exec'd ", "execed again",
          "exited with code 03")  # fmt: skip


def test_threads(compile_c: Compile) -> None:
    program = compile_c(THREADS, "glibc", "-g", "-O0", "-pthread")
    said = gdb(
        program, "break work", "continue", "info threads", "thread apply all bt 1",
        "set scheduler-locking on", "stepi", "thread 3", "stepi", "thread 2", "print n",
        "set scheduler-locking off", "continue", "print n", "delete", "continue",
    )  # fmt: skip
    shows(said, r"hit Breakpoint 1, work \(n=1\)", r"^\* 2 +Thread 2\.3", r"^Thread 4 .*2\.5",
          r"Switching to thread 3", r"Switching to thread 2", r"^\$1 = 1",
          r"hit Breakpoint 1, work \(n=2\)", r"^\$2 = 2", "total 6", "exited normally")  # fmt: skip


def test_a_deadlock_is_a_stop(compile_c: Compile) -> None:
    program = compile_c(DEADLOCK, "glibc", "-g", "-O0", "-pthread")
    said = gdb(program, "continue", "bt", "kill")
    shows(said, "every task waits", "received signal SIGINT", "in main", "killed")


def test_monitor(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    said = gdb(
        program, "break main", "continue", "monitor help", "monitor sysctl vm.nonlinear_max",
        "monitor vma 0x401000", "monitor walk 0x401000", "monitor lru", "monitor page 3",
        "monitor vma", "monitor nonsense", "monitor page 1000000000", "monitor events",
        "monitor events nonsense", "monitor events exceptions:*",
        "continue", "monitor events",
        options=("--ram", "64M"),
    )  # fmt: skip
    shows(
        said, "^walk ADDR", "^events GLOB", "^vm.nonlinear_max_pages = 8192", "r-x",
        "401000", "inactive", "3", "it is: vma ADDR", "there is no question 'nonsense'",
        "1000000000", "no events are noted", "no event is called 'nonsense'",
    )  # fmt: skip
    said = gdb(
        program, "monitor events exceptions:*", "break twice", "continue",
        "monitor events", "monitor events off", "monitor events",
    )  # fmt: skip
    shows(said, r"twice \(n=1\)", "exceptions:page_fault_user: address=", "no events are noted")


# ---- by a port, and what goes wrong ----


class Session:
    """A machine that waits at a port, and gdb in a session of its own."""

    def __init__(self, program: Path, *arguments: str, stdin: int | None = None) -> None:
        self.pkern = subprocess.Popen(
            [*PKERN, "--gdb", "0", str(program), *arguments], cwd=ROOT, text=True,
            stdin=subprocess.PIPE if stdin is None else stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.pkern.stderr is not None
        found = re.search(r":(\d+)$", self.pkern.stderr.readline().strip())
        assert found is not None
        self.port = int(found[1])

    def debug(self, program: Path) -> subprocess.Popen[str]:
        """Start gdb."""
        words = [word for setting in SETTINGS for word in ("-ex", setting)]
        return subprocess.Popen(
            ["gdb", "-nx", "-q", *words, "-ex", f"target remote :{self.port}", str(program)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env=os.environ | {"TERM": "dumb"},
        )  # fmt: skip

    def end(self) -> tuple[int, str]:
        """Wait for the machine; return its status, and what it said of errors."""
        _, err = self.pkern.communicate(timeout=SECONDS)
        assert "Traceback" not in err
        return self.pkern.returncode, err


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Return what a process prints until a text comes."""
    assert process.stdout is not None
    said = ""
    while text not in said:
        part = process.stdout.read(1)
        assert part, said
        said += part
    return said


def tell(process: subprocess.Popen[str], *lines: str) -> None:
    """Write lines to a process."""
    assert process.stdin is not None
    process.stdin.write("".join(f"{line}\n" for line in lines))
    process.stdin.flush()


@pytest.mark.parametrize("arguments", [(), ("reads",)])
def test_an_interrupt_stops_it_and_kill_ends_it(
    compile_c: Compile, arguments: tuple[str, ...]
) -> None:
    program = compile_c(FOREVER, "glibc", "-g", "-O0")
    session = Session(program, *arguments)
    debugger = session.debug(program)
    read_until(debugger, "_start ()")
    tell(debugger, "continue")
    assert session.pkern.stdout is not None
    assert session.pkern.stdout.readline() == "runs\n"
    time.sleep(0.1)  # most often it has come to its loop, or waits for its input
    os.kill(debugger.pid, signal.SIGINT)
    read_until(debugger, "received signal SIGINT")
    tell(debugger, "bt", "kill", "quit")
    assert "main (argc=" in debugger.communicate(timeout=SECONDS)[0]
    assert session.end()[0] == 128 + signal.SIGKILL


def test_what_is_let_go_runs_on(compile_c: Compile) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    session = Session(program)
    debugger = session.debug(program)
    tell(debugger, "break twice", "continue", "detach", "quit")
    assert "[Inferior 1 (process 2) detached]" in debugger.communicate(timeout=SECONDS)[0]
    assert session.pkern.stdout is not None
    assert session.pkern.stdout.readline().startswith("sum 12 counter 6 ")
    assert session.end()[0] == 5


BROKEN = (
    b"", b"\x03", b"+-+-$$$###", b"$g#00$g#00", b"$?#3f+$g#67+" * 3, b"\xff\x00}$}#7d",
    b"$vCont;q:p1#00", b"$m" + b"f" * 70000 + b"#00",
)  # fmt: skip


@pytest.mark.parametrize("sent", BROKEN, ids=range(len(BROKEN)))
def test_broken_packets_and_a_closed_connection_end_nothing(
    compile_c: Compile, sent: bytes
) -> None:
    program = compile_c(COUNTS, "glibc", "-g", "-O0")
    debugger, its = socket.socketpair()
    err, its_err = os.pipe()
    fds = os.dup(its.fileno()), its.detach(), its_err
    with Beside("run", "--gdb", "-", program, fds=fds) as machine:
        debugger.sendall(sent)
        debugger.close()
        (said,) = read_to_ends((err,), time.monotonic() + SECONDS)
    os.close(err)
    assert b"Traceback" not in said
    assert machine.status == 5  # it runs on, as detached


def test_what_cannot_be_debugged(compile_c: Compile, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text("def main(sys):\n    return 0\n")
    program = str(compile_c(COUNTS, "glibc", "-g", "-O0"))
    for options, why in (
        (("--gdb", "x", program), "takes a port"),
        (("--gdb", "70000", program), "takes a port"),
        (("--gdb", "0", str(script)), "machine code"),
        (("--gdb", "0", "--twice", program), "--twice"),
    ):
        done = pkern("run", *options)
        assert done.returncode == 2
        assert why in done.stderr


def test_the_host_runs_these_programs_too(compile_c: Compile) -> None:
    assert on_host(compile_c(THREADS, "glibc", "-g", "-O0", "-pthread")).out == b"total 6\n"
