"""Parts of work, and where they can be run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

PARTS_A_THREAD = 4  # so that who has finished early, or came late, has something to do


class NotTheSame(RuntimeError):
    """A worker would give results of something else; the text says what differs."""


class Share(NamedTuple):
    """Which positions are this part's: every of-th one, the first of them number."""

    number: int = 0
    of: int = 1

    def has(self, position: int) -> bool:
        """Tell whether a position, counted from 0, is this part's."""
        return position % self.of == self.number


class Part(NamedTuple):
    """A call that can be made anywhere. files: the host's, and the digests they must have."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    files: Mapping[str, str]


class Elsewhere(Protocol):
    """Where parts can be run."""

    @property
    def parts(self) -> int: ...
    def run(self, parts: Sequence[Part]) -> Iterator[tuple[int, Any]]: ...


def digest_of(path: str) -> str:
    """Return what tells a file from others: SHA-256 in hex. Errors: OSError."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def digests(paths: Sequence[str]) -> dict[str, str]:
    """Return the digest of each file. Errors: OSError."""
    return {path: digest_of(path) for path in paths}
