"""What a program is given when it starts, and what of the host its machine shows.

Owns the one list of it for whoever starts programs: `pkern run`, `pkern.run`, a test's fixtures;
and how each part is written on a command line. machine_code.py and program.py hand it over.
"""

from __future__ import annotations

import os

from pkern.kernel import SIZE_UNITS
from pkern.kernel.arguments import did_you_mean, of_type
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import MappingProxyType
from pkern.kernel.numbers import is_decimal
from pkern.kernel.tasks.rlimits import DEFAULT_RLIMITS, RLIM_INFINITY
from pkern.kernel.typed import TYPE_CHECKING, Mapping
from pkern.kernel.values import Enum, NamedTuple
from pkern.kernel.vfs import names
from pkern.kernel.vfs.mounts import Path
from pkern.kernel.vfs.walk import Last

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.tasks.task import Task
    from pkern.userland.failing import Failing

DEFAULT_ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "TERM": "dumb"}
SECOND = 1_000_000_000
MOST_SECONDS = 1e9
Limit = int | tuple[int, int]
"""Soft, or (soft, hard)."""

# Limits that count bytes, which may be written with a unit.
IN_BYTES = frozenset({"fsize", "data", "stack", "core", "rss", "memlock", "as", "msgqueue"})
UNLIMITED = ("unlimited", "infinity")


class NotGiven(ValueError):
    """Something that a program cannot be given; the text says why, as a sentence."""

    __module__, __qualname__ = ValueError.__module__, ValueError.__qualname__  # in a traceback


class HookFailed(Exception):
    """A hook that the program was given has raised an exception: the cause."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Given(NamedTuple):
    """What a program is given, beside its descriptors.

    uid: also its group. caps: None gives root all and others none. env: the whole environment;
    None: DEFAULT_ENV. cwd: a directory of the machine, made if need be. limits: by setrlimit(2)'s
    names. timeout_ns: virtual nanoseconds that it may take. failing: what of the kernel's own work
    fails, counted from its start; failing_exec: from the execve that starts it.
    """

    argv: tuple[str, ...]
    uid: int = 1000
    caps: frozenset[str] | None = None
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    limits: Mapping[str, Limit] = MappingProxyType({})
    timeout_ns: int | None = None
    failing: tuple[Failing, ...] = ()
    failing_exec: tuple[Failing, ...] = ()

    @property
    def environment(self) -> Mapping[str, str]:
        """Its whole environment."""
        return DEFAULT_ENV if self.env is None else self.env


def give(kernel: Kernel, task: Task, given: Given) -> None:
    """Give a new task its limits and its working directory. Errors: NotGiven."""
    for name, limit in given.limits.items():
        set_limit(task, name, limit)
    if given.cwd is not None:
        task.fs.pwd = _working_directory(kernel, task, given.cwd)


def _working_directory(kernel: Kernel, task: Task, path: str) -> Path:
    try:
        directory = make_directory(kernel, path, task.uid, task.gid)
    except SyscallError as error:
        why = f"the working directory '{path}' cannot be made: {error.strerror}"
        raise NotGiven(why) from error
    if directory.inode.kind != "dir":
        raise NotGiven(f"the working directory '{path}' is a file")
    return directory


# ---- limits ----


def set_limit(task: Task, name: str, limit: Limit) -> None:
    """Set a resource limit by setrlimit(2)'s name, as NOFILE or RLIMIT_NOFILE, in its units.

    limit: the soft one, which raises the hard one where it must, or (soft, hard).
    Errors: NotGiven for an unknown name or a value that cannot be.
    """
    key = _limit_key(name)
    if isinstance(limit, tuple) and len(limit) != 2:
        raise NotGiven(f"the limit {name} is a number, or soft and hard, not {limit}")
    for part in limit if isinstance(limit, tuple) else (limit,):
        of_type(f"the limit {name}", part, int)
    soft, hard = limit if isinstance(limit, tuple) else (limit, max(limit, task.rlimits[key][1]))
    if not 0 <= soft <= hard <= RLIM_INFINITY:
        raise NotGiven(f"the limit {name} cannot be {limit}: 0 <= soft <= hard < 2**64")
    task.rlimits[key] = (soft, hard)


def _limit_key(name: str) -> str:
    key = name.upper().removeprefix("RLIMIT_").lower()
    if key not in DEFAULT_RLIMITS:
        known = [known.upper() for known in DEFAULT_RLIMITS]
        hint = did_you_mean(key.upper(), known)
        raise NotGiven(f"there is no limit {name!r}: choose of {', '.join(known)}{hint}")
    return key


def read_limit(text: str) -> tuple[str, Limit]:
    """Return the name and the limit of "NOFILE=64", "AS=1G:2G" or "STACK=unlimited".

    Errors: NotGiven.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise NotGiven(f"a limit is NAME=SOFT or NAME=SOFT:HARD, as NOFILE=64, not '{text}'")
    key = _limit_key(name)
    soft, colon, hard = value.partition(":")
    first = _limit_value(key, soft)
    if not colon:
        return key, first
    pair = first, _limit_value(key, hard)
    if pair[0] > pair[1]:
        raise NotGiven(f"the soft limit {soft} is above the hard one, {hard}: '{text}'")
    return key, pair


