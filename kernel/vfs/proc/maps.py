"""/proc/PID/maps, smaps and smaps_rollup: address spaces as text, in Linux's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pkern.kernel.core import ffi, lib
from pkern.kernel.cpu.vsyscall import AREA as VSYSCALLS
from pkern.kernel.values import NamedTuple
from pkern.kernel.vfs import mapped

if TYPE_CHECKING:
    from pkern.kernel.mm.mm import Vma
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File

PAGE_SIZE = 4096
KB_PER_PAGE = 4
HUGE_KB = 2048
PATH_COLUMN = 73
SHMEM = "00:01"  # the device of memory without a file system
VM_FLAG_CODES = (
    ("VM_READ", "rd"), ("VM_WRITE", "wr"), ("VM_EXEC", "ex"), ("VM_SHARED", "sh"),
    ("VM_MAYREAD", "mr"), ("VM_MAYWRITE", "mw"), ("VM_MAYEXEC", "me"), ("VM_MAYSHARE", "ms"),
    ("VM_GROWSDOWN", "gd"), ("VM_UFFD_MISSING", "um"), ("VM_UFFD_WP", "uw"),
    ("VM_LOCKED", "lo"), ("VM_SEQ_READ", "sr"), ("VM_RAND_READ", "rr"),
    ("VM_DONTCOPY", "dc"), ("VM_HUGETLB", "de"), ("VM_LOCKONFAULT", "lf"), ("VM_ACCOUNT", "ac"),
    ("VM_NORESERVE", "nr"), ("VM_HUGETLB", "ht"), ("VM_NONLINEAR", "nl"), ("VM_WIPEONFORK", "wf"),
    ("VM_DONTDUMP", "dd"), ("VM_MERGEABLE", "mg"), ("VM_HUGEPAGE", "hg"), ("VM_NOHUGEPAGE", "nh"),
    ("VM_DROPPABLE", "dp"), ("VM_UFFD_MINOR", "ui"), ("VM_SEALED", "sl"),
)  # fmt: skip
FLAG_BITS = tuple((int(getattr(lib, name)), code) for name, code in VM_FLAG_CODES)


def device_text(dev: int) -> str:
    """Return a device number as maps and locks show it: major:minor in hex."""
    return f"{dev >> 8 & 0xFFF:02x}:{dev & 0xFF:02x}"


def areas(task: Task) -> list[Vma]:
    """Return the VMAs of a task and the kernel's page behind them; none of a dead task."""
    return [*task.mm.vmas(), VSYSCALLS] if task.alive else []


# ---- maps ----


class Columns(NamedTuple):
    """What maps shows of what is mapped: its device, inode number and name."""

    device: str
    inode: int
    name: str


def _of_file(vma: Vma, file: File, name: str) -> Columns:
    inode = file.inode
    if mapped.is_zero(vma, file):
        return Columns(SHMEM, file.cookie, name)
    return Columns(device_text(inode.dev), inode.ino, name)


def _name(task: Task, vma: Vma) -> str:
    counters = task.mm.counters
    if vma is VSYSCALLS:
        return "[vsyscall]"
    if vma.start < counters.brk and vma.end > counters.start_brk:
        return "[heap]"
    return "[stack]" if vma.start <= counters.start_stack <= vma.end else ""


def columns(task: Task, vma: Vma) -> Columns:
    """Return device, inode number and name of a VMA."""
    if vma.flags & lib.VM_SPECIAL:
        return Columns("00:00", 0, "[nonlinear]")
    vfs = task.kernel.vfs
    name = mapped.name_of(vfs, vma)
    if name is None:
        return Columns("00:00", 0, _name(task, vma))
    file = vfs.file_of(vma.file_cookie) if vma.file_cookie else None
    if file is not None:
        return _of_file(vma, file, name)
    return Columns(SHMEM, vma.mapping_cookie - lib.COOKIE_ANONYMOUS, name)


def maps_line(task: Task, vma: Vma) -> str:
    """Return one line of /proc/PID/maps, without its newline."""
    device, inode, name = columns(task, vma)
    offset = vma.pgoff * PAGE_SIZE if inode else 0
    head = f"{vma.start:08x}-{vma.end:08x} {vma.perms} {offset:08x} {device} {inode} "
    return head.ljust(PATH_COLUMN) + name.replace("\n", "\\012") if name else head


