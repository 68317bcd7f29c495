"""Andrew Morton's rmap-test, by its published description: many VMAs of one file in many tasks.

One file of n*s + n-1 pages; VMA i shows s pages from file page i*(s+1) on, so that no two VMAs
merge or overlap. The parent maps all, increments the first byte of every page, calls
msync(MS_ASYNC) and forks t children, which walk the VMAs, linearly, at random, or half of them.

Run it: pkern run userland/lab/rmap_test.py -l -i 10 -n 100 -s 600 -t 100 /tmp/file
Source: linux-kernel, 5 April 2003, 20030405040614.66511e1e.akpm@digeo.com.
"""

from __future__ import annotations

import argparse
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pkern.userland.lab.bench import PAGE
from pkern.userland.program import Sys

MS_ASYNC = 1
SECOND = 1_000_000_000
RANDOM_SLICE = 16  # random touches before another task runs

Work = Iterator[None]
ENDED = object()


@dataclass(frozen=True, slots=True)
class Options:
    """The program's options: -h/-l/-r pattern, -i, -n, -s (pages), -t, -V, -v, and the file."""

    path: str
    pattern: str = "linear"
    iterations: int = 0
    vmas: int = 100
    vma_pages: int = 1024 * 1024
    tasks: int = 100
    vmas_to_do: int = 100
    verbose: int = 0

    @property
    def file_pages(self) -> int:
        """Pages of the file: a hole of one page between any two VMAs."""
        return self.vmas * self.vma_pages + self.vmas - 1

    @property
    def touched_pages(self) -> int:
        """Pages that some VMA shows."""
        return self.vmas * self.vma_pages


def parse(arguments: Sequence[str]) -> Options:
    """Return the options of a command line without the program's name. Errors: SystemExit."""
    parser = argparse.ArgumentParser(prog="rmap-test", add_help=False)
    patterns = parser.add_mutually_exclusive_group()
    for flag in ("half", "linear", "random"):
        patterns.add_argument(f"-{flag[0]}", dest="pattern", action="store_const", const=flag)
    for letter, name, default in (
        ("i", "iterations", 0),
        ("n", "vmas", 100),
        ("s", "vma_pages", 1024 * 1024),
        ("t", "tasks", 100),
        ("V", "vmas_to_do", None),
    ):
        parser.add_argument(f"-{letter}", dest=name, type=int, default=default)
    parser.add_argument("-v", dest="verbose", action="count", default=0)
    parser.add_argument("path", metavar="FILE")
    told = parser.parse_args(list(arguments))
    told.pattern = told.pattern or "linear"
    told.vmas_to_do = told.vmas if told.vmas_to_do is None else told.vmas_to_do
    return Options(**vars(told))


class RmapTest:
    """One run. The caller may look at the machine between start() and finish()."""

    def __init__(self, sys: Sys, options: Options) -> None:
        self.sys = sys
        self.options = options
        self.fd = -1
        self.places: list[int] = []
        self.children: list[Sys] = []
        self.alive = 0

    # ---- the parent ----

    def start(self) -> None:
        """Make the file, map it, increment every page's first byte, fork the children."""
        sys, options = self.sys, self.options
        self.fd = sys.open(options.path, sys.O_RDWR | sys.O_CREAT | sys.O_TRUNC, 0o600)
        sys.ftruncate(self.fd, options.file_pages * PAGE)
        self.places = [self._map(number) for number in range(options.vmas)]
        for place in self.places:
            self._increment(place)
        for place in self.places:
            sys.msync(place, options.vma_pages * PAGE, MS_ASYNC)
        for _ in range(options.tasks):
            self.fork()

    def _map(self, number: int) -> int:
        sys, pages = self.sys, self.options.vma_pages
        offset = number * (pages + 1) * PAGE
        prot = sys.PROT_READ | sys.PROT_WRITE
        place: int = sys.mmap(0, pages * PAGE, prot, sys.MAP_SHARED, self.fd, offset)
        return place

    def _increment(self, place: int) -> None:
        sys = self.sys
        for addr in range(place, place + self.options.vma_pages * PAGE, PAGE):
            sys.store(addr, bytes([(sys.load(addr, 1)[0] + 1) & 0xFF]))

    def fork(self) -> None:
        """Fork one child."""
        self.children.append(self.sys.fork())
        self.alive += 1

    def finish(self) -> None:
        """Reap the children."""
        for _ in self.children:
            self.sys.wait4(-1, 0)

    # ---- the children ----

    def run(self) -> None:
        """Let the children run in turn until all have ended."""
        ready = deque(self._child(number, child) for number, child in enumerate(self.children))
        while ready:
            work = ready.popleft()
            if next(work, ENDED) is not ENDED:
                ready.append(work)

    def _child(self, number: int, child: Sys) -> Work:
        child.nanosleep(SECOND)
        yield None
        yield from self._pattern(number, child)
        self.alive -= 1
        child.exit(0)

    def _pattern(self, number: int, child: Sys) -> Work:
        if self.options.pattern == "random":
            return self._random(number, child)
        if self.options.pattern == "half" and number == 0:
            return self._half(child)
        return self._linear(child)

    def _linear(self, child: Sys) -> Work:
        for _ in range(self.options.iterations):
            yield from self._pass(child, self.places)

    def _half(self, child: Sys) -> Work:
        while self.alive > 1:
            yield from self._pass(child, self.places[: self.options.vmas // 2])

    def _pass(self, child: Sys, places: Sequence[int]) -> Work:
        nbytes = self.options.vma_pages * PAGE
        for place in places:
            child.touch(place, nbytes)
            yield None
        yield None  # a pass over no VMA must still let others run

    def _random(self, number: int, child: Sys) -> Work:
        options = self.options
        dice = random.Random(f"{self.sys.kernel.seed}/{number}")
        touches = options.iterations * options.vmas_to_do * options.vma_pages
        for touch in range(touches):
            place = self.places[dice.randrange(options.vmas)]
            child.touch(place + dice.randrange(options.vma_pages) * PAGE, 1)
            if touch % RANDOM_SLICE == 0:
                yield None


def main(sys: Sys, argv: list[str]) -> int:
    """Run the program; argv[0] is its name."""
    options = parse(argv[1:])
    test = RmapTest(sys, options)
    test.start()
    if options.verbose:
        print(f"{options.vmas} VMAs of {options.vma_pages} pages, {options.tasks} tasks")
    test.run()
    test.finish()
    if options.verbose:
        print(f"{options.tasks} tasks have ended")
    return 0
