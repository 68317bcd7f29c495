"""/proc: the machine's own numbers in Linux's text format.

Every file is a function from the kernel (and a task) to text, made when the file is opened, so
that one open reads one consistent state. Numbers come from the core's counters and page tables.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kernel.core import ffi, lib
from kernel.errors import SyscallError
from kernel.vfs.inode import MAY_WRITE, DirInode, Inode, LinkInode
from kernel.vfs.mmfile import MmFile
from kernel.vfs.proclinks import SelfLink, task_links
from kernel.vsyscall import AREA as VSYSCALLS

if TYPE_CHECKING:
    from kernel.machine import Kernel
    from kernel.mm import Vma
    from kernel.task import Task

PAGE_SIZE = 4096
KB_PER_PAGE = 4
PATH_COLUMN = 73
CAP_NUMBERS = {
    "CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_DAC_READ_SEARCH": 2, "CAP_FOWNER": 3,
    "CAP_FSETID": 4, "CAP_SYS_CHROOT": 18, "CAP_MKNOD": 27,
    "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_IPC_LOCK": 14, "CAP_IPC_OWNER": 15,
    "CAP_SYS_RAWIO": 17, "CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_SYS_RESOURCE": 24,
}  # fmt: skip
INFINITY = (1 << 64) - 1
Text = Callable[["Kernel", "Task"], str]


# ---- maps and smaps ----


def _vma_name(kernel: Kernel, task: Task, vma: Vma) -> str:
    if vma.flags & lib.VM_SPECIAL:
        return "[nonlinear]"
    file = kernel.vfs.file_of(vma.file_cookie) if vma.file_cookie else None
    if file is not None:
        return file.path + ("" if file.inode.nlink > 0 else " (deleted)")
    if vma is VSYSCALLS:
        return "[vsyscall]"
    if vma.flags & lib.VM_HUGETLB:
        return "/anon_hugepage (deleted)"
    if vma.flags & lib.VM_MAYSHARE:
        return "/dev/zero (deleted)"
    counters = task.mm.counters
    if vma.start < PAGE_SIZE * -(-counters.brk // PAGE_SIZE) and vma.end > counters.start_brk:
        return "[heap]"
    return "[stack]" if vma.start < counters.start_stack <= vma.end else ""


def maps_line(kernel: Kernel, task: Task, vma: Vma) -> str:
    """Return one line of /proc/PID/maps, without its newline."""
    file = kernel.vfs.file_of(vma.file_cookie) if vma.file_cookie else None
    shared_anonymous = not vma.file_cookie and vma.mapping_cookie == 0
    offset = vma.pgoff * PAGE_SIZE if vma.file_cookie or vma.flags & lib.VM_MAYSHARE else 0
    if vma.flags & lib.VM_SPECIAL:
        offset = 0
    device = "00:01" if file is not None or not shared_anonymous else "00:00"
    inode = file.inode.ino if file is not None else 0
    head = f"{vma.start:08x}-{vma.end:08x} {vma.perms} {offset:08x} {device} {inode} "
    name = _vma_name(kernel, task, vma)
    return head.ljust(PATH_COLUMN) + name if name else head


def maps(kernel: Kernel, task: Task) -> str:
    """One line for each VMA. Source: proc_pid_maps(5)."""
    return "".join(maps_line(kernel, task, vma) + "\n" for vma in (*task.mm.vmas(), VSYSCALLS))


VM_FLAG_CODES = (
    ("VM_READ", "rd"), ("VM_WRITE", "wr"), ("VM_EXEC", "ex"), ("VM_SHARED", "sh"),
    ("VM_MAYREAD", "mr"), ("VM_MAYWRITE", "mw"), ("VM_MAYEXEC", "me"), ("VM_MAYSHARE", "ms"),
    ("VM_GROWSDOWN", "gd"), ("VM_LOCKED", "lo"), ("VM_SEQ_READ", "sr"), ("VM_RAND_READ", "rr"),
    ("VM_DONTCOPY", "dc"), ("VM_LOCKONFAULT", "lf"), ("VM_ACCOUNT", "ac"),
    ("VM_NORESERVE", "nr"), ("VM_HUGETLB", "ht"), ("VM_NONLINEAR", "nl"), ("VM_WIPEONFORK", "wf"),
    ("VM_DONTDUMP", "dd"), ("VM_MERGEABLE", "mg"), ("VM_HUGEPAGE", "hg"), ("VM_NOHUGEPAGE", "nh"),
)  # fmt: skip
FLAG_BITS = tuple((int(getattr(lib, name)), code) for name, code in VM_FLAG_CODES)


def _smaps_fields(info: Any, size_pages: int) -> list[tuple[str, int]]:
    """Return (name, kB) of smaps' sizes in Linux 6.x's order; 0 where there is no such thing."""
    kb = KB_PER_PAGE
    return [
        ("Size", size_pages * kb),
        ("KernelPageSize", kb),
        ("MMUPageSize", kb),
        ("Rss", info.rss * kb),
        ("Pss", info.pss * kb >> 12),
        ("Pss_Dirty", info.pss_dirty * kb >> 12),
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


def _field(name: str, kilobytes: int) -> str:
    return f"{name + ':':<16}{kilobytes:>8} kB\n"


def smaps(kernel: Kernel, task: Task) -> str:
    """The maps line and the sizes of each VMA. Source: proc_pid_smaps(5)."""
    parts: list[str] = []
    for vma in (*task.mm.vmas(), VSYSCALLS):
        info = ffi.new("struct smaps_info *")
        lib.mm_smaps(task.mm.handle, vma.start, info)
        pages = (vma.end - vma.start) // PAGE_SIZE
        parts.append(maps_line(kernel, task, vma) + "\n")
        parts += [_field(name, kb) for name, kb in _smaps_fields(info, pages)]
        codes = "".join(f"{code} " for bit, code in FLAG_BITS if vma.flags & bit)
        parts.append(f"{'THPeligible:':<16}{0:>8}\nVmFlags: {codes}\n")
    return "".join(parts)


# ---- status, stat, statm, limits ----


def _vm_lines(task: Task) -> list[tuple[str, int]]:
    """Return (name, pages) of status's Vm lines in order."""
    c = task.mm.counters
    rss = c.rss_anon + c.rss_file + c.rss_shmem
    return [
        ("VmPeak", c.hiwater_vm),
        ("VmSize", c.total_vm),
        ("VmLck", c.locked_vm),
        ("VmPin", c.nr_special),
        ("VmHWM", max(c.hiwater_rss, rss)),
        ("VmRSS", rss),
        ("RssAnon", c.rss_anon),
        ("RssFile", c.rss_file),
        ("RssShmem", c.rss_shmem),
        ("VmData", c.data_vm),
        ("VmStk", c.stack_vm),
        ("VmExe", c.exec_vm),
        ("VmLib", 0),
        ("VmPTE", c.nr_pagetable),
        ("VmSwap", c.nr_swap),
        ("HugetlbPages", c.nr_hugetlb * 512),
    ]


