"""Signals: who may send, what is done, what is held back, and what is waited for.

A Python program's handler is a callable; delivery happens on the way out of the sender's call.
Machine code has struct sigaction; the scheduler delivers before it returns to user mode.
"""

from __future__ import annotations

import errno
import struct

from pkern.kernel.errors import MemoryFault, SyscallError
from pkern.kernel.tasks.groups import members
from pkern.kernel.tasks.signal import sigframe
from pkern.kernel.tasks.signal.sending import (
    deliver,
    discard,
    force,
    send,
    send_to_thread,
    within_limit,
)
from pkern.kernel.tasks.signal.signals import (
    NSIG,
    SA_KNOWN,
    SI_KERNEL,
    SI_TKILL,
    SI_USER,
    SIGCONT,
    SIGILL,
    SIGSEGV,
    UNBLOCKABLE_MASK,
    UNCATCHABLE,
    Action,
    Fate,
    Function,
    Sigaction,
    SigInfo,
    set_blocked,
)
from pkern.kernel.tasks.thread import entry_of
from pkern.kernel.typed import TYPE_CHECKING, Callable, Iterable, NoReturn
from pkern.kernel.wait import RegistersSet, Restart, WouldBlock
from pkern.syscalls.clocks import TIME_PAIR, duration_in, pass_time
from pkern.syscalls.layouts import layout
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK = 0, 1, 2
SET_BYTES = 8
KNOWN_BYTES = 48  # of a struct siginfo: the kernel's own
SI_DETHREAD, SI_ASYNCNL, NSIGPOLL = -7, -60, 6
# Of signals that have codes of their own: SIGILL, TRAP, BUS, FPE, SEGV, CHLD, POLL, SYS.
HIGHEST_CODES = {4: 11, 5: 6, 7: 5, 8: 15, 11: 10, 17: 6, 29: 6, 31: 2}
ACTION = struct.Struct("<QQQQ")
Sending = Callable[["Task", SigInfo], None]
STACK = layout("<QI4xQ", "<III")


# ---- what is done ----


def rt_sigaction(
    task: Task, signo: int, action: Action | None = None, flags: int = 0, mask: int = 0
) -> Action:
    """Set what a signal does (SIG_DFL, SIG_IGN, a callable, a Sigaction); return what it did.

    While a callable runs the signal is blocked, unless flags has SA_NODEFER, and so is what mask
    says (bit n-1 is signal n); with SA_RESETHAND it runs once.
    Errors: EINVAL (no such signal; SIGKILL and SIGSTOP cannot be handled). Source: sigaction(2).
    """
    if not 1 <= signo <= NSIG or (action is not None and signo in UNCATCHABLE):
        raise SyscallError(errno.EINVAL)
    old = task.signals.action(signo)
    if action is not None:
        if callable(action) and (flags or mask):
            action = Function(action, flags, mask & ~UNBLOCKABLE_MASK)
        task.signals.set_action(signo, action)
        if task.signals.fate(signo) is Fate.IGNORE:
            discard(task.group, frozenset({signo}))
    return old


def action_of(handler: int, flags: int, restorer: int, mask: int) -> Sigaction:
    """Return what the fields of a struct sigaction ask for."""
    return Sigaction(handler, flags & SA_KNOWN, restorer, mask & ~UNBLOCKABLE_MASK)


def _check_set(nbytes: int) -> None:
    if nbytes != SET_BYTES:
        raise SyscallError(errno.EINVAL)


def _set_in(task: Task, addr: int) -> int:
    return int.from_bytes(task.mm.copy_in(addr, SET_BYTES), "little")


def _set_out(task: Task, addr: int, mask: int) -> None:
    task.mm.copy_out(addr, mask.to_bytes(SET_BYTES, "little"))


