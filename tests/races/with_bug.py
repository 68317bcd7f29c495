"""Explore scenarios on a core that has a bug of the past: python -m tests.races.with_bug CORE.

Reads from standard input one JSON array [bug's number, scenario, reverse map] a line, and writes
for each [orders until one was wrong or null, what was wrong].
"""

from __future__ import annotations

import json
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

NAME = "pkern.kernel.core._core"


def load_core(path: str) -> None:
    """Let what is imported from now on have this core."""
    loader = ExtensionFileLoader(NAME, path)
    spec = spec_from_loader(NAME, loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[NAME] = module


def main() -> None:
    """Answer each line."""
    load_core(sys.argv[1])
    from pkern.kernel.core import lib
    from tests.races.explored import explore

    for line in sys.stdin:
        bug, scenario, rmap = json.loads(line)
        lib.pkern_bug = bug
        found = explore(scenario, rmap)
        orders, what = (found.orders, found.wrong[1]) if found.wrong else (None, None)
        print(json.dumps([orders, what]), flush=True)


if __name__ == "__main__":
    main()