def _signal_mask(numbers: list[int]) -> str:
    return f"{sum(1 << (n - 1) for n in set(numbers)):016x}"


STATES = {"R": "running", "S": "sleeping", "T": "stopped", "Z": "zombie"}


def status(kernel: Kernel, task: Task) -> str:
    """The task for people. Source: proc_pid_status(5)."""
    signals, actions = task.signals, task.signals.actions
    caps = sum(1 << CAP_NUMBERS[name] for name in task.caps)
    ids = "\t".join([str(task.uid)] * 4), "\t".join([str(task.gid)] * 4)
    state = f"{task.state} ({STATES[task.state]})"
    head = [
        ("Name", task.name), ("Umask", f"{task.umask:04o}"), ("State", state),
        ("Tgid", task.pid), ("Ngid", 0), ("Pid", task.pid), ("PPid", task.ppid),
        ("TracerPid", 0), ("Uid", ids[0]), ("Gid", ids[1]), ("FDSize", 64),
        ("Groups", f"{task.gid} "),
        ("NStgid", task.pid), ("NSpid", task.pid), ("NSpgid", task.pgid), ("NSsid", task.sid),
        ("Kthread", 0),
    ]  # fmt: skip
    tail = [
        ("CoreDumping", 0), ("THP_enabled", 0), ("untag_mask", "0xffffffffffffffff"),
        ("Threads", 1), ("SigQ", f"{len(task.signals.pending)}/{task.rlimits['sigpending'][0]}"),
        ("SigPnd", _signal_mask([i.si_signo for i in task.signals.pending])),
        ("ShdPnd", _signal_mask([])), ("SigBlk", f"{task.signals.blocked:016x}"),
        ("SigIgn", _signal_mask([n for n in actions if signals.is_ignored(n)])),
        ("SigCgt", _signal_mask([n for n in actions if signals.is_handled(n)])),
        ("CapInh", f"{0:016x}"), ("CapPrm", f"{caps:016x}"), ("CapEff", f"{caps:016x}"),
        ("CapBnd", f"{caps:016x}"), ("CapAmb", f"{0:016x}"), ("NoNewPrivs", 0), ("Seccomp", 0),
        ("Seccomp_filters", 0), ("Speculation_Store_Bypass", "not vulnerable"),
        ("SpeculationIndirectBranch", "not affected"), ("Cpus_allowed", 1),
        ("Cpus_allowed_list", 0), ("Mems_allowed", "00000000,00000001"),
        ("Mems_allowed_list", 0), ("voluntary_ctxt_switches", 0),
        ("nonvoluntary_ctxt_switches", 0),
    ]  # fmt: skip
    sizes = _vm_lines(task) if task.alive else []
    return "".join(
        [f"{name}:\t{value}\n" for name, value in head]
        + [f"{name}:\t{pages * KB_PER_PAGE:>8} kB\n" for name, pages in sizes]
        + [f"{name}:\t{value}\n" for name, value in tail]
    )


