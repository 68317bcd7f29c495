"""Writing to a reader at the other end: pipes and FIFOs; and who does it for the other kinds.

A call sleeps while there is no room, and goes on where it was. One that no one reads is SIGPIPE.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import LateTable
from pkern.kernel.tasks.signals import SI_USER, SIGPIPE, SigInfo, send_to_thread
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

# By Inode.kind: the kinds whose writes go on until all is sent, and those whose reads may give up.
WRITERS: LateTable[str, Callable[[Task, File, bytes], int]] = LateTable()
READERS: LateTable[str, Callable[[Task, File, int], bytes]] = LateTable()
WRITERS.declare({"fifo": __name__, "sock": "pkern.syscalls.net.transfer"})
READERS.declare({"sock": "pkern.syscalls.net.transfer"})


def signal_broken_pipe(task: Task, error: SyscallError) -> None:
    """Send SIGPIPE where a write found that no one reads."""
    if error.errno == errno.EPIPE:
        send_to_thread(task, SigInfo(SIGPIPE, SI_USER, si_pid=task.tgid, si_uid=task.cred.uid))


def _all_of(task: Task, data: bytes, put: Callable[[bytes], int]) -> int:
    """Put all of data, sleeping in between; return how much went before an error."""
    done: int = task.thread.progress or 0
    try:
        while True:
            done += put(data[done:])
            if done == len(data):
                return done
    except WouldBlock as wait:
        if task.context is None and done:
            return done
        wait.progress, wait.partial = done, done
        raise
    except SyscallError:
        if done:
            return done
        raise


def write_pipe(task: Task, file: File, data: bytes) -> int:
    """Write to a pipe; return how much went. Errors: EPIPE (and SIGPIPE), EAGAIN."""

    def put(rest: bytes) -> int:
        try:
            return file.inode.file_write(file, 0, rest, task)
        except SyscallError as error:
            if not file.is_quiet:
                signal_broken_pipe(task, error)
            raise

    done = _all_of(task, data, put)
    task.io.syscw += 1
    task.io.wchar += done
    return done


WRITERS.enter("fifo", write_pipe, __name__)
