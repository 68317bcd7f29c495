"""What a suite writes: each format is read back by a reader of its own."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from pkern.userland.suite.reports import (
    Result,
    as_json,
    as_junit,
    as_tap,
    failed_before,
    judged,
    read_expected,
    summary,
    told,
)
from pkern.userland.suite.run import Suite, _judge
from pkern.userland.suite.verdicts import SubCase, Verdict, read_tap
from pkern.userland.suite.work import KEPT_BYTES, Outcome


def outcome(status: int = 0, out: bytes = b"", err: bytes = b"") -> Outcome:
    return Outcome(status, None, None, out, err, ("[ 0.1] line",), 5, 0.25)


RESULTS = [
    Result("a", "ram=8M", Verdict.PASS, None, outcome()),
    Result(
        "b#1", "ram=8M", Verdict.FAIL, "exit status 3", outcome(3, b"o\x00\xff\n", b"bad & <x>")
    ),
    Result("a", "ram=9M", Verdict.SKIP, None, outcome(77)),
    Result("b#1", "ram=9M", Verdict.XFAIL, "exit status 3", outcome(3)),
    Result("c", "ram=9M", Verdict.TIMEOUT, "60 s are up", None),
    Result(
        "d",
        "ram=9M",
        Verdict.FAIL,
        "1 of 2 cases",
        outcome(1),
        (SubCase("x", Verdict.PASS), SubCase("y", Verdict.FAIL, "why")),
    ),
]


def test_junit():
    root = ElementTree.fromstring(as_junit(RESULTS).encode())
    suites = {suite.get("name"): suite for suite in root}
    counts = {
        name: [suite.get(key) for key in ("tests", "failures", "errors", "skipped")]
        for name, suite in suites.items()
    }
    assert counts == {"ram=8M": ["2", "1", "0", "0"], "ram=9M": ["5", "2", "0", "2"]}
    (broken,) = suites["ram=8M"].findall("testcase[@name='b#1']")
    assert broken.find("failure").get("message") == "exit status 3"
    assert broken.find("system-err").text == "bad & <x>"
    assert broken.find("system-out").text == "o\ufffd\ufffd\n"
    (sub,) = suites["ram=9M"].findall("testcase[@name='y']")
    assert (sub.get("classname"), sub.find("failure").get("message")) == ("d", "why")


def test_junit_has_the_output_of_many_cases_once():
    cases = tuple(SubCase(str(number), Verdict.PASS) for number in range(3))
    text = as_junit([Result("a", "", Verdict.PASS, None, outcome(0, b"what it wrote"), cases)])
    assert text.count("<testcase ") == 3
    assert text.count("what it wrote") == 1


@pytest.mark.parametrize(
    ("verdict", "case", "elements"),
    [
        (Verdict.FAIL, Verdict.PASS, ["failure"]),  # it crashed behind its last case
        (Verdict.XPASS, Verdict.PASS, ["failure"]),
        (Verdict.FAIL, Verdict.FAIL, ["failure"]),
        (Verdict.XFAIL, Verdict.FAIL, ["skipped"]),
        (Verdict.XFAIL, Verdict.PASS, []),
        (Verdict.PASS, Verdict.PASS, []),
    ],
)
def test_junit_tells_how_a_program_of_many_cases_ended(verdict, case, elements):
    result = Result("a", "", verdict, "ended by SIGSEGV", outcome(), (SubCase("x", case),))
    root = ElementTree.fromstring(as_junit([result]).encode())
    found = [one.tag for one in root.iter() if one.tag in {"failure", "error", "skipped"}]
    assert found == elements


def test_tap_is_read_as_it_was_meant():
    cases = read_tap(as_tap(RESULTS))
    assert [case.verdict for case in cases] == [
        Verdict.PASS,
        Verdict.FAIL,
        Verdict.SKIP,
        Verdict.XFAIL,
        Verdict.FAIL,
        Verdict.FAIL,
    ]


def test_json_names_what_failed(tmp_path):
    page = tmp_path / "results.json"
    page.write_text(as_json(RESULTS))
    assert failed_before(page) == {"b#1 [ram=8M]", "c [ram=9M]", "d [ram=9M]"}
    assert json.loads(page.read_text())["results"][1]["status"] == 3
    page.write_text("[]")
    with pytest.raises(ValueError, match="no page that --json has written"):
        failed_before(page)


def test_expected_failures(tmp_path):
    file = tmp_path / "known.txt"
    file.write_text("# what we know of\nb* [ram=8M]  # only there\n\na\n")
    expected = read_expected(file)
    assert expected == ("b* [ram=8M]", "a")
    verdicts = [judged(result._replace(verdict=v), expected).verdict for result, v in (
        (RESULTS[1], Verdict.FAIL), (RESULTS[3], Verdict.FAIL), (RESULTS[0], Verdict.PASS),
        (RESULTS[4], Verdict.TIMEOUT),
    )]  # fmt: skip
    assert verdicts == [Verdict.XFAIL, Verdict.FAIL, Verdict.XPASS, Verdict.TIMEOUT]


def test_what_is_told():
    lines = told(RESULTS[1])
    assert lines[0] == "FAIL     b#1 [ram=8M]: exit status 3"
    assert "    err| bad & <x>" in lines
    assert told(RESULTS[0]) == ["PASS     a [ram=8M]"]
    assert summary(RESULTS, 1.5) == (
        "6 runs in 1.5 s: 1 pass, 2 fail, 1 skip, 1 expected failure, 1 timeout"
    )


@pytest.mark.parametrize(("reader", "verdict"), [("tap", Verdict.ERROR), (None, Verdict.PASS)])
def test_cases_of_an_output_that_was_cut_are_no_pass(reader, verdict):
    long = outcome(0, bytes(KEPT_BYTES))
    assert _judge(Suite((), (), reader=reader), long, ())[0] is verdict
