"""The host's own kernel as oracle, and the oracle's tools: shrinker, table, C program."""

from __future__ import annotations

import errno
import os
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pkern.kernel.errors import SyscallError
from pkern.kernel.vfs.proc import maps
from pkern.syscalls.memory import mman
from pkern.userland.conform import answers, run_conform
from pkern.userland.conform.calls import (
    PAGE,
    SHAPES,
    Area,
    Call,
    Calls,
    Kind,
    Layout,
    Outcome,
    Slot,
    result_text,
)
from pkern.userland.conform.cprogram import c_program
from pkern.userland.conform.differences import DIFFERENCES, Aspect, allowed, compare
from pkern.userland.conform.generate import FIXED_BASE, sequence
from pkern.userland.conform.host import Host
from pkern.userland.conform.hostcc import NoCompiler, build, cache_dir
from pkern.userland.conform.oracle import Oracle, Verdict, verdict_of
from pkern.userland.conform.record import NoRecord, Record
from pkern.userland.conform.run import parts_of, run_parts
from pkern.userland.conform.shrink import shrink
from tests.rounds import ROUNDS


def test_sequences_agree_with_linux() -> None:
    report = run_conform(280 * ROUNDS, seed=1, calls=30)
    assert report.ok, str(report)
    assert report.sequences == 280 * ROUNDS


def test_pte_chains_agree_with_linux() -> None:
    report = run_conform(120 * ROUNDS, seed=2, calls=30, rmap="pte_chain")
    assert report.ok, str(report)


def test_long_sequences_agree_with_linux() -> None:
    report = run_conform(40 * ROUNDS, seed=3, calls=200)
    assert report.ok, str(report)


def forget_flags() -> None:
    """Let no line of VmFlags be as one was made before, with protection keys or without."""
    maps._last_lines.cache_clear()
    maps._last_lines_with_key.cache_clear()


def test_a_wrong_bit_of_smaps_is_found_and_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = [(bit, code) for bit, code in maps.FLAG_BITS if code != "rr"]
    monkeypatch.setattr(maps, "FLAG_BITS", fewer)
    forget_flags()
    (failure,) = run_conform(300, seed=12).failures
    forget_flags()
    assert failure.divergence.fields == {"smaps VmFlags"}
    assert [call.kind for call in failure.divergence.calls] == [Kind.MMAP, Kind.MADVISE]


