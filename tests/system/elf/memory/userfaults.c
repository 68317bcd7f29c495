// Faults that a forked monitor serves, and events: what it is told, what the program sees.
// Prints what Linux 6.18 prints; as root or not (then of programs' own accesses only).
#define _GNU_SOURCE
#include "asleep.h"
#include "uffd.h"

static int line[2]; // the monitor goes when it is closed
static ul base;

static void must(const char *what, int result) // says nothing where all is well: two are talking
{
	if (result)
		printf("[%s: %s]", what, strerrorname_np(errno));
}

static void serve(int fd, const struct uffd_msg *m, int mode)
{
	static char page[P] __attribute__((aligned(4096)));
	static char next = 1;
	ul flags = m->arg.pagefault.flags, at = m->arg.pagefault.address;
	printf("{%lx at +%lx}", flags, at - base);
	at &= ~(P - 1);
	if (flags & 2) {
		must("unprotect", protect(fd, (void *)at, 1, 0));
	} else if (flags & 4) {
		must("continue", map_cached(fd, (void *)at, 1, 0));
	} else {
		memset(page, next++, P);
		must("copy", copy(fd, (void *)at, page, 1, mode));
	}
}

static void monitor(int fd, int mode)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { line[0], POLLIN, 0 } };
	close(line[1]);
	for (;;) {
		struct uffd_msg m;
		poll(p, 2, -1);
		if (p[0].revents & POLLIN && read(fd, &m, sizeof m) == sizeof m)
			serve(fd, &m, mode);
		else if (p[1].revents)
			_exit(0);
	}
}

static pid_t start(int fd, void *memory_at, int mode)
{
	base = (ul)memory_at;
	pipe(line);
	pid_t pid = fork();
	if (!pid)
		monitor(fd, mode);
	close(line[0]);
	return pid;
}

static void end(pid_t pid, int fd)
{
	close(line[1]);
	waitpid(pid, NULL, 0);
	close(fd);
	puts("");
}

static void missing(void)
{
	int fd = new_fd(0), zero = open("/dev/zero", O_RDONLY), p[2];
	char *at = memory(9, MAP_PRIVATE), bytes[8];
	struct iovec here = { bytes, 4 }, there = { at + 5 * P, 4 };
	watch(fd, at, 9, MISSING);
	pid_t pid = start(fd, at, 0);
	printf("%d ", at[5]);
	at[P] = 9;
	printf("%d %d ", at[P], at[P + 1]);
	SAY("read", read(zero, at + 2 * P + 10, 20));
	pipe(p);
	write(p[1], "abcdefgh", 8);
	SAY("read", read(p[0], at + 3 * P + 1, 8));
	SAY("write", write(p[1], at + 4 * P, 8));
	SAY("process_vm", process_vm_readv(getpid(), &here, 1, &there, 1, 0));
	int mem = open("/proc/self/mem", O_RDONLY);
	SAY("mem", pread(mem, bytes, 4, (off_t)(at + 6 * P)));
	SAY("populate", madvise(at + 6 * P, P, 22));
	SAY("mlock", mlock(at + 7 * P, P));
	printf("%d %d %d %d %d %d ", at[2 * P], at[2 * P + 10], at[3 * P], at[3 * P + 1], at[4 * P],
	       at[8 * P]);
	end(pid, fd);
}

static void exact_and_protected(void)
{
	int fd = new_fd(UFFD_FEATURE_EXACT_ADDRESS);
	char *at = memory(4, MAP_PRIVATE);
	watch(fd, at, 4, MISSING | PROTECT);
	pid_t pid = start(fd, at, 2);
	printf("%d %lx ", at[5], pagemap(at));
	at[6] = 1;
	NUM("pagemap", pagemap(at));
	at[P + 3] = 4;
	printf("%d ", at[P + 3]);
	end(pid, fd);
}

