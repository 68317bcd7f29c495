/* Signals as a program sees them: frames, codes, masks, stacks; prints what it finds. */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf out;
static volatile int seen, depth, deepest;
static char *base;
static char altstack[65536];

static void report(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)uc;
	long addr = (long)info->si_addr;
	if (info->si_code > 0 && info->si_code != SI_KERNEL && base && (char *)addr >= base &&
	    (char *)addr < base + 65536)
		addr -= (long)base;
	else if (addr)
		addr = -1;
	printf("signal %d code %d addr %ld\n", signo, info->si_code, addr);
	siglongjmp(out, 1);
}

static void catch(int signo, int flags)
{
	struct sigaction sa = { .sa_sigaction = report, .sa_flags = SA_SIGINFO | flags };
	sigaction(signo, &sa, NULL);
}

#define TRY(name, code) \
	do { \
		printf("%s: ", name); \
		if (!sigsetjmp(out, 1)) { \
			code; \
			printf("nothing\n"); \
		} \
	} while (0)

static void faults(void)
{
	base = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(base + 4096, 4096, PROT_READ);
	mprotect(base + 8192, 4096, PROT_NONE);
	munmap(base + 12288, 4096);
	int fd = memfd_create("x", 0);
	(void)!ftruncate(fd, 100);
	mmap(base + 16384, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	base[0] = 1;
	TRY("write read-only", base[4096 + 123] = 1);
	TRY("read none", (void)*(volatile char *)(base + 8192 + 77));
	TRY("read unmapped", (void)*(volatile char *)(base + 12288 + 5));
	TRY("write unmapped", base[12288 + 4095] = 1);
	TRY("word across pages", *(volatile uint64_t *)(base + 4096 + 4092) = 1);
	TRY("word from below", *(volatile uint64_t *)(base + 4092) = 1);
	TRY("beyond the file", base[16384 + 4096 + 9] = 1);
	TRY("null", *(volatile int *)0 = 1);
	TRY("non-canonical", (void)*(volatile char *)0x8000000000000000ul);
	TRY("kernel", (void)*(volatile char *)0xffff800000000000ul);
	TRY("execute data", ((void (*)(void))base)());
	TRY("execute unmapped", ((void (*)(void))(base + 12288 + 16))());
	TRY("movups", __asm__ volatile("movups %%xmm0, (%0)" ::"r"(base + 4096 + 40) : "memory"));
	TRY("rep movsb",
	    __asm__ volatile("rep movsb" ::"D"(base + 4096 - 8), "S"(base), "c"(16L) : "memory"));
	TRY("cmpxchg",
	    __asm__ volatile("lock cmpxchg %%rcx, (%0)" ::"r"(base + 4096 + 24) : "rax", "memory"));
	printf("first byte still %d, eighth %d\n", base[0], base[4088]);
}

static void instructions(void)
{
	base = NULL;
	volatile int zero = 0;
	TRY("divide", printf("%d\n", 1 / zero));
	TRY("divide again", printf("%d\n", 1 / zero));
	TRY("and again", printf("%d\n", 7 % zero));
	TRY("hlt", __asm__ volatile("hlt"));
	TRY("hlt again", __asm__ volatile("hlt"));
	TRY("divide after hlt", printf("%d\n", 1 / zero));
	TRY("in", __asm__ volatile("inb $0x80, %%al" :: : "rax"));
	TRY("out", __asm__ volatile("outb %%al, $0x80" :: : "rax"));
	TRY("cli", __asm__ volatile("cli"));
	TRY("mov cr3", __asm__ volatile("mov %%cr3, %%rax" :: : "rax"));
	TRY("ud2", __asm__ volatile("ud2"));
	TRY("int3", __asm__ volatile("int3"));
	TRY("int 0x20", __asm__ volatile("int $0x20"));
	TRY("int 0", __asm__ volatile("int $0"));
	TRY("divide once more", printf("%d\n", 1 / zero));
}

static void nest(int signo)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (seen++ < 3)
		raise(signo);
	depth--;
}

static void flags(void)
{
	struct sigaction sa = { .sa_handler = nest };
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	printf("deferred: seen %d deepest %d\n", seen, deepest);
	seen = deepest = 0;
	sa.sa_flags = SA_NODEFER;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	printf("nodefer: seen %d deepest %d\n", seen, deepest);
	seen = 5;
	sa.sa_flags = SA_RESETHAND;
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sigaction(SIGUSR1, NULL, &sa);
	printf("resethand: default %d\n", sa.sa_handler == SIG_DFL);
}

static void where(int signo)
{
	char here;
	(void)signo;
	printf("on the other stack: %d\n",
	       &here >= altstack && &here < altstack + sizeof(altstack));
}

static void overflow(int signo, siginfo_t *info, void *context)
{
	char here;
	(void)context, (void)info;
	printf("overflow: signal %d on the other stack %d\n", signo,
	       &here >= altstack && &here < altstack + sizeof(altstack));
	siglongjmp(out, 1);
}

static int recurse(int n)
{
	volatile char room[4096];
	room[0] = (char)n;
	return recurse(n + 1) + room[0];
}

