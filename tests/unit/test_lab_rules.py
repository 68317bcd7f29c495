"""The rules of the lab: numbers on both sides of each threshold."""

import pytest

from pkern.userland.lab import rmap_runs
from pkern.userland.lab.bench import LEAST_ROUNDS, Spread
from pkern.userland.lab.designs import CHAIN, DESIGNS, LIST, TREE, Compared, Run
from pkern.userland.lab.experiment import (
    REGISTRY,
    LabError,
    Outcome,
    Scale,
    Verdict,
    experiment,
    run,
)
from pkern.userland.lab.experiments import (
    emulator,
    entry_cost,
    fork_cost,
    gate,
    guest_clock,
    guest_memory,
    large_pages,
    many_files,
    mmap_tests,
    out_of_memory,
    remap_cost,
    reverse_remap,
    rmap_tests,
    truncate,
    vma_count,
    windows,
)

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
    (vma_count.rule, FLAT | {"search": 30.1}, HOLDS),
    (vma_count.rule, FLAT | {"search": 29}, FAILS),
    (vma_count.rule, FLAT | {"fixed": 3.1}, FAILS),
    (vma_count.rule, FLAT | {"fixed": 2.9}, WHEN),
    (vma_count.rule, FLAT | {"first_fit": 29}, FAILS),
    (vma_count.rule, FLAT | {"reached": 8}, FAILS),
]


RIGHT = {"refused": 1, "fell_back": 1, "same_sum": 1, "same_memory": 1}
CASES += [(emulator.rule, RIGHT, HOLDS)]
CASES += [(emulator.rule, RIGHT | {name: 0}, FAILS) for name in RIGHT]

ENTRY = {"share_2_4": 0.001, "share_objrmap": 0.001, "share_flood": 0.2}
CASES += [
    (entry_cost.rule, ENTRY, WHEN),
    (entry_cost.rule, ENTRY | {"share_flood": 0.009}, FAILS),
    (entry_cost.rule, ENTRY | {"share_2_4": 0.02}, FAILS),
    (entry_cost.rule, ENTRY | {"share_2_4": 0.5}, HOLDS),
    (entry_cost.rule, ENTRY | {"share_objrmap": 0.5}, HOLDS),
]

CASES += [
    (fork_cost.rule, {"fork": 1.05, "reclaim": 1, "crossover": 0}, FAILS),
    (fork_cost.rule, {"fork": 1.06, "reclaim": 1.05, "crossover": 1}, HOLDS),
    (fork_cost.rule, {"fork": 1.06, "reclaim": 1.06, "crossover": 1}, WHEN),
]

CLOCKS = {
    "fast_lead": 0,
    "sysctl_lead": 86400,
    "prctl_lead": 86400,
    "fast_traps": 0,
    "traps_a_call": 1,
    "sysctl_selects": 0,
    "prctl_selects": 9,
}
WRONG_CLOCKS = (
    {"fast_lead": 60},
    {"fast_traps": 1},
    {"sysctl_lead": 86340},
    {"prctl_lead": 0},
    {"traps_a_call": 2},
    {"sysctl_selects": 9},
)
CASES += [(guest_clock.rule, CLOCKS, HOLDS)]
CASES += [(guest_clock.rule, CLOCKS | wrong, FAILS) for wrong in WRONG_CLOCKS]

GUEST = {"same": 1, "vmas_nonlinear": 1, "vmas_mmap": 100, "slowdown": 1.1}
CASES += [
    (guest_memory.rule, GUEST, HOLDS),
    (guest_memory.rule, GUEST | {"slowdown": 1.0}, WHEN),
    (guest_memory.rule, GUEST | {"vmas_mmap": 99}, FAILS),
    (guest_memory.rule, GUEST | {"vmas_nonlinear": 2}, FAILS),
    (guest_memory.rule, GUEST | {"same": 0}, FAILS),
]

LARGE = {"outsiders_refused": 2, "allowed": 2, "empty_refused": 2, "table_ratio": 10}
CASES += [(large_pages.rule, LARGE, HOLDS), (large_pages.rule, LARGE | {"table_ratio": 9}, FAILS)]
CASES += [(large_pages.rule, LARGE | {name: 1}, FAILS) for name in LARGE if name != "table_ratio"]

