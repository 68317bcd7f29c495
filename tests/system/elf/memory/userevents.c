// Events: what a forked monitor is told of calls that change the memory it watches, and when.
// Prints what Linux 6.18 prints; as root or not (then without the event of fork).
#define _GNU_SOURCE
#include "asleep.h"
#include "uffd.h"

#define REMAP_EVENT 0x4
#define REMOVE_EVENT 0x8
#define UNMAP_EVENT 0x40

static int line[2]; // the monitor goes when it is closed
static pid_t hearer;
static ul base;

static void tell(const struct uffd_msg *m)
{
	if (m->event == UFFD_EVENT_FORK)
		printf("{fork %s}", fcntl((int)m->arg.fork.ufd, F_GETFL) == O_NONBLOCK ? "" : "?");
	else if (m->event == UFFD_EVENT_REMAP)
		printf("{remap %lx -> %lx, %lx}", (ul)m->arg.remap.from - base,
		       (ul)m->arg.remap.to - base, (ul)m->arg.remap.len);
	else
		printf("{%s %lx-%lx}", m->event == UFFD_EVENT_REMOVE ? "remove" : "unmap",
		       (ul)m->arg.remove.start - base, (ul)m->arg.remove.end - base);
}

static void monitor(int fd)
{
	struct pollfd p[2] = { { fd, POLLIN, 0 }, { line[0], POLLIN, 0 } };
	close(line[1]);
	for (;;) {
		struct uffd_msg m;
		poll(p, 2, -1);
		if (p[0].revents & POLLIN && read(fd, &m, sizeof m) == sizeof m)
			tell(&m);
		else if (p[1].revents)
			_exit(0);
	}
}

static pid_t start(int fd, void *memory_at)
{
	base = (ul)memory_at;
	pipe(line);
	pid_t pid = fork();
	if (!pid)
		monitor(fd);
	close(line[0]);
	return hearer = pid;
}

static void end(pid_t pid, int fd)
{
	close(line[1]);
	waitpid(pid, NULL, 0);
	close(fd);
	puts("");
}

static void say(const char *what, long result) // after the monitor has said its part
{
	int number = errno;
	until_in(hearer, SYS_poll);
	printf("%s=%s ", what, result == -1 ? strerrorname_np(number) : "ok");
}

#define MAP_HERE (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

static void *place(void *at, ul nr) { return mmap(at, nr * P, RW, MAP_HERE, -1, 0); }

static void changes(uint64_t features)
{
	int fd = new_fd(features);
	char *room = mmap(NULL, 64 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *at;
	munmap(room, 64 * P);
	at = place(room, 8);
	memset(at, 1, 8 * P);
	pid_t pid = start(fd, at);
	watch(fd, at, 4, MISSING);
	watch(fd, at + 6 * P, 2, MISSING);
	say("dontneed", madvise(at + P, 6 * P, MADV_DONTNEED));
	say("free", madvise(at, P, MADV_FREE));
	say("cold", madvise(at, P, 20));
	say("unmap", munmap(at, P));
	say("elsewhere", munmap(room + 40 * P, P));
	say("unwatched", munmap(at + 4 * P, P));
	say("odd", munmap(at + P + 1, P));
	say("move", (long)mremap(at + P, 2 * P, 2 * P, 3, room + 20 * P));
	say("grow", (long)mremap(room + 20 * P, 2 * P, 4 * P, 0));
	say("move and grow", (long)mremap(room + 20 * P, 4 * P, 5 * P, 3, room + 30 * P));
	say("shrink", (long)mremap(room + 30 * P, 5 * P, 3 * P, 0));
	say("onto", (long)mremap(room + 30 * P, P, P, 3, at + 6 * P));
	say("keep", (long)mremap(room + 31 * P, P, P, 3 | 4, room + 50 * P));
	say("replace", (long)place(room + 50 * P, 1));
	say("bad", (long)mmap(at + 7 * P, P, RW, MAP_FIXED, -1, 0));
	say("two at once", (long)mremap(at + 6 * P, 2 * P, 2 * P, 3, room + 55 * P));
	say("replace all", (long)place(at, 12));
	end(pid, fd);
}

static void heap_and_fork(void)
{
	int fd = new_fd(REMAP_EVENT | UNMAP_EVENT | (geteuid() ? 0 : UFFD_FEATURE_EVENT_FORK));
	char *at = (char *)(((ul)sbrk(0) + P - 1) & ~(P - 1));
	brk(at + 8 * P);
	memset(at, 1, 8 * P);
	pid_t pid = start(fd, at);
	watch(fd, at + 4 * P, 4, MISSING);
	say("brk", brk(at + 6 * P));
	say("brk", brk(at + 8 * P));
	for (int times = 0; times < 2; times++) {
		pid_t child = fork();
		if (!child)
			_exit(0);
		say("fork", child);
		waitpid(child, NULL, 0);
		madvise(at + 4 * P, 2 * P, MADV_DONTFORK);
	}
	end(pid, fd);
}

static void files(void)
{
	int fd = new_fd(REMOVE_EVENT | UNMAP_EVENT), file = memfd_create("x", 0);
	ftruncate(file, 8 * P);
	char *at = mmap(NULL, 8 * P, RW, MAP_SHARED, file, 0);
	memset(at, 1, 8 * P);
	pid_t pid = start(fd, at);
	watch(fd, at, 4, MISSING);
	say("remove", madvise(at + P, 5 * P, MADV_REMOVE));
	say("free", madvise(at, 5 * P, MADV_FREE));
	say("dontneed", madvise(at, 2 * P, MADV_DONTNEED));
	say("truncate", ftruncate(file, P));
	mlock(at, P);
	say("locked", madvise(at, P, MADV_DONTNEED));
	end(pid, fd);
}

static void while_it_changes(void) // no one has read the event yet
{
	int fd = new_fd(UNMAP_EVENT), ready[2];
	char *at = memory(4, MAP_PRIVATE), *source = memory(1, MAP_PRIVATE);
	watch(fd, at, 4, MISSING);
	pipe(ready);
	pid_t pid = fork();
	if (!pid) {
		struct uffd_msg m;
		poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1); // until there is one
		SAY("copy", copy(fd, at + P, source, 1, 0));
		printf("%ld ", (long)five.done);
		SAY("poison", poison(fd, at + P, 1));
		SAY("register", watch(fd, at + P, 1, MISSING));
		read(fd, &m, sizeof m);
		until_in(getppid(), SYS_wait4); // who unmapped has woken
		SAY("copy", copy(fd, at + P, source, 1, 0));
		SAY("gone", copy(fd, at, source, 1, 0));
		_exit(0);
	}
	munmap(at, P);
	waitpid(pid, NULL, 0);
	close(fd);
	puts("");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	changes(REMAP_EVENT | REMOVE_EVENT | UNMAP_EVENT);
	changes(REMOVE_EVENT | UNMAP_EVENT);
	heap_and_fork();
	files();
	while_it_changes();
	return 0;
}
