"""The bench's arithmetic on made-up times, and its C programs on the real thing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pkern.userland.bench import (
    as_json,
    as_markdown,
    cases_here,
    machine_code,
    programs,
    run_bench,
)
from pkern.userland.bench.machine_code import WrongAnswer, host_program, our_program, qemu_program
from pkern.userland.bench.programs import core_c, host_c
from pkern.userland.bench.run import (
    CASES,
    LOOPS,
    PROGRAM_CASES,
    PYTHON,
    QEMU_CASES,
    START_CASES,
    START_RUN_CASES,
    Case,
    Unit,
)

TURNS = 3


def _times(*values: float) -> Callable[[], float]:
    left: Iterator[float] = iter(values)
    return lambda: next(left)


def test_a_row_is_the_median_of_interleaved_rounds() -> None:
    order: list[str] = []
    case = Case("beside", _times(100, 300, 200), _times(10, 10, 40), 7)
    alone = Case("alone", None, _times(3, 5, 4), 4)
    rows = run_bench(3, lambda step, steps, name: order.append(name), (case, alone))
    assert order == ["beside", "alone"] * 3
    beside, single = rows
    assert (beside.host, beside.ours, beside.ratio) == (200, 10, 10)
    assert (beside.low, beside.high, beside.met) == (5, 30, True)
    assert (single.host, single.ours, single.ratio, single.met) == (None, 4, None, True)


def test_a_row_that_falls_short_says_so() -> None:
    rows = run_bench(3, None, (Case("slow", _times(1, 1, 1), _times(1, 1, 1), 2),))
    assert rows[0].met is False
    assert "**no**" in as_markdown(rows)


def test_the_json_has_the_promised_fields() -> None:
    rows = run_bench(3, None, (Case("x", _times(2, 2, 2), _times(1, 1, 1), None),))
    wanted = {"name": "x", "host": 2, "ours": 1, "ratio": 2, "target": None}
    assert json.loads(as_json(rows)) == {"rows": [wanted]}


def test_a_case_that_wants_more_rounds_gets_them() -> None:
    order: list[str] = []
    cases = (
        Case("few", None, _times(*range(3)), None),
        Case("many", None, _times(*range(5)), 3 << 20, unit=Unit.BYTES, rounds=5),
    )
    rows = run_bench(3, lambda step, steps, name: order.append(f"{name} of {steps}"), cases)
    assert order == ["few of 8", "many of 8"] * 3 + ["many of 8"] * 2
    assert (rows[1].ours, rows[1].met) == (2, True)
    assert "<= 3.00 MiB" in as_markdown(rows)


def test_a_start_is_measured_beside_a_bare_python() -> None:
    rows = run_bench(
        3, None, [replace(case, rounds=3) for case in (*START_CASES, *START_RUN_CASES)]
    )
    assert [row.target for row in rows] == [0.4, 0.4, 0.25, 32 << 20]
    assert all(row.beside == PYTHON and (row.host or 0) > 0 for row in rows[:3])
    assert 10 << 20 < rows[3].ours < 64 << 20


def test_fewer_than_three_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        run_bench(2, None, ())


def test_every_target_of_the_bench_stands_in_its_rows() -> None:
    assert [case.target for case in CASES] == [7, 50, 2, 8, 8, 1.5, None, 4, 5, 5, 15]


@pytest.mark.parametrize("name", ["remap", "fault", "touch", "fork", "truncate"])
def test_the_c_programs_measure_something(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "OPTIMISED", "-O0")  # compiled in a third of the time
    assert 0 < core_c(name) < 1e9
    assert 0 < host_c(name) < 1e9


@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_in_machine_code_ends_well_here_and_on_the_host(loop: str) -> None:
    assert our_program(loop, TURNS) > 0
    assert host_program(loop, TURNS) > 0


@pytest.mark.skipif(machine_code.qemu_note() is not None, reason="no qemu-user on this host")
@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_in_machine_code_ends_well_under_qemu(loop: str) -> None:
    assert qemu_program(loop, TURNS) > 0


@pytest.mark.parametrize("run", [our_program, host_program])
def test_a_run_that_fails_has_no_time(run: Callable[[str, int], float]) -> None:
    with pytest.raises(WrongAnswer, match="no-such-loop"):
        run("no-such-loop", TURNS)


def test_the_targets_in_machine_code_stand_in_their_rows() -> None:
    assert [case.target for case in PROGRAM_CASES] == [10e6, None, None, None, 3, *[None] * 8]
    qemu = [1.5, 0.9, None, 3, 8, 3, None, 1, None, 0.6, None, 0.25]
    assert [case.target for case in QEMU_CASES] == qemu


def test_rows_are_chosen_by_a_part_of_their_name() -> None:
    cases, _ = cases_here("translate")
    assert [case.name for case in cases] == ["translate, warm TLB: C"]


def test_without_qemu_its_rows_are_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_code, "QEMU", "qemu-of-nobody")
    cases, notes = cases_here()
    assert {case.beside for case in cases} == {"host", "pte_chain", "few", PYTHON}
    assert len(notes) == 1
    assert "qemu-of-nobody is not installed" in notes[0]
