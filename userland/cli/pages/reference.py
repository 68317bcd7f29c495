"""Reference tables generated from the code: the sysctls and the system calls.

The same rows serve `pkern sysctl`, `pkern syscalls`, the console and the pages docs/sysctls.md and
docs/syscalls.md, so that no page can say what the code does not do.
"""

import textwrap

from pkern.kernel.machine import Kernel
from pkern.kernel.sysctl_entry import Entry
from pkern.syscalls import TABLE, numbers
from pkern.userland.tables import markdown_table

SYSCTL_HEADERS = ("sysctl", "value", "range", "writer", "what it does")
SYSCALL_HEADERS = ("nr", "call", "support", "what it does, and what is missing")
MARK = "<!-- written by `make docs` from the code: edit the code, not this page -->\n"

SYSCTL_PAGE = """\
# Sysctls

Every entry can be read and written under /proc/sys by a task (`/proc/sys/vm/nonlinear`), with
`kernel.sysctl["vm.nonlinear"]` in Python, with `--sysctl NAME=VALUE` and `--sysctl-file FILE` at
boot, and in `pkern console`. A bad value is EINVAL and changes nothing; an open for writing without
the right is EACCES; every change is logged with who did it. Values: those of a machine with 1 GiB.
"""
# Names that are not there: below what, which, and what they belong to.
LEFT_OUT = (
    ("kernel", "acct", "accounting of processes"),
    ("kernel", "bootloader_\\*, firmware_config/, io_delay_type", "hardware"),
    ("kernel", "cad_pid, poweroff_cmd", "how a machine is switched off from inside"),
    ("kernel", "bpf_stats_enabled, unprivileged_bpf_disabled", "bpf"),
    ("kernel", "ftrace_\\*, traceoff_on_warning, tracepoint_printk", "tracers of functions"),
    ("kernel", "hardlockup_\\*, hung_task_\\*, softlockup_\\*", "watchdogs"),
    ("kernel", "nmi_watchdog, soft_watchdog, watchdog\\*", "watchdogs"),
    ("kernel", "keys/, usermodehelper/", "keyrings, helpers in user space"),
    ("kernel", "max_rcu_stall_to_panic, oops_\\*, warn_limit", "faults of the kernel"),
    ("kernel", "panic_\\* but for panic_on_oops and panic_on_warn", "faults of the kernel"),
    ("kernel", "split_lock_mitigate, unknown_nmi_panic", "hardware"),
    ("kernel", "ns_last_pid", "checkpoint and restore"),
    ("kernel", "numa_balancing\\*", "pages that follow who uses them"),
    ("kernel", "perf_\\*", "counters of performance"),
    ("fs", "binfmt_misc/, fanotify/, fuse/, quota/", "what is not modelled"),
    ("fs", "dentry-\\*, epoll/, inode-\\*", "caches of names and inodes"),
    ("/proc", "acpi/, bus/, consoles, dma, iomem, ioports, irq/, mtrr", "hardware"),
    ("/proc", "crypto, kallsyms, key-users, keys, timer_list", "the kernel's own code and tables"),
    ("/proc", "pressure/, PID/sched", "what tasks wait for; the scheduler's own numbers"),
)
LEFT_OUT_PAGE = """\
## Names of Linux 6.18 that are not there
"""

SYSCALL_PAGE = """\
# System calls

Every call of Linux 6.18 on x86-64: done, done partly, or not done. A call that is not done returns
ENOSYS and is logged once.
"""


IA32_PAGE = """\
## By int 0x80

Of the i386 table, {there} of {all} calls; the others return ENOSYS. What a `partly` above lacks is
missing here too.
"""


def ia32_text() -> str:
    """Return what there is of the i386 table: how much, and the names."""
    from pkern.syscalls.ia32 import calls
    from pkern.syscalls.ia32.numbers import NAMES

    there = [name for _, name in sorted(NAMES.items()) if calls.exists(name)]
    names = textwrap.fill(" ".join(there), 100, break_on_hyphens=False)
    return f"{IA32_PAGE.format(there=len(there), all=len(NAMES))}\n{names}"


def sysctl_rows(kernel: Kernel, pattern: str = "") -> list[tuple[str, ...]]:
    """Return one row for each sysctl whose name holds pattern, in order of names."""
    entries = sorted(kernel.sysctl.entries(), key=lambda entry: entry.name)
    return [_sysctl_row(kernel, entry) for entry in entries if pattern in entry.name]


def _sysctl_row(kernel: Kernel, entry: Entry) -> tuple[str, ...]:
    value = str(kernel.sysctl[entry.name]).replace("\t", " ")
    writer = f"nobody: {entry.read_only}" if entry.read_only else "root"
    return (entry.name, value, entry.range, writer, entry.help)


def syscall_rows(pattern: str = "") -> list[tuple[str, ...]]:
    """Return one row for each system call whose name holds pattern, in order of numbers."""
    calls = sorted(numbers.NAMES.items())
    return [_syscall_row(nr, name) for nr, name in calls if pattern in name]


def _syscall_row(nr: int, name: str) -> tuple[str, ...]:
    if name in numbers.GONE:
        return (str(nr), name, "done", "ENOSYS, as in Linux: there is no such call any more.")
    call = TABLE.get(nr)
    if call is None:
        return (str(nr), name, "not", numbers.REASONS.get(name, ""))
    support = "partly" if call.partly else "done"
    missing = f" Missing: {call.partly}" if call.partly else ""
    return (str(nr), name, support, call.summary + missing)


def pages() -> dict[str, str]:
    """Return the generated pages of the documentation by file name."""
    from pkern.userland.cli.pages import python_page  # all of sys: tables are to come without it

    with Kernel() as kernel:
        sysctls = markdown_table(SYSCTL_HEADERS, sysctl_rows(kernel))
    left_out = markdown_table(("below", "names", "what they belong to"), LEFT_OUT)
    calls = markdown_table(SYSCALL_HEADERS, syscall_rows())
    return {
        "sysctls.md": f"{MARK}\n{SYSCTL_PAGE}\n{sysctls}\n\n{LEFT_OUT_PAGE}\n{left_out}\n",
        "syscalls.md": f"{MARK}\n{SYSCALL_PAGE}\n{calls}\n\n{ia32_text()}\n",
        "python.md": f"{MARK}\n{python_page.page()}\n",
    }