def stat_line(kernel: Kernel, task: Task) -> str:
    """52 numbers for programs. Source: proc_pid_stat(5)."""
    c = task.mm.counters
    rss = c.rss_anon + c.rss_file + c.rss_shmem
    fields: list[object] = [0] * 52
    known = {
        1: task.pid, 2: f"({task.name})", 3: task.state, 4: task.ppid, 5: task.pid, 6: task.pid,
        8: -1, 10: c.min_flt, 12: c.maj_flt, 18: 20, 20: 1, 23: c.total_vm * PAGE_SIZE, 24: rss,
        25: task.rlimits["rss"][0], 28: c.start_stack, 38: 17, 47: c.start_brk,
        52: task.exit_status or 0,
    }  # fmt: skip
    for number, value in known.items():
        fields[number - 1] = value
    return " ".join(str(field) for field in fields) + "\n"


def statm(kernel: Kernel, task: Task) -> str:
    """Sizes in pages: total, resident, shared, text, 0, data, 0. Source: proc_pid_statm(5)."""
    c = task.mm.counters
    shared = c.rss_file + c.rss_shmem
    data = c.data_vm + c.stack_vm
    return f"{c.total_vm} {c.rss_anon + shared} {shared} {c.exec_vm} 0 {data} 0\n"


LIMIT_ROWS = (
    ("Max cpu time", "cpu", "seconds"), ("Max file size", "fsize", "bytes"),
    ("Max data size", "data", "bytes"), ("Max stack size", "stack", "bytes"),
    ("Max core file size", "core", "bytes"), ("Max resident set", "rss", "bytes"),
    ("Max processes", "nproc", "processes"), ("Max open files", "nofile", "files"),
    ("Max locked memory", "memlock", "bytes"), ("Max address space", "as", "bytes"),
    ("Max file locks", "locks", "locks"), ("Max pending signals", "sigpending", "signals"),
    ("Max msgqueue size", "msgqueue", "bytes"), ("Max nice priority", "nice", ""),
    ("Max realtime priority", "rtprio", ""), ("Max realtime timeout", "rttime", "us"),
)  # fmt: skip


