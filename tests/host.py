"""The host that tests compare with: what it has that decides what can be compared.

The one place that knows it. What is left out on some hosts stands in the tables here, and is said
at the end of each test run, together with what was found.
"""

from __future__ import annotations

import ctypes
import fnmatch
import mmap
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

from pkern.userland.conform.differences import (
    Release,
    host_release,
    lists_by_generation,
    newer_than,
)
from pkern.userland.conform.hostcpu import host_cpu_features

FEATURES = host_cpu_features()
# What a machine is booted with that is to answer as the host does: `@pytest.mark.boot(cpu=CPU)`.
CPU = ",".join(sorted(FEATURES))

# What is compared only with a host whose processor lacks a feature, and why.
ONLY_WITHOUT = {
    "pku": (
        "accesses of a guest kernel's program to memory that may only be executed: a guest's"
        " processor has no keys",
    ),
}


TOOLS = ("unshare", "nsenter", "setpriv", "capsh", "bwrap", "ip")
_LIBC = ctypes.CDLL(None)
_MAPS = Path("/proc/self/maps").read_text()
_CPUINFO = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].split()


def _five_levels() -> bool:
    """Tell whether a program of the host may have memory above 2**47."""
    libc = ctypes.CDLL(None)
    libc.mmap.restype, libc.munmap.argtypes = ctypes.c_ulong, [ctypes.c_ulong, ctypes.c_ulong]
    hint, anonymous = ctypes.c_ulong(1 << 48), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    at: int = libc.mmap(hint, ctypes.c_ulong(4096), 0, anonymous, -1, ctypes.c_long(0))
    libc.munmap(at, 4096)
    return 1 << 47 < at < 1 << 57


def _tracks_changes() -> bool:
    """Tell whether new memory is marked as changed (CONFIG_MEM_SOFT_DIRTY): VmFlags says "sd"."""
    flags = [
        line for line in Path("/proc/self/smaps").read_text().splitlines() if "VmFlags" in line
    ]
    return any("sd" in line.split() for line in flags)


def _numbers_of_64_bits() -> bool:
    """Tell whether files of a tmpfs have such inode numbers if nobody asks (TMPFS_INODE64)."""
    return any("inode64" in line for line in Path("/proc/mounts").read_text().splitlines())


def _goes_nowhere() -> bool:
    """Tell whether the host has no route to other machines."""
    routes = Path("/proc/net/route")
    lines = routes.read_text().splitlines()[1:] if routes.exists() else []
    return not any(line.split()[1] == "00000000" for line in lines)


def _has_fuse() -> bool:
    """Tell whether this user of the host may mount by FUSE."""
    if os.geteuid():
        return find_library("fuse3") is not None and shutil.which("fusermount3") is not None
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return False
    return find_library("fuse3") is not None


def _in_a_child(question: Callable[[], bool]) -> bool:
    """Return what a child process, which is gone then, answers."""
    child = os.fork()
    if not child:
        os._exit(int(not question()))
    return os.waitpid(child, 0)[1] == 0


NEW_USER, NEW_MOUNTS, NEW_PIDS = 0x10000000, 0x20000, 0x20000000


def _may_unshare(kinds: int = NEW_USER) -> bool:
    """Tell whether this user of the host may be in namespaces of its own."""
    return _in_a_child(lambda: _LIBC.unshare(kinds) == 0)


def _may_mount_proc() -> bool:
    """Tell whether a user namespace may have a /proc: not where the host's is partly hidden."""

    def mounts() -> bool:
        return _LIBC.mount(b"proc", b"/proc", b"proc", 0, None) == 0

    kinds = NEW_USER | NEW_MOUNTS | NEW_PIDS
    return _in_a_child(lambda: _LIBC.unshare(kinds) == 0 and _in_a_child(mounts))


