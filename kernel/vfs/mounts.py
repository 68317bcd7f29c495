"""What is mounted where: mounts, the trees they make, and the namespaces that hold these.

A Mount shows a file system, or a part of it, at a place of another mount. One file system may be
shown by many; so a place in a tree is a Path: a mount, and an inode below its root. Invariants:
Inode.mounted counts the mounts, of any namespace, that cover an inode; a mount stands in on of the
one that it is mounted over, and in mounts of its namespace, or in neither (it was taken away, and
lives on while something uses it; or its tree stands in MountTable.detached, and a file holds it).
Rules: mount(2), mount_namespaces(7), fs/namespace.c of Linux 6.18.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.base import MNT, Namespace
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Iterator
from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.vfs.inode import Inode

RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, NODIRATIME = 1, 2, 4, 8, 0x400, 0x800
STRICTATIME, NOSYMFOLLOW = 1 << 24, 0x100
OF_MOUNT = RDONLY | NOSUID | NODEV | NOEXEC | NOATIME | NODIRATIME | STRICTATIME | NOSYMFOLLOW
TIMES = NOATIME | NODIRATIME | STRICTATIME
FIRST_DEV = 20  # st_dev of the first file system; the ones below are the kernel's own
# MS_* of a file system, whichever mount shows it, in the order of /proc/mounts.
SYNCHRONOUS, MANDLOCK, DIRSYNC, LAZYTIME = 0x10, 0x40, 0x80, 1 << 25
SHOWN_OF_FS = (
    (SYNCHRONOUS, "sync"), (DIRSYNC, "dirsync"), (MANDLOCK, "mand"), (LAZYTIME, "lazytime"),
)  # fmt: skip
OF_FS = RDONLY | SYNCHRONOUS | MANDLOCK | DIRSYNC | LAZYTIME
OF_REMOUNT = OF_FS & ~DIRSYNC  # those that can be changed
SHOWN = (
    (NOSUID, "nosuid"), (NODEV, "nodev"), (NOEXEC, "noexec"), (NOATIME, "noatime"),
    (NODIRATIME, "nodiratime"),
)  # fmt: skip


class Mount:
    """One mount: which file system it shows from which root, and where.

    number: what statx and mountinfo call it. flags: MS_* of OF_MOUNT. over, covers: the mount and
    the inode there that it hides; None of a root. entry, origin: directory and name of what it
    covers and of its root, where these are no directories, which know such themselves. peers: its
    group of mounts that tell each other of theirs, 0 for none; master: the group that tells this
    one. locked: 1: who is less than its owner may not take it away alone. frozen: flags that such a
    one may not clear; all of TIMES: nor change these.
    """

    def __init__(self, number: int, fs: Any, root: Inode, flags: int) -> None:
        self.number = number
        self.fs = fs
        self.root = root
        self.flags = flags
        self.over: Mount | None = None
        self.covers: Inode | None = None
        self.on: dict[Inode, Mount] = {}  # what is mounted over it, by what that covers
        self.namespace: MountNamespace | None = None
        self.entry: tuple[Inode, str] | None = None
        self.origin: tuple[Inode, str] | None = None
        self.peers = self.master = 0
        self.unbindable = self.locked = self.expiring = self.frozen = 0

    def freeze(self) -> None:
        """Let who is less than its owner not clear what is set now. Source: lock_mnt_tree()."""
        self.frozen |= self.flags & (RDONLY | NOSUID | NODEV | NOEXEC) | TIMES

    @property
    def options(self) -> tuple[str, ...]:
        """Its own options as /proc shows them, but ro or rw."""
        names = tuple(name for bit, name in SHOWN if self.flags & bit)
        times = () if self.flags & (NOATIME | STRICTATIME) else ("relatime",)
        return (*names, *times, *(("nosymfollow",) if self.flags & NOSYMFOLLOW else ()))

    @property
    def propagation(self) -> tuple[str, ...]:
        """The optional fields of mountinfo."""
        shared = (f"shared:{self.peers}",) if self.peers else ()
        slave = (f"master:{self.master}",) if self.master else ()
        return (*shared, *slave, *(("unbindable",) if self.unbindable else ()))

    @property
    def stands_in(self) -> Inode | None:
        """The directory that it covers, or in which what it covers has its name."""
        return self.entry[0] if self.entry is not None else self.covers

    def top_of_tree(self) -> Mount:
        """Return the mount that all others of its tree are mounted over."""
        here = self
        while here.over is not None:
            here = here.over
        return here

    def below(self) -> Iterator[Mount]:
        """Yield it and all that is mounted over it, in any depth, what lies higher first."""
        yield self
        for mount in list(self.on.values()):
            yield from mount.below()


class FsFlags(NamedTuple):
    """Some of a file system's flags: MS_* of OF_FS, and mask, which of them are meant."""

    flags: int = 0
    mask: int = 0

    def saying(self, flags: int, mask: int) -> FsFlags:
        """Return these with others, which count."""
        return FsFlags(self.flags & ~mask | flags, self.mask | mask)


