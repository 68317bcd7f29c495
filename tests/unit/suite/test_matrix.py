"""On which machines a suite runs: axes, their product, and what is refused."""

from __future__ import annotations

import pytest

from pkern.userland.suite.matrix import BadAxis, boot, read_axis, rows


def test_every_combination():
    axes = [read_axis("rmap=all"), read_axis("vm.nonlinear=0,1"), read_axis("ram=8M, 64M")]
    made = rows(axes, {"swap": "1M", "sysctl": {"vm.swappiness": 10}})
    assert len(made) == 5 * 2 * 2
    assert len({row.label for row in made}) == len(made)
    assert made[-1].boot["swap"] == "1M"
    assert made[0].label.endswith("vm.nonlinear=0,ram=8M")
    assert made[0].boot["sysctl"] == {"vm.swappiness": 10, "vm.nonlinear": "0"}
    assert made[1].boot["ram"] == "64M"


def test_without_an_axis_there_is_one_machine():
    (row,) = rows([], {"ram": "8M"})
    assert row.label == ""
    assert dict(row.boot) == {"ram": "8M", "sysctl": {}}


def test_a_row_boots_with_its_values():
    (row,) = rows([read_axis("vm.nonlinear=1"), read_axis("seed=7")], {"ram": "8M"})
    with boot(row) as kernel:
        assert (kernel.sysctl["vm.nonlinear"], kernel.seed, kernel.ram) == (1, 7, 8 << 20)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ram", "an axis is NAME=VALUE"),
        ("ram=", "an axis is NAME=VALUE"),
        ("ram=8M,,9M", "empty value"),
        ("memory=8M", "neither a sysctl"),
        ("ram=all", "only rmap has a list"),
        ("ram=8M,8M", "a value twice"),
        ("ram=8M,8192K", "a value twice"),
    ],
)
def test_what_is_no_axis(text, complaint):
    with pytest.raises(BadAxis, match=complaint):
        read_axis(text)


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["seed=x"], "seed takes a number"),
        (["ram=8M", "ram=9M"], "stands there twice"),
    ],
)
def test_what_is_no_matrix(texts, complaint):
    with pytest.raises(BadAxis, match=complaint):
        rows([read_axis(text) for text in texts], {})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("vm.nonlinaer=1", "vm.nonlinaer=1: there is no sysctl 'vm.nonlinaer'"),
        ("vm.nonlinear=7", "vm.nonlinear cannot be '7'"),
        ("rmap=fast", "rmap=fast: the machine does not boot"),
        ("ram=1", "ram=1: the machine does not boot"),
    ],
)
def test_a_machine_that_does_not_boot(text, complaint):
    (row,) = rows([read_axis(text)], {"ram": "8M"})
    with pytest.raises(BadAxis, match=complaint):
        boot(row)
