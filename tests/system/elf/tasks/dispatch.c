/*
 * Calls that a thread is told of instead of making them (PR_SET_SYSCALL_USER_DISPATCH): what is
 * refused, what the signal says, who inherits it, what a bad byte does; a tracer that asks for it.
 * Slots of futexes, and PTRACE_SINGLEBLOCK, which steps by instructions where no branch stops.
 */
#define _GNU_SOURCE
#include "results.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <ucontext.h>

#define SET_DISPATCH 59
#define FUTEX_HASH 78
#define SET_CONFIG 0x4210
#define GET_CONFIG 0x4211
#define SINGLEBLOCK 33

struct config {
	unsigned long mode, selector, first, nbytes;
};

static volatile char byte;
static int caught, answer = 77;

/* The call itself, so that nothing else is made in between. */
static long raw(long nr, long a, long b, long c, long d, long e)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	long result;
	asm volatile("syscall"
		     : "=a"(result)
		     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
		     : "rcx", "r11", "memory");
	return result;
}

static long told(long nr)
{
	byte = 1;
	long result = raw(nr, 1, 2, 3, 4, 5);
	byte = 0;
	return result;
}

static long dispatch(long mode, long first, long nbytes, volatile char *selector)
{
	return raw(157, SET_DISPATCH, mode, first, nbytes, (long)selector);
}

static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	byte = 0;
	caught++;
	printf("signal %d code %d errno %d call %d arch %x rax %lld there %d byte %d\n", signo,
	       info->si_code, info->si_errno, info->si_syscall, info->si_arch, regs[REG_RAX],
	       info->si_call_addr == (void *)regs[REG_RIP], byte);
	regs[REG_RAX] = answer;
}

static int status_of(void (*child)(void))
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		child();
		_exit(99);
	}
	waitpid(pid, &status, 0);
	return status & ~0x80; /* whoever runs it may want core files */
}

static void arguments(void)
{
	for (long mode = -1; mode < 5; mode++)
		for (int which = 0; which < 4; which++) {
			long first = which & 1 ? 4096 : 0, nbytes = which & 2 ? 4096 : 0;
			long result = dispatch(mode, first, nbytes, mode > 0 ? &byte : 0);
			dispatch(0, 0, 0, 0);
			P("mode", mode, first, nbytes, result);
		}
	P("off", dispatch(0, 1, 0, 0), dispatch(0, 0, 1, 0), dispatch(0, 0, 0, &byte));
	P("kernel's byte", dispatch(1, 0, 0, (char *)-4096), dispatch(1, 0, 0, (char *)(1L << 62)));
	P("wraps", dispatch(1, -1, 2, &byte), dispatch(1, -4096, 4096, &byte),
	  dispatch(1, 5, 0, &byte), dispatch(2, -4096, 4096, &byte), dispatch(2, 5, -6, &byte));
	dispatch(0, 0, 0, 0);
}

static void child_of_a_caller(void) { _exit(told(SYS_getppid) == answer ? 1 : 2); }

static void executes(void)
{
	dispatch(1, 0, 0, &byte);
	execl("/proc/self/exe", "dispatch", "again", (char *)0);
}

static void says_neither(void)
{
	dispatch(1, 0, 0, &byte);
	byte = 2;
	raw(SYS_getpid, 0, 0, 0, 0, 0);
}

static void cannot_be_read(void)
{
	char *page = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	dispatch(1, 0, 0, page);
	raw(SYS_getpid, 0, 0, 0, 0, 0);
}

static void has_no_byte(void)
{
	dispatch(1, 0, 0, 0);
	raw(SYS_exit_group, 5, 0, 0, 0, 0);
}

static void has_no_handler(void)
{
	signal(SIGSYS, SIG_IGN);
	dispatch(1, 0, 0, &byte);
	told(SYS_getpid);
}

static void blocks_the_signal(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, 0);
	dispatch(1, 0, 0, &byte);
	told(SYS_getpid);
}

static void *a_thread(void *arg)
{
	(void)arg;
	return (void *)(long)(told(SYS_getppid) == answer);
}

static void calls(void)
{
	struct sigaction action = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
	pthread_t thread;
	void *seen;
	long own = (long)raw & -4096L;

	sigaction(SIGSYS, &action, 0);
	P("on", dispatch(1, 0, 0, &byte), told(SYS_getppid), told(4711), caught);
	P("no call", told(-1), told(1l << 31), told((1l << 30) + SYS_getpid), caught);
	P("byte says all", raw(SYS_getppid, 0, 0, 0, 0, 0) == getppid(), caught);
	P("child's", status_of(child_of_a_caller) >> 8, caught);
	pthread_create(&thread, 0, a_thread, 0);
	pthread_join(thread, &seen);
	P("thread's", (long)seen, caught);
	P("from here", dispatch(1, own, 8192, &byte), told(SYS_getppid) == getppid(), caught);
	P("only from here", dispatch(2, own, 8192, &byte), told(SYS_getppid), caught);
	P("not from there", dispatch(2, own + (1 << 30), 4096, &byte),
	  told(SYS_getppid) == getppid(), caught);
	P("off", dispatch(0, 0, 0, 0), told(SYS_getppid) == getppid(), caught);
	P("ends", status_of(executes), status_of(says_neither), status_of(cannot_be_read),
	  status_of(has_no_byte), status_of(has_no_handler), status_of(blocks_the_signal));
}

