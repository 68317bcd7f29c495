"""The state machine of test_model.py on a machine that is short of memory.

The same naive model, which knows nothing of swap: whatever is evicted, written, read back, locked
or dropped in between, every load must see the same bytes. All reverse maps run side by side
(`compare`), and the kernel recounts itself after every step. One of the machines has its files on
a directory of the host, and reads and writes that fail.
"""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from pkern.kernel.core import lib
from pkern.kernel.errors import BusError, SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.vfs.fs.hostfs import Access, HostFs
from pkern.userland.program import Sys
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
    which_file,
    which_task,
)
from tests.rounds import ROUNDS

HOG = 0x40000000  # where pages lie that nobody looks at
HOG_PAGES = 48
PRIVATE_ANON = 0x22
SWAP_PATH = "/dev/swap0"
MSYNC, FSYNC = 26, 74
FADV_DONTNEED = 4


class UnderPressure(AddressSpaces):
    """96 pages of RAM, 256 of swap."""

    rmap = "compare"

    @initialize()
    def boot(self) -> None:
        sysctl = {"vm.nonlinear": 1, "vm.overcommit_memory": 1}
        self.kernel = Kernel(ram="384K", swap="1M", rmap=self.rmap, nrpte=1, sysctl=sysctl)
        sys = Sys(self.kernel.spawn(name="model"))
        self.files = [NaiveFile(self.open_file(sys, name)) for name in ("a", "b")]
        self.tasks = [NaiveTask(sys, {})]
        self.regions = 0
        for number in range(2):
            self.truncate(number, 4, 0)
            self.map_file(0, number * 4, 4, READ | WRITE, number, 0, SHARED)

    def open_file(self, sys: Sys, name: str) -> int:
        """Return a descriptor of an empty file."""
        return sys.memfd_create(name, 0)

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
        self.kernel.memory.reclaim(nr_pages)

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
            self.kernel.memory.reclaim(8)

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
            assert self.kernel.memory.oom.kills == 0

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


class UnderPressureOnDisk(UnderPressure):
    """The same with files of the host, whose pages come and go, and with I/O that fails."""

    @initialize()
    def boot(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="pkern-model-"))
        self.directory.chmod(0o777)
        super().boot()

    def open_file(self, sys: Sys, name: str) -> int:
        if name == "a":
            self.kernel.vfs.mount("/mnt", HostFs(self.directory, Access.READ_WRITE))
        return sys.open(f"/mnt/{name}", sys.O_RDWR | sys.O_CREAT, 0o600)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "directory"):
            self.all_on_disk()  # closing a machine writes everything back
            shutil.rmtree(self.directory)

    def all_on_disk(self) -> None:
        for file, name in zip(self.files, ("a", "b"), strict=True):
            self.is_on_disk(file, name)

    def is_on_disk(self, file: NaiveFile, name: str) -> None:
        data = (self.directory / name).read_bytes()
        assert len(data) == file.size
        for index in range(-(-file.size // PAGE)):
            expected = file.pages.get(index, bytes(8))
            assert data[index * PAGE :][:8] == expected[: file.size - index * PAGE]

    @rule(file=which_file)
    def write_back(self, file: int) -> None:
        shown = self.files[file]
        self.tasks[0].sys.fsync(shown.fd)
        self.is_on_disk(shown, "ab"[file])

    @rule()
    def write_all_back(self) -> None:
        self.tasks[0].sys.sync()
        self.all_on_disk()

    @rule(which=which_task, first=pages, count=lengths, flags=st.sampled_from([1, 4]))
    def msync(self, which: int, first: int, count: int, flags: int) -> None:
        task, where = self._task(which), self._range(first, count)
        raw = task.sys.syscall(MSYNC, BASE + first * PAGE, len(where) * PAGE, flags)
        assert raw == (0 if all(n in task.pages for n in where) else -errno.ENOMEM)

    @rule(file=which_file, nth=st.integers(1, 4))
    def write_back_fails(self, file: int, nth: int) -> None:
        """Told once; the program writes anew, as it must: what failed is clean now."""
        shown, sys = self.files[file], self.tasks[0].sys
        content = sys.pread64(shown.fd, shown.size, 0)
        sys.pwrite64(shown.fd, content, 0)
        self.kernel.fail_io("writeback", nth)
        failed = sys.syscall(FSYNC, shown.fd)
        self.kernel.fail_io("writeback", 0)
        assert failed in (0, -errno.EIO)
        if failed:
            sys.pwrite64(shown.fd, content, 0)
        self.write_back(file)

    @rule(which=which_task, number=pages, nth=st.integers(1, 3))
    def swap_read_fails(self, which: int, number: int, nth: int) -> None:
        """SIGBUS for who touched it, or nothing at all; the page is there the next time."""
        task = self._task(which)
        self.kernel.fail_io("swap_read", nth)
        if task.verdict(number, READ) is None:
            try:
                assert task.sys.load(BASE + number * PAGE, 8) == task.pages[number].load()
            except BusError as fault:
                assert fault.addr == BASE + number * PAGE
        self.kernel.fail_io("swap_read", 0)
        self.load(which, number)

    @rule(nr_pages=st.integers(1, 64), nth=st.integers(1, 8))
    def swap_write_fails(self, nr_pages: int, nth: int) -> None:
        """The page stays where it is."""
        self.kernel.fail_io("swap_write", nth)
        self.squeeze(nr_pages)
        self.kernel.fail_io("swap_write", 0)

    @rule(file=which_file, first=st.integers(0, 5), count=st.integers(1, 6))
    def let_file_pages_go(self, file: int, first: int, count: int) -> None:
        sys = self.tasks[0].sys
        sys.fadvise64(self.files[file].fd, first * PAGE, count * PAGE, FADV_DONTNEED)


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples * ROUNDS,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )


TestUnderPressure = UnderPressure.TestCase
TestUnderPressure.settings = _settings(32)
TestUnderPressureScanning = UnderPressureScanning.TestCase
TestUnderPressureScanning.settings = _settings(20)
TestUnderPressureWithTrees = UnderPressureWithTrees.TestCase
TestUnderPressureWithTrees.settings = _settings(20)
TestUnderPressureOnDisk = UnderPressureOnDisk.TestCase
TestUnderPressureOnDisk.settings = _settings(24)
