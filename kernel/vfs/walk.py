"""From a path to a place: one component at a time, as Linux's namei.

Each step needs a directory and the right to search it. Links are followed by putting their target
in front of what is left, at most MAX_LINKS of them. '..' is the parent of the directory that was
really reached; it never leads above the task's root.
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import MAY_EXEC, Inode, LinkInode

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller

NAME_MAX, PATH_MAX, MAX_LINKS = 255, 4096, 40
DOTS = (".", "..", "/")  # last names that stand for a directory and not for an entry


class Last(Enum):
    """What happens when the last component is a symbolic link."""

    FOLLOW = "go where it leads"
    CREATE = "go where it leads; a slash after the last name is EISDIR"
    KEEP = "take the link itself, unless a slash comes after it"
    CREATE_KEEP = "take the link itself; a slash after the last name is EISDIR"
    ENTRY = "take the entry itself: the call makes, removes or moves it"


class Rules(NamedTuple):
    """What a walk may not do. Source: openat2(2), RESOLVE_*."""

    one_mount: bool = False  # to another mount: EXDEV
    no_magic: bool = False  # over links like those of /proc/self/fd: ELOOP
    no_links: bool = False  # over any link: ELOOP
    beneath: bool = False  # above the directory where it begins, or from the root: EXDEV
    in_root: bool = False  # that directory is the root

    @property
    def scoped(self) -> bool:
        """Whether nothing but what lies below the first directory can be reached."""
        return self.beneath or self.in_root


FREELY = Rules()
CREATING = (Last.CREATE, Last.CREATE_KEEP)


class Place(NamedTuple):
    """An entry of a directory: its inode, or None where there is no such name.

    name is one of DOTS when the path ends in no entry. slash: the path ended in '/'.
    """

    directory: Inode
    name: str
    inode: Inode | None
    slash: bool
    jumped: str = ""  # the path behind a link like those of /proc/self/fd

    def entry(self) -> Inode | None:
        """Return the inode, or None. Errors: ENAMETOOLONG, ENOENT (the directory is removed)."""
        if self.directory.nlink == 0:
            raise SyscallError(errno.ENOENT)
        if length(self.name) > NAME_MAX:
            raise SyscallError(errno.ENAMETOOLONG)
        return self.inode

    def existing(self) -> Inode:
        """Return the inode. Errors: ENOENT, ENOTDIR (a slash after something else)."""
        if self.inode is None:
            raise SyscallError(errno.ENOENT)
        if self.slash and self.inode.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        return self.inode


def length(text: str) -> int:
    """Return how many bytes a name has."""
    return len(text.encode("utf-8", "surrogateescape"))


def covered(inode: Inode) -> Inode:
    """Return what is mounted on a directory, or the directory."""
    while inode.mounted is not None:
        inode = inode.mounted
    return inode


def up(root: Inode, inode: Inode) -> Inode:
    """Return a directory's parent; the root is its own."""
    if inode is root or inode.parent is None:
        return inode
    return covered(inode.parent)


def step(task: Caller, directory: Inode, name: str) -> Inode | None:
    """Return an entry, or None. Errors: ENOTDIR, EACCES, ENAMETOOLONG."""
    if directory.nlink == 0:
        return None
    if length(name) > NAME_MAX:
        raise SyscallError(errno.ENAMETOOLONG)
    try:
        inode = directory.lookup(name, task)
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    inode.place(directory, name)
    return covered(inode)


