"""Virtual time is what was done times what it costs; the costs are chosen at boot."""

import gc
import resource
import sys
from pathlib import Path
from types import FrameType

import pytest

from pkern.kernel import BLOCK_NS, CALL_NS
from pkern.kernel.machine import Kernel
from pkern.userland.machine_code import boot_scheduler
from tests.system.conftest import Machine

CALLS = 1_000
# Watches the clock until 20 ms have passed, in the way that the argument says.
WAITS = """
#include <sched.h>
#include <poll.h>
#include <sys/time.h>
#include <time.h>
static long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}
int main(int argc, char **argv)
{
	long end = now() + 20000000;

	while (now() < end)
		if (argv[1][0] == 'p')
			poll(0, 0, 0);
		else if (argv[1][0] == 'y')
			sched_yield();
	return 0;
}
"""


@pytest.mark.parametrize("costs", [{}, {"call_ns": 7}, {"call_ns": 1, "block_ns": 300}])
def test_time_is_the_sum_of_what_was_done(programs, costs):
    with Kernel(ram="64M", **costs) as kernel:
        scheduler = boot_scheduler(kernel)
        assert Machine(kernel).run(programs / "bench", "getppid", str(CALLS)).status == 0
        did = scheduler.processor.counters
        assert did.calls > CALLS
        assert kernel.clock.now_ns == did.calls * costs.get(
            "call_ns", CALL_NS
        ) + did.blocks * costs.get("block_ns", BLOCK_NS)


@pytest.mark.parametrize("way", ["watch", "poll", "yield"])
def test_waiting_for_the_clock_takes_no_more_calls_than_microseconds(compile_c, way):
    with Kernel(ram="64M") as kernel:
        scheduler = boot_scheduler(kernel)
        assert Machine(kernel).run(compile_c(WAITS), way).status == 0
        assert 20_000_000 <= kernel.clock.now_ns < 20_200_000
        assert 15_000 < scheduler.processor.counters.calls <= 20_200


@pytest.mark.parametrize("cost", [0, -1, 1_000_000_001])
@pytest.mark.parametrize("name", ["call_ns", "block_ns"])
def test_a_cost_is_more_than_nothing_and_no_more_than_a_second(name, cost):
    with pytest.raises(ValueError, match=f"{name} is a number from 1 to 1000000000, not {cost}"):
        Kernel(**{name: cost})


def _functions_called(program: Path, rounds: int) -> int:
    """Return how many of Python's functions a run calls of a loop of fork, exit and wait."""
    called = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal called
        called += event == "call"

    with Kernel(ram="64M") as kernel:
        boot_scheduler(kernel)
        machine, before = Machine(kernel), sys.getprofile()
        sys.setprofile(count)
        try:
            done = machine.run(program, "fork", str(rounds))
        finally:
            sys.setprofile(before)
    assert done.status == 0
    return called


def test_a_fork_an_exit_and_a_wait_call_no_more_functions_than_they_need(programs):
    """Each is some 1,500 instructions; at 253 of them a round took a quarter more.

    The first run imports what the others need.
    """
    _, few, many = (_functions_called(programs / "bench", rounds) for rounds in (1, 20, 60))
    assert (many - few) / 40 <= 193


# Processes that stand in their own directories of /proc, and look at their descriptors there.
AT_HOME = """
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	for (int left = atoi(argv[1]); left--; wait(0))
		if (!fork())
			_exit(chdir("/proc/self") || open("fd/1", O_WRONLY) < 0);
	return 0;
}
"""


@pytest.mark.parametrize("loop", ["fork", "threads", "exec"])
def test_what_has_ended_leaves_nothing_for_a_collection(programs, loop):
    """A task, and what it alone had, goes with the last who knows it; none knows itself."""
    few, many = _left_behind(programs / "bench", loop)
    assert few == many


def test_nor_does_what_has_stood_in_its_own_directory(compile_c):
    few, many = _left_behind(compile_c(AT_HOME))
    assert few == many


def _left_behind(program: Path, *words: str) -> list[int]:
    """Return how many objects a collection finds behind 10 and 60 rounds of a program's loop."""
    found = []
    with Kernel(ram="64M") as kernel:
        boot_scheduler(kernel)
        machine = Machine(kernel)
        gc.collect()
        gc.disable()
        try:
            for rounds in (10, 60):
                assert machine.run(program, *words, str(rounds)).status == 0
                found.append(gc.collect())
        finally:
            gc.enable()
    return found


def _page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def test_shared_pages_are_looked_for_where_memory_is_used(programs):
    """Not in the whole of a large machine: each branch of it would have a copy of what it reads."""
    with Kernel(ram="1G") as kernel:
        scheduler = boot_scheduler(kernel)
        scheduler.processor.count_accesses(())
        assert Machine(kernel).run(programs / "true").status == 0
        before = _page_faults()
        assert scheduler.processor.shared_pages() == []
        assert _page_faults() - before < 100  # 14 MB of what is known of each page: 3,500
