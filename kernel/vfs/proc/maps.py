"""/proc/PID/maps, smaps and smaps_rollup: address spaces as text, in Linux's columns."""

from __future__ import annotations

import struct

from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.vsyscall import AREA as VSYSCALLS
from pkern.kernel.lean import lru_cache
from pkern.kernel.typed import TYPE_CHECKING, Any, Mapping, Sequence
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import mapped
from pkern.kernel.vfs.proc.text import device_text

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
KB_PER_PAGE = 4
PATH_COLUMN = 73
SHMEM = "00:01"  # the device of memory without a file system
VM_FLAG_CODES = (
    ("VM_READ", "rd"), ("VM_WRITE", "wr"), ("VM_EXEC", "ex"), ("VM_SHARED", "sh"),
    ("VM_MAYREAD", "mr"), ("VM_MAYWRITE", "mw"), ("VM_MAYEXEC", "me"), ("VM_MAYSHARE", "ms"),
    ("VM_GROWSDOWN", "gd"), ("VM_UFFD_MISSING", "um"), ("VM_MAYBE_GUARD", "gu"),
    ("VM_UFFD_WP", "uw"), ("VM_LOCKED", "lo"), ("VM_SEQ_READ", "sr"), ("VM_RAND_READ", "rr"),
    ("VM_DONTCOPY", "dc"), ("VM_HUGETLB", "de"), ("VM_LOCKONFAULT", "lf"), ("VM_ACCOUNT", "ac"),
    ("VM_NORESERVE", "nr"), ("VM_HUGETLB", "ht"), ("VM_SYNC", "sf"), ("VM_NONLINEAR", "nl"),
    ("VM_WIPEONFORK", "wf"), ("VM_DONTDUMP", "dd"), ("VM_HUGEPAGE", "hg"), ("VM_NOHUGEPAGE", "nh"),
    ("VM_MERGEABLE", "mg"), ("VM_DROPPABLE", "dp"), ("VM_UFFD_MINOR", "ui"), ("VM_SEALED", "sl"),
)  # fmt: skip
FLAG_BITS = tuple((int(getattr(lib, name)), code) for name, code in VM_FLAG_CODES)


def areas(task: Task) -> list[Vma]:
    """Return the VMAs of a task and the kernel's page behind them; none of a dead task."""
    return [*task.mm.vmas(), VSYSCALLS] if task.alive else []


# ---- maps ----


class Columns(NamedTuple):
    """What maps shows of what is mapped: its device, inode number and name."""

    device: str
    inode: int
    name: str


NO_FILE = "00:00"
NONLINEAR, VSYSCALL_PAGE, HEAP, STACK, NOTHING = (
    Columns(NO_FILE, 0, name) for name in ("[nonlinear]", "[vsyscall]", "[heap]", "[stack]", "")
)
SPECIAL = int(lib.VM_SPECIAL)
KIND_BITS = int(lib.VM_MAYSHARE | lib.VM_HUGETLB)  # of the flags: what a file's name depends on


class Shown:
    """What maps shows of a task's areas, in one reading: each file is looked at once."""

    def __init__(self, task: Task) -> None:
        counters = task.mm.counters
        self._vfs, self._memory = task.kernel.vfs, task.kernel.memory
        self._files: dict[tuple[int, int, int, int], Columns] = {}
        self._start_brk, self._brk = int(counters.start_brk), int(counters.brk)
        self._stack = int(counters.start_stack)

    def columns(self, vma: Vma) -> Columns:
        """Return device, inode number and name of a VMA."""
        start, end, flags, _, file_cookie, mapping_cookie, _, named, _ = vma
        if flags & SPECIAL:
            return NONLINEAR
        if file_cookie or mapping_cookie:
            key = file_cookie, mapping_cookie, flags & KIND_BITS, named
            found = self._files.get(key)
            if found is None:
                found = self._files[key] = self._of_file(vma)
            return found
        if start < self._brk and end > self._start_brk:
            return HEAP
        if start <= self._stack <= end:
            return STACK
        if named:
            return Columns(NO_FILE, 0, f"[anon:{self._memory.names.text(named)}]")
        return VSYSCALL_PAGE if vma is VSYSCALLS else NOTHING

    def _of_file(self, vma: Vma) -> Columns:
        file = self._vfs.file_of(vma.file_cookie) if vma.file_cookie else None
        if file is not None and not mapped.is_zero(vma, file):
            return Columns(device_text(file.inode.dev), file.inode.ino, file.shown_path)
        name = mapped.name_of(self._vfs, vma)
        if name is None:
            return NOTHING
        if file is not None:
            return Columns(SHMEM, file.cookie, name)
        if vma.name:
            name = f"[anon_shmem:{self._memory.names.text(vma.name)}]"
        return Columns(SHMEM, vma.mapping_cookie - lib.COOKIE_ANONYMOUS, name)


def columns(task: Task, vma: Vma) -> Columns:
    """Return device, inode number and name of a VMA."""
    return Shown(task).columns(vma)


@lru_cache(4096)  # who reads maps reads most lines again
def maps_line(vma: Vma, columns: Columns) -> str:
    """Return one line of /proc/PID/maps."""
    device, inode, name = columns
    offset = vma.pgoff * PAGE_SIZE if inode else 0
    head = f"{vma.start:08x}-{vma.end:08x} {vma.perms} {offset:08x} {device} {inode} "
    name = name.replace("\n", "\\012")
    return f"{head.ljust(PATH_COLUMN)}{name}\n" if name else f"{head}\n"


def maps(task: Task) -> str:
    """One line for each VMA. Source: proc_pid_maps(5)."""
    return maps_of(task, areas(task))


