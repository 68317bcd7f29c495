"""The search for the installed Unicorn, whose library the C core loads."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

LIBRARY = Path("lib") / "libunicorn.so.2"
INSTALL = "pip install '.[emulators]' in pkern's folder"


class CpuUnavailable(RuntimeError):
    """The engine is not installed, or not the one that this project was tested with."""


@cache
def engine_library() -> Path:
    """Return the path of the installed engine's shared library.

    Errors: CpuUnavailable with what to install.
    """
    spec = importlib.util.find_spec("unicorn")
    if spec is None or spec.origin is None:
        raise CpuUnavailable(f"the emulators need Unicorn, which is not installed: {INSTALL}")
    path = Path(spec.origin).parent / LIBRARY
    if not path.is_file():
        raise CpuUnavailable(f"the installed Unicorn has no {LIBRARY}: {INSTALL}")
    return path
