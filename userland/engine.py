"""The search for the installed Unicorn, whose library the C core loads."""

from __future__ import annotations

import os
from functools import cache
from importlib.machinery import PathFinder

LIBRARY = os.path.join("lib", "libunicorn.so.2")
INSTALL = "pip install '.[emulators]' in pkern's folder"


class CpuUnavailable(RuntimeError):
    """The engine is not installed, or not the one that this project was tested with."""


@cache
def engine_library() -> str:
    """Return the path of the installed engine's shared library.

    Errors: CpuUnavailable with what to install.
    """
    spec = PathFinder.find_spec("unicorn")
    if spec is None or spec.origin is None:
        raise CpuUnavailable(f"the emulators need Unicorn, which is not installed: {INSTALL}")
    path = os.path.join(os.path.dirname(spec.origin), LIBRARY)
    if not os.path.isfile(path):
        raise CpuUnavailable(f"the installed Unicorn has no {LIBRARY}: {INSTALL}")
    return path
