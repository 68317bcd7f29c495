"""Every call with the n-th allocation failing, for every n until the call passes.

A call that fails gives a clean errno and changes nothing: the maps and the counters are what
they were, the recount holds, and nothing is leaked when the kernel is closed.
"""

from __future__ import annotations

import errno
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import product

import pytest

from pkern.kernel.core import lib
from pkern.kernel.errors import SyscallError, TaskKilled
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.credentials import ALL_CAPS
from pkern.syscalls.table import TABLE, Kind, Syscall
from pkern.userland.program import Sys

PAGE = 4096
BASE = 0x10000000
READ, WRITE = 1, 2
SHARED, PRIVATE, FIXED, ANONYMOUS, POPULATE, NONLINEAR = 1, 2, 0x10, 0x20, 0x8000, 0x800000
_KEEPS = (
    "nr_anon",
    "nr_mapped",
    "nr_file",
    "nr_shmem",
    "nr_special",
    "nr_mlock",
    "nr_vmas",
    "nr_committed",
    "nr_huge_free",
    "nr_huge_reserved",
)
_MOST = 400


@dataclass(frozen=True, slots=True)
class Prepared:
    """A task with something of everything mapped: see _prepare()."""

    kernel: Kernel
    sys: Sys
    fd: int
    anon: int
    shared: int
    private: int
    special: int


