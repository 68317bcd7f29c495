/*
 * runner.c - runs sequences of memory calls on the host's own kernel.
 *
 * Owns the host side of `pkern conform`.  Reads sequences from stdin, forks
 * a child for each, and the child writes what every call gave to stdout.
 * The address space of the child is what is under test, so this program is
 * static and not position independent, runs without address randomisation,
 * keeps all of its buffers in .bss and never calls malloc after its start.
 *
 * stdin:   u32 nr_calls, then nr_calls * struct call
 * stdout:  once a hello: u32 nbytes, struct hello, text of /proc/self/maps;
 *          for each sequence: u32 nbytes, then struct outcome + bytes + text
 *          for each call.  No outcome at all: the child died (u32 0).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MAX_CALLS = 512, MAX_VEC = 512, NR_FILES = 4 };
enum { OUT_BYTES = 8 << 20, MAPS_BYTES = 1 << 16 };
enum kind {
	K_MMAP,
	K_MUNMAP,
	K_MPROTECT,
	K_MREMAP,
	K_MADVISE,
	K_FTRUNCATE,
	K_MSYNC,
	K_MINCORE,
	K_MLOCK,
	K_MUNLOCK,
	K_MLOCK2,
	K_LOAD,
	K_STORE,
	K_PREAD,
	K_PWRITE,
	NR_KINDS
};

struct call {
	uint64_t kind;
	uint64_t a[6];
};

struct outcome {
	int64_t value;    /* result, or -errno; for a load what it read */
	uint32_t signo;   /* 0, SIGSEGV or SIGBUS */
	uint32_t code;    /* si_code of that signal */
	uint64_t addr;    /* si_addr of that signal */
	uint32_t nr_vec;  /* bytes of mincore's vector that follow */
	uint32_t nr_maps; /* bytes of maps text that follow; 0: as before */
};

struct hello {
	uint64_t scratch; /* a page of ours both sides may write to */
	uint64_t memlock; /* RLIMIT_MEMLOCK in bytes */
};

static char scratch[PAGE] __attribute__((aligned(4096)));
static struct call calls[MAX_CALLS];
static char out[OUT_BYTES];
static size_t nr_out;
static char maps[2][MAPS_BYTES];
static size_t nr_maps[2];
static int files[NR_FILES];
static sigjmp_buf escape;
static volatile uint32_t hit_signo, hit_code;
static volatile uint64_t hit_addr;

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)context;
	hit_signo = (uint32_t)signo;
	hit_code = (uint32_t)info->si_code;
	hit_addr = (uint64_t)info->si_addr;
	siglongjmp(escape, 1);
}

static void read_all(void *into, size_t nbytes)
{
	char *p = into;

	while (nbytes) {
		ssize_t n = read(0, p, nbytes);

		if (n <= 0)
			_exit(n < 0);
		p += n;
		nbytes -= (size_t)n;
	}
}

static void write_all(const void *from, size_t nbytes)
{
	const char *p = from;

	while (nbytes) {
		ssize_t n = write(1, p, nbytes);

		if (n <= 0)
			_exit(1);
		p += n;
		nbytes -= (size_t)n;
	}
}

static size_t read_maps(char *into)
{
	int fd = open("/proc/self/maps", O_RDONLY);
	size_t total = 0;
	ssize_t n;

	if (fd < 0)
		_exit(3);
	while (total < MAPS_BYTES && (n = read(fd, into + total, MAPS_BYTES - total)) > 0)
		total += (size_t)n;
	close(fd);
	return total;
}

/* What the model's side makes the same: see model.py, make_files(). */
static void make_files(void)
{
	static const char *const names[3] = { "f0", "f1", "f2" };
	uint64_t stamp;
	int i;

	for (i = 0; i < 3; i++)
		files[i] = memfd_create(names[i], 0);
	if (ftruncate(files[0], 5 * PAGE + 100) || ftruncate(files[2], 12 * PAGE))
		_exit(4);
	for (i = 0; i < 6; i++) {
		stamp = 0xf0000000u + (uint64_t)i;
		if (pwrite(files[0], &stamp, 8, i * PAGE) != 8)
			_exit(4);
	}
	for (i = 0; i < 12; i += 3) {
		stamp = 0xf2000000u + (uint64_t)i;
		if (pwrite(files[2], &stamp, 8, i * PAGE) != 8)
			_exit(4);
	}
	files[3] = open("/proc/self/fd/3", O_RDONLY);
	if (files[0] != 3 || files[3] != 6)
		_exit(5);
}

static int file_of(uint64_t slot) { return slot < NR_FILES ? files[slot] : -1; }

