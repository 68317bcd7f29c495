"""Programs that every host has: the same output natively and in a machine, on the host's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.run import in_a_machine, natively, prepared
from tests.real.table import PROGRAMS

SECONDS = 900  # whether it ends is asked, not of which processor
EVERYWHERE = ("python3, threads", "bash", "xz -T2", "git")
BY_NAME = {program.name: program for program in PROGRAMS}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_program_does_what_it_does_on_the_host(name: str, tmp_path: Path) -> None:
    program = BY_NAME[name]._replace(wall=SECONDS)
    if missing := prepared(program, tmp_path):
        pytest.skip(missing)
    here, there = natively(program, tmp_path), in_a_machine(program, tmp_path)
    assert (there.out, there.status) == (here.out, here.status), there.err
    assert here.out.strip()
    assert there.facts["machine"]["most_vmas"] > 10