# A place while a path is walked: what a Path is, but made without a call.
Spot = tuple["Mount | None", "Inode"]


class Path(NamedTuple):
    """A place in a tree. mount: None of what no file system shows: a pipe, a socket."""

    mount: Mount | None
    inode: Inode


def shown(mount: Mount | None, inode: Inode) -> Spot:
    """Return what is to be seen where an inode of a mount stands: what is over it, or itself."""
    while inode.mounted and mount is not None:
        found = mount.on.get(inode)
        if found is None:
            break
        mount, inode = found, found.root
    return mount, inode


def top(path: Path) -> Path:
    """Return what is to be seen at a place: what is mounted over it, or itself."""
    return Path(*shown(path.mount, path.inode)) if path.inode.mounted else path


def under(mount: Mount) -> Path | None:
    """Return the directory that a mount covers, or covers a file of; None: it is a root."""
    where = mount.stands_in
    return Path(mount.over, where) if where is not None else None


def lies_in(path: Path, tree: Path) -> bool:
    """Tell whether a place is another one, or is reached through it."""
    here: Path | None = path
    while here is not None:
        if here.mount is tree.mount and is_below(here.inode, tree.inode):
            return True
        here = under(here.mount) if here.mount is not None else None
    return False


def is_below(inode: Inode, directory: Inode) -> bool:
    """Tell whether an inode is another one, or a directory below it in the same file system."""
    here: Inode | None = inode
    while here is not None and here is not directory:
        here = here.parent
    return here is not None


class MountNamespace(Namespace):
    """The mounts that some tasks see, in the order in which they were made."""

    kind = MNT

    def __init__(self, owner: UserNamespace, charged: int = 0) -> None:
        super().__init__(owner, charged)
        self.mounts: list[Mount] = []
        self.table: MountTable
        self.copied: dict[Mount, Mount] = {}  # which of these stands for which of its origin

    @property
    def root(self) -> Path:
        """What is to be seen at the top of the tree."""
        return top(Path(self.mounts[0], self.mounts[0].root))

    def copy(self, owner: UserNamespace, charged: int) -> MountNamespace:
        """Return a namespace with copies of all mounts.

        Those of another owner's hear of what happens here, and tell nothing back.
        """
        made = MountNamespace(owner, charged)
        made.table = self.table
        for mount in self.mounts:
            twin = self.table.twin(mount, mount.root)
            twin.unbindable = mount.unbindable
            twin.locked = mount.locked
            if owner is not self.owner:
                twin.locked = 1
                twin.freeze()
                twin.master, twin.peers = twin.peers or twin.master, 0
            made.copied[mount] = twin
            twin.entry = mount.entry
            if mount.over is not None and mount.covers is not None:
                self.table.put(twin, Path(made.copied[mount.over], mount.covers))
            else:
                twin.namespace = made
                made.mounts.append(twin)
        if made.mounts:
            made.mounts[0].locked = 0
        return made

    def close(self) -> None:
        for mount in reversed(list(self.mounts)):
            self.table.take(mount)


