"""The C programs of userland/programs, compiled at their first use."""

from __future__ import annotations

from pathlib import Path

from pkern.userland.conform.hostcc import build

SOURCES = Path(__file__).resolve().parent / "programs"
FLAGS = ("-O2", "-static", "-std=gnu11", "-Wall")


def program(name: str) -> Path:
    """Return the compiled program. Errors: NoCompiler, with what to install."""
    source = SOURCES / f"{name}.c"
    return build(name, [source], FLAGS, [SOURCES / "raw.h"])
