"""Build description of the C core: one cffi module from kernel/core/**/*.c.

Owns the flags and the list of sources. setup.py reads `ffibuilder`; nothing imports this file at
run time. The declarations are the headers themselves, so there is no second copy to drift.

PKERN_SANITIZE=1 in the environment builds with the address and undefined-behaviour sanitisers; the
second only ends the process, and ASAN_OPTIONS=handle_sigill=1 has the first say where. PKERN_BUGS=1
builds a core that can have bugs of the past (bugs.h), for tests.
"""

import os
import re
import runpy
from pathlib import Path

from cffi import FFI

CORE = Path("kernel/core")  # setuptools builds from the project's root
SHARED = runpy.run_path(str(CORE / "interface.py"))
HEADERS, INTERFACE = SHARED["HEADERS"], SHARED["interface"]()
BUGS = "bugs.h"

WARNINGS = ["-Wall", "-Wextra"]
# In place of the level that Python was built with, unless CFLAGS names one.
PLAIN = [] if re.search(r"(^|\s)-O", os.environ.get("CFLAGS", "")) else ["-O2"]
UNOPTIMISED = ["-O0"]
SANITIZED = [
    "-Og",
    "-g1",
    "-fsanitize=address,undefined",
    "-fsanitize-undefined-trap-on-error",
    "-fno-omit-frame-pointer",
]


def declarations(header: Path) -> str:
    """Return the header's text as cffi's parser takes it: no preprocessor lines."""
    joined = header.read_text().replace("\\\n", " ")
    kept = [line for line in joined.splitlines() if not re.match(r"\s*#", line)]
    return "\n".join(kept)


def preamble() -> str:
    """Return the C text before the generated wrappers; core.h includes core_api.h once."""
    return "".join(f'#include "{name}"\n' for name in ("core.h", *HEADERS[1:], "binding.h"))


def make_builder() -> FFI:
    """Return the builder of pkern.kernel.core._core."""
    sanitize = os.environ.get("PKERN_SANITIZE") == "1"
    bugs = os.environ.get("PKERN_BUGS") == "1"
    flags = SANITIZED if sanitize else UNOPTIMISED if bugs else PLAIN
    builder = FFI()
    for header in (*HEADERS, BUGS) if bugs else HEADERS:
        builder.cdef(declarations(CORE / header))
    builder.cdef("#define PKERN_INTERFACE ...")
    builder.set_source(
        "pkern.kernel.core._core",
        preamble(),
        sources=sorted(str(path) for path in CORE.rglob("*.c") if path.name != "_core.c"),
        depends=[*sorted(str(path) for path in CORE.rglob("*.h")), str(CORE / "interface.py")],
        include_dirs=[str(CORE)],
        extra_compile_args=[
            *flags,
            "-std=gnu11",
            "-UNDEBUG",  # Python's own flags would drop the assertions
            "-fvisibility=hidden",
            *WARNINGS,
        ],
        extra_link_args=["-fsanitize=address,undefined"] if sanitize else [],
        libraries=["dl"],
        # The full C API of one Python: cheaper calls than the stable one.
        define_macros=[
            ("_CFFI_NO_LIMITED_API", None),
            ("PKERN_INTERFACE", str(INTERFACE)),
            *([("PKERN_BUGS", "1")] if bugs else []),
        ],
        py_limited_api=False,
    )
    return builder


ffibuilder = make_builder()
