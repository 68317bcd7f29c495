"""Faults in calls, as strace puts them in: the same program, the same words, the same lines."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from pkern.userland.injection import BadInjection, When, read_rule
from tests.commands import pkern

PROGRAM = r"""
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
static void handler(int signo) { (void)signo; if (write(1, "signal\n", 7)) {} }
int main(void)
{
	char bytes[8] = "";
	signal(SIGUSR1, handler);
	setvbuf(stdout, NULL, _IONBF, 0);
	for (int i = 0; i < 5; i++)
		printf("%d %s\n", i, mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			MAP_FAILED ? strerror(errno) : "mapped");
	int fd = open("/proc/self/comm", O_RDONLY);
	long nbytes = read(fd, bytes, sizeof(bytes));
	printf("%ld %.3s\n", nbytes, bytes);
	return getpgid(0) == 77;
}
"""
RULES = (
    "mmap:error=ENOMEM:when=3",
    "mmap:error=EPERM:when=2+2",
    "mmap:error=12:when=2..3",
    "mmap:error=ENOSYS:when=4+",
    "getpgid:retval=77",
    "read:signal=USR1",
    "getpgid:delay_enter=500",
    "read:poke_exit=@arg2=58595a",
    "read:retval=3:poke_enter=@arg2=58595a:delay_exit=10ms",
    "%memory:error=EINVAL:when=1",
)
WHEN_REFUSED = (
    "foo:error=EPERM", "mmap:when=3", "mmap:error=FOO", "mmap:error=EPERM:when=0", "mmap",
    "mmap:error=EPERM:when=3..2", "mmap:error=ENOMEM:retval=3", "mmap:delay_enter=x",
    "mmap:error=5000",
)  # fmt: skip
needs_tools = pytest.mark.skipif(
    not shutil.which("strace") or not shutil.which("gcc"), reason="needs strace and gcc"
)


def lines(trace: str) -> list[str]:
    shown = (re.sub(r"0x[0-9a-f]+", "ADDR", line) for line in trace.splitlines())
    shown = (re.sub(r"(getpgid.*= )\d+$", r"\1N", line) for line in shown)
    return [re.sub(r"(getpgid.*= )\d+ \(D", r"\1N (D", line) for line in shown]


@needs_tools
@pytest.mark.parametrize("rule", RULES)
def test_as_under_strace(rule, program):
    options = ["-e", "trace=mmap,read,getpgid", "-e", f"inject={rule}"]
    host = subprocess.run(
        ["strace", *options, program], capture_output=True, text=True, check=False
    )
    ours = pkern("run", *options, program)
    assert (ours.returncode, ours.stdout) == (host.returncode, host.stdout)
    assert lines(ours.stderr) == lines(host.stderr)


@needs_tools
@pytest.mark.parametrize("rule", WHEN_REFUSED)
def test_what_strace_refuses_is_refused(rule, program):
    host = subprocess.run(["strace", "-e", f"inject={rule}", program], capture_output=True)
    assert host.returncode == 1
    with pytest.raises(BadInjection):
        read_rule(rule)


def test_our_own_words(program):
    short = pkern("run", "--inject", "read:short=2", program)
    assert short.stdout.endswith("2 pr\n")
    third = pkern("run", "--inject", "mmap,read:error=EIO:nth=6", program)
    assert third.stdout.endswith("-1 \n")
    assert "Input" not in third.stdout


def test_a_limit_comes_while_the_program_runs(program):
    shrunk = pkern("run", "--inject", "mmap:limit=AS=0:when=3", program)
    told = ["0 mapped", "1 mapped", *(f"{n} Cannot allocate memory" for n in (2, 3, 4))]
    assert shrunk.stdout.splitlines()[:5] == told
    for text in ("mmap:limit=AS", "mmap:limit=XX=3", "mmap:limit=AS=x"):
        with pytest.raises(BadInjection, match=r"^limit=: "):
            read_rule(text)


FILLS = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
	char bytes[40] = "";
	int fd = open("/tmp/file", O_CREAT | O_WRONLY, 0600);
	for (int i = 0; i < 4; i++) {
		long done = write(fd, bytes, sizeof(bytes));
		printf("%ld %s\n", done, done < 0 ? strerror(errno) : "written");
	}
	printf("%ld\n", (long)lseek(fd, 0, SEEK_END));
	return 0;
}
"""


