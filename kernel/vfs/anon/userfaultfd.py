"""userfaultfd: faults of registered memory, and what becomes of it, as messages to be read.

A UserfaultInode is one context: it owns the core's handle and the messages that no one has dealt
with. The core says NEED_USER where an access is the monitor's to make possible; Userfaults, one a
machine, queues the message and lets the task sleep: at its instruction where it was a load or store
of its own, in the middle of its call where the kernel touched its memory, so that no call is begun
twice. A Python program cannot sleep: it has a monitor of its own that is called like a signal
handler (UserfaultInode.monitor), or sees BlockingIOError and may try again.

Events (fork, mremap, munmap, MADV_REMOVE and its kin) are queued in the same way by what caused
them; until one has been read, the context refuses with EAGAIN to change anything.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import BUS_ADRERR, BusError, SyscallError, TaskKilled
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.file import CLOEXEC, O_NONBLOCK, O_RDONLY, File
from pkern.kernel.vfs.inode import POLLIN, AnonInode
from pkern.kernel.vfs.readiness import POLLERR, sleep, waits, wake
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Mm
    from pkern.kernel.mm.process import Process
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.vfs.machine import Machine

NAME = "anon_inode:[userfaultfd]"
O_CLOEXEC = 0o2000000
USER_MODE_ONLY = 1
# Features that Python obeys; the core has its own.
EVENT_FORK, EVENT_REMAP, EVENT_REMOVE, EVENT_UNMAP = 0x2, 0x4, 0x8, 0x40
THREAD_ID, EXACT_ADDRESS = 0x100, 0x800
API, IOCTLS = 0xAA, 1 << 63 | 0x1FF  # the version; a bit for each of its ioctls
INITIALIZED = 1 << 31  # UFFDIO_API has been called
# Messages: event, then an argument of 24 bytes. Source: linux/userfaultfd.h.
MESSAGE, MESSAGE_BYTES = struct.Struct("<B7x3Q"), 32
PAGEFAULT, FORK, REMAP, REMOVE, UNMAP = 0x12, 0x13, 0x14, 0x15, 0x16
FLAG_WRITE, FLAG_WP, FLAG_MINOR = 1, 2, 4
REASONS = {lib.VM_UFFD_MISSING: 0, lib.VM_UFFD_WP: FLAG_WP, lib.VM_UFFD_MINOR: FLAG_MINOR}
MAX_CONTEXTS = 64  # of one range that are told of one event


class Waiting:
    """A task that waits for a monitor, or would if it could. text: its message.

    addr: of the page, bytes. access: enum access of the core. done: the monitor has dealt with it.
    """

    def __init__(
        self,
        pid: int,
        text: bytes,
        addr: int = -1,  # an event: of no page
        access: int = 0,
        heir: UserfaultInode | None = None,  # FORK: the child's context, which the reader gets
    ) -> None:
        self.pid = pid
        self.text = text
        self.addr = addr
        self.access = access
        self.done = False
        self.heir = heir


class UserfaultInode(AnonInode):
    """One context, of one address space.

    fresh: what no one has read. read: faults whose message has been read, but that still wait.
    """

    also_ready: ClassVar[dict[int, int]] = {}

    def __init__(self, kernel: Machine, faults: Userfaults, mm: Mm, flags: int) -> None:
        """Make a context without features. Errors: ENOMEM."""
        super().__init__(kernel, 0o600)
        self._faults = faults
        self.mm = mm
        self.task_size = int(mm.counters.task_size)
        self.flags = flags  # USER_MODE_ONLY, and how its descriptors are opened
        self.monitor: Callable[[bytes], object] | None = None
        self._fresh: list[Waiting] = []
        self._read: list[Waiting] = []
        handle = ffi.new("uffd **")
        kernel.memory.call(None, lib.uffd_create, kernel.memory.core, self.ino, 0, handle)
        self.handle: Any = handle[0]
        faults.contexts[self.ino] = self

    @property
    def features(self) -> int:
        """Return what UFFDIO_API has asked for, with INITIALIZED; 0 before that."""
        return int(lib.uffd_features(self.handle))

    @features.setter
    def features(self, features: int) -> None:
        lib.uffd_set_features(self.handle, features)

    def fdinfo(self, pid_ns: PidNamespace) -> str:
        """What /proc/PID/fdinfo adds: faults that no one has read, all of them, what it can do."""
        fresh = sum(one.addr >= 0 for one in self._fresh)
        return (
            f"pending:\t{fresh}\ntotal:\t{fresh + len(self._read)}\n"
            f"API:\t{API:x}:{self.features:x}:{IOCTLS:x}\n"
        )

    def is_changing(self) -> bool:
        """Tell whether an event that has not been read yet is about to change the memory."""
        return any(one.addr < 0 for one in self._fresh)

    # ---- waiting and waking ----

    def add(self, waiting: Waiting) -> None:
        """Queue a message."""
        self._fresh.append(waiting)
        wake(self, POLLIN)

    def drop_of(self, pid: int) -> None:
        """Forget a fault that a task was in: it is at it anew, or will never be."""
        self._fresh = [one for one in self._fresh if one.pid != pid or one.addr < 0]
        self._read = [one for one in self._read if one.pid != pid]

    def _forget_gone(self) -> None:
        """Drop the faults of tasks that a signal has woken, or ended."""
        for one in [one for one in (*self._fresh, *self._read) if one.addr >= 0]:
            if not self._faults.still_waits(one):
                self.drop_of(one.pid)

    def wake_range(self, start: int, nbytes: int) -> None:
        """Let the tasks that wait for pages in a range try again."""
        for queue in (self._fresh, self._read):
            for one in [w for w in queue if start <= w.addr < start + nbytes]:
                queue.remove(one)
                self._finish(one)

    def _finish(self, one: Waiting) -> None:
        one.done = True
        if one.addr >= 0 and self.mm.users:
            handle = self.mm.handle
            if lib.mm_translate(handle, one.addr, one.access) >= 0:
                lib.mm_count_served(handle)  # as Linux's second try, which finds the page
        self.kernel.wake(one)

    # ---- the file ----

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        """Take as many messages as fit. Errors: EINVAL (before UFFDIO_API, no room), EAGAIN."""
        if not self.features or nbytes < MESSAGE_BYTES:
            raise SyscallError(errno.EINVAL)
        self._forget_gone()
        if not self._fresh:
            sleep(self, waits(file))
        taken = b""
        while self._fresh and len(taken) + MESSAGE_BYTES <= nbytes:
            taken += self._take()
        return taken

    def _take(self) -> bytes:
        """Return the next message: faults before events, as on Linux. Errors: EMFILE (a fork)."""
        one = next((w for w in self._fresh if w.addr >= 0), self._fresh[0])
        text = one.text if one.heir is None else self._fork_text(one.heir)
        self._fresh.remove(one)
        if one.addr >= 0:
            self._read.append(one)
        else:
            self._finish(one)
        return text

    def _fork_text(self, heir: UserfaultInode) -> bytes:
        """Give the reader a descriptor of the child's context."""
        reader = self.kernel.tasks[self.kernel.memory.current.pid]  # type: ignore[union-attr]
        file = open_context(self.kernel, heir, reader, heir.flags & (O_NONBLOCK | O_CLOEXEC))
        cloexec = CLOEXEC if heir.flags & O_CLOEXEC else 0
        return MESSAGE.pack(FORK, reader.fds.install(file, 0, cloexec), 0, 0)

    def poll(self, file: File) -> int:
        if not self.features or not file.flags & O_NONBLOCK:
            return POLLERR
        self._forget_gone()
        return POLLIN if self._fresh else 0

    def file_closed(self, file: File) -> None:
        self.close()

    def close(self) -> None:
        """Unregister everything and let everyone go on."""
        if self.mm.users:
            lib.mm_uffd_release(self.mm.handle, self.handle)
        waiting, self._fresh, self._read = self._fresh + self._read, [], []
        for one in waiting:
            self._finish(one)
            if one.heir is not None:
                one.heir.close()
        del self._faults.contexts[self.ino]
        lib.uffd_free(self.handle)
        del self.handle
        self.__class__ = _Closed


