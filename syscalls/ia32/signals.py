"""Calls of the i386 table about signals: what is done, what is waited for, what is told of one.

Owns struct sigaction and siginfo_t as those calls lay them out. A handler would run in 32-bit mode,
which there is not: it is refused, what is ignored or left to the kernel is not.
"""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal import sigframe
from pkern.kernel.tasks.signal.signals import (
    NSIG,
    SA_NODEFER,
    SA_RESETHAND,
    SI_KERNEL,
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SYNCHRONOUS,
    Sigaction,
    SigInfo,
)
from pkern.syscalls.clocks import OLD_PAIR
from pkern.syscalls.ia32.forms import HALF, form, usage_bytes
from pkern.syscalls.table import INT, SINT
from pkern.syscalls.tasks import signals, waiting

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

ACTION, OLD_ACTION = struct.Struct("<IIIQ"), struct.Struct("<4I")
WAITID_INFO = struct.Struct("<6i")


# ---- what is done ----


def _set(task: Task, signo: int, wanted: Sigaction | None) -> Sigaction:
    """Set what a signal does; return what it did. Errors: EINVAL, ENOSYS (a 32-bit handler)."""
    if not 1 <= signo <= NSIG:
        raise SyscallError(errno.EINVAL)
    if wanted is not None and wanted.handler not in (SIG_DFL, SIG_IGN):
        raise SyscallError(errno.ENOSYS)
    before = task.signals.sigaction(signo)
    signals.rt_sigaction(task, signo, wanted)
    return before


@form("rt_sigaction", SINT, INT, INT, INT)
def _rt_sigaction(task: Task, signo: int, new: int, old: int, nbytes: int) -> int:
    if nbytes != signals.SET_BYTES:
        raise SyscallError(errno.EINVAL)
    wanted = None
    if new:
        handler, flags, restorer, mask = ACTION.unpack(task.mm.copy_in(new, ACTION.size))
        wanted = signals.action_of(handler, flags, restorer, mask)
    before = _set(task, signo, wanted)
    if old:
        fields = (before.handler & HALF, before.flags, before.restorer & HALF, before.mask)
        task.mm.copy_out(old, ACTION.pack(*fields))
    return 0


@form("sigaction", SINT, INT, INT)
def _sigaction(task: Task, signo: int, new: int, old: int) -> int:
    wanted = None
    if new:
        handler, mask, flags, restorer = OLD_ACTION.unpack(task.mm.copy_in(new, OLD_ACTION.size))
        wanted = signals.action_of(handler, flags, restorer, mask)
    before = _set(task, signo, wanted)
    if old:
        fields = (before.handler, before.mask, before.flags, before.restorer)
        task.mm.copy_out(old, OLD_ACTION.pack(*(field & HALF for field in fields)))
    return 0


@form("signal", SINT, INT)
def _signal(task: Task, signo: int, handler: int) -> int:
    return _set(task, signo, Sigaction(handler, SA_RESETHAND | SA_NODEFER)).handler & HALF


@form("sigsuspend", INT, INT, INT)
def _sigsuspend(task: Task, unused: int, unused_too: int, mask: int) -> int:
    return signals.suspend(task, lambda: mask)


# ---- what is told of one ----


def _info(info: SigInfo) -> bytes:
    """Return the 128 bytes of a siginfo_t. Source: copy_siginfo_to_external32() of Linux 6.18."""
    head = struct.pack("<iii", info.si_signo, info.si_errno, info.si_code)
    if info.si_signo == SIGCHLD and info.si_code > 0:
        body = struct.pack("<iIi", info.si_pid, info.si_uid, info.si_status)
    elif info.si_syscall >= 0:
        body = struct.pack("<III", info.si_addr & HALF, info.si_syscall, info.si_arch)
    elif info.si_signo in SYNCHRONOUS and 0 < info.si_code <= SI_KERNEL and not info.si_pid:
        body = struct.pack("<I4xI", info.si_addr & HALF, info.si_pkey)
    elif info.si_band:
        body = struct.pack("<Ii", info.si_band & HALF, info.si_fd)
    elif info.si_code < 0:
        body = struct.pack("<iII", info.si_pid, info.si_uid, info.si_value & HALF)
    else:
        body = struct.pack("<iI", info.si_pid, info.si_uid)
    return (head + body).ljust(sigframe.SIGINFO_BYTES, b"\0")


@form("rt_sigtimedwait", INT, INT, INT, INT)
def _rt_sigtimedwait(task: Task, addr: int, info: int, timeout: int, nbytes: int) -> int:
    return signals.wait_for(task, addr, info, timeout, nbytes, _info, OLD_PAIR)


@form("rt_sigtimedwait_time64", INT, INT, INT, INT)
def _rt_sigtimedwait_time64(task: Task, addr: int, info: int, timeout: int, nbytes: int) -> int:
    return signals.wait_for(task, addr, info, timeout, nbytes, _info)


def _queued(task: Task, addr: int) -> SigInfo:
    """Return what a siginfo_t at an address says of sender and value. Errors: EFAULT."""
    raw = task.mm.copy_in(addr, sigframe.SIGINFO_BYTES)
    signo, _, code, sender, uid, value = struct.unpack_from("<iiiiII", raw)
    return signals.told_by(task, signo, code, sender, uid, value)


@form("rt_sigqueueinfo", SINT, SINT, INT)
def _rt_sigqueueinfo(task: Task, pid: int, signo: int, info: int) -> int:
    return signals.queue_for_pid(task, pid, signo, _queued(task, info))


@form("rt_tgsigqueueinfo", SINT, SINT, SINT, INT)
def _rt_tgsigqueueinfo(task: Task, tgid: int, tid: int, signo: int, info: int) -> int:
    return signals.queue_for_tid(task, tgid, tid, signo, _queued(task, info))


@form("waitid", SINT, SINT, INT, SINT, INT)
def _waitid(task: Task, kind: int, number: int, info: int, options: int, usage: int) -> int:
    def told(event: waiting.Event | None) -> bytes:
        signo, _, code, pid, uid, status = (
            struct.unpack_from("<iii4xiIi", waiting.waitid_info(task, event)) if event else (0,) * 6
        )
        return WAITID_INFO.pack(signo, 0, code, pid, uid, status)

    return waiting.waitid_and_store(task, (kind, number, options), info, usage, told, usage_bytes)
