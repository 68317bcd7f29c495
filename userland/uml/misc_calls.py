"""Who a guest process is, what it may, and the guest's own time."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from kernel.signals import NSIG, UNBLOCKABLE_MASK
from userland.uml import signals
from userland.uml.files import Block
from userland.uml.host import PLACE
from userland.uml.memory import GuestError
from userland.uml.process import Process
from userland.uml.table import call

if TYPE_CHECKING:
    from userland.uml.kernel import GuestKernel

NS = 1_000_000_000
RANDOM = bytes(i * 167 + 13 & 255 for i in range(256))
ARCH_SET_FS, ARCH_GET_FS = 0x1002, 0x1003


def _pid(nr: int, name: str) -> None:
    call(nr, name)(lambda kernel, me: me.pid)


_pid(39, "getpid")
_pid(186, "gettid")
_pid(218, "set_tid_address")
_pid(111, "getpgrp")


@call(110, "getppid")
def getppid(kernel: GuestKernel, me: Process) -> int:
    """Return the parent's pid, 0 for the first process."""
    return me.parent.pid if me.parent else 0


def _zero(nr: int, name: str) -> None:
    call(nr, name)(lambda kernel, me: 0)


for _nr, _name in {102: "getuid", 104: "getgid", 107: "geteuid", 108: "getegid", 95: "umask",
                   131: "sigaltstack", 273: "set_robust_list", 37: "alarm"}.items():  # fmt: skip
    _zero(_nr, _name)


@call(158, "arch_prctl", 2)
def arch_prctl(kernel: GuestKernel, me: Process, code: int, addr: int) -> int:
    """Set or store the base of fs."""
    if code == ARCH_SET_FS:
        me.regs[PLACE["fs_base"]] = addr
        return 0
    if code == ARCH_GET_FS:
        me.space.write(addr, struct.pack("<Q", me.regs[PLACE["fs_base"]]))
        return 0
    raise GuestError(errno.EINVAL)


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
    """Remember the blocked set and store the old one."""
    before = me.blocked_signals
    if new:
        (mask,) = struct.unpack("<Q", me.space.read(new, 8))
        mask = {0: before | mask, 1: before & ~mask}.get(how, mask)
        me.blocked_signals = mask & ~UNBLOCKABLE_MASK
    if old:
        me.space.write(old, struct.pack("<Q", before))
    return 0


@call(127, "rt_sigpending", 1)
def rt_sigpending(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Store the set of signals that are blocked and wait."""
    waiting = sum(1 << (signo - 1) for signo in me.pending)
    me.space.write(addr, struct.pack("<Q", waiting & me.blocked_signals))
    return 0


@call(15, "rt_sigreturn")
def rt_sigreturn(kernel: GuestKernel, me: Process) -> int:
    """Go back to where a signal interrupted."""
    return signals.go_back(kernel, me)


@call(34, "pause")
def pause(kernel: GuestKernel, me: Process) -> int:
    """Wait until a handler has run."""
    raise Block


@call(302, "prlimit64", 4)
def prlimit64(kernel: GuestKernel, me: Process, pid: int, what: int, new: int, old: int) -> int:
    """Store limits: the stack's 8 MiB, none else; nothing can be set."""
    if old:
        soft = 8 << 20 if what == 3 else (1 << 64) - 1
        me.space.write(old, struct.pack("<QQ", soft, (1 << 64) - 1))
    return 0


@call(97, "getrlimit", 2)
def getrlimit(kernel: GuestKernel, me: Process, what: int, addr: int) -> int:
    """Store a limit."""
    return prlimit64(kernel, me, 0, what, 0, addr)


@call(63, "uname", 1)
def uname(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Store the guest's names."""
    names = ("Linux", "uml", "6.18.0-uml", "#1", "x86_64", "(none)")
    me.space.write(addr, b"".join(name.encode().ljust(65, b"\0") for name in names))
    return 0


@call(318, "getrandom", 3)
def getrandom(kernel: GuestKernel, me: Process, addr: int, nbytes: int, flags: int) -> int:
    """Store bytes that are the same in every run; at most 1 MiB of them."""
    nbytes = min(nbytes, 1 << 20)
    me.space.write(addr, (RANDOM * (nbytes // 256 + 1))[:nbytes])
    return nbytes


# ---- time: the guest's own ----


@call(96, "gettimeofday", 2)
def gettimeofday(kernel: GuestKernel, me: Process, addr: int, zone: int) -> int:
    """Store the guest's time."""
    seconds, nanoseconds = divmod(kernel.now_ns(), NS)
    if addr:
        me.space.write(addr, struct.pack("<qq", seconds, nanoseconds // 1000))
    if zone:
        me.space.write(zone, bytes(8))
    return 0


@call(201, "time", 1)
def time(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Return the guest's seconds, and store them if asked to."""
    seconds = kernel.now_ns() // NS
    if addr:
        me.space.write(addr, struct.pack("<q", seconds))
    return seconds


@call(228, "clock_gettime", 2)
def clock_gettime(kernel: GuestKernel, me: Process, clock: int, addr: int) -> int:
    """Store a clock: CLOCK_REALTIME is the guest's, others count from its boot."""
    if clock not in (0, 1, 4, 5, 6, 7):
        raise GuestError(errno.EINVAL)
    now = kernel.now_ns() if clock in (0, 5) else kernel.uptime_ns()
    me.space.write(addr, struct.pack("<qq", *divmod(now, NS)))
    return 0


@call(309, "getcpu", 2)
def getcpu(kernel: GuestKernel, me: Process, cpu: int, node: int) -> int:
    """Store 0: the guest has one processor."""
    for addr in (cpu, node):
        if addr:
            me.space.write(addr, bytes(4))
    return 0
