"""The alternate signal stack: where a handler with SA_ONSTACK runs."""

from __future__ import annotations

import errno
from typing import NamedTuple

from pkern.kernel.errors import SyscallError

SS_ONSTACK, SS_DISABLE, SS_AUTODISARM = 1, 2, 1 << 31
MIN_BYTES = 2048  # MINSIGSTKSZ


class AltStack(NamedTuple):
    """What sigaltstack(2) sets: address, SS_DISABLE or SS_AUTODISARM, bytes."""

    base: int = 0
    flags: int = SS_DISABLE
    nbytes: int = 0

    def holds(self, rsp: int) -> bool:
        """Tell whether a stack pointer lies in it."""
        return not self.flags & SS_DISABLE and 0 < rsp - self.base <= self.nbytes

    def shown_flags(self, rsp: int) -> int:
        """Return ss_flags as sigaltstack reports it."""
        if not self.nbytes:
            return SS_DISABLE
        return (SS_ONSTACK if self.holds(rsp) else 0) | self.flags & SS_AUTODISARM

    def replaced(self, rsp: int, base: int, flags: int, nbytes: int) -> AltStack:
        """Return what sigaltstack sets instead. Errors: EPERM (it is in use), EINVAL, ENOMEM."""
        flags &= 0xFFFF_FFFF
        mode = flags & ~SS_AUTODISARM
        if self.holds(rsp):
            raise SyscallError(errno.EPERM)
        if mode not in (0, SS_ONSTACK, SS_DISABLE):
            raise SyscallError(errno.EINVAL)
        if mode == SS_DISABLE:
            return NO_ALT_STACK
        if nbytes < MIN_BYTES:
            raise SyscallError(errno.ENOMEM)
        return AltStack(base, flags & SS_AUTODISARM, nbytes)

    def restored(self, rsp: int, base: int, flags: int, nbytes: int) -> AltStack:
        """Return what rt_sigreturn sets from a frame, once rsp is back."""
        if self.holds(rsp):
            return self
        disabled = flags & SS_DISABLE or not nbytes
        return NO_ALT_STACK if disabled else AltStack(base, flags & SS_AUTODISARM, nbytes)


NO_ALT_STACK = AltStack()
