"""From a path to a place: one component at a time, as Linux's namei.

Each step needs a directory and the right to search it. Links are followed by putting their target
in front of what is left, at most MAX_LINKS of them. '..' is the parent of the directory that was
really reached; it never leads above the task's root.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import Enum, NamedTuple
from pkern.kernel.vfs.inode import MAY_EXEC, Inode, LinkInode
from pkern.kernel.vfs.mounts import RDONLY, Mount, Path, Spot, lies_in, shown

if TYPE_CHECKING:
    from pkern.kernel.vfs.machine import Caller

NAME_MAX, PATH_MAX, MAX_LINKS = 255, 4096, 40
SHORT_NAME, SHORT_PATH = NAME_MAX // 4, PATH_MAX // 4 - 1  # characters, which have 4 bytes at most
DOTS = (".", "..", "/")  # last names that stand for a directory and not for an entry


class Unread(str):
    """Stands for a path that could not be read from the caller's memory.

    Like the pointer that Linux's getname() returns then, it is an error where it is used, behind
    what a call looks at before that.
    """

    __slots__ = ("error",)

    error: SyscallError

    @classmethod
    def of(cls, error: SyscallError) -> Unread:
        """Return the path that could not be read."""
        path = cls("?")  # not empty, and in no directory: nobody looks at it
        path.error = error
        return path


def need_read(text: str, too_long: int = errno.ENAMETOOLONG) -> None:
    """Refuse what could not be read. too_long: the errno of what had no end in a page.

    Errors: EFAULT, ENAMETOOLONG.
    """
    if isinstance(text, Unread):
        raise SyscallError(too_long) if text.error.errno == errno.ENAMETOOLONG else text.error


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

    name is one of DOTS when the path ends in no entry. slash: the path ended in '/'. mount: of the
    directory; on: what shows the inode, which is another one where something is mounted.
    """

    directory: Inode
    name: str
    inode: Inode | None
    slash: bool
    mount: Mount | None
    on: Mount | None
    jumped: str = ""  # the path behind a link like those of /proc/self/fd

    def path(self) -> Path:
        """Return what stands there. Errors: as existing."""
        return Path(self.on, self.existing())

    def need_writable(self) -> None:
        """Refuse to change entries through a mount that is read-only. Errors: EROFS."""
        if self.mount is not None and self.mount.flags & RDONLY:
            raise SyscallError(errno.EROFS)

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


def up(root: Spot, here: Spot) -> Spot:
    """Return a directory's parent; the root is its own."""
    if here == root:
        return here
    mount, inode = here
    while mount is not None and inode is mount.root:
        covers = mount.covers
        if covers is None:
            return here
        mount, inode = mount.over, covers
        if (mount, inode) == root:
            return here
    return here if inode.parent is None else shown(mount, inode.parent)


def step(task: Caller, here: Spot, name: str) -> Spot | None:
    """Return an entry, or None. Errors: ENOTDIR, EACCES, ENAMETOOLONG."""
    mount, directory = here
    if directory.nlink == 0:
        return None
    if len(name) > SHORT_NAME and length(name) > NAME_MAX:
        raise SyscallError(errno.ENAMETOOLONG)
    try:
        inode = directory.lookup(name, task)
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    inode.place(directory, name)
    return shown(mount, inode) if inode.mounted else (mount, inode)


