// NT and TF: set by popf, over a call, in a signal's frame, stepped over instructions.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define NT 0x4000ul
#define TF 0x100ul
static unsigned long in_frame, in_handler;
static int traps, codes;
static long where[64];
static unsigned long change;

static unsigned long get(void)
{
	unsigned long flags;
	asm volatile("pushfq; pop %0" : "=r"(flags)::"memory");
	return flags;
}

static void set(unsigned long flags)
{
	asm volatile("push %0; popfq" ::"r"(flags) : "memory", "cc");
}

static void usr(int signo, siginfo_t *info, void *context)
{
	ucontext_t *frame = context;
	in_frame = frame->uc_mcontext.gregs[REG_EFL];
	in_handler = get();
	frame->uc_mcontext.gregs[REG_EFL] ^= change;
}

extern char step_begin[], step_end[];

static void trap(int signo, siginfo_t *info, void *context)
{
	ucontext_t *frame = context;
	if (traps < 64)
		where[traps] = frame->uc_mcontext.gregs[REG_RIP] - (long)step_begin;
	traps++;
	codes |= 1 << info->si_code;
	if ((char *)frame->uc_mcontext.gregs[REG_RIP] >= step_end)
		frame->uc_mcontext.gregs[REG_EFL] &= ~TF;
}

static void bits(void)
{
	unsigned long wanted[] = {
		NT, 0x200000, 0x40000, 0x400, 0x10000, 0x3000, 0x80000, 0x100000
	};
	for (int i = 0; i < 8; i++) {
		set(0x202 | wanted[i]);
		unsigned long after = get();
		asm volatile("syscall" ::"a"(SYS_getppid) : "rcx", "r11", "memory");
		unsigned long call = get();
		raise(SIGUSR1);
		unsigned long back = get();
		set(0x202);
		printf("%06lx: set %lx, after a call %lx, in the frame %lx, the handler %lx, back "
		       "%lx\n",
		       wanted[i], after & wanted[i], call & wanted[i], in_frame & wanted[i],
		       in_handler & wanted[i], back & wanted[i]);
		change = wanted[i];
		raise(SIGUSR1);
		back = get();
		set(0x202);
		printf("  by the frame: %lx\n", back & wanted[i]);
		change = 0;
	}
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = usr, .sa_flags = SA_SIGINFO };
	struct sigaction step = { .sa_sigaction = trap, .sa_flags = SA_SIGINFO };
	char from[8] = "abcdefg", to[8];
	sigaction(SIGUSR1, &action, 0);
	sigaction(SIGTRAP, &step, 0);
	bits();
	asm volatile(".global step_begin, step_end\n"
		     "step_begin: pushfq\n"
		     "orq $0x100, (%%rsp)\n"
		     "popfq\n"
		     "nop\n"
		     "mov $110, %%eax\n" /* getppid */
		     "syscall\n"
		     "nop\n"
		     "lea %0, %%rsi\n"
		     "lea %1, %%rdi\n"
		     "mov $3, %%ecx\n"
		     "rep movsb\n"
		     "jmp 1f\n"
		     "nop\n"
		     "1: call 2f\n"
		     "jmp 3f\n"
		     "2: ret\n"
		     "3: pushfq\n"
		     "pop %%rdx\n"
		     "step_end: nop\n"
		     "nop\n"
		     :
		     : "m"(from), "m"(to)
		     : "rax", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc");
	printf("%d traps, codes %x:", traps, codes);
	for (int i = 0; i < traps && i < 64; i++)
		printf(" %ld", where[i]);
	printf("\n");
	return 0;
}
