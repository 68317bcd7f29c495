"""Another program in a process: execve and execveat."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.processor import Context
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.dying import end_others, end_process
from pkern.kernel.tasks.program import exec as execution
from pkern.kernel.tasks.program.exec import Wanted
from pkern.kernel.tasks.signal.sending import send_to_thread
from pkern.kernel.tasks.signal.signals import SI_USER, SIGSEGV, SIGTRAP, SigInfo
from pkern.kernel.tasks.thread import INT80, SYSCALL, entry_of
from pkern.kernel.tasks.trace import Event as TraceEvent
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.vfs.walk import Last, need_read
from pkern.kernel.wait import RegistersSet, Restart, WouldBlock
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    refuse_flags,
    start_of,
)
from pkern.syscalls.table import INT, PATH, SINT, syscall
from pkern.syscalls.tasks.death import end

if TYPE_CHECKING:
    from pkern.kernel.tasks.program.exec import Program, Strings
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.trace import Trace

MAX_STRING = 131072
STACK_SHARE = 4  # arguments may fill a quarter of the stack's limit
MIN_STRINGS, MAX_STRINGS = 131072, 6 << 20
NO_STRINGS: list[str] = []
AT_EXECVE_CHECK = 0x10000
POINTERS = {SYSCALL.mark: struct.Struct("<Q"), INT80.mark: struct.Struct("<I")}


def _strings(task: Task, addr: int, room: int) -> list[bytes]:
    """Return the strings that an array of pointers names, up to NULL. Errors: EFAULT, E2BIG."""
    if not addr:
        return []
    texts: list[bytes] = []
    buffer, pointers = ffi.new("char[]", MAX_STRING), POINTERS[entry_of(task).mark]
    while True:
        size = pointers.size
        words = task.mm.copy_in(addr, 4096 - addr % 4096 if not addr % size else size)
        for (pointer,) in pointers.iter_unpack(words):
            if not pointer:
                return texts
            task.mm.check_user(pointer, 1)
            text = _string(task, pointer, buffer)
            room -= len(text) + 9
            if room < 0:
                raise SyscallError(errno.E2BIG)
            texts.append(text)
        addr += len(words)


def _string(task: Task, addr: int, buffer: object) -> bytes:
    try:
        length = task.mm.call(lib.user_string, addr, buffer, MAX_STRING)
    except SyscallError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SyscallError(errno.E2BIG) from None
        raise
    return bytes(ffi.buffer(buffer, length))


def _all_strings(task: Task, argv: int, envp: int) -> tuple[list[bytes], list[bytes]]:
    """Return arguments and environment. Errors: EFAULT, E2BIG."""
    limit = _room_for_strings(task)
    arguments = _strings(task, argv, limit)
    return arguments, _strings(task, envp, limit - sum(len(text) + 9 for text in arguments))


def _room_for_strings(task: Task) -> int:
    """Return how many bytes arguments and environment may take, with their pointers."""
    return min(max(task.rlimits["stack"][0] // STACK_SHARE, MIN_STRINGS), MAX_STRINGS)


def _texts(task: Task, argv: list[str], envp: list[str]) -> tuple[list[bytes], list[bytes]]:
    """Return a Python program's arguments and environment. Errors: E2BIG."""
    both = [execution.encode(text) for text in argv], [execution.encode(text) for text in envp]
    lengths = [len(text) + 9 for texts in both for text in texts]
    if sum(lengths) > _room_for_strings(task) or max(lengths, default=0) > MAX_STRING + 8:
        raise SyscallError(errno.E2BIG)
    return both


def _execute(task: Task, wanted: Wanted, strings: Strings) -> int:
    task.need_room_to_execute()
    if task.context is None:
        return _leave_python(task, wanted, strings)
    old_pid = task.trace.tracer.number_of(task.pid) if task.trace else 0
    try:
        with task.kernel.vfs.ends_late:
            task.become(_alone(task, wanted, strings))
    except execution.Lost:
        end(task, end_process, SIGSEGV)
        return 0
    if task.trace is not None:
        _tell_of_exec(task, task.trace, old_pid)
    raise RegistersSet


def _alone(task: Task, wanted: Wanted, strings: Strings) -> Program:
    """Return the program once the other threads have ended. Errors: as execve, WouldBlock."""
    program: Program = task.thread.progress or execution.load(task, wanted, strings)
    if task.ends or not end_others(task):  # who is killed meanwhile sleeps once more
        raise WouldBlock(
            ("executes", task.group),
            progress=program,
            restart=Restart.NEVER,
            interrupted=program.drop,
        )
    return program


