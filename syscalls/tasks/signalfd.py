"""Signals that are read from a file."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.tasks.signal.signals import SIGCHLD, SYNCHRONOUS, UNBLOCKABLE_MASK, SigInfo
from pkern.kernel.vfs.anon.signalfd import RECORD_BYTES, SignalInode
from pkern.kernel.vfs.file import O_NONBLOCK, O_RDWR, File
from pkern.syscalls.abi import signed32
from pkern.syscalls.files.at import O_CLOEXEC, install, refuse_flags
from pkern.syscalls.table import INT, SINT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SET_BYTES, SI_TIMER = 8, -2
# Number, errno, code, pid, uid; descriptor, timer, band, overrun, trap; status, value twice,
# two times, address.
RECORD = struct.Struct("<IiiIIiIII4xiiQ16xQ")


def pack_record(info: SigInfo) -> bytes:
    """Return struct signalfd_siginfo."""
    sent = info.si_code <= 0
    of_child = info.si_signo == SIGCHLD and not sent
    fault = info.si_signo in SYNCHRONOUS and not sent
    of_timer = info.si_code == SI_TIMER
    value = info.si_value if info.si_code < 0 else 0
    record = RECORD.pack(
        info.si_signo,
        0,
        info.si_code,
        0 if of_timer or info.si_band else info.si_pid,
        0 if of_timer or info.si_band else info.si_uid,
        info.si_fd,
        info.si_pid if of_timer else 0,
        info.si_band,
        info.si_uid if of_timer else 0,
        info.si_status if of_child else 0,
        signed32(value),
        value,
        info.si_addr if fault else 0,
    )
    return record.ljust(RECORD_BYTES, b"\0")


@syscall(289, "signalfd4", SINT, INT, INT, INT)
def signalfd4(task: Task, fd: int, addr: int, nbytes: int, flags: int = 0) -> int:
    """Return a descriptor to read the signals of the set at addr from; fd: one to change, or -1.

    Each read gives struct signalfd_siginfo of signals that are blocked and wait. flags:
    SFD_NONBLOCK, SFD_CLOEXEC. Errors: EINVAL, EFAULT, EBADF, EMFILE. Source: signalfd(2).
    """
    if nbytes != SET_BYTES:
        raise SyscallError(errno.EINVAL)
    mask = int.from_bytes(task.mm.copy_in(addr, SET_BYTES), "little") & ~UNBLOCKABLE_MASK
    refuse_flags(flags, O_NONBLOCK | O_CLOEXEC)
    if fd != -1:
        inode = task.fds.get(fd).inode
        if not isinstance(inode, SignalInode):
            raise SyscallError(errno.EINVAL)
        inode.set(mask)
        return fd
    status = O_RDWR | flags & O_NONBLOCK
    made = SignalInode(task.kernel, task, mask, pack_record)
    file = File(task.kernel, made, "anon_inode:[signalfd]", status, task)
    return install(task, task.kernel.vfs.register(file), flags)


@syscall(282, "signalfd", SINT, INT, INT)
def signalfd(task: Task, fd: int, addr: int, nbytes: int) -> int:
    """As signalfd4 without flags. Errors: as signalfd4. Source: signalfd(2)."""
    return signalfd4(task, fd, addr, nbytes)
