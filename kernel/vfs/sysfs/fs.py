"""The tree of /sys: directories, and attributes whose text is made when it is read.

An attribute is one value, shown and stored by functions; it keeps nothing itself. mm.py and
devices.py say which there are. Nobody makes or removes names here.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.lean import partial
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.fs.latedir import LateDir, Plan
from pkern.kernel.vfs.inode import MAY_READ, MAY_WRITE, Inode, LinkInode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller, Machine

PAGE_SIZE = 4096  # bytes; the most that an attribute shows, and the size that stat tells
Show = Callable[[], str]
Store = Callable[[str], None]


class Attribute(NamedTuple):
    """One value. show: its text without the newline; store: takes what was written.

    Errors of store: EINVAL and its kind. Neither: it cannot be read, or written.
    """

    show: Show | None = None
    store: Store | None = None

    @property
    def mode(self) -> int:
        """Permission bits: the owner may write, all may read."""
        return (0o444 if self.show else 0) | (0o200 if self.store else 0)


class Link(NamedTuple):
    """A symbolic link."""

    target: str


Tree = dict[str, "Attribute | Link | Inode | Tree"]


def fixed(text: str) -> Attribute:
    """Return an attribute that says the same for ever."""
    return Attribute(lambda: text)


def number(text: str, high: int = (1 << 64) - 1) -> int:
    """Return the number that was written, 0..high, in C's notation. Errors: EINVAL, ERANGE."""
    try:
        value = int(text.strip(), 0)
    except ValueError:
        raise SyscallError(errno.EINVAL) from None
    if not 0 <= value <= high:
        raise SyscallError(errno.ERANGE if value >= 0 else errno.EINVAL)
    return value


class AttributeFile(Inode):
    """The file of an attribute."""

    no_mmap = lib.FILE_NO_MMAP | lib.FILE_LATE_ENODEV
    noexec = True

    def __init__(self, kernel: Machine, attribute: Attribute) -> None:
        super().__init__(kernel, attribute.mode)
        self._attribute = attribute
        self._content = b""

    @property
    def size(self) -> int:
        return PAGE_SIZE

    def open_check(self, task: Caller, wanted: int) -> None:
        """Refuse what the attribute cannot do, whoever asks. Errors: EACCES."""
        able = (MAY_READ if self._attribute.show else 0) | (
            MAY_WRITE if self._attribute.store else 0
        )
        if wanted & ~able:
            raise SyscallError(errno.EACCES)
        super().open_check(task, wanted)

    def opened(self, task: Caller) -> Inode:
        copy = self.for_one_open()
        copy._content = b""
        return copy

    def accessed(self) -> None:
        """Nothing: reads of /sys leave the times as they are."""

    def read(self, pos: int, nbytes: int) -> bytes:
        if (pos == 0 or not self._content) and self._attribute.show is not None:
            text = self._attribute.show()
            self._content = f"{text}\n".encode() if text or self._attribute.store else b"\n"
        return self._content[pos : pos + nbytes]

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        if self._attribute.store is None:
            raise SyscallError(errno.EIO)
        if data:
            self._attribute.store(data[:PAGE_SIZE].decode("latin-1"))
        return len(data)

    def truncate(self, size: int) -> None:
        """O_TRUNC, which a shell's `>` asks for, changes nothing."""


class SysDir(LateDir):
    """A directory of /sys."""

    noexec = True


def plan(kernel: Machine, tree: Tree) -> Plan:
    """Return what makes the inodes of a tree's top."""
    return {name: partial(_made, kernel, node) for name, node in sorted(tree.items())}


def _made(kernel: Machine, node: Attribute | Link | Inode | Tree) -> Inode:
    if isinstance(node, Inode):
        return node
    if isinstance(node, Attribute):
        return AttributeFile(kernel, node)
    if isinstance(node, Link):
        return LinkInode(kernel, node.target)
    directory = SysDir(kernel, 0o755, partial(plan, kernel, node))
    directory.nlink += sum(isinstance(below, dict | Inode) for below in node.values())
    return directory
