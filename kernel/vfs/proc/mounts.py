"""/proc/PID/mounts, mountinfo, mountstats: what is mounted, as a task sees it from its root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs import Mount

ESCAPES = str.maketrans({" ": "\\040", "\t": "\\011", "\n": "\\012", "\\": "\\134"})
NAMESPACE = 1  # the mount above all others


def _seen(task: Task) -> list[tuple[str, Mount]]:
    """Return (path from the task's root, mount) of each mount below that root, in order."""
    root = root_text(task)
    found = []
    for mount in task.kernel.vfs.mounts:
        path = mount.path
        if root == "/" or path == root or path.startswith(root + "/"):
            found.append((path[len(root) :] or "/" if root != "/" else path, mount))
    return found


def root_text(task: Task) -> str:
    """Return the absolute path of a task's root directory."""
    parts: list[str] = []
    inode = task.fs.root
    while inode is not task.kernel.vfs.root and inode.parent is not None:
        parts.append(inode.name)
        inode = inode.parent
    return "/" + "/".join(reversed(parts))


def _access(task: Task, mount: Mount) -> str:
    return "ro" if mount.fs.root.dev in task.kernel.vfs.read_only else "rw"


def _own(fs: Any) -> tuple[str, ...]:
    """Return the file system's own options."""
    return tuple(getattr(fs, "options", ()))


def _source(fs: Any) -> str:
    return str(getattr(fs, "source", fs.name)).translate(ESCAPES)


def mounts(task: Task) -> str:
    """Device, place, type, options, 0 0. Source: proc_pid_mounts(5)."""
    return "".join(
        f"{_source(mount.fs)} {path.translate(ESCAPES)} {mount.fs.name}"
        f" {','.join((_access(task, mount), *mount.options, *_own(mount.fs)))} 0 0\n"
        for path, mount in _seen(task)
    )


def mountinfo(task: Task) -> str:
    """Number, the number above, device, root, place, options, type, source, more options.

    Source: proc_pid_mountinfo(5).
    """
    return "".join(_mountinfo_line(task, path, mount) for path, mount in _seen(task))


def _mountinfo_line(task: Task, path: str, mount: Mount) -> str:
    fs, access = mount.fs, _access(task, mount)
    dev = fs.root.dev
    parent = mount.covers.dev if mount.covers is not None else NAMESPACE
    options, own = ",".join((access, *mount.options)), ",".join((access, *_own(fs)))
    return (
        f"{dev} {parent} {os.major(dev)}:{os.minor(dev)} / {path.translate(ESCAPES)}"
        f" {options} - {fs.name} {_source(fs)} {own}\n"
    )


def mountstats(task: Task) -> str:
    """What is mounted where, in words. Source: proc_pid_mountstats(5)."""
    return "".join(
        f"device {_source(m.fs)} mounted on {path.translate(ESCAPES)} with fstype {m.fs.name}\n"
        for path, m in _seen(task)
    )
