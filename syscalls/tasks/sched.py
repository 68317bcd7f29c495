"""Scheduling calls: policies, nice values, processors.

One processor runs the tasks in a fixed order, so these settings are kept and shown; none of them
changes who runs next.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import NO_ID
from pkern.kernel.tasks.attributes import (
    SCHED_BATCH,
    SCHED_DEADLINE,
    SCHED_FIFO,
    SCHED_IDLE,
    SCHED_NORMAL,
    SCHED_RR,
    SLICE_NS,
    IoContext,
)
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.inode import PAGE_SIZE
from pkern.syscalls.abi import INT_BITS, signed32
from pkern.syscalls.extensible import extensible
from pkern.syscalls.table import INT, SINT, STRUCT, syscall
from pkern.syscalls.tasks.deadlines import Times, admit, need_sense, times_of

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SCHED_EXT = 7
RESET_ON_FORK = 0x4000_0000
KEPT = -1  # a policy: what it is
# Of struct sched_attr; clamps of utilisation are a kernel's that is built with them.
RESET, KEEP_POLICY, KEEP_PARAMS, CLAMPS, ALL_FLAGS = 1, 8, 0x10, 0x60, 0x7F
DEADLINE_FLAGS = 6  # reclaiming, and SIGXCPU for who runs over: kept
FAIR = (SCHED_NORMAL, SCHED_BATCH)
NORMAL = (SCHED_NORMAL, SCHED_BATCH, SCHED_IDLE)
REAL_TIME = (SCHED_FIFO, SCHED_RR)
MAX_RT_PRIORITY = 99
PRIO_PROCESS, PRIO_PGRP, PRIO_USER = 0, 1, 2
CPU_MASK_BYTES = 8
ONE_CPU = 1
SLICES = range(100_000, 100_000_000)  # what one may ask for
RR_SLICE_NS = 100_000_000
SCHED_ATTR = extensible("<IIQiIQQQII", least=48)  # up to sched_util_max: 56 bytes
IOPRIO_PROCESS, IOPRIO_PGRP, IOPRIO_USER = 1, 2, 3
IOPRIO_RT, IOPRIO_BE, IOPRIO_IDLE, IOPRIO_SHIFT = 1, 2, 3, 13


def _task_of(task: Task, pid: int) -> Task:
    """Return the task of a pid, the caller for 0. Errors: EINVAL, ESRCH."""
    if pid < 0:
        raise SyscallError(errno.EINVAL)
    found = task.find(pid) if pid else task
    if found is None:
        raise SyscallError(errno.ESRCH)
    return found


def _owns(task: Task, target: Task) -> bool:
    return task.cred.euid in (target.cred.euid, target.cred.uid)


def _need_owner(task: Task, target: Task, number: int = errno.EPERM) -> None:
    if not _owns(task, target) and not task.capable_in(target.cred.user_ns, "CAP_SYS_NICE"):
        raise SyscallError(number)


# ---- processors ----


@syscall(203, "sched_setaffinity", SINT, INT, INT)
def sched_setaffinity(task: Task, pid: int, nbytes: int, addr: int) -> int:
    """Choose processors by a bit mask; there is one. Errors: EFAULT, ESRCH, EPERM, EINVAL.

    Source: sched_setaffinity(2).
    """
    mask = int.from_bytes(task.mm.copy_in(addr, min(nbytes, CPU_MASK_BYTES)), "little")
    target = task.find(pid) if pid else task
    if target is None:
        raise SyscallError(errno.ESRCH)
    _need_owner(task, target)
    if not mask & ONE_CPU:
        raise SyscallError(errno.EINVAL)
    return 0


@syscall(204, "sched_getaffinity", SINT, INT, INT)
def sched_getaffinity(task: Task, pid: int, nbytes: int, addr: int) -> int:
    """Store the mask of processors and return its size in bytes. Errors: EINVAL, ESRCH, EFAULT.

    Source: sched_getaffinity(2).
    """
    if nbytes % 8 or not nbytes & 0xFFFF_FFFF:
        raise SyscallError(errno.EINVAL)
    if pid and task.find(pid) is None:
        raise SyscallError(errno.ESRCH)
    task.mm.copy_out(addr, ONE_CPU.to_bytes(CPU_MASK_BYTES, "little"))
    return CPU_MASK_BYTES


# ---- policies ----


class Wanted(NamedTuple):
    """What a task's scheduling is to be. policy: KEPT: as it is. slice_ns: 0: the usual."""

    policy: int
    priority: int
    nice: int
    slice_ns: int = 0
    flags: int = 0
    times: Times = Times()


