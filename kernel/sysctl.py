"""The sysctls: one table behind every door.

Owns names, kinds, ranges, defaults and help. A value that the core obeys lives in its struct
tunables, one that a Kernel attribute already holds lives there; the rest lives in the table.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.errors import SyscallError
from kernel.log import KERN_INFO

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task

U64_MAX = (1 << 64) - 1
INT_MAX = (1 << 31) - 1
HOSTNAME_MAX = 64
RAM_PAGES_HALF = -1  # a default that boot computes: half of RAM, in pages
OSRELEASE = "6.6.0-pkern"
VERSION = "#1 Sun Apr 6 00:00:00 UTC 2003"

Value = int | str


@dataclass(frozen=True, slots=True)
class Entry:
    """One sysctl.

    kind: "int", "ints" (numbers between blanks) or "string". low, high: inclusive, of each
    number; for a string its length in characters. store: "tunables" (the core), "kernel" (an
    attribute of Kernel) or "table"; key: the field there. mode: permission bits as under
    /proc/sys; fixed: the errno of a write by one who may, 0 when it can be changed.
    """

    name: str
    kind: str
    default: Value
    low: int
    high: int
    help: str
    store: str = "table"
    key: str = ""
    mode: int = 0o644
    fixed: int = 0


def _core(name: str, default: int, low: int, high: int, text: str) -> Entry:
    key = name.split(".", 1)[1]
    return Entry(name, "int", default, low, high, text, "tunables", key)


def _text(name: str, value: str, text: str) -> Entry:
    return Entry(name, "string", value, 1, HOSTNAME_MAX, text, mode=0o444, fixed=errno.EACCES)


ENTRIES = (
    Entry(
        "vm.nonlinear", "int", 0, 0, 1,
        "1: any task may use remap_file_pages and MAP_NONLINEAR; 0: only CAP_IPC_LOCK",
        "kernel", "nonlinear_open",
    ),
    _core("vm.nonlinear_max_pages", RAM_PAGES_HALF, 0, U64_MAX,
          "pages that all special VMAs together may pin; half of RAM at boot"),
    _core("vm.nonlinear_mixing", 1, 0, 1,
          "1: remap_file_pages works on ordinary shared file VMAs; 0: EINVAL there"),
    _core("vm.nonlinear_emulated", 0, 0, 1,
          "1: remap_file_pages splits VMAs, as Linux 4.0 and later"),
    Entry("vm.rmap", "string", "objrmap_tree", 1, HOSTNAME_MAX,
          "the reverse map, chosen at boot; EBUSY for another one later",
          "kernel", "rmap_name", fixed=errno.EBUSY),
    _core("vm.overcommit_memory", 0, 0, 2, "0: heuristic, 1: always, 2: never beyond the limit"),
    _core("vm.overcommit_ratio", 50, 0, INT_MAX, "percent of RAM in the commit limit of mode 2"),
    _core("vm.overcommit_kbytes", 0, 0, U64_MAX >> 10,
          "kilobytes in the commit limit of mode 2; 0: use the ratio"),
    _core("vm.max_map_count", 65530, 0, INT_MAX, "VMAs that one address space may have"),
    _core("vm.mmap_min_addr", 65536, 0, U64_MAX, "lowest address for mmap without CAP_SYS_RAWIO"),
    _core("vm.legacy_va_layout", 0, 0, 1, "1: mmap searches upward from a third of the space"),
    Entry("kernel.pid_max", "int", 32768, 301, 4194304, "process numbers are below this"),
    Entry("kernel.randomize_va_space", "int", 0, 0, 0,
          "always 0: a run must be the same every time"),
    Entry("kernel.printk", "ints", "4\t4\t1\t7", 0, INT_MAX,
          "log levels: console, default message, minimum console, default console"),
    _text("kernel.ostype", "Linux", "the system's name, as uname gives it"),
    _text("kernel.osrelease", OSRELEASE, "the release, as uname gives it"),
    _text("kernel.version", VERSION, "the build, as uname gives it"),
    Entry("kernel.hostname", "string", "pkern", 0, HOSTNAME_MAX,
          "the machine's name, as uname gives it", "kernel", "hostname"),
    Entry("fs.file-max", "int", 65536, 1, INT_MAX, "open files that the machine may have"),
)  # fmt: skip


def parse_number(text: str, entry: Entry) -> int:
    """Return the number that text spells (0x and leading 0 as C). Errors: EINVAL."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    octal = len(digits) > 1 and digits.startswith("0") and digits.isdigit()
    base = 16 if digits[:2].lower() == "0x" else 8 if octal else 10
    if not digits[:1].isdigit() or not digits.isascii() or "_" in digits:
        raise SyscallError(errno.EINVAL)
    try:
        value = sign * int(digits, base)
    except ValueError:
        raise SyscallError(errno.EINVAL) from None
    if not entry.low <= value <= entry.high:
        raise SyscallError(errno.EINVAL)
    return value


