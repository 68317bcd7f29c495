"""What pkern does when the host takes no more of what it writes, or has removed its directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pkern.userland.cli.options import UsageError, writable
from tests import commands
from tests.commands import SECONDS

BUSYBOX = Path("/bin/busybox")
needs_busybox = pytest.mark.skipif(not BUSYBOX.exists(), reason="needs a static busybox")
SIGPIPE_STATUS = 128 + signal.SIGPIPE
FULL = "No space left on device"
PRINTS = "def main(sys):\n for _ in range(100_000): print('line')\n"


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pkern", *map(str, arguments)]


def pkern(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run pkern as a user does, and return the finished process."""
    given = {"capture_output": True, "text": True, "timeout": SECONDS, "check": False} | options
    return subprocess.run(command(*arguments), **given)


def unread(*arguments: object) -> tuple[int, str]:
    """Run pkern with an output whose reader has gone; return its status and what it complained."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = pkern(*arguments, capture_output=False, stdout=write, stderr=subprocess.PIPE)
    finally:
        os.close(write)
    return done.returncode, done.stderr


@pytest.fixture
def printing(tmp_path):
    program = tmp_path / "prints.py"
    program.write_text(PRINTS)
    return program


# ---- nobody reads ----


@needs_busybox
def test_a_program_whose_output_nobody_reads_ends_by_sigpipe(printing):
    for program in ([BUSYBOX, "yes"], [printing]):
        assert unread("run", *program) == (SIGPIPE_STATUS, ""), program


@needs_busybox
def test_a_program_may_live_on_when_nobody_reads():
    script = "trap '' PIPE; echo lost; echo $? >&2; exit 3"
    status, complaints = unread("run", BUSYBOX, "sh", "-c", script)
    assert status == 3
    assert complaints.splitlines()[-1] == "1"
    assert "Broken pipe" in complaints


@needs_busybox
def test_a_guest_whose_output_nobody_reads_ends_by_sigpipe():
    assert unread("uml", BUSYBOX, "yes") == (SIGPIPE_STATUS, "")


@pytest.mark.parametrize("arguments", [["--help"], ["sysctl", "-a"], ["lab", "list"]], ids=" ".join)
def test_pkern_s_own_output_that_nobody_reads(arguments):
    assert unread(*arguments) == (SIGPIPE_STATUS, "")


# ---- full disks ----


@needs_busybox
def test_a_program_is_told_of_a_full_disk():
    script = "trap '' PIPE; echo lost || exit 5"
    with open("/dev/full", "w") as full:
        done = pkern(
            "run", BUSYBOX, "sh", "-c", script,
            capture_output=False, stdout=full, stderr=subprocess.PIPE,
        )  # fmt: skip
    assert done.returncode == 5
    assert FULL in done.stderr


def test_pkern_s_own_output_on_a_full_disk():
    for arguments in (["--help"], ["sysctl", "-a"]):
        with open("/dev/full", "w") as full:
            done = pkern(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == 1
        assert done.stderr == f"pkern: the host refused: [Errno 28] {FULL}\n"


@needs_busybox
def test_files_of_results_on_a_full_disk_are_named(printing):
    for program in ([BUSYBOX, "true"], [printing]):
        for options in (["--json"], ["--strace", "-o"], ["-c", "-o"], ["--twice", "-o"]):
            done = commands.pkern("run", *options, "/dev/full", *program)
            assert done.returncode == 1, (options, program)
            assert done.stderr.splitlines()[-1] == f"pkern: '/dev/full' cannot be written: {FULL}"


# ---- where nobody may write ----


@pytest.mark.parametrize(
    "words",
    [
        *(["run", option] for option in ("--json", "--view", "--events")),
        ["run", "--strace", "-o"],
        ["run", "--twice", "-o"],
        ["sweep", "--json"],
        *(["suite", option] for option in ("--json", "--junit", "--tap")),
        *(["explore", option] for option in ("--json", "--save")),
        ["bench", "--only", "fork", "--json"],
        ["conform", "--sequences", "1", "--record"],
        ["story", "--view"],
    ],
    ids=" ".join,
)
def test_where_results_cannot_be_is_told_before_the_work(words, printing):
    """Root has the right to write into /proc, and no file can be made there all the same."""
    programs = [printing] if words[0] in ("run", "sweep", "suite", "explore") else []
    done = commands.pkern(*words, "/proc/ends", *programs)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "pkern: '/proc/ends' cannot be written: No such file or directory\n"


def test_pages_of_the_lab_that_cannot_be_are_told_before_the_work():
    done = commands.pkern("lab", "run", "gate", "--tiny", "--folder", "/proc")
    told = "pkern: '/proc/gate.md' cannot be written: No such file or directory\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


def test_who_looks_whether_a_file_can_be_written_leaves_all_as_it_was(tmp_path):
    there, link, pipe = tmp_path / "there", tmp_path / "link", tmp_path / "pipe"
    there.write_text("kept")
    os.utime(there, ns=(1, 2))
    link.symlink_to(tmp_path / "nothing")
    os.mkfifo(pipe)
    before = sorted(tmp_path.iterdir())
    for path in (there, link, pipe, tmp_path / "new"):
        assert writable(str(path)) == str(path)
    assert sorted(tmp_path.iterdir()) == before
    assert (there.read_text(), there.stat().st_mtime_ns) == ("kept", 2)
    with pytest.raises(UsageError, match="cannot be written: File name too long"):
        writable(str(tmp_path / ("x" * 256)))


def test_results_are_written_where_they_were_looked_for(printing, monkeypatch):
    monkeypatch.setenv("HOME", str(printing.parent))
    for command in ("run", "suite"):
        done = commands.pkern(command, "--json=~/ends.json", printing)
        assert (done.returncode, done.stderr.count("cannot")) == (0, 0)
        (printing.parent / "ends.json").unlink()


# ---- a directory that has been removed ----


@needs_busybox
@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["run", BUSYBOX, "true"], 2),
        (["run", "--bind", ".", BUSYBOX, "true"], 2),
        (["run", "--cwd", "/tmp", BUSYBOX, "true"], 0),
        (["run", "--root", "/", BUSYBOX, "true"], 0),
        (["sysctl", "vm.nonlinear"], 0),
    ],
    ids=str,
)
def test_a_current_directory_that_has_been_removed(tmp_path, arguments, status):
    gone = tmp_path / "gone"
    gone.mkdir()
    script = f'rmdir "{gone}"; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *command(*arguments)],
        cwd=gone, env=os.environ | {"PYTHONSAFEPATH": "1"}, capture_output=True, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert ("has been removed" in done.stderr) is bool(status)
    assert done.stderr.count("\n") == bool(status)


# ---- rights ----


@needs_busybox
def test_a_host_file_that_is_not_executable_is_not_executed(tmp_path):
    program = tmp_path / "program"
    for data, what in (
        (BUSYBOX.read_bytes(), "nobody may execute it (chmod +x)"),
        (b"int main;\n", "it is neither an ELF program nor a script that begins with #!"),
    ):
        program.write_bytes(data)
        program.chmod(0o644)
        done = commands.pkern("run", program)
        assert done.returncode == 126
        assert done.stderr == f"pkern: cannot execute '{program}': Permission denied; {what}\n"
