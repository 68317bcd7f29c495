"""The calls that ask a symbolic link where it leads."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.inode import LinkInode
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    inode_at,
)
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task


def readlinkat(task: Task, dirfd: int, path: str) -> str:
    """Return a symbolic link's target. Errors: EINVAL (no link), ENOENT. Source: readlink(2)."""
    inode = inode_at(task, dirfd, path, 0x100 | AT_EMPTY_PATH)
    if not isinstance(inode, LinkInode):
        raise SyscallError(errno.EINVAL if path else errno.ENOENT)
    inode.accessed()
    return inode.readlink(task)


def readlink(task: Task, path: str) -> str:
    """Return a symbolic link's target. Errors: EINVAL (no link), ENOENT. Source: readlink(2)."""
    if not path:
        raise SyscallError(errno.ENOENT)
    return readlinkat(task, AT_FDCWD, path)


@syscall(89, "readlink", PATH, INT, SINT)
def readlink_raw(task: Task, path: str, addr: int, count: int) -> int:
    """Store a link's target, without a NUL. Errors: as readlink, EFAULT. Source: readlink(2)."""
    return readlinkat_raw(task, AT_FDCWD, path, addr, count)


@syscall(267, "readlinkat", SINT, PATH, INT, SINT)
def readlinkat_raw(task: Task, dirfd: int, path: str, addr: int, count: int) -> int:
    """As readlink, below dirfd. Errors: as readlink. Source: readlinkat(2)."""
    if count <= 0:
        raise SyscallError(errno.EINVAL)
    target = readlinkat(task, dirfd, path).encode("utf-8", "surrogateescape")[:count]
    task.mm.copy_out(addr, target)
    return len(target)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"readlink": readlink, "readlinkat": readlinkat}