static int64_t system_call(const struct call *c)
{
	const uint64_t *a = c->a;

	switch (c->kind) {
	case K_MMAP:
		return syscall(SYS_mmap, a[0], a[1], a[2], a[3], (long)file_of(a[4]), a[5]);
	case K_MUNMAP:
		return syscall(SYS_munmap, a[0], a[1]);
	case K_MPROTECT:
		return syscall(SYS_mprotect, a[0], a[1], a[2]);
	case K_MREMAP:
		return syscall(SYS_mremap, a[0], a[1], a[2], a[3], a[4]);
	case K_MADVISE:
		return syscall(SYS_madvise, a[0], a[1], a[2]);
	case K_FTRUNCATE:
		return syscall(SYS_ftruncate, (long)file_of(a[0]), a[1]);
	case K_MSYNC:
		return syscall(SYS_msync, a[0], a[1], a[2]);
	case K_MINCORE:
		return syscall(SYS_mincore, a[0], a[1], scratch);
	case K_MLOCK:
		return syscall(SYS_mlock, a[0], a[1]);
	case K_MUNLOCK:
		return syscall(SYS_munlock, a[0], a[1]);
	case K_MLOCK2:
		return syscall(SYS_mlock2, a[0], a[1], a[2]);
	case K_PREAD:
		return syscall(SYS_pread64, (long)file_of(a[0]), scratch, 8, a[1]);
	case K_PWRITE:
		memcpy(scratch, &a[2], 8);
		return syscall(SYS_pwrite64, (long)file_of(a[0]), scratch, 8, a[1]);
	}
	_exit(6);
}

static void perform(const struct call *c, struct outcome *o)
{
	hit_signo = 0;
	if (sigsetjmp(escape, 0)) {
		o->signo = hit_signo;
		o->code = hit_code;
		o->addr = hit_addr;
		return;
	}
	if (c->kind == K_LOAD) {
		o->value = *(volatile int64_t *)c->a[0];
	} else if (c->kind == K_STORE) {
		*(volatile int64_t *)c->a[0] = (int64_t)c->a[1];
	} else {
		memset(scratch, 0, 64);
		o->value = system_call(c);
		if (o->value == -1)
			o->value = -errno;
	}
}

static void emit(const void *bytes, size_t nbytes)
{
	if (nr_out + nbytes > OUT_BYTES)
		_exit(7);
	memcpy(out + nr_out, bytes, nbytes);
	nr_out += nbytes;
}

/* The vector of a mincore, or the bytes of a pread, lie in scratch. */
static uint32_t vector_bytes(const struct call *c, const struct outcome *o)
{
	if (o->value < 0)
		return 0;
	if (c->kind == K_PREAD)
		return 8;
	if (c->kind != K_MINCORE)
		return 0;
	return (uint32_t)((c->a[1] + PAGE - 1) / PAGE);
}

static void run_sequence(uint32_t nr_calls)
{
	struct outcome o;
	uint32_t i;
	int now = 0;

	make_files();
	nr_maps[0] = nr_maps[1] = 0;
	nr_out = 4;
	for (i = 0; i < nr_calls; i++) {
		memset(&o, 0, sizeof(o));
		perform(&calls[i], &o);
		o.nr_vec = vector_bytes(&calls[i], &o);
		nr_maps[now] = read_maps(maps[now]);
		if (nr_maps[now] != nr_maps[!now] || memcmp(maps[0], maps[1], nr_maps[0]))
			o.nr_maps = (uint32_t)nr_maps[now];
		emit(&o, sizeof(o));
		emit(scratch, o.nr_vec);
		emit(maps[now], o.nr_maps);
		now = !now;
	}
	*(uint32_t *)out = (uint32_t)(nr_out - 4);
	write_all(out, nr_out);
	_exit(0);
}

static void become_ordinary(uint64_t memlock)
{
	struct rlimit limit = { memlock, memlock };

	setrlimit(RLIMIT_MEMLOCK, &limit);
	limit.rlim_cur = limit.rlim_max = 0;
	setrlimit(RLIMIT_CORE, &limit);
	if (getuid() == 0) {
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(8);
		prctl(PR_SET_DUMPABLE, 1);
	}
}

static void catch_signals(void)
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_sigaction = on_signal;
	action.sa_flags = SA_SIGINFO | SA_NODEFER;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

/* A stack as deep as it will ever be, before the first look at the maps. */
static __attribute__((noinline)) void grow_stack(void)
{
	volatile char deep[65536];
	size_t i;

	for (i = 0; i < sizeof(deep); i += 1024)
		deep[i] = 1;
}

static void say_hello(uint64_t memlock)
{
	struct hello h = { (uint64_t)scratch, memlock };
	uint32_t nbytes;

	nr_maps[0] = read_maps(maps[0]);
	nbytes = (uint32_t)(sizeof(h) + nr_maps[0]);
	write_all(&nbytes, 4);
	write_all(&h, sizeof(h));
	write_all(maps[0], nr_maps[0]);
}

static void serve(void)
{
	uint32_t nr_calls, dead = 0;
	int status;
	pid_t pid;

	for (;;) {
		read_all(&nr_calls, 4);
		if (nr_calls > MAX_CALLS)
			_exit(9);
		read_all(calls, nr_calls * sizeof(calls[0]));
		pid = fork();
		if (pid == 0)
			run_sequence(nr_calls);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			_exit(10);
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			write_all(&dead, 4);
	}
}

int main(int argc, char **argv)
{
	uint64_t memlock = argc > 1 ? strtoull(argv[1], NULL, 0) : 65536;

	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
		return 11;
	}
	closefrom(3);
	become_ordinary(memlock);
	catch_signals();
	grow_stack();
	say_hello(memlock);
	serve();
	return 0;
}
