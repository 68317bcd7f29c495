"""What a task waits for, in words: the call by name, and its descriptor, path, address or child.

For the report of a deadlock. Read from the registers that the call was made with.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.syscalls.numbers import NAMES

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PID_BITS = 1 << 32
P_PID = 1
POLLFD_BYTES, FD_SETSIZE = 8, 1024
MOST_SHOWN = 8  # descriptors of one call
SIGNAL_CALLS = ("pause", "rt_sigsuspend", "rt_sigtimedwait")
DESCRIPTOR_CALLS = (
    "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "accept",
    "accept4", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg", "recvmmsg", "sendmmsg",
    "flock", "fcntl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "splice", "tee", "vmsplice",
)  # fmt: skip


def waiting_for(task: Task) -> str:
    """Return the call that a task is in and what it waits for: `wait4: child 7`."""
    call = task.unfinished
    if call is None:
        return "at a page fault" if task.waiting else "held by its tracer"
    nr, registers = call
    name = NAMES.get(nr, f"system call {nr}")
    words = WORDS.get(name)
    if words is None:
        return name
    try:
        return f"{name}: {words(task, registers)}"
    except SyscallError:  # what it points to has gone since
        return name


def _descriptor(task: Task, registers: tuple[int, ...]) -> str:
    return _named(task, registers[0] % PID_BITS)


def _polled(task: Task, registers: tuple[int, ...]) -> str:
    addr, count = registers[0], min(registers[1], MOST_SHOWN)
    words = struct.iter_unpack("<iHH", task.mm.copy_in(addr, POLLFD_BYTES * count))
    return ", ".join(_named(task, fd) for fd, _, _ in words if fd >= 0) or "a signal"


def _selected(task: Task, registers: tuple[int, ...]) -> str:
    count, sets = min(registers[0], FD_SETSIZE), [addr for addr in registers[1:4] if addr]
    nbytes = (count + 63) // 64 * 8
    bits = 0
    for addr in sets:
        bits |= int.from_bytes(task.mm.copy_in(addr, nbytes), "little")
    fds = [fd for fd in range(count) if bits >> fd & 1]
    return ", ".join(_named(task, fd) for fd in fds[:MOST_SHOWN]) or "a signal"


def _named(task: Task, fd: int) -> str:
    try:
        return f"descriptor {fd} ({task.fds.get(fd).path})"
    except SyscallError:  # closed since
        return f"descriptor {fd}"


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
    **dict.fromkeys(DESCRIPTOR_CALLS, _descriptor),
    **dict.fromkeys(SIGNAL_CALLS, _signal),
    **dict.fromkeys(("poll", "ppoll"), _polled),
    **dict.fromkeys(("select", "pselect6"), _selected),
    **dict.fromkeys(("open", "creat"), _opened),
    **dict.fromkeys(("openat", "openat2"), _opened_at),
    "futex": _futex,
    "wait4": _child,
    "waitid": _child_by_kind,
    "vfork": _vfork,
}
