"""The guest's processes: birth, death, waiting, waking."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from kernel.signals import NSIG, SI_USER, SigInfo
from userland.uml import signals
from userland.uml.files import Block, path_of
from userland.uml.host import PLACE
from userland.uml.memory import GuestError
from userland.uml.process import Process, State
from userland.uml.table import call, int32

if TYPE_CHECKING:
    from userland.uml.kernel import GuestKernel

CLONE_VM, CLONE_VFORK, CLONE_CHILD_SETTID = 0x100, 0x4000, 0x0100_0000
WNOHANG = 1
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
    inode = kernel.files.lookup(path_of(me.cwd, me.space.string(path)))
    kernel.execute(me, inode, _strings(me, argv), _strings(me, envp))
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


@call(61, "wait4", 3)
def wait4(kernel: GuestKernel, me: Process, pid: int, addr: int, options: int) -> int:
    """Wait for a child that has ended."""
    pid = int32(pid)
    wanted = [child for child in me.children if pid <= 0 or child.pid == pid]
    if not wanted:
        raise GuestError(errno.ECHILD)
    dead = next((child for child in wanted if child.state is State.ZOMBIE), None)
    if dead is None:
        if options & WNOHANG:
            return 0
        raise Block
    if addr:
        me.space.write(addr, struct.pack("<i", dead.status))
    kernel.reap(me, dead)
    return dead.pid


@call(62, "kill", 2)
def kill(kernel: GuestKernel, me: Process, pid: int, signo: int) -> int:
    """Send a signal to a process, or (0) look whether there is one; there are no groups."""
    if not 0 <= int32(signo) <= NSIG:
        raise GuestError(errno.EINVAL)
    target = kernel.processes.get(int32(pid))
    if target is None:
        raise GuestError(errno.ESRCH)
    if signo:
        signals.send(kernel, target, SigInfo(signo, SI_USER, si_pid=me.pid))
    return 0


@call(200, "tkill", 2)
def tkill(kernel: GuestKernel, me: Process, tid: int, signo: int) -> int:
    """Send a signal to a process's one thread."""
    return kill(kernel, me, tid, signo)


@call(234, "tgkill", 3)
def tgkill(kernel: GuestKernel, me: Process, tgid: int, tid: int, signo: int) -> int:
    """Send a signal to a process's one thread."""
    return kill(kernel, me, tid, signo)


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
