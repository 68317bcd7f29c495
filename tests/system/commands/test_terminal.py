"""`pkern shell` and `pkern console` on a terminal: a pseudo terminal of the host, typed at."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import SECONDS
from tests.system.conftest import Compile

needs_busybox = pytest.mark.skipif(not Path("/bin/busybox").exists(), reason="needs busybox-static")
CONTROL_C, CONTROL_D = b"\x03", b"\x04"


class Session:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str, code: str = "", typed: bytes = b"") -> None:
        self.terminal, end = os.openpty()
        self.ordinary = termios.tcgetattr(self.terminal)  # before any program changes it
        self.seen = b""
        self.type(typed)
        self.process = subprocess.Popen(
            [sys.executable, *(["-c", code] if code else ["-m", "pkern", *arguments])],
            stdin=end, stdout=end, stderr=end, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=os.environ | {"TERM": "dumb"},
        )  # fmt: skip
        os.close(end)

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self.terminal, text)

    def until(self, text: bytes, patience: float = SECONDS) -> bytes:
        """Return what came up to text, which must come."""
        end = time.monotonic() + patience
        while text not in self.seen:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.terminal], [], [], left)[0], self.seen
            self.seen += self._read()
        found, self.seen = self.seen.split(text, 1)
        return found

    def _read(self) -> bytes:
        """Return what has come. Errors: AssertionError once nobody is left who could write."""
        try:
            return os.read(self.terminal, 4096)
        except OSError:
            raise AssertionError(self.seen) from None

    def type_until(self, keys: bytes, text: bytes) -> None:
        """Press keys again and again until text comes.

        Python loses a control-C between two looks at the keys; on a busy host one that it has kept
        comes late and takes a line away.
        """
        for _ in range(SECONDS):
            self.type(keys)
            with contextlib.suppress(AssertionError):
                self.until(text, patience=1)
                return
        raise AssertionError(self.seen)

    def close(self) -> None:
        """End the command, whatever it does."""
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture
def session() -> Iterator[type[Session]]:
    made: list[Session] = []

    class Made(Session):
        def __init__(self, *arguments: str, code: str = "", typed: bytes = b"") -> None:
            super().__init__(*arguments, code=code, typed=typed)
            made.append(self)

    yield Made
    for each in made:
        each.close()


@needs_busybox
def test_the_shell_answers_and_its_jobs_stop(session: type[Session]) -> None:
    shell = session("shell")
    shell.until(b"# ")
    shell.type(b"echo $((6 * 7)) $PPID; tty\n")
    assert b"42 1" in shell.until(b"/dev/")
    shell.until(b"# ")
    shell.type(b"sleep 1000000000\n")  # virtual time: the machine waits for the terminal
    shell.until(b"\n")
    shell.type(CONTROL_C)
    shell.until(b"# ")
    shell.type(b"echo beg'un'; while :; do :; done\n")
    shell.until(b"begun\r\n")
    shell.type(CONTROL_C)
    shell.until(b"# ")
    shell.type(b"exit 5\n")
    assert shell.process.wait(SECONDS) == 5


@needs_busybox
def test_the_end_of_input_ends_the_shell(session: type[Session]) -> None:
    shell = session("shell", "--uid", "1000")
    shell.until(b"$ ")
    shell.type(b"echo 1 > /proc/sys/vm/nonlinear\n")
    shell.until(b"Permission denied")
    shell.until(b"$ ")
    shell.type(CONTROL_D)
    assert shell.process.wait(SECONDS) == 1  # the status of the refused command


@needs_busybox
def test_the_shell_keeps_what_is_typed_ahead(session: type[Session]) -> None:
    shell = session("shell")
    shell.type(b"echo $((6 * 7))\nexit 9\n")
    shell.until(b"42\r\n")
    assert shell.process.wait(SECONDS) == 9


EDITOR = """\
import os, sys, termios, tty
from pkern.userland.cli.typeahead import TypeAhead
with TypeAhead() as terminal:
    print("ready", flush=True)
    sys.stdin.buffer.readline()
    tty.setcbreak(0, termios.TCSANOW)
    print(os.read(0, 10), flush=True)
