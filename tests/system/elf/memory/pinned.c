/*
 * pinned.c - what Linux asks of memory before it pins it for another process, and its kin:
 * areas that may be written but not read, pages that a fork shares, seals of files that are no
 * memfd, segments without a reservation, guards in locked memory, stops of a traced child that no one wants told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define BASE ((char *)0x50000000)

static char buffer[4 * PAGE];

static void tell(const char *what, long result)
{
	printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "",
	       result < 0 ? strerror(errno) : "");
}

static void map(unsigned long page, int prot)
{
	mmap(BASE + page * PAGE, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static long peek(pid_t pid, unsigned long from, unsigned long nbytes)
{
	struct iovec own = { buffer, sizeof(buffer) }, other = { BASE + from, nbytes };

	return process_vm_readv(pid, &own, 1, &other, 1, 0);
}

static void unreadable(void)
{
	int node;

	map(0, PROT_READ | PROT_WRITE);
	map(1, PROT_WRITE);
	map(2, PROT_READ | PROT_WRITE);
	BASE[0] = BASE[PAGE] = BASE[2 * PAGE] = 1;
	tell("what may be read", peek(getpid(), 0, 8));
	tell("what may be written only", peek(getpid(), PAGE, 8));
	tell("both", peek(getpid(), PAGE - 8, 16));
	tell("all three", peek(getpid(), 0, 3 * PAGE));
	tell("its node", syscall(SYS_get_mempolicy, &node, NULL, 0, BASE + PAGE, 3));
	tell("the node beside", syscall(SYS_get_mempolicy, &node, NULL, 0, BASE, 3));
}

/* Whether the page is no one else's, and whether it has been written to since it is there. */
static void show_page(const char *what)
{
	uint64_t word = 0;
	char line[256];
	unsigned long start, end;
	int fd = open("/proc/self/pagemap", O_RDONLY), here = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");

	pread(fd, &word, 8, (off_t)((unsigned long)BASE / PAGE * 8));
	close(fd);
	printf("%s: present %d exclusive %d\n", what, (int)(word >> 63), (int)(word >> 56 & 1));
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)BASE;
		if (here && (strstr(line, "Private_") || strstr(line, "Shared_")))
			fputs(line, stdout);
	}
	fclose(smaps);
	fflush(stdout);
}

static void shared_page(void)
{
	int go[2], status;
	char byte;
	pid_t child;

	munmap(BASE, 3 * PAGE);
	map(0, PROT_READ | PROT_WRITE);
	BASE[0] = 7;
	if (pipe(go))
		return;
	fflush(stdout);
	child = fork();
	if (!child) {
		read(go[0], &byte, 1);
		show_page("the child, read by another");
		BASE[0] = 8;
		show_page("the child, having stored");
		_exit(0);
	}
	show_page("a page that a fork shares");
	tell("read from the child", peek(child, 0, 1));
	printf("it holds %d\n", buffer[0]);
	show_page("the parent");
	write(go[1], "", 1);
	waitpid(child, &status, 0);
}

static void show_referenced(const char *what)
{
	unsigned long start, end;
	char line[256];
	int here = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");

	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)BASE;
		if (here && !strncmp(line, "Referenced:", 11))
			printf("%s: %s", what, line);
	}
	fclose(smaps);
	fflush(stdout);
}

/* Linux moves pages between its lists in batches; advice begins by emptying them. */
static void settle_lists(void) { madvise(buffer, sizeof(buffer), MADV_COLD); }

/* Storing to another's page notes that it is used, in no pte. */
static void lazily_free(void)
{
	struct iovec own = { buffer, 8 }, other = { BASE, 8 };

	map(0, PROT_READ | PROT_WRITE);
	BASE[0] = 1;
	madvise(BASE, PAGE, MADV_FREE);
	settle_lists();
	show_referenced("freed lazily");
	process_vm_writev(getpid(), &own, 1, &other, 1, 0);
	show_referenced("and stored to from outside");
}

/* The question for its node marks a page as used, however often. */
static void asked_for_its_node(void)
{
	int node, i;

	map(0, PROT_READ | PROT_WRITE);
	BASE[0] = 1;
	madvise(BASE, PAGE, MADV_COLD);
	settle_lists();
	show_referenced("not wanted any more");
	for (i = 0; i < 3; i++) {
		syscall(SYS_get_mempolicy, &node, NULL, 0, BASE, 3);
		show_referenced("asked for its node");
	}
}

/* A copy takes the place of a file's page, which learns nothing from that pte. */
static void copied(void)
{
	int fd = (int)syscall(SYS_memfd_create, "copied", 0), go[2], status;
	char byte;
	pid_t child;

	pwrite(fd, buffer, 3 * PAGE, 0);
	munmap(BASE, PAGE);
	mmap(BASE, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0);
	BASE[2 * PAGE] = 1; /* or a fork would copy no ptes */
	*(volatile char *)BASE;
	settle_lists();
	fflush(stdout);
	if (pipe(go))
		return;
	child = fork();
	if (!child) {
		show_referenced("a file's pages after a fork");
		read(go[0], &byte, 1);
		show_referenced("one of them copied by the parent");
		_exit(0);
	}
	BASE[0] = 1;
	settle_lists();
	write(go[1], "", 1);
	waitpid(child, &status, 0);
	close(fd);
}

static volatile int told;

static void on_child(int signo)
{
	(void)signo;
	told++;
}

