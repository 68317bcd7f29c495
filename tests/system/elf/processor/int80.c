// System calls by int 0x80 from 64-bit code: the i386 table's numbers, registers, structures; what a
// tracer and a filter see of them.
#define _GNU_SOURCE
#include "asleep.h"
#include "int80.h"
#include "parts.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/user.h>

static char *low; // what 32 bits can point to

static void registers(void)
{
	struct registers r = { 0xffffffff00000014, ~0ul, 2, 3, 4, 5, 6, 8, 9, 10, 11 };

	enter(&r);
	printf("getpid with high bits: %d\n", r.rax == (uint64_t)getpid());
	printf("left alone: %d\n", r.rbx == ~0ul && r.rcx == 2 && r.rdx == 3 && r.rsi == 4 &&
					   r.rdi == 5 && r.rbp == 6 && r.r8 == 8 && r.r9 == 9 &&
					   r.r10 == 10 && r.r11 == 11);
	printf("no such call: %ld %ld\n", CALL(9999l), CALL(222l));
	printf("-1: %ld\n", CALL(-1l));
	printf("close(-1 by its low half): %ld\n", CALL(6l, 0xfffffffful));
	printf("write from above: %d\n", CALL(4l, 1ul, (unsigned long)&r, 4ul) < 0);
}

static void files(void)
{
	struct iovec32 {
		uint32_t base, length;
	} *vectors = (void *)(low + 256);
	char *path = low + 512, *data = low + 1024;
	int64_t *pos = (void *)(low + 128);

	strcpy(path, "/tmp/int80-XXXXXX");
	close(mkstemp(path));
	long fd = CALL(5l, (unsigned long)path, (unsigned long)O_RDWR, 0600ul);
	strcpy(data, "forty-two bytes of something that is written");
	printf("write %ld\n", CALL(4l, (unsigned long)fd, (unsigned long)data, 42ul));
	printf("lseek back %ld, by -2 %ld\n", CALL(19l, (unsigned long)fd, 0ul, 0ul),
	       CALL(19l, (unsigned long)fd, 0xfffffffeul, 2ul));
	printf("llseek %ld", CALL(140l, (unsigned long)fd, 1ul, 7ul, (unsigned long)pos, 0ul));
	printf(" %lx\n", *pos);
	memset(data, 0, 100);
	printf("pread64 %ld", CALL(180l, (unsigned long)fd, (unsigned long)data, 5ul, 6ul, 0ul));
	printf(" %s\n", data);
	printf("pread64 far %ld\n",
	       CALL(180l, (unsigned long)fd, (unsigned long)data, 5ul, 0ul, 4ul));
	vectors[0] = (struct iovec32){ (uint32_t)(uintptr_t)data, 3 };
	vectors[1] = (struct iovec32){ (uint32_t)(uintptr_t)data + 10, 4 };
	CALL(19l, (unsigned long)fd, 0ul, 0ul);
	memset(data, 0, 100);
	vectors[1].length = 1u << 31;
	printf("readv %ld\n", CALL(145l, (unsigned long)fd, (unsigned long)vectors, 2ul));
	vectors[1].length = 4;
	printf("readv %ld", CALL(145l, (unsigned long)fd, (unsigned long)vectors, 2ul));
	printf(" %s %s\n", data, data + 10);
	int large = open(path, O_RDWR);
	printf("ftruncate64 %ld", CALL(194l, (unsigned long)large, 5ul, 1ul));
	struct stat now;
	fstat((int)fd, &now);
	printf(" size %lx\n", now.st_size);
	uint8_t *st = (uint8_t *)low + 2048;
	memset(st, 0xee, 128);
	printf("fstat of it %ld", CALL(108l, (unsigned long)fd, (unsigned long)st));
	printf(" fstat64 %ld", CALL(197l, (unsigned long)fd, (unsigned long)st));
	printf(" size %lx mode %o ino %d end %x\n", *(uint64_t *)(st + 44), *(uint32_t *)(st + 16),
	       *(uint64_t *)(st + 88) == now.st_ino, st[96]);
	printf("ftruncate(-1) %ld\n", CALL(93l, (unsigned long)large, 0xfffffffful));
	close(large);
	CALL(93l, (unsigned long)fd, 9ul);
	memset(st, 0xee, 128);
	long error = CALL(106l, (unsigned long)path, (unsigned long)st);
	if (now.st_ino >> 32)
		printf("stat\n");
	else
		printf("stat%s\n",
		       error || *(uint32_t *)(st + 20) != 9 || st[64] != 0xee ? " wrong" : "");
	printf("unlink %ld close %ld\n", CALL(10l, (unsigned long)path),
	       CALL(6l, (unsigned long)fd));
}