def test_a_wrong_errno_is_found_and_made_short(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> int:
        try:
            return right(*arguments)
        except SyscallError as error:
            raise SyscallError(errno.EPERM) from error

    right = mman._nr_pages_to_tell
    monkeypatch.setattr(mman, "_nr_pages_to_tell", wrong)
    (failure,) = run_conform(300, seed=12).failures
    assert [call.kind for call in failure.divergence.calls] == [Kind.MINCORE], str(failure)
    assert failure.divergence.model.value == -errno.EPERM


# What the oracle found, made short: each differed once.
PLACE = FIXED_BASE
FOUND: dict[str, Calls] = {
    "mbind looks at an area's pages before the hole behind the next": (
        Call(Kind.MMAP, (PLACE + 2 * PAGE, 2 * PAGE, 0, 0x11, Slot.F0, 0)),
        Call(Kind.MMAP, (PLACE, 2 * PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.STORE, (PLACE + PAGE, 0)),
        Call(Kind.MBIND, (PLACE + PAGE, 6 * PAGE, 1, 1, 0)),
    ),
    "MADV_FREE of what the parent locks": (
        Call(Kind.MMAP, (PLACE, PAGE, 3, 0x2032, Slot.NONE, 0)),
        Call(Kind.FORK, ()),
        Call(Kind.MADVISE, (PLACE, PAGE, 8), actor=1),
    ),
    "a store that a userfaultfd refuses is one all the same to a later mprotect": (
        Call(Kind.USERFAULTFD, (0o4001,)),
        Call(Kind.UFFD_API, (0xAA, 1 << 7, 0, Slot.USERFAULT)),
        Call(Kind.MMAP, (PLACE, 3 * PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.UFFD_REGISTER, (PLACE + 2 * PAGE, PAGE, 1, 0, Slot.USERFAULT)),
        Call(Kind.STORE, (PLACE + 2 * PAGE, 0)),
        Call(Kind.MPROTECT, (PLACE, 3 * PAGE, 0)),
    ),
    "MADV_FREE of what is poisoned": (
        Call(Kind.USERFAULTFD, (0o4001,)),
        Call(Kind.UFFD_API, (0xAA, 1 << 7, 0, Slot.USERFAULT)),
        Call(Kind.MMAP, (PLACE, PAGE, 0, 0x32, Slot.NONE, 0)),
        Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 1, 0, Slot.USERFAULT)),
        Call(Kind.UFFD_POISON, (PLACE, PAGE, 0, 0, Slot.USERFAULT)),
        Call(Kind.MADVISE, (PLACE, PAGE, 8)),
    ),
    "MADV_POPULATE_WRITE of what a userfaultfd protects before it is there": (
        Call(Kind.USERFAULTFD, (0o4001,)),
        Call(Kind.UFFD_API, (0xAA, 1 << 7, 0, Slot.USERFAULT)),
        Call(Kind.MMAP, (PLACE, PAGE, 3, 0x11, Slot.F0, 0)),
        Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 2, 0, Slot.USERFAULT)),
        Call(Kind.UFFD_PROTECT, (PLACE, PAGE, 1, Slot.USERFAULT)),
        Call(Kind.MADVISE, (PLACE, PAGE, 23)),
    ),
    "shmdt of what mremap has made longer": (
        Call(Kind.SHMGET, (Slot.SEGMENT0, 5 * PAGE + 1, 0o1600)),
        Call(Kind.SHMAT, (Slot.SEGMENT0, PLACE, 0)),
        Call(Kind.MREMAP, (PLACE + 5 * PAGE, 1, 2 * PAGE, 0, 0)),
        Call(Kind.SHMDT, (PLACE,)),
    ),
    "a part of an attachment joins what it was cut from, while there is a rest": (
        Call(Kind.SHMGET, (Slot.SEGMENT0, 6 * PAGE, 0o1600)),
        Call(Kind.SHMAT, (Slot.SEGMENT0, PLACE, 0)),
        Call(Kind.MLOCK, (PLACE + 2 * PAGE, 2 * PAGE)),
        Call(Kind.MUNLOCK, (PLACE + 2 * PAGE, PAGE)),
        Call(Kind.MLOCK, (PLACE + PAGE, 3 * PAGE)),
        Call(Kind.MUNLOCK, (PLACE + 3 * PAGE, PAGE)),
        Call(Kind.MUNLOCK, (PLACE + PAGE, 2 * PAGE)),
    ),
    "shmdt of what is sealed": (
        Call(Kind.SHMGET, (Slot.SEGMENT0, PAGE, 0o1600)),
        Call(Kind.SHMAT, (Slot.SEGMENT0, PLACE, 0)),
        Call(Kind.MSEAL, (PLACE, PAGE, 0)),
        Call(Kind.SHMDT, (PLACE,)),
    ),
    "mremap to where a part is sealed, and a mremap over the cut that it leaves": (
        Call(Kind.MMAP, (PLACE, 4 * PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.MSEAL, (PLACE + 3 * PAGE, PAGE, 0)),
        Call(Kind.MMAP, (PLACE + 8 * PAGE, 3 * PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.MREMAP, (PLACE + 8 * PAGE, 3 * PAGE, 3 * PAGE, 3, PLACE + PAGE)),
        Call(Kind.MREMAP, (PLACE, 3 * PAGE, 4 * PAGE, 1, 0)),
    ),
    "mremap to elsewhere whose cut-off end is sealed": (
        Call(Kind.MMAP, (PLACE, 4 * PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.MSEAL, (PLACE + 3 * PAGE, PAGE, 0)),
        Call(Kind.MREMAP, (PLACE, 4 * PAGE, 2 * PAGE, 3, PLACE + 8 * PAGE)),
    ),
    "UFFDIO_MOVE of a hole, below which there is no table, to a page": (
        Call(Kind.USERFAULTFD, (0o4001,)),
        Call(Kind.UFFD_API, (0xAA, 0, 0, Slot.USERFAULT)),
        Call(Kind.MMAP, (PLACE, PAGE, 3, 0x8032, Slot.NONE, 0)),
        Call(Kind.MMAP, (4 * PLACE, PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 1, 0, Slot.USERFAULT)),
        Call(Kind.UFFD_MOVE, (PLACE, 4 * PLACE, PAGE, 2, 0, Slot.USERFAULT)),
    ),
    "a write from outside to what a fork had shared": (
        Call(Kind.MMAP, (PLACE, PAGE, 0, 0x8012, Slot.F0, 0)),
        Call(Kind.MEM_WRITE, (PLACE, 0)),
        Call(Kind.FORK, ()),
        Call(Kind.MUNMAP, (PLACE, PAGE)),
        Call(Kind.MEM_WRITE, (PLACE, 0)),
    ),
    "mremap of a length that wraps looks at its target's seal first": (
        Call(Kind.MMAP, (PLACE, PAGE, 0, 0x11, Slot.F0, 0)),
        Call(Kind.MSEAL, (PLACE, PAGE, 0)),
        Call(Kind.MMAP, (PLACE + 2 * PAGE, PAGE, 0, 0x11, Slot.F0, 0)),
        Call(Kind.MREMAP, (PLACE + 2 * PAGE, (1 << 64) - PAGE, PAGE, 3, PLACE)),
    ),
    "mremap that is only given a hint looks at no seal there": (
        Call(Kind.MMAP, (PLACE, 2 * PAGE, 0, 0x11, Slot.F0, 0)),
        Call(Kind.MSEAL, (PLACE, 2 * PAGE, 0)),
        Call(Kind.MMAP, (PLACE + 4 * PAGE, PAGE, 0, 0x11, Slot.F0, 0)),
        Call(Kind.MREMAP, (PLACE + 4 * PAGE, PAGE, PAGE, 5, PLACE + PAGE)),
    ),
    "UFFDIO_COPY of what is shared ends where reading has brought a page": (
        Call(Kind.USERFAULTFD, (0o4001,)),
        Call(Kind.UFFD_API, (0xAA, 1 << 7, 0, Slot.USERFAULT)),
        Call(Kind.MMAP, (PLACE, 2 * PAGE, 1, 0x31, Slot.NONE, 0)),
        Call(Kind.FORK, ()),
        Call(Kind.UFFD_REGISTER, (PLACE, 2 * PAGE, 1, 0, Slot.USERFAULT)),
        Call(Kind.UFFD_COPY, (PLACE, PLACE, 2 * PAGE, 0, 0, Slot.USERFAULT), actor=1),
        Call(Kind.UFFD_CONTINUE, (PLACE, 2 * PAGE, 0, 0, Slot.USERFAULT), actor=1),
    ),
    "what is written from outside is dirty for all who have it: MADV_FREE leaves it": (
        Call(Kind.MMAP, (PLACE, PAGE, 1, 0x32, Slot.NONE, 0)),
        Call(Kind.MEM_WRITE, (PLACE, 0)),
        Call(Kind.FORK, ()),
        Call(Kind.MADVISE, (PLACE, PAGE, 8), actor=1),
        Call(Kind.LOAD, (PLACE,), actor=1),
        Call(Kind.MUNMAP, (PLACE, PAGE)),
    ),
    "a guard in anonymous memory is as a store: mprotect goes on charging it": (
        Call(Kind.MMAP, (PLACE, 2 * PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.MADVISE, (PLACE, PAGE, 102)),
        Call(Kind.MPROTECT, (PLACE, PAGE, 0)),
    ),
    "a guard gives a file's area no family: what was stored to apart stays apart": (
        Call(Kind.MMAP, (PLACE, 6 * PAGE, 3, 0x12, Slot.F0, 0)),
        Call(Kind.MADVISE, (PLACE + 4 * PAGE, 1, 102)),
        Call(Kind.MPROTECT, (PLACE + 3 * PAGE, PAGE, 1)),
        Call(Kind.STORE, (PLACE + 2 * PAGE, 0)),
        Call(Kind.STORE, (PLACE + 5 * PAGE, 0)),
        Call(Kind.MPROTECT, (PLACE + 3 * PAGE, PAGE, 3)),
    ),
    "watched memory that moves does not join its neighbour, though it is watched no more": (
        Call(Kind.USERFAULTFD, (0o4001,)),
        Call(Kind.UFFD_API, (0xAA, 1 << 7, 0, Slot.USERFAULT)),
        Call(Kind.MMAP, (PLACE, 9 * PAGE, 0, 0x32, Slot.NONE, 0)),
        Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 1, 0, Slot.USERFAULT)),
        Call(Kind.MREMAP, (PLACE, PAGE, PAGE, 3, PLACE + 9 * PAGE)),
    ),
    "a guard does not keep an area from the pages of its neighbour, whichever of both has it": (
        Call(Kind.MMAP, (PLACE, PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.MADVISE, (PLACE, PAGE, 102)),
        Call(Kind.MMAP, (PLACE + PAGE, PAGE, 2, 0x32, Slot.NONE, 0)),
        Call(Kind.STORE, (PLACE + PAGE, 0)),
        Call(Kind.MMAP, (PLACE + 2 * PAGE, PAGE, 3, 0x32, Slot.NONE, 0)),
        Call(Kind.MADVISE, (PLACE + 2 * PAGE, PAGE, 102)),
        Call(Kind.MPROTECT, (PLACE, 3 * PAGE, 0)),
    ),
    "what an area has left of a table stays when a part of it goes": (
        Call(Kind.MMAP, (PLACE, 3 * PAGE, 1, 0x31, Slot.NONE, 0)),
        Call(Kind.LOAD, (PLACE + PAGE,)),
        Call(Kind.MUNMAP, (PLACE + PAGE, PAGE)),
        Call(Kind.MUNMAP, (PLACE, PAGE)),
    ),
    "mremap to where there were pages: their table goes, the move wants none": (
        Call(Kind.MMAP, (PLACE, PAGE, 1, 0x8012, Slot.F0, 0)),
        Call(Kind.MMAP, (2 * PLACE, 3 * PAGE, 0, 0x11, Slot.F0, 0)),
        Call(Kind.MREMAP, (2 * PLACE, 3 * PAGE, 3 * PAGE, 3, PLACE)),
    ),
    "pages that were written once are as old in a child": (
        Call(Kind.MMAP, (PLACE, 6 * PAGE, 1, 0x11, Slot.F0, 0)),
        Call(Kind.MADVISE, (PLACE + 5 * PAGE, PAGE, 102)),
        Call(Kind.LOAD, (PLACE,)),
        Call(Kind.FORK, ()),
    ),
    "pages that populating has used as well": (
        Call(Kind.MMAP, (PLACE, 4 * PAGE, 1, 0x8012, Slot.F0, 0)),
        Call(Kind.MADVISE, (PLACE + PAGE, PAGE, 102)),
        Call(Kind.FORK, ()),
    ),
    "a page shared with a child, which has not stored to it, copied for its guards": (
        Call(Kind.MMAP, (PLACE, 6 * PAGE, 2, 0x8031, Slot.NONE, 0)),
        Call(Kind.MADVISE, (PLACE + 2 * PAGE, 1, 102)),
        Call(Kind.STORE, (PLACE, 0)),
        Call(Kind.FORK, ()),
    ),
}


def rows_of_any_host(verdict: Verdict) -> int:
    """Return how many rows allow this beside every host; assert that nothing else differs."""
    assert verdict.divergence is None, str(verdict.divergence)
    return sum(row.of_any_host for row in verdict.allowed)


@pytest.mark.parametrize("calls", FOUND.values(), ids=FOUND)
def test_what_was_found_agrees_with_linux(calls: Calls) -> None:
    oracle = Oracle()
    verdict = oracle.compare(calls)
    oracle.close()
    assert rows_of_any_host(verdict) == 0


def test_what_a_refused_call_has_split_is_split_here() -> None:
    oracle = Oracle()
    page = oracle.window.top - 6 * PAGE
    calls = (
        Call(Kind.MMAP, (0, 6 * PAGE, 0, 1, Slot.F0, 0)),
        Call(Kind.PRLIMIT, (9, 0, 0)),
        Call(Kind.MMAP, (page - PAGE, 3 * PAGE, 0, 0x2012, Slot.F0, 0)),
        Call(Kind.MREMAP, (page + PAGE, 3 * PAGE, 2 * PAGE, 3, 0x1000)),
    )
    verdict = oracle.compare(calls)
    oracle.close()
    assert rows_of_any_host(verdict) == 0


# Each with how many rows allow it.
ROWS: dict[str, tuple[Calls, int]] = {
    "a fault around finds marks": (
        (
            Call(Kind.USERFAULTFD, (0o4001,)),
            Call(Kind.UFFD_API, (0xAA, 1 << 7, 0, Slot.USERFAULT)),
            Call(Kind.MMAP, (PLACE, 2 * PAGE, 1, 0x11, Slot.F0, 0)),
            Call(Kind.UFFD_REGISTER, (PLACE, 2 * PAGE, 1, 0, Slot.USERFAULT)),
            Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 2, 0, Slot.USERFAULT)),
            Call(Kind.UFFD_PROTECT, (PLACE, PAGE, 1, Slot.USERFAULT)),
            Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 1, 0, Slot.USERFAULT)),
            Call(Kind.LOAD, (PLACE + PAGE,)),
        ),
        1,
    ),
    "a store finds marks": (
        (
            Call(Kind.USERFAULTFD, (0o4001,)),
            Call(Kind.UFFD_API, (0xAA, 1 << 7 | 1 << 5, 0, Slot.USERFAULT)),
            Call(Kind.MMAP, (PLACE, PAGE, 3, 0x11, Slot.F0, 0)),
            Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 2, 0, Slot.USERFAULT)),
            Call(Kind.UFFD_PROTECT, (PLACE, PAGE, 1, Slot.USERFAULT)),
            Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 1, 0, Slot.USERFAULT)),
            Call(Kind.UFFD_REGISTER, (PLACE, PAGE, 2, 0, Slot.USERFAULT)),
            Call(Kind.STORE, (PLACE, 0)),
        ),
        1,
    ),
    "locked memory that has moved counts twice, and a seal refuses the call here": (
        (
            Call(Kind.MMAP, (PLACE, 4 * PAGE, 0, 0x2011, Slot.F0, 0)),
            Call(Kind.MREMAP, (PLACE, 4 * PAGE, 4 * PAGE, 5, PLACE + 20 * PAGE)),
            Call(Kind.MMAP, (PLACE + 40 * PAGE, PAGE, 0, 0x11, Slot.F0, 0)),
            Call(Kind.MSEAL, (PLACE + 40 * PAGE, PAGE, 0)),
            Call(Kind.MMAP, (PLACE + 40 * PAGE, 9 * PAGE, 0, 0x2032, Slot.NONE, 0)),
        ),
        1,
    ),
    "an mremap that both refuse, of what a refused mmap has split": (
        (
            Call(Kind.MMAP, (PLACE, 2 * PAGE, 0, 0x11, Slot.F0, 0)),
            Call(Kind.MMAP, (PLACE + 2 * PAGE, PAGE, 0, 0x11, Slot.F1, 0)),
            Call(Kind.MSEAL, (PLACE + 2 * PAGE, PAGE, 0)),
            Call(Kind.MMAP, (PLACE + PAGE, 2 * PAGE, 0, 0x12, Slot.F0, 0)),
            Call(Kind.MREMAP, (PLACE, 2 * PAGE, 3 * PAGE, 0, 0)),
        ),
        0,
    ),
}


