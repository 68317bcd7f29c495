"""Memory that a program's own loads and stores need: what is reclaimed for one, and for many.

Direct reclaim takes 32 pages for who asks the first time, and twice as many each time that the same
access asks again. Accesses that are apart, with nothing but code between them, each ask the first
time.
"""

from __future__ import annotations

import pytest

from pkern.kernel.machine import Kernel
from tests.system.conftest import Compile, Machine

CLUSTER = 32
STORES = r"""
#include <sys/mman.h>
int main(void)
{
	const long size = 4 << 20;
	char *at = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < size; i += 4096)
		at[i] = 1;
	return 0;
}
"""


def _attempts(kernel: Kernel, refused: int = 0) -> list[int]:
    """Note how often each need has asked before; the first `refused` times nothing is reclaimed."""
    attempts: list[int] = []
    make_room = kernel.memory.make_room

    def noting(attempt: int) -> bool:
        attempts.append(attempt)
        return len(attempts) <= refused or make_room(attempt)

    kernel.memory.make_room = noting  # type: ignore[method-assign]
    return attempts


@pytest.mark.all_rmaps
@pytest.mark.boot(ram="2M", swap="8M")
def test_each_of_many_accesses_asks_the_first_time(kernel: Kernel, compile_c: Compile) -> None:
    attempts = _attempts(kernel)
    assert Machine(kernel).run(compile_c(STORES)).status == 0
    assert set(attempts) == {0}
    assert kernel.memory.allocstall >= 8
    assert kernel.counters.pgsteal_direct <= CLUSTER * kernel.memory.allocstall


@pytest.mark.boot(ram="2M", swap="8M")
def test_one_access_that_asks_again_is_counted(kernel: Kernel, compile_c: Compile) -> None:
    attempts = _attempts(kernel, refused=3)
    assert Machine(kernel).run(compile_c(STORES)).status == 0
    assert attempts[:4] == [0, 1, 2, 3]
    assert set(attempts[4:]) == {0}
