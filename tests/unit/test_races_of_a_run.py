"""Data races by happens-before, and the orders that matter, of runs written down by hand."""

from __future__ import annotations

import pytest

from pkern.kernel.cpu.processor import Access
from pkern.userland.explore import dpor
from pkern.userland.explore.objects import EMPTY, EVERYTHING, Footprint, of_accesses
from pkern.userland.explore.races import is_locked, races
from pkern.userland.explore.trace import Call, Step

PLAIN, LOCKED = 0x100, 0x200
CODE = {PLAIN: b"\x89\x07", LOCKED: b"\xf0\x0f\xb1\x17"}  # mov, lock cmpxchg
WRITE, READ = 1, 0


def at(addr: int, writes: int, rip: int = PLAIN) -> Access:
    return Access(0x9000 + addr, addr, 4, writes, rip)


def step(pid: int, *accesses: Access, calls: tuple[Call, ...] = (), made: tuple[int, ...] = ()):
    footprint = of_accesses(accesses)
    for call in calls:
        footprint |= call.footprint
    return Step(pid, (1, 2), 1, footprint, made, accesses, calls)


def call(*what: object) -> Call:
    return Call(0, (), Footprint(writes=frozenset(what)))


def test_a_store_and_a_load_that_nothing_orders():
    (race,) = races([step(1, at(0x10, WRITE)), step(2, at(0x10, READ))], CODE)
    assert [(site.pid, site.writes) for site in race] == [(1, True), (2, False)]
    assert not races([step(1, at(0x10, READ)), step(2, at(0x10, READ))], CODE)
    assert not races([step(1, at(0x10, WRITE)), step(2, at(0x14, WRITE))], CODE)


def test_a_race_that_the_run_does_not_show_side_by_side():
    steps = [
        step(1, at(0x10, WRITE)),
        step(2, calls=(call(("files", 1)),)),
        step(2, at(0x10, READ)),
    ]
    assert len(races(steps, CODE)) == 1  # a table of descriptors orders nothing


@pytest.mark.parametrize("what", [("futex", 0x40), ("file", 7), ("tasks", None)])
def test_what_orders(what):
    between = (call(what),)
    steps = [step(1, at(0x10, WRITE)), step(1, calls=between), step(2, calls=between)]
    assert not races([*steps, step(2, at(0x10, READ))], CODE)
    wrong_way = [step(2, calls=between), step(1, at(0x10, WRITE)), step(1, calls=between)]
    assert len(races([*wrong_way, step(2, at(0x10, READ))], CODE)) == 1


def test_a_task_knows_what_came_before_it_was_made():
    assert not races([step(1, at(0x10, WRITE), made=(2,)), step(2, at(0x10, READ))], CODE)
    late = [step(1, made=(2,)), step(1, at(0x10, WRITE)), step(2, at(0x10, READ))]
    assert len(races(late, CODE)) == 1


def test_a_locked_word_synchronises():
    lock = [step(1, at(0x10, WRITE)), step(1, at(0x40, WRITE, LOCKED))]
    assert not races([*lock, step(2, at(0x40, READ)), step(2, at(0x10, READ))], CODE)
    assert len(races([*lock, step(2, at(0x10, READ))], CODE)) == 1


@pytest.mark.parametrize(
    ("code", "locked"),
    [
        (b"\xf0\xff\x07", True),
        (b"\x66\xf0\x0f\xc1\x07", True),
        (b"\x48\x87\x07", True),
        (b"\x86\x07", True),
        (b"\x48\x89\x07", False),
        (b"", False),
    ],
)
def test_instructions_that_lock_the_bus(code, locked):
    assert is_locked(code) is locked


def test_what_depends():
    store, load = of_accesses([at(0x10, WRITE)]), of_accesses([at(0x10, READ)])
    assert store.depends_on(load)
    assert load.depends_on(store)
    assert not load.depends_on(load)
    assert EVERYTHING.depends_on(load)
    assert not EVERYTHING.depends_on(EMPTY)


def test_only_dependent_steps_are_turned_round():
    steps = [step(1, at(0x10, WRITE)), step(2, at(0x20, WRITE)), step(2, at(0x10, READ))]
    ((turned, wanted),) = dpor.races(steps)
    assert (turned, wanted) == (steps[0], {2})
    assert not list(dpor.races([step(1, at(0x10, READ)), step(2, at(0x10, READ))]))
