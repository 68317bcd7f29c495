/* System calls that are given up: strict mode, filters and what each answer does, threads, execve. */
#define _GNU_SOURCE
#include "parts.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARGUMENT(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)
#define LENGTH(array) (sizeof(array) / sizeof(*(array)))
#define INSTALL(array) install(0, array, LENGTH(array))

static long show(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
	return result;
}

static long install(int flags, struct sock_filter *steps, int count)
{
	struct sock_fprog program = { count, steps };
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static void status(void)
{
	char line[200];
	FILE *f = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNew", 5))
			printf("  %s", line);
	fclose(f);
}

/* Answer one call with a value, allow all others. */
static long answer(int nr, unsigned value)
{
	struct sock_filter steps[] = { NUMBER, UNLESS(nr, 1), ANSWER(value),
				       ANSWER(SECCOMP_RET_ALLOW) };
	return INSTALL(steps);
}

static void strict(void)
{
	show("strict", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	write(1, "still writes\n", 13);
	syscall(SYS_exit, 3);
}

static void strict_kill(void)
{
	syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL);
	getppid();
}

static void refusals(void)
{
	struct sock_filter bad[] = { { 0xff, 0, 0, 0 }, ANSWER(0) };
	struct sock_filter endless[] = { NUMBER };
	struct sock_filter odd[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ANSWER(0) };
	struct sock_filter beyond[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ANSWER(0) };
	struct sock_filter byte[] = { BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), ANSWER(0) };
	struct sock_filter far[] = { BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 0), ANSWER(0) };
	struct sock_filter by_zero[] = { BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ANSWER(0) };
	struct sock_filter shift[] = { BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ANSWER(0) };
	struct sock_filter unset[] = { BPF_STMT(BPF_LD | BPF_MEM, 3),
				       BPF_STMT(BPF_RET | BPF_A, 0) };
	struct sock_filter fine[] = { ANSWER(SECCOMP_RET_ALLOW) };
	unsigned actions[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD,
			       SECCOMP_RET_TRAP,         SECCOMP_RET_ERRNO,
			       SECCOMP_RET_TRACE,        SECCOMP_RET_LOG,
			       SECCOMP_RET_ALLOW,        0x12340000,
			       SECCOMP_RET_ERRNO | 5 };
	show("bad", INSTALL(bad));
	show("endless", INSTALL(endless));
	show("odd", INSTALL(odd));
	show("beyond", INSTALL(beyond));
	show("byte", INSTALL(byte));
	show("far", INSTALL(far));
	show("by zero", INSTALL(by_zero));
	show("shift", INSTALL(shift));
	show("unset", INSTALL(unset));
	show("empty", install(0, fine, 0));
	show("nowhere", install(0, NULL, 1));
	show("no program", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL));
	show("flags", install(1 << 20, fine, 1));
	show("operation", syscall(SYS_seccomp, 99, 0, NULL));
	show("strict with flags", syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL));
	for (unsigned i = 0; i < LENGTH(actions); i++)
		show("action", syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]));
	unsigned short sizes[3];
	show("sizes", syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, sizes));
	printf("%d %d %d\n", sizes[0], sizes[1], sizes[2]);
	show("mode", prctl(PR_GET_SECCOMP));
	show("no mode", prctl(PR_SET_SECCOMP, 9, NULL));
	if (setresuid(1000, 1000, 1000) || getuid()) {
		show("no right", INSTALL(fine));
		show("no new rights", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	}
	show("installed", INSTALL(fine));
	show("mode", prctl(PR_GET_SECCOMP));
	show("strict", prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	struct sock_fprog program = { 1, fine };
	show("by prctl", prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	status();
}

static void errors(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	show("errno", answer(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV));
	show("getppid", syscall(SYS_getppid));
	show("none", answer(SYS_getpgrp, SECCOMP_RET_ERRNO));
	show("getpgrp", syscall(SYS_getpgrp));
	show("much", answer(SYS_getsid, SECCOMP_RET_ERRNO | 5000));
	long r = syscall(SYS_getsid, 0);
	printf("%ld %d\n", r, errno);
	show("graver", answer(SYS_getppid, SECCOMP_RET_LOG));
	show("getppid", syscall(SYS_getppid));
	show("newer", answer(SYS_getppid, SECCOMP_RET_ERRNO | EIO));
	show("getppid", syscall(SYS_getppid));
	show("logged", answer(SYS_getuid, SECCOMP_RET_LOG) + (syscall(SYS_getuid) < 0));
	show("trace", answer(SYS_getgid, SECCOMP_RET_TRACE));
	show("getgid", syscall(SYS_getgid));
	int pid = fork();
	if (!pid)
		_exit(syscall(SYS_getppid) == -1 && errno == EIO);
	int s;
	waitpid(pid, &s, 0);
	printf("a child's too: %d\n", WEXITSTATUS(s));
}

static void arguments(void)
{
	/* Scratch memory, X, arithmetic: refuse dup of 40 + 2. */
	struct sock_filter steps[] = {
		NUMBER,
		UNLESS(SYS_dup, 10),
		ARGUMENT(0),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LD | BPF_IMM, 2),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_MEM, 3),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 1),
		BPF_STMT(BPF_ALU | BPF_NEG, 0),
		BPF_STMT(BPF_ALU | BPF_NEG, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 80, 1, 0),
		ANSWER(SECCOMP_RET_ALLOW),
		ANSWER(SECCOMP_RET_ERRNO | ERANGE),
	};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	show("installed", INSTALL(steps));
	show("dup", dup(41));
	show("dup", dup(42));
}