class MountTable:
    """The file systems of a machine that are mounted, by st_dev, and who has none any more.

    read_only: st_dev of those that nothing may change. other_flags: MS_* of OF_FS but RDONLY, by
    st_dev: programs are told of them, and nothing waits to be written that they would hasten.
    in_use: tells whether a task or an open file is in a mount.
    """

    def __init__(
        self, in_use: Callable[[Mount], bool], everywhere: Callable[[], list[Mount]]
    ) -> None:
        self.file_systems: dict[int, Any] = {}
        self.read_only: set[int] = set()
        self.other_flags: dict[int, int] = {}
        self._in_use = in_use
        self.everywhere = everywhere  # returns all mounts of all namespaces
        self._next = FIRST_DEV
        self._last_group = 0
        self._shown: dict[int, int] = {}  # how many mounts there are of each
        self._taken: list[Mount] = []  # away, but in use
        self.detached: dict[Mount, None] = {}  # roots of trees that open files hold

    # ---- making ----

    def new(self, fs: Any, flags: int = 0) -> Mount:
        """Return a mount of a file system, the first time with its st_dev."""
        number, self._next = self._next, self._next + 1
        if self.file_systems.get(fs.root.dev) is not fs:
            fs.root.dev = number
            self.file_systems[number] = fs
            if getattr(fs, "read_only", False):
                self.read_only.add(number)
        return self._counted(Mount(number, fs, fs.root, flags))

    def twin(self, mount: Mount, root: Inode) -> Mount:
        """Return another mount of the same file system, from a root; a peer, if it has any."""
        made = Mount(self._next, mount.fs, root, mount.flags)
        self._next += 1
        made.peers, made.master = mount.peers, mount.master
        made.frozen = mount.frozen
        made.origin = mount.origin if root is mount.root else None
        return self._counted(made)

    def of_inode(self, inode: Inode) -> Mount:
        """Return a mount of an inode that no file system shows: a namespace."""
        made = Mount(self._next, None, inode, STRICTATIME)
        self._next += 1
        return made

    def flags_of(self, dev: int) -> int:
        """Return the MS_* of OF_FS of a file system."""
        return self.other_flags.get(dev, 0) | (RDONLY if dev in self.read_only else 0)

    def _counted(self, mount: Mount) -> Mount:
        if mount.fs is not None:
            dev = mount.fs.root.dev
            self._shown[dev] = self._shown.get(dev, 0) + 1
        return mount

    def new_group(self) -> int:
        """Return the number of a new peer group."""
        self._last_group += 1
        return self._last_group

    # ---- the tree ----

    def put(self, mount: Mount, where: Path) -> None:
        """Mount it over a place, which nothing covers."""
        over = where.mount
        assert over is not None
        mount.over, mount.covers, mount.namespace = over, where.inode, over.namespace
        over.on[where.inode] = mount
        where.inode.mounted += 1
        if over.namespace is not None:
            over.namespace.mounts.append(mount)

    def lift(self, mount: Mount) -> None:
        """Take it from its place; what is mounted over it stays so."""
        if mount.over is not None and mount.covers is not None:
            del mount.over.on[mount.covers]
            mount.covers.mounted -= 1
        mount.over = mount.covers = None

    def detach(self, mount: Mount) -> Mount:
        """Let a new tree be mounted nowhere, until it is attached or dropped."""
        self.detached[mount] = None
        return mount

    def drop(self, mount: Mount) -> None:
        """Take a tree away if it is mounted nowhere: who held it has let go."""
        if mount not in self.detached:
            return
        del self.detached[mount]
        for one in reversed(list(mount.below())):
            self.take(one)

    def attach(self, mount: Mount, where: Path) -> None:
        """Mount a tree over a place, and over the same one of who hears of it."""
        self.detached.pop(mount, None)
        over = where.mount
        assert over is not None
        if over.peers:
            for one in mount.below():
                one.peers = one.peers or self.new_group()
        directory = mount.entry[0] if mount.entry is not None else where.inode
        twins = [(self._copy_of(mount), other) for other in listeners(over, directory)]
        for one in mount.below():
            one.namespace = over.namespace
        self.put(mount, where)
        if over.namespace is not None:
            over.namespace.mounts += [one for one in mount.below() if one is not mount]
        for twin, other in twins:
            self._attach_twin(twin, over, Path(other, where.inode))

    def _attach_twin(self, twin: Mount, over: Mount, where: Path) -> None:
        """Mount a copy of a tree over a place that hears of what is mounted over another one."""
        other = where.mount
        assert other is not None
        if not other.peers:
            for one in twin.below():
                one.master, one.peers = one.peers, 0
        here, there = over.namespace, other.namespace
        if here is not None and there is not None and there.owner is not here.owner:
            for one in twin.below():
                one.freeze()
                one.locked = int(one is not twin)
        self.put(twin, top(where))
        if there is not None:
            there.mounts += [one for one in twin.below() if one is not twin]

    def _copy_of(self, mount: Mount) -> Mount:
        made = self.tree(Path(mount, mount.root))
        made.entry = mount.entry
        return made

    def tree(self, path: Path, deep: int = 1) -> Mount:
        """Return a copy, mounted nowhere, of what a place shows. deep: 1: with what is below it.

        What is not to be bound is left out.
        """
        mount = path.mount
        assert mount is not None
        made = self.twin(mount, path.inode)
        for covers, child in list(mount.on.items()) if deep else ():
            if child.unbindable or not is_below(covers, path.inode):
                continue
            copy = self.tree(Path(child, child.root))
            copy.locked = child.locked
            copy.over, copy.covers, copy.entry = made, covers, child.entry
            made.on[covers] = copy
            covers.mounted += 1
        return made

    # ---- the end ----

    def remove(self, mount: Mount) -> None:
        """Take a tree away, and from the same place of who hears of it."""
        over, covers = mount.over, mount.covers
        where = mount.stands_in
        others = listeners(over, where) if over is not None and where is not None else []
        for other in others:
            twin = other.on.get(covers) if covers is not None else None
            if twin is not None and twin.root is mount.root and not twin.on:
                self.take(twin)
        for one in reversed(list(mount.below())):
            self.take(one)

    def take(self, mount: Mount) -> None:
        """Take one mount away; it lives on while it is in use."""
        self.lift(mount)
        if mount.namespace is not None:
            mount.namespace.mounts.remove(mount)
            mount.namespace = None
        self.leave_group(mount)
        self._taken.append(mount)
        self.sweep()

    def leave_group(self, mount: Mount) -> None:
        """Tell and be told nothing more; who heard of the last of a group hears of its master."""
        group, mount.peers = mount.peers, 0
        everyone = [one for one in self.everywhere() if one is not mount]
        if group and not any(one.peers == group for one in everyone):
            for one in everyone:
                one.master = mount.master if one.master == group else one.master
        mount.master = 0

    def sweep(self) -> None:
        """Forget mounts that were taken away and that nothing uses any more."""
        kept = [mount for mount in self._taken if self._in_use(mount)]
        gone = [mount for mount in self._taken if mount not in kept]
        self._taken = kept
        for mount in gone:
            self._forget(mount)

    def _forget(self, mount: Mount) -> None:
        fs = mount.fs
        if fs is None:
            return
        dev = fs.root.dev
        self._shown[dev] -= 1
        if not self._shown[dev]:
            del self._shown[dev], self.file_systems[dev]
            self.read_only.discard(dev)
            self.other_flags.pop(dev, None)
            fs.close()

    def close(self) -> None:
        """Close every file system: the machine ends."""
        for fs in list(self.file_systems.values()):
            fs.close()


def listeners(over: Mount, inode: Inode) -> list[Mount]:
    """Return the mounts that hear of what is mounted over an inode of one, but for itself."""
    if not over.peers:
        return []
    return [
        other
        for other in _group(over)
        if other is not over and other.namespace is not None and is_below(inode, other.root)
    ]


def _group(over: Mount) -> Iterator[Mount]:
    """Yield a mount's peers, and the slaves of these, in any depth."""
    groups, seen = [over.peers], {over.peers}
    for group in groups:
        for mount in _all_showing(over):
            if mount.peers == group or mount.master == group:
                yield mount
            if mount.master == group and mount.peers and mount.peers not in seen:
                groups.append(mount.peers)
                seen.add(mount.peers)


def _all_showing(mount: Mount) -> list[Mount]:
    """Return all mounts of all namespaces that show the same file system."""
    if mount.namespace is None:
        return []
    everyone = mount.namespace.table.everywhere()
    return [other for other in everyone if other.fs is mount.fs]


def need_mounted(path: Path) -> Mount:
    """Return the mount whose root a path is. Errors: EINVAL: it is none."""
    if path.mount is None or path.inode is not path.mount.root:
        raise SyscallError(errno.EINVAL)
    return path.mount
