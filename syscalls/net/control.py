"""Control messages: files and credentials that travel with bytes, in the ABI's layout."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.net.packet import Creds, Packet, Received
from pkern.kernel.net.socket import AF_INET, AF_INET6, AF_UNIX, Socket
from pkern.kernel.vfs.file import CLOEXEC, NO_CLOEXEC, File
from pkern.syscalls.files.pidfd import open_process
from pkern.syscalls.net.ip_control import ip_control, ip_control_in
from pkern.syscalls.net.layouts import COMPAT, layout_of

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

SOL_SOCKET, SO_PASSCRED, SO_PASSPIDFD = 1, 16, 76
SCM_RIGHTS, SCM_CREDENTIALS, SCM_PIDFD = 1, 2, 4
MAX_FDS = 253
MSG_CTRUNC, MSG_CMSG_CLOEXEC = 8, 0x40000000
OVERFLOW_ID = 65534
UNKNOWN = Creds(0, OVERFLOW_ID, OVERFLOW_ID)


# ---- sending ----


def control_in(task: Task, inode: Socket, raw: bytes, packet: Packet, target: bytes) -> None:
    """Put what control messages say into a packet for an address, or for the other end.

    Errors: EINVAL, EBADF, EPERM, ESRCH, ENODEV, ENETUNREACH.
    """
    layout = layout_of(task)
    header = layout.control
    if layout is COMPAT and len(raw) < header.size:
        raise SyscallError(errno.EINVAL)  # it is made a native one, and nothing is no message
    least = 1 if layout is COMPAT else header.size  # bytes that are taken for one more
    by_ip = inode.family in (AF_INET, AF_INET6) and not inode.is_stream
    at = 0
    while len(raw) - at >= least:
        length, level, kind = header.unpack_from(raw.ljust(at + header.size, b"\0"), at)
        if not header.size <= length <= len(raw) - at:
            raise SyscallError(errno.EINVAL)
        if level == SOL_SOCKET:
            _one_in(task, inode, kind, raw[at + header.size : at + length], packet)
        elif by_ip:
            data = raw[at + header.size : at + length]
            packet.head = ip_control_in(inode, target, level, kind, data, packet.head)
        at += layout.aligned(length)


def _one_in(task: Task, inode: Socket, kind: int, data: bytes, packet: Packet) -> None:
    if kind == SCM_RIGHTS and inode.family == AF_UNIX:
        packet.files += _files_in(task, data)
        if len(packet.files) > MAX_FDS:
            raise SyscallError(errno.EINVAL)
    elif kind == SCM_CREDENTIALS and inode.family == AF_UNIX:
        packet.creds = _creds_in(task, data)
    elif kind not in (SCM_RIGHTS, SCM_CREDENTIALS) or inode.family not in (AF_INET, AF_INET6):
        raise SyscallError(errno.EINVAL)


def _files_in(task: Task, data: bytes) -> tuple[File, ...]:
    count = len(data) // 4
    if count > MAX_FDS:
        raise SyscallError(errno.EINVAL)
    fds = struct.unpack_from(f"<{count}i", data)
    files = tuple(task.fds.get_raw(fd) for fd in fds)
    trusted = task.capable("CAP_SYS_RESOURCE") or task.capable("CAP_SYS_ADMIN")
    limit = 1 << 62 if trusted else task.rlimits["nofile"][0]
    task.nsproxy.net.common.need_flight(task.cred.uid, len(files), limit)
    return files


def _creds_in(task: Task, data: bytes) -> Creds:
    if len(data) != 12:
        raise SyscallError(errno.EINVAL)
    cred = task.cred
    pid, uid, gid = struct.unpack("<iII", data)
    creds = Creds(task.pid_of(pid), cred.user_ns.kuid(uid), cred.user_ns.kgid(gid))
    allowed = (
        (creds.pid == task.tgid or task.capable_in(task.pid_ns.user, "CAP_SYS_ADMIN"))
        and (creds.uid in cred.uids or task.capable_in(cred.user_ns, "CAP_SETUID"))
        and (creds.gid in cred.gids or task.capable_in(cred.user_ns, "CAP_SETGID"))
    )
    if not allowed:
        raise SyscallError(errno.EPERM)
    if creds.pid not in task.kernel.tasks:
        raise SyscallError(errno.ESRCH)
    return creds


# ---- receiving ----


def shown(task: Task, creds: Creds) -> Creds:
    """Return who sent something as a task sees it."""
    own = task.cred.user_ns
    return Creds(task.number_of(creds.pid), own.uid_of(creds.uid), own.gid_of(creds.gid))


class Control:
    """The room for control messages of one recvmsg, and what stands there so far.

    flags: MSG_CTRUNC, where something found no room.
    """

    def __init__(self, task: Task, addr: int, nbytes: int, flags: int) -> None:
        self.task = task
        self.addr, self.room = addr, nbytes if addr else 0
        self.layout = layout_of(task)
        self.used = 0
        self.flags = 0
        self.cloexec = CLOEXEC if flags & MSG_CMSG_CLOEXEC else NO_CLOEXEC

    def add(self, level: int, kind: int, data: bytes) -> None:
        """Store a control message, or as much as there is room for. Errors: EFAULT."""
        left, header = self.room - self.used, self.layout.control
        if left < header.size:
            self.flags |= MSG_CTRUNC
            return
        length = header.size + len(data)
        if left < length:
            self.flags |= MSG_CTRUNC
            length = left
        raw = header.pack(length, level, kind) + data
        self.task.mm.copy_out(self.addr + self.used, raw[:length])
        self.used += min(self.layout.aligned(length), left)

    def add_found(self, inode: Socket, found: Received) -> None:
        """Store who sent something, if that is wanted, and its files. Errors: EFAULT."""
        if inode.option(SOL_SOCKET, SO_PASSCRED):
            creds = found.creds or UNKNOWN
            self.add(SOL_SOCKET, SCM_CREDENTIALS, struct.pack("<iII", *shown(self.task, creds)))
        if found.files:
            self._add_files(found.files)
        if inode.option(SOL_SOCKET, SO_PASSPIDFD):
            self._add_process(found)
        if found.head.to:
            for message in ip_control(inode, found.head):
                self.add(*message)

    def _add_process(self, found: Received) -> None:
        """Store a descriptor of the sender's process, whole or not at all; or why there is none."""
        if self.room - self.used < self.layout.control.size + 4:
            self.flags |= MSG_CTRUNC
            return
        if found.process is None:
            return
        subject: Task = found.process  # type: ignore[assignment]  # a task, to who may know it
        try:
            fd = open_process(self.task, subject, 0)
        except SyscallError as error:
            fd = -(error.errno or 0)
        self.add(SOL_SOCKET, SCM_PIDFD, struct.pack("<i", fd))

    def _add_files(self, files: tuple[File, ...]) -> None:
        """Give the files descriptors, as many as there is room for."""
        most = max(0, self.room - self.used - self.layout.control.size) // 4
        fds: list[int] = []
        for file in files[:most]:
            try:
                fds.append(self.task.fds.install(file, 0, self.cloexec))
            except SyscallError:
                break
        if fds:
            self.add(SOL_SOCKET, SCM_RIGHTS, struct.pack(f"<{len(fds)}i", *fds))
        if len(fds) < len(files):
            self.flags |= MSG_CTRUNC
