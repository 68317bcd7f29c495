"""The files of /proc that are no texts: memory, page words, the log, sysctls; what writes do."""

from __future__ import annotations

import errno

from pkern.kernel import late
from pkern.kernel.core import ffi, lib
from pkern.kernel.errors import SyscallError
from pkern.kernel.sysctl import parse_number
from pkern.kernel.typed import TYPE_CHECKING, Any, Callable, Hashable
from pkern.kernel.vfs.inode import ANYWHERE, MAX_SIZE, MAY_READ, MAY_WRITE, POLLIN, UNWRITTEN, Inode
from pkern.kernel.vfs.proc.inode import task_of
from pkern.kernel.vfs.proc.text import AddressFile, FixedMode, MachineFile
from pkern.kernel.wait import WouldBlock

if TYPE_CHECKING:
    from pkern.kernel.tasks.machine import Machine
    from pkern.kernel.tasks.task import Task
    from pkern.kernel.vfs.file import File
    from pkern.kernel.vfs.machine import Caller

PAGE_SIZE = 4096
WORD = 8
NO_FRAME = (-1 << 55 & (1 << 64) - 1).to_bytes(WORD, "little")  # a mask for a word of pagemap
MAX_WORDS = 65536  # of one read


def need_memory_of(of: Task, reader: Task) -> None:
    """Refuse to open what shows a task's memory. Errors: EACCES (no tracer), ESRCH (it ended)."""
    if not of.alive:
        raise SyscallError(errno.ESRCH)
    if not reader.may_trace(of):
        raise SyscallError(errno.EACCES)


# ---- arrays of 64-bit words ----


