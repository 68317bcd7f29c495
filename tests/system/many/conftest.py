"""What tests of many runs share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The module's PROGRAM, compiled: static, for the machine and the host."""
    made = tmp_path_factory.mktemp("program") / "program"
    source = made.with_suffix(".c")
    source.write_text(request.module.PROGRAM)
    subprocess.run(["gcc", "-static", "-O1", "-o", made, source], check=True)
    return made