static void quiet_stops(void)
{
	struct sigaction action = { .sa_handler = on_child, .sa_flags = SA_NOCLDSTOP | SA_RESTART };
	int go[2], status, i;
	char byte;
	pid_t child;

	sigaction(SIGCHLD, &action, NULL);
	if (pipe(go))
		return;
	child = fork();
	if (!child) {
		read(go[0], &byte, 1);
		_exit(0);
	}
	for (i = 0; i < 2; i++) {
		tell("attach", ptrace(PTRACE_ATTACH, child, 0, 0));
		waitpid(child, &status, 0);
		printf("stopped %d by %d, told %d times\n", WIFSTOPPED(status), WSTOPSIG(status),
		       told);
		ptrace(PTRACE_DETACH, child, 0, 0);
	}
	write(go[1], "", 1);
	waitpid(child, &status, 0);
	printf("ended %d, told %d times\n", WIFEXITED(status), told);
}

static void seals(void)
{
	int fd = open("/dev/shm/pinned", O_RDWR | O_CREAT, 0600), pipes[2];

	tell("seal a file of tmpfs", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	tell("its seals", fcntl(fd, F_GET_SEALS));
	unlink("/dev/shm/pinned");
	if (!pipe(pipes))
		tell("seal a pipe", fcntl(pipes[1], F_ADD_SEALS, F_SEAL_GROW));
}

static void segment(void)
{
	int id = shmget(IPC_PRIVATE, PAGE, 0600 | IPC_CREAT | SHM_NORESERVE), here = 0;
	char *at = shmat(id, NULL, 0), line[256];
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end;

	shmctl(id, IPC_RMID, NULL);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)at;
		if (here && !strncmp(line, "VmFlags", 7))
			fputs(line, stdout);
	}
	fclose(smaps);
}

static sigjmp_buf escape;

static void on_fault(int signo, siginfo_t *info, void *context)
{
	(void)context;
	printf("far below it: signal %d code %d\n", signo, info->si_code);
	siglongjmp(escape, 1);
}

/* It may not grow by more than there could ever be memory for, whatever its limit allows. */
static void far_below_a_stack(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct rlimit limit;

	getrlimit(RLIMIT_STACK, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_STACK, &limit);
	munmap(BASE, 3 * PAGE);
	mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0);
	sigaction(SIGSEGV, &action, NULL);
	if (!sigsetjmp(escape, 1))
		*(volatile char *)BASE = 1;
}

/* ---- guards ---- */

#define GUARD 102
#define UNGUARD 103
#define POPULATE_READ 22
#define POPULATE_WRITE 23
#define DONTUNMAP 4
#define ON_FAULT 1
#define COLD 20
#define PAGEOUT 21

static long locked(const char *at)
{
	char line[200], head[40];
	long kb = -1, inside = 0;
	FILE *smaps = fopen("/proc/self/smaps", "r");

	snprintf(head, sizeof(head), "%lx-", (long)at);
	while (fgets(line, sizeof(line), smaps)) {
		inside |= !strncmp(line, head, strlen(head));
		if (inside && sscanf(line, "Locked: %ld", &kb) == 1)
			break;
	}
	fclose(smaps);
	return kb;
}

static void guarded(void)
{
	char *at = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int zero = open("/dev/zero", O_RDONLY);

	memset(at, 1, 8 * PAGE);
	tell("a guard", madvise(at + 3 * PAGE, PAGE, GUARD));
	tell("mlock over it", mlock(at, 8 * PAGE));
	tell("so much is locked", locked(at));
	tell("one in locked memory", madvise(at, PAGE, GUARD));
	tell("taken away", madvise(at + 3 * PAGE, PAGE, UNGUARD));
	tell("munlock", munlock(at, 8 * PAGE));
	tell("a guard at the first page", madvise(at, PAGE, GUARD));
	tell("mlock2 at faults", syscall(325, at, 8 * PAGE, ON_FAULT));
	munlock(at, 8 * PAGE);
	tell("brought to read", madvise(at, PAGE, POPULATE_READ));
	tell("brought to write", madvise(at, 8 * PAGE, POPULATE_WRITE));
	tell("mlockall", mlockall(MCL_CURRENT));
	munlockall();
	static const int advice[] = { MADV_DONTNEED, MADV_FREE, COLD, PAGEOUT, MADV_WILLNEED };
	for (int i = 0; i < 5; i++) {
		tell("advice", madvise(at, 8 * PAGE, advice[i]));
		tell("and the guard", madvise(at, PAGE, POPULATE_READ));
	}
	char *to = mremap(at, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | DONTUNMAP);
	tell("moved", madvise(to, PAGE, POPULATE_READ));
	tell("left behind", madvise(at, PAGE, POPULATE_READ));
	tell("read into", read(zero, to, 2 * PAGE));
	tell("read beside", read(zero, at + 4 * PAGE, 2 * PAGE));
	munmap(at + 5 * PAGE, PAGE);
	tell("over a hole", madvise(at + 4 * PAGE, 4 * PAGE, GUARD));
	tell("before it", madvise(at + 4 * PAGE, PAGE, POPULATE_READ));
	tell("behind it", madvise(at + 7 * PAGE, PAGE, POPULATE_READ));
	tell("mlock over the hole", mlock(at + 4 * PAGE, 4 * PAGE));
	close(zero);
}

int main(void)
{
	far_below_a_stack();
	unreadable();
	shared_page();
	lazily_free();
	asked_for_its_node();
	copied();
	quiet_stops();
	seals();
	segment();
	guarded();
	return 0;
}
