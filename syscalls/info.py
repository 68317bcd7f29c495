"""What the machine says of itself: names, sizes, its log."""

from __future__ import annotations

import errno
import struct
from enum import IntEnum

from pkern.kernel.clock import CLOCK_BOOTTIME, SECOND
from pkern.kernel.errors import SyscallError
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable
from pkern.kernel.values import NamedTuple
from pkern.kernel.wait import WouldBlock
from pkern.syscalls.table import INT, SINT, STRUCT, syscall

if TYPE_CHECKING:
    from pkern.kernel.tasks.task import Task

UTS_LEN = 65
UNIT = 4096
LOG_BYTES = 1 << 17  # what Linux reserves by default
PER_MASK, PER_LINUX32 = 0xFF, 8


class Utsname(NamedTuple):
    """struct new_utsname."""

    sysname: str
    nodename: str
    release: str
    version: str
    machine: str
    domainname: str

    def pack(self) -> bytes:
        """Return six NUL-padded fields of 65 bytes."""
        fields: tuple[str, ...] = self
        texts = (field.encode("utf-8", "surrogateescape") for field in fields)
        return b"".join(text[: UTS_LEN - 1].ljust(UTS_LEN, b"\0") for text in texts)


def uname(task: Task) -> Utsname:
    """Return the names of the system. Source: uname(2)."""
    uts = task.nsproxy.uts
    personality = task.attributes.personality
    machine = "i686" if personality & PER_MASK == PER_LINUX32 else "x86_64"
    return Utsname(uts.ostype, uts.hostname, uts.osrelease, uts.version, machine, uts.domainname)


@syscall(63, "uname", STRUCT)
def uname_raw(task: Task) -> bytes:
    """Store struct new_utsname. Errors: EFAULT. Source: uname(2)."""
    return uname(task).pack()


def _need_power(task: Task) -> None:
    """Refuse who may not change the names of its uts namespace. Errors: EPERM."""
    if not task.capable_in(task.nsproxy.uts.user, "CAP_SYS_ADMIN"):
        raise SyscallError(errno.EPERM)


def _set_name(task: Task, which: str, name: bytes) -> int:
    _need_power(task)
    if len(name) >= UTS_LEN:
        raise SyscallError(errno.EINVAL)
    text = name.split(b"\0")[0].decode("utf-8", "surrogateescape")
    setattr(task.nsproxy.uts, which, text)
    return 0


def sethostname(task: Task, name: bytes) -> int:
    """Set the node name. Errors: EPERM (CAP_SYS_ADMIN), EINVAL (over 64 bytes, or none).

    Source: sethostname(2).
    """
    return _set_name(task, "hostname", name)


def setdomainname(task: Task, name: bytes) -> int:
    """Set the domain's name. Errors: as sethostname. Source: setdomainname(2)."""
    return _set_name(task, "domainname", name)


def _name_in(task: Task, addr: int, count: int) -> bytes:
    """Read a name for a call that checks rights and length first. Errors: EPERM, EINVAL, EFAULT."""
    _need_power(task)
    if not 0 <= count < UTS_LEN:
        raise SyscallError(errno.EINVAL)
    return task.mm.copy_in(addr, count)


@syscall(170, "sethostname", INT, SINT)
def sethostname_raw(task: Task, addr: int, count: int) -> int:
    """Set the node name from count bytes. Errors: as sethostname, EFAULT.

    Source: sethostname(2).
    """
    return sethostname(task, _name_in(task, addr, count))


@syscall(171, "setdomainname", INT, SINT)
def setdomainname_raw(task: Task, addr: int, count: int) -> int:
    """Set the domain's name from count bytes. Errors: as sethostname, EFAULT.

    Source: setdomainname(2).
    """
    return setdomainname(task, _name_in(task, addr, count))


class Sysinfo(NamedTuple):
    """struct sysinfo: uptime in seconds, sizes in units of mem_unit bytes; loads are 0."""

    uptime: int
    totalram: int
    freeram: int
    sharedram: int
    bufferram: int
    totalswap: int
    freeswap: int
    procs: int
    mem_unit: int

    def pack(self) -> bytes:
        """Return the 112 bytes of the x86-64 struct."""
        uptime, *sizes, procs, unit = self
        return struct.pack("<q3Q6QH6xQQI4x", uptime, 0, 0, 0, *sizes, procs, 0, 0, unit)


