"""Every order of a scenario on one reverse map: how many there are, and the first that is wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import KernelBug, SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.userland.explore.actors import Chooser, Stage, orders
from tests.races.scenarios import SCENARIOS
from tests.races.world import World

DESIGNS = ("virtual_scan", "pte_chain", "objrmap", "objrmap_tree", "compare")


class Explored(NamedTuple):
    """orders: that were run. wrong: the answers of the first that is, and what it is."""

    orders: int
    wrong: tuple[tuple[int, ...], str] | None


def noted() -> str:
    """Return what failed in a core that notes that, and forget it; "" in any other core."""
    text = getattr(lib, "pkern_bug_noted", ffi.NULL)
    if text == ffi.NULL:
        return ""
    lib.pkern_bug_noted = ffi.NULL
    return ffi.string(text).decode()


def run_once(name: str, rmap: str, folder: Path, choose: Chooser) -> str | None:
    """Run a scenario in one order; return what is wrong with it."""
    try:
        with Kernel(ram="512K", swap="2M", nrpte=3, rmap=rmap) as kernel:
            world = World(kernel, folder)
            race = SCENARIOS[name](world)

            def check() -> None:
                kernel.check()
                failed = noted()
                assert not failed, f"an assertion failed: {failed}"

            check()
            Stage(kernel, race.actors, choose, check).run()
            race.settle()
            check()
    except (AssertionError, KernelBug, SyscallError, TaskKilled) as error:
        return f"{type(error).__name__}: {error}"
    return None


def explore(name: str, rmap: str) -> Explored:
    """Run a scenario in every order, or until one is wrong."""
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        for answers, wrong in orders(lambda choose: run_once(name, rmap, Path(folder), choose)):
            count += 1
            if wrong is not None:
                return Explored(count, (answers, wrong))
    return Explored(count, None)