def maps_of(task: Task, vmas: Sequence[Vma]) -> str:
    """Return the lines of a task's VMAs."""
    columns = Shown(task).columns
    return "".join([maps_line(vma, columns(vma)) for vma in vmas])


# ---- smaps ----


def field(name: str, kilobytes: int) -> str:
    """Return a line of smaps or meminfo."""
    return f"{name + ':':<16}{kilobytes:>8} kB\n"


def _sizes(info: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return (name, kB) of a VMA's pages in Linux 6.x's order; 0 where there is no such thing."""
    return [(name, info.get(of, 0) * KB_PER_PAGE >> shift) for name, of, shift in ROWS]


# Name, field of struct smaps_info ("" where there is no such thing), and the bits behind its point.
ROWS = (
    ("Rss", "rss", 0), ("Pss", "pss", 12), ("Pss_Dirty", "pss_dirty", 12),
    ("Pss_Anon", "pss_anon", 12), ("Pss_File", "pss_file", 12), ("Pss_Shmem", "pss_shmem", 12),
    ("Shared_Clean", "shared_clean", 0), ("Shared_Dirty", "shared_dirty", 0),
    ("Private_Clean", "private_clean", 0), ("Private_Dirty", "private_dirty", 0),
    ("Referenced", "referenced", 0), ("Anonymous", "anonymous", 0), ("KSM", "ksm", 0),
    ("LazyFree", "lazyfree", 0), ("AnonHugePages", "", 0), ("ShmemPmdMapped", "", 0),
    ("FilePmdMapped", "", 0), ("Shared_Hugetlb", "shared_hugetlb", 0),
    ("Private_Hugetlb", "private_hugetlb", 0), ("Swap", "swap", 0), ("SwapPss", "swap_pss", 12),
    ("Locked", "locked", 12),
)  # fmt: skip
ROLLUP_ONLY = ("Pss_Anon", "Pss_File", "Pss_Shmem")
SIZE_FIELDS = tuple(name for name, _ in ffi.typeof("struct smaps_info").fields)
AREA_ROWS = [
    (SIZE_FIELDS.index(of) if of else len(SIZE_FIELDS), shift)
    for name, of, shift in ROWS
    if name not in ROLLUP_ONLY
]
AREA_NAMES: tuple[str, ...] = ("Size", "KernelPageSize", "MMUPageSize")
AREA_NAMES += tuple(name for name, _, _ in ROWS if name not in ROLLUP_ONLY)
AREA_LINES = "".join(f"{name + ':':<16}%8d kB\n" for name in AREA_NAMES)


_INFO = ffi.new("struct smaps_info *")  # of the area that is looked at
_INFO_BYTES = ffi.buffer(_INFO)
_FIELDS = struct.Struct(f"{len(SIZE_FIELDS)}Q")
_NO_PAGES = (0,) * len(SIZE_FIELDS)


def _pages_of(mm: Any, start: int) -> tuple[int, ...]:
    """Return the fields of struct smaps_info, zeroes for the kernel's page. mm: the core's."""
    if lib.mm_smaps(mm, start, _INFO):
        return _NO_PAGES
    return _FIELDS.unpack(_INFO_BYTES)


@lru_cache(4096)  # most areas are as they were, or as others are
def _size_lines(nbytes: int, page_size: int, pages: tuple[int, ...]) -> str:
    info, page = (*pages, 0), page_size >> 10
    kbs = [info[place] * KB_PER_PAGE >> shift for place, shift in AREA_ROWS]
    return AREA_LINES % (nbytes >> 10, page, page, *kbs)


NO_THP = f"{'THPeligible:':<16}{0:>8}\n"


@lru_cache(256)
def _last_lines(flags: int) -> str:
    """Return the lines that say what an area may be."""
    return NO_THP + _vm_flags(flags)


@lru_cache(256)
def _last_lines_with_key(flags: int) -> str:
    """Return the same where the processor has protection keys."""
    pkey = (flags & lib.VM_PKEY_MASK) >> lib.VM_PKEY_SHIFT
    return f"{NO_THP}{'ProtectionKey:':<16}{pkey:>8}\n{_vm_flags(flags)}"


def _vm_flags(flags: int) -> str:
    codes = "".join([f"{code} " for bit, code in FLAG_BITS if flags & bit])
    return f"VmFlags: {codes}\n"


def smaps(task: Task) -> str:
    """The maps line and the sizes of each VMA. Source: proc_pid_smaps(5)."""
    if not task.alive:
        return ""
    mm, columns = task.mm.handle, Shown(task).columns
    last_lines = _last_lines_with_key if task.kernel.has_cpu("pku") else _last_lines
    texts: list[str] = []
    for vma in areas(task):
        start, end, flags, *_ = vma
        texts += (
            maps_line(vma, columns(vma)),
            _size_lines(end - start, vma.page_size, _pages_of(mm, start)),
            last_lines(flags),
        )
    return "".join(texts)


def smaps_rollup(task: Task) -> str:
    """The sizes of all VMAs together. Source: proc_pid_smaps(5), smaps_rollup."""
    vmas = areas(task)[:-1]
    if not vmas:
        return ""
    each = zip(*(_pages_of(task.mm.handle, vma.start) for vma in vmas), strict=True)
    total = dict(zip(SIZE_FIELDS, map(sum, each), strict=True))
    head = f"{vmas[0].start:08x}-{vmas[-1].end:08x} ---p 00000000 00:00 0 ".ljust(PATH_COLUMN)
    return f"{head}[rollup]\n" + "".join(field(name, kb) for name, kb in _sizes(total))