@syscall(13, "rt_sigaction", SINT, INT, INT, INT)
def rt_sigaction_raw(task: Task, signo: int, new: int, old: int, nbytes: int) -> int:
    """Set from struct sigaction at new and store the old one, where not 0.

    Errors: EINVAL, EFAULT. Source: sigaction(2).
    """
    _check_set(nbytes)
    wanted = None
    if new:
        wanted = action_of(*ACTION.unpack(task.mm.copy_in(new, ACTION.size)))
    if not 1 <= signo <= NSIG:
        raise SyscallError(errno.EINVAL)
    before = task.signals.sigaction(signo)
    rt_sigaction(task, signo, wanted)
    if old:
        fields = (before.handler, before.flags, before.restorer, before.mask)
        task.mm.copy_out(old, ACTION.pack(*fields))
    return 0


@syscall(131, "sigaltstack", INT, INT)
def sigaltstack(task: Task, new: int, old: int) -> int:
    """Set the stack of handlers with SA_ONSTACK and store the old one, where not 0.

    A Python program's handlers are functions, which run on no stack of its own.
    Errors: EPERM (it is in use), ENOMEM (too small), EINVAL, EFAULT. Source: sigaltstack(2).
    """
    rsp = 0 if task.context is None else task.cpu.registers()["rsp"]
    stack, struct_stack = task.thread.alt_stack, STACK.of(task)
    if new:
        base, flags, nbytes = struct_stack.unpack(task.mm.copy_in(new, struct_stack.size))
        task.thread.alt_stack = stack.replaced(rsp, base, flags, nbytes)
    if old:
        most = entry_of(task).mask  # what a word of it holds
        shown = stack.base & most, stack.shown_flags(rsp), stack.nbytes & most
        task.mm.copy_out(old, struct_stack.pack(*shown))
    return 0


@syscall(15, "rt_sigreturn")
def rt_sigreturn(task: Task) -> int:
    """Go back to where a signal interrupted; a bad frame is SIGSEGV. Source: sigreturn(2)."""
    if task.context is None:
        raise SyscallError(errno.ENOSYS)
    try:
        sigframe.restore(task)
    except (SyscallError, MemoryFault):
        force(task, SigInfo(SIGSEGV, SI_KERNEL))
    task.attention = True
    raise RegistersSet


@syscall(335, "uretprobe")
def uretprobe(task: Task) -> int:
    """Refuse whoever calls it: only a trampoline of the kernel's may, and nothing is probed.

    Errors: EPERM, with a SIGILL that cannot be held back. Source: sys_uretprobe() of Linux 6.18.
    """
    force(task, SigInfo(SIGILL, SI_KERNEL))
    raise SyscallError(errno.EPERM)


@syscall(336, "uprobe")
def uprobe(task: Task) -> int:
    """Refuse whoever calls it, as uretprobe, without a signal.

    Errors: ENXIO. Source: sys_uprobe() of Linux 6.18.
    """
    raise SyscallError(errno.ENXIO)


# ---- what is held back ----


def rt_sigprocmask(task: Task, how: int, mask: int) -> int:
    """Change the blocked set (bit n-1 is signal n) and return the old one.

    Errors: EINVAL. Source: sigprocmask(2).
    """
    signals = task.signals
    old = signals.blocked
    changed = {SIG_BLOCK: old | mask, SIG_UNBLOCK: old & ~mask, SIG_SETMASK: mask}
    if how not in changed:
        raise SyscallError(errno.EINVAL)
    set_blocked(task, changed[how])
    if task.context is None:
        deliver(task)
    return old


@syscall(14, "rt_sigprocmask", SINT, INT, INT, INT)
def rt_sigprocmask_raw(task: Task, how: int, new: int, old: int, nbytes: int) -> int:
    """Change the blocked set from new and store the old one, where not 0. Errors: EFAULT.

    Source: sigprocmask(2).
    """
    _check_set(nbytes)
    before = task.signals.blocked
    if new:
        rt_sigprocmask(task, how, _set_in(task, new))
    if old:
        _set_out(task, old, before)
    return 0


