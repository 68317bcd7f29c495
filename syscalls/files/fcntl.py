"""Descriptors and what is asked of an open file: dup, fcntl, flock, ioctl."""

from __future__ import annotations

import errno
import stat
import struct

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.late import LateTable, load
from pkern.kernel.tasks.groups import members
from pkern.kernel.tasks.signal.signals import NSIG
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.vfs.file import (
    CLOEXEC,
    F_OWNER_PGRP,
    F_OWNER_PID,
    F_OWNER_TID,
    NO_CLOEXEC,
    O_APPEND,
    O_DIRECT,
    O_NONBLOCK,
    File,
    Owner,
)
from pkern.kernel.vfs.inode import (
    ALL_SEALS,
    F_SEAL_EXEC,
    F_SEAL_SEAL,
    F_SEAL_WRITE,
    MAY_READ,
    MAY_WRITE,
    SEALS_OF_CODE,
    Inode,
    MappedInode,
)
from pkern.kernel.vfs.locks import (
    F_RDLCK,
    F_UNLCK,
    F_WRLCK,
    LOCK_END,
    LOCK_EX,
    LOCK_MAND,
    LOCK_NB,
    LOCK_SH,
    LOCK_UN,
    Record,
)
from pkern.kernel.vfs.pipe import PipeInode
from pkern.kernel.vfs.readiness import wake, would_block
from pkern.syscalls.abi import signed32
from pkern.syscalls.files.at import O_CLOEXEC, refuse_flags
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
F_GETLK, F_SETLK, F_SETLKW, F_SETOWN, F_GETOWN = 5, 6, 7, 8, 9
F_SETSIG, F_GETSIG, F_SETOWN_EX, F_GETOWN_EX, F_GETOWNER_UIDS = 10, 11, 15, 16, 17
O_ASYNC, FIOASYNC = 0o20000, 0x5452
FIOSETOWN, SIOCSPGRP, FIOGETOWN, SIOCGPGRP = 0x8901, 0x8902, 0x8903, 0x8904
F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW = 36, 37, 38
F_SETLEASE, F_GETLEASE = 1024, 1025
F_SETPIPE_SZ, F_GETPIPE_SZ, F_ADD_SEALS, F_GET_SEALS = 1031, 1032, 1033, 1034
F_NOTIFY, F_DUPFD_QUERY, F_CREATED_QUERY, F_GET_RW_HINT, F_SET_RW_HINT = (
    1026,
    1027,
    1028,
    1035,
    1036,
)
PATH_COMMANDS = {
    *(F_DUPFD, F_GETFD, F_SETFD, F_GETFL),
    *(F_DUPFD_CLOEXEC, F_DUPFD_QUERY, F_CREATED_QUERY),
}
O_NOATIME = 0o1000000
SETTABLE_FLAGS = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME
LIFE_EXTREME = 5  # the last of the hints RWH_WRITE_LIFE_*
OPEN_FILE_LOCKS = frozenset({F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW})
FLOCK, FLOCK_BYTES = "<hh4xqqi4x", 32
FIONREAD, FIONBIO, FIONCLEX, FIOCLEX = 0x541B, 0x5421, 0x5450, 0x5451
# About files and their file systems: fileioctl.py.
ABOUT_FILES = (
    FIBMAP, FIGETBSZ, FS_IOC_FIEMAP, FIOQSIZE, FIFREEZE, FITHAW,
    FS_IOC_RESVSP, FS_IOC_RESVSP64, FS_IOC_UNRESVSP, FS_IOC_UNRESVSP64, FS_IOC_ZERO_RANGE,
    FICLONE, FICLONERANGE, FIDEDUPERANGE,
    FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR,
    FS_IOC_GETFSUUID,
) = (
    0x1, 0x2, 0xC020660B, 0x5460, 0xC0045877, 0xC0045878,
    0x40305828, 0x4030582A, 0x40305829, 0x4030582B, 0x40305839,
    0x40049409, 0x4020940D, 0xC0189436,
    0x80086601, 0x40086602, 0x801C581F, 0x401C5820,
    0x80111500,
)  # fmt: skip
CLOSE_RANGE_UNSHARE, CLOSE_RANGE_CLOEXEC = 2, 4


@syscall(32, "dup", SINT)
def dup(task: Task, fd: int) -> int:
    """Return another descriptor of the same open file. Errors: EBADF, EMFILE. Source: dup(2)."""
    return task.fds.install(task.fds.get_raw(fd))