/* A tracer that is asked: it changes the call, or skips it. */
static void traced(void)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		answer(SYS_getppid, SECCOMP_RET_TRACE | 42);
		long r = syscall(SYS_getppid);
		show("changed", r == getpid());
		show("skipped", syscall(SYS_getppid));
		show("made", syscall(SYS_getppid) > 0);
		fflush(stdout);
		_exit(9);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACESECCOMP);
	for (int i = 0; ptrace(PTRACE_CONT, child, 0, 0), waitpid(child, &status, 0) == child;
	     i++) {
		struct user_regs_struct regs;
		unsigned long message = 0;
		if (!WIFSTOPPED(status))
			break;
		ptrace(PTRACE_GETEVENTMSG, child, 0, &message);
		ptrace(PTRACE_GETREGS, child, 0, &regs);
		printf("asked: %#x, %lu, call %d, result %d\n", status >> 8, message,
		       (int)regs.orig_rax, (int)regs.rax);
		if (i == 0)
			regs.orig_rax = SYS_getpid;
		if (i == 1)
			regs.orig_rax = -1, regs.rax = 55;
		ptrace(PTRACE_SETREGS, child, 0, &regs);
	}
	printf("exit %d\n", WEXITSTATUS(status));
}

static siginfo_t seen;
static long rax;

static void note(int signo, siginfo_t *info, void *context)
{
	seen = *info;
	rax = ((ucontext_t *)context)->uc_mcontext.gregs[13];
	((ucontext_t *)context)->uc_mcontext.gregs[13] = 1234;
}

static void traps(void)
{
	struct sigaction act = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sigaction(SIGSYS, &act, NULL);
	show("trap", answer(SYS_getppid, SECCOMP_RET_TRAP | 33));
	show("emulated", syscall(SYS_getppid));
	printf("%d %d %d, call %d %ld, %#x, address %d\n", seen.si_signo, seen.si_code,
	       seen.si_errno, seen.si_syscall, rax, seen.si_arch, seen.si_call_addr != NULL);
	show("trap", answer(-1, SECCOMP_RET_TRAP));
	show("no call", syscall(-1));
	printf("call %d %ld\n", seen.si_syscall, rax);
	signal(SIGSYS, SIG_IGN);
	syscall(SYS_getppid);
}

static void kill_process(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	answer(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	signal(SIGSYS, SIG_IGN);
	syscall(SYS_getppid);
}

static void kill_thread(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	answer(SYS_getppid, SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
}

static void unknown(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	answer(SYS_getppid, 0x12340000);
	syscall(SYS_getppid);
}

static void no_exec(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	answer(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	execl("/proc/self/exe", "seccomp", "again", (char *)NULL);
}

static void odd_number(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	struct sock_filter steps[] = { NUMBER, UNLESS(-1, 1), ANSWER(SECCOMP_RET_ERRNO | 77),
				       ANSWER(SECCOMP_RET_ALLOW) };
	show("installed", INSTALL(steps));
	long r = syscall(-1);
	printf("%ld %d\n", r, errno);
	r = syscall(5000);
	printf("%ld %d\n", r, errno);
}

static int start[2], done[2];

static void *other(void *unused)
{
	char c;
	read(start[0], &c, 1);
	long r = syscall(SYS_getppid);
	c = r == -1 && errno == EXDEV;
	write(done[1], &c, 1);
	return NULL;
}

static void threads(void)
{
	struct sock_filter steps[] = { NUMBER, UNLESS(SYS_getppid, 1),
				       ANSWER(SECCOMP_RET_ERRNO | EXDEV),
				       ANSWER(SECCOMP_RET_ALLOW) };
	pthread_t thread;
	char c;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	pipe(start), pipe(done);
	pthread_create(&thread, NULL, other, NULL);
	show("for all", install(SECCOMP_FILTER_FLAG_TSYNC, steps, LENGTH(steps)));
	write(start[1], "x", 1);
	read(done[0], &c, 1);
	printf("the other's call is refused: %d\n", c);
	pthread_join(thread, NULL);
	pthread_create(&thread, NULL, other, NULL);
	show("for one", answer(SYS_getpgrp, SECCOMP_RET_KILL_THREAD));
	write(start[1], "x", 1);
	read(done[0], &c, 1);
	printf("a new one's too: %d\n", c);
	pthread_join(thread, NULL);
}

static void *killed(void *unused)
{
	syscall(SYS_getpgrp);
	return NULL;
}

static void kill_one(void)
{
	pthread_t thread;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	answer(SYS_getpgrp, SECCOMP_RET_KILL_THREAD);
	pthread_create(&thread, NULL, killed, NULL);
	pthread_join(thread, NULL);
	show("still here", syscall(SYS_getppid) > 0);
}

/* A tracer sees the end of a task that a filter kills. */
static void watched(const char *what, void (*part)(void))
{
	int status;
	pid_t child = fork();

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		part();
		_exit(0);
	}
	waitpid(child, &status, 0);
	ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT);
	do {
		ptrace(PTRACE_CONT, child, 0, 0);
		if (waitpid(child, &status, 0) != child)
			break;
		printf("%s, watched: %x\n", what, status);
	} while (WIFSTOPPED(status));
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		show("after execve", syscall(SYS_getppid));
		status();
		return 5;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	status();
	show_end("strict", strict);
	show_end("strict, another call", strict_kill);
	show_end("refusals", refusals);
	show_end("errors", errors);
	show_end("arguments", arguments);
	show_end("traced", traced);
	show_end("traps", traps);
	show_end("kill process", kill_process);
	show_end("kill thread", kill_thread);
	watched("kill process", kill_process);
	watched("kill thread", kill_thread);
	show_end("unknown", unknown);
	show_end("odd number", odd_number);
	show_end("threads", threads);
	show_end("one of two", kill_one);
	show_end("execve", no_exec);
	return 0;
}
