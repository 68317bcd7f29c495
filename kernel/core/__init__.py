"""The only door to the C core: `ffi` and `lib` of the compiled module.

Every other room imports from here, never from `_core`. core_api.h says what each call does.
Errors: ImportError, by this package's name, where there is no core that fits.
"""

import os

from pkern.kernel.core.interface import CORE, interface

try:
    from pkern.kernel.core._core import ffi, lib
except ImportError as error:  # a clone that was never built, or a build for another Python
    if not os.path.isdir(CORE):
        raise ImportError(
            "pkern cannot run out of an archive, as the host loads its C core from a file of its "
            "own; unpack it, or `pip install .`",
            name=__name__,
        ) from error
    raise ImportError(
        "the C core of pkern is not built for this Python; run `make build` in the project's "
        f"folder, or `pip install .` (the loader said: {error})",
        name=__name__,
    ) from error

if getattr(lib, "PKERN_INTERFACE", None) != interface():  # the sources have changed since
    raise ImportError(
        "the C core of pkern was built from another version of its sources; run `make build` in "
        "the project's folder, or `pip install .`",
        name=__name__,
    )

__all__ = ["ffi", "lib"]