def _set_scheduling(task: Task, target: Task, wanted: Wanted) -> None:
    """Set what a policy has. Errors: EINVAL, EPERM, EOPNOTSUPP (clamps), EBUSY (deadlines).

    Source: __sched_setscheduler() of Linux 6.18.
    """
    now, flags, priority = target.attributes, wanted.flags, wanted.priority
    policy, reset = wanted.policy, flags & RESET
    if policy == KEPT:
        policy, reset = now.policy, now.reset_on_fork
    if policy not in (*NORMAL, *REAL_TIME, SCHED_DEADLINE) or flags & ~ALL_FLAGS:
        raise SyscallError(errno.EINVAL)
    if policy == SCHED_DEADLINE:
        need_sense(task, wanted.times)
    if not 0 <= priority <= MAX_RT_PRIORITY or (policy in REAL_TIME) != (priority != 0):
        raise SyscallError(errno.EINVAL)
    if not task.capable("CAP_SYS_NICE"):
        _check_unprivileged(task, target, wanted._replace(policy=policy), reset)
    if flags & CLAMPS:
        raise SyscallError(errno.EOPNOTSUPP)
    if policy == SCHED_DEADLINE:
        admit(task, target, wanted.times)
    target.set_attributes(reset_on_fork=reset)
    if flags & KEEP_PARAMS:
        return
    target.set_attributes(policy=policy, rt_priority=priority)
    if policy in FAIR:
        slice_ns = wanted.slice_ns and max(SLICES.start, min(wanted.slice_ns, SLICES.stop))
        target.set_attributes(nice=wanted.nice, slice_ns=slice_ns)
    if policy == SCHED_DEADLINE:
        runtime, deadline, period = wanted.times
        target.set_attributes(
            dl_runtime_ns=runtime,
            dl_deadline_ns=deadline,
            dl_period_ns=period or deadline,
            dl_flags=flags & DEADLINE_FLAGS,
        )


def _check_unprivileged(task: Task, target: Task, wanted: Wanted, reset: int) -> None:
    """Refuse what wants CAP_SYS_NICE. Errors: EPERM."""
    now, limit, policy = target.attributes, target.rlimits["rtprio"][0], wanted.policy
    lower = policy in FAIR and wanted.nice < now.nice and not _nice_allowed(target, wanted.nice)
    higher = wanted.priority > now.rt_priority and wanted.priority > limit
    new_real_time = policy in REAL_TIME and policy != now.policy and not limit
    leaves_idle = now.policy == SCHED_IDLE != policy and not _nice_allowed(target, now.nice)
    stops_reset = now.reset_on_fork and not reset
    refused = (
        policy == SCHED_DEADLINE or lower or higher or new_real_time or leaves_idle or stops_reset
    )
    if refused or not _owns(task, target):
        raise SyscallError(errno.EPERM)


def _nice_allowed(target: Task, nice: int) -> bool:
    return 20 - nice <= target.rlimits["nice"][0]


def _param(task: Task, addr: int) -> int:
    if not addr:
        raise SyscallError(errno.EINVAL)
    return int(struct.unpack("<i", task.mm.copy_in(addr, 4))[0])