def _dup_to(task: Task, old: int, new: int, cloexec: int) -> int:
    file = task.fds.get_raw(old)
    if not 0 <= new < task.rlimits["nofile"][0]:
        raise SyscallError(errno.EBADF)
    task.fds.put_at(new, file, cloexec)
    return new


@syscall(33, "dup2", SINT, SINT)
def dup2(task: Task, old: int, new: int) -> int:
    """Make new a descriptor of old's open file. Errors: EBADF. Source: dup2(2)."""
    if old == new:
        task.fds.get_raw(old)
        return new
    return _dup_to(task, old, new, NO_CLOEXEC)


@syscall(292, "dup3", SINT, SINT, SINT)
def dup3(task: Task, old: int, new: int, flags: int = 0) -> int:
    """As dup2, with O_CLOEXEC. Errors: EBADF, EINVAL (old == new). Source: dup3(2)."""
    if old == new or flags & ~O_CLOEXEC:
        raise SyscallError(errno.EINVAL)
    return _dup_to(task, old, new, CLOEXEC if flags else NO_CLOEXEC)


def _dupfd(task: Task, fd: int, lowest: int, cloexec: int) -> int:
    file = task.fds.get_raw(fd)
    lowest = signed32(lowest)
    if not 0 <= lowest < task.rlimits["nofile"][0]:
        raise SyscallError(errno.EINVAL)
    return task.fds.install(file, lowest, cloexec)


def _dupfd_query(task: Task, fd: int, other: int) -> int:
    return int(task.fds.get_raw(signed32(other)) is task.fds.get_raw(fd))


def _setfd(task: Task, fd: int, arg: int) -> int:
    task.fds.set_cloexec(fd, arg & 1)
    return 0


def _setfl(task: Task, fd: int, arg: int) -> int:
    file = task.fds.get(fd)
    inode = file.inode
    if arg & O_NOATIME & ~file.flags:
        inode.need_owner(task)
    if (arg ^ file.flags) & O_APPEND:
        inode.need_shrinkable()
    direct = inode.kind == "fifo" or (inode.can_direct and file.mount is not None)
    if arg & O_DIRECT and not direct:
        raise SyscallError(errno.EINVAL)
    file.flags = (file.flags & ~SETTABLE_FLAGS) | (arg & SETTABLE_FLAGS)
    if (file.flags ^ arg) & O_ASYNC:
        _set_async(file, fd, arg & O_ASYNC)
    return 0


# ---- seals ----


def _sealable(file: File) -> MappedInode:
    if not isinstance(file.inode, MappedInode) or not file.inode.can_seal:
        raise SyscallError(errno.EINVAL)
    return file.inode


def _add_seals(task: Task, fd: int, seals: int) -> int:
    file = task.fds.get(fd)
    if not file.access & MAY_WRITE:
        raise SyscallError(errno.EPERM)
    seals = signed32(seals)
    if seals & ~ALL_SEALS:
        raise SyscallError(errno.EINVAL)
    inode = _sealable(file)
    if inode.seals & F_SEAL_SEAL:
        raise SyscallError(errno.EPERM)
    if seals & F_SEAL_EXEC and inode.mode & 0o111:
        seals |= SEALS_OF_CODE
    mapping = inode.mapping
    if seals & F_SEAL_WRITE and (
        lib.mapping_nr_writable(mapping) or lib.mapping_nr_pinned(mapping)
    ):
        raise SyscallError(errno.EBUSY)
    inode.seals |= seals
    for other, _ in task.kernel.vfs.files.values():
        if other.inode is inode and other.handle != ffi.NULL:
            lib.file_set_mode(other.handle, other.core_mode() | _sealed_bit(inode))
    return 0


def _sealed_bit(inode: MappedInode) -> int:
    return int(lib.FILE_SEALED) if inode.seals & (F_SEAL_WRITE | 16) else 0


# ---- locks ----


def _record(task: Task, file: File, raw: bytes, owner: object) -> Record:
    """Return the lock that a struct flock asks for. Errors: EINVAL, EOVERFLOW."""
    kind, whence, start, length, _ = struct.unpack(FLOCK, raw)
    if kind not in (F_RDLCK, F_WRLCK, F_UNLCK) or whence not in (0, 1, 2):
        raise SyscallError(errno.EINVAL)
    start += (0, file.pos, file.inode.size)[whence]
    end = start + length if length else LOCK_END
    if length < 0:
        start, end = end, start
    if start < 0:
        raise SyscallError(errno.EINVAL)
    return Record(start, end, kind, owner, file)


