/* System calls by int 0x80 from 64-bit code. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

struct registers {
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11;
};

static void enter(struct registers *r)
{
	register struct registers *at asm("r12") = r;

	asm volatile("lea -128(%%rsp), %%rsp\npush %%rbp\n" /* below the red zone */
		     "mov 8(%%r12), %%rbx\nmov 16(%%r12), %%rcx\nmov 24(%%r12), %%rdx\n"
		     "mov 32(%%r12), %%rsi\nmov 40(%%r12), %%rdi\nmov 48(%%r12), %%rbp\n"
		     "mov 56(%%r12), %%r8\nmov 64(%%r12), %%r9\nmov 72(%%r12), %%r10\n"
		     "mov 80(%%r12), %%r11\nmov 0(%%r12), %%rax\n"
		     "int $0x80\n"
		     "mov %%rax, 0(%%r12)\nmov %%rbx, 8(%%r12)\nmov %%rcx, 16(%%r12)\n"
		     "mov %%rdx, 24(%%r12)\nmov %%rsi, 32(%%r12)\nmov %%rdi, 40(%%r12)\n"
		     "mov %%rbp, 48(%%r12)\nmov %%r8, 56(%%r12)\nmov %%r9, 64(%%r12)\n"
		     "mov %%r10, 72(%%r12)\nmov %%r11, 80(%%r12)\npop %%rbp\n"
		     "lea 128(%%rsp), %%rsp\n"
		     : "+r"(at)
		     :
		     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory",
		       "cc");
}

static long call_i386(long nr, ...)
{
	struct registers r = { .rax = (uint64_t)nr };
	uint64_t *at[] = { &r.rbx, &r.rcx, &r.rdx, &r.rsi, &r.rdi, &r.rbp };
	va_list list;

	va_start(list, nr);
	for (int i = 0; i < 6; i++)
		*at[i] = va_arg(list, uint64_t);
	va_end(list);
	enter(&r);
	return (long)r.rax;
}

#define CALL(...) call_i386(__VA_ARGS__, 0ul, 0ul, 0ul, 0ul, 0ul, 0ul)

/* A result: a number, or an errno below 0. */
static inline int show(const char *what, long nr, ...)
{
	va_list list;
	uint64_t a[6];
	va_start(list, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, uint64_t);
	va_end(list);
	int result = (int)call_i386(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	printf("%s: %d\n", what, result);
	fflush(stdout);
	return result;
}

#define L(x) ((uint64_t)(x))
#define SHOW(what, nr, a, b, c, d, e) show(what, nr, L(a), L(b), L(c), L(d), L(e), 0ul)