@syscall(144, "sched_setscheduler", SINT, SINT, INT)
def sched_setscheduler(task: Task, pid: int, policy: int, addr: int) -> int:
    """Set policy and priority (int at addr). Errors: EINVAL, ESRCH, EPERM, EFAULT.

    Source: sched_setscheduler(2).
    """
    if policy < 0 or pid < 0:
        raise SyscallError(errno.EINVAL)
    priority = _param(task, addr)
    target = _task_of(task, pid)
    flags = RESET if policy & RESET_ON_FORK else 0
    now = target.attributes
    wanted = Wanted(policy & ~RESET_ON_FORK, priority, now.nice, now.slice_ns, flags)
    _set_scheduling(task, target, wanted)
    return 0


@syscall(142, "sched_setparam", SINT, INT)
def sched_setparam(task: Task, pid: int, addr: int) -> int:
    """Set the priority (int at addr). Errors: EINVAL, ESRCH, EPERM, EFAULT.

    Source: sched_setparam(2).
    """
    if pid < 0:
        raise SyscallError(errno.EINVAL)
    priority = _param(task, addr)
    target = _task_of(task, pid)
    now = target.attributes
    _set_scheduling(task, target, Wanted(KEPT, priority, now.nice, now.slice_ns))
    return 0


@syscall(145, "sched_getscheduler", SINT)
def sched_getscheduler(task: Task, pid: int) -> int:
    """Return the policy, with SCHED_RESET_ON_FORK. Errors: EINVAL, ESRCH.

    Source: sched_setscheduler(2).
    """
    attributes = _task_of(task, pid).attributes
    return attributes.policy | RESET_ON_FORK * attributes.reset_on_fork


@syscall(143, "sched_getparam", SINT, INT)
def sched_getparam(task: Task, pid: int, addr: int) -> int:
    """Store the priority. Errors: EINVAL, ESRCH, EFAULT. Source: sched_setparam(2)."""
    if not addr:
        raise SyscallError(errno.EINVAL)
    target = _task_of(task, pid)
    task.mm.copy_out(addr, struct.pack("<i", target.attributes.rt_priority))
    return 0


def _priority_limit(policy: int, real_time: int) -> int:
    if policy in REAL_TIME:
        return real_time
    if policy in (*NORMAL, SCHED_DEADLINE, SCHED_EXT):
        return 0
    raise SyscallError(errno.EINVAL)


@syscall(146, "sched_get_priority_max", SINT)
def sched_get_priority_max(task: Task, policy: int) -> int:
    """Return the highest priority of a policy. Errors: EINVAL.

    Source: sched_get_priority_max(2).
    """
    return _priority_limit(policy, MAX_RT_PRIORITY)


@syscall(147, "sched_get_priority_min", SINT)
def sched_get_priority_min(task: Task, policy: int) -> int:
    """Return the lowest priority of a policy. Errors: EINVAL. Source: sched_get_priority_max(2)."""
    return _priority_limit(policy, 1)


@syscall(148, "sched_rr_get_interval", SINT, STRUCT)
def sched_rr_get_interval(task: Task, pid: int) -> bytes:
    """Store a round-robin task's slice (struct timespec), 0 for others. Errors: EINVAL, ESRCH.

    Source: sched_rr_get_interval(2).
    """
    round_robin = _task_of(task, pid).attributes.policy == SCHED_RR
    return struct.pack("<qq", 0, RR_SLICE_NS if round_robin else 0)