@syscall(127, "rt_sigpending", INT, INT)
def rt_sigpending(task: Task, addr: int, nbytes: int) -> int:
    """Store the set of signals that are blocked and wait. Errors: EINVAL, EFAULT.

    Source: sigpending(2).
    """
    if nbytes > SET_BYTES:
        raise SyscallError(errno.EINVAL)
    waiting = task.signals.pending_mask() & task.signals.blocked
    task.mm.copy_out(addr, waiting.to_bytes(SET_BYTES, "little")[:nbytes])
    return 0


@syscall(130, "rt_sigsuspend", INT, INT)
def rt_sigsuspend(task: Task, addr: int, nbytes: int) -> int:
    """Sleep with another blocked set until a handler has run; then EINTR.

    Errors: EINVAL, EFAULT, EINTR. Source: sigsuspend(2).
    """
    _check_set(nbytes)
    return suspend(task, lambda: _set_in(task, addr))


def suspend(task: Task, mask_in: Callable[[], int]) -> NoReturn:
    """Sleep with the set that mask_in() returns, as rt_sigsuspend. Errors: EINTR, its own."""
    if task.context is None:
        _suspend_python(task, mask_in() & ~UNBLOCKABLE_MASK)
    if task.thread.progress is None:
        mask = mask_in() & ~UNBLOCKABLE_MASK
        task.thread.saved_mask = task.signals.blocked
        set_blocked(task, mask)
        task.attention = True
    raise WouldBlock(progress=True, restart=Restart.UNLESS_HANDLED)


def _suspend_python(task: Task, mask: int) -> NoReturn:
    """As a program does that only its alarm can wake. Errors: EINTR."""
    before = task.signals.blocked
    rt_sigprocmask(task, SIG_SETMASK, mask)
    try:
        pass_time(task, None)
    finally:
        rt_sigprocmask(task, SIG_SETMASK, before)
    raise SyscallError(errno.EINTR)


# ---- what is waited for ----


@syscall(128, "rt_sigtimedwait", INT, INT, INT, INT)
def rt_sigtimedwait(task: Task, addr: int, info: int, timeout: int, nbytes: int) -> int:
    """Take a signal of a set that waits, or sleep for one; return its number.

    Errors: EAGAIN (the time is up), EINTR, EINVAL, EFAULT. Source: sigtimedwait(2).
    """
    return wait_for(task, addr, info, timeout, nbytes, sigframe.pack_siginfo)


def wait_for(
    task: Task,
    addr: int,
    info: int,
    timeout: int,
    nbytes: int,
    pack: Callable[[SigInfo], bytes],
    pair: struct.Struct = TIME_PAIR,
) -> int:
    """Wait as rt_sigtimedwait; pack() makes the siginfo_t, pair is the layout of the time.

    Errors: as rt_sigtimedwait.
    """
    _check_set(nbytes)
    among = _set_in(task, addr) & ~UNBLOCKABLE_MASK
    among &= ~_deadly(task, among & ~task.signals.blocked)
    task.signals.awaited = 0
    found = task.signals.take(among)
    deadline = _deadline(task, timeout, pair)
    if found is None and pass_time(task, deadline):
        found = task.signals.take(among)
    if found is not None:
        if info:
            task.mm.copy_out(info, pack(found))
        return found.si_signo
    if deadline is not None and task.kernel.clock.now_ns >= deadline:
        raise SyscallError(errno.EAGAIN)
    task.signals.awaited = among if task.context is not None else 0
    raise WouldBlock(
        ("awaited", task),
        deadline=deadline,
        progress=deadline,
        restart=Restart.ENDS,
        interrupted=lambda: _await_nothing(task),
    )


def _deadly(task: Task, unblocked: int) -> int:
    """Return which of some signals end the process as they come, whoever waits for them."""
    numbers = (n for n in range(1, NSIG + 1) if unblocked >> (n - 1) & 1) if unblocked else ()
    return sum(1 << (n - 1) for n in numbers if task.signals.fate(n) is Fate.DIE)


def _await_nothing(task: Task) -> None:
    task.signals.awaited = 0