def _need_no_pid(file: File, raw: bytes, owner: object) -> None:
    """Refuse a process in the request of a lock that is an open file's. Errors: EINVAL."""
    if owner is file and struct.unpack(FLOCK, raw)[-1]:
        raise SyscallError(errno.EINVAL)


def _flock_bytes(task: Task, record: Record) -> bytes:
    length = 0 if record.end == LOCK_END else record.end - record.start
    pid = task.number_of(record.pid) if record.pid > 0 else record.pid
    return struct.pack(FLOCK, record.kind, 0, record.start, length, pid)


def get_lock(task: Task, fd: int, raw: bytes, owner: object) -> bytes:
    """Return the lock that stops the one asked for, or its kind F_UNLCK. Errors: as _record."""
    file = task.fds.get(fd)
    wanted = _record(task, file, raw, owner)
    _need_no_pid(file, raw, owner)
    if wanted.kind == F_UNLCK and owner is not file:
        raise SyscallError(errno.EINVAL)
    found = task.kernel.vfs.locks.conflict(file.inode, wanted)
    return struct.pack("<h", F_UNLCK) + raw[2:] if found is None else _flock_bytes(task, found)


def set_lock(task: Task, fd: int, raw: bytes, owner: object, wait: Callable[[Any], Any]) -> int:
    """Take a lock, or give it up. Errors: as _record, EBADF (of the open mode), EAGAIN."""
    file = task.fds.get(fd)
    wanted = _record(task, file, raw, owner)
    need = {F_RDLCK: MAY_READ, F_WRLCK: MAY_WRITE}.get(wanted.kind)
    if need is not None:
        file.need(need)
    _need_no_pid(file, raw, owner)
    if wanted.kind != F_UNLCK and task.kernel.vfs.locks.conflict(file.inode, wanted):
        wait(file.inode)
    task.kernel.vfs.locks.set_record(file.inode, wanted)
    wake(file.inode)
    if owner is not file and task.fds.files.get(fd) is not file:  # closed while it waited
        task.kernel.vfs.locks.set_record(file.inode, wanted._replace(kind=F_UNLCK))
        raise SyscallError(errno.EBADF)
    return 0


def owner_of(task: Task, fd: int, command: int) -> object:
    """Return who asks for a lock by a command: the table of descriptors, or the open file."""
    return task.fds.get(fd) if command in OPEN_FILE_LOCKS else task.fds


def _getlk(command: int) -> Command:
    def ask(task: Task, fd: int, arg: int) -> int:
        raw = task.mm.copy_in(arg, FLOCK_BYTES)
        task.mm.copy_out(arg, get_lock(task, fd, raw, owner_of(task, fd, command)))
        return 0

    return ask


def _setlk(command: int) -> Command:
    def ask(task: Task, fd: int, arg: int) -> int:
        raw = task.mm.copy_in(arg, FLOCK_BYTES)
        return set_lock(task, fd, raw, owner_of(task, fd, command), WAITS[command])

    return ask


def _refuse(inode: Inode) -> None:
    raise SyscallError(errno.EAGAIN)


Command = Callable[[Any, int, int], int]
WAITS: dict[int, Callable[[Any], Any]] = {
    F_SETLK: _refuse,
    F_SETLKW: would_block,
    F_OFD_SETLK: _refuse,
    F_OFD_SETLKW: would_block,
}


@syscall(73, "flock", SINT, INT)
def flock(task: Task, fd: int, operation: int) -> int:
    """Lock an open file: LOCK_SH 1, LOCK_EX 2, LOCK_UN 8; LOCK_NB 4 does not wait.

    Errors: EBADF, EINVAL, EWOULDBLOCK. Source: flock(2).
    """
    if operation & LOCK_MAND:
        return 0  # since Linux 5.18 it does nothing, whatever else is asked
    kind = operation & ~LOCK_NB
    if kind not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise SyscallError(errno.EINVAL)
    file, locks = task.fds.get(fd), task.kernel.vfs.locks
    if kind == LOCK_UN:
        locks.drop_flock(file)
        wake(file.inode)
        return 0
    if locks.flock_conflict(file, kind):
        if operation & LOCK_NB:
            raise SyscallError(errno.EAGAIN)
        would_block(file.inode)
    locks.set_flock(file, kind)
    wake(file.inode)
    return 0


