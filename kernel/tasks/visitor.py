"""Who comes in from the host: with a user's rights, but no task of the machine.

It is in no table, has no memory and is never scheduled. What it looks at, it leaves as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pkern.kernel.tasks.credentials import ALL_CAPS, NO_CAPS, Credentials
from pkern.kernel.tasks.task import Task

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm
    from pkern.kernel.tasks.machine import Machine


class Visitor(Task):
    """A user of the host. uid 0 has all capabilities, others none."""

    def __init__(self, kernel: Machine, uid: int, gid: int, groups: tuple[int, ...]) -> None:
        super().__init__(kernel, 0, "host", [])
        self.start_afresh()
        cred = Credentials.of(uid, gid, NO_CAPS if uid else ALL_CAPS)
        self.use_credentials(cred._replace(groups=groups))
        self.fs.umask = 0  # the host has applied its own

    def look_into(self, mm: Mm, start: int, nbytes: int) -> bytes:
        return mm.glimpse(start, nbytes)

    def look_past(self, mm: Mm, start: int, nbytes: int) -> bytes:
        return mm.glimpse(start, nbytes)
