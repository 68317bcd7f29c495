"""The sysctl table: every parameter once, behind every door.

Owns names, types, ranges, help and rights. A value lives where it is obeyed: in the core's struct
tunables or in a field of the part of the machine named as owner; only what nobody else holds lives
here. Each change is logged.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from typing import Any, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_INFO, Log
from pkern.kernel.sysctl_entries import ENTRIES
from pkern.kernel.sysctl_entry import Entry, Value
from pkern.kernel.sysctl_kept import KEPT

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


class Writer(Protocol):
    """A task, as far as the table asks who writes."""

    @property
    def pid(self) -> int: ...
    @property
    def uid(self) -> int: ...


class SysctlTable:
    """The parameters of one machine, by name. owner: returns a part of it, by Entry.owner."""

    def __init__(self, owner: Callable[[str], Any], log: Log) -> None:
        self._owner = owner
        self._log = log
        self._entries = {entry.name: entry for entry in (*ENTRIES, *KEPT)}
        self._own = {e.name: e.default for e in self._entries.values() if e.owner == "table"}

    # ---- looking ----

    def entries(self) -> list[Entry]:
        """Return every entry, by name."""
        return [self._entries[name] for name in sorted(self._entries)]

    def entry(self, name: str) -> Entry:
        """Return one entry; '/' may stand for '.'. Errors: ENOENT."""
        found = self._entries.get(name.replace("/", "."))
        if found is None:
            raise SyscallError(errno.ENOENT, name)
        return found

    def __getitem__(self, name: str) -> Value:
        entry = self.entry(name)
        if entry.owner == "table":
            value = self._own[entry.name]
            assert value is not None
            return value
        value = getattr(self._owner(entry.owner), entry.where)
        return value if entry.kind == "str" else int(value)

    def read(self, name: str) -> str:
        """Return the text of the /proc/sys file: the value and a newline."""
        return f"{self[name]}\n"

    # ---- changing ----

    def __setitem__(self, name: str, value: Value) -> None:
        """Set a value with root's rights. Errors: ENOENT, EINVAL, EACCES (read-only)."""
        self.write(name, str(value), None)

    def may_write(self, name: str, task: Writer | None) -> bool:
        """Tell whether a task (None: the machine's owner) may write the entry."""
        return not self.entry(name).read_only and (task is None or task.uid == 0)

    def write(self, name: str, text: str, task: Writer | None) -> None:
        """Parse and set a value, as a write to its /proc/sys file does.

        Errors: ENOENT; EACCES (no right, read-only), EBUSY (vm.rmap); EINVAL, with nothing changed.
        """
        entry = self.entry(name)
        if not self.may_write(name, task):
            raise SyscallError(errno.EACCES)
        self._store(entry, self._parse(entry, text))
        who = f"pid {task.pid}, uid {task.uid}" if task else "the machine's owner"
        self._log.write(KERN_INFO, f"sysctl: {entry.name} = {self[entry.name]} ({who})")

    def _parse(self, entry: Entry, text: str) -> Value:
        text = text.strip(" \t\n")
        if entry.choices:
            if text not in entry.choices:
                raise _bad(entry, text)
            return text
        if entry.columns > 1:
            return self._row(entry, text.split())
        if entry.kind == "str":
            is_text = text.isprintable() or "\t" in text
            if not 0 < len(text) <= entry.longest or not is_text:
                raise _bad(entry, text)
            return text
        return self._number(entry, text)

    def _row(self, entry: Entry, given: list[str]) -> str:
        rest = str(self[entry.name]).split()[len(given) :]
        if not 0 < len(given) <= entry.columns:
            raise _bad(entry, " ".join(given))
        return "\t".join([str(self._number(entry, text)) for text in given] + rest)

    def _number(self, entry: Entry, text: str) -> int:
        value = parse_number(text)
        if value is None or text.startswith("+") or not entry.low <= value <= entry.high:
            raise _bad(entry, text)
        return value

    def _store(self, entry: Entry, value: Value) -> None:
        self._set(entry, value)
        if entry.clears:
            self._set(self.entry(entry.clears), 0)

    def _set(self, entry: Entry, value: Value) -> None:
        if entry.owner == "table":
            self._own[entry.name] = value
        else:
            setattr(self._owner(entry.owner), entry.where, value)