# ---- pipes, owners ----


def _pipe_of(task: Task, fd: int) -> PipeInode:
    inode = task.fds.get(fd).inode
    if not isinstance(inode, PipeInode):
        raise SyscallError(errno.EBADF)
    return inode


def set_owner(task: Task, file: File, pid: int) -> None:
    """Choose who gets SIGIO: a process, or (below 0) a process group. Errors: EINVAL, ESRCH."""
    if pid == -(1 << 31):
        raise SyscallError(errno.EINVAL)
    _own(task, file, F_OWNER_PGRP if pid < 0 else F_OWNER_PID, abs(pid))


def _own(task: Task, file: File, kind: int, pid: int) -> None:
    number, pid = pid, task.pid_of(pid)
    if number and not _owners(task, kind, pid):
        raise SyscallError(errno.ESRCH)
    file.owner = Owner(kind, pid, task.cred.uid, task.cred.euid)


def _owners(task: Task, kind: int, pid: int) -> list[Any]:
    if kind == F_OWNER_PGRP:
        return members(task.kernel, pid)
    return [found for found in [task.kernel.tasks.get(pid)] if found is not None]


def _setown(task: Task, fd: int, arg: int) -> int:
    set_owner(task, task.fds.get(fd), signed32(arg))
    return 0


def get_owner(task: Task, file: File) -> int:
    """Return who gets SIGIO: a process, below 0 a group, 0 for none (or none any more)."""
    kind, pid = file.owner.kind, file.owner.pid
    if not pid or not _owners(task, kind, pid):
        return 0
    number = task.number_of(pid)
    return -number if kind == F_OWNER_PGRP else number


def _setown_ex(task: Task, fd: int, arg: int) -> int:
    kind, pid = struct.unpack("<ii", task.mm.copy_in(arg, 8))
    if kind not in (F_OWNER_TID, F_OWNER_PID, F_OWNER_PGRP):
        raise SyscallError(errno.EINVAL)
    _own(task, task.fds.get(fd), kind, pid)
    return 0


def _getown_ex(task: Task, fd: int, arg: int) -> int:
    file = task.fds.get(fd)
    task.mm.copy_out(arg, struct.pack("<ii", file.owner.kind, abs(get_owner(task, file))))
    return 0


def _owner_uids(task: Task, fd: int, arg: int) -> int:
    owner = task.fds.get(fd).owner
    task.mm.copy_out(
        arg, struct.pack("<II", *map(task.cred.user_ns.uid_of, (owner.uid, owner.euid)))
    )
    return 0


def _setsig(task: Task, fd: int, signo: int) -> int:
    file = task.fds.get(fd)
    if not 0 <= signed32(signo) <= NSIG:
        raise SyscallError(errno.EINVAL)
    file.signal = signo
    return 0


def _set_async(file: File, fd: int, wanted: int) -> None:
    """Set or clear O_ASYNC: who watches the file, if it can become ready at all."""
    if file.watcher is not None:
        file.watcher.drop()
        file.watcher = None
    if wanted and file.inode.can_epoll:
        file.watcher = load("pkern.kernel.vfs.async_io").AsyncWatcher(file, fd)
    file.flags = file.flags & ~O_ASYNC | (O_ASYNC if wanted and file.inode.can_epoll else 0)


def _getlease(task: Task, fd: int, arg: int) -> int:
    return task.kernel.vfs.leases.kind_of(task.fds.get(fd))


def _setlease(task: Task, fd: int, arg: int) -> int:
    """Take a lease, or give it up. Errors: EINVAL, EACCES (another's file), EAGAIN."""
    file, kind = task.fds.get(fd), signed32(arg)
    leases = task.kernel.vfs.leases
    if kind not in (F_RDLCK, F_WRLCK, F_UNLCK):
        raise SyscallError(errno.EINVAL)
    if file.inode.uid != task.uid and not task.capable("CAP_LEASE"):
        raise SyscallError(errno.EACCES)
    if not stat.S_ISREG(file.inode.st_mode):
        raise SyscallError(errno.EINVAL)
    if kind == F_UNLCK:
        leases.give_up(file)
        return 0
    leases.take(file, fd, kind, task.tgid)
    if not file.owner.pid:
        file.owner = Owner(F_OWNER_PID, task.tgid, task.cred.uid, task.cred.euid)
    return 0


