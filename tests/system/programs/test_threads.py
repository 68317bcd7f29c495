"""Programs with threads: each allocation fails, memory runs out, slices have any length."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pkern.kernel.errors import SIGKILL, Deadlock, SyscallError
from pkern.kernel.machine import Kernel
from pkern.kernel.tasks import clone
from pkern.kernel.tasks.task import Task
from pkern.syscalls.strace.tracer import Tracer
from pkern.userland.machine_code import boot_scheduler
from pkern.userland.program import Sys
from tests.system.conftest import Compile, Machine, on_host

MOST_ALLOCATIONS = 1000
STEP = 7  # every so many allocations fails one; the first and the last ones each
SIGSEGV, SIGBUS = 11, 7
# A process whose second thread ends it in the turn in which a timer is due; nobody waits for it.
ENDS_IN_TIME = r"""
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
static void *ends_all(void *unused)
{
	struct itimerval soon = { { 0, 1 }, { 0, 1 } };
	setitimer(ITIMER_PROF, &soon, NULL);
	for (volatile int i = 0; i < 1000; i++)
		;
	syscall(SYS_exit_group, 0);
	return unused;
}
int main(void)
{
	pthread_t second;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPROF, SIG_IGN);
	if (fork() == 0) {
		pthread_create(&second, NULL, ends_all, NULL);
		pause();
	}
	return wait(NULL) != -1;
}
"""
EATER = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *eat(void *arg) { for (;;) memset(malloc(1 << 16), 1, 1 << 16); return 0; }
static void *rest(void *arg) { for (;;) pause(); return 0; }
int main(void)
{
	int status;
	pid_t child = fork();
	pthread_t thread;
	if (!child) {
		pthread_create(&thread, 0, rest, 0);
		pthread_create(&thread, 0, eat, 0);
		rest(0);
	}
	waitpid(child, &status, 0);
	printf("%x\n", status);
	return 0;
}
"""
CROSSED = r"""
#include <pthread.h>
#include <unistd.h>
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER, two = PTHREAD_MUTEX_INITIALIZER;
static void *other(void *arg)
{
	pthread_mutex_lock(&two);
	usleep(1000);
	pthread_mutex_lock(&one);
	return 0;
}
int main(void)
{
	pthread_t thread;
	pthread_mutex_lock(&one);
	pthread_create(&thread, 0, other, 0);
	usleep(1000);
	pthread_mutex_lock(&two);
	return 0;
}
"""
EXECUTES = r"""
#include <pthread.h>
#include <unistd.h>
static void *execute(void *arg) { execl(arg, arg, "again", (char *)0); return 0; }
static void *rest(void *arg) { pause(); return 0; }
int main(int argc, char **argv)
{
	pthread_t thread;
	if (argc > 1)
		return 5;
	pthread_create(&thread, 0, rest, 0);
	pthread_create(&thread, 0, execute, argv[0]);
	pause();
	return 0;
}
"""


def _run_checked(machine: Machine, task: Task) -> int:
    """Run a program, recounting everything after each turn; return how it ended."""
    scheduler, kernel = machine.kernel.scheduler, machine.kernel
    assert scheduler is not None

    def done() -> bool:
        kernel.check()
        return not task.group.alive

    scheduler.run_until(done)
    return task.group.exit_status or 0


@pytest.mark.parametrize("slices", [(3, 5), (13, 13), (300, 500)])
def test_any_length_of_slice_gives_the_hosts_output(
    compile_c: Compile, machine: Machine, slices: tuple[int, int]
) -> None:
    program = compile_c("threads", "musl", "-pthread")
    machine.uid = os.getuid()
    boot_scheduler(machine.kernel).slices = slices
    here, there = machine.run(program), on_host(program)
    assert here.out.decode() == there.out.decode()


def test_the_recount_holds_after_every_turn(compile_c: Compile, machine: Machine) -> None:
    program = compile_c("threadfailures", "musl", "-pthread")
    boot_scheduler(machine.kernel).slices = 200, 200
    assert _run_checked(machine, machine.spawn(program)) == 0
    assert b"".join(machine.out) == b"sum 103 refused 0\n"


