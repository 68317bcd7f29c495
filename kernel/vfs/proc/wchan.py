"""/proc/PID/wchan: the function of Linux's that a task sleeps in.

Owns the names, by a task's call and what it waits for: those that 6.18.44 shows for each kind of
wait. What is behind a dot in them is the compiler's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.net.socket import AF_INET, AF_INET6, AF_UNIX, SOCK_STREAM, Socket
from pkern.kernel.tasks.kept_files import found_by
from pkern.kernel.tasks.thread import IA32
from pkern.kernel.vfs.pipe import PipeInode

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.tasks.thread import Made
    from pkern.kernel.wait import WouldBlock

NOWHERE = "0"
SENDING = "sock_alloc_send_pskb"
WOKEN, QUEUED, INTERRUPTED = "wait_woken", "__skb_wait_for_more_packets", "do_wait_intr_irq"
READ, WRITE, ACCEPT, CONNECT, SPLICE, FUTEX, RESTART = range(7)
LOCK_PI, LOCK_PI2, FUTEX_COMMANDS = 6, 13, 0x7F
# By the call's number: a name, or what else it follows from.
CALLS: dict[int, str | int] = {
    **dict.fromkeys((0, 17, 19, 45, 47, 295, 299, 327), READ),
    **dict.fromkeys((1, 18, 20, 44, 46, 296, 307, 328), WRITE),
    **dict.fromkeys((40, 275, 276, 278), SPLICE),
    **dict.fromkeys((43, 288), ACCEPT),
    **dict.fromkeys((7, 23, 270, 271), "poll_schedule_timeout.constprop.0"),
    **dict.fromkeys((232, 281, 441), "do_epoll_wait"),
    **dict.fromkeys((2, 85, 257, 437), "wait_for_partner"),
    **dict.fromkeys((56, 58, 435), "kernel_clone"),
    **dict.fromkeys((61, 247), "do_wait"),
    **dict.fromkeys((65, 220), "__do_semtimedop"),
    **dict.fromkeys((242, 243), "wq_sleep"),
    **dict.fromkeys((35, 230), "hrtimer_nanosleep"),
    34: "__do_sys_pause", 42: CONNECT, 69: "do_msgsnd", 70: "do_msgrcv",
    72: "fcntl_setlk", 73: "locks_lock_inode_wait", 128: "do_sigtimedwait.isra.0",
    130: "sigsuspend.isra.0", 202: FUTEX, 219: RESTART, 426: "io_cqring_wait",
    449: "futex_wait_multiple", 455: "futex_do_wait",
}  # fmt: skip
# By the number of the i386 table: that of the same call.
IA32_CALLS = {
    0: 219, 3: 0, 4: 1, 5: 2, 7: 61, 8: 85, 29: 34, 55: 72, 72: 130, 82: 23, 114: 61, 120: 56,
    142: 23, 143: 73, 145: 19, 146: 20, 162: 35, 168: 7, 177: 128, 179: 130, 180: 17, 181: 18,
    187: 40, 190: 58, 221: 72, 239: 40, 240: 202, 256: 232, 267: 230, 279: 242, 280: 243, 284: 247,
    295: 257, 308: 270, 309: 271, 313: 275, 315: 276, 316: 278, 319: 281, 333: 295, 334: 296,
    337: 299, 345: 307, 362: 42, 364: 288, 369: 44, 370: 46, 371: 45, 372: 47, 378: 327, 379: 328,
    400: 69, 401: 70, 407: 230, 413: 270, 414: 271, 417: 299, 418: 242, 419: 243, 420: 220,
    421: 128, 422: 202,
}  # fmt: skip
SAME_FROM = 424  # on, numbers are the same in all tables
# Of the two calls that are many, by their first argument. The arguments of one lie in memory.
SOCKETCALL, IPC = 102, 117
SOCKET_CALLS = {
    3: 42, 5: 43, 9: 44, 10: 45, 11: 44, 12: 45, 16: 46, 17: 47, 18: 288, 19: 299, 20: 307,
}  # fmt: skip
IPC_CALLS = {1: 65, 4: 220, 11: 69, 12: 70}
# By the path of an open file: who reads, who writes.
FILES = {
    "anon_inode:[eventfd]": (INTERRUPTED, INTERRUPTED),
    "anon_inode:[timerfd]": (INTERRUPTED, NOWHERE),
    "anon_inode:[signalfd]": ("signalfd_read_iter", NOWHERE),
    "anon_inode:[userfaultfd]": ("userfaultfd_read_iter", NOWHERE),
    "anon_inode:inotify": (WOKEN, NOWHERE),
}
OTHER_FILES = WOKEN, WOKEN  # terminals
# Of pipes that are empty, and that are full.
PIPES = "anon_pipe_read", "anon_pipe_write"
SPLICED = "pipe_wait_readable", "pipe_wait_writable"
# By family, and whether it is a stream: who receives, sends, accepts, connects.
TCP = WOKEN, WOKEN, "inet_csk_accept", WOKEN
SOCKETS = {
    (AF_UNIX, True): ("unix_stream_read_generic", SENDING, QUEUED, "unix_wait_for_peer"),
    (AF_UNIX, False): (QUEUED, SENDING, QUEUED, "unix_wait_for_peer"),
    (AF_INET, True): TCP,
    (AF_INET6, True): TCP,
}
OTHER_SOCKETS = QUEUED, SENDING, NOWHERE, NOWHERE


def wchan(task: Task, reader: Task) -> str:
    """Return where a task sleeps, 0 where it runs, has no name or is no business of the reader's.

    Source: proc_pid_wchan(5), Linux 6.18.44.
    """
    if not task.alive or not reader.may_trace(task):
        return NOWHERE
    if task.is_held:
        return "ptrace_stop"
    if task.thread.stopped:
        return "do_signal_stop"
    wait, call = task.waiting, task.unfinished
    if wait is None:
        return NOWHERE
    if call is None:
        return "handle_userfault"  # at a page
    return _sleeps_in(task, wait, _usual(task, call))


def _usual(task: Task, call: Made) -> Made:
    """Return a call, one of the i386 table as that of the other which does the same."""
    if not call[0] & IA32:
        return call
    nr, args = call[0] & ~IA32, call[1]
    if nr == SOCKETCALL:
        fd = int.from_bytes(task.mm.glimpse(args[1], 4), "little")
        return (SOCKET_CALLS.get(args[0], -1), (fd, *args[1:]))
    if nr == IPC:
        return (IPC_CALLS.get(args[0] & 0xFFFF, -1), args)
    return (nr if nr >= SAME_FROM else IA32_CALLS.get(nr, -1), args)


def _sleeps_in(task: Task, wait: WouldBlock, call: Made) -> str:
    found = CALLS.get(call[0], NOWHERE)
    if found == RESTART:
        call = _usual(task, task.thread.restart_block[0])
        found = CALLS.get(call[0], NOWHERE)
    if found == FUTEX:
        locks = call[1][1] & FUTEX_COMMANDS in (LOCK_PI, LOCK_PI2)
        return "rt_mutex_schedule" if locks else "futex_do_wait"
    if found == "hrtimer_nanosleep" and wait.keys:
        return "do_cpu_nanosleep"
    if isinstance(found, str):
        return found
    return _by_file(task, wait, call, found)


def _by_file(task: Task, wait: WouldBlock, call: Made, does: int) -> str:
    """Return where who reads, writes, splices or accepts sleeps, by what it waits for."""
    inode = wait.keys[0] if wait.keys else None
    if isinstance(inode, PipeInode):
        pipes = SPLICED if does == SPLICE else PIPES
        return pipes[inode.ring.nbytes > 0]
    file = found_by(task, call[1][0] & 0xFFFF_FFFF)
    if file is None:
        return NOWHERE
    if isinstance(file.inode, Socket):
        kind = file.inode.family, file.inode.socket_type == SOCK_STREAM
        return SOCKETS.get(kind, OTHER_SOCKETS)[does]
    return FILES.get(file.path, OTHER_FILES)[does == WRITE]
