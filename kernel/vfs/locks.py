"""File locks: flock's, held by an open file, and fcntl's records, held by a task's descriptors.

A record is [start, end) bytes of an inode; it belongs to a table of descriptors, which threads
share, or to an open file. No inode is known here that nobody has open: closing drops what the
closer held.
"""

from __future__ import annotations

from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.inode import Inode

F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN, LOCK_MAND = 1, 2, 4, 8, 32
LOCK_END = 1 << 63  # of a record without an end


class Record(NamedTuple):
    """A lock on [start, end) bytes. kind: F_RDLCK or F_WRLCK. owner: an FdTable, or a File.

    file: through which it was taken.
    """

    start: int
    end: int
    kind: int
    owner: object
    file: File

    def columns(self) -> tuple[str, str, int]:
        """Return kind, access and pid as /proc/locks shows them."""
        access = "WRITE" if self.kind == F_WRLCK else "READ"
        return "OFDLCK" if self.pid < 0 else "POSIX", access, self.pid

    @property
    def pid(self) -> int:
        """The process that an owner's table is of; -1: an open file is nobody's."""
        return getattr(self.owner, "pid", -1)

    def span(self) -> str:
        """Return the first and the last byte."""
        return f"{self.start} {'EOF' if self.end == LOCK_END else self.end - 1}"

    def stops(self, other: Record) -> bool:
        """Tell whether other cannot be granted beside this one."""
        return (
            self.owner != other.owner
            and F_WRLCK in (self.kind, other.kind)
            and self.start < other.end
            and other.start < self.end
        )


class Shown(NamedTuple):
    """A lock as /proc shows it. access: READ, WRITE. pid: -1: an open file's. span: its bytes.

    state: whether it is advisory; of a lease whether it is to be broken.
    """

    kind: str
    access: str
    pid: int
    ino: int
    span: str
    state: str = "ADVISORY"

    def seen_in(self, pid_ns: PidNamespace) -> Shown:
        """Return it with the number that its process has in a namespace; 0: it has none."""
        return self if self.pid < 0 else self._replace(pid=pid_ns.number_of(self.pid))

    def line(self, number: int, device: str) -> str:
        """Return it as /proc/locks and fdinfo show it. device: of the file."""
        what = f"{self.kind:<6} {self.state:<9} {self.access}"
        return f"{number}: {what} {self.pid} {device}:{self.ino} {self.span}"


def _flock_shown(ino: int, file: File, kind: int) -> Shown:
    pid = file.opener.tgid if file.opener is not None else 0
    return Shown("FLOCK", "WRITE" if kind == LOCK_EX else "READ", pid, ino, "0 EOF")


def _record_shown(ino: int, record: Record) -> Shown:
    return Shown(*record.columns(), ino, record.span())


class Locks:
    """Every lock of one machine."""

    def __init__(self) -> None:
        self._flocks: dict[int, dict[int, tuple[File, int]]] = {}
        self._records: dict[int, list[Record]] = {}
        self._owned: dict[object, set[int]] = {}  # by owner: where it may hold records

    # ---- records ----

    def conflict(self, inode: Inode, wanted: Record) -> Record | None:
        """Return the first record that stops wanted, or None."""
        held = self._records.get(inode.ino, [])
        return next((record for record in held if record.stops(wanted)), None)

    def set_record(self, inode: Inode, wanted: Record) -> None:
        """Replace what the owner holds in the range; F_UNLCK leaves nothing there."""
        kept: list[Record] = []
        for record in self._records.get(inode.ino, []):
            kept += [record] if record.owner != wanted.owner else _without(record, wanted)
        if wanted.kind != F_UNLCK:
            kept = _joined(kept, wanted)
            self._owned.setdefault(wanted.owner, set()).add(inode.ino)
        self._keep(inode.ino, sorted(kept, key=lambda record: record.start))

    def _keep(self, ino: int, records: list[Record]) -> None:
        if records:
            self._records[ino] = records
        else:
            self._records.pop(ino, None)

    def drop_task(self, inode: Inode, owner: object) -> None:
        """Drop what an owner holds on an inode."""
        held = self._records.get(inode.ino)
        if held:
            self._keep(inode.ino, [record for record in held if record.owner != owner])

    def drop_owner(self, owner: object) -> None:
        """Drop all that an owner holds."""
        owned = self._owned.pop(owner, None)
        for ino in sorted(owned) if owned else ():
            held = self._records.get(ino, [])
            self._keep(ino, [record for record in held if record.owner != owner])

    def all(self) -> list[Shown]:
        """Return every lock, as /proc/locks has them."""
        found = [
            _flock_shown(ino, file, kind)
            for ino, held in self._flocks.items()
            for file, kind in held.values()
        ]
        for ino, records in self._records.items():
            found += [_record_shown(ino, record) for record in records]
        return found

    def held_by(self, file: File, table: object) -> list[Shown]:
        """Return what an open file, and a table of descriptors that has it, hold on its inode."""
        ino = file.inode.ino
        held = self._flocks.get(ino, {})
        found = [_flock_shown(ino, *held[file.cookie])] if file.cookie in held else []
        records = self._records.get(ino, [])
        own = [one for one in records if one.file is file and one.owner in (file, table)]
        return found + [_record_shown(ino, one) for one in own]

    # ---- flock ----

    def flock_conflict(self, file: File, kind: int) -> File | None:
        """Return another open file that stops kind (LOCK_SH, LOCK_EX), or None."""
        held = self._flocks.get(file.inode.ino, {})
        return next(
            (
                other
                for other, its_kind in held.values()
                if other is not file and LOCK_EX in (kind, its_kind)
            ),
            None,
        )

    def set_flock(self, file: File, kind: int) -> None:
        """Give file the lock kind in place of the one it held."""
        self._flocks.setdefault(file.inode.ino, {})[file.cookie] = (file, kind)

    def drop_flock(self, file: File) -> None:
        """Drop the lock of an open file."""
        held = self._flocks.get(file.inode.ino, {})
        held.pop(file.cookie, None)
        if not held:
            self._flocks.pop(file.inode.ino, None)

    def drop_file(self, file: File) -> None:
        """Drop all that a closed file held."""
        if file.inode.ino in self._flocks:
            self.drop_flock(file)
        if file in self._owned:
            self.drop_owner(file)

    def has(self, file: File) -> bool:
        """Tell whether an open file, not a table of descriptors, holds anything."""
        return file.cookie in self._flocks.get(file.inode.ino, ()) or file in self._owned


def _without(record: Record, hole: Record) -> list[Record]:
    """Return what is left of a record: `rrrr / r..r`."""
    parts = [(record.start, min(record.end, hole.start)), (max(record.start, hole.end), record.end)]
    return [record._replace(start=start, end=end) for start, end in parts if start < end]


def _joined(records: list[Record], new: Record) -> list[Record]:
    """Add a record, joined with neighbours of the same kind and owner: to the first of them."""
    rest: list[Record] = []
    start, end, first = new.start, new.end, new
    for record in records:
        same = record.owner == new.owner and record.kind == new.kind
        if same and record.start <= end and start <= record.end:
            start, end = min(start, record.start), max(end, record.end)
            first = record if first is new else first
        else:
            rest.append(record)
    return [*rest, first._replace(start=start, end=end)]
