"""Whether a signal that ends a task leaves a core file, and where it goes.

What goes wrong on the way shortens the file or leaves it out, and is told to the log; it never
stops the machine. Source: vfs_coredump() of Linux 6.18; core(5).
"""

from __future__ import annotations

from pkern.kernel.dump import file, image, pattern, pipe
from pkern.kernel.dump.writer import DumpEnds, Writer
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.lean import suppress
from pkern.kernel.log import KERN_WARNING
from pkern.kernel.tasks.attributes import DUMP_NONE, DUMP_ROOT
from pkern.kernel.tasks.rlimits import RLIM_INFINITY
from pkern.kernel.tasks.signal.signals import Signal
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.signal.signals import SigInfo
    from pkern.kernel.tasks.task import Task

DUMPING = frozenset(
    (Signal.SIGQUIT, Signal.SIGILL, Signal.SIGTRAP, Signal.SIGABRT, Signal.SIGBUS, Signal.SIGFPE,
     Signal.SIGSEGV, Signal.SIGSYS, Signal.SIGXCPU, Signal.SIGXFSZ)
)  # fmt: skip
DUMPED, NOT_DUMPED = 0x80, 0  # in the status that wait4 gives
LEAST_LIMIT = 4096  # of RLIMIT_CORE, for a file


def dump(task: Task, info: SigInfo) -> int:
    """Leave a core file of a task that a signal is about to end; return DUMPED or NOT_DUMPED."""
    if info.si_signo not in DUMPING or task.dumpable == DUMP_NONE:
        return NOT_DUMPED
    way = _to_program if task.kernel.dumps.pattern.startswith(pattern.PIPE) else _to_file
    task.dumping = True
    try:
        return way(task, info)
    except TaskKilled:  # the memory that the core file took was its own
        return NOT_DUMPED
    finally:
        task.dumping = False


def _tell(task: Task, text: str) -> None:
    task.kernel.log.write(KERN_WARNING, f"coredump: {task.tgid}({task.name}): {text}")


# ---- a file ----


def _to_file(task: Task, info: SigInfo) -> int:
    if task.rlimits["core"][0] < LEAST_LIMIT:
        return NOT_DUMPED
    name = pattern.file_name(task, info)
    if task.dumpable == DUMP_ROOT:
        return _to_roots_file(task, info, name)
    file.unlink(task, name)
    return _make_file(task, info, name)


def _to_roots_file(task: Task, info: SigInfo, name: str) -> int:
    """Make a core file of what its user may not see, at an absolute path of the machine's root."""
    if not name.startswith("/"):
        _tell(task, "this process can only dump core to a fully qualified path, skipping core dump")
        return NOT_DUMPED
    task.fs.root = task.kernel.vfs.top  # it ends here, and goes nowhere else any more
    with task.acting(task.cred._replace(fsuid=0)):
        return _make_file(task, info, name)


def _make_file(task: Task, info: SigInfo, name: str) -> int:
    try:
        opened = file.open_core(task, name)
    except SyscallError:
        return NOT_DUMPED
    try:
        if complaint := file.complaint(task, opened):
            _tell(task, f"Core dump to {name} aborted: {complaint}")
            return NOT_DUMPED
        _write(task, info, Writer(file.FileSink(task, opened), task.rlimits["core"][0]))
    finally:
        opened.put()
    return DUMPED


def _write(task: Task, info: SigInfo, out: Writer) -> None:
    with suppress(DumpEnds):
        image.write(task, info, out)
    with suppress(DumpEnds):
        out.finish()


# ---- a program ----


def _to_program(task: Task, info: SigInfo) -> int:
    dumps = task.kernel.dumps
    if task.rlimits["core"][0] == pipe.LIMIT:
        _tell(task, "RLIMIT_CORE is set to 1, aborting core")
        return NOT_DUMPED
    if 0 < dumps.pipe_limit <= dumps.pipes:
        _tell(task, "over core_pipe_limit, skipping core dump")
        return NOT_DUMPED
    words = pattern.command(task, info)
    try:
        writer = pipe.start(task, words)
    except SyscallError:
        _tell(task, f"|{words[0] if words else ''} pipe failed")
        return NOT_DUMPED
    dumps.pipes += 1
    try:
        _write(task, info, Writer(pipe.PipeSink(task, writer), RLIM_INFINITY))
    finally:
        dumps.pipes -= 1
        writer.put()
    if dumps.pipe_limit:
        pipe.wait_for_reader(task, writer)
    return DUMPED