def sysinfo(task: Task) -> Sysinfo:
    """Return memory, swap and uptime from the core's counters. Source: sysinfo(2)."""
    kernel, c = task.kernel, task.kernel.memory.counters
    swap = int(c.nr_swap_total), int(c.nr_swap_total - c.nr_swap_used)
    memory = int(c.nr_total), int(c.nr_free), int(c.nr_shmem), 0
    uptime = -(-(kernel.clock.now_ns + task.nsproxy.time.ahead(CLOCK_BOOTTIME)) // SECOND)
    return Sysinfo(uptime, *memory, *swap, len(kernel.tasks), UNIT)


@syscall(99, "sysinfo", STRUCT)
def sysinfo_raw(task: Task) -> bytes:
    """Store struct sysinfo. Errors: EFAULT. Source: sysinfo(2)."""
    return sysinfo(task).pack()


# ---- the kernel's log ----


class Action(IntEnum):
    """What syslog(2) can be asked for."""

    CLOSE = 0
    OPEN = 1
    READ = 2
    READ_ALL = 3
    READ_CLEAR = 4
    CLEAR = 5
    CONSOLE_OFF = 6
    CONSOLE_ON = 7
    CONSOLE_LEVEL = 8
    SIZE_UNREAD = 9
    SIZE_BUFFER = 10


FREE_FOR_ALL = (Action.READ_ALL, Action.SIZE_BUFFER)
NOTHING_TO_DO = (Action.CLOSE, Action.OPEN)


def _newest(task: Task, nbytes: int) -> bytes:
    """Return the last whole records that nbytes can hold."""
    chosen: list[bytes] = []
    for record in reversed(task.kernel.log.uncleared()):
        raw = record.raw()
        if len(raw) > nbytes:
            break
        nbytes -= len(raw)
        chosen.append(raw)
    return b"".join(reversed(chosen))


@syscall(103, "syslog", SINT, INT, SINT)
def syslog(task: Task, action: int, addr: int = 0, count: int = 0) -> int:
    """Read or clear the kernel's log, as dmesg does. Return bytes, or a size.

    Errors: EPERM (CAP_SYSLOG), EINVAL, EFAULT, EAGAIN (nothing to read). Source: syslog(2).
    """
    free = action in FREE_FOR_ALL and not task.kernel.log.dmesg_restrict
    if not (free or task.capable("CAP_SYSLOG") or task.capable("CAP_SYS_ADMIN")):
        raise SyscallError(errno.EPERM)
    log = task.kernel.log
    if action in NOTHING_TO_DO:
        return 0
    if action in (Action.READ, Action.READ_ALL, Action.READ_CLEAR):
        return _read_log(task, Action(action), addr, count)
    if action == Action.CLEAR:
        log.clear()
        return 0
    if action == Action.CONSOLE_OFF:
        log.console_off()
        return 0
    if action == Action.CONSOLE_ON:
        log.console_on()
        return 0
    if action == Action.CONSOLE_LEVEL and 1 <= count <= 8:
        log.set_console(count)
        return 0
    if action == Action.SIZE_UNREAD:
        return len(log.unread())
    if action == Action.SIZE_BUFFER:
        return LOG_BYTES
    raise SyscallError(errno.EINVAL)


def _read_log(task: Task, action: Action, addr: int, count: int) -> int:
    if not addr or count < 0:
        raise SyscallError(errno.EINVAL)
    log = task.kernel.log
    if count == 0:
        return 0
    task.mm.check_user(addr, count)
    if action is Action.READ:
        if not log.unread():
            raise WouldBlock(log)
        data = log.take(count)
    else:
        data = _newest(task, count)
    task.mm.copy_out(addr, data)
    if action is Action.READ_CLEAR:
        log.clear()
    return len(data)


PYTHON_FORMS: dict[str, Callable[..., Any]] = {
    "uname": uname,
    "sysinfo": sysinfo,
    "sethostname": sethostname,
    "setdomainname": setdomainname,
}
