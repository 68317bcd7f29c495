/* One of each call whose strace line tells something; the pids in it do not differ. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static void handler(int signo) { (void)signo; }

static void step_over(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	(void)signo, (void)info;
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* behind ud2 */
}

/* What rt_sigreturn gives back is rax as it was: an error of the call, or any number. */
static void interrupted(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	long rax = -5000;
	struct sigaction ill = { .sa_sigaction = step_over, .sa_flags = SA_SIGINFO };

	signal(SIGALRM, handler);
	sigaction(SIGILL, &ill, 0);
	setitimer(ITIMER_REAL, &soon, 0);
	pause();
	__asm__ volatile("ud2" : "+a"(rax));
}

int main(void)
{
	struct stat st;
	struct timespec t = { 0, 1000 };
	struct iovec v[2] = { { "ab", 2 }, { "cde", 3 } };
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	sigset_t set;
	char b[64];
	int fd[2];

	mkdir("/tmp/" UNIQUE, 0700);
	int f = open("/tmp/" UNIQUE "/a", O_RDWR | O_CREAT | O_TRUNC, 0644);
	write(f, "hello\n\"w\001\0029\0003", 13);
	lseek(f, 0, SEEK_SET);
	read(f, b, 20);
	fstat(f, &st);
	stat("/tmp/" UNIQUE "/a", &st);
	lstat("/proc/self/nope", &st);
	ftruncate(f, 100);
	pread(f, b, 5, 1);
	close(f);
	close(77);
	access("/tmp", R_OK | X_OK);
	rename("/tmp/" UNIQUE "/a", "/tmp/" UNIQUE "/b");
	unlink("/tmp/" UNIQUE "/b");
	rmdir("/tmp/" UNIQUE);
	pipe2(fd, O_CLOEXEC);
	write(fd[1], "a rather long text that is cut at thirty-two", 44);
	fcntl(fd[0], F_GETFD);
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	dup2(fd[0], 9);
	read(fd[0], b, 50);
	read(fd[0], b, 9);
	char *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
		       -1, 0);
	mprotect(p, 4096, PROT_READ | PROT_EXEC);
	madvise(p, 8192, MADV_DONTNEED);
	mremap(p, 4096, 4096, MREMAP_MAYMOVE);
	msync(p, 4096, MS_SYNC);
	munmap(p, 8192);
	mmap(0, 0, PROT_NONE, MAP_PRIVATE, -1, 0);
	sigaddset(&sa.sa_mask, SIGINT);
	sigaction(SIGUSR1, &sa, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, 0);
	sigprocmask(SIG_SETMASK, 0, &set);
	nanosleep(&t, 0);
	clock_gettime(99, &t);
	writev(fd[1], v, 2);
	umask(022);
	getuid();
	syscall(SYS_sched_yield);
	chdir("/tmp");
	getcwd(b, 64);
	alarm(0);
	interrupted();
	char *argv[] = { "nope", "a b", 0 };
	execv("/proc/self/nope", argv);
	*(volatile int *)16 = 1;
	return 0;
}
