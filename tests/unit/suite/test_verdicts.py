"""What exit statuses and outputs mean: the conventions, TAP and GoogleTest."""

from __future__ import annotations

import pytest

from pkern.userland.suite.verdicts import CONVENTIONS, SubCase, Verdict, read_gtest, read_tap

PASS, FAIL, SKIP, ERROR = Verdict.PASS, Verdict.FAIL, Verdict.SKIP, Verdict.ERROR
XFAIL, XPASS = Verdict.XFAIL, Verdict.XPASS


@pytest.mark.parametrize(
    ("convention", "verdicts"),
    [
        ("plain", {0: PASS, 1: FAIL, 77: FAIL, 134: FAIL}),
        ("automake", {0: PASS, 1: FAIL, 77: SKIP, 99: ERROR, 139: FAIL}),
        ("kselftest", {0: PASS, 1: FAIL, 2: XFAIL, 3: XPASS, 4: SKIP, 137: FAIL}),
        # Bits of the Linux Test Project: TFAIL 1, TBROK 2, TWARN 4, TCONF 32.
        ("ltp", {0: PASS, 1: FAIL, 2: ERROR, 3: ERROR, 4: PASS, 5: FAIL, 32: SKIP, 33: FAIL}),
    ],
)
def test_exit_statuses(convention, verdicts):
    means = CONVENTIONS[convention]
    assert {status: means(status) for status in verdicts} == verdicts


def test_ltp_takes_no_signal_for_bits():
    assert CONVENTIONS["ltp"](128 + 32) is FAIL


def test_tap():
    output = """\
TAP version 13
1..7
ok 1 - plain
not ok 2 - broken
# a comment
ok 3 # SKIP no such device
not ok 4 - later # TODO not written
ok 5 - early # TODO
ok
    ok 1 - of a subtest
"""
    assert read_tap(output) == [
        SubCase("plain", PASS),
        SubCase("broken", FAIL),
        SubCase("3", SKIP, "no such device"),
        SubCase("later", XFAIL, "not written"),
        SubCase("early", XPASS),
        SubCase("6", PASS),
        SubCase("7", ERROR, "did not run"),
    ]


def test_tap_that_bails_out():
    assert read_tap("1..3\nok 1\nBail out! no memory\n") == [
        SubCase("1", PASS),
        SubCase("Bail out!", ERROR, "no memory"),
    ]


def test_tap_of_a_program_that_tells_nothing():
    assert read_tap("hello\nokay then\n") == []


def test_gtest():
    output = """\
[==========] Running 4 tests from 1 test suite.
[ RUN      ] Ring.Wraps
[       OK ] Ring.Wraps (0 ms)
[ RUN      ] Ring.Grows
ring.cc:12: Failure
[  FAILED  ] Ring.Grows (1 ms)
[ RUN      ] Ring.Huge/2
[  SKIPPED ] Ring.Huge/2 (0 ms)
[ RUN      ] Ring.Dies
[  FAILED  ] 1 test, listed below:
"""
    assert read_gtest(output) == [
        SubCase("Ring.Wraps", PASS),
        SubCase("Ring.Grows", FAIL, "ring.cc:12: Failure"),
        SubCase("Ring.Huge/2", SKIP),
        SubCase("Ring.Dies", ERROR, "[  FAILED  ] 1 test, listed below:\nit did not end"),
    ]


@pytest.mark.parametrize("plan", ["2000000000", "9" * 5000])
def test_a_plan_of_any_number_is_told_at_once(plan):
    done, lacking = read_tap(f"1..{plan}\nok 1\n")
    assert (done.verdict, lacking.verdict) == (PASS, ERROR)
    assert lacking.name == f"2 to {plan[:18]}"
