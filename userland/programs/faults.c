/*
 * faults.c - what a wrong access brings: signal, si_code, si_addr, and what a handler may do.
 */
#include "raw.h"

static sigjmp_buf back;
static char *base;
static char *mend_at;

static void report(int signo, siginfo_t *info, void *context)
{
	(void)context;
	say("signal %d, si_code %d, offset %ld\n", signo, info->si_code,
	    (long)((char *)info->si_addr - base));
	siglongjmp(back, 1);
}

/* Give the missing page and return to the instruction, which is run again. */
static void mend(int signo, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & -PAGE);

	(void)signo, (void)context;
	mend_at = info->si_addr;
	must(sys_mmap(page, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) > 0, "mend");
	memset(page, 'm', PAGE);
}

static void handle(void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | flags };

	action.sa_sigaction = handler;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

static void load(const char *what, volatile char *at)
{
	say("load, %s: ", what);
	if (!sigsetjmp(back, 1))
		say("%d\n", *at);
}

static void store(const char *what, volatile char *at)
{
	say("store, %s: ", what);
	if (!sigsetjmp(back, 1)) {
		*at = 1;
		say("done\n");
	}
}

static void fetch(const char *what, char *at)
{
	say("fetch, %s: ", what);
	if (!sigsetjmp(back, 1))
		((void (*)(void))at)();
}

/* A store of eight bytes over a page boundary: the first byte that fails is the second page's. */
static void store_across(char *boundary)
{
	say("store across pages: ");
	if (!sigsetjmp(back, 1))
		*(volatile uint64_t *)(boundary - 4) = 1;
}

static int die_in_child(volatile char *at)
{
	if (sys_fork() == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		sys_exit(*at);
	}
	return reap();
}

int main(void)
{
	int file = file_of_letters(1, 'f');
	char *shown;
	stack_t other = { .ss_size = 16 * PAGE };

	handle(report, 0);
	base = map_anonymous(4 * PAGE);
	sys_munmap(base + PAGE, PAGE);
	sys_mprotect(base + 2 * PAGE, PAGE, PROT_READ);
	sys_mprotect(base + 3 * PAGE, PAGE, PROT_NONE);
	load("fresh page", base + 5);
	load("nothing mapped", base + PAGE + 123);
	store("nothing mapped", base + 2 * PAGE - 1);
	store("read-only", base + 2 * PAGE + 77);
	load("read-only", base + 2 * PAGE + 77);
	load("no access", base + 3 * PAGE + 4095);
	fetch("not executable", base);
	store_across(base + PAGE);

	shown = map(2 * PAGE, RW, MAP_SHARED, file);
	base = shown;
	load("last page of the file", shown + 4000);
	load("beyond the file", shown + PAGE + 10);
	store("beyond the file", shown + PAGE + 11);
	say("child dies of: %d %d\n", die_in_child(shown + PAGE), die_in_child((char *)8));

	handle(mend, 0);
	say("mended: %c, at offset %ld\n", ((volatile char *)shown)[PAGE + 42],
	    (long)(mend_at - shown));
	other.ss_sp = map_anonymous((long)other.ss_size);
	must(sigaltstack(&other, NULL) == 0, "sigaltstack");
	handle(mend, SA_ONSTACK);
	sys_munmap(shown, PAGE);
	say("mended on another stack: %c\n", ((volatile char *)shown)[9]);
	return 0;
}
