"""One more entry costs the same in a table of any size: counted in Python's instructions."""

from __future__ import annotations

import sys as host
from types import FrameType
from typing import Any

import pytest

from pkern.userland.bench.growth import FACTOR, FEW, MOST_RATIO, TABLES, Step, cost, filled

STEPS = 8


def _instructions(step: Step, number: int) -> int:
    """Return how many of Python's instructions a step runs."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = host.gettrace()
    host.settrace(trace)
    try:
        step(number)
    finally:
        host.settrace(before)
    return count


def _among(name: str, entries: int) -> int:
    kernel, step, first = filled(name, entries)
    counts = [_instructions(step, number) for number in range(first, first + STEPS)]
    kernel.close()
    return min(counts)


@pytest.mark.parametrize("name", TABLES)
def test_one_more_runs_no_more_instructions_among_many(name: str) -> None:
    few, many = _among(name, FEW), _among(name, FEW * FACTOR)
    assert few > 0
    assert many <= few * MOST_RATIO


def test_the_bench_measures_growth() -> None:
    assert 0 < cost("open, among descriptors", 10) < 1e9
