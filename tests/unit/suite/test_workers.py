"""Workers: jobs apart in one process, and what becomes of a job whose process ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pkern import BranchEnded
from pkern.userland.explore.run import _Budget
from pkern.userland.explore.strategies import Priorities
from pkern.userland.suite import pool
from pkern.userland.suite import workers as owner
from pkern.userland.suite.pool import WallTimeIsUp, run_all
from pkern.userland.suite.workers import Workers
from tests.commands import SECONDS

BIG = 3 << 20  # bytes: more than a socket holds


def do(job):
    """Do what a test asks of a worker."""
    what, *rest = job
    return {
        "pid": os.getpid,
        "raise": lambda: [].pop(),
        "die": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "leave": lambda: os._exit(3),
        "sleep": lambda: time.sleep(SECONDS),
        "big": lambda: bytes(BIG),
        "unpicklable": lambda: lambda: None,
        "length": lambda: len(rest[0]),
        "spin": lambda: spin(*rest),
    }[what]()


def spin(seconds):
    """Take so many seconds of the processor."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


@pytest.fixture
def workers():
    with Workers(do) as some:
        yield some


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_one_process_does_one_job_after_the_other(workers):
    pids = {workers.start(("pid",)).result() for _ in range(5)}
    assert len(pids) == 1
    assert os.getpid() not in pids


def test_jobs_at_once_are_in_processes_of_their_own(workers):
    turns = [workers.start(("pid",)) for _ in range(3)]
    assert len({turn.result() for turn in turns}) == 3


def test_what_goes_in_and_comes_back_may_be_large(workers):
    assert workers.start(("length", bytes(BIG))).result() == BIG
    assert workers.start(("big",)).result() == bytes(BIG)


def test_an_exception_is_the_jobs_and_the_worker_goes_on(workers):
    pid = workers.start(("pid",)).result()
    with pytest.raises(IndexError):
        workers.start(("raise",)).result()
    with pytest.raises(TypeError, match="cannot be pickled"):
        workers.start(("unpicklable",)).result()
    assert workers.start(("pid",)).result() == pid


@pytest.mark.parametrize(("how", "told"), [("die", "SIGKILL"), ("leave", "exit status 3")])
def test_a_worker_that_ends_takes_its_own_job_only(workers, how, told):
    pid = workers.start(("pid",)).result()
    with pytest.raises(BranchEnded, match=told):
        workers.start((how,)).result()
    assert is_gone(pid)
    assert workers.start(("pid",)).result() != pid


def test_a_worker_killed_between_two_jobs_is_replaced(workers):
    pid = workers.start(("pid",)).result()
    os.kill(pid, signal.SIGKILL)
    while Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        time.sleep(0.01)
    assert workers.start(("pid",)).result() != pid
    assert is_gone(pid)


def test_none_is_left_behind():
    with Workers(do) as workers:
        pids = [workers.start(("pid",)).result()]
        turn = workers.start(("sleep",))
        turn.kill()
        turn.kill()
        with pytest.raises(BranchEnded):
            turn.result()
        workers.start(("sleep",))
        pids.append(workers.start(("pid",)).result())
    assert all(map(is_gone, pids))


def test_a_process_ends_after_so_many_jobs(workers, monkeypatch):
    monkeypatch.setattr(owner, "MOST_JOBS", 2)
    pids = [workers.start(("pid",)).result() for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert is_gone(pids[0])


def test_a_job_that_takes_too_long_by_the_hosts_clock(workers):
    """One that does not is given as long as a busy host may take."""

    def ends(seconds, *jobs):
        ended = run_all([(job,) for job in jobs], workers.start, at_once=1, seconds=seconds)
        return [result for _, result in sorted(ended)]

    (first,) = ends(SECONDS, "pid")
    assert [type(result) for result in ends(0.2, "sleep", "sleep")] == [WallTimeIsUp] * 2
    (last,) = ends(SECONDS, "pid")
    assert isinstance(last, int)
    assert last != first


def test_who_waits_for_the_processor_gets_its_time(workers, monkeypatch):
    """On a host where a hundred seconds go by while a process runs for one."""
    monkeypatch.setattr(pool, "monotonic", lambda: 100 * time.monotonic())
    jobs = [("spin", 0.05), ("spin", float("inf")), ("sleep",)]
    ended = dict(run_all(jobs, workers.start, at_once=1, seconds=0.3))
    assert ended[0] is None
    assert isinstance(ended[1], WallTimeIsUp)
    assert isinstance(ended[2], WallTimeIsUp)


def test_who_has_done_its_work_in_time_is_not_late_for_who_looks_late(kernel):
    """It ended long ago: what it told and its end are still to be read."""
    some = pool.Pool(0.1)
    some.add(0, kernel.branch(lambda kernel: "done"))
    time.sleep(0.3)
    ended = []
    while some.running:
        ended += some.wait()
    assert ended == [(0, "done")]


def test_jobs_are_asked_for_when_they_can_be_started(workers):
    """So many that they would not fit into memory."""
    asked = []
    jobs = (asked.append(number) or ("pid",) for number in range(1 << 40))
    ended = run_all(jobs, workers.start, at_once=2, seconds=None)
    for _ in range(3):
        next(ended)
    ended.close()
    assert len(asked) < 10
    assert not list(run_all(iter(()), workers.start, at_once=1 << 80, seconds=None))


def test_numbers_beyond_all_bounds():
    """--budget and --depth of an exploration."""
    assert Priorities("seed", 1 << 80, 5)
    budget = _Budget(1 << 80)
    try:
        assert budget.take()
        budget.give_back()
    finally:
        budget.close()