class _Walk:
    """One resolution: where it stands, and the names that are left, the next one last."""

    def __init__(self, task: Caller, start: Inode, path: str, last: Last, rules: Rules) -> None:
        self.task = task
        self.last = last
        self.rules = rules
        self.root = start if rules.scoped else task.fs.root
        self.here = self.root if path.startswith("/") else start
        self.root_used = rules.scoped or path.startswith("/")
        self.links = 0
        self.left: list[str] = []
        self.slash = False
        self._push(path, self.here)

    def _push(self, path: str, root: Inode) -> None:
        if path.startswith("/"):
            if self.rules.beneath or (self.rules.one_mount and not self.root_used):
                raise SyscallError(errno.EXDEV)  # Linux looks the root up later than it compares
            self._enter(root)
        if not self.left:
            self.slash = self.slash or path.endswith("/")
        self.left += reversed([part for part in path.split("/") if part])

    def _enter(self, inode: Inode) -> None:
        if self.rules.one_mount and inode.dev != self.here.dev:
            raise SyscallError(errno.EXDEV)
        self.here = inode

    def _up(self) -> None:
        if self.here is self.root and self.rules.beneath:
            raise SyscallError(errno.EXDEV)
        self.root_used = True
        self._enter(up(self.root, self.here))

    def _searchable(self) -> None:
        if self.here.kind != "dir":
            raise SyscallError(errno.ENOTDIR)
        self.here.open_check(self.task, MAY_EXEC)

    def _follows(self, inode: Inode | None) -> bool:
        if inode is None or inode.kind != "link":
            return False
        if self.left or self.last in (Last.FOLLOW, Last.CREATE):
            return True
        return self.last is Last.KEEP and self.slash

    def _follow(self, link: Inode) -> Place | None:
        assert isinstance(link, LinkInode)
        self.links += 1
        if self.links > MAX_LINKS or self.rules.no_links:
            raise SyscallError(errno.ELOOP)
        link.accessed()
        target, goal = link.readlink(self.task), link.jump(self.task)
        if goal is None:
            if not target:
                raise SyscallError(errno.ENOENT)
            self._push(target, self.root if self.rules.scoped else link.base or self.root)
            return None
        self._refuse_jump(goal)
        if not self.left:
            return Place(self.here, "/", goal, self.slash, link.goal_path(self.task))
        self.here = goal
        return None

    def _refuse_jump(self, goal: Inode) -> None:
        if self.rules.no_magic:
            raise SyscallError(errno.ELOOP)
        if self.rules.scoped or (self.rules.one_mount and goal.dev != self.here.dev):
            raise SyscallError(errno.EXDEV)

    def run(self) -> Place:
        name = "/"
        while self.left:
            self._searchable()
            name = self.left.pop()
            if name in DOTS:
                if name == "..":
                    self._up()
                continue
            if self.last in CREATING and not self.left and self.slash:
                raise SyscallError(errno.EISDIR)
            if self.last is Last.ENTRY and not self.left and length(name) > NAME_MAX:
                return Place(self.here, name, None, self.slash)  # its use refuses it
            inode = step(self.task, self.here, name)
            if inode is not None and self.rules.one_mount and inode.dev != self.here.dev:
                raise SyscallError(errno.EXDEV)
            if inode is not None and self._follows(inode):
                jumped = self._follow(inode)
                if jumped is not None:
                    return jumped
                name = "/"
                continue
            if not self.left:
                return Place(self.here, name, inode, self.slash)
            if inode is None:
                raise SyscallError(errno.ENOENT)
            self.here = inode
        return Place(self.here, name, self.here, self.slash)


def walk(
    task: Caller,
    path: str,
    last: Last,
    start: Inode | None = None,
    rules: Rules = FREELY,
) -> Place:
    """Return the place of a path. start: the directory of a relative one; None: the cwd.

    Errors: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EXDEV (rules forbid it).
    Source: path_resolution(7).
    """
    if not path:
        raise SyscallError(errno.ENOENT)
    if length(path) >= PATH_MAX:
        raise SyscallError(errno.ENAMETOOLONG)
    return _Walk(task, start or task.fs.pwd, path, last, rules).run()


def place_text(task: Caller, place: Place) -> str:
    """Return the absolute path of a place."""
    if place.jumped:
        return place.jumped
    where = text_of(task, place.directory)
    return where if place.name in DOTS else f"{where.rstrip('/')}/{place.name}"


def text_of(task: Caller, directory: Inode) -> str:
    """Return the path that a directory has as the task sees it, or had before it was removed."""
    parts: list[str] = []
    inode: Inode = directory
    while inode is not task.fs.root and inode.parent is not None:
        parts.append(inode.name)
        inode = inode.parent
    return "/" + "/".join(reversed(parts))


def path_of(task: Caller, directory: Inode) -> str:
    """Return a directory's absolute path as the task sees it. Errors: ENOENT (removed)."""
    if directory.nlink == 0:
        raise SyscallError(errno.ENOENT)
    return text_of(task, directory)