def _prepare(rmap: str) -> Prepared:
    kernel = Kernel(ram="8M", rmap=rmap, sysctl={"vm.nonlinear": 1})
    sys = Sys(kernel.spawn(name="sweep", caps=frozenset({"CAP_IPC_LOCK"})))
    fd = sys.memfd_create("file", 0)
    sys.ftruncate(fd, 8 * PAGE)
    sys.pwrite64(fd, b"x" * (4 * PAGE), 0)
    anon, shared, private, special = (BASE + step * 64 * PAGE for step in range(4))
    both = READ | WRITE
    sys.mmap(anon, 8 * PAGE, both, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    sys.mmap(shared, 8 * PAGE, both, SHARED | FIXED, fd, 0)
    sys.mmap(private, 8 * PAGE, both, PRIVATE | FIXED, fd, 0)
    sys.mmap(special, 8 * PAGE, both, SHARED | FIXED | NONLINEAR, -1, 0)
    for area in (anon, shared, private):
        sys.store(area + PAGE, b"before")
    return Prepared(kernel, sys, fd, anon, shared, private, special)


Action = Callable[[Prepared], object]
both = READ | WRITE
FAR = BASE + (1 << 30)

# Each of these either does its whole work or fails and changes nothing.
WHOLE: dict[str, Action] = {
    "mmap anonymous": lambda p: p.sys.mmap(0, PAGE, both, PRIVATE | ANONYMOUS, -1, 0),
    "mmap shared anonymous": lambda p: p.sys.mmap(0, PAGE, both, SHARED | ANONYMOUS, -1, 0),
    "mmap file": lambda p: p.sys.mmap(0, 3 * PAGE, READ, SHARED, p.fd, 0),
    "mmap private file": lambda p: p.sys.mmap(0, 3 * PAGE, both, PRIVATE, p.fd, PAGE),
    "mmap over the middle": lambda p: p.sys.mmap(
        p.anon + 2 * PAGE, PAGE, READ, PRIVATE | FIXED | ANONYMOUS, -1, 0
    ),
    "mmap over two areas' parts": lambda p: p.sys.mmap(
        p.shared + 6 * PAGE, 60 * PAGE, both, PRIVATE | FIXED, p.fd, 0
    ),
    "mmap nonlinear": lambda p: p.sys.mmap(0, PAGE, both, SHARED | NONLINEAR, -1, 0),
    "munmap the middle": lambda p: p.sys.munmap(p.anon + 2 * PAGE, PAGE),
    "munmap a shared middle": lambda p: p.sys.munmap(p.shared + 2 * PAGE, 2 * PAGE),
    "munmap everything": lambda p: p.sys.munmap(p.anon, 256 * PAGE),
    "mprotect the middle": lambda p: p.sys.mprotect(p.anon + 2 * PAGE, PAGE, READ),
    "mprotect a private file": lambda p: p.sys.mprotect(p.private + PAGE, 2 * PAGE, READ),
    "mprotect special": lambda p: p.sys.mprotect(p.special + PAGE, PAGE, READ),
    "mremap grows": lambda p: p.sys.mremap(p.anon, 8 * PAGE, 16 * PAGE, 1, 0),
    "mremap moves": lambda p: p.sys.mremap(p.anon, 8 * PAGE, 8 * PAGE, 3, FAR),
    "mremap moves a part": lambda p: p.sys.mremap(p.anon + PAGE, PAGE, PAGE, 3, FAR),
    "mremap moves a file": lambda p: p.sys.mremap(p.shared + PAGE, PAGE, PAGE, 3, FAR),
    "mremap over another": lambda p: p.sys.mremap(p.anon, PAGE, PAGE, 3, p.shared + 2 * PAGE),
    "mremap shrinks": lambda p: p.sys.mremap(p.private, 8 * PAGE, 2 * PAGE, 0, 0),
    "mremap leaves": lambda p: p.sys.mremap(p.anon, 8 * PAGE, 8 * PAGE, 5, 0),
    "mremap copies": lambda p: p.sys.mremap(p.shared, 0, 2 * PAGE, 1, 0),
    "madvise a hint": lambda p: p.sys.madvise(p.anon + PAGE, PAGE, 1),
    "madvise dontneed": lambda p: p.sys.madvise(p.anon, 4 * PAGE, 4),
    "madvise dontfork": lambda p: p.sys.madvise(p.shared + PAGE, PAGE, 10),
    "madvise remove": lambda p: p.sys.madvise(p.shared, 2 * PAGE, 9),
    "munlock": lambda p: p.sys.munlock(p.anon, 4 * PAGE),
    "remap in an ordinary area": lambda p: p.sys.remap_file_pages(p.shared, PAGE, 0, 3, 0, -1),
    "remap in the special area": lambda p: p.sys.remap_file_pages(p.special, PAGE, 0, 2, 0, p.fd),
    "remap several": lambda p: p.sys.remap_file_pages(p.special, 4 * PAGE, 0, 0, 0, p.fd),
    "fork": lambda p: p.sys.fork(),
    "ftruncate": lambda p: p.sys.ftruncate(p.fd, PAGE + 100),
    "ftruncate grows": lambda p: p.sys.ftruncate(p.fd, 100 * PAGE),
    "memfd_create": lambda p: p.sys.memfd_create("other", 0),
    "msync": lambda p: p.sys.msync(p.shared, 8 * PAGE, 4),
    "brk": lambda p: p.sys.brk(p.sys.brk(0) + 3 * PAGE),
    "prctl": lambda p: p.sys.syscall(157, 15, p.anon, 0, 0, 0),
}

# Linux lets these end in the middle: what was done stays done.
PARTLY: dict[str, Action] = {
    "mmap populate": lambda p: p.sys.mmap(0, 4 * PAGE, both, PRIVATE | ANONYMOUS | POPULATE, -1, 0),
    "mlock": lambda p: p.sys.mlock(p.private, 4 * PAGE),
    "mlockall": lambda p: p.sys.mlockall(1),
    "madvise populate": lambda p: p.sys.madvise(p.anon, 8 * PAGE, 23),
    "pwrite": lambda p: p.sys.pwrite64(p.fd, b"y" * (3 * PAGE), 5 * PAGE),
    "pread": lambda p: p.sys.pread64(p.fd, 8 * PAGE, 0),
    "fallocate": lambda p: p.sys.fallocate(p.fd, 0, 0, 16 * PAGE),
}

# No call to fail: one refused allocation is tried again, as Linux faults again.
FAULTS: dict[str, Action] = {
    "store to anonymous memory": lambda p: p.sys.store(p.anon + 3 * PAGE, b"s"),
    "load of anonymous memory": lambda p: p.sys.load(p.anon + 3 * PAGE, 1),
    "store to a shared hole": lambda p: p.sys.store(p.shared + 6 * PAGE, b"s"),
    "store to a private page": lambda p: p.sys.store(p.private + 2 * PAGE, b"s"),
    "load of a private page": lambda p: p.sys.load(p.private + 2 * PAGE, 1),
    "store to a private hole": lambda p: p.sys.store(p.private + 6 * PAGE, b"s"),
}

_CLEAN = {errno.ENOMEM, errno.EAGAIN, errno.ENFILE, errno.ENOSPC}


def _state(p: Prepared) -> tuple[object, ...]:
    """Everything a failed call must leave alone."""
    counters = p.kernel.counters
    machine = {name: getattr(counters, name) for name in _KEEPS}
    own = p.sys.task.mm.counters
    mine = {name: getattr(own, name) for name in ("total_vm", "locked_vm", "map_count", "brk")}
    return machine, mine, p.sys.task.mm.vmas(), set(p.kernel.tasks), _contents(p)


def _contents(p: Prepared) -> tuple[bytes, ...]:
    return tuple(p.sys.load(area + PAGE, 8) for area in (p.anon, p.shared, p.private))


class End(Enum):
    """How an action with its n-th allocation failing ended."""

    FAILED = "a clean error"
    ABSORBED = "done in spite of it: the allocation was only wished for, or tried again"
    PASSED = "it has fewer than n allocations"


def _sweep(
    rmap: str,
    action: Action,
    judge: Callable[[Prepared, object], None],
    prepare: Callable[[str], Prepared] = _prepare,
) -> int:
    """Fail the first, the second, ... allocation of an action; return how many there are."""
    for n in range(1, _MOST):
        prepared = prepare(rmap)
        before = _state(prepared)
        end = _run_failing(prepared, action, n)
        if end is End.FAILED:
            judge(prepared, before)
        prepared.kernel.check()
        prepared.kernel.close()
        if end is End.PASSED:
            return n - 1
    raise AssertionError("the action never ran out of allocations")


def _run_failing(p: Prepared, action: Action, n: int) -> End:
    """Run the action with its n-th allocation failing."""
    p.kernel.fail_nth(n)
    end = End.ABSORBED
    try:
        action(p)
    except SyscallError as error:
        assert error.errno in _CLEAN
        end = End.FAILED
    except TaskKilled:
        end = End.FAILED
    waits = bool(lib.machine_fail_pending(p.kernel.core))
    p.kernel.fail_nth(0)
    assert not (waits and end is End.FAILED), "an error, though no allocation failed"
    return End.PASSED if waits else end


def _nothing_changed(p: Prepared, before: object) -> None:
    assert _state(p) == before


def _anything(p: Prepared, before: object) -> None:
    """What a call that may end in the middle has to keep: the recount, which _sweep() does."""


@pytest.mark.parametrize("rmap", ["objrmap_tree", "pte_chain"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_call_that_fails_changes_nothing(name: str, rmap: str) -> None:
    _sweep(rmap, WHOLE[name], _nothing_changed)


@pytest.mark.parametrize("rmap", ["objrmap_tree", "pte_chain"])
@pytest.mark.parametrize("name", PARTLY)
def test_a_call_that_ends_in_the_middle_leaks_nothing(name: str, rmap: str) -> None:
    _sweep(rmap, PARTLY[name], _anything)


@pytest.mark.parametrize("rmap", ["objrmap_tree", "pte_chain"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_survives_a_refused_allocation(name: str, rmap: str) -> None:
    _sweep(rmap, FAULTS[name], _anything)


# ---- large pages ----

HUGE, HUGETLB, NORESERVE, MFD_HUGETLB, SHM_HUGETLB = 2 << 20, 0x40000, 0x4000, 4, 0o4000


def _prepare_large(rmap: str) -> Prepared:
    """Large pages: two of one's own, a file of two, a private view; in each a page is touched."""
    kernel = Kernel(ram="32M", rmap=rmap, sysctl={"vm.nr_hugepages": 9})
    sys = Sys(kernel.spawn(name="sweep", caps=frozenset({"CAP_IPC_LOCK"})))
    fd = sys.memfd_create("file", MFD_HUGETLB)
    anon, shared, private, spare = (BASE + step * 4 * HUGE for step in range(4))
    sys.mmap(anon, 2 * HUGE, both, PRIVATE | FIXED | ANONYMOUS | HUGETLB, -1, 0)
    sys.mmap(shared, 2 * HUGE, both, SHARED | FIXED, fd, 0)
    sys.mmap(private, HUGE, both, PRIVATE | FIXED, fd, 0)
    sys.mmap(spare, HUGE, both, PRIVATE | FIXED | ANONYMOUS | HUGETLB | NORESERVE, -1, 0)
    for area in (anon, shared):
        sys.store(area + PAGE, b"before")
    return Prepared(kernel, sys, fd, anon, shared, private, spare)


LARGE: dict[str, Action] = {
    "mmap": lambda p: p.sys.mmap(0, HUGE, both, PRIVATE | ANONYMOUS | HUGETLB, -1, 0),
    "mmap shared": lambda p: p.sys.mmap(0, HUGE, both, SHARED | ANONYMOUS | HUGETLB, -1, 0),
    "mmap a file": lambda p: p.sys.mmap(0, 3 * HUGE, both, SHARED, p.fd, HUGE << 6),
    "munmap a part": lambda p: p.sys.munmap(p.anon + HUGE, HUGE),
    "mprotect a part": lambda p: p.sys.mprotect(p.anon + HUGE, HUGE, READ),
    "madvise dontneed": lambda p: p.sys.madvise(p.private, HUGE, 4),
    "madvise remove": lambda p: p.sys.madvise(p.shared + HUGE, HUGE, 9),
    "mremap": lambda p: p.sys.mremap(p.anon, 2 * HUGE, 2 * HUGE, 3, FAR),
    "mremap over another": lambda p: p.sys.mremap(p.shared, HUGE, HUGE, 3, FAR + HUGE),
    "fork": lambda p: p.sys.fork(),
    "shmget": lambda p: p.sys.shmget(0, HUGE, 0o1600 | SHM_HUGETLB),
    "fallocate": lambda p: p.sys.fallocate(p.fd, 0, HUGE, HUGE),
    "ftruncate": lambda p: p.sys.ftruncate(p.fd, HUGE),
}
LARGE_FAULTS: dict[str, Action] = {
    "a promised page": lambda p: p.sys.store(p.anon + HUGE, b"s"),
    "a page of the file": lambda p: p.sys.store(p.shared + HUGE, b"s"),
    "a private copy": lambda p: p.sys.store(p.private, b"s"),
    "a page without a promise": lambda p: p.sys.load(p.special, 1),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_call_on_large_pages_that_fails_changes_nothing(name: str) -> None:
    _sweep("objrmap_tree", LARGE[name], _nothing_changed, _prepare_large)


@pytest.mark.parametrize("name", LARGE_FAULTS)
def test_a_fault_on_a_large_page_survives_a_refused_allocation(name: str) -> None:
    _sweep("objrmap_tree", LARGE_FAULTS[name], _anything, _prepare_large)


# ---- every call there is ----

FRESH, TEXT = FAR, FAR + 64 * PAGE  # memory that was never touched; a path
PATH_TEXT = b"/tmp/file\0"
OTHER = TEXT + len(PATH_TEXT)
FOLDER = OTHER + len(b"/tmp/other\0")
TMPFS = FOLDER + len(b"/tmp\0")
ASKED, MADE, MOUNTED = 4, 5, 6  # descriptors of file systems
# What a parameter gets, by the end of its name; 0 for others.
BY_NAME: dict[str, int] = {
    "addr": FRESH,
    "iov": FRESH + 8,
    "info": FRESH,
    "times": FRESH,
    "offset": 0,
    "count": 1,
    "length": PAGE,
    "nbytes": 8,
    "size": 128,
    "dirfd": -100 & (1 << 64) - 1,
    "pid": 1,
    "signo": 10,
    "prot": READ,
}
# What a guess from names would not reach: registers, or why the call is left out.
PIDFD_SELF = -10000 & (1 << 64) - 1
BY_HAND: dict[str, tuple[int, ...]] = {
    "mmap": (0, PAGE, both, PRIVATE | ANONYMOUS, 0, 0),
    "mremap": (BASE, 8 * PAGE, 16 * PAGE, 1, 0),
    "open": (TEXT, 0o102, 0o600),
    "openat": (-100 & (1 << 64) - 1, TEXT, 0o102, 0o600),
    "openat2": (-100 & (1 << 64) - 1, TEXT, FRESH, 24),
    "listxattrat": (-100 & (1 << 64) - 1, TEXT, 0, FRESH, 64),
    "file_getattr": (-100 & (1 << 64) - 1, TEXT, FRESH, 24, 0),
    "file_setattr": (-100 & (1 << 64) - 1, TEXT, FRESH, 24, 0),
    "madvise": (BASE, 8 * PAGE, 4),
    "shmget": (0, 4 * PAGE, 0o1600),
    "socketpair": (1, 1, 0, FRESH),
    "pipe": (FRESH,),
    "pipe2": (FRESH, 0),
    "mq_open": (TEXT + 5, 0o102, 0o600, 0),
    "mq_unlink": (TEXT + 5,),
    "mq_timedsend": (3, FRESH, 8, 0, 0),
    "mq_timedreceive": (3, FRESH, 8192, 0, 0),
    "mq_notify": (3, 0),
    "mq_getsetattr": (3, 0, FRESH),
    "msgget": (0, 0o1600),
    "msgsnd": (0, BASE + PAGE, 8, 0o4000),
    "msgrcv": (0, FRESH, 8, 0, 0o4000),
    "msgctl": (0, 2, FRESH),
    "signalfd": (-1 & (1 << 64) - 1, FRESH, 8),
    "signalfd4": (-1 & (1 << 64) - 1, FRESH, 8, 0),
    "semget": (0, 1, 0o1600),
    "semop": (0, FRESH, 1),
    "semtimedop": (0, FRESH, 1, FRESH + 16),
    "semctl": (0, 0, 13, FRESH),
    "remap_file_pages": (BASE + 64 * PAGE, PAGE, 0, 3, 0, 0),
    "fcntl": (0, 1030, 0),
    "prctl": (16, FRESH, 0, 0, 0),
    "brk": (0x20000000,),
    "access": (TEXT, 4),
    "mincore": (BASE, PAGE, FRESH),
    "shmat": (0, 0, 0),
    "nanosleep": (FRESH, FRESH + 16),
    "clock_nanosleep": (0, 0, FRESH, FRESH + 16),
    "sendto": (1, FRESH, 8, 0, 0, 0),
    "recvfrom": (1, FRESH, 8, 0x40, 0, 0),
    "timer_create": (1, 0, FRESH),
    "timer_settime": (0, 0, FRESH, 0),
    "timer_gettime": (0, FRESH),
    "recvmmsg": (1, FRESH, 1, 0x40, 0),
    "sendmmsg": (1, FRESH, 1, 0),
    "getsockname": (1, FRESH, BASE + PAGE),  # where some room is told of
    "getpeername": (1, FRESH, BASE + PAGE),
    "getsockopt": (1, 1, 3, FRESH, BASE + PAGE),
    "modify_ldt": (2, FRESH, 128),
    "truncate": (TEXT, 3 * PAGE),
    "getcwd": (FRESH, 100),
    "chdir": (FOLDER,),
    "rename": (TEXT, OTHER),
    "renameat": (-100 & (1 << 64) - 1, TEXT, -100 & (1 << 64) - 1, OTHER),
    "link": (TEXT, OTHER),
    "symlink": (TEXT, OTHER),
    "mkdir": (OTHER, 0o700),
    "getresuid": (FRESH, FRESH + 4, FRESH + 8),
    "getresgid": (FRESH, FRESH + 4, FRESH + 8),
    "mlockall": (1,),
    "mount": (TEXT, FOLDER, FOLDER, 0, 0),
    "setxattr": (TEXT, OTHER, FRESH, 8, 0),
    "clone": (17, 0, 0, 0, 0),
    "utimensat": (-100 & (1 << 64) - 1, TEXT, FRESH, 0),
    "statx": (-100 & (1 << 64) - 1, TEXT, 0, 0xFFF, FRESH),
    "rseq": (FRESH, 32, 0, 0),
    "syslog": (3, FRESH, 100),
    "copy_file_range": (0, FRESH, 0, FRESH + 8, PAGE, 0),
    "dup3": (0, 9, 0),
    "accept": (1, 0, 0),
    "sched_setaffinity": (0, 8, FRESH),
    "set_robust_list": (FRESH, 24),
    "pidfd_getfd": (PIDFD_SELF, 0, 0),
    "pidfd_send_signal": (PIDFD_SELF, 0, 0, 0),
    "process_madvise": (PIDFD_SELF, FRESH, 1, 4, 0),
    "pkey_alloc": (0, 0),
    "set_mempolicy": (4, 0, 0),
    "mbind": (BASE, 2 * PAGE, 4, 0, 0, 0),
    "get_mempolicy": (FRESH, FRESH + 8, 65, 0, 0),
    "migrate_pages": (0, 65, FRESH, FRESH),
    "move_pages": (0, 2, FRESH, FRESH + 64, FRESH + 128, 2),
    "fsopen": (TMPFS, 0),
    "fsconfig": (ASKED, 6, 0, 0, 0),
    "fsmount": (MADE, 0, 0),
    "move_mount": (MOUNTED, FRESH, -100 & (1 << 64) - 1, FOLDER, 4),
}
LEFT_OUT = {
    "exit": "it does not return",
    "exit_group": "it does not return",
    "rt_sigreturn": "it returns to registers of machine code",
    "kill": "it would end the task", "tkill": "the same", "tgkill": "the same",
    "rt_sigqueueinfo": "the same", "uretprobe": "the same",
}  # fmt: skip


def _registers(call: Syscall) -> tuple[int, ...]:
    if call.name in BY_HAND:
        return BY_HAND[call.name]
    found = []
    names = list(inspect.signature(call.handler).parameters)[1:]
    for kind, name in zip(call.kinds, names + [""] * 6, strict=False):
        guess = next((value for end, value in BY_NAME.items() if name.endswith(end)), 0)
        found.append({Kind.PATH: TEXT, Kind.OUT: FRESH, Kind.STRUCT: FRESH}.get(kind, guess))
    return tuple(found)


def _raw(call: Syscall) -> Action:
    registers = _registers(call)

    def action(p: Prepared) -> int:
        result = p.sys.syscall(call.nr, *registers)
        refused = not lib.machine_fail_pending(p.kernel.core)  # else the error is the call's own
        if refused and -result in _CLEAN:
            raise SyscallError(-result)
        return result

    return action


def _prepare_raw(rmap: str) -> Prepared:
    prepared = _prepare(rmap)
    sys = prepared.sys
    sys.mmap(FRESH, 16 * PAGE, both, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    sys.mmap(TEXT, PAGE, both, PRIVATE | FIXED | ANONYMOUS, -1, 0)
    sys.task.set_credentials(0, 0, ALL_CAPS)
    sys.close(sys.open(PATH_TEXT[:-1].decode(), os.O_RDWR | os.O_CREAT, 0o600))
    sys.store(TEXT, PATH_TEXT + b"/tmp/other\0/tmp\0tmpfs\0")
    sys.socketpair(1, 1)
    sys.semget(0, 1, 0o600)
    queue = sys.mq_open("file", os.O_RDWR | os.O_CREAT, 0o600)
    sys.mq_timedsend(queue, BASE + PAGE, 8)
    sys.msgsnd(sys.msgget(0, 0o600), BASE + PAGE, 8)
    for made in (ASKED, MADE, MOUNTED):  # how far each file system has come
        assert sys.fsopen("tmpfs", 0) == made
    sys.fsconfig(MADE, 6)
    sys.fsconfig(MOUNTED, 6)
    sys.dup2(sys.fsmount(MOUNTED, 0, 0), MOUNTED)
    return prepared


CALLS = sorted((call for call in TABLE.values() if call.name not in LEFT_OUT), key=lambda c: c.nr)


@pytest.mark.parametrize("call", CALLS, ids=[call.name for call in CALLS])
def test_every_call_of_the_table_fails_cleanly(call: Syscall) -> None:
    _sweep("objrmap_tree", _raw(call), _anything, _prepare_raw)


def test_most_calls_of_the_table_do_something_here() -> None:
    """Guessed arguments that all calls refuse would sweep nothing."""
    done = 0
    for call in CALLS:
        prepared = _prepare_raw("objrmap_tree")
        done += prepared.sys.syscall(call.nr, *_registers(call)) >= 0
        prepared.kernel.close()
    assert done > len(CALLS) * 2 // 3


# ---- pointers that leave user space ----

KERNEL_SPACE = (0xFFFF_8880_0000_0000, 1 << 47, (1 << 64) - PAGE)
POINTERS = range(FRESH, TEXT + PAGE)
# What a call does with an address beyond user space that is no pointer (ENOMEM, EINVAL), or that it
# need not follow.
RANGES = {"mprotect", "pkey_mprotect", "munmap", "msync", "mlock", "munlock", "mlock2", "mseal"}
RANGES |= {"mbind", "set_mempolicy_home_node"}
LISTS = {"listxattr", "llistxattr", "flistxattr", "listxattrat"}  # an empty one is stored nowhere
KEPT = {"set_robust_list", "set_tid_address"}  # looked at when the task ends
TIME_LEFT = {("nanosleep", 1), ("clock_nanosleep", 3)}  # stored when a signal comes


def _pointers_of(call: Syscall) -> list[int]:
    """Return the places of registers in which a call is given a pointer above."""
    return [place for place, register in enumerate(_registers(call)) if register in POINTERS]


def _result(call: Syscall, registers: list[int]) -> int:
    prepared = _prepare_raw("objrmap_tree")
    result = prepared.sys.syscall(call.nr, *registers)
    prepared.kernel.check()
    prepared.kernel.close()
    return result


WITH_POINTERS = [call for call in CALLS if _pointers_of(call)]


@pytest.mark.parametrize("call", WITH_POINTERS, ids=[call.name for call in WITH_POINTERS])
def test_no_pointer_leads_into_the_kernel(call: Syscall) -> None:
    good = _result(call, list(_registers(call)))
    for place, wrong in product(_pointers_of(call), KERNEL_SPACE):
        allowed = {-errno.EFAULT}
        allowed |= {good} if good < 0 or (call.name, place) in TIME_LEFT else set()
        allowed |= {-errno.ENOMEM, -errno.EINVAL} if call.name in RANGES else set()
        allowed |= {(1 << 32) - errno.EFAULT} if call.name == "modify_ldt" else set()  # an int
        allowed |= {good} if call.name in KEPT else set()
        allowed |= {0} if call.name in LISTS else set()
        registers = list(_registers(call))
        registers[place] = wrong
        assert _result(call, registers) in allowed, (place, hex(wrong))
