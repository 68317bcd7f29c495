"""The sysctl table: every parameter once, behind every door.

Owns names, types, ranges, help and rights. A value lives where it is obeyed: in the core's struct
tunables or in a field of the part of the machine named as owner; only what nobody else holds lives
here. Each change is logged.
"""

from __future__ import annotations

import errno
import re

from pkern.kernel.arguments import did_you_mean, of_type
from pkern.kernel.errors import MachineClosed, SyscallError
from pkern.kernel.lean import contextmanager
from pkern.kernel.log import KERN_INFO, Log
from pkern.kernel.sysctl_entries import ENTRIES
from pkern.kernel.sysctl_entry import Entry, Value
from pkern.kernel.sysctl_kept import KEPT
from pkern.kernel.typed import Any, Callable, Iterator, Protocol

NUMBER = re.compile(r"([+-]?)(0x|0|)([0-9a-f]*)", re.IGNORECASE)
BASES = {"0x": 16, "0": 8, "": 10}


def parse_number(text: str) -> int | None:
    """Return the integer that a text is in C's notation, or None."""
    found = NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, prefix, digits = found.groups()
    try:
        return int(sign + (digits or prefix), BASES[prefix.lower()])
    except ValueError:
        return None


def _bad(entry: Entry, text: str) -> SyscallError:
    return SyscallError(errno.EINVAL, f"{entry.name}={text}")


class User(Protocol):
    """A task, as far as the table asks who reads or writes."""

    @property
    def pid(self) -> int: ...
    @property
    def uid(self) -> int: ...


class SysctlTable:
    """The parameters of one machine, by name.

    owner: returns a part of it, by Entry.owner, as a task sees it (None: the machine's owner).
    root: returns who has root's rights over what an owner holds, None: nobody.
    """

    def __init__(
        self, owner: Callable[[str, Any], Any], root: Callable[[str, Any], int | None], log: Log
    ) -> None:
        self._owner = owner
        self._root = root
        self._log = log
        self._entries = {entry.name: entry for entry in (*ENTRIES, *KEPT)}
        self._own = {e.name: e.default for e in self._entries.values() if e.owner == "table"}

    def __repr__(self) -> str:
        return f"<SysctlTable of {len(self._entries)} names>"

    def close(self) -> None:
        """Answer nothing any more: the machine is closed."""
        del self._entries, self._own
        self.__class__ = _Closed

    # ---- looking ----

    def entries(self) -> list[Entry]:
        """Return every entry, by name."""
        return [self._entries[name] for name in sorted(self._entries)]

    def entry(self, name: str) -> Entry:
        """Return one entry; '/' may stand for '.'. Errors: ENOENT."""
        found = self._entries.get(of_type("a sysctl's name", name, str).replace("/", "."))
        if found is None:
            raise SyscallError(errno.ENOENT, name)
        return found

    def __iter__(self) -> Iterator[str]:
        """Give every name, in order."""
        return iter(sorted(self._entries))

    def __getitem__(self, name: str) -> Value:
        with self._explained(name):
            return self.value(name, None)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Say in a note to the machine's owner what would do instead."""
        try:
            yield
        except SyscallError as error:
            error.add_note(self._what_would_do(name, error.errno))
            raise

    def _what_would_do(self, name: str, number: int | None) -> str:
        if number == errno.ENOENT:
            hint = did_you_mean(name, self._entries, "; list(kernel.sysctl) names all")
            return f"there is no such sysctl{hint}"
        entry = self.entry(name)
        return entry.help if number == errno.EBUSY else entry.takes

    def value(self, name: str, task: User | None) -> Value:
        """Return the value that a task sees; None: the machine's owner. Errors: ENOENT."""
        entry = self.entry(name)
        if entry.owner == "table":
            value = self._own[entry.name]
            assert value is not None
            return value
        value = getattr(self._owner(entry.owner, task), entry.where)
        return value if entry.kind == "str" else int(value)

    def read(self, name: str, task: User | None = None) -> str:
        """Return the text of the /proc/sys file: the value and a newline."""
        return f"{self.value(name, task)}\n"

    def has_roots_rights(self, name: str, task: User) -> bool:
        """Tell whether the bits for root are those for a task."""
        return task.uid == self._root(self.entry(name).owner, task)

    # ---- changing ----

    def __setitem__(self, name: str, value: Value) -> None:
        """Set a value with root's rights; a bool is 0 or 1.

        Errors: ENOENT, EINVAL, EACCES (read-only); a note says what would do.
        """
        text = str(int(value) if isinstance(value, bool) else value)
        with self._explained(name):
            self.write(name, text, None)

    def may_write(self, name: str, task: User | None) -> bool:
        """Tell whether a task (None: the machine's owner) may write the entry."""
        fixed = self.entry(name).read_only
        return not fixed and (task is None or self.has_roots_rights(name, task))

    def write(self, name: str, text: str, task: User | None) -> None:
        """Parse and set a value, as a write to its /proc/sys file does.

        Errors: ENOENT; EACCES (no right, read-only), EBUSY (vm.rmap); EINVAL, with nothing changed.
        """
        entry = self.entry(name)
        if not self.may_write(name, task):
            raise SyscallError(errno.EACCES)
        self._store(entry, self._parse(entry, text, task), task)
        who = f"pid {task.pid}, uid {task.uid}" if task else "the machine's owner"
        self._log.write(KERN_INFO, f"sysctl: {entry.name} = {self.value(name, task)} ({who})")

    def _parse(self, entry: Entry, text: str, task: User | None) -> Value:
        text = text.strip(" \t\n")
        if entry.choices:
            if text not in entry.choices:
                raise _bad(entry, text)
            return text
        if entry.columns > 1:
            return self._row(entry, text.split(), task)
        if entry.kind == "str":
            is_text = text.isprintable() or "\t" in text
            if not 0 < len(text) <= entry.longest or not is_text:
                raise _bad(entry, text)
            return text
        if entry.stays and self.value(entry.name, task) == entry.high:
            entry = entry._replace(low=entry.high)
        return self._number(entry, text)

    def _row(self, entry: Entry, given: list[str], task: User | None) -> str:
        rest = str(self.value(entry.name, task)).split()[len(given) :]
        if not 0 < len(given) <= entry.columns:
            raise _bad(entry, " ".join(given))
        return "\t".join([str(self._number(entry, text)) for text in given] + rest)

    def _number(self, entry: Entry, text: str) -> int:
        value = parse_number(text)
        if value is None or text.startswith("+") or not entry.low <= value <= entry.high:
            raise _bad(entry, text)
        return value

    def _store(self, entry: Entry, value: Value, task: User | None) -> None:
        self._set(entry, value, task)
        if entry.clears:
            self._set(self.entry(entry.clears), 0, task)

    def _set(self, entry: Entry, value: Value, task: User | None) -> None:
        if entry.owner == "table":
            self._own[entry.name] = value
        else:
            setattr(self._owner(entry.owner, task), entry.where, value)


class _Closed(SysctlTable):
    """What the table of a closed machine is."""

    def __repr__(self) -> str:
        return "<SysctlTable, closed>"

    def __getattr__(self, name: str) -> Any:
        """Say of what close() has taken that it is gone. Errors: MachineClosed."""
        raise MachineClosed

    def close(self) -> None:
        """Do nothing: it is closed."""
