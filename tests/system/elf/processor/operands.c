/*
 * operands.c - operands in memory that are off their place, stores that reach into a page which
 * faults, software interrupts: what a signal tells of each, and what has changed by then.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PAGE 4096
#define BASE ((unsigned char *)0x50000000)

static sigjmp_buf escape;
static int signo, code;
static unsigned char *address;
static unsigned long vector, error, cr2;
static long rip;

static void on_signal(int number, siginfo_t *info, void *context)
{
	const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;

	signo = number;
	code = info->si_code;
	address = info->si_addr;
	vector = (unsigned long)regs[REG_TRAPNO];
	error = (unsigned long)regs[REG_ERR];
	cr2 = (unsigned long)regs[REG_CR2];
	rip = regs[REG_RIP];
	siglongjmp(escape, 1);
}

static void tell(const char *what)
{
	printf("%s: signal %d code %d vector %lu error %lx cr2 %lx, at %02x\n", what, signo, code,
	       vector, error, cr2, *(unsigned char *)rip);
}

#define TRY(what, work) \
	do { \
		if (!sigsetjmp(escape, 1)) { \
			work; \
			printf("%s: nothing\n", what); \
		} else { \
			tell(what); \
		} \
	} while (0)
#define AT(what, text, offset) \
	TRY(what, asm volatile(text : : "r"(BASE + (offset)), "r"(8l) : "xmm0", "memory"))

static void off_their_place(void)
{
	AT("movaps to a register", "movaps (%0), %%xmm0", 8);
	AT("movaps to memory", "movaps %%xmm0, (%0)", 8);
	AT("movapd", "movapd 1(%0), %%xmm0", 16);
	AT("movdqa by an index", "movdqa %%xmm0, (%0,%1,2)", 4);
	AT("movdqa by an index, in place", "movdqa %%xmm0, (%0,%1,2)", 0);
	AT("movntps", "movntps %%xmm0, (%0)", 4);
	AT("movntdq", "movntdq %%xmm0, (%0)", 4);
	AT("addps", "addps (%0), %%xmm0", 12);
	AT("pxor", "pxor (%0), %%xmm0", 1);
	AT("pshufd", "pshufd $1, 2(%0), %%xmm0", 0);
	AT("pshufb", "pshufb (%0), %%xmm0", 2);
	AT("palignr", "palignr $3, (%0), %%xmm0", 2);
	AT("movups", "movups (%0), %%xmm0", 3);
	AT("movdqu", "movdqu %%xmm0, (%0)", 3);
	AT("lddqu", "lddqu (%0), %%xmm0", 3);
	AT("movsd", "movsd (%0), %%xmm0", 3);
	AT("pmovzxbw", "pmovzxbw (%0), %%xmm0", 3);
	AT("pcmpestri", "pcmpestri $0, (%0), %%xmm0", 3);
	AT("paddq of a register", "paddq %%xmm0, %%xmm0", 3);
	AT("movq", "movq %%xmm0, (%0)", 3);
}

/* The same instruction, in place first. */
static __attribute__((noinline)) void store_at(void *where)
{
	asm volatile("movaps %%xmm0, (%0)" : : "r"(where) : "memory");
}

static void later(void)
{
	TRY("the twentieth time",
	    for (int i = 0; i < 20; i++) store_at(BASE + (i == 19 ? 8 : 16 * i)));
	TRY("on the stack", asm volatile("movaps %%xmm0, -24(%%rsp)" : : : "memory"));
}

static void across(const char *what, unsigned char *at)
{
	int changed = 0;

	for (int i = 0; i < PAGE; i++)
		changed += BASE[i] != 7;
	printf("%s: signal %d code %d in page %ld, first %d, changed %d\n", what, signo, code,
	       (long)(address - BASE) / PAGE, address == at, changed);
}

#define ACROSS(what, text, offset) \
	do { \
		memset(BASE, 7, PAGE); \
		if (!sigsetjmp(escape, 1)) { \
			asm volatile("pxor %%xmm0, %%xmm0\n\t" text \
				     : \
				     : "r"(BASE + PAGE - (offset)) \
				     : "xmm0", "memory"); \
			printf("%s: nothing\n", what); \
		} else { \
			across(what, BASE + PAGE); \
		} \
	} while (0)

static void stores_in_parts(void)
{
	munmap(BASE + PAGE, PAGE);
	ACROSS("movups", "movups %%xmm0, (%0)", 8);
	ACROSS("movups, its last byte", "movups %%xmm0, (%0)", 15);
	ACROSS("movupd", "movupd %%xmm0, (%0)", 9);
	ACROSS("movdqu", "movdqu %%xmm0, (%0)", 1);
	ACROSS("movups that fits", "movups %%xmm0, (%0)", 16);
	ACROSS("movq", "movq %%xmm0, (%0)", 4);
	mmap(BASE + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ACROSS("movups into a page to read", "movups %%xmm0, (%0)", 8);
	mprotect(BASE + PAGE, PAGE, PROT_READ | PROT_WRITE);
	ACROSS("movups into a new page", "movups %%xmm0, (%0)", 8);
	printf("both parts are there: %d %d\n", BASE[PAGE - 8] == 7, BASE[PAGE] == 7);
	mprotect(BASE + PAGE, PAGE, PROT_NONE);
}

/* Where such a store looks first is the processor's own. */
static void states(void)
{
	int changed;

#define STATE(what, text, offset) \
	do { \
		memset(BASE, 7, PAGE); \
		changed = 0; \
		if (!sigsetjmp(escape, 1)) \
			asm volatile(text : : "r"(BASE + PAGE - (offset)) : "memory"); \
		for (int i = 0; i < PAGE; i++) \
			changed += BASE[i] != 7; \
		printf("%s: code %d in page %ld, changed %d\n", what, code, \
		       (long)(address - BASE) / PAGE, changed); \
	} while (0)
	STATE("fnsave", "fnsave (%0)", 16);
	STATE("fnstenv", "fnstenv (%0)", 8);
	STATE("fxsave", "fxsave (%0)", 256);
	asm volatile("fninit");
}

static void interrupts(void)
{
	TRY("a page fault", *(volatile int *)0x1230 = 0);
	TRY("int 0x81", asm volatile("int $0x81"));
	TRY("int 0", asm volatile("int $0"));
	TRY("int 1", asm volatile("int $1"));
	TRY("int 3", asm volatile(".byte 0xcd, 3"));
	TRY("int 4", asm volatile("int $4"));
	TRY("int 13", asm volatile("int $13"));
	TRY("int 14", asm volatile("int $14"));
	TRY("int 255", asm volatile("int $255"));
	TRY("in", asm volatile("in $0x80, %%al" : : : "rax"));
	TRY("out", asm volatile("out %%al, $0x80" : : : "rax"));
	TRY("sti", asm volatile("sti"));
	TRY("rdmsr", asm volatile("rdmsr" : : : "rax", "rdx"));
	TRY("div", asm volatile("div %0" : : "r"(0), "a"(1), "d"(1)));
	TRY("ud2", asm volatile("ud2"));
}

int main(void)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };

	for (int i = 1; i < 12; i++)
		sigaction(i, &action, NULL);
	mmap(BASE, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
	     0);
	off_their_place();
	later();
	stores_in_parts();
	states();
	interrupts();
	return 0;
}
