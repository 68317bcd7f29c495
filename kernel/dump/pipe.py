"""A core file on the standard input of a program: kernel.core_pattern that begins with '|'.

The program runs as root, at /, with RLIMIT_CORE 1 so that it cannot begin another one. It runs
while the dying task writes. Source: coredump_pipe() of Linux 6.18; core(5).
"""

from __future__ import annotations

import errno

from pkern.kernel.cpu.processor import Context
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.clone import fork
from pkern.kernel.tasks.program import exec as execution
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.file import O_NONBLOCK, File
from pkern.kernel.vfs.pipe import PipeInode, make_pipe

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

STDIN = 0
LIMIT = 1  # RLIMIT_CORE of the program


class PipeSink:
    """The writing end of a pipe; whoever reads runs while it is full."""

    seeks = False

    def __init__(self, task: Task, file: File) -> None:
        self._task = task
        self._file = file

    def write(self, pos: int, data: bytes) -> int:
        """Write all of data; return how many bytes could be before the reader went away."""
        done = 0
        while done < len(data):
            try:
                done += self._file.inode.file_write(self._file, 0, data[done:], self._task)
            except SyscallError as error:
                if error.errno != errno.EAGAIN:
                    return done
                self._let_read()
        return done

    def _let_read(self) -> None:
        inode, scheduler = self._file.inode, self._task.kernel.scheduler
        assert isinstance(inode, PipeInode)
        assert scheduler is not None
        scheduler.run_others(self._task, lambda: inode.has_room or not inode.readers)


def wait_for_reader(task: Task, writer: File) -> None:
    """Wait until the program has closed its end: until then it may look at the task."""
    inode, scheduler = writer.inode, task.kernel.scheduler
    assert isinstance(inode, PipeInode)
    assert scheduler is not None
    scheduler.run_others(task, lambda: not inode.readers)


def start(task: Task, words: list[str]) -> File:
    """Start the program that reads a task's core; return the writing end, with one descriptor.

    Errors: ENOENT (none is named, or nobody could be its parent) and those of fork and execve.
    """
    init, scheduler = task.kernel.tasks.init, task.kernel.scheduler
    if not words or init is None or scheduler is None or task.kernel.processor is None:
        raise SyscallError(errno.ENOENT)
    reader, writer = make_pipe(task.kernel, init, O_NONBLOCK)
    reader.flags &= ~O_NONBLOCK
    reader.descriptors = writer.descriptors = 1
    try:
        _run(init, words, reader)
    except BaseException:
        writer.put()
        raise
    finally:
        reader.put()
    return writer


def _run(init: Task, words: list[str], stdin: File) -> None:
    child = fork(init)
    try:
        for fd in sorted(child.fds.files):
            child.fds.close(fd)
        child.fds.put_at(STDIN, stdin)
        child.rlimits["core"] = (LIMIT, LIMIT)
        processor, scheduler = child.kernel.processor, child.kernel.scheduler
        assert processor is not None
        assert scheduler is not None
        child.context = Context.new(processor, child)
        argv = [execution.encode(word) for word in words]
        child.become(execution.load(child, execution.Wanted(words[0]), lambda: (argv, [])))
        scheduler.queue.add(child)
    except BaseException:
        child.exit(1)
        raise
