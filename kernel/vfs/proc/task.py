"""The texts of /proc/PID about one task, in Linux's layout. Numbers come from the core's counters.

Every function takes the task that the file is about; those that show more to who may trace it take
the reader, too.
"""

from __future__ import annotations

from pkern.kernel.clock import CLOCK_BOOTTIME
from pkern.kernel.lean import lru_cache
from pkern.kernel.mm import ksm
from pkern.kernel.mm.mm import Areas
from pkern.kernel.mm.policy import node_list
from pkern.kernel.tasks.credentials import CapSet, mask_of
from pkern.kernel.tasks.thread import NO_CALL, WORD
from pkern.kernel.typed import TYPE_CHECKING, Any, Iterable

if TYPE_CHECKING:
    from pkern.kernel.namespaces.pid import PidNamespace
    from pkern.kernel.tasks.attributes import IoCounters
    from pkern.kernel.tasks.group import Times
    from pkern.kernel.tasks.task import Task

PAGE_SIZE = 4096
PAGE_MASK = PAGE_SIZE - 1
KB_PER_PAGE = 4
HUGE_PAGES = 512  # that a huge one has
TICK_NS = 10_000_000  # a clock tick of USER_HZ
INFINITY = (1 << 64) - 1
STATES = {
    "R": "R (running)",
    "S": "S (sleeping)",
    "D": "D (disk sleep)",
    "T": "T (stopped)",
    "t": "t (tracing stop)",
    "Z": "Z (zombie)",
}
PF_FORKNOEXEC = 0x40
LOW = (1 << 31) - 1  # of a set of signals: what stat shows of it
ARG_MAX = 1 << 20


def state_letter(task: Task) -> str:
    """Return the letter of what the task is doing."""
    if task.alive and task.trace is not None and task.trace.held:
        return "t"
    return task.state


def lines(rows: Iterable[tuple[str, object]]) -> str:
    """Return `name:<tab>value` lines."""
    return "".join([f"{name}:\t{value}\n" for name, value in rows])


# ---- status ----


def _areas(task: Task) -> Areas:
    return (task.mm.areas if task.alive else None) or Areas()


