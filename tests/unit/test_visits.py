"""The door of a machine: who is inside, when it opens, and what becomes of who waits.

A busy host may let a visitor wait for long before it comes in. So the door stays open here until
all have been inside, or what it does follows from a clock that the test moves.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pkern.kernel import visits as owner
from pkern.kernel.errors import KernelPanic
from pkern.kernel.visits import SHORTEST, Visits
from tests.commands import SECONDS


@pytest.fixture
def visits() -> Iterator[Visits]:
    door = Visits()
    yield door
    door.end()
    door.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a door stay open for as long as somebody waits."""
    monkeypatch.setattr(owner, "SHORTEST", SECONDS)


class Clock:
    """The host's: it goes on a tick when the owner looks at it, and as it is told."""

    TICK = SHORTEST

    def __init__(self) -> None:
        self.now = 0.0
        self._looks = 0

    def __call__(self) -> float:
        if threading.current_thread() is threading.main_thread():
            self._looks += 1
            assert self._looks < 10_000, "the owner is kept out"
            self.now += self.TICK
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds
        self._looks = 0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the doors that are made behind this."""
    made = Clock()
    monkeypatch.setattr(owner, "monotonic", made)
    return made


class Visitor(threading.Thread):
    """Comes in so often, and notes how that ended."""

    def __init__(self, visits: Visits, times: int = 1, error: BaseException | None = None) -> None:
        super().__init__(daemon=True)
        self.visits, self.times, self.error = visits, times, error
        self.done = 0
        self.refused: OSError | None = None
        self.start()

    def run(self) -> None:
        try:
            for _ in range(self.times):
                with self.visits.visit():
                    if self.error is not None:
                        raise self.error
                    self.done += 1
        except OSError as error:
            self.refused = error


def stands_before(visits: Visits, how_many: int = 1) -> None:
    """Wait until so many wait."""
    end = time.monotonic() + SECONDS
    while visits.waiting < how_many:
        assert time.monotonic() < end
        time.sleep(0.001)


def test_nobody_comes_in_while_the_owner_is_inside(patient: None, visits: Visits) -> None:
    visitor = Visitor(visits)
    stands_before(visits)
    time.sleep(0.01)
    assert visitor.done == 0
    visits.let_in()
    visitor.join(SECONDS)
    assert visitor.done == 1 and visits.waiting == 0


def test_visitors_are_inside_one_at_a_time_and_never_with_the_owner(visits: Visits) -> None:
    inside, most, owner = [0], [0], [True]

    def come() -> None:
        for _ in range(50):
            with visits.visit():
                assert not owner[0]
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0)
                inside[0] -= 1

    threads = [threading.Thread(target=come, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        owner[0] = False
        visits.let_in()
        owner[0] = True
        assert inside[0] == 0
    assert most[0] == 1


def test_a_crowd_does_not_keep_the_owner_out(clock: Clock, visits: Visits) -> None:
    """Who comes again and again gets as long as the owner had, and no longer."""
    crowd = [Visitor(visits, 1 << 30) for _ in range(3)]
    stands_before(visits)
    ran = 10 * SHORTEST
    while not any(visitor.done for visitor in crowd):
        clock.go(ran)
        began = clock.now
        visits.let_in()
        assert clock.now - began < ran + 10 * clock.TICK


def test_who_stays_long_waits_as_long(clock: Clock, visits: Visits) -> None:
    """The owner has half of the time, however long each visit takes."""
    visit = 0.05

    class Slow(threading.Thread):
        def run(self) -> None:
            with suppress(OSError):
                while True:
                    with visits.visit():
                        clock.now += visit

    for _ in range(3):
        Slow(daemon=True).start()
    began, away = clock.now, 0.0
    while away < 10 * visit:
        clock.go(0.001)  # a slice
        stands_before(visits)
        came = clock.now
        visits.let_in()
        if clock.now - came > 5 * clock.TICK:  # they were let in: the last time has been paid for
            assert away <= (came - began) / 2 + 5 * clock.TICK
            away += clock.now - came


def test_an_open_door_is_shut_for_a_call(visits: Visits) -> None:
    with visits.opened():
        with visits.shut():
            visitor = Visitor(visits)
            stands_before(visits)
            assert visitor.done == 0
        visitor.join(SECONDS)
        assert visitor.done == 1
    late = Visitor(visits)
    stands_before(visits)
    assert late.done == 0


def test_an_end_sends_away_who_waits_and_who_comes(visits: Visits) -> None:
    waiting = Visitor(visits)
    stands_before(visits)
    visits.end()
    waiting.join(SECONDS)
    late = Visitor(visits)
    late.join(SECONDS)
    for visitor in (waiting, late):
        assert visitor.refused is not None and visitor.refused.errno == errno.ENOTCONN


def test_a_visit_that_wakes_somebody_is_news(visits: Visits) -> None:
    asked = [False]
    with visits.opened(lambda: asked[0]):
        Visitor(visits).join(SECONDS)
        assert not select.select([visits.news], [], [], 0)[0]
        asked[0] = True
        Visitor(visits).join(SECONDS)
        assert select.select([visits.news], [], [], 0)[0]
    assert not select.select([visits.news], [], [], 0)[0]


def test_a_panic_is_the_owners(patient: None, visits: Visits) -> None:
    panic = KernelPanic("no memory")
    visitor = Visitor(visits, error=panic)
    stands_before(visits)
    with pytest.raises(KernelPanic) as raised:
        visits.let_in()
    assert raised.value is panic
    visitor.join(SECONDS)
    assert visitor.refused is not None and visitor.refused.errno == errno.EIO


def test_an_interrupt_comes_behind_the_visit(patient: None, visits: Visits) -> None:
    """Ctrl-C may find a visitor inside: the owner goes on when that one has left."""
    left = [False]

    class Slow(threading.Thread):
        def run(self) -> None:
            with visits.visit():
                os.kill(os.getpid(), 2)
                time.sleep(0.1)
                left[0] = True

    slow = Slow(daemon=True)
    slow.start()
    stands_before(visits)
    with pytest.raises(KeyboardInterrupt):
        visits.let_in()
    assert left[0]
    slow.join(SECONDS)