def _limit_value(key: str, text: str) -> int:
    if text.lower() in UNLIMITED:
        return RLIM_INFINITY
    unit = text[-1:].lower() if key in IN_BYTES and text[-1:].lower() in SIZE_UNITS else ""
    digits = text[: len(text) - len(unit)]
    if not is_decimal(digits) or int(digits) * SIZE_UNITS.get(unit, 1) >= RLIM_INFINITY:
        bytes_too = ", with K, M, G or T" if key in IN_BYTES else ""
        raise NotGiven(f"{key.upper()} takes a number{bytes_too}, or 'unlimited', not '{text}'")
    return int(digits) * SIZE_UNITS.get(unit, 1)


# ---- environment and time ----


def read_env(texts: list[str]) -> dict[str, str]:
    """Return the environment: the usual one, and each NAME=VALUE, or NAME as the host has it.

    A NAME that the host does not have is left out, also of the usual ones.
    """
    variables = dict(DEFAULT_ENV)
    for text in texts:
        name, equals, value = text.partition("=")
        if not name:
            raise NotGiven(f"a variable is NAME=VALUE, or NAME to pass it on, not '{text}'")
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
        else:
            variables.pop(name, None)
    return variables


def nanoseconds_of(name: str, given: float | str) -> int:
    """Return a time that a run may take, of seconds. name: what gives it. Errors: NotGiven."""
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0
    if not 0 < seconds < MOST_SECONDS:
        raise NotGiven(f"{name} takes a number of seconds above 0, not '{given}'")
    return round(seconds * SECOND)


def seconds_in(nanoseconds: int) -> str:
    """Return a time in seconds, as short as it can be."""
    return f"{nanoseconds / SECOND:.9f}".rstrip("0").rstrip(".")


# ---- what of the host is shown ----


class Layer(Enum):
    """Whether programs may change what the machine's root shows."""

    READ_ONLY = "as the host has it"
    OVERLAY = "changes are kept in memory"


def make_directory(kernel: Kernel, path: str, uid: int = 0, gid: int = 0) -> Path:
    """Return the directory at an absolute path, made with all above it if need be.

    What is made belongs to uid and gid; whatever their rights are, it can be made.
    """
    init = kernel_task(kernel, uid, gid)
    parts = [part for part in path.split("/") if part]
    for depth in range(1, len(parts) + 1):
        place = kernel.vfs.walk(init, "/" + "/".join(parts[:depth]), Last.ENTRY)
        if place.inode is None:
            names.mkdir(init, place, 0o755)
    return kernel.vfs.walk(init, path).path()


def kernel_task(kernel: Kernel, uid: int = 0, gid: int = 0) -> Task:
    """Return a task in whose name the kernel itself looks at paths: it may all, in no table."""
    from pkern.kernel.tasks.credentials import ALL_CAPS
    from pkern.kernel.tasks.task import Task

    task = Task(kernel, 0, "swapper", [])
    task.start_afresh()
    task.set_credentials(uid, gid, ALL_CAPS)
    return task
