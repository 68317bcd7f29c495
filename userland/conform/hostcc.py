"""Compiles the C programs of the oracle and of the bench at their first use.

Owns the cache of built programs: one file for each text of source and flags, under the
user's cache directory, or in one of the user's own below /tmp where the home may not be
written.  Called by host.py, hostcpu.py and userland.bench.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


class NoCompiler(RuntimeError):
    """The host has no C compiler, or it could not build a program."""


def cache_dir() -> Path:
    """Give the directory that built programs live in (made if missing).

    Errors: NoCompiler, if the user may write neither to a home nor to a directory of its own.
    """
    root = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(root) / "pkern"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_dir()
    return path if os.access(path, os.W_OK) else _temporary_dir()


def _temporary_dir() -> Path:
    """Give a directory below the system's temporary one that no other user can put programs in."""
    path = Path(tempfile.gettempdir()) / f"pkern-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise NoCompiler(f"{path} is another user's: set XDG_CACHE_HOME to a directory of your own")
    return path


def compiler() -> str:
    """Find the host's C compiler.

    Errors: NoCompiler with a sentence that says what to install.
    """
    for name in (os.environ.get("CC", ""), "gcc", "cc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NoCompiler("no C compiler was found: install gcc (Debian: apt-get install gcc libc6-dev)")


def build(
    name: str, sources: Sequence[Path], flags: Sequence[str], depends: Sequence[Path] = ()
) -> Path:
    """Compile sources into a program and return its path; a program built before is reused.

    depends: files that the sources include, read for the key of the cache.
    Errors: NoCompiler, with the compiler's own text.
    """
    command = [compiler(), *flags]
    key = hashlib.sha256(repr(command).encode())
    for path in (*sources, *depends):
        key.update(path.read_bytes())
    program = cache_dir() / f"{name}-{key.hexdigest()[:16]}"
    if not program.exists():
        _compile([*command, *map(str, sources)], program)
    return program


def _compile(command: list[str], program: Path) -> None:
    partial = program.with_suffix(f".{os.getpid()}")
    done = subprocess.run([*command, "-o", str(partial)], capture_output=True, text=True)
    if done.returncode:
        raise NoCompiler(f"{' '.join(command)} failed:\n{done.stderr}")
    partial.replace(program)
