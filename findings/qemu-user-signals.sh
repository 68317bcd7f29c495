#!/usr/bin/env bash
# qemu-x86_64-static 7.2 (Debian 12, qemu-user-static): faults tell a handler less than on a processor, and one signal is missing.
# Expected (sigaction(2): SI_KERNEL and no address for a general protection fault, as one at an address that is
#   not canonical is; <sys/ucontext.h>: REG_TRAPNO is the exception's number, 14 for a page fault;
#   feenableexcept(3): SIGFPE; signal(7): real-time signals go to SIGRTMAX).
# Seen: SEGV_MAPERR; REG_TRAPNO is -1 for every exception; unmasked exceptions of x87 and SSE pass; SIGRTMAX
#   has a handler without an error, and sigqueue() of it is EINVAL.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
deb qemu-user-static 1:7.2+dfsg-
cat >t.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static siginfo_t seen;
static long trap;

static void handler(int sig, siginfo_t *info, void *context)
{
	seen = *info;
	trap = ((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
	siglongjmp(back, 1);
}

static void unmapped(void)
{
	(void)*(volatile char *)8;
}

static void not_canonical(void)
{
	(void)*(volatile char *)0x8000000000000000;
}

static void undefined(void)
{
	asm volatile("ud2");
}

static void divide(void)
{
	volatile double zero = 0;

	feenableexcept(FE_DIVBYZERO);
	zero = 1 / zero;
}

static void divide_x87(void)
{
	volatile long double zero = 0;

	feenableexcept(FE_DIVBYZERO);
	zero = 1 / zero;
	asm volatile("fwait");
}

static void try(const char *name, void (*fault)(void))
{
	printf("%s: ", name);
	if (sigsetjmp(back, 1) == 0) {
		fault();
		puts("nothing");
	} else {
		printf("%s, si_code %d, trap %ld\n", sigabbrev_np(seen.si_signo), seen.si_code, trap);
	}
	fesetenv(FE_DFL_ENV);
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };

	setvbuf(stdout, NULL, _IONBF, 0);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	try("unmapped", unmapped);
	try("not canonical", not_canonical);
	try("ud2", undefined);
	try("1 / 0 in SSE", divide);
	try("1 / 0 in x87", divide_x87);
	action.sa_handler = SIG_IGN;
	action.sa_flags = 0;
	printf("SIGRTMAX's handler: %s\n", sigaction(SIGRTMAX, &action, NULL) ? strerrorname_np(errno) : "0");
	printf("SIGRTMAX queued: %s\n",
	       sigqueue(getpid(), SIGRTMAX, (union sigval){}) ? strerrorname_np(errno) : "0");
}
C
gcc -static -o t t.c -lm
expect "host" "$(./t)" \
"unmapped: SEGV, si_code 1, trap 14
not canonical: SEGV, si_code 128, trap 13
ud2: ILL, si_code 2, trap 6
1 / 0 in SSE: FPE, si_code 3, trap 19
1 / 0 in x87: FPE, si_code 3, trap 16
SIGRTMAX's handler: 0
SIGRTMAX queued: 0"
expect "qemu" "$("$W/root/usr/bin/qemu-x86_64-static" ./t)" \
"unmapped: SEGV, si_code 1, trap -1
not canonical: SEGV, si_code 1, trap -1
ud2: ILL, si_code 2, trap -1
1 / 0 in SSE: nothing
1 / 0 in x87: nothing
SIGRTMAX's handler: 0
SIGRTMAX queued: EINVAL"
