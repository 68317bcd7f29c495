"""/proc/PID/mounts, mountinfo, mountstats: what is mounted, as a task sees it from its root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.task import Task

ESCAPES = str.maketrans({" ": "\\040", "\t": "\\011", "\n": "\\012", "\\": "\\134"})
NAMESPACE = 1  # the mount above all others
DEFAULT_OPTIONS = "rw,relatime"


def _seen(task: Task) -> list[tuple[str, Any]]:
    """Return (path from the task's root, file system) of each mount below that root, in order."""
    kernel = task.kernel
    root = root_text(task)
    found = []
    for path, fs in kernel.vfs.mounts.items():
        if root == "/" or path == root or path.startswith(root + "/"):
            found.append((path[len(root) :] or "/" if root != "/" else path, fs))
    return found


def root_text(task: Task) -> str:
    """Return the absolute path of a task's root directory."""
    parts: list[str] = []
    inode = task.fs.root
    while inode is not task.kernel.vfs.root and inode.parent is not None:
        parts.append(inode.name)
        inode = inode.parent
    return "/" + "/".join(reversed(parts))


def _options(fs: Any) -> str:
    return str(getattr(fs, "options", DEFAULT_OPTIONS))


def _source(fs: Any) -> str:
    return str(getattr(fs, "source", fs.name)).translate(ESCAPES)


def mounts(task: Task) -> str:
    """Device, place, type, options, 0 0. Source: proc_pid_mounts(5)."""
    return "".join(
        f"{_source(fs)} {path.translate(ESCAPES)} {fs.name} {_options(fs)} 0 0\n"
        for path, fs in _seen(task)
    )


def mountinfo(task: Task) -> str:
    """Number, the number above, device, root, place, options, type, source, more options.

    Source: proc_pid_mountinfo(5).
    """
    return "".join(_mountinfo_line(path, fs) for path, fs in _seen(task))


def _mountinfo_line(path: str, fs: Any) -> str:
    dev, above = fs.root.dev, fs.root.parent
    parent = above.dev if above is not None else NAMESPACE
    access = _options(fs).split(",")[0]
    return (
        f"{dev} {parent} {os.major(dev)}:{os.minor(dev)} / {path.translate(ESCAPES)} "
        f"{_options(fs)} - {fs.name} {_source(fs)} {access}\n"
    )


def mountstats(task: Task) -> str:
    """What is mounted where, in words. Source: proc_pid_mountstats(5)."""
    return "".join(
        f"device {_source(fs)} mounted on {path.translate(ESCAPES)} with fstype {fs.name}\n"
        for path, fs in _seen(task)
    )