def _deadline(task: Task, timeout: int, pair: struct.Struct) -> int | None:
    """Return when a relative struct timespec at timeout ends: fixed at the first try."""
    if not timeout:
        return None
    if task.thread.progress is not None:
        return int(task.thread.progress)
    return task.kernel.clock.now_ns + duration_in(task, timeout, pair=pair)


# ---- who may send ----


def _check_number(signo: int) -> None:
    if not 0 <= signo <= NSIG:
        raise SyscallError(errno.EINVAL)


def may_signal(task: Task, target: Task, signo: int) -> bool:
    """Tell whether a task may send a signal to another one. Source: kill(2)."""
    if task.group is target.group:
        return True
    same_session = signo == SIGCONT and task.sid == target.sid
    mine, its = task.cred, target.cred
    same_user = {mine.euid, mine.uid} & {its.suid, its.uid}
    return bool(same_user) or task.capable_in(its.user_ns, "CAP_KILL") or same_session


def _send_all(task: Task, targets: Iterable[Task], signo: int) -> None:
    """Send to every target that may be signalled. Errors: ESRCH (none), EPERM (none of them)."""
    found = list(targets)
    if not found:
        raise SyscallError(errno.ESRCH)
    _check_number(signo)
    allowed = [target for target in found if may_signal(task, target, signo)]
    if not allowed:
        raise SyscallError(errno.EPERM)
    info = SigInfo(signo, SI_USER, si_pid=task.tgid, si_uid=task.cred.uid)
    for target in allowed:
        if signo:
            send(target, within_limit(target, info))


@syscall(62, "kill", SINT, SINT)
def kill(task: Task, pid: int, signo: int) -> int:
    """Send a signal to a process, a group (pid < -1, 0: the caller's) or all (-1).

    Signal 0 only asks whether it could be sent. Errors: EINVAL, ESRCH, EPERM. Source: kill(2).
    """
    if pid > 0:
        one = task.find(pid)
        targets = [one] if one is not None else []
    elif pid == -1:
        targets = _all_others(task)
    else:
        targets = members(task.kernel, task.pid_of(-pid) if pid else task.pgid)
    _send_all(task, targets, signo)
    return 0


def _all_others(task: Task) -> list[Task]:
    """Return a task of each process that a task sees, but for its own and the first ones."""
    tasks = task.kernel.tasks
    spared = (task.group, tasks.init and tasks.init.group)
    others = [one for one in tasks.processes() if one.group not in spared]
    return [one for one in others if task.number_of(one.tgid) > 1 or not task.pid_ns.level]


def _thread_kill(task: Task, tid: int, signo: int) -> int:
    told = SigInfo(signo, SI_TKILL, si_pid=task.tgid, si_uid=task.cred.uid)
    return _queue(task, task.find(tid), signo, told, send_to_thread)


def _need_thread(task: Task, tgid: int, tid: int) -> None:
    """Refuse what is no thread of a process. Errors: EINVAL, ESRCH."""
    if tid <= 0 or tgid <= 0:
        raise SyscallError(errno.EINVAL)
    target = task.find(tid)
    if target is None or target.tgid != task.pid_of(tgid):
        raise SyscallError(errno.ESRCH)


@syscall(200, "tkill", SINT, SINT)
def tkill(task: Task, tid: int, signo: int) -> int:
    """Send a signal to a thread. Errors: EINVAL, ESRCH, EPERM. Source: tkill(2)."""
    if tid <= 0:
        raise SyscallError(errno.EINVAL)
    return _thread_kill(task, tid, signo)


@syscall(234, "tgkill", SINT, SINT, SINT)
def tgkill(task: Task, tgid: int, tid: int, signo: int) -> int:
    """Send a signal to a thread of a process. Errors: EINVAL, ESRCH, EPERM. Source: tgkill(2)."""
    _need_thread(task, tgid, tid)
    return _thread_kill(task, tid, signo)


