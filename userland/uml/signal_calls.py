"""The guest's signal calls: what a process wants done, whom it signals, waiting for one."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.tasks.signal.sigframe import SIGINFO_BYTES, pack_siginfo
from pkern.kernel.tasks.signal.signals import NSIG, SI_TKILL, SI_USER, UNBLOCKABLE_MASK, SigInfo
from pkern.kernel.wait import Restart
from pkern.userland.uml import signals
from pkern.userland.uml.files import Block
from pkern.userland.uml.host import PLACE
from pkern.userland.uml.memory import GuestError
from pkern.userland.uml.process import Process, State
from pkern.userland.uml.table import call, int32
from pkern.userland.uml.time_calls import timespec_in

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

STACK = struct.Struct("<QiiQ")  # stack_t
QUEUED = struct.Struct("<8xi4xiIQ")  # of siginfo_t: code, pid, uid, value
SET_BYTES = 8


def _set_at(me: Process, addr: int) -> int:
    """Return the set of signals at addr, without those that cannot be blocked."""
    return int(struct.unpack("<Q", me.space.read(addr, SET_BYTES))[0]) & ~UNBLOCKABLE_MASK


# ---- actions ----


@call(13, "rt_sigaction", 3)
def rt_sigaction(kernel: GuestKernel, me: Process, signo: int, new: int, old: int) -> int:
    """Remember an action and store the old one."""
    if not 0 < signo <= NSIG or (new and UNBLOCKABLE_MASK >> (signo - 1) & 1):
        raise GuestError(errno.EINVAL)
    before = me.actions.get(signo, bytes(32))
    if new:
        me.actions[signo] = me.space.read(new, 32)
    if old:
        me.space.write(old, before)
    return 0


@call(14, "rt_sigprocmask", 3)
def rt_sigprocmask(kernel: GuestKernel, me: Process, how: int, new: int, old: int) -> int:
    """Change the blocked set and store the old one."""
    before = me.blocked_signals
    if new:
        mask = _set_at(me, new)
        sets = {0: before | mask, 1: before & ~mask, 2: mask}
        if int32(how) not in sets:
            raise GuestError(errno.EINVAL)
        me.blocked_signals = sets[int32(how)]
    if old:
        me.space.write(old, struct.pack("<Q", before))
    return 0


@call(127, "rt_sigpending", 1)
def rt_sigpending(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Store the set of signals that are blocked and wait."""
    waiting = sum(1 << (signo - 1) for signo in {info.si_signo for info in me.pending})
    me.space.write(addr, struct.pack("<Q", waiting & me.blocked_signals))
    return 0


@call(131, "sigaltstack", 2)
def sigaltstack(kernel: GuestKernel, me: Process, new: int, old: int) -> int:
    """Set the stack of handlers with SA_ONSTACK and store the old one."""
    before = me.alt_stack
    if new:
        base, flags, _, nbytes = STACK.unpack(me.space.read(new, STACK.size))
        before = signals.replace_stack(me, base, flags, nbytes)
    if old:
        flags = before.shown_flags(me.regs[PLACE["rsp"]])
        me.space.write(old, STACK.pack(before.base, int32(flags), 0, before.nbytes))
    return 0


@call(15, "rt_sigreturn")
def rt_sigreturn(kernel: GuestKernel, me: Process) -> int:
    """Go back to where a signal interrupted."""
    return signals.go_back(kernel, me)


# ---- waiting ----


@call(34, "pause")
def pause(kernel: GuestKernel, me: Process) -> int:
    """Wait until a handler has run."""
    raise Block(restart=Restart.CONTINUE)


@call(130, "rt_sigsuspend", 2)
def rt_sigsuspend(kernel: GuestKernel, me: Process, addr: int, nbytes: int) -> int:
    """Wait with another blocked set until a handler has run."""
    if nbytes != SET_BYTES:
        raise GuestError(errno.EINVAL)
    if me.saved_mask is None:
        me.saved_mask, me.blocked_signals = me.blocked_signals, _set_at(me, addr)
    raise Block(restart=Restart.CONTINUE)


