/*
 * ptrace as debuggers use it: what each request answers and what each stop shows.  Numbers of
 * processes are shown as names; addresses are the program's own.
 */
#define _GNU_SOURCE
#include "asleep.h"
#include <asm/prctl.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQ(request, pid, addr, data) syscall(SYS_ptrace, request, pid, addr, data)
#define EVENT(e) (SIGTRAP | (e) << 8)
static pid_t child, second;

static const char *who(long pid)
{
	return pid == child      ? "child"
	       : pid == second   ? "second"
	       : pid == getpid() ? "us"
	       : pid > 0         ? "other"
	       : pid             ? "error"
				 : "none";
}

/* A result: a process's number, an error, or something. */
static const char *shown(long value)
{
	static char text[32];
	if (value > 1 && (value == child || value == second || value == getpid()))
		return who(value);
	snprintf(text, sizeof(text), value > 1000 || value < -1000 ? "big" : "%ld", value);
	return text;
}

#define TELL(expression) \
	do { \
		errno = 0; \
		long result_ = (expression); \
		printf("%s: %ld errno %d\n", #expression, result_, result_ < 0 ? errno : 0); \
	} while (0)

static struct user_regs_struct regs_of(pid_t pid)
{
	struct user_regs_struct regs;
	memset(&regs, 0xee, sizeof(regs));
	if (REQ(PTRACE_GETREGS, pid, 0, &regs))
		printf("GETREGS: errno %d\n", errno);
	return regs;
}

/* The one event whose message is no process: a number alone does not tell, pids are multiples of 256 too. */
#define AT_EXIT (SIGTRAP | PTRACE_EVENT_EXIT << 8)

static void tell_info(pid_t pid)
{
	siginfo_t info = { 0 };
	if (REQ(PTRACE_GETSIGINFO, pid, 0, &info))
		printf(" no siginfo (%d)", errno);
	else
		printf(" si_signo %d si_code %#x", info.si_signo, info.si_code);
	unsigned long message = 0;
	if (!REQ(PTRACE_GETEVENTMSG, pid, 0, &message) && message)
		printf(" message %s", message < 3               ? (message == 1 ? "1" : "2")
				      : info.si_code == AT_EXIT ? "status"
								: who(message));
}

static void tell_call(pid_t pid)
{
	struct {
		unsigned char op, reserved;
		unsigned short flags;
		unsigned arch;
		unsigned long ip, sp, word[8];
	} info;
	memset(&info, 0, sizeof(info));
	long n = REQ(0x420e, pid, sizeof(info), &info);
	printf(" call info %ld op %d", n, info.op);
	if (info.op == 1)
		printf(" nr %ld", info.word[0]);
	if (info.op == 2)
		printf(" rval %s error %d", shown(info.word[0]), (int)(info.word[1] & 255));
}

/* Wait, and say all that the stop shows. */
static int stop(const char *what, pid_t pid)
{
	int status = 0;
	pid_t found = waitpid(pid, &status, __WALL);
	printf("%s: %s ", what, who(found));
	if (found < 0) {
		printf("errno %d\n", errno);
		return -1;
	}
	if (WIFEXITED(status))
		printf("exit %d", WEXITSTATUS(status));
	else if (WIFSIGNALED(status))
		printf("killed by %d", WTERMSIG(status));
	else if (WIFCONTINUED(status))
		printf("continued");
	else {
		struct user_regs_struct regs = regs_of(found);
		printf("stopped %#x", status >> 8);
		tell_info(found);
		tell_call(found);
		printf(" orig_rax %ld rax %s", (long)regs.orig_rax, shown(regs.rax));
	}
	printf("\n");
	return status;
}

static pid_t start(void (*run)(void))
{
	fflush(stdout);
	pid_t pid = fork();
	if (!pid) {
		run();
		_exit(7);
	}
	return pid;
}

static pid_t start_traced(void (*run)(void), long options)
{
	fflush(stdout);
	child = fork();
	if (!child) {
		REQ(PTRACE_TRACEME, 0, 0, 0);
		syscall(SYS_tkill, getpid(), SIGSTOP);
		run();
		_exit(7);
	}
	stop("start", child);
	if (options)
		TELL(REQ(PTRACE_SETOPTIONS, child, 0, options));
	return child;
}

static void finish(void)
{
	kill(child, SIGKILL);
	int status;
	waitpid(child, &status, __WALL);
	printf("killed: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
}

/* ---- system calls ---- */

static void getpids(void)
{
	syscall(SYS_getppid);
	syscall(SYS_close, -1);
	syscall(-5);
	syscall(SYS_getuid);
}

static void calls(void)
{
	start_traced(getpids, PTRACE_O_TRACESYSGOOD);
	for (int i = 0; i < 8; i++) {
		TELL(REQ(PTRACE_SYSCALL, child, 0, 0));
		stop("a call", child);
	}
	finish();
	start_traced(getpids, 0);
	for (int i = 0; i < 4; i++) {
		REQ(PTRACE_SYSCALL, child, 0, 0);
		stop("a call without SYSGOOD", child);
	}
	finish();
	start_traced(getpids, PTRACE_O_TRACESYSGOOD);
	REQ(PTRACE_SYSEMU, child, 0, 0);
	stop("emulated", child);
	REQ(PTRACE_SYSEMU, child, 0, 0);
	stop("emulated", child);
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("emulated, then behind it", child);
	REQ(PTRACE_CONT, child, 0, SIGUSR1);
	stop("with a signal", child);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("its end", child);
}

static void change(void)
{
	start_traced(getpids, PTRACE_O_TRACESYSGOOD);
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("entry", child);
	TELL(REQ(PTRACE_POKEUSER, child, offsetof(struct user, regs.orig_rax), SYS_getpid));
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("another call", child);
	printf("it was getpid: %d\n", (long)regs_of(child).rax == child);
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("entry", child);
	TELL(REQ(PTRACE_POKEUSER, child, offsetof(struct user, regs.orig_rax), -1));
	TELL(REQ(PTRACE_POKEUSER, child, offsetof(struct user, regs.rax), 55));
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("no call", child);
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("entry", child);
	struct {
		unsigned char op, reserved;
		unsigned short flags;
		unsigned arch;
		unsigned long ip, sp, word[8];
	} info;
	memset(&info, 0, sizeof(info));
	REQ(0x420e, child, sizeof(info), &info);
	info.word[0] = SYS_getpid;
	TELL(REQ(0x4212, child, sizeof(info), &info));
	info.op = 2;
	TELL(REQ(0x4212, child, sizeof(info), &info));
	TELL(REQ(0x4212, child, 24, &info));
	info.op = 1, info.flags = 1;
	TELL(REQ(0x4212, child, sizeof(info), &info));
	info.flags = 0, info.word[0] = 1ul << 40;
	TELL(REQ(0x4212, child, sizeof(info), &info));
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("changed by SET_SYSCALL_INFO", child);
	memset(&info, 0, sizeof(info));
	info.op = 2, info.word[0] = -ENOENT, info.word[1] = 1;
	TELL(REQ(0x4212, child, sizeof(info), &info));
	printf("rax %ld\n", (long)regs_of(child).rax);
	finish();
}

/* ---- registers and the user area ---- */

static void user_area(void)
{
	start_traced(getpids, 0);
	static const long offsets[] = { -8,          1,   4,   0,   8 * 26,
					8 * 27,      220, 224, 848, 848 + 8 * 4,
					848 + 8 * 7, 912, 920, 928, 1 << 20 };
	for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
		unsigned long word = 0x5555;
		errno = 0;
		long result = REQ(PTRACE_PEEKUSER, child, offsets[i], &word);
		printf("peek user %ld: %ld errno %d%s\n", offsets[i], result, errno,
		       offsets[i] > 208 && !result && word ? " not 0" : "");
	}
#define REG(name) offsetof(struct user, regs.name)
	TELL(REQ(PTRACE_POKEUSER, child, REG(cs), 0));
	TELL(REQ(PTRACE_POKEUSER, child, REG(cs), 0x33));
	TELL(REQ(PTRACE_POKEUSER, child, REG(ss), 0x28));
	TELL(REQ(PTRACE_POKEUSER, child, REG(ds), 0));
	TELL(REQ(PTRACE_POKEUSER, child, REG(fs_base), 1ul << 47));
	TELL(REQ(PTRACE_POKEUSER, child, REG(fs_base), -1ul));
	TELL(REQ(PTRACE_POKEUSER, child, REG(r12), 0x123456789));
	TELL(REQ(PTRACE_POKEUSER, child, 8 * 27, 1));
	TELL(REQ(PTRACE_POKEUSER, child, 928, 1));
	TELL(REQ(PTRACE_POKEUSER, child, 848, 0x10001));
	TELL(REQ(PTRACE_POKEUSER, child, 848 + 8 * 4, 1));
	TELL(REQ(PTRACE_POKEUSER, child, 848 + 8 * 6, 0));
	TELL(REQ(PTRACE_POKEUSER, child, 848 + 8 * 7, 0xd0001)); /* 4 bytes, misaligned */
	TELL(REQ(PTRACE_POKEUSER, child, 848, 0x10000));
	TELL(REQ(PTRACE_POKEUSER, child, 848 + 8 * 7, 0xd0001));
	TELL(REQ(PTRACE_POKEUSER, child, 848 + 8 * 7, 0));
	printf("r12 %#lx\n", (long)regs_of(child).r12);
	unsigned char buffer[4096];
	struct iovec vec = { buffer, sizeof(buffer) };
	TELL(REQ(PTRACE_GETREGSET, child, NT_PRSTATUS, &vec));
	printf("iov_len %ld\n", (long)vec.iov_len);
	vec.iov_len = 16;
	TELL(REQ(PTRACE_GETREGSET, child, NT_PRSTATUS, &vec));
	printf("iov_len %ld\n", (long)vec.iov_len);
	TELL(REQ(PTRACE_SETREGSET, child, NT_PRSTATUS, &vec));
	vec.iov_len = 13;
	TELL(REQ(PTRACE_GETREGSET, child, NT_PRSTATUS, &vec));
	vec.iov_len = sizeof(buffer);
	TELL(REQ(PTRACE_GETREGSET, child, NT_PRFPREG, &vec));
	printf("iov_len %ld\n", (long)vec.iov_len);
	TELL(REQ(PTRACE_SETREGSET, child, NT_PRFPREG, &vec));
	static const size_t sizes[] = { 0, 8, 12, 16, 512, 520 };
	for (int i = 0; i < 12; i++) {
		int kind = i < 6 ? NT_PRFPREG : NT_386_IOPERM;
		vec = (struct iovec){ buffer, 512 };
		REQ(PTRACE_GETREGSET, child, kind, &vec);
		vec.iov_len = sizes[i % 6];
		TELL(REQ(PTRACE_GETREGSET, child, kind, &vec));
		printf("iov_len %ld\n", (long)vec.iov_len);
		vec.iov_len = sizes[i % 6];
		TELL(REQ(PTRACE_SETREGSET, child, kind, &vec));
		printf("iov_len %ld\n", (long)vec.iov_len);
	}
	vec.iov_len = sizeof(buffer);
	TELL(REQ(PTRACE_GETREGSET, child, 0x7777, &vec));
	unsigned long word = 0;
	TELL(REQ(30, child, &word, ARCH_GET_FS));
	printf("fs %d\n", word == regs_of(child).fs_base);
	TELL(REQ(30, child, 0x7000, ARCH_SET_GS));
	printf("gs %#lx\n", (long)regs_of(child).gs_base);
	TELL(REQ(30, child, 1ul << 60, ARCH_SET_GS));
	TELL(REQ(30, child, 0, 0x9999));
	TELL(REQ(21, child, 0, 1));
	TELL(REQ(PTRACE_SETOPTIONS, child, 0, 1 << 30));
	TELL(REQ(PTRACE_GETSIGMASK, child, 8, &word));
	TELL(REQ(PTRACE_GETSIGMASK, child, 4, &word));
	word = -1ul;
	TELL(REQ(PTRACE_SETSIGMASK, child, 8, &word));
	word = 0;
	REQ(PTRACE_GETSIGMASK, child, 8, &word);
	printf("mask %#lx\n", word);
	TELL(REQ(PTRACE_LISTEN, child, 0, 0));
	TELL(REQ(PTRACE_INTERRUPT, child, 0, 0));
	TELL(REQ(0x4299, child, 0, 0));
	TELL(REQ(PTRACE_CONT, child, 0, 65));
	TELL(REQ(PTRACE_CONT, child, 0, -1));
	TELL(REQ(PTRACE_PEEKDATA, child, 8, &word));
	TELL(REQ(PTRACE_PEEKDATA, child, &word, 8));
	TELL(REQ(PTRACE_GETREGS, getppid(), 0, &word));
	TELL(REQ(PTRACE_GETREGS, 0x3fffff, 0, &word));
	finish();
}

/* ---- signals ---- */

static void handler(int signo)
{
	char text[] = "handled ?\n";
	text[8] = '0' + signo % 10;
	if (write(1, text, sizeof(text) - 1) < 0)
		_exit(9);
}

static void signalled(void)
{
	signal(SIGUSR1, handler);
	signal(SIGUSR2, handler);
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	raise(SIGSTOP);
	raise(SIGTERM);
}

static void signals(void)
{
	start_traced(signalled, 0);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("a signal", child);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("dropped, the next", child);
	REQ(PTRACE_CONT, child, 0, SIGUSR1);
	stop("delivered, the next", child);
	siginfo_t info;
	REQ(PTRACE_GETSIGINFO, child, 0, &info);
	info.si_code = -5;
	TELL(REQ(PTRACE_SETSIGINFO, child, 0, &info));
	REQ(PTRACE_GETSIGINFO, child, 0, &info);
	printf("si_code %d\n", info.si_code);
	REQ(PTRACE_CONT, child, 0, SIGUSR2);
	stop("another, then SIGSTOP", child);
	REQ(PTRACE_CONT, child, 0, SIGSTOP);
	stop("the group's stop", child);
	TELL(REQ(PTRACE_SETSIGINFO, child, 0, &info));
	REQ(PTRACE_CONT, child, 0, 0);
	stop("SIGTERM", child);
	REQ(PTRACE_CONT, child, 0, SIGTERM);
	stop("its end", child);
}

static void faulty(void)
{
	asm volatile("int3");
	*(volatile int *)8 = 1;
}

static void queued(void)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	syscall(SYS_tkill, getpid(), SIGUSR1);
	kill(getpid(), SIGUSR2);
	syscall(SYS_tkill, getpid(), 40);
	syscall(SYS_tkill, getpid(), 40);
	syscall(SYS_getppid);
}

