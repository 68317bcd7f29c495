// RDTSC and RDTSCP of who has given them up: PR_SET_TSC, kept by children and by execve.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static siginfo_t told;
static unsigned long rip, rax, error, trap;
extern char plain[], with_processor[];

static void on_fault(int signo, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;

	(void)signo;
	told = *info;
	rip = (unsigned long)c->uc_mcontext.gregs[REG_RIP];
	rax = (unsigned long)c->uc_mcontext.gregs[REG_RAX];
	error = (unsigned long)c->uc_mcontext.gregs[REG_ERR];
	trap = (unsigned long)c->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(back, 1);
}

static __attribute__((noinline)) void read_plain(void)
{
	__asm__ volatile("plain: rdtsc" : : "a"(77) : "rdx");
}

static __attribute__((noinline)) void read_with_processor(void)
{
	__asm__ volatile("with_processor: rdtscp" : : "a"(77) : "rdx", "rcx");
}

static void attempt(const char *what, void (*read_it)(void), const char *at)
{
	if (sigsetjmp(back, 1))
		printf("%s: code %d addr %d at it %d rax %lu error %lx trap %lu\n", what,
		       told.si_code, told.si_addr != NULL, rip == (unsigned long)at, rax, error,
		       trap);
	else {
		read_it();
		printf("%s: read\n", what);
	}
}

static void both(const char *what)
{
	int now = -1;

	prctl(PR_GET_TSC, &now);
	printf("now %d\n", now);
	attempt(what, read_plain, plain);
	attempt(what, read_with_processor, with_processor);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	(void)argv;
	setvbuf(stdout, NULL, _IONBF, 0);
	sigaction(SIGSEGV, &action, NULL);
	if (argc > 1) {
		both("executed");
		return 0;
	}
	printf("get to nowhere %d %d\n", prctl(PR_GET_TSC, 8), errno);
	printf("set 0 %d 3 %d\n", prctl(PR_SET_TSC, 0), prctl(PR_SET_TSC, 3));
	both("at first");
	printf("off %d\n", prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	both("off");
	if (!fork()) {
		both("child");
		printf("on %d\n", prctl(PR_SET_TSC, PR_TSC_ENABLE));
		both("child, on");
		prctl(PR_SET_TSC, PR_TSC_SIGSEGV);
		execl("/proc/self/exe", "timestamps", "again", NULL);
		_exit(1);
	}
	wait(NULL);
	prctl(PR_SET_TSC, PR_TSC_ENABLE);
	both("on");
	return 0;
}