def _file_system(path: str) -> str:
    """Return the type of the file system at a path, by /proc/mounts."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(len(at), kind) for at, kind in mounts if Path(path).is_relative_to(at)]
    return max(above)[1]


@dataclass(frozen=True, slots=True)
class Trait:
    """What some hosts are: whether this one is, and the tests that do not compare with it then."""

    name: str
    here: bool
    reason: str
    tests: tuple[str, ...]


# Asked for by the test, which has more to compare.
GDB_CANNOT_CALL = Trait(
    "a processor with AMX",
    "amx_tile" in _CPUINFO,
    "a function that gdb calls: gdb 13 cannot write that processor's state back",
    (),
)

TRAITS = (
    Trait(
        "page tables of five levels",
        _five_levels(),
        "addresses from 2**47 up, which programs may have there",
        ("*odd_arguments*[[]mincore]", "*odd_arguments*[[]transfers]",
         "*test_elf_errors.py::test_wrong_pointers_fail_as_on_the_host"),
    ),
    Trait(
        "no page of vsyscalls",
        "[vsyscall]" not in _MAPS,
        "calls to the vsyscall page, of which programs die there",
        ("*test_programs.py::*[[]vsyscall]", "*test_uml.py::*[[]*vsyscall*]"),
    ),
    Trait(
        "a page of vsyscalls that can be read",
        any("[vsyscall]" in line and " r" in line for line in _MAPS.splitlines()),
        "its rights in maps, of which conform's runner has to have the host's",
        ("*test_maps_of_a_new_task_is_its_stack_and_the_kernel_s_page",
         "*test_oracle.py::*_agree_with_linux"),
    ),
    GDB_CANNOT_CALL,
    Trait(
        "swap",
        len(Path("/proc/swaps").read_text().splitlines()) > 1,
        "MADV_PAGEOUT where pages have nowhere to go",
        ("*test_elf.py::*[[]faultaround*", "*test_fault_around_of_a_disk_as_on_the_host"),
    ),
    Trait(
        "no user namespaces for this user",
        not _may_unshare(),
        "namespaces",
        ("*test_namespaces_as_on_the_host*",),
    ),
    Trait(
        "no root, or no tools of namespaces: util-linux, bubblewrap, libcap2-bin, iproute2",
        os.geteuid() != 0 or not _may_unshare() or not all(map(shutil.which, TOOLS)),
        "what these tools do",
        ("*test_namespace_tools.py::*",),
    ),
    Trait(
        "a /proc that is mounted over in places, as in many containers",
        not _may_mount_proc(),
        "a /proc of one's own in a user namespace, which it may not have there",
        ("*test_namespace_tools.py::*", "*test_namespaces_as_on_the_host[[]pidnamespaces*"),
    ),
    Trait(
        "no FUSE",
        not _has_fuse(),
        "a machine's files on the host",
        ("*test_mount.py::*",),
    ),
    Trait(
        "marks of changed memory",
        _tracks_changes(),
        "words of pagemap, which have one more there",
        ("*test_elf.py::test_userfaultfd_as_on_the_host*", "*test_elf.py::*[[]largewatched]"),
    ),
    Trait(
        "an emulated processor (qemu's TCG)",
        "TCG" in _CPUINFO,
        "stores over the edge of a page, the resume flag of a fault, error codes of int n, "
        "an MXCSR of a frame that a processor refuses, single steps of a repeated instruction",
        ("*test_elf.py::*[[]operands-*", "*test_elf.py::*[[]resumeflag*",
         "*test_elf.py::*[[]encodings*", "*test_processor_host.py::*[[]eflags]",
         "*test_protection_keys.py::test_the_extended_state_is_read*"),
    ),
    Trait(
        "a processor without fast short copies (fsrm)",
        "fsrm" not in _CPUINFO,
        "bytes of a page copied onto itself, of which Linux chooses the order by the processor",
        ("*test_elf_kernel_pages.py::test_pages_that_a_pipe_brings_back_*",),
    ),
    Trait(
        "a clock that wakes the machine",
        any(Path("/sys/class/rtc").glob("rtc*")),
        "sleep by CLOCK_REALTIME_ALARM and CLOCK_BOOTTIME_ALARM",
        ("*test_elf.py::*[[]alarms-*", "*test_elf.py::*[[]timenamespaces*"),
    ),
    Trait(
        "ports for programs",
        _LIBC.syscall(172, 0) == 0,  # iopl, which asks for nothing
        "iopl and ioperm, which a Linux built without them (X86_IOPL_IOPERM) does not have",
        ("*test_elf.py::*[[]hostile*",),
    ),
    Trait(
        "memory that may fail",
        Path("/proc/sys/vm/memory_failure_recovery").exists(),
        "the code of SIGBUS of a page that a userfaultfd has poisoned",
        ("*test_elf.py::test_userfaultfd_as_on_the_host[[]userfaultfd]",),
    ),
    Trait(
        "another lowest address",
        int(Path("/proc/sys/vm/mmap_min_addr").read_text()) != 4096,
        "ranges at the lowest pages",
        ("*test_elf.py::test_userfaultfd_as_on_the_host[[]userfaults]",),
    ),
    Trait(
        "lists of pages by generation",
        lists_by_generation(),
        "which pages are active or referenced",
        ("*test_elf.py::test_memory_policies_as_on_a_host_with_one_node[[]mempolicy]",
         "*test_elf.py::*[[]faultaround*",
         "*test_fault_around_of_a_disk_as_on_the_host"),
    ),
    Trait(
        "a tmpfs with inode numbers of 64 bits",
        _numbers_of_64_bits(),
        "the options of its mounts",
        ("*test_elf.py::*[[]statmounts*", "*test_elf.py::*[[]mountoptions*",
         "*test_elf.py::*[[]newmounts*"),
    ),
    Trait(
        "sleep",
        Path("/sys/power/wakeup_count").exists(),
        "EPOLLWAKEUP, of which the others know nothing",
        ("*test_elf.py::*[[]epoll-*",),
    ),
    Trait(
        "no route to other machines",
        _goes_nowhere(),
        "a broadcast, which finds no way there before it is asked for its right",
        ("*test_sockets_and_terminals_as_on_the_host[[]inetsockets]",),
    ),
    Trait(
        "temporary files in memory",
        _file_system(tempfile.gettempdir()) == "tmpfs",
        "faults of files that are written back",
        ("*test_fault_around_of_a_disk_as_on_the_host",),
    ),
)  # fmt: skip

# Subjects of differences.NEWER -> the tests that compare them with the host, as patterns of ids.
COMPARED_IN = {
    "memfd's exec flags": ("*odd_arguments*[[]memfd_flags]",
                           "*test_execve_of_descriptors_and_scripts_as_on_the_host*"),
    "one vector": ("*odd_arguments*[[]process_vm]",),
    "cachestat": ("*odd_arguments*[[]cachestat]",),
    "splice": ("*test_splice.py::test_sequences_have_the_hosts_results*",
               "*test_elf.py::test_steps_over_the_slots_of_pipes_as_on_the_host"),
    "xattr": ("*test_elf.py::test_strace_prints_what_strace_prints[[]morecalls]",),
    "heap": ("*test_oracle.py::*_agree_with_linux",),
    "calls that are set": ("*test_each_request_and_stop_as_on_the_host",),
    "notes": ("*test_what_is_in_a_core_file_as_on_the_host*",),
    "rwflags": ("*test_elf.py::*[[]rwflags*",),
    "structures that grow": ("*test_elf.py::*[[]extended*",),
    "rings": ("*test_elf.py::*[[]ringslots]", "*test_elf.py::*[[]ringcalls]",
              "*test_elf.py::*[[]ringfutex]"),
    "flags of pages": ("*test_elf.py::*[[]pageflags*",),
    "taken entries": ("*test_elf.py::*[[]ringstable*",),
    "flags of files": ("*test_elf.py::*[[]chattr*", "*test_elf.py::*[[]fileioctls*"),
    "sizes of rings": ("*test_elf.py::*[[]ringsizes]", "*test_elf.py::*[[]ringbundles]"),
    "where tasks sleep": ("*test_elf.py::*[[]wchan*",),
    "options of mounts": ("*test_elf.py::*[[]mountoptions*",),
    "futex2": ("*test_elf.py::*[[]futex2*",),
    "seen by inotify": ("*test_elf_kernel_pages.py::*[[]watch*",),
    "execve": ("*test_elf_errors.py::test_wrong_pointers_fail_as_on_the_host",),
    "eventfd": ("*test_sockets.py::test_counters_count_as_the_hosts*",),
    "mseal": ("*odd_arguments*[[]mseal_arguments]", "*odd_arguments*[[]what_a_seal_refuses]",
              "*odd_arguments*[[]advice_on_sealed_memory]", "*odd_arguments*[[]a_sealed_heap]",
              "*test_oracle.py::test_sequences_reach_every_call_and_every_end"),
    "weighted interleaving": ("*test_elf.py::test_memory_policies*",),
    "dispatch": ("*test_elf.py::*[[]dispatch*",),
    "secret memory": ("*test_secret_memory_as_on_the_host",),
    "SCHED_EXT": ("*test_info.py::test_a_user_gets_the_hosts_answers",),
    "out-of-band data": ("*test_out_of_band_data_goes_as_on_the_host*",),
    "timers": ("*test_sockets_and_terminals_as_on_the_host[[]asyncio]",),
    "pidfd": ("*test_elf.py::*[[]pidfd*", "*test_elf.py::*[[]threadrules*"),
    "guards": ("*odd_arguments*[[]guards]", "*test_elf.py::*[[]faultaround*]",
               "*test_fault_around_of_a_disk_as_on_the_host"),
    "vectors": ("*odd_arguments*[[]vectors]",),
    "seals": ("*odd_arguments*[[]seals]",),
    "fallocate": ("*odd_arguments*[[]fallocate]",),
    "sockets": ("*test_sockets.py::test_a_socket_alone_has_the_hosts_results*",),
    "waiting bytes": ("*test_sockets_and_terminals_as_on_the_host[[]unixsockets]",
                      "*test_elf.py::test_steps_over_sockets_as_on_the_host"),
    "peeking": ("*test_elf.py::*scmpidfd*",),
    "options": ("*test_sockets_and_terminals_as_on_the_host[[]*sockets]",),
    "no execution": ("*test_elf.py::*[[]sizelimits*",),
    "mdwe": ("*test_elf.py::*[[]mdwe*",),
    "order of vmstat": ("*test_vmstat_names_are_in_the_hosts_order",),
    "rollup": ("*test_proc_files.py::test_who_may_look_is_the_hosts[[]*True*",),
    "userfaultfd": ("*test_userfaultfd_as_on_the_host*", "*test_elf.py::*[[]largewatched]"),
    "fields of /proc": (),
    "tracepoints": (),
}  # fmt: skip


RELEASE = host_release()


def left_out(nodeid: str, release: Release = RELEASE, traits: Iterable[Trait] = TRAITS) -> str:
    """Return why a test is not run beside such a host; empty: it is."""
    for trait in traits:
        if trait.here and any(fnmatch.fnmatch(nodeid, pattern) for pattern in trait.tests):
            return f"the host has {trait.name}: not compared: {trait.reason}"
    for row in newer_than(release):
        if any(fnmatch.fnmatch(nodeid, pattern) for pattern in COMPARED_IN.get(row.subject, ())):
            return f"Linux {_dotted(release)} may lack: {row.reason} ({_dotted(row.by)})"
    return ""


def without_newer_fields(names: Iterable[str], release: Release = RELEASE) -> list[str]:
    """Return the names of lines in /proc, or of tracepoints, of those that such a host has too."""
    newer = {name for row in newer_than(release) for name in row.fields}
    return [name for name in names if name.rstrip(":") not in newer]


def _dotted(release: Release) -> str:
    return ".".join(map(str, release))


def compared_only_without(features: frozenset[str]) -> list[str]:
    """Return what is not compared with a host that has these features."""
    return [what for feature in sorted(features) for what in ONLY_WITHOUT.get(feature, ())]


def summary(
    features: frozenset[str] = FEATURES,
    release: Release = RELEASE,
    traits: Iterable[Trait] = TRAITS,
) -> list[str]:
    """Return what a test run says of its host, in lines."""
    named = ", ".join(sorted(features)) or "no protection keys"
    head = f"the host: Linux {_dotted(release)}, a processor with {named}"
    processor = [
        f"  compared only with a processor without: {what}"
        for what in compared_only_without(features)
    ]
    kernel = [
        f"  compared only from Linux {_dotted(row.by)}: {row.reason}" for row in newer_than(release)
    ]
    others = [f"  not compared, it has {t.name}: {t.reason}" for t in traits if t.here]
    if not processor and not kernel and not others:
        return [f"{head}; all is compared with it"]
    return [head, *processor, *others, *kernel]


def heed_signals() -> None:
    """Take signals again that whoever started this run left ignored: `pytest &`, nohup, a daemon.

    What is ignored stays so in every program that the tests start, here and on the host.
    """
    ours = {signal.SIGPIPE, signal.SIGXFSZ}  # ignored by Python itself, which undoes it for others
    for signo in signal.valid_signals() - ours:
        if signal.getsignal(signo) is signal.SIG_IGN:
            handler = signal.default_int_handler if signo == signal.SIGINT else signal.SIG_DFL
            signal.signal(signo, handler)


def forget_who_starts() -> None:
    """Take the usual umask, and forget the size and the colours of somebody's terminal."""
    os.umask(0o022)
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)


CLONE_NEWIPC = 0x08000000


def own_ipc() -> None:
    """Give the program that is started next its own System V objects and POSIX queues.

    They end with it and with the next call, however it ends: stopped in its middle it removes none
    itself. Who is not root may not ask for that, and has the host's. Not as a preexec_fn, for which
    all of a test process would be copied.
    """
    _LIBC.unshare(CLONE_NEWIPC)


def without_execute_only(output: bytes, features: frozenset[str] = FEATURES) -> list[str]:
    """Return errorcodes' lines, on a host with protection keys those that they do not change."""
    lines = output.decode().splitlines()
    if "pku" not in features:
        return lines
    return [line for line in lines if not line.startswith("prot 4 ")]


_MARK = re.compile(rb"^( *VmFlags:.*) sd\b", re.MULTILINE)


def without_marks(output: bytes) -> bytes:
    """Return what a program has printed, without a flag that only some smaps have."""
    return _MARK.sub(rb"\1", output)