@pytest.mark.parametrize(("calls", "rows"), ROWS.values(), ids=ROWS)
def test_a_difference_is_a_row_of_the_table(calls: Calls, rows: int) -> None:
    oracle = Oracle()
    verdict = oracle.compare(calls)
    oracle.close()
    assert rows_of_any_host(verdict) == rows


def test_what_is_cut_off_a_stack_is_cut_off_here() -> None:
    oracle = Oracle()
    page = oracle.window.top - PAGE
    calls = (
        Call(Kind.PRLIMIT, (3, (1 << 64) - PAGE, (1 << 64) - PAGE)),
        Call(Kind.LOAD, (page - 2 * PAGE,)),
        Call(Kind.PRLIMIT, (9, 0, 0)),
        Call(Kind.MMAP, (page - 2 * PAGE, PAGE, 0, 0x32, Slot.NONE, 0)),
    )
    verdict = oracle.compare(calls)
    oracle.close()
    assert rows_of_any_host(verdict) == 0


def test_another_process_sees_what_a_fault_behind_a_cut_did_not_bring() -> None:
    calls = (
        Call(Kind.MMAP, (PLACE, 6 * PAGE, 1, 0x11, Slot.F0, 0)),
        Call(Kind.FORK, ()),
        Call(Kind.PRLIMIT, (9, 0, 0), actor=1),
        Call(Kind.MMAP, (PLACE + PAGE, PAGE, 1, 0x31, Slot.NONE, 0), actor=1),
        Call(Kind.LOAD, (PLACE + PAGE,), actor=1),
        Call(Kind.LOAD, (PLACE,)),
    )
    oracle = Oracle()
    verdict = oracle.compare(calls)
    oracle.close()
    assert rows_of_any_host(verdict) == 0


