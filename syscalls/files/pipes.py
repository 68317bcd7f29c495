"""Pipes and memory files."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.mm import hugetlb
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.file import O_DIRECT, O_NONBLOCK
from pkern.kernel.vfs.pipe import make_pipe
from pkern.kernel.vfs.walk import length, need_read
from pkern.syscalls.files.at import O_CLOEXEC, install, install_pair, store_pair
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB, MFD_NOEXEC_SEAL, MFD_EXEC = 1, 2, 4, 8, 16
MFD_NAME_MAX = 249
O_NOTIFICATION_PIPE = 0o200


# ---- pipes and memfd ----


def pipe2(task: Task, flags: int = 0) -> tuple[int, int]:
    """Return the reading and the writing descriptor of a new pipe.

    flags: O_CLOEXEC, O_NONBLOCK, O_DIRECT (each write is a packet).
    Errors: EMFILE, EINVAL, ENOPKG (O_NOTIFICATION_PIPE). Source: pipe2(2).
    """
    reader, writer = made_pipe(task, flags)
    return install_pair(task, reader, writer, flags)


def made_pipe(task: Task, flags: int) -> tuple[File, File]:
    """Return the ends of a new pipe, which have no descriptors yet. Errors: EINVAL, ENOPKG."""
    if flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOTIFICATION_PIPE):
        raise SyscallError(errno.EINVAL)
    if flags & O_NOTIFICATION_PIPE:
        raise SyscallError(errno.ENOPKG)
    return make_pipe(task.kernel, task, flags & (O_NONBLOCK | O_DIRECT))


def pipe(task: Task) -> tuple[int, int]:
    """Return the two ends of a new pipe. Errors: EMFILE. Source: pipe(2)."""
    return pipe2(task)


@syscall(22, "pipe", INT)
def pipe_raw(task: Task, buf: int) -> int:
    """Store two descriptors. Errors: EMFILE, EFAULT. Source: pipe(2)."""
    return pipe2_raw(task, buf, 0)


@syscall(293, "pipe2", INT, SINT)
def pipe2_raw(task: Task, buf: int, flags: int) -> int:
    """Store two descriptors. Errors: EMFILE, EFAULT, EINVAL. Source: pipe2(2)."""
    return store_pair(task, buf, pipe2(task, flags))


ONLY_NOEXEC = 2  # of vm.memfd_noexec


@syscall(319, "memfd_create", PATH, SINT)
def memfd_create(task: Task, name: str, flags: int = 0) -> int:
    """Return a descriptor of a new file without a name, in memory.

    Errors: EINVAL (flags, name over 249 bytes), EMFILE, ENOMEM, ENODEV (a size of large pages),
    EACCES (vm.memfd_noexec is 2, and it could be executed). Source: memfd_create(2).
    """
    flags &= 0xFFFF_FFFF  # an unsigned int, as every caller's compiler passes it
    known = MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC
    if flags & MFD_HUGETLB:
        known |= MFD_HUGETLB | hugetlb.SIZE_MASK
    both = MFD_NOEXEC_SEAL | MFD_EXEC
    if flags & ~known or flags & both == both:
        raise SyscallError(errno.EINVAL)
    if not flags & both:
        flags |= MFD_NOEXEC_SEAL if task.pid_ns.memfd_noexec else MFD_EXEC
    if flags & MFD_EXEC and task.pid_ns.memfd_noexec == ONLY_NOEXEC:
        raise SyscallError(errno.EACCES)
    need_read(name, too_long=errno.EINVAL)
    if length(name) > MFD_NAME_MAX:
        raise SyscallError(errno.EINVAL)
    if flags & MFD_HUGETLB:
        hugetlb.check_size(flags, errno.ENODEV)
    memory = task.kernel.memory
    before = memory.stand_for(task)
    try:
        file = task.kernel.vfs.memfd(task, name, flags)
    finally:
        memory.current = before
    return install(task, file, O_CLOEXEC if flags & MFD_CLOEXEC else 0)


@syscall(447, "memfd_secret", SINT)
def memfd_secret(task: Task, flags: int = 0) -> int:
    """Return a descriptor of memory that only those who map it see.

    flags: FD_CLOEXEC's O_CLOEXEC. Errors: EINVAL, EMFILE, ENOMEM. Source: memfd_secret(2).
    """
    if flags & ~O_CLOEXEC:
        raise SyscallError(errno.EINVAL)
    with task.kernel.memory.on_behalf_of(task):
        file = task.kernel.vfs.secretmem(task)
    return install(task, file, flags)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"pipe": pipe, "pipe2": pipe2}
