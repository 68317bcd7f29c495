"""`pkern sweep`: each failure in a copy of its own; each end can be had again by its replay."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pkern import Kernel
from pkern.userland.given import Given
from pkern.userland.harness import import_all_calls
from pkern.userland.machine_code import boot_scheduler, bring_program
from pkern.userland.sweep.ends import end_of, import_for_ends
from pkern.userland.sweep.positions import Hook
from tests import commands
from tests.rounds import ROUNDS

pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler")
PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	char *checked = mmap(0, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (checked == MAP_FAILED)
		return fputs("no memory\n", stderr), 3;
	*(char *)mmap(0, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
	int fd = open("/tmp/part", O_CREAT | O_WRONLY, 0600);
	if (write(fd, "x", 1) != 1)
		return fputs("cannot write\n", stderr), 4;
	unlink("/tmp/part");
	int pipes[2];
	char byte;
	if (pipe(pipes))
		return 5;
	if (!fork()) {
		close(pipes[0]);
		_exit(write(pipes[1], "y", 1) != 1);
	}
	long got = read(pipes[0], &byte, 1); /* the writer's end is open here, too: it may hang */
	printf("%ld\n", got);
	return 0;
}
"""


def pkern(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return commands.pkern(*words, cwd=folder)


def swept(program: Path, *options: str) -> dict[str, dict[str, object]]:
    """Return what a sweep found, by what it means and how it ended."""
    # A host that is busy may let a copy wait for longer than a sweep does by itself.
    words = ["sweep", "--wall", str(commands.SECONDS), *options, "--json", "ends.json", "./program"]
    done = pkern(*words, folder=program.parent)
    assert done.stderr == ""
    page = json.loads((program.parent / "ends.json").read_text())
    assert (page["good"]["status"], page["good"]["out"]) == (0, "1\n")
    return {f"{group['meaning']} {group['status']}": group for group in page["groups"]}


def test_calls(program):
    found = swept(
        program, "--inject", "mmap:error=ENOMEM", "--inject", "write:error=ENOSPC",
        "--inject", "unlink:error=EPERM", "--inject", "fork,clone:error=EAGAIN",
    )  # fmt: skip
    assert found.keys() == {
        "crashes 139",
        "reports 3",
        "leaves something behind 4",
        "leaves something behind 0",
        "hangs 1",
        "goes on with other output 0",
    }
    assert "/tmp/part" in found["leaves something behind 4"]["left"]
    assert "every task waits" in str(found["hangs 1"]["reason"])
    replays = found["hangs 1"]["replays"]
    assert {replay.partition(":")[0] for replay in replays} == {
        "--inject fork,clone",
        "--inject write",
    }


def test_limits_that_shrink_as_it_runs(program):
    found = swept(program, "--inject", "all:limit=NOFILE=3")
    assert found.keys() >= {"reports 4", "reports 5", "survives 0"}
    assert all(":limit=NOFILE=3:nth=" in replay for replay in found["reports 5"]["replays"])


def test_every_replay_does_it_again(program):
    """A new machine with the replay's options comes to the same end, also in children."""
    injected = ["--inject", "mmap,write,read:error=EIO"]
    for options in ([], injected, ["--inject", "all:limit=NOFILE=3"]):
        for group in swept(program, *options).values():
            for replay in group["replays"][: 2 * ROUNDS]:
                again = pkern("run", *shlex.split(replay), "./program", folder=program.parent)
                assert again.returncode == group["status"], replay
                assert again.stdout == group["out"], replay


def test_allocations_are_all_there(program):
    found = swept(program)
    nths = sorted(int(replay.split()[1]) for group in found.values() for replay in group["replays"])
    assert nths == list(range(1, len(nths) + 1))
    assert len(nths) > 30
    assert not any(name.startswith("hangs 1: pkern") for name in found)


def test_the_same_whatever_runs_at_once(program):
    one, many = (swept(program, "--jobs", jobs) for jobs in ("1", "7"))
    assert one == many


def test_python(tmp_path):
    (tmp_path / "prog.py").write_text(
        "def main(sys):\n"
        "    at = sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS, -1, 0)\n"
        "    sys.store(at, b'x')\n"
        "    print('done')\n"
    )
    done = pkern("sweep", "--inject", "mmap:error=ENOMEM", "prog.py", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "     1  reports: status 1: pkern.SyscallError" in done.stdout
    every = pkern("sweep", "prog.py", folder=tmp_path)
    assert every.stdout.splitlines()[0] == "without a failure: status 0: done"
    assert "pkern run --fail-nth" in every.stdout


def test_a_replay_can_be_pasted(program):
    folder, name = program.parent, program.name
    (folder / "gate.conf").write_text("vm.nonlinear = 1\n")
    words = ["--inject", "/^mma|brk:error=ENOMEM", "--sysctl-file", "gate.conf", name]
    told = pkern("sweep", *words, folder=folder).stdout
    line = "pkern run --inject '/^mma|brk:error=ENOMEM:nth=1' --sysctl-file gate.conf program"
    assert line in told


GIVEN = """
def main(sys):
    note = sys.read(sys.open("note"), 9).decode()
    limit = sys.getrlimit(sys.RLIMIT_NOFILE)
    status = sys.read(sys.open("/proc/self/status"), 4096).decode()
    caps = [line.split()[1] for line in status.splitlines() if line.startswith("CapEff")]
    print(note, limit, *caps)
"""


def test_what_pkern_run_gives_a_program_a_sweep_gives_too(tmp_path):
    (tmp_path / "given.py").write_text(GIVEN)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "note").write_text("a note")
    words = ["--cwd", "/in", "--cap", "CAP_BPF", "--limit", "NOFILE=7:9", "--bind", "data:/in"]
    done = pkern("sweep", "--inject", "getrlimit:error=EPERM", *words, "given.py", folder=tmp_path)
    assert done.stderr == ""
    first, *_, replay = done.stdout.splitlines()
    assert first == f"without a failure: status 0: a note (7, 9) {1 << 39:016x}"
    again = pkern(*shlex.split(replay)[1:], folder=tmp_path)
    assert again.returncode == 1
    assert "PermissionError" in again.stderr
    refused = pkern("sweep", "--bind", "data:/in:rw", "given.py", folder=tmp_path)
    assert refused.returncode == 2
    assert "/in is a directory of the host that may be written" in refused.stderr


def test_relative_names_mean_what_they_mean_to_pkern_run(program):
    folder = program.parent
    (folder / "note").write_text("a note")
    words = ["--uid", "0", "--bind", ".", "--inject", "getuid:error=EPERM"]
    done = pkern("sweep", *words, "/bin/busybox", "cat", "note", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "without a failure: status 0: a note"


def test_what_python_does_without_a_failure(tmp_path):
    for name, text, told in (
        ("exits.py", "def main(sys):\n    raise SystemExit('why')\n", "status 1: why"),
        ("wrong.py", "def main(sys)\n", "status 1: SyntaxError: expected ':'"),
    ):
        (tmp_path / name).write_text(text)
        done = pkern("sweep", name, folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        first, *_, last = done.stdout.splitlines()
        assert first == f"without a failure: {told}"
        assert last == "nothing that could have failed was asked for: nothing was tested"


HANGS = r"""
#include <stdio.h>
#include <unistd.h>
int main(void)
{
	int pipes[2];
	char byte;
	if (pipe(pipes))
		return 5;
	puts("waits");
	fflush(stdout);
	%s
	return read(pipes[0], &byte, 1) != 1; /* nobody else writes there */
}
"""


@pytest.mark.parametrize(
    ("first", "good", "finding"),
    [
        ("", "every task waits and nothing can wake one", "goes on with other output"),
        ("*(volatile char *)8 = 1;", "ended by SIGSEGV", "goes on with other output"),
    ],
)
def test_how_it_ends_without_a_failure_is_no_finding(first, good, finding, tmp_path):
    (tmp_path / "anyway.c").write_text(HANGS % first)
    subprocess.run(["gcc", "-static", "-O1", "-o", "anyway", "anyway.c"], check=True, cwd=tmp_path)
    quiet = pkern("sweep", "--inject", "close:error=EIO", "anyway", folder=tmp_path)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    told = pkern("sweep", "--inject", "pipe,pipe2,write:error=EIO", "anyway", folder=tmp_path)
    assert told.returncode == 1, told.stdout
    assert "hangs" not in told.stdout.split("positions")[1]
    assert "crashes" not in told.stdout
    assert good in told.stdout.splitlines()[0]
    assert f"1  {finding}: " in told.stdout  # nothing was written
    assert "1  reports: status 5" in told.stdout


@pytest.mark.parametrize("what", [[], ["--inject", "mmap:error=ENOMEM"]])
def test_one_that_does_not_end(what, tmp_path):
    (tmp_path / "loops.py").write_text("def main(sys):\n    while True: pass\n")
    done = pkern("sweep", "--wall", "0.5", *what, "loops.py", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "pkern: without a failure it does not end within 0.5 s (--wall)\n"


@pytest.mark.parametrize("what", [[], ["--inject", "mmap:error=ENOMEM"]])
def test_a_copy_that_asks_for_ever_hangs_in_virtual_time(what, tmp_path):
    (tmp_path / "asks.py").write_text(
        "def main(sys):\n"
        "    try:\n"
        "        sys.mmap(0, 4096, 3, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS)\n"
        "    except OSError:\n"
        "        while True:\n"
        "            sys.nanosleep(10**9)\n"
        "    return 0\n"
    )
    done = pkern("sweep", "--wall", "0", *what, "asks.py", folder=tmp_path)
    assert "1  hangs: does not end" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nothing"], "there is no file 'nothing'"),
        (["--inject", "mmap:error=ENOMEM:when=3", "/bin/true"], "without when= and nth="),
        (["--inject", "mmpa:error=ENOMEM", "/bin/true"], "invalid system call 'mmpa'"),
        (["--inject", "mmap", "/bin/true"], "injects nothing"),
        ([], "PROGRAM"),
    ],
)
def test_what_cannot_be(words, complaint, tmp_path):
    done = pkern("sweep", *words, folder=tmp_path)
    assert done.returncode in (2, 127)
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def _imported(kernel: Kernel, path: str) -> set[str]:
    before = set(sys.modules)
    end_of(kernel, path, Given((path,)), Hook(lambda: None))
    return set(sys.modules) - before


def test_copies_import_nothing(program):
    import_for_ends()
    import_all_calls()
    with Kernel(ram="64M") as kernel:
        boot_scheduler(kernel)
        bring_program(kernel, program)
        assert kernel.branch(_imported, str(program)).result() == set()