static void peek_signals(void)
{
	start_traced(faulty, 0);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("int3", child);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("a fault", child);
	REQ(PTRACE_CONT, child, 0, SIGSEGV);
	stop("its end", child);
	start_traced(queued, PTRACE_O_TRACESYSGOOD);
	for (int i = 0; i < 11; i++) {
		REQ(PTRACE_SYSCALL, child, 0, 0);
		int status;
		waitpid(child, &status, 0);
	}
	siginfo_t infos[8];
	struct {
		unsigned long off;
		unsigned flags;
		int nr;
	} args = { 0, 0, 8 };
	long n = REQ(PTRACE_PEEKSIGINFO, child, &args, infos);
	printf("own %ld:", n);
	for (long i = 0; i < n; i++)
		printf(" %d/%d", infos[i].si_signo, infos[i].si_code);
	args.flags = 1;
	n = REQ(PTRACE_PEEKSIGINFO, child, &args, infos);
	printf("; shared %ld: %d\n", n, infos[0].si_signo);
	args.flags = 0, args.off = 2, args.nr = 8;
	TELL(REQ(PTRACE_PEEKSIGINFO, child, &args, infos));
	args.off = 9;
	TELL(REQ(PTRACE_PEEKSIGINFO, child, &args, infos));
	args.flags = 2;
	TELL(REQ(PTRACE_PEEKSIGINFO, child, &args, infos));
	args.flags = 0, args.nr = -1;
	TELL(REQ(PTRACE_PEEKSIGINFO, child, &args, infos));
	finish();
}

