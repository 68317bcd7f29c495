"""Calls that the core answers itself: answered as Python would, and without entering it.

All is counted, nothing timed: `entries` is how often the engine was entered, once at least for each
call that Python serves.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import pytest

from pkern.kernel.errors import KernelBug
from pkern.kernel.machine import Kernel
from pkern.userland.machine_code import boot_scheduler
from tests.system.conftest import Machine, on_host

TURNS = 10_000
ASKS = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long answers(void)
{
	struct timespec t, u;
	struct timeval v;
	long sum = getpid() + getppid() + syscall(SYS_gettid) + getuid() + geteuid();

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
	syscall(SYS_clock_gettime, CLOCK_REALTIME, &u);
	syscall(SYS_gettimeofday, &v, 0);
	sum += getgid() + getegid();
	return sum + t.tv_nsec + u.tv_sec + u.tv_nsec + v.tv_usec + v.tv_sec + syscall(SYS_time, 0);
}
int main(int argc, char **argv)
{
	unsigned long sum = 0;
	char *fresh;

	setvbuf(stdout, 0, _IONBF, 0);
	for (int i = 0; i < atoi(argv[1]); i++)
		sum = sum * 31 + answers();
	printf("%lx\\n", sum);
	setresgid(7, 8, 9); /* who it is changes: so must the answers */
	setresuid(5, 6, 7);
	printf("%d %d %d %d\\n", getuid(), geteuid(), getgid(), getegid());
	if (!fork()) {
		int first = getppid();
		if (!fork()) {
			int before = getppid(), own = getpid() == before + 1;
			while (getppid() == before)
				;
			printf("%d %d\\n", own, getppid() != first);
			return 0;
		}
		usleep(100);
		return 0;
	}
	wait(0);
	usleep(1000);
	/* memory that is not there, cannot be written, is nobody's */
	fresh = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	printf("%ld", syscall(SYS_clock_gettime, 1, fresh + 4088));
	mprotect(fresh, 4096, PROT_READ);
	printf(" %ld", syscall(SYS_clock_gettime, 1, fresh + 4088));
	printf(" %ld", syscall(SYS_gettimeofday, fresh, 0));
	printf(" %ld", syscall(SYS_clock_gettime, 1, -4096L));
	printf(" %ld", syscall(SYS_clock_gettime, 99, fresh + 4096));
	printf(" %ld\\n", syscall(SYS_clock_gettime, 2, fresh + 4096));
	return 0;
}
"""
# Each look at memory comes at once behind the call, in the block that follows it.
MAPS = """
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096L
#define PAGES 24
#define CALL(...) (errno = 0, syscall(__VA_ARGS__))
enum { RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };
static char *area;
static sigjmp_buf faulted;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	siglongjmp(faulted, 1 + (signo == SIGSEGV) * 2 + ((char *)info->si_addr >= area));
}

/* What a page holds; -1 - how it faults. */
static int look(char *at)
{
	int how = sigsetjmp(faulted, 0);

	return how ? -1 - how : *(volatile signed char *)at;
}

static void show(const char *what, long result)
{
	long at = (char *)result - area;

	if (at < 0 || at >= PAGES * PAGE)
		at = result < 0 ? -1 : result > 0;
	printf("%s %ld %d\\n", what, at, errno);
}

static unsigned long draw(void)
{
	static unsigned long state = 20261201;

	state = state * 6364136223846793005 + 1442695040888963407;
	return state >> 33;
}

/* A few calls on a few pages: each page that is there is marked, one that comes anew is empty. */
static void random_calls(int count)
{
	const int types[] = { ANON, ANON | MAP_NORESERVE, ANON | MAP_POPULATE, ANON,
		MAP_SHARED | MAP_ANONYMOUS };
	unsigned long sum = 0;

	while (count--) {
		long first = draw() % PAGES, nr = 1 + draw() % (PAGES - first), length = nr * PAGE;
		char *at = area + first * PAGE;
		int type = types[draw() % 5], prot = draw() % 5 ? RW : PROT_READ;
		long result;

		if (draw() % 2)
			result = CALL(SYS_munmap, at, length);
		else
			result = CALL(SYS_mmap, at, length, prot, type | MAP_FIXED, -1, 0L);

		for (int page = 0; page < PAGES; page++)
			sum = sum * 31 + look(area + page * PAGE);
		for (int page = 0; page < PAGES; page++)
			if (!sigsetjmp(faulted, 0))
				area[page * PAGE] = 1 + count % 100;
		sum = sum * 31 + (result < 0);
	}
	printf("%lx\\n", sum);
}

/* Code that goes, and other code that comes to its place. */
static void code_in_place(void)
{
	for (int number = 0; number < 4; number++) {
		char code[] = { 0xb8, number, 0, 0, 0, 0xc3 }; /* mov $number, %eax; ret */

		if (number % 2)
			CALL(SYS_munmap, area, PAGE);
		CALL(SYS_mmap, area, PAGE, RW | PROT_EXEC, ANON | MAP_FIXED, -1, 0L);
		memcpy(area, code, sizeof(code));
		printf("%d\\n", ((int (*)(void))area)());
	}
}

/* One allocation of the call is refused: which, and whether it was met. */
static void refused(int nth)
{
	char number[16] = "";
	int fd = open("/proc/self/fail-nth", O_RDWR);

	write(fd, number, snprintf(number, sizeof(number), "%d", nth));
	if (nth % 2)
		show("map", CALL(SYS_mmap, area + nth * PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0L));
	else
		show("unmap", CALL(SYS_munmap, area + nth * PAGE, PAGE));
	pread(fd, number, sizeof(number), 0);
	printf("left %d\\n", atoi(number));
	write(fd, "0", 1);
	close(fd);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	struct rlimit small = { 64 << 20, 64 << 20 };

	setvbuf(stdout, 0, _IONBF, 0);
	sigaction(SIGSEGV, &action, 0);
	sigaction(SIGBUS, &action, 0);
	area = mmap(0, PAGES * PAGE, RW, ANON, -1, 0);
	area[0] = 7;
	for (int nth = 1; argc > 2 && nth < 9; nth++)
		refused(nth);
	if (argc > 2)
		return 0;
	show("munmap", CALL(SYS_munmap, area, PAGE));
	printf("%d\\n", look(area));
	show("munmap nothing", CALL(SYS_munmap, area, PAGE));
	show("munmap empty", CALL(SYS_munmap, area, 0L));
	show("munmap between", CALL(SYS_munmap, area + 1, PAGE));
	show("munmap beyond", CALL(SYS_munmap, 1L << 62, PAGE));
	show("mmap there", CALL(SYS_mmap, area, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0L));
	printf("%d\\n", look(area));
	show("mmap over it", CALL(SYS_mmap, area, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0L));
	show("mmap nothing", CALL(SYS_mmap, 0L, 0L, RW, ANON, -1, 0L));
	show("mmap no type", CALL(SYS_mmap, 0L, PAGE, RW, MAP_ANONYMOUS, -1, 0L));
	show("mmap odd place", CALL(SYS_mmap, area + 1, PAGE, RW, ANON | MAP_FIXED, -1, 0L));
	show("mmap odd offset", CALL(SYS_mmap, area, PAGE, RW, ANON | MAP_FIXED, -1, 1L));
	show("mmap offset", CALL(SYS_mmap, area, PAGE, RW, ANON | MAP_FIXED, -1, 3 * PAGE));
	show("mmap no file", CALL(SYS_mmap, 0L, PAGE, RW, MAP_PRIVATE, -1, 0L));
	show("mmap locked", CALL(SYS_mmap, area, 2 * PAGE, RW, ANON | MAP_FIXED | MAP_LOCKED, -1, 0L));
	code_in_place();
	random_calls(atoi(argv[1]));
	mlockall(MCL_FUTURE);
	show("mmap when all is locked", CALL(SYS_mmap, area, PAGE, RW, ANON | MAP_FIXED, -1, 0L));
	unsigned char there;
	mincore(area, PAGE, &there);
	printf("%d\\n", there & 1);
	munlockall();
	setrlimit(RLIMIT_AS, &small);
	show("mmap beyond the limit", CALL(SYS_mmap, 0L, 1L << 30, RW, ANON, -1, 0L));
	return 0;
}
"""
# Any call that Python serves does for the comparison.
READS = """
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	int fd = open("/dev/zero", O_RDONLY);
	char byte;

	for (int i = 0; i < atoi(argv[1]); i++)
		read(fd, &byte, 1);
	return 0;
}
"""
# rcx and r11 are the instruction's own results: where it goes on, and the flags.
PREFIXED = """
#include <stdio.h>
#define ASK(code) do { \
	unsigned long rax, rcx, r11, at; \
	asm volatile(code "; 1: mov %%r11, %2; lea 1b(%%rip), %3" \
		: "=a"(rax), "=c"(rcx), "=r"(r11), "=r"(at) : "0"(39L) : "r11", "memory"); \
	printf("%d %d %lx\\n", rax == getpid(), rcx == at, r11 & 0x302); \
} while (0)
#include <unistd.h>
int main(void)
{
	getpid();
	ASK("syscall");
	ASK(".byte 0x48; syscall");
	ASK("pushfq; orl $0x200, (%%rsp); popfq; syscall");
	return 0;
}
"""