def test_a_process_that_dies_on_one_side_is_a_divergence(monkeypatch: pytest.MonkeyPatch) -> None:
    state = Outcome(0, 0, 0, 0, b"", (), ("status VmLck: +0 since the start",))
    monkeypatch.setattr(answers, "decode", lambda frame, calls: [state] * len(frame))
    calls = (Call(Kind.FORK, ()),)
    assert verdict_of(calls, bytes(3), bytes(3)) == Verdict((), None)
    divergence = verdict_of(calls, bytes(3), bytes(2)).divergence
    assert divergence is not None
    assert (divergence.at, divergence.aspect) == (2, Aspect.STATE)


def test_what_is_recorded_is_not_run_again(tmp_path: Path) -> None:
    parts = parts_of(40, seed=5, jobs=4)
    assert [(part.first, part.sequences) for part in parts] == [
        (0, 10),
        (10, 10),
        (20, 10),
        (30, 10),
    ]
    path = tmp_path / "record"
    record = Record(path)
    assert record.missing(parts) == parts
    for part, report in run_parts(parts[1:3]):
        record.add(report, part)
    again = Record(path)
    assert again.missing(parts) == [parts[0], parts[3]]
    assert [one.part for one in again.known_of(parts)] == parts[1:3]
    assert all(one.ok for one in again.known)
    path.write_text(path.read_text().replace('"linux": "', '"linux": "5'))
    assert Record(path).missing(parts) == parts
    path.write_text("nothing\n")
    with pytest.raises(NoRecord, match="line 1"):
        Record(path)


