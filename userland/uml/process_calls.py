"""The guest's processes: birth, death, waiting, groups, waking."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from userland.uml.file_calls import program_path
from userland.uml.files import Block
from userland.uml.host import PLACE
from userland.uml.memory import GuestError
from userland.uml.process import CONTINUED, Process, State
from userland.uml.table import call, int32

if TYPE_CHECKING:
    from userland.uml.kernel import GuestKernel

CLONE_VM, CLONE_VFORK, CLONE_CHILD_SETTID = 0x100, 0x4000, 0x0100_0000
WNOHANG, WUNTRACED, WCONTINUED = 1, 2, 8
FUTEX_WAIT, FUTEX_WAKE, FUTEX_COMMAND = 0, 1, 127


@call(57, "fork")
def fork(kernel: GuestKernel, me: Process) -> int:
    """Return the pid of a copy of the process."""
    return kernel.fork(me).pid


@call(58, "vfork")
def vfork(kernel: GuestKernel, me: Process) -> int:
    """Fork: the parent does not wait, which no child can tell."""
    return kernel.fork(me).pid


@call(56, "clone", 4)
def clone(kernel: GuestKernel, me: Process, flags: int, stack: int, ptid: int, ctid: int) -> int:
    """Fork; what shares memory is refused, but for vfork's way of calling."""
    if flags & CLONE_VM and not flags & CLONE_VFORK:
        raise GuestError(errno.EINVAL)
    child = kernel.fork(me)
    if stack:
        child.regs[PLACE["rsp"]] = stack
    if flags & CLONE_CHILD_SETTID:
        child.space.write(ctid, struct.pack("<i", child.pid))
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
        found.append(me.space.string(pointer))
        addr += 8
    return found


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


def _children(me: Process, pid: int) -> list[Process]:
    """Return the children that wait4 means by pid. Errors: ECHILD."""
    wanted = [
        child
        for child in me.children
        if pid in (-1, child.pid) or (pid <= 0 and child.group == (-pid or me.group))
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
    found = next((c for c in _children(me, int32(pid)) if _has_news(c, options)), None)
    if found is None:
        if options & WNOHANG:
            return 0
        raise Block
    ended = found.state is State.ZOMBIE
    if addr:
        me.space.write(addr, struct.pack("<i", found.status if ended else found.news))
    if ended:
        kernel.reap(me, found)
    else:
        found.news = 0
    return found.pid


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


@call(202, "futex", 3)
def futex(kernel: GuestKernel, me: Process, addr: int, operation: int, value: int) -> int:
    """Wait while a word holds a value, or wake those who wait: they look again."""
    operation &= FUTEX_COMMAND
    if operation == FUTEX_WAKE:
        return kernel.wake_futex(me, addr, value)
    if operation != FUTEX_WAIT:
        raise GuestError(errno.ENOSYS)
    if kernel.was_woken(me):
        return 0
    if struct.unpack("<I", me.space.read(addr, 4))[0] != value & 0xFFFF_FFFF:
        raise GuestError(errno.EAGAIN)
    kernel.wait_on_futex(me, addr)
    raise Block