class Did(NamedTuple):
    status: int
    out: bytes
    now_ns: int
    blocks: int
    calls: int
    entries: int


def _run(program, *arguments, answering=True):
    with Kernel(ram="64M") as kernel:
        scheduler = boot_scheduler(kernel)
        if not answering:
            scheduler.calls.use(
                dict(scheduler.calls.table)
            )  # as who wants to see each of them does
        ran = Machine(kernel, uid=0).run(program, *arguments)
        kernel.check()
        did = scheduler.processor.counters
        return Did(ran.status, ran.out, kernel.clock.now_ns, did.blocks, did.calls, did.entries)


def test_an_answer_is_python_s_own_to_the_nanosecond(compile_c):
    program = compile_c(ASKS)
    ours, python_s = _run(program, "50"), _run(program, "50", answering=False)
    assert ours[:-1] == python_s[:-1]
    lines = ours.out.splitlines()
    assert ours.status == 0
    assert lines[1] == b"5 6 7 8"
    assert lines[2] == b"1 1"
    assert lines[3] == b"0 -1 -1 -1 -1 0"
    assert ours.entries < python_s.entries - 11 * 49


def test_maps_of_the_core_are_python_s_and_nothing_shows_that_is_gone(compile_c):
    program = compile_c(MAPS)
    ours, python_s = _run(program, "60"), _run(program, "60", answering=False)
    assert ours[:-1] == python_s[:-1]
    assert ours.status == 0
    assert ours.out == on_host(program, "60").out
    assert ours.entries < python_s.entries


