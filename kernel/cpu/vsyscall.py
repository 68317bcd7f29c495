"""The page of vsyscalls at 0xffffffffff600000: its code in two forms, and who sees which.

Owns the machine code (vsyscall.S is its source; a test compares them), the global flag behind
kernel.vsyscall64 and kernel.revirt_vsyscalls, and the choice at each context switch. The frames
and tables belong to the core; a task's own wish stands in Task.revirt_vsyscalls.
"""

from __future__ import annotations

from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import KernelBug
from pkern.kernel.mm.mm import Vma
from pkern.kernel.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
ADDR = int(lib.VSYSCALL_ADDR)
GETTIMEOFDAY, TIME, GETCPU = 0x000, 0x400, 0x800  # entry points
BREAKPOINT = b"\xcc"
REVIRTUAL, PLAIN = int(lib.VSYSCALL_REVIRTUALISED), int(lib.VSYSCALL_FAST)  # the forms
AREA = Vma(ADDR, ADDR + PAGE_SIZE, lib.VM_EXEC, 0, 0, 0)  # as /proc/PID/maps has it

FAST = {
    GETTIMEOFDAY: bytes.fromhex(
        "4885ff 7426 488b0425001060ff 31d2 b900ca9a3b 48f7f1 488907"
        "4889d0 31d2 b9e8030000 48f7f1 48894708"
        "4885f6 7407 48c70600000000 31c0 c3"
    ),
    TIME: bytes.fromhex("488b0425001060ff 31d2 b900ca9a3b 48f7f1 4885ff 7403 488907 c3"),
    GETCPU: bytes.fromhex(
        "4885ff 740a 488b0425081060ff 8907 4885f6 740a 488b0425101060ff 8906 31c0 c3"
    ),
}
REVIRTUALISED = {  # mov $nr, %eax; syscall; ret
    GETTIMEOFDAY: bytes.fromhex("b860000000 0f05 c3"),
    TIME: bytes.fromhex("b8c9000000 0f05 c3"),
    GETCPU: bytes.fromhex("b835010000 0f05 c3"),
}


def page_of(code: dict[int, bytes]) -> bytes:
    """Return a page with code at its offsets and breakpoints elsewhere."""
    page = bytearray(BREAKPOINT * PAGE_SIZE)
    for offset, data in code.items():
        page[offset : offset + len(data)] = data
    return bytes(page)


class VsyscallPage:
    """One machine's page; all its address spaces show it."""

    def __init__(self, kernel: Machine) -> None:
        """Load both forms; the fast one is shown."""
        self._kernel, self._core = kernel, kernel.memory.core
        self._revirtualised = 0
        if lib.machine_load_vsyscalls(kernel.memory.core, page_of(FAST), page_of(REVIRTUALISED)):
            raise KernelBug("no memory for the page of vsyscalls")
        kernel.clock.keep_in(lib.machine_vsyscall_data(kernel.memory.core))

    @property
    def traps(self) -> int:
        """System calls made from the page so far, that is by its revirtualised form."""
        processor = self._kernel.processor
        return int(processor.counters.vsyscalls) if processor is not None else 0

    @property
    def selects(self) -> int:
        """How often the page was changed for its other form."""
        return int(self._kernel.memory.counters.vsyscall_selects)

    def form_for(self, task: Task | None) -> int:
        """Return the form that a task sees: revirtualised if all do, or if it asked for it."""
        wish = self._revirtualised or (task is not None and task.revirt_vsyscalls)
        return REVIRTUAL if wish else PLAIN

    def enter(self, task: Task) -> None:
        """Show the form that task sees, as a context switch to it must."""
        wish = self._revirtualised or task.revirt_vsyscalls
        lib.machine_select_vsyscalls(self._core, REVIRTUAL if wish else PLAIN, task.mm.handle)

    @property
    def revirtualised(self) -> int:
        """1 while every task's vsyscalls make real system calls (kernel.revirt_vsyscalls)."""
        return self._revirtualised

    @revirtualised.setter
    def revirtualised(self, flag: int) -> None:
        self._revirtualised = flag
        core, form = self._kernel.memory.core, self.form_for(None)
        lib.machine_select_vsyscalls(core, form, ffi.NULL)
        for task in self._kernel.tasks.values():
            if task.alive:
                task.mm.counters.tlb_generation += 1

    @property
    def fast(self) -> int:
        """The same, the other way round (kernel.vsyscall64)."""
        return 1 - self._revirtualised

    @fast.setter
    def fast(self, flag: int) -> None:
        self.revirtualised = 1 - flag