def _check(task: Task, wanted: Wanted, strings: Strings) -> int:
    """Look whether a file may be executed, whatever is in it. Errors: as execve, but ENOEXEC."""
    task.need_room_to_execute()
    file = execution.open_program(task, wanted)
    try:
        strings()
    finally:
        file.put()
    return 0


def _tell_of_exec(task: Task, trace: Trace, old_pid: int) -> None:
    """Stop for a tracer that wants to know of a new program; others get SIGTRAP, as of old."""
    if trace.wants(TraceEvent.EXEC):
        trace.hold_at_event(TraceEvent.EXEC, old_pid)
    elif not trace.seized:
        uid = task.cred.uid
        send_to_thread(task, SigInfo(SIGTRAP, SI_USER, si_pid=task.tgid, si_uid=uid))


def _leave_python(task: Task, wanted: Wanted, strings: Strings) -> int:
    """Let a Python program's task run machine code from now on."""
    scheduler = task.kernel.need_scheduler()
    assert task.kernel.processor is not None
    task.context = Context.new(task.kernel.processor, task)
    with task.kernel.vfs.ends_late:
        try:
            program = execution.load(task, wanted, strings)
        except BaseException:
            task.context.close()
            task.context = None
            raise
        task.become(program)
    task.attention = task.signals.deliverable()
    if task.kernel.memory.is_counted(task):
        scheduler.count_allocations()
    scheduler.queue.add(task)
    for face in task.take_faces():
        face.replaced()
    return 0


def execve(task: Task, path: str, argv: list[str], envp: list[str] = NO_STRINGS) -> int:
    """Run a program in machine code in this task, whose Python program ends here.

    Of main's sys it does not return: the exit status is the new program's. A child that was forked
    is in its hands afterwards, and wait4 lets it run. Descriptors 0, 1 and 2 that are closed are
    the host's. envp: each NAME=VALUE.
    Errors: ENOENT, EACCES, ENOEXEC, E2BIG, ELOOP, ENOMEM. Source: execve(2).
    """
    return _execute(task, Wanted(path), lambda: _texts(task, argv, envp))


@syscall(59, "execve", PATH, INT, INT)
def execve_raw(task: Task, path: str, argv: int, envp: int) -> int:
    """Run another program in this process; returns only on an error.

    Errors: ENOENT, EACCES, ENOEXEC, E2BIG, EFAULT, ELOOP, ENOMEM. Source: execve(2).
    """
    need_read(path)
    return _execute(task, Wanted(path), lambda: _all_strings(task, argv, envp))


def _wanted_at(task: Task, dirfd: int, path: str, flags: int) -> Wanted:
    """Return what execveat's arguments mean. Errors: EBADF, EINVAL."""
    refuse_flags(flags, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_EXECVE_CHECK)
    last = Last.KEEP if flags & AT_SYMLINK_NOFOLLOW else Last.FOLLOW
    if dirfd == AT_FDCWD or path.startswith("/"):
        return Wanted(path, last=last)
    name = f"/dev/fd/{dirfd}/{path}" if path else f"/dev/fd/{dirfd}"
    hidden = "execve closes the descriptor" if dirfd in task.fds.cloexec else ""
    start, file = start_of(task, dirfd, path), None
    if not path and flags & AT_EMPTY_PATH:
        file = task.fds.get_raw(dirfd)
    return Wanted(path, start, name, last, file, hidden)


def execveat(
    task: Task,
    dirfd: int,
    path: str,
    argv: list[str],
    envp: list[str] = NO_STRINGS,
    flags: int = 0,
) -> int:
    """As execve: a program below a directory, or (AT_EMPTY_PATH) an open file.

    AT_EXECVE_CHECK only asks whether it may be executed. Errors: as execve, EBADF, EINVAL. Source:
    execveat(2).
    """
    wanted = _wanted_at(task, dirfd, path, flags)
    how = _check if flags & AT_EXECVE_CHECK else _execute
    return how(task, wanted, lambda: _texts(task, argv, envp))


@syscall(322, "execveat", SINT, PATH, INT, INT, INT, partly="as execve")
def execveat_raw(task: Task, dirfd: int, path: str, argv: int, envp: int, flags: int) -> int:
    """Run a program below a directory, or (AT_EMPTY_PATH) an open file.

    AT_EXECVE_CHECK only asks whether it may be executed. Errors: as execve, EBADF, EINVAL. Source:
    execveat(2).
    """
    need_read(path)
    if not path and not flags & AT_EMPTY_PATH:
        raise SyscallError(errno.ENOENT)
    wanted = _wanted_at(task, dirfd, path, flags)
    how = _check if flags & AT_EXECVE_CHECK else _execute
    return how(task, wanted, lambda: _all_strings(task, argv, envp))