/* ---- events ---- */

static void forks(void)
{
	if (!fork())
		_exit(1);
	wait(NULL);
	if (!vfork())
		_exit(2);
	wait(NULL);
	syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0) ?: (syscall(SYS_exit, 3), 0);
	wait4(-1, NULL, __WALL, NULL);
}

#define ALL \
	(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | \
	 PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | \
	 PTRACE_O_TRACESYSGOOD)

static void events(void)
{
	start_traced(forks, ALL);
	for (int i = 0; i < 3; i++) {
		second = 0;
		REQ(PTRACE_CONT, child, 0, 0);
		int status;
		waitpid(child, &status, __WALL);
		unsigned long pid = 0;
		REQ(PTRACE_GETEVENTMSG, child, 0, &pid);
		second = (pid_t)pid;
		printf("event %#x: %s", status >> 8, who(pid));
		tell_info(child);
		printf("\n");
		stop("the new one", second);
		REQ(PTRACE_CONT, second, 0, 0);
		stop("its exit", second);
		REQ(PTRACE_CONT, second, 0, 0);
		if (i == 1) {
			REQ(PTRACE_CONT, child, 0, 0);
			stop("vfork done", child);
		}
		stop("its end", second);
		if (i < 2) {
			REQ(PTRACE_CONT, child, 0, 0);
			stop("SIGCHLD", child);
		}
	}
	REQ(PTRACE_CONT, child, 0, 0);
	stop("the signal of the last", child);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("exit", child);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("its end", child);
}

