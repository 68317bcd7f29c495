"""Programs that every host has: the same output natively and in a machine, on the host's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real.run import tried
from tests.real.table import PROGRAMS

SECONDS = 900  # whether it ends is asked, not of which processor
EVERYWHERE = ("python3, threads", "bash", "xz -T2", "git")
BY_NAME = {program.name: program for program in PROGRAMS}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_program_does_what_it_does_on_the_host(name: str, tmp_path: Path) -> None:
    program = BY_NAME[name]._replace(wall=SECONDS)
    stages: list[str] = []
    result = tried(program, tmp_path, stages.append)
    here, there = result.native, result.machine
    if here is None or there is None:
        pytest.skip(result.missing)
    begun = [stage.partition(":")[0] for stage in stages]
    assert begun == ["is prepared", "runs natively", "runs in a machine"]
    assert (there.out, there.status) == (here.out, here.status), there.err
    assert here.out.strip()
    assert there.facts["machine"]["most_vmas"] > 10
