"""No order of any race is wrong, on any reverse map; docs/races.md says how many there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tests.races.bugs import BUGS, build_core, look_for
from tests.races.explored import DESIGNS, explore
from tests.races.page import PAGE, bug_row
from tests.races.scenarios import SCENARIOS
from tests.rounds import ROUNDS


def stated(table: str) -> list[str]:
    """Return the rows of a table of the page."""
    part = PAGE.read_text().split(f"<!-- {table} -->")[1].split("<!-- end -->")[0]
    return part.strip().splitlines()[2:]


MANY = 50  # orders: two designs are tried in so many, one that is no other's and all side by side
TWO = ("virtual_scan", "compare")


def stated_orders(scenario: str) -> dict[str, int]:
    """Return what the page says, by design."""
    rows = [[cell.strip() for cell in row.strip("| ").split("|")] for row in stated("orders")]
    (counts,) = [row[1:] for row in rows if row[0] == scenario]
    return dict(zip(DESIGNS, map(int, counts), strict=True))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_order_is_wrong_and_the_page_knows_how_many_there_are(scenario):
    said = stated_orders(scenario)
    designs = DESIGNS if ROUNDS > 1 or max(said.values()) < MANY else TWO
    explored = {rmap: explore(scenario, rmap) for rmap in designs}
    assert {rmap: found.wrong for rmap, found in explored.items()} == dict.fromkeys(designs)
    orders = {rmap: found.orders for rmap, found in explored.items()}
    assert orders == {rmap: said[rmap] for rmap in designs}


def test_the_page_has_each_scenario_once():
    assert [row.split(" | ")[0].lstrip("| ") for row in stated("orders")] == list(SCENARIOS)


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler")
def test_each_bug_of_the_past_is_found():
    cases = [(bug.number, bug.scenario, rmap) for bug in BUGS for rmap in DESIGNS]
    right = [(0, bug.scenario, "objrmap_tree") for bug in BUGS]
    found = look_for(build_core(), cases + right)
    assert [one.what for one in found[len(cases) :]] == [None] * len(right)  # it is not the core
    numbers = iter(found)
    for bug, row in zip(BUGS, stated("bugs"), strict=True):
        counts = [next(numbers).orders for _ in DESIGNS]
        assert None not in counts
        assert bug_row(bug.what, bug.scenario, counts) == row


def test_the_switches_are_those_of_the_header():
    header = (PAGE.parents[1] / "kernel/core/bugs.h").read_text()
    names = re.findall(r"^\t(BUG_\w+),", header, re.MULTILINE)
    assert [bug.number for bug in BUGS] == list(range(1, len(names)))


def test_the_page_s_program_prints_what_it_says(tmp_path):
    text = PAGE.read_text()
    program, shown = re.search(r"```python\n(# orders\.py.*?)```\n\n(.*?)\n\n", text, re.S).groups()
    (tmp_path / "orders.py").write_text(program)
    argv = [sys.executable, "orders.py"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [line.strip() for line in shown.splitlines()[1:]]