def test_sequences_reach_every_call_and_every_end() -> None:
    with closing(Host()) as host:
        seen = set()
        for index in range(1500):
            calls = sequence(4, index, 30, host.window)
            for call, outcome in zip(calls, host.run(calls), strict=False):
                seen.add((call.kind, outcome.signo or outcome.value < 0))
    kinds = {kind for kind, _ in seen}
    assert kinds == set(Kind)
    one_way = {
        Kind.LOAD,
        Kind.STORE,
        Kind.FORK,
        Kind.UFFD_MOVE,
    }  # a move: too rarely
    for kind in set(Kind) - one_way:
        assert (kind, True) in seen and (kind, False) in seen, kind
    assert {(Kind.STORE, 7), (Kind.STORE, 11), (Kind.LOAD, 7), (Kind.LOAD, 11)} <= seen
    assert (Kind.FTRUNCATE, 25) in seen, "SIGXFSZ"


def test_a_sequence_depends_on_its_seed_alone() -> None:
    with closing(Host()) as host:
        window = host.window
    assert sequence(5, 7, 30, window) == sequence(5, 7, 30, window)
    assert sequence(5, 7, 30, window) != sequence(5, 8, 30, window)


def test_the_host_agrees_with_itself() -> None:
    """Whatever the oracle compares is deterministic on the host."""
    with closing(Host()) as one, closing(Host()) as other:
        for index in range(200):
            calls = sequence(6, index, 30, one.window)
            assert one.run(calls) == other.run(calls)


