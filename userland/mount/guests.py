"""Who comes in from the host, with whose rights, and what a look leaves as it was.

A guest who looks changes nothing that a program could ever find out: no inode, number, random
byte, time or page of the machine is other than without it. So /proc and /sys stand here a second
time, over the same machine, with inodes of their own. A guest who changes something does it as any
task of the machine with its rights would.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from pkern.kernel.errors import SyscallError
from pkern.kernel.numbers import is_decimal
from pkern.kernel.tasks.visitor import Visitor
from pkern.kernel.vfs import Counter
from pkern.kernel.vfs.inode import MAY_EXEC, Inode
from pkern.kernel.vfs.mounts import Path as Spot
from pkern.kernel.vfs.mounts import top
from pkern.kernel.vfs.proc.procfs import ProcFs, ProcRoot
from pkern.kernel.vfs.sysfs import SysFs, SysRoot

if TYPE_CHECKING:
    from pkern.kernel.machine import Kernel
    from pkern.kernel.visits import Visits

FIRST_NUMBER = 1 << 40  # of inodes that guests alone see
Identity = tuple[int, int, tuple[int, ...]]  # uid, gid, supplementary groups
MOST_FILES = 1 << 16  # that one user may have open
KNOWN_GUESTS = 64


class Guests:
    """The host's users in one machine. visits: the door."""

    def __init__(self, kernel: Kernel, visits: Visits) -> None:
        self.kernel = kernel
        self._visits = visits
        self._numbers, self._random = Counter(FIRST_NUMBER), Random(0)
        self._guests: dict[Identity, Visitor] = {}
        self._asker = 0  # the host's thread that the guest inside stands for
        with self._apart():
            self._proc = ProcFs(kernel).root
            self._sys = SysFs(kernel, kernel.memory, lambda: kernel.ksm).root

    # ---- coming in ----

    @contextmanager
    def looking(self, uid: int, gid: int, pid: int) -> Iterator[Visitor]:
        """Be inside as a user who leaves no trace. pid: of the host's thread."""
        with self._visits.visit(), self._apart():
            yield self._known(uid, gid, pid)

    @contextmanager
    def changing(self, uid: int, gid: int, pid: int) -> Iterator[Visitor]:
        """Be inside as a user who may change what its rights let it change."""
        with self._visits.visit():
            yield self._known(uid, gid, pid)

    def _known(self, uid: int, gid: int, pid: int) -> Visitor:
        """Return who stands for a user: the same one, who holds what that user has open."""
        who = uid, gid, groups_of(pid) if uid else ()
        guest = self._guests.get(who)
        if guest is None:
            if len(self._guests) >= KNOWN_GUESTS:
                self._guests = {who: g for who, g in self._guests.items() if g.fds.files}
            guest = self._guests[who] = Visitor(self.kernel, *who)
            guest.rlimits["nofile"] = (MOST_FILES, MOST_FILES)
        guest.fs.root = guest.fs.pwd = self.kernel.vfs.top
        self._asker = pid
        return guest

    def leave(self) -> None:
        """Let nobody in any more, and close what they have open; the owner is inside."""
        self._visits.end()
        for guest in self._guests.values():
            guest.fds.leave()

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """Take numbers and random bytes of no one's."""
        vfs, random = self.kernel.vfs, self.kernel.random
        numbers, vfs.numbers = vfs.numbers, self._numbers
        source = random.exchange(self._random)
        try:
            yield
        finally:
            vfs.numbers = numbers
            random.exchange(source)

    # ---- finding ----

    def see(self, guest: Visitor, path: str) -> Inode:
        """Return what a path of the machine names; the host has followed the links in it.

        Errors: ENOENT, ENOTDIR, EACCES.
        """
        here = self.kernel.vfs.top
        for name in filter(None, path.split("/")):
            directory = here.inode
            if directory.kind != "dir":
                raise SyscallError(errno.ENOTDIR)
            directory.open_check(guest, MAY_EXEC)
            name = self._self(name) if directory is self._proc else name
            here = self._shown(Spot(here.mount, directory.sight(name, guest)))
        return here.inode

    def _self(self, name: str) -> str:
        """Return a name in /proc: who asks for its own pid of the host means what `self` means.

        ps and its kin look for themselves before they look at others.
        """
        tasks = self.kernel.tasks
        if not is_decimal(name) or int(name) in tasks or not tasks:
            return name
        return str(min(tasks)) if int(name) in numbers_of(self._asker) else name

    def _shown(self, place: Spot) -> Spot:
        """Return what stands at a place: what is mounted there, the guests' own /proc and /sys."""
        mount, inode = top(place)
        if isinstance(inode, ProcRoot):
            inode = self._proc
        return Spot(mount, self._sys if isinstance(inode, SysRoot) else inode)


def status_of(thread: int) -> dict[str, str]:
    """Return what /proc says of a thread of the host, by name; nothing if it has gone."""
    try:
        lines = Path(f"/proc/{thread}/status").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def groups_of(thread: int) -> tuple[int, ...]:
    """Return the supplementary groups of a thread of the host."""
    return tuple(map(int, status_of(thread).get("Groups", "").split()))


def numbers_of(thread: int) -> set[int]:
    """Return the pids of a thread's process, in the host's name space and in all below it."""
    return set(map(int, status_of(thread).get("NStgid", "").split()))


def is_own(thread: int) -> bool:
    """Tell whether a thread of the host is one of this process."""
    return os.path.exists(f"/proc/self/task/{thread}")