"""


def test_an_end_of_input_that_is_typed_ahead_stays_a_letter(session: type[Session]) -> None:
    editor = session(code=EDITOR)
    editor.until(b"ready")
    editor.type(b"line\n" + CONTROL_D)
    editor.until(b"b'\\x04'")
    assert editor.process.wait(SECONDS) == 0


EARLY = """\
import select, sys
sys.argv = ["pkern", "console"]
from pkern.userland.cli import startup
startup.begin()
print("ready", flush=True)
select.select([0], [], [])  # a line is there, and control-D behind it
from pkern.userland.cli.main import main
sys.exit(main(ready=startup.end))
"""


def test_an_end_of_input_that_is_typed_while_modules_are_imported_is_kept(
    session: type[Session],
) -> None:
    console = session(code=EARLY)
    console.until(b"ready")
    assert termios.tcgetattr(console.terminal) != console.ordinary
    console.type(b"nothing" + CONTROL_D + b"\x7f\n" + CONTROL_D)
    console.until(b"nothing: no such command")
    assert console.process.wait(SECONDS) == 127
    assert termios.tcgetattr(console.terminal) == console.ordinary


@needs_busybox
@pytest.mark.parametrize("command", ["shell", "console"])
def test_an_end_of_input_that_is_typed_before_python_runs_is_kept(
    session: type[Session], command: str
) -> None:
    typed = session(command, typed=b"echo one t'w'o\n" + CONTROL_D)
    typed.until(b"one two\r\n")
    assert typed.process.wait(SECONDS) == 0


RAW_READER = """\
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
int main(void)
{
	struct termios before, raw, after;
	char text[16];
	int waiting = 0;
	tcgetattr(0, &before);
	write(1, "ready\\n", 6);
	while (!waiting)
		ioctl(0, FIONREAD, &waiting);
	raw = before;
	raw.c_lflag &= ~(ICANON | ECHO);
	tcsetattr(0, TCSANOW, &raw);
	long n = read(0, text, sizeof(text));
	tcsetattr(0, TCSANOW, &before);
	tcgetattr(0, &after);
	return n == 3 && text[2] == 4 && before.c_cc[VEOF] == 4 && after.c_cc[VEOF] == 4 ? 7 : 1;
}
"""


def test_an_end_of_input_that_is_typed_before_a_program_sets_its_mode_is_kept(
    session: type[Session], compile_c: Compile
) -> None:
    program = session("shell", "--program", str(compile_c(RAW_READER)))
    program.until(b"ready")
    program.type(b"x\n" + CONTROL_D)
    assert program.process.wait(SECONDS) == 7
    assert termios.tcgetattr(program.terminal) == program.ordinary


def test_a_program_that_reads_lines_finds_the_end_of_input(
    session: type[Session], compile_c: Compile
) -> None:
    reads = "#include <unistd.h>\nint main(void)\n{ char c; return read(0, &c, 1) ? 1 : 8; }\n"
    program = session("shell", "--program", str(compile_c(reads)), typed=CONTROL_D)
    assert program.process.wait(SECONDS) == 8


BACKGROUND = """\
import os, sys
pid = os.fork()
if not pid:
    os.setpgid(0, 0)
    command = [sys.executable, "-m", "pkern", "run", "/bin/busybox", "true"]
    os.execv(command[0], command)
print("ended with", os.waitpid(pid, os.WUNTRACED)[1])
"""


@needs_busybox
def test_a_program_in_the_background_is_not_stopped_at_its_end(session: type[Session]) -> None:
    session(code=BACKGROUND).until(b"ended with 0\r\n")


def test_who_leaves_early_leaves_the_terminal_as_it_was(session: type[Session]) -> None:
    for end in (b"sys.exit(0)", b"os.kill(os.getpid(), 2)"):
        code = EARLY.replace("from pkern.userland.cli.main", f"import os; {end.decode()}\n#")
        left = session(code=code)
        left.until(b"ready")
        left.type(b"\n")
        assert left.process.wait(SECONDS) in (0, 130)
        assert termios.tcgetattr(left.terminal) == left.ordinary


def test_the_console_keeps_what_is_typed_ahead(session: type[Session]) -> None:
    console = session("console")
    console.type(b"echo one two\ncat /nope\n")
    console.until(b"one two\r\n")
    console.until(b"No such file or directory\r\n")
    console.type(CONTROL_D)
    assert console.process.wait(SECONDS) == 1


def test_control_c_clears_the_line_of_the_console(session: type[Session]) -> None:
    console = session("console")
    console.until(b"pkern# ")
    console.type(b"exit 3")
    console.until(b"exit 3")
    console.type_until(CONTROL_C, b"pkern# ")
    console.type_until(b"echo al" + b"ive\n", b"alive\r\n")
    console.type(b"exit 4\n")
    assert console.process.wait(SECONDS) == 4


@needs_busybox
@pytest.mark.parametrize("first", ["cat /dev/zero", "/bin/busybox yes"])
def test_control_c_ends_a_pipeline_of_the_console(session: type[Session], first: str) -> None:
    console = session("console")
    console.until(b"pkern# ")
    console.type(f"{first} | /bin/busybox sh -c 'head -c 1; exec cat >/dev/null'\n".encode())
    console.until(b"null'\r\n")
    console.until(b"y" if "yes" in first else b"\0")
    console.type(CONTROL_C)
    console.until(b"pkern# ")
    console.type(b"echo al" + b"ive; exit 4\n")
    console.until(b"alive\r\n")
    assert console.process.wait(SECONDS) == 4


def test_python_of_the_console_completes_and_comes_back(session: type[Session]) -> None:
    console = session("console")
    console.until(b"pkern# ")
    console.type(b"python\n")
    console.until(b">>> ")
    console.type(b"sys.getpp\t")
    console.until(b"sys.getppid(")
    console.type(b")\n")
    console.until(b">>> ")
    console.type(b"exit()\n")
    console.until(b"pkern# ")
    console.type(CONTROL_D)
    assert console.process.wait(SECONDS) == 0


@needs_busybox
def test_a_program_of_the_console_has_the_terminal(session: type[Session]) -> None:
    console = session("console")
    console.until(b"pkern# ")
    console.type(b"/bin/busybox sh -c 'read x; echo got $x; cat'\n")
    console.until(b"\n")
    console.type(b"it\n")
    console.until(b"got it\r\n")
    console.type(CONTROL_D)
    console.until(b"pkern# ")
    console.type(CONTROL_D)
    assert console.process.wait(SECONDS) == 0


def test_the_console_takes_commands(session: type[Session]) -> None:
    console = session("console")
    console.until(b"pkern# ")
    console.type(b"echo 1 > /proc/sys/vm/nonlinear\n")
    console.until(b"pkern# ")
    console.type(b"cat /proc/sys/vm/nonlinear\n")
    console.until(b"\r\n1\r\n")
    console.type(CONTROL_D)
    assert console.process.wait(SECONDS) == 0