@call(128, "rt_sigtimedwait", 4)
def rt_sigtimedwait(
    kernel: GuestKernel, me: Process, addr: int, info_at: int, timeout: int, nbytes: int
) -> int:
    """Take a signal of a set that waits, or wait for one; return its number."""
    if nbytes != SET_BYTES:
        raise GuestError(errno.EINVAL)
    me.waits_for = _set_at(me, addr)
    deadline = me.deadline
    if timeout and deadline is None:
        deadline = kernel.uptime_ns() + timespec_in(me, timeout)
    if signo := signals.lowest(me, me.waits_for):
        info = signals.take(me, signo)
        if info_at:
            me.space.write(info_at, pack_siginfo(info))
        return signo
    if deadline is not None and kernel.uptime_ns() >= deadline:
        raise GuestError(errno.EAGAIN)
    raise Block(deadline, Restart.CONTINUE)


# ---- sending ----


def _targets(kernel: GuestKernel, me: Process, pid: int) -> list[Process]:
    """Return whom kill(2) means by a pid, a group's negative number, 0 (one's own group) or -1."""
    everyone = [one for one in kernel.processes.values() if one.state is not State.ZOMBIE]
    if pid > 0:
        return [one for one in kernel.processes.values() if one.pid == pid]
    if pid == -1:
        return [one for one in everyone if one.pid != 1 and one is not me]
    return [one for one in everyone if one.group == (-pid or me.group)]


@call(62, "kill", 2)
def kill(kernel: GuestKernel, me: Process, pid: int, signo: int) -> int:
    """Send a signal to a process or a group, or (0) look whether there is one."""
    if not 0 <= int32(signo) <= NSIG:
        raise GuestError(errno.EINVAL)
    targets = _targets(kernel, me, int32(pid))
    if not targets:
        raise GuestError(errno.ESRCH)
    for target in targets if signo else ():
        signals.send(kernel, target, SigInfo(signo, SI_USER, si_pid=me.pid))
    return 0


@call(200, "tkill", 2)
def tkill(kernel: GuestKernel, me: Process, tid: int, signo: int) -> int:
    """Send a signal to a process's one thread."""
    if int32(tid) <= 0 or not 0 <= int32(signo) <= NSIG:
        raise GuestError(errno.EINVAL)
    target = kernel.processes.get(int32(tid))
    if target is None:
        raise GuestError(errno.ESRCH)
    if signo:
        signals.send(kernel, target, SigInfo(signo, SI_TKILL, si_pid=me.pid))
    return 0


@call(234, "tgkill", 3)
def tgkill(kernel: GuestKernel, me: Process, tgid: int, tid: int, signo: int) -> int:
    """Send a signal to a process's one thread."""
    _check_thread(tgid, tid)
    return tkill(kernel, me, tid, signo)


def _check_thread(tgid: int, tid: int) -> None:
    """Refuse what is no thread of a process. Errors: EINVAL, ESRCH."""
    if int32(tgid) <= 0 or int32(tid) <= 0:
        raise GuestError(errno.EINVAL)
    if int32(tgid) != int32(tid):
        raise GuestError(errno.ESRCH)


@call(129, "rt_sigqueueinfo", 3)
def rt_sigqueueinfo(kernel: GuestKernel, me: Process, pid: int, signo: int, addr: int) -> int:
    """Send a signal with a value to a process."""
    code, sender, uid, value = QUEUED.unpack_from(me.space.read(addr, SIGINFO_BYTES))
    if not 0 <= int32(signo) <= NSIG:
        raise GuestError(errno.EINVAL)
    if int32(pid) != me.pid and (code >= 0 or code == SI_TKILL):
        raise GuestError(errno.EPERM)
    target = kernel.processes.get(int32(pid))
    if target is None:
        raise GuestError(errno.ESRCH)
    if signo:
        signals.send(kernel, target, SigInfo(signo, code, 0, sender, uid, si_value=value))
    return 0


@call(297, "rt_tgsigqueueinfo", 4)
def rt_tgsigqueueinfo(
    kernel: GuestKernel, me: Process, tgid: int, tid: int, signo: int, addr: int
) -> int:
    """Send a signal with a value to a process's one thread."""
    _check_thread(tgid, tid)
    return rt_sigqueueinfo(kernel, me, tid, signo, addr)