def _notify(task: Task, fd: int, arg: int) -> int:
    """Have signals about what happens in a directory. Errors: EINVAL, ENOTDIR."""
    load("pkern.kernel.vfs.dnotify").watch(task, task.fds.get(fd), fd, arg & 0xFFFF_FFFF)
    return 0


def _get_hint(task: Task, fd: int, arg: int) -> int:
    task.mm.copy_out(arg, struct.pack("<Q", task.fds.get(fd).inode.write_hint))
    return 0


def _set_hint(task: Task, fd: int, arg: int) -> int:
    """Note how long what is written will live. Errors: EPERM, EFAULT, EINVAL."""
    inode = task.fds.get(fd).inode
    inode.need_owner(task)
    hint = struct.unpack("<Q", task.mm.copy_in(arg, 8))[0]
    if hint > LIFE_EXTREME:
        raise SyscallError(errno.EINVAL)
    inode.write_hint = hint
    return 0


# ---- fcntl and ioctl ----


FCNTL: dict[int, Command] = {
    F_DUPFD: lambda task, fd, arg: _dupfd(task, fd, arg, NO_CLOEXEC),
    F_DUPFD_CLOEXEC: lambda task, fd, arg: _dupfd(task, fd, arg, CLOEXEC),
    F_DUPFD_QUERY: _dupfd_query,
    F_CREATED_QUERY: lambda task, fd, arg: int(task.fds.get_raw(fd).created),
    F_GETFD: lambda task, fd, arg: int(fd in task.fds.cloexec),
    F_SETFD: _setfd,
    F_GETFL: lambda task, fd, arg: task.fds.get_raw(fd).shown_flags & ~O_CLOEXEC,
    F_SETFL: _setfl,
    **{command: _getlk(command) for command in (F_GETLK, F_OFD_GETLK)},
    **{command: _setlk(command) for command in WAITS},
    F_SETOWN: _setown,
    F_GETOWN: lambda task, fd, arg: get_owner(task, task.fds.get(fd)),
    F_SETSIG: _setsig,
    F_GETSIG: lambda task, fd, arg: task.fds.get(fd).signal,
    F_SETOWN_EX: _setown_ex,
    F_GETOWN_EX: _getown_ex,
    F_GETOWNER_UIDS: _owner_uids,
    F_SETLEASE: _setlease,
    F_GETLEASE: _getlease,
    F_NOTIFY: _notify,
    F_SETPIPE_SZ: lambda task, fd, arg: _pipe_of(task, fd).resize(arg & 0xFFFF_FFFF, task),
    F_GETPIPE_SZ: lambda task, fd, arg: _pipe_of(task, fd).capacity,
    F_GET_RW_HINT: _get_hint,
    F_SET_RW_HINT: _set_hint,
    F_ADD_SEALS: _add_seals,
    F_GET_SEALS: lambda task, fd, arg: _sealable(task.fds.get(fd)).seals,
}


@syscall(72, "fcntl", SINT, INT, INT)
def fcntl(task: Task, fd: int, command: int, arg: int = 0) -> int:
    """Read or change a descriptor. Errors: EBADF, EINVAL, EPERM, EBUSY (seals), EACCES, EAGAIN.

    Source: fcntl(2).
    """
    file = task.fds.get_raw(fd)
    if file.is_path and command not in PATH_COMMANDS:
        raise SyscallError(errno.EBADF)
    if command not in FCNTL:
        raise SyscallError(errno.EINVAL)
    return FCNTL[command](task, fd, arg)


def _fionbio(task: Task, file: File, fd: int, arg: int) -> int:
    on = struct.unpack("<i", task.mm.copy_in(arg, 4))[0]
    file.flags = file.flags & ~O_NONBLOCK | (O_NONBLOCK if on else 0)
    return 0


def _fionread(task: Task, file: File, fd: int, arg: int) -> int:
    if isinstance(file.inode, PipeInode):
        waiting = file.inode.ring.nbytes
    elif stat.S_ISREG(file.inode.st_mode):
        waiting = file.inode.size - file.pos
    else:
        return file.inode.ioctl(task, file, FIONREAD, arg)
    task.mm.copy_out(arg, struct.pack("<i", signed32(waiting)))
    return 0


