"""One state, one hash: by whatever way a machine came to it, and wherever its frames lie."""

from __future__ import annotations

import pytest

from pkern.kernel.machine import Kernel
from pkern.kernel.state import NotHashable, state_hash
from pkern.userland.program import Sys

PAGE, RW, PRIVATE_ANON = 4096, 3, 0x22


class Two:
    """A machine with two tasks, each with two pages, and a file; its acts are letters."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.tasks = [Sys(kernel.spawn()), Sys(kernel.spawn())]
        self.pages = [sys.mmap(0, 2 * PAGE, RW, PRIVATE_ANON, -1, 0) for sys in self.tasks]
        first = self.tasks[0]
        self.fd = first.open("/tmp/file", first.O_RDWR | first.O_CREAT, 0o600)
        self.ends = first.pipe2(0)

    def act(self, letters: str) -> bytes:
        acts = {
            "a": lambda: self.tasks[0].store(self.pages[0], b"one"),
            "b": lambda: self.tasks[1].store(self.pages[1], b"two"),
            "A": lambda: self.tasks[0].store(self.pages[0], b"eno"),
            "w": lambda: self.tasks[0].pwrite64(self.fd, b"text", 0),
            "W": lambda: self.tasks[0].pwrite64(self.fd, b"TEXT", 0),
            "p": lambda: self.tasks[0].write(self.ends[1], b"x"),
            "s": lambda: self.kernel.sysctl.__setitem__("vm.swappiness", 7),
            "x": lambda: self.tasks[1].exit(3),
            "n": lambda: self.tasks[0].mprotect(self.pages[0], PAGE, 1),
            "l": lambda: self.tasks[0].lseek(self.fd, 9, 0),
        }
        for letter in letters:
            acts[letter]()
        return state_hash(self.kernel)


def reached(letters: str, **boot: object) -> bytes:
    with Kernel(ram="1M", **boot) as kernel:  # type: ignore[arg-type]
        return Two(kernel).act(letters)


def test_another_way_to_the_same_state_has_the_same_hash():
    assert reached("ab") == reached("ba")  # in other frames
    assert reached("aba") == reached("ab")
    assert reached("Aab") == reached("ba")
    assert reached("wab") == reached("bwa")


@pytest.mark.parametrize("rmap", ["pte_chain", "objrmap", "virtual_scan"])
def test_the_reverse_map_is_no_state(rmap):
    assert reached("abw", rmap=rmap) == reached("abw")


def test_each_state_has_its_own():
    ways = ["", "a", "b", "A", "ab", "w", "W", "p", "pp", "s", "x", "n", "l"]
    assert len({reached(way) for way in ways}) == len(ways)


def test_looking_changes_nothing():
    with Kernel(ram="1M") as kernel:
        two = Two(kernel)
        faults = int(kernel.counters.pgfault)
        assert two.act("ab") == two.act("") == kernel.state_hash()
        assert int(kernel.counters.pgfault) == faults + 2


def test_a_wide_mapping_costs_what_is_in_it():
    with Kernel(ram="1M", sysctl={"vm.overcommit_memory": 1}) as kernel:
        sys = Sys(kernel.spawn())
        before = state_hash(kernel)
        addr = sys.mmap(0, 1 << 40, RW, PRIVATE_ANON, -1, 0)
        wide = state_hash(kernel)
        sys.store(addr + (1 << 39), b"far")
        assert len({before, wide, state_hash(kernel)}) == 3


def test_a_machine_that_swaps_is_refused():
    with Kernel(ram="1M", swap="1M") as kernel:
        two = Two(kernel)
        two.act("ab")
        while kernel.memory.reclaim(1 << 20):
            pass
        with pytest.raises(NotHashable, match="in swap"):
            state_hash(kernel)


def test_bytes_of_chance_that_were_taken_count():
    with Kernel(ram="1M") as kernel:
        before = kernel.state_hash()
        kernel.random.take(1)
        assert kernel.state_hash() != before


def test_a_branch_has_the_hash_of_what_it_is_a_copy_of():
    with Kernel(ram="1M") as kernel:
        here = Two(kernel).act("aw")
        with kernel.branch(state_hash) as branch:
            assert branch.result() == here
