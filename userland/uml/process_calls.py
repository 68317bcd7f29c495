"""The guest's processes: birth, death, waiting, groups, waking."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.tasks.signal.sigframe import SIGINFO_BYTES, pack_siginfo
from pkern.kernel.tasks.signal.signals import SIGCHLD, SIGCONT, SigInfo
from pkern.kernel.wait import Restart
from pkern.userland.uml.file_calls import program_path
from pkern.userland.uml.files import Block
from pkern.userland.uml.host import PLACE
from pkern.userland.uml.memory import PAGE, GuestError
from pkern.userland.uml.process import CLD_CONTINUED, CLD_STOPPED, CONTINUED, Process, State, end_of
from pkern.userland.uml.table import call, int32
from pkern.userland.uml.time_calls import timespec_in

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

WNOHANG, WUNTRACED, WCONTINUED = 1, 2, 8
CLONE_VM, CLONE_VFORK, CLONE_THREAD, CLONE_SETTLS = 0x100, 0x4000, 0x1_0000, 0x8_0000
CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID = 0x10_0000, 0x20_0000
CLONE_CHILD_SETTID = 0x100_0000
P_ALL, P_PID, P_PGID = 0, 1, 2
WAITID_KINDS = frozenset({P_ALL, P_PID, P_PGID})
WEXITED, WNOWAIT = 4, 0x100_0000
WALL, WCLONE = 0x4000_0000, 0x8000_0000
WAIT_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | 0x2000_0000 | WALL | WCLONE
LONGEST_STRING = 32 * PAGE  # of execve's
FUTEX_WAIT, FUTEX_WAKE, FUTEX_COMMAND = 0, 1, 127


@call(57, "fork")
def fork(kernel: GuestKernel, me: Process) -> int:
    """Return the pid of a copy of the process."""
    return kernel.fork(me).pid


@call(58, "vfork")
def vfork(kernel: GuestKernel, me: Process) -> int:
    """Make a child in the same memory, and wait until it runs another program or ends."""
    return clone(kernel, me, CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 0, 0)


@call(56, "clone", 4)
def clone(kernel: GuestKernel, me: Process, flags: int, stack: int, ptid: int, ctid: int) -> int:
    """Fork, also into the same memory; threads are refused."""
    if me.awaited is not None:
        return _wait_for_vfork(me, me.awaited)
    if flags & CLONE_THREAD:
        raise GuestError(errno.ENOSYS)
    child = kernel.fork_sharing(me) if flags & CLONE_VM else kernel.fork(me)
    child.exit_signal = flags & 0xFF
    if stack:
        child.regs[PLACE["rsp"]] = stack
    if flags & CLONE_SETTLS:
        child.regs[PLACE["fs_base"]] = me.regs[PLACE["r8"]]
    if flags & CLONE_CHILD_CLEARTID:
        child.clear_tid = ctid
    for wanted, owner, addr in (
        (CLONE_CHILD_SETTID, child, ctid),
        (CLONE_PARENT_SETTID, me, ptid),
    ):
        if flags & wanted:
            owner.space.write(addr, struct.pack("<i", child.pid))
    if not flags & CLONE_VFORK:
        return child.pid
    child.borrows, me.awaited = True, child
    return _wait_for_vfork(me, child)


def _wait_for_vfork(me: Process, child: Process) -> int:
    if child.borrows:
        raise Block(restart=Restart.NEVER)
    me.awaited = None
    return child.pid


@call(59, "execve", 3)
def execve(kernel: GuestKernel, me: Process, path: int, argv: int, envp: int) -> int:
    """Become another program."""
    name = program_path(me, me.space.string(path))
    kernel.execute(me, name, _strings(me, argv), _strings(me, envp))
    return 0


def _strings(me: Process, addr: int) -> list[bytes]:
    found: list[bytes] = []
    while addr and (pointer := struct.unpack("<Q", me.space.read(addr, 8))[0]):
        found.append(_argument(me, pointer))
        addr += 8
    return found


def _argument(me: Process, addr: int) -> bytes:
    try:
        return me.space.string(addr, LONGEST_STRING)
    except GuestError as error:
        raise GuestError(
            errno.E2BIG if error.errno == errno.ENAMETOOLONG else error.errno
        ) from None


@call(60, "exit", 1)
def exit_process(kernel: GuestKernel, me: Process, code: int) -> int:
    """End."""
    kernel.end(me, (code & 0xFF) << 8)
    return 0


@call(231, "exit_group", 1)
def exit_group(kernel: GuestKernel, me: Process, code: int) -> int:
    """End; there are no threads."""
    return exit_process(kernel, me, code)


# ---- waiting ----


def _children(me: Process, pid: int, options: int) -> list[Process]:
    """Return the children that wait4 means by pid and __WALL or __WCLONE. Errors: ECHILD."""
    wanted = [
        child
        for child in me.children
        if (pid in (-1, child.pid) or (pid <= 0 and child.group == (-pid or me.group)))
        and (options & WALL or (child.exit_signal != SIGCHLD) == bool(options & WCLONE))
    ]
    if not wanted:
        raise GuestError(errno.ECHILD)
    return wanted


def _has_news(child: Process, options: int) -> bool:
    if child.state is State.ZOMBIE:
        return True
    asked = WCONTINUED if child.news == CONTINUED else WUNTRACED
    return bool(child.news and options & asked)


@call(61, "wait4", 3)
def wait4(kernel: GuestKernel, me: Process, pid: int, addr: int, options: int) -> int:
    """Wait for a child that has ended, or (WUNTRACED, WCONTINUED) has stopped or goes on."""
    if options & 0xFFFF_FFFF & ~WAIT_OPTIONS:
        raise GuestError(errno.EINVAL)
    found = next((c for c in _children(me, int32(pid), options) if _has_news(c, options)), None)
    if found is None:
        if options & WNOHANG:
            return 0
        raise Block
    ended = found.state is State.ZOMBIE
    if addr:
        me.space.write(addr, struct.pack("<i", found.status if ended else found.news))
    _take_news(kernel, found)
    return found.pid


@call(247, "waitid", 4)
def waitid(kernel: GuestKernel, me: Process, kind: int, pid: int, addr: int, options: int) -> int:
    """Wait for a child as wait4 does and store siginfo_t; WNOWAIT leaves it waiting."""
    if int32(kind) not in WAITID_KINDS or not options & (WEXITED | WUNTRACED | WCONTINUED):
        raise GuestError(errno.EINVAL)
    wanted = {P_ALL: -1, P_PID: int32(pid), P_PGID: -int32(pid)}[int32(kind)]
    children = _children(me, wanted, options)
    found = next((c for c in children if _has_news(c, options)), None)
    if found is not None and found.state is State.ZOMBIE and not options & WEXITED:
        found = None
    if found is None and not options & WNOHANG:
        raise Block
    info = pack_siginfo(_news_of(found)) if found is not None else bytes(SIGINFO_BYTES)
    if addr:
        me.space.write(addr, info)
    if found is not None and not options & WNOWAIT:
        _take_news(kernel, found)
    return 0


def _news_of(child: Process) -> SigInfo:
    """Return what happened to a child, as SIGCHLD tells it."""
    if child.state is State.ZOMBIE:
        code, status = end_of(child)
    elif child.news == CONTINUED:
        code, status = CLD_CONTINUED, SIGCONT
    else:
        code, status = CLD_STOPPED, child.news >> 8
    return SigInfo(SIGCHLD, code, si_pid=child.pid, si_status=status)


def _take_news(kernel: GuestKernel, child: Process) -> None:
    if child.state is State.ZOMBIE:
        kernel.forget(child)
    else:
        child.news = 0


# ---- groups and sessions ----


def _process(kernel: GuestKernel, me: Process, pid: int) -> Process:
    """Return a process by pid, 0 for the caller. Errors: ESRCH."""
    found = kernel.processes.get(int32(pid)) if int32(pid) else me
    if found is None:
        raise GuestError(errno.ESRCH)
    return found


@call(109, "setpgid", 2)
def setpgid(kernel: GuestKernel, me: Process, pid: int, group: int) -> int:
    """Move the caller or a child into a group of the session, or let it lead a new one."""
    if int32(group) < 0:
        raise GuestError(errno.EINVAL)
    target = _process(kernel, me, pid)
    if target is not me and target not in me.children:
        raise GuestError(errno.ESRCH)
    if target is not me and target.has_execed:
        raise GuestError(errno.EACCES)
    group = int32(group) or target.pid
    groups = {one.group for one in kernel.processes.values() if one.session == me.session}
    leads_session = target.session == target.pid
    if leads_session or target.session != me.session or group not in groups | {target.pid}:
        raise GuestError(errno.EPERM)
    target.group = group
    return 0


@call(121, "getpgid", 1)
def getpgid(kernel: GuestKernel, me: Process, pid: int) -> int:
    """Return a process's group."""
    return _process(kernel, me, pid).group


