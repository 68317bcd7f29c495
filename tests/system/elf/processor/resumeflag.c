/* RF in the flags that a handler and a tracer see: set at a fault, not behind a trap or a call. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define RF 0x10000ul
#define TF 0x100ul

static volatile unsigned long seen, in_handler;
static volatile int skip;

static unsigned long flags(void)
{
	unsigned long value;
	asm volatile("pushfq; pop %0" : "=r"(value)::"memory");
	return value;
}

static void handler(int signo, siginfo_t *info, void *context)
{
	ucontext_t *frame = context;
	(void)signo, (void)info;
	in_handler = flags();
	seen = frame->uc_mcontext.gregs[REG_EFL];
	frame->uc_mcontext.gregs[REG_EFL] &= ~(long)TF;
	frame->uc_mcontext.gregs[REG_RIP] += skip;
}

static void show(const char *what)
{
	unsigned long now = flags();
	printf("%s: frame %d, handler %d, behind it %d\n", what, !!(seen & RF), !!(in_handler & RF),
	       !!(now & RF));
	seen = in_handler = 0;
}

static void by_handler(void)
{
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	skip = 2;
	asm volatile("movb (%0), %%al" ::"r"(hole) : "rax", "memory");
	show("load");
	asm volatile("movb %%al, (%0)" ::"r"(hole) : "memory");
	show("store");
	asm volatile("ud2");
	show("ud2");
	asm volatile("xor %%eax, %%eax; cltd; xor %%ecx, %%ecx; div %%ecx" ::: "rax", "rcx", "rdx");
	show("div");
	asm volatile("int $0x70");
	show("int 0x70");
	skip = 1;
	asm volatile("hlt");
	show("hlt");
	skip = 0;
	asm volatile("int3");
	show("int3");
	raise(SIGUSR1);
	show("raise");
	asm volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc");
	show("trap flag");
}

static void by_tracer(void)
{
	struct user_regs_struct regs;
	int status, pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		*(volatile char *)8 = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_GETREGS, pid, 0, &regs);
	printf("tracer: signal %d, RF %d\n", WSTOPSIG(status), !!(regs.eflags & RF));
	ptrace(PTRACE_KILL, pid, 0, 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
}

int main(void)
{
	static const int all[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGUSR1 };
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	for (unsigned int i = 0; i < sizeof(all) / sizeof(*all); i++)
		sigaction(all[i], &action, NULL);
	by_handler();
	signal(SIGSEGV, SIG_DFL);
	fflush(stdout);
	by_tracer();
	return 0;
}
