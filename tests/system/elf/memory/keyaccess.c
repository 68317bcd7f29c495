// Which accesses of the kernel obey a protection key: those that a call makes for the caller, not
// those that go past protection. For a processor with keys; Linux 6.18's answers (pkeys(7)).
// Argument: a folder.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "pkru.h"
#include "rings.h"

#define PAGE 4096
#define ALL(...) \
	show_all((long[]){ __VA_ARGS__ }, (int)(sizeof((long[]){ __VA_ARGS__ }) / sizeof(long)))

static char *p; /* one page each: read and written, a lock, a list, its entry */
static char own[64];
static int key;
static struct ring ring;

/* 0: nothing is denied, 1: every access, 2: stores. */
static unsigned deny(unsigned what)
{
	unsigned before = rdpkru();
	wrpkru((before & ~(3u << 2 * key)) | what << 2 * key);
	return before;
}

static void show_all(const long *results, int count)
{
	for (int i = 0; i < count; i++)
		printf(" %ld", results[i]);
	printf("\n");
}

static long spliced(const struct iovec *from)
{
	int ends[2];
	pipe(ends);
	long r = result(vmsplice(ends[1], from, 1, 0));
	close(ends[0]);
	close(ends[1]);
	return r;
}

static void copies(const char *folder)
{
	char path[300];
	snprintf(path, sizeof path, "%s/keyaccess", folder);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600), mem = open("/proc/self/mem", O_RDWR);
	struct iovec mine = { own, 8 }, denied = { p, 8 };
	pid_t pid = getpid();
	write(fd, own, 64);
	printf("calls");
	ALL(result(pread(fd, p, 8, 0)), result(pwrite(fd, p, 8, 0)), result(getrandom(p, 8, 0)),
	    result(syscall(SYS_sigaltstack, 0, p)), spliced(&denied));
	printf("mem");
	ALL(result(pread(mem, own, 8, (off_t)p)), result(pwrite(mem, own, 8, (off_t)p)));
	printf("process_vm, the other side");
	ALL(result(process_vm_readv(pid, &mine, 1, &denied, 1, 0)),
	    result(process_vm_writev(pid, &mine, 1, &denied, 1, 0)));
	printf("process_vm, this side");
	ALL(result(process_vm_readv(pid, &denied, 1, &mine, 1, 0)),
	    result(process_vm_writev(pid, &denied, 1, &mine, 1, 0)));
	next(&ring, IORING_OP_READ, fd, p, 8, 0, 1);
	run(&ring, "ring reads", 1, 1);
	next(&ring, IORING_OP_WRITE, fd, p, 8, 0, 1);
	run(&ring, "ring writes", 1, 1);
	long registered = reg(&ring, IORING_REGISTER_BUFFERS, &denied, 1);
	if (!registered)
		reg(&ring, IORING_UNREGISTER_BUFFERS, 0, 0);
	printf("registered buffer");
	ALL(registered);
	close(fd);
	close(mem);
}

static long futex(void *word, int op, int value, long timeout, void *second, int value3)
{
	return result(syscall(SYS_futex, word, op, value, timeout, second, value3));
}

static void words(void)
{
	struct timespec soon = { 0, 1000 };
	int add = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_EQ, 0), private = FUTEX_PRIVATE_FLAG;
	printf("words");
	ALL(futex(p, FUTEX_WAIT | private, 77, (long)&soon, 0, 0),
	    futex(p, FUTEX_WAIT, 77, (long)&soon, 0, 0), futex(p, FUTEX_WAKE | private, 1, 0, 0, 0),
	    futex(p, FUTEX_WAKE, 1, 0, 0, 0), futex(own, FUTEX_WAKE_OP | private, 1, 1, p, add),
	    futex(p + PAGE, FUTEX_TRYLOCK_PI | private, 0, 0, 0, 0));
}

/* Whether a lock is given up by a child that ends with it: at, list and entry are memory. */
static void dies_with(const char *where, volatile int *lock, void **head, void **entry)
{
	unsigned before = deny(0);
	*lock = 0;
	if (!fork()) {
		*lock = (int)syscall(SYS_gettid);
		head[0] = entry;
		head[1] = (void *)((char *)lock - (char *)entry);
		head[2] = 0;
		entry[0] = head;
		syscall(SYS_set_robust_list, head, 24);
		wrpkru(before);
		_exit(0);
	}
	wait(0);
	printf("%s %s\n", where, *lock & FUTEX_OWNER_DIED ? "released" : "kept");
	wrpkru(before);
	fflush(stdout);
}

static void tracer(void)
{
	pid_t child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	waitpid(child, 0, 0);
	errno = 0;
	long word = ptrace(PTRACE_PEEKDATA, child, p, 0);
	printf("tracer");
	ALL(errno, result(ptrace(PTRACE_POKEDATA, child, p, word)));
	ptrace(PTRACE_CONT, child, 0, 0);
	waitpid(child, 0, 0);
}

static void locks(void)
{
	static void *head[3], *entry[1];
	int *open_lock = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dies_with("list", open_lock, (void **)(p + 2 * PAGE), (void **)(p + 3 * PAGE));
	dies_with("lock", (int *)(p + PAGE), head, entry);
	munmap(open_lock, PAGE);
}

/* Handlers that touch no stack: one returns with the rights that a handler has, one with all. */
__asm__(".globl returns, opens\n"
	"opens: xor %eax, %eax\nxor %ecx, %ecx\nxor %edx, %edx\n.byte 0x0f, 0x01, 0xef\n" /* wrpkru */
	"returns: add $8, %rsp\nmov $15, %eax\nsyscall\n");
void returns(int signo), opens(int signo);

/* A frame is written past keys, and read with the rights that there are (since 6.12). */
static int after_frame(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };
	stack_t stack = { p + 2 * PAGE, 0, 2 * PAGE };
	unsigned before = rdpkru();
	pid_t child = fork();
	int status;

	if (!child) {
		sigaction(SIGUSR1, &action, 0);
		sigaltstack(&stack, 0);
		kill(getpid(), SIGUSR1);
		_exit(rdpkru() == before);
	}
	waitpid(child, &status, 0);
	return status & ~0x80; /* with a core file or without */
}

static void locked(void)
{
	char *q = mmap(0, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	syscall(SYS_pkey_mprotect, q, 2 * PAGE, 3, key);
	printf("locked: shared, private, advised");
	ALL(result(mlock(p, PAGE)), result(mlock(q, PAGE)),
	    result(madvise(q + PAGE, PAGE, MADV_POPULATE_WRITE)));
	munlock(p, PAGE);
	munmap(q, 2 * PAGE);
}

/* In a process of its own: what works for its ring has the rights that it had when that began. */
static void all(unsigned what, const char *folder)
{
	static const char *const names[] = { "open", "no access", "no stores" };

	open_ring(&ring, 0);
	deny(what);
	printf("-- %s\n", names[what]);
	copies(folder);
	words();
	tracer();
	locks();
	printf("after a frame %x %x\n", after_frame(returns), after_frame(opens));
	locked();
}

int main(int argc, char **argv)
{
	setvbuf(stdout, 0, _IOLBF, 0);
	key = (int)syscall(SYS_pkey_alloc, 0, 0);
	p = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(p, 0, 4 * PAGE);
	syscall(SYS_pkey_mprotect, p, 4 * PAGE, 3, key);
	for (unsigned what = 0; what < 3; what++) {
		if (!fork()) {
			all(what, argv[1]);
			_exit(0);
		}
		wait(0);
	}
	return argc != 2;
}