static const char *self;

static void executes(void)
{
	char *const argv[] = { (char *)self, "child", NULL };
	execv(self, argv);
}

static void execs(void)
{
	start_traced(executes, 0);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("exec", child);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("its end", child);
	start_traced(executes, PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD);
	REQ(PTRACE_SYSCALL, child, 0, 0);
	int status = stop("to exec", child);
	for (int i = 0; i < 12 && status >> 8 != EVENT(PTRACE_EVENT_EXEC); i++) {
		REQ(PTRACE_SYSCALL, child, 0, 0);
		waitpid(child, &status, 0);
	}
	printf("exec event %#x", status >> 8);
	tell_info(child);
	printf("\n");
	REQ(PTRACE_SYSCALL, child, 0, 0);
	stop("behind it", child);
	finish();
}

/* ---- steps, breakpoints, watchpoints ---- */

static volatile long watched;

static void work(void)
{
	watched = 1;
	watched = 1;
	watched = 2;
	syscall(SYS_getppid);
	watched = 3;
}

static void steps(void)
{
	start_traced(work, 0);
	unsigned long rip = 0;
	for (int i = 0; i < 5; i++) {
		REQ(PTRACE_SINGLESTEP, child, 0, 0);
		int status;
		waitpid(child, &status, 0);
		struct user_regs_struct regs = regs_of(child);
		printf("step %#x%s trap flag %d", status >> 8, regs.rip != rip ? "" : " stays",
		       !!(regs.eflags & 0x100));
		rip = regs.rip;
		tell_info(child);
		printf("\n");
	}
	REQ(PTRACE_POKEUSER, child, 848, &watched);
	REQ(PTRACE_POKEUSER, child, 848 + 8 * 7, 1 | 9ul << 16); /* 8 bytes, stores */
	for (int i = 0; i < 2; i++) {
		REQ(PTRACE_CONT, child, 0, 0);
		stop("a store", child);
		long value = -1;
		REQ(PTRACE_PEEKDATA, child, &watched, &value);
		long status = 0;
		REQ(PTRACE_PEEKUSER, child, 848 + 8 * 6, &status);
		if (i == 0 && value == 1) { /* a processor sees the same value stored again */
			REQ(PTRACE_CONT, child, 0, 0);
			waitpid(child, NULL, 0);
			REQ(PTRACE_PEEKDATA, child, &watched, &value);
			if (value == 1) {
				REQ(PTRACE_CONT, child, 0, 0);
				waitpid(child, NULL, 0);
				REQ(PTRACE_PEEKDATA, child, &watched, &value);
			}
		}
		printf("value %ld status %lx\n", value, status & 15);
	}
	REQ(PTRACE_POKEUSER, child, 848 + 8 * 7, 0);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("its end", child);
}

