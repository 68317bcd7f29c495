/* Random system calls with random arguments, many of them wrong addresses: nothing may break. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state;
static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static const int left_out[] = {
	SYS_exit,      SYS_exit_group, SYS_rt_sigreturn,    SYS_kill,
	SYS_tkill,     SYS_tgkill,     SYS_rt_sigqueueinfo, SYS_reboot,
	SYS_alarm,     SYS_setitimer,  SYS_rt_sigaction,    SYS_rt_sigprocmask,
	SYS_setrlimit, SYS_prlimit64,  SYS_chroot,          SYS_rt_tgsigqueueinfo,
	SYS_fork,      SYS_vfork,      SYS_clone,           SYS_clone3,
	SYS_execve,    SYS_execveat
};

static int is_left_out(int nr)
{
	for (unsigned i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		if (left_out[i] == nr)
			return 1;
	return 0;
}

static char *good, *edge;

static uint64_t value(void)
{
	switch (next() % 16) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return ~0ul;
	case 3:
		return 0xffff800000000000ul + next() % 65536;
	case 4:
		return 0x7ffffffff000ul - next() % 16;
	case 5:
		return 0x8000000000000000ul;
	case 6:
		return (uint64_t)edge + 4096 - next() % 32;
	case 7:
		return (uint64_t)edge + 4096;
	case 8:
		return next();
	case 9:
		return next() & 0xffffffff;
	case 10:
		return next() % 64;
	case 11:
		return next() % 8192;
	case 12:
		return 8;
	default:
		return (uint64_t)good + next() % 4096 / 8 * 8;
	}
}

static void calls(int count, int first, int last)
{
	while (count--) {
		int nr = first + next() % (last - first);
		if (is_left_out(nr))
			continue;
		syscall(nr, value(), value(), value(), value(), value(), value());
	}
}

int main(int argc, char **argv)
{
	int seed = atoi(argv[1]), rounds = atoi(argv[2]), first = 0, last = 470;
	if (argc > 4)
		first = atoi(argv[3]), last = atoi(argv[4]);
	good = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	edge = mmap(0, 2 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(edge + 4096, 4096, PROT_NONE);
	int exited = 0, killed = 0;
	for (int i = 0; i < rounds; i++) {
		int status, pid = fork();
		if (!pid) {
			state = 88172645463325252ul + seed * 7919ul + i * 104729ul;
			for (int k = 0; k < 1000; k++)
				good[k * 61 % 65536] = (char)next();
			alarm(1);
			calls(40, first, last);
			_exit(0);
		}
		waitpid(pid, &status, __WALL);
		*(WIFEXITED(status) ? &exited : &killed) += 1;
	}
	printf("%d\n", exited + killed);
	return 0;
}