static void memory(void)
{
	long at = CALL(192l, 0ul, 8192ul, 3ul, 0x22ul, 0xfffffffful, 0ul);
	uint32_t *old = (void *)(low + 256);

	printf("mmap2 low %d\n", at > 0 && at < 1l << 32);
	*(volatile char *)at = 1;
	long moved = CALL(163l, (unsigned long)at, 4096ul, 65536ul, 1ul);
	printf("mremap low %d\n", moved > 0 && moved < 1l << 32);
	uint32_t words[] = { 0, 4096, 1, 0x22, -1, 0 };
	memcpy(old, words, sizeof(words));
	long third = CALL(90l, (unsigned long)old);
	printf("mmap low %d\n", third > 0 && third < 1l << 32);
	printf("mprotect %ld munmap %ld\n", CALL(125l, (unsigned long)third, 4096ul, 0ul),
	       CALL(91l, (unsigned long)third, 4096ul));
	printf("brk as sbrk %d\n", CALL(45l) == (long)sbrk(0));
	printf("mmap2 beyond the end of files %ld\n",
	       CALL(192l, 0ul, 4096ul, 1ul, 2ul, 0x7ffful, 0xfffffffful));
}

static void time_and_limits(void)
{
	uint32_t *words = (void *)(low + 256);
	struct rlimit limit;

	memset(words, 0xee, 64);
	long now = CALL(13l, (unsigned long)words);
	printf("time %d %d %x\n", words[0] == (uint32_t)now, now > 0, words[1]);
	printf("gettimeofday %ld", CALL(78l, (unsigned long)words));
	printf(" %d %d %x\n", words[0] - (uint32_t)now < 100, words[1] < 1000000, words[2]);
	printf("clock_gettime %ld", CALL(265l, 0ul, (unsigned long)words));
	printf(" %d %d %x\n", words[0] - (uint32_t)now < 100, words[1] < 1000000000, words[2]);
	words[0] = 0, words[1] = 1000000;
	printf("nanosleep %ld", CALL(162l, (unsigned long)words, 0ul));
	words[1] = 1000000000;
	printf(" %ld\n", CALL(162l, (unsigned long)words, 0ul));
	printf("clock_gettime64 %ld", CALL(403l, 0ul, (unsigned long)words));
	printf(" %d\n", *(uint64_t *)words - (uint64_t)now < 100);
	words[0] = 77, words[1] = 0xffffffff;
	printf("setrlimit %ld", CALL(75l, 4ul, (unsigned long)words));
	getrlimit(RLIMIT_CORE, &limit);
	printf(" %lu %d\n", limit.rlim_cur, limit.rlim_max == RLIM_INFINITY);
	printf("ugetrlimit %ld", CALL(191l, 4ul, (unsigned long)words));
	printf(" %u %x\n", words[0], words[1]);
	printf("getrlimit %ld", CALL(76l, 4ul, (unsigned long)words));
	printf(" %u %x\n", words[0], words[1]);
	memset(words, 0xee, 256);
	printf("getrusage %ld %d %x\n", CALL(77l, 0ul, (unsigned long)words), words[8] > 0,
	       words[18]);
	memset(words, 0xee, 256);
	printf("sysinfo %ld", CALL(116l, (unsigned long)words));
	printf(" %d %x\n", words[13] == 1 || words[13] == 4096, words[16]);
	printf("getuid %d getuid32 %d\n",
	       CALL(24l) == (getuid() > 0xffff ? 0xfffe : (long)getuid()),
	       CALL(199l) == (long)getuid());
}

static volatile sig_atomic_t caught;

static void on_signal(int signo) { caught = signo; }