def _fiosetown(task: Task, file: File, fd: int, arg: int) -> int:
    if file.inode.kind != "sock":
        raise SyscallError(errno.ENOTTY)
    set_owner(task, file, struct.unpack("<i", task.mm.copy_in(arg, 4))[0])
    return 0


def _fiogetown(task: Task, file: File, fd: int, arg: int) -> int:
    if file.inode.kind != "sock":
        raise SyscallError(errno.ENOTTY)
    task.mm.copy_out(arg, struct.pack("<i", get_owner(task, file)))
    return 0


def _fioasync(task: Task, file: File, fd: int, arg: int) -> int:
    wanted = int(task.mm.copy_in(arg, 4) != bytes(4))
    if wanted != bool(file.flags & O_ASYNC) and not file.inode.can_epoll:
        raise SyscallError(errno.ENOTTY)
    _set_async(file, fd, wanted)
    return 0


def _cloexec(task: Task, fd: int, value: int) -> int:
    task.fds.set_cloexec(fd, value)
    return 0


Ioctl = Callable[[Any, File, int, int], int]  # task, file, descriptor, argument
OF_FILES: LateTable[int, Ioctl] = LateTable()
OF_FILES.declare(dict.fromkeys(ABOUT_FILES, "pkern.syscalls.files.fileioctl"))
IOCTL: dict[int, Ioctl] = {
    FIONREAD: _fionread,
    FIONBIO: _fionbio,
    FIOASYNC: _fioasync,
    FIOSETOWN: _fiosetown,
    SIOCSPGRP: _fiosetown,
    FIOGETOWN: _fiogetown,
    SIOCGPGRP: _fiogetown,
    FIOCLEX: lambda task, file, fd, arg: _cloexec(task, fd, CLOEXEC),
    FIONCLEX: lambda task, file, fd, arg: _cloexec(task, fd, NO_CLOEXEC),
}


IoctlOf = Callable[[Any, File, int, int], int]
OF_INODES: LateTable[str, IoctlOf] = LateTable()  # by the class of what is asked
OF_INODES.declare(
    {
        "Listener": "pkern.syscalls.tasks.seccomp",
        "MapsFile": "pkern.syscalls.memory.maps",
        "PagemapFile": "pkern.syscalls.memory.maps",
        "PidInode": "pkern.syscalls.tasks.pidfd_ioctl",
        "UserfaultDevice": "pkern.syscalls.memory.userfaultfd",
        "UserfaultInode": "pkern.syscalls.memory.userfaultfd",
    }
)


def ioctl_of(kind: type[Inode]) -> Callable[[IoctlOf], IoctlOf]:
    """Have the decorated function do every ioctl of one kind of inode, but the common ones."""

    def enter(handler: IoctlOf) -> IoctlOf:
        OF_INODES.enter(kind.__name__, handler, handler.__module__)
        return handler

    return enter


@syscall(16, "ioctl", SINT, INT, INT)
def ioctl(task: Task, fd: int, request: int, arg: int = 0) -> int:
    """Ask a device. Errors: EBADF, ENOTTY, EFAULT, EINVAL. Source: ioctl(2)."""
    file = task.fds.get(fd)
    request &= 0xFFFF_FFFF
    if request in IOCTL:
        return IOCTL[request](task, file, fd, arg)
    if request in OF_FILES:
        return OF_FILES[request](task, file, fd, arg)
    handler = OF_INODES.get(type(file.inode).__name__)
    if handler is not None:
        return handler(task, file, request, arg)
    return file.inode.ioctl(task, file, request, arg)


@syscall(436, "close_range", INT, INT, INT)
def close_range(task: Task, first: int, last: int, flags: int = 0) -> int:
    """Close the descriptors first..last, or mark them (CLOSE_RANGE_CLOEXEC 4).

    Errors: EINVAL. Source: close_range(2).
    """
    first, last = first & 0xFFFF_FFFF, last & 0xFFFF_FFFF
    refuse_flags(flags, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)
    if first > last:
        raise SyscallError(errno.EINVAL)
    if flags & CLOSE_RANGE_UNSHARE:
        task.fds = task.fds.alone(task)
    if flags & CLOSE_RANGE_CLOEXEC:
        for fd in task.fds.files.keys() | task.fds.reserved:
            if first <= fd <= last:
                task.fds.set_cloexec(fd, CLOEXEC)
        return 0
    with task.kernel.vfs.ends_late:
        for fd in sorted(fd for fd in task.fds.files if first <= fd <= last):
            task.fds.close(fd)
    return 0
