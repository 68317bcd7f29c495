"""The search for the installed Unicorn, whose library the C core loads."""

from __future__ import annotations

import os
import sys

from pkern.kernel.lean import cache

LIBRARY = os.path.join("unicorn", "lib", "libunicorn.so.2")
INSTALL = "pip install '.[emulators]' in pkern's folder, or 'PKERN.whl[emulators]'"


class CpuUnavailable(RuntimeError):
    """The engine is not installed, or not the one that this project was tested with."""


@cache
def engine_library() -> str:
    """Return the path of the installed engine's shared library.

    Errors: CpuUnavailable with what to install.
    """
    for folder in sys.path:
        path = os.path.join(folder, LIBRARY)
        if os.path.isfile(path):
            return path
    raise CpuUnavailable(f"the emulators need Unicorn, which is not installed: {INSTALL}")
