"""Bugs of the past, one put back at a time: which scenario finds it, in a core that can have it.

kernel/core/bugs.h says what each is in the code.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CORE = ROOT / "kernel/core"
SOURCES, GENERATED = {".c", ".h", ".py"}, CORE / "_core.c"
BUILT = ROOT / "build/bugs"  # by what it was made of: kept for later runs


class Bug(NamedTuple):
    """number: of enum bug. what: in words. scenario: by its name in SCENARIOS."""

    number: int
    what: str
    scenario: str


class Found(NamedTuple):
    """orders: that were run until one was wrong, None: none was. what: was wrong with it."""

    orders: int | None
    what: str | None


BUGS = (
    Bug(
        1,
        "a page that was read before a truncate goes into the cache after it",
        "a write fault, truncate and growth",
    ),
    Bug(
        2,
        "a page that was read before a newer one was written goes into the cache after that",
        "a fault and a write, evicted before the page has come",
    ),
    Bug(
        3,
        "a fault that slept looks at mapping and index no more",
        "a fault and another file, at another index, in its place",
    ),
    Bug(4, "truncate unmaps once, before the pages are dropped", "a private copy and truncate"),
    Bug(
        5,
        "a store takes a page over that a child has in swap",
        "swap-in of a page that fork shares, a store and reclaim",
    ),
    Bug(6, "MAP_NONBLOCK leaves the old page", "remap without waiting, and reclaim"),
    Bug(7, "EINVAL where memory is short", "remap, short of memory"),
    Bug(
        8,
        "truncate unmaps a nonlinear VMA by place",
        "remap and truncate of what is shown elsewhere",
    ),
    Bug(9, "mincore reckons the page from the place", "mincore, remap and reclaim"),
    Bug(10, "reclaim forgets which page stood there", "remap, reclaim and return"),
    Bug(11, "fork leaves out remapped pages that are not there", "remap and fork"),
    Bug(
        12,
        "the start is not masked",
        "remap of the last page, unaligned, and truncate",
    ),
    Bug(
        13,
        "closing one VMA takes another off the file's list of nonlinear ones",
        "two VMAs of one task, one remapped to page 0, the other closed first",
    ),
    Bug(
        14,
        "a search takes a file's VMAs for sorted that are not",
        "mmap of a file and truncate of it",
    ),
)


def build_core() -> Path:
    """Compile a core that can have the bugs, if that was not done before; return the module.

    Errors: CalledProcessError.
    """
    files = sorted(path for path in CORE.rglob("*.[chp]*") if path.suffix in SOURCES)
    parts = [sys.version.encode(), *(path.read_bytes() for path in files if path != GENERATED)]
    folder = BUILT / hashlib.sha256(b"\0".join(parts)).hexdigest()
    if not folder.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILT) as new:  # whoever else makes it sees it whole
            _compile(Path(new) / "core", Path(new) / "objects")
            with suppress(OSError):  # somebody else has made it
                (Path(new) / "core").rename(folder)
    return next(folder.rglob("_core*.so"))


def _compile(folder: Path, objects: Path) -> None:
    subprocess.run(
        [
            sys.executable, "setup.py", "-q", "build_ext",
            "--build-lib", str(folder), "--build-temp", str(objects),
        ],
        check=True,
        cwd=ROOT,
        env={**os.environ, "PKERN_BUGS": "1", "CFLAGS": "-O0 -g0"},
    )  # fmt: skip


def look_for(core: Path, cases: list[tuple[int, str, str]]) -> list[Found]:
    """Explore cases, each (bug's number or 0, scenario, reverse map), until one order is wrong."""
    lines = "".join(json.dumps(case) + "\n" for case in cases)
    argv = [sys.executable, "-m", "tests.races.with_bug", str(core)]
    done = subprocess.run(argv, input=lines, capture_output=True, text=True, cwd=ROOT, check=True)
    return [Found(*json.loads(line)) for line in done.stdout.splitlines()]
