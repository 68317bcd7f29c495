"""Who a guest process is and what it may; what machine it sees."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from pkern.userland.uml.host import PLACE
from pkern.userland.uml.memory import GuestError
from pkern.userland.uml.process import Process
from pkern.userland.uml.table import call

if TYPE_CHECKING:
    from pkern.userland.uml.kernel import GuestKernel

RANDOM = bytes(i * 167 + 13 & 255 for i in range(256))
ARCH_SET_FS, ARCH_GET_FS = 0x1002, 0x1003


def _pid(nr: int, name: str) -> None:
    call(nr, name)(lambda kernel, me: me.pid)


_pid(39, "getpid")
_pid(186, "gettid")


@call(218, "set_tid_address", 1)
def set_tid_address(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Remember what to clear at the end; return the pid."""
    me.clear_tid = addr
    return me.pid


@call(110, "getppid")
def getppid(kernel: GuestKernel, me: Process) -> int:
    """Return the parent's pid, 0 for the first process."""
    return me.parent.pid if me.parent else 0


def _zero(nr: int, name: str) -> None:
    call(nr, name)(lambda kernel, me: 0)


for _nr, _name in {102: "getuid", 104: "getgid", 107: "geteuid", 108: "getegid", 95: "umask",
                   273: "set_robust_list"}.items():  # fmt: skip
    _zero(_nr, _name)


@call(158, "arch_prctl", 2)
def arch_prctl(kernel: GuestKernel, me: Process, code: int, addr: int) -> int:
    """Set or store the base of fs."""
    if code == ARCH_SET_FS:
        me.regs[PLACE["fs_base"]] = addr
        return 0
    if code == ARCH_GET_FS:
        me.space.write(addr, struct.pack("<Q", me.regs[PLACE["fs_base"]]))
        return 0
    raise GuestError(errno.EINVAL)


@call(302, "prlimit64", 4)
def prlimit64(kernel: GuestKernel, me: Process, pid: int, what: int, new: int, old: int) -> int:
    """Store limits: the stack's 8 MiB, none else; nothing can be set."""
    if old:
        soft = 8 << 20 if what == 3 else (1 << 64) - 1
        me.space.write(old, struct.pack("<QQ", soft, (1 << 64) - 1))
    return 0


@call(97, "getrlimit", 2)
def getrlimit(kernel: GuestKernel, me: Process, what: int, addr: int) -> int:
    """Store a limit."""
    return prlimit64(kernel, me, 0, what, 0, addr)


@call(63, "uname", 1)
def uname(kernel: GuestKernel, me: Process, addr: int) -> int:
    """Store the guest's names."""
    names = ("Linux", "uml", "6.18.0-uml", "#1", "x86_64", "(none)")
    me.space.write(addr, b"".join(name.encode().ljust(65, b"\0") for name in names))
    return 0


@call(318, "getrandom", 3)
def getrandom(kernel: GuestKernel, me: Process, addr: int, nbytes: int, flags: int) -> int:
    """Store bytes that are the same in every run; at most 1 MiB of them."""
    nbytes = min(nbytes, 1 << 20)
    me.space.write(addr, (RANDOM * (nbytes // 256 + 1))[:nbytes])
    return nbytes


@call(309, "getcpu", 2)
def getcpu(kernel: GuestKernel, me: Process, cpu: int, node: int) -> int:
    """Store 0: the guest has one processor."""
    for addr in (cpu, node):
        if addr:
            me.space.write(addr, bytes(4))
    return 0
