"""The open files that a sleeping call stays with, whatever becomes of their descriptors meanwhile.

Owns Thread.kept: what the call's descriptors named when it began to sleep, each open file with one
descriptor more. Only who shares a task's table can close them meanwhile, so the call of a task
that shares it with nobody keeps none. A file that nothing but a call keeps ends with the call.
Source: fdget() and fdput() of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterable

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File


def keep(task: Task, fds: Iterable[int]) -> None:
    """Let the call that a task is in stay with the open files that descriptors name now."""
    files = task.fds.files
    task.thread.kept = kept = {fd: files[fd] for fd in fds if fd in files}
    for file in kept.values():
        file.descriptors += 1


def let_go(task: Task) -> None:
    """Keep nothing any more: the call returns, or begins anew."""
    kept, task.thread.kept = task.thread.kept, None
    for file in (kept or {}).values():
        file.put()


def make_again(task: Task, call: Callable[[], int]) -> int:
    """Make a call that finds the files it has kept by the descriptors that they had."""
    fds, kept = task.fds, task.thread.kept
    if not kept or all(fds.files.get(fd) is file for fd, file in kept.items()):
        return call()
    fds.found = load("collections").ChainMap(dict(kept), fds.files)
    try:
        return call()
    finally:
        fds.found = fds.files


def found_by(task: Task, fd: int) -> File | None:
    """Return the open file that a descriptor stands for in the call that a task is in."""
    kept = task.thread.kept or {}
    return kept[fd] if fd in kept else task.fds.files.get(fd)