def maps(task: Task) -> str:
    """One line for each VMA. Source: proc_pid_maps(5)."""
    return "".join(maps_line(task, vma) + "\n" for vma in areas(task))


# ---- smaps ----


def field(name: str, kilobytes: int) -> str:
    """Return a line of smaps or meminfo."""
    return f"{name + ':':<16}{kilobytes:>8} kB\n"


def _sizes(info: Any) -> list[tuple[str, int]]:
    """Return (name, kB) of a VMA's pages in Linux 6.x's order; 0 where there is no such thing."""
    kb = KB_PER_PAGE
    return [
        ("Rss", info.rss * kb),
        ("Pss", info.pss * kb >> 12),
        ("Pss_Dirty", info.pss_dirty * kb >> 12),
        ("Pss_Anon", info.pss_anon * kb >> 12),
        ("Pss_File", info.pss_file * kb >> 12),
        ("Pss_Shmem", info.pss_shmem * kb >> 12),
        ("Shared_Clean", info.shared_clean * kb),
        ("Shared_Dirty", info.shared_dirty * kb),
        ("Private_Clean", info.private_clean * kb),
        ("Private_Dirty", info.private_dirty * kb),
        ("Referenced", info.referenced * kb),
        ("Anonymous", info.anonymous * kb),
        ("KSM", 0),
        ("LazyFree", info.lazyfree * kb),
        ("AnonHugePages", 0),
        ("ShmemPmdMapped", 0),
        ("FilePmdMapped", 0),
        ("Shared_Hugetlb", info.shared_hugetlb * kb),
        ("Private_Hugetlb", info.private_hugetlb * kb),
        ("Swap", info.swap * kb),
        ("SwapPss", info.swap_pss * kb >> 12),
        ("Locked", info.locked * kb >> 12),
    ]


ROLLUP_ONLY = ("Pss_Anon", "Pss_File", "Pss_Shmem")


def _pages_of(task: Task, vma: Vma) -> Any:
    info = ffi.new("struct smaps_info *")
    lib.mm_smaps(task.mm.handle, vma.start, info)  # leaves zeroes for the kernel's page
    return info


def _smaps_entry(task: Task, vma: Vma) -> str:
    page = HUGE_KB if vma.flags & lib.VM_HUGETLB else KB_PER_PAGE
    sizes = [("Size", (vma.end - vma.start) >> 10), ("KernelPageSize", page), ("MMUPageSize", page)]
    sizes += [(name, kb) for name, kb in _sizes(_pages_of(task, vma)) if name not in ROLLUP_ONLY]
    lines = "".join(field(name, kb) for name, kb in sizes)
    codes = "".join(f"{code} " for bit, code in FLAG_BITS if vma.flags & bit)
    key = f"{'ProtectionKey:':<16}{vma.pkey:>8}\n" if task.kernel.has_cpu("pku") else ""
    return f"{maps_line(task, vma)}\n{lines}{'THPeligible:':<16}{0:>8}\n{key}VmFlags: {codes}\n"


def smaps(task: Task) -> str:
    """The maps line and the sizes of each VMA. Source: proc_pid_smaps(5)."""
    return "".join(_smaps_entry(task, vma) for vma in areas(task))


def smaps_rollup(task: Task) -> str:
    """The sizes of all VMAs together. Source: proc_pid_smaps(5), smaps_rollup."""
    vmas = areas(task)[:-1]
    if not vmas:
        return ""
    total = ffi.new("struct smaps_info *")
    for vma in vmas:
        info = _pages_of(task, vma)
        for name in SIZE_FIELDS:
            setattr(total, name, getattr(total, name) + getattr(info, name))
    head = f"{vmas[0].start:08x}-{vmas[-1].end:08x} ---p 00000000 00:00 0 ".ljust(PATH_COLUMN)
    return f"{head}[rollup]\n" + "".join(field(name, kb) for name, kb in _sizes(total))


SIZE_FIELDS = tuple(name for name, _ in ffi.typeof("struct smaps_info").fields)
