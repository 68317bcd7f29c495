"""Which descriptors a call names: those whose open files it stays with while it sleeps.

Owns where they stand: among a call's arguments, or in the memory that poll and select point to. The
latter is looked at without a trace, as it may be what the call waits for.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from pkern.kernel.late import load
from pkern.kernel.tasks.thread import GIVEN_AWAY, IA32, WORD
from pkern.syscalls.numbers import NAMES

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.thread import Made

INT_BITS = (1 << 32) - 1
POLLFD = struct.Struct("<iHH")
IA32_CALLS = "pkern.syscalls.ia32.calls"
P_PIDFD, REGISTERED_RING = 3, 1 << 4
FIRST = """
    read write pread64 pwrite64 readv writev preadv pwritev preadv2 pwritev2 accept accept4 connect
    sendto recvfrom sendmsg recvmsg recvmmsg sendmmsg flock fcntl ioctl getdents getdents64 vmsplice
    epoll_wait epoll_pwait epoll_pwait2 mq_timedsend mq_timedreceive openat openat2
    setsockopt getsockopt"""
# Calls that sleep: which of their arguments are descriptors.
PLACES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(FIRST.split(), (0,)),
    **dict.fromkeys(("tee", "sendfile"), (0, 1)),
    **dict.fromkeys(("splice", "copy_file_range"), (0, 2)),
}


def of_call(task: Task, call: Made) -> list[int]:
    """Return the descriptors that a task's call names, as it has been made: whether open or not."""
    name, words = native(task, call)
    if name in PLACES:
        return [words[place] & INT_BITS for place in PLACES[name]]
    found = ELSEWHERE.get(name)
    return [] if found is None else found(task, words)


def native(task: Task, call: Made) -> tuple[str, tuple[int, ...]]:
    """Return the name and the words of the call that it is, or goes on with; "": nobody's here."""
    nr, words = call
    if nr & GIVEN_AWAY:  # who listens to the filter makes it
        return "", words
    if nr & IA32:
        found: tuple[str, tuple[int, ...]] = load(IA32_CALLS).native(task, nr & WORD, words)
        return found
    name = NAMES.get(nr & INT_BITS, "")
    if name == "restart_syscall" and task.thread.restart_block is not None:
        return native(task, task.thread.restart_block[0])
    return name, words


def _polled(task: Task, words: tuple[int, ...]) -> list[int]:
    raw = task.mm.glimpse(
        words[0], POLLFD.size * min(words[1] & INT_BITS, task.rlimits.soft["nofile"])
    )
    whole = len(raw) // POLLFD.size * POLLFD.size
    return [fd for fd, _, _ in POLLFD.iter_unpack(raw[:whole]) if fd >= 0]


def _selected(task: Task, words: tuple[int, ...]) -> list[int]:
    count, bits = min(words[0] & INT_BITS, task.fds.size), 0
    for addr in words[1:4]:
        raw = task.mm.glimpse(addr, (count + 7) // 8) if addr else b""
        bits |= int.from_bytes(raw, "little")
    return [fd for fd in range(count) if bits >> fd & 1]


def _entered(task: Task, words: tuple[int, ...]) -> list[int]:
    return [] if words[3] & REGISTERED_RING else [words[0] & INT_BITS]


def _waited_for(task: Task, words: tuple[int, ...]) -> list[int]:
    return [words[1] & INT_BITS] if words[0] & INT_BITS == P_PIDFD else []


ELSEWHERE: dict[str, Callable[[Task, tuple[int, ...]], list[int]]] = {
    **dict.fromkeys(("poll", "ppoll"), _polled),
    **dict.fromkeys(("select", "pselect6"), _selected),
    "io_uring_enter": _entered,
    "waitid": _waited_for,
}
