"""A state machine against a naive model: a dict of pages and files that are lists of bytes.

The model knows nothing of VMAs, page tables or reference counts; it says which bytes a load
sees and which signal an access gets.  The kernel recounts itself after every step.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pkern.kernel.errors import BusError, MemoryFault, SegmentationFault
from pkern.kernel.machine import Kernel
from pkern.userland.program import Sys
from tests.rounds import ROUNDS

PAGE = 4096
BASE = 0x10000000
NR_PAGES = 8
READ, WRITE = 1, 2
SHARED, PRIVATE, FIXED, ANONYMOUS, NONBLOCK = 0x01, 0x02, 0x10, 0x20, 0x10000
_MPROTECT, _REMAP_FILE_PAGES = 10, 216
_NO_FILE = (1 << 64) - 1


@dataclass
class NaiveFile:
    """A file: its size in bytes, and the first eight bytes of each page."""

    fd: int
    size: int = 0
    pages: dict[int, bytes] = field(default_factory=dict)

    def truncate(self, size: int) -> None:
        """Cut or grow; what is cut off comes back as zeroes."""
        self.size = size
        self.pages = {index: data for index, data in self.pages.items() if index * PAGE < size}


@dataclass
class NaivePage:
    """What one page of an address space shows: a page of a file, a private copy, or both."""

    prot: int
    file: NaiveFile | None = None
    index: int = 0
    shared: bool = False
    region: int = 0
    copy: bytes | None = None

    def beyond_end(self) -> bool:
        """Whether the page of the file does not exist."""
        return self.file is not None and self.index * PAGE >= self.file.size

    def can_show(self, index: int) -> bool:
        """Whether remap_file_pages may put a page of the file here."""
        return self.shared and self.file is not None and index * PAGE < self.file.size

    def load(self) -> bytes:
        """Give the first eight bytes."""
        if self.copy is not None:
            return self.copy
        return bytes(8) if self.file is None else self.file.pages.get(self.index, bytes(8))

    def store(self, data: bytes) -> None:
        """Change the first eight bytes, for whoever sees them."""
        if self.shared and self.file is not None:
            self.file.pages[self.index] = data
        else:
            self.copy = data

    def duplicate(self) -> NaivePage:
        """Give what a forked child sees."""
        return NaivePage(self.prot, self.file, self.index, self.shared, self.region, self.copy)


class NaiveTask:
    """An address space: page number within the window -> page."""

    def __init__(self, sys: Sys, pages: dict[int, NaivePage]) -> None:
        self.sys = sys
        self.pages = pages

    def verdict(self, number: int, prot: int) -> type[MemoryFault] | None:
        """Say what an access must end with."""
        page = self.pages.get(number)
        if page is None or not page.prot & prot:
            return SegmentationFault
        return BusError if page.beyond_end() else None


pages = st.integers(0, NR_PAGES - 1)
lengths = st.integers(1, 5)
prots = st.sampled_from([0, READ, READ | WRITE, READ | WRITE])
which_file = st.integers(0, 1)
which_task = st.integers(0, 2)
words = st.binary(min_size=8, max_size=8)


class AddressSpaces(RuleBasedStateMachine):
    """Up to three tasks related by fork, two files, one window of eight pages."""

    rmap = "objrmap_tree"

    @initialize()
    def boot(self) -> None:
        self.kernel = Kernel(ram="8M", rmap=self.rmap, sysctl={"vm.nonlinear": 1})
        sys = Sys(self.kernel.spawn(name="model"))
        self.files = [NaiveFile(sys.memfd_create(name, 0)) for name in ("a", "b")]
        self.tasks = [NaiveTask(sys, {})]
        self.regions = 0
        for number, (file, sharing) in enumerate(zip(self.files, (SHARED, PRIVATE), strict=True)):
            self.truncate(number, 4, 0)
            self.map_file(0, number * 4, 4, READ | WRITE, number, 0, sharing)
            for page in range(number * 4, number * 4 + 4):
                self.store(0, page, bytes([65 + page]) * 8)
            assert file.size == 4 * PAGE

    def teardown(self) -> None:
        if hasattr(self, "kernel"):
            self.kernel.close()

    def _task(self, which: int) -> NaiveTask:
        return self.tasks[which % len(self.tasks)]

    def _range(self, first: int, count: int) -> range:
        return range(first, min(first + count, NR_PAGES))

    def _drop(self, task: NaiveTask, where: range) -> None:
        """Forget pages; what stays of their regions is no longer one piece."""
        for number in where:
            task.pages.pop(number, None)

    @rule(which=which_task, first=pages, count=lengths, prot=prots)
    def map_anonymous(self, which: int, first: int, count: int, prot: int) -> None:
        task, where = self._task(which), self._range(first, count)
        flags = PRIVATE | FIXED | ANONYMOUS
        address = BASE + first * PAGE
        assert task.sys.mmap(address, len(where) * PAGE, prot, flags, -1, 0) == address
        for number in where:
            task.pages[number] = NaivePage(prot)

    @rule(which=which_task, first=pages, count=lengths, prot=prots)
    def map_shared_anonymous(self, which: int, first: int, count: int, prot: int) -> None:
        task, where = self._task(which), self._range(first, count)
        flags = SHARED | FIXED | ANONYMOUS
        task.sys.mmap(BASE + first * PAGE, len(where) * PAGE, prot, flags, -1, 0)
        nameless = NaiveFile(-1, len(where) * PAGE)
        for index, number in enumerate(where):
            task.pages[number] = NaivePage(prot, nameless, index, shared=True)

    @rule(
        which=which_task,
        first=pages,
        count=lengths,
        prot=prots,
        file=which_file,
        index=st.integers(0, 5),
        sharing=st.sampled_from([SHARED, PRIVATE]),
    )
    def map_file(
        self, which: int, first: int, count: int, prot: int, file: int, index: int, sharing: int
    ) -> None:
        task, where, shown = self._task(which), self._range(first, count), self.files[file]
        self.regions += 1
        address = BASE + first * PAGE
        task.sys.mmap(address, len(where) * PAGE, prot, sharing | FIXED, shown.fd, index * PAGE)
        for step, number in enumerate(where):
            task.pages[number] = NaivePage(
                prot, shown, index + step, sharing == SHARED, self.regions
            )

    @rule(which=which_task, first=pages, count=lengths)
    def unmap(self, which: int, first: int, count: int) -> None:
        task, where = self._task(which), self._range(first, count)
        assert task.sys.munmap(BASE + first * PAGE, len(where) * PAGE) == 0
        self._drop(task, where)

    @rule(which=which_task, first=pages, count=lengths, prot=prots)
    def protect(self, which: int, first: int, count: int, prot: int) -> None:
        """mprotect changes what lies before the first hole, then says ENOMEM."""
        task, where = self._task(which), self._range(first, count)
        raw = task.sys.syscall(_MPROTECT, BASE + first * PAGE, len(where) * PAGE, prot)
        hole = next((number for number in where if number not in task.pages), None)
        assert raw == (0 if hole is None else -errno.ENOMEM)
        for number in where if hole is None else range(first, hole):
            task.pages[number].prot = prot
            task.pages[number].region = 0

    @rule(which=which_task, number=pages, data=words)
    def store(self, which: int, number: int, data: bytes) -> None:
        task = self._task(which)
        expected = task.verdict(number, WRITE)
        if expected is None:
            task.sys.store(BASE + number * PAGE, data)
            task.pages[number].store(data)
        else:
            with pytest.raises(expected):
                task.sys.store(BASE + number * PAGE, data)

    @rule(which=which_task, number=pages)
    def load(self, which: int, number: int) -> None:
        task = self._task(which)
        expected = task.verdict(number, READ)
        if expected is None:
            assert task.sys.load(BASE + number * PAGE, 8) == task.pages[number].load()
        else:
            with pytest.raises(expected):
                task.sys.load(BASE + number * PAGE, 8)

    @rule(which=which_task)
    def load_everything(self, which: int) -> None:
        for number in range(NR_PAGES):
            self.load(which, number)

    @rule(file=which_file, count=st.integers(0, 8), extra=st.sampled_from([0, 0, 100]))
    def truncate(self, file: int, count: int, extra: int) -> None:
        shown, size = self.files[file], count * PAGE + extra
        assert self.tasks[0].sys.ftruncate(shown.fd, size) == 0
        shown.truncate(size)
        for task in self.tasks:
            for page in task.pages.values():
                if page.file is shown and page.beyond_end():
                    page.copy = None

    @rule(
        which=which_task,
        number=pages,
        index=st.integers(0, 9),
        flags=st.sampled_from([0, NONBLOCK]),
    )
    def remap(self, which: int, number: int, index: int, flags: int) -> None:
        """remap_file_pages of one page: always within one VMA."""
        task = self._task(which)
        page = task.pages.get(number)
        raw = _remap(task.sys, number, 1, index, flags)
        if page is None or not page.can_show(index):
            assert raw == -errno.EINVAL
        else:
            assert raw == 0
            page.index = index

    @rule(which=which_task, number=pages, index=st.integers(0, 5), count=st.integers(2, 4))
    def remap_several(self, which: int, number: int, index: int, count: int) -> None:
        """remap_file_pages of several pages: all of them, or none if they are not one VMA."""
        task = self._task(which)
        where = self._range(number, count)
        found = [task.pages.get(n) for n in where]
        fits = all(
            page is not None and page.can_show(index + step) for step, page in enumerate(found)
        )
        regions = {page.region for page in found if page is not None}
        raw = _remap(task.sys, number, len(where), index, 0)
        if raw == -errno.EINVAL:
            assert not fits or regions == {0} or len(regions) > 1
            return
        assert raw == 0 and fits
        for step, page in enumerate(found):
            assert page is not None
            page.index = index + step

    @precondition(lambda self: len(self.tasks) < 3)
    @rule(which=which_task)
    def fork(self, which: int) -> None:
        parent = self._task(which)
        child = parent.sys.fork()
        copies = {number: page.duplicate() for number, page in parent.pages.items()}
        self.tasks.append(NaiveTask(child, copies))

    @precondition(lambda self: len(self.tasks) > 1)
    @rule()
    def exit(self) -> None:
        self.tasks.pop().sys.exit(0)

    @invariant()
    def recount(self) -> None:
        if hasattr(self, "kernel"):
            self.kernel.check()

    @invariant()
    def same_maps(self) -> None:
        if hasattr(self, "kernel"):
            for task in self.tasks:
                assert _mapped(task.sys) == {n: page.prot for n, page in task.pages.items()}


def _remap(sys: Sys, number: int, count: int, index: int, flags: int) -> int:
    address = BASE + number * PAGE
    return sys.syscall(_REMAP_FILE_PAGES, address, count * PAGE, 0, index, flags, _NO_FILE)


def _mapped(sys: Sys) -> dict[int, int]:
    """Read the window's pages and their protection from the task's maps."""
    found = {}
    for vma in sys.task.mm.vmas():
        for address in range(max(vma.start, BASE), min(vma.end, BASE + NR_PAGES * PAGE), PAGE):
            found[(address - BASE) // PAGE] = vma.flags & 3
    return found


class AddressSpacesWithChains(AddressSpaces):
    """The same with the other reverse map."""

    rmap = "pte_chain"


_SETTINGS = settings(
    max_examples=40 * ROUNDS,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestAddressSpaces = AddressSpaces.TestCase
TestAddressSpaces.settings = _SETTINGS
TestAddressSpacesWithChains = AddressSpacesWithChains.TestCase
TestAddressSpacesWithChains.settings = _SETTINGS
