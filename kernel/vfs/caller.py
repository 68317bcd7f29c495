"""A task as file systems see one: on whose rights and for whom a file is worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pkern.kernel.vfs.fs_struct import FsStruct


class Caller(Protocol):
    """Who asks: its identity, rights, and where its paths begin."""

    @property
    def pid(self) -> int: ...
    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def groups(self) -> tuple[int, ...]: ...
    @property
    def umask(self) -> int: ...
    @property
    def fs(self) -> FsStruct: ...
    def capable(self, capability: str) -> bool: ...