def test_a_disk_that_is_full_at_a_byte(tmp_path):
    (tmp_path / "fills.c").write_text(FILLS)
    made = tmp_path / "fills"
    subprocess.run(["gcc", "-static", "-o", made, tmp_path / "fills.c"], check=True)
    done = pkern("run", "--inject", "write:full=100", made)
    lines = ["40 written", "40 written", "20 written", "-1 No space left on device", "100"]
    assert done.stdout.splitlines() == lines


def test_which_calls_a_when_means():
    counts = range(1, 9)
    meant = {
        When(3, None, 0): [3],
        When(3): [3, 4, 5, 6, 7, 8],
        When(2, 4): [2, 3, 4],
        When(2, 7, 3): [2, 5],
        When(1, None, 4): [1, 5],
    }
    assert {when: [n for n in counts if when.holds(n)] for when in meant} == meant


PYTHON = """
def main(sys):
    for _ in range(3):
        try:
            print(sys.getppid(), sys.clock_gettime(1) > 10**9)
        except OSError as error:
            print(error.strerror)
"""


def test_a_program_in_python(tmp_path):
    file = tmp_path / "prog.py"
    file.write_text(PYTHON)
    done = pkern("run", "--inject", "getppid:error=EIO:when=2", file)
    assert done.stdout == "0 False\nInput/output error\n0 False\n"
    done = pkern("run", "--strace", "--inject", "getppid:retval=9:delay_exit=2s:when=3", file)
    assert done.stdout == "0 False\n0 False\n9 True\n"
    assert re.search(r"getppid\(\) += 9 \(INJECTED\) \(DELAYED\)", done.stderr)
    refused = pkern("run", "--inject", "read:short=1", file)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "are for machine code" in refused.stderr


def test_a_rule_for_a_call_that_sleeps_counts_it_once(tmp_path):
    """The second read of an empty pipe sleeps: it is one call, however often it is tried."""
    source = tmp_path / "sleeps.c"
    source.write_text(
        "#include <stdio.h>\n#include <errno.h>\n#include <unistd.h>\n#include <string.h>\n"
        "int main(void) { int p[2]; char c; if (pipe(p)) return 9;\n"
        "for (int i = 0; i < 3; i++) { if (!fork()) { usleep(1000 * (i + 1));"
        " _exit(write(p[1], &c, 1) != 1); }\n"
        "long n = read(p[0], &c, 1);"
        ' printf("%ld %s\\n", n, n < 0 ? strerror(errno) : "byte"); fflush(stdout); } return 0; }'
    )
    subprocess.run(["gcc", "-static", "-o", tmp_path / "sleeps", source], check=True)
    done = pkern("run", "--inject", "read:error=EIO:when=3", tmp_path / "sleeps")
    assert done.stdout == "1 byte\n1 byte\n-1 Input/output error\n"


def test_a_call_is_not_begun_with_a_kill_pending(tmp_path):
    (tmp_path / "told.c").write_text('#include <stdio.h>\nint main(void) { return puts("x") < 0; }')
    subprocess.run(["gcc", "-static", "-o", tmp_path / "told", tmp_path / "told.c"], check=True)
    for signal, out in (("KILL", ""), ("TERM", "x\n")):
        rule = f"write:signal={signal}"
        host = subprocess.run(
            ["strace", "-o", "/dev/null", "-e", f"inject={rule}", tmp_path / "told"],
            capture_output=True,
            text=True,
        )
        assert (host.stdout, pkern("run", "--inject", rule, tmp_path / "told").stdout) == (out, out)
