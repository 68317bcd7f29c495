"""The door of a machine: who is inside, when it opens, and what becomes of who waits."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from pkern.kernel.errors import KernelPanic
from pkern.kernel.visits import SHORTEST, Visits
from tests.commands import SECONDS


@pytest.fixture
def visits() -> Iterator[Visits]:
    door = Visits()
    yield door
    door.end()
    door.close()


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


def test_nobody_comes_in_while_the_owner_is_inside(visits: Visits) -> None:
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


def test_a_crowd_does_not_keep_the_owner_out(visits: Visits) -> None:
    """Who comes again and again gets as long as the owner had, and no longer."""
    crowd = [Visitor(visits, 1 << 30) for _ in range(3)]
    stands_before(visits)
    visits.let_in()
    began = time.monotonic()
    visits.let_in()
    assert time.monotonic() - began < 100 * SHORTEST
    assert sum(visitor.done for visitor in crowd) > 0


def test_who_stays_long_waits_as_long(visits: Visits) -> None:
    """The owner has half of the time, however long each visit takes."""

    class Slow(threading.Thread):
        def run(self) -> None:
            with suppress(OSError):
                while True:
                    with visits.visit():
                        time.sleep(0.05)

    for _ in range(3):
        Slow(daemon=True).start()
    began, away = time.monotonic(), 0.0
    while (now := time.monotonic()) < began + 1:
        time.sleep(0.001)  # a slice
        if visits.waiting:
            came = time.monotonic()
            visits.let_in()
            away += time.monotonic() - came
    assert 0.05 < away < 0.65 * (now - began)


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


def test_a_panic_is_the_owners(visits: Visits) -> None:
    panic = KernelPanic("no memory")
    visitor = Visitor(visits, error=panic)
    stands_before(visits)
    with pytest.raises(KernelPanic) as raised:
        visits.let_in()
    assert raised.value is panic
    visitor.join(SECONDS)
    assert visitor.refused is not None and visitor.refused.errno == errno.EIO


def test_an_interrupt_comes_behind_the_visit(visits: Visits) -> None:
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
        visits.let_in()
    assert left[0]
    slow.join(SECONDS)
