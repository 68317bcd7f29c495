"""The sysctl table: every parameter once, behind every door.

Owns names, types, ranges, help and rights. A value lives where it is obeyed: in the core's struct
tunables or in a field of the part of the machine named as owner; only what nobody else holds lives
here. Each change is logged.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from pkern.kernel.errors import SyscallError
from pkern.kernel.log import KERN_INFO, Log

Value = int | str
MAX = (1 << 63) - 1
NUMBER = re.compile(r"([+-]?)(0x|0|)([0-9a-f]*)", re.IGNORECASE)
BASES = {"0x": 16, "0": 8, "": 10}


class Entry(NamedTuple):
    """One parameter. low..high: an integer's range; a string entry's values stand in choices.

    owner: who holds the value, as Kernel.owners names the machine's parts; "table": nobody else.
    field: the owner's, where it is not the last part of the name.
    """

    name: str
    help: str
    owner: str = "tunables"
    field: str = ""
    default: Value | None = None
    low: int = 0
    high: int = MAX
    read_only: str = ""  # why it cannot be written; empty: it can
    choices: tuple[str, ...] = ()
    columns: int = 1  # more: a row of integers; those that a write leaves out stay

    @property
    def kind(self) -> str:
        """'int' or 'str'."""
        return "str" if isinstance(self.default, str) else "int"

    @property
    def where(self) -> str:
        """The field or attribute that holds the value."""
        return self.field or self.name.rsplit(".", 1)[1]

    @property
    def range(self) -> str:
        """The allowed values, for people."""
        if self.choices:
            return ", ".join(self.choices)
        if self.columns > 1:
            return f"{self.columns} integers"
        if self.kind == "str":
            return "text"
        return f"{self.low}..{self.high}" if self.high < MAX else f"{self.low}.."


ENTRIES = (
    Entry(
        "debug.exception-trace",
        "1: a fault that no handler takes is logged, with the instruction and where it lies.",
        "table",
        default=1,
        high=1,
    ),
    Entry(
        "fs.file-max",
        "Files that may be open in all; one more (ENFILE) wants CAP_SYS_ADMIN.",
        "vfs",
        "file_max",
        default=0,
    ),
    Entry(
        "fs.file-nr",
        "Files that are open, 0, and fs.file-max.",
        "vfs",
        "file_nr",
        default="",
        read_only="it counts",
    ),
    Entry("kernel.domainname", "The domain that uname shows.", "uts", default="(none)"),
    Entry("kernel.hostname", "The node name that uname shows.", "uts", default="pkern"),
    Entry(
        "kernel.osrelease",
        "The release whose behaviour programs may expect.",
        "uts",
        default="6.18.0-pkern",
        read_only="it names the release",
    ),
    Entry(
        "kernel.ostype",
        "The system's name.",
        "uts",
        default="Linux",
        read_only="it names the system",
    ),
    Entry("kernel.pid_max", "Pids are below this.", "tasks", default=32768, low=301, high=4194304),
    Entry(
        "kernel.printk",
        "Log lines below the first level go to the console (standard error, structlog); then the"
        " level of lines without one, the least first level, and the first level at boot.",
        "log",
        default="4\t4\t1\t7",
        columns=4,
    ),
    Entry(
        "kernel.randomize_va_space",
        "Address-space randomisation: always 0, so that runs repeat.",
        "table",
        default=0,
        high=0,
    ),
    Entry(
        "kernel.revirt_vsyscalls",
        "1: the vsyscalls make real system calls, which a tracer sees; kernel.vsyscall64 reversed.",
        "vsyscalls",
        "revirtualised",
        default=0,
        high=1,
    ),
    Entry(
        "kernel.version",
        "The build, as uname -v.",
        "uts",
        default="#1 SMP PREEMPT_DYNAMIC",
        read_only="it names the build",
    ),
    Entry(
        "kernel.vsyscall64",
        "1: the vsyscalls read the time without a trap; 0: see kernel.revirt_vsyscalls.",
        "vsyscalls",
        "fast",
        default=1,
        high=1,
    ),
    Entry(
        "vm.disable_cap_mlock",
        "1: locking memory and shared large pages want neither right nor limit, as in 2.4-aa.",
        high=1,
    ),
    Entry(
        "vm.dirty_background_ratio",
        "Percent of usable memory that may be dirty before a write ends with writing it back.",
        "memory",
        default=10,
        high=100,
    ),
    Entry(
        "vm.dirty_ratio",
        "Percent of usable memory that may be dirty before a writer must write back to go on.",
        "memory",
        default=20,
        high=100,
    ),
    Entry(
        "vm.drop_caches",
        "Writing 1 drops clean page cache (2: nothing more is kept, 3: both).",
        "memory",
        default=0,
        high=4,
    ),
    Entry(
        "vm.fork_file_ptes",
        "1: fork copies the ptes of file mappings, as Linux did until 2.6.13.",
        high=1,
    ),
    Entry(
        "vm.hugetlb_shm_group",
        "The group that may make shared memory of large pages without CAP_IPC_LOCK.",
        "memory",
        default=0,
        high=(1 << 32) - 1,
    ),
    Entry("vm.legacy_va_layout", "1: mappings grow upwards from a third of user space.", high=1),
    Entry("vm.max_map_count", "VMAs one address space may have."),
    Entry("vm.min_free_kbytes", "The lowest watermark; low and high follow.", "memory", low=0),
    Entry("vm.mmap_min_addr", "Lowest address to map without CAP_SYS_RAWIO, in bytes."),
    Entry(
        "vm.nonlinear",
        "1 opens nonlinear mappings to all; at 0 they want CAP_IPC_LOCK (EPERM).",
        "memory",
        "nonlinear_open",
        default=0,
        high=1,
    ),
    Entry("vm.nonlinear_emulated", "1: remap_file_pages splits VMAs, as Linux since 4.0.", high=1),
    Entry("vm.nonlinear_max_pages", "Pages that all special VMAs together may pin."),
    Entry(
        "vm.nonlinear_mixing", "0: remap_file_pages only in a special VMA (else EINVAL).", high=1
    ),
    Entry(
        "vm.nr_hugepages",
        "Large pages (2 MiB) in the pool; what there is no memory for is not there.",
        "memory",
        default=0,
    ),
    Entry(
        "vm.nr_overcommit_hugepages",
        "Large pages that the pool may have beyond vm.nr_hugepages while they are wanted.",
    ),
    Entry(
        "vm.oom_kill_allocating_task",
        "1: out of memory kills the task that asked, not the one with the highest score.",
        "oom",
        "kill_allocating_task",
        default=0,
        high=1,
    ),
    Entry(
        "vm.oom_policy",
        "Nothing can be freed: kill by score and try again, or fail the call and kill the asker.",
        "oom",
        "policy",
        default="loop",
        choices=("loop", "kill_allocating"),
    ),
    Entry("vm.overcommit_kbytes", "Commit limit of mode 2 in KiB; 0: use the ratio."),
    Entry(
        "vm.overcommit_memory", "0: refuse the absurd, 1: refuse nothing, 2: keep a limit.", high=2
    ),
    Entry("vm.overcommit_ratio", "Commit limit of mode 2 in percent of RAM.", high=1000),
    Entry(
        "vm.page-cluster",
        "A fault that reads swap reads 2^this aligned slots; 0: only its own page.",
        "tunables",
        "page_cluster",
        high=31,
    ),
    Entry(
        "vm.panic_on_oom",
        "1: out of memory stops the machine.",
        "oom",
        default=0,
        high=2,
    ),
    Entry(
        "vm.rmap",
        "How the ptes of a page are found; EBUSY while any page is mapped.",
        "memory",
        default="objrmap_tree",
        choices=("virtual_scan", "pte_chain", "objrmap", "objrmap_tree", "compare"),
    ),
    Entry(
        "vm.swappiness",
        "How much of a scan goes to anonymous pages, of 200.",
        high=200,
    ),
    Entry(
        "vm.vm_passes",
        "Passes over the lists, deeper each time, before reclaim gives up.",
        "memory",
        default=16,
        low=1,
        high=1000,
    ),
)


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
    """The parameters of one machine, by name. owners: the machine's parts, by Entry.owner."""

    def __init__(self, owners: Mapping[str, Any], log: Log) -> None:
        self._owners = owners
        self._log = log
        self._entries = {entry.name: entry for entry in ENTRIES}
        self._own = {e.name: e.default for e in ENTRIES if e.owner == "table"}

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
        value = getattr(self._owners[entry.owner], entry.where)
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
            if not text or len(text) > 64 or (not text.isprintable() and "\t" not in text):
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
        if entry.owner == "table":
            self._own[entry.name] = value
        else:
            setattr(self._owners[entry.owner], entry.where, value)