static long request(long what, pid_t pid, long addr, void *data)
{
	return result(syscall(SYS_ptrace, what, (long)pid, addr, data));
}

static void asks(void)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	long result = told(SYS_getppid);
	_exit(result == answer ? 42 : 43);
}

static void traced(void)
{
	struct config config = { 1, (unsigned long)&byte, 0, 0 }, seen = { 9, 9, 9, 9 };
	int status, stops = 0;
	fflush(stdout);
	pid_t pid = fork();
	if (!pid)
		asks();
	P("nobody's", request(GET_CONFIG, getpid(), sizeof(seen), &seen));
	waitpid(pid, &status, 0);
	P("none", request(GET_CONFIG, pid, sizeof(seen), &seen), (long)seen.mode, (long)seen.first);
	P("size", request(GET_CONFIG, pid, 31, &seen), request(SET_CONFIG, pid, 33, &config),
	  request(SET_CONFIG, pid, 32, (void *)8));
	P("set", request(SET_CONFIG, pid, sizeof(config), &config),
	  request(GET_CONFIG, pid, sizeof(seen), &seen), (long)seen.mode,
	  seen.selector == config.selector, (long)seen.first, (long)seen.nbytes);
	config.mode = 3;
	P("wrong", request(SET_CONFIG, pid, sizeof(config), &config));
	/* Nobody is told of a call that is not made, but of its signal. */
	for (request(PTRACE_SYSCALL, pid, 0, 0);
	     waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
	     request(PTRACE_SYSCALL, pid, 0,
		     (void *)(long)(WSTOPSIG(status) == SIGSYS ? SIGSYS : 0)))
		if (WSTOPSIG(status) == SIGSYS)
			stops++;
	P("signals seen", stops, status);
}

static void steps(void)
{
	int status, stops = 0, others = 0;
	siginfo_t info;
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (volatile int i = 0; i < 20; i++)
			;
		_exit(3);
	}
	waitpid(pid, &status, 0);
	P("bad signal", request(SINGLEBLOCK, pid, 0, (void *)999L));
	while (!request(SINGLEBLOCK, pid, 0, 0) && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status)) {
		stops++;
		ptrace(PTRACE_GETSIGINFO, pid, 0, &info);
		others += WSTOPSIG(status) != SIGTRAP || info.si_code != 2;
	}
	P("steps", stops >= 20, others, status);
}

static long slots(long what, long count, long flags)
{
	return result(prctl(FUTEX_HASH, what, count, flags, 0));
}

static void *tells_slots(void *arg)
{
	P(arg, slots(2, 0, 0));
	return 0;
}

static void with_a_thread(char *what)
{
	pthread_t thread;
	pthread_create(&thread, 0, tells_slots, what);
	pthread_join(thread, 0);
}

static void chosen_slots(void)
{
	P("wrong", slots(0, 0, 0), slots(3, 0, 0), slots(1, 1, 0), slots(1, 3, 0), slots(1, -2, 0),
	  slots(1, 16, 1), slots(1, 1L << 31, 0));
	P("set", slots(2, 0, 0), slots(1, 4, 0), slots(2, 9, 9));
	with_a_thread("kept");
	P("more", slots(1, 64, 0));
	P("get", slots(2, 0, 0));
	P("the machine's", slots(1, 0, 0));
	P("get", slots(2, 0, 0), slots(1, 16, 0), slots(1, 0, 0), slots(1, 3, 0));
	with_a_thread("the machine's, kept");
	_exit(0);
}

static void slots_of_threads(void)
{
	P("alone", slots(2, 0, 0));
	with_a_thread("two");
	P("alone again", slots(2, 0, 0));
	_exit(0);
}

static void slots_of_a_child(void)
{
	P("a child's", slots(2, 0, 0));
	_exit(0);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		_exit(told(SYS_getppid) == getppid() ? 11 : 12);
	setbuf(stdout, 0);
	arguments();
	calls();
	traced();
	steps();
	P("ended", status_of(chosen_slots));
	slots(1, 8, 0);
	P("ended", status_of(slots_of_a_child));
	P("ended", status_of(slots_of_threads));
	return 0;
}
