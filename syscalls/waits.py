"""What a task waits for, in words: the call by name, and its descriptor, path, address or child.

For the report of a deadlock. Read from the registers that the call was made with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.kept_files import found_by
from pkern.syscalls import descriptors
from pkern.syscalls.numbers import NAMES

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PID_BITS = 1 << 32
P_PID = 1
MOST_SHOWN = 8  # descriptors of one call
SIGNAL_CALLS = ("pause", "rt_sigsuspend", "rt_sigtimedwait")


def waiting_for(task: Task) -> str:
    """Return the call that a task is in and what it waits for: `wait4: child 7`."""
    call = task.unfinished
    if call is None:
        return "at a page fault" if task.waiting else "held by its tracer"
    nr, registers = call
    name = NAMES.get(nr, f"system call {nr}")
    words = WORDS.get(name, _descriptors)
    try:
        found = words(task, registers)
    except SyscallError:  # what it points to has gone since
        found = ""
    return f"{name}: {found}" if found else name


def _descriptors(task: Task, registers: tuple[int, ...]) -> str:
    assert task.unfinished is not None
    fds = descriptors.of_call(task, task.unfinished)[:MOST_SHOWN]
    return ", ".join(_named(task, fd) for fd in fds)


def _polled(task: Task, registers: tuple[int, ...]) -> str:
    return _descriptors(task, registers) or "a signal"


def _named(task: Task, fd: int) -> str:
    file = found_by(task, fd)
    return f"descriptor {fd}" if file is None else f"descriptor {fd} ({file.path})"


def _opened(task: Task, registers: tuple[int, ...]) -> str:
    return task.mm.string_in(registers[0])


def _opened_at(task: Task, registers: tuple[int, ...]) -> str:
    return _opened(task, registers[1:])


def _futex(task: Task, registers: tuple[int, ...]) -> str:
    return f"the word at {registers[0]:#x}"


def _signal(task: Task, registers: tuple[int, ...]) -> str:
    return "a signal"


def _child(task: Task, registers: tuple[int, ...]) -> str:
    return _whose(registers[0])


def _child_by_kind(task: Task, registers: tuple[int, ...]) -> str:
    return _whose(registers[1]) if registers[0] == P_PID else "a child"


def _whose(register: int) -> str:
    pid = register % PID_BITS
    return f"child {pid}" if 0 < pid < PID_BITS // 2 else "a child"


def _vfork(task: Task, registers: tuple[int, ...]) -> str:
    return "its child to call execve or to end"


WORDS: dict[str, Callable[[Task, tuple[int, ...]], str]] = {
    **dict.fromkeys(SIGNAL_CALLS, _signal),
    **dict.fromkeys(("poll", "ppoll", "select", "pselect6"), _polled),
    **dict.fromkeys(("open", "creat"), _opened),
    **dict.fromkeys(("openat", "openat2"), _opened_at),
    "futex": _futex,
    "wait4": _child,
    "waitid": _child_by_kind,
    "vfork": _vfork,
}
