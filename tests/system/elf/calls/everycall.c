/* Makes every call, with zeroes; a seccomp filter lets none of them be done but exit_group. */
#include <linux/filter.h>
#include <linux/seccomp.h>

static long make(long nr, long a, long b, long c)
{
	register long d __asm__("r10") = 0, e __asm__("r8") = 0, f __asm__("r9") = 0;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(d), "r"(e), "r"(f)
			 : "rcx", "r11", "memory");
	return result;
}

void _start(void)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 231, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38),
	};
	struct sock_fprog program = { 4, steps };
	make(157, 38, 1, 0);
	make(157, 22, 2, (long)&program);
	for (long nr = 0; nr <= 450; nr++)
		if (nr != 231 && (nr < 335 || nr > 423))
			make(nr, 0, 0, 0);
	make(231, 0, 0, 0);
	__builtin_unreachable();
}
