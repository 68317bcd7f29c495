"""Any calls with any arguments, sysctls set in between, on all reverse maps, with and without swap.

test_bad_input gives each call bad values in a fresh child; here the machine's state goes on. The
machines and all that happens to them follow from their seeds (userland/anycalls.py), which recounts
everything every few steps. A hundred machines take about 7 seconds of a processor; an hour of it is
`pkern conform --random-calls 3600`.
"""

from __future__ import annotations

import pytest

from pkern.kernel.errors import KernelBug, KernelPanic
from pkern.userland.anycalls import DESIGNS, AnyCalls
from tests.rounds import ROUNDS

MACHINES, STEPS = 5, 1000  # of each test, of each machine


@pytest.mark.parametrize("group", range(8 * ROUNDS))
def test_any_calls_whatever_came_before(group: int) -> None:
    for seed in range(group * MACHINES, (group + 1) * MACHINES):
        stopped = AnyCalls(seed).run(STEPS)
        assert stopped.steps == STEPS or stopped.panic or stopped.ended


def test_a_seed_says_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines of a seed do the same: what they log is equal, line by line."""
    logs = []
    for _ in range(2):
        calls = AnyCalls(11)
        monkeypatch.setattr(calls.kernel, "close", lambda: None)
        calls.run(300)
        logs.append([str(line) for line in calls.kernel.log.lines()])
    assert logs[0] == logs[1]


def test_every_design_has_its_turn() -> None:
    assert {AnyCalls(seed).kernel.sysctl["vm.rmap"] for seed in range(5)} == set(DESIGNS)


def test_what_breaks_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = AnyCalls(12)

    def broken() -> None:
        raise KernelBug("I1")

    monkeypatch.setattr(calls.kernel, "check", broken)
    with pytest.raises(KernelBug) as caught:
        calls.run(200)
    assert "seed 12" in caught.value.__notes__[0]


def test_only_a_panic_that_has_its_reason_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def panics() -> None:
        raise KernelPanic("by itself")

    calls = AnyCalls(12)
    monkeypatch.setattr(calls.kernel, "check", panics)
    with pytest.raises(AssertionError, match="by itself"):
        calls.run(200)
    calls = AnyCalls(12)
    monkeypatch.setattr(calls.kernel, "check", panics)
    monkeypatch.setattr(calls.kernel.memory.oom, "choose", lambda asker: None)
    assert calls.run(200).panic == "by itself"
