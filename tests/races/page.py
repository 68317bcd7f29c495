"""The tables of docs/races.md: python -m tests.races.page writes them there; takes a minute."""

from __future__ import annotations

from collections.abc import Sequence

from tests.races.bugs import BUGS, ROOT, build_core, look_for
from tests.races.explored import DESIGNS, explore
from tests.races.scenarios import SCENARIOS

PAGE = ROOT / "docs" / "races.md"
ORDERS, FOUND = "orders", "bugs"


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def orders_row(scenario: str, counts: Sequence[int]) -> str:
    """Return the row of a scenario: how many orders on each reverse map."""
    return _row([scenario, *counts])


def bug_row(what: str, scenario: str, counts: Sequence[int | None]) -> str:
    """Return the row of a bug: after how many orders it is found on each reverse map."""
    return _row([what, scenario, *counts])


def _table(head: Sequence[str], rows: Sequence[str]) -> str:
    columns = "".join("---|" if i < len(head) - len(DESIGNS) else "---:|" for i in range(len(head)))
    return "\n".join([_row(head), f"|{columns}", *rows])


def orders_table() -> str:
    """Explore everything and return the table."""
    rows = [
        orders_row(name, [explore(name, rmap).orders for rmap in DESIGNS]) for name in SCENARIOS
    ]
    return _table(["scenario", *DESIGNS], rows)


def bugs_table() -> str:
    """Put each bug back and return the table."""
    cases = [(bug.number, bug.scenario, rmap) for bug in BUGS for rmap in DESIGNS]
    found = iter(look_for(build_core(), cases))
    rows = [bug_row(bug.what, bug.scenario, [next(found).orders for _ in DESIGNS]) for bug in BUGS]
    return _table(["bug", "found in", *DESIGNS], rows)


def main() -> None:
    """Write both tables between their marks."""
    text = PAGE.read_text()
    for name, table in ((ORDERS, orders_table()), (FOUND, bugs_table())):
        before, behind = text.split(f"<!-- {name} -->\n")
        _, after = behind.split("<!-- end -->", 1)
        text = f"{before}<!-- {name} -->\n{table}\n<!-- end -->{after}"
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