def _attr_in(task: Task, addr: int) -> Wanted:
    """Read struct sched_attr; a wrong size is answered with ours.

    Errors: E2BIG, EFAULT, EINVAL (no room for the clamps that it names).
    """
    size = int.from_bytes(task.mm.copy_in(addr, 4), "little") or SCHED_ATTR.least
    try:
        fields = SCHED_ATTR.fields_at(task, addr, size)
    except SyscallError as error:
        if error.errno == errno.EFAULT:
            raise
        task.mm.copy_out(addr, struct.pack("<I", SCHED_ATTR.layout.size))
        raise SyscallError(errno.E2BIG) from error
    _, policy, flags, nice, priority, *_ = fields
    if flags & CLAMPS and size < SCHED_ATTR.layout.size:
        raise SyscallError(errno.EINVAL)
    nice, times = max(-20, min(19, nice)), Times(*fields[5:8])
    return Wanted(signed32(policy), priority, nice, times.runtime, flags, times)


@syscall(314, "sched_setattr", SINT, INT, INT, partly="no utilisation clamps")
def sched_setattr(task: Task, pid: int, addr: int, flags: int) -> int:
    """Set policy, nice value, slice, priority and times of deadlines from struct sched_attr.

    Errors: EINVAL, E2BIG, ESRCH, EPERM, EFAULT, EBUSY (deadlines that there is no time for),
    EOPNOTSUPP (clamps). Source: sched_setattr(2).
    """
    if not addr or pid < 0 or flags & INT_BITS:
        raise SyscallError(errno.EINVAL)
    wanted = _attr_in(task, addr)
    if wanted.policy < 0:
        raise SyscallError(errno.EINVAL)
    target = _task_of(task, pid)
    if wanted.flags & KEEP_POLICY:
        wanted = wanted._replace(policy=KEPT)
    if wanted.flags & KEEP_PARAMS:
        wanted = _with_params_of(target, wanted)
    _set_scheduling(task, target, wanted)
    return 0


def _with_params_of(target: Task, wanted: Wanted) -> Wanted:
    now = target.attributes
    if now.policy in REAL_TIME:
        return wanted._replace(priority=now.rt_priority)
    if now.policy == SCHED_DEADLINE:
        return wanted._replace(priority=0, times=times_of(now))
    return wanted._replace(nice=now.nice)


@syscall(315, "sched_getattr", SINT, INT, INT, INT)
def sched_getattr(task: Task, pid: int, addr: int, size: int, flags: int) -> int:
    """Store struct sched_attr, at most size bytes of it. Errors: EINVAL, ESRCH, EFAULT.

    Source: sched_setattr(2).
    """
    size &= INT_BITS
    sizes = range(SCHED_ATTR.least, PAGE_SIZE + 1)
    if not addr or pid < 0 or size not in sizes or flags & INT_BITS:
        raise SyscallError(errno.EINVAL)
    attributes = _task_of(task, pid).attributes
    stored = min(size, SCHED_ATTR.layout.size)
    nice, flags, times = 0, attributes.reset_on_fork, times_of(attributes)
    if attributes.policy == SCHED_DEADLINE:
        flags |= attributes.dl_flags
    elif attributes.policy not in REAL_TIME:
        nice, times = attributes.nice, Times(attributes.slice_ns or SLICE_NS)
    raw = SCHED_ATTR.layout.pack(
        stored, attributes.policy, flags, nice, attributes.rt_priority, *times, 0, 0
    )
    task.mm.copy_out(addr, raw[:stored])
    return 0


# ---- nice values ----


def _need_higher(task: Task, target: Task, nice: int, number: int) -> None:
    """Refuse a nice value that RLIMIT_NICE does not allow."""
    if not _nice_allowed(target, nice) and not task.capable("CAP_SYS_NICE"):
        raise SyscallError(number)


def _user(task: Task, who: int) -> int | None:
    """Return the machine's id of a user, the caller's for 0; None: there is none such."""
    return task.cred.user_ns.maps["uid"].down(who & NO_ID) if who else task.cred.uid