static void minor(void)
{
	int fd = new_fd(0), file = memfd_create("x", 0);
	ftruncate(file, 4 * P);
	char *at = mmap(NULL, 4 * P, RW, MAP_SHARED, file, 0);
	char *view = mmap(NULL, 4 * P, RW, MAP_SHARED, file, 0);
	watch(fd, at, 4, MISSING | MINOR);
	memset(view, 8, 2 * P);
	pid_t pid = start(fd, at, 0);
	printf("%d ", at[1]);
	at[P] = 3;
	printf("%d %d ", view[P], at[2 * P]);
	at[3 * P] = 1;
	printf("%d ", view[3 * P]);
	end(pid, fd);
}

static void programs_only(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_NONBLOCK | UFFD_USER_MODE_ONLY);
	int zero = open("/dev/zero", O_RDONLY);
	struct uffdio_api api = { .api = UFFD_API };
	char *at = memory(2, MAP_PRIVATE);
	ioctl(fd, UFFDIO_API, &api);
	watch(fd, at, 2, MISSING);
	pid_t pid = start(fd, at, 0);
	SAY("read", read(zero, at, 20));
	SAY("populate", madvise(at, P, 23));
	at[0] = 1;
	SAY("read", read(zero, at, 20));
	end(pid, fd);
}

static void how_it_is_counted(void)
{
	int fd = new_fd(0);
	struct rusage before, after;
	char *at = memory(2, MAP_PRIVATE);
	watch(fd, at, 2, MISSING);
	pid_t pid = start(fd, at, 0);
	until_in(pid, SYS_poll); // by then what the monitor copies of ours is copied
	for (int i = 0; i < 2; i++) {
		getrusage(RUSAGE_SELF, &after);
		getrusage(RUSAGE_SELF, &before);
	}
	at[0] = 1;
	getrusage(RUSAGE_SELF, &after);
	printf("major %ld minor %ld ", after.ru_majflt - before.ru_majflt,
	       after.ru_minflt - before.ru_minflt);
	end(pid, fd);
}

static void woken(void)
{
	int fd = new_fd(0);
	char *at = memory(2, MAP_PRIVATE);
	watch(fd, at, 2, MISSING);
	struct uffdio_range lowest = { 0, P };
	struct uffdio_copy from_there = { (ul)at, 0, P, 0, 0 };
	SAY("wake the lowest page", ioctl(fd, UFFDIO_WAKE, &lowest));
	SAY("copy from it", ioctl(fd, UFFDIO_COPY, &from_there));
	pid_t pid = fork();
	if (!pid) {
		struct uffd_msg m;
		struct uffdio_range there = { (ul)at + P, P }, here = { (ul)at, P };
		until_state(getppid(), 'S');
		NUM("read", read(fd, &m, sizeof m));
		SAY("again", read(fd, &m, sizeof m));
		SAY("wake elsewhere", ioctl(fd, UFFDIO_WAKE, &there));
		usleep(20000);
		SAY("read", read(fd, &m, sizeof m));
		SAY("wake", ioctl(fd, UFFDIO_WAKE, &here));
		until_state(getppid(), 'S');
		NUM("read", read(fd, &m, sizeof m));
		SAY("unregister", ioctl(fd, UFFDIO_UNREGISTER, &here));
		_exit(0);
	}
	int byte = at[0];
	waitpid(pid, NULL, 0);
	printf("%d ", byte);
	close(fd);
	puts("");
}

static void on_user_signal(int signo)
{
	(void)signo;
	write(1, "handler ", 8);
}

static void interrupted(void)
{
	int fd = new_fd(0);
	char *at = memory(2, MAP_PRIVATE);
	watch(fd, at, 2, MISSING);
	signal(SIGUSR1, on_user_signal);
	pid_t pid = fork();
	if (!pid) {
		static char page[P] __attribute__((aligned(4096)));
		struct uffd_msg m;
		until_state(getppid(), 'S');
		kill(getppid(), SIGUSR1);
		until_state(getppid(), 'S');
		NUM("read", read(fd, &m, sizeof m));
		memset(page, 7, P);
		must("copy", copy(fd, at, page, 1, 0));
		_exit(0);
	}
	printf("%d ", at[0]);
	waitpid(pid, NULL, 0);
	close(fd);
	puts("");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	missing();
	exact_and_protected();
	minor();
	programs_only();
	how_it_is_counted();
	woken();
	interrupted();
	return 0;
}