def _mmap(page: int) -> Call:
    return Call(Kind.MMAP, (FIXED_BASE + page * 4096, 4096, 3, 0x32, Slot.NONE, 0))


def test_shrinking_leaves_only_what_the_failure_needs() -> None:
    needed = (_mmap(3), Call(Kind.MUNMAP, (FIXED_BASE, 4096)))
    padding = tuple(_mmap(page) for page in range(4, 20))
    calls: Calls = (*padding[:7], needed[0], *padding[7:], needed[1])

    def fails(candidate: Calls) -> bool:
        return all(call in candidate for call in needed)

    assert shrink(calls, fails) == needed


def test_shrinking_leaves_each_call_to_its_process() -> None:
    calls: Calls = (Call(Kind.FORK, ()), Call(Kind.MUNMAP, (FIXED_BASE, 3 * PAGE), actor=1))
    last = shrink(calls, lambda candidate: candidate[-1].kind is Kind.MUNMAP)[-1]
    assert last == Call(Kind.MUNMAP, (0, 0), actor=1)


def test_shrinking_leaves_a_userfaultfd_that_needs_no_monitor() -> None:
    calls: Calls = (Call(Kind.UFFD_API, (0xAA, 1 << 7, 0, Slot.USERFAULT)),)
    assert shrink(calls, lambda candidate: True) == calls


