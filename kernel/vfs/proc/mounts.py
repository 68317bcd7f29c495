"""/proc/PID/mounts, mountinfo, mountstats: what is mounted, as a task sees it from a root."""

from __future__ import annotations

import os

from pkern.kernel.typed import TYPE_CHECKING, Any
from pkern.kernel.vfs.mounts import RDONLY, SHOWN_OF_FS, Mount, Path, lies_in
from pkern.kernel.vfs.walk import text_from

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

ESCAPES = str.maketrans({" ": "\\040", "\t": "\\011", "\n": "\\012", "\\": "\\134"})
ABOVE_ALL = 1  # the number of what a namespace's root is mounted on


def _seen(task: Task, root: Path) -> list[tuple[str, Mount]]:
    """Return (path from a root, mount) of each mount below that root, in order."""
    found = []
    for mount in task.nsproxy.mnt.mounts:
        place = Path(mount, mount.root)
        if lies_in(place, root):
            found.append((text_from(root, place), mount))
    return found


def fs_flags(task: Task, mount: Mount) -> tuple[str, ...]:
    """Return the flags of a file system as /proc shows them, ro or rw first."""
    flags = task.kernel.vfs.table.flags_of(mount.root.dev)
    access = "ro" if flags & RDONLY else "rw"
    return (access, *(name for bit, name in SHOWN_OF_FS if flags & bit))


def own_options(fs: Any) -> tuple[str, ...]:
    """Return the file system's own options."""
    return tuple(getattr(fs, "options", ()))


def type_of(fs: Any) -> str:
    """Return the name of a file system's kind."""
    return str(fs.name) if fs is not None else "nsfs"


def source_of(fs: Any) -> str:
    """Return what a file system was made of."""
    return str(getattr(fs, "source", type_of(fs)))


def _source(fs: Any) -> str:
    return source_of(fs).translate(ESCAPES)


def mounts(task: Task, root: Path) -> str:
    """Device, place, type, options, 0 0. Source: proc_pid_mounts(5)."""
    rows = []
    for path, mount in _seen(task, root):
        access, *others = fs_flags(task, mount)
        access = "ro" if mount.flags & RDONLY else access
        options = ",".join((access, *others, *mount.options, *own_options(mount.fs)))
        place = path.translate(ESCAPES)
        rows.append(f"{_source(mount.fs)} {place} {type_of(mount.fs)} {options} 0 0\n")
    return "".join(rows)


def mountinfo(task: Task, root: Path) -> str:
    """Number, the number above, device, root, place, options, propagation, type, source, more.

    Source: proc_pid_mountinfo(5).
    """
    return "".join(_mountinfo_line(task, path, mount) for path, mount in _seen(task, root))


def root_text(mount: Mount) -> str:
    """Return the path of a mount's root in its file system."""
    if mount.fs is None:
        assert mount.root.namespace is not None
        return mount.root.namespace.name
    parts: list[str] = []
    inode = mount.root
    if mount.origin is not None:
        inode, name = mount.origin
        parts.append(name)
    while inode is not mount.fs.root:
        parts.append(inode.name)
        if inode.parent is None:
            break
        inode = inode.parent
    return "/" + "/".join(reversed(parts))


def _mountinfo_line(task: Task, path: str, mount: Mount) -> str:
    fs, dev = mount.fs, mount.root.dev
    above = mount.over.number if mount.over is not None else ABOVE_ALL
    options = ",".join(("ro" if mount.flags & RDONLY else "rw", *mount.options))
    fields = "".join(f"{field} " for field in mount.propagation)
    own = ",".join((*fs_flags(task, mount), *own_options(fs)))
    return (
        f"{mount.number} {above} {os.major(dev)}:{os.minor(dev)} {root_text(mount)}"
        f" {path.translate(ESCAPES)} {options} {fields}- {type_of(fs)} {_source(fs)} {own}\n"
    )


def mountstats(task: Task, root: Path) -> str:
    """What is mounted where, in words. Source: proc_pid_mountstats(5)."""
    return "".join(
        f"device {_source(one.fs)} mounted on {path.translate(ESCAPES)}"
        f" with fstype {type_of(one.fs)}\n"
        for path, one in _seen(task, root)
    )