def _group(task: Task, which: int, who: int, first: int) -> list[Task]:
    """Return the tasks of a process, group or user. Errors: EINVAL, ESRCH.

    first: the value of which that stands for a process.
    """
    tasks = [t for t in task.kernel.tasks.values() if t.alive]
    uid, pid = _user(task, who), task.pid_of(who) or -abs(who)
    choices: dict[int, Callable[[], Iterable[Task]]] = {
        PRIO_PROCESS: lambda: [t for t in tasks if t.pid == (pid or task.pid)],
        PRIO_PGRP: lambda: [t for t in tasks if t.pgid == (pid or task.pgid)],
        PRIO_USER: lambda: [t for t in tasks if t.cred.uid == uid],
    }
    if which - first not in choices:
        raise SyscallError(errno.EINVAL)
    found = list(choices[which - first]())
    if not found:
        raise SyscallError(errno.ESRCH)
    return found


@syscall(140, "getpriority", SINT, SINT)
def getpriority_raw(task: Task, which: int, who: int) -> int:
    """Return 20 minus the lowest nice value of a process, group or user. Errors: EINVAL, ESRCH.

    Source: getpriority(2), "C library/kernel differences".
    """
    return 20 - getpriority(task, which, who)


def getpriority(task: Task, which: int = PRIO_PROCESS, who: int = 0) -> int:
    """Return the lowest nice value of a process, group or user. Errors: EINVAL, ESRCH.

    Source: getpriority(2).
    """
    return min(target.attributes.nice for target in _group(task, which, who, PRIO_PROCESS))


@syscall(141, "setpriority", SINT, SINT, SINT)
def setpriority(task: Task, which: int, who: int, nice: int) -> int:
    """Set the nice value (-20..19) of a process, group or user.

    Errors: EINVAL, ESRCH, EPERM (another user's), EACCES (lower than RLIMIT_NICE allows).
    Source: setpriority(2).
    """
    nice = max(-20, min(19, nice))
    for target in _group(task, which, who, PRIO_PROCESS):
        _need_owner(task, target)
        if nice < target.attributes.nice:
            _need_higher(task, target, nice, errno.EACCES)
        target.set_attributes(nice=nice)
    return 0


@syscall(252, "ioprio_get", SINT, SINT)
def ioprio_get(task: Task, which: int, who: int) -> int:
    """Return the best I/O priority of a process, group or user. Errors: EINVAL, ESRCH.

    Source: ioprio_set(2).
    """
    found = _group(task, which, who, IOPRIO_PROCESS)
    if which == IOPRIO_PROCESS:
        return found[0].io_context.priority if found[0].io_context else 0
    return min(map(_io_priority, found))


def _io_priority(task: Task) -> int:
    """Return a task's I/O priority, of one that was given none what its nice value makes of it."""
    if task.io_context is not None and task.io_context.priority:
        return task.io_context.priority
    given = task.attributes
    kind = IOPRIO_RT if given.policy in REAL_TIME else IOPRIO_BE
    kind = IOPRIO_IDLE if given.policy == SCHED_IDLE else kind
    return kind << IOPRIO_SHIFT | (given.nice + 20) // 5


@syscall(251, "ioprio_set", SINT, SINT, INT)
def ioprio_set(task: Task, which: int, who: int, priority: int) -> int:
    """Set the I/O priority: class << 13 | level. Errors: EINVAL, ESRCH, EPERM.

    Source: ioprio_set(2).
    """
    kind, level = priority >> IOPRIO_SHIFT & 7, priority & 7
    if kind > IOPRIO_IDLE or (kind == 0 and level):
        raise SyscallError(errno.EINVAL)
    privileged = task.capable("CAP_SYS_ADMIN") or task.capable("CAP_SYS_NICE")
    if kind == IOPRIO_RT and not privileged:
        raise SyscallError(errno.EPERM)
    for target in _group(task, which, who, IOPRIO_PROCESS):
        if task.cred.uid not in (target.cred.uid, target.cred.euid):
            _need_owner(task, target)
        target.io_context = target.io_context or IoContext()
        target.io_context.priority = priority & 0xFFFF
    return 0


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"getpriority": getpriority}