def test_shrinking_makes_no_limit_of_time_of_another() -> None:
    calls: Calls = (Call(Kind.PRLIMIT, (9, 3 * PAGE, 3 * PAGE)),)
    assert shrink(calls, lambda candidate: True) == (Call(Kind.PRLIMIT, (9, 0, 0)),)


@pytest.mark.parametrize("index", range(3))
def test_the_c_program_does_what_the_runner_does(
    index: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Host()) as host:
        drawn = sequence(7, index, 30, host.window)
        # Of one process: what two of them print comes in an order of its own.
        calls = tuple(call for call in drawn if not call.actor and call.kind is not Kind.FORK)
        outcomes = host.run(calls)
    source = tmp_path / "program.c"
    source.write_text(c_program(calls, "a test"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    program = build("conform-test", [source], ["-static", "-no-pie", "-O1", "-Wall", "-Werror"])
    done = subprocess.run([str(program)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    for line, call, outcome in zip(lines, calls, outcomes, strict=False):
        assert _ends_alike(line, call, outcome), (line, str(outcome))


def _ends_alike(line: str, call: Call, outcome: Outcome) -> bool:
    said = line.split(" = ", 1)[1]
    if outcome.signo:
        return said.startswith("SIGBUS" if outcome.signo == 7 else "SIGSEGV")
    if call.kind is not Kind.LOAD and outcome.value < 0:
        return said.startswith("-1 ")
    if SHAPES[call.kind].keep is not None:  # a number of the kernel's own: the runner keeps it
        return not said.startswith("-1 ")
    return said.split()[0] in (result_text(outcome.value), str(outcome.value))


def test_a_difference_that_no_row_allows_is_a_divergence() -> None:
    calls = (Call(Kind.LOAD, (FIXED_BASE,)),)
    host = Outcome(1, 0, 0, 0, b"", ())
    model = Outcome(2, 0, 0, 0, b"", ())
    divergence = compare(calls, 0, host, model)
    assert divergence is not None and divergence.aspect is Aspect.RESULT
    assert not allowed(divergence)
    assert compare(calls, 0, host, host) is None
    assert "Linux: 0x1" in str(divergence) and "pkern: 0x2" in str(divergence)


def test_programs_are_built_where_the_user_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is a file, or that is missing and cannot be made, as a service's user has."""
    (tmp_path / "home").write_text("")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = tmp_path / f"pkern-{os.getuid()}"
    assert cache_dir() == own and own.stat().st_mode & 0o777 == 0o700
    own.chmod(0o777)
    with pytest.raises(NoCompiler, match="set XDG_CACHE_HOME"):
        cache_dir()


def test_some_rows_are_for_hosts_of_an_older_linux_only() -> None:
    """mremap of two mappings to a fixed place, which Linux refuses before 6.17."""
    calls = (Call(Kind.MREMAP, (FIXED_BASE, 8192, 8192, 3, FIXED_BASE + 65536)),)
    host = Outcome(-errno.EFAULT, 0, 0, 0, b"", ())
    model = Outcome(FIXED_BASE + 65536, 0, 0, 0, b"", ())
    divergence = compare(calls, 0, host, model)
    assert divergence is not None
    assert not allowed(divergence, host=(6, 18))
    (row,) = allowed(divergence, host=(6, 1))
    assert row.before == (6, 17)


def test_a_row_may_be_for_hosts_before_a_stable_release_only() -> None:
    """F_SEAL_EXEC of a file that is mapped to be written: 0 in 6.18.15, EBUSY in 6.18.44."""
    calls = (Call(Kind.FCNTL, (Slot.F0, 1033, 0x20)),)
    host = Outcome(0, 0, 0, 0, b"", ())
    divergence = compare(calls, 0, host, Outcome(-errno.EBUSY, 0, 0, 0, b"", ()))
    assert divergence is not None
    assert not allowed(divergence, host=(6, 18, 44))
    assert allowed(divergence, host=(6, 18, 15))


GUARDED = (Call(Kind.MADVISE, (PLACE, PAGE, 102)),)
SEALED = (Call(Kind.MSEAL, (PLACE, 2 * PAGE, 0)),)
WHOLE = (Area(PLACE, PLACE + 2 * PAGE, "rw-p", PAGE, "/f0"),)
HALF = Area(PLACE, PLACE + PAGE, "rw-p", PAGE, "/f0")
ALIKE, UNLIKE = (
    (HALF, Area(PLACE + PAGE, PLACE + 2 * PAGE, perms, 2 * PAGE, "/f0"))
    for perms in ("rw-p", "r--p")
)


@pytest.mark.parametrize(("calls", "theirs", "ours", "release", "there"), [
    (GUARDED, WHOLE, ALIKE, (6, 18, 15), True),
    (GUARDED, WHOLE, UNLIKE, (6, 18, 15), False),
    (GUARDED, WHOLE, ALIKE, (6, 18, 44), False),
    (GUARDED, ALIKE, WHOLE, (6, 18, 15), False),
    (SEALED, ALIKE, WHOLE, (6, 18, 15), True),
    (SEALED, UNLIKE, WHOLE, (6, 18, 15), False),
    (SEALED, ALIKE, WHOLE, (6, 18, 44), False),
    (SEALED, WHOLE, ALIKE, (6, 18, 15), False),
])  # fmt: skip
def test_what_is_alike_may_be_joined_otherwise_on_older_hosts_only(
    calls: Calls, theirs: Layout, ours: Layout, release: tuple[int, ...], there: bool
) -> None:
    host, model = (Outcome(0, 0, 0, 0, b"", layout) for layout in (theirs, ours))
    divergence = compare(calls, 0, host, model)
    assert divergence is not None and divergence.aspect is Aspect.LAYOUT
    assert bool(allowed(divergence, host=release)) is there


@pytest.mark.parametrize(("by_generation", "release", "rows"), [
    (True, (6, 18, 15), 2), (False, (6, 18, 15), 0), (True, (6, 18, 44), 0),
])  # fmt: skip
def test_each_field_of_a_state_has_a_row_that_allows_it(
    by_generation: bool, release: tuple[int, ...], rows: int
) -> None:
    table = [replace(row, where=lambda: by_generation) if row.where else row for row in DIFFERENCES]
    theirs = ("smaps 1-2 Referenced: 4 kB", "smaps 1-2 VmFlags: rd")
    ours = ("smaps 1-2 Referenced: 0 kB", "smaps 1-2 VmFlags: rd gu")
    host, model = (Outcome(0, 0, 0, 0, b"", (), state) for state in (theirs, ours))
    divergence = compare(GUARDED, 1, host, model)
    assert divergence is not None
    assert len(allowed(divergence, table, release)) == rows


def test_another_error_is_a_difference_of_older_hosts_only() -> None:
    calls = (Call(Kind.MREMAP, (0, 4096, 8192, 7, 8192)),)
    host = Outcome(-errno.EINVAL, 0, 0, 0, b"", ())
    divergence = compare(calls, 0, host, Outcome(-errno.EFAULT, 0, 0, 0, b"", ()))
    assert divergence is not None
    assert not allowed(divergence, host=(6, 18))
    assert allowed(divergence, host=(6, 1))
