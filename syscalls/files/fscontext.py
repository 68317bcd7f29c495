"""fsopen, fsconfig, fspick and fsmount: file systems that are made and changed in steps.

The order of the checks: fs/fsopen.c, fs/fs_context.c and fsmount() of Linux 6.18.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pkern.kernel.errors import SyscallError
from pkern.kernel.namespaces.user import FIRST
from pkern.kernel.vfs.anon.fscontext import FsContext, Phase, open_context
from pkern.kernel.vfs.mounts import RDONLY, FsFlags, Path, need_mounted
from pkern.kernel.vfs.proc.procfs import ProcFs
from pkern.kernel.vfs.walk import need_read
from pkern.syscalls.files.at import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    O_CLOEXEC,
    install,
    path_at,
)
from pkern.syscalls.files.filesystems import (
    FILE_SYSTEMS,
    FLAGS,
    LATER,
    OPTIONS,
    Refusal,
    Wish,
    all_or_none,
    complaint,
    create,
    is_known,
    is_valueless,
    last_of_each,
    late_complaint,
    need_changeable,
    need_power_over_type,
    need_value,
    new_file_system,
    obey,
    sense_of,
    show_pid_ns,
)
from pkern.syscalls.files.mount_tree import flags_of_attributes, hold
from pkern.syscalls.files.mounts import need_power
from pkern.syscalls.table import INT, PATH, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

CLOEXEC = 1  # of FSOPEN_, FSMOUNT_ and FSPICK_
PICK_NOFOLLOW, PICK_EMPTY, PICK_FLAGS = 2, 8, 15
SET_FLAG, SET_STRING, SET_BINARY, SET_PATH, SET_PATH_EMPTY, SET_FD = range(6)
CREATE, RECONFIGURE, CREATE_EXCL = 6, 7, 8
BINARY_MOST, KEY_MOST = 1 << 20, 256


def _fd_flags(flags: int) -> int:
    return O_CLOEXEC if flags & CLOEXEC else 0


@syscall(430, "fsopen", PATH, SINT)
def fsopen(task: Task, fstype: str, flags: int = 0) -> int:
    """Return a descriptor of a file system that is to be made. flags: FSOPEN_CLOEXEC 1.

    fstype: as of mount. Errors: EPERM (CAP_SYS_ADMIN), EINVAL, ENODEV, EMFILE. Source: fsopen(2).
    """
    need_power(task)
    if flags & ~CLOEXEC:
        raise SyscallError(errno.EINVAL)
    need_read(fstype, too_long=errno.EINVAL)
    if fstype not in FILE_SYSTEMS:
        raise SyscallError(errno.ENODEV)
    context = FsContext(task.kernel, fstype, new_file_system(task, fstype), Phase.CREATE)
    return install(task, open_context(context, task), _fd_flags(flags))


@syscall(433, "fspick", SINT, PATH, SINT)
def fspick(task: Task, dirfd: int, path: str, flags: int = 0) -> int:
    """Return a descriptor for changes of the file system that is mounted on a path.

    flags: FSPICK_CLOEXEC 1, SYMLINK_NOFOLLOW 2, NO_AUTOMOUNT 4, EMPTY_PATH 8. Errors: EPERM,
    EINVAL (nothing is mounted there), EMFILE, as open. Source: fspick(2).
    """
    need_power(task)
    if flags & ~PICK_FLAGS:
        raise SyscallError(errno.EINVAL)
    at = AT_EMPTY_PATH if flags & PICK_EMPTY else 0
    at |= AT_SYMLINK_NOFOLLOW if flags & PICK_NOFOLLOW else 0
    mounted = need_mounted(path_at(task, dirfd, path, at))
    if mounted.fs is None:
        raise SyscallError(errno.EINVAL)  # a namespace: nothing about it can be changed
    context = FsContext(task.kernel, mounted.fs.name, mounted.fs, Phase.CHANGE)
    return install(task, open_context(context, task), _fd_flags(flags))


# ---- fsconfig ----


def _shape_is_wrong(what: int, key: int, value: int, aux: int) -> bool:
    """Tell whether arguments do not fit what is asked. Errors: EOPNOTSUPP: nothing known is."""
    shapes = {
        SET_FLAG: not key or value or aux,
        SET_STRING: not key or not value or aux,
        SET_BINARY: not key or not value or not 0 < aux <= BINARY_MOST,
        SET_PATH: not key or not value or (aux != AT_FDCWD and aux < 0),
        SET_PATH_EMPTY: not key or not value or (aux != AT_FDCWD and aux < 0),
        SET_FD: not key or value or aux < 0,
        **dict.fromkeys((CREATE, RECONFIGURE, CREATE_EXCL), key or value or aux),
    }
    if what not in shapes:
        raise SyscallError(errno.EOPNOTSUPP)
    return bool(shapes[what])


def fsconfig(task: Task, fd: int, what: int, key: str = "", value: str | None = None) -> int:
    """Give a file system a parameter, make it, or change it.

    what: FSCONFIG_SET_FLAG 0 (key), SET_STRING 1 (key, value), CMD_CREATE 6, RECONFIGURE 7,
    CREATE_EXCL 8; no parameter takes a SET_BINARY 2, PATH 3, PATH_EMPTY 4 or FD 5. Errors: EINVAL
    (read() of fd says why), EBADF, EBUSY (not now), EPERM. Source: fsconfig(2).
    """
    context = _context(task, fd)
    if what in (CREATE, CREATE_EXCL):
        _create(task, context)
    elif what == RECONFIGURE:
        _reconfigure(task, context)
    else:
        _set(task, context, key, value if what == SET_STRING else None)
    return 0


@syscall(431, "fsconfig", SINT, INT, INT, INT, SINT)
def fsconfig_raw(task: Task, fd: int, what: int, key: int, value: int, aux: int) -> int:
    """Give a file system a parameter, make it, or change it. key, value: addresses of text.

    Errors: as fsconfig, EFAULT, EOPNOTSUPP (nothing known is asked). Source: fsconfig(2).
    """
    if fd < 0 or _shape_is_wrong(what, key, value, aux):
        raise SyscallError(errno.EINVAL)
    _context(task, fd)
    name = task.mm.string_in(key) if key else ""
    if len(name) >= KEY_MOST:
        raise SyscallError(errno.EINVAL)
    file = task.fds.get_raw(aux) if what == SET_FD else None
    if file is not None and name == "pidns":
        return _set_file(task, _context(task, fd), name, file)
    return fsconfig(task, fd, what, name, task.mm.string_in(value) if what == SET_STRING else None)


def _context(task: Task, fd: int) -> FsContext:
    inode = task.fds.get(fd).inode
    if not isinstance(inode, FsContext):
        raise SyscallError(errno.EINVAL)
    return inode


def _set(task: Task, context: FsContext, name: str, text: str | None) -> None:
    """Take a parameter; text: None: it has no value. Errors: EBUSY, EINVAL."""
    if context.phase not in (Phase.CREATE, Phase.CHANGE):
        raise SyscallError(errno.EBUSY)
    if name in FLAGS:
        context.said = context.said.saying(*FLAGS[name])
    elif name == "source":
        _set_source(context, text)
    else:
        _set_option(task, context, name, text)


def _set_file(task: Task, context: FsContext, name: str, file: File) -> int:
    """Take an open file as a parameter. Errors: EBUSY, EINVAL, EPERM."""
    if context.phase is Phase.CREATE and isinstance(context.fs, ProcFs):
        try:
            show_pid_ns(task, context.fs, file)
        except Refusal as refusal:
            context.refuse(refusal.said)
            raise
    elif context.phase is Phase.CHANGE and isinstance(context.fs, ProcFs):
        context.refuse("proc: cannot reconfigure pidns for existing procfs")
        raise SyscallError(errno.EBUSY)
    else:
        _set(task, context, name, None)
    return 0


def _set_source(context: FsContext, text: str | None) -> None:
    if text is None:
        raise context.refuse("Non-string source")
    if context.source is not None:
        raise context.refuse("Multiple sources")
    context.source = text


def _set_option(task: Task, context: FsContext, name: str, text: str | None) -> None:
    fs = context.fs
    if not is_known(fs, name):
        raise context.refuse(f"{context.fstype}: Unknown parameter '{name}'")
    setter = (OPTIONS if context.phase is Phase.CREATE else LATER).get(type(fs), {}).get(name)
    if setter is None:
        return
    if text is not None and is_valueless(fs, name):
        raise context.refuse(f"{context.fstype}: Unexpected value for '{name}'")
    wish = Wish(name, text or "")
    need_value(task, fs, wish, context.refuse)
    if context.phase is Phase.CREATE:
        obey(task, fs, setter, wish, complaint, context.refuse)
        return
    blank = new_file_system(task, context.fstype)  # what no file system takes is refused now
    obey(task, blank, sense_of(fs, name), wish, complaint, context.refuse)
    context.changes.append(wish)


def _create(task: Task, context: FsContext) -> None:
    """Make the file system. Errors: EBUSY, EPERM."""
    if context.phase is not Phase.CREATE:
        raise SyscallError(errno.EBUSY)
    need_power_over_type(task, context.fstype)
    context.phase = Phase.FAILED
    create(context.fs, context.source)
    context.phase = Phase.MOUNT


def _reconfigure(task: Task, context: FsContext) -> None:
    """Change the file system as was said; who fails has to begin again.

    Errors: EBUSY (also: it is written to), EPERM, EINVAL.
    """
    if context.phase is not Phase.CHANGE:
        raise SyscallError(errno.EBUSY)
    context.phase = Phase.FAILED
    if not task.capable_in(getattr(context.fs, "user", FIRST), "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)
    away = context.said.mask & ~context.said.flags
    if away & RDONLY and getattr(context.fs, "read_only", False):
        raise SyscallError(errno.EROFS)  # the host gave no more
    need_changeable(context.said)
    fs, wishes = context.fs, last_of_each(context.changes)
    context.changes = []
    with all_or_none(fs, LATER):
        for wish in wishes:
            obey(task, fs, LATER[type(fs)][wish.name], wish, late_complaint, context.refuse)
    _set_flags(task, context)
    context.phase = Phase.CHANGE


def _set_flags(task: Task, context: FsContext) -> None:
    task.kernel.vfs.set_fs_flags(context.fs.root.dev, context.said)
    context.said = FsFlags(0, context.said.mask)


@syscall(432, "fsmount", SINT, SINT, INT)
def fsmount(task: Task, fd: int, flags: int = 0, attributes: int = 0) -> int:
    """Return a descriptor of a mount, nowhere yet, of a file system that is made.

    flags: FSMOUNT_CLOEXEC 1. attributes: MOUNT_ATTR_*. Errors: EPERM, EINVAL, EBADF, EBUSY,
    EMFILE. Source: fsmount(2).
    """
    need_power(task)
    if flags & ~CLOEXEC:
        raise SyscallError(errno.EINVAL)
    mount_flags = flags_of_attributes(attributes)
    context = _context(task, fd)
    if context.phase is Phase.CREATE:
        raise SyscallError(errno.EINVAL)
    if context.phase is not Phase.MOUNT:
        raise SyscallError(errno.EBUSY)
    table = task.kernel.vfs.table
    made = table.detach(table.new(context.fs, mount_flags))
    context.phase = Phase.CHANGE
    _set_flags(task, context)
    return hold(task, Path(made, made.root), _fd_flags(flags))


PYTHON_FORMS: dict[str, Callable[..., Any]] = {"fsconfig": fsconfig}
