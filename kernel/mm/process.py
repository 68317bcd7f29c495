"""A task as memory management sees one: what the rest of a task is does not matter here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace


class AddressSpace(Protocol):
    """The core's handle and live counters of an address space."""

    @property
    def handle(self) -> Any: ...
    @property
    def counters(self) -> Any: ...


class Owner(Protocol):
    """Who a process belongs to, and acts as."""

    @property
    def uid(self) -> int: ...
    @property
    def gid(self) -> int: ...
    @property
    def euid(self) -> int: ...
    @property
    def egid(self) -> int: ...
    @property
    def user_ns(self) -> UserNamespace: ...


class StorageReads(Protocol):
    """Where bytes that came from storage are counted."""

    read_bytes: int


class Process(Protocol):
    """Who asks for memory, and who may be killed for it."""

    @property
    def pid(self) -> int: ...
    @property
    def tgid(self) -> int: ...
    @property
    def ends(self) -> bool: ...
    @property
    def name(self) -> str: ...
    @property
    def cred(self) -> Owner: ...
    @property
    def mm(self) -> AddressSpace: ...
    @property
    def limits(self) -> Any: ...  # the core's struct limits
    def show_rights(self) -> None: ...
    def has_rights_of(self, other: Any) -> bool: ...
    @property
    def runner(self) -> Any: ...  # the core's struct runner, for which faults count
    @property
    def io(self) -> StorageReads: ...
    @property
    def alive(self) -> bool: ...
    @property
    def exit_status(self) -> int | None: ...
    @property
    def oom_score_adj(self) -> int: ...
    def die_of(self, signo: int) -> None: ...


class Processes(Protocol):
    """The tasks of a machine: one of each process, a living one where there is any."""

    def processes(self) -> Sequence[Process]: ...
