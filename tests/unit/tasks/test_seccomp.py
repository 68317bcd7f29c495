"""Filters of system calls: what is refused, what runs, which answer counts."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkern.kernel.errors import SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks.filter.seccomp import (
    ALL_INSTRUCTIONS,
    ALLOW,
    ERRNO,
    FILTER,
    KILL_PROCESS,
    KILL_THREAD,
    LOG,
    MOST_INSTRUCTIONS,
    STRICT,
    TRAP,
    Instruction,
    Program,
    Seccomp,
    check,
    run,
)
from pkern.userland.program import Sys

NO_ARGUMENTS = (0, 0, 0, 0, 0, 0)
CODES = [
    0x20, 0x80, 0x81, 0x00, 0x01, 0x60, 0x61, 0x02, 0x03, 0x04, 0x0C, 0x14, 0x24, 0x34, 0x3C, 0x44,
    0x54, 0x64, 0x6C, 0x74, 0x84, 0xA4, 0x05, 0x15, 0x1D, 0x25, 0x35, 0x45, 0x06, 0x16, 0x07, 0x87,
    0x28, 0x30, 0x40, 0x94, 0xFF,
]  # fmt: skip


def always(answer: int) -> Program:
    return (Instruction(0x06, 0, 0, answer),)


steps = st.builds(
    Instruction,
    st.sampled_from(CODES),
    st.integers(0, 6),
    st.integers(0, 6),
    st.one_of(st.integers(0, 70), st.integers(0, (1 << 32) - 1)),
)


@given(st.lists(steps, max_size=12), st.binary(min_size=64, max_size=64))
def test_what_is_not_refused_runs_to_its_end(program: list[Instruction], data: bytes) -> None:
    whole = (*program, Instruction(0x16, 0, 0, 0))
    try:
        check(whole)
    except SyscallError as error:
        assert error.errno == errno.EINVAL
    else:
        assert 0 <= run(whole, data) < 1 << 32


@pytest.mark.parametrize("program", [(), (Instruction(0x20, 0, 0, 0),), always(0) * 4097])
def test_programs_end_and_are_bounded(program: Program) -> None:
    with pytest.raises(SyscallError) as caught:
        check(program)
    assert caught.value.errno == errno.EINVAL
    assert MOST_INSTRUCTIONS == 4096


@pytest.mark.parametrize(
    ("answers", "counts"),
    [
        ((ALLOW, ERRNO | 5), ERRNO | 5),
        ((ERRNO | 5, ERRNO | 6), ERRNO | 6),
        ((TRAP, ERRNO | 1, LOG), TRAP),
        ((KILL_THREAD, TRAP), KILL_THREAD),
        ((KILL_THREAD, KILL_PROCESS, ALLOW), KILL_PROCESS),
    ],
)
def test_the_gravest_answer_counts_and_of_equal_ones_the_newest(
    answers: tuple[int, ...], counts: int
) -> None:
    filters = Seccomp(FILTER)
    for answer in answers:
        filters = filters.with_program(always(answer))
    assert filters.answer(39, 0, NO_ARGUMENTS) == counts


def test_strict_mode_has_four_calls_and_takes_no_filter() -> None:
    strict = Seccomp(STRICT)
    allowed = [nr for nr in range(500) if strict.answer(nr, 0, NO_ARGUMENTS) == ALLOW]
    assert allowed == [0, 1, 15, 60]
    with pytest.raises(SyscallError) as caught:
        strict.with_program(always(ALLOW))
    assert caught.value.errno == errno.EINVAL


def test_all_filters_together_are_bounded() -> None:
    filters, count = Seccomp(FILTER), 0
    with pytest.raises(SyscallError) as caught:
        while True:
            filters = filters.with_program(always(ALLOW) * 4096)
            count += 1
    assert caught.value.errno == errno.ENOMEM
    assert count == ALL_INSTRUCTIONS // 4100


def test_threads_follow_whose_filters_are_newer_ones_of_their_own() -> None:
    one = Seccomp(FILTER).with_program(always(ALLOW))
    two = one.with_program(always(LOG))
    assert two.descends_from(one) and two.descends_from(None) and two.descends_from(two)
    assert not one.descends_from(two)
    assert not two.descends_from(Seccomp(STRICT))


def test_a_python_program_cannot_be_filtered() -> None:
    with Kernel(ram="16M") as kernel:
        sys = Sys(kernel.spawn())
        with pytest.raises(SyscallError) as caught:
            sys.seccomp(2, 0, 0)
        assert caught.value.errno == errno.ENOSYS
