"""What the bench runs: C programs of both sides, and callers in Python.

Every function here measures once and returns nanoseconds for one operation.  Called by run.py.
"""

from __future__ import annotations

import gc
import mmap
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns

from pkern.kernel import core
from pkern.kernel.machine import Kernel
from pkern.kernel.mm.memory import RMAP_DESIGNS
from pkern.userland.conform.hostcc import build
from pkern.userland.program import Sys

OPTIMISED = "-O2"
PAGE = 4096
NR_PAGES = 16384
_HERE = Path(__file__).parent
_CORE = Path(core.__file__).parent
_ROUNDS_OF_MMAP = 50_000


def host_c(name: str) -> float:
    """Measure an operation of host.c on the host's kernel.

    Errors: NoCompiler, subprocess.CalledProcessError.
    """
    program = build("bench-host", [_HERE / "host.c"], [OPTIMISED, "-Wall"])
    return _measure(program, name)


def core_c(name: str, design: str | None = None) -> float:
    """Measure an operation of core.c on our core, no Python between.

    design: a reverse map of RMAP_DESIGNS, where the operation wants one.
    Errors: NoCompiler, subprocess.CalledProcessError.
    """
    core = sorted(path for path in _CORE.rglob("*.c") if path.name != "_core.c")
    flags = [OPTIMISED, "-Wall", "-std=gnu11", f"-I{_CORE}", f"-I{_CORE}/cpu", "-ldl"]
    headers = sorted(_CORE.rglob("*.h"))
    program = build("bench-core", [_HERE / "core.c", *core], flags, headers)
    return _measure(program, name, *([str(RMAP_DESIGNS[design])] if design else []))


def _measure(program: Path, *arguments: str) -> float:
    done = subprocess.run([str(program), *arguments], check=True, capture_output=True, text=True)
    return float(done.stdout)


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep Python's cycle collector out of a measurement, as timeit does."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def remap_python() -> float:
    """Call our remap_file_pages from Python, one page a call, in a special VMA."""
    settings = {"vm.nonlinear": 1, "vm.nonlinear_max_pages": 4 * NR_PAGES}
    with Kernel(ram="256M", sysctl=settings) as kernel:
        sys = Sys(kernel.spawn(name="bench"))
        fd = sys.open("/tmp/bench", sys.O_RDWR | sys.O_CREAT, 0o600)
        data = b"\1" * (64 * PAGE)
        for start in range(0, NR_PAGES * PAGE, len(data)):
            sys.pwrite64(fd, data, start)
        prot, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_SHARED | sys.MAP_NONLINEAR
        base = sys.mmap(0, NR_PAGES * PAGE, prot, flags, -1, 0)
        time = _remap_all(sys.remap_file_pages, base, fd)
        sys.exit(0)
    return time


def _remap_all(remap: Callable[[int, int, int, int, int, int], int], base: int, fd: int) -> float:
    places = [(base + i * PAGE, (i * 5 + 3) % NR_PAGES) for i in range(NR_PAGES)]
    with no_collection():
        start = perf_counter_ns()
        for address, pgoff in places:
            remap(address, PAGE, 0, pgoff, 0, fd)
        return (perf_counter_ns() - start) / NR_PAGES


def mmap_python() -> float:
    """Map and unmap one anonymous page on our kernel, from Python."""
    with Kernel(ram="64M") as kernel:
        sys = Sys(kernel.spawn(name="bench"))
        time = _mmap_all(sys)
        sys.exit(0)
    return time


def _mmap_all(sys: Sys) -> float:
    map_, unmap = sys.mmap, sys.munmap
    prot, flags = sys.PROT_READ | sys.PROT_WRITE, sys.MAP_PRIVATE | sys.MAP_ANONYMOUS
    with no_collection():
        start = perf_counter_ns()
        for _ in range(_ROUNDS_OF_MMAP):
            unmap(map_(0, PAGE, prot, flags, -1, 0), PAGE)
        return (perf_counter_ns() - start) / _ROUNDS_OF_MMAP


def host_mmap_python() -> float:
    """Map and unmap one anonymous page on the host, with Python's own mmap module."""
    map_, flags = mmap.mmap, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    with no_collection():
        start = perf_counter_ns()
        for _ in range(_ROUNDS_OF_MMAP):
            map_(-1, PAGE, flags).close()
        return (perf_counter_ns() - start) / _ROUNDS_OF_MMAP
