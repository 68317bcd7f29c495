"""prctl: one table of options, each a small function of the caller and up to four arguments."""

from __future__ import annotations

import errno
import struct

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.attributes import MCE_KILL_DEFAULT, MCE_KILL_EARLY, MCE_KILL_LATE
from pkern.kernel.tasks.credentials import (
    CAPS,
    NO_CAPS,
    SECURE_KEEP_CAPS,
    SECURE_NO_CAP_AMBIENT_RAISE,
)
from pkern.kernel.tasks.filter.dispatch import asked_for
from pkern.kernel.tasks.filter.seccomp import FILTER, STRICT
from pkern.kernel.typed import TYPE_CHECKING, Callable
from pkern.syscalls.table import INT, SINT, syscall
from pkern.syscalls.tasks.ids import commit
from pkern.syscalls.tasks.seccomp import set_filter, set_strict
from pkern.syscalls.tasks.set_mm import set_mm

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

Arguments = tuple[int, int, int, int]
Option = Callable[["Task", Arguments], int]
PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_SET_NAME, PR_GET_NAME = 3, 4, 15, 16
PR_SET_VSYSCALL, PR_GET_VSYSCALL = 0x56535953, 0x56535954  # "VSYS"; Linux has no such option
PR_SET_PTRACER, ANY_PID = 0x59616D61, (1 << 64) - 1  # "Yama"
PR_TSC_ENABLE, PR_TSC_SIGSEGV = 1, 2
MCE_KILL_CLEAR, MCE_KILL_SET = 0, 1
MCE_KILLS = (MCE_KILL_LATE, MCE_KILL_EARLY, MCE_KILL_DEFAULT)
SPEC_STORE_BYPASS, SPEC_INDIRECT_BRANCH, SPEC_L1D_FLUSH = 0, 1, 2
SPEC_NOT_AFFECTED, SPEC_ENABLE, SPEC_DISABLE, SPEC_FORCE_DISABLE = 0, 2, 4, 8
SPEC_CONTROLS = (SPEC_ENABLE, SPEC_DISABLE, SPEC_FORCE_DISABLE)
# What each is, on a processor that none of it affects.
SPECULATION = {
    SPEC_STORE_BYPASS: SPEC_NOT_AFFECTED,
    SPEC_INDIRECT_BRANCH: SPEC_NOT_AFFECTED,
    SPEC_L1D_FLUSH: SPEC_FORCE_DISABLE,
}
FUTEX_HASH_SET, FUTEX_HASH_GET = 1, 2
SLOT_BYTES, INT_MAX = 64, (1 << 31) - 1  # of Linux's slots, and what it allocates at once
GET_RESTORES = 2  # PR_TIMER_CREATE_RESTORE_IDS_GET
THP_DISABLE_EXCEPT_ADVISED = 2
MDWE_REFUSE, MDWE_NO_INHERIT = lib.MDWE_REFUSE_EXEC_GAIN, lib.MDWE_NO_INHERIT
NSIG = 64
NAME_MAX = 15
PR_SET_VMA, PR_SET_VMA_ANON_NAME = 0x53564D41, 0
ANON_NAME_BYTES = 80  # with the NUL
SECURE_BITS, SECURE_LOCKS = 0xFFF, 0xAAA
SECURE_OWN_BITS = 0xF00  # restrictions that programs put on themselves, with their locks
AMBIENT_IS_SET, AMBIENT_RAISE, AMBIENT_LOWER, AMBIENT_CLEAR_ALL = 1, 2, 3, 4


def _need(condition: bool, number: int = errno.EINVAL) -> None:
    if not condition:
        raise SyscallError(number)


def _store(task: Task, addr: int, layout: str, value: int) -> int:
    task.mm.copy_out(addr, struct.pack(layout, value))
    return 0


def _capability(number: int) -> str:
    _need(number < len(CAPS))
    return CAPS[number]


# ---- attributes ----


def _set_pdeath_signal(task: Task, args: Arguments) -> int:
    _need(args[0] <= NSIG)
    task.set_attributes(pdeath_signal=args[0])
    return 0


def _set_dumpable(task: Task, args: Arguments) -> int:
    _need(args[0] in (0, 1))
    task.mm.set(dumpable=args[0])
    return 0


