/* Instructions that programs may not make, or make seldom: what a handler is told, or what they leave. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "../told.h"

#define PAGE 4096
#define NOP 0x90
#define RET 0xc3
#define URETPROBE 335
#define UPROBE 336

static unsigned char *page;
static char stack[1 << 16];

#define BYTES(...) { __VA_ARGS__ }, sizeof((unsigned char[]){ __VA_ARGS__ })
#define SELECTOR(number) 0xb9, (number) & 0xff, (number) >> 8, 0, 0 /* mov $number, %ecx */
#define SS 0xd1                                                     /* modrm of a move from %ecx */
#define DS 0xd9
#define ES 0xc1
#define SEGMENT(segment, number) \
	{ "mov $" #number ", " #segment, BYTES(SELECTOR(number), 0x8e, segment) }
#define LOOK(name, number, ...) \
	{ name " " #number, BYTES(SELECTOR(number), 0x31, 0xc0, __VA_ARGS__) }
#define LOCKED(name, ...) { "lock " name, BYTES(0xf0, __VA_ARGS__) }
#define JUMP(name, ...) \
	{ name " to no address", BYTES(0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, __VA_ARGS__) }

static const struct encoding {
	const char *name;
	unsigned char bytes[15];
	int nr;
} encodings[] = {
	{ "mov %ss, %ss", BYTES(0x8c, 0xd1, 0x8e, 0xd1) },
	{ "mov %ss, %ds", BYTES(0x8c, 0xd1, 0x8e, 0xd9) },
	SEGMENT(SS, 0x2b),
	SEGMENT(SS, 0),
	SEGMENT(SS, 0x28),
	SEGMENT(SS, 0x33),
	SEGMENT(SS, 0x18),
	SEGMENT(SS, 7),
	SEGMENT(SS, 0xfffb),
	SEGMENT(DS, 0),
	SEGMENT(DS, 3),
	SEGMENT(DS, 0x2b),
	SEGMENT(DS, 0x28),
	SEGMENT(DS, 0x33),
	SEGMENT(DS, 0x23),
	SEGMENT(DS, 0x7b),
	SEGMENT(DS, 8),
	SEGMENT(DS, 0x10),
	SEGMENT(DS, 0x18),
	SEGMENT(DS, 0x43),
	SEGMENT(DS, 0x63),
	SEGMENT(DS, 0xfff8),
	SEGMENT(ES, 0x2b),
	SEGMENT(ES, 0x40),
	{ "mov %ecx, %cs", BYTES(SELECTOR(0x33), 0x8e, 0xc9) },
	{ "mov (%rdi), %ds", BYTES(0x8e, 0x1f) },
	{ "push $0x43; pop %fs", BYTES(0x6a, 0x43, 0x0f, 0xa1) },
	LOOK("verr", 0x33, 0x0f, 0x00, 0xe1, 0x0f, 0x94, 0xc0),
	LOOK("verw", 0x2b, 0x0f, 0x00, 0xe9, 0x0f, 0x94, 0xc0),
	LOOK("verw", 0x33, 0x0f, 0x00, 0xe9, 0x0f, 0x94, 0xc0),
	LOOK("verr", 0x10, 0x0f, 0x00, 0xe1, 0x0f, 0x94, 0xc0),
	LOOK("lar", 0x33, 0x0f, 0x02, 0xc1, 0x0f, 0xb6, 0xc4),
	LOOK("lar", 0x10, 0x0f, 0x02, 0xc1),
	LOOK("lar", 0x2b, 0x0f, 0x02, 0xc1, 0x0f, 0xb6, 0xc4),
	LOOK("lar", 0x43, 0x0f, 0x02, 0xc1),
	LOOK("lsl", 0x33, 0x0f, 0x03, 0xc1),
	LOOK("lsl", 0x2b, 0x0f, 0x03, 0xc1),
	LOOK("lsl", 0x23, 0x0f, 0x03, 0xc1),
	LOOK("lsl", 0x10, 0x0f, 0x03, 0xc1),
	LOOK("lsl", 0x63, 0x0f, 0x03, 0xc1),
	{ "int1", BYTES(0xf1) },
	{ "int3", BYTES(0xcc) },
	{ "into", BYTES(0xce) },
	{ "int $0", BYTES(0xcd, 0) },
	{ "int $1", BYTES(0xcd, 1) },
	{ "int $2", BYTES(0xcd, 2) },
	{ "int $3", BYTES(0xcd, 3) },
	{ "int $4", BYTES(0xcd, 4) },
	{ "int $6", BYTES(0xcd, 6) },
	{ "int $13", BYTES(0xcd, 13) },
	{ "int $14", BYTES(0xcd, 14) },
	{ "int $32", BYTES(0xcd, 32) },
	{ "int $255", BYTES(0xcd, 255) },
	{ "ud0", BYTES(0x0f, 0xff, 0xc0) },
	{ "ud1", BYTES(0x0f, 0xb9, 0xc0) },
	{ "ud2", BYTES(0x0f, 0x0b) },
	{ "sysexit", BYTES(0x0f, 0x35) },
	{ "sysret", BYTES(0x48, 0x0f, 0x07) },
	{ "hlt", BYTES(0xf4) },
	{ "cli", BYTES(0xfa) },
	{ "sti", BYTES(0xfb) },
	{ "clts", BYTES(0x0f, 0x06) },
	{ "wrmsr", BYTES(0x0f, 0x30) },
	{ "rdmsr", BYTES(0x0f, 0x32) },
	{ "rdpmc", BYTES(0x31, 0xc9, 0x0f, 0x33) },
	{ "in $0x60, %al", BYTES(0xe4, 0x60) },
	{ "out %eax, %dx", BYTES(0xef) },
	{ "insb", BYTES(0x6c) },
	{ "insb", BYTES(0x31, 0xff, 0x6c) },
	{ "insl", BYTES(0x31, 0xff, 0x6d) },
	{ "outsb", BYTES(0x31, 0xf6, 0x6e) },
	{ "outsl", BYTES(0x31, 0xf6, 0x6f) },
	{ "rep insb", BYTES(0x31, 0xc9, 0xf3, 0x6c) },
	{ "rep outsw", BYTES(0x31, 0xc9, 0xf3, 0x66, 0x6f) },
	{ "repne insl", BYTES(0x31, 0xc9, 0xf2, 0x48, 0x6d) },
	{ "rep outsb", BYTES(0xb1, 0x03, 0x67, 0xf3, 0x6e) },
	{ "mov %cr0, %rax", BYTES(0x0f, 0x20, 0xc0) },
	{ "mov %cr1, %rax", BYTES(0x0f, 0x20, 0xc8) },
	{ "mov %rax, %cr3", BYTES(0x0f, 0x22, 0xd8) },
	{ "mov %rax, %cr7", BYTES(0x0f, 0x22, 0xf8) },
	{ "mov %dr7, %rax", BYTES(0x0f, 0x21, 0xf8) },
	{ "swapgs", BYTES(0x0f, 0x01, 0xf8) },
	{ "lgdt (%rdi)", BYTES(0x0f, 0x01, 0x17) },
	{ "lidt (%rdi)", BYTES(0x0f, 0x01, 0x1f) },
	{ "lldt %ax", BYTES(0x0f, 0x00, 0xd0) },
	{ "ltr %ax", BYTES(0x0f, 0x00, 0xd8) },
	{ "lmsw %ax", BYTES(0x0f, 0x01, 0xf0) },
	{ "invlpg (%rdi)", BYTES(0x0f, 0x01, 0x3f) },
	{ "sldt %rax", BYTES(0x48, 0x0f, 0x00, 0xc0) },
	{ "str (%rdi)", BYTES(0x0f, 0x00, 0x0f) },
	{ "smsw %rax", BYTES(0x48, 0x0f, 0x01, 0xe0) },
	{ "mov (noncanonical), %al", BYTES(0x48, 0xb9, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8a, 0x01) },
	{ "mov 0(%rbp), %al", BYTES(0x48, 0xbd, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8a, 0x45, 0) },
	{ "push %rax", BYTES(0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x50) },
	{ "pushf", BYTES(0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x9c) },
	LOCKED("add %eax, (%rdi)", 0x01, 0x07),
	LOCKED("add %eax, %eax", 0x01, 0xc0),
	LOCKED("add (%rdi), %eax", 0x03, 0x07),
	LOCKED("cmp %eax, (%rdi)", 0x39, 0x07),
	LOCKED("mov %eax, (%rdi)", 0x89, 0x07),
	LOCKED("lea (%rdi), %eax", 0x8d, 0x07),
	LOCKED("test %eax, (%rdi)", 0x85, 0x07),
	LOCKED("xchg %eax, (%rdi)", 0x87, 0x07),
	LOCKED("cmpl $1, (%rdi)", 0x83, 0x3f, 1),
	LOCKED("xorl $1, (%rdi)", 0x83, 0x37, 1),
	LOCKED("shll (%rdi)", 0xd1, 0x27),
	LOCKED("mull (%rdi)", 0xf7, 0x27),
	LOCKED("notl (%rdi)", 0xf7, 0x17),
	LOCKED("incl (%rdi)", 0xff, 0x07),
	LOCKED("push (%rdi)", 0xff, 0x37),
	LOCKED("push %rax", 0x50),
	LOCKED("ret", RET),
	LOCKED("jmp", 0xeb, 0),
	LOCKED("call", 0xe8, 0, 0, 0, 0),
	LOCKED("jmp *%rax", 0xff, 0xe0),
	LOCKED("int3", 0xcc),
	LOCKED("int $0x80", 0xcd, 0x80),
	LOCKED("syscall", 0x0f, 0x05),
	LOCKED("hlt", 0xf4),
	LOCKED("movsb", 0xa4),
	LOCKED("fld1", 0xd9, 0xe8),
	LOCKED("cpuid", 0x0f, 0xa2),
	LOCKED("movaps %xmm0, %xmm0", 0x0f, 0x28, 0xc0),
	LOCKED("vmovaps %xmm0, %xmm0", 0xc5, 0xf8, 0x28, 0xc0),
	LOCKED("imul (%rdi), %eax", 0x0f, 0xaf, 0x07),
	LOCKED("bt %eax, (%rdi)", 0x0f, 0xa3, 0x07),
	LOCKED("bts %eax, (%rdi)", 0x0f, 0xab, 0x07),
	LOCKED("btl $1, (%rdi)", 0x0f, 0xba, 0x27, 1),
	LOCKED("btcl $1, (%rdi)", 0x0f, 0xba, 0x3f, 1),
	LOCKED("cmpxchg %eax, (%rdi)", 0x0f, 0xb1, 0x07),
	LOCKED("xadd %eax, %eax", 0x0f, 0xc1, 0xc0),
	LOCKED("cmpxchg8b (%rdi)", 0x0f, 0xc7, 0x0f),
	LOCKED("rdrand %eax", 0x0f, 0xc7, 0xf0),
	JUMP("jmp", 0xff, 0xe0),
	JUMP("call", 0xff, 0xd0),
	JUMP("ret", 0x50, RET),
	JUMP("ret $8", 0x50, 0xc2, 8, 0),
	JUMP("jmp by memory", 0x50, 0xff, 0x24, 0x24),
	JUMP("call by memory", 0x50, 0xff, 0x14, 0x24),
};

static unsigned long call(void *data)
{
	unsigned long rax = 0;

	__asm__ volatile("push %%rbx; push %%rbp; mov %%rsp, %%r15; call *%[page];"
			 "mov %%r15, %%rsp; pop %%rbp; pop %%rbx"
			 : "+a"(rax), "+D"(data)
			 : [page] "d"(page)
			 : "rcx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
			   "memory");
	return rax;
}

/* Where a processor stands behind int1 is not told: a machine in a machine may stand before it. */
static void make(const struct encoding *e)
{
	unsigned long data[2] = { 0x43, 0 }, result = 0;

	memset(&told, 0, sizeof(told));
	memcpy(page, e->bytes, (size_t)e->nr);
	page[e->nr] = RET;
	if (!sigsetjmp(back, 1))
		result = call(data);
	if (!told.signo) {
		printf("%s: %#lx %#lx\n", e->name, result, data[0]);
		return;
	}
	printf("%s: signal %d code %d error %#lx vector %ld", e->name, told.signo, told.code,
	       told.error, told.trap);
	if (told.trap != 1)
		printf(" at %ld%s", told.ip - (long)page, told.addressed ? ", told" : "");
	printf("\n");
}

/* Calls that only the kernel's own trampolines may make. */
static void trampolines(void)
{
	sigset_t all;
	int status;

	printf("uprobe: %ld", syscall(UPROBE));
	printf(", errno %d\n", errno);
	memset(&told, 0, sizeof(told));
	if (!sigsetjmp(back, 1))
		syscall(URETPROBE);
	printf("uretprobe: signal %d code %d vector %ld\n", told.signo, told.code, told.trap);
	for (int ignored = 0; ignored < 2; ignored++) {
		fflush(stdout);
		if (!fork()) {
			sigfillset(&all);
			sigprocmask(SIG_BLOCK, &all, NULL);
			if (ignored)
				signal(SIGILL, SIG_IGN);
			syscall(URETPROBE);
			_exit(0);
		}
		wait(&status);
		printf("blocked, ignored %d: ended by signal %d\n", ignored, WTERMSIG(status));
	}
}

int main(void)
{
	const struct sigaction action = { .sa_sigaction = tell,
					  .sa_flags = SA_SIGINFO | SA_ONSTACK };
	const stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE };

	sigaltstack(&other, NULL);
	for (unsigned int i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &action, NULL);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	for (unsigned int i = 0; i < sizeof(encodings) / sizeof(*encodings); i++)
		make(&encodings[i]);
	trampolines();
	return 0;
}
