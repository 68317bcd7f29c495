"""An address space as Python sees it: a handle, and the one loop around the core's needs.

Nothing of the core is remembered here: VMAs and counters are read when asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kernel import memory
from kernel.core import ffi, lib
from kernel.errors import MemoryFault, SyscallError

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.task import Task

EFAULT = 14
PATH_MAX = 4096
VMA_BATCH = 256


@dataclass(frozen=True, slots=True)
class Vma:
    """One virtual memory area: addresses in bytes, pgoff in pages, cookies 0 for none."""

    start: int
    end: int
    flags: int
    pgoff: int
    file_cookie: int
    mapping_cookie: int

    @property
    def perms(self) -> str:
        """The rwxp column of /proc/PID/maps."""
        return "".join(
            letter if self.flags & bit else "-"
            for bit, letter in ((lib.VM_READ, "r"), (lib.VM_WRITE, "w"), (lib.VM_EXEC, "x"))
        ) + ("s" if self.flags & lib.VM_MAYSHARE else "p")


class Mm:
    """One address space; destroyed by its task's exit."""

    def __init__(self, kernel: Kernel, task: Task, handle: Any) -> None:
        self.kernel = kernel
        self.task = task
        self.handle = handle
        self.users = 1  # tasks that run in it, descriptors of /proc/mm

    @classmethod
    def create(cls, kernel: Kernel, task: Task) -> Mm:
        """Return an empty address space with the layout and limits of a task. Errors: ENOMEM."""
        like = task.mm.counters
        layout = ffi.new(
            "struct layout *",
            (like.task_size, like.mmap_base, like.start_brk, like.start_stack),
        )
        handle = ffi.new("mm **")
        kernel.core_call(task, lib.mm_create, kernel.core, layout, task.limits, handle)
        return cls(kernel, task, handle[0])

    def get(self) -> Mm:
        """Add a user."""
        self.users += 1
        return self

    def put(self) -> None:
        """Take a user away; the last one destroys the address space."""
        self.users -= 1
        if not self.users:
            lib.mm_destroy(self.handle)
            self.handle = ffi.NULL

    # ---- the loop ----

    def call(self, function: Callable[..., int], *args: Any) -> int:
        """Call a core function on this mm until it needs nothing more.

        Errors: SyscallError with the core's errno; ENOMEM when memory is out; EFAULT for a verdict.
        """
        result = function(self.handle, *args)
        while result < 0:
            try:
                memory.serve(self.kernel, self.task, result)
            except MemoryFault:
                raise SyscallError(EFAULT) from None
            result = function(self.handle, *args)
        return result

    def access(self, function: Callable[..., int], *args: Any) -> int:
        """Call a core access until it is done. Errors: MemoryFault, TaskKilled (no memory)."""
        result = function(self.handle, *args)
        while result < 0:
            memory.serve_fault(self.kernel, self.task, result)
            result = function(self.handle, *args)
        return result

    # ---- the program's own loads and stores ----

    def read(self, addr: int, nbytes: int) -> bytes:
        """Load nbytes at addr. Errors: MemoryFault, TaskKilled."""
        buffer = bytearray(nbytes)
        self.access(lib.user_read, addr, ffi.from_buffer(buffer), nbytes)
        return bytes(buffer)

    def write(self, addr: int, data: bytes) -> None:
        """Store data at addr. Errors: MemoryFault, TaskKilled."""
        self.access(lib.user_write, addr, ffi.from_buffer(data), len(data))

    # ---- on behalf of a system call ----

    def copy_in(self, addr: int, nbytes: int) -> bytes:
        """Read a system call's argument. Errors: EFAULT, ENOMEM."""
        self.check_user(addr, nbytes)
        buffer = bytearray(nbytes)
        self.call(lib.user_read, addr, ffi.from_buffer(buffer), nbytes)
        return bytes(buffer)

    def copy_out(self, addr: int, data: bytes) -> None:
        """Write a system call's result. Errors: EFAULT, ENOMEM."""
        self.check_user(addr, len(data))
        self.call(lib.user_write, addr, ffi.from_buffer(data), len(data))

    def check_user(self, addr: int, nbytes: int) -> None:
        """Refuse a range that leaves user space, before any of it is allocated. Errors: EFAULT."""
        if addr + nbytes > self.counters.task_size:
            raise SyscallError(EFAULT)

    def string_in(self, addr: int) -> str:
        """Read a path. Errors: EFAULT, ENAMETOOLONG."""
        self.check_user(addr, 1)
        buffer = ffi.new("char[]", PATH_MAX)
        length = self.call(lib.user_string, addr, buffer, PATH_MAX)
        return bytes(ffi.buffer(buffer, length)).decode("utf-8", "surrogateescape")

    def populate(self, addr: int, nbytes: int) -> None:
        """Fault a range in. Errors: ENOMEM."""
        self.call(lib.mm_populate, addr, nbytes)

    # ---- what there is ----

    @property
    def counters(self) -> Any:
        """The core's struct mm_counters, live."""
        return lib.mm_counters(self.handle)

    def vmas(self) -> list[Vma]:
        """Return all VMAs in order of address."""
        found: list[Vma] = []
        batch = ffi.new("struct vma_info[]", VMA_BATCH)
        start = 0
        while count := lib.mm_vmas(self.handle, start, batch, VMA_BATCH):
            found += [
                Vma(v.start, v.end, v.flags, v.pgoff, v.file, v.mapping)
                for v in ffi.unpack(batch, count)
            ]
            start = found[-1].end
        return found

    def vma_at(self, addr: int) -> Vma | None:
        """Return the VMA that holds addr, or None."""
        one = ffi.new("struct vma_info *")
        if not lib.mm_vmas(self.handle, addr, one, 1) or one.start > addr:
            return None
        return Vma(one.start, one.end, one.flags, one.pgoff, one.file, one.mapping)
