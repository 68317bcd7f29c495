"""`make run` in an empty checkout says what it is doing; nothing is fetched or compiled here."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLED = "#!/bin/sh\nexit 0\n"
# The checks of the tools are real; an environment is a folder whose programs do nothing.
PYTHON = """\
#!/bin/sh
if [ "$1 $2" != "-m venv" ]; then exec {real} "$@"; fi
mkdir -p "$3/bin"
cp {folder}/installed "$3/bin/python"
cp {folder}/installed "$3/bin/pkern"
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_it_says_what_it_does_while_it_installs(tmp_path):
    script(tmp_path / "installed", INSTALLED)
    python = script(tmp_path / "python", PYTHON.format(real=sys.executable, folder=tmp_path))
    venv = tmp_path / "venv"
    command = ["make", "run", f"PYTHON={python}", f"VENV={venv}"]

    def run():
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    first = run().splitlines()
    assert first[0] == f"Making {venv}, a Python environment for pkern alone ..."
    nr_files = len([*ROOT.glob("kernel/core/**/*.c")]) - (ROOT / "kernel/core/_core.c").exists()
    assert first[1:] == [
        "1 of 3: fetching pip, setuptools and cffi, which build the package ...",
        f"2 of 3: compiling the {nr_files} files of the C core ...",
        "3 of 3: fetching the libraries of emulators, pictures, tests and checks ...",
        f"{venv}/bin/pkern story ",
    ], "and it compiles but once"
    assert run().splitlines() == first[4:]
    (venv / "core-built").unlink()
    assert run().splitlines() == ["Compiling the C core ...", *first[4:]]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("PYTHON=/absent/python", "Python is missing ('/absent/python'): install it"),
        ("CC=/absent/cc", "A C compiler is missing ('/absent/cc'): install one"),
    ],
)
def test_what_is_missing_is_named(tmp_path, setting, words):
    command = ["make", "run", f"VENV={tmp_path}/venv", setting]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert words in ran.stderr
    assert not (tmp_path / "venv").exists()


def test_the_tests_say_how_long_they_take():
    for jobs in (1, 2, 4):
        command = ["make", "-n", "--no-print-directory", "test", f"JOBS={jobs}"]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        told = re.search(
            rf"about \$\(\( (\d+) / {jobs} \+ (\d+) \)\) seconds if {jobs} ", ran.stdout
        )
        assert told is not None, ran.stdout
        shared, alone = map(int, told.groups())
        assert 60 < shared // jobs + alone < 30 * 60, "it is to stay well under half an hour"