def limits(kernel: Kernel, task: Task) -> str:
    """The resource limits as a table. Source: proc_pid_limits(5)."""
    lines = [f"{'Limit':<25} {'Soft Limit':<20} {'Hard Limit':<20} {'Units':<10}"]
    for title, name, unit in LIMIT_ROWS:
        soft, hard = ("unlimited" if v == INFINITY else str(v) for v in task.rlimits[name])
        lines.append(f"{title:<25} {soft:<20} {hard:<20} " + (f"{unit:<10}" if unit else ""))
    return "\n".join(lines) + "\n"


# ---- the machine ----


def meminfo(kernel: Kernel, task: Task) -> str:
    """Memory of the machine. Source: proc_meminfo(5)."""
    c = kernel.counters
    total = int(c.nr_total)
    allowed = int(kernel.tunables.overcommit_kbytes) or (
        total * int(kernel.tunables.overcommit_ratio) // 100 * KB_PER_PAGE
    )
    cached = int(c.nr_file)
    pinned = int(c.nr_special + c.nr_unevictable)
    active = int(c.nr_active_anon + c.nr_active_file)
    inactive = int(c.nr_inactive_anon + c.nr_inactive_file)
    reclaimable = max(0, cached - int(c.nr_shmem) - pinned)
    allowed += int(c.nr_swap_total) * KB_PER_PAGE
    rows = [
        ("MemTotal", total), ("MemFree", c.nr_free),
        ("MemAvailable", c.nr_free + reclaimable), ("Buffers", 0),
        ("Cached", cached), ("SwapCached", c.nr_swapcached), ("Active", active),
        ("Inactive", inactive),
        ("Active(anon)", c.nr_active_anon), ("Inactive(anon)", c.nr_inactive_anon),
        ("Active(file)", c.nr_active_file),
        ("Inactive(file)", c.nr_inactive_file), ("Unevictable", pinned),
        ("Mlocked", c.nr_unevictable), ("SwapTotal", c.nr_swap_total),
        ("SwapFree", c.nr_swap_total - c.nr_swap_used), ("Zswap", 0), ("Zswapped", 0),
        ("Dirty", c.nr_dirty),
        ("Writeback", 0), ("AnonPages", c.nr_anon), ("Mapped", c.nr_mapped), ("Shmem", c.nr_shmem),
        ("KReclaimable", 0), ("Slab", c.nr_slab), ("SReclaimable", 0), ("SUnreclaim", c.nr_slab),
        ("KernelStack", 0), ("PageTables", c.nr_pagetable), ("SecPageTables", 0),
        ("NFS_Unstable", 0), ("Bounce", 0),
        ("WritebackTmp", 0), ("CommitLimit", allowed // KB_PER_PAGE),
        ("Committed_AS", c.nr_committed), ("VmallocTotal", 0), ("VmallocUsed", 0),
        ("VmallocChunk", 0), ("Percpu", 0), ("AnonHugePages", 0), ("ShmemHugePages", 0),
        ("ShmemPmdMapped", 0), ("FileHugePages", 0), ("FilePmdMapped", 0), ("Balloon", 0),
    ]  # fmt: skip
    pool = {"Total": c.nr_huge, "Free": c.nr_huge_free, "Rsvd": 0, "Surp": 0}
    huge = "".join(f"{f'HugePages_{name}:':<16}{int(nr):>8}\n" for name, nr in pool.items())
    tail = [("Hugepagesize", 512), ("Hugetlb", c.nr_huge * 512), ("DirectMap4k", total)]
    return _sizes(rows) + huge + _sizes(tail)


def _sizes(rows: list[tuple[str, Any]]) -> str:
    return "".join(_field(name, int(pages) * KB_PER_PAGE) for name, pages in rows)


VMSTAT = (
    ("nr_free_pages", "nr_free"), ("nr_anon_pages", "nr_anon"), ("nr_mapped", "nr_mapped"),
    ("nr_file_pages", "nr_file"), ("nr_dirty", "nr_dirty"), ("nr_shmem", "nr_shmem"),
    ("nr_inactive_anon", "nr_inactive_anon"), ("nr_active_anon", "nr_active_anon"),
    ("nr_inactive_file", "nr_inactive_file"), ("nr_active_file", "nr_active_file"),
    ("nr_unevictable", "nr_unevictable"), ("nr_swapcached", "nr_swapcached"),
    ("nr_page_table_pages", "nr_pagetable"), ("nr_mlock", "nr_unevictable"),
    ("pgactivate", "pgactivate"), ("pgdeactivate", "pgdeactivate"), ("pgrefill", "pgrefill"),
    ("pglazyfree", "pglazyfree"), ("pglazyfreed", "pglazyfreed"), ("pgrotated", "pgrotated"),
    ("pgsteal_kswapd", "pgsteal_kswapd"), ("pgsteal_direct", "pgsteal_direct"),
    ("pgscan_kswapd", "pgscan_kswapd"), ("pgscan_direct", "pgscan_direct"),
    ("pswpin", "pswpin"), ("pswpout", "pswpout"),
    ("unevictable_pgs_culled", "unevictable_pgs_culled"),
    ("unevictable_pgs_rescued", "unevictable_pgs_rescued"),
    ("nr_slab_unreclaimable", "nr_slab"), ("pgalloc_normal", "pgalloc"), ("pgfree", "pgfree"),
    ("pgfault", "pgfault"), ("pgmajfault", "pgmajfault"),
    ("pkern_special_pages", "nr_special"), ("pkern_chain_blocks", "nr_chain_blocks"),
    ("pkern_vmas", "nr_vmas"), ("pkern_cow", "cow"), ("pkern_zeropage", "zeropage"),
    ("pkern_truncations", "truncations"), ("pkern_remaps", "remaps"),
    ("pkern_rmap_walks", "rmap_walks"), ("pkern_rmap_vma_visits", "rmap_vma_visits"),
    ("pkern_rmap_pte_visits", "rmap_pte_visits"),
    ("pkern_rmap_block_touches", "rmap_block_touches"),
    ("pkern_rmap_bytes", "rmap_bytes"), ("pkern_rmap_bytes_peak", "rmap_bytes_peak"),
    ("pkern_scan_ptes", "scan_ptes"), ("pkern_scan_rounds", "scan_rounds"),
    ("pkern_swap_read_errors", "swap_read_errors"),
    ("pkern_swap_write_errors", "swap_write_errors"),
)  # fmt: skip


def vmstat(kernel: Kernel, task: Task) -> str:
    """Counters by name; ours begin with pkern_. Source: proc_vmstat(5)."""
    lines = [f"{name} {int(getattr(kernel.counters, c))}\n" for name, c in VMSTAT]
    lines += [f"allocstall_normal {kernel.allocstall}\n", f"oom_kill {kernel.oom_kills}\n"]
    return "".join(lines)


def swaps(kernel: Kernel, task: Task) -> str:
    """The swap areas. Source: proc_swaps(5)."""
    lines = ["Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"]
    for area in kernel.swap.areas:
        size, used = (area.nr_pages - 1) * KB_PER_PAGE, kernel.swap.used(area) * KB_PER_PAGE
        name = area.path.ljust(39) + " "
        wide = "\t" if size < 10_000_000 else ""
        lines.append(f"{name}{area.kind}\t{size}\t{wide}{used}\t{wide}{area.priority}\n")
    return "".join(lines)


def mounts(kernel: Kernel, task: Task) -> str:
    """Device, place, type, options, 0 0. Source: proc_pid_mounts(5)."""
    return "".join(
        f"{fs.name} {path} {fs.name} {getattr(fs, 'options', 'rw,relatime')} 0 0\n"
        for path, fs in kernel.vfs.mounts.items()
    )


def version(kernel: Kernel, task: Task) -> str:
    """System, release and build. Source: proc_version(5)."""
    sysctl = kernel.sysctl
    release, build = sysctl["kernel.osrelease"], sysctl["kernel.version"]
    return f"{sysctl['kernel.ostype']} version {release} (pkern) {build}\n"


def uptime(kernel: Kernel, task: Task) -> str:
    """Seconds since boot and seconds idle, of virtual time. Source: proc_uptime(5)."""
    return f"{kernel.clock.now_ns / 1e9:.2f} 0.00\n"


def cmdline(kernel: Kernel, task: Task) -> str:
    """The arguments, each ended by NUL. Source: proc_pid_cmdline(5)."""
    return "".join(f"{argument}\0" for argument in task.argv)


def comm(kernel: Kernel, task: Task) -> str:
    """The task's name. Source: proc_pid_comm(5)."""
    return f"{task.name}\n"


TASK_FILES: dict[str, tuple[int, Text]] = {
    "maps": (0o444, maps),
    "smaps": (0o444, smaps),
    "status": (0o444, status),
    "stat": (0o444, stat_line),
    "statm": (0o444, statm),
    "limits": (0o444, limits),
    "cmdline": (0o444, cmdline),
    "comm": (0o444, comm),
    "mounts": (0o444, mounts),
}
ROOT_FILES: dict[str, Text] = {
    "meminfo": meminfo,
    "vmstat": vmstat,
    "swaps": swaps,
    "mounts": mounts,
    "version": version,
    "uptime": uptime,
}


# ---- inodes ----


class TextFile(Inode):
    """A file whose text is made at open; of_task None: the reader's own view of the machine."""

    def __init__(self, kernel: Kernel, mode: int, text: Text, of_task: Task | None) -> None:
        super().__init__(kernel, mode)
        self._text = text
        self._of_task = of_task
        if of_task is not None:
            self.uid, self.gid = of_task.uid, of_task.gid
        self._content = b""

    def opened(self, task: Task) -> Inode:
        copy = TextFile(self.kernel, self.mode, self._text, self._of_task)
        subject = self._of_task or task
        if self._of_task is not None and not subject.alive and self._text is not status:
            return copy  # a zombie has no memory to show
        copy._content = self._text(self.kernel, subject).encode("utf-8", "surrogateescape")
        return copy

    def read(self, pos: int, nbytes: int) -> bytes:
        return self._content[pos : pos + nbytes]


class PagemapFile(Inode):
    """/proc/PID/pagemap: a 64-bit word for each page; pfns only for those who may know them."""

    def __init__(self, kernel: Kernel, of_task: Task) -> None:
        super().__init__(kernel, 0o400, of_task.uid, of_task.gid)
        self._of_task = of_task
        self._reader: Task | None = None

    def opened(self, task: Task) -> Inode:
        copy = PagemapFile(self.kernel, self._of_task)
        copy._reader = task
        return copy

    def read(self, pos: int, nbytes: int) -> bytes:
        if pos % 8 or nbytes % 8:
            raise SyscallError(errno.EINVAL)
        pages = int(self._of_task.mm.counters.task_size) // PAGE_SIZE
        count = max(0, min(nbytes // 8, pages - pos // 8, 65536))
        words = ffi.new("uint64_t[]", count or 1)
        lib.mm_pagemap(self._of_task.mm.handle, pos // 8, count, words)
        if self._reader is None or not self._reader.capable("CAP_SYS_ADMIN"):
            for i in range(count):
                words[i] &= ~((1 << 55) - 1)
        return bytes(ffi.buffer(words, count * 8))


class SysctlFile(Inode):
    """One parameter under /proc/sys."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        writable = 0o200 if not kernel.sysctl.entry(name).read_only else 0
        super().__init__(kernel, 0o444 | writable)
        self._name = name
        self._writer: Task | None = None

    def open_check(self, task: Task, wanted: int) -> None:
        if wanted & MAY_WRITE and not self.kernel.sysctl.may_write(self._name, task):
            raise SyscallError(errno.EACCES)

    def truncate(self, size: int) -> None:
        """O_TRUNC, which a shell's `>` asks for, changes nothing."""

    def read(self, pos: int, nbytes: int) -> bytes:
        return self.kernel.sysctl.read(self._name).encode()[pos : pos + nbytes]

    def write(self, pos: int, data: bytes, task: Task | None = None) -> int:
        text = data.decode("utf-8", "surrogateescape")
        self.kernel.sysctl.write(self._name, text, task)
        return len(data)


class ExeLink(LinkInode):
    """/proc/PID/exe: leads to the program's file, whatever has become of its name."""

    def __init__(self, kernel: Kernel, of_task: Task) -> None:
        super().__init__(kernel, "", of_task.uid, of_task.gid)
        self._of_task = of_task

    def readlink(self, task: Task) -> str:
        """Return the program's path. Errors: ENOENT: a Python program has none."""
        if self._of_task.exe is None:
            raise SyscallError(errno.ENOENT)
        return self._of_task.exe.path

    def jump(self, task: Task) -> Inode | None:
        """Return the program's file."""
        return self._of_task.exe.inode if self._of_task.exe else None


class TaskDir(DirInode):
    """/proc/PID."""

    def __init__(self, kernel: Kernel, of_task: Task) -> None:
        super().__init__(kernel, 0o555, of_task.uid, of_task.gid)
        for name, (mode, text) in TASK_FILES.items():
            self.entries[name] = TextFile(kernel, mode, text, of_task)
        self.entries["pagemap"] = PagemapFile(kernel, of_task)
        self.entries |= task_links(kernel, of_task)
        self.entries["exe"] = ExeLink(kernel, of_task)


class ProcRoot(DirInode):
    """/proc itself: files, one directory for each task, and self."""

    def lookup(self, name: str, task: Task) -> Inode:
        if name.isdecimal() and int(name) in self.kernel.tasks:
            return TaskDir(self.kernel, self.kernel.tasks[int(name)])
        return super().lookup(name, task)

    def names(self, task: Task) -> list[str]:
        return [str(pid) for pid in sorted(self.kernel.tasks)] + list(self.entries)


class ProcFs:
    """The file system at /proc."""

    name = "proc"

    def __init__(self, kernel: Kernel) -> None:
        self.root = ProcRoot(kernel, 0o555)
        for name, text in ROOT_FILES.items():
            self.root.entries[name] = TextFile(kernel, 0o444, text, None)
        self.root.entries["mm"] = MmFile(kernel)
        self.root.entries["self"] = SelfLink(kernel)
        self.root.entries["sys"] = self._sysctl_tree(kernel)

    def _sysctl_tree(self, kernel: Kernel) -> DirInode:
        top = DirInode(kernel, 0o555)
        for entry in kernel.sysctl.entries():
            group, leaf = entry.name.split(".", 1)
            branch = top.entries.setdefault(group, DirInode(kernel, 0o555))
            assert isinstance(branch, DirInode)
            branch.entries[leaf] = SysctlFile(kernel, entry.name)
        return top

    def close(self) -> None:
        """Nothing to give back."""