/* ---- attaching ---- */

static int ends[2];

static void reads(void)
{
	char byte;
	close(ends[1]);
	long n = read(ends[0], &byte, 1);
	_exit(n == 1 ? byte : 99);
}

static void sleeps(void)
{
	struct timespec ts = { 5, 0 }; /* longer than a busy host takes for what comes between */
	_exit(nanosleep(&ts, NULL) ? 98 : 11);
}

static void attaches(void)
{
	if (pipe(ends))
		perror("pipe");
	child = start(reads);
	until_in(child, SYS_read);
	TELL(REQ(PTRACE_ATTACH, child, 0, 0));
	stop("attached", child);
	TELL(REQ(PTRACE_ATTACH, child, 0, 0));
	TELL(REQ(PTRACE_DETACH, child, 0, 0));
	TELL(REQ(PTRACE_DETACH, child, 0, 0));
	until_in(child, SYS_read);
	TELL(REQ(PTRACE_SEIZE, child, 0, PTRACE_O_TRACESYSGOOD));
	TELL(REQ(PTRACE_GETREGS, child, 0, &child));
	TELL(REQ(PTRACE_INTERRUPT, child, 0, 0));
	stop("interrupted", child);
	TELL(REQ(PTRACE_LISTEN, child, 0, 0));
	TELL(REQ(PTRACE_SYSCALL, child, 0, 0));
	TELL(REQ(PTRACE_INTERRUPT, child, 0, 0));
	stop("interrupted again", child);
	TELL(REQ(PTRACE_SYSCALL, child, 0, 0));
	if (write(ends[1], "!", 1) != 1)
		perror("write");
	for (int i = 0; i < 4; i++) {
		int status = stop("on", child);
		if (status < 0 || WIFEXITED(status))
			break;
		REQ(PTRACE_SYSCALL, child, 0, 0);
	}
	child = start(sleeps);
	until_in(child, SYS_clock_nanosleep);
	TELL(REQ(PTRACE_SEIZE, child, 0, 0));
	TELL(REQ(PTRACE_INTERRUPT, child, 0, 0));
	stop("asleep", child);
	TELL(REQ(PTRACE_CONT, child, 0, 0));
	until_state(child, 'S');
	kill(child, SIGSTOP);
	stop("SIGSTOP", child);
	TELL(REQ(PTRACE_CONT, child, 0, SIGSTOP));
	stop("the group's stop", child);
	TELL(REQ(PTRACE_LISTEN, child, 0, 0));
	TELL(REQ(PTRACE_GETREGS, child, 0, &ends));
	kill(child, SIGCONT);
	stop("SIGCONT", child);
	TELL(REQ(PTRACE_CONT, child, 0, 0));
	stop("the signal itself", child);
	TELL(REQ(PTRACE_CONT, child, 0, SIGCONT));
	stop("its end", child);
	TELL(REQ(PTRACE_SEIZE, getpid(), 0, 0));
	TELL(REQ(PTRACE_ATTACH, 0x3fffff, 0, 0));
	TELL(REQ(PTRACE_SEIZE, getppid(), 8, 0));
	TELL(REQ(PTRACE_SEIZE, getppid(), 0, 1 << 30));
}

