"""Writing to a reader at the other end: pipes and FIFOs; and who does it for the other kinds.

A call sleeps while there is no room, and goes on where it was. One that no one reads is SIGPIPE.
"""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.late import LateTable
from pkern.kernel.tasks.signal.sending import send_to_thread
from pkern.kernel.tasks.signal.signals import SI_USER, SIGPIPE, SigInfo
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.kernel.vfs.names import IN_MODIFY
from pkern.kernel.vfs.pipe import PipeInode
from pkern.kernel.vfs.readiness import waits
from pkern.kernel.vfs.slots import PAGE_SIZE
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.syscalls.files.read_write import Buffers

# By Inode.kind: the kinds whose writes go on until all is sent, and those whose reads may give up.
WRITERS: LateTable[str, Callable[[Task, File, bytes], int]] = LateTable()
READERS: LateTable[str, Callable[[Task, File, int], bytes]] = LateTable()
STORERS: LateTable[str, Callable[[Task, File, Buffers], int]] = LateTable()  # into memory
# And what goes of a write of so many bytes, of which the caller's memory has only the first; how
# many bytes of one that has slept are gone.
PARTS: dict[str, Callable[[Task, File, bytes, int], bytes]] = {}
GONE: dict[str, Callable[[Task], int]] = {
    "fifo": lambda task: task.thread.progress or 0,
    "sock": lambda task: task.thread.progress.done if task.thread.progress is not None else 0,
}
WRITERS.declare({"fifo": __name__, "sock": "pkern.syscalls.net.transfer"})
READERS.declare({"sock": "pkern.syscalls.net.transfer"})
STORERS.declare({"sock": "pkern.syscalls.net.transfer"})


def signal_broken_pipe(task: Task, error: SyscallError) -> None:
    """Send SIGPIPE where a write found that no one reads."""
    if error.errno == errno.EPIPE:
        send_to_thread(task, SigInfo(SIGPIPE, SI_USER, si_pid=task.tgid, si_uid=task.cred.uid))


def _all_of(task: Task, data: bytes, put: Callable[[bytes], int]) -> int:
    """Put all of data, sleeping in between; return how much went before an error."""
    done: int = task.thread.progress or 0
    try:
        while True:
            if done < len(data) or not done:
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
    inode = file.inode
    write = inode.file_write
    if isinstance(inode, PipeInode) and task.thread.progress is not None:
        write = inode.write_on  # it has waited

    def put(rest: bytes) -> int:
        try:
            return write(file, 0, rest, task)
        except SyscallError as error:
            _refused(task, file, error)
            raise

    done = _all_of(task, data, put)
    task.io.syscw += 1
    task.io.wchar += done
    if done and task.kernel.vfs.notify is not None:
        task.kernel.vfs.notify.used(file, IN_MODIFY)
    return done


def _refused(task: Task, file: File, error: SyscallError) -> None:
    """Tell of a write that has failed; who wrote where no one reads gets SIGPIPE."""
    if isinstance(file.inode, PipeInode) and not isinstance(error, WouldBlock):
        file.inode.refused()
    if not file.is_quiet:
        signal_broken_pipe(task, error)


def _part_for_pipe(task: Task, file: File, data: bytes, wanted: int) -> bytes:
    """Return what the last slot takes, and whole pages. Errors: EFAULT, those of write_pipe."""
    pipe, over = file.inode, 0
    try:
        if isinstance(pipe, PipeInode):
            pipe.need_reader()
            over = pipe.ring.over(wanted)
            if not over:
                pipe.need_slot(waits(file))
        return _whole_pages(data, over)
    except SyscallError as error:
        _refused(task, file, error)
        raise


def rest_of(data: bytes, wanted: int, gone: int) -> bytes:
    """Return all of a write of which so many bytes are gone: of those nobody asks any more.

    data: of the rest of wanted bytes, what the caller's memory has: if not all, whole pages go.
    """
    if gone + len(data) < wanted:
        data = data[: len(data) // PAGE_SIZE * PAGE_SIZE]
    return bytes(gone) + data


def _whole_pages(data: bytes, over: int = 0) -> bytes:
    """Return the first bytes, so many, and whole pages behind them. Errors: EFAULT: none."""
    nbytes = over + (len(data) - over) // PAGE_SIZE * PAGE_SIZE
    if nbytes <= 0:
        raise SyscallError(errno.EFAULT)
    return data[:nbytes]


PARTS["fifo"] = _part_for_pipe
PARTS["sock"] = lambda task, file, data, wanted: _whole_pages(data)
WRITERS.enter("fifo", write_pipe, __name__)