def _count_allocations(program: Path) -> int:
    with Kernel(ram="64M") as kernel:
        machine = Machine(kernel)
        task = machine.spawn(program)
        kernel.fail_nth(MOST_ALLOCATIONS)
        assert kernel.scheduler is not None
        kernel.scheduler.run(task)
        return MOST_ALLOCATIONS - kernel.fail_pending


def test_every_nth_allocation_may_fail(compile_c: Compile) -> None:
    """What cannot be made is an errno, a program that cannot go on dies, and nothing is leaked."""
    program = compile_c("threadfailures", "musl", "-pthread")
    total = _count_allocations(program)
    assert 50 < total < MOST_ALLOCATIONS
    refused = 0
    for nth in [*range(1, total, STEP), *range(total - STEP, total + 1)]:
        with Kernel(ram="64M") as kernel:
            machine = Machine(kernel)
            task = machine.spawn(program)
            kernel.fail_nth(nth)
            assert kernel.scheduler is not None
            kernel.scheduler.run(task)
            status = task.group.exit_status
            assert status in (0, SIGSEGV, SIGBUS, SIGKILL), (nth, status, machine.out)
            refused += b"refused 0" not in b"".join(machine.out)
            kernel.check()
    assert refused  # some were asked for by the program


@pytest.mark.boot(ram="16M")
def test_out_of_memory_kills_every_thread_of_one_process(
    compile_c: Compile, machine: Machine
) -> None:
    ran = machine.run(compile_c(EATER, "musl", "-pthread"))
    assert ran.out == b"9\n"
    killed = [line for line in machine.kernel.log.lines() if "Killed process" in line]
    assert len(killed) == 1


def test_a_deadlock_names_each_thread(compile_c: Compile, machine: Machine) -> None:
    task = machine.spawn(compile_c(CROSSED, "musl", "-pthread"))
    assert machine.kernel.scheduler is not None
    with pytest.raises(Deadlock) as caught:
        machine.kernel.scheduler.run(task)
    text = str(caught.value)
    assert text.count("futex: the word at") == len(task.group.threads) == 2
    assert f"pid {task.pid} " in text


def _trace(kernel: Kernel, program: Path) -> list[str]:
    machine, lines = Machine(kernel), list[str]()
    scheduler = boot_scheduler(kernel)
    Tracer(lines.append).attach(scheduler)
    assert scheduler is kernel.scheduler
    machine.run(program)
    return lines


def test_a_trace_names_threads_and_is_the_same_on_every_run(compile_c: Compile) -> None:
    program = compile_c(EXECUTES, "musl", "-pthread")
    with Kernel(ram="64M") as one, Kernel(ram="64M") as two:
        first, second = _trace(one, program), _trace(two, program)
    assert first == second
    text = "\n".join(first)
    assert "CLONE_THREAD|CLONE_SYSVSEM" in text
    assert "+++ superseded by execve in pid 4 +++" in text
    assert "[pid     3] +++ exited with 0 +++" in text
    assert first[-1] == "+++ exited with 5 +++"


def test_a_python_program_has_no_threads(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    with pytest.raises(SyscallError):
        sys.clone(clone.CLONE_VM | clone.CLONE_SIGHAND | clone.CLONE_THREAD)
    child = sys.fork()
    assert (child.getpid(), child.gettid(), child.getppid()) == (2, 2, 1)


@pytest.mark.parametrize("flags", [clone.CLONE_FS, clone.CLONE_FILES, clone.CLONE_SYSVSEM])
def test_unshare_leaves_what_nobody_shares(kernel: Kernel, flags: int) -> None:
    sys = Sys(kernel.spawn())
    fd = sys.open("/dev/null", sys.O_RDONLY)
    assert sys.unshare(flags) == 0
    assert sys.read(fd, 1) == b""


def test_the_machine_has_room_for_so_many_threads(kernel: Kernel) -> None:
    sys = Sys(kernel.spawn())
    kernel.sysctl["kernel.threads-max"] = 2
    sys.fork()
    with pytest.raises(SyscallError) as caught:
        sys.fork()
    assert caught.value.errno == errno.EAGAIN


def test_a_timer_is_due_in_the_turn_in_which_its_process_is_forgotten(compile_c: Compile) -> None:
    with Kernel(ram="64M") as kernel:
        boot_scheduler(kernel)
        assert Machine(kernel).run(compile_c(ENDS_IN_TIME)).status == 0