/* A tracer that is not the parent: both hear of the end, the tracer first. */
static void other_tracer(void)
{
	int up[2];
	char byte = 0;
	if (pipe(up) || pipe(ends))
		perror("pipe");
	child = start(reads);
	fflush(stdout);
	second = fork();
	if (!second) {
		second = getpid();
		TELL(REQ(PTRACE_SEIZE, child, 0, PTRACE_O_TRACEEXIT));
		if (write(up[1], "x", 1) != 1)
			perror("write");
		stop("tracer: exit", child);
		TELL(REQ(PTRACE_CONT, child, 0, 0));
		stop("tracer: end", child);
		stop("tracer: nothing more", child);
		_exit(0);
	}
	if (read(up[0], &byte, 1) != 1 || write(ends[1], "\5", 1) != 1)
		perror("pipes");
	int status;
	waitpid(second, &status, 0);
	stop("parent: end", child);
	if (pipe(ends))
		perror("pipe");
	child = start(reads);
	fflush(stdout);
	second = fork();
	if (!second) {
		REQ(PTRACE_SEIZE, child, 0, PTRACE_O_EXITKILL);
		_exit(0);
	}
	waitpid(second, &status, 0);
	stop("killed with its tracer", child);
}

/* ---- threads ---- */

static volatile int
	its_tid; /* said by itself: the C library forgets that of a thread that has ended */

static void *thread(void *unused)
{
	its_tid = (int)syscall(SYS_gettid);
	syscall(SYS_exit, 0);
	return NULL;
}

static void threaded(void)
{
	pthread_t t;
	pthread_create(&t, NULL, thread, NULL);
	pthread_join(t, NULL);
	while (state_of(its_tid)) /* until the tracer has heard of its end */
		usleep(1000);
}

static void threads(void)
{
	start_traced(threaded, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT);
	REQ(PTRACE_CONT, child, 0, 0);
	int status;
	waitpid(child, &status, __WALL);
	unsigned long pid = 0;
	REQ(PTRACE_GETEVENTMSG, child, 0, &pid);
	second = (pid_t)pid;
	printf("event %#x: %s\n", status >> 8, who(pid));
	stop("the thread", second);
	REQ(PTRACE_CONT, child, 0, 0);
	REQ(PTRACE_CONT, second, 0, 0);
	stop("its exit", second);
	REQ(PTRACE_CONT, second, 0, 0);
	stop("its end", second);
	stop("exit", child);
	REQ(PTRACE_CONT, child, 0, 0);
	stop("the process's end", child);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	self = argv[0];
	if (argc > 1)
		return 12;
	calls();
	change();
	user_area();
	signals();
	peek_signals();
	events();
	execs();
	steps();
	attaches();
	other_tracer();
	threads();
	return 0;
}
