"""What a thread tells the kernel of itself as it starts: words, lists and bases of segments."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.credentials import Ids
from pkern.kernel.tasks.locks.robust import HEAD
from pkern.kernel.tasks.registers.rseq import SIZE, Area, enter, leave
from pkern.kernel.typed import TYPE_CHECKING
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


@syscall(218, "set_tid_address", INT)
def set_tid_address(task: Task, addr: int) -> int:
    """Note where a zero goes when the thread ends; return its id. Source: set_tid_address(2)."""
    task.thread.clear_child_tid = addr
    return task.number


@syscall(273, "set_robust_list", INT, INT)
def set_robust_list(task: Task, addr: int, length: int) -> int:
    """Name the list of locks that others hear of when the task ends. Errors: EINVAL.

    Source: set_robust_list(2).
    """
    if length != HEAD.size:
        raise SyscallError(errno.EINVAL)
    task.thread.robust_list = addr
    return 0


@syscall(274, "get_robust_list", SINT, INT, INT)
def get_robust_list(task: Task, pid: int, addr: int, length_addr: int) -> int:
    """Store the address of a task's list and its size. Errors: ESRCH, EPERM, EFAULT.

    Source: get_robust_list(2).
    """
    of = task.find(pid) if pid else task
    if of is None or not of.alive:
        raise SyscallError(errno.ESRCH)
    if not task.may_trace(of, Ids.REAL):
        raise SyscallError(errno.EPERM)
    task.mm.copy_out(length_addr, HEAD.size.to_bytes(8, "little"))
    task.mm.copy_out(addr, of.thread.robust_list.to_bytes(8, "little"))
    return 0


RSEQ_UNREGISTER = 1


@syscall(334, "rseq", INT, INT, SINT, INT)
def rseq(task: Task, addr: int, nbytes: int, flags: int, signature: int) -> int:
    """Name the struct rseq of the task (nbytes, 32 at least), or forget it (flags 1).

    Errors: EINVAL, EBUSY (the same again), EPERM (another signature), EFAULT. Source: rseq(2).
    """
    area = Area(addr, nbytes & 0xFFFF_FFFF, signature & 0xFFFF_FFFF)
    known = task.thread.rseq
    if flags not in (0, RSEQ_UNREGISTER) or (flags and known is None):
        raise SyscallError(errno.EINVAL)
    if known is not None:
        _check_known(known, area)
        if not flags:
            raise SyscallError(errno.EBUSY)
        leave(task, known)
        return 0
    if area.nbytes < SIZE or addr % SIZE:
        raise SyscallError(errno.EINVAL)
    task.mm.check_user(addr, area.nbytes)
    enter(task, area)
    return 0


def _check_known(known: Area, area: Area) -> None:
    if (known.addr, known.nbytes) != (area.addr, area.nbytes):
        raise SyscallError(errno.EINVAL)
    if known.signature != area.signature:
        raise SyscallError(errno.EPERM)


ARCH_SET_GS, ARCH_SET_FS, ARCH_GET_FS, ARCH_GET_GS = 0x1001, 0x1002, 0x1003, 0x1004
SET_BASES = {ARCH_SET_FS: "fs_base", ARCH_SET_GS: "gs_base"}
GET_BASES = {ARCH_GET_FS: "fs_base", ARCH_GET_GS: "gs_base"}
ARCH_GET_CPUID, ARCH_SET_CPUID = 0x1011, 0x1012
XCOMP_QUERIES = (0x1021, 0x1022, 0x1024)  # which states XSAVE may save
ARCH_REQ_XCOMP_PERM, NR_XFEATURES = 0x1023, 19
ARCH_ANSWERS: dict[int, int | None] = {
    ARCH_GET_CPUID: 1,
    ARCH_SET_CPUID: None,
    **dict.fromkeys(XCOMP_QUERIES, 0),
}


def _arch_answer(task: Task, code: int, addr: int) -> int:
    """Answer what depends on no task: the processor has no XSAVE, and CPUID never faults.

    Errors: ENODEV (CPUID cannot be made to fault), EFAULT.
    """
    answer = ARCH_ANSWERS[code]
    if answer is None:
        raise SyscallError(errno.ENODEV)
    if code in XCOMP_QUERIES:
        task.mm.copy_out(addr, answer.to_bytes(8, "little"))
        return 0
    return answer


@syscall(158, "arch_prctl", INT, INT, partly="no XSAVE, no shadow stacks")
def arch_prctl(task: Task, code: int, addr: int) -> int:
    """Set or read the base of fs or gs. Errors: EPERM (outside user space), EINVAL, EFAULT.

    Source: arch_prctl(2).
    """
    if task.context is None:
        raise SyscallError(errno.EINVAL)
    if code == ARCH_REQ_XCOMP_PERM:  # leave to use a state that the processor has not
        raise SyscallError(errno.EOPNOTSUPP if addr < NR_XFEATURES else errno.EINVAL)
    if code in SET_BASES:
        if addr >= int(task.mm.counters.task_size):
            raise SyscallError(errno.EPERM)
        task.cpu.set_registers({SET_BASES[code]: addr})
        return 0
    if code in ARCH_ANSWERS:
        return _arch_answer(task, code, addr)
    if code in GET_BASES:
        base = task.cpu.registers()[GET_BASES[code]]
        task.mm.copy_out(addr, base.to_bytes(8, "little"))
        return 0
    raise SyscallError(errno.EINVAL)
