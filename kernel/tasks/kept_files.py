"""What of descriptors a sleeping call stays with, whatever others do to the table meanwhile.

Owns Thread.kept: what the call's descriptors named when it began to sleep, each open file with one
descriptor more. Only who shares a task's table can close them meanwhile, so the call of a task
that shares it with nobody keeps none. A file that nothing but a call keeps ends with the call.
Owns Thread.fd: the descriptor of the file that the call is yet to open, which it has chosen
before it sleeps. While a number is kept here it is reserved in the table, and kept is not None.
Source: fdget(), fdput(), get_unused_fd_flags() and put_unused_fd() of Linux 6.18.
"""

from __future__ import annotations

from pkern.kernel.late import load
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterable
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File


def keep(task: Task, fds: Iterable[int]) -> None:
    """Let the call that a task is in stay with the open files that descriptors name now."""
    files = task.fds.files
    task.thread.kept = kept = {fd: files[fd] for fd in fds if fd in files}
    for file in kept.values():
        file.descriptors += 1


def reserve(task: Task, fd: int, cloexec: int) -> None:
    """Let nobody else have the number of the file that the call is yet to open."""
    thread = task.thread
    thread.kept, thread.fd = thread.kept or {}, fd
    task.fds.reserve(fd, cloexec)


def install(task: Task, make: Callable[[], File], cloexec: int) -> int:
    """Choose a descriptor, then make an open file, which may sleep, for it. Errors: EMFILE."""
    fds = task.fds
    fd, task.thread.fd = task.thread.fd, None
    if fd is None:
        fd = fds.free()
        fds.reserve(fd, cloexec)
    try:
        file = make()
    except BaseException as error:
        if isinstance(error, WouldBlock):  # who parks the task reserves it again
            error.made_at = fd, int(fd in fds.cloexec)
        fds.give_back(fd)
        raise
    fds.fill(fd, file)
    return fd


def let_go(task: Task) -> None:
    """Keep nothing any more: the call returns, or begins anew."""
    fd, task.thread.fd = task.thread.fd, None
    if fd is not None:
        task.fds.give_back(fd)
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
