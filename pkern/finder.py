"""Finds pkern's modules for the command's process at less than half of what importlib takes.

A start imports some hundred modules, and to find them was a tenth of it: importlib asks five
finders, looks for six endings, and reckons twice what the bytecode is called. Owns no bytecode and
makes none: what lies beside a module's source, and was compiled of it, is read; every other module
is left to importlib, as all are without this finder.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader, spec_from_file_location

TYPE_CHECKING = False  # as in kernel/typed.py, which is not found yet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType

BYTECODE = f".{sys.implementation.cache_tag}.pyc"
PLAIN = MAGIC_NUMBER + bytes(4)  # how a file of it begins that goes by its source's time and size
WORD = 0xFFFF_FFFF


class Read(SourceFileLoader):
    """importlib's loader of a module whose code has been read already, for its first use."""

    code: CodeType

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        exec(vars(self).pop("code"), vars(module))


class Finder:
    """Stands before importlib's own finders."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        """Return how a module of pkern is loaded; None: importlib may find it, and say why not."""
        if path is None or not name.startswith("pkern."):
            return None
        stem = f"{path[0]}/{name.rpartition('.')[2]}"
        return _read(name, path[0], f"{stem}.py") or _read(
            name, stem, f"{stem}/__init__.py", [stem]
        )


def _read(
    name: str, folder: str, source: str, inside: list[str] | None = None
) -> ModuleSpec | None:
    """Return how a module is loaded whose bytecode is up to date. inside: a package's folders."""
    cached = f"{folder}/__pycache__{source[len(folder) : -3]}{BYTECODE}"
    try:
        told = os.stat(source)
        with open(cached, "rb", 0) as file:
            data = file.read()
    except OSError:
        return None
    written = int(told.st_mtime) & WORD | (told.st_size & WORD) << 32
    if data[:16] != PLAIN + written.to_bytes(8, "little"):
        return None
    loader = Read(name, source)
    loader.code = marshal.loads(memoryview(data)[16:])
    # It may have been compiled by another name: from the tree's folder, or in another one.
    _imp._fix_co_filename(loader.code, source)  # type: ignore[attr-defined]  # as importlib does
    spec = spec_from_file_location(name, source, loader=loader, submodule_search_locations=inside)
    if spec is not None:
        spec.cached = cached
    return spec


def begin() -> None:
    """Find modules so from now on, where bytecode is where this finder looks for it."""
    if sys.pycache_prefix is None and not sys.flags.optimize:
        sys.meta_path.insert(0, Finder)
