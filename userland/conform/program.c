/*
 * TITLE
 *
 * gcc -static -no-pie -O1 -o program program.c && ./program
 *
 * Written by userland/conform/cprogram.py, which puts the calls in.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static unsigned char scratch[PAGE] __attribute__((aligned(4096)));
static sigjmp_buf escape;
/* What calls name: 0 f0, 1 f1 (empty), 2 f2 (sparse), 3 f0 opened again, to read; -1 the others. */
static long slots[16];

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)context;
	printf("%s si_code=%d si_addr=%p\n", signo == SIGBUS ? "SIGBUS" : "SIGSEGV", info->si_code,
	       info->si_addr);
	siglongjmp(escape, 1);
}

static long show(const char *what, long result)
{
	if (result == -1)
		printf("%s = -1 %s\n", what, strerror(errno));
	else
		printf("%s = %#lx [%02x %02x %02x %02x]\n", what, result, scratch[0], scratch[1],
		       scratch[2], scratch[3]);
	return result;
}

#define CALL(number, ...) show(#number "(" #__VA_ARGS__ ")", syscall(number, __VA_ARGS__))
#define LOAD(address) \
	do { \
		printf("load(%#lx) = ", address); \
		if (!sigsetjmp(escape, 1)) \
			printf("%#lx\n", *(volatile unsigned long *)(address)); \
	} while (0)
#define STORE(address, value) \
	do { \
		printf("store(%#lx, %#lx) = ", address, value); \
		if (!sigsetjmp(escape, 1)) { \
			*(volatile unsigned long *)(address) = (value); \
			printf("0\n"); \
		} \
	} while (0)
/* What the next call finds in scratch. */
#define WORDS(...) \
	do { \
		uint64_t words[] = { __VA_ARGS__ }; \
		memcpy(scratch, words, sizeof(words)); \
	} while (0)

/* ---- two processes that take turns: both go through all statements, each makes its own ---- */

static volatile int *nr_made; /* shared: how many statements have been made */
static int at, me;
static pid_t child;

static int is_mine(int whose) { return me == whose || (!child && !me); }

static __attribute__((unused)) int begin(int whose)
{
	at++;
	while (is_mine(whose) && *nr_made != at - 1)
		usleep(100);
	return is_mine(whose);
}

static __attribute__((unused)) int done(int whose)
{
	*nr_made += is_mine(whose);
	return 0;
}

#define IN(whose) for (int mine = begin(whose); mine; mine = done(whose))
#define FORK() \
	do { \
		child = fork(); \
		me = !child; \
	} while (0)

/* ---- another process's memory, or one's own ---- */

#define SUBJECT (child ? child : getpid())

static __attribute__((unused)) long vm_access(const char *what, long number, unsigned long address)
{
	struct iovec own = { scratch, 8 }, other = { (void *)address, 8 };

	return show(what, syscall(number, SUBJECT, &own, 1, &other, 1, 0));
}

static __attribute__((unused)) long mem_access(const char *what, int writes, unsigned long address)
{
	char path[64];
	long n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", SUBJECT);
	fd = open(path, O_RDWR);
	n = writes ? pwrite(fd, scratch, 8, (off_t)address) : pread(fd, scratch, 8, (off_t)address);
	close(fd);
	return show(what, n);
}

static __attribute__((unused)) long trace_access(const char *what, long request,
						 unsigned long address, unsigned long data)
{
	long result;
	int status;

	ptrace(PTRACE_ATTACH, child, 0, 0);
	waitpid(child, &status, 0);
	result = show(what, syscall(SYS_ptrace, request, child, address, data));
	ptrace(PTRACE_DETACH, child, 0, 0);
	return result;
}

#define VM_READ(address) vm_access("process_vm_readv(" #address ")", SYS_process_vm_readv, address)
#define VM_WRITE(address) \
	vm_access("process_vm_writev(" #address ")", SYS_process_vm_writev, address)
#define MEM_READ(address) mem_access("read mem(" #address ")", 0, address)
#define MEM_WRITE(address) mem_access("write mem(" #address ")", 1, address)
#define PEEK(address) \
	trace_access("peek(" #address ")", PTRACE_PEEKDATA, address, (unsigned long)scratch)
#define POKE(address, data) trace_access("poke(" #address ")", PTRACE_POKEDATA, address, data)

/* ---- files ---- */

static const char *shm_path(unsigned long number)
{
	return number ? "/dev/shm/pkern-conform.1" : "/dev/shm/pkern-conform.0";
}

#define SHM_OPEN(number, flags) \
	show("shm_open(" #number ", " #flags ")", open(shm_path(number), (int)(flags), 0600))
#define SHM_UNLINK(number) show("shm_unlink(" #number ")", unlink(shm_path(number)))

static void stamp(int fd, unsigned long page, uint64_t value)
{
	if (pwrite(fd, &value, 8, (off_t)(page * PAGE)) != 8)
		perror("pwrite");
}

static void show_maps(void)
{
	char text[65536];
	int fd = open("/proc/self/maps", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text));

	close(fd);
	fwrite(text, 1, n > 0 ? (size_t)n : 0, stdout);
}

/* Leave the room that both kernels have: without the host's pages for clocks. */
static void unmap_clocks(void)
{
	unsigned long start, end;
	char line[512], *next;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), maps)) {
		start = strtoul(line, &next, 16);
		end = strtoul(next + 1, NULL, 16);
		if (strstr(line, "[v") && !strstr(line, "[vsyscall]"))
			munmap((void *)start, end - start);
	}
	fclose(maps);
}

/* The files of the first slots: two have pages, and the first is open once more, to be read only. */
static void make_files(void)
{
	unsigned long i;

	memset(slots, 0xff, sizeof(slots));
	slots[0] = memfd_create("f0", 0);
	slots[1] = memfd_create("f1", 0);
	slots[2] = memfd_create("f2", 0);
	if (ftruncate((int)slots[0], 5 * PAGE + 100) || ftruncate((int)slots[2], 12 * PAGE))
		perror("ftruncate");
	for (i = 0; i < 6; i++)
		stamp((int)slots[0], i, 0xf0000000u + i);
	for (i = 0; i < 12; i += 6)
		stamp((int)slots[2], i, 0xf2000000u + i);
	snprintf((char *)scratch, 64, "/proc/self/fd/%ld", slots[0]);
	slots[3] = open((char *)scratch, O_RDONLY);
}

/* What a user has, and a handler for what an access may be answered with. */
static void be_a_user(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO };
	struct rlimit limit = { 16 * PAGE, 16 * PAGE };

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (getuid() == 0 && setresuid(1000, 1000, 1000))
		perror("setresuid");
	prctl(PR_SET_DUMPABLE, 1); /* for the parent that looks at its child */
	action.sa_sigaction = on_signal;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

int main(int argc, char **argv)
{
	(void)argc;
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
	}
	setvbuf(stdout, NULL, _IONBF, 0);
	unmap_clocks();
	nr_made = mmap((void *)0x8000000, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	make_files();
	be_a_user();

	/* CALLS */
	while (me && *nr_made != at)
		usleep(100); /* the first process shows its maps with the last statement made */
	show_maps();
	if (child)
		waitpid(child, NULL, 0);
	unlink(shm_path(0));
	unlink(shm_path(1));
	return 0;
}
