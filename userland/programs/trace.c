/*
 * trace.c - a parent that traces its child: system calls, signals, registers, memory.
 */
#include "raw.h"
#include <sys/ptrace.h>
#include <sys/user.h>

static long sys_ptrace(long request, long pid, long addr, long data)
{
	return raw6(SYS_ptrace, request, pid, addr, data, 0, 0);
}

/* The signal of the child's next stop; 0x100 and its code if it has ended. */
static int next_stop(long pid)
{
	int status = 0;

	must(sys_wait(pid, &status) == pid, "wait4");
	if (WIFSTOPPED(status))
		return WSTOPSIG(status);
	return 0x100 | (WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static struct user_regs_struct registers(long pid)
{
	struct user_regs_struct regs;

	must(sys_ptrace(PTRACE_GETREGS, pid, 0, (long)&regs) == 0, "GETREGS");
	return regs;
}

static void set_registers(long pid, struct user_regs_struct *regs)
{
	must(sys_ptrace(PTRACE_SETREGS, pid, 0, (long)regs) == 0, "SETREGS");
}

static void child(void)
{
	volatile long word = 0x1234;

	sys_ptrace(PTRACE_TRACEME, 0, 0, 0);
	raw3(SYS_kill, raw3(SYS_getpid, 0, 0, 0), SIGSTOP, 0);
	word = raw3(SYS_getppid, (long)&word, 0, 0);
	raw3(SYS_kill, raw3(SYS_getpid, 0, 0, 0), SIGUSR1, 0);
	*(volatile char *)8 = 1;
	sys_exit((int)word);
}

static long begin(void)
{
	long pid = sys_fork();

	if (pid == 0)
		child();
	say("first stop: %d\n", next_stop(pid));
	return pid;
}

/* Every call, before and after. */
static void follow(void)
{
	long pid = begin(), parent = raw3(SYS_getpid, 0, 0, 0);
	int stop;

	must(sys_ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0, "SETOPTIONS");
	for (int i = 0; i < 7; i++) {
		must(sys_ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0, "SYSCALL");
		stop = next_stop(pid);
		if (stop != (SIGTRAP | 0x80)) {
			say("stop: %d\n", stop);
			continue;
		}
		struct user_regs_struct regs = registers(pid);

		say("call %lld: %s\n", (long long)regs.orig_rax,
		    (long long)regs.rax == -ENOSYS  ? "before it"
		    : (long long)regs.rax == parent ? "the parent's pid"
		    : (long long)regs.rax == pid    ? "its own pid"
						    : "another result");
	}
	must(sys_ptrace(PTRACE_CONT, pid, 0, 0) == 0, "CONT");
	say("then: %d\n", next_stop(pid));
	must(sys_ptrace(PTRACE_CONT, pid, 0, SIGSEGV) == 0, "CONT");
	say("ended: %d\n", next_stop(pid));
}

/* The tracer answers: no call reaches the kernel. */
static void emulate(void)
{
	long pid = begin(), before = 0, after = 0;
	struct user_regs_struct regs;

	must(sys_ptrace(PTRACE_SYSEMU, pid, 0, 0) == 0, "SYSEMU");
	say("stop: %d\n", next_stop(pid));
	regs = registers(pid);
	say("call %lld\n", (long long)regs.orig_rax);
	sys_ptrace(PTRACE_PEEKDATA, pid, (long)regs.rdi, (long)&before);
	sys_ptrace(PTRACE_POKEDATA, pid, (long)regs.rdi, 0x5678);
	sys_ptrace(PTRACE_PEEKDATA, pid, (long)regs.rdi, (long)&after);
	say("word: %lx, then %lx\n", before, after);
	regs.rax = 42;
	set_registers(pid, &regs);
	for (int i = 0; i < 2; i++) {
		must(sys_ptrace(PTRACE_SYSEMU, pid, 0, 0) == 0, "SYSEMU");
		must(next_stop(pid) == SIGTRAP, "a call");
		regs = registers(pid);
		say("call %lld\n", (long long)regs.orig_rax);
	}
	must(sys_ptrace(PTRACE_SYSEMU, pid, 0, 0) == 0, "SYSEMU");
	say("the store: %d\n", next_stop(pid));
	regs = registers(pid);
	siginfo_t info;

	must(sys_ptrace(PTRACE_GETSIGINFO, pid, 0, (long)&info) == 0, "GETSIGINFO");
	say("si_code %d, address %ld\n", info.si_code, (long)info.si_addr);
	regs.rip = 0;
	set_registers(pid, &regs);
	must(sys_ptrace(PTRACE_SYSEMU, pid, 0, 0) == 0, "SYSEMU");
	say("at nothing: %d\n", next_stop(pid));
	must(sys_ptrace(PTRACE_KILL, pid, 0, 0) == 0, "KILL");
	say("ended: %d\n", next_stop(pid));
}

int main(void)
{
	say("nobody's tracee: %ld\n", sys_ptrace(PTRACE_CONT, 1, 0, 0));
	follow();
	emulate();
	return 0;
}