def _code_pages(task: Task) -> int:
    found = _areas(task)
    return ((found.end_code + PAGE_MASK) // PAGE_SIZE) - found.start_code // PAGE_SIZE


def _levels(task: Task, pid: int, pid_ns: PidNamespace) -> str:
    """Return the numbers of a pid in a namespace, and in those below it down to the task's own."""
    if task.pid_ns is pid_ns:
        return str(pid_ns.number_of(pid))
    return "\t".join(map(str, pid_ns.numbers_down(pid, task.pid_ns)))


_OF_PROCESSOR = lines(
    [
        ("Speculation_Store_Bypass", "not vulnerable"),
        ("SpeculationIndirectBranch", "not affected"),
        ("Cpus_allowed", 1),
        ("Cpus_allowed_list", 0),
    ]
)
_SWITCHES = lines([("voluntary_ctxt_switches", 0), ("nonvoluntary_ctxt_switches", 0)])


@lru_cache(8)
def _node_lines(nodes: int) -> str:
    """Return the lines about the nodes that a machine has."""
    mask = ",".join(["00000000"] * 31 + [f"{nodes:08x}"])
    return lines([("Mems_allowed", mask), ("Mems_allowed_list", node_list(nodes))])


@lru_cache(64)  # tasks are few kinds of users
def _cap_lines(*sets: CapSet) -> str:
    """Return the lines of a task's sets of capabilities."""
    names = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    masks = [f"{mask_of(chosen):016x}" for chosen in sets]
    return lines(zip(names, masks, strict=True))


_HEAD = """\
Name:\t%s
%sState:\t%s
Tgid:\t%d
Ngid:\t0
Pid:\t%d
PPid:\t%d
TracerPid:\t%d
Uid:\t%d\t%d\t%d\t%d
Gid:\t%d\t%d\t%d\t%d
FDSize:\t%d
Groups:\t%s
NStgid:\t%s
NSpid:\t%s
NSpgid:\t%s
NSsid:\t%s
Kthread:\t0
"""
_SIZES = (
    "VmPeak", "VmSize", "VmLck", "VmPin", "VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem",
    "VmData", "VmStk", "VmExe", "VmLib", "VmPTE", "VmSwap", "HugetlbPages",
)  # fmt: skip
_AFTER_SIZES = """\
CoreDumping:\t%d
THP_enabled:\t0
untag_mask:\t0xffffffffffffffff
"""
_OF_MEMORY = "".join(f"{name}:\t%8d kB\n" for name in _SIZES) + _AFTER_SIZES
_OF_SIGNALS = """\
Threads:\t%d
SigQ:\t%d/%d
SigPnd:\t%016x
ShdPnd:\t%016x
SigBlk:\t%016x
SigIgn:\t%016x
SigCgt:\t%016x
"""
_OF_FILTERS = """\
NoNewPrivs:\t%d
Seccomp:\t%d
Seccomp_filters:\t%d
"""


def status(task: Task, reader: Task, pid_ns: PidNamespace) -> str:
    """The task for people. Source: proc_pid_status(5)."""
    cred, seccomp = task.cred, task.seccomp
    filters = (seccomp.mode, len(seccomp.programs)) if seccomp else (0, 0)
    parts = (
        _HEAD % _names_of(task, reader, pid_ns),
        _OF_MEMORY % (*_sizes_of(task), task.dumping) if task.alive else "",
        _OF_SIGNALS % _signals_of(task),
        _cap_lines(cred.inheritable, cred.permitted, cred.effective, cred.bounding, cred.ambient),
        _OF_FILTERS % (cred.no_new_privs, *filters),
        _OF_PROCESSOR,
        _node_lines(task.kernel.memory.all_nodes),
        _SWITCHES,
    )
    return "".join(parts)


def _names_of(task: Task, reader: Task, pid_ns: PidNamespace) -> tuple[object, ...]:
    """Return what status begins with: names, numbers and users, as the reader sees them."""
    cred, number, state = task.cred, pid_ns.number_of, STATES[state_letter(task)]
    uid, gid = reader.cred.user_ns.uid_of, reader.cred.user_ns.gid_of
    return (
        task.name.replace("\\", "\\\\").replace("\n", "\\n"),
        f"Umask:\t{task.umask:04o}\n" if task.alive else "", state,
        number(task.tgid), number(task.pid), number(task.ppid),
        number(task.trace.tracer.pid) if task.trace else 0,
        *map(uid, cred.uids), uid(cred.fsuid), *map(gid, cred.gids), gid(cred.fsgid),
        task.fds.size if task.alive else 0,
        "".join([f"{gid(group)} " for group in cred.groups]) or " ",
        *[_levels(task, pid, pid_ns) for pid in (task.tgid, task.pid, task.pgid, task.sid)],
    )  # fmt: skip


def _signals_of(task: Task) -> tuple[int, ...]:
    """Return the threads, and the numbers and sets of signals, that status shows."""
    signals = task.signals
    return (
        len(task.group.threads), task.kernel.tasks.queued.of(task), task.rlimits["sigpending"][0],
        signals.own.mask(), signals.shared.mask(), signals.blocked, *signals.chosen(),
    )  # fmt: skip


def _sizes_of(task: Task) -> tuple[int, ...]:
    """Return the sizes of a task's memory in status, kB."""
    c = task.mm.counters
    total, anon, file, shmem = c.total_vm, c.rss_anon, c.rss_file, c.rss_shmem
    rss, executable = anon + file + shmem, c.exec_vm
    code = min(_code_pages(task), executable)
    pages = (
        max(c.hiwater_vm, total), total, c.locked_vm, c.nr_special, max(c.hiwater_rss, rss), rss,
        anon, file, shmem, c.data_vm, c.stack_vm, code, executable - code, c.nr_pagetable,
        c.nr_swap, c.nr_hugetlb * HUGE_PAGES,
    )  # fmt: skip
    return tuple([nr * KB_PER_PAGE for nr in pages])


def ksm_merging_pages(task: Task) -> str:
    """How many of its pages are merged with others."""
    return f"{int(ksm.told_of(task.mm).merging_pages)}\n" if task.alive else ""


def ksm_stat(task: Task) -> str:
    """What merging does for a task. Source: proc_pid_ksm_stat() of Linux 6.18."""
    if not task.alive:
        return ""
    found, words = ksm.told_of(task.mm), ("no", "yes")
    return (
        f"ksm_rmap_items {int(found.rmap_items)}\n"
        f"ksm_zero_pages {int(found.zero_pages)}\n"
        f"ksm_merging_pages {int(found.merging_pages)}\n"
        f"ksm_process_profit {ksm.profit(found)}\n"
        f"ksm_merge_any: {words[int(found.merge_any)]}\n"
        f"ksm_mergeable: {words[int(found.mergeable)]}\n"
    )


# ---- stat, statm ----


def tty_number(task: Task) -> int:
    """Return the device number of the controlling terminal as stat shows it, 0 for none."""
    return int(task.tty.rdev) if task.tty is not None else 0


HIDDEN_PLACES = {26: 1, 27: 1}  # what stat shows of where memory lies to who may not look


def _memory_sizes(task: Task) -> dict[int, int]:
    """Return stat's fields about how much memory a live task has."""
    c = task.mm.counters
    return {23: int(c.total_vm) * PAGE_SIZE, 24: int(c.rss_anon + c.rss_file + c.rss_shmem)}


def _memory_places(task: Task) -> dict[int, int]:
    """Return stat's fields about where a live task's memory lies."""
    c, found = task.mm.counters, _areas(task)
    return {
        26: found.start_code, 27: found.end_code, 28: int(c.start_stack), 45: found.start_data,
        46: found.end_data, 47: int(c.start_brk), 48: found.arg_start, 49: found.arg_end,
        50: found.env_start, 51: found.env_end,
    }  # fmt: skip


def stat(task: Task, reader: Task, pid_ns: PidNamespace) -> str:
    """52 numbers for programs, about a process. Source: proc_pid_stat(5)."""
    return _stat(task, reader, pid_ns, task.group.times)


def thread_stat(task: Task, reader: Task, pid_ns: PidNamespace) -> str:
    """The same of one thread: its own faults and time. Source: proc_pid_stat(5)."""
    return _stat(task, reader, pid_ns, task.times)


def _stat(task: Task, reader: Task, pid_ns: PidNamespace, used: Times) -> str:
    number = pid_ns.number_of
    foreground = getattr(task.tty, "foreground", -1) or -1
    theirs = task.group.waited_for
    started = task.start_ns + reader.nsproxy.time.ahead(CLOCK_BOOTTIME)
    may_look, signals, attributes = reader.may_trace(task), task.signals, task.attributes
    ignored, handled = signals.chosen()
    fields: dict[int, Any] = dict.fromkeys(range(1, 53), 0)
    fields |= {
        1: number(task.pid), 2: f"({task.name})", 3: state_letter(task), 4: number(task.ppid),
        5: number(task.pgid), 6: number(task.sid), 7: tty_number(task),
        8: foreground if foreground < 0 else number(foreground),
        9: 0 if task.has_execed else PF_FORKNOEXEC, 10: used.minor,
        11: theirs.minor, 12: used.major, 13: theirs.major, 14: used.cpu_ns // TICK_NS,
        16: theirs.cpu_ns // TICK_NS, 18: attributes.priority, 19: attributes.nice,
        20: len(task.group.threads), 22: started // TICK_NS, 25: task.rlimits["rss"][0],
        31: signals.own.mask() & LOW, 32: signals.blocked & LOW,
        33: ignored & LOW, 34: handled & LOW,
        35: int(may_look and task.state != "R"), 38: _exit_signal(task),
        40: attributes.rt_priority, 41: attributes.policy,
        52: _exit_code(task) if may_look else 0,
    }  # fmt: skip
    if task.alive:
        fields |= _memory_sizes(task) | (_memory_places(task) if may_look else HIDDEN_PLACES)
    return " ".join(str(fields[number]) for number in range(1, 53)) + "\n"


def _exit_signal(task: Task) -> int:
    return task.group.exit_signal if task is task.group.leader else -1


def _exit_code(task: Task) -> int:
    ended = task.group.exit_status if task is task.group.leader else task.exit_status
    return ended or 0


def statm(task: Task) -> str:
    """Sizes in pages: total, resident, shared, text, 0, data, 0. Source: proc_pid_statm(5)."""
    if not task.alive:
        return "0 0 0 0 0 0 0\n"
    c = task.mm.counters
    shared = c.rss_file + c.rss_shmem
    data = c.data_vm + c.stack_vm
    return f"{c.total_vm} {c.rss_anon + shared} {shared} {_code_pages(task)} 0 {data} 0\n"


# ---- limits and small files ----

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


def limits(task: Task) -> str:
    """The resource limits as a table. Source: proc_pid_limits(5)."""
    table = [f"{'Limit':<25} {'Soft Limit':<20} {'Hard Limit':<20} {'Units':<10}"]
    for title, name, unit in LIMIT_ROWS:
        soft, hard = ("unlimited" if v == INFINITY else str(v) for v in task.rlimits[name])
        table.append(f"{title:<25} {soft:<20} {hard:<20} " + (f"{unit:<10}" if unit else ""))
    return "\n".join(table) + "\n"


def _user_bytes(task: Task, reader: Task, start: int, end: int) -> bytes:
    """Return user memory that a program may have unmapped meanwhile."""
    return reader.look_into(task.mm, start, min(end - start, ARG_MAX))


def cmdline(task: Task, reader: Task) -> bytes:
    """The arguments, each ended by NUL, as the program has left them. Source: proc_pid_cmdline(5).

    A program that wrote over the last NUL shows what it wrote, up to the next NUL.
    """
    if not task.alive:
        return b""
    found = task.mm.areas
    if found is None:
        return "".join(f"{a}\0" for a in task.argv).encode("utf-8", "surrogateescape")
    text = _user_bytes(task, reader, found.arg_start, found.arg_end)
    if not text or text.endswith(b"\0"):
        return text
    return (text + _user_bytes(task, reader, found.env_start, found.env_end)).split(b"\0")[0]


def environ(task: Task, reader: Task) -> bytes:
    """The environment that the program began with. Source: proc_pid_environ(5)."""
    found = _areas(task)
    return _user_bytes(task, reader, found.env_start, found.env_end) if task.alive else b""


def auxv(task: Task) -> bytes:
    """The auxiliary vector: pairs of 64-bit words. Source: proc_pid_auxv(5)."""
    return (task.mm.areas or Areas()).auxv  # kept for who opened it while the task lived


def comm(task: Task) -> str:
    """The task's name. Source: proc_pid_comm(5)."""
    return f"{task.name}\n"


def io(task: Task) -> str:
    """Bytes and calls of read and write of a process. Source: proc_pid_io(5)."""
    return _io_text(task.group.io)


def thread_io(task: Task) -> str:
    """The same of one thread. Source: proc_pid_io(5)."""
    return _io_text(task.io)


def _io_text(c: IoCounters) -> str:
    return (
        f"rchar: {c.rchar}\nwchar: {c.wchar}\nsyscr: {c.syscr}\nsyscw: {c.syscw}\n"
        f"read_bytes: {c.read_bytes}\nwrite_bytes: {c.write_bytes}\ncancelled_write_bytes: 0\n"
    )


def oom_score(task: Task) -> str:
    """How likely the OOM killer chooses the task: 0 to 2000. Source: proc_pid_oom_score(5)."""
    return f"{task.kernel.memory.oom.score(task)}\n"


CALL_REGISTERS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")


def syscall(task: Task) -> str:
    """The call that the task is in or leaves, or reads this by, its registers, rsp and rip.

    -1 and the last two: it is in none; running: who knows. Source: proc_pid_syscall(5).
    """
    if not task.alive:
        return "-1 0x0 0x0\n"
    reads, call = task.kernel.memory.running() is task, task.unfinished
    if task.context is None or not (reads or task.state != "R"):
        return "running\n"
    now = task.cpu.registers()
    number = now["rax"] if reads else task.thread.orig_rax
    registers = tuple(now[name] for name in CALL_REGISTERS)
    if call is not None and not reads:
        number, registers = call
    shown = (-1, ()) if number & WORD == NO_CALL else (number & WORD, registers[:6])
    words = (*shown[1], now["rsp"], now["rip"])
    return " ".join([str(shown[0]), *(f"{word:#x}" for word in words)]) + "\n"


def personality(task: Task) -> str:
    """The execution domain in hex. Source: proc_pid_personality(5)."""
    return f"{task.attributes.personality:08x}\n"


def schedstat(task: Task) -> str:
    """Nanoseconds on the processor, waiting for it (never), slices. Source: sched-stats.txt."""
    return f"{task.time_ns} 0 0\n"