@call(111, "getpgrp")
def getpgrp(kernel: GuestKernel, me: Process) -> int:
    """Return the caller's group."""
    return me.group


@call(112, "setsid")
def setsid(kernel: GuestKernel, me: Process) -> int:
    """Lead a new session and group; refused to who leads a group."""
    if any(one.group == me.pid for one in kernel.processes.values()):
        raise GuestError(errno.EPERM)
    me.session = me.group = me.pid
    return me.pid


@call(124, "getsid", 1)
def getsid(kernel: GuestKernel, me: Process, pid: int) -> int:
    """Return a process's session."""
    return _process(kernel, me, pid).session


# ---- taking turns ----


@call(24, "sched_yield")
def sched_yield(kernel: GuestKernel, me: Process) -> int:
    """Let others run."""
    kernel.yield_turn()
    return 0


@call(202, "futex", 4)
def futex(
    kernel: GuestKernel, me: Process, addr: int, operation: int, value: int, timeout: int
) -> int:
    """Wait while a word holds a value, or wake those who wait: they look again."""
    operation &= FUTEX_COMMAND
    if operation not in (FUTEX_WAIT, FUTEX_WAKE):
        raise GuestError(errno.ENOSYS)
    if addr & 3:
        raise GuestError(errno.EINVAL)
    if operation == FUTEX_WAKE:
        return kernel.wake_futex(me, addr, value)
    if kernel.futexes.was_woken(me):
        return 0
    kernel.futexes.leave(me)
    deadline = me.deadline
    if timeout and deadline is None:
        deadline = kernel.uptime_ns() + timespec_in(me, timeout)
    if struct.unpack("<I", me.space.read(addr, 4))[0] != value & 0xFFFF_FFFF:
        raise GuestError(errno.EAGAIN)
    if deadline is not None and kernel.uptime_ns() >= deadline:
        raise GuestError(errno.ETIMEDOUT)
    kernel.futexes.wait(me, addr)
    raise Block(deadline, interrupted=lambda: kernel.futexes.leave(me))
