"""The calls about what may be done with memory: protection, keys for it, seals.

Gates and names here, the order of Linux's checks in the core.
"""

from __future__ import annotations

import errno

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.mm.mm import NO_PKEY
from pkern.kernel.typed import TYPE_CHECKING
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE = 1, 2


@syscall(10, "mprotect", INT, INT, INT)
def mprotect(task: Task, addr: int, length: int, prot: int) -> int:
    """Set the protection of [addr, addr+length).

    Errors: EINVAL, ENOMEM (a hole; what came before it is changed), EACCES. Source: mprotect(2).
    """
    return task.mm.call(lib.mm_mprotect, addr, length, prot, NO_PKEY)


@syscall(462, "mseal", INT, INT, INT)
def mseal(task: Task, addr: int, length: int, flags: int) -> int:
    """Let no one unmap, move, replace or protect [addr, addr+length) anew, for ever.

    Errors: EINVAL, ENOMEM (a hole; nothing is changed). What is then refused is EPERM.
    Source: mseal(2); Documentation/userspace-api/mseal.rst of Linux 6.18.
    """
    return task.mm.call(lib.mm_mseal, addr, length, flags)


@syscall(329, "pkey_mprotect", INT, INT, INT, SINT)
def pkey_mprotect(task: Task, addr: int, length: int, prot: int, pkey: int) -> int:
    """As mprotect, and give the range a protection key; -1 is mprotect itself.

    Errors: EINVAL (a key that pkey_alloc did not give), and mprotect's. Source: pkey_mprotect(2).
    """
    return task.mm.call(lib.mm_mprotect, addr, length, prot, pkey)


@syscall(330, "pkey_alloc", INT, INT)
def pkey_alloc(task: Task, flags: int, access_rights: int) -> int:
    """Return a protection key that no one has (1 to 15); the caller's PKRU gets access_rights.

    access_rights: PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE. Errors: EINVAL (flags, unknown rights),
    ENOSPC (all are taken); where the processor has none (boot with cpu="pku"), EINVAL the first
    time and ENOSPC later. Source: pkey_alloc(2).
    """
    if flags or access_rights & ~(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE):
        raise SyscallError(errno.EINVAL)
    return task.mm.call(lib.mm_pkey_alloc, access_rights)


@syscall(331, "pkey_free", SINT)
def pkey_free(task: Task, pkey: int) -> int:
    """Give a protection key back; pages keep it, and PKRU what it says of it.

    Errors: EINVAL (not given by pkey_alloc). Source: pkey_free(2).
    """
    return task.mm.call(lib.mm_pkey_free, pkey)
