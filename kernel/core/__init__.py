"""The only door to the C core: `ffi` and `lib` of the compiled module.

Every other room imports from here, never from `_core`. core_api.h says what each call does.
"""

try:
    from pkern.kernel.core._core import ffi, lib
except ImportError as error:  # a clone that was never built, or a build for another Python
    raise ImportError(
        "the C core of pkern is not built for this Python; run `make build` in the project's "
        f"folder, or `pip install .` (the loader said: {error})"
    ) from error

__all__ = ["ffi", "lib"]
