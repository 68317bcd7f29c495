"""A whole suite: every program on every machine, and what each means.

Owns the order of results: machine by machine, as the programs stand in the suite, however the
branches end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

from pkern.kernel.branch import check
from pkern.userland.cluster.share import Elsewhere, Part, digests
from pkern.userland.given import Given
from pkern.userland.harness import TIME_IS_UP, import_all_calls
from pkern.userland.suite import matrix
from pkern.userland.suite.cases import Case, Kind
from pkern.userland.suite.pool import Running, WallTimeIsUp, processors, run_all
from pkern.userland.suite.reports import Result, judged
from pkern.userland.suite.verdicts import BAD, CONVENTIONS, READERS, SubCase, Verdict
from pkern.userland.suite.work import KEPT_BYTES, NOT_EXECUTABLE, Files, Outcome, prepare, run_case
from pkern.userland.suite.workers import Workers

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel

# What an end means that is not the program's own.
REASONS = {TIME_IS_UP: Verdict.TIMEOUT, NOT_EXECUTABLE: Verdict.ERROR}
Progress = Callable[[int, int, str], None]


class Suite(NamedTuple):
    """What is run, and how. given: to each program, its argv's first being its own name.

    convention, reader: names of verdicts.CONVENTIONS and READERS. only: keys, if not all are run.
    seconds: of the host's clock for each, None: for ever. at_once: None: one more than processors.
    """

    cases: Sequence[Case]
    rows: Sequence[matrix.Row]
    given: Given = Given(("program",))
    files: Files = Files()
    convention: str = "plain"
    reader: str | None = None
    expected: tuple[str, ...] = ()
    only: frozenset[str] | None = None
    seconds: float | None = 60.0
    at_once: int | None = None


class _Job(NamedTuple):
    row: int
    case: Case


def run_suite(
    suite: Suite, progress: Progress | None = None, elsewhere: Elsewhere | None = None
) -> Iterator[Result]:
    """Run the suite and give the results in their order, each as soon as those before are there.

    progress: called with (how many have ended, all, the last one's name). elsewhere: where the
    programs are run, None: here. Errors: BadAxis for a machine that does not boot, NotBranchable,
    as work.prepare and Elsewhere.run.
    """
    jobs = list(_jobs(suite))
    ended = _ended_here(suite, jobs) if elsewhere is None else _ended_there(suite, jobs, elsewhere)
    return _in_order(ended, len(jobs), progress)


def _in_order(
    ended: Iterator[tuple[int, Result]], nr_jobs: int, progress: Progress | None
) -> Iterator[Result]:
    early: dict[int, Result] = {}
    given_out = 0
    for count, (number, result) in enumerate(ended, start=1):
        early[number] = result
        if progress is not None:
            progress(count, nr_jobs, result.name)
        while given_out in early:
            yield early.pop(given_out)
            given_out += 1


# ---- where they are run ----


def _ended_here(suite: Suite, jobs: Sequence[_Job]) -> Iterator[tuple[int, Result]]:
    """Give (number, result) as they end."""
    import_all_calls()
    with ExitStack() as stack:
        wanted = {job.row for job in jobs}
        machines = {n: stack.enter_context(matrix.boot(suite.rows[n])) for n in sorted(wanted)}
        for machine in machines.values():
            prepare(machine, suite.files)
            check(machine)
        at_once = suite.at_once or processors() + 1  # one runs while another ends
        workers = stack.enter_context(Workers(partial(_work, suite)))
        start = partial(_start, suite, machines, workers)
        for number, what in run_all(jobs, start, at_once=at_once, seconds=suite.seconds):
            yield number, judged(_result(suite, jobs[number], what), suite.expected)


def _start(suite: Suite, machines: dict[int, Kernel], workers: Workers[_Job], job: _Job) -> Running:
    """Start a program: on a machine of a worker's own, which keeps machine code from all else.

    One in Python runs in the process itself and may change it: it gets a branch that ends with it.
    """
    if job.case.kind is Kind.PYTHON:
        return machines[job.row].branch(run_case, job.case, suite.given, suite.files)
    return workers.start(job)


def _work(suite: Suite, job: _Job) -> Outcome:
    with matrix.boot(suite.rows[job.row]) as machine:
        prepare(machine, suite.files)
        return run_case(machine, job.case, suite.given, suite.files)


def _ended_there(
    suite: Suite, jobs: Sequence[_Job], elsewhere: Elsewhere
) -> Iterator[tuple[int, Result]]:
    """Give (number, result) as parts end: neighbours, which need the fewest machines."""
    size = ceil(len(jobs) / elsewhere.parts)
    slices = [jobs[first : first + size] for first in range(0, len(jobs), size)]
    for part, results in elsewhere.run([_part(suite, jobs) for jobs in slices]):
        yield from enumerate(results, start=part * size)


def _part(suite: Suite, jobs: Sequence[_Job]) -> Part:
    suite = suite._replace(cases=(), only=None, at_once=1)
    return Part(_run_part, (suite, jobs), digests([str(job.case.path) for job in jobs]))


def _run_part(suite: Suite, jobs: Sequence[_Job]) -> list[Result]:
    return [result for _, result in sorted(_ended_here(suite, jobs))]


def _jobs(suite: Suite) -> Iterator[_Job]:
    for number, row in enumerate(suite.rows):
        for case in suite.cases:
            key = Result(case.name, row.label, Verdict.PASS, None, None).key
            if suite.only is None or key in suite.only:
                yield _Job(number, case)


def _result(suite: Suite, job: _Job, what: object) -> Result:
    """Return what came of a job: an outcome, or what its branch raised."""
    name, row = job.case.name, suite.rows[job.row].label
    if isinstance(what, Outcome):
        sub = _told(suite, what)
        verdict, reason = _judge(suite, what, sub)
        return Result(name, row, verdict, reason, what, sub)
    if isinstance(what, WallTimeIsUp):
        return Result(name, row, Verdict.TIMEOUT, f"{suite.seconds:g} s are up (--wall)", None)
    return Result(name, row, Verdict.ERROR, f"{type(what).__name__}: {what}", None)


def _told(suite: Suite, outcome: Outcome) -> tuple[SubCase, ...]:
    """Return the cases that a program told of, where they are looked for."""
    if not suite.reader:
        return ()
    return tuple(READERS[suite.reader](outcome.out.decode(errors="replace")))


def _judge(suite: Suite, outcome: Outcome, sub: Sequence[SubCase]) -> tuple[Verdict, str | None]:
    """Return what a program's own end means, and that of the cases it told of."""
    verdict = CONVENTIONS[suite.convention](outcome.status)
    bad = [case for case in sub if case.verdict in BAD]
    if outcome.reason is not None:
        return REASONS.get(outcome.status, Verdict.FAIL), outcome.reason
    if outcome.signal is not None:
        return Verdict.FAIL, f"ended by {outcome.signal}"
    if bad:
        return Verdict.FAIL, f"{len(bad)} of {len(sub)} cases"
    if suite.reader and len(outcome.out) >= KEPT_BYTES:
        return Verdict.ERROR, "it wrote more than is kept: cases that it told of may be lost"
    if verdict is Verdict.PASS and sub and all(case.verdict is Verdict.SKIP for case in sub):
        return Verdict.SKIP, None
    return verdict, f"exit status {outcome.status}" if verdict in BAD else None