CASES += [
    (mmap_tests.rule, {"tree": 1.25, "list_walk": 100, "tree_walk": 10}, HOLDS),
    (mmap_tests.rule, {"tree": 1.26, "list_walk": 100, "tree_walk": 10}, WHEN),
    (mmap_tests.rule, {"tree": 1.25, "list_walk": 99, "tree_walk": 10}, FAILS),
]

OOM = {"gave_up": 1, "freeable": 1, "needed": 3, "deadlock_found": 1, "failed": 1}
CASES += [
    (out_of_memory.rule, OOM, HOLDS),
    (out_of_memory.rule, OOM | {"needed": out_of_memory.MOST_PASSES}, FAILS),
]
CASES += [(out_of_memory.rule, OOM | {name: 0}, FAILS) for name in OOM if name != "needed"]

LINEAR = {"list_over_chain": 1.1, "tree_over_chain": 1.25, "list_visits": 100, "tree_visits": 10}
CASES += [
    (rmap_tests.rule_linear, LINEAR, HOLDS),
    (rmap_tests.rule_linear, LINEAR | {"list_over_chain": 1.0}, WHEN),
    (rmap_tests.rule_linear, LINEAR | {"tree_over_chain": 1.26}, WHEN),
    (rmap_tests.rule_linear, LINEAR | {"list_visits": 99}, FAILS),
]

RANDOM = {"list_over_chain": 1, "tree_over_chain": 1, "list_roomy": 1, "tree_roomy": 1}
CASES += [
    (rmap_tests.rule_random, RANDOM, HOLDS),
    (rmap_tests.rule_random, RANDOM | {"list_over_chain": 1.1}, WHEN),
    (rmap_tests.rule_random, RANDOM | {"tree_over_chain": 1.1}, WHEN),
    (rmap_tests.rule_random, RANDOM | {"list_over_chain": 1.1, "list_roomy": 1.1}, FAILS),
    (rmap_tests.rule_random, RANDOM | {"list_over_chain": 1.1, "tree_roomy": 1.1}, FAILS),
]

MIXED = {"position": 2, "index": 0, "ours": 0, "separate": 0}
CASES += [
    (truncate.rule, MIXED, WHEN),
    (truncate.rule, MIXED | {"index": 1}, HOLDS),
    (truncate.rule, MIXED | {"ours": 1}, HOLDS),
    (truncate.rule, MIXED | {"position": 0}, FAILS),
    (truncate.rule, MIXED | {"separate": 1}, FAILS),
]

KEPT = {"shown": 8, "left_cache": 8, "frames_live": 8, "leaked": 0, "freed": 8, "pages": 8}
CASES += [(truncate.rule_kept, KEPT, HOLDS), (truncate.rule_kept, KEPT | {"leaked": 1}, FAILS)]
CASES += [
    (truncate.rule_kept, KEPT | {name: 7}, FAILS)
    for name in ("shown", "left_cache", "frames_live", "freed")
]

WINDOW = {"fits": 9, "wanted": 9, "entries_ptes": 1, "entries_handler": 4, "slower": 1.1}
CASES += [
    (windows.rule, WINDOW, HOLDS),
    (windows.rule, WINDOW | {"fits": 8}, WHEN),
    (windows.rule, WINDOW | {"entries_handler": 1}, FAILS),
    (windows.rule, WINDOW | {"slower": 1.0}, FAILS),
]


def test_every_rule_stands_in_the_table():
    assert {case[0] for case in CASES} == {chosen.rule for chosen in REGISTRY.values()}


@pytest.mark.parametrize(("rule", "measures", "verdict"), CASES)
def test_rule(rule, measures, verdict):
    assert judged(rule, measures) is verdict


def judged(rule, measures, width=0.0, rounds=LEAST_ROUNDS):
    """Return the verdict; the measures that are times are ranges so wide."""
    times = [name for name, kind in rule.__annotations__.items() if kind == "Spread"]
    ranges = {
        name: Spread(measures[name], measures[name] - width, measures[name] + width, rounds)
        for name in times
    }
    return rule(**measures | ranges).verdict


OVER_TIMES = [case for case in CASES if "Spread" in case[0].__annotations__.values()]


@pytest.mark.parametrize(("rule", "measures", "verdict"), OVER_TIMES)
def test_a_range_with_both_answers_or_too_few_rounds_decide_nothing(rule, measures, verdict):
    """What counts alone refuse is refused whatever the times are; the rest is left open."""
    counted = judged(rule, measures, width=1e6) is FAILS
    if counted:
        assert verdict is FAILS
        return
    assert judged(rule, measures, width=1e6) is Verdict.NOT_DECIDED
    assert judged(rule, measures, rounds=LEAST_ROUNDS - 1) is Verdict.NOT_DECIDED


