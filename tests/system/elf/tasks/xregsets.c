// The processor's extended state as a tracer and a handler read and set it, as far as every processor
// with xsave has it: x87 and SSE.
#define _GNU_SOURCE
#include <linux/elf.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>

#include "results.h"

enum {
	TAGS = 4,
	MXCSR = 24,
	ST0 = 32,
	XMM0 = 160,
	SOFTWARE = 464,
	HEADER = 512,
	COMPACTED = 520,
	LAST = 575
};

static unsigned char state[16384], legacy[512], changed[16384];
static size_t size;
static pid_t child;

static long exchange(int request, int kind, void *at, size_t *nbytes)
{
	struct iovec part = { at, *nbytes };
	long r = result(ptrace(request, child, kind, &part));
	*nbytes = part.iov_len;
	return r;
}

static long set(int kind, size_t nbytes)
{
	return exchange(PTRACE_SETREGSET, kind, changed, &nbytes);
}

static long set_byte(int kind, int at, int value)
{
	memcpy(changed, kind == NT_PRFPREG ? legacy : state, size);
	changed[at] = (unsigned char)value;
	return set(kind, kind == NT_PRFPREG ? sizeof legacy : size);
}

static uint64_t word(const unsigned char *at)
{
	uint64_t value;
	memcpy(&value, at, 8);
	return value;
}

static void child_stops(void)
{
	uint64_t one[2] = { 0x1111, 0x2222 };
	long double number = 3;
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	for (int i = 0; i < 3; i++) {
		__asm__ volatile("fldt %1\nmovups %0, %%xmm0\nsyscall\nfstpt %1\nmovups %%xmm0, %0"
				 : "+m"(one), "+m"(number)
				 : "a"(SYS_tkill), "D"(getpid()), "S"(SIGSTOP)
				 : "rcx", "r11", "xmm0", "st", "memory");
		if (i == 0) /* an empty register later on */
			printf("child: %Lg\n", number);
		printf("child: %lx %lx\n", one[0], one[1]);
	}
	exit(0);
}

static void reads(void)
{
	size_t few = 8, odd = 12, none = 0, all = sizeof legacy;
	size = sizeof state;
	P("get", exchange(PTRACE_GETREGSET, NT_X86_XSTATE, state, &size), size >= 576,
	  (long)size % 8);
	P("first bytes", exchange(PTRACE_GETREGSET, NT_X86_XSTATE, changed, &few), (long)few,
	  exchange(PTRACE_GETREGSET, NT_X86_XSTATE, changed, &odd),
	  exchange(PTRACE_GETREGSET, NT_X86_XSTATE, changed, &none), (long)none);
	exchange(PTRACE_GETREGSET, NT_PRFPREG, legacy, &all);
	P("as fxsave has it", (long)all, memcmp(state, legacy, SOFTWARE));
	P("components", (long)word(state + SOFTWARE) & 3, (long)word(state + HEADER) & 3,
	  (long)word(state + XMM0), (long)word(state + XMM0 + 8));
}

static void refusals(void)
{
	P("too few", set(NT_X86_XSTATE, size - 8), set(NT_X86_XSTATE, 12), set(NT_PRFPREG, 504));
	P("components there are not", set_byte(NT_X86_XSTATE, HEADER + 7, 0x40));
	P("compacted", set_byte(NT_X86_XSTATE, COMPACTED + 7, 0x80),
	  set_byte(NT_X86_XSTATE, COMPACTED, 1));
	P("the header's rest", set_byte(NT_X86_XSTATE, LAST, 1));
	P("mxcsr", set_byte(NT_X86_XSTATE, MXCSR + 2, 1), set_byte(NT_PRFPREG, MXCSR + 2, 1));
}

static void goes_on(void)
{
	int status;
	ptrace(PTRACE_CONT, child, 0, 0);
	waitpid(child, &status, 0);
}

/* ---- in a frame ---- */

static int part;

static void changes(int signo, siginfo_t *info, void *context)
{
	mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
	unsigned char *image = (unsigned char *)machine->fpregs;
	if (part == 1)
		image[MXCSR + 2] = 1;
	if (part == 2)
		image[MXCSR + 1] = 0x3f; /* rounds down */
	if (part == 3)
		machine->fpregs = (void *)(image + 8);
	if (part == 4)
		machine->fpregs = (void *)64; /* where nothing is */
	if (part == 5)
		image[HEADER + 7] = 0x40;
	(void)signo, (void)info;
}

static void on_fault(int signo, siginfo_t *info, void *context)
{
	printf("frame %d: signal %d code %d at %p\n", part, signo, info->si_code, info->si_addr);
	(void)context;
	_exit(0);
}

static void frames(void)
{
	struct sigaction action = { .sa_sigaction = changes, .sa_flags = SA_SIGINFO };
	sigaction(SIGUSR1, &action, 0);
	action.sa_sigaction = on_fault;
	sigaction(SIGSEGV, &action, 0);
	for (part = 0; part < 6; part++) {
		unsigned mxcsr;
		if (!fork()) {
			raise(SIGUSR1);
			__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
			printf("frame %d: mxcsr %x\n", part, mxcsr & 0xffc0);
			_exit(0);
		}
		wait(0);
	}
}

int main(void)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	if (!(child = fork()))
		child_stops();
	waitpid(child, 0, 0);
	reads();
	refusals();
	memcpy(changed, state, size);
	changed[XMM0] = 0x77;
	changed[ST0 + 7] = 0x80; /* 2 in place of 3 */
	P("set", set(NT_X86_XSTATE, size));
	goes_on();
	for (int component = 1; component <= 2;
	     component++) { /* the other one is in its first state */
		exchange(PTRACE_GETREGSET, NT_X86_XSTATE, state, &size);
		P("set one", set_byte(NT_X86_XSTATE, HEADER, component));
		exchange(PTRACE_GETREGSET, NT_X86_XSTATE, state, &size);
		P("registers in use", state[TAGS]);
		goes_on();
	}
	frames();
	return 0;
}
