/*
 * tiny.h - threads without a C library: what is explored is the program alone.
 *
 * start() makes a thread that runs a function of no arguments; join() waits for it.  A program has
 * `static int run(void)`, whose value is its exit status.
 */
#include <linux/futex.h>
#include <linux/sched.h>
#include <sys/syscall.h>

#define STACK_WORDS 512

static inline long call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

struct thread {
	long stack[STACK_WORDS] __attribute__((aligned(4096)));
	int tid __attribute__((aligned(4096))); /* 0: it has ended */
};

typedef void (*body)(void);

static const long thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
				 CLONE_SYSVSEM | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID;

static inline void start(struct thread *t, body function)
{
	long *top = t->stack + STACK_WORDS - 2, result;
	register int *child_tid __asm__("r10") = &t->tid;

	*top = (long)function;
	__asm__ volatile("syscall\n\t"
			 "test %%eax, %%eax\n\t"
			 "jnz 1f\n\t"
			 "pop %%rax\n\t"
			 "call *%%rax\n\t"
			 "mov %[leave], %%eax\n\t"
			 "xor %%edi, %%edi\n\t"
			 "syscall\n"
			 "1:"
			 : "=a"(result)
			 : "a"(SYS_clone), "D"(thread_flags), "S"(top), "d"(&t->tid),
			   "r"(child_tid), [leave] "i"(SYS_exit)
			 : "rcx", "r11", "memory");
}

static inline void join(struct thread *t)
{
	int tid;

	while ((tid = __atomic_load_n(&t->tid, __ATOMIC_ACQUIRE)))
		call(SYS_futex, (long)&t->tid, FUTEX_WAIT, tid, 0, 0, 0);
}

static int run(void);

__attribute__((used, naked, noreturn)) void _start(void)
{
	__asm__("xor %ebp, %ebp\n\tand $-16, %rsp\n\tcall begin");
}

__attribute__((used, noreturn)) static void begin(void)
{
	call(SYS_exit_group, run(), 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

static struct thread one __attribute__((aligned(4096)));
/* What is shared, on a page of its own. */
#define SHARED static volatile __attribute__((aligned(4096)))
