// Protection keys as a program with the instructions meets them; prints what a processor with keys
// and Linux 6.18 print (pkeys(7)), and on one without what the calls say there.
#define _GNU_SOURCE
#include "results.h"

#include <cpuid.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "pkru.h"

static sigjmp_buf back;
static volatile int code, pkey, error, handler_pkru_differs;
static volatile unsigned frame_pkru;
static unsigned pkru_at;

static void on_fault(int signo, siginfo_t *info, void *arg)
{
	ucontext_t *uc = arg;
	code = info->si_code;
	pkey = info->si_code == 4 ? *(int *)((char *)info + 32) : -1;
	error = (int)uc->uc_mcontext.gregs[REG_ERR];
	handler_pkru_differs = rdpkru() != 0x55555554;
	memcpy((void *)&frame_pkru, (char *)uc->uc_mcontext.fpregs + pkru_at, 4);
	(void)signo;
	siglongjmp(back, 1);
}

static const char *attempt(volatile char *at, int store)
{
	static char text[80];
	unsigned before = rdpkru();
	if (sigsetjmp(back, 1)) {
		snprintf(text, sizeof(text), "code %d pkey %d error %#x frame %d", code, pkey,
			 error, frame_pkru == before);
		wrpkru(before);
		return text;
	}
	if (store)
		*at = 1;
	else
		(void)*at;
	return "fine";
}

static long calls(long nr, long a, long b, long c, long d) { return call(nr, a, b, c, d, 0, 0); }

int main(void)
{
	unsigned a, b, c, d;
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };
	__cpuid_count(7, 0, a, b, c, d);
	if (!(c >> 4 & 1)) {
		printf("no keys: %ld", calls(SYS_pkey_alloc, 0, 0, 0, 0));
		printf(" then %ld", calls(SYS_pkey_alloc, 0, 0, 0, 0));
		printf(" free %ld\n", calls(SYS_pkey_free, 1, 0, 0, 0));
		return 0;
	}
	__cpuid_count(0xd, 9, a, pkru_at, c, d);
	sigaction(SIGSEGV, &action, 0);
	printf("start %#x\n", rdpkru());
	long key = calls(SYS_pkey_alloc, 0, 0, 0, 0), other = calls(SYS_pkey_alloc, 0, 2, 0, 0);
	printf("keys %ld %ld, pkru %#x\n", key, other, rdpkru());
	char *p = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	p[0] = p[4096] = 1;
	printf("protect %ld %ld\n", calls(SYS_pkey_mprotect, (long)p, 8192, 3, key),
	       calls(SYS_pkey_mprotect, (long)p, 4096, 3, 9));
	printf("open: store %s\n", attempt(p, 1));
	wrpkru(rdpkru() | 2u << 2 * key);
	printf("write denied: load %s\n", attempt(p, 0));
	printf("write denied: store %s\n", attempt(p, 1));
	wrpkru(rdpkru() | 1u << 2 * key);
	printf("denied: load %s\n", attempt(p, 0));
	printf("untouched page beside: load %s\n", attempt(p + 8192, 0));
	printf("kernel: %ld\n", calls(SYS_getcwd, (long)p, 100, 0, 0));
	int pipes[2];
	pipe(pipes);
	printf("write from it: %ld\n", calls(SYS_write, pipes[1], (long)p, 1, 0));
	calls(SYS_pkey_mprotect, (long)p + 8192, 8192, 3, key);
	printf("denied, nothing there yet: load %s\n", attempt(p + 12288, 0));
	printf("populate %ld\n", calls(SYS_madvise, (long)p, 4096, 22, 0));
	printf("handler had another pkru: %d\n", handler_pkru_differs);
	fflush(stdout);
	if (!fork()) {
		printf("child: %s\n", attempt(p, 0));
		fflush(stdout);
		_exit(rdpkru() >> 2 * key & 3);
	}
	int status;
	wait(&status);
	printf("child's rights %d\n", WEXITSTATUS(status));
	fflush(stdout);
	if (!vfork()) {
		wrpkru(0);
		_exit(0);
	}
	printf("rights after vfork %d\n", (int)(rdpkru() >> 2 * key & 3));
	wrpkru(rdpkru() & ~(3u << 2 * key));
	printf("again: %s\n", attempt(p, 1));
	printf("free %ld", calls(SYS_pkey_free, key, 0, 0, 0));
	printf(" %ld", calls(SYS_pkey_free, key, 0, 0, 0));
	printf(" %ld\n", calls(SYS_pkey_free, 16, 0, 0, 0));
	unsigned char code_bytes[] = { 0xb8, 42, 0, 0, 0, 0xc3 };
	char *x = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(x, code_bytes, sizeof(code_bytes));
	printf("execute only: %d", mprotect(x, 4096, PROT_EXEC));
	printf(" runs %d", ((int (*)(void))x)());
	printf(" load %s\n", attempt(x, 0));
	printf("its key: free %ld, pkru %#x\n", calls(SYS_pkey_free, key, 0, 0, 0), rdpkru());
	printf("mlock %ld, populate %ld\n", calls(SYS_mlock, (long)x, 4096, 0, 0),
	       calls(SYS_madvise, (long)x, 4096, 22, 0));
	mprotect(x, 4096, PROT_READ | PROT_EXEC);
	printf("readable again: %s, runs %d\n", attempt(x, 0), ((int (*)(void))x)());
	int n = 0;
	while (calls(SYS_pkey_alloc, 0, 0, 0, 0) > 0)
		n++;
	printf("%d more, then %ld\n", n, calls(SYS_pkey_alloc, 0, 0, 0, 0));
	printf("bad: %ld %ld\n", calls(SYS_pkey_alloc, 1, 0, 0, 0),
	       calls(SYS_pkey_alloc, 0, 4, 0, 0));
	return 0;
}
