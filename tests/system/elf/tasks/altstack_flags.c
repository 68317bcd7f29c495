// ss_flags of sigaltstack: as given, as shown, in the frame, inside and after a handler.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define AUTODISARM (1u << 31)
static char stack[1 << 16], other[1 << 16];
static unsigned flags[4];
static int inside, nested, refused;

static void inner(int signo, siginfo_t *info, void *context)
{
	char here;
	nested = &here >= stack && &here < stack + sizeof stack;
}

static void handler(int signo, siginfo_t *info, void *context)
{
	ucontext_t *frame = context;
	stack_t old, new = { other, 0, sizeof other };
	char here;
	inside = &here >= stack && &here < stack + sizeof stack;
	sigaltstack(0, &old);
	flags[0] = frame->uc_stack.ss_flags;
	flags[1] = old.ss_flags;
	refused = sigaltstack(&new, 0) ? errno : 0;
	sigaltstack(0, &old);
	flags[2] = old.ss_flags;
	raise(SIGUSR2);
}

static void try(unsigned given)
{
	stack_t new = { stack, (int)given, sizeof stack }, off = { 0, SS_DISABLE, 0 }, old;
	int set = sigaltstack(&new, 0) ? errno : 0;
	inside = nested = refused = -1;
	raise(SIGUSR1);
	sigaltstack(0, &old);
	printf("%08x: %d; inside %d nested %d refused %d; frame %08x, shown %08x %08x, after %08x "
	       "%d %zu\n",
	       given, set, inside, nested, refused, flags[0], flags[1], flags[2],
	       (unsigned)old.ss_flags, old.ss_sp == stack, old.ss_size);
	set = sigaltstack(&off, &old) ? errno : 0;
	sigaltstack(0, &old);
	printf("off: %d %08x %d %zu\n", set, (unsigned)old.ss_flags, old.ss_sp == 0, old.ss_size);
}

int main(void)
{
	struct sigaction outer_action = { .sa_sigaction = handler,
					  .sa_flags = SA_ONSTACK | SA_SIGINFO };
	struct sigaction inner_action = { .sa_sigaction = inner,
					  .sa_flags = SA_ONSTACK | SA_SIGINFO };
	sigaction(SIGUSR1, &outer_action, 0);
	sigaction(SIGUSR2, &inner_action, 0);
	try(0);
	try(1);
	try(2);
	try(AUTODISARM);
	try(AUTODISARM | 1);
	try(AUTODISARM | 2);
	for (int bit = 2; bit < 31; bit++)
		try(1u << bit);
	return 0;
}