def _set_ptracer(task: Task, args: Arguments) -> int:
    pid = args[0]
    _need(pid in (0, ANY_PID) or task.find(pid) is not None)
    task.group.ptracer = -1 if pid == ANY_PID else task.pid_of(pid)
    return 0


def _set_name(task: Task, args: Arguments) -> int:
    data, end, _ = task.mm.copy_in_part(args[0], NAME_MAX).partition(b"\0")
    if not end and len(data) < NAME_MAX:
        raise SyscallError(errno.EFAULT)
    old, task.name = task.name, data.decode("utf-8", "surrogateescape")
    task.kernel.watch.renamed(task, old)
    return 0


def _get_name(task: Task, args: Arguments) -> int:
    task.mm.copy_out(args[0], task.name.encode("utf-8", "surrogateescape").ljust(16, b"\0"))
    return 0


def _set_timing(task: Task, args: Arguments) -> int:
    _need(args[0] == 0)
    return 0


def _set_tsc(task: Task, args: Arguments) -> int:
    """Let RDTSC be (1), or fault (2); children and programs that it executes keep that."""
    _need(args[0] in (PR_TSC_ENABLE, PR_TSC_SIGSEGV))
    if task.context is not None:
        task.context.set_tsc(int(args[0] == PR_TSC_ENABLE))
    return 0


def _get_tsc(task: Task, args: Arguments) -> int:
    allowed = task.context is None or task.context.has_tsc
    return _store(task, args[0], "<i", PR_TSC_ENABLE if allowed else PR_TSC_SIGSEGV)


def _set_timer_slack(task: Task, args: Arguments) -> int:
    task.set_attributes(timer_slack_ns=args[0] or task.attributes.default_slack_ns)
    return 0


def _set_subreaper(task: Task, args: Arguments) -> int:
    task.group.subreaper = int(args[0] != 0)
    return 0


def _set_vsyscall(task: Task, args: Arguments) -> int:
    _need(args[0] in (0, 1))
    task.revirt_vsyscalls = 1 - args[0]
    task.group.part()
    task.kernel.vsyscalls.enter(task)
    return 0


def _get_thp_disable(task: Task, args: Arguments) -> int:
    _need(not any(args))
    return task.mm.settings.thp_disabled


def _set_thp_disable(task: Task, args: Arguments) -> int:
    on, flags, *rest = args
    _need(not any(rest) and not flags & ~(THP_DISABLE_EXCEPT_ADVISED if on else 0))
    task.mm.set(thp_disabled=int(on != 0) | flags)
    return 0


def _set_mdwe(task: Task, args: Arguments) -> int:
    bits, *rest = args
    _need(not any(rest) and bits in (0, MDWE_REFUSE, MDWE_REFUSE | MDWE_NO_INHERIT))
    _need(task.mm.mdwe in (0, bits), errno.EPERM)
    task.mm.mdwe = bits
    return 0


def _get_mdwe(task: Task, args: Arguments) -> int:
    _need(not any(args))
    return task.mm.mdwe


def _set_memory_merge(task: Task, args: Arguments) -> int:
    on, *rest = args
    _need(not any(rest))
    if on:
        lib.mm_ksm_enable(task.mm.handle)
    else:
        task.mm.call(lib.mm_ksm_disable)
    return 0


def _get_memory_merge(task: Task, args: Arguments) -> int:
    _need(not any(args))
    return int(task.mm.merges_all)


def _name_memory(task: Task, args: Arguments) -> int:
    what, addr, length, name_addr = args
    _need(what == PR_SET_VMA_ANON_NAME)
    name = _name_at(task, name_addr) if name_addr else None
    number = task.kernel.memory.names.number(name) if name is not None else 0
    while done := task.mm.call(lib.mm_name, addr, length, number):
        addr, length = addr + done, max(0, length - done)
    return 0


def _name_at(task: Task, addr: int) -> str:
    raw = task.mm.copy_in_part(addr, ANON_NAME_BYTES)
    if b"\0" not in raw:
        raise SyscallError(errno.EINVAL if len(raw) == ANON_NAME_BYTES else errno.EFAULT)
    return raw[: raw.index(b"\0")].decode("latin-1")


# ---- rights ----


def _set_keep_caps(task: Task, args: Arguments) -> int:
    _need(args[0] in (0, 1))
    bits = task.cred.securebits & ~SECURE_KEEP_CAPS | SECURE_KEEP_CAPS * args[0]
    commit(task, task.cred._replace(securebits=bits))
    return 0


