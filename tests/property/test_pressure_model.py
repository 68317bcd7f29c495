"""The state machine of test_model.py on a machine that is short of memory.

The same naive model, which knows nothing of swap: whatever is evicted, written, read back, locked
or dropped in between, every load must see the same bytes. All reverse maps run side by side
(`compare`), and the kernel recounts itself after every step.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from kernel import memory
from kernel.core import lib
from kernel.errors import SyscallError
from kernel.machine import Kernel
from tests.property.test_model import (
    BASE,
    PAGE,
    READ,
    SHARED,
    WRITE,
    AddressSpaces,
    NaiveFile,
    NaiveTask,
    lengths,
    pages,
    which_task,
)
from userland.program import Sys

HOG = 0x40000000  # where pages lie that nobody looks at
HOG_PAGES = 48
PRIVATE_ANON = 0x22
SWAP_PATH = "/dev/swap0"


class UnderPressure(AddressSpaces):
    """96 pages of RAM, 256 of swap."""

    rmap = "compare"

    @initialize()
    def boot(self) -> None:
        sysctl = {"vm.nonlinear": 1, "vm.overcommit_memory": 1}
        self.kernel = Kernel(ram="384K", swap="1M", rmap=self.rmap, nrpte=1, sysctl=sysctl)
        sys = Sys(self.kernel.spawn(name="model"))
        self.files = [NaiveFile(sys.memfd_create(name, 0)) for name in ("a", "b")]
        self.tasks = [NaiveTask(sys, {})]
        self.regions = 0
        for number in range(2):
            self.truncate(number, 4, 0)
            self.map_file(0, number * 4, 4, READ | WRITE, number, 0, SHARED)

    @rule(which=which_task)
    def hog(self, which: int) -> None:
        """Touch more than the free memory, so that something must go."""
        sys = self._task(which).sys
        sys.mmap(HOG, HOG_PAGES * PAGE, READ | WRITE, PRIVATE_ANON | sys.MAP_FIXED, -1, 0)
        sys.touch(HOG, HOG_PAGES * PAGE)

    @rule(which=which_task)
    def let_go(self, which: int) -> None:
        self._task(which).sys.munmap(HOG, HOG_PAGES * PAGE)

    @rule(nr_pages=st.integers(1, 64))
    def squeeze(self, nr_pages: int) -> None:
        memory.reclaim(self.kernel, nr_pages)

    @rule(
        which=which_task,
        first=pages,
        count=lengths,
        advice=st.sampled_from([lib.MADV_COLD, lib.MADV_PAGEOUT, lib.MADV_WILLNEED]),
    )
    def advise(self, which: int, first: int, count: int, advice: int) -> None:
        """Whatever it answers, no byte changes."""
        task, where = self._task(which), self._range(first, count)
        try:
            task.sys.madvise(BASE + first * PAGE, len(where) * PAGE, advice)
        except SyscallError as error:
            assert error.errno in (12, 22)  # a hole, locked memory

    @rule(which=which_task, first=pages, count=lengths)
    def lock_and_squeeze(self, which: int, first: int, count: int) -> None:
        task, where = self._task(which), self._range(first, count)
        for call in (task.sys.mlock, task.sys.munlock):
            try:
                call(BASE + first * PAGE, len(where) * PAGE)
            except SyscallError as error:
                assert error.errno == 12
            memory.reclaim(self.kernel, 8)

    @rule()
    def swap_off_and_on(self) -> None:
        kernel = self.kernel
        device = kernel.swap.areas[0].inode
        try:
            kernel.swap.off(device)
        except SyscallError as error:
            assert error.errno == 12
        else:
            kernel.swap.on(SWAP_PATH, device)

    @invariant()
    def nobody_was_killed(self) -> None:
        if hasattr(self, "kernel"):
            assert self.kernel.oom_kills == 0

    @rule(order=st.integers(0, 6))
    def read_ahead(self, order: int) -> None:
        self.kernel.sysctl["vm.page-cluster"] = order

    @rule()
    def drop_caches(self) -> None:
        self.kernel.sysctl["vm.drop_caches"] = 3


class UnderPressureScanning(UnderPressure):
    """The same without a reverse map."""

    rmap = "virtual_scan"


class UnderPressureWithTrees(UnderPressure):
    """The same with the reverse map that machines boot with, which unmaps in clusters."""

    rmap = "objrmap_tree"


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


TestUnderPressure = UnderPressure.TestCase
TestUnderPressure.settings = _settings(300)
TestUnderPressureScanning = UnderPressureScanning.TestCase
TestUnderPressureScanning.settings = _settings(150)
TestUnderPressureWithTrees = UnderPressureWithTrees.TestCase
TestUnderPressureWithTrees.settings = _settings(150)