static void processes(void)
{
	uint32_t *status = (void *)(low + 256), *words = (void *)(low + 512);
	long child = CALL(2l);

	if (!child)
		CALL(1l, 7ul);
	printf("waitpid %d", CALL(7l, (unsigned long)child, (unsigned long)status, 0ul) == child);
	printf(" %x\n", *status);
	child = CALL(2l);
	if (!child)
		CALL(252l, 9ul);
	memset(words, 0xee, 128);
	printf("wait4 %d",
	       CALL(114l, 0xfffffffful, (unsigned long)status, 0ul, (unsigned long)words) == child);
	printf(" %x %x\n", *status, words[18]);
	signal(SIGUSR1, on_signal);
	printf("kill %ld", CALL(37l, (unsigned long)getpid(), (unsigned long)SIGUSR1));
	printf(" caught %d\n", caught);
	char *path = low + 1024;
	uint32_t *argv = (void *)(low + 2048);
	strcpy(path, "/proc/self/exe");
	strcpy(low + 1100, "int80");
	strcpy(low + 1110, "again");
	argv[0] = (uint32_t)(uintptr_t)low + 1100, argv[1] = (uint32_t)(uintptr_t)low + 1110,
	argv[2] = 0;
	fflush(stdout);
	if (!fork()) {
		CALL(11l, (unsigned long)path, (unsigned long)argv, 0ul);
		_exit(1);
	}
	wait((int *)status);
	printf("execve %x\n", *status);
}

// A call that sleeps, is interrupted, and is made again by its own instruction, or by restart_syscall.
static void interrupted(void)
{
	int pipes[2];
	uint32_t *words = (void *)(low + 256);
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (pipe(pipes))
		return;
	sigaction(SIGUSR1, &action, NULL);
	pid_t parent = getpid(), child = fork();
	if (!child) {
		// Who is sent a signal or a byte does not sleep any more, until he does so again.
		until_state(parent, 'S');
		kill(parent, SIGUSR1);
		until_state(parent, 'S');
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		until_state(parent, 'S');
		kill(parent, SIGSTOP);
		until_state(parent, 'T');
		kill(parent, SIGCONT);
		_exit(0);
	}
	printf("read again %ld\n", CALL(3l, (unsigned long)pipes[0], (unsigned long)low, 1ul));
	words[0] = 0, words[1] = 200000000;
	printf("nanosleep again %ld\n", CALL(162l, (unsigned long)words, 0ul));
	wait(NULL);
	action.sa_flags = 0;
	sigaction(SIGUSR1, &action, NULL);
	child = fork();
	if (!child) {
		until_state(parent, 'S');
		kill(parent, SIGUSR1);
		_exit(0);
	}
	words[0] = 5, words[1] = 0, words[2] = words[3] = 0xeeeeeeee;
	printf("nanosleep %ld", CALL(162l, (unsigned long)words, (unsigned long)(words + 2)));
	printf(" %d %d\n", words[2] <= 5, words[3] < 1000000000);
	wait(NULL);
}

static void show_call(pid_t child, const char *when)
{
	struct __ptrace_syscall_info info = { 0 };
	struct user_regs_struct regs;

	ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info);
	ptrace(PTRACE_GETREGS, child, 0, &regs);
	printf("%s: op %d arch %x orig_rax %lld rax %lld cs %llx", when, info.op, info.arch,
	       (long long)regs.orig_rax, (long long)regs.rax == child ? 0 : (long long)regs.rax,
	       regs.cs);
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		printf(" nr %lu args %lx %lx %lx %lx %lx %lx", info.entry.nr, info.entry.args[0],
		       info.entry.args[1], info.entry.args[2], info.entry.args[3],
		       info.entry.args[4], info.entry.args[5]);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		printf(" result %d %d", info.exit.rval == child, info.exit.is_error);
	printf("\n");
}

