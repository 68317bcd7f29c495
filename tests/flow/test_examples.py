"""Each program of examples/ prints what its head says, run as its head says."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import pkern

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
RUN = re.compile(r"^Run:\n    (.*)\nPrints:\n((?:    .*\n?)+)", re.MULTILINE)
NEEDS = {"machine_code.py": "busybox"}


def head_of(program: Path) -> str:
    return ast.get_docstring(ast.parse(program.read_text()), clean=False) or ""


def runs_of(program: Path) -> list[tuple[str, str]]:
    """Return (command, what it prints) of a program's head."""
    return [
        (command, re.sub(r"^    ", "", printed, flags=re.MULTILINE))
        for command, printed in RUN.findall(head_of(program))
    ]


RUNS = [(program, *run) for program in PROGRAMS for run in runs_of(program)]


@pytest.mark.parametrize(
    ("program", "command", "printed"), RUNS, ids=[command for _, command, _ in RUNS]
)
def test_an_example_prints_what_it_says(program: Path, command: str, printed: str) -> None:
    needed = NEEDS.get(program.name)
    if needed and shutil.which(needed) is None:
        pytest.skip(f"needs {needed}")
    first, *arguments = shlex.split(command)
    if first == "pkern":
        done = pkern(*arguments, cwd=ROOT)
    else:
        python = [sys.executable, *arguments]
        done = subprocess.run(python, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == printed, done.stderr
    assert done.returncode == 0


def named_option(command: str) -> str:
    """Return the option that an example's command has, or of --sysctl which one it sets."""
    options = re.findall(r"--sysctl ([\w.]+)|(--\w+)", command)
    return next((sysctl or option for sysctl, option in reversed(options)), "")


@pytest.mark.parametrize(
    ("program", "named"),
    [
        (program, named_option(runs_of(program)[0][0]))
        for program in PROGRAMS
        if all(named_option(command) for command, _ in runs_of(program))
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_an_example_without_its_option_says_which_it_takes(program: Path, named: str) -> None:
    done = pkern("run", program, cwd=ROOT)
    assert done.returncode not in (0, 2)
    assert named in done.stderr.splitlines()[-1]


def test_each_example_has_a_head_and_stands_in_the_index() -> None:
    index = (ROOT / "examples" / "README.md").read_text()
    assert len(PROGRAMS) >= 12
    for program in PROGRAMS:
        runs = runs_of(program)
        assert runs, program
        assert all(f"examples/{program.name}" in command for command, _ in runs)
        first = head_of(program).splitlines()[0]
        assert f"| [{program.name}]({program.name}) | {first} | `{runs[0][0]}` |" in index


def test_every_call_that_an_example_makes_stands_in_the_reference() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    known = set(re.findall(r"^### ([\w.]+)$", page, re.MULTILINE))
    known |= set(re.findall(r"`([A-Z_0-9]+)`", page)) | {"kernel", "task"}
    for program in PROGRAMS:
        names = set(
            re.findall(r"\b(?:sys|child|reader|user|task)\.([A-Za-z]\w+)", program.read_text())
        )
        if "import sys" not in program.read_text():
            assert names <= known, program
