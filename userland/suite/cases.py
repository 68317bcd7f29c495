"""Which programs a suite has: files by name, or what lies in a directory.

Owns what counts as a program: an ELF file that can be executed, a script (#!) that may be, and a
Python file that holds `def main(`.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

HEAD_BYTES = 64
ELF_MAGIC = b"\x7fELF"
ELF_TYPE = struct.Struct("<H")
ELF_TYPE_AT = 16
EXECUTABLE_TYPES = (2, 3)  # ET_EXEC, ET_DYN
LIBRARY = re.compile(r"\.so(\.\d+)*$")
PYTHON_MAIN = re.compile(r"^def main\(", re.MULTILINE)


class Kind(Enum):
    """How a program is run."""

    MACHINE_CODE = "machine code"
    PYTHON = "Python"


class Case(NamedTuple):
    """One program. name: as reports show it, below the directory that was given."""

    name: str
    path: Path
    kind: Kind


class NoProgram(ValueError):
    """Something that a suite was given is no program; the text says why, as a sentence."""


def collect(given: Sequence[str]) -> list[Case]:
    """Return the programs that files and directories are, in the order of their names.

    Errors: NoProgram: a file that is none, a directory without one, or nothing of that name.
    """
    cases: list[Case] = []
    for name in given:
        path = Path(name).expanduser()
        found = list(_of_directory(path)) if path.is_dir() else [_of_file(name, path)]
        if not found:
            raise NoProgram(f"there is no program in '{name}'")
        cases += found
    return list({case.path.absolute(): case for case in cases}.values())


def _of_file(name: str, path: Path) -> Case:
    if not path.exists():
        raise NoProgram(f"there is no file '{name}'")
    kind = kind_of(path)
    if kind is None:
        raise NoProgram(
            f"'{name}' is no program: an x86-64 ELF file or a script that may be executed, or a"
            " Python file with `def main(sys)`"
        )
    return Case(name, path, kind)


def _of_directory(directory: Path) -> Iterator[Case]:
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if not name.startswith("."))
        for file in sorted(files):
            path = Path(folder, file)
            kind = kind_of(path)
            if kind is not None:
                yield Case(str(path.relative_to(directory)), path, kind)


def kind_of(path: Path) -> Kind | None:
    """Tell how a file of the host is run; None: it is no program, or cannot be read."""
    if not path.is_file() or not os.access(path, os.R_OK):
        return None
    if path.suffix == ".py":
        holds_main = PYTHON_MAIN.search(path.read_text(errors="replace"))
        return Kind.PYTHON if holds_main else None
    if not os.access(path, os.X_OK) or LIBRARY.search(path.name):
        return None
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"#!"):
        return Kind.MACHINE_CODE
    if not head.startswith(ELF_MAGIC) or len(head) < HEAD_BYTES:
        return None
    (elf_type,) = ELF_TYPE.unpack_from(head, ELF_TYPE_AT)
    return Kind.MACHINE_CODE if elf_type in EXECUTABLE_TYPES else None