static void stacks(void)
{
	stack_t ss = { .ss_sp = altstack, .ss_size = sizeof(altstack) }, old;
	sigaltstack(&ss, NULL);
	sigaltstack(NULL, &old);
	printf("altstack: size %zu flags %d\n", old.ss_size, old.ss_flags);
	struct sigaction sa = { .sa_handler = where, .sa_flags = SA_ONSTACK };
	sigaction(SIGUSR2, &sa, NULL);
	raise(SIGUSR2);
	struct sigaction so = { .sa_sigaction = overflow, .sa_flags = SA_ONSTACK | SA_SIGINFO };
	sigaction(SIGSEGV, &so, NULL);
	if (!sigsetjmp(out, 1))
		printf("%d\n", recurse(0));
	if (!sigsetjmp(out, 1))
		printf("%d\n", recurse(0));
}

static void count(int signo)
{
	(void)signo;
	seen++;
}

static void masks(void)
{
	sigset_t set, old, waiting;
	seen = 0;
	signal(SIGUSR1, count);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &old);
	raise(SIGUSR1);
	raise(SIGUSR1);
	sigpending(&waiting);
	printf("pending %d seen %d\n", sigismember(&waiting, SIGUSR1), seen);
	int r = sigsuspend(&old);
	printf("sigsuspend %d %d seen %d\n", r, errno == EINTR, seen);
	sigprocmask(SIG_SETMASK, &old, NULL);
	printf("seen %d\n", seen);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	siginfo_t info;
	r = sigwaitinfo(&set, &info);
	printf("sigwaitinfo %d code %d\n", r, info.si_code);
	struct timespec soon = { 0, 1000000 };
	r = sigtimedwait(&set, &info, &soon);
	printf("sigtimedwait %d %d\n", r, errno == EAGAIN);
	union sigval value = { .sival_int = 42 };
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigqueue(getpid(), SIGRTMIN, value);
	value.sival_int = 43;
	sigqueue(getpid(), SIGRTMIN, value);
	for (int i = 0; i < 2; i++) {
		r = sigwaitinfo(&set, &info);
		printf("queued %d value %d\n", r == SIGRTMIN, info.si_value.sival_int);
	}
	int me = getpid(), threads[][2] = { { me, me }, { me, 0 }, { -1, me }, { me, me + 1 } };
	for (int i = 0; i < 4; i++) {
		info.si_code = SI_QUEUE;
		info.si_value.sival_int = 50 + i;
		errno = 0;
		syscall(SYS_rt_tgsigqueueinfo, threads[i][0], threads[i][1], SIGRTMIN, &info);
		printf("to a thread: %d\n", errno);
	}
	r = sigtimedwait(&set, &info, &soon);
	printf("queued %d code %d value %d\n", r == SIGRTMIN, info.si_code,
	       info.si_value.sival_int);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static volatile double kept;
static void disturb(int signo)
{
	(void)signo;
	kept = 1.0;
	for (int i = 1; i < 50; i++)
		kept = kept / 1.1 + i;
	__asm__ volatile("fninit; fld1; fldpi");
	unsigned mxcsr = 0x7f80;
	__asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
}

static void registers(void)
{
	unsigned mxcsr;
	unsigned short control = 0x27f;
	double in[2] = { 1.5, -2.25 }, back[2];
	long double deep = 3.0L, top;
	signal(SIGUSR1, disturb);
	__asm__ volatile("fldcw %0" ::"m"(control));
	long pid = getpid(), result;
	__asm__ volatile("movupd %3, %%xmm7\n\tfldt %4\n\t"
			 "mov %5, %%rdi\n\tmov %6, %%rsi\n\tmov %7, %%eax\n\tsyscall\n\t"
			 "movupd %%xmm7, %1\n\tfstpt %2\n\tmov %%rax, %0"
			 : "=r"(result), "=m"(back), "=m"(top)
			 : "m"(in), "m"(deep), "r"(pid), "r"((long)SIGUSR1), "i"(62)
			 : "rax", "rcx", "r11", "rdi", "rsi", "xmm7", "memory");
	__asm__ volatile("fnstcw %0\n\tstmxcsr %1" : "=m"(control), "=m"(mxcsr));
	printf("kill %ld xmm %g %g st %Lg control %x mxcsr %x\n", result, back[0], back[1], top,
	       control, mxcsr & ~0x3fu);
	control = 0x37f;
	__asm__ volatile("fldcw %0" ::"m"(control));
}

static void bump(int signo, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	(void)signo, (void)info;
	uc->uc_mcontext.gregs[REG_RIP] += 2; /* behind ud2 */
	uc->uc_mcontext.gregs[REG_RBX] = 77;
}

static void resume(void)
{
	long rbx = 0;
	struct sigaction sa = { .sa_sigaction = bump, .sa_flags = SA_SIGINFO };
	sigaction(SIGILL, &sa, NULL);
	__asm__ volatile("ud2" : "=b"(rbx));
	printf("resumed with %ld\n", rbx);
}

static void ends(void)
{
	int how[] = { SIGKILL, SIGTERM, SIGABRT, SIGSEGV, 0 };
	for (int i = 0; i < 5; i++) {
		fflush(stdout);
		pid_t pid = fork();
		if (!pid) {
			signal(SIGSEGV, SIG_DFL);
			if (how[i] == SIGSEGV)
				*(volatile int *)8 = 1;
			if (how[i])
				raise(how[i]);
			_exit(7);
		}
		int status;
		waitpid(pid, &status, 0);
		if (WIFSIGNALED(status))
			printf("ended by %d\n", WTERMSIG(status));
		else
			printf("exited with %d\n", WEXITSTATUS(status));
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	int all[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP };
	for (int i = 0; i < 5; i++)
		catch(all[i], 0);
	faults();
	instructions();
	flags();
	stacks();
	masks();
	registers();
	resume();
	ends();
	return 0;
}
