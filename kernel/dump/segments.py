"""What of an address space goes into a core file: one PT_LOAD a VMA, and how much of each.

Source: vma_dump_size() of Linux 6.18; core(5), /proc/PID/coredump_filter.
"""

from __future__ import annotations

from pkern.kernel.core import lib
from pkern.kernel.cpu.vsyscall import AREA as VSYSCALLS
from pkern.kernel.typed import TYPE_CHECKING
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs.mapped import file_of

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
ELF_MAGIC = b"\x7fELF"
# Bits of coredump_filter.
ANON_PRIVATE, ANON_SHARED, FILE_PRIVATE, FILE_SHARED, ELF_HEADERS, HUGE_PRIVATE, HUGE_SHARED = (
    1 << bit for bit in range(7)
)
PF_X, PF_W, PF_R = 1, 2, 4


class Segment(NamedTuple):
    """A VMA and how many of its bytes, from its start, the core file holds."""

    vma: Vma
    nbytes: int

    @property
    def flags(self) -> int:
        """PF_* bits."""
        has = self.vma.flags
        bits = ((lib.VM_READ, PF_R), (lib.VM_WRITE, PF_W), (lib.VM_EXEC, PF_X))
        return sum(bit for flag, bit in bits if has & flag)


def _wanted_kind(task: Task, vma: Vma) -> int:
    """Return the bit of the filter that lets all of a VMA in; 0: none does."""
    shared = vma.flags & lib.VM_SHARED
    if vma.flags & lib.VM_HUGETLB:
        return HUGE_SHARED if shared else HUGE_PRIVATE
    file = file_of(task.kernel.vfs, vma)
    if shared:
        return ANON_SHARED if file is None or not file.inode.nlink else FILE_SHARED
    of_file = FILE_PRIVATE if vma.file_cookie else 0
    return (ANON_PRIVATE if vma.own else 0) | of_file


def _nbytes(task: Task, vma: Vma) -> int:
    chosen = task.mm.settings.coredump_filter
    if vma is VSYSCALLS:
        return vma.end - vma.start
    if vma.flags & (lib.VM_DONTDUMP | lib.VM_SPECIAL):
        return 0
    if chosen & _wanted_kind(task, vma):
        return vma.end - vma.start
    may_head = chosen & ELF_HEADERS and not vma.pgoff and vma.flags & lib.VM_READ
    is_file = vma.file_cookie and not vma.flags & (lib.VM_SHARED | lib.VM_HUGETLB)
    return PAGE_SIZE if may_head and is_file and _is_program(task, vma) else 0


def _is_program(task: Task, vma: Vma) -> bool:
    """Tell whether the first page of a mapped file says what was mapped here."""
    file = file_of(task.kernel.vfs, vma)
    if file is not None and file.inode.mode & 0o111:
        return True
    return task.mm.read_forced(vma.start, len(ELF_MAGIC)) == ELF_MAGIC


def segments(task: Task) -> list[Segment]:
    """Return the segments of a core file, by address; kernel.core_sort_vma: short ones first."""
    found = [Segment(vma, _nbytes(task, vma)) for vma in (*task.mm.vmas(), VSYSCALLS)]
    return sorted(found, key=lambda s: s.nbytes) if task.kernel.dumps.sort_vma else found