class _Walk:
    """One resolution: where it stands, and the names that are left, the next one last."""

    def __init__(self, task: Caller, start: Path, path: str, last: Last, rules: Rules) -> None:
        self.task = task
        self.last = last
        self.rules = rules
        scoped, absolute = rules.beneath or rules.in_root, path[0] == "/"
        self.root = start if scoped else task.fs.root
        self.here: Spot = self.root if absolute else start
        self.root_used = scoped or absolute
        self.links = 0
        self.left: list[str] = []
        self.slash = False
        self._push(path)

    def _push(self, path: str) -> None:
        if path[0] == "/":
            if self.rules.beneath or (self.rules.one_mount and not self.root_used):
                raise SyscallError(errno.EXDEV)  # Linux looks the root up later than it compares
            self._enter(self.root)
        if not self.left and path[-1] == "/":
            self.slash = True
        parts = path.split("/")
        parts.reverse()
        self.left += filter(None, parts)

    def _enter(self, spot: Spot) -> None:
        if self.rules.one_mount and spot[0] is not self.here[0]:
            raise SyscallError(errno.EXDEV)
        self.here = spot

    def _up(self) -> None:
        if self.here == self.root and self.rules.beneath:
            raise SyscallError(errno.EXDEV)
        self.root_used = True
        self._enter(up(self.root, self.here))

    def _follows(self) -> bool:
        """Whether the link that was found is followed."""
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
            self._push(target)
            return None
        self._refuse_jump(goal)
        if not self.left:
            text = link.goal_path(self.task)
            return self._place("/", goal, text)
        self.here = goal
        return None

    def _place(self, name: str, found: Spot | None, jumped: str = "") -> Place:
        mount, directory = self.here
        on, inode = found if found is not None else (mount, None)
        return Place(directory, name, inode, self.slash, mount, on, jumped)

    def _refuse_jump(self, goal: Path) -> None:
        if self.rules.no_magic:
            raise SyscallError(errno.ELOOP)
        if self.rules.scoped or (self.rules.one_mount and goal.mount is not self.here[0]):
            raise SyscallError(errno.EXDEV)

    def run(self) -> Place:
        name = "/"
        while self.left:
            directory = self.here[1]
            if directory.kind != "dir":
                raise SyscallError(errno.ENOTDIR)
            directory.open_check(self.task, MAY_EXEC)
            name = self.left.pop()
            if name in DOTS:
                if name == "..":
                    self._up()
                continue
            if self.last in CREATING and not self.left and self.slash:
                raise SyscallError(errno.EISDIR)
            if self.last is Last.ENTRY and not self.left and length(name) > NAME_MAX:
                return self._place(name, None)  # its use refuses it
            found = step(self.task, self.here, name)
            if found is not None and self.rules.one_mount and found[0] is not self.here[0]:
                raise SyscallError(errno.EXDEV)
            if found is not None and found[1].kind == "link" and self._follows():
                jumped = self._follow(found[1])
                if jumped is not None:
                    return jumped
                name = "/"
                continue
            if not self.left:
                mount, directory = self.here
                on, inode = found if found is not None else (mount, None)
                return Place(directory, name, inode, self.slash, mount, on)
            if found is None:
                raise SyscallError(errno.ENOENT)
            self.here = found
        return self._place(name, self.here)


def walk(
    task: Caller,
    path: str,
    last: Last,
    start: Path | None = None,
    rules: Rules = FREELY,
) -> Place:
    """Return the place of a path. start: the directory of a relative one; None: the cwd.

    Errors: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EXDEV (rules forbid it).
    Source: path_resolution(7).
    """
    if type(path) is Unread:
        need_read(path)
    if not path:
        raise SyscallError(errno.ENOENT)
    if len(path) > SHORT_PATH and length(path) >= PATH_MAX:
        raise SyscallError(errno.ENAMETOOLONG)
    return _Walk(task, start or task.fs.pwd, path, last, rules).run()


def place_text(task: Caller, place: Place) -> str:
    """Return the absolute path of a place."""
    if place.jumped:
        return place.jumped
    where = text_from(task.fs.root, (place.mount, place.directory))
    return where if place.name in DOTS else f"{where.rstrip('/')}/{place.name}"


def text_of(task: Caller, path: Path) -> str:
    """Return the path that a directory has as the task sees it, or had before it was removed."""
    return text_from(task.fs.root, path)


def text_from(root: Path | None, path: Spot) -> str:
    """Return the path of a directory from a root, or from the top, where no root is above."""
    parts: list[str] = []
    mount, inode = path
    stop, last = root if root is not None else (None, None)
    while inode is not last or mount is not stop:
        if mount is not None and inode is mount.root:
            if mount.covers is None:
                break
            inode = mount.covers
            if mount.entry is not None:
                inode, name = mount.entry
                parts.append(name)
            mount = mount.over
            continue
        parts.append(inode.name)
        above = inode.parent or (mount.root if mount is not None else None)
        if above is None:
            break
        inode = above
    return "/" + "/".join(reversed(parts))


def path_of(task: Caller, path: Path) -> str:
    """Return a directory's absolute path as the task sees it. Errors: ENOENT (removed)."""
    if path.inode.nlink == 0:
        raise SyscallError(errno.ENOENT)
    reached = lies_in(path, task.fs.root)
    return text_of(task, path) if reached else f"(unreachable){text_of(task, path)}"
