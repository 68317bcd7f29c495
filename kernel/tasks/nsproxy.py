"""Which namespaces a task is in, but for those of users, which its credentials name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.values import NamedTuple

if TYPE_CHECKING:
    from pkern.kernel.namespaces.base import CgroupNamespace
    from pkern.kernel.namespaces.uts import Uts
    from pkern.kernel.net.namespace import NetNamespace
    from pkern.kernel.vfs.ipc_namespace import IpcNamespace


class Nsproxy(NamedTuple):
    """A task's namespaces, by the names of their kinds. Linux's struct nsproxy, but a value."""

    uts: Uts
    ipc: IpcNamespace
    net: NetNamespace
    cgroup: CgroupNamespace