static void traced(void)
{
	pid_t child = fork();
	int status;

	if (!child) {
		struct registers r = { 20, ~0ul, 2, 3, 4, 5, 6, 8, 9, 10, 11 };
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		enter(&r);
		_exit((int)r.rax == getpid());
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESYSGOOD);
	ptrace(PTRACE_SYSCALL, child, 0, 0); // out of raise()
	for (int stop = 0; waitpid(child, &status, 0) == child && WIFSTOPPED(status); stop++) {
		struct user_regs_struct regs;
		ptrace(PTRACE_GETREGS, child, 0, &regs);
		long word = ptrace(PTRACE_PEEKTEXT, child, regs.rip - 2, 0) & 0xffff;
		if (word == 0x80cd)
			show_call(child, "traced");
		ptrace(PTRACE_SYSCALL, child, 0, 0);
	}
	printf("traced to its end %x\n", status);
}

// One instruction at a time through it: where the steps end, and what rax is there.
static void stepped(void)
{
	pid_t child = fork();
	int status, near = 0;

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		CALL(20l);
		_exit(0);
	}
	waitpid(child, &status, 0);
	for (int i = 0; i < 100000 && near < 3; i++) {
		struct user_regs_struct regs;
		siginfo_t info;
		ptrace(PTRACE_SINGLESTEP, child, 0, 0);
		if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
			break;
		ptrace(PTRACE_GETREGS, child, 0, &regs);
		ptrace(PTRACE_GETSIGINFO, child, 0, &info);
		long word = ptrace(PTRACE_PEEKTEXT, child, regs.rip, 0) & 0xffff;
		long behind = ptrace(PTRACE_PEEKTEXT, child, regs.rip - 2, 0) & 0xffff;
		if (word == 0x80cd || behind == 0x80cd || near) {
			printf("step: at %d behind %d rax %s code %d\n", word == 0x80cd,
			       behind == 0x80cd,
			       (pid_t)regs.rax == child ? "pid"
			       : regs.rax == 20         ? "20"
							: "other",
			       info.si_code);
			near++;
		}
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
}

static void filter(uint32_t arch, uint32_t nr, uint32_t action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, arch, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		printf("no filter\n");
}

static void of_other_arch(void)
{
	filter(AUDIT_ARCH_X86_64, 39, SECCOMP_RET_ERRNO | 5); // getpid of the native table
	printf("native %ld, i386 %d\n", syscall(SYS_getpid), CALL(20l) > 0);
	filter(AUDIT_ARCH_I386, 39, SECCOMP_RET_ERRNO | 6); // mkdir of the i386 table
	printf("mkdir %ld\n", CALL(39l, (unsigned long)low, 0700ul));
}

// What a filter sees of a register: all of it, not the half that counts.
static void wide_argument(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x12345678, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 9),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
	printf("dup %ld", CALL(41l, 0x1234567800000001ul));
	printf(" %d\n", CALL(41l, 1ul) > 0);
}

static void on_trap(int signo, siginfo_t *info, void *context)
{
	printf("SIGSYS nr %d arch %x errno %d\n", info->si_syscall, info->si_arch, info->si_errno);
	(void)signo, (void)context;
}

static void trapped(void)
{
	struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

	sigaction(SIGSYS, &action, NULL);
	filter(AUDIT_ARCH_I386, 20, SECCOMP_RET_TRAP | 3);
	printf("rax %ld\n", CALL(20l));
}

static void killed(void)
{
	filter(AUDIT_ARCH_I386, 20, SECCOMP_RET_KILL_PROCESS);
	CALL(20l);
}

static void strict(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
	strcpy(low, "strict: written\n");
	CALL(4l, 1ul, (unsigned long)low, 16ul);
	CALL(1l, 3ul);
}

static void strictly_not(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
	CALL(39l, (unsigned long)low, 0700ul); // 39 is not allowed; 60, umask here, is exit there
}

static void strictly_umask(void)
{
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
	CALL(60l, 0ul);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		printf("executed %s\n", argv[1]);
		return 5;
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
		   0);
	registers();
	files();
	memory();
	time_and_limits();
	processes();
	interrupted();
	traced();
	stepped();
	show_end("filters", of_other_arch);
	show_end("wide", wide_argument);
	show_end("trap", trapped);
	show_end("kill", killed);
	show_end("strict", strict);
	show_end("strict, mkdir", strictly_not);
	show_end("strict, umask", strictly_umask);
	return 0;
}