def test_rules_over_times_are_those_whose_verdict_a_time_changes():
    assert {case[0] for case in OVER_TIMES} == {
        fork_cost.rule,
        guest_memory.rule,
        mmap_tests.rule,
        remap_cost.rule,
        reverse_remap.rule,
        rmap_tests.rule_linear,
        rmap_tests.rule_random,
        vma_count.rule,
        windows.rule,
    }


def test_a_verdict_that_is_not_explained_is_refused(monkeypatch):
    from pkern.userland.lab.experiment import REGISTRY, fails

    def rule(*, x: float):
        """Never."""
        return fails("x")

    def program(scale):
        """Nothing."""
        return Outcome({}, {"x": 1}, "nothing", ())

    monkeypatch.setattr("pkern.userland.lab.experiment.REGISTRY", dict(REGISTRY))
    experiment("none", title="None", claims=("C1",), rule=rule)(program)
    from pkern.userland.lab import experiment as module

    with pytest.raises(LabError, match="not explained"):
        run(module.REGISTRY["none"], Scale.TINY)


def test_first_fit_visits_what_lies_below_the_gap():
    from pkern.kernel.mm.mm import Vma

    vmas = [Vma(start, start + 1, 0, 0, 0, 0) for start in (10, 12, 14, 20)]
    assert vma_count.first_fit_visits(vmas, 10, 1) == 2  # 11 is free, seen at the second
    assert vma_count.first_fit_visits(vmas, 10, 3) == 4  # 15..20, seen at the fourth
    assert vma_count.first_fit_visits(vmas, 10, 9) == 4  # beyond the last
    assert vma_count.first_fit_visits(vmas, 16, 1) == 1


# ---- what the explanations compute ----


def done(list_ns, list_visits):
    """Return a comparison: chains and the tree take 1,000 ns, the tree visits nothing."""
    counts = {"rmap_vma_visits": 0.0}
    runs = {design: [Run(1000, counts)] for design in DESIGNS}
    runs[LIST] = [Run(list_ns, {"rmap_vma_visits": list_visits})]
    return Compared(runs)


def test_the_price_of_a_visit_is_what_the_list_pays_beyond_the_tree():
    seen = done(list_ns=3000, list_visits=500)
    assert rmap_tests._visit_ns(seen) == 4
    assert rmap_tests._list_over_chain(seen, 4) == 3
    assert rmap_tests._list_over_chain(seen, 8) == 5
    assert rmap_tests._visit_ns_for(seen, 5) == 8


def test_a_list_that_is_no_slower_pays_nothing_for_a_visit():
    assert rmap_tests._visit_ns(done(list_ns=900, list_visits=500)) == 0


def test_the_crossover_of_fork_and_reclaim():
    def costs(chain, tree):
        return Compared({CHAIN: [Run(chain, {})], TREE: [Run(tree, {})]})

    fork, reclaim = costs(chain=10, tree=8), costs(chain=20, tree=50)
    assert fork_cost.crossover(fork, reclaim, TREE) == 15
    assert fork_cost.crossover(fork, costs(chain=50, tree=20), TREE) == 0
    assert fork_cost.crossover(costs(chain=8, tree=10), reclaim, TREE) == float("inf")


def test_the_full_machine_is_256_mb_and_what_64_bit_tables_take_more():
    first = rmap_runs.TESTS[0]
    assert rmap_runs.scaled(first, Scale.FULL) == first.full
    ram = rmap_runs.ram_for(first, first.full)
    tables = 101 * (118 - 59) * 4096
    vmas = 10_100 * (rmap_runs.VMA_BYTES[64] - rmap_runs.VMA_BYTES[32])
    assert abs(ram - (256 * (1 << 20) + tables + vmas)) < 4096


@pytest.mark.parametrize("setup", rmap_runs.TESTS)
def test_a_smaller_run_has_the_same_pressure(setup):
    whole = rmap_runs.ram_for(setup, setup.full) / rmap_runs.wanted(setup.full)
    small = rmap_runs.scaled(setup, Scale.DEFAULT)
    assert rmap_runs.ram_for(setup, small) / rmap_runs.wanted(small) == pytest.approx(whole, 1e-3)
