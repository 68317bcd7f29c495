"""Unmodified tools of namespaces and rights: what they print on the host, and in a machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import SECONDS

SCRIPTS = sorted((Path(__file__).parents[1] / "scripts" / "tools").glob("*.sh"))
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
# On the host whatever a script leaves mounted goes with its namespace.
HOST = ["unshare", "-m", "-i", "-u", "--propagation", "private", "--"]
MACHINE = [sys.executable, "-m", "pkern", "run", "--root", "/", "--overlay", "--uid", "0"]
MACHINE += [word for name, value in ENV.items() for word in ("--env", f"{name}={value}")]


def run(before: list[str], script: Path) -> subprocess.CompletedProcess[str]:
    command = [*before, "/bin/sh", "-c", script.read_text()]
    return subprocess.run(
        command, cwd="/", env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.stem))
def test_a_tool_does_what_it_does_on_the_host(script: Path) -> None:
    there, here = run(HOST, script), run([*MACHINE, "--"], script)
    assert here.stdout == there.stdout
    assert here.returncode == there.returncode
    assert len(here.stdout.splitlines()) > 10
