"""The alternate signal stack: where a handler with SA_ONSTACK runs."""

from __future__ import annotations

import errno

from pkern.kernel.errors import SyscallError
from pkern.kernel.values import NamedTuple

SS_ONSTACK, SS_DISABLE, SS_AUTODISARM = 1, 2, 1 << 31
MIN_BYTES = 2048  # MINSIGSTKSZ


class AltStack(NamedTuple):
    """What sigaltstack(2) sets: address, ss_flags as they were given, bytes."""

    base: int = 0
    flags: int = 0
    nbytes: int = 0

    def holds(self, rsp: int) -> bool:
        """Tell whether a stack pointer lies in it."""
        return 0 < rsp - self.base <= self.nbytes

    def in_use(self, rsp: int) -> bool:
        """Tell whether a handler runs on it; one that is disarmed there is free for others."""
        return not self.flags & SS_AUTODISARM and self.holds(rsp)

    def shown_flags(self, rsp: int) -> int:
        """Return ss_flags as sigaltstack reports it."""
        mode = SS_DISABLE if not self.nbytes else SS_ONSTACK if self.in_use(rsp) else 0
        return mode | self.flags & SS_AUTODISARM

    def replaced(self, rsp: int, base: int, flags: int, nbytes: int) -> AltStack:
        """Return what sigaltstack sets instead. Errors: EPERM (it is in use), EINVAL, ENOMEM."""
        flags &= 0xFFFF_FFFF
        mode = flags & ~SS_AUTODISARM
        if self.in_use(rsp):
            raise SyscallError(errno.EPERM)
        if mode not in (0, SS_ONSTACK, SS_DISABLE):
            raise SyscallError(errno.EINVAL)
        if (base, flags, nbytes) == self:
            return self
        if mode == SS_DISABLE:
            return AltStack(0, flags, 0)
        if nbytes < MIN_BYTES:
            raise SyscallError(errno.ENOMEM)
        return AltStack(base, flags, nbytes)

    def restored(self, rsp: int, base: int, flags: int, nbytes: int) -> AltStack:
        """Return what rt_sigreturn sets from a frame, once rsp is back: nothing, on an error."""
        try:
            return self.replaced(rsp, base, flags, nbytes)
        except SyscallError:
            return self


NO_ALT_STACK = AltStack()