@syscall(129, "rt_sigqueueinfo", SINT, SINT, INT)
def rt_sigqueueinfo(task: Task, pid: int, signo: int, info: int) -> int:
    """Send a signal with a value. Errors: EINVAL, ESRCH, EPERM, EFAULT.

    Source: rt_sigqueueinfo(2).
    """
    return queue_for_pid(task, pid, signo, queued_info(task, info, signo))


def queue_for_pid(task: Task, pid: int, signo: int, told: SigInfo) -> int:
    """Send a process a signal that says what is told. Errors: as rt_sigqueueinfo."""
    target = task.find(pid)
    _need_code(task, target, told)
    return _queue(task, target, signo, told, send)


def _need_code(task: Task, target: Task | None, told: SigInfo) -> None:
    """Refuse to send another task what only the kernel may tell. Errors: EPERM."""
    if is_as_from_kernel(told) and target is not task:
        raise SyscallError(errno.EPERM)


def _queue(task: Task, target: Task | None, signo: int, told: SigInfo, sending: Sending) -> int:
    """Send a task, or its process, a signal that says what is told.

    Errors: EINVAL, ESRCH, EPERM; as within_limit.
    """
    if target is None:
        raise SyscallError(errno.ESRCH)
    _check_number(signo)
    if not may_signal(task, target, signo):
        raise SyscallError(errno.EPERM)
    if signo:
        sending(target, within_limit(target, told._replace(si_signo=signo)))
    return 0


def _is_known(signo: int, code: int) -> bool:
    """Tell whether Linux knows what a struct siginfo holds. Source: known_siginfo_layout()."""
    if code <= SI_USER:
        return code >= SI_DETHREAD or code == SI_ASYNCNL
    return code == SI_KERNEL or code <= HIGHEST_CODES.get(signo, NSIGPOLL)


def queued_info(task: Task, addr: int, signo: int | None = None) -> SigInfo:
    """Return what struct siginfo at addr says of sender and value. signo: the call's own number.

    Errors: EFAULT; E2BIG: of a code that is not known more than the beginning is set.
    """
    raw = task.mm.copy_in(addr, KNOWN_BYTES)
    found, _, code, sender, uid, value = struct.unpack_from("<iii4xiIQ", raw)
    if not _is_known(found if signo is None else signo, code) and any(
        task.mm.copy_in(addr + KNOWN_BYTES, sigframe.SIGINFO_BYTES - KNOWN_BYTES)
    ):
        raise SyscallError(errno.E2BIG)
    return told_by(task, found, code, sender, uid, value)


def told_by(task: Task, signo: int, code: int, sender: int, uid: int, value: int) -> SigInfo:
    """Return what a siginfo_t of a task says, with the machine's numbers."""
    pid, uid = task.pid_of(sender), task.cred.user_ns.kids(uid, 0)[0]
    return SigInfo(signo, code, 0, pid, uid, 0, value)


def is_as_from_kernel(info: SigInfo) -> bool:
    """Tell whether a signal's code is one that only the kernel, or kill, may give another task."""
    return info.si_code >= 0 or info.si_code == SI_TKILL


@syscall(297, "rt_tgsigqueueinfo", SINT, SINT, SINT, INT)
def rt_tgsigqueueinfo(task: Task, tgid: int, tid: int, signo: int, info: int) -> int:
    """Send a signal with a value to a thread of a process. Errors: as rt_sigqueueinfo.

    Source: rt_tgsigqueueinfo(2).
    """
    return queue_for_tid(task, tgid, tid, signo, queued_info(task, info, signo))


def queue_for_tid(task: Task, tgid: int, tid: int, signo: int, told: SigInfo) -> int:
    """Send a thread a signal that says what is told. Errors: as rt_tgsigqueueinfo."""
    if tid <= 0 or tgid <= 0:
        raise SyscallError(errno.EINVAL)
    target = task.find(tid)
    _need_code(task, target, told)
    if target is not None and target.tgid != task.pid_of(tgid):
        target = None
    return _queue(task, target, signo, told, send_to_thread)