class _Closed(UserfaultInode):
    """A context that nobody has open any more: its handle refuses. A class of its own: see Mm."""

    @property
    def handle(self) -> Any:
        """Stop who still has the inode. Errors: EBADF."""
        raise SyscallError(errno.EBADF)


def open_context(kernel: Machine, inode: UserfaultInode, task: Any, flags: int) -> File:
    """Return an open file of a context. Errors: ENFILE."""
    status = O_RDONLY | flags & O_NONBLOCK
    return kernel.vfs.register(File(kernel, inode, NAME, status, task))


class Inheritance(NamedTuple):
    """A context and what a fork's child gets of it."""

    context: UserfaultInode
    heir: UserfaultInode


class Userfaults:
    """The contexts of a machine by their cookie, and how a task sleeps for a monitor."""

    def __init__(self, kernel: Machine) -> None:
        self._kernel = kernel
        self.contexts: dict[int, UserfaultInode] = {}
        self.unprivileged_userfaultfd = 0

    def still_waits(self, waiting: Waiting) -> bool:
        """Tell whether its task has not been woken by something else, or ended."""
        task: Any = self._kernel.tasks.get(waiting.pid)
        if task is None or not task.alive:
            return False
        if task.context is None or task.thread.sleeps_in_call:
            return True
        wait = task.waiting
        return wait is not None and waiting in wait.keys

    # ---- faults ----

    def program_fault(self, process: Process) -> None:
        """Let the monitor know of a load or store (the last NEED_USER). Errors: WouldBlock."""
        waiting = self._announce(process)
        if not waiting.done:
            raise WouldBlock(waiting)

    def kernel_fault(self, process: Process) -> None:
        """Let the monitor know of an access on behalf of a call, and wait in the middle of it.

        Errors: BusError (the context is told of programs' own accesses only), TaskKilled,
        WouldBlock (a Python program cannot wait).
        """
        need = self._kernel.memory.need
        if self.contexts[int(need.uffd)].flags & USER_MODE_ONLY:
            raise BusError(int(need.addr), BUS_ADRERR, int(need.access))
        waiting = self._announce(process)
        if waiting.done:
            return
        if self._sleeper(process).context is None:
            raise WouldBlock(waiting)
        self._wait_in_call(self._sleeper(process), waiting)

    def _sleeper(self, process: Process) -> Any:
        return self._kernel.memory.running() or process

    def _announce(self, process: Process) -> Waiting:
        need = self._kernel.memory.need
        addr, unit, sleeper = int(need.addr), int(need.unit), self._sleeper(process)
        context = self.contexts[int(need.uffd)]
        flags = REASONS[int(need.reason)] | (FLAG_WRITE if need.access & lib.ACCESS_WRITE else 0)
        shown = addr if context.features & EXACT_ADDRESS else addr & -unit
        thread_id = sleeper.pid if context.features & THREAD_ID else 0
        text = MESSAGE.pack(PAGEFAULT, flags, shown, thread_id)
        waiting = Waiting(sleeper.pid, text, addr & -unit, int(need.access))
        context.drop_of(sleeper.pid)
        context.add(waiting)
        if context.monitor is not None:
            context.monitor(text)
        return waiting

    def _wait_in_call(self, task: Any, waiting: Waiting) -> None:
        scheduler: Any = self._kernel.scheduler
        scheduler.run_others(task, lambda: waiting.done)
        if not task.alive:
            raise TaskKilled(task.pid, (task.exit_status or 0) & 0x7F)

    # ---- events ----

    def watchers(self, mm: Mm, start: int, end: int, feature: int) -> list[UserfaultInode]:
        """Return the contexts that memory in [start, end) is registered with and want an event."""
        end = min(end, int(mm.counters.task_size))
        if not self.contexts or not mm.users or start >= end:
            return []
        cookies = ffi.new("uint64_t[]", MAX_CONTEXTS)
        count = lib.mm_uffd_find(mm.handle, start, end, cookies, MAX_CONTEXTS)
        found = [self.contexts[int(cookies[i])] for i in range(count)]
        return [context for context in found if context.features & feature]

    def removing(self, task: Any, start: int, end: int) -> None:
        """Let those who watch [start, end) of one mapping know that it will be dropped."""
        self.tell(task, self.watchers(task.mm, start, end, EVENT_REMOVE), REMOVE, start, end, 0)

    def tell(self, task: Any, contexts: list[UserfaultInode], event: int, *what: int) -> None:
        """Let contexts know of an event, and wait until each has been read. what: 3 words."""
        for context in contexts:
            self._tell(task, context, Waiting(task.pid, MESSAGE.pack(event, *what)))

    def _tell(self, task: Any, context: UserfaultInode, waiting: Waiting) -> None:
        if self.contexts.get(context.ino) is not context:
            return  # closed meanwhile
        context.add(waiting)
        if context.monitor is not None:
            context.monitor(waiting.text)
        if task.context is not None and not waiting.done:
            self._wait_in_call(task, waiting)

    # ---- fork ----

    @contextmanager
    def inherited(self, task: Any) -> Iterator[list[Inheritance]]:
        """Give each context that wants to know of forks an heir for the child; not if that fails.

        Errors: ENOMEM.
        """
        made: list[Inheritance] = []
        try:
            for context in self.watchers(task.mm, 0, int(task.mm.counters.task_size), EVENT_FORK):
                heir = UserfaultInode(self._kernel, self, task.mm, context.flags)
                made.append(Inheritance(context, heir))
                heir.features = context.features
                lib.uffd_set_heir(context.handle, heir.handle)
            yield made
        except BaseException:
            for one in made:
                one.heir.close()
            raise
        finally:
            for one in made:
                lib.uffd_set_heir(one.context.handle, ffi.NULL)

    def tell_fork(self, task: Any, child_mm: Mm, made: list[Inheritance]) -> None:
        """Hand the child's contexts to whoever reads of the fork, and wait for that."""
        for one in made:
            one.heir.mm = child_mm
            if lib.uffd_nr_vmas(one.heir.handle):
                text = MESSAGE.pack(FORK, 0, 0, 0)
                self._tell(task, one.context, Waiting(task.pid, text, heir=one.heir))
            else:
                one.heir.close()
