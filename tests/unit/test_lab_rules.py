"""The rules of the lab: numbers on both sides of each threshold."""

import pytest

from userland.lab import gate, many_files, remap_cost, reverse_remap, vma_count
from userland.lab.experiment import LabError, Outcome, Scale, Verdict, experiment, run

HOLDS, FAILS, WHEN = Verdict.HOLDS, Verdict.DOES_NOT_HOLD, Verdict.HOLDS_ONLY_WHEN

CASES = [
    (gate.rule, {"refused_closed": 3, "refused_open": 0, "calls": 3}, HOLDS),
    (gate.rule, {"refused_closed": 2, "refused_open": 0, "calls": 3}, FAILS),
    (gate.rule, {"refused_closed": 3, "refused_open": 1, "calls": 3}, FAILS),
    (many_files.rule, {"right": 9, "pages": 9, "vmas": 1, "others_vmas": 9}, HOLDS),
    (many_files.rule, {"right": 8, "pages": 9, "vmas": 1, "others_vmas": 9}, FAILS),
    (many_files.rule, {"right": 9, "pages": 9, "vmas": 2, "others_vmas": 9}, FAILS),
    (many_files.rule, {"right": 9, "pages": 9, "vmas": 1, "others_vmas": 4}, FAILS),
    (remap_cost.rule, {"special": 0, "others": 9, "special_ops": 0, "speed": 1}, HOLDS),
    (remap_cost.rule, {"special": 0, "others": 0, "special_ops": 0, "speed": 1.06}, HOLDS),
    (remap_cost.rule, {"special": 0, "others": 0, "special_ops": 0, "speed": 1.04}, WHEN),
    (remap_cost.rule, {"special": 0, "others": 9, "special_ops": 0, "speed": 0.94}, FAILS),
    (remap_cost.rule, {"special": 1, "others": 9, "special_ops": 0, "speed": 2}, FAILS),
    (remap_cost.rule, {"special": 0, "others": 9, "special_ops": 0.1, "speed": 2}, FAILS),
    (reverse_remap.rule, {"over_a": 1.1, "over_b": 1.1, "wrong": 0}, HOLDS),
    (reverse_remap.rule, {"over_a": 1.1, "over_b": 1.0, "wrong": 0}, WHEN),
    (reverse_remap.rule, {"over_a": 1.0, "over_b": 1.1, "wrong": 0}, FAILS),
    (reverse_remap.rule, {"over_a": 1.1, "over_b": 1.1, "wrong": 1}, FAILS),
]

FLAT = {"growth": 60, "fixed": 1, "search": 1, "first_fit": 60, "reached": 9, "asked": 9}
CASES += [
    (vma_count.rule, FLAT, WHEN),
    (vma_count.rule, FLAT | {"search": 30}, HOLDS),
    (vma_count.rule, FLAT | {"search": 29}, FAILS),
    (vma_count.rule, FLAT | {"fixed": 3.1}, FAILS),
    (vma_count.rule, FLAT | {"fixed": 2.9}, WHEN),
    (vma_count.rule, FLAT | {"first_fit": 29}, FAILS),
    (vma_count.rule, FLAT | {"reached": 8}, FAILS),
]


@pytest.mark.parametrize(("rule", "measures", "verdict"), CASES)
def test_rule(rule, measures, verdict):
    assert rule(**measures).verdict is verdict


def test_a_verdict_that_is_not_explained_is_refused(monkeypatch):
    from userland.lab.experiment import REGISTRY, fails

    def rule(*, x: float):
        """Never."""
        return fails("x")

    def program(scale):
        """Nothing."""
        return Outcome({}, {"x": 1}, "nothing", ())

    monkeypatch.setattr("userland.lab.experiment.REGISTRY", dict(REGISTRY))
    experiment("none", title="None", claims=("C1",), rule=rule)(program)
    from userland.lab import experiment as module

    with pytest.raises(LabError, match="not explained"):
        run(module.REGISTRY["none"], Scale.TINY)


def test_first_fit_visits_what_lies_below_the_gap():
    from kernel.mm import Vma

    vmas = [Vma(start, start + 1, 0, 0, 0, 0) for start in (10, 12, 14, 20)]
    assert vma_count.first_fit_visits(vmas, 10, 1) == 2  # 11 is free, seen at the second
    assert vma_count.first_fit_visits(vmas, 10, 3) == 4  # 15..20, seen at the fourth
    assert vma_count.first_fit_visits(vmas, 10, 9) == 4  # beyond the last
    assert vma_count.first_fit_visits(vmas, 16, 1) == 1
