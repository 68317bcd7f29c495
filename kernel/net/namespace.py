"""A network namespace: a loopback, ports and names of sockets of its own."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from pkern.kernel import late
from pkern.kernel.namespaces.base import NET, Namespace

if TYPE_CHECKING:
    from pkern.kernel.namespaces.user import UserNamespace
    from pkern.kernel.net.net import Net
    from pkern.kernel.vfs.machine import Machine


class NetNamespace(Namespace):
    """One network namespace; what is in it is made when somebody first asks for a socket."""

    kind = NET

    def __init__(self, kernel: Machine, owner: UserNamespace, charged: int = 0) -> None:
        super().__init__(owner, charged)
        self.kernel = kernel

    @cached_property
    def stack(self) -> Net:
        """All sockets."""
        made: Net = late.load("pkern.kernel.net.net").Net(self.kernel, self.user)
        return made

    def close(self) -> None:
        if "stack" in vars(self):
            self.stack.close()