def _drop_bounding(task: Task, args: Arguments) -> int:
    _need(task.capable_in(task.cred.user_ns, "CAP_SETPCAP"), errno.EPERM)
    capability = _capability(args[0])
    commit(task, task.cred._replace(bounding=task.cred.bounding - {capability}))
    return 0


def _set_securebits(task: Task, args: Arguments) -> int:
    old, new = task.cred.securebits, args[0]
    locked = (old & SECURE_LOCKS) >> 1
    fixed = (old ^ new) & locked | old & SECURE_LOCKS & ~new | new & ~SECURE_BITS
    needs_right = old == new or (old ^ new) & ~SECURE_OWN_BITS
    right = task.capable_in(task.cred.user_ns, "CAP_SETPCAP")
    _need(not fixed and (right or not needs_right), errno.EPERM)
    commit(task, task.cred._replace(securebits=new))
    return 0


def _set_no_new_privs(task: Task, args: Arguments) -> int:
    _need(args == (1, 0, 0, 0))
    commit(task, task.cred._replace(no_new_privs=1))
    return 0


def _get_no_new_privs(task: Task, args: Arguments) -> int:
    _need(not any(args))
    return task.cred.no_new_privs


def _ambient(task: Task, args: Arguments) -> int:
    action, number, *rest = args
    cred = task.cred
    if action == AMBIENT_CLEAR_ALL:
        _need(not any((number, *rest)))
        commit(task, cred._replace(ambient=NO_CAPS))
        return 0
    _need(not any(rest))
    one = {_capability(number)}
    if action == AMBIENT_IS_SET:
        return int(one <= cred.ambient)
    _need(action in (AMBIENT_RAISE, AMBIENT_LOWER))
    if action == AMBIENT_LOWER:
        commit(task, cred._replace(ambient=cred.ambient - one))
        return 0
    allowed = one <= cred.permitted & cred.inheritable
    _need(allowed and not cred.securebits & SECURE_NO_CAP_AMBIENT_RAISE, errno.EPERM)
    commit(task, cred._replace(ambient=cred.ambient | one))
    return 0


def _set_seccomp(task: Task, args: tuple[int, ...]) -> int:
    if task.context is None or args[0] not in (STRICT, FILTER):
        raise SyscallError(errno.EINVAL)
    return set_strict(task) if args[0] == STRICT else set_filter(task, 0, args[1])


def _set_mce_kill(task: Task, args: Arguments) -> int:
    what, policy, *rest = args
    _need(not any(rest) and what in (MCE_KILL_CLEAR, MCE_KILL_SET))
    if what == MCE_KILL_CLEAR:
        _need(not policy)
        policy = MCE_KILL_DEFAULT
    elif policy not in MCE_KILLS:
        if task.attributes.mce_kill == MCE_KILL_DEFAULT:
            task.set_attributes(mce_kill=MCE_KILL_LATE)  # a policy it has, before it is looked at
        raise SyscallError(errno.EINVAL)
    task.set_attributes(mce_kill=policy)
    return 0


def _get_mce_kill(task: Task, args: Arguments) -> int:
    _need(not any(args))
    return task.attributes.mce_kill


def _set_io_flusher(task: Task, args: Arguments) -> int:
    on, *rest = args
    _need(task.capable("CAP_SYS_RESOURCE"), errno.EPERM)
    _need(not any(rest) and on in (0, 1))
    task.set_attributes(io_flusher=on)
    return 0


def _get_io_flusher(task: Task, args: Arguments) -> int:
    _need(task.capable("CAP_SYS_RESOURCE"), errno.EPERM)
    _need(not any(args))
    return task.attributes.io_flusher


def _get_speculation(task: Task, args: Arguments) -> int:
    which, *rest = args
    _need(not any(rest))
    _need(which in SPECULATION, errno.ENODEV)
    return SPECULATION[which]


def _set_speculation(task: Task, args: Arguments) -> int:
    """Refuse, as where the processor speculates on nothing: there is nothing to turn off."""
    which, control, *rest = args
    _need(not any(rest))
    _need(which in SPECULATION, errno.ENODEV)
    _need(which != SPEC_STORE_BYPASS, errno.ENXIO)
    _need(which != SPEC_INDIRECT_BRANCH or control in SPEC_CONTROLS, errno.ERANGE)
    _need(which == SPEC_INDIRECT_BRANCH and control == SPEC_ENABLE, errno.EPERM)
    return 0


