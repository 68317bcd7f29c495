"""`pkern run --pdb`: Python's debugger at the call of a Python program that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import pkern
from tests.system.conftest import ROOT

CALL = """
def helper(sys, length):
    return sys.mmap(0, length, sys.PROT_READ, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS, -1, 0)

def main(sys):
    at = helper(sys, 4096)
    helper(sys, 0)
"""
ACCESS = """
def main(sys):
    word = 17
    sys.load(0x1000, 8)
"""
FINE = "def main(sys):\n    return 3\n"


def run(tmp_path: Path, program: str, commands: str, *options: str) -> tuple[int, str]:
    """Return the status, and what is written, of a program that is debugged."""
    file = tmp_path / "program.py"
    file.write_text(program)
    done = pkern("run", *options, file, cwd=ROOT, input=commands)
    return done.returncode, done.stdout + done.stderr


def test_a_call(tmp_path: Path) -> None:
    status, said = run(tmp_path, CALL, "p length\nup\np hex(at)\np sys.getpid()\nq\n", "--pdb")
    assert status == 1
    for text in ("SyscallError: [Errno 22]", "helper()\n-> return sys.mmap", "(Pdb) 0\n",
                 "main()\n-> helper(sys, 0)", "(Pdb) '0x7ffff7ffe000'", "(Pdb) 1\n"):  # fmt: skip
        assert text in said


def test_an_access(tmp_path: Path) -> None:
    status, said = run(tmp_path, ACCESS, "p word\nq\n", "--pdb")
    assert status == 128 + 11
    assert "SegmentationFault: SIGSEGV" in said
    assert "(Pdb) 17\n" in said


def test_no_failure_no_debugger(tmp_path: Path) -> None:
    assert run(tmp_path, FINE, "", "--pdb") == (3, "")


@pytest.mark.parametrize("options", [("--pdb", "--twice"), ("--gdb", "0")])
def test_what_does_not_go_together(tmp_path: Path, options: tuple[str, ...]) -> None:
    status, said = run(tmp_path, FINE, "", *options)
    assert status == 2
    assert "--pdb" in said
