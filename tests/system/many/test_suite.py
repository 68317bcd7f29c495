"""`pkern suite`: programs of every kind, each on a machine of its own, and what is told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pkern.kernel.core import ffi
from pkern.userland.given import Given
from pkern.userland.suite.cases import Case, Kind
from pkern.userland.suite.matrix import Row, boot
from pkern.userland.suite.run import Suite, run_suite
from pkern.userland.suite.work import Files, Outcome, prepare, run_case
from tests.commands import PKERN, SECONDS, afresh, pkern

COMPILER = ["gcc", "-O1", "-static"]
pytestmark = pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler")
PROGRAMS = {
    "fails": '#include <stdio.h>\nint main(void) { puts("told"); return 3; }',
    "crashes": "int main(void) { *(volatile char *)8 = 1; return 0; }",
    "passes": "int main(void) { return 0; }",
    "skips": "int main(void) { return 77; }",
    # Leaves a file behind: the next one must not find it.
    "marks": (
        "#include <fcntl.h>\nint main(void)"
        ' { return open("/tmp/mark", O_CREAT | O_EXCL | O_WRONLY, 0600) < 0; }'
    ),
}


LOOPS = "int main(void) { for (;;) ; }"
ENDING = {*PROGRAMS, "bad.py", "good.py", "script.sh"}  # what there is to run in their folder


def suite(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return pkern("suite", *arguments, cwd=folder)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for name, text in PROGRAMS.items():
        (folder / f"{name}.c").write_text(text)
        subprocess.run([*COMPILER, "-o", folder / name, folder / f"{name}.c"], check=True)
    (folder / "script.sh").write_text("#!" + str(folder / "passes") + "\n")
    (folder / "script.sh").chmod(0o755)
    (folder / "good.py").write_text("def main(sys):\n    print('hello')\n    return 0\n")
    (folder / "bad.py").write_text("def main(sys):\n    sys.open('/nowhere/at/all', 0)\n")
    (folder / "no_program.py").write_text("x = 1\n")
    (folder / "notes.txt").write_text("nothing to run\n")
    return folder


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("endless") / "loops"
    command = [*COMPILER, "-o", program, "-x", "c", "-"]
    subprocess.run(command, input=LOOPS, text=True, check=True)
    return program


def test_one_run_begins_where_the_command_is_given(tmp_path):
    program = tmp_path / "where"
    text = (
        "#include <stdio.h>\n#include <unistd.h>\n"
        "int main(void) { char cwd[4096]; puts(getcwd(cwd, sizeof cwd)); return 1; }"
    )
    subprocess.run([*COMPILER, "-o", program, "-x", "c", "-"], input=text, text=True, check=True)
    for options, begins in (([], tmp_path), (["--root", tmp_path], "/"), (["--cwd", "/x"], "/x")):
        done = suite(*options, "--uid", "0", "where", folder=tmp_path)
        assert f"out| {begins}\n" in done.stdout
        assert done.stdout.splitlines()[-1].startswith("1 run in ")


def test_a_directory(programs, tmp_path):
    done = suite(programs, "--wall", SECONDS, "-v", "--json", "results.json", folder=tmp_path)
    assert done.returncode == 1
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {entry["name"]: entry["verdict"] for entry in results} == {
        "bad.py": "fail",
        "crashes": "fail",
        "fails": "fail",
        "good.py": "pass",
        "marks": "pass",
        "passes": "pass",
        "script.sh": "pass",
        "skips": "fail",
    }
    assert "FAIL     fails: exit status 3\n    out| told\n" in done.stdout
    assert "FAIL     crashes: ended by SIGSEGV\n    log| " in done.stdout
    assert "/nowhere/at/all" in done.stdout
    assert "kernel/vfs" not in done.stdout  # a program's traceback is its own
    assert done.stdout.endswith("4 pass, 4 fail\n")
    assert done.stderr == ""


def test_a_program_that_does_not_end(loops, tmp_path):
    done = suite(loops, "--wall", 0.5, "--json", "results.json", folder=tmp_path)
    (result,) = json.loads((tmp_path / "results.json").read_text())["results"]
    assert (done.returncode, result["verdict"]) == (1, "timeout")
    assert f"TIMEOUT  {loops}: 0.5 s are up (--wall)" in done.stdout


def test_only_what_failed(programs, tmp_path):
    suite(programs / "fails", programs / "passes", "--json", "first.json", folder=tmp_path)
    again = suite(
        programs / "fails", programs / "passes", "--rerun-failed", "first.json", folder=tmp_path
    )
    assert again.stdout.endswith(" s: 1 fail\n")


def test_machines_and_expected_failures(programs, tmp_path):
    (tmp_path / "known.txt").write_text("*fails*\n")
    done = suite(
        programs / "fails", programs / "marks", "--matrix", "rmap=all", "--matrix", "ram=8M,64M",
        "--expect", "known.txt", "--junit", "out.xml", "--tap", "out.tap", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("10 pass, 10 expected failure\n")
    assert (tmp_path / "out.xml").read_text().count("<skipped") == 10
    assert (tmp_path / "out.tap").read_text().startswith("TAP version 14\n1..20\n")


def test_two_runs_write_the_same(programs, tmp_path):
    pages = []
    ending = [file for file in sorted(programs.iterdir()) if file.name in ENDING]
    for name in ("one.json", "two.json"):
        jobs = 1 + len(pages)
        afresh("suite", *ending, "--json", name, "--jobs", jobs, cwd=tmp_path)
        results = json.loads((tmp_path / name).read_text())["results"]
        for entry in results:
            entry.pop("seconds", None)
        pages.append(results)
    assert pages[0] == pages[1]


# Files, segments, queues, threads, sysctls, a core: what one leaves the next would see.
TELLING = (
    "processes",
    "queues",
    "semaphores",
    "threads",
    "errorcodes",
    "crasher",
    "messages",
    "timers",
)
ROW, AS_ROOT = Row("", {"ram": "64M", "sysctl": {}}), Given(("program",), uid=0)


def _outcomes(cases: list[Case]) -> dict[str, Outcome]:
    """Run all of them in one process."""
    ended = run_suite(Suite(cases, [ROW], AS_ROOT, at_once=1))
    return {one.name: one.outcome._replace(seconds=0) for one in ended if one.outcome is not None}


def test_a_run_is_the_same_whoever_ran_before_in_its_process(compile_c):
    cases = [Case(name, compile_c(name), Kind.MACHINE_CODE) for name in TELLING]
    alone = {name: one for case in cases for name, one in _outcomes([case]).items()}
    assert list(alone) == list(TELLING)
    assert {one.status for one in alone.values()} - {0}, "some of them fail or crash"
    assert _outcomes(cases) == alone
    assert _outcomes(cases[::-1]) == alone


def _state() -> tuple[bytes, bytes]:
    with boot(ROW) as machine:
        prepare(machine, Files())
        return machine.state_hash(), bytes(ffi.buffer(machine.counters))


def test_a_machine_is_the_same_as_the_first_one_of_its_process(compile_c):
    first = _state()
    for name in TELLING:
        with boot(ROW) as machine:
            prepare(machine, Files())
            run_case(machine, Case(name, compile_c(name), Kind.MACHINE_CODE), AS_ROOT, Files())
        assert _state() == first


def test_virtual_time_and_exit_statuses(programs, loops, tmp_path):
    late = suite(loops, "--timeout", "0.001", folder=tmp_path)
    assert late.stdout.startswith(f"TIMEOUT  {loops}: its virtual time is up")
    skipped = suite(programs / "skips", "--exit-status", "automake", folder=tmp_path)
    assert (skipped.returncode, skipped.stdout.split(": ")[1]) == (0, "1 skip\n")


def test_programs_that_leave_by_themselves(tmp_path):
    for name, leaves in {
        "exit.py": "raise SystemExit(3)",
        "exits.py": "raise SystemExit('told why')",
        "done.py": "raise SystemExit",
        "interrupted.py": "raise KeyboardInterrupt",
        "leaves.py": "import os; os._exit(5)",
    }.items():
        (tmp_path / name).write_text(f"def main(sys):\n    {leaves}\n")
    done = suite(".", "--json", "results.json", folder=tmp_path)
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    assert {entry["name"]: (entry["verdict"], entry["reason"]) for entry in results} == {
        "exit.py": ("fail", "exit status 3"),
        "exits.py": ("fail", "exit status 1"),
        "done.py": ("pass", None),
        "interrupted.py": ("fail", "ended by SIGINT"),
        "leaves.py": ("error", "BranchEnded: the branch ended without a result: exit status 5"),
    }
    assert "    err| told why" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_names_of_any_bytes(tmp_path):
    name = b"bad \xff \xc3\xa9.py"
    (tmp_path / os.fsdecode(name)).write_text("def main(sys):\n    print('\u00e9')\n    return 1\n")
    (tmp_path / "known").write_bytes(name + b"\n")
    command = [*PKERN, "suite", "."]
    for encoding in ("ascii", "utf-8:strict"):
        env = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=env)
        assert (done.returncode, done.stderr) == (1, b"")
        assert b"FAIL     bad \\udcff " in done.stdout
    done = subprocess.run([*command, "--expect", "known"], capture_output=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"1 expected failure" in done.stdout or b"1 xfail" in done.stdout


def test_the_results_are_told_where_they_cannot_be_written(programs, tmp_path):
    done = suite(programs / "fails", "--json", "/dev/full", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("1 fail")
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nothing"], "there is no file 'nothing'"),
        (["notes"], "'notes' is no program"),
        (["empty"], "there is no program in 'empty'"),
        (["true", "--matrix", "vm.nonlinaer=1"], "there is no sysctl 'vm.nonlinaer'"),
        (["true", "--root", "nothing"], "is not a directory of the host"),
        (["true", "--bind", ".:/x:rw"], "/x is a directory of the host that may be written"),
        (["true", "--rerun-failed", "others.json"], "nothing that failed by 'others.json'"),
        (["true", "--wall", "soon"], "--wall takes a number of seconds"),
    ],
)
def test_what_cannot_be(arguments, complaint, programs, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes").write_text("no program")
    os.link(programs / "passes", tmp_path / "true")
    (tmp_path / "others.json").write_text('{"results": [{"key": "other", "verdict": "fail"}]}')
    done = suite(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
