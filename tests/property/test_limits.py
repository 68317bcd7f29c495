"""Every call under every limit: one that is used up, and one that leaves a little.

A call that a limit refuses answers with one of the errno that Linux has for it and changes nothing.
Whatever it does, the recount holds afterwards, and nothing has leaked when the machine is closed.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

from pkern.kernel.errors import MemoryFault, SyscallError, TaskKilled
from pkern.kernel.tasks.credentials import NO_CAPS
from tests.property.test_failure_sweep import (
    CALLS,
    FAULTS,
    LARGE,
    LARGE_FAULTS,
    PAGE,
    PARTLY,
    WHOLE,
    Action,
    Prepared,
    _nothing_changed,
    _prepare,
    _prepare_large,
    _prepare_raw,
    _registers,
    _state,
)
from tests.rounds import ROUNDS

SLACK = (0, 1, 3, 17)  # pages, descriptors, areas or tasks that a limit leaves
Limit = Callable[[Prepared, int], None]


def _soft(p: Prepared, which: int, value: int) -> None:
    p.sys.setrlimit(which, (value, p.sys.getrlimit(which)[1]))


def _address_space(p: Prepared, slack: int) -> None:
    _soft(p, resource.RLIMIT_AS, (p.sys.task.mm.counters.total_vm + slack) * PAGE)


def _data(p: Prepared, slack: int) -> None:
    _soft(p, resource.RLIMIT_DATA, (p.sys.task.mm.counters.data_vm + slack) * PAGE)


def _stack(p: Prepared, slack: int) -> None:
    _soft(p, resource.RLIMIT_STACK, slack * PAGE)


def _locked(p: Prepared, slack: int) -> None:
    p.sys.task.set_credentials(1000, 1000, NO_CAPS)
    _soft(p, resource.RLIMIT_MEMLOCK, (p.sys.task.mm.counters.locked_vm + slack) * PAGE)


def _file_size(p: Prepared, slack: int) -> None:
    _soft(p, resource.RLIMIT_FSIZE, slack * PAGE)
    p.sys.rt_sigaction(25, 1)  # SIGXFSZ is ignored


def _descriptors(p: Prepared, slack: int) -> None:
    _soft(p, resource.RLIMIT_NOFILE, len(p.sys.task.fds.files) + slack)


def _processes(p: Prepared, slack: int) -> None:
    p.sys.task.set_credentials(1000, 1000, NO_CAPS)
    _soft(p, resource.RLIMIT_NPROC, 1 + slack)


def _strict_overcommit(p: Prepared, slack: int) -> None:
    pages = p.kernel.counters.nr_committed + slack
    p.kernel.sysctl["vm.overcommit_kbytes"] = max(1, pages * PAGE >> 10)
    p.kernel.sysctl["vm.overcommit_memory"] = 2


def _map_count(p: Prepared, slack: int) -> None:
    p.kernel.sysctl["vm.max_map_count"] = p.sys.task.mm.counters.map_count + slack


def _nonlinear(p: Prepared, slack: int) -> None:
    p.kernel.sysctl["vm.nonlinear_max_pages"] = p.kernel.counters.nr_special + slack


def _large_pool(p: Prepared, slack: int) -> None:
    used = p.kernel.counters.nr_huge - p.kernel.counters.nr_huge_free
    p.kernel.sysctl["vm.nr_hugepages"] = used + p.kernel.counters.nr_huge_reserved + slack


def _full_tmpfs(p: Prepared, slack: int) -> None:
    """The file of the action lies on a tmpfs of a few pages."""
    sys = p.sys
    cred = sys.task.cred
    sys.task.set_credentials(0, 0, frozenset({"CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE", "CAP_IPC_LOCK"}))
    sys.mkdir("/small", 0o777)
    sys.mount("tmpfs", "/small", "tmpfs", 0, f"size={(5 + slack) * PAGE}")
    fd = sys.open("/small/file", os.O_RDWR | os.O_CREAT, 0o600)
    sys.ftruncate(fd, 8 * PAGE)
    sys.pwrite64(fd, b"x" * (4 * PAGE), 0)
    sys.dup2(fd, p.fd)
    sys.close(fd)
    for area, way in ((p.shared, 1), (p.private, 2)):
        sys.mmap(area, 8 * PAGE, 3, way | 0x10, p.fd, 0)
        sys.store(area + PAGE, b"before")
    sys.task.use_credentials(cred)


LIMITS: dict[str, Limit] = {
    "RLIMIT_AS": _address_space,
    "RLIMIT_DATA": _data,
    "RLIMIT_STACK": _stack,
    "RLIMIT_MEMLOCK": _locked,
    "RLIMIT_FSIZE": _file_size,
    "RLIMIT_NOFILE": _descriptors,
    "RLIMIT_NPROC": _processes,
    "strict overcommit": _strict_overcommit,
    "vm.max_map_count": _map_count,
    "vm.nonlinear_max_pages": _nonlinear,
    "a full tmpfs": _full_tmpfs,
}
LARGE_LIMITS: dict[str, Limit] = {
    name: limit for name, limit in LIMITS.items() if name != "a full tmpfs"
} | {"an empty pool": _large_pool}
REFUSALS = {
    errno.ENOMEM, errno.EAGAIN, errno.EPERM, errno.EFBIG, errno.EMFILE, errno.ENOSPC, errno.EINVAL,
}  # fmt: skip


def _under(
    limits: dict[str, Limit],
    action: Action,
    judge: Callable[[Prepared, object], None],
    prepare: Callable[[str], Prepared] = _prepare,
) -> None:
    """Take an action under each limit with each slack, on a machine of its own.

    A refusal is judged, and all is recounted.
    """
    for (name, limit), slack in product(limits.items(), SLACK):
        with _noted(f"under {name}, which leaves {slack}"):
            _under_one(limit, slack, action, judge, prepare)


@contextmanager
def _noted(text: str) -> Iterator[None]:
    """Say with what fails in here where it was."""
    try:
        yield
    except BaseException as error:
        error.add_note(text)
        raise


def _under_one(
    limit: Limit,
    slack: int,
    action: Action,
    judge: Callable[[Prepared, object], None],
    prepare: Callable[[str], Prepared],
) -> None:
    prepared = prepare("objrmap_tree")
    limit(prepared, slack)
    before = _state(prepared)
    try:
        action(prepared)
    except SyscallError as error:
        assert error.errno in REFUSALS, error
        judge(prepared, before)
    except (MemoryFault, TaskKilled):
        pass
    prepared.kernel.check()
    prepared.kernel.close()


# What a limit refuses when its place is split already, at one end at least (Linux 6.18).
SPLITS = {
    *("mmap over two areas' parts", "mprotect the middle", "mprotect a private file"),
    *("mprotect special", "madvise a hint", "madvise dontfork"),
}


def _only_split(p: Prepared, before: object) -> None:
    """What a refused mmap may change: areas are split at the ends of its place."""
    assert _but_splits(_state(p)) == _but_splits(before)


def _but_splits(state: Any) -> tuple[object, ...]:
    machine, mine, vmas, *rest = state
    mapped = {page for vma in vmas for page in range(vma.start, vma.end, PAGE)}
    return {**machine, "nr_vmas": 0}, {**mine, "map_count": 0}, mapped, *rest


def _anything(p: Prepared, before: object) -> None:
    """What a call that may end in the middle has to keep: the recount."""


@pytest.mark.parametrize("name", WHOLE)
def test_a_call_that_a_limit_refuses_changes_nothing(name: str) -> None:
    _under(LIMITS, WHOLE[name], _only_split if name in SPLITS else _nothing_changed)


@pytest.mark.parametrize("name", PARTLY | FAULTS)
def test_what_a_limit_ends_in_the_middle_leaks_nothing(name: str) -> None:
    _under(LIMITS, (PARTLY | FAULTS)[name], _anything)


@pytest.mark.parametrize("name", LARGE | LARGE_FAULTS)
def test_large_pages_under_a_limit(name: str) -> None:
    _under(LARGE_LIMITS, (LARGE | LARGE_FAULTS)[name], _anything, _prepare_large)


@pytest.mark.parametrize("limit", LIMITS)
def test_every_call_of_the_table_under_a_limit(limit: str) -> None:
    """With nothing left, or a little: each call meets both, under one limit or another.

    Every second time; all of them from the second of ROUNDS on.
    """
    for number, call in enumerate(CALLS, [*LIMITS].index(limit)):
        if number // 2 % 2 >= ROUNDS:
            continue
        prepared = _prepare_raw("objrmap_tree")
        LIMITS[limit](prepared, SLACK[number % 2])
        prepared.sys.syscall(call.nr, *_registers(call))
        prepared.kernel.check()
        prepared.kernel.close()


# What a limit has to refuse if it is used up: the sweeps above would pass if none were kept.
KEPT: dict[str, tuple[str, int]] = {
    "RLIMIT_AS": ("mmap anonymous", errno.ENOMEM),
    "RLIMIT_DATA": ("mmap anonymous", errno.ENOMEM),
    "RLIMIT_MEMLOCK": ("mlock", errno.EPERM),
    "RLIMIT_FSIZE": ("ftruncate grows", errno.EFBIG),
    "RLIMIT_NOFILE": ("memfd_create", errno.EMFILE),
    "RLIMIT_NPROC": ("fork", errno.EAGAIN),
    "strict overcommit": ("mmap private file", errno.ENOMEM),
    "vm.max_map_count": ("munmap the middle", errno.ENOMEM),
    "vm.nonlinear_max_pages": ("remap in the special area", errno.ENOMEM),
    "a full tmpfs": ("fallocate", errno.ENOSPC),
}


@pytest.mark.parametrize("limit", KEPT)
def test_a_limit_that_is_used_up_refuses(limit: str) -> None:
    name, expected = KEPT[limit]
    prepared = _prepare("objrmap_tree")
    LIMITS[limit](prepared, 0)
    with pytest.raises(SyscallError) as refused:
        (WHOLE | PARTLY)[name](prepared)
    assert refused.value.errno == expected
    prepared.kernel.check()
    prepared.kernel.close()