def word_range(pos: int, nbytes: int, total: int) -> tuple[int, int]:
    """Return (first word, how many) of a read among total words.

    Errors: EINVAL (parts of a word, a position that is negative as numbers go).
    """
    if pos % WORD or nbytes % WORD or pos > MAX_SIZE:
        raise SyscallError(errno.EINVAL)
    first = pos // WORD
    return first, max(0, min(nbytes // WORD, total - first, MAX_WORDS))


class PagemapFile(AddressFile):
    """/proc/PID/pagemap: a word for each page; pfns only for those with CAP_SYS_ADMIN."""

    lacks = UNWRITTEN
    undivided = MAY_READ

    def __init__(self, kernel: Machine, of_task: Task) -> None:
        super().__init__(kernel, 0o400)
        self.of_task = of_task
        self._reader: Caller | None = None

    def opened(self, task: Caller) -> Inode:
        need_memory_of(self.of_task, task_of(task, self.kernel))
        copy = self.for_one_open()
        copy._reader = task
        return copy

    def read(self, pos: int, nbytes: int) -> bytes:
        if not self.of_task.alive:
            return b""
        mm = self.of_task.mm
        first, count = word_range(pos, nbytes, int(mm.counters.task_size) // PAGE_SIZE)
        words = ffi.new("uint64_t[]", count or 1)
        lib.mm_pagemap(mm.handle, first, count, words)
        shown = bytes(ffi.buffer(words, count * WORD))
        if self._reader is None or not self._reader.capable("CAP_SYS_ADMIN"):
            return without_frames(shown)
        return shown


def without_frames(words: bytes) -> bytes:
    """Return pagemap's words without the numbers of frames."""
    mask = int.from_bytes(NO_FRAME * (len(words) // WORD), "little")
    return (int.from_bytes(words, "little") & mask).to_bytes(len(words), "little")


# Flags of the core -> bits of /proc/kpageflags. Source: linux/kernel-page-flags.h.
PAGE_FLAG_BITS = (
    (lib.PG_REFERENCED, 2), (lib.PG_UPTODATE, 3), (lib.PG_DIRTY, 4), (lib.PG_LRU, 5),
    (lib.PG_ACTIVE, 6), (lib.PG_SLAB, 7), (lib.PG_FREE, 10), (lib.PG_ANON, 12),
    (lib.PG_SWAPCACHE, 13), (lib.PG_ANON, 14), (lib.PG_SHMEM, 14), (lib.PG_HUGE, 15),
    (lib.PG_TAIL, 16), (lib.PG_HUGE | lib.PG_TAIL, 17), (lib.PG_UNEVICTABLE, 18),
    (lib.PG_ANON, 3), (lib.PG_KSM, 21), (lib.PG_ZERO, 24), (lib.PG_TABLE, 26),
    (lib.PG_RESERVED, 32), (lib.PG_UNEVICTABLE, 33),
)  # fmt: skip
KPF_MMAP = 1 << 11
KPF_OWNER_2 = 1 << 34  # of an anonymous page: it is one process's own


def page_count(info: Any) -> int:
    """Return how often a page is mapped."""
    return int(info.mapcount)


def page_flags(info: Any) -> int:
    """Return a page's KPF_* bits."""
    word = KPF_MMAP if info.mapcount else 0
    if info.flags & (lib.PG_ANON | lib.PG_FORKED | lib.PG_KSM) == lib.PG_ANON:
        word |= KPF_OWNER_2
    for flag, bit in PAGE_FLAG_BITS:
        if info.flags & flag:
            word |= 1 << bit
    return word


class PagesFile(MachineFile):
    """/proc/kpagecount and kpageflags: a word for each page of RAM."""

    splices = 0
    undivided = MAY_READ

    def __init__(self, kernel: Machine, word: Callable[[Any], int]) -> None:
        super().__init__(kernel, 0o400)
        self._word = word

    def read(self, pos: int, nbytes: int) -> bytes:
        first, count = word_range(pos, nbytes, int(self.kernel.memory.counters.nr_total))
        info = ffi.new("struct page_info *")
        words = ffi.new("uint64_t[]", count or 1)
        for i in range(count):
            lib.machine_page_info(self.kernel.memory.core, first + i, info)
            words[i] = self._word(info)
        return bytes(ffi.buffer(words, count * WORD))


# ---- another task's memory ----


class MemFile(AddressFile):
    """/proc/PID/mem: the task's memory at its addresses, whatever protects it, for a tracer."""

    def __init__(self, kernel: Machine, of_task: Task, reader: Task | None = None) -> None:
        super().__init__(kernel, 0o600)
        self._of_task = of_task
        self._reader = reader or of_task

    def opened(self, task: Caller) -> Inode:
        reader = task_of(task, self.kernel)
        need_memory_of(self._of_task, reader)
        copy = self.for_one_open()
        copy._reader = reader
        return copy

    def read(self, pos: int, nbytes: int) -> bytes:
        """Return what can be read from address pos on. Errors: EIO: nothing can."""
        data = bytearray()
        while len(data) < nbytes and self._of_task.alive:
            at = pos + len(data)
            part = min(PAGE_SIZE - at % PAGE_SIZE, nbytes - len(data))
            got = self._reader.look_past(self._of_task.mm, at, part)
            data += got
            if len(got) < part:
                break
        if nbytes and not data and self._of_task.alive:
            raise SyscallError(errno.EIO)
        return bytes(data)

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        """Write at address pos what can be written. Errors: EIO: nothing can."""
        done = 0
        while done < len(data) and self._of_task.alive:
            at = pos + done
            part = data[done : done + PAGE_SIZE - at % PAGE_SIZE]
            stored = self._of_task.mm.write_forced(at, part)
            done += stored
            if stored < len(part):
                break
        if data and not done and self._of_task.alive:
            raise SyscallError(errno.EIO)
        return done


# ---- the log ----


class KmsgFile(MachineFile):
    """/proc/kmsg: the log, each line to one reader only, as syslog(2) hands it out."""

    whences = ANYWHERE
    splices = 0

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel, 0o400)

    def open_check(self, task: Caller, wanted: int) -> None:
        super().open_check(task, wanted)
        if not task.capable("CAP_SYSLOG"):
            raise SyscallError(errno.EPERM)

    def file_read(self, file: File, pos: int, nbytes: int) -> bytes:
        log = self.kernel.log
        if nbytes and not log.unread():
            raise WouldBlock(log)
        return log.take(nbytes)

    @property
    def wait_key(self) -> Hashable:
        return self.kernel.log

    def poll(self, file: File) -> int:
        return POLLIN if self.kernel.log.unread() else 0


# ---- the configuration ----

# What a kernel of Linux would be called that has what this one has.
CONFIG = """
    64BIT X86_64 X86 MMU SHMEM TMPFS TMPFS_XATTR HUGETLBFS HUGETLB_PAGE SWAP SYSVIPC PROC_FS SYSFS
    PROC_SYSCTL PROC_PAGE_MONITOR PROC_CHILDREN EPOLL EVENTFD TIMERFD FUTEX MEMFD_CREATE
    BINFMT_ELF ADVISE_SYSCALLS MEMBARRIER RSEQ PRINTK IKCONFIG IKCONFIG_PROC LEGACY_VSYSCALL_XONLY
    """


class ConfigFile(MachineFile):
    """/proc/config.gz: how the kernel is configured."""

    whences = ANYWHERE
    splices = 0

    def __init__(self, kernel: Machine) -> None:
        super().__init__(kernel, 0o444)
        lines = "".join(f"CONFIG_{name}=y\n" for name in CONFIG.split())
        self._content: bytes = late.load("gzip").compress(lines.encode(), mtime=0)

    @property
    def size(self) -> int:
        return len(self._content)

    def read(self, pos: int, nbytes: int) -> bytes:
        return self._content[pos : pos + nbytes]


# ---- sysctls ----


class SysctlFile(FixedMode):
    """One parameter under /proc/sys."""

    can_epoll = True

    whences = ANYWHERE
    splices = undivided = MAY_READ | MAY_WRITE

    def set_owner(self, uid: int, gid: int) -> None:
        """Refuse. Errors: EPERM."""
        raise SyscallError(errno.EPERM)

    def __init__(self, kernel: Machine, name: str) -> None:
        entry = kernel.sysctl.entry(name)
        super().__init__(kernel, entry.mode or (0o444 if entry.read_only else 0o644))
        self._name = name
        self._reader: Caller | None = None  # who opened it, in whose namespaces it is looked up

    def opened(self, task: Caller) -> Inode:
        copy = self.for_one_open()
        copy._reader = task
        return copy

    def open_check(self, task: Caller, wanted: int) -> None:
        """Refuse what the bits do not say: no capability helps. Errors: EACCES."""
        root = self.kernel.sysctl.has_roots_rights(self._name, task)
        bits = self.mode >> (6 if root else 0) & 7
        denied = wanted & MAY_WRITE and not self.kernel.sysctl.may_write(self._name, task)
        if denied or wanted & ~bits & (MAY_READ | MAY_WRITE):
            raise SyscallError(errno.EACCES)

    def read(self, pos: int, nbytes: int) -> bytes:
        entry = self.kernel.sysctl.entry(self._name)
        if entry.command or (pos and entry.is_numbers):
            return b""  # numbers are read at once, as Linux gives them
        text = self.kernel.sysctl.read(self._name, self._reader)
        return text.encode("utf-8", "surrogateescape")[pos : pos + nbytes]

    def write(self, pos: int, data: bytes, task: Caller | None = None) -> int:
        if pos or not data or self.kernel.sysctl.entry(self._name).command:
            return len(data)  # only what is written from the start counts
        text = data.decode("utf-8", "surrogateescape")
        self.kernel.sysctl.write(self._name, text, self._reader or task)
        return len(data)


# ---- what is written to the files of a task ----

INT_MIN = -(1 << 31)
MAX_NUMBER = 12  # bytes that count of a number
OOM_MIN, OOM_MAX = -1000, 1000
OOM_DISABLE, OOM_ADJ_MAX = -17, 15
UINT_MAX = (1 << 32) - 1
REFS = {1: lib.REFS_ANONYMOUS | lib.REFS_OF_FILES, 2: lib.REFS_ANONYMOUS, 3: lib.REFS_OF_FILES}
REFS_PEAK = 5
COREDUMP_FILTER_BITS = 0x1FF


def parse_kernel(text: bytes, base: int, low: int, high: int) -> int:
    """Return the number that a text is to the kernel; one newline may end it. base 0: as in C.

    Errors: EINVAL (no number), ERANGE (not low..high). Source: kstrtoint() of Linux 6.18.
    """
    digits = text.removesuffix(b"\n").decode("latin-1")
    found = None if digits[1:2] == "b" or "_" in digits else parse_number(digits.lower())
    if base and not digits.lstrip("+-").isdecimal():
        found = None
    if found is None or digits[:1] in ("", " ") or (digits[0] == "-" and low >= 0):
        raise SyscallError(errno.EINVAL)
    value = int(digits) if base else found
    if not low <= value <= high:
        raise SyscallError(errno.ERANGE)
    return value


def number_in(data: bytes, base: int = 0) -> int:
    """Return the 32-bit number that was written, blanks around it. Errors: EINVAL, ERANGE."""
    text = data[:MAX_NUMBER].split(b"\0")[0].strip()
    return parse_kernel(text, base, INT_MIN, -INT_MIN - 1)


def taken(data: bytes) -> int:
    """Return how many bytes of a number count as written."""
    return min(len(data), MAX_NUMBER)


def write_comm(of: Task, data: bytes, writer: Task) -> int:
    """Rename a task, as its own process may. Errors: EINVAL. Source: proc_pid_comm(5)."""
    if writer.group is not of.group:
        raise SyscallError(errno.EINVAL)
    old, of.name = of.name, data[:15].split(b"\0")[0].decode("utf-8", "surrogateescape")
    of.kernel.watch.renamed(of, old)
    return len(data)


def oom_score_adj(of: Task) -> str:
    """Thousandths of all memory that are added to the score. Source: proc_pid_oom_score_adj(5)."""
    return f"{of.oom_score_adj}\n"


def write_oom_score_adj(of: Task, data: bytes, writer: Task) -> int:
    """Set oom_score_adj, -1000..1000. Errors: EINVAL; EACCES: lower than it was allowed to be.

    Source: proc_pid_oom_score_adj(5).
    """
    value = number_in(data)
    if not OOM_MIN <= value <= OOM_MAX:
        raise SyscallError(errno.EINVAL)
    privileged = writer.capable("CAP_SYS_RESOURCE")
    if value < of.group.oom_score_adj_min and not privileged:
        raise SyscallError(errno.EACCES)
    of.oom_score_adj = value
    if privileged:
        of.group.oom_score_adj_min = value
    return taken(data)


def fail_nth(of: Task) -> str:
    """How many allocations are left until one fails. Source: fault-injection.rst of Linux 6.18."""
    return f"{of.kernel.memory.failures.left_of(of)}\n"


def write_fail_nth(of: Task, data: bytes, writer: Task) -> int:
    """Let the nth allocation fail that the task's own calls and faults ask for, 0: none.

    Errors: EINVAL, ERANGE (no unsigned 32-bit number).
    """
    value = number_in(data)
    if not 0 <= value <= UINT_MAX:
        raise SyscallError(errno.EINVAL)
    of.fail_nth(value)
    return taken(data)


def oom_adj(of: Task) -> str:
    """The older scale, -17..15. Source: proc_pid_oom_adj(5)."""
    if of.oom_score_adj == OOM_MAX:
        return f"{OOM_ADJ_MAX}\n"
    return f"{int(of.oom_score_adj * -OOM_DISABLE / OOM_MAX)}\n"


def write_oom_adj(of: Task, data: bytes, writer: Task) -> int:
    """Set oom_score_adj on the older scale. Errors: EINVAL; EACCES: lower than it is.

    Source: proc_pid_oom_adj(5).
    """
    value = number_in(data)
    if not OOM_DISABLE <= value <= OOM_ADJ_MAX:
        raise SyscallError(errno.EINVAL)
    scaled = OOM_MAX if value == OOM_ADJ_MAX else int(value * OOM_MAX / -OOM_DISABLE)
    if scaled < of.oom_score_adj and not writer.capable("CAP_SYS_RESOURCE"):
        raise SyscallError(errno.EACCES)
    of.oom_score_adj = scaled
    return taken(data)


def write_clear_refs(of: Task, data: bytes, writer: Task) -> int:
    """Forget which pages were referenced (1 to 3: all, anonymous, of files), or the peak (5).

    4 is taken and does nothing: no page is watched for writes. Errors: EINVAL.
    Source: proc_pid_clear_refs(5).
    """
    kind = number_in(data, 10)
    if not 1 <= kind <= REFS_PEAK:
        raise SyscallError(errno.EINVAL)
    if of.alive and kind in REFS:
        lib.mm_clear_refs(of.mm.handle, REFS[kind])
    elif of.alive and kind == REFS_PEAK:
        lib.mm_reset_peak(of.mm.handle)
    return taken(data)


def coredump_filter(of: Task) -> str:
    """Which kinds of memory a core file holds. Source: core(5)."""
    return f"{of.mm.settings.coredump_filter:08x}\n" if of.alive else ""


def write_coredump_filter(of: Task, data: bytes, writer: Task) -> int:
    """Set the filter. Errors: EINVAL. Source: core(5)."""
    value = parse_kernel(data, 0, 0, (1 << 32) - 1)
    if not of.alive:
        raise SyscallError(errno.ESRCH)
    of.mm.set(coredump_filter=value & COREDUMP_FILTER_BITS)
    return len(data)


def _may_see_slack(of: Task, who: Task) -> None:
    if who is not of and not who.capable_in(of.cred.user_ns, "CAP_SYS_NICE"):
        raise SyscallError(errno.EPERM)


def timer_slack(of: Task, reader: Task) -> str:
    """Nanoseconds that a timer may be late. Errors: EPERM. Source: proc_pid_timerslack_ns(5)."""
    _may_see_slack(of, reader)
    return f"{of.attributes.timer_slack_ns}\n"


def write_timer_slack(of: Task, data: bytes, writer: Task) -> int:
    """Set the slack; 0 is the default. Errors: EPERM, EINVAL. Source: proc_pid_timerslack_ns(5)."""
    value = parse_kernel(data, 10, 0, (1 << 64) - 1)
    _may_see_slack(of, writer)
    of.set_attributes(timer_slack_ns=value or of.attributes.default_slack_ns)
    return len(data)