def test_an_allocation_that_a_map_is_refused_is_refused_once(compile_c):
    program = compile_c(MAPS)
    ours = _run(program, "0", "refused")
    assert ours[:-1] == _run(program, "0", "refused", answering=False)[:-1]
    assert b"map -1 12\nleft 0\n" in ours.out


@pytest.mark.parametrize("way", ["getppid", "watch"])
def test_such_a_call_does_not_enter_python(programs, compile_c, way):
    if way == "getppid":
        few, many = (_run(programs / "bench", way, str(n)) for n in (TURNS, 3 * TURNS))
    else:
        few, many = (_run(compile_c(ASKS), str(n)) for n in (TURNS // 10, 3 * TURNS // 10))
    assert many.calls - few.calls >= 2 * TURNS
    assert many.entries - few.entries < 30  # slices that end


def test_any_other_enters_it_once(compile_c):
    few, many = (_run(compile_c(READS), str(n)) for n in (TURNS, 2 * TURNS))
    assert many.calls - few.calls == TURNS
    assert TURNS <= many.entries - few.entries < TURNS + 30


def test_what_the_instruction_leaves_in_registers_also_with_a_prefix(compile_c):
    program = compile_c(PREFIXED)
    assert _run(program).out == on_host(program).out == b"1 1 202\n" * 3


def test_an_answer_that_is_no_longer_so_is_found(compile_c):
    with Kernel(ram="64M") as kernel:
        scheduler = boot_scheduler(kernel)
        found = []

        def look(task, *registers):
            assert task.context.remembered(39) == task.tgid
            task.cred = task.cred._replace(uid=77)  # behind the back of use_credentials()
            try:
                kernel.check()
            except KernelBug as bug:
                found.extend(line for line in str(bug).splitlines() if line.startswith("T9"))
            task.cred = task.cred._replace(uid=0)
            return 0

        scheduler.calls.table[24] = (
            look  # sched_yield; the table stays, so the core goes on answering
        )
        program = compile_c(
            "#include <sched.h>\n#include <unistd.h>\n"
            "int main(void) { getpid(); getuid(); sched_yield(); return 0; }\n"
        )
        assert Machine(kernel, uid=0).run(program).status == 0
        assert len(found) == 1
        assert "answers 0 to call 102" in found[0]


def _functions(program, loop, turns):
    """Return how many functions of Python a loop of the bench has called."""
    count = 0

    def note(frame, event, argument):
        nonlocal count
        count += event == "call"

    with Kernel(ram="64M") as kernel:
        boot_scheduler(kernel)
        machine = Machine(kernel)
        task = machine.spawn(program, loop, str(turns))
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            kernel.scheduler.run(task)
        finally:
            sys.setprofile(before)
        assert task.group.exit_status == 0
    return count


# A turn of read is one call, of pipe four calls, two waits and two switches; of futex the same, of
# mmap two calls, and none of these is Python's.
@pytest.mark.parametrize(
    ("loop", "most"), [("getppid", 0.1), ("mmap", 0.1), ("read", 18), ("pipe", 182), ("futex", 0.1)]
)
def test_a_call_and_a_switch_take_so_many_functions_of_python(programs, loop, most):
    few, many = (_functions(programs / "bench", loop, turns) for turns in (300, 900))
    assert (many - few) / 600 <= most