def _restore_timer_ids(task: Task, args: Arguments) -> int:
    what, *rest = args
    _need(not any(rest) and what in (0, 1, GET_RESTORES))
    if what == GET_RESTORES:
        return task.group.restores_timer_ids
    task.group.restores_timer_ids = what
    return 0


def _dispatch(task: Task, args: Arguments) -> int:
    _need(task.context is not None)  # a Python program has no place that it calls from
    task.dispatch_calls(asked_for(*args, top=int(task.mm.counters.task_size)))
    return 0


def _futex_hash(task: Task, args: Arguments) -> int:
    """Set or tell how many slots the process has for its futexes, which nothing else shows."""
    what, slots, flags, _ = args
    _need(what in (FUTEX_HASH_SET, FUTEX_HASH_GET))
    if what == FUTEX_HASH_GET:
        return task.mm.futex_slots or 0
    slots &= 0xFFFF_FFFF
    _need(not flags and slots != 1 and not slots & (slots - 1))
    _need(task.mm.futex_slots != 0, errno.EBUSY)
    _need(slots * SLOT_BYTES <= INT_MAX, errno.ENOMEM)
    task.mm.futex_slots = slots
    return 0


OPTIONS: dict[int, Option] = {
    1: _set_pdeath_signal,
    2: lambda task, args: _store(task, args[0], "<i", task.attributes.pdeath_signal),
    PR_GET_DUMPABLE: lambda task, args: task.dumpable,
    PR_SET_DUMPABLE: _set_dumpable,
    7: lambda task, args: int(task.cred.securebits & SECURE_KEEP_CAPS != 0),
    8: _set_keep_caps,
    13: lambda task, args: 0,  # PR_GET_TIMING: statistical
    14: _set_timing,
    PR_SET_NAME: _set_name,
    PR_GET_NAME: _get_name,
    21: lambda task, args: 0 if task.seccomp is None else task.seccomp.mode,  # PR_GET_SECCOMP
    22: _set_seccomp,
    23: lambda task, args: int(_capability(args[0]) in task.cred.bounding),
    24: _drop_bounding,
    25: _get_tsc,
    26: _set_tsc,
    27: lambda task, args: task.cred.securebits,
    28: _set_securebits,
    29: _set_timer_slack,
    30: lambda task, args: task.attributes.timer_slack_ns,
    31: lambda task, args: 0,  # PR_TASK_PERF_EVENTS_DISABLE: there are none
    32: lambda task, args: 0,  # PR_TASK_PERF_EVENTS_ENABLE
    33: _set_mce_kill,
    34: _get_mce_kill,
    35: set_mm,
    36: _set_subreaper,
    37: lambda task, args: _store(task, args[0], "<i", task.group.subreaper),
    38: _set_no_new_privs,
    39: _get_no_new_privs,
    40: lambda task, args: _store(task, args[0], "<Q", task.thread.clear_child_tid),
    41: _set_thp_disable,
    42: _get_thp_disable,
    47: _ambient,
    52: _get_speculation,
    53: _set_speculation,
    57: _set_io_flusher,
    58: _get_io_flusher,
    65: _set_mdwe,
    66: _get_mdwe,
    59: _dispatch,
    PR_SET_PTRACER: _set_ptracer,
    PR_GET_VSYSCALL: lambda task, args: 1 - task.revirt_vsyscalls,
    PR_SET_VSYSCALL: _set_vsyscall,
    67: _set_memory_merge,
    68: _get_memory_merge,
    77: _restore_timer_ids,
    78: _futex_hash,
    PR_SET_VMA: _name_memory,
}


@syscall(157, "prctl", SINT, INT, INT, INT, INT)
def prctl(
    task: Task, option: int, arg2: int = 0, arg3: int = 0, arg4: int = 0, arg5: int = 0
) -> int:
    """Read or set an attribute of the task. Errors: EINVAL, EFAULT, EPERM. Source: prctl(2)."""
    if option not in OPTIONS:
        raise SyscallError(errno.EINVAL)
    return OPTIONS[option](task, (arg2, arg3, arg4, arg5))
