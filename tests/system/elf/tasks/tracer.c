/* A tracer, for the strace lines of its requests. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
static long word = 5;
static int pid, status;
static void ask(int request, void *addr, void *data)
{
	syscall(SYS_ptrace, request, pid, addr, data);
}
int main(void)
{
	struct user_regs_struct general;
	char floating[512];
	siginfo_t info;
	long read;
	if ((pid = fork()) == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		syscall(SYS_tkill, syscall(SYS_gettid), SIGSTOP);
		syscall(SYS_getppid);
		_exit(3);
	}
	waitpid(pid, &status, 0);
	ask(PTRACE_SETOPTIONS, 0, (void *)PTRACE_O_TRACESYSGOOD);
	ask(PTRACE_GETREGS, 0, &general);
	ask(PTRACE_SETREGS, 0, &general);
	ask(PTRACE_GETFPREGS, 0, floating);
	ask(PTRACE_SETFPREGS, 0, floating);
	ask(PTRACE_PEEKDATA, &word, &read);
	ask(PTRACE_PEEKTEXT, (void *)8, &read);
	ask(PTRACE_POKEDATA, &word, (void *)77);
	ask(PTRACE_GETSIGINFO, 0, &info);
	ask(PTRACE_SYSCALL, 0, 0);
	waitpid(pid, &status, 0);
	ask(PTRACE_CONT, 0, (void *)SIGTERM);
	waitpid(pid, &status, 0);
	ask(PTRACE_SYSCALL, 0, 0);
	waitpid(pid, &status, 0);
	ask(PTRACE_DETACH, 0, (void *)SIGSTOP);
	ask(PTRACE_GETREGS, 0, &general);
	return 0;
}