def parse(entry: Entry, text: str) -> Value:
    """Return the value of text for entry. Errors: EINVAL."""
    text = text.removesuffix("\n")
    if entry.kind == "int":
        return parse_number(text.strip(" \t"), entry)
    if entry.kind == "ints":
        return _parse_numbers(entry, text)
    if "\n" in text or "\0" in text or not entry.low <= len(text) <= entry.high:
        raise SyscallError(errno.EINVAL)
    return text


def _parse_numbers(entry: Entry, text: str) -> str:
    numbers = [parse_number(word, entry) for word in text.split()]
    if len(numbers) != len(str(entry.default).split()):
        raise SyscallError(errno.EINVAL)
    return "\t".join(str(number) for number in numbers)


class SysctlTable:
    """A machine's sysctls: `table["vm.nonlinear"] = 1` acts as root."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._entries = {entry.name: entry for entry in sorted(ENTRIES, key=lambda e: e.name)}
        self._values: dict[str, Value] = {}
        for entry in self._entries.values():
            if entry.store != "kernel":
                self._store(entry, self._default(entry))

    def _default(self, entry: Entry) -> Value:
        if entry.default == RAM_PAGES_HALF:
            return int(self._kernel.counters.nr_total) // 2
        return entry.default

    # ---- looking ----

    def entries(self) -> list[Entry]:
        """Return all entries by name."""
        return list(self._entries.values())

    def entry(self, name: str) -> Entry:
        """Return the entry of a name. Errors: ENOENT."""
        found = self._entries.get(name)
        if found is None:
            raise SyscallError(errno.ENOENT)
        return found

    def __getitem__(self, name: str) -> Value:
        entry = self.entry(name)
        if entry.store == "tunables":
            return int(getattr(self._kernel.tunables, entry.key))
        if entry.store == "kernel":
            value: Value = getattr(self._kernel, entry.key)
            return value
        return self._values[name]

    def read(self, name: str) -> str:
        """Return the value as text, without a newline. Errors: ENOENT."""
        return str(self[name])

    def may_write(self, name: str, task: Task | None) -> int:
        """Tell whether task (None: the host, as root) may open the entry to write: 0 or 1."""
        writable = self.entry(name).mode & 0o200
        return int(writable != 0 and (task is None or task.uid == 0))

    # ---- changing ----

    def __setitem__(self, name: str, value: Value) -> None:
        self.write(name, str(int(value)) if isinstance(value, int) else value, None)

    def load(self, values: Mapping[str, Value]) -> None:
        """Set several values as root, as boot does. Errors: as write; earlier ones stay."""
        for name, value in values.items():
            self[name] = value

    def write(self, name: str, text: str, task: Task | None) -> None:
        """Set a value from text, on behalf of task or of the host (None).

        Errors: ENOENT, EACCES (no right), EINVAL (bad value), EBUSY (boot parameter).
        """
        entry = self.entry(name)
        if not self.may_write(name, task):
            raise SyscallError(errno.EACCES)
        value = parse(entry, text)
        if entry.fixed and value != self[name]:
            raise SyscallError(entry.fixed)
        self._store(entry, value)
        self._log(name, task)

    def _store(self, entry: Entry, value: Value) -> None:
        if entry.store == "tunables":
            setattr(self._kernel.tunables, entry.key, value)
        elif entry.store == "kernel":
            setattr(self._kernel, entry.key, value)
        else:
            self._values[entry.name] = value

    def _log(self, name: str, task: Task | None) -> None:
        who = f"pid {task.pid}, uid {task.uid}" if task else "pid 0, uid 0"
        text = self.read(name).replace("\t", " ")
        self._kernel.log.write(KERN_INFO, f"sysctl: {name} = {text} ({who})")
